//! What is kept for a person's rights, and how what has had its time goes.
//!
//! Owns [`Rights`], a part of the [`Store`](super::Store), with the same rules: each method is one
//! sentence, and each has a case in the contract suite. Invariant: what is deleted here is deleted whole;
//! where a backend may still have it in a file, [`Rights::scrub`] says so.

use crate::domain::rights::{Access, Erased};
use crate::domain::usage::Usage;
use crate::domain::{AccessId, Result, SessionId, Timestamp, UserId};
use futures_util::future::BoxFuture;

/// The part of the store that is about the person's rights.
pub trait Rights: Send + Sync + 'static {
    /// Notes that somebody reads what is a person's; `false` when there is no such account.
    fn add_access(&self, access: Access) -> BoxFuture<'_, Result<bool>>;

    /// Who read what is the person's, newest first, at most `limit`, those before `before` in that order.
    fn accesses(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, AccessId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<Access>>>;

    /// Whose session this is.
    fn owner(&self, session_id: SessionId) -> BoxFuture<'_, Result<Option<UserId>>>;

    /// What the person has used of each day that is remembered, by ascending day.
    fn usage_days(&self, user_id: UserId) -> BoxFuture<'_, Result<Vec<Usage>>>;

    /// Deletes steps of a person, at most `most`; how many. For who has too many to delete with the account.
    fn delete_steps(&self, user_id: UserId, most: u32) -> BoxFuture<'_, Result<u64>>;

    /// Deletes an account with everything that is its person's, the key to their words included, and
    /// makes its tokens void; `None` when there is none.
    fn delete_user(&self, user_id: UserId, at: Timestamp)
    -> BoxFuture<'_, Result<Option<Deleted>>>;

    /// Deletes the steps, the summary and the quotes on the card of sessions in which nothing has been said since `before`, and
    /// ends those; at most `most` sessions, the oldest first; how many.
    fn forget_words(
        &self,
        before: Timestamp,
        at: Timestamp,
        most: u32,
    ) -> BoxFuture<'_, Result<u64>>;

    /// Deletes sessions in which nothing has been said since `before`, with all that is left of them; at
    /// most `most`, the oldest first; how many.
    fn forget_sessions(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>>;

    /// Deletes notes of accesses before `before`, at most `most`; how many.
    fn forget_accesses(&self, before: Timestamp, most: u32) -> BoxFuture<'_, Result<u64>>;

    /// Records that the database is in use at `at`, or, where that is not later than what is recorded, a
    /// microsecond after that; what then is recorded. So a database always moves on, whatever the clock does.
    fn beat(&self, at: Timestamp) -> BoxFuture<'_, Result<Timestamp>>;

    /// Ends all logins of everybody and forgets all tickets, codes and invitations; how many accounts there
    /// are.
    fn begin_anew(&self) -> BoxFuture<'_, Result<u64>>;

    /// Whether what is deleted is overwritten by [`Self::scrub`].
    fn has_files(&self) -> bool;

    /// Overwrites, in the files of this database and in the copies that were made before a migration,
    /// what has been deleted by now; `false` when somebody was at a file, so that it is to be tried
    /// again. A database on a server has its own ways, and there is nothing to do.
    fn scrub(&self) -> BoxFuture<'_, Result<bool>>;
}

/// An account that has been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// With so much.
    With(Erased),
    /// By an attempt whose answer was lost, so that nobody knows how much it held; or there was none.
    Unknown,
}
