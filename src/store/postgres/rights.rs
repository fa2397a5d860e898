//! The part of the store that is about a person's rights, on a server.

use super::logins::revoke;
use super::pool::{Again, Done, transaction};
use super::{PostgresStore, meta, run, time, usage};
use crate::domain::rights::{Access, Erased};
use crate::domain::usage::Usage;
use crate::domain::{AccessId, Result, SessionId, Timestamp, UserId};
use crate::store::{Deleted, Rights, storable};
use deadpool_postgres::Object;
use futures_util::future::BoxFuture;
use std::ops::ControlFlow;
use tokio::time::timeout_at;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

const COLUMNS: &str = "access_id, user_id, session_id, read_by, reason, at";

/// A session in which nothing has been said since `$1`.
const SILENT: &str = "started_at < $1 AND NOT EXISTS (
    SELECT 1 FROM steps WHERE steps.session_id = sessions.session_id
                          AND (steps.created_at >= $1 OR steps.status = 'pending'))";

impl Rights for PostgresStore {
    fn add_access(&self, access: Access) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| add(&c, &access))
    }

    fn accesses(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, AccessId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<Access>>> {
        run!(self, Again::Always, |c| list(&c, user_id, before, limit))
    }

    fn owner(&self, session_id: SessionId) -> BoxFuture<'_, Result<Option<UserId>>> {
        run!(self, Again::Always, |c| owner(&c, session_id))
    }

    fn usage_days(&self, user_id: UserId) -> BoxFuture<'_, Result<Vec<Usage>>> {
        run!(self, Again::Always, |c| usage::days(&c, user_id))
    }

    fn delete_steps(&self, user_id: UserId, most: u32) -> BoxFuture<'_, Result<u64>> {
        // What an attempt without an answer deleted is not counted.
        run!(self, Again::Always, |c| delete_steps(&c, user_id, most))
    }

    fn delete_user(
        &self,
        user_id: UserId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Deleted>>> {
        run!(self, Again::Always, |c, unknown| delete_user(
            &c, user_id, at, unknown
        ))
    }

    fn forget_words(
        &self,
        before: Timestamp,
        at: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        run!(self, Again::Always, |c| forget_words(&c, before, at, most))
    }

    fn forget_sessions(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        run!(self, Again::Always, |c| forget_sessions(&c, before, most))
    }

    fn forget_accesses(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        run!(self, Again::Always, |c| forget_accesses(&c, before, most))
    }

    fn beat(&self, at: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        run!(self, Again::Always, |c| beat(&c, at))
    }

    fn begin_anew(&self) -> BoxFuture<'_, Result<u64>> {
        // Done twice, it ends what has ended.
        run!(self, Again::Always, |c| begin_anew(&c))
    }

    fn has_files(&self) -> bool {
        false
    }

    fn scrub(&self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(std::future::ready(Ok(true)))
    }
}

fn access(row: &Row) -> Done<Access> {
    let session_id: Option<Uuid> = row.try_get(2)?;
    Ok(Access {
        access_id: AccessId(row.try_get(0)?),
        user_id: UserId(row.try_get(1)?),
        session_id: session_id.map(SessionId),
        by: row.try_get(3)?,
        reason: row.try_get(4)?,
        at: time(row, 5)?,
    })
}

/// Done twice, the second one finds the first.
async fn add(c: &Object, access: &Access) -> Done<bool> {
    storable("by", &access.by)?;
    storable("reason", &access.reason)?;
    let sql = format!(
        "WITH person AS (SELECT user_id FROM users WHERE user_id = $2 FOR KEY SHARE),
              added AS (
                  INSERT INTO accesses ({COLUMNS})
                  SELECT $1, user_id, $3, $4, $5, $6 FROM person
                  ON CONFLICT (access_id) DO NOTHING
              )
         SELECT 1 FROM person"
    );
    let statement = c.prepare_cached(&sql).await?;
    let session_id = access.session_id.map(|id| id.0);
    let values: [&(dyn ToSql + Sync); 6] = [
        &access.access_id.0,
        &access.user_id.0,
        &session_id,
        &access.by,
        &access.reason,
        &access.at.as_micros(),
    ];
    Ok(c.query_opt(&statement, &values).await?.is_some())
}

async fn list(
    c: &Object,
    user_id: UserId,
    before: Option<(Timestamp, AccessId)>,
    limit: Option<u32>,
) -> Done<Vec<Access>> {
    let (time, id) = before.map_or((i64::MAX, Uuid::max()), |(t, id)| (t.as_micros(), id.0));
    let sql = format!(
        "SELECT {COLUMNS} FROM accesses WHERE user_id = $1 AND (at, access_id) < ($2, $3)
         ORDER BY at DESC, access_id DESC LIMIT $4"
    );
    let statement = c.prepare_cached(&sql).await?;
    let limit = limit.map(i64::from);
    let rows = c
        .query(&statement, &[&user_id.0, &time, &id, &limit])
        .await?;
    rows.iter().map(access).collect()
}

async fn owner(c: &Object, session_id: SessionId) -> Done<Option<UserId>> {
    let statement = c
        .prepare_cached("SELECT user_id FROM sessions WHERE session_id = $1")
        .await?;
    let row = c.query_opt(&statement, &[&session_id.0]).await?;
    row.map(|row| Ok(UserId(row.try_get(0)?))).transpose()
}

async fn delete_steps(c: &Object, user_id: UserId, most: u32) -> Done<u64> {
    let statement = c
        .prepare_cached(
            "DELETE FROM steps WHERE step_id IN (
                 SELECT step_id FROM sessions JOIN steps USING (session_id)
                 WHERE user_id = $1 LIMIT $2)",
        )
        .await?;
    let values: [&(dyn ToSql + Sync); 2] = [&user_id.0, &i64::from(most)];
    Ok(c.execute(&statement, &values).await?)
}

/// `unknown`: an earlier attempt may have deleted it.
async fn delete_user(
    c: &Object,
    user_id: UserId,
    at: Timestamp,
    unknown: bool,
) -> Done<Option<Deleted>> {
    let sql = format!(
        "WITH gone AS (DELETE FROM users WHERE user_id = $1 RETURNING user_id),
              told AS ({})
         SELECT (SELECT count(*) FROM sessions WHERE user_id = $1),
                (SELECT count(*) FROM steps JOIN sessions USING (session_id) WHERE user_id = $1),
                (SELECT count(*) FROM prompts WHERE user_id = $1)
         FROM gone",
        revoke("gone", "$2")
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 2] = [&user_id.0, &at.as_micros()];
    let Some(row) = c.query_opt(&statement, &values).await? else {
        return Ok(unknown.then_some(Deleted::Unknown));
    };
    Ok(Some(Deleted::With(Erased {
        sessions: row.try_get(0)?,
        steps: row.try_get(1)?,
        prompts: row.try_get(2)?,
    })))
}

/// The sessions, out of those that `which` says, in which nothing has been said since `before`, and nothing can be
/// until the transaction ends; at most `most`, the oldest first.
async fn hold_silent(c: &Object, which: &str, before: Timestamp, most: u32) -> Done<Vec<Uuid>> {
    let sql = format!(
        "SELECT session_id FROM sessions WHERE {which} AND {SILENT}
         ORDER BY started_at LIMIT $2 FOR UPDATE SKIP LOCKED"
    );
    let statement = c.prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 2] = [&before.as_micros(), &i64::from(most)];
    let held = c.query(&statement, &values).await?;
    let held: Vec<Uuid> = held
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    // What was said between the look and the lock.
    let sql = format!("SELECT session_id FROM sessions WHERE session_id = ANY($2) AND {SILENT}");
    let statement = c.prepare_cached(&sql).await?;
    let silent = c.query(&statement, &[&before.as_micros(), &held]).await?;
    Ok(silent
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?)
}

async fn forget_words(c: &Object, before: Timestamp, at: Timestamp, most: u32) -> Done<u64> {
    transaction(c, async {
        let silent = hold_silent(c, "forgotten_at IS NULL", before, most).await?;
        let statement = c
            .prepare_cached(
                "WITH last AS (
                     SELECT session_id, max(steps.created_at) AS at
                     FROM sessions LEFT JOIN steps USING (session_id)
                     WHERE session_id = ANY($1) GROUP BY session_id
                 ), closed AS (
                     UPDATE sessions SET summary = NULL, forgotten_at = $2,
                                         ended_at = coalesce(ended_at, last.at, started_at)
                     FROM last WHERE sessions.session_id = last.session_id
                 ), unquoted AS (
                     UPDATE cards SET quotes = NULL WHERE session_id = ANY($1)
                 )
                 DELETE FROM steps WHERE session_id = ANY($1)",
            )
            .await?;
        c.execute(&statement, &[&silent, &at.as_micros()]).await?;
        Ok(silent.len() as u64)
    })
    .await
}

async fn forget_sessions(c: &Object, before: Timestamp, most: u32) -> Done<u64> {
    transaction(c, async {
        let which = "coalesce(ended_at, started_at) < $1";
        let silent = hold_silent(c, which, before, most).await?;
        let statement = c
            .prepare_cached("DELETE FROM sessions WHERE session_id = ANY($1)")
            .await?;
        Ok(c.execute(&statement, &[&silent]).await?)
    })
    .await
}

async fn beat(c: &Object, at: Timestamp) -> Done<Timestamp> {
    let recorded = meta::later(c, "beat", at.as_micros()).await?;
    Ok(Timestamp::from_micros(recorded))
}

async fn begin_anew(c: &Object) -> Done<u64> {
    let statement = c
        .prepare_cached(
            "WITH t AS (DELETE FROM tickets), r AS (DELETE FROM recoveries),
                  i AS (DELETE FROM invites), l AS (DELETE FROM logins)
             UPDATE users SET token_epoch = token_epoch + 1",
        )
        .await?;
    Ok(c.execute(&statement, &[]).await?)
}

async fn forget_accesses(c: &Object, before: Timestamp, most: u32) -> Done<u64> {
    let statement = c
        .prepare_cached(
            "DELETE FROM accesses WHERE access_id IN (
                 SELECT access_id FROM accesses WHERE at < $1 ORDER BY at LIMIT $2)",
        )
        .await?;
    let values: [&(dyn ToSql + Sync); 2] = [&before.as_micros(), &i64::from(most)];
    Ok(c.execute(&statement, &values).await?)
}
