//! What a server has to do with backups: who is erased goes from their keyring, too, and their age is known.
//!
//! Called by whoever erases, and by the sweep. Invariants: where there is no keyring none is made; what fails is
//! tried again every minute, and after a start; nobody who asks for a figure waits for the disk of the backups.

use super::App;
use super::backup::{self, Backups, Tools};
use crate::domain::{Error, Result, Timestamp, UserId};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is still to be done in the keyring.
pub(super) struct FollowUp {
    /// Who was erased since it was last written; `None` where it is as it should be. At the start nobody knows: the
    /// process before may have been killed between the two.
    behind: Mutex<Option<Vec<(UserId, Timestamp)>>>,
    /// Held while it is written: who comes second must not say that it is done while the first is at it.
    writing: tokio::sync::Mutex<()>,
}

impl Default for FollowUp {
    fn default() -> Self {
        Self {
            behind: Mutex::new(Some(Vec::new())),
            writing: tokio::sync::Mutex::default(),
        }
    }
}

impl FollowUp {
    /// Somebody was erased.
    pub(super) fn wanted(&self, user_id: UserId, at: Timestamp) {
        self.behind().get_or_insert_default().push((user_id, at));
    }

    fn behind(&self) -> MutexGuard<'_, Option<Vec<(UserId, Timestamp)>>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Writes the keyring of the backups anew if somebody was erased since it was; whether nobody who was is in it
    /// any more. `None` where there is none.
    pub(super) async fn follow_up_in_keyring(&self) -> Option<bool> {
        let backups = self.backups.as_ref()?;
        if !backups.place.keyring().exists() {
            return None;
        }
        let _alone = self.keyring.writing.lock().await;
        let Some(erased) = self.keyring.behind().take() else {
            return Some(true);
        };
        let Err(error) = self.rewrite_keyring(backups, &erased).await else {
            return Some(true);
        };
        tracing::error!(code = %error.code(), %error, causes = error.causes(), "who was erased could not be taken out of the keyring of the backups: it is tried again every minute");
        self.keyring.behind().get_or_insert_default().extend(erased);
        Some(false)
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

    async fn rewrite_keyring(
        &self,
        backups: &Backups,
        erased: &[(UserId, Timestamp)],
    ) -> Result<()> {
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
        backup::rewrite(&backups.place, &tools, Timestamp::from_micros(0), erased).await?;
        Ok(())
    }
}
