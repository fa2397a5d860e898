//! What a peer says, and what is done about it.
//!
//! Invariant: whatever is refused is refused with an error frame that says whether words were
//! stored, and the safety gate has read them before.

use super::{Over, Socket, Step};
use crate::domain::step::{EmotionStep, MessageId, StepType, UserInput};
use crate::domain::{Error, ErrorCode, SessionId, StepId, UserId, prompt};
use crate::safety::Assessment;
use crate::service::App;
use crate::service::live::{Cursor, LiveTurn, offset};
use crate::service::turn::{Found, Said, Say, session_ended, stored_after, terminal};
use crate::wire::ws::{
    Accepted, Auth, ClientFrame, Ended, ErrorFrame, Renewed, Resume, Resumed, Safety, ServerFrame,
    UserMessage, close, token_json,
};
use axum::extract::ws::Message;
use std::sync::Arc;
use std::time::Duration;

/// How long a peer that closes is waited for.
const GOODBYE: Duration = Duration::from_secs(1);

impl Socket {
    pub(super) async fn receive(
        &mut self,
        session_id: SessionId,
        message: Option<Result<Message, axum::Error>>,
    ) -> Step {
        if matches!(message, Some(Ok(_))) && self.pace.check().is_err() {
            return self.too_fast(message).await;
        }
        match message {
            Some(Ok(Message::Text(text))) => match ClientFrame::parse(&text) {
                Ok(frame) => self.handle(session_id, frame).await,
                Err(error) => self.send_error(ErrorFrame::from(&error)).await,
            },
            Some(Ok(Message::Binary(_))) => {
                let error = Error::new(
                    ErrorCode::BadFrame,
                    "binary messages are not understood: send JSON as text",
                );
                self.send_error(ErrorFrame::from(&error)).await?;
                Err(Over::Close(close::BINARY, "binary message"))
            }
            // The library answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            // And a close once it is polled again; nothing else may be written before.
            Some(Ok(Message::Close(_))) => {
                let goodbye = async { while let Some(Ok(_)) = self.ws.recv().await {} };
                let _ = tokio::time::timeout(GOODBYE, goodbye).await;
                Err(Over::Gone)
            }
            Some(Err(error)) => self.broken(&error).await,
            None => Err(Over::Gone),
        }
    }

    /// The peer floods. Even then nobody in danger goes without help, and it is said that the words were
    /// not taken.
    async fn too_fast(&mut self, message: Option<Result<Message, axum::Error>>) -> Step {
        if let Some(Ok(Message::Text(text))) = message
            && let Ok(ClientFrame::UserInput(message)) = ClientFrame::parse(&text)
        {
            let assessment = self.app.assess(&message.user_input);
            if let Some(safety) = self.app.safety(&message.user_input, &assessment) {
                self.send(ServerFrame::Safety { safety }).await?;
            }
            let error = Error::new(
                ErrorCode::TooMany,
                "so many messages at once are not taken: wait a moment",
            )
            .retry_after(1);
            self.refuse(&error, Some(false)).await?;
        }
        Err(Over::Close(close::TOO_MANY, "too many messages"))
    }

    /// The peer broke the protocol, or the connection broke.
    pub(super) async fn broken(&mut self, error: &axum::Error) -> Step {
        use tokio_tungstenite::tungstenite::Error as Ws;
        use tokio_tungstenite::tungstenite::error::ProtocolError;
        let Some(error) = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Ws>())
        else {
            return Err(Over::Gone);
        };
        match error {
            Ws::Capacity(_) => {
                self.peer.linger.ask();
                let limit = self.app.settings().limits.message_bytes;
                let error = Error::new(
                    ErrorCode::TooLarge,
                    format!("a message must be at most {limit} bytes"),
                );
                self.send_error(ErrorFrame::from(&error)).await?;
                Err(Over::Close(close::TOO_BIG, "message too big"))
            }
            Ws::Utf8(_) => Err(Over::Close(close::NOT_UTF8, "not UTF-8")),
            // It hung up, or was lost: nobody is there to be told what is wrong with that.
            Ws::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Err(Over::Gone),
            Ws::Protocol(_) => Err(Over::Close(1002, "protocol error")),
            _ => Err(Over::Gone),
        }
    }

    pub(super) async fn handle(&mut self, session_id: SessionId, frame: ClientFrame) -> Step {
        // The words have the gate first, and a token may be renewed before anything else is done.
        if matches!(
            frame,
            ClientFrame::Stop | ClientFrame::End | ClientFrame::Resume(_)
        ) {
            self.check_standing().await?;
        }
        match frame {
            ClientFrame::UserInput(message) => self.user_input(session_id, message).await,
            ClientFrame::Stop => {
                let followed = self.cursor.as_ref().map(|cursor| Arc::clone(cursor.turn()));
                let running = followed.filter(|turn| !turn.ended());
                // Another device's turn can be stopped, too: it is the same person.
                if let Some(turn) = running.or_else(|| self.app.running(session_id)) {
                    self.app.stop(&turn);
                } else {
                    let error = Error::new(ErrorCode::NotFound, "there is no running turn to stop");
                    self.send_error(ErrorFrame::from(&error)).await?;
                }
                Ok(())
            }
            ClientFrame::Ping(pong) => self.send(ServerFrame::Pong { pong }).await,
            ClientFrame::End => match self
                .app
                .end_attached(self.peer.subject.user_id, session_id)
                .await
            {
                Ok(ended_at) => {
                    self.ended = true;
                    self.send(ServerFrame::Ended {
                        ended: Ended {
                            session_id,
                            ended_at,
                        },
                    })
                    .await
                }
                Err(error) => self.refuse(&error, None).await,
            },
            ClientFrame::Resume(resume) => self.resume(session_id, resume).await,
            ClientFrame::Auth(auth) => self.renew(auth).await,
        }
    }

    /// The person speaks. The gate reads the words before anything can refuse them.
    pub(super) async fn user_input(&mut self, session_id: SessionId, message: UserMessage) -> Step {
        let assessment = self.app.assess(&message.user_input);
        let safety = self.app.safety(&message.user_input, &assessment);
        let unsure = match self.standing().await {
            Ok(unsure) => unsure,
            Err(over) => {
                if let Some(safety) = safety {
                    self.send(ServerFrame::Safety { safety }).await?;
                }
                return Err(over);
            }
        };
        let received = message.received;
        let words = message.user_input.clone();
        let parsed = self.parse(session_id, message, assessment);
        // A database that was waited for once is not waited for again.
        let said = match unsure.map_or(parsed, Err) {
            Ok(_) if self.ended => Err((Some(false), session_ended())),
            Ok(say) => self
                .app
                .say(self.peer.subject.user_id, say)
                .await
                .map_err(|error| (stored_after(&error), error)),
            // Where the database did not answer nobody knows whether an earlier try has stored them.
            Err(error) => Err((stored_after(&error), error)),
        };
        match said {
            // The turn comes back by the subscription, as to every device of the session.
            Ok(Said::Started(_)) => Ok(()),
            Ok(Said::Running(turn)) => {
                self.feed(turn.accepted().to_json()).await?;
                self.continue_running(turn, received).await
            }
            Ok(Said::Stored(step)) => {
                // However often it is asked for.
                if let Some(safety) = safety {
                    self.feed(ServerFrame::Safety { safety }.to_json()).await?;
                }
                if self.follows_another(&step) {
                    return self.refuse(&busy(), Some(true)).await;
                }
                self.feed(accepted(&step).to_json()).await?;
                self.replay(&step, received.unwrap_or(0)).await
            }
            Err((stored, error)) => {
                self.app.meters().refused(&error);
                let app = Arc::clone(&self.app);
                let user_id = self.peer.subject.user_id;
                let held = held(&app, user_id, session_id, &words, safety, &error).await;
                if let Some(safety) = held {
                    if stored != Some(true) {
                        app.raise_alarm_unstored(&safety, user_id, Some(session_id));
                    }
                    self.feed(ServerFrame::Safety { safety }.to_json()).await?;
                }
                self.refuse(&error, stored).await
            }
        }
    }

    pub(super) fn parse(
        &self,
        session_id: SessionId,
        message: UserMessage,
        assessment: Assessment,
    ) -> crate::domain::Result<Say> {
        let most = self.app.settings().limits.input_bytes;
        Ok(Say {
            session_id,
            user_input: UserInput::parse(&message.user_input, most)?,
            step_type: StepType::parse(message.step_type.as_deref())?,
            client_prompt: prompt::client(message.system_prompt.as_deref(), most)?,
            message_id: message
                .message_id
                .as_deref()
                .map(MessageId::parse)
                .transpose()?,
            knows_frames: self.peer.every_frame,
            assessment,
        })
    }

    pub(super) async fn resume(&mut self, session_id: SessionId, resume: Resume) -> Step {
        match self
            .app
            .find_turn(self.peer.subject.user_id, session_id, resume.step_id)
            .await
        {
            Ok(Found::Running(turn)) => self.continue_running(turn, Some(resume.received)).await,
            Ok(Found::Stored(step)) if self.follows_another(&step) => {
                self.refuse(&busy(), None).await
            }
            Ok(Found::Stored(step)) => self.replay(&step, resume.received).await,
            Err(error) => self.refuse(&error, None).await,
        }
    }

    /// Follows a running turn from the place that the peer names. Without a place, a turn that is
    /// followed already goes on as it does.
    pub(super) async fn continue_running(
        &mut self,
        turn: Arc<LiveTurn>,
        received: Option<u64>,
    ) -> Step {
        let followed = self
            .cursor
            .as_ref()
            .is_some_and(|cursor| Arc::ptr_eq(cursor.turn(), &turn));
        if followed && received.is_none() {
            return self.flush().await;
        }
        if !followed {
            // The turn before has ended, but its end may not have been told yet.
            self.relay().await?;
        }
        let step_id = turn.step_id;
        self.told = Some(step_id);
        self.app.catch_up(&turn, received.unwrap_or(0)).await;
        let (cursor, from) = Cursor::after(turn, received.unwrap_or(0));
        self.cursor = Some(cursor);
        self.send(resumed(
            step_id,
            from,
            crate::domain::step::StepStatus::Pending,
        ))
        .await
    }

    /// Whether the peer is being told another turn than this step's: two turns are never mixed.
    fn follows_another(&self, step: &EmotionStep) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| cursor.turn().step_id != step.step_id)
    }

    /// Tells a stored turn again.
    pub(super) async fn replay(&mut self, step: &EmotionStep, received: u64) -> Step {
        self.cursor = None;
        self.told = Some(step.step_id);
        let (byte, from) =
            offset(&step.gpt_response, received).map_or((0, 0), |byte| (byte, received));
        self.feed(resumed(step.step_id, from, step.status).to_json())
            .await?;
        let rest = &step.gpt_response[byte..];
        if !rest.is_empty() {
            self.feed(token_json(rest)).await?;
        }
        let (notice, end) = terminal(step);
        if let Some(notice) = notice {
            self.feed(notice.to_json()).await?;
        }
        self.send(end).await
    }

    pub(super) async fn renew(&mut self, auth: Auth) -> Step {
        match self.app.authenticate(&auth.access_token).await {
            Ok(subject) if subject.user_id == self.peer.subject.user_id => {
                self.peer.subject = subject;
                self.expires_at = subject.expires_at;
                self.send(ServerFrame::Auth {
                    auth: Renewed {
                        expires_at: subject.expires_at,
                    },
                })
                .await
            }
            Ok(_) => {
                let error = Error::new(ErrorCode::Forbidden, "this token is somebody else's");
                self.refuse(&error, None).await
            }
            Err(error) => self.refuse(&error, None).await,
        }
    }
}

/// What somebody is shown whose words are refused. Who has used up the day is judged by what they said
/// before as well, for the turn that would have done so does not begin.
async fn held(
    app: &App,
    user_id: UserId,
    session_id: SessionId,
    words: &str,
    alone: Option<Safety>,
    refusal: &Error,
) -> Option<Safety> {
    if alone.is_some() || refusal.code() != ErrorCode::QuotaExceeded {
        return alone;
    }
    let held = app.assess_in_session(user_id, session_id, words).await;
    app.safety(words, &held)
}

fn busy() -> Error {
    Error::new(
        ErrorCode::TurnInProgress,
        "resume it when the running turn has ended",
    )
    .retry_after(1)
}

fn resumed(step_id: StepId, from: u64, status: crate::domain::step::StepStatus) -> ServerFrame {
    ServerFrame::Resumed {
        resumed: Resumed {
            step_id,
            from,
            status,
        },
    }
}

fn accepted(step: &EmotionStep) -> ServerFrame {
    ServerFrame::Accepted {
        accepted: Accepted {
            step_id: step.step_id,
            step_order: step.step_order,
            message_id: step.message_id.as_ref().map(|id| id.as_str().to_owned()),
            user_input: step.user_input.clone(),
            created_at: step.created_at,
        },
    }
}
