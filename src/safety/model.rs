//! A linear model for what the rules have no words for.
//!
//! Owns the meaning of its outputs: a tier and what it is about; the weights are a [`crate::linear`] table, which begins with
//! `DMSG`. Called by the gate, and by the trainer. Invariants: bytes that decode give a model that reads any text without a
//! fault; it never lowers what the rules found, for it is asked beside them.

use super::pieces;
use crate::domain::safety::{Category, Tier};
use crate::linear::{self, Table, highest, softmax};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

pub use crate::linear::{Fault, norm};

/// The tiers, then the themes of [`THEMES`].
pub const OUTPUTS: usize = TIERS + THEMES.len();
/// How many tiers there are: the outputs begin with one for each.
pub const TIERS: usize = Tier::ALL.len();
/// What a dangerous message is about, as the lists name it, and the category that stands for it.
pub const THEMES: [(&str, Category); 4] = [
    ("own", Category::Suicide),
    ("other", Category::ConcernForOther),
    ("hurt", Category::Abuse),
    ("violence", Category::Violence),
];

/// From this probability of elevated or worse on, a message is elevated. Chosen by the trainer's cross-validation over writers
/// (docs/safety.md).
pub const ELEVATED: f32 = 0.5;
/// From this probability of imminent on, it is imminent: above the other border, for it brings the emergency numbers first.
pub const IMMINENT: f32 = 0.6;

/// A sentence of fewer pieces, some two short words, says too little to be judged by what is like it: such words are the rules'.
const FEWEST: usize = 34;

const MARK: u32 = u32::from_be_bytes(*b"DMSG");

/// Weights as the trainer makes them.
pub type Weights = linear::Weights<OUTPUTS, 0, MARK>;

/// What the model says of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opinion {
    /// The probability of elevated or worse, of the most alarming sentence.
    pub elevated: f32,
    /// The probability of imminent, of the most alarming sentence.
    pub imminent: f32,
    /// What the most alarming sentence is about, if it is alarming.
    pub category: Category,
}

impl Opinion {
    /// The tier that it is worth.
    pub fn tier(self) -> Tier {
        if self.imminent >= IMMINENT {
            Tier::Imminent
        } else if self.elevated >= ELEVATED {
            Tier::Elevated
        } else {
            Tier::None
        }
    }
}

/// A decoded model.
#[derive(Debug)]
pub struct Model {
    table: Table<OUTPUTS, 0, MARK>,
    /// The first letters of the checksum: which model it is.
    name: String,
}

impl Model {
    /// Decodes and checks the bytes of the format.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Fault> {
        let bytes = bytes.into();
        let sum = Sha256::digest(&bytes);
        let first = sum.first_chunk().copied().unwrap_or_default();
        Ok(Self {
            table: Table::from_bytes(bytes)?,
            name: format!("{:08x}", u32::from_be_bytes(first)),
        })
    }

    /// The model of these weights.
    pub fn new(weights: &Weights) -> Result<Self, Fault> {
        Self::from_bytes(weights.to_bytes())
    }

    /// The first letters of its checksum.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says of a message: of its most alarming sentence.
    pub fn read(&self, text: &str) -> Opinion {
        let calm = Opinion {
            elevated: 0.0,
            imminent: 0.0,
            category: Category::Suicide,
        };
        let sentences = pieces::sentences(text);
        let telling = sentences.iter().filter(|keys| keys.len() >= FEWEST);
        telling.fold(calm, |worst, keys| {
            let opinion = self.opinion(keys);
            Opinion {
                category: if opinion.elevated > worst.elevated {
                    opinion.category
                } else {
                    worst.category
                },
                elevated: worst.elevated.max(opinion.elevated),
                imminent: worst.imminent.max(opinion.imminent),
            }
        })
    }

    fn opinion(&self, keys: &[u32]) -> Opinion {
        let scores = self.table.scores(keys);
        // Nothing known says what an empty message says.
        let scores = scores.unwrap_or(self.table.bias);
        let (tiers, themes) = scores.split_at(TIERS);
        let tiers = softmax(tiers);
        let of = |tier: Tier| tiers.get(tier as usize).copied().unwrap_or_default();
        let (elevated, imminent) = (of(Tier::Elevated), of(Tier::Imminent));
        let theme = highest(themes);
        Opinion {
            elevated: elevated + imminent,
            imminent,
            category: THEMES[theme].1,
        }
    }
}
