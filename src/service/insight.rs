//! What a conversation shows: the person's say about it.
//!
//! Invariants: what a person says that they felt counts more than any guess; somebody else's step and one that
//! does not exist are the same thing.

use super::App;
use crate::domain::emotion::{Emotion, Feeling};
use crate::domain::{Error, Result, StepId, UserId};

impl App {
    /// Notes what the person felt in a step of theirs, or takes it back; what is shown of it from then on.
    pub async fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<Emotion>,
    ) -> Result<Option<Feeling>> {
        if !self
            .vault
            .correct_step(user_id, step_id, correction)
            .await?
        {
            return Err(Error::not_found("step"));
        }
        Ok(self.step(user_id, step_id).await?.marks.feeling())
    }
}
