//! Statements about the database as a whole.

use super::failed;
use crate::domain::Result;
use rusqlite::Connection;

pub(super) fn claim_keys(c: &Connection, fingerprint: &str) -> Result<String> {
    c.prepare_cached(
        "INSERT INTO meta (name, value) VALUES ('keys', ?1)
         ON CONFLICT (name) DO UPDATE SET value = meta.value RETURNING value",
    )
    .and_then(|mut s| s.query_row([fingerprint], |row| row.get(0)))
    .map_err(failed)
}

pub(super) fn replace_keys(c: &Connection, old: &str, new: &str) -> Result<bool> {
    c.prepare_cached("UPDATE meta SET value = ?2 WHERE name = 'keys' AND value = ?1")
        .and_then(|mut s| s.execute([old, new]))
        .map(|replaced| replaced > 0)
        .map_err(failed)
}
