//! The part of the store that is about what conversations show, on the embedded backend.

use super::{SqliteStore, failed, time, uuid};
use crate::domain::flow::MarkedStep;
use crate::domain::step::Marks;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{Insights, storable};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, Row, params};

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
