//! `deepme migrate`.

use super::backend::Backend;
use super::{CliError, Global, Result, say, say_json, wiring};
use crate::store::SchemaState;
use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  deepme migrate              the same as deepme migrate status
  deepme migrate status --json
  deepme migrate up           embedded SQLite also does this at start";

/// Options of `migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the schema version of the database and the one that this program needs.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Bring the schema up to date. A SQLite file is backed up beside itself first, and must not be
    /// served meanwhile; of many that do this on one PostgreSQL at once, one does it.
    Up {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(global: &Global, command: Migrate) -> Result {
    let config = wiring::config_of_owner(global)?;
    wiring::block_on(async move {
        let database = &config.database;
        let backend = Backend::of(database)?;
        match command.action.unwrap_or(Action::Status { json: false }) {
            Action::Status { json } => {
                let state = backend.state(database).await?;
                if json {
                    return say_json(&as_json(state));
                }
                say(format_args!(
                    "{}: schema {}, this program needs {}",
                    database.url, state.current, state.wanted
                ))?;
                if state.current < state.wanted {
                    say("run deepme migrate up")?;
                }
                Ok(())
            }
            Action::Up { json } => {
                let bar = super::terminal::spinner("migrating");
                let migrated = backend.migrate(&config).await;
                bar.finish_and_clear();
                let (before, after) = migrated?;
                if json {
                    let mut value = as_json(after);
                    value["before"] = before.current.into();
                    say_json(&value)?;
                } else if before == after {
                    say(format_args!("schema {} is up to date", after.current))?;
                } else {
                    say(format_args!(
                        "schema {} -> {}",
                        before.current, after.current
                    ))?;
                }
                if after.current == after.wanted {
                    Ok(())
                } else {
                    Err(CliError::Silent)
                }
            }
        }
    })
}

fn as_json(state: SchemaState) -> serde_json::Value {
    serde_json::json!({ "current": state.current, "wanted": state.wanted })
}
