//! Filling an empty database with a backup.
//!
//! Owns what is done to the database, and what is said when it fails. Called by `deepme backup verify` and `restore`.
//! Invariants: a database in which something is is never overwritten; a backup of an earlier schema version is put
//! into that schema and compared there, and only then do the migrations make of it what they make of any database.

use super::super::backend::Backend;
use super::super::db::Display;
use super::super::{CliError, Result};
use crate::config;
use crate::domain::ErrorCode;
use crate::service::backup::Examined;
use crate::store::SCHEMA_VERSION;
use crate::store::copy::{self, Copied, Failure, Left};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Puts a backup into an empty database, compares, and brings the database to the schema of this program.
pub(super) async fn fill(
    examined: &Examined,
    database: &config::Database,
    stop: &CancellationToken,
    display: &Display,
) -> Result<Vec<Copied>> {
    let mut source = examined.source().await?;
    let backend = Backend::of(database)?;
    let way_out = backend.way_out();
    let opened = backend.open_sink(database, examined.schema).await;
    let (sink, _lock) = opened.map_err(|error| match error {
        CliError::Domain(error) if error.code() == ErrorCode::Config => {
            let message = error.message().replace("copy into a new one", &way_out);
            CliError::Usage(message.replace(" already", ": stop it first"))
        }
        other => other,
    })?;
    let tables = examined.tables();
    let tell = |progress| display.show(progress);
    let copied = copy::copy_of(&tables, &mut *source, sink, stop, &tell).await;
    let copied = copied.map_err(|Failure { left, error }| {
        let why = CliError::Domain(error);
        let left = match left {
            Left::Nothing => "nothing was put back, the database is as empty as before".to_owned(),
            Left::Unknown => format!(
                "the answer to the commit did not come, so the database has everything or nothing: {way_out}, and begin again"
            ),
            Left::Unverified => format!(
                "what was put back was not read back as it was: do not use it; {way_out}, and begin again"
            ),
        };
        CliError::Failed(format!("{why}; {left}"))
    })?;
    if examined.schema < SCHEMA_VERSION {
        let brought_up = backend.bring_up(database).await;
        brought_up.map_err(|why| {
            CliError::Failed(format!(
                "everything was put back and compared, but the schema is still {}: {why}; deepme migrate up goes on from here",
                examined.schema
            ))
        })?;
    }
    Ok(copied)
}

impl Backend {
    /// What to do about a database that is not empty.
    fn way_out(&self) -> String {
        match self {
            Self::Sqlite(path) => {
                let away = |end: &str| {
                    let name = format!("{}{end}", path.display());
                    format!("mv {name} {}.before{end}", path.display())
                };
                let files = ["", "-wal", "-shm"].map(|end| {
                    (
                        Path::new(&format!("{}{end}", path.display())).exists(),
                        away(end),
                    )
                });
                let moves: Vec<String> = files
                    .into_iter()
                    .filter_map(|(there, away)| there.then_some(away))
                    .collect();
                format!("stop the server and move it away ({})", moves.join(" && "))
            }
            Self::Postgres(_) => {
                "make an empty database (createdb) and name it in database.url".to_owned()
            }
        }
    }
}
