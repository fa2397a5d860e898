//! The part of the store that is about a person's rights, on the embedded backend.

use super::logins::revoke;
use super::{SqliteStore, failed, file, meta, migrate, time, usage, uuid};
use crate::domain::rights::{Access, Erased};
use crate::domain::usage::Usage;
use crate::domain::{AccessId, Error, Result, SessionId, Timestamp, UserId};
use crate::store::{Deleted, Rights, storable};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::path::Path;
use std::sync::Arc;

const COLUMNS: &str = "access_id, user_id, session_id, read_by, reason, at";

/// A session in which nothing has been said since `?1`.
const SILENT: &str = "started_at < ?1 AND NOT EXISTS (
    SELECT 1 FROM steps WHERE steps.session_id = sessions.session_id
                          AND (steps.created_at >= ?1 OR steps.status = 'pending'))";

impl Rights for SqliteStore {
    fn add_access(&self, access: Access) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| add(c, &access)))
    }

    fn accesses(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, AccessId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<Access>>> {
        Box::pin(self.workers.read(move |c| list(c, user_id, before, limit)))
    }

    fn owner(&self, session_id: SessionId) -> BoxFuture<'_, Result<Option<UserId>>> {
        Box::pin(self.workers.read(move |c| owner(c, session_id)))
    }

    fn usage_days(&self, user_id: UserId) -> BoxFuture<'_, Result<Vec<Usage>>> {
        Box::pin(self.workers.read(move |c| usage::days(c, user_id)))
    }

    fn delete_steps(&self, user_id: UserId, most: u32) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.workers.write(move |c| {
            c.prepare_cached(
                "DELETE FROM steps WHERE step_id IN (
                     SELECT step_id FROM sessions JOIN steps USING (session_id)
                     WHERE user_id = ?1 LIMIT ?2)",
            )
            .and_then(|mut s| s.execute(params![user_id.0.as_bytes(), most]))
            .map(|rows| rows as u64)
            .map_err(failed)
        }))
    }

    fn delete_user(
        &self,
        user_id: UserId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Deleted>>> {
        Box::pin(self.workers.write(move |c| delete_user(c, user_id, at)))
    }

    fn forget_words(
        &self,
        before: Timestamp,
        at: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        Box::pin(
            self.workers
                .write(move |c| forget_words(c, before, at, most)),
        )
    }

    fn forget_sessions(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        let sql = format!(
            "DELETE FROM sessions WHERE session_id IN (
                 SELECT session_id FROM sessions
                 WHERE {SILENT} AND coalesce(ended_at, started_at) < ?1
                 ORDER BY started_at LIMIT ?2)"
        );
        self.forget(sql, before, most)
    }

    fn forget_accesses(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        let sql = "DELETE FROM accesses WHERE access_id IN (
                       SELECT access_id FROM accesses WHERE at < ?1 ORDER BY at LIMIT ?2)";
        self.forget(sql.to_owned(), before, most)
    }

    fn beat(&self, at: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        Box::pin(
            self.workers
                .write(move |c| meta::later(c, "beat", at.as_micros()).map(Timestamp::from_micros)),
        )
    }

    fn begin_anew(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.workers.write(begin_anew))
    }

    fn has_files(&self) -> bool {
        true
    }

    fn scrub(&self) -> BoxFuture<'_, Result<bool>> {
        let path = Arc::clone(&self.path);
        Box::pin(async move {
            // On a connection of its own: the log cannot be emptied within a transaction.
            tokio::task::spawn_blocking(move || scrub(&path))
                .await
                .map_err(Error::internal)?
        })
    }
}

impl SqliteStore {
    fn forget(&self, sql: String, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.workers.write(move |c| {
            c.prepare_cached(&sql)
                .and_then(|mut s| s.execute(params![before.as_micros(), most]))
                .map(|rows| rows as u64)
                .map_err(failed)
        }))
    }
}

fn access(row: &Row<'_>) -> rusqlite::Result<Access> {
    let session_id: Option<[u8; 16]> = row.get(2)?;
    Ok(Access {
        access_id: AccessId(uuid(row, 0)?),
        user_id: UserId(uuid(row, 1)?),
        session_id: session_id.map(|id| SessionId(uuid::Uuid::from_bytes(id))),
        by: row.get(3)?,
        reason: row.get(4)?,
        at: time(row, 5)?,
    })
}

fn add(c: &Connection, access: &Access) -> Result<bool> {
    storable("by", &access.by)?;
    storable("reason", &access.reason)?;
    c.prepare_cached(&format!(
        "INSERT INTO accesses ({COLUMNS})
         SELECT ?1, user_id, ?3, ?4, ?5, ?6 FROM users WHERE user_id = ?2"
    ))
    .and_then(|mut s| {
        s.execute(params![
            access.access_id.0.as_bytes(),
            access.user_id.0.as_bytes(),
            access.session_id.map(|id| id.0.into_bytes()),
            access.by,
            access.reason,
            access.at.as_micros(),
        ])
    })
    .map(|added| added > 0)
    .map_err(failed)
}

fn list(
    c: &Connection,
    user_id: UserId,
    before: Option<(Timestamp, AccessId)>,
    limit: Option<u32>,
) -> Result<Vec<Access>> {
    let (time, id) = before.map_or((i64::MAX, [0xff; 16]), |(t, id)| {
        (t.as_micros(), id.0.into_bytes())
    });
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM accesses WHERE user_id = ?1 AND (at, access_id) < (?2, ?3)
         ORDER BY at DESC, access_id DESC LIMIT ?4"
    ))
    .and_then(|mut s| {
        let limit = limit.map_or(-1, i64::from);
        s.query_map(params![user_id.0.as_bytes(), time, id, limit], access)?
            .collect()
    })
    .map_err(failed)
}

fn owner(c: &Connection, session_id: SessionId) -> Result<Option<UserId>> {
    c.prepare_cached("SELECT user_id FROM sessions WHERE session_id = ?1")
        .and_then(|mut s| {
            s.query_row([session_id.0.as_bytes()], |row| uuid(row, 0).map(UserId))
                .optional()
        })
        .map_err(failed)
}

fn delete_user(c: &Connection, user_id: UserId, at: Timestamp) -> Result<Option<Deleted>> {
    let erased = c
        .prepare_cached(
            "SELECT (SELECT count(*) FROM sessions WHERE user_id = ?1),
                    (SELECT count(*) FROM steps JOIN sessions USING (session_id)
                     WHERE user_id = ?1),
                    (SELECT count(*) FROM prompts WHERE user_id = ?1)",
        )
        .and_then(|mut s| {
            s.query_row([user_id.0.as_bytes()], |row| {
                Ok(Erased {
                    sessions: row.get(0)?,
                    steps: row.get(1)?,
                    prompts: row.get(2)?,
                })
            })
        })
        .map_err(failed)?;
    let gone = c
        .prepare_cached("DELETE FROM users WHERE user_id = ?1")
        .and_then(|mut s| s.execute([user_id.0.as_bytes()]))
        .map_err(failed)?;
    if gone == 0 {
        return Ok(None);
    }
    revoke(c, user_id, at)?;
    Ok(Some(Deleted::With(erased)))
}

fn forget_words(c: &Connection, before: Timestamp, at: Timestamp, most: u32) -> Result<u64> {
    let silent: Vec<[u8; 16]> = c
        .prepare_cached(&format!(
            "SELECT session_id FROM sessions WHERE forgotten_at IS NULL AND {SILENT}
             ORDER BY started_at LIMIT ?2"
        ))
        .and_then(|mut s| {
            s.query_map(params![before.as_micros(), most], |row| row.get(0))?
                .collect()
        })
        .map_err(failed)?;
    for session in &silent {
        // It ended when the last word was said.
        c.prepare_cached(
            "UPDATE sessions SET summary = NULL, forgotten_at = ?2, ended_at = coalesce(ended_at,
                 (SELECT max(created_at) FROM steps WHERE session_id = ?1), started_at)
             WHERE session_id = ?1",
        )
        .and_then(|mut s| s.execute(params![session, at.as_micros()]))
        .map_err(failed)?;
        c.prepare_cached("UPDATE cards SET quotes = NULL WHERE session_id = ?1")
            .and_then(|mut s| s.execute([session]))
            .map_err(failed)?;
        c.prepare_cached("DELETE FROM steps WHERE session_id = ?1")
            .and_then(|mut s| s.execute([session]))
            .map_err(failed)?;
    }
    Ok(silent.len() as u64)
}

fn begin_anew(c: &Connection) -> Result<u64> {
    c.execute_batch(
        "DELETE FROM tickets; DELETE FROM recoveries; DELETE FROM invites; DELETE FROM logins",
    )
    .map_err(failed)?;
    c.prepare_cached("UPDATE users SET token_epoch = token_epoch + 1")
        .and_then(|mut s| s.execute([]))
        .map(|accounts| accounts as u64)
        .map_err(failed)
}

fn scrub(path: &Path) -> Result<bool> {
    let connection = file::connect(path)?;
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(failed)?;
    // After the log, which must be emptied whatever is wrong with a backup.
    Ok(migrate::erase_in_backups(path) && busy == 0)
}
