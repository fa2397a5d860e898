//! The keys of a server: where they are, and whether they are the right ones.
//!
//! Owns the rules for both kinds, those that sign tokens and those that wrap data keys. Called by
//! [`super::wiring`] and `deepme keys`. Invariants: on a database that several machines share none of them
//! makes its own; a key that something depends on is never replaced by a fresh one.

use super::backend::{Backend, blocking};
use super::{CliError, Result};
use crate::auth::SystemRandom;
use crate::auth::keys::Keys;
use crate::auth::masters::Masters;
use crate::auth::seal::MasterKeys;
use crate::auth::witness::Witness;
use crate::config::Config;
use crate::domain::{Error, ErrorCode};
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Backend {
    /// Where the keys are: `auth.key_file`; without it beside the file, or under `data`.
    pub(super) fn key_file(&self, config: &Config) -> PathBuf {
        let named = &config.auth.key_file;
        match self {
            _ if !named.as_os_str().is_empty() => named.clone(),
            Self::Sqlite(path) => path.with_file_name("token.key"),
            Self::Postgres(_) => PathBuf::from("data/token.key"),
        }
    }

    /// Where the master keys are: `auth.master_key_file`; without it beside the file, or under `data`.
    pub(super) fn master_file(&self, config: &Config) -> PathBuf {
        let named = &config.auth.master_key_file;
        match self {
            _ if !named.as_os_str().is_empty() => named.clone(),
            Self::Sqlite(path) => path.with_file_name("master.key"),
            Self::Postgres(_) => PathBuf::from("data/master.key"),
        }
    }

    /// What this machine remembers outside the database: beside the file, or beside the keys.
    pub(super) fn witness(&self, key_file: &Path) -> Witness {
        match self {
            Self::Sqlite(path) => Witness::beside(path),
            // Several databases may share the keys.
            Self::Postgres(connector) => {
                let name = format!("postgres-{}", connector.file_name());
                Witness::beside(&key_file.with_file_name(name))
            }
        }
    }

    /// The master keys from where the configuration says; `None` when there is no file.
    pub(super) fn configured_masters(&self, config: &Config) -> Result<Option<MasterKeys>> {
        let line = config.auth.master_key.expose();
        if line.is_empty() {
            return Ok(MasterKeys::load(&self.master_file(config))?);
        }
        let wrong = |e: Error| {
            let message = format!("auth.master_key: {}", e.message());
            Error::new(ErrorCode::Config, message)
        };
        Ok(Some(MasterKeys::parse(line).map_err(wrong)?))
    }

    /// The master keys for a database in which nothing is sealed yet.
    pub(super) fn masters_to_seal(&self, config: &Config) -> Result<MasterKeys> {
        let file = self.master_file(config);
        match self.configured_masters(config)? {
            Some(masters) => Ok(masters),
            None if self.shares_keys() => Err(no_keys("no master key", &file)),
            None => Ok(MasterKeys::load_or_create(&file, &SystemRandom)?),
        }
    }

    /// The master keys of a server, or of a command that works beside one. They must be those that the
    /// database is sealed with; where nothing is sealed yet, a database of one machine gets its own.
    pub(super) async fn masters(&self, config: &Config, store: &dyn Store) -> Result<Masters> {
        let file = self.master_file(config);
        let needed = store.masters().await?;
        let masters = match self.configured_masters(config)? {
            Some(masters) => masters,
            None if needed.is_empty() => self.masters_to_seal(config)?,
            None => {
                return Err(Error::new(
                    ErrorCode::Config,
                    format!(
                        "the master key is missing at {}: without it nothing that people said can be \
                         read; put the file back",
                        file.display()
                    ),
                )
                .into());
            }
        };
        if let Some(missing) = needed.iter().find(|id| !masters.knows(id)) {
            return Err(Error::new(
                ErrorCode::Config,
                format!(
                    "{} lacks the master key {missing}, with which people's words are sealed",
                    file.display()
                ),
            )
            .into());
        }
        // Two machines that have sealed nothing yet would otherwise not notice that theirs differ.
        let claimed = if self.shares_keys() {
            store.claim_master(masters.current().to_owned()).await?
        } else {
            masters.current().to_owned()
        };
        if !masters.knows(&claimed) {
            return Err(Error::new(
                ErrorCode::Config,
                format!(
                    "the master key at {} is not the one that this database is served with ({claimed}): \
                     copy the file from another machine that serves it",
                    file.display()
                ),
            )
            .into());
        }
        Ok(if config.auth.master_key.expose().is_empty() {
            Masters::of_file(masters, file)
        } else {
            Masters::fixed(masters)
        })
    }

    /// Whether several machines share the keys, so that none of them may make its own.
    pub(super) fn shares_keys(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

/// The keys of a server, or of a command that works beside one.
pub(super) async fn keys(store: &dyn Store, file: &Path, shared: bool) -> Result<Keys> {
    if !shared {
        return Ok(Keys::load_or_create(file, &SystemRandom)?);
    }
    let Some(keys) = Keys::load(file)? else {
        return Err(no_keys("no keys", file));
    };
    if store.claim_keys(keys.fingerprint()).await? != keys.fingerprint() {
        return Err(other_keys(file));
    }
    Ok(keys)
}

/// The refusal of keys that are not the ones of a shared database.
pub(super) fn other_keys(file: &Path) -> CliError {
    Error::new(
        ErrorCode::Config,
        format!(
            "the keys at {} are not the ones that this database is served with: \
             copy the file from another machine that serves it",
            file.display()
        ),
    )
    .into()
}

/// Where a running server has its signing keys from.
#[derive(Clone)]
pub(super) struct KeyFile {
    store: Arc<dyn Store>,
    file: PathBuf,
    shared: bool,
}

impl KeyFile {
    pub(super) fn of(backend: &Backend, config: &Config, store: &Arc<dyn Store>) -> Self {
        Self {
            store: Arc::clone(store),
            file: backend.key_file(config),
            shared: backend.shares_keys(),
        }
    }

    /// The keys that are in the file now, if they are others than `known`. None are made.
    pub(super) async fn news(&self, known: (String, String)) -> Result<Option<Keys>> {
        let file = self.file.clone();
        let keys = blocking(move || Ok(Keys::load(&file)?)).await?;
        let keys = keys.ok_or_else(|| {
            let message = format!("the keys have gone from {}", self.file.display());
            Error::new(ErrorCode::Config, message)
        })?;
        let fingerprint = keys.fingerprint();
        let signing = keys.ids().next().unwrap_or_default().to_owned();
        if (fingerprint.clone(), signing) == known {
            return Ok(None);
        }
        if self.shared && self.store.claim_keys(fingerprint.clone()).await? != fingerprint {
            return Err(other_keys(&self.file));
        }
        Ok(Some(keys))
    }
}

/// The refusal to serve a shared database without keys.
fn no_keys(what: &str, file: &Path) -> CliError {
    Error::new(
        ErrorCode::Config,
        format!(
            "there are {what} at {0}: run deepme keys init on the first machine, \
             and copy its {0} to the others",
            file.display()
        ),
    )
    .into()
}
