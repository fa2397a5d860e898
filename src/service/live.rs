//! Turns while they run, and who watches them.
//!
//! Owns [`LiveTurn`], the answer as it grows, [`Cursor`], one reader's place in it, and
//! [`sessions`], which tells the sockets of a session about its next turn. Called by the turn that
//! writes, or that copies what another instance writes, and by the sockets that read. Invariants:
//! the answer only grows; a reader is only an offset, so a slow one costs nothing but its place and
//! gets merged tokens; a turn has exactly one end.

pub(super) mod sessions;

pub use sessions::Subscription;

use crate::domain::step::MessageId;
use crate::domain::{SessionId, StepId, Timestamp, UserId};
use crate::wire::ws::{Accepted, RunningTurn, ServerFrame};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long another instance's word that somebody there reads along holds.
const WATCHED: Duration = Duration::from_secs(10);

/// A turn from the commit of its words to the commit of its answer.
#[derive(Debug)]
pub struct LiveTurn {
    /// The step it makes.
    pub step_id: StepId,
    /// The session it is in.
    pub session_id: SessionId,
    /// Whose session that is.
    pub user_id: UserId,
    /// Its place there.
    pub step_order: i64,
    /// The client's name for the message.
    pub message_id: Option<MessageId>,
    /// The person's words.
    pub user_input: String,
    /// When they were stored.
    pub created_at: Timestamp,
    /// Whether another instance runs it: then this is a copy of what is stored.
    pub elsewhere: bool,
    log: Mutex<Log>,
    changed: Notify,
    stop: CancellationToken,
    /// For who stores what there is, or copies what is stored: now is a good time.
    nudged: Notify,
    watched: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Log {
    text: String,
    chars: u64,
    /// Frames between the tokens, by the byte before which they belong.
    frames: Vec<(usize, ServerFrame)>,
    end: Option<ServerFrame>,
}

/// What makes a [`LiveTurn`].
#[derive(Debug)]
pub struct Started {
    /// The step.
    pub step_id: StepId,
    /// Its session.
    pub session_id: SessionId,
    /// Whose session that is.
    pub user_id: UserId,
    /// Its place there.
    pub step_order: i64,
    /// The client's name for the message.
    pub message_id: Option<MessageId>,
    /// The person's words.
    pub user_input: String,
    /// When they were stored.
    pub created_at: Timestamp,
}

impl LiveTurn {
    pub(super) fn new(started: Started, elsewhere: bool) -> Self {
        let Started {
            step_id,
            session_id,
            user_id,
            step_order,
            message_id,
            user_input,
            created_at,
        } = started;
        Self {
            step_id,
            session_id,
            user_id,
            step_order,
            message_id,
            user_input,
            created_at,
            elsewhere,
            log: Mutex::default(),
            changed: Notify::new(),
            stop: CancellationToken::new(),
            nudged: Notify::new(),
            watched: Mutex::default(),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds text to the answer.
    pub(super) fn say(&self, text: &str) {
        let mut log = self.log();
        log.text.push_str(text);
        log.chars += text.chars().count() as u64;
        drop(log);
        self.changed.notify_waiters();
    }

    /// Adds a frame after the text so far.
    pub(super) fn tell(&self, frame: ServerFrame) {
        let mut log = self.log();
        let at = log.text.len();
        log.frames.push((at, frame));
        drop(log);
        self.changed.notify_waiters();
    }

    /// Ends the turn; a second end is ignored.
    pub(super) fn end(&self, frame: ServerFrame) {
        let mut log = self.log();
        if log.end.is_none() {
            log.end = Some(frame);
        }
        drop(log);
        self.changed.notify_waiters();
    }

    /// The answer so far.
    pub(super) fn text(&self) -> String {
        self.log().text.clone()
    }

    /// The size of the answer so far, in bytes.
    pub(super) fn text_len(&self) -> usize {
        self.log().text.len()
    }

    /// Asks the turn to end with what it has.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Says that there may be something to store, or to copy.
    pub(super) fn nudge(&self) {
        self.nudged.notify_one();
    }

    /// Fires once after one or more calls of [`Self::nudge`].
    pub(super) async fn nudged(&self) {
        self.nudged.notified().await;
    }

    /// Somebody on another instance reads along.
    pub(super) fn watch(&self) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        *watched = Some(Instant::now() + WATCHED);
        drop(watched);
        self.nudge();
    }

    /// Whether somebody on another instance reads along, or did lately.
    pub(super) fn watched(&self) -> bool {
        let watched = *self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.is_some_and(|until| until > Instant::now())
    }

    /// Brings a copy to the text that is stored by now. `false` when that does not go on where the
    /// copy is, which would be a defect.
    pub(super) fn copy(&self, stored: &str) -> bool {
        let mut log = self.log();
        let Some(new) = stored.strip_prefix(log.text.as_str()) else {
            // What was read earlier may arrive later.
            return log.text.starts_with(stored);
        };
        if !new.is_empty() {
            log.chars += new.chars().count() as u64;
            log.text.push_str(new);
            drop(log);
            self.changed.notify_waiters();
        }
        true
    }

    /// Waits until the answer has this many code points, or has ended.
    pub(super) async fn grown_to(&self, chars: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let log = self.log();
                if log.chars >= chars || log.end.is_some() {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Fires when somebody asked the turn to end.
    pub(super) fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether the turn has ended.
    pub fn ended(&self) -> bool {
        self.log().end.is_some()
    }

    /// Waits until the turn has ended; the frame that ended it.
    pub async fn wait(&self) -> ServerFrame {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(end) = &self.log().end {
                return end.clone();
            }
            changed.await;
        }
    }

    /// The frame that tells every device that the words are stored.
    pub fn accepted(&self) -> ServerFrame {
        ServerFrame::Accepted {
            accepted: Accepted {
                step_id: self.step_id,
                step_order: self.step_order,
                message_id: self.message_id.as_ref().map(|id| id.as_str().to_owned()),
                user_input: self.user_input.clone(),
                created_at: self.created_at,
            },
        }
    }

    /// How the turn stands, for a socket that attaches while it runs.
    pub fn running(&self) -> RunningTurn {
        RunningTurn {
            step_id: self.step_id,
            step_order: self.step_order,
            message_id: self.message_id.as_ref().map(|id| id.as_str().to_owned()),
            chars: self.log().chars,
        }
    }
}

/// One reader's place in a turn.
#[derive(Debug)]
pub struct Cursor {
    turn: Arc<LiveTurn>,
    byte: usize,
    frame: usize,
    over: bool,
}

/// What a reader gets next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// The JSON of a `token` frame with all the text there is.
    Token(String),
    /// A frame between the tokens.
    Frame(ServerFrame),
    /// The end; nothing follows.
    End(ServerFrame),
}

impl Cursor {
    /// A reader that gets everything.
    pub fn new(turn: Arc<LiveTurn>) -> Self {
        Self {
            turn,
            byte: 0,
            frame: 0,
            over: false,
        }
    }

    /// A reader that has `received` code points already; the code points it starts after. That is 0
    /// when there are not as many: then the reader replaces what it has.
    pub fn after(turn: Arc<LiveTurn>, received: u64) -> (Self, u64) {
        let (byte, from, frame) = {
            let log = turn.log();
            match offset(&log.text, received) {
                // Frames before the place were seen; one at the very start is told again, it costs
                // nothing and may be the one that matters.
                Some(byte) => (
                    byte,
                    received,
                    log.frames
                        .iter()
                        .filter(|(at, _)| *at < byte && byte > 0)
                        .count(),
                ),
                None => (0, 0, 0),
            }
        };
        (
            Self {
                turn,
                byte,
                frame,
                over: false,
            },
            from,
        )
    }

    /// The turn that is read.
    pub fn turn(&self) -> &Arc<LiveTurn> {
        &self.turn
    }

    /// What is new, or `None` for now. Text that came in pieces is taken together.
    pub fn read(&mut self) -> Option<Next> {
        if self.over {
            return None;
        }
        let log = self.turn.log();
        let frame = log.frames.get(self.frame);
        let until = frame.map_or(log.text.len(), |(at, _)| *at).max(self.byte);
        if let Some(text) = log
            .text
            .get(self.byte..until)
            .filter(|text| !text.is_empty())
        {
            self.byte = until;
            return Some(Next::Token(crate::wire::ws::token_json(text)));
        }
        if let Some((_, frame)) = frame {
            self.frame += 1;
            return Some(Next::Frame(frame.clone()));
        }
        let end = log.end.clone()?;
        self.over = true;
        Some(Next::End(end))
    }

    /// Waits until [`Self::read`] has something.
    pub async fn changed(&self) {
        loop {
            let mut changed = std::pin::pin!(self.turn.changed.notified());
            changed.as_mut().enable();
            if self.over || self.has_next() {
                return;
            }
            changed.await;
        }
    }

    fn has_next(&self) -> bool {
        let log = self.turn.log();
        log.text.len() > self.byte || log.frames.len() > self.frame || log.end.is_some()
    }
}

/// The byte after `chars` code points, if there are as many.
pub fn offset(text: &str, chars: u64) -> Option<usize> {
    let chars = usize::try_from(chars).ok()?;
    text.char_indices()
        .map(|(byte, _)| byte)
        .chain([text.len()])
        .nth(chars)
}

#[cfg(test)]
mod tests;
