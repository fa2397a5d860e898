//! Telling the admin that somebody is in danger.
//!
//! Owns [`Alarms`], what is still to be told, and how it is tried again. Called wherever the safety frame is sent; a
//! server runs [`App::tell_alarms`], which outlives its turns. Invariants: nobody who is in danger waits for it; what
//! is told is bounded, and what is lost is logged; it is a bell and not a record: the tier is stored with the step.

use super::App;
use crate::domain::safety::Tier;
use crate::domain::{Error, Result, SessionId, StepId, UserId};
use crate::webhook::{Event, Webhook};
use crate::wire::ws::Safety;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events that may wait.
const WAITING: usize = 256;
/// Events that are told at the same time: one that nobody takes does not hold up the next.
const AT_ONCE: usize = 16;
/// How long the last tries may take when the server ends.
const LAST: Duration = Duration::from_secs(8);
/// How long is waited before each further try; five minutes in all.
const AGAIN: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_mins(1),
    Duration::from_mins(4),
];

/// The events that are to be told.
pub(super) struct Alarms {
    webhook: Option<Arc<Webhook>>,
    waiting: mpsc::Sender<Event>,
    told: Mutex<Option<mpsc::Receiver<Event>>>,
}

impl Alarms {
    pub(super) fn new(webhook: Option<Webhook>) -> Self {
        let (waiting, told) = mpsc::channel(WAITING);
        Self {
            webhook: webhook.map(Arc::new),
            waiting,
            told: Mutex::new(Some(told)),
        }
    }
}

impl App {
    /// Notes that a person said something at elevated or worse, to be told to the admin where that is configured.
    pub fn raise_alarm(
        &self,
        tier: Tier,
        user_id: UserId,
        session_id: Option<SessionId>,
        step_id: Option<StepId>,
    ) {
        if tier < Tier::Elevated || self.alarms.webhook.is_none() {
            return;
        }
        if let Err(error) = self.queue_alarm(tier, user_id, session_id, step_id) {
            tracing::error!(%user_id, code = %error.code(), causes = error.causes(), "an alarm is lost");
        }
    }

    /// The same for words that were refused: there is no step of them.
    pub fn raise_alarm_unstored(
        &self,
        safety: &Safety,
        user_id: UserId,
        session_id: Option<SessionId>,
    ) {
        let tier = Tier::parse(&safety.tier).unwrap_or_default();
        self.raise_alarm(tier, user_id, session_id, None);
    }

    fn queue_alarm(
        &self,
        tier: Tier,
        user_id: UserId,
        session_id: Option<SessionId>,
        step_id: Option<StepId>,
    ) -> Result<()> {
        let mut id = [0; 16];
        self.random.fill(&mut id)?;
        let event = Event {
            id: format!("msg_{}", Uuid::from_bytes(id).simple()),
            tier,
            user_id,
            session_id,
            step_id,
            at: self.clock.now(),
        };
        let queued = self.alarms.waiting.try_send(event);
        queued.map_err(|_| Error::unavailable("too many are waiting"))
    }

    /// Tells the alarms until `stop`, to be fired when no turn is left, and then those that wait, once. Never returns
    /// before.
    pub async fn tell_alarms(self: &Arc<Self>, stop: CancellationToken) {
        let told = &self.alarms.told;
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(webhook), Some(mut told)) = (&self.alarms.webhook, told) else {
            return stop.cancelled().await;
        };
        let mut telling = JoinSet::new();
        let tell = |telling: &mut JoinSet<()>, event: Event| {
            let (app, webhook, stop) = (Arc::clone(self), Arc::clone(webhook), stop.clone());
            telling.spawn(async move { app.tell(&webhook, &event, &stop).await });
        };
        loop {
            tokio::select! {
                Some(_) = telling.join_next() => {}
                event = told.recv(), if telling.len() < AT_ONCE => match event {
                    Some(event) => tell(&mut telling, event),
                    None => break,
                },
                () = stop.cancelled() => break,
            }
        }
        while let Ok(event) = told.try_recv() {
            tell(&mut telling, event);
        }
        telling.join_all().await;
    }

    /// Tells an event, again and again while nobody takes it; only once, and not for long, after `stop`.
    async fn tell(&self, webhook: &Webhook, event: &Event, stop: &CancellationToken) {
        let mut waits = AGAIN.iter();
        loop {
            let last = stop.is_cancelled();
            let calling = webhook.call(event, self.clock.now());
            let called = tokio::select! {
                called = calling => called,
                () = ended(stop) => Err(Error::unavailable("the server ended")),
            };
            let Err(error) = called else {
                return;
            };
            let wait = waits.next().filter(|_| !last);
            let Some(wait) = wait else {
                tracing::error!(id = event.id, user_id = %event.user_id, causes = error.causes(), "an alarm is lost: the webhook does not take it");
                return;
            };
            tracing::warn!(
                id = event.id,
                causes = error.causes(),
                "the webhook does not take an alarm: it is tried again"
            );
            tokio::select! {
                () = tokio::time::sleep(*wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

/// Until the last tries have had their time.
async fn ended(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST).await;
}
