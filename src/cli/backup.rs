//! `deepme backup`.
//!
//! Owns how backups are asked for and what is said of them; [`crate::service::backup`] makes and reads them.
//! Invariants: a database in which something is is never overwritten; whatever happens, it is said what there is
//! afterwards.

mod filling;

use super::backend::{Backend, Opened};
use super::db::{self, Display};
use super::{CliError, Global, Result, note, say, say_json, terminal, wiring};
use crate::auth::SystemRandom;
use crate::auth::seal::MasterKeys;
use crate::auth::witness::Witness;
use crate::config::{self, Config, DatabaseUrl};
use crate::domain::time::SystemClock;
use crate::domain::{Clock as _, Error, ErrorCode};
use crate::service::backup::{self, Examined, Place, Tools};
use crate::service::restored;
use crate::store::SCHEMA_VERSION;
use crate::store::copy::{Copied, Failure};
use clap::{Args, Subcommand};
use filling::fill;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(super) const HELP: &str = "A backup holds no data key: to put it back it takes the keyring that lies beside it, and the master key.

Examples:
  deepme backup create                       into backup.directory, beside a running server
  deepme backup create --to /mnt/usb --json
  deepme backup verify backups/deepme-20261126T030000Z.backup
  deepme backup restore backups/deepme-20261126T030000Z.backup
  DEEPME_DATABASE__URL=postgres:///deepme deepme backup restore FILE    a backup fits both databases";

/// Options of `backup`.
#[derive(Debug, Args)]
pub(super) struct Backup {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Back the whole database up, compressed and sealed, and read the backup back. Servers may go on meanwhile.
    Create {
        /// The directory, instead of backup.directory.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a backup into a database on the spot and see whether it is whole and everybody's key opens. Changes
    /// nothing.
    Verify {
        #[command(flatten)]
        from: From,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a backup into the configured database, which must be empty. Everybody has to log in again; who was erased
    /// since stays erased. One of an earlier version is brought up to date.
    Restore {
        #[command(flatten)]
        from: From,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct From {
    /// The backup.
    file: PathBuf,
    /// The keyring, if it does not lie beside the backup.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

pub(super) fn run(global: &Global, command: Backup) -> Result {
    let config = wiring::config_of_owner(global)?;
    wiring::block_on(async move {
        match command.action {
            Action::Create { to, json } => create(&config, to, json).await,
            Action::Verify { from, json } => verify(&config, &from, json).await,
            Action::Restore { from, yes, json } => restore(&config, &from, yes, json).await,
        }
    })
}

async fn create(config: &Config, to: Option<PathBuf>, json: bool) -> Result {
    let backend = Backend::of(&config.database)?;
    backend.must_exist()?;
    let Opened {
        store, snapshots, ..
    } = backend.open_beside(&config.database).await?;
    let masters = backend.masters(config, &*store).await?;
    let place = Place::new(to.unwrap_or_else(|| config.backup.directory.clone()));
    let tools = Tools {
        snapshots: &*snapshots,
        masters: masters.now(),
        witness: Some(backend.witness(&backend.key_file(config))),
        clock: &SystemClock,
        random: Arc::new(SystemRandom),
    };
    let stop = CancellationToken::new();
    let signals = tokio::spawn(db::cancel_by_signal(stop.clone())?);
    let display = Display::new();
    let keep = usize::try_from(config.backup.keep).unwrap_or(usize::MAX);
    let made = backup::create(&place, keep, &tools, &stop, &|progress| {
        display.show(progress);
    })
    .await;
    display.finish();
    signals.abort();
    let made = made.map_err(|Failure { error, .. }| {
        CliError::Failed(format!("{}; no backup was made", CliError::Domain(error)))
    })?;
    if json {
        say_json(&serde_json::json!({
            "file": made.file,
            "bytes": made.bytes,
            "created_at": made.created_at,
            "keyring": place.keyring(),
            "accounts": made.accounts,
            "removed": made.removed,
            "tables": tables(&made.tables),
        }))?;
        return thinned(made.unremoved);
    }
    show(&made.tables)?;
    say(format_args!(
        "{} ({} bytes), read back and compared; the keys are in {}",
        made.file.display(),
        made.bytes,
        place.keyring().display()
    ))?;
    made.removed
        .iter()
        .try_for_each(|old| say(format_args!("removed {}", old.display())))?;
    thinned(made.unremoved)
}

/// The backup is there, but so are older ones that should not be.
fn thinned(unremoved: Option<Error>) -> Result {
    unremoved.map_or(Ok(()), |error| {
        Err(CliError::Failed(format!(
            "{}; the backup was made, but an older one stays",
            CliError::Domain(error)
        )))
    })
}

async fn verify(config: &Config, from: &From, json: bool) -> Result {
    let masters = masters(config)?;
    let stop = CancellationToken::new();
    let signals = tokio::spawn(db::cancel_by_signal(stop.clone())?);
    let display = Display::new();
    let outcome = async {
        let examined = examine(from, masters, &stop, &display).await?;
        let scratch = tempfile::Builder::new().prefix("deepme-").tempdir()?;
        let url = format!("sqlite://{}", scratch.path().join("t.db").display());
        let database = config::Database {
            url: DatabaseUrl::new(&url),
            ..config.database.clone()
        };
        let copied = fill(&examined, &database, &stop, &display).await?;
        Result::Ok((examined, copied))
    };
    let outcome = outcome.await;
    display.finish();
    signals.abort();
    let (examined, copied) = outcome?;
    let (erased, unread) = (examined.erased().len(), examined.unread());
    if json {
        let report = serde_json::json!({
            "file": from.file,
            "created_at": examined.created_at,
            "schema": examined.schema,
            "master_key": examined.master,
            "keyring_at": examined.keyring_at,
            "people": examined.people(),
            "erased_since": erased,
            "unreadable": unread.iter().map(|unread| unread.user_id).collect::<Vec<_>>(),
            "tables": tables(&copied),
        });
        say_json(&report)?;
    } else {
        show(&copied)?;
        say(summary(&examined))?;
    }
    let Some(first) = unread.first() else {
        return if json {
            Ok(())
        } else {
            say("it can be put back: everything was read, compared, and everybody's key opens")
        };
    };
    Err(CliError::Failed(format!(
        "the words of {} of {} people cannot be read: {}",
        unread.len(),
        examined.people(),
        first.error
    )))
}

async fn restore(config: &Config, from: &From, yes: bool, json: bool) -> Result {
    let backend = Backend::of(&config.database)?;
    let masters = masters(config)?;
    let stop = CancellationToken::new();
    let signals = tokio::spawn(db::cancel_by_signal(stop.clone())?);
    let display = Display::new();
    let examined = examine(from, masters, &stop, &display).await;
    display.finish();
    let examined = examined?;
    if let Some(first) = examined.unread().first() {
        return Err(CliError::Failed(format!(
            "the words of {} of {} people could not be read afterwards: {}; nothing was put back",
            examined.unread().len(),
            examined.people(),
            first.error
        )));
    }
    note(summary(&examined))?;
    let url = &config.database.url;
    if !yes && !terminal::sure(&format!("Put it into {url}?"))? {
        return Err(CliError::Usage(
            "nothing was put back (say --yes where there is no terminal to ask at)".into(),
        ));
    }
    let now = SystemClock.now();
    let witness = backend.witness(&backend.key_file(config));
    // Before they are in the database again: whatever happens now, the next server erases them.
    let erased = remember(&witness, &examined).await?;
    let display = Display::new();
    let copied = fill(&examined, &config.database, &stop, &display).await;
    display.finish();
    signals.abort();
    let copied = copied?;
    let opened = Backend::of(&config.database)?
        .open_beside(&config.database)
        .await?;
    let again = restored::settle(&*opened.store, &erased, now).await?;
    if json {
        return say_json(&serde_json::json!({
            "file": from.file,
            "created_at": examined.created_at,
            "schema": examined.schema,
            "people": examined.people() - again.len(),
            "erased_since": again.len(),
            "tables": tables(&copied),
        }));
    }
    show(&copied)?;
    let brought_up = if examined.schema == SCHEMA_VERSION {
        String::new()
    } else {
        format!(
            ", then brought from schema {} to {SCHEMA_VERSION}",
            examined.schema
        )
    };
    say(format_args!(
        "{url} is as it was at {}, read back and compared{brought_up}; everybody has to log in again",
        examined.created_at
    ))
}

/// Who is not to come back: by what this machine remembers, and by the keyring.
async fn remember(
    witness: &Witness,
    examined: &Examined,
) -> Result<Vec<(crate::domain::UserId, crate::domain::Timestamp)>> {
    let (witness, gone, at) = (witness.clone(), examined.erased(), examined.keyring_at);
    super::backend::blocking(move || {
        for user_id in gone {
            witness.add_erased(user_id, at)?;
        }
        Ok(witness.erased()?)
    })
    .await
}

/// The master keys; none are made.
fn masters(config: &Config) -> Result<Arc<MasterKeys>> {
    let backend = Backend::of(&config.database)?;
    let masters = backend.configured_masters(config)?.ok_or_else(|| {
        let message = format!(
            "there is no master key at {}: put the copy there that you kept (chmod 600), for without it nothing in \
             a backup can be read",
            backend.master_file(config).display()
        );
        Error::new(ErrorCode::Config, message)
    })?;
    Ok(Arc::new(masters))
}

async fn examine(
    from: &From,
    masters: Arc<MasterKeys>,
    stop: &CancellationToken,
    display: &Display,
) -> Result<Examined> {
    let keyring = from
        .keyring
        .clone()
        .unwrap_or_else(|| backup::beside(&from.file));
    let tell = |progress| display.show(progress);
    Ok(Examined::read(&from.file, &keyring, masters, stop, &tell).await?)
}

fn summary(examined: &Examined) -> String {
    let erased = match examined.erased().len() {
        0 => String::new(),
        erased => format!("; erased since and not to come back: {erased}"),
    };
    format!(
        "backup of {}, people: {}, schema {}, master key {}{erased}",
        examined.created_at,
        examined.people(),
        examined.schema,
        examined.master
    )
}

fn show(copied: &[Copied]) -> Result {
    copied.iter().try_for_each(
        |Copied {
             table,
             rows,
             sha256,
         }| say(format_args!("{table:<11}  {rows:>8}  {sha256}")),
    )
}

fn tables(copied: &[Copied]) -> serde_json::Value {
    db::as_json(copied)
        .get_mut("tables")
        .map(serde_json::Value::take)
        .unwrap_or_default()
}

impl Backend {
    /// Refuses a file that is not there: opening would make it.
    fn must_exist(&self) -> Result {
        match self {
            Self::Sqlite(path) if !path.is_file() => {
                let message = format!("there is no database at {}", path.display());
                Err(Error::new(ErrorCode::Config, message).into())
            }
            _ => Ok(()),
        }
    }
}
