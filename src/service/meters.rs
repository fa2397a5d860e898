//! What is counted of this instance.
//!
//! Owns [`Meters`]. Counted by turns and surfaces where they begin and end, so never for a token; read
//! by the page for metrics and by the watchdog. Invariant: nothing here says who did what: a label is a
//! word of the program's or the admin's, and never a person's.

use super::App;
use crate::domain::meter::{Counter, Gauge, Histogram, Load, Tally};
use crate::domain::safety::Tier;
use crate::domain::step::StepStatus;
use crate::domain::usage::Tokens;
use crate::domain::{Error, Timestamp};
use crate::llm::chain::{Link, State};
use std::sync::atomic::AtomicI64;

/// The ends of the buckets of the time to the first token, in milliseconds.
const FIRST_TOKEN: &[u32] = &[50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000];
/// The same of the time between two tokens.
const BETWEEN_TOKENS: &[u32] = &[5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];
/// The same of whole turns.
const TURN: &[u32] = &[
    250, 500, 1000, 2500, 5000, 10_000, 20_000, 30_000, 60_000, 120_000,
];

/// How a turn can end, for the count.
const ENDS: [StepStatus; 4] = [
    StepStatus::Complete,
    StepStatus::Cancelled,
    StepStatus::Interrupted,
    StepStatus::Failed,
];

/// What is counted.
#[derive(Debug)]
pub struct Meters {
    /// When it began.
    pub started: Timestamp,
    /// Turns that this instance runs.
    pub turns_running: Gauge,
    /// Turns whose words were stored.
    pub turns_started: Counter,
    /// Turns that are over, by how.
    pub turns_ended: Tally<&'static str>,
    /// Words that were not taken, by the code of the refusal.
    pub turns_refused: Tally<&'static str>,
    /// From the stored words to the model's first token.
    pub first_token: Histogram,
    /// From one piece of an answer to the next, on average over each turn.
    pub between_tokens: Histogram,
    /// From the stored words to the stored end.
    pub turn: Histogram,
    /// Bytes of answers, counted while they grow.
    pub answer_bytes: Counter,
    /// Tokens that models have read.
    pub tokens_in: Counter,
    /// Tokens that models have written.
    pub tokens_out: Counter,
    /// Turns by what the safety gate said.
    pub tiers: Tally<Tier>,
    /// Passwords that are hashed, or wait for it.
    pub hashing: Gauge,
    /// Sockets that are open.
    pub sockets: Gauge,
    /// Sockets that are over, by the code that the server closed them with; `None` where the peer went.
    pub closes: Tally<Option<u16>>,
    /// When the newest backup was made that was seen, in seconds since 1970; 0 without one.
    pub newest_backup: AtomicI64,
    /// Answers by the template of the route and the first digit of the status.
    pub requests: Tally<(String, u16)>,
}

impl Meters {
    pub(super) fn new(started: Timestamp) -> Self {
        Self {
            started,
            turns_running: Gauge::default(),
            turns_started: Counter::default(),
            turns_ended: Tally::of(ENDS.map(StepStatus::as_str)),
            turns_refused: Tally::default(),
            first_token: Histogram::new(FIRST_TOKEN),
            between_tokens: Histogram::new(BETWEEN_TOKENS),
            turn: Histogram::new(TURN),
            answer_bytes: Counter::default(),
            tokens_in: Counter::default(),
            tokens_out: Counter::default(),
            tiers: Tally::of(Tier::ALL),
            hashing: Gauge::default(),
            sockets: Gauge::default(),
            closes: Tally::default(),
            newest_backup: AtomicI64::default(),
            requests: Tally::default(),
        }
    }

    /// Words were not taken.
    pub fn refused(&self, error: &Error) {
        self.turns_refused.add(error.code().as_str());
    }

    /// A model was paid.
    pub(super) fn charged(&self, tokens: Tokens) {
        self.tokens_in.add(u64::try_from(tokens.input).unwrap_or(0));
        self.tokens_out
            .add(u64::try_from(tokens.output).unwrap_or(0));
    }
}

/// How a model of the chain does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFigures {
    /// Its name.
    pub name: String,
    /// How its breaker stands.
    pub state: State,
    /// Answers that it gave to their end.
    pub answers: u64,
    /// What went wrong, and how often.
    pub failures: Vec<(&'static str, u64)>,
}

impl App {
    /// What is counted.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// How each model does, in the order in which they are asked.
    pub fn models(&self) -> Vec<ModelFigures> {
        let figures = |link: &Link| ModelFigures {
            name: link.model.name().to_owned(),
            state: link.state(),
            answers: link.answers.get(),
            failures: link.failures.all(),
        };
        self.chain.links().map(figures).collect()
    }

    /// How busy the store is.
    pub fn store_load(&self) -> Load {
        self.store.load()
    }

    /// Whether what works on the store inside this process still does; see [`crate::store::Store::alive`].
    pub async fn store_is_alive(&self) -> bool {
        self.store.alive().await
    }
}
