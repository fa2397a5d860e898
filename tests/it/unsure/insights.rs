//! The part about what conversations show passes through.

use super::Unsure;
use deepme::domain::flow::MarkedStep;
use deepme::domain::{Result, SessionId, StepId, Timestamp, UserId};
use deepme::store::{Insights, PutCard, StoredCard};
use futures_util::future::BoxFuture;

impl Insights for Unsure {
    fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<String>,
    ) -> BoxFuture<'_, Result<bool>> {
        self.inner.correct_step(user_id, step_id, correction)
    }

    fn marks(
        &self,
        user_id: UserId,
        session_id: SessionId,
        limit: u32,
    ) -> BoxFuture<'_, Result<Option<Vec<MarkedStep>>>> {
        self.inner.marks(user_id, session_id, limit)
    }

    fn marks_between(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<MarkedStep>>> {
        self.inner.marks_between(user_id, from, to, limit)
    }

    fn card(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<StoredCard>>> {
        self.inner.card(user_id, session_id)
    }

    fn put_card(&self, put: PutCard) -> BoxFuture<'_, Result<bool>> {
        self.inner.put_card(put)
    }
}
