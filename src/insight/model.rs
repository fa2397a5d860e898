//! A linear model in eight bits.
//!
//! Owns the format of the weights, its checks, and what a score becomes: labels, valence, a
//! calibrated confidence. Called by the engine, and by the trainer to write the weights.
//! Invariant: bytes that decode give a model that reads any text without a fault.
//!
//! All little-endian: `DMEM`, version, number of outputs, two zero bytes; number of pieces (u32);
//! slope, offset of the confidence, then the bias and the scale of each output (f32); the keys of
//! the pieces, ascending (u32); for each piece a weight an output (i8); SHA-256 of all before.

use sha2::{Digest as _, Sha256};

use super::features;
use crate::domain::emotion::{Emotion, Reading};

/// How many labels there are: the outputs of a model begin with one for each.
pub const LABELS: usize = Emotion::ALL.len();
/// The outputs of a model: the labels, then the valences from -2 to 2.
pub const OUTPUTS: usize = LABELS + 5;

/// Below this confidence (per cent) a reading is unsure.
pub const UNSURE: u8 = 55;
/// The share of the first label's probability that makes a second label worth naming.
const SECOND: f32 = 0.5;

const MAGIC: &[u8; 4] = b"DMEM";
const VERSION: u8 = 1;
const OUTPUTS_BYTE: u8 = 20;
const HEAD: usize = 12 + 4 * (2 + 2 * OUTPUTS);
const SUM: usize = 32;

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
    /// Slope and offset of the confidence over the log-odds of the first label.
    pub confidence: [f32; 2],
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
        for number in self.confidence.iter().chain(&self.bias).chain(&self.scale) {
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

/// A decoded model.
#[derive(Debug)]
pub struct Model {
    weights: Weights,
    /// An open-addressed table of places in the keys; `EMPTY` ends a search.
    slots: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

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
        let confidence = [next(), next()];
        let bias = std::array::from_fn(|_| next());
        let scale = std::array::from_fn(|_| next());
        let (keys, rows) = body[HEAD..].split_at(4 * count);
        let (rows, _) = rows.as_chunks::<OUTPUTS>();
        let weights = Weights {
            confidence,
            bias,
            scale,
            keys: u32s(keys).collect(),
            rows: rows.iter().map(|row| row.map(u8::cast_signed)).collect(),
        };
        Self::new(weights)
    }

    /// The model of these weights.
    pub fn new(weights: Weights) -> Result<Self, Fault> {
        let numbers = weights.confidence.iter().chain(&weights.bias);
        let finite = numbers
            .chain(&weights.scale)
            .all(|number| number.is_finite());
        let ascending = weights.keys.is_sorted_by(|a, b| a < b);
        if !finite || !ascending || weights.keys.len() != weights.rows.len() {
            return Err(Fault::Content);
        }
        let mut slots = vec![EMPTY; (2 * weights.keys.len() + 1).next_power_of_two()];
        for (place, key) in (0u32..).zip(&weights.keys) {
            let mut slot = *key as usize & (slots.len() - 1);
            while slots[slot] != EMPTY {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = place;
        }
        Ok(Self { weights, slots })
    }

    /// The checked weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
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

    /// The raw scores of a message, one an output; `None` if no piece of it is known.
    pub fn scores(&self, text: &str) -> Option<[f32; OUTPUTS]> {
        let keys = features::keys(text);
        let mut sums = [0i32; OUTPUTS];
        let mut known = false;
        for row in keys.iter().filter_map(|key| self.row(*key)) {
            known = true;
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += i32::from(*weight);
            }
        }
        let share = norm(keys.len());
        let weights = &self.weights;
        known.then(|| {
            #[expect(clippy::cast_precision_loss, reason = "some thousand times 127")]
            std::array::from_fn(|o| weights.bias[o] + sums[o] as f32 * weights.scale[o] * share)
        })
    }

    /// Reads one message.
    pub fn read(&self, text: &str) -> Reading {
        let Some(scores) = self.scores(text) else {
            return Reading::UNKNOWN;
        };
        let (labels, valences) = scores.split_at(LABELS);
        let labels = softmax(labels);
        let first = highest(&labels);
        let mut others = labels.clone();
        others[first] = 0.0;
        let second = highest(&others);
        let confidence = self.confidence(labels[first]);
        Reading {
            first: Emotion::ALL[first],
            second: (labels[second] >= SECOND * labels[first]).then(|| Emotion::ALL[second]),
            valence: valence(&labels, &softmax(valences)),
            confidence,
            unsure: confidence < UNSURE,
        }
    }

    /// In per cent, from the first label's probability.
    fn confidence(&self, probability: f32) -> u8 {
        let [slope, offset] = self.weights.confidence;
        let sure = 1.0 / (1.0 + (-(slope * log_odds(probability) + offset)).exp());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 100"
        )]
        let percent = (sure * 100.0).round().clamp(0.0, 100.0) as u8;
        percent
    }
}

/// What the sum over `pieces` pieces is multiplied with, so that long messages do not shout.
#[expect(clippy::cast_precision_loss, reason = "some thousand at most")]
pub fn norm(pieces: usize) -> f32 {
    1.0 / (pieces.max(1) as f32).sqrt()
}

/// The log-odds of a probability, kept finite.
pub fn log_odds(probability: f32) -> f32 {
    let p = probability.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}

/// Scores as probabilities.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut shares: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f32 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }
    shares
}

/// The place of the highest, the first of equals.
pub fn highest(numbers: &[f32]) -> usize {
    (0..numbers.len()).fold(
        0,
        |best, i| if numbers[i] > numbers[best] { i } else { best },
    )
}

/// First the sign, from what the valences and the labels say of it together; then how strong.
pub fn valence(labels: &[f32], shares: &[f32]) -> i8 {
    let [worst, bad, none, good, best] = *shares else {
        return 0;
    };
    let mut signs = [worst + bad, none, good + best];
    for (emotion, probability) in Emotion::ALL.into_iter().zip(labels) {
        let sign = match emotion.valence() {
            ..0 => 0,
            0 => 1,
            _ => 2,
        };
        signs[sign] += probability;
    }
    match highest(&signs) {
        0 if worst > bad => -2,
        0 => -1,
        1 => 0,
        _ if best > good => 2,
        _ => 1,
    }
}

fn u32s(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}
