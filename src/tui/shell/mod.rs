//! The shell: everything that the terminal client does in the world.
//!
//! Owns [`run`]: the terminal, the events, the clock, the calls and the connection. Called by the
//! command line. Invariant: it decides nothing; each effect of the update becomes one task, and
//! whatever comes of it becomes one message.

mod link;
mod terminal;

use super::link::{LinkId, Wait};
use super::model::Model;
use super::msg::{Effect, Msg};
use super::update::{start, update};
use super::view::view;
use super::{Login, Options, Renew, TuiError};
use crate::client::{Client, ClientError};
use crate::domain::{Clock as _, SessionId, time::SystemClock};
use crate::wire::rest::Secret;
use crossterm::event::{Event, EventStream, MouseEventKind};
use futures_util::StreamExt as _;
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;
pub(super) use terminal::Terminal;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

/// How often the clock is looked at when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the connection may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
/// Messages that may wait for the update; who has more waits.
const INBOX: usize = 64;
/// Messages that are taken before the screen is painted again.
const BATCH: usize = 256;
/// Sessions that the list shows at most.
const SESSIONS: u32 = 200;
/// Rows that a notch of the wheel moves.
const NOTCH: i32 = 3;

/// Runs the terminal client until the person quits.
pub async fn run(options: Options) -> Result<(), TuiError> {
    let mut terminal = Terminal::enter(true)?;
    let host = options.client.base().to_string();
    let mut model = Model::new(
        options.language,
        TimeZone::system(),
        host,
        SystemClock.now(),
    );
    model.local = options.local;
    model.wanted = options.session;
    model.size = terminal.size()?;
    let (out, inbox) = mpsc::channel(INBOX);
    let me = match &options.login {
        Some(login) => options.client.with_token(&login.token.0).ok(),
        None => None,
    };
    let mut shell = Shell {
        me: me.unwrap_or_else(|| options.client.clone()),
        client: options.client,
        save_login: options.save_login,
        renew: options.renew,
        out,
        frames: None,
        tasks: JoinSet::new(),
    };
    let effects = start(&mut model, options.login);
    shell.act(&mut model, effects.into());
    let ended = shell.live(&mut model, &mut terminal, inbox).await;
    drop(terminal);
    shell.leave().await;
    ended
}

struct Shell {
    client: Client,
    /// The same server with the login's token.
    me: Client,
    save_login: Box<dyn FnMut(&Login) + Send>,
    renew: Renew,
    out: mpsc::Sender<Msg>,
    /// To the connection there is.
    frames: Option<mpsc::Sender<link::Frame>>,
    tasks: JoinSet<()>,
}

impl Shell {
    /// Until the end: one event, all that came with it, one picture.
    async fn live(
        &mut self,
        model: &mut Model,
        terminal: &mut Terminal,
        mut inbox: mpsc::Receiver<Msg>,
    ) -> Result<(), TuiError> {
        let mut events = EventStream::new();
        let mut terminated = std::pin::pin!(terminated());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !model.quit {
            terminal.draw(|frame| view(model, frame))?;
            tokio::select! {
                event = events.next() => {
                    let Some(event) = event else { return Ok(()) };
                    self.happened(model, event?);
                    for _ in 0..BATCH {
                        // Polled by this task: the stream keeps the first waker it is given.
                        tokio::select! {
                            biased;
                            Some(event) = events.next() => self.happened(model, event?),
                            () = std::future::ready(()) => break,
                        }
                    }
                }
                Some(msg) = inbox.recv() => {
                    self.deliver(model, msg);
                    for _ in 0..BATCH {
                        let Ok(msg) = inbox.try_recv() else { break };
                        self.deliver(model, msg);
                    }
                }
                Some(task) = self.tasks.join_next() => {
                    if task.is_err_and(|error| error.is_panic()) {
                        return Err(TuiError::Defect);
                    }
                }
                _ = tick.tick() => self.deliver(model, Msg::Clock(SystemClock.now())),
                () = &mut terminated => self.deliver(model, Msg::Terminate),
            }
        }
        Ok(())
    }

    /// Something happened at the terminal.
    fn happened(&mut self, model: &mut Model, event: Event) {
        let msg = match event {
            Event::Key(key) => Msg::Key(key),
            Event::Paste(text) => Msg::Paste(text),
            Event::Resize(width, height) => Msg::Resize(width, height),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => Msg::Wheel(-NOTCH),
                MouseEventKind::ScrollDown => Msg::Wheel(NOTCH),
                _ => return,
            },
            Event::FocusGained | Event::FocusLost => return,
        };
        self.deliver(model, msg);
    }

    fn deliver(&mut self, model: &mut Model, msg: Msg) {
        let mut effects = VecDeque::from(update(model, Msg::Clock(SystemClock.now())));
        effects.extend(update(model, msg));
        self.act(model, effects);
    }

    /// Does what the update says, in its order.
    fn act(&mut self, model: &mut Model, mut effects: VecDeque<Effect>) {
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Name(words) => {
                    let message_id = Uuid::new_v4().to_string();
                    effects.extend(update(model, Msg::Named { words, message_id }));
                }
                Effect::LogIn { email, password } => {
                    let client = self.client.clone();
                    self.call(Msg::LoggedIn, async move {
                        log_in(&client, &email, &password).await
                    });
                }
                Effect::Register {
                    name,
                    email,
                    password,
                } => {
                    let client = self.client.clone();
                    self.call(Msg::LoggedIn, async move {
                        client.register(&name, &email, &password.0).await?;
                        log_in(&client, &email, &password).await
                    });
                }
                Effect::Become(login) => {
                    self.act_by(&login);
                    (self.save_login)(&login);
                }
                Effect::Go(login) => self.act_by(&login),
                Effect::Renew(login) => {
                    let renewal = (self.renew)(login);
                    self.call(Msg::Renewed, renewal);
                }
                Effect::ListSessions(user_id) => {
                    let me = self.me.clone();
                    self.call(Msg::Sessions, async move {
                        me.sessions(user_id, Some(SESSIONS)).await
                    });
                }
                Effect::LoadSteps(id) => {
                    let me = self.me.clone();
                    let msg = move |result| Msg::Steps(id, result);
                    self.call(msg, async move { me.steps(id).await });
                }
                Effect::LoadFlow(id) => {
                    let me = self.me.clone();
                    let msg = move |result| Msg::Flow(id, result);
                    self.call(msg, async move { me.flow(id).await });
                }
                Effect::EndSession(id) => {
                    let me = self.me.clone();
                    let msg = move |result| Msg::Ended(id, result);
                    self.call(msg, async move { me.end_session(id).await });
                }
                Effect::Connect {
                    link,
                    session_id,
                    wait,
                } => self.connect(link, session_id, wait),
                Effect::Send(frame) => {
                    // A connection that does not take a frame is lost, and says so by itself.
                    if let Some(frames) = &self.frames
                        && frames.try_send(frame).is_err()
                    {
                        self.frames = None;
                    }
                }
                Effect::Disconnect => self.frames = None,
            }
        }
    }

    /// What is asked from now on is asked with the token of this login.
    fn act_by(&mut self, login: &Login) {
        // A token that cannot be sent is answered as one that does not hold.
        self.me = self
            .client
            .with_token(&login.token.0)
            .unwrap_or_else(|_| self.client.clone());
    }

    /// Makes a call beside everything else.
    fn call<T: Send + 'static>(
        &mut self,
        msg: impl FnOnce(Result<T, ClientError>) -> Msg + Send + 'static,
        call: impl Future<Output = Result<T, ClientError>> + Send + 'static,
    ) {
        let out = self.out.clone();
        self.tasks.spawn(async move {
            let late = |_| Err(ClientError::Network("no answer in time".to_owned()));
            let result = timeout(PATIENCE, call).await.unwrap_or_else(late);
            // Nobody listens any more when the client is quitting.
            let _ = out.send(msg(result)).await;
        });
    }

    fn connect(&mut self, id: LinkId, session_id: Option<SessionId>, wait: Wait) {
        // 53 random bits are a number between 0 and 1.
        let random = u32::try_from(Uuid::new_v4().as_u128() >> 96).unwrap_or_default();
        let wait = wait.duration(f64::from(random) / f64::from(u32::MAX));
        let (frames, questions) = mpsc::channel(link::QUEUE);
        // What was there before ends with its queue.
        self.frames = Some(frames);
        let out = self.out.clone();
        let me = self.me.clone();
        self.tasks
            .spawn(link::run(me, id, session_id, wait, questions, out));
    }

    /// Says goodbye to the server, but does not wait long for it.
    async fn leave(mut self) {
        self.frames = None;
        let _ = timeout(GOODBYE, async {
            while self.tasks.join_next().await.is_some() {}
        })
        .await;
    }
}

/// Logs in, and asks what to call the person; an address will do when that is not known.
async fn log_in(client: &Client, email: &str, password: &Secret) -> Result<Login, ClientError> {
    let body = client.login_v1(email, &password.0).await?;
    let now = SystemClock.now();
    let me = client.with_token(&body.access_token.0)?;
    let me = me.me().await;
    let name = me.map_or_else(|_| email.to_owned(), |me| me.name);
    Ok(Login::of(body, name, now))
}

/// Waits until the process is asked to end.
#[cfg(unix)]
pub(super) async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Waits until the process is asked to end.
#[cfg(not(unix))]
pub(super) async fn terminated() {
    std::future::pending().await
}
