//! Statements about data keys.

use super::{failed, uuid};
use crate::domain::keyring::WrappedKey;
use crate::domain::{Result, UserId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

const COLUMNS: &str = "user_id, master, wrapped";

fn key(row: &Row<'_>) -> rusqlite::Result<WrappedKey> {
    Ok(WrappedKey {
        user_id: UserId(uuid(row, 0)?),
        master: row.get(1)?,
        wrapped: row.get(2)?,
    })
}

pub(super) fn masters(c: &Connection) -> Result<Vec<String>> {
    c.prepare_cached("SELECT DISTINCT master FROM keyring ORDER BY master")
        .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
        .map_err(failed)
}

pub(super) fn get(c: &Connection, user_id: UserId) -> Result<Option<WrappedKey>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM keyring WHERE user_id = ?1"))
        .and_then(|mut s| s.query_row([user_id.0.as_bytes()], key).optional())
        .map_err(failed)
}

pub(super) fn add(c: &Connection, new: &WrappedKey) -> Result<Option<WrappedKey>> {
    c.prepare_cached(&format!(
        "INSERT INTO keyring ({COLUMNS}) SELECT user_id, ?2, ?3 FROM users WHERE user_id = ?1
         ON CONFLICT DO NOTHING"
    ))
    .and_then(|mut s| s.execute(params![new.user_id.0.as_bytes(), new.master, new.wrapped]))
    .map_err(failed)?;
    get(c, new.user_id)
}

pub(super) fn rewrap(c: &Connection, old: &WrappedKey, new: &WrappedKey) -> Result<bool> {
    c.prepare_cached(
        "UPDATE keyring SET master = ?4, wrapped = ?5
         WHERE user_id = ?1 AND master = ?2 AND wrapped = ?3",
    )
    .and_then(|mut s| {
        s.execute(params![
            old.user_id.0.as_bytes(),
            old.master,
            old.wrapped,
            new.master,
            new.wrapped
        ])
    })
    .map(|changed| changed == 1)
    .map_err(failed)
}

pub(super) fn besides(
    c: &Connection,
    master: &str,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<WrappedKey>> {
    let after = after.map(|user_id| user_id.0.into_bytes());
    c.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM keyring WHERE master <> ?1 AND (?2 IS NULL OR user_id > ?2)
         ORDER BY user_id LIMIT ?3"
    ))
    .and_then(|mut s| s.query_map(params![master, after, limit], key)?.collect())
    .map_err(failed)
}
