//! Steps: one thing the person said and the answer to it.
//!
//! Owns [`EmotionStep`] and the checked forms of what starts one. Invariant: a step is `pending`
//! exactly while its turn runs, and a session has at most one pending step.

use super::emotion::{Emotion, Feeling, Reading};
use super::error::{Error, Result};
use super::id::{SessionId, StepId};
use super::safety::Tier;
use super::text;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A user input and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmotionStep {
    /// Names the step.
    pub step_id: StepId,
    /// The conversation it is part of.
    pub session_id: SessionId,
    /// Its place there: 1, 2, 3 … without gaps.
    pub step_order: i64,
    /// The client's word for the kind of step; changes no behaviour.
    pub step_type: StepType,
    /// What the person wrote, to the byte.
    pub user_input: String,
    /// The answer so far; empty while there is none.
    pub gpt_response: String,
    /// How its turn stands.
    pub status: StepStatus,
    /// Why the model stopped, when it said so.
    pub finish_reason: Option<FinishReason>,
    /// The client's name for the message, unique in the session.
    pub message_id: Option<MessageId>,
    /// The model that answered.
    pub model: Option<String>,
    /// The system prompt that was used, such as `ko@3`.
    pub prompt_version: Option<String>,
    /// Tokens of `gpt_response`, when the provider counted them.
    pub output_tokens: Option<i64>,
    /// When the words were stored.
    pub created_at: Timestamp,
    /// What was made of the words.
    pub marks: Marks,
}

/// What was made of a person's words in a step. Sealed in the database, like the words; each text has one
/// length whatever it says. Steps from before there were any have none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// What the classifier read in the words.
    pub emotion: Option<String>,
    /// What the person says that they felt instead.
    pub correction: Option<String>,
    /// What the safety gate said of the words together with those before.
    pub safety_tier: Option<String>,
}

impl Marks {
    /// What is known when words arrive.
    pub fn of(reading: &Reading, tier: Tier) -> Self {
        Self {
            emotion: Some(reading.written()),
            correction: None,
            safety_tier: Some(Self::written_tier(tier)),
        }
    }

    /// A tier as it is stored.
    pub fn written_tier(tier: Tier) -> String {
        format!("{:8}", tier.as_str())
    }

    /// A label as it is stored.
    pub fn written_label(label: Emotion) -> String {
        format!("{label:10}")
    }

    /// What is shown of how the person felt.
    pub fn feeling(&self) -> Option<Feeling> {
        let guess = self.emotion.as_deref().and_then(Reading::parse);
        let correction = self.correction.as_deref();
        Feeling::of(guess, correction.and_then(|own| Emotion::parse(own.trim())))
    }

    /// The tier of the step.
    pub fn tier(&self) -> Option<Tier> {
        self.safety_tier
            .as_deref()
            .and_then(|tier| Tier::parse(tier.trim()))
    }
}

/// How the turn of a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Running.
    Pending,
    /// The answer is whole.
    Complete,
    /// The person stopped it; what there was is kept.
    Cancelled,
    /// The model, the server or the deadline cut it; what there was is kept.
    Interrupted,
    /// There is no answer.
    Failed,
}

impl StepStatus {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// The status of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Complete,
            Self::Cancelled,
            Self::Interrupted,
            Self::Failed,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }
}

/// Why the model stopped, in the words of the Chat Completions API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It had said all.
    Stop,
    /// It ran into the output limit.
    Length,
    /// A filter of the provider cut it.
    ContentFilter,
}

impl FinishReason {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }

    /// The reason of a stored name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Stop, Self::Length, Self::ContentFilter]
            .into_iter()
            .find(|reason| reason.as_str() == name)
    }
}

/// What a person says in one turn: not blank, no NUL, within the configured size, kept as written.
#[derive(Clone, PartialEq, Eq)]
pub struct UserInput(String);

impl UserInput {
    /// Checks the words against `max_bytes`.
    pub fn parse(words: &str, max_bytes: usize) -> Result<Self> {
        text::free("user_input", words, max_bytes).map(Self)
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The words stay out of logs.
impl std::fmt::Debug for UserInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserInput({} bytes)", self.0.len())
    }
}

/// A client's word for the kind of step: 1 to 32 characters, `normal` unless said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepType(String);

impl StepType {
    /// Checks a word; absent means `normal`.
    pub fn parse(word: Option<&str>) -> Result<Self> {
        word.map_or_else(
            || Ok(Self::default()),
            |word| text::line("step_type", word, 32).map(Self),
        )
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for StepType {
    fn default() -> Self {
        Self("normal".to_owned())
    }
}

/// A client's name for a message, so that sending it twice is saying it once: 1 to 64 visible
/// ASCII characters (a UUID fits).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self> {
        if (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::invalid(
                "message_id",
                "must be 1 to 64 visible ASCII characters",
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_show_by_their_length_nothing_and_read_as_they_were_written() {
        let mut lengths = std::collections::BTreeSet::new();
        for tier in Tier::ALL {
            let marks = Marks::of(&Reading::UNKNOWN, tier);
            assert_eq!(marks.tier(), Some(tier));
            lengths.insert(marks.safety_tier.map(|text| text.len()));
        }
        assert_eq!(lengths.len(), 1, "{lengths:?}");
        let mut lengths = std::collections::BTreeSet::new();
        for label in Emotion::ALL {
            let correction = Marks::written_label(label);
            lengths.insert(correction.len());
            let marks = Marks {
                correction: Some(correction),
                ..Marks::of(&Reading::UNKNOWN, Tier::None)
            };
            assert_eq!(marks.feeling().unwrap().label, label);
        }
        assert_eq!(lengths.len(), 1, "{lengths:?}");
        assert_eq!(Marks::default().feeling(), None);
        assert_eq!(Marks::default().tier(), None);
    }
}
