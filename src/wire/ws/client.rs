//! Frames from the client.
//!
//! Invariant: exactly one discriminating key, wherever it stands; `null` counts as absent.

use super::to_json;
use crate::domain::{Error, ErrorCode, Result, StepId};
use serde::{Deserialize, Serialize};

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// The person speaks.
    UserInput(UserMessage),
    /// Ends the running turn.
    Stop,
    /// Asks for a `pong` with the same value.
    Ping(serde_json::Value),
    /// Ends the session.
    End,
    /// Asks for the rest of a turn.
    Resume(Resume),
    /// Brings a fresh access token for the open socket.
    Auth(Auth),
}

/// `{"user_input": …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMessage {
    /// The words.
    pub user_input: String,
    /// The client's word for the kind of step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_type: Option<String>,
    /// A wish for the model, below the server's own prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// The client's name for this message; sending it again is no second message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// With a repeated `message_id`: Unicode code points of the answer already received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
}

/// The value of `{"resume": …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The turn to go on with; absent means the session's latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_id: Option<StepId>,
    /// Unicode code points of the answer already received.
    #[serde(default)]
    pub received: u64,
}

/// The value of `{"auth": …}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auth {
    /// The new token; it must name the same person.
    pub access_token: String,
}

/// The token stays out of logs.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

/// Every key that means something at the top of a client frame. `null` counts as absent.
#[derive(Deserialize)]
struct RawFrame {
    user_input: Option<serde_json::Value>,
    stop: Option<serde_json::Value>,
    ping: Option<serde_json::Value>,
    end: Option<serde_json::Value>,
    resume: Option<serde_json::Value>,
    auth: Option<serde_json::Value>,
    step_type: Option<serde_json::Value>,
    system_prompt: Option<serde_json::Value>,
    message_id: Option<serde_json::Value>,
    received: Option<serde_json::Value>,
}

impl ClientFrame {
    /// Reads a text message. Members that are not known are ignored.
    ///
    /// # Errors
    /// `bad_frame` when it is no JSON object with exactly one discriminating key, or when a member
    /// has the wrong type.
    pub fn parse(text: &str) -> Result<Self> {
        let raw: RawFrame = serde_json::from_str(text).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => {
                bad("expected a JSON object in which no member is given twice")
            }
            _ => bad("expected a message in JSON"),
        })?;
        let kinds = [
            &raw.user_input,
            &raw.stop,
            &raw.ping,
            &raw.end,
            &raw.resume,
            &raw.auth,
        ];
        if kinds.into_iter().flatten().count() != 1 {
            return Err(bad(
                "expected exactly one of user_input, stop, ping, end, resume, auth",
            ));
        }
        if let Some(words) = raw.user_input {
            return Ok(Self::UserInput(UserMessage {
                user_input: string("user_input", words)?,
                step_type: raw.step_type.map(|v| string("step_type", v)).transpose()?,
                system_prompt: raw
                    .system_prompt
                    .map(|v| string("system_prompt", v))
                    .transpose()?,
                message_id: raw
                    .message_id
                    .map(|v| string("message_id", v))
                    .transpose()?,
                received: raw.received.map(|v| typed("received", v)).transpose()?,
            }));
        }
        if raw.stop == Some(serde_json::Value::Bool(true)) {
            return Ok(Self::Stop);
        }
        if raw.stop.is_some() {
            return Err(bad("stop must be true"));
        }
        if raw.end == Some(serde_json::Value::Bool(true)) {
            return Ok(Self::End);
        }
        if raw.end.is_some() {
            return Err(bad("end must be true"));
        }
        if let Some(value) = raw.resume {
            return Ok(Self::Resume(typed("resume", value)?));
        }
        if let Some(value) = raw.auth {
            return Ok(Self::Auth(typed("auth", value)?));
        }
        Ok(Self::Ping(raw.ping.unwrap_or_default()))
    }

    /// The frame as a client sends it.
    pub fn to_json(&self) -> String {
        match self {
            Self::UserInput(message) => to_json(message),
            Self::Stop => r#"{"stop":true}"#.to_owned(),
            Self::Ping(value) => to_json(&serde_json::json!({ "ping": value })),
            Self::End => r#"{"end":true}"#.to_owned(),
            Self::Resume(resume) => to_json(&serde_json::json!({ "resume": resume })),
            Self::Auth(auth) => to_json(&serde_json::json!({ "auth": auth })),
        }
    }
}

fn bad(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::BadFrame, message)
}

fn string(field: &'static str, value: serde_json::Value) -> Result<String> {
    match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(bad(format!("{field} must be a string"))),
    }
}

fn typed<T: serde::de::DeserializeOwned>(
    field: &'static str,
    value: serde_json::Value,
) -> Result<T> {
    serde_json::from_value(value).map_err(|_| bad(format!("{field} has the wrong shape")))
}
