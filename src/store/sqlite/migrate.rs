//! Bringing the schema of a SQLite file up to date.
//!
//! Owns the list of migrations. Invariant: a file is at one version, never between two: a migration
//! and the version it leads to are one transaction (`PRAGMA user_version` is part of it).

use super::{failed, meta};
use crate::domain::{Error, Result, Timestamp};
use crate::store::{Migration, SEALED_SINCE, SchemaState, UNSEALED, Unsealed};
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};

/// All of them, by version from 1 without gaps.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "init",
        sql: include_str!("../migrations/sqlite/0001_init.sql"),
    },
    Migration {
        version: 2,
        name: "meta",
        sql: include_str!("../migrations/sqlite/0002_meta.sql"),
    },
    Migration {
        version: 3,
        name: "usage",
        sql: include_str!("../migrations/sqlite/0003_usage.sql"),
    },
    Migration {
        version: 4,
        name: "logins",
        sql: include_str!("../migrations/sqlite/0004_logins.sql"),
    },
    Migration {
        version: 5,
        name: "keyring",
        sql: include_str!("../migrations/sqlite/0005_keyring.sql"),
    },
    Migration {
        version: 6,
        name: "rights",
        sql: include_str!("../migrations/sqlite/0006_rights.sql"),
    },
    Migration {
        version: 7,
        name: "insight",
        sql: include_str!("../migrations/sqlite/0007_insight.sql"),
    },
];

/// Backups of earlier versions that are kept beside the file.
const KEEP: usize = 3;

pub(super) fn state(connection: &Connection) -> Result<SchemaState> {
    let current = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    let wanted = MIGRATIONS.last().map_or(0, |m| m.version);
    // Before that there is nothing to read it from, or nothing in it.
    let unsealed = if current >= SEALED_SINCE {
        Unsealed::of(meta::get(connection, UNSEALED)?.as_deref())
    } else {
        Unsealed::Nothing
    };
    Ok(SchemaState {
        current,
        wanted,
        unsealed,
    })
}

/// Runs the migrations that are missing, after a backup if there is anything to back up.
pub(super) fn up(
    connection: &mut Connection,
    path: &Path,
    now: Timestamp,
    migrations: &[Migration],
) -> Result<()> {
    let wanted = migrations.last().map_or(0, |m| m.version);
    let state = state(connection)?;
    let current = state.current;
    if current > wanted {
        return Err(SchemaState { wanted, ..state }.newer());
    }
    if current == wanted {
        return Ok(());
    }
    if current > 0 {
        back_up(connection, path, current, now)?;
    }
    run(connection, migrations)
}

/// The same without a backup. Not before it is known that the file is not newer than the last of them.
pub(super) fn run(connection: &mut Connection, migrations: &[Migration]) -> Result<()> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Another process may have been first; its work shows inside the transaction.
    let current = self::state(&transaction)?.current;
    for migration in migrations.iter().filter(|m| m.version > current) {
        transaction.execute_batch(migration.sql).map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", migration.version)
            .map_err(failed)?;
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "schema migrated"
        );
    }
    transaction.commit().map_err(failed)
}

/// A copy beside the file, `deepme.db.v1-<microseconds>.bak`; older ones beyond [`KEEP`] go.
fn back_up(connection: &Connection, path: &Path, version: i64, now: Timestamp) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let target = path.with_file_name(format!("{name}.v{version}-{}.bak", now.as_micros()));
    std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&target)
        .map_err(Error::internal)?;
    connection
        .backup("main", &target, None::<fn(rusqlite::backup::Progress)>)
        .map_err(failed)?;
    let mut old = backups(path, &name);
    old.sort_by_key(|backup| taken_at(backup));
    for surplus in old.iter().rev().skip(KEEP) {
        std::fs::remove_file(surplus).map_err(Error::internal)?;
    }
    Ok(())
}

/// Overwrites and removes the backups of schema versions before `version`.
pub(super) fn overwrite_backups(path: &Path, version: i64) -> Result<()> {
    use std::io::Write as _;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!("{name}.v");
    for backup in backups(path, &name) {
        let file = backup.file_name().unwrap_or_default().to_string_lossy();
        let taken_of = file
            .strip_prefix(&prefix)
            .and_then(|rest| rest.split('-').next()?.parse::<i64>().ok());
        if taken_of.is_none_or(|taken_of| taken_of >= version) {
            continue;
        }
        let overwrite = || {
            let mut file = std::fs::OpenOptions::new().write(true).open(&backup)?;
            let mut left = file.metadata()?.len();
            let zeros = [0; 1 << 13];
            while left > 0 {
                let some = left.min(zeros.len() as u64);
                file.write_all(
                    zeros
                        .get(..usize::try_from(some).unwrap_or(0))
                        .unwrap_or(&zeros),
                )?;
                left -= some;
            }
            file.sync_all()?;
            std::fs::remove_file(&backup)
        };
        overwrite().map_err(Error::internal)?;
    }
    Ok(())
}

/// Deletes, in the backups, who was lately deleted from the database at `path`, with the key to what they said: it
/// stays unreadable there, too. `false` when a backup could not be changed, which is logged.
pub(super) fn erase_in_backups(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut all = true;
    for backup in backups(path, &name) {
        if let Err(error) = erase_in(&backup, path) {
            let backup = backup.file_name().unwrap_or_default().to_string_lossy();
            tracing::warn!(%backup, %error, "who was erased could not be taken out of a backup");
            all = false;
        }
    }
    all
}

fn erase_in(backup: &Path, live: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open(backup)?;
    connection.busy_timeout(super::BUSY)?;
    let keyring: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'keyring')",
        [],
        |row| row.get(0),
    )?;
    if !keyring {
        return Ok(());
    }
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute("ATTACH ?1 AS live", [live.to_string_lossy()])?;
    // By name only: who is merely not there, in a database that was begun anew, was not erased.
    connection.execute(
        "DELETE FROM main.users WHERE user_id IN (SELECT user_id FROM live.revocations)
                                  AND user_id NOT IN (SELECT user_id FROM live.users)",
        [],
    )?;
    Ok(())
}

/// The microseconds in a backup's name.
fn taken_at(backup: &Path) -> i64 {
    let name = backup
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    name.rsplit('-')
        .next()
        .and_then(|micros| micros.parse().ok())
        .unwrap_or(0)
}

fn backups(path: &Path, name: &str) -> Vec<PathBuf> {
    let directory = path
        .parent()
        .filter(|d| !d.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let prefix = format!("{name}.v");
    std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let file = entry.file_name();
            let file = file.to_string_lossy();
            file.starts_with(&prefix) && file.ends_with(".bak")
        })
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The version after the newest.
    const NEXT: i64 = crate::store::SCHEMA_VERSION + 1;

    /// All migrations and one more.
    fn and_then(sql: &'static str) -> Vec<Migration> {
        let next = Migration {
            version: NEXT,
            name: "next",
            sql,
        };
        MIGRATIONS.iter().copied().chain([next]).collect()
    }

    fn file() -> (tempfile::TempDir, PathBuf, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        super::super::prepare(&path).unwrap();
        let mut connection = super::super::connect(&path).unwrap();
        up(
            &mut connection,
            &path,
            Timestamp::from_micros(1),
            MIGRATIONS,
        )
        .unwrap();
        (dir, path, connection)
    }

    #[test]
    fn an_older_file_is_backed_up_and_brought_up() {
        let (_dir, path, mut connection) = file();
        connection
            .execute("INSERT INTO prompts VALUES ('ko', 1, NULL, 'x', 1)", [])
            .unwrap();
        up(
            &mut connection,
            &path,
            Timestamp::from_micros(9),
            &and_then("CREATE TABLE next (x INTEGER) STRICT"),
        )
        .unwrap();
        assert_eq!(state(&connection).unwrap().current, NEXT);
        let backup = format!("t.db.v{}-9.bak", NEXT - 1);
        let backup = Connection::open(path.with_file_name(backup)).unwrap();
        let kept: i64 = backup
            .query_row("SELECT count(*) FROM prompts", [], |r| r.get(0))
            .unwrap();
        assert_eq!((kept, state(&backup).unwrap().current), (1, NEXT - 1));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_schema() {
        let (_dir, path, mut connection) = file();
        assert!(
            up(
                &mut connection,
                &path,
                Timestamp::from_micros(9),
                &and_then("CREATE TABLE next (x INTEGER) STRICT; SELECT nonsense")
            )
            .is_err()
        );
        assert_eq!(state(&connection).unwrap().current, NEXT - 1);
        assert!(connection.prepare("SELECT * FROM next").is_err());
    }

    #[test]
    fn a_newer_file_is_refused() {
        let (_dir, path, mut connection) = file();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = up(
            &mut connection,
            &path,
            Timestamp::from_micros(9),
            MIGRATIONS,
        )
        .unwrap_err();
        assert!(error.message().contains("99"), "{error}");
    }

    #[test]
    fn three_backups_are_kept() {
        let (_dir, path, connection) = file();
        for n in 1..=5 {
            back_up(&connection, &path, 1, Timestamp::from_micros(n)).unwrap();
        }
        assert_eq!(backups(&path, "t.db").len(), 3);
    }
}
