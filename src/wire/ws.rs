//! Frames of `/ws/emotion`: JSON text, told apart by which key is present.
//!
//! Owns [`ClientFrame`] and [`ServerFrame`]. Invariant: a client frame has exactly one
//! discriminating key; a server frame that the seed did not know has exactly one top-level key and
//! never `session_id`, `token`, `done` or `error` at the top.

use crate::domain::step::{FinishReason, StepStatus};
use crate::domain::{Error, ErrorCode, Result, SessionId, StepId, Timestamp};
use serde::{Deserialize, Serialize};

/// The subprotocol of clients that know every frame.
pub const SUBPROTOCOL: &str = "deepme.v1";
/// The subprotocol offer that carries a bearer token begins so; the server never answers it.
pub const BEARER_SUBPROTOCOL: &str = "deepme.bearer.";

/// Close codes of this endpoint (RFC 6455 §7.4.2 leaves 4000 to 4999 to applications).
pub mod close {
    /// The connection ends as it should.
    pub const NORMAL: u16 = 1000;
    /// A binary message; this endpoint speaks text.
    pub const BINARY: u16 = 1003;
    /// Text that is not UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// A message over the size limit.
    pub const TOO_BIG: u16 = 1009;
    /// The server restarts; reconnect and resume.
    pub const RESTARTING: u16 = 1012;
    /// The server, or this connection, is overloaded; reconnect later.
    pub const OVERLOADED: u16 = 1013;
    /// The credential is not valid any more.
    pub const UNAUTHENTICATED: u16 = 4401;
    /// No such session (only to clients that offered `deepme.v1`).
    pub const UNKNOWN_SESSION: u16 = 4404;
    /// Nothing was heard from the peer for too long.
    pub const IDLE: u16 = 4408;
    /// Too many sockets or messages.
    pub const TOO_MANY: u16 = 4429;
}

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
        if raw.end.is_some() {
            return Ok(Self::End);
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

/// Serialises a type of this module, none of which can fail.
fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_frames_are_read() {
        let seed = r#"{"user_input": "요즘 기분이 별로야.", "step_type": "normal", "system_prompt": "너는 감정 전문 상담사야"}"#;
        let ClientFrame::UserInput(message) = ClientFrame::parse(seed).unwrap() else {
            panic!()
        };
        assert_eq!(message.user_input, "요즘 기분이 별로야.");
        assert_eq!(message.step_type.as_deref(), Some("normal"));
        assert_eq!(
            message.system_prompt.as_deref(),
            Some("너는 감정 전문 상담사야")
        );
        let nulls = r#"{"step_type":null,"system_prompt":null,"user_input":"hi","other":[1]}"#;
        assert!(matches!(
            ClientFrame::parse(nulls),
            Ok(ClientFrame::UserInput(_))
        ));
    }

    #[test]
    fn what_is_no_frame_is_refused_with_a_reason() {
        for wrong in [
            "",
            "{",
            "null",
            "1",
            "[]",
            "\"hi\"",
            "{}",
            r#"{"hello":1}"#,
            r#"{"user_input":1}"#,
            r#"{"user_input":null}"#,
            r#"{"user_input":"a","stop":true}"#,
            r#"{"stop":false}"#,
            r#"{"user_input":"a","user_input":"b"}"#,
            r#"{"resume":3}"#,
            r#"{"auth":{}}"#,
            r#"{"user_input":"a","received":-1}"#,
        ] {
            let error = ClientFrame::parse(wrong).unwrap_err();
            assert_eq!(error.code(), ErrorCode::BadFrame, "{wrong}");
        }
        let deep = format!(
            "{{\"user_input\":{}{}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert!(ClientFrame::parse(&deep).is_err());
    }

    #[test]
    fn client_frames_survive_the_wire() {
        for frame in [
            ClientFrame::UserInput(UserMessage {
                user_input: "안녕 \"x\"\n👩‍👩‍👧".into(),
                message_id: Some("m".into()),
                received: Some(3),
                ..UserMessage::default()
            }),
            ClientFrame::Stop,
            ClientFrame::End,
            ClientFrame::Ping(serde_json::json!({"t": 1})),
            ClientFrame::Resume(Resume {
                step_id: None,
                received: 7,
            }),
            ClientFrame::Auth(Auth {
                access_token: "t".into(),
            }),
        ] {
            assert_eq!(ClientFrame::parse(&frame.to_json()).unwrap(), frame);
        }
    }

    #[test]
    fn server_frames_survive_the_wire() {
        let id = StepId(uuid::Uuid::nil());
        let at = Timestamp::from_micros(1);
        for frame in [
            ServerFrame::Session(SessionFrame {
                session_id: SessionId(uuid::Uuid::nil()),
                resumed: false,
                turn: None,
            }),
            ServerFrame::Token {
                token: "가\"".into(),
            },
            ServerFrame::Done(Done {
                done: true,
                step_id: id,
                created_at: at,
                step_order: 1,
                status: StepStatus::Complete,
                finish_reason: Some(FinishReason::Stop),
                message_id: None,
                model: None,
                tokens: None,
            }),
            ServerFrame::Error {
                error: ErrorFrame::from(
                    &Error::new(ErrorCode::TooMany, "slow down").retry_after(3),
                ),
            },
            ServerFrame::Resumed {
                resumed: Resumed {
                    step_id: id,
                    from: 0,
                    status: StepStatus::Pending,
                },
            },
            ServerFrame::Pong {
                pong: serde_json::json!(1),
            },
        ] {
            assert_eq!(ServerFrame::parse(&frame.to_json()).as_ref(), Some(&frame));
        }
        assert_eq!(
            token_json("가\"\n"),
            ServerFrame::Token {
                token: "가\"\n".into()
            }
            .to_json()
        );
        assert_eq!(ServerFrame::parse(r#"{"someday":1}"#), None);
    }
}
