//! Frames of `/ws/emotion`: JSON text, told apart by which key is present.
//!
//! Owns [`ClientFrame`] and [`ServerFrame`]. Invariant: a client frame has exactly one
//! discriminating key; a server frame that the seed did not know has exactly one top-level key and
//! never `session_id`, `token`, `done` or `error` at the top.

mod client;
mod server;

pub use client::{Auth, ClientFrame, Resume, UserMessage};
pub use server::{
    Accepted, Done, Ended, ErrorFrame, NOTICE_DRAINING, NOTICE_FALLBACK, NOTICE_INCOMPLETE,
    NOTICE_TRIMMED, Notice, QuotaLeft, Renewed, Resource, Resumed, RunningTurn, Safety,
    ServerFrame, SessionFrame, token_json,
};

use serde::Serialize;

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

/// Serialises a type of this module, none of which can fail.
fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::emotion::{Emotion, Feeling};
    use crate::domain::step::{FinishReason, StepStatus};
    use crate::domain::{Error, ErrorCode, SessionId, StepId, Timestamp};

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
                quota: Some(QuotaLeft {
                    limit: 9,
                    remaining: 0,
                    resets_at: at,
                }),
                emotion: Feeling::of(None, Some(Emotion::Moved)).map(Into::into),
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
