//! Statements about steps: the life of a turn.

use super::{corrupt, failed, time, usage, uuid};
use crate::domain::step::{EmotionStep, FinishReason, Marks, MessageId, StepStatus, StepType};
use crate::domain::transcript::Exchange;
use crate::domain::usage::{Day, Usage};
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{BeginStep, Begun, FinishStep, storable};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str = "t.step_id, t.session_id, t.step_order, t.step_type, t.user_input, t.gpt_response, \
                       t.status, t.finish_reason, t.message_id, t.model, t.prompt_version, t.output_tokens, t.created_at, \
                       t.emotion, t.correction, t.safety_tier";

fn step(row: &Row<'_>) -> rusqlite::Result<EmotionStep> {
    let status: String = row.get(6)?;
    let reason: Option<String> = row.get(7)?;
    let message_id: Option<String> = row.get(8)?;
    Ok(EmotionStep {
        step_id: StepId(uuid(row, 0)?),
        session_id: SessionId(uuid(row, 1)?),
        step_order: row.get(2)?,
        step_type: StepType::parse(Some(&row.get::<_, String>(3)?))
            .map_err(|_| corrupt(3, "step_type"))?,
        user_input: row.get(4)?,
        gpt_response: row.get(5)?,
        status: StepStatus::parse(&status).ok_or_else(|| corrupt(6, "status"))?,
        finish_reason: reason.as_deref().and_then(FinishReason::parse),
        message_id: message_id
            .as_deref()
            .and_then(|id| MessageId::parse(id).ok()),
        model: row.get(9)?,
        prompt_version: row.get(10)?,
        output_tokens: row.get(11)?,
        created_at: time(row, 12)?,
        marks: Marks {
            emotion: row.get(13)?,
            correction: row.get(14)?,
            safety_tier: row.get(15)?,
        },
    })
}

pub(super) fn begin(c: &Connection, begin: &BeginStep) -> Result<Begun> {
    storable("user_input", &begin.user_input)?;
    let session = begin.session_id.0.as_bytes();
    let user = begin.user_id.0.as_bytes();
    let found: Option<(bool, Option<i64>)> = c
        .prepare_cached("SELECT user_id = ?2, ended_at FROM sessions WHERE session_id = ?1")
        .and_then(|mut s| {
            s.query_row([session, user], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(failed)?;
    match found {
        Some((true, None)) => {}
        Some((true, Some(_))) => {
            // A message stored before the end is still that message.
            return Ok(repeated(c, begin)?.map_or(Begun::Ended, |s| Begun::Repeated(Box::new(s))));
        }
        None if begin.new_session => {
            if used_up(c, begin)? {
                return Ok(Begun::UsedUp);
            }
            let added = c
                .prepare_cached(
                    "INSERT INTO sessions (session_id, user_id, started_at)
                     SELECT ?1, user_id, ?3 FROM users WHERE user_id = ?2",
                )
                .and_then(|mut s| s.execute(params![session, user, begin.at.as_micros()]))
                .map_err(failed)?;
            if added == 0 {
                return Ok(Begun::NoSession);
            }
        }
        Some((false, _)) | None => return Ok(Begun::NoSession),
    }
    if let Some(step) = repeated(c, begin)? {
        return Ok(Begun::Repeated(Box::new(step)));
    }
    let busy = c
        .prepare_cached("SELECT 1 FROM steps WHERE session_id = ?1 AND status = 'pending'")
        .and_then(|mut s| s.exists([session]))
        .map_err(failed)?;
    if busy {
        return Ok(Begun::Busy);
    }
    if used_up(c, begin)? {
        return Ok(Begun::UsedUp);
    }
    let step_order = c
        .prepare_cached(
            "INSERT INTO steps (step_id, session_id, step_order, step_type, user_input, status, message_id, lease_until, created_at,
                                emotion, correction, safety_tier)
             VALUES (?1, ?2, (SELECT coalesce(max(step_order), 0) + 1 FROM steps WHERE session_id = ?2), ?3, ?4, 'pending', ?5, ?6, ?7,
                     ?8, ?9, ?10)
             RETURNING step_order",
        )
        .and_then(|mut s| {
            s.query_row(
                params![
                    begin.step_id.0.as_bytes(),
                    session,
                    begin.step_type.as_str(),
                    begin.user_input,
                    begin.message_id.as_ref().map(MessageId::as_str),
                    begin.lease_until.as_micros(),
                    begin.at.as_micros(),
                    begin.marks.emotion,
                    begin.marks.correction,
                    begin.marks.safety_tier,
                ],
                |row| row.get(0),
            )
        })
        .map_err(failed)?;
    Ok(Begun::Started { step_order })
}

/// Whether the person has used up their tokens of the day.
fn used_up(c: &Connection, begin: &BeginStep) -> Result<bool> {
    let Some(quota) = begin.quota else {
        return Ok(false);
    };
    Ok(usage::of(c, begin.user_id, Day::of(begin.at))?.left_of(quota) == 0)
}

fn repeated(c: &Connection, begin: &BeginStep) -> Result<Option<EmotionStep>> {
    match &begin.message_id {
        Some(id) => find(c, begin.user_id, begin.session_id, Some(id)),
        None => Ok(None),
    }
}

pub(super) fn checkpoint(
    c: &Connection,
    step_id: StepId,
    gpt_response: &str,
    lease_until: Timestamp,
) -> Result<()> {
    storable("gpt_response", gpt_response)?;
    c.prepare_cached("UPDATE steps SET gpt_response = ?2, lease_until = ?3 WHERE step_id = ?1 AND status = 'pending'")
        .and_then(|mut s| s.execute(params![step_id.0.as_bytes(), gpt_response, lease_until.as_micros()]))
        .map_err(failed)?;
    Ok(())
}

pub(super) fn finish(c: &Connection, finish: &FinishStep) -> Result<Option<Usage>> {
    storable("gpt_response", &finish.gpt_response)?;
    let open: Option<([u8; 16], bool)> = c
        .prepare_cached(
            "SELECT user_id, input_tokens IS NULL FROM steps JOIN sessions USING (session_id)
             WHERE step_id = ?1 AND status IN ('pending', 'interrupted')",
        )
        .and_then(|mut s| {
            s.query_row([finish.step_id.0.as_bytes()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
        })
        .map_err(failed)?;
    let Some((owner, due)) = open else {
        return Ok(None);
    };
    c.prepare_cached(
        "UPDATE steps SET gpt_response = ?2, status = ?3, finish_reason = ?4, model = ?5,
                prompt_version = ?6, output_tokens = ?7, finished_at = ?8, lease_until = NULL,
                input_tokens = coalesce(input_tokens, ?9), safety_tier = coalesce(?10, safety_tier)
         WHERE step_id = ?1",
    )
    .and_then(|mut s| {
        s.execute(params![
            finish.step_id.0.as_bytes(),
            finish.gpt_response,
            finish.status.as_str(),
            finish.finish_reason.map(FinishReason::as_str),
            finish.model,
            finish.prompt_version,
            finish.output_tokens,
            finish.at.as_micros(),
            finish.charge.input,
            finish.safety_tier,
        ])
    })
    .map_err(failed)?;
    // Who is told twice, because an answer was lost, is charged once.
    if due && finish.charge.total() > 0 {
        usage::charge(c, owner, finish.at, finish.charge)?;
    }
    let owner = UserId(uuid::Uuid::from_bytes(owner));
    usage::of(c, owner, Day::of(finish.at)).map(Some)
}

/// The lease is the mark: it becomes another one, a microsecond longer.
pub(super) fn acknowledge(c: &Connection, step_id: StepId) -> Result<bool> {
    c.prepare_cached(
        "UPDATE steps SET lease_until = lease_until + 1 WHERE step_id = ?1 AND status = 'pending'",
    )
    .and_then(|mut s| s.execute([step_id.0.as_bytes()]))
    .map(|kept| kept == 1)
    .map_err(failed)
}

pub(super) fn forget(c: &Connection, step_id: StepId, lease_until: Timestamp) -> Result<bool> {
    c.prepare_cached(
        "DELETE FROM steps WHERE step_id = ?1 AND status = 'pending' AND lease_until = ?2",
    )
    .and_then(|mut s| s.execute(params![step_id.0.as_bytes(), lease_until.as_micros()]))
    .map(|gone| gone == 1)
    .map_err(failed)
}

pub(super) fn close_orphans(c: &Connection, before: Timestamp, at: Timestamp) -> Result<u64> {
    c.prepare_cached(
        "UPDATE steps SET status = 'interrupted', finished_at = ?2, lease_until = NULL
         WHERE status = 'pending' AND lease_until < ?1",
    )
    .and_then(|mut s| s.execute([before.as_micros(), at.as_micros()]))
    .map(|changed| changed as u64)
    .map_err(failed)
}

pub(super) fn get(c: &Connection, user_id: UserId, step_id: StepId) -> Result<Option<EmotionStep>> {
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id) WHERE t.step_id = ?1 AND user_id = ?2"
    ))
    .and_then(|mut s| s.query_row([step_id.0.as_bytes(), user_id.0.as_bytes()], step).optional())
    .map_err(failed)
}

pub(super) fn find(
    c: &Connection,
    user_id: UserId,
    session_id: SessionId,
    message_id: Option<&MessageId>,
) -> Result<Option<EmotionStep>> {
    let wanted = if message_id.is_some() {
        "t.message_id = ?3"
    } else {
        "?3 IS NULL"
    };
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id)
         WHERE t.session_id = ?1 AND user_id = ?2 AND {wanted} ORDER BY t.step_order DESC LIMIT 1"
    ))
    .and_then(|mut s| {
        let message_id = message_id.map(MessageId::as_str);
        s.query_row(
            params![session_id.0.as_bytes(), user_id.0.as_bytes(), message_id],
            step,
        )
        .optional()
    })
    .map_err(failed)
}

pub(super) fn list(
    c: &Connection,
    user_id: UserId,
    session_id: SessionId,
    after: i64,
    limit: Option<u32>,
) -> Result<Option<Vec<EmotionStep>>> {
    let own = c
        .prepare_cached("SELECT 1 FROM sessions WHERE session_id = ?1 AND user_id = ?2")
        .and_then(|mut s| s.exists([session_id.0.as_bytes(), user_id.0.as_bytes()]))
        .map_err(failed)?;
    if !own {
        return Ok(None);
    }
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM steps t WHERE t.session_id = ?1 AND t.step_order > ?2 ORDER BY t.step_order LIMIT ?3"
    ))
    .and_then(|mut s| {
        let limit = limit.map_or(-1, i64::from);
        s.query_map(params![session_id.0.as_bytes(), after, limit], step)?.collect()
    })
    .map(Some)
    .map_err(failed)
}

pub(super) fn history(
    c: &Connection,
    session_id: SessionId,
    before: i64,
    limit: u32,
) -> Result<Vec<Exchange>> {
    let mut newest_first: Vec<Exchange> = c
        .prepare_cached(
            "SELECT step_order, user_input, gpt_response, output_tokens, step_id FROM steps
             WHERE session_id = ?1 AND step_order < ?2 ORDER BY step_order DESC LIMIT ?3",
        )
        .and_then(|mut s| {
            s.query_map(params![session_id.0.as_bytes(), before, limit], |row| {
                Ok(Exchange {
                    step_order: row.get(0)?,
                    user_input: row.get(1)?,
                    gpt_response: row.get(2)?,
                    output_tokens: row.get(3)?,
                    step_id: StepId(uuid(row, 4)?),
                })
            })?
            .collect()
        })
        .map_err(failed)?;
    newest_first.reverse();
    Ok(newest_first)
}
