//! `deepme config`.

use super::backend::Backend;
use super::{Global, Result, logging, say, say_json, wiring};
use crate::domain::Error;
use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  deepme config check
  deepme config show --json
  DEEPME_SERVER__LISTEN=127.0.0.1:9000 deepme config show";

/// Options of `config`.
#[derive(Debug, Args)]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether the file and the environment are right, and which file is read.
    Check,
    /// Show what is in force, secrets as ***.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(global: &Global, command: &Config) -> Result {
    let (config, path) = wiring::located_config(global)?;
    match command.action {
        Action::Check => {
            Backend::of(&config.database)?;
            wiring::models(&config)?;
            logging::filter(&config)?;
            match path {
                Some(path) => say(format_args!("{} is right", path.display())),
                None => say("no configuration file; the defaults and the environment are right"),
            }
        }
        Action::Show { json: true } => {
            say_json(&serde_json::to_value(&config).map_err(Error::internal)?)
        }
        Action::Show { json: false } => say(config.to_toml().trim_end()),
    }
}
