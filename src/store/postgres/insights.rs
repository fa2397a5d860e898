//! The part of the store that is about what conversations show, on a server.

use super::pool::{Again, Done};
use super::{PostgresStore, run, time};
use crate::domain::flow::MarkedStep;
use crate::domain::step::Marks;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{Insights, storable};
use deadpool_postgres::Object;
use futures_util::future::BoxFuture;
use std::ops::ControlFlow;
use tokio::time::timeout_at;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

const COLUMNS: &str =
    "t.step_id, t.session_id, t.step_order, t.created_at, t.emotion, t.correction, t.safety_tier";

impl Insights for PostgresStore {
    fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| correct(
            &c,
            user_id,
            step_id,
            correction.as_deref()
        ))
    }

    fn marks(
        &self,
        user_id: UserId,
        session_id: SessionId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Option<Vec<MarkedStep>>>> {
        run!(self, Again::Always, |c| of_session(
            &c, user_id, session_id, limit
        ))
    }

    fn marks_between(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<MarkedStep>>> {
        run!(self, Again::Always, |c| between(
            &c,
            user_id,
            (from, to),
            limit
        ))
    }
}

fn marked(row: &Row) -> Done<MarkedStep> {
    Ok(MarkedStep {
        step_id: StepId(row.try_get(0)?),
        session_id: SessionId(row.try_get(1)?),
        step_order: row.try_get(2)?,
        created_at: time(row, 3)?,
        marks: Marks {
            emotion: row.try_get(4)?,
            correction: row.try_get(5)?,
            safety_tier: row.try_get(6)?,
        },
    })
}

async fn correct(
    c: &Object,
    user_id: UserId,
    step_id: StepId,
    correction: Option<&str>,
) -> Done<bool> {
    storable("correction", correction.unwrap_or_default())?;
    let statement = c
        .prepare_cached(
            "UPDATE steps SET correction = $3 WHERE step_id = $1
             AND session_id IN (SELECT session_id FROM sessions WHERE user_id = $2)",
        )
        .await?;
    let changed = c
        .execute(&statement, &[&step_id.0, &user_id.0, &correction])
        .await?;
    Ok(changed == 1)
}

async fn of_session(
    c: &Object,
    user_id: UserId,
    session_id: SessionId,
    limit: u32,
) -> Done<Option<Vec<MarkedStep>>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM steps t JOIN sessions USING (session_id)
         WHERE t.session_id = $1 AND user_id = $2 ORDER BY t.step_order DESC LIMIT $3"
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 3] = [&session_id.0, &user_id.0, &i64::from(limit)];
    let rows = c.query(&statement, &values).await?;
    if rows.is_empty()
        && super::sessions::get(c, user_id, session_id)
            .await?
            .is_none()
    {
        return Ok(None);
    }
    let oldest_first = rows.iter().rev().map(marked);
    oldest_first.collect::<Done<_>>().map(Some)
}

async fn between(
    c: &Object,
    user_id: UserId,
    (from, to): (Timestamp, Timestamp),
    limit: u32,
) -> Done<Vec<MarkedStep>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions s JOIN steps t USING (session_id)
         WHERE s.user_id = $1 AND s.started_at >= $2 AND s.started_at < $3
         ORDER BY s.started_at DESC, s.session_id DESC, t.step_order DESC LIMIT $4"
    );
    let statement = c.prepare_cached(&sql).await?;
    let (from, to) = (from.as_micros(), to.as_micros());
    let values: [&(dyn ToSql + Sync); 4] = [&user_id.0, &from, &to, &i64::from(limit)];
    let rows = c.query(&statement, &values).await?;
    rows.iter().rev().map(marked).collect()
}
