//! What the emotion model learns, and by which settings.

use crate::data::SOURCES;
use crate::learning::{self, Plan, Task};
use deepme::insight::model::{LABELS, OUTPUTS, Weights, norm};

/// Weights of every label and valence.
pub(crate) type Learner = learning::Learner<OUTPUTS>;

/// One sentence with what people said of it.
pub(crate) struct Sample {
    /// The sentence.
    pub text: String,
    /// What the model sees of it.
    pub keys: Vec<u32>,
    /// Of the text: says in which part it is.
    pub hash: u64,
    /// Whether it is measured in the cross-validation.
    pub tuned_on: bool,
    /// How much it counts.
    pub weight: f32,
    /// Shares of the labels, then of the valences.
    pub target: [f32; OUTPUTS],
    /// Every label that anybody named, first or second.
    pub named: Vec<usize>,
    /// What each annotator named first.
    pub firsts: Vec<usize>,
    /// The two labels with most weight over all annotators.
    pub top: Vec<usize>,
    /// The sign of the valence, by annotator.
    pub signs: Vec<i8>,
}

/// How many pieces a language keeps, 24 bytes each: four megabytes in all, of which Korean has the more. Each is worth
/// something: with 40,000 a language, cross-validation is three points worse in Korean than with all of them.
pub(crate) fn kept(language: &str) -> usize {
    if language == "ko" { 110_000 } else { 55_000 }
}

/// What cross-validation found best for a language.
pub(crate) fn plan(language: &str) -> Plan {
    let step = if language == "ko" { 0.1 } else { 0.2 };
    Plan {
        rounds: 12,
        step,
        parts: &[0..LABELS, LABELS..OUTPUTS],
        telling: None,
        once: 0.3,
    }
}

impl<const N: usize> learning::Learner<N> {
    /// The raw scores of a text with these keys.
    pub(crate) fn of(&self, keys: &[u32]) -> [f32; N] {
        self.sum(&self.known(keys), norm(keys.len()))
    }
}

/// Learns from these.
pub(crate) fn fit(samples: &[&Sample], plan: &Plan) -> Learner {
    let tasks: Vec<Task<'_, OUTPUTS>> = samples
        .iter()
        .map(|sample| Task {
            keys: &sample.keys,
            target: sample.target,
            weight: sample.weight,
        })
        .collect();
    Learner::learn(&tasks, plan)
}

/// The weightiest pieces in eight bits, cooled by `heat`.
pub(crate) fn export(learner: &Learner, kept: usize, heat: f32, confidence: [f32; 2]) -> Weights {
    let small = learner.small(kept, |key| key >= SOURCES);
    // Valences are not cooled: only their order counts.
    let cool = |o: usize| if o < LABELS { 1.0 / heat } else { 1.0 };
    Weights {
        extra: confidence,
        bias: std::array::from_fn(|o| learner.bias[o] * cool(o)),
        scale: std::array::from_fn(|o| small.scale[o] * cool(o)),
        keys: small.keys,
        rows: small.rows,
    }
}
