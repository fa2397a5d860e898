//! A database that was put back from an old copy.
//!
//! Owns how that is noticed and what is done. Called at the start of a server, and by the sweep. Invariants: the
//! database never lags behind what this machine remembers of it unless it is an old copy; on an old copy no token,
//! ticket or code of its time holds, and who was erased since is erased again before anybody is served.

use super::{App, rights};
use crate::auth::witness::Witness;
use crate::domain::{Error, Result, Timestamp, UserId};
use crate::store::Store;
use std::sync::atomic::Ordering;

/// Makes everything void that was valid in an old copy, and erases who was erased since it was made; who that was.
pub async fn settle(
    store: &dyn Store,
    erased: &[(UserId, Timestamp)],
    now: Timestamp,
) -> Result<Vec<UserId>> {
    let again = erase_again(store, erased, now).await?;
    store.begin_anew().await?;
    Ok(again)
}

/// Erases who was erased before and is there again, as they were then; who that was.
async fn erase_again(
    store: &dyn Store,
    erased: &[(UserId, Timestamp)],
    now: Timestamp,
) -> Result<Vec<UserId>> {
    let mut again = Vec::new();
    for (user_id, at) in erased {
        let back = store.user(*user_id).await?;
        if back.is_some_and(|user| user.created_at <= *at) {
            rights::delete(store, *user_id, now).await?;
            again.push(*user_id);
        }
    }
    Ok(again)
}

impl App {
    /// Looks whether the database is older than what this machine has seen of it, and if so begins anew: whether
    /// it is.
    pub async fn recognise_an_old_copy(&self) -> Result<bool> {
        let seen = self.remember(Witness::seen).await?;
        let recorded = self.store.beat(Timestamp::from_micros(0)).await?;
        let old = seen.is_some_and(|seen| recorded < seen);
        // Also where the copy is so young that nobody would notice.
        let erased = self.erase_again().await?;
        if old {
            let accounts = self.store.begin_anew().await?;
            tracing::warn!(
                accounts,
                erased,
                "the database is older than what this machine has seen of it, a copy that was put back: everybody has to log in again, and who was erased since is erased again"
            );
            self.store.beat(seen.unwrap_or(recorded)).await?;
        }
        self.beat().await?;
        Ok(old)
    }

    /// Erases who was erased before, or was to be, and is there, as they were then; how many.
    async fn erase_again(&self) -> Result<u64> {
        let mut again: u64 = 0;
        let erased = self.remember(Witness::erased).await?;
        let erased = erase_again(&*self.store, &erased, self.clock.now()).await;
        // Afterwards, whatever came of it: what is scrubbed while it goes on is not all of it.
        self.unscrubbed.store(true, Ordering::Relaxed);
        for user_id in erased? {
            self.vault.forget(Some(user_id));
            self.stop_turns_of(user_id);
            again += 1;
        }
        Ok(again)
    }

    /// Finishes erasures that were begun here and failed.
    pub(super) async fn finish_erasing(&self) -> Result<()> {
        if !self.unfinished.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let erased = self.erase_again().await.inspect_err(|_| {
            self.unfinished.store(true, Ordering::Relaxed);
        });
        tracing::info!(accounts = erased?, "finished erasing");
        Ok(())
    }

    /// Records, in the database and beside it, that the database is in use now.
    pub(super) async fn beat(&self) -> Result<()> {
        if self.witness.is_none() {
            return Ok(());
        }
        let beat = self.store.beat(self.clock.now()).await?;
        self.remember(move |witness| witness.see(beat)).await
    }

    /// Remembers beside the database that somebody was erased.
    pub(super) async fn remember_erased(&self, user_id: UserId, at: Timestamp) {
        self.keyring.wanted(user_id, at);
        if let Err(error) = self
            .remember(move |witness| witness.add_erased(user_id, at))
            .await
        {
            tracing::error!(%user_id, code = %error.code(), causes = error.causes(), "an erasure could not be remembered beside the database: an old copy of it would bring the account back");
        }
    }

    /// Works on the files beside the database, off the runtime's workers; nothing where there are none.
    async fn remember<T: Default + Send + 'static>(
        &self,
        work: impl FnOnce(&Witness) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(witness) = self.witness.clone() else {
            return Ok(T::default());
        };
        tokio::task::spawn_blocking(move || work(&witness))
            .await
            .map_err(Error::internal)?
    }
}
