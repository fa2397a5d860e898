//! The methods of the store that carry what was made of words.
//!
//! As with the words themselves: open on this side, sealed on the other.

use super::Vault;
use super::words::labels;
use crate::auth::seal::{DataKey, Place};
use crate::domain::card::{Card, Quote};
use crate::domain::emotion::Emotion;
use crate::domain::flow::MarkedStep;
use crate::domain::session::Labels;
use crate::domain::step::Marks;
use crate::domain::usage::Tokens;
use crate::domain::{Error, Result, SessionId, StepId, Timestamp, UserId};
use crate::store::{PutCard, StoredCard};

/// The columns of what is made of words.
const EMOTION: &str = "emotion";
const CORRECTION: &str = "correction";
/// The columns of a card.
const BODY: &str = "body";
const QUOTES: &str = "quotes";
pub(super) const TIER: &str = "safety_tier";

/// A card, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct Kept {
    pub(in crate::service) card: Card,
    pub(in crate::service) quotes: Vec<Quote>,
    pub(in crate::service) made_at: Timestamp,
}

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

    pub(in crate::service) async fn card(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<Option<Kept>> {
        let Some(stored) = self.store.card(user_id, session_id).await? else {
            return Ok(None);
        };
        let key = self.key(user_id).await?;
        let body = key.open(Place::Card(session_id, BODY), &stored.body)?;
        let quotes = match &stored.quotes {
            Some(sealed) => {
                let quotes = key.open(Place::Card(session_id, QUOTES), sealed)?;
                serde_json::from_str(&quotes).map_err(Error::internal)?
            }
            None => Vec::new(),
        };
        Ok(Some(Kept {
            card: serde_json::from_str(&body).map_err(Error::internal)?,
            quotes,
            made_at: stored.made_at,
        }))
    }

    pub(in crate::service) async fn put_card(
        &self,
        user_id: UserId,
        session_id: SessionId,
        kept: &Kept,
        says: Labels,
        charge: Tokens,
    ) -> Result<bool> {
        let key = self.key(user_id).await?;
        let seal = |place, text: &str| key.seal(place, text, &*self.random);
        let body = serde_json::to_string(&kept.card).map_err(Error::internal)?;
        let quotes = serde_json::to_string(&kept.quotes).map_err(Error::internal)?;
        let card = StoredCard {
            session_id,
            body: seal(Place::Card(session_id, BODY), &body)?,
            quotes: Some(seal(Place::Card(session_id, QUOTES), &quotes)?),
            made_at: kept.made_at,
        };
        let labels = labels(session_id, says, seal)?;
        let put = PutCard {
            user_id,
            card,
            labels,
            charge,
        };
        self.store.put_card(put).await
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
