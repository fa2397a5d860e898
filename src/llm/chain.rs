//! The models in the order in which they are asked, and which of them to leave alone for a while.
//!
//! Owns [`Chain`] and its circuit breakers. Called by the turn. Invariants: a model that failed several
//! turns in a row is not asked again before it had a rest, and then by one turn only; a breaker
//! never leaves a person without an answer: when nobody else gives one, the model that rested longest
//! is asked.

use super::{ChatModel, Fault};
use crate::domain::meter::{Counter, Tally};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The models of a server.
pub struct Chain(Vec<Link>);

/// A model and its breaker.
pub struct Link {
    /// The model.
    pub model: Arc<dyn ChatModel>,
    /// How often it gave an answer to its end.
    pub answers: Counter,
    /// How often it gave none, or not to the end, by [`Fault::as_str`].
    pub failures: Tally<&'static str>,
    breaker: Arc<Mutex<Breaker>>,
}

/// How the breaker of a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is asked.
    Closed,
    /// It is left alone.
    Open,
    /// It has rested, and one turn tries it.
    Probing,
}

impl State {
    /// A word for logs and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Probing => "probing",
        }
    }
}

impl Chain {
    /// `failures`: turns in a row that a model fails before it is left alone; `rest`: for how long.
    pub fn new(models: Vec<Arc<dyn ChatModel>>, failures: u32, rest: Duration) -> Self {
        let link = |model| Link {
            model,
            answers: Counter::default(),
            failures: Tally::of(Fault::KINDS),
            breaker: Arc::new(Mutex::new(Breaker {
                failures: 0,
                opened: None,
                probing: false,
                most: failures,
                rest,
            })),
        };
        Self(models.into_iter().map(link).collect())
    }

    /// The models, first choice first.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.0.iter()
    }
}

impl Link {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the breaker stands.
    pub fn state(&self) -> State {
        self.breaker().state()
    }

    /// Leave to ask the model, unless it rests.
    pub fn leave(&self, now: Instant) -> Option<Leave> {
        let probe = self.breaker().leave(now)?;
        Some(self.granted(probe))
    }

    /// Since when the model rests, if it does.
    pub fn resting_since(&self) -> Option<Instant> {
        self.breaker().opened
    }

    /// Leave to ask it all the same.
    pub fn leave_anyway(&self) -> Leave {
        self.granted(false)
    }

    fn granted(&self, probe: bool) -> Leave {
        Leave {
            name: self.model.name().to_owned(),
            breaker: Arc::clone(&self.breaker),
            probe,
            reported: false,
        }
    }
}

/// Leave for one turn to ask a model. Given back unused when it is dropped.
pub struct Leave {
    name: String,
    breaker: Arc<Mutex<Breaker>>,
    probe: bool,
    reported: bool,
}

impl Leave {
    /// The model did what it should, or failed for a reason that says nothing about it.
    pub fn well(mut self) {
        self.report(Breaker::succeeded);
    }

    /// The model failed.
    pub fn ill(mut self, now: Instant) {
        let probe = self.probe;
        self.report(|breaker| breaker.failed(now, probe));
    }

    fn report(&mut self, change: impl FnOnce(&mut Breaker)) {
        self.reported = true;
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.state();
        change(&mut breaker);
        let after = breaker.state();
        let failures = breaker.failures;
        drop(breaker);
        if before != after {
            let (model, state) = (&self.name, after.as_str());
            tracing::warn!(model, state, failures, "the breaker of a model has changed");
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        // The person stopped the turn, or the server ends: nothing was learnt.
        if self.probe && !self.reported {
            let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            breaker.probing = false;
        }
    }
}

/// Whether a fault says that the model cannot answer others either. A request that is refused as it is
/// (400, 413, 422) says something about the request.
pub fn says_ill(fault: &Fault) -> bool {
    !matches!(
        fault,
        Fault::Status {
            status: 400 | 413 | 422
        }
    )
}

/// Decides; knows no clock.
#[derive(Debug)]
struct Breaker {
    failures: u32,
    opened: Option<Instant>,
    probing: bool,
    most: u32,
    rest: Duration,
}

impl Breaker {
    fn state(&self) -> State {
        match (self.opened, self.probing) {
            (None, _) => State::Closed,
            (Some(_), false) => State::Open,
            (Some(_), true) => State::Probing,
        }
    }

    /// Whether the model may be asked, and then whether this is the one try after a rest.
    fn leave(&mut self, now: Instant) -> Option<bool> {
        let Some(opened) = self.opened else {
            return Some(false);
        };
        if self.probing || now.saturating_duration_since(opened) < self.rest {
            return None;
        }
        self.probing = true;
        Some(true)
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.opened = None;
        self.probing = false;
    }

    fn failed(&mut self, now: Instant, probe: bool) {
        self.failures = self.failures.saturating_add(1);
        if self.opened.is_some() && !probe {
            // One that was asked before, or all the same: it rests as long as it would have.
            return;
        }
        self.probing = false;
        if self.failures >= self.most {
            self.opened = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::scripted::Scripted;

    const REST: Duration = Duration::from_secs(30);

    fn chain(models: usize) -> Chain {
        let model = || Arc::new(Scripted::default()) as Arc<dyn ChatModel>;
        Chain::new((0..models).map(|_| model()).collect(), 3, REST)
    }

    fn fail(link: &Link, now: Instant) {
        link.leave(now).unwrap().ill(now);
    }

    #[test]
    fn a_model_that_fails_in_a_row_rests_and_is_tried_by_one() {
        let (chain, now) = (chain(1), Instant::now());
        let link = &chain.0[0];
        fail(link, now);
        fail(link, now);
        // A success in between begins the count anew.
        link.leave(now).unwrap().well();
        for _ in 0..3 {
            assert_eq!(link.state(), State::Closed);
            fail(link, now);
        }
        assert_eq!(link.state(), State::Open);
        assert!(link.leave(now + REST - Duration::from_millis(1)).is_none());
        let probe = link.leave(now + REST).unwrap();
        assert_eq!(link.state(), State::Probing);
        assert!(link.leave(now + REST).is_none(), "one only");
        probe.ill(now + REST);
        assert!(
            link.leave(now + REST + REST / 2).is_none(),
            "it rests again"
        );
        link.leave(now + REST + REST).unwrap().well();
        assert_eq!(link.state(), State::Closed);
        fail(link, now);
        assert_eq!(link.state(), State::Closed, "the count began anew");
    }

    #[test]
    fn a_try_that_nobody_waited_for_says_nothing() {
        let (chain, now) = (chain(1), Instant::now());
        let link = &chain.0[0];
        for _ in 0..3 {
            fail(link, now);
        }
        drop(link.leave(now + REST).unwrap());
        assert_eq!(link.state(), State::Open);
        assert!(link.leave(now + REST).is_some());
    }

    #[test]
    fn who_was_asked_all_the_same_does_not_prolong_the_rest() {
        let (chain, now) = (chain(1), Instant::now());
        let link = &chain.0[0];
        for _ in 0..3 {
            fail(link, now);
        }
        link.leave_anyway().ill(now + REST / 2);
        assert_eq!(link.resting_since(), Some(now));
        let probe = link.leave(now + REST).unwrap();
        link.leave_anyway().ill(now + REST);
        assert_eq!(link.state(), State::Probing, "the probe goes on");
        drop(probe);
        link.leave_anyway().well();
        assert_eq!(link.state(), State::Closed);
    }
}
