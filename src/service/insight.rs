//! What a conversation shows: how its moods follow each other, and the person's say about it.
//!
//! Invariants: what a person says that they felt counts more than any guess; somebody else's step and one that
//! does not exist are the same thing; what one request opens is bounded.

use super::App;
use crate::domain::emotion::{Emotion, Feeling};
use crate::domain::flow::MarkedStep;
use crate::domain::{Error, Result, SessionId, StepId, Timestamp, UserId};
use std::time::Duration;

/// Most steps of a flow: the newest.
const FLOW: u32 = 1000;
/// Most steps of all sessions of a trend: the newest.
const TREND: u32 = 10_000;
/// A day.
const DAY: Duration = Duration::from_hours(24);
/// What a trend covers unless it is said.
const USUAL: Duration = Duration::from_hours(30 * 24);
/// What it may cover.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Steps without their words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// By ascending time.
    pub steps: Vec<MarkedStep>,
    /// Whether there are older ones that do not fit.
    pub truncated: bool,
}

/// The same over the sessions that began in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trend {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends; not included.
    pub to: Timestamp,
    /// The sessions by ascending beginning, their steps by ascending order.
    pub flow: Flow,
}

impl App {
    /// Notes what the person felt in a step of theirs, or takes it back; what is shown of it from then on.
    pub async fn correct_step(
        &self,
        user_id: UserId,
        step_id: StepId,
        correction: Option<Emotion>,
    ) -> Result<Option<Feeling>> {
        if !self
            .vault
            .correct_step(user_id, step_id, correction)
            .await?
        {
            return Err(Error::not_found("step"));
        }
        Ok(self.step(user_id, step_id).await?.marks.feeling())
    }
    /// How the moods of the person's session follow each other.
    pub async fn flow(&self, user_id: UserId, session_id: SessionId) -> Result<Flow> {
        let steps = self.vault.marks(user_id, session_id, FLOW + 1).await?;
        let mut steps = steps.ok_or_else(|| Error::not_found("session"))?;
        let over = steps.len().saturating_sub(FLOW as usize);
        steps.drain(..over);
        Ok(Flow {
            steps,
            truncated: over > 0,
        })
    }

    /// The same over the person's sessions that began at `from` or later and before `to`: unless said, up to now,
    /// and for the 30 days before. `invalid_input` when that is more than 366 days, or less than none.
    pub async fn trend(
        &self,
        user_id: UserId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Trend> {
        // What began at this very moment is part of it.
        let to = to.unwrap_or_else(|| self.clock.now().plus(Duration::from_micros(1)));
        let usual = i64::try_from(USUAL.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp::from_micros(to.as_micros().saturating_sub(usual));
        let from = from.unwrap_or(before);
        if from >= to {
            return Err(Error::invalid("from", "must be before to"));
        }
        if to.since(from) > LONGEST {
            let days = LONGEST.as_secs() / DAY.as_secs();
            let message = format!("must be at most {days} days before to");
            return Err(Error::invalid("from", message));
        }
        let mut steps = self
            .vault
            .marks_between(user_id, from, to, TREND + 1)
            .await?;
        let truncated = steps.len() > TREND as usize;
        if truncated {
            // The oldest session may not be whole; one alone is shown as far as it goes.
            let oldest = steps.first().map(|step| step.session_id);
            let whole = steps
                .iter()
                .position(|step| Some(step.session_id) != oldest);
            steps.drain(..whole.unwrap_or(1));
        }
        Ok(Trend {
            from,
            to,
            flow: Flow { steps, truncated },
        })
    }
}
