//! Statements about steps: the life of a turn.
//!
//! Unique indexes decide every race: two that begin at once, twice the same message, two places of
//! the same number. Who loses looks what stands in the way.

use super::pool::{Done, Trouble};
use super::{corrupt, time, usage};
use crate::domain::step::{EmotionStep, FinishReason, Marks, MessageId, StepStatus, StepType};
use crate::domain::transcript::Exchange;
use crate::domain::usage::{Day, Usage};
use crate::domain::{Error, SessionId, StepId, Timestamp, UserId};
use crate::store::{BeginStep, Begun, FinishStep, storable};
use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const COLUMNS: &str = "t.step_id, t.session_id, t.step_order, t.step_type, t.user_input, t.gpt_response, \
                       t.status, t.finish_reason, t.message_id, t.model, t.prompt_version, t.output_tokens, t.created_at, \
                       t.emotion, t.correction, t.safety_tier";

/// How often words are offered again after somebody else's were faster.
const OFFERS: u32 = 20;

fn step(row: &Row) -> Done<EmotionStep> {
    let reason: Option<&str> = row.try_get(7)?;
    let message_id: Option<&str> = row.try_get(8)?;
    Ok(EmotionStep {
        step_id: StepId(row.try_get(0)?),
        session_id: SessionId(row.try_get(1)?),
        step_order: row.try_get(2)?,
        step_type: StepType::parse(Some(row.try_get(3)?)).map_err(|_| corrupt("step_type"))?,
        user_input: row.try_get(4)?,
        gpt_response: row.try_get(5)?,
        status: StepStatus::parse(row.try_get(6)?).ok_or_else(|| corrupt("status"))?,
        finish_reason: reason.and_then(FinishReason::parse),
        message_id: message_id.and_then(|id| MessageId::parse(id).ok()),
        model: row.try_get(9)?,
        prompt_version: row.try_get(10)?,
        output_tokens: row.try_get(11)?,
        created_at: time(row, 12)?,
        marks: Marks {
            emotion: row.try_get(13)?,
            correction: row.try_get(14)?,
            safety_tier: row.try_get(15)?,
        },
    })
}

/// `unknown`: an earlier attempt may have stored the words.
pub(super) async fn begin(c: &Object, begin: &BeginStep, unknown: bool) -> Done<Begun> {
    storable("user_input", &begin.user_input)?;
    for _ in 0..OFFERS {
        // Looked for each time: an earlier attempt whose connection broke may still be at work.
        if unknown && let Some(step_order) = place(c, begin).await? {
            return Ok(Begun::Started { step_order });
        }
        if let Some(step_order) = go_on(c, begin).await? {
            return Ok(Begun::Started { step_order });
        }
        match hindrance(c, begin).await? {
            Some(Begun::NoSession) if begin.new_session => {
                if let Some(step_order) = make(c, begin).await? {
                    return Ok(Begun::Started { step_order });
                }
                if used_up(c, begin).await? {
                    return Ok(Begun::UsedUp);
                }
                // The person does not exist, or the session was made a moment ago.
                if let Some(Begun::NoSession) = hindrance(c, begin).await? {
                    return Ok(Begun::NoSession);
                }
            }
            // It may be these very words that stand in their own way.
            Some(Begun::Repeated(_) | Begun::Busy)
                if unknown && place(c, begin).await?.is_some() => {}
            Some(hindrance) => return Ok(hindrance),
            None if used_up(c, begin).await? => return Ok(Begun::UsedUp),
            // It was there a moment ago, or the step's id is taken.
            None => {}
        }
    }
    Err(Trouble::Answer(Error::internal(
        "nothing stands in the way of these words, but they cannot be stored",
    )))
}

/// The columns and values of new words but for the session, the place and the person.
const NEW: &str = "step_id, session_id, step_order, step_type, user_input, status, message_id, lease_until, created_at, \
                   emotion, correction, safety_tier";

/// Whether the person `$3` has tokens left: they may use `$9`, or any number, of the day `$10`.
const HAS_LEFT: &str = "($9::bigint IS NULL OR $9 > coalesce(
    (SELECT input_tokens + output_tokens FROM usage WHERE user_id = $3 AND day = $10), 0))";

/// Whether the person has used up their tokens of the day.
async fn used_up(c: &Object, begin: &BeginStep) -> Done<bool> {
    let Some(quota) = begin.quota else {
        return Ok(false);
    };
    let used = usage::of(c, begin.user_id, Day::of(begin.at)).await?;
    Ok(used.left_of(quota) == 0)
}

/// Adds the words to a session that is there; their place. Who ends or forgets the session at the same moment comes
/// before, and then the words are not added, or after, and then they are seen.
async fn go_on(c: &Object, begin: &BeginStep) -> Done<Option<i64>> {
    let sql = format!(
        "INSERT INTO steps ({NEW})
         SELECT $1, s.session_id,
                (SELECT coalesce(max(step_order), 0) + 1 FROM steps WHERE session_id = $2),
                $4, $5, 'pending', $6, $7, $8, $11, $12, $13
         FROM sessions s
         WHERE s.session_id = $2 AND s.user_id = $3 AND s.ended_at IS NULL AND {HAS_LEFT} FOR SHARE
         ON CONFLICT DO NOTHING RETURNING step_order"
    );
    insert(c, &sql, begin).await
}

/// Makes the session and adds the words to it; their place.
async fn make(c: &Object, begin: &BeginStep) -> Done<Option<i64>> {
    let sql = format!(
        "WITH made AS (
             INSERT INTO sessions (session_id, user_id, started_at)
             SELECT $2, user_id, $8 FROM users WHERE user_id = $3 AND {HAS_LEFT}
             ON CONFLICT DO NOTHING RETURNING session_id
         )
         INSERT INTO steps ({NEW})
         SELECT $1, session_id, 1, $4, $5, 'pending', $6, $7, $8, $11, $12, $13 FROM made RETURNING step_order"
    );
    insert(c, &sql, begin).await
}

async fn insert(c: &Object, sql: &str, begin: &BeginStep) -> Done<Option<i64>> {
    let statement = c.prepare_cached(sql).await?;
    let message_id = begin.message_id.as_ref().map(MessageId::as_str);
    let values: [&(dyn ToSql + Sync); 13] = [
        &begin.step_id.0,
        &begin.session_id.0,
        &begin.user_id.0,
        &begin.step_type.as_str(),
        &begin.user_input,
        &message_id,
        &begin.lease_until.as_micros(),
        &begin.at.as_micros(),
        &begin.quota,
        &Day::of(begin.at).number(),
        &begin.marks.emotion,
        &begin.marks.correction,
        &begin.marks.safety_tier,
    ];
    let row = c.query_opt(&statement, &values).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Where these very words are stored, if they are.
async fn place(c: &Object, begin: &BeginStep) -> Done<Option<i64>> {
    let statement = c
        .prepare_cached("SELECT step_order FROM steps WHERE step_id = $1 AND session_id = $2")
        .await?;
    let row = c
        .query_opt(&statement, &[&begin.step_id.0, &begin.session_id.0])
        .await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Why the words cannot be added to the session.
async fn hindrance(c: &Object, begin: &BeginStep) -> Done<Option<Begun>> {
    let statement = c
        .prepare_cached(
            "SELECT user_id = $2, ended_at IS NOT NULL,
                    EXISTS (SELECT 1 FROM steps WHERE session_id = $1 AND status = 'pending')
             FROM sessions WHERE session_id = $1",
        )
        .await?;
    let row = c
        .query_opt(&statement, &[&begin.session_id.0, &begin.user_id.0])
        .await?;
    let Some(row) = row else {
        return Ok(Some(Begun::NoSession));
    };
    let (own, ended, busy): (bool, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if !own {
        return Ok(Some(Begun::NoSession));
    }
    // A message stored before the end, or while it is answered, is still that message.
    if begin.message_id.is_some()
        && let Some(step) = find(
            c,
            begin.user_id,
            begin.session_id,
            begin.message_id.as_ref(),
        )
        .await?
    {
        return Ok(Some(Begun::Repeated(Box::new(step))));
    }
    Ok(match (ended, busy) {
        (true, _) => Some(Begun::Ended),
        (false, true) => Some(Begun::Busy),
        (false, false) => None,
    })
}

pub(super) async fn checkpoint(
    c: &Object,
    step_id: StepId,
    gpt_response: &str,
    lease_until: Timestamp,
) -> Done<()> {
    storable("gpt_response", gpt_response)?;
    let statement = c
        .prepare_cached(
            "UPDATE steps SET gpt_response = $2, lease_until = $3
             WHERE step_id = $1 AND status = 'pending'",
        )
        .await?;
    c.execute(
        &statement,
        &[&step_id.0, &gpt_response, &lease_until.as_micros()],
    )
    .await?;
    Ok(())
}

/// `unknown`: an earlier attempt may have closed it.
pub(super) async fn finish(c: &Object, finish: &FinishStep, unknown: bool) -> Done<Option<Usage>> {
    storable("gpt_response", &finish.gpt_response)?;
    // Who is told twice, because an answer was lost, is charged once.
    let sql = format!(
        "WITH open AS (
             SELECT step_id, user_id, input_tokens IS NULL AND $10::bigint + $11::bigint > 0 AS owing
             FROM steps JOIN sessions USING (session_id)
             WHERE step_id = $1 AND status IN ('pending', 'interrupted') FOR UPDATE OF steps
         ), closed AS (
             UPDATE steps t
             SET gpt_response = $2, status = $3, finish_reason = $4, model = $5,
                 prompt_version = $6, output_tokens = $7, finished_at = $8, lease_until = NULL,
                 input_tokens = coalesce(t.input_tokens, $10),
                 safety_tier = coalesce($12, t.safety_tier)
             FROM open WHERE t.step_id = open.step_id RETURNING t.step_id
         ), due AS (
             SELECT user_id, $9::bigint AS day, $10::bigint AS input_tokens,
                    $11::bigint AS output_tokens
             FROM open WHERE owing
         ), charged AS ({CHARGE})
         SELECT coalesce(n.input_tokens, u.input_tokens), coalesce(n.output_tokens, u.output_tokens)
         FROM closed JOIN open USING (step_id)
              LEFT JOIN usage u ON u.user_id = open.user_id AND u.day = $9::bigint
              LEFT JOIN charged n ON true",
        CHARGE = usage::CHARGE,
    );
    let statement = c.prepare_cached(&sql).await?;
    let day = Day::of(finish.at);
    let values: [&(dyn ToSql + Sync); 12] = [
        &finish.step_id.0,
        &finish.gpt_response,
        &finish.status.as_str(),
        &finish.finish_reason.map(FinishReason::as_str),
        &finish.model,
        &finish.prompt_version,
        &finish.output_tokens,
        &finish.at.as_micros(),
        &day.number(),
        &finish.charge.input,
        &finish.charge.output,
        &finish.safety_tier,
    ];
    if let Some(row) = c.query_opt(&statement, &values).await? {
        let tokens = usage::tokens(&row, 0)?;
        return Ok(Some(Usage { day, tokens }));
    }
    if unknown && let Some(owner) = owner_if_ended_so(c, finish).await? {
        return usage::of(c, owner, day).await.map(Some);
    }
    Ok(None)
}

/// Whose step it is, if this very end is the one that it has.
async fn owner_if_ended_so(c: &Object, finish: &FinishStep) -> Done<Option<UserId>> {
    let statement = c
        .prepare_cached(
            "SELECT user_id FROM steps JOIN sessions USING (session_id)
             WHERE step_id = $1 AND gpt_response = $2 AND status = $3 AND finished_at = $4",
        )
        .await?;
    let values: [&(dyn ToSql + Sync); 4] = [
        &finish.step_id.0,
        &finish.gpt_response,
        &finish.status.as_str(),
        &finish.at.as_micros(),
    ];
    let row = c.query_opt(&statement, &values).await?;
    row.map(|row| Ok(UserId(row.try_get(0)?))).transpose()
}

/// The lease is the mark: it becomes another one, a microsecond longer.
pub(super) async fn acknowledge(c: &Object, step_id: StepId) -> Done<bool> {
    let statement = c
        .prepare_cached(
            "UPDATE steps SET lease_until = lease_until + 1
             WHERE step_id = $1 AND status = 'pending'",
        )
        .await?;
    Ok(c.execute(&statement, &[&step_id.0]).await? == 1)
}

/// `unknown`: an earlier attempt may have forgotten it.
pub(super) async fn forget(
    c: &Object,
    step_id: StepId,
    lease_until: Timestamp,
    unknown: bool,
) -> Done<bool> {
    let statement = c
        .prepare_cached(
            "DELETE FROM steps WHERE step_id = $1 AND status = 'pending' AND lease_until = $2",
        )
        .await?;
    let values: [&(dyn ToSql + Sync); 2] = [&step_id.0, &lease_until.as_micros()];
    if c.execute(&statement, &values).await? == 1 {
        return Ok(true);
    }
    if !unknown {
        return Ok(false);
    }
    let statement = c
        .prepare_cached("SELECT 1 FROM steps WHERE step_id = $1")
        .await?;
    Ok(c.query_opt(&statement, &[&step_id.0]).await?.is_none())
}

pub(super) async fn close_orphans(c: &Object, before: Timestamp, at: Timestamp) -> Done<u64> {
    let statement = c
        .prepare_cached(
            "UPDATE steps SET status = 'interrupted', finished_at = $2, lease_until = NULL
             WHERE status = 'pending' AND lease_until < $1",
        )
        .await?;
    Ok(
        c.execute(&statement, &[&before.as_micros(), &at.as_micros()])
            .await?,
    )
}

pub(super) async fn get(c: &Object, user_id: UserId, step_id: StepId) -> Done<Option<EmotionStep>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id)
         WHERE t.step_id = $1 AND user_id = $2"
    );
    let statement = c.prepare_cached(&sql).await?;
    let row = c.query_opt(&statement, &[&step_id.0, &user_id.0]).await?;
    row.as_ref().map(step).transpose()
}

pub(super) async fn find(
    c: &Object,
    user_id: UserId,
    session_id: SessionId,
    message_id: Option<&MessageId>,
) -> Done<Option<EmotionStep>> {
    let wanted = if message_id.is_some() {
        "t.message_id = $3"
    } else {
        "$3::text IS NULL"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id)
         WHERE t.session_id = $1 AND user_id = $2 AND {wanted} ORDER BY t.step_order DESC LIMIT 1"
    );
    let statement = c.prepare_cached(&sql).await?;
    let message_id = message_id.map(MessageId::as_str);
    let row = c
        .query_opt(&statement, &[&session_id.0, &user_id.0, &message_id])
        .await?;
    row.as_ref().map(step).transpose()
}

pub(super) async fn list(
    c: &Object,
    user_id: UserId,
    session_id: SessionId,
    after: i64,
    limit: Option<u32>,
) -> Done<Option<Vec<EmotionStep>>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id)
         WHERE t.session_id = $1 AND user_id = $2 AND t.step_order > $3
         ORDER BY t.step_order LIMIT $4"
    );
    let statement = c.prepare_cached(&sql).await?;
    let limit = limit.map(i64::from);
    let rows = c
        .query(&statement, &[&session_id.0, &user_id.0, &after, &limit])
        .await?;
    if rows.is_empty()
        && super::sessions::get(c, user_id, session_id)
            .await?
            .is_none()
    {
        return Ok(None);
    }
    rows.iter().map(step).collect::<Done<_>>().map(Some)
}

pub(super) async fn history(
    c: &Object,
    session_id: SessionId,
    before: i64,
    limit: u32,
) -> Done<Vec<Exchange>> {
    let statement = c
        .prepare_cached(
            "SELECT step_order, user_input, gpt_response, output_tokens, step_id FROM steps
             WHERE session_id = $1 AND step_order < $2 ORDER BY step_order DESC LIMIT $3",
        )
        .await?;
    let rows = c
        .query(&statement, &[&session_id.0, &before, &i64::from(limit)])
        .await?;
    let oldest_first = rows.iter().rev().map(|row| {
        Ok(Exchange {
            step_order: row.try_get(0)?,
            user_input: row.try_get(1)?,
            gpt_response: row.try_get(2)?,
            output_tokens: row.try_get(3)?,
            step_id: StepId(row.try_get(4)?),
        })
    });
    oldest_first.collect()
}
