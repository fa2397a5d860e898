//! Frames from the server.
//!
//! Invariant: the seed's frames keep exactly their keys; each of the others has one top-level key of
//! its own.

use super::to_json;
use crate::domain::step::{FinishReason, StepStatus};
use crate::domain::{Error, SessionId, StepId, Timestamp};
use crate::wire::insight::EmotionBody;
use serde::{Deserialize, Serialize};

/// What the server says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ServerFrame {
    /// The end of a turn that has stored text, after the commit.
    Done(Done),
    /// First frame of a socket.
    Session(SessionFrame),
    /// A piece of the answer.
    Token {
        /// Whole Unicode scalar values.
        token: String,
    },
    /// Something did not work; the socket stays open unless it is closed with a code.
    Error {
        /// What.
        error: ErrorFrame,
    },
    /// The words of a turn are stored.
    Accepted {
        /// Which.
        accepted: Accepted,
    },
    /// Answers `resume`; the text follows from `from` on.
    Resumed {
        /// Where.
        resumed: Resumed,
    },
    /// Something that a person may want to know.
    Notice {
        /// What.
        notice: Notice,
    },
    /// Help for somebody who may be in danger; before the first token of the turn.
    Safety {
        /// Where it is found.
        safety: Safety,
    },
    /// Answers `ping`.
    Pong {
        /// The value of the ping.
        pong: serde_json::Value,
    },
    /// Answers `end`.
    Ended {
        /// The session that has ended.
        ended: Ended,
    },
    /// Answers `auth`.
    Auth {
        /// How long the new token holds.
        auth: Renewed,
    },
}

/// `{"session_id": …, "resumed": …, "turn": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionFrame {
    /// The session that this socket speaks in.
    pub session_id: SessionId,
    /// Whether it has stored steps or a row already.
    pub resumed: bool,
    /// The turn that is running in it.
    pub turn: Option<RunningTurn>,
}

/// A turn that is running while a socket attaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningTurn {
    /// The step it makes.
    pub step_id: StepId,
    /// Its place in the session.
    pub step_order: i64,
    /// The client's name for the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Unicode code points of the answer so far.
    pub chars: u64,
}

/// The value of `{"accepted": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The step that holds the words.
    pub step_id: StepId,
    /// Its place in the session.
    pub step_order: i64,
    /// The client's name for the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The words, for the other devices.
    pub user_input: String,
    /// When they were stored.
    pub created_at: Timestamp,
}

/// The value of `{"resumed": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumed {
    /// The step that goes on.
    pub step_id: StepId,
    /// Code points of the answer that are not sent again. 0 means: replace what you have.
    pub from: u64,
    /// How the turn stands.
    pub status: StepStatus,
}

/// `{"done": true, …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Always true.
    pub done: bool,
    /// The stored step.
    pub step_id: StepId,
    /// When its words were stored.
    pub created_at: Timestamp,
    /// Its place in the session.
    pub step_order: i64,
    /// Whether the answer is whole, stopped or cut.
    pub status: StepStatus,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// The client's name for the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of the answer, when the provider counted them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// What is left of the person's day, where there is a quota and the turn has just ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaLeft>,
    /// What the person seems to feel by their words; a guess.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotion: Option<EmotionBody>,
}

/// Tokens that a person may still use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaLeft {
    /// Of the whole day.
    pub limit: i64,
    /// What is left; a turn begins as long as it is more than 0.
    pub remaining: i64,
    /// When there are new ones.
    pub resets_at: Timestamp,
}

/// The value of `{"error": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFrame {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// Seconds after which another try may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The member that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The step that failed, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<StepId>,
    /// How that step stands: `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StepStatus>,
    /// After a refused `user_input`: whether its words were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<bool>,
}

impl From<&Error> for ErrorFrame {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().as_str().to_owned(),
            message: error.message().to_owned(),
            retry_after: error.retry_after_seconds(),
            field: error.field().map(str::to_owned),
            step_id: None,
            status: None,
            stored: None,
        }
    }
}

/// The value of `{"notice": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// For programs; see the `NOTICE_` constants.
    pub code: String,
    /// For people.
    pub message: String,
}

/// Older messages did not fit and were not shown to the model.
pub const NOTICE_TRIMMED: &str = "context_trimmed";
/// Another model than the first of the chain answers.
pub const NOTICE_FALLBACK: &str = "model_fallback";
/// The answer is cut: stopped, interrupted or out of tokens.
pub const NOTICE_INCOMPLETE: &str = "incomplete";
/// The server restarts; reconnect and resume.
pub const NOTICE_DRAINING: &str = "draining";

/// The value of `{"safety": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safety {
    /// `elevated` or `imminent`.
    pub tier: String,
    /// For the person.
    pub message: String,
    /// Whom to reach.
    pub resources: Vec<Resource>,
}

/// Somebody to reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Korean or English name, by the language of the person's words.
    pub name: String,
    /// What to dial, or a web address.
    pub contact: String,
    /// When it answers and how else it is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The value of `{"ended": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// The session.
    pub session_id: SessionId,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// The value of `{"auth": …}` from the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Renewed {
    /// When the new token ends.
    pub expires_at: Timestamp,
}

impl ServerFrame {
    /// The frame as it is sent.
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// Reads a frame; `None` for one that this client does not know.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// `{"token": …}` without the detour over a [`ServerFrame`] that owns its text: this is the frame
/// that is sent thousands of times a second.
pub fn token_json(token: &str) -> String {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        token: &'a str,
    }
    let mut json = Vec::with_capacity(token.len() + token.len() / 8 + 16);
    if serde_json::to_writer(&mut json, &Borrowed { token }).is_err() {
        json.clear();
    }
    String::from_utf8(json).unwrap_or_default()
}
