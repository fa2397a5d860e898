//! Bodies about what a conversation shows.
//!
//! Owns the JSON of a step's emotion. Invariant: it holds none of the person's words, and a guess says that it
//! is one.

use crate::domain::emotion::{Emotion, Feeling};
use crate::domain::{Error, Result, StepId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// How a person felt in a step: what they say themselves, else a guess by their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmotionBody {
    /// One of fifteen labels: `joy`, `confident`, `eager`, `moved`, `calm`, `bored`, `tired`, `even`, `lonely`,
    /// `shame`, `sad`, `frustrated`, `confused`, `anxious`, `angry`.
    #[schema(value_type = String, example = "anxious")]
    pub emotion_label: Emotion,
    /// A second label that is nearly as likely.
    #[schema(value_type = Option<String>, example = "tired")]
    pub second: Option<Emotion>,
    /// How pleasant, from -2 to 2.
    #[schema(minimum = -2, maximum = 2)]
    pub valence: i8,
    /// How stirred up, from -2 to 2: fixed for a label, nothing is measured.
    #[schema(minimum = -2, maximum = 2)]
    pub arousal: i8,
    /// In per cent, how often a guess as sure as this one is right; null for what the person said.
    #[schema(minimum = 0, maximum = 100)]
    pub confidence: Option<u8>,
    /// Whether the guess is too weak to be shown as if it were known.
    pub unsure: bool,
    /// Whether the person said so themselves.
    pub corrected: bool,
}

impl From<Feeling> for EmotionBody {
    fn from(feeling: Feeling) -> Self {
        Self {
            emotion_label: feeling.label,
            second: feeling.second,
            valence: feeling.valence,
            arousal: feeling.arousal,
            confidence: feeling.confidence,
            unsure: feeling.unsure,
            corrected: feeling.corrected(),
        }
    }
}

/// `PUT /emotion/steps/{step_id}/emotion`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmotionRequest {
    /// What the person says that they felt: one of the fifteen labels, by its id or its Korean name. Null takes
    /// it back, as `DELETE` does.
    #[serde(deserialize_with = "present")]
    #[schema(required, max_length = 32, example = "sad")]
    pub emotion_label: Option<String>,
}

/// Null is a value; a member that is not there is none.
fn present<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    Option::deserialize(from)
}

impl EmotionRequest {
    /// The label, if one is meant.
    pub fn label(&self) -> Result<Option<Emotion>> {
        let parse = |name: &String| {
            Emotion::parse(name).ok_or_else(|| {
                let known = Emotion::ALL.map(Emotion::as_str).join(", ");
                Error::invalid("emotion_label", format!("must be one of {known}"))
            })
        };
        self.emotion_label.as_ref().map(parse).transpose()
    }
}

/// The emotion of a step, as it then is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepEmotionBody {
    /// The step.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// Null when there is neither a guess nor a word of the person: the step is from before there were guesses.
    pub emotion: Option<EmotionBody>,
}
