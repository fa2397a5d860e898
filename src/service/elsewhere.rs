//! Turns that another instance runs, on the same database.
//!
//! Owns the copies of such turns and what this instance tells the others. Called by whoever looks
//! for a turn and by the news ([`App::heed`]). A copy is read from the database, where the instance
//! that runs the turn stores what there is more often as long as somebody reads along; the news
//! only say when to look. Invariants: a copy never has more than is stored; what a lost message
//! would have said is found by looking within a second or two; nothing here ends or changes a turn.

use super::App;
use super::live::{LiveTurn, Started};
use super::login::Revoked;
use super::session::Attached;
use super::turn::briefing::{RECENT, assess_together};
use super::turn::{Found, restarting, terminal};
use crate::domain::news::News;
use crate::domain::step::{EmotionStep, StepStatus};
use crate::domain::{Error, ErrorCode, Result, SessionId, StepId, UserId};
use crate::store::Briefing;
use crate::wire::ws::{ErrorFrame, ServerFrame};
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// How often a copy is compared with what is stored when no news come.
const LOOK: Duration = Duration::from_secs(1);
/// How often the instance that runs the turn is told that somebody reads along.
const WATCH: Duration = Duration::from_secs(3);
/// How long the end of a turn waits for what the person has used.
const NICE_TO_KNOW: Duration = Duration::from_secs(1);
/// How long a person who has read further than what is stored waits for the rest to be stored.
const CATCH_UP: Duration = Duration::from_secs(2);
/// How often news are followed up while the database does not answer.
const TRIES: u32 = 5;
/// Sessions that are looked at at the same time when news were lost.
const AT_ONCE: usize = 8;

impl App {
    /// Tells the other instances, if there can be any.
    pub(super) fn post(&self, news: News) {
        if let Some(bulletin) = &self.bulletin {
            bulletin.post(news);
        }
    }

    /// Heeds what others do on the same database: what instances tell, and whose tokens commands make
    /// void. Returns when the server drains and no instance can tell anything, else never.
    pub async fn heed(self: &Arc<Self>) {
        tokio::join!(self.heed_news(), self.watch_revocations());
    }

    async fn heed_news(self: &Arc<Self>) {
        let Some(bulletin) = &self.bulletin else {
            return;
        };
        let mut news = bulletin.listen();
        loop {
            match news.recv().await {
                Ok(news) => self.hear(news),
                Err(RecvError::Lagged(_)) => self.hear(News::Missed),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn hear(self: &Arc<Self>, news: News) {
        match news {
            News::Begun(session_id, step_id) => {
                if let Some(user_id) = self.live.attended(session_id) {
                    let app = Arc::clone(self);
                    self.turns.spawn(async move {
                        app.tell_of(user_id, session_id, Some(step_id)).await;
                    });
                }
            }
            News::Grew(session_id, step_id) | News::Ended(session_id, step_id) => {
                if let Some(turn) = self.copied(session_id, step_id) {
                    turn.nudge();
                }
            }
            News::Watched(session_id, step_id) => {
                if let Some(turn) = self.run_here(session_id, step_id) {
                    turn.watch();
                }
            }
            News::Stop(session_id, step_id) => {
                if let Some(turn) = self.run_here(session_id, step_id) {
                    turn.stop();
                }
            }
            News::Revoked(user_id) => self.heard_of(Revoked::Of(user_id)),
            News::Missed => {
                self.heard_of(Revoked::Perhaps);
                let app = Arc::clone(self);
                self.turns.spawn(async move {
                    let attended = stream::iter(app.live.all_attended());
                    let telling = attended.for_each_concurrent(AT_ONCE, |(user_id, session_id)| {
                        app.tell_of(user_id, session_id, None)
                    });
                    telling.await;
                });
            }
        }
    }

    fn copied(&self, session_id: SessionId, step_id: StepId) -> Option<Arc<LiveTurn>> {
        let running = self.live.running(session_id)?;
        (running.elsewhere && running.step_id == step_id).then_some(running)
    }

    fn run_here(&self, session_id: SessionId, step_id: StepId) -> Option<Arc<LiveTurn>> {
        let running = self.live.running(session_id)?;
        (!running.elsewhere && running.step_id == step_id).then_some(running)
    }

    /// Tells those who are attached here of a turn that began elsewhere; without a step, of the
    /// session's latest, if they do not know of it.
    async fn tell_of(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
        step_id: Option<StepId>,
    ) {
        for tries in 1.. {
            // What begins here meanwhile is running before it is looked for, and is no news.
            let beginning = self.live.beginning(session_id).await;
            let followed = self.follow(user_id, session_id, step_id).await;
            drop(beginning);
            self.live.leave(session_id);
            match followed {
                Ok(true) => return,
                Err(error) if tries == TRIES => {
                    tracing::warn!(%session_id, code = %error.code(), causes = error.causes(), "news could not be followed");
                }
                // The database does not answer, or the step has ended meanwhile or is being taken back.
                _ => {}
            }
            if tries == TRIES || self.draining.is_cancelled() {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Looks once for what [`Self::tell_of`] is to tell, and tells it; whether that is all there is to do.
    async fn follow(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
        step_id: Option<StepId>,
    ) -> Result<bool> {
        let found = match step_id {
            Some(step_id) => self.vault.step(user_id, step_id).await?,
            None => self.vault.find_step(user_id, session_id, None).await?,
        };
        let Some(step) = found else { return Ok(true) };
        let pending = step.status == StepStatus::Pending;
        if step_id.is_none() {
            // Who posted that it began knows that it is stored; of any other one nobody is told before it stays.
            if pending && !self.stays(step.step_id).await? {
                return Ok(false);
            }
            // One that ended before anybody here knew of the session is history.
            if !pending && self.live.newest(session_id).is_none() {
                return Ok(true);
            }
        }
        self.copy(user_id, step, true).await;
        Ok(true)
    }

    /// The turn that runs in a session to which somebody has come, here or on another instance.
    pub async fn look(
        self: &Arc<Self>,
        user_id: UserId,
        attached: Attached,
    ) -> Result<Option<Arc<LiveTurn>>> {
        let session_id = attached.session_id;
        if self.bulletin.is_none() {
            return Ok(self.live.running(session_id));
        }
        // What begins here meanwhile is running before it is looked for.
        let _beginning = self.live.beginning(session_id).await;
        let running = self.live.running(session_id);
        if running.is_some() {
            return Ok(running);
        }
        let latest = if attached.stored {
            self.vault.find_step(user_id, session_id, None).await?
        } else {
            None
        };
        match latest {
            Some(step) if step.status == StepStatus::Pending => {
                if self.stays(step.step_id).await? {
                    return Ok(self.copy(user_id, step, false).await);
                }
                // It has ended since it was read, or it is being taken back; then its place is free.
                self.live.note_newest(session_id, step.step_order - 1);
                Ok(self.live.running(session_id))
            }
            latest => {
                let newest = latest.map_or(0, |step| step.step_order);
                self.live.note_newest(session_id, newest);
                Ok(self.live.running(session_id))
            }
        }
    }

    /// A step that was pending when it was read: as it is now, or as it grows elsewhere.
    pub(super) async fn step_or_copy(
        self: &Arc<Self>,
        user_id: UserId,
        step_id: StepId,
    ) -> Result<Found> {
        let step = self.step(user_id, step_id).await?;
        if step.status != StepStatus::Pending {
            return Ok(Found::Stored(Box::new(step)));
        }
        if self.is_doubtful(step_id) {
            return Err(Error::unavailable("the step is being taken back"));
        }
        if self.bulletin.is_none() {
            // Its process is gone, and the next sweep will say so.
            return Err(Error::new(
                ErrorCode::TurnInProgress,
                "the turn was cut off a moment ago: ask again",
            )
            .retry_after(1));
        }
        if self.stays(step_id).await? {
            return match self.copy(user_id, step, false).await {
                Some(turn) => Ok(Found::Running(turn)),
                None => Err(Error::not_found("step")),
            };
        }
        match self.vault.step(user_id, step_id).await? {
            Some(step) if step.status != StepStatus::Pending => Ok(Found::Stored(Box::new(step))),
            _ => Err(Error::unavailable("the step is being taken back")),
        }
    }

    /// The copy of a stored step that is kept up to date until it ends. With `tell`, those who are
    /// attached are to follow it; `None` when they have done so.
    async fn copy(
        self: &Arc<Self>,
        user_id: UserId,
        step: EmotionStep,
        tell: bool,
    ) -> Option<Arc<LiveTurn>> {
        let safety = self.safety_of(user_id, &step).await;
        let started = Started {
            step_id: step.step_id,
            session_id: step.session_id,
            user_id,
            step_order: step.step_order,
            message_id: step.message_id.clone(),
            user_input: step.user_input.clone(),
            created_at: step.created_at,
        };
        let (turn, new) = self.live.copy(started, &step.gpt_response, safety, tell)?;
        if new {
            let app = Arc::clone(self);
            let copy = Arc::clone(&turn);
            self.turns
                .spawn(async move { app.keep_up(copy, step).await });
        }
        Some(turn)
    }

    /// The safety frame that the turn has where it runs: the rules are the same, and so are the words,
    /// unless the history cannot be read.
    async fn safety_of(&self, user_id: UserId, step: &EmotionStep) -> Option<ServerFrame> {
        let alone = self.assess(&step.user_input);
        let before = self
            .vault
            .briefing(user_id, step.session_id, step.step_order, RECENT, Vec::new())
            .await
            .unwrap_or_else(|error| {
                // The words alone, then.
                tracing::warn!(step_id = %step.step_id, code = %error.code(), causes = error.causes(), "a copied turn is assessed without its history");
                Briefing::default()
            });
        let assessment = assess_together(&step.user_input, &alone, &before.history);
        self.safety(&step.user_input, &assessment)
            .map(|safety| ServerFrame::Safety { safety })
    }

    /// Brings a copy up to date until the turn has ended, or nobody reads it any more.
    async fn keep_up(self: &Arc<Self>, turn: Arc<LiveTurn>, mut step: EmotionStep) {
        let mut watched: Option<Instant> = None;
        loop {
            if !turn.copy(&step.gpt_response) {
                tracing::error!(step_id = %turn.step_id, "a copied answer was changed where it was not expected");
            }
            if step.status != StepStatus::Pending {
                let (notice, mut end) = terminal(&step);
                if let Some(notice) = notice {
                    turn.tell(notice);
                }
                if let ServerFrame::Done(done) = &mut end {
                    // Nice to know, and no reason to wait or to fail.
                    let used = tokio::time::timeout(NICE_TO_KNOW, self.usage(turn.user_id)).await;
                    done.quota = used
                        .ok()
                        .and_then(Result::ok)
                        .and_then(|used| self.quota_left(used));
                }
                return self.live.finish(&turn, end);
            }
            if turn.stopped().is_cancelled() {
                // Until it has: the first time may have been lost.
                self.post(News::Stop(turn.session_id, turn.step_id));
            }
            if watched.is_none_or(|at| at.elapsed() >= WATCH) {
                watched = Some(Instant::now());
                self.post(News::Watched(turn.session_id, turn.step_id));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = turn.nudged() => {}
                // The turn goes on where it is; who reads it comes back and finds it there.
                () = self.draining.cancelled() => return,
            }
            if self.live.abandon(&turn) {
                return;
            }
            match self.vault.step(turn.user_id, turn.step_id).await {
                Ok(Some(now)) => step = now,
                Ok(None) => {
                    let gone = ErrorFrame {
                        step_id: Some(turn.step_id),
                        status: Some(StepStatus::Failed),
                        stored: Some(false),
                        ..ErrorFrame::from(&Error::not_found("step"))
                    };
                    return self.live.finish(&turn, ServerFrame::Error { error: gone });
                }
                // Looked for again in a second.
                Err(error) => {
                    tracing::warn!(step_id = %turn.step_id, code = %error.code(), causes = error.causes(), "a copied turn could not be read");
                }
            }
        }
    }

    /// Waits, but not for long, until a copied turn has as much as its reader was shown already.
    pub async fn catch_up(&self, turn: &LiveTurn, received: u64) {
        if turn.elsewhere {
            // Without it the reader begins anew.
            let _ = tokio::time::timeout(CATCH_UP, turn.grown_to(received)).await;
        }
    }

    /// Waits until a turn has ended, wherever it runs; the frame that ended it. When this server goes
    /// before, the one of a turn that runs elsewhere says so.
    pub async fn ended(&self, turn: &LiveTurn) -> ServerFrame {
        if !turn.elsewhere {
            return turn.wait().await;
        }
        tokio::select! {
            end = turn.wait() => end,
            () = self.draining.cancelled() => ServerFrame::Error {
                error: ErrorFrame::from(&restarting()),
            },
        }
    }

    /// Asks a turn to end with what it has, wherever it runs.
    pub fn stop(&self, turn: &LiveTurn) {
        turn.stop();
        if turn.elsewhere {
            self.post(News::Stop(turn.session_id, turn.step_id));
        }
    }
}
