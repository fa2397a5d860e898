//! A socket of `/ws/emotion` while it is open.
//!
//! Owns the conversation with one peer. A socket is only a window on the turns of its session: it
//! reads them by a cursor and may go at any time. Invariants: one frame of a turn at a time and in
//! its order; nothing is queued here beside the turn itself; every write has a deadline.

mod frames;
mod write;

use super::linger::Linger;
use super::problem;
use crate::auth::token::Subject;
use crate::domain::{Error, ErrorCode, SessionId, StepId, Timestamp};
use crate::service::App;
use crate::service::live::{Cursor, LiveTurn, Next, Subscription};
use crate::service::login::Revoked;
use crate::service::session::Attached;
use crate::wire::ws::{ErrorFrame, NOTICE_DRAINING, Notice, ServerFrame, SessionFrame, close};
use axum::extract::ws::{Message, WebSocket};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

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
    /// The turn that was last told out of its order: in the first frame, or on the peer's own wish.
    told: Option<StepId>,
    /// Whether the peer has ended the session.
    ended: bool,
    /// Until when tokens are collected after some were sent.
    settled_at: Option<Instant>,
    heard: Instant,
    pace: Pace,
    /// When the peer has been silent for too long; set once that is nearer than the next ping.
    silent_at: Option<Instant>,
}

/// How fast one peer may send frames of any kind.
type Pace = DefaultDirectRateLimiter;

/// Frames that a peer may send a minute. A person's messages have a limit of their own; what comes on
/// top of them is pings, resumes and stops, of which no client needs ten a second.
const FRAMES_A_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();

/// Tokens that come within this time of the ones before go out together. A model that streams at
/// reading speed leaves more time between two tokens, so each of its tokens is sent at once; one
/// that is faster costs a write every few milliseconds instead of one a token.
const SETTLE: Duration = Duration::from_millis(5);

/// How long a socket whose token has become void may take to bring a new one: the person who changed
/// the password has it, somebody else has not (the fault table allows 5 s).
const RENEWAL: Duration = Duration::from_secs(3);

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
            told: None,
            ended: false,
            settled_at: None,
            heard: Instant::now(),
            pace: RateLimiter::direct(Quota::per_minute(FRAMES_A_MINUTE)),
            silent_at: None,
        }
    }

    /// Serves the socket until it is over. Boxed where it is large: an idle socket should cost
    /// little more than its buffers.
    pub(super) async fn run(mut self) {
        let _open = self.app.meters().sockets.hold();
        let over = match self.attach().await {
            Ok((session_id, subscription)) => {
                let Err(over) = self.talk(session_id, subscription).await;
                self.app.leave(session_id);
                over
            }
            Err(over) => over,
        };
        let closes = &self.app.meters().closes;
        match over {
            Over::Gone => closes.add(None),
            Over::Close(code, reason) => {
                closes.add(Some(code));
                self.say_goodbye(code, reason).await;
            }
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
        // Subscribed before the running turn is looked at: none that begins in between is missed.
        let subscription = self.app.subscribe(user_id, attached.session_id);
        let told = self.tell_where_it_stands(attached).await;
        if let Err(over) = told {
            drop(subscription);
            self.app.leave(attached.session_id);
            return Err(over);
        }
        Ok((attached.session_id, subscription))
    }

    /// The first frame: which session it is, and which turn runs in it, wherever it runs.
    async fn tell_where_it_stands(&mut self, attached: Attached) -> Step {
        let user_id = self.peer.subject.user_id;
        let running = match self.app.look(user_id, attached).await {
            Ok(running) => running,
            Err(error) => {
                problem::log(&error);
                self.send_error(ErrorFrame::from(&error)).await?;
                return Err(Over::Close(close::OVERLOADED, "try again"));
            }
        };
        let running = running.filter(|turn| !turn.ended());
        // Its news may come yet, to an instance that does not run it. Who was told of it here goes on from
        // what they have: an `accepted` would begin it anew.
        self.told = running.as_ref().map(|turn| turn.step_id);
        let turn = running.map(|turn| turn.running());
        let frame = SessionFrame {
            session_id: attached.session_id,
            resumed: attached.stored,
            turn,
        };
        self.send(ServerFrame::Session(frame)).await
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
        let mut doubted = None;
        let mut revocations = self.app.revocations();
        loop {
            let settling = self.settled_at.filter(|at| *at > Instant::now());
            if settling.is_none() {
                self.relay().await?;
            }
            if draining.is_cancelled() && !std::mem::replace(&mut told_draining, true) {
                self.send(draining_notice()).await?;
            }
            if told_draining && !self.follows_a_turn_of_here() && turns.is_empty() {
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
                revoked = revocations.recv() => {
                    // One that missed some does not know whether it was meant.
                    let others = |revoked| matches!(revoked, Revoked::Of(user_id) if user_id != self.peer.subject.user_id);
                    if !revoked.is_ok_and(others) {
                        // What is told twice is not waited for twice.
                        doubted.get_or_insert_with(|| Instant::now() + RENEWAL);
                    }
                }
                () = passed(doubted) => {
                    doubted = None;
                    // What was being read when the news came may be from before.
                    self.app.look_again(self.peer.subject.user_id);
                    self.check_standing().await?;
                }
                () = passed(self.silent_at) => self.check_silence(period)?,
                _ = ping.tick() => Box::pin(self.tick(period)).await?,
                () = draining.cancelled(), if !told_draining => {}
            }
        }
    }

    /// Whether the turn that is followed ends if this instance does.
    fn follows_a_turn_of_here(&self) -> bool {
        self.cursor
            .as_ref()
            .is_some_and(|cursor| !cursor.turn().elsewhere)
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
            // It was asked for and told before its news came.
            Ok(turn) if self.told == Some(turn.step_id) => Ok(()),
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

    /// A peer is over once it was silent for two periods. Pings alone would find that out up to a
    /// period later, for a pong comes just after its ping.
    fn check_silence(&mut self, period: Duration) -> Step {
        let (now, silent_at) = (Instant::now(), self.heard + period * 2);
        if silent_at <= now {
            return Err(Over::Close(close::IDLE, "nothing was heard for too long"));
        }
        self.silent_at = (silent_at <= now + period).then_some(silent_at);
        Ok(())
    }

    /// Time to see whether the peer is still there and still may be.
    async fn tick(&mut self, period: Duration) -> Step {
        self.check_silence(period)?;
        self.check_standing().await?;
        self.feed_message(Message::Ping(Vec::new().into())).await?;
        self.flush().await
    }

    /// Whether the peer's token still holds. An expired one ends only sockets that know how to renew.
    async fn check_standing(&mut self) -> Step {
        self.standing().await.map(drop)
    }

    /// The same; the error of a database that did not say.
    async fn standing(&mut self) -> Step<Option<Error>> {
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
            standing => Ok(standing.err()),
        }
    }
}

/// Waits until then; for ever without a time.
async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for news of the turn that is followed, but not before they may be told; for ever when no
/// turn is followed.
async fn news(cursor: Option<&Cursor>, settled_at: Option<Instant>) {
    let Some(cursor) = cursor else {
        return std::future::pending().await;
    };
    cursor.changed().await;
    // Slept only when there is something to collect: at reading speed no timer is ever set.
    if let Some(settled_at) = settled_at.filter(|at| *at > Instant::now()) {
        tokio::time::sleep_until(settled_at).await;
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
