//! What is kept of what a conversation shows.
//!
//! Owns [`Insights`], a part of the [`Store`](super::Store), with the same rules: each method is one sentence, and
//! each has a case in the contract suite. Invariant: what is read here carries none of the words of a step.

use crate::domain::flow::MarkedStep;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};
use futures_util::future::BoxFuture;

/// The part of the store that is about what conversations show.
pub trait Insights: Send + Sync + 'static {
    /// Replaces what the person says that they felt in a step of theirs, `None` takes it back; `false`
    /// when there is no such step of theirs.
    fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<String>,
    ) -> BoxFuture<'_, Result<bool>>;

    /// What was made of the newest `limit` steps of the user's session, by ascending order; `None` when
    /// the session is not this user's.
    fn marks(
        &self,
        user_id: UserId,
        session_id: SessionId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Option<Vec<MarkedStep>>>>;

    /// What was made of the newest `limit` steps of the user's sessions that began at `from` or later and before
    /// `to`: the sessions by ascending beginning, their steps by ascending order.
    fn marks_between(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<MarkedStep>>>;
}
