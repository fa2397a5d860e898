//! Logistic regression on hashed pieces, by AdaGrad, one sentence at a time: what both trainers learn by.
//!
//! Owns [`Learner`]. Part of `train_emotion` and of `train_safety`. Invariant: no randomness but a fixed shuffle, no threads, no
//! map whose order matters: the same sentences give the same weights.

use deepme::linear::norm;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// A sentence to learn from: the keys of its pieces, the share of each output, and how much it counts.
pub(crate) struct Task<'a, const N: usize> {
    pub(crate) keys: &'a [u32],
    pub(crate) target: [f32; N],
    pub(crate) weight: f32,
}

/// How to learn.
pub(crate) struct Plan {
    /// Rounds over the sentences.
    pub(crate) rounds: usize,
    /// The step of AdaGrad.
    pub(crate) step: f32,
    /// Outputs that are one softmax. A sentence whose target has nothing in such a part teaches nothing about it. Without
    /// parts each output is a question of its own.
    pub(crate) parts: &'static [Range<usize>],
    /// Steps are multiplied with how telling a piece is of an output, the logarithm of the ratio of its frequencies with and without
    /// it, this much added to every count (Wang and Manning, 2012, "Baselines and bigrams"); without it all steps are alike.
    pub(crate) telling: Option<f32>,
    /// A piece that stands in one sentence only is learned if that counts for this much.
    pub(crate) once: f32,
}

/// A trained model in floats.
pub(crate) struct Learner<const N: usize> {
    places: HashMap<u32, usize>,
    counts: Vec<f32>,
    rows: Vec<[f32; N]>,
    /// What each output says of an empty message.
    pub(crate) bias: [f32; N],
}

/// The weightiest pieces in eight bits.
pub(crate) struct Small<const N: usize> {
    pub(crate) keys: Vec<u32>,
    pub(crate) rows: Vec<[i8; N]>,
    /// What a weight of 1 is worth, for each output.
    pub(crate) scale: [f32; N],
}

impl<const N: usize> Learner<N> {
    /// Learns from these.
    pub(crate) fn learn(tasks: &[Task<'_, N>], plan: &Plan) -> Self {
        let mut seen: BTreeMap<u32, (u32, bool)> = BTreeMap::new();
        for task in tasks {
            for key in task.keys {
                let entry = seen.entry(*key).or_default();
                entry.0 += 1;
                entry.1 |= task.weight >= plan.once;
            }
        }
        seen.retain(|_, (count, heavy)| *count > 1 || *heavy);
        let places: HashMap<u32, usize> = seen.keys().copied().zip(0..).collect();
        #[expect(clippy::cast_precision_loss, reason = "some thousand")]
        let counts = seen.values().map(|(count, _)| *count as f32).collect();
        let mut this = Self {
            rows: vec![[0.0; N]; places.len()],
            counts,
            places,
            bias: [0.0; N],
        };
        let known: Vec<Vec<usize>> = tasks.iter().map(|task| this.known(task.keys)).collect();
        let steps = this.steps(tasks, &known, plan);
        let mut squares = vec![[1e-6f32; N]; this.rows.len()];
        let mut bias_squares = [1e-6f32; N];
        let mut order: Vec<usize> = (0..tasks.len()).collect();
        let mut state = 88_172_645_463_325_252_u64;
        for _ in 0..plan.rounds {
            shuffle(&mut order, &mut state);
            for &i in &order {
                let task = &tasks[i];
                let share = norm(task.keys.len());
                let mut slope = this.sum(&known[i], share);
                miss(&mut slope, &task.target, plan.parts);
                for o in 0..N {
                    slope[o] *= task.weight;
                    bias_squares[o] += slope[o] * slope[o];
                    this.bias[o] -= plan.step * slope[o] / bias_squares[o].sqrt();
                    slope[o] *= share;
                }
                for &place in &known[i] {
                    let (row, square) = (&mut this.rows[place], &mut squares[place]);
                    for o in 0..N {
                        square[o] += slope[o] * slope[o];
                        row[o] -= steps[place][o] * slope[o] / square[o].sqrt();
                    }
                }
            }
        }
        this
    }

    /// The `kept` weightiest pieces of those that are `wanted`.
    pub(crate) fn small(&self, kept: usize, wanted: impl Fn(u32) -> bool) -> Small<N> {
        let mut ranked: Vec<(f32, u32, usize)> = self
            .places
            .iter()
            .filter(|(key, _)| wanted(**key))
            .map(|(key, place)| {
                let length: f32 = self.rows[*place].iter().map(|w| w * w).sum();
                (length * self.counts[*place], *key, *place)
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.truncate(kept);
        let chosen: BTreeMap<u32, usize> =
            ranked.iter().map(|(_, k, place)| (*k, *place)).collect();
        let largest: [f32; N] = std::array::from_fn(|o| {
            let weights = chosen.values().map(|place| self.rows[*place][o].abs());
            weights.fold(1e-6, f32::max)
        });
        #[expect(clippy::cast_possible_truncation, reason = "within 127")]
        let small = |row: &[f32; N]| -> [i8; N] {
            std::array::from_fn(|o| (row[o] / largest[o] * 127.0).round() as i8)
        };
        Small {
            keys: chosen.keys().copied().collect(),
            rows: chosen
                .values()
                .map(|place| small(&self.rows[*place]))
                .collect(),
            scale: largest.map(|largest| largest / 127.0),
        }
    }

    /// The places of those keys that were learned of, in order.
    pub(crate) fn known(&self, keys: &[u32]) -> Vec<usize> {
        let known = keys.iter().filter_map(|key| self.places.get(key));
        let mut known: Vec<usize> = known.copied().collect();
        known.sort_unstable();
        known
    }

    /// The raw scores of the pieces at these places.
    pub(crate) fn sum(&self, places: &[usize], share: f32) -> [f32; N] {
        let mut sums = [0.0f32; N];
        for &place in places {
            for (sum, weight) in sums.iter_mut().zip(&self.rows[place]) {
                *sum += weight;
            }
        }
        std::array::from_fn(|o| self.bias[o] + sums[o] * share)
    }

    /// How far each weight moves.
    fn steps(&self, tasks: &[Task<'_, N>], known: &[Vec<usize>], plan: &Plan) -> Vec<[f32; N]> {
        let Some(added) = plan.telling else {
            return vec![[plan.step; N]; self.rows.len()];
        };
        let mut with = vec![[added; N]; self.rows.len()];
        let mut without = with.clone();
        for (task, places) in tasks.iter().zip(known) {
            let whole = |o: usize| {
                let part = plan.parts.iter().find(|part| part.contains(&o));
                part.map_or(1.0, |part| task.target[part.clone()].iter().sum())
            };
            for o in 0..N {
                let yes = task.target[o] * task.weight;
                let no = (whole(o) - task.target[o]).max(0.0) * task.weight;
                for &place in places {
                    with[place][o] += yes;
                    without[place][o] += no;
                }
            }
        }
        let sum = |rows: &[[f32; N]]| -> [f64; N] {
            std::array::from_fn(|o| rows.iter().map(|row| f64::from(row[o])).sum())
        };
        let (all_with, all_without) = (sum(&with), sum(&without));
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm")]
        let step = |place: usize, o: usize| {
            let ratio = f64::from(with[place][o])
                / all_with[o]
                / (f64::from(without[place][o]) / all_without[o]);
            plan.step * ratio.ln().abs() as f32
        };
        (0..self.rows.len())
            .map(|place| std::array::from_fn(|o| step(place, o)))
            .collect()
    }
}

/// Scores become what the probabilities that they say are off the target.
fn miss<const N: usize>(scores: &mut [f32; N], target: &[f32; N], parts: &[Range<usize>]) {
    if parts.is_empty() {
        for (score, target) in scores.iter_mut().zip(target) {
            *score = 1.0 / (1.0 + (-*score).exp()) - target;
        }
    }
    for part in parts {
        let (scores, target) = (&mut scores[part.clone()], &target[part.clone()]);
        if target.iter().all(|share| *share == 0.0) {
            scores.fill(0.0);
            continue;
        }
        let top = scores.iter().copied().fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for score in scores.iter_mut() {
            *score = (*score - top).exp();
            sum += *score;
        }
        for (score, target) in scores.iter_mut().zip(target) {
            *score = *score / sum - target;
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
