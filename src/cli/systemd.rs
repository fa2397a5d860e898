//! What systemd is told, and that this process is alive.
//!
//! Owns the messages of `sd_notify` and [`Watchdog`]. Called by [`super::serve`] and what it runs.
//! Invariants: a process that systemd did not start says nothing, and that is no error; a process that
//! another one would do better than is not said to be alive, and any other one is, however its database
//! and its models are.

use crate::service::App;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// The server takes requests.
pub(super) fn ready(app: &App) {
    tell(&[
        NotifyState::Ready,
        NotifyState::Status(&status("serving", app)),
    ]);
}

/// The configuration is being read again; [`ready`] ends it.
pub(super) fn reloading() {
    // From systemd 253 on the time is a part of it; 252 and older do not mind.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The server drains.
pub(super) fn stopping(app: &App) {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status(&status("draining", app)),
    ]);
}

/// What `systemctl status` shows of a server that does this.
fn status(doing: &str, app: &App) -> String {
    let doing = if app.draining().is_cancelled() {
        "draining"
    } else {
        doing
    };
    let meters = app.meters();
    let (turns, sockets) = (meters.turns_running.get(), meters.sockets.get());
    format!("{doing}: {turns} turns running, {sockets} sockets open")
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// Says that the process is alive, at twice the pace that systemd asks for, as long as it is held and
/// that is so. It has a thread of its own: a runtime that is stuck could not say that it is.
pub(super) struct Watchdog(#[expect(dead_code, reason = "dropped, not used")] Sender<()>);

impl Watchdog {
    /// Begins, if systemd asked for it. Called on the runtime that is to be watched.
    pub(super) fn start(app: Arc<App>) -> std::io::Result<Option<Self>> {
        let Some(period) = sd_notify::watchdog_enabled() else {
            return Ok(None);
        };
        let (held, ended) = channel();
        let runtime = Handle::current();
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watch(&runtime, &app, period, &ended))?;
        Ok(Some(Self(held)))
    }
}

/// What was seen of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signs {
    /// A task ran.
    runtime: bool,
    /// What works on the database in this process did something, or said that it could not.
    store: bool,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Alive,
    /// This does not go on.
    Stuck(&'static str),
}

fn verdict(signs: Signs) -> Verdict {
    match signs {
        Signs { runtime: false, .. } => Verdict::Stuck("the runtime"),
        Signs { store: false, .. } => Verdict::Stuck("the thread that writes to the database"),
        Signs { .. } => Verdict::Alive,
    }
}

/// How long until the next look: half of what systemd allows, or soon where something was stuck, for
/// that may pass.
fn pause(period: Duration, verdict: Verdict) -> Duration {
    match verdict {
        Verdict::Alive => period / 2,
        Verdict::Stuck(_) => period / 20,
    }
}

/// How long an answer is waited for; with the half period before it less than what systemd allows.
fn patience(period: Duration) -> Duration {
    period / 4
}

/// An answer of a task on the runtime.
enum Sign {
    Runtime,
    Store(bool),
}

/// Something that was asked on the runtime, and what was heard of it.
struct Question {
    answers: Receiver<Sign>,
    /// Whether its task ran.
    runtime: bool,
}

impl Question {
    fn ask(runtime: &Handle, app: &Arc<App>) -> Self {
        let (answer, answers) = sync_channel(2);
        let app = Arc::clone(app);
        // Ends by itself within the time that the store allows for an answer. Nobody may be listening.
        runtime.spawn(async move {
            let _ = answer.try_send(Sign::Runtime);
            let alive = app.store_is_alive().await;
            let _ = answer.try_send(Sign::Store(alive));
        });
        Self {
            answers,
            runtime: false,
        }
    }

    /// What is to be seen within `patience`, and whether the answer is still to come; `None` when there
    /// is no runtime any more.
    fn signs(&mut self, patience: Duration) -> Option<(Signs, bool)> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (store, open) = match self.answers.recv_timeout(left) {
                Ok(Sign::Runtime) => {
                    self.runtime = true;
                    continue;
                }
                Ok(Sign::Store(alive)) => (alive, false),
                Err(RecvTimeoutError::Timeout) => (false, true),
                Err(RecvTimeoutError::Disconnected) => return None,
            };
            let signs = Signs {
                runtime: self.runtime,
                store,
            };
            return Some((signs, open));
        }
    }
}

fn watch(runtime: &Handle, app: &Arc<App>, period: Duration, ended: &Receiver<()>) {
    // What is not answered yet is not asked again: a runtime that is stuck would pile it up.
    let mut asked: Option<Question> = None;
    loop {
        let mut question = asked.take().unwrap_or_else(|| Question::ask(runtime, app));
        let Some((signs, open)) = question.signs(patience(period)) else {
            return;
        };
        asked = open.then_some(question);
        let verdict = verdict(signs);
        match verdict {
            Verdict::Alive => {
                let status = status("serving", app);
                tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            }
            Verdict::Stuck(what) => tracing::error!(what, "stuck: systemd does not hear of life"),
        }
        match ended.recv_timeout(pause(period, verdict)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_that_another_one_would_not_do_better_than() {
        let signs = |runtime, store| Signs { runtime, store };
        assert_eq!(verdict(signs(true, true)), Verdict::Alive);
        assert_eq!(
            verdict(signs(true, false)),
            Verdict::Stuck("the thread that writes to the database")
        );
        for store in [false, true] {
            let verdict = verdict(signs(false, store));
            assert_eq!(verdict, Verdict::Stuck("the runtime"));
        }
    }

    #[test]
    fn it_is_said_in_time_and_a_hitch_is_forgiven() {
        for seconds in [1, 30, 600] {
            let period = Duration::from_secs(seconds);
            let (alive, stuck) = (Verdict::Alive, Verdict::Stuck("x"));
            // As systemd's manual wants it: every half of the time.
            assert_eq!(pause(period, alive), period / 2);
            // A slow answer comes before systemd loses patience.
            assert!(pause(period, alive) + patience(period) < period);
            // One that failed is looked at again before that.
            let again = patience(period) + pause(period, stuck);
            assert!(pause(period, alive) + again < period);
        }
    }
}
