//! Emotion sessions: one conversation of one person.
//!
//! Owns [`EmotionSession`]. Invariant: a session belongs to one user for ever, and once it has
//! ended no step is added to it.

use super::error::{Error, Result};
use super::id::{SessionId, UserId};
use super::text;
use super::time::Timestamp;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmotionSession {
    /// Names the session.
    pub session_id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What it is about, as far as somebody said.
    pub labels: Labels,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
}

/// The seed's descriptive fields; each is free text of at most [`LABEL_MAX`] characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// The leading emotion.
    pub emotion_label: Option<String>,
    /// What it was about.
    pub topic: Option<String>,
    /// What set it off.
    pub trigger_summary: Option<String>,
    /// What the person came to see.
    pub insight_summary: Option<String>,
    /// A tag for that insight.
    pub insight_tag: Option<String>,
}

/// Longest label, in characters.
pub const LABEL_MAX: usize = 4096;

impl Labels {
    /// Each label with its name.
    pub fn fields(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("emotion_label", self.emotion_label.as_deref()),
            ("topic", self.topic.as_deref()),
            ("trigger_summary", self.trigger_summary.as_deref()),
            ("insight_summary", self.insight_summary.as_deref()),
            ("insight_tag", self.insight_tag.as_deref()),
        ]
    }

    /// Checks each given label; blank ones count as absent.
    pub fn parse(self) -> Result<Self> {
        let check = |field, value: Option<String>| match value {
            Some(text) if text.chars().count() > LABEL_MAX => {
                let message = format!("must be at most {LABEL_MAX} characters");
                Err(Error::invalid(field, message))
            }
            Some(text) if text.contains('\0') => {
                Err(Error::invalid(field, "must not contain the NUL character"))
            }
            Some(text) if !text::is_blank(&text) => Ok(Some(text)),
            _ => Ok(None),
        };
        Ok(Self {
            emotion_label: check("emotion_label", self.emotion_label)?,
            topic: check("topic", self.topic)?,
            trigger_summary: check("trigger_summary", self.trigger_summary)?,
            insight_summary: check("insight_summary", self.insight_summary)?,
            insight_tag: check("insight_tag", self.insight_tag)?,
        })
    }
}
