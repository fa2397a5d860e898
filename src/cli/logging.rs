//! Where log lines go, and which.
//!
//! Owns [`start`] and [`Logging`]. Called by the commands that run a server. Invariants: what carries people's words
//! is switched off whatever `log.level` says; a journal that is not there costs no line and no server: they go to
//! stderr as text instead.

use super::Result;
use crate::config::{Config, LogFormat};
use crate::domain::{Error, ErrorCode};
use std::io::{self, IsTerminal as _};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// What stands before the names of our fields in the journal.
const PREFIX: &str = "DEEPME";

/// What is logged, which can change while the process runs.
pub(super) struct Logging {
    level: reload::Handle<EnvFilter, Registry>,
    /// Why lines go to stderr that should have gone to the journal.
    pub(super) no_journal: Option<io::Error>,
}

impl Logging {
    /// Logs what `log.level` says from now on.
    pub(super) fn set(&self, config: &Config) -> Result {
        let set = self.level.reload(filter(config)?);
        set.map_err(|e| Error::internal(e).into())
    }
}

fn wrong_level(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::Config, format!("log.level: {error}"))
}

/// What `log.level` lets through.
pub(super) fn filter(config: &Config) -> Result<EnvFilter> {
    // async-openai and the HTTP stack log payloads, which are people's words.
    let quiet = "async_openai=off,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,tungstenite=warn,tokio_tungstenite=warn";
    EnvFilter::try_new(format!("{},{quiet}", config.log.level)).map_err(|e| wrong_level(&e).into())
}

/// Starts logging, to stderr or to the journal.
pub(super) fn start(config: &Config) -> Result<Logging> {
    let (filter, level) = reload::Layer::new(filter(config)?);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let filtered = tracing_subscriber::registry().with(filter);
    let mut no_journal = None;
    let begun = match config.log.format {
        LogFormat::Text => filtered.with(lines).try_init(),
        LogFormat::Json => filtered.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Journald => match journal() {
            Ok(journal) => filtered.with(journal).try_init(),
            Err(error) => {
                no_journal = Some(error);
                filtered.with(lines).try_init()
            }
        },
    };
    begun.map_err(Error::internal)?;
    Ok(Logging { level, no_journal })
}

/// The journal of this machine, if somebody listens at its socket.
fn journal() -> io::Result<tracing_journald::Layer> {
    let journal = tracing_journald::layer()?;
    Ok(journal
        .with_field_prefix(Some(PREFIX.to_owned()))
        .with_syslog_identifier("deepme".to_owned())
        .with_priority_mappings(priorities()))
}

/// As the journal means its priorities: a line at `info` is nothing unusual.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        error: Priority::Error,
        warn: Priority::Warning,
        info: Priority::Informational,
        debug: Priority::Debug,
        trace: Priority::Debug,
    }
}
