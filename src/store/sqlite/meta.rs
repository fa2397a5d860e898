//! Statements about the database as a whole.

use super::failed;
use crate::domain::Result;
use rusqlite::{Connection, OptionalExtension as _};

/// Records `value` under `name` unless something is; what then is.
pub(super) fn claim(c: &Connection, name: &'static str, value: &str) -> Result<String> {
    c.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = meta.value RETURNING value",
    )
    .and_then(|mut s| s.query_row([name, value], |row| row.get(0)))
    .map_err(failed)
}

/// Replaces what is recorded under `name`, if it still is `old`.
pub(super) fn replace(c: &Connection, name: &'static str, old: &str, new: &str) -> Result<bool> {
    c.prepare_cached("UPDATE meta SET value = ?3 WHERE name = ?1 AND value = ?2")
        .and_then(|mut s| s.execute([name, old, new]))
        .map(|changed| changed == 1)
        .map_err(failed)
}

/// Records a number under `name`, or the next larger one than what is recorded; the one that then is.
pub(super) fn later(c: &Connection, name: &'static str, number: i64) -> Result<i64> {
    c.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, CAST(?2 AS TEXT))
         ON CONFLICT (name) DO UPDATE
         SET value = CAST(max(CAST(meta.value AS INTEGER) + 1, ?2) AS TEXT)
         RETURNING CAST(value AS INTEGER)",
    )
    .and_then(|mut s| s.query_row(rusqlite::params![name, number], |row| row.get(0)))
    .map_err(failed)
}

/// What is recorded under `name`.
pub(super) fn get(c: &Connection, name: &'static str) -> Result<Option<String>> {
    c.prepare_cached("SELECT value FROM meta WHERE name = ?1")
        .and_then(|mut s| s.query_row([name], |row| row.get(0)).optional())
        .map_err(failed)
}
