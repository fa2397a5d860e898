//! What a server has to do with backups: who is erased goes from their keyring, too, and their age is known.
//!
//! Called by whoever erases, and by the sweep. Invariants: where there is no keyring none is made; what fails is
//! tried again every minute, and after a start; nobody who asks for a figure waits for the disk of the backups.

use super::App;
use super::backup::{self, Backups, Tools};
use crate::domain::{Error, Result, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl App {
    /// Writes the keyring of the backups anew if somebody was erased since it was; whether nobody who was is in it
    /// any more. `None` where there is none.
    pub(super) async fn follow_up_in_keyring(&self) -> Option<bool> {
        let backups = self.backups.as_ref()?;
        if !backups.place.keyring().exists() {
            return None;
        }
        // Whoever comes second waits for the first at the file.
        if !self.keyring_behind.swap(false, Ordering::Relaxed) {
            return Some(true);
        }
        let rewritten = self.rewrite_keyring(backups).await.inspect_err(|error| {
            tracing::error!(code = %error.code(), %error, causes = error.causes(), "who was erased could not be taken out of the keyring of the backups: it is tried again every minute");
        });
        if rewritten.is_err() {
            self.keyring_behind.store(true, Ordering::Relaxed);
        }
        Some(rewritten.is_ok())
    }

    /// Looks how old the newest backup is.
    pub(super) async fn look_at_backups(&self) -> Result<()> {
        let Some(backups) = &self.backups else {
            return Ok(());
        };
        let place = backups.place.clone();
        let found = tokio::task::spawn_blocking(move || place.backups())
            .await
            .map_err(Error::internal)??;
        let newest = found.first().map_or(0, |(at, _)| at.as_seconds());
        self.meters.newest_backup.store(newest, Ordering::Relaxed);
        Ok(())
    }

    async fn rewrite_keyring(&self, backups: &Backups) -> Result<()> {
        let masters = self.vault.masters();
        // They may have been rotated since.
        let masters = tokio::task::spawn_blocking(move || masters.latest())
            .await
            .map_err(Error::internal)??;
        let tools = Tools {
            snapshots: &*backups.snapshots,
            masters,
            witness: self.witness.clone(),
            clock: &*self.clock,
            random: Arc::clone(&self.random),
        };
        backup::rewrite(&backups.place, &tools, Timestamp::from_micros(0)).await?;
        Ok(())
    }
}
