//! Logistic regression on hashed pieces, by AdaGrad, one sentence at a time.
//!
//! Invariant: no randomness but a fixed shuffle, no threads, no map whose order matters: the same lines give the same
//! weights.

use crate::data::Line;
use deepme::safety::model::{OUTPUTS, TIERS, Weights, norm};
use std::collections::{BTreeMap, HashMap};

/// Rounds over the sentences.
const ROUNDS: usize = 12;
/// The step of AdaGrad.
const STEP: f32 = 0.2;
/// What an everyday sentence weighs beside a line of a list.
const EVERYDAY: f32 = 1.0;
/// How many pieces are kept: 12 bytes each.
const KEPT: usize = 150_000;

/// One sentence to learn from; the target of the themes is empty where nobody says what it is about.
struct Task<'a> {
    keys: &'a [u32],
    tier: usize,
    theme: Option<usize>,
    weight: f32,
}

/// Learns from these and keeps the weightiest pieces, in eight bits.
pub(crate) fn train(lines: &[&Line], everyday: &[Vec<u32>]) -> Weights {
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for line in lines {
        // The first is the whole of it.
        if let Some(keys) = line.keys.first() {
            tasks.push(Task {
                keys,
                tier: line.tier as usize,
                theme: line.theme,
                weight: 1.0,
            });
        }
    }
    tasks.extend(everyday.iter().map(|keys| Task {
        keys,
        tier: 0,
        theme: None,
        weight: EVERYDAY,
    }));
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for key in tasks.iter().flat_map(|task| task.keys) {
        *counts.entry(*key).or_default() += 1;
    }
    // What stands in one sentence only teaches nothing.
    counts.retain(|_, count| *count > 1);
    let places: HashMap<u32, usize> = counts.keys().copied().zip(0..).collect();
    let known: Vec<Vec<usize>> = tasks
        .iter()
        .map(|task| {
            task.keys
                .iter()
                .filter_map(|key| places.get(key).copied())
                .collect()
        })
        .collect();
    let mut rows = vec![[0.0f32; OUTPUTS]; places.len()];
    let mut squares = vec![[1e-6f32; OUTPUTS]; places.len()];
    let (mut bias, mut bias_squares) = ([0.0f32; OUTPUTS], [1e-6f32; OUTPUTS]);
    let mut order: Vec<usize> = (0..tasks.len()).collect();
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..ROUNDS {
        shuffle(&mut order, &mut state);
        for &i in &order {
            let (task, share) = (&tasks[i], norm(tasks[i].keys.len()));
            let mut sums = [0.0f32; OUTPUTS];
            for &place in &known[i] {
                for (sum, weight) in sums.iter_mut().zip(&rows[place]) {
                    *sum += weight;
                }
            }
            let mut slope: [f32; OUTPUTS] = std::array::from_fn(|o| bias[o] + sums[o] * share);
            let (tiers, themes) = slope.split_at_mut(TIERS);
            against(tiers, Some(task.tier), task.weight);
            against(themes, task.theme, task.weight);
            for o in 0..OUTPUTS {
                bias_squares[o] += slope[o] * slope[o];
                bias[o] -= STEP * slope[o] / bias_squares[o].sqrt();
                slope[o] *= share;
            }
            for &place in &known[i] {
                let (row, square) = (&mut rows[place], &mut squares[place]);
                for o in 0..OUTPUTS {
                    square[o] += slope[o] * slope[o];
                    row[o] -= STEP * slope[o] / square[o].sqrt();
                }
            }
        }
    }
    export(&counts, &rows, bias)
}

/// Scores become what a softmax of them is off the target; nothing where there is none.
fn against(scores: &mut [f32], target: Option<usize>, weight: f32) {
    let Some(target) = target else {
        return scores.fill(0.0);
    };
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - top).exp();
        sum += *score;
    }
    for (o, score) in scores.iter_mut().enumerate() {
        *score = (*score / sum - f32::from(u8::from(o == target))) * weight;
    }
}

fn export(counts: &BTreeMap<u32, u32>, rows: &[[f32; OUTPUTS]], bias: [f32; OUTPUTS]) -> Weights {
    #[expect(clippy::cast_precision_loss, reason = "some thousand")]
    let mut ranked: Vec<(f32, u32, usize)> = counts
        .iter()
        .zip(0..)
        .map(|((key, count), place)| {
            let length: f32 = rows[place].iter().map(|w: &f32| w * w).sum();
            (length * *count as f32, *key, place)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(KEPT);
    let chosen: BTreeMap<u32, usize> = ranked
        .iter()
        .map(|(_, key, place)| (*key, *place))
        .collect();
    let largest: [f32; OUTPUTS] = std::array::from_fn(|o| {
        let weights = chosen.values().map(|place| rows[*place][o].abs());
        weights.fold(1e-6, f32::max)
    });
    #[expect(clippy::cast_possible_truncation, reason = "within 127")]
    let small = |row: &[f32; OUTPUTS]| -> [i8; OUTPUTS] {
        std::array::from_fn(|o| (row[o] / largest[o] * 127.0).round() as i8)
    };
    Weights {
        extra: [],
        bias,
        scale: largest.map(|largest| largest / 127.0),
        keys: chosen.keys().copied().collect(),
        rows: chosen.values().map(|place| small(&rows[*place])).collect(),
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
