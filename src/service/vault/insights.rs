//! The methods of the store that carry what was made of words.
//!
//! As with the words themselves: open on this side, sealed on the other.

use super::Vault;
use crate::auth::seal::{DataKey, Place};
use crate::domain::emotion::Emotion;
use crate::domain::flow::MarkedStep;
use crate::domain::step::Marks;
use crate::domain::{Result, SessionId, StepId, Timestamp, UserId};

/// The columns of what is made of words.
const EMOTION: &str = "emotion";
const CORRECTION: &str = "correction";
pub(super) const TIER: &str = "safety_tier";

impl Vault {
    pub(in crate::service) async fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<Emotion>,
    ) -> Result<bool> {
        let key = self.key(user_id).await?;
        let place = Place::Mark(step_id, CORRECTION);
        let sealed = correction
            .map(|label| key.seal(place, &Marks::written_label(label), &*self.random))
            .transpose()?;
        self.store.correct_step(user_id, step_id, sealed).await
    }

    pub(in crate::service) async fn marks(
        &self,
        user_id: UserId,
        session_id: SessionId,
        limit: u32,
    ) -> Result<Option<Vec<MarkedStep>>> {
        match self.store.marks(user_id, session_id, limit).await? {
            Some(steps) => Ok(Some(self.open_all(user_id, steps, open_marks).await?)),
            None => Ok(None),
        }
    }

    pub(in crate::service) async fn marks_between(
        &self,
        user_id: UserId,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Vec<MarkedStep>> {
        let found = self.store.marks_between(user_id, from, to, limit).await?;
        self.open_all(user_id, found, open_marks).await
    }
}

fn open_marks(key: &DataKey, step: MarkedStep) -> Result<MarkedStep> {
    let marks = marks(step.step_id, step.marks, |place, text| {
        key.open(place, text)
    })?;
    Ok(MarkedStep { marks, ..step })
}

/// What was made of the words of a step, each through `pass`.
pub(super) fn marks(
    step_id: StepId,
    marks: Marks,
    pass: impl Fn(Place, &str) -> Result<String>,
) -> Result<Marks> {
    let one = |column: &'static str, text: Option<String>| {
        text.map(|text| pass(Place::Mark(step_id, column), &text))
            .transpose()
    };
    Ok(Marks {
        emotion: one(EMOTION, marks.emotion)?,
        correction: one(CORRECTION, marks.correction)?,
        safety_tier: one(TIER, marks.safety_tier)?,
    })
}
