//! Reading the configuration again while the server runs.
//!
//! Owns [`Reloader`]. Called at SIGHUP; the keys that sign tokens are read again, too. Invariants: the sources are those of the start; a configuration
//! with an error changes nothing; what waits for the next start is named.

use super::backend::blocking;
use super::keyfiles::KeyFile;
use super::logging::Logging;
use super::serve::Serve;
use super::{Global, Result, systemd};
use crate::config::{Config, Reload};
use crate::domain::ErrorCode;
use crate::service::App;
use std::sync::Arc;

/// What a running server needs to change its mind.
pub(super) struct Reloader {
    /// Where the configuration comes from.
    pub(super) global: Global,
    /// What was said on the command line, which wins as it did at the start.
    pub(super) command: Serve,
    /// What is in force.
    pub(super) config: Config,
    pub(super) logging: Logging,
    pub(super) app: Arc<App>,
    pub(super) keys: KeyFile,
}

impl Reloader {
    /// Reads the configuration and puts in force what can change. Says how it went in the log.
    pub(super) async fn reload(&mut self) {
        systemd::reloading();
        if let Err(error) = self.try_to().await {
            tracing::error!(%error, "the configuration was not reloaded: what was in force still is");
        }
        systemd::ready(&self.app);
    }

    async fn try_to(&mut self) -> Result {
        let (global, command) = (self.global.clone(), self.command.clone());
        let new = blocking(move || command.config(&global)).await?;
        let Reload {
            config,
            changed,
            waiting,
        } = self.config.reload(&new);
        // What can still be wrong comes first.
        let keys = self.keys.news(self.app.signing_keys()).await?;
        match self.app.check_ab(config.prompts.ab).await {
            Err(error) if error.code() == ErrorCode::Config => return Err(error.into()),
            // A database that is away is no reason to keep a log level.
            Err(error) => tracing::warn!(%error, "prompts.ab was not checked"),
            Ok(()) => {}
        }
        self.logging.set(&config)?;
        self.app.adopt(&config);
        self.config = config;
        if let Some(keys) = keys {
            self.app.adopt_keys(keys);
            let (_, signing) = self.app.signing_keys();
            tracing::info!(key = signing, "the signing keys were reloaded");
        }
        let keys = changed.join(", ");
        tracing::info!(keys, "the configuration was reloaded");
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(
                keys,
                "some keys have changed, but hold their old value until the next start"
            );
        }
        Ok(())
    }
}
