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
