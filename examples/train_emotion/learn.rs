//! Logistic regression on hashed pieces, by AdaGrad, one sample at a time.
//!
//! Invariant: no randomness but a fixed shuffle, no threads, no map whose order matters: the same
//! samples give the same weights.

use std::collections::{BTreeMap, HashMap};

use deepme::insight::model::{LABELS, OUTPUTS, Weights, norm};

use crate::data::SOURCES;

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

/// How to train.
pub(crate) struct Plan {
    /// Rounds over the samples.
    pub rounds: usize,
    /// The step of AdaGrad.
    pub step: f32,
    /// Outputs from here on are a softmax of their own; 0 makes every output a question of its own.
    pub border: usize,
}

impl Plan {
    /// What cross-validation found best for a language.
    pub(crate) fn of(language: &str) -> Self {
        let (rounds, step) = if language == "ko" {
            (12, 0.1)
        } else {
            (12, 0.2)
        };
        Self {
            rounds,
            step,
            border: LABELS,
        }
    }
}

/// A trained model in floats.
pub(crate) struct Learner<const N: usize> {
    places: HashMap<u32, usize>,
    counts: Vec<f32>,
    rows: Vec<[f32; N]>,
    bias: [f32; N],
}

impl Learner<OUTPUTS> {
    /// Trains on these.
    pub(crate) fn fit(samples: &[&Sample], plan: &Plan) -> Self {
        let all: Vec<Task<OUTPUTS>> = samples
            .iter()
            .map(|sample| (sample.keys.as_slice(), sample.target, sample.weight))
            .collect();
        Self::learn(&all, plan)
    }

    /// The raw scores of a sample.
    pub(crate) fn scores(&self, sample: &Sample) -> [f32; OUTPUTS] {
        self.of(&sample.keys)
    }

    /// The weightiest pieces in eight bits, cooled by `heat`.
    pub(crate) fn export(&self, kept: usize, heat: f32, confidence: [f32; 2]) -> Weights {
        let mut ranked: Vec<(f32, u32, usize)> = self
            .places
            .iter()
            .filter(|(key, _)| **key >= SOURCES)
            .map(|(key, place)| {
                let length: f32 = self.rows[*place].iter().map(|w| w * w).sum();
                (length * self.counts[*place], *key, *place)
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.truncate(kept);
        let chosen: BTreeMap<u32, usize> =
            ranked.iter().map(|(_, k, place)| (*k, *place)).collect();
        let largest: [f32; OUTPUTS] = std::array::from_fn(|o| {
            let weights = chosen.values().map(|place| self.rows[*place][o].abs());
            weights.fold(1e-6, f32::max)
        });
        #[expect(clippy::cast_possible_truncation, reason = "within 127")]
        let small = |row: &[f32; OUTPUTS]| -> [i8; OUTPUTS] {
            std::array::from_fn(|o| (row[o] / largest[o] * 127.0).round() as i8)
        };
        // Valences are not cooled: only their order counts.
        let cool = |o: usize| if o < LABELS { 1.0 / heat } else { 1.0 };
        Weights {
            extra: confidence,
            bias: std::array::from_fn(|o| self.bias[o] * cool(o)),
            scale: std::array::from_fn(|o| largest[o] / 127.0 * cool(o)),
            keys: chosen.keys().copied().collect(),
            rows: chosen
                .values()
                .map(|place| small(&self.rows[*place]))
                .collect(),
        }
    }
}

/// Keys, target and weight.
pub(crate) type Task<'a, const N: usize> = (&'a [u32], [f32; N], f32);

impl<const N: usize> Learner<N> {
    /// Trains on these.
    pub(crate) fn learn(samples: &[Task<'_, N>], plan: &Plan) -> Self {
        // A piece that stands in one comment only teaches nothing.
        let mut seen: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
        for (keys, _, weight) in samples {
            for key in *keys {
                let entry = seen.entry(*key).or_default();
                entry.0 += 1;
                entry.1 |= *weight >= 0.3;
            }
        }
        seen.retain(|_, (count, ours)| *count > 1 || (*ours && plan.border > 0));
        let places: HashMap<u32, usize> = seen.keys().copied().zip(0..).collect();
        #[expect(clippy::cast_precision_loss, reason = "some thousand")]
        let counts = seen.values().map(|(count, _)| *count as f32).collect();
        let mut this = Self {
            rows: vec![[0.0; N]; places.len()],
            counts,
            places,
            bias: [0.0; N],
        };
        let known: Vec<Vec<usize>> = samples.iter().map(|task| this.known(task.0)).collect();
        let mut squares = vec![[1e-6f32; N]; this.rows.len()];
        let mut bias_squares = [1e-6f32; N];
        let mut order: Vec<usize> = (0..samples.len()).collect();
        let mut state = 88_172_645_463_325_252_u64;
        for _ in 0..plan.rounds {
            shuffle(&mut order, &mut state);
            for &i in &order {
                let (keys, target, weight) = &samples[i];
                let share = norm(keys.len());
                let mut slope = this.sum(&known[i], share);
                squash(&mut slope, plan.border);
                for o in 0..N {
                    slope[o] = (slope[o] - target[o]) * weight;
                    bias_squares[o] += slope[o] * slope[o];
                    this.bias[o] -= plan.step * slope[o] / bias_squares[o].sqrt();
                    slope[o] *= share;
                }
                for &place in &known[i] {
                    let (row, square) = (&mut this.rows[place], &mut squares[place]);
                    for o in 0..N {
                        square[o] += slope[o] * slope[o];
                        row[o] -= plan.step * slope[o] / square[o].sqrt();
                    }
                }
            }
        }
        this
    }

    /// The raw scores of a text with these keys.
    pub(crate) fn of(&self, keys: &[u32]) -> [f32; N] {
        self.sum(&self.known(keys), norm(keys.len()))
    }

    fn known(&self, keys: &[u32]) -> Vec<usize> {
        keys.iter()
            .filter_map(|key| self.places.get(key).copied())
            .collect()
    }

    fn sum(&self, places: &[usize], share: f32) -> [f32; N] {
        let mut sums = [0.0f32; N];
        for &place in places {
            for (sum, weight) in sums.iter_mut().zip(&self.rows[place]) {
                *sum += weight;
            }
        }
        std::array::from_fn(|o| self.bias[o] + sums[o] * share)
    }
}

/// Scores as probabilities.
fn squash(scores: &mut [f32], border: usize) {
    if border == 0 {
        for score in scores {
            *score = 1.0 / (1.0 + (-*score).exp());
        }
        return;
    }
    let (labels, rest) = scores.split_at_mut(border);
    for part in [labels, rest] {
        let top = part.iter().copied().fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for score in part.iter_mut() {
            *score = (*score - top).exp();
            sum += *score;
        }
        for share in part {
            *share /= sum;
        }
    }
}

fn shuffle(order: &mut [usize], state: &mut u64) {
    for last in (1..order.len()).rev() {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        #[expect(clippy::cast_possible_truncation, reason = "below the length")]
        order.swap(last, (*state % (last as u64 + 1)) as usize);
    }
}
