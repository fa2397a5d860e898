//! Turns: from the person's words to the stored answer.
//!
//! Owns how a turn begins, is found again and ends; [`run`] is what happens in between. Called by
//! the socket and by `generate`. Invariants: the words are committed before the model is asked;
//! the end is told after the answer is committed; a session has one turn at a time.

pub(super) mod aside;
mod asking;
pub(super) mod briefing;
mod doubt;
mod ends;
pub(super) mod folding;
mod orphans;
mod patience;
pub mod replay;
mod run;

use super::App;
use super::live::{LiveTurn, Started, Subscription};
use super::usage::used_up;
use crate::domain::news::News;
use crate::domain::safety::Tier;
use crate::domain::step::{EmotionStep, Marks, MessageId, StepStatus, StepType, UserInput};
use crate::domain::{Error, ErrorCode, Result, SessionId, StepId, UserId};
use crate::insight;
use crate::safety::{self, Assessment, Lang};
use crate::store::{BeginStep, Begun};
use crate::wire::ws::{Resource, Safety};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

pub use ends::terminal;

/// How long a turn counts as running when nobody extends its lease.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// What a person says.
#[derive(Debug, Clone)]
pub struct Say {
    /// The session that it is said in.
    pub session_id: SessionId,
    /// The words.
    pub user_input: UserInput,
    /// The client's word for the kind of step.
    pub step_type: StepType,
    /// The client's wish for the model.
    pub client_prompt: Option<String>,
    /// The client's name for the message.
    pub message_id: Option<MessageId>,
    /// Whether the client knows the `safety` frame; the others get its text in the answer.
    pub knows_frames: bool,
    /// What the gate said of the words.
    pub assessment: Assessment,
}

/// What came of saying it.
#[derive(Debug)]
pub enum Said {
    /// The words are stored and the turn runs.
    Started(Arc<LiveTurn>),
    /// The same message is being answered already.
    Running(Arc<LiveTurn>),
    /// The same message was answered before.
    Stored(Box<EmotionStep>),
}

/// A turn that somebody wants to go on with.
#[derive(Debug)]
pub enum Found {
    /// It is running, here or on another instance.
    Running(Arc<LiveTurn>),
    /// It has ended.
    Stored(Box<EmotionStep>),
}

/// A place among the turns that may run at once, and among those of the person.
struct Place {
    _own: super::pace::Running,
    _place: OwnedSemaphorePermit,
}

impl App {
    /// What the gate says of these words and of what was said in the session before, as a turn would.
    /// Without the history: of the words alone.
    pub async fn assess_in_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
        words: &str,
    ) -> Assessment {
        let briefing =
            self.vault
                .briefing(user_id, session_id, i64::MAX, briefing::STICKY, Vec::new());
        let history = briefing.await.unwrap_or_default().history;
        let now = briefing::assess_together(words, &self.assess(words), &history);
        briefing::sticky(self, now, &history)
    }

    /// What the gate says of these words alone. Pure; comes before everything else.
    pub fn assess(&self, words: &str) -> Assessment {
        super::assess(words)
    }

    /// What somebody in danger is shown; `None` below elevated.
    pub fn safety(&self, words: &str, assessment: &Assessment) -> Option<Safety> {
        if assessment.tier < Tier::Elevated {
            return None;
        }
        let lang = Lang::detect(words);
        let country = &self.settings().safety.country;
        let resources = safety::resources(country, assessment.tier, &assessment.categories)
            .into_iter()
            .map(|resource| Resource {
                name: resource.name(lang).to_owned(),
                contact: resource.number.clone(),
                note: resource.note(lang).map(str::to_owned),
            })
            .collect();
        let message = safety::message(assessment.tier, &assessment.categories, lang).to_owned();
        Some(Safety {
            tier: assessment.tier.as_str().to_owned(),
            message,
            resources,
        })
    }

    /// Watches the turns of a session. [`Self::leave`] when done.
    pub fn subscribe(&self, user_id: UserId, session_id: SessionId) -> Subscription {
        self.live.subscribe(user_id, session_id)
    }

    /// The running turn of a session.
    pub fn running(&self, session_id: SessionId) -> Option<Arc<LiveTurn>> {
        self.live.running(session_id)
    }

    /// Ends a subscription, after its receiver was dropped.
    pub fn leave(&self, session_id: SessionId) {
        self.live.leave(session_id);
    }

    /// Stores the words and starts the turn, or finds the turn of the same message. Whoever hangs
    /// up in between does not leave words behind that nobody answers.
    pub async fn say(self: &Arc<Self>, user_id: UserId, say: Say) -> Result<Said> {
        let app = Arc::clone(self);
        let saying = self.turns.spawn(async move {
            let session_id = say.session_id;
            let beginning = app.live.beginning(session_id).await;
            let said = app.begin(user_id, say).await;
            drop(beginning);
            app.live.leave(session_id);
            said
        });
        saying.await.map_err(Error::internal)?
    }

    async fn begin(self: &Arc<Self>, user_id: UserId, say: Say) -> Result<Said> {
        let settings = self.settings();
        let admitted = settings
            .pace
            .admit(user_id)
            .and_then(|()| self.place(user_id, settings.limits.turns_a_user));
        let place = match admitted {
            Ok(place) => place,
            // What was stored before needs no place: it is being answered, or was.
            Err(error) => return self.said_before(user_id, &say).await?.ok_or(error),
        };
        let now = self.clock.now();
        let step_id = StepId::generate(now, &*self.random)?;
        // Some microseconds, and after the gate: nobody waits for it.
        let reading = insight::read(say.user_input.as_str(), None);
        let marks = Marks::of(&reading, say.assessment.tier);
        let begin = BeginStep {
            step_id,
            session_id: say.session_id,
            user_id,
            new_session: self.is_reserved(user_id, say.session_id),
            step_type: say.step_type,
            user_input: say.user_input.as_str().to_owned(),
            message_id: say.message_id.clone(),
            marks: marks.clone(),
            at: now,
            lease_until: now.plus(LEASE),
            quota: self.quota(say.assessment.tier),
        };
        let stored = async |begin| {
            let begun = self.vault.begin_step(begin).await;
            begun.inspect_err(|error| self.forget_if_unknown(step_id, now.plus(LEASE), error))
        };
        let mut begun = stored(begin.clone()).await?;
        // Who spoke of dying a moment ago is not sent away because the next words are harmless.
        if begun == Begun::UsedUp && say.assessment.tier < Tier::Elevated {
            let words = say.user_input.as_str();
            let held = self.assess_in_session(user_id, say.session_id, words).await;
            if held.tier >= Tier::Elevated {
                let quota = self.quota(held.tier);
                begun = stored(BeginStep { quota, ..begin }).await?;
            }
        }
        let step_order = match begun {
            Begun::Started { step_order } => step_order,
            Begun::Repeated(step) => return self.repeated(user_id, step).await,
            Begun::Busy => {
                return Err(Error::new(
                    ErrorCode::TurnInProgress,
                    "the session is still answering the message before",
                )
                .retry_after(1));
            }
            Begun::Ended => {
                return Err(session_ended());
            }
            Begun::UsedUp => return Err(used_up(now)),
            Begun::NoSession => return Err(Error::not_found("session")),
        };
        let turn = self.live.start(Started {
            step_id,
            session_id: say.session_id,
            user_id,
            step_order,
            message_id: say.message_id,
            user_input: say.user_input.as_str().to_owned(),
            created_at: now,
        });
        tracing::debug!(%step_id, session_id = %turn.session_id, "turn started");
        self.meters.turns_started.add(1);
        self.post(News::Begun(turn.session_id, step_id));
        let brief = briefing::Brief {
            settings,
            client_prompt: say.client_prompt,
            knows_frames: say.knows_frames,
            assessment: say.assessment,
            marks,
            trial: None,
        };
        let app = Arc::clone(self);
        let running = Arc::clone(&turn);
        self.turns.spawn(async move {
            run::run(&app, &running, brief).await;
            drop(place);
        });
        Ok(Said::Started(turn))
    }

    /// A place among the turns that may run at once.
    fn place(&self, user_id: UserId, most: usize) -> Result<Place> {
        let refused = |message| Error::new(ErrorCode::Overloaded, message).retry_after(5);
        if self.draining.is_cancelled() {
            return Err(restarting());
        }
        let own = crate::service::pace::Running::take(&self.running, user_id, most)?;
        let place = Arc::clone(&self.turn_places)
            .try_acquire_owned()
            .map_err(|_| refused("too many conversations at the moment"))?;
        Ok(Place {
            _own: own,
            _place: place,
        })
    }

    /// The turn of a message that was stored before, if this is one.
    async fn said_before(self: &Arc<Self>, user_id: UserId, say: &Say) -> Result<Option<Said>> {
        if say.message_id.is_none() {
            return Ok(None);
        }
        let found = self
            .vault
            .find_step(user_id, say.session_id, say.message_id.clone())
            .await?;
        match found {
            Some(step) => self.repeated(user_id, Box::new(step)).await.map(Some),
            None => Ok(None),
        }
    }

    /// The turn of a step that is stored already.
    async fn repeated(self: &Arc<Self>, user_id: UserId, step: Box<EmotionStep>) -> Result<Said> {
        let running = self
            .live
            .running(step.session_id)
            .filter(|turn| turn.step_id == step.step_id);
        match running {
            Some(turn) => Ok(Said::Running(turn)),
            None if step.status != StepStatus::Pending => Ok(Said::Stored(step)),
            // It has ended since it was read, or another instance runs it.
            None => match self.step_or_copy(user_id, step.step_id).await? {
                Found::Running(turn) => Ok(Said::Running(turn)),
                Found::Stored(step) => Ok(Said::Stored(step)),
            },
        }
    }

    /// The turn of a step; without one, the session's latest.
    pub async fn find_turn(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
        step_id: Option<StepId>,
    ) -> Result<Found> {
        let beginning = self.live.beginning(session_id).await;
        let found = self.find(user_id, session_id, step_id).await;
        drop(beginning);
        self.live.leave(session_id);
        found
    }

    async fn find(
        self: &Arc<Self>,
        user_id: UserId,
        session_id: SessionId,
        step_id: Option<StepId>,
    ) -> Result<Found> {
        let running = self.live.running(session_id).filter(|turn| {
            turn.user_id == user_id && step_id.is_none_or(|wanted| wanted == turn.step_id)
        });
        if let Some(turn) = running {
            return Ok(Found::Running(turn));
        }
        let stored = match step_id {
            Some(step_id) => self
                .vault
                .step(user_id, step_id)
                .await?
                .filter(|step| step.session_id == session_id),
            None => self.vault.find_step(user_id, session_id, None).await?,
        };
        let stored = stored.ok_or_else(|| Error::not_found("step"))?;
        if stored.status == StepStatus::Pending {
            return self.step_or_copy(user_id, stored.step_id).await;
        }
        Ok(Found::Stored(Box::new(stored)))
    }

    /// The step as it is stored.
    pub async fn step(&self, user_id: UserId, step_id: StepId) -> Result<EmotionStep> {
        self.vault
            .step(user_id, step_id)
            .await?
            .ok_or_else(|| Error::not_found("step"))
    }

    /// Takes no new turns, lets the running ones finish within `deadline`, then cuts the rest and
    /// waits until what they have is stored.
    pub async fn drain(&self, deadline: Duration) {
        self.draining.cancel();
        self.turns.close();
        if tokio::time::timeout(deadline, self.turns.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                turns = self.turns.len(),
                "cutting turns at the drain deadline"
            );
            self.cutting.cancel();
            if tokio::time::timeout(Duration::from_secs(5), self.turns.wait())
                .await
                .is_err()
            {
                tracing::error!(
                    turns = self.turns.len(),
                    "turns could not be stored in time"
                );
            }
        }
    }
}

/// The refusal of anything new while the server drains.
pub(super) fn restarting() -> Error {
    Error::new(
        ErrorCode::Overloaded,
        "the server is restarting: reconnect and send again",
    )
    .retry_after(5)
}

/// The refusal of words for a session that takes none any more.
pub fn session_ended() -> Error {
    Error::new(
        ErrorCode::SessionEnded,
        "the session has ended: begin a new one",
    )
}

/// Whether the words of a refused [`App::say`] are stored: where the database did not answer nobody
/// knows, and sending the same `message_id` again will tell.
pub fn stored_after(refusal: &Error) -> Option<bool> {
    (!matches!(refusal.code(), ErrorCode::Unavailable | ErrorCode::Internal)).then_some(false)
}
