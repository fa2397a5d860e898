//! The part of an unsure store that is about rights: all of it goes on to the real one.

use super::Unsure;
use deepme::domain::rights::Access;
use deepme::domain::usage::Usage;
use deepme::domain::{AccessId, Error, Result, SessionId, Timestamp, UserId};
use deepme::store::{Deleted, Rights};
use futures_util::future::BoxFuture;
use std::sync::atomic::Ordering;

impl Rights for Unsure {
    fn add_access(&self, access: Access) -> BoxFuture<'_, Result<bool>> {
        self.inner.add_access(access)
    }

    fn accesses(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, AccessId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<Access>>> {
        self.inner.accesses(user_id, before, limit)
    }

    fn owner(&self, session_id: SessionId) -> BoxFuture<'_, Result<Option<UserId>>> {
        self.inner.owner(session_id)
    }

    fn usage_days(&self, user_id: UserId) -> BoxFuture<'_, Result<Vec<Usage>>> {
        self.inner.usage_days(user_id)
    }

    fn delete_steps(&self, user_id: UserId, most: u32) -> BoxFuture<'_, Result<u64>> {
        self.inner.delete_steps(user_id, most)
    }

    fn delete_user(
        &self,
        user_id: UserId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Deleted>>> {
        if self.unknown.swap(false, Ordering::Relaxed) {
            let error = Error::unavailable("the database went away");
            return Box::pin(std::future::ready(Err(error)));
        }
        Box::pin(async move {
            drop(self.slow.acquire().await);
            self.inner.delete_user(user_id, at).await
        })
    }

    fn forget_words(
        &self,
        before: Timestamp,
        at: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>> {
        self.inner.forget_words(before, at, most)
    }

    fn forget_sessions(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        self.inner.forget_sessions(before, most)
    }

    fn forget_accesses(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>> {
        self.inner.forget_accesses(before, most)
    }

    fn beat(&self, at: Timestamp) -> BoxFuture<'_, Result<Timestamp>> {
        self.inner.beat(at)
    }

    fn begin_anew(&self) -> BoxFuture<'_, Result<u64>> {
        self.inner.begin_anew()
    }

    fn has_files(&self) -> bool {
        self.inner.has_files()
    }

    fn scrub(&self) -> BoxFuture<'_, Result<bool>> {
        self.inner.scrub()
    }
}
