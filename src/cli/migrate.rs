//! `deepme migrate`.

use super::{CliError, Global, Result, say, say_json, wiring};
use crate::store::sqlite::SqliteStore;
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
    /// Bring the schema up to date. A SQLite file is backed up beside itself first.
    Up,
}

pub(super) fn run(global: &Global, command: Migrate) -> Result {
    let config = wiring::config(global)?;
    let file = wiring::database_file(&config)?;
    match command.action.unwrap_or(Action::Status { json: false }) {
        Action::Status { json } => {
            let state = SqliteStore::state(&file)?;
            if json {
                let value = serde_json::json!({ "current": state.current, "wanted": state.wanted });
                return say_json(&value);
            }
            say(format_args!(
                "{}: schema {}, this program needs {}",
                config.database.url, state.current, state.wanted
            ))?;
            if state.current < state.wanted {
                say("run deepme migrate up")?;
            }
            Ok(())
        }
        Action::Up => {
            let before = SqliteStore::state(&file)?;
            let bar = super::terminal::spinner("migrating");
            let opened = wiring::store(&config);
            bar.finish_and_clear();
            drop(opened?);
            let after = SqliteStore::state(&file)?;
            if before == after {
                say(format_args!("schema {} is up to date", after.current))
            } else {
                say(format_args!(
                    "schema {} -> {}",
                    before.current, after.current
                ))
            }?;
            if after.current == after.wanted {
                Ok(())
            } else {
                Err(CliError::Silent)
            }
        }
    }
}
