//! What a person can ask of whoever keeps their words: to know who read them, and to have all of it erased.
//!
//! Called by the surfaces and the commands. Invariants: who reads past a person's login leaves a note that
//! the person can see, written before anything is read; once an account is said to be erased, its key is
//! gone and its tokens are void.

use super::App;
use crate::domain::rights::{self, Access, Erased};
use crate::domain::{AccessId, Error, Result, SessionId, Timestamp, UserId};
use crate::store::{Deleted, Store};
use crate::wire::rights::ReceiptBody;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Steps that are deleted at once.
const STEPS: u32 = 1000;

impl App {
    /// Erases an account with everything that is its person's; the receipt. What was begun is finished, also when
    /// nobody waits for it any more, when a step of it fails, or when the process dies: by the sweep, or the next start.
    pub async fn erase(self: &Arc<Self>, user_id: UserId) -> Result<ReceiptBody> {
        let app = Arc::clone(self);
        let erasing = self
            .turns
            .spawn(async move { app.erase_to_the_end(user_id).await });
        erasing.await.map_err(Error::internal)?
    }

    async fn erase_to_the_end(&self, user_id: UserId) -> Result<ReceiptBody> {
        let now = self.clock.now();
        if self.store.user(user_id).await?.is_none() {
            return Err(Error::not_found("user"));
        }
        self.remember_erased(user_id, now).await;
        let deleted = delete(&*self.store, user_id, now).await.inspect_err(|_| {
            self.unfinished.store(true, Ordering::Relaxed);
        });
        // Afterwards, whatever came of it: what is scrubbed while it goes on is not all of it.
        self.unscrubbed.store(true, Ordering::Relaxed);
        let deleted = deleted?.ok_or_else(|| Error::not_found("user"))?;
        self.voided(user_id);
        self.stop_turns_of(user_id);
        let backups = self.follow_up_in_keyring().await;
        tracing::info!(%user_id, "account erased");
        let erased = match deleted {
            Deleted::With(erased) => Some(erased.into()),
            Deleted::Unknown => None,
        };
        let overwritten = self.scrub().await;
        Ok(ReceiptBody {
            user_id,
            erased_at: now,
            erased,
            key_destroyed: true,
            backups,
            overwritten: self.store.has_files().then_some(overwritten),
        })
    }

    /// Somebody who is erased is not answered any more.
    pub(super) fn stop_turns_of(&self, user_id: UserId) {
        for turn in self.live.all_running() {
            if turn.user_id == user_id {
                turn.stop();
            }
        }
    }

    /// Overwrites what was deleted and may still be in files, if anything was; whether nothing is left. What
    /// fails is tried again by the sweep.
    pub(super) async fn scrub(&self) -> bool {
        // Who comes second must not say that it is done while the first is at it.
        let _alone = self.scrubbing.lock().await;
        if !self.unscrubbed.swap(false, Ordering::Relaxed) {
            return true;
        }
        let scrubbed = self.store.scrub().await.inspect_err(|error| {
            tracing::warn!(code = %error.code(), causes = error.causes(), "what was deleted could not be overwritten yet");
        });
        let done = matches!(scrubbed, Ok(true));
        if !done {
            self.unscrubbed.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Notes that `by` reads a session, or everything, of a person. To be called before reading.
    pub async fn note_access(
        &self,
        user_id: UserId,
        session_id: Option<SessionId>,
        by: &str,
        reason: &str,
    ) -> Result<()> {
        let at = self.clock.now();
        let access = Access {
            access_id: AccessId::generate(at, &*self.random)?,
            user_id,
            session_id,
            by: rights::by(by)?,
            reason: rights::reason(reason)?,
            at,
        };
        if !self.vault.add_access(access).await? {
            return Err(Error::not_found("user"));
        }
        tracing::info!(%user_id, session_id = session_id.map(tracing::field::display), "read past the person's login");
        Ok(())
    }

    /// Who read what is the person's, newest first.
    pub async fn accesses(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, AccessId)>,
        limit: Option<u32>,
    ) -> Result<Vec<Access>> {
        self.vault.accesses(user_id, before, limit).await
    }

    /// Whose session this is, for whoever runs the server.
    pub async fn owner(&self, session_id: SessionId) -> Result<UserId> {
        let owner = self.store.owner(session_id).await?;
        owner.ok_or_else(|| Error::not_found("session"))
    }
}

/// Deletes an account, what was said a part at a time before the rest: no one transaction may take longer than an
/// answer may. `None` when there is none.
pub(super) async fn delete(
    store: &dyn Store,
    user_id: UserId,
    now: Timestamp,
) -> Result<Option<Deleted>> {
    let mut before = 0;
    loop {
        let steps = store.delete_steps(user_id, STEPS).await?;
        before += i64::try_from(steps).unwrap_or(i64::MAX);
        if steps < u64::from(STEPS) {
            break;
        }
    }
    let deleted = store.delete_user(user_id, now).await?;
    Ok(deleted.map(|deleted| match deleted {
        Deleted::With(erased) => Deleted::With(Erased {
            steps: erased.steps + before,
            ..erased
        }),
        Deleted::Unknown => Deleted::Unknown,
    }))
}
