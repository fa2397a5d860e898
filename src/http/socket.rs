//! A socket of `/ws/emotion` while it is open.
//!
//! Owns the conversation with one peer. A socket is only a window on the turns of its session: it
//! reads them by a cursor and may go at any time. Invariants: one frame of a turn at a time and in
//! its order; nothing is queued here beside the turn itself; every write has a deadline.

use super::linger::Linger;
use super::problem;
use crate::auth::token::Subject;
use crate::domain::step::{EmotionStep, MessageId, StepType, UserInput};
use crate::domain::{Error, ErrorCode, SessionId, StepId, Timestamp, prompt};
use crate::safety::Assessment;
use crate::service::App;
use crate::service::live::{Cursor, LiveTurn, Next, Subscription, offset};
use crate::service::turn::{Found, Said, Say, stored_after, terminal};
use crate::wire::ws::{
    Accepted, Auth, ClientFrame, Ended, ErrorFrame, NOTICE_DRAINING, Notice, Renewed, Resume,
    Resumed, ServerFrame, SessionFrame, UserMessage, close, token_json,
};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::{FutureExt as _, SinkExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// What the handshake found out.
pub(super) struct Peer {
    pub(super) subject: Subject,
    /// Whether it offered `deepme.v1`.
    pub(super) every_frame: bool,
    /// The session it wants.
    pub(super) wanted: Wanted,
    pub(super) linger: Linger,
}

/// The session that a peer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A new one.
    New,
    /// One that no id names.
    Nonsense,
    /// This one.
    Session(SessionId),
}

/// An open socket.
pub(super) struct Socket {
    app: Arc<App>,
    ws: WebSocket,
    peer: Peer,
    expires_at: Timestamp,
    cursor: Option<Cursor>,
    /// Until when tokens are collected after some were sent.
    settled_at: Option<Instant>,
    heard: Instant,
}

/// Tokens that come within this time of the ones before go out together. A model that streams at
/// reading speed leaves more time between two tokens, so each of its tokens is sent at once; one
/// that is faster costs a write every few milliseconds instead of one a token.
const SETTLE: Duration = Duration::from_millis(5);

/// Why a socket is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Over {
    /// The peer has gone, or does not take what is written to it.
    Gone,
    /// It is to be closed with this code.
    Close(u16, &'static str),
}

type Step<T = ()> = Result<T, Over>;

impl Socket {
    pub(super) fn new(app: Arc<App>, ws: WebSocket, peer: Peer) -> Self {
        let expires_at = peer.subject.expires_at;
        Self {
            app,
            ws,
            peer,
            expires_at,
            cursor: None,
            settled_at: None,
            heard: Instant::now(),
        }
    }

    /// Serves the socket until it is over. Boxed where it is large: an idle socket should cost
    /// little more than its buffers.
    pub(super) async fn run(mut self) {
        let over = match self.attach().await {
            Ok((session_id, subscription)) => {
                let Err(over) = self.talk(session_id, subscription.turns).await;
                self.app.leave(session_id);
                over
            }
            Err(over) => over,
        };
        if let Over::Close(code, reason) = over {
            self.say_goodbye(code, reason).await;
        }
    }

    /// Finds the session and tells the peer.
    async fn attach(&mut self) -> Step<(SessionId, Subscription)> {
        let user_id = self.peer.subject.user_id;
        let attached = match self.peer.wanted {
            Wanted::New => self.app.attach(user_id, None).await,
            Wanted::Nonsense => Ok(None),
            Wanted::Session(session_id) => self.app.attach(user_id, Some(session_id)).await,
        };
        let attached = match attached {
            Ok(Some(attached)) => attached,
            Ok(None) if self.peer.every_frame => {
                return Err(Over::Close(close::UNKNOWN_SESSION, "no such session"));
            }
            Ok(None) => self
                .app
                .reserve_session(user_id)
                .map_err(|_| Over::Close(close::OVERLOADED, "try again"))?,
            Err(error) => {
                problem::log(&error);
                self.send_error(ErrorFrame::from(&error)).await?;
                return Err(Over::Close(close::OVERLOADED, "try again"));
            }
        };
        // Subscribed before the running turn is looked at: a turn that begins in between is told
        // twice rather than never.
        let mut subscription = self.app.subscribe(attached.session_id);
        let turn = subscription
            .running
            .take()
            .filter(|turn| !turn.ended())
            .map(|turn| turn.running());
        let frame = SessionFrame {
            session_id: attached.session_id,
            resumed: attached.stored,
            turn,
        };
        let sent = self.send(ServerFrame::Session(frame)).await;
        if let Err(over) = sent {
            drop(subscription);
            self.app.leave(attached.session_id);
            return Err(over);
        }
        Ok((attached.session_id, subscription))
    }

    /// The conversation. Ends only by an [`Over`].
    async fn talk(
        &mut self,
        session_id: SessionId,
        mut turns: broadcast::Receiver<Arc<LiveTurn>>,
    ) -> Result<std::convert::Infallible, Over> {
        let period = Duration::from_secs(self.app.config().server.ping_seconds);
        let mut ping = interval_at(Instant::now() + period, period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let draining = self.app.draining().clone();
        let mut told_draining = false;
        loop {
            let settling = self.settled_at.filter(|at| *at > Instant::now());
            if settling.is_none() {
                self.relay().await?;
            }
            if draining.is_cancelled() && !std::mem::replace(&mut told_draining, true) {
                self.send(draining_notice()).await?;
            }
            if told_draining && self.cursor.is_none() && turns.is_empty() {
                return Err(Over::Close(close::RESTARTING, "the server is restarting"));
            }
            tokio::select! {
                biased;
                () = news(self.cursor.as_ref(), settling.or(self.settled_at)) => {}
                turn = turns.recv(), if self.cursor.is_none() => self.follow(turn).await?,
                message = self.ws.recv() => {
                    self.heard = Instant::now();
                    // Large, and seldom: its state is not kept in every idle socket.
                    Box::pin(self.receive(session_id, message)).await?;
                }
                _ = ping.tick() => Box::pin(self.tick(period)).await?,
                () = draining.cancelled(), if !told_draining => {}
            }
        }
    }

    /// Writes what is new in the turn that is followed.
    async fn relay(&mut self) -> Step {
        self.settled_at = None;
        let mut wrote = false;
        while let Some(cursor) = &mut self.cursor {
            let Some(next) = cursor.read() else { break };
            let text = match next {
                Next::Token(json) => json,
                Next::Frame(frame) => frame.to_json(),
                Next::End(frame) => {
                    self.cursor = None;
                    frame.to_json()
                }
            };
            self.feed(text).await?;
            wrote = true;
        }
        if wrote {
            self.flush().await?;
            self.settled_at = self.cursor.is_some().then(|| Instant::now() + SETTLE);
        }
        Ok(())
    }

    /// A turn was accepted in this session, on whichever device.
    async fn follow(&mut self, turn: Result<Arc<LiveTurn>, broadcast::error::RecvError>) -> Step {
        match turn {
            Ok(turn) => {
                // Another device's turn is not for one whose token is void.
                self.check_standing().await?;
                // At once: the model may take its time, and nobody should wonder meanwhile whether
                // the words arrived.
                self.send(turn.accepted()).await?;
                self.cursor = Some(Cursor::new(turn));
                Ok(())
            }
            // The peer took longer for one turn than the session for several.
            Err(_) => Err(Over::Close(
                close::OVERLOADED,
                "too slow: reconnect and resume",
            )),
        }
    }

    /// Time to see whether the peer is still there and still may be.
    async fn tick(&mut self, period: Duration) -> Step {
        if self.heard.elapsed() >= period * 2 {
            return Err(Over::Close(close::IDLE, "nothing was heard for too long"));
        }
        self.check_standing().await?;
        self.feed_message(Message::Ping(Vec::new().into())).await?;
        self.flush().await
    }

    /// Whether the peer's token still holds. An expired one ends only sockets that know how to renew.
    async fn check_standing(&mut self) -> Step {
        let expired = self.peer.every_frame && self.app.now() >= self.expires_at;
        let standing = self.app.check_standing(self.peer.subject).await;
        match standing {
            Err(error) if error.code() == ErrorCode::Unauthorized => Err(Over::Close(
                close::UNAUTHENTICATED,
                "not authenticated any more",
            )),
            // A turn that runs may finish first.
            _ if expired && self.cursor.is_none() => Err(Over::Close(
                close::UNAUTHENTICATED,
                "the access token has expired",
            )),
            _ => Ok(()),
        }
    }

    async fn receive(
        &mut self,
        session_id: SessionId,
        message: Option<Result<Message, axum::Error>>,
    ) -> Step {
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
            // The library answers pings, and a close once it is polled again.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => Ok(()),
            Some(Err(error)) => self.broken(&error).await,
            None => Err(Over::Gone),
        }
    }

    /// The peer broke the protocol, or the connection broke.
    async fn broken(&mut self, error: &axum::Error) -> Step {
        use tokio_tungstenite::tungstenite::Error as Ws;
        let Some(error) = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Ws>())
        else {
            return Err(Over::Gone);
        };
        match error {
            Ws::Capacity(_) => {
                self.peer.linger.ask();
                let limit = self.app.config().limits.message_bytes;
                let error = Error::new(
                    ErrorCode::TooLarge,
                    format!("a message must be at most {limit} bytes"),
                );
                self.send_error(ErrorFrame::from(&error)).await?;
                Err(Over::Close(close::TOO_BIG, "message too big"))
            }
            Ws::Utf8(_) => Err(Over::Close(close::NOT_UTF8, "not UTF-8")),
            Ws::Protocol(_) => Err(Over::Close(1002, "protocol error")),
            _ => Err(Over::Gone),
        }
    }

    async fn handle(&mut self, session_id: SessionId, frame: ClientFrame) -> Step {
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
                let running = self.cursor.as_ref().map(|cursor| Arc::clone(cursor.turn()));
                // Another device's turn can be stopped, too: it is the same person.
                if let Some(turn) = running.or_else(|| self.app.running(session_id)) {
                    turn.stop();
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
    async fn user_input(&mut self, session_id: SessionId, message: UserMessage) -> Step {
        let assessment = self.app.assess(&message.user_input);
        let safety = self.app.safety(&message.user_input, &assessment);
        if let Err(over) = self.check_standing().await {
            if let Some(safety) = safety {
                self.send(ServerFrame::Safety { safety }).await?;
            }
            return Err(over);
        }
        let received = message.received;
        let said = match self.parse(session_id, message, assessment) {
            Ok(say) => self
                .app
                .say(self.peer.subject.user_id, say)
                .await
                .map_err(|error| (stored_after(&error), error)),
            Err(error) => Err((Some(false), error)),
        };
        match said {
            // The turn comes back by the subscription, as to every device of the session.
            Ok(Said::Started(_)) => Ok(()),
            Ok(Said::Running(turn)) => {
                self.feed(turn.accepted().to_json()).await?;
                self.continue_running(turn, received).await
            }
            Ok(Said::Stored(step)) => {
                self.feed(accepted(&step).to_json()).await?;
                self.replay(&step, received.unwrap_or(0)).await
            }
            Err((stored, error)) => {
                if let Some(safety) = safety {
                    self.feed(ServerFrame::Safety { safety }.to_json()).await?;
                }
                self.refuse(&error, stored).await
            }
        }
    }

    fn parse(
        &self,
        session_id: SessionId,
        message: UserMessage,
        assessment: Assessment,
    ) -> crate::domain::Result<Say> {
        let most = self.app.config().limits.input_bytes;
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

    async fn resume(&mut self, session_id: SessionId, resume: Resume) -> Step {
        match self
            .app
            .find_turn(self.peer.subject.user_id, session_id, resume.step_id)
            .await
        {
            Ok(Found::Running(turn)) => self.continue_running(turn, Some(resume.received)).await,
            Ok(Found::Stored(step)) => self.replay(&step, resume.received).await,
            Err(error) => self.refuse(&error, None).await,
        }
    }

    /// Follows a running turn from the place that the peer names. Without a place, a turn that is
    /// followed already goes on as it does.
    async fn continue_running(&mut self, turn: Arc<LiveTurn>, received: Option<u64>) -> Step {
        let followed = self
            .cursor
            .as_ref()
            .is_some_and(|cursor| Arc::ptr_eq(cursor.turn(), &turn));
        if followed && received.is_none() {
            return self.flush().await;
        }
        let step_id = turn.step_id;
        let (cursor, from) = Cursor::after(turn, received.unwrap_or(0));
        self.cursor = Some(cursor);
        self.send(resumed(
            step_id,
            from,
            crate::domain::step::StepStatus::Pending,
        ))
        .await
    }

    /// Tells a stored turn again.
    async fn replay(&mut self, step: &EmotionStep, received: u64) -> Step {
        if self
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.turn().step_id != step.step_id)
        {
            let error = Error::new(
                ErrorCode::TurnInProgress,
                "resume it when the running turn has ended",
            )
            .retry_after(1);
            return self.refuse(&error, None).await;
        }
        self.cursor = None;
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

    async fn renew(&mut self, auth: Auth) -> Step {
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

    async fn refuse(&mut self, error: &Error, stored: Option<bool>) -> Step {
        problem::log(error);
        self.send_error(ErrorFrame {
            stored,
            ..ErrorFrame::from(error)
        })
        .await
    }

    async fn send_error(&mut self, error: ErrorFrame) -> Step {
        self.send(ServerFrame::Error { error }).await
    }

    async fn send(&mut self, frame: ServerFrame) -> Step {
        self.feed(frame.to_json()).await?;
        self.flush().await
    }

    async fn feed(&mut self, json: String) -> Step {
        self.feed_message(Message::Text(json.into())).await
    }

    /// Hands a message to the library, which writes when it has enough.
    async fn feed_message(&mut self, message: Message) -> Step {
        let slow = Duration::from_secs(self.app.config().server.slow_client_seconds);
        let mut feed = self.ws.feed(message);
        // No timer where there is nothing to wait for, which is nearly always.
        if let Some(fed) = (&mut feed).now_or_never() {
            return fed.map_err(|_| Over::Gone);
        }
        match timeout(slow, feed).await {
            Ok(fed) => fed.map_err(|_| Over::Gone),
            Err(_) => Err(Over::Close(
                close::OVERLOADED,
                "too slow: reconnect and resume",
            )),
        }
    }

    async fn flush(&mut self) -> Step {
        let slow = Duration::from_secs(self.app.config().server.slow_client_seconds);
        let mut flush = self.ws.flush();
        if let Some(flushed) = (&mut flush).now_or_never() {
            return flushed.map_err(|_| Over::Gone);
        }
        match timeout(slow, flush).await {
            Ok(flushed) => flushed.map_err(|_| Over::Gone),
            Err(_) => Err(Over::Close(
                close::OVERLOADED,
                "too slow: reconnect and resume",
            )),
        }
    }

    /// Closes, and waits a moment for the peer to do so too.
    async fn say_goodbye(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let goodbye = async {
            if self.ws.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.ws.recv().await {}
            }
        };
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }
}

/// Waits for news of the turn that is followed, but not before they may be told; for ever when no
/// turn is followed.
async fn news(cursor: Option<&Cursor>, settled_at: Option<Instant>) {
    let Some(cursor) = cursor else {
        return std::future::pending().await;
    };
    if let Some(settled_at) = settled_at.filter(|at| *at > Instant::now()) {
        tokio::time::sleep_until(settled_at).await;
    }
    cursor.changed().await;
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

fn draining_notice() -> ServerFrame {
    ServerFrame::Notice {
        notice: Notice {
            code: NOTICE_DRAINING.to_owned(),
            message: "the server restarts in a moment: reconnect and resume".to_owned(),
        },
    }
}
