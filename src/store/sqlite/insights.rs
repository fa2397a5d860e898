//! The part of the store that is about what conversations show, on the embedded backend.

use super::{SqliteStore, failed, time, usage, uuid};
use crate::domain::flow::MarkedStep;
use crate::domain::step::Marks;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{Insights, PutCard, StoredCard, storable};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str =
    "t.step_id, t.session_id, t.step_order, t.created_at, t.emotion, t.correction, t.safety_tier";

impl Insights for SqliteStore {
    fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| correct(c, user_id, step_id, correction.as_deref())),
        )
    }

    fn marks(
        &self,
        user_id: UserId,
        session_id: SessionId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Option<Vec<MarkedStep>>>> {
        Box::pin(
            self.workers
                .read(move |c| of_session(c, user_id, session_id, limit)),
        )
    }

    fn marks_between(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<MarkedStep>>> {
        Box::pin(
            self.workers
                .read(move |c| between(c, user_id, (from, to), limit)),
        )
    }

    fn card(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<StoredCard>>> {
        Box::pin(self.workers.read(move |c| card(c, user_id, session_id)))
    }

    fn put_card(&self, put: PutCard) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| put_card(c, &put)))
    }
}

fn marked(row: &Row<'_>) -> rusqlite::Result<MarkedStep> {
    Ok(MarkedStep {
        step_id: StepId(uuid(row, 0)?),
        session_id: SessionId(uuid(row, 1)?),
        step_order: row.get(2)?,
        created_at: time(row, 3)?,
        marks: Marks {
            emotion: row.get(4)?,
            correction: row.get(5)?,
            safety_tier: row.get(6)?,
        },
    })
}

fn correct(
    c: &Connection,
    user_id: UserId,
    step_id: StepId,
    correction: Option<&str>,
) -> Result<bool> {
    storable("correction", correction.unwrap_or_default())?;
    c.prepare_cached(
        "UPDATE steps SET correction = ?3 WHERE step_id = ?1
         AND session_id IN (SELECT session_id FROM sessions WHERE user_id = ?2)",
    )
    .and_then(|mut s| {
        s.execute(params![
            step_id.0.as_bytes(),
            user_id.0.as_bytes(),
            correction
        ])
    })
    .map(|changed| changed == 1)
    .map_err(failed)
}

fn of_session(
    c: &Connection,
    user_id: UserId,
    session_id: SessionId,
    limit: u32,
) -> Result<Option<Vec<MarkedStep>>> {
    let own = c
        .prepare_cached("SELECT 1 FROM sessions WHERE session_id = ?1 AND user_id = ?2")
        .and_then(|mut s| s.exists([session_id.0.as_bytes(), user_id.0.as_bytes()]))
        .map_err(failed)?;
    if !own {
        return Ok(None);
    }
    let mut newest_first: Vec<MarkedStep> = c
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM steps t WHERE t.session_id = ?1
             ORDER BY t.step_order DESC LIMIT ?2"
        ))
        .and_then(|mut s| {
            s.query_map(params![session_id.0.as_bytes(), limit], marked)?
                .collect()
        })
        .map_err(failed)?;
    newest_first.reverse();
    Ok(Some(newest_first))
}

fn between(
    c: &Connection,
    user_id: UserId,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Result<Vec<MarkedStep>> {
    let mut newest_first: Vec<MarkedStep> = c
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM sessions s JOIN steps t ON t.session_id = s.session_id
             WHERE s.user_id = ?1 AND s.started_at >= ?2 AND s.started_at < ?3
             ORDER BY s.started_at DESC, s.session_id DESC, t.step_order DESC LIMIT ?4"
        ))
        .and_then(|mut s| {
            let (from, to) = (from.as_micros(), to.as_micros());
            s.query_map(params![user_id.0.as_bytes(), from, to, limit], marked)?
                .collect()
        })
        .map_err(failed)?;
    newest_first.reverse();
    Ok(newest_first)
}

fn card(c: &Connection, user_id: UserId, session_id: SessionId) -> Result<Option<StoredCard>> {
    c.prepare_cached(
        "SELECT session_id, body, quotes, made_at FROM cards JOIN sessions USING (session_id)
         WHERE session_id = ?1 AND user_id = ?2",
    )
    .and_then(|mut s| {
        s.query_row([session_id.0.as_bytes(), user_id.0.as_bytes()], |row| {
            Ok(StoredCard {
                session_id: SessionId(uuid(row, 0)?),
                body: row.get(1)?,
                quotes: row.get(2)?,
                made_at: time(row, 3)?,
            })
        })
        .optional()
    })
    .map_err(failed)
}

fn put_card(c: &Connection, put: &PutCard) -> Result<bool> {
    let PutCard {
        user_id,
        card,
        labels,
        charge,
    } = put;
    storable("body", &card.body)?;
    storable("quotes", card.quotes.as_deref().unwrap_or_default())?;
    for (field, text) in labels.fields() {
        storable(field, text.unwrap_or_default())?;
    }
    let Some(session) = super::sessions::get(c, *user_id, card.session_id)? else {
        return Ok(false);
    };
    let id = card.session_id.0.as_bytes();
    let before: Option<(String, i64)> = c
        .prepare_cached("SELECT body, filled FROM cards WHERE session_id = ?1")
        .and_then(|mut s| {
            s.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(failed)?;
    let filled_before = match before {
        Some((body, _)) if body == card.body => return Ok(true),
        before => before.map_or(0, |(_, filled)| filled),
    };
    let mut filled = 0;
    let is = session.labels.fields();
    for (bit, (field, says)) in labels.fields().into_iter().enumerate() {
        let free = is[bit].1.is_none() || filled_before >> bit & 1 == 1;
        if !free {
            continue;
        }
        filled |= i64::from(says.is_some()) << bit;
        c.prepare_cached(&format!(
            "UPDATE sessions SET {field} = ?2 WHERE session_id = ?1"
        ))
        .and_then(|mut s| s.execute(params![id, says]))
        .map_err(failed)?;
    }
    c.prepare_cached(
        "INSERT INTO cards (session_id, body, quotes, filled, made_at)
         SELECT session_id, ?2, CASE WHEN forgotten_at IS NULL THEN ?3 END, ?4, ?5
         FROM sessions WHERE session_id = ?1
         ON CONFLICT (session_id) DO UPDATE
         SET body = excluded.body, quotes = excluded.quotes, filled = excluded.filled,
             made_at = excluded.made_at",
    )
    .and_then(|mut s| {
        s.execute(params![
            id,
            card.body,
            card.quotes,
            filled,
            card.made_at.as_micros()
        ])
    })
    .map_err(failed)?;
    if charge.total() > 0 {
        usage::charge(c, user_id.0.into_bytes(), card.made_at, *charge)?;
    }
    Ok(true)
}
