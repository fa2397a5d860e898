//! Statements about prompts.

use super::{corrupt, failed, time};
use crate::domain::prompt::{PERSONAL_KEPT, Prompt, PromptName};
use crate::domain::{Result, Timestamp};
use crate::store::storable;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

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
