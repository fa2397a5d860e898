//! `deepme keys`.

use super::backend::Backend;
use super::{Global, Result, say, say_json, wiring};
use crate::auth::SystemRandom;
use crate::auth::keys::Keys;
use crate::domain::{Error, ErrorCode};
use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  deepme keys init            on the first machine of a PostgreSQL database; copy the file to the others
  deepme keys show --json     compare the fingerprint of two machines";

/// Options of `keys`.
#[derive(Debug, Args)]
pub(super) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the key that signs tokens, where `auth.key_file` says. SQLite does this at the first start.
    Init,
    /// Show which keys there are. Never shows a key.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(global: &Global, command: &KeysCommand) -> Result {
    let config = wiring::config(global)?;
    let file = Backend::of(&config.database)?.key_file(&config);
    match command.action {
        Action::Init => {
            if file.exists() {
                return Err(Error::new(
                    ErrorCode::Config,
                    format!("there are keys at {} already", file.display()),
                )
                .into());
            }
            let keys = Keys::load_or_create(&file, &SystemRandom)?;
            say(format_args!(
                "made {} (fingerprint {})\ncopy it to every machine that serves this database, \
                 readable by the server only",
                file.display(),
                keys.fingerprint()
            ))
        }
        Action::Show { json } => {
            let keys = Keys::load(&file)?.ok_or_else(|| {
                Error::new(
                    ErrorCode::Config,
                    format!("there are no keys at {}", file.display()),
                )
            })?;
            if json {
                return say_json(&serde_json::json!({
                    "file": file,
                    "fingerprint": keys.fingerprint(),
                    "keys": keys.ids().collect::<Vec<_>>(),
                }));
            }
            say(format_args!(
                "{}\nfingerprint {}",
                file.display(),
                keys.fingerprint()
            ))?;
            keys.ids().try_for_each(|id| say(format_args!("key {id}")))
        }
    }
}
