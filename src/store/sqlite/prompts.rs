//! The part of the store that is about prompts, on the embedded backend.

use super::{SqliteStore, corrupt, failed, time};
use crate::domain::prompt::ab::Tally;
use crate::domain::prompt::{PERSONAL_KEPT, Prompt, PromptName};
use crate::domain::{Result, Timestamp};
use crate::store::{Prompts, storable};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

impl Prompts for SqliteStore {
    fn add_prompt(
        &self,
        name: PromptName,
        body: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Prompt>> {
        Box::pin(self.workers.write(move |c| add(c, name, body, at)))
    }

    fn prompt(
        &self,
        name: PromptName,
        version: Option<i64>,
    ) -> BoxFuture<'_, Result<Option<Prompt>>> {
        Box::pin(self.workers.read(move |c| get(c, name, version)))
    }

    fn prompt_history(&self, name: PromptName) -> BoxFuture<'_, Result<Vec<Prompt>>> {
        Box::pin(self.workers.read(move |c| history(c, name)))
    }

    fn prompts(&self) -> BoxFuture<'_, Result<Vec<Prompt>>> {
        Box::pin(self.workers.read(list))
    }

    fn delete_prompt(&self, name: PromptName) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| delete(c, name)))
    }

    fn tally_prompts(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<Tally>>> {
        Box::pin(self.workers.read(move |c| tally(c, since)))
    }
}

fn prompt(row: &Row<'_>) -> rusqlite::Result<Prompt> {
    let name: String = row.get(0)?;
    Ok(Prompt {
        name: PromptName::parse(&name).ok_or_else(|| corrupt(0, "prompt name"))?,
        version: row.get(1)?,
        body: row.get(2)?,
        created_at: Some(time(row, 3)?),
    })
}

pub(super) fn add(c: &Connection, name: PromptName, body: String, at: Timestamp) -> Result<Prompt> {
    storable("body", &body)?;
    let owner = match name {
        PromptName::Personal(user_id) => Some(user_id.0.into_bytes()),
        PromptName::System(_) => None,
    };
    let added = c
        .prepare_cached(
            "INSERT INTO prompts (name, version, user_id, body, created_at)
             VALUES (?1, (SELECT coalesce(max(version), 0) + 1 FROM prompts WHERE name = ?1), ?2, ?3, ?4)
             RETURNING name, version, body, created_at",
        )
        .and_then(|mut s| s.query_row(params![name.key(), owner, body, at.as_micros()], prompt))
        .map_err(failed)?;
    if owner.is_some() {
        c.prepare_cached("DELETE FROM prompts WHERE name = ?1 AND version <= ?2")
            .and_then(|mut s| s.execute(params![name.key(), added.version - PERSONAL_KEPT]))
            .map_err(failed)?;
    }
    Ok(added)
}

pub(super) fn get(
    c: &Connection,
    name: PromptName,
    version: Option<i64>,
) -> Result<Option<Prompt>> {
    c.prepare_cached(
        "SELECT name, version, body, created_at FROM prompts
         WHERE name = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1",
    )
    .and_then(|mut s| s.query_row(params![name.key(), version], prompt).optional())
    .map_err(failed)
}

pub(super) fn history(c: &Connection, name: PromptName) -> Result<Vec<Prompt>> {
    c.prepare_cached(
        "SELECT name, version, body, created_at FROM prompts WHERE name = ?1 ORDER BY version DESC",
    )
    .and_then(|mut s| s.query_map([name.key()], prompt)?.collect())
    .map_err(failed)
}

pub(super) fn list(c: &Connection) -> Result<Vec<Prompt>> {
    c.prepare_cached(
        "SELECT name, version, body, created_at FROM prompts p
         WHERE version = (SELECT max(version) FROM prompts WHERE name = p.name) ORDER BY name",
    )
    .and_then(|mut s| s.query_map([], prompt)?.collect())
    .map_err(failed)
}

pub(super) fn delete(c: &Connection, name: PromptName) -> Result<bool> {
    c.prepare_cached("DELETE FROM prompts WHERE name = ?1")
        .and_then(|mut s| s.execute([name.key()]))
        .map(|gone| gone > 0)
        .map_err(failed)
}

pub(super) fn tally(c: &Connection, since: Timestamp) -> Result<Vec<Tally>> {
    let tally = |row: &Row<'_>| {
        Ok(Tally {
            prompt_version: row.get(0)?,
            people: row.get(1)?,
            turns: row.get(2)?,
            complete: row.get(3)?,
            cancelled: row.get(4)?,
            went_on: row.get(5)?,
            output_tokens: row.get(6)?,
        })
    };
    c.prepare_cached(
        "SELECT substr(prompt_version, 1, instr(prompt_version || '+', '+') - 1) AS own, count(DISTINCT user_id), count(*),
                sum(status = 'complete'), sum(status = 'cancelled'),
                sum(EXISTS (SELECT 1 FROM steps n WHERE n.session_id = t.session_id AND n.step_order = t.step_order + 1)),
                CAST(round(avg(output_tokens)) AS INTEGER)
         FROM steps t JOIN sessions USING (session_id)
         WHERE prompt_version IS NOT NULL AND status <> 'pending' AND created_at >= ?1
         GROUP BY own ORDER BY own",
    )
    .and_then(|mut s| s.query_map([since.as_micros()], tally)?.collect())
    .map_err(failed)
}
