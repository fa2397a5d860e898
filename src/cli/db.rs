//! `deepme db`.
//!
//! Owns how a copy is asked for, shown and broken off; the copying itself is [`copy`]'s. Invariant:
//! whatever happens, it is said what there is in the target.

use super::backend::Backend;
use super::{CliError, Global, Result, note, owner, say, say_json, wiring};
use crate::config::{self, DatabaseUrl};
use crate::domain::ErrorCode;
use crate::store::SCHEMA_VERSION;
use crate::store::copy::{self, Copied, Failure, Left, Phase, Progress};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use std::convert::Infallible;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub(super) const HELP: &str =
    "A password in a URL can be seen by everybody on the machine: better put it into a file.

Examples:
  deepme db copy --from sqlite://data/deepme.db --to postgres://deepme@127.0.0.1/deepme \\
      --to-password-file /etc/deepme/postgres.password
  deepme db copy --from postgres:///deepme --to sqlite://copy/deepme.db --json";

/// Options of `db`.
#[derive(Debug, Args)]
pub(super) struct Db {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Copy everything into an empty database, of the same kind or another, and read it back. The
    /// source is not changed; stop the servers on both first. The keys of tokens are not in a database:
    /// take the file along (deepme keys show).
    Copy(Copy),
}

#[derive(Debug, Args)]
struct Copy {
    /// The database to read.
    #[arg(long, value_name = "URL", value_parser = url)]
    from: DatabaseUrl,
    /// The database to fill. It must be empty; its schema is made when it has none.
    #[arg(long, value_name = "URL", value_parser = url)]
    to: DatabaseUrl,
    /// A file with the password for --from (PostgreSQL), readable by its owner only.
    #[arg(long, value_name = "FILE")]
    from_password_file: Option<PathBuf>,
    /// A file with the password for --to (PostgreSQL), readable by its owner only.
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "what a parser must return")]
fn url(text: &str) -> std::result::Result<DatabaseUrl, Infallible> {
    Ok(DatabaseUrl::new(text))
}

pub(super) fn run(global: &Global, command: Db) -> Result {
    let Action::Copy(command) = command.action;
    let config = wiring::config(global)?;
    for url in [&command.to, &command.from] {
        owner::become_owner_of_file(url)?;
    }
    let database = |url: &DatabaseUrl, password_file: Option<PathBuf>| config::Database {
        url: url.clone(),
        password_file: password_file.unwrap_or_default(),
        ..config.database.clone()
    };
    let from = database(&command.from, command.from_password_file);
    let to = database(&command.to, command.to_password_file);
    wiring::block_on(async move {
        let copied = transfer(&from, &to).await?;
        if command.json {
            return say_json(&as_json(&copied));
        }
        for Copied {
            table,
            rows,
            sha256,
        } in copied
        {
            say(format_args!("{table:<11}  {rows:>8}  {sha256}"))?;
        }
        say(format_args!(
            "{} has all of {}, read back and compared",
            to.url, from.url
        ))
    })
}

/// Copies; what was copied.
async fn transfer(from: &config::Database, to: &config::Database) -> Result<Vec<Copied>> {
    let source = Backend::of(from).map_err(|e| about("--from", e))?;
    let target = Backend::of(to).map_err(|e| about("--to", e))?;
    if source.is(&target) {
        return Err(CliError::Usage(
            "--from and --to are the same database".into(),
        ));
    }
    let stop = CancellationToken::new();
    let signals = tokio::spawn(cancel_by_signal(stop.clone())?);
    let opened = async {
        let (source, source_lock) = source
            .open_source(from)
            .await
            .map_err(|e| about("--from", e))?;
        let (sink, target_lock) = target
            .open_sink(to, SCHEMA_VERSION)
            .await
            .map_err(|e| about("--to", e))?;
        Result::Ok((source, sink, (source_lock, target_lock)))
    };
    // It may wait long, for others that migrate or write.
    let (mut source, sink, _locks) = tokio::select! {
        biased;
        () = stop.cancelled() => {
            return Err(CliError::Failed("interrupted; nothing was copied".into()));
        }
        opened = opened => opened?,
    };
    let display = Display::new();
    let copied = copy::copy(&mut *source, sink, &stop, &|progress| {
        display.show(progress);
    })
    .await;
    display.finish();
    signals.abort();
    copied.map_err(|failure| CliError::Failed(told(failure)))
}

/// Which of the two databases an error is about: below here they know one only, by its key in the
/// configuration.
fn about(option: &str, error: CliError) -> CliError {
    let usage = error.exit_code() == 2;
    let told = error.to_string();
    let text = told
        .replace("database.url", option)
        .replace("database.password_file", &format!("{option}-password-file"));
    let text = if text == told {
        format!("{option}: {text}")
    } else {
        text
    };
    if usage {
        CliError::Usage(text)
    } else {
        CliError::Failed(text)
    }
}

/// What went wrong and what is in the target now.
fn told(failure: Failure) -> String {
    let interrupted = failure.error.code() == ErrorCode::Interrupted;
    let why = CliError::Domain(failure.error);
    let left = match failure.left {
        Left::Nothing => "nothing was copied, the target is as empty as before",
        Left::Unknown => {
            "the answer to the commit did not come, so the target has everything or nothing: \
             look into it, and copy again into a new one"
        }
        Left::Unverified if interrupted => {
            "everything was copied, but not all of it was read back: copy again into a new database"
        }
        Left::Unverified => {
            "what was copied could not be read back as it was: do not use the target, copy again \
             into a new one"
        }
    };
    format!("{why}; {left}")
}

/// The first SIGINT or SIGTERM breaks a copy off at a place that leaves nothing half, the second ends at
/// once, which leaves nothing half either but says nothing.
pub(super) fn cancel_by_signal(stop: CancellationToken) -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                std::process::exit(1);
            }
            stop.cancel();
        }
    })
}

/// Shows how far it is: a bar on a terminal, else a line for each table that is done.
pub(super) struct Display {
    bar: ProgressBar,
    terminal: bool,
}

impl Display {
    pub(super) fn new() -> Self {
        let terminal = io::stderr().is_terminal();
        let bar = super::terminal::bar("");
        Self { bar, terminal }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    pub(super) fn show(&self, progress: Progress) {
        let Progress {
            phase,
            table,
            done,
            rows,
        } = progress;
        let doing = match phase {
            Phase::Reading => "reading",
            Phase::Copying => "copying",
            Phase::Verifying => "verifying",
        };
        if self.terminal {
            self.bar.set_length(rows);
            self.bar.set_position(done);
            self.bar.set_message(format!("{doing} {table}"));
        } else if done >= rows {
            // Whoever does not read this wants the copy all the same.
            let _ = note(format_args!("{doing} {table}: {rows}"));
        }
    }
}

pub(super) fn as_json(copied: &[Copied]) -> serde_json::Value {
    let tables: Vec<serde_json::Value> = copied
        .iter()
        .map(|copied| {
            serde_json::json!({
                "name": copied.table,
                "rows": copied.rows,
                "sha256": copied.sha256,
            })
        })
        .collect();
    serde_json::json!({ "tables": tables })
}
