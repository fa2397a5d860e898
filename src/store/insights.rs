//! What is kept of what a conversation shows.
//!
//! Owns [`Insights`], a part of the [`Store`](super::Store), with the same rules: each method is one sentence, and
//! each has a case in the contract suite. Invariant: what is read here carries no words but the quotes of a card.

use crate::domain::flow::MarkedStep;
use crate::domain::session::Labels;
use crate::domain::usage::Tokens;
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

    /// The card of the user's session.
    fn card(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<StoredCard>>>;

    /// Stores a card of the user's session in place of the one there is, gives it the labels of the session that
    /// nobody but a card has set, and charges what it took; `false` when the session is not this user's. Its body
    /// is unlike every other one: the same card again changes nothing. Quotes of words that have been forgotten
    /// meanwhile are not stored.
    fn put_card(&self, put: PutCard) -> BoxFuture<'_, Result<bool>>;
}

/// A card as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCard {
    /// The session it is of.
    pub session_id: SessionId,
    /// All of it but the quotes.
    pub body: String,
    /// The quotes; `None` when they have been forgotten.
    pub quotes: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
}

/// What stores a card.
#[derive(Debug, Clone)]
pub struct PutCard {
    /// Whose session it is of.
    pub user_id: UserId,
    /// The card.
    pub card: StoredCard,
    /// What it says in the labels of the session; where it says nothing, what a card has set before goes.
    pub labels: Labels,
    /// What it cost.
    pub charge: Tokens,
}
