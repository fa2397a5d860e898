//! Everything that the terminal client knows.
//!
//! Owns [`Model`]. Changed by the update only, shown by the view. Invariant: it is plain data;
//! with the same messages in the same order it comes to the same state.

use super::Login;
use super::chat::Chat;
use super::form::Form;
use super::link::LinkId;
use super::msg::Effect;
use super::texts::Texts;
use crate::domain::prompt::Language;
use crate::domain::{SessionId, Timestamp};
use crate::wire::insight::FlowBody;
use crate::wire::rest::SessionBody;
use jiff::tz::TimeZone;
use std::time::Duration;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    Form,
    Sessions,
    Chat,
}

/// What lies over the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlay {
    Help,
    /// Asks whether to end this session.
    End(SessionId),
    /// How this session felt.
    Flow(SessionId),
}

/// How a line above the input is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Info,
    Error,
    /// The connection does not stand; over when it does.
    Connection,
}

/// A line above the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Banner {
    pub(super) text: String,
    pub(super) tone: Tone,
    until: Timestamp,
}

/// The list of sessions.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Newest first; `None` until they are known.
    pub(super) sessions: Option<Vec<SessionBody>>,
    /// 0 is a new session, the others follow.
    pub(super) selected: usize,
}

impl List {
    /// The session under the cursor.
    pub(super) fn chosen(&self) -> Option<&SessionBody> {
        self.sessions.as_ref()?.get(self.selected.checked_sub(1)?)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        1 + self.sessions.as_ref().map_or(0, Vec::len)
    }
}

/// How the renewal of the login stands.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// Whether an answer is awaited.
    pub(super) asked: bool,
    /// When the last one succeeded.
    pub(super) done: Option<Timestamp>,
    /// What was refused because the token had ended: to be done once it is renewed, or done again since.
    pub(super) redo: Vec<Effect>,
    /// Whether the connection was, too.
    pub(super) reconnect: bool,
}

/// The whole state.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) texts: &'static Texts,
    pub(super) zone: TimeZone,
    /// Where the server is.
    pub(super) host: String,
    /// What is to be said about a server in this same process.
    pub(super) local: Option<String>,
    /// The session to open after the login.
    pub(super) wanted: Option<SessionId>,
    pub(super) now: Timestamp,
    pub(super) size: (u16, u16),
    pub(super) login: Option<Login>,
    pub(super) renewal: Renewal,
    pub(super) screen: Screen,
    pub(super) form: Form,
    pub(super) list: List,
    pub(super) chat: Option<Chat>,
    pub(super) overlay: Option<Overlay>,
    /// What [`Overlay::Flow`] shows, once it is known.
    pub(super) flow: Option<FlowBody>,
    pub(super) banner: Option<Banner>,
    /// What is to be said in the next conversation.
    pub(super) draft: String,
    pub(super) link_id: LinkId,
    /// Until when a second Ctrl+C quits.
    pub(super) quit_armed: Option<Timestamp>,
    pub(super) quit: bool,
}

impl Model {
    pub(super) fn new(language: Language, zone: TimeZone, host: String, now: Timestamp) -> Self {
        Self {
            texts: Texts::of(language),
            zone,
            host,
            local: None,
            wanted: None,
            now,
            size: (80, 24),
            login: None,
            renewal: Renewal::default(),
            screen: Screen::Form,
            form: Form::new(None),
            list: List::default(),
            chat: None,
            overlay: None,
            flow: None,
            banner: None,
            draft: String::new(),
            link_id: LinkId::default(),
            quit_armed: None,
            quit: false,
        }
    }

    /// Says something in passing.
    pub(super) fn tell(&mut self, text: impl Into<String>) {
        self.show(text.into(), Tone::Info, Duration::from_secs(6));
    }

    /// Says what did not work.
    pub(super) fn complain(&mut self, text: impl Into<String>) {
        self.show(text.into(), Tone::Error, Duration::from_secs(20));
    }

    /// Says why there is no connection.
    pub(super) fn miss(&mut self, text: impl Into<String>) {
        self.show(text.into(), Tone::Connection, Duration::from_mins(1));
    }

    /// The connection stands.
    pub(super) fn found(&mut self) {
        self.banner = self
            .banner
            .take()
            .filter(|banner| banner.tone != Tone::Connection);
    }

    /// What was said in passing has had its time: things have moved on.
    pub(super) fn moved_on(&mut self) {
        self.banner = self
            .banner
            .take()
            .filter(|banner| banner.tone != Tone::Info);
    }

    fn show(&mut self, text: String, tone: Tone, time: Duration) {
        let until = self.now.plus(time);
        self.banner = Some(Banner { text, tone, until });
    }

    /// Moves the clock on and forgets what has had its time.
    pub(super) fn at(&mut self, now: Timestamp) {
        self.now = now;
        self.banner = self.banner.take().filter(|banner| banner.until > now);
        self.quit_armed = self.quit_armed.filter(|until| *until > now);
    }

    /// A time of day here, with the date when that is not today's.
    pub(super) fn time(&self, at: Timestamp) -> String {
        let (at, now) = (self.zoned(at), self.zoned(self.now));
        let time = at.strftime("%H:%M");
        if at.date() == now.date() {
            time.to_string()
        } else {
            format!("{} {time}", at.strftime(self.texts.date()))
        }
    }

    fn zoned(&self, at: Timestamp) -> jiff::Zoned {
        jiff::Timestamp::from_microsecond(at.as_micros())
            .unwrap_or_default()
            .to_zoned(self.zone.clone())
    }
}

/// How an id is shown where a whole one is too long: by its last digits, as the first are a time.
pub(super) fn short(session_id: SessionId) -> String {
    let id = session_id.0.simple().to_string();
    format!("#{}", &id[id.len().saturating_sub(6)..])
}
