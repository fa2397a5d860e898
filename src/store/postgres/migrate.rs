//! Bringing the schema of a PostgreSQL database up to date.
//!
//! Owns the list of migrations. Called by `deepme migrate`. Invariants: a database is at one version,
//! never between two: all missing migrations are one transaction; of many that start at once one
//! migrates while the others wait and then find nothing to do.

use super::pool::Told;
use crate::domain::{Error, ErrorCode, Result, Timestamp};
use crate::store::{Migration, SEALED_SINCE, SchemaState, UNSEALED, Unsealed};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// All of them, by version from 1 without gaps; the same versions as in SQLite.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "init",
        sql: include_str!("../migrations/postgres/0001_init.sql"),
    },
    Migration {
        version: 2,
        name: "meta",
        sql: include_str!("../migrations/postgres/0002_meta.sql"),
    },
    Migration {
        version: 3,
        name: "usage",
        sql: include_str!("../migrations/postgres/0003_usage.sql"),
    },
    Migration {
        version: 4,
        name: "logins",
        sql: include_str!("../migrations/postgres/0004_logins.sql"),
    },
    Migration {
        version: 5,
        name: "keyring",
        sql: include_str!("../migrations/postgres/0005_keyring.sql"),
    },
    Migration {
        version: 6,
        name: "rights",
        sql: include_str!("../migrations/postgres/0006_rights.sql"),
    },
    Migration {
        version: 7,
        name: "insight",
        sql: include_str!("../migrations/postgres/0007_insight.sql"),
    },
];

/// Names the lock that migrations take: the bytes of "deepme".
const LOCK: i64 = 0x6465_6570_6d65;

pub(super) async fn state(client: &Client) -> Result<SchemaState> {
    let wanted = MIGRATIONS.last().map_or(0, |m| m.version);
    let current = client
        .query_one(
            "SELECT coalesce(max(version), 0) FROM schema_migrations",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0));
    let current = match current {
        Ok(current) => current,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => 0,
        Err(error) => return Err(Error::unavailable(Told::of(&error))),
    };
    // Before that there is nothing to read it from, or nothing in it.
    let unsealed = if current >= SEALED_SINCE {
        let row = client
            .query_opt("SELECT value FROM meta WHERE name = $1", &[&UNSEALED])
            .await
            .map_err(|e| Error::unavailable(Told::of(&e)))?;
        let value = row.map(|row| row.try_get(0)).transpose();
        let value: Option<String> = value.map_err(|e| Error::unavailable(Told::of(&e)))?;
        Unsealed::of(value.as_deref())
    } else {
        Unsealed::Nothing
    };
    Ok(SchemaState {
        current,
        wanted,
        unsealed,
    })
}

/// Runs the migrations that are missing.
pub(super) async fn up(
    client: &mut Client,
    now: Timestamp,
    migrations: &[Migration],
) -> Result<()> {
    let wanted = migrations.last().map_or(0, |m| m.version);
    let failed = |error: tokio_postgres::Error| {
        let told = Told::of(&error);
        Error::new(
            ErrorCode::Config,
            format!("the database could not be migrated and is as it was: {told}"),
        )
    };
    let transaction = client.transaction().await.map_err(failed)?;
    // A migration may take longer than an answer may, and so may the wait for another's.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10min'")
        .await
        .map_err(failed)?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await
        .map_err(failed)?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                 version    bigint NOT NULL PRIMARY KEY,
                 name       text   NOT NULL,
                 applied_at bigint NOT NULL
             )",
        )
        .await
        .map_err(failed)?;
    let current: i64 = transaction
        .query_one(
            "SELECT coalesce(max(version), 0) FROM schema_migrations",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    if current > wanted {
        let unsealed = Unsealed::Nothing;
        return Err(SchemaState {
            current,
            wanted,
            unsealed,
        }
        .newer());
    }
    for migration in migrations.iter().filter(|m| m.version > current) {
        transaction
            .batch_execute(migration.sql)
            .await
            .map_err(failed)?;
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)",
                &[&migration.version, &migration.name, &now.as_micros()],
            )
            .await
            .map_err(failed)?;
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "schema migrated"
        );
    }
    transaction.commit().await.map_err(failed)
}
