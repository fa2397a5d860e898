//! What the scores of a message become: labels, valence, a calibrated confidence.
//!
//! Owns [`Model`] and the meaning of its outputs; the weights are a [`crate::linear`] table, which begins with `DMEM` and has slope and
//! offset of the confidence in its head. Called by the engine, and by the trainer. Invariant: bytes that decode give a model
//! that reads any text without a fault.

use super::features;
use crate::domain::emotion::{Emotion, Reading};
use crate::linear::{self, Table};
use std::borrow::Cow;

pub use crate::linear::{Fault, highest, norm, softmax};

/// How many labels there are: the outputs of a model begin with one for each.
pub const LABELS: usize = Emotion::ALL.len();
/// The outputs of a model: the labels, then the valences from -2 to 2.
pub const OUTPUTS: usize = LABELS + 5;

/// Below this confidence (per cent) a reading is unsure.
pub const UNSURE: u8 = 55;
/// The share of the first label's probability that makes a second label worth naming.
const SECOND: f32 = 0.5;

const MARK: u32 = u32::from_be_bytes(*b"DMEM");

/// Weights as the trainer makes them; `extra` is slope and offset of the confidence over the log-odds of the first label.
pub type Weights = linear::Weights<OUTPUTS, 2, MARK>;

/// A decoded model.
#[derive(Debug)]
pub struct Model(Table<OUTPUTS, 2, MARK>);

impl Model {
    /// Decodes and checks the bytes of the format.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Fault> {
        Table::from_bytes(bytes).map(Self)
    }

    /// The model of these weights.
    pub fn new(weights: &Weights) -> Result<Self, Fault> {
        Table::new(weights).map(Self)
    }

    /// The raw scores of a message, one an output; `None` if no piece of it is known.
    pub fn scores(&self, text: &str) -> Option<[f32; OUTPUTS]> {
        self.0.scores(&features::keys(text))
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
        let [slope, offset] = self.0.extra;
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

/// The log-odds of a probability, kept finite.
pub fn log_odds(probability: f32) -> f32 {
    let p = probability.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
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
