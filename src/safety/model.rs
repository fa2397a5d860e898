//! A linear model in eight bits, which finds what the rules have no words for.
//!
//! Owns the format of the weights, its checks, and what a score becomes: a tier and what it is about. Called by the gate, and
//! by the trainer to write the weights. Invariants: bytes that decode give a model that reads any text without a fault; it
//! never lowers what the rules found, for it is asked beside them.
//!
//! All little-endian: `DMSG`, version, number of outputs, two zero bytes; number of pieces (u32); the bias and the scale of
//! each output (f32); the keys of the pieces, ascending (u32); for each piece a weight an output (i8); SHA-256 of all before.

use super::pieces;
use crate::domain::safety::{Category, Tier};
use sha2::{Digest as _, Sha256};

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
const FEWEST: usize = 40;

const MAGIC: &[u8; 4] = b"DMSG";
const VERSION: u8 = 1;
const OUTPUTS_BYTE: u8 = 8;
const HEAD: usize = 12 + 4 * 2 * OUTPUTS;
const SUM: usize = 32;
const EMPTY: u32 = u32::MAX;

/// Why bytes are no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not this format, or another version of it.
    Format,
    /// The length does not fit the header.
    Length,
    /// The checksum is another.
    Checksum,
    /// A number that is not finite, or keys that do not ascend.
    Content,
}

/// Weights as the trainer makes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// What each output says of an empty message.
    pub bias: [f32; OUTPUTS],
    /// What a weight of 1 is worth, for each output.
    pub scale: [f32; OUTPUTS],
    /// The keys of the pieces, ascending.
    pub keys: Vec<u32>,
    /// The weights of each piece, in the order of the keys.
    pub rows: Vec<[i8; OUTPUTS]>,
}

impl Weights {
    /// The bytes of the format.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let mut bytes = MAGIC.to_vec();
        bytes.extend([VERSION, OUTPUTS_BYTE, 0, 0]);
        bytes.extend(count.to_le_bytes());
        for number in self.bias.iter().chain(&self.scale) {
            bytes.extend(number.to_le_bytes());
        }
        for key in &self.keys {
            bytes.extend(key.to_le_bytes());
        }
        for row in &self.rows {
            bytes.extend(row.map(i8::cast_unsigned));
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        bytes
    }
}

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
    weights: Weights,
    /// An open-addressed table of places in the keys; `EMPTY` ends a search.
    slots: Vec<u32>,
    /// The first letters of the checksum: which model it is.
    name: String,
}

impl Model {
    /// Decodes and checks the bytes of the format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() < HEAD + SUM {
            return Err(Fault::Length);
        }
        if &bytes[..4] != MAGIC || bytes[4..8] != [VERSION, OUTPUTS_BYTE, 0, 0] {
            return Err(Fault::Format);
        }
        let (body, sum) = bytes.split_at(bytes.len() - SUM);
        let count = u32s(&body[8..12]).next().unwrap_or(0) as usize;
        if body.len() - HEAD != count.saturating_mul(4 + OUTPUTS) {
            return Err(Fault::Length);
        }
        if Sha256::digest(body).as_slice() != sum {
            return Err(Fault::Checksum);
        }
        let mut numbers = u32s(&body[12..HEAD]).map(f32::from_bits);
        let mut next = || numbers.next().unwrap_or_default();
        let bias = std::array::from_fn(|_| next());
        let scale = std::array::from_fn(|_| next());
        let (keys, rows) = body[HEAD..].split_at(4 * count);
        let (rows, _) = rows.as_chunks::<OUTPUTS>();
        let weights = Weights {
            bias,
            scale,
            keys: u32s(keys).collect(),
            rows: rows.iter().map(|row| row.map(u8::cast_signed)).collect(),
        };
        Self::new(weights)
    }

    /// The model of these weights.
    pub fn new(weights: Weights) -> Result<Self, Fault> {
        let mut numbers = weights.bias.iter().chain(&weights.scale);
        let ascending = weights.keys.is_sorted_by(|a, b| a < b);
        if !numbers.all(|number| number.is_finite())
            || !ascending
            || weights.keys.len() != weights.rows.len()
        {
            return Err(Fault::Content);
        }
        let mut slots = vec![EMPTY; (weights.keys.len() * 3 / 2 + 1).next_power_of_two()];
        for (place, key) in (0u32..).zip(&weights.keys) {
            let mut slot = *key as usize & (slots.len() - 1);
            while slots[slot] != EMPTY {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = place;
        }
        let sum = Sha256::digest(weights.to_bytes());
        let first = sum.first_chunk().copied().unwrap_or_default();
        let name = format!("{:08x}", u32::from_be_bytes(first));
        Ok(Self {
            weights,
            slots,
            name,
        })
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
        let mut sums = [0i32; OUTPUTS];
        for row in keys.iter().filter_map(|key| self.row(*key)) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += i32::from(*weight);
            }
        }
        let share = norm(keys.len());
        #[expect(clippy::cast_precision_loss, reason = "some thousand times 127")]
        let scores: [f32; OUTPUTS] = std::array::from_fn(|o| {
            self.weights.bias[o] + sums[o] as f32 * self.weights.scale[o] * share
        });
        let (tiers, themes) = scores.split_at(TIERS);
        let [.., elevated, imminent] = softmax(tiers);
        let theme =
            (0..themes.len()).fold(0, |best, i| if themes[i] > themes[best] { i } else { best });
        Opinion {
            elevated: elevated + imminent,
            imminent,
            category: THEMES[theme].1,
        }
    }

    fn row(&self, key: u32) -> Option<&[i8; OUTPUTS]> {
        let mut slot = key as usize & (self.slots.len() - 1);
        loop {
            let place = self.slots[slot];
            if place == EMPTY {
                return None;
            }
            if self.weights.keys[place as usize] == key {
                return Some(&self.weights.rows[place as usize]);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// What the sum over `pieces` pieces is multiplied with, so that long sentences do not shout.
#[expect(clippy::cast_precision_loss, reason = "some thousand at most")]
pub fn norm(pieces: usize) -> f32 {
    1.0 / (pieces.max(1) as f32).sqrt()
}

fn softmax(scores: &[f32]) -> [f32; TIERS] {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let shares: [f32; TIERS] =
        std::array::from_fn(|i| scores.get(i).map_or(0.0, |score| (score - top).exp()));
    let sum: f32 = shares.iter().sum();
    shares.map(|share| share / sum)
}

fn u32s(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}
