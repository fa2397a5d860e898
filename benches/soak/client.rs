//! The people: they talk, lose their connections, come back, and write down what they were told.

use crate::dice::Dice;
use crate::model::Wish;
use crate::watcher::{self, Watched};
use deepme::client::{Client, ConnectOptions, Event, Socket};
use deepme::domain::step::StepStatus;
use deepme::domain::{SessionId, StepId};
use deepme::wire::ws::{ClientFrame, ErrorFrame, Resume, ServerFrame, UserMessage};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Nothing takes so long: a turn may take 30 s here, and a socket hears a ping every 30 s.
const SILENCE: Duration = Duration::from_secs(45);
/// Times that a turn is tried to be heard to its end.
const TRIES: usize = 60;

/// A turn as its person heard it.
pub(crate) struct Heard {
    pub(crate) message_id: String,
    /// The step that was acknowledged; `None` where nothing was, to the end.
    pub(crate) step_id: Option<StepId>,
    pub(crate) status: Option<StepStatus>,
    pub(crate) text: Print,
}

/// A text that need not be kept: only to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print(u64, usize);

impl Print {
    pub(crate) fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Self(hasher.finish(), text.len())
    }
}

/// A conversation as its person heard it.
pub(crate) struct Session {
    pub(crate) account: usize,
    pub(crate) id: SessionId,
    pub(crate) heard: Vec<Heard>,
    /// What a second device heard of it.
    pub(crate) watched: Vec<Watched>,
}

/// All of them, as they stand.
#[derive(Default)]
pub(crate) struct Crowd {
    /// Turns that were heard to their end.
    pub(crate) turns: AtomicUsize,
    /// Sockets that are open, as far as this end knows.
    pub(crate) sockets: AtomicUsize,
}

/// A socket that is counted while it is open.
pub(crate) struct Line {
    pub(crate) socket: Socket,
    crowd: Arc<Crowd>,
}

impl Line {
    pub(crate) fn new(socket: Socket, crowd: &Arc<Crowd>) -> Self {
        crowd.sockets.fetch_add(1, Ordering::Relaxed);
        Self {
            socket,
            crowd: Arc::clone(crowd),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.crowd.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What happened, by what it is called in the report.
#[derive(Default)]
pub(crate) struct Tally(pub(crate) BTreeMap<String, usize>);

impl Tally {
    pub(crate) fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (what, times) in other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }
}

/// What one client came to.
#[derive(Default)]
pub(crate) struct Lived {
    pub(crate) sessions: Vec<Session>,
    pub(crate) tally: Tally,
    /// What must not happen.
    pub(crate) wrong: Vec<String>,
}

/// Why a turn has to be tried again.
enum Trouble {
    /// The connection is gone.
    Lost,
    /// The server said no for now; seconds to wait.
    Refused(u64),
}

/// What somebody does in the middle of an answer.
#[derive(Clone, Copy)]
enum Whim {
    /// Loses the connection.
    Lose,
    /// Has heard enough.
    Stop,
    /// Sends the message again, on the same socket.
    Again,
    /// Does not read for a while.
    Nap,
}

/// An answer while it is read.
struct Reader {
    message_id: String,
    words: String,
    text: String,
    step_id: Option<StepId>,
    status: Option<StepStatus>,
    /// Whether it was said, as far as its person knows.
    said: bool,
    stopped: bool,
    whims: usize,
}

/// Somebody who talks.
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) account: usize,
    pub(crate) number: u64,
    pub(crate) dice: Dice,
    pub(crate) crowd: Arc<Crowd>,
    socket: Option<Line>,
    session_id: Option<SessionId>,
    said: u64,
    lived: Lived,
}

impl Person {
    pub(crate) fn new(
        client: Client,
        account: usize,
        number: usize,
        seed: u64,
        crowd: Arc<Crowd>,
    ) -> Self {
        let number = number as u64;
        Self {
            client,
            account,
            number,
            dice: Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number)),
            crowd,
            socket: None,
            session_id: None,
            said: 0,
            lived: Lived::default(),
        }
    }

    /// Talks until then, and hears the last answer out.
    pub(crate) async fn live(mut self, until: Instant) -> Lived {
        // People do not begin in step.
        self.wait(4000).await;
        while Instant::now() < until {
            Box::pin(self.conversation(until)).await;
        }
        self.lived
    }

    async fn wait(&mut self, most_ms: usize) {
        let ms = self.dice.below(most_ms);
        sleep(Duration::from_millis(ms as u64)).await;
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.dice.below(many) == 0
    }

    async fn conversation(&mut self, until: Instant) {
        self.session_id = None;
        self.socket = None;
        // Some become longer than what a model reads.
        let turns = if self.one_in(40) {
            60
        } else {
            1 + self.dice.below(10)
        };
        let mut heard = Vec::new();
        let mut watcher = None;
        for _ in 0..turns {
            if Instant::now() >= until {
                break;
            }
            if watcher.is_none()
                && let Some(session_id) = self.session_id
                && self.one_in(20)
            {
                let nap = [0, 0, 500, 2000][self.dice.below(4)];
                watcher = watcher::start(&self.client, &self.crowd, session_id, nap).await;
                self.lived.tally.count("second devices");
            }
            heard.push(self.turn().await);
            self.crowd.turns.fetch_add(1, Ordering::Relaxed);
            self.wait(8000).await;
        }
        if let Some(mut line) = self.socket.take()
            && self.one_in(3)
        {
            let _ = line.socket.send(&ClientFrame::End).await;
            self.lived.tally.count("sessions ended");
        }
        let watched = match watcher {
            Some(watcher) => watcher.end(&mut self.lived).await,
            None => Vec::new(),
        };
        if let Some(session_id) = self.session_id {
            self.lived.sessions.push(Session {
                account: self.account,
                id: session_id,
                heard,
                watched,
            });
        }
    }

    /// Says something, and hears the answer to its end, whatever comes between.
    async fn turn(&mut self) -> Heard {
        self.said += 1;
        let wish = Wish::throw(&mut self.dice, self.number * 1_000_000 + self.said);
        let mut reader = Reader {
            message_id: format!("{}-{}", self.number, self.said),
            words: wish.words(),
            text: String::new(),
            step_id: None,
            status: None,
            said: false,
            stopped: false,
            whims: 0,
        };
        let mut tries = 0;
        while tries < TRIES && reader.status.is_none() {
            tries += 1;
            match self.attempt(&mut reader).await {
                Ok(()) => self.settle().await,
                Err(Trouble::Lost) => {
                    self.socket = None;
                    self.wait(1500).await;
                }
                Err(Trouble::Refused(seconds)) => {
                    sleep(Duration::from_secs(seconds)).await;
                    self.wait(500).await;
                }
            }
        }
        self.judge(&reader, &wish);
        Heard {
            message_id: reader.message_id,
            step_id: reader.step_id,
            status: reader.status,
            text: Print::of(&reader.text),
        }
    }

    /// Whether what was told can be right.
    fn judge(&mut self, reader: &Reader, wish: &Wish) {
        let answer = wish.answer();
        let wrong = match reader.status {
            None => Some("was never heard to its end"),
            Some(StepStatus::Complete) if reader.text != answer => Some("is not the answer"),
            Some(StepStatus::Pending) => Some("ended as pending"),
            _ if !answer.starts_with(&reader.text) => Some("is not the beginning of the answer"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let length = reader.text.len();
            self.wrong(format!("{} ({length} bytes) {wrong}", reader.message_id));
        }
        let status = reader.status.map_or("unheard", StepStatus::as_str);
        self.lived.tally.count(format!("turns {status}"));
    }

    fn wrong(&mut self, what: String) {
        self.lived.wrong.push(what);
    }

    async fn connect(&mut self) -> Result<Line, Trouble> {
        let options = ConnectOptions {
            session_id: self.session_id,
            ..ConnectOptions::default()
        };
        let mut line = match self.client.connect(&options).await {
            Ok(socket) => Line::new(socket, &self.crowd),
            Err(error) => {
                let status = error.status().unwrap_or(0);
                self.lived
                    .tally
                    .count(format!("connecting failed ({status})"));
                return Err(Trouble::Lost);
            }
        };
        match timeout(SILENCE, line.socket.next()).await {
            Ok(Event::Frame(ServerFrame::Session(session))) => {
                if self.session_id.is_some_and(|id| id != session.session_id) {
                    self.wrong(format!("{} was given another session", self.number));
                }
                self.session_id = Some(session.session_id);
                Ok(line)
            }
            _ => Err(Trouble::Lost),
        }
    }

    /// Connects when there is no connection, says the words or asks for the rest, and listens.
    async fn attempt(&mut self, reader: &mut Reader) -> Result<(), Trouble> {
        let mut line = match self.socket.take() {
            Some(line) => line,
            None => self.connect().await?,
        };
        let frame = self.asks(reader);
        line.socket.send(&frame).await.map_err(|_| Trouble::Lost)?;
        reader.said = true;
        let outcome = self.listen(&mut line.socket, reader).await;
        if !matches!(outcome, Err(Trouble::Lost)) {
            self.socket = Some(line);
        }
        outcome
    }

    /// The words at first. Afterwards, who was told that they arrived may as well ask for the rest.
    fn asks(&mut self, reader: &Reader) -> ClientFrame {
        let received = reader.text.chars().count() as u64;
        let kind = self.dice.below(4);
        if let Some(step_id) = reader.step_id
            && kind < 2
        {
            self.lived.tally.count("resumed");
            let step_id = (kind == 0).then_some(step_id);
            return ClientFrame::Resume(Resume { step_id, received });
        }
        if reader.said {
            self.lived.tally.count("message_id sent again");
        }
        ClientFrame::UserInput(UserMessage {
            user_input: reader.words.clone(),
            message_id: Some(reader.message_id.clone()),
            received: Some(received),
            ..UserMessage::default()
        })
    }

    /// What comes to somebody's mind, and after how many bytes of the answer.
    fn whim(&mut self, reader: &mut Reader) -> Option<(Whim, usize)> {
        let whim = match self.dice.below(100) {
            _ if reader.whims == 3 => return None,
            0..20 => Whim::Lose,
            20..25 => Whim::Stop,
            25..30 => Whim::Again,
            30..40 => Whim::Nap,
            _ => return None,
        };
        reader.whims += 1;
        // Now, or later in the answer.
        let at = if self.one_in(4) {
            0
        } else {
            reader.text.len() + self.dice.below(800)
        };
        Some((whim, at))
    }

    async fn listen(&mut self, socket: &mut Socket, reader: &mut Reader) -> Result<(), Trouble> {
        let mut whim = self.whim(reader);
        let slow = self.number.is_multiple_of(10);
        loop {
            if let Some((now, _)) = whim.take_if(|(_, at)| reader.text.len() >= *at) {
                self.indulge(now, socket, reader).await?;
            }
            if slow {
                sleep(Duration::from_millis(50)).await;
            }
            match timeout(SILENCE, socket.next()).await {
                Ok(Event::Frame(frame)) => self.hear(frame, reader)?,
                Ok(Event::Closed(code, _)) => {
                    self.lived
                        .tally
                        .count(format!("closed by the server ({code})"));
                    return Err(Trouble::Lost);
                }
                Ok(Event::Unknown(_)) => self.wrong("an unknown frame".to_owned()),
                Err(_) => {
                    self.wrong(format!("{} heard nothing for too long", reader.message_id));
                    return Err(Trouble::Lost);
                }
            }
            if reader.status.is_some() {
                return Ok(());
            }
        }
    }

    async fn indulge(
        &mut self,
        whim: Whim,
        socket: &mut Socket,
        reader: &mut Reader,
    ) -> Result<(), Trouble> {
        match whim {
            Whim::Lose => {
                self.lived.tally.count("connections lost on purpose");
                // What came last may not have been shown.
                let have = reader.text.chars().count();
                if self.one_in(3) {
                    let seen = self.dice.below(have + 1);
                    reader.text = reader.text.chars().take(seen).collect();
                }
                return Err(Trouble::Lost);
            }
            Whim::Stop => {
                self.lived.tally.count("stops");
                reader.stopped = true;
                let _ = socket.send(&ClientFrame::Stop).await;
            }
            Whim::Again => {
                self.lived.tally.count("message_id sent again");
                let _ = socket
                    .send(&ClientFrame::UserInput(UserMessage {
                        user_input: reader.words.clone(),
                        message_id: Some(reader.message_id.clone()),
                        received: Some(reader.text.chars().count() as u64),
                        ..UserMessage::default()
                    }))
                    .await;
            }
            Whim::Nap => {
                self.lived.tally.count("naps");
                self.wait(6000).await;
            }
        }
        Ok(())
    }

    fn hear(&mut self, frame: ServerFrame, reader: &mut Reader) -> Result<(), Trouble> {
        match frame {
            ServerFrame::Accepted { accepted } => {
                let step = *reader.step_id.get_or_insert(accepted.step_id);
                let its = accepted.message_id.as_ref() == Some(&reader.message_id)
                    && accepted.user_input == reader.words;
                if !its || step != accepted.step_id {
                    self.wrong(format!("{} was acknowledged as another", reader.message_id));
                }
            }
            ServerFrame::Resumed { resumed } => {
                let from = usize::try_from(resumed.from).unwrap();
                if Some(resumed.step_id) != reader.step_id || from > reader.text.chars().count() {
                    self.wrong(format!("{} was resumed elsewhere", reader.message_id));
                }
                reader.text = reader.text.chars().take(from).collect();
            }
            ServerFrame::Token { token } => reader.text.push_str(&token),
            ServerFrame::Done(done) => {
                if Some(done.step_id) != reader.step_id {
                    self.wrong(format!("{} ended as another", reader.message_id));
                }
                reader.status = Some(done.status);
            }
            ServerFrame::Error { error } => return self.refused(&error, reader),
            ServerFrame::Notice { notice } => {
                self.lived.tally.count(format!("notice {}", notice.code));
            }
            ServerFrame::Safety { .. } => self.wrong("a safety frame".to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn refused(&mut self, error: &ErrorFrame, reader: &mut Reader) -> Result<(), Trouble> {
        if error.step_id.is_some() && error.step_id == reader.step_id {
            reader.status = Some(StepStatus::Failed);
            return Ok(());
        }
        self.lived.tally.count(format!("refused: {}", error.code));
        match error.code.as_str() {
            // It had ended before.
            "not_found" if reader.stopped => Ok(()),
            "turn_in_progress" | "unavailable" | "overloaded" => {
                Err(Trouble::Refused(error.retry_after.unwrap_or(0).into()))
            }
            code => {
                self.wrong(format!("{} was refused: {code}", reader.message_id));
                Err(Trouble::Refused(1))
            }
        }
    }

    /// Who asked twice may be told twice. What is told before the pong is told of this turn.
    async fn settle(&mut self) {
        let Some(mut line) = self.socket.take() else {
            return;
        };
        let ping = serde_json::json!(self.said);
        if line
            .socket
            .send(&ClientFrame::Ping(ping.clone()))
            .await
            .is_err()
        {
            return;
        }
        loop {
            match timeout(SILENCE, line.socket.next()).await {
                Ok(Event::Frame(ServerFrame::Pong { pong })) if pong == ping => break,
                Ok(Event::Frame(_)) => {}
                Ok(Event::Closed(code, _)) => {
                    self.lived
                        .tally
                        .count(format!("closed by the server ({code})"));
                    return;
                }
                _ => {
                    self.wrong("a ping was not answered".to_owned());
                    return;
                }
            }
        }
        self.socket = Some(line);
    }
}
