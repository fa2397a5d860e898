//! What the safety model learns, and by which settings.

use crate::data::Line;
use crate::learning::{Learner, Plan, Task};
use deepme::safety::model::{OUTPUTS, TIERS, Weights};

/// Found best by leaving out one writer at a time.
const PLAN: Plan = Plan {
    rounds: 12,
    step: 0.2,
    parts: &[0..TIERS, TIERS..OUTPUTS],
    telling: None,
    once: f32::INFINITY,
};
/// What an everyday sentence weighs beside a line of a list.
const EVERYDAY: f32 = 1.0;
/// How many pieces are kept: 12 bytes each.
const KEPT: usize = 150_000;

/// Learns from these and keeps the weightiest pieces, in eight bits.
pub(crate) fn train(lines: &[&Line], everyday: &[Vec<u32>]) -> Weights {
    let lines = lines.iter().filter_map(|line| {
        let mut target = [0.0; OUTPUTS];
        target[line.tier as usize] = 1.0;
        if let Some(theme) = line.theme {
            target[TIERS + theme] = 1.0;
        }
        Some(Task {
            // The first is the whole of it.
            keys: line.keys.first()?,
            target,
            weight: 1.0,
        })
    });
    let everyday = everyday.iter().map(|keys| {
        let mut target = [0.0; OUTPUTS];
        target[0] = 1.0;
        Task {
            keys,
            target,
            weight: EVERYDAY,
        }
    });
    let tasks: Vec<Task<'_, OUTPUTS>> = lines.chain(everyday).collect();
    let learner = Learner::learn(&tasks, &PLAN);
    let small = learner.small(KEPT, |_| true);
    Weights {
        extra: [],
        bias: learner.bias,
        scale: small.scale,
        keys: small.keys,
        rows: small.rows,
    }
}
