//! The body of a card.
//!
//! Owns its JSON. Invariant: of the person's words it holds the quotes, and it says who wrote the rest.

use super::ws::Safety;
use crate::domain::card::{Card, CardKind, Quote};
use crate::domain::emotion::Emotion;
use crate::domain::{SessionId, StepId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A conversation on one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CardBody {
    /// The session.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// `written` by a language model; `extract`: put together without one, and shorter; `care`: somebody may be in
    /// danger, and the card says whom to reach and nothing else.
    #[schema(value_type = String, example = "written")]
    pub kind: CardKind,
    /// At most 20 characters.
    #[schema(max_length = 20)]
    pub title: String,
    /// What stood out, the strongest first; at most three.
    #[schema(value_type = Vec<String>, example = json!(["sad", "calm"]))]
    pub emotions: Vec<Emotion>,
    /// What happened. Null, like the next ones, when nothing was said of it, and on a card that no model wrote.
    pub situation: Option<String>,
    /// What went through your mind.
    pub thoughts: Option<String>,
    /// What you felt in your body.
    pub body: Option<String>,
    /// What you did.
    pub behaviour: Option<String>,
    /// What you want.
    pub needs: Option<String>,
    /// What helped.
    pub coping: Option<String>,
    /// What you came to see.
    pub insight: Option<String>,
    /// Short words, at most five.
    pub tags: Vec<String>,
    /// Your own words, to the letter; empty when they have been forgotten.
    pub quotes: Vec<QuoteBody>,
    /// Of a `care` card: whom to reach, as in the `safety` frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub safety: Option<Safety>,
    /// The model that wrote it.
    pub model: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
}

/// Your own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuoteBody {
    /// The step they are of.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// After how many code points of its `user_input`.
    pub offset: u64,
    /// The words.
    pub text: String,
}

impl CardBody {
    /// What is shown of a card.
    pub fn of(
        session_id: SessionId,
        card: Card,
        quotes: Vec<Quote>,
        made_at: Timestamp,
        safety: Option<Safety>,
    ) -> Self {
        let quotes = quotes.into_iter().map(|quote| QuoteBody {
            step_id: quote.step_id,
            offset: quote.offset,
            text: quote.text,
        });
        Self {
            session_id,
            kind: card.kind,
            title: card.title,
            emotions: card.emotions,
            situation: card.situation,
            thoughts: card.thoughts,
            body: card.body,
            behaviour: card.behaviour,
            needs: card.needs,
            coping: card.coping,
            insight: card.insight,
            tags: card.tags,
            quotes: quotes.collect(),
            safety,
            model: card.model,
            made_at,
        }
    }
}
