//! What the safety gate said of steps that a turn has looked at before.
//!
//! Owns [`Assessed`]. Called by the turn, which has to know of each of twenty messages whether its tier still holds, and
//! reads none of them twice. Invariants: what is remembered is what the gate says of these words today, for the words of
//! a step never change and the rules are part of the program; it holds none of them, and is bounded.

use crate::domain::StepId;
use crate::domain::transcript::Exchange;
use crate::safety::Assessment;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Steps that are remembered: twenty each of 800 conversations, in some two megabytes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_000).unwrap();

/// Steps, and what was said of each alone.
pub(super) struct Assessed(Mutex<LruCache<StepId, Assessment>>);

impl Default for Assessed {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Assessed {
    /// Remembers it of a step.
    pub(super) fn put(&self, step_id: StepId, alone: Assessment) {
        self.known().put(step_id, alone);
    }

    /// The worst that was said of these, or `now`; `assess` reads the words of those that are not known.
    pub(super) fn worst<'a>(
        &self,
        now: Assessment,
        earlier: impl Iterator<Item = &'a Exchange>,
        assess: impl Fn(&str) -> Assessment,
    ) -> Assessment {
        let earlier: Vec<&Exchange> = earlier.collect();
        let mut read: Vec<Option<Assessment>> = {
            let mut known = self.known();
            let read = earlier
                .iter()
                .map(|exchange| known.get(&exchange.step_id).cloned());
            read.collect()
        };
        // Long words take their time, for which nobody else is to wait.
        for (slot, exchange) in read.iter_mut().zip(&earlier) {
            if slot.is_none() {
                let alone = assess(&exchange.user_input);
                self.put(exchange.step_id, alone.clone());
                *slot = Some(alone);
            }
        }
        read.into_iter().flatten().fold(now, |worst, alone| {
            if alone.tier > worst.tier {
                alone
            } else {
                worst
            }
        })
    }

    fn known(&self) -> MutexGuard<'_, LruCache<StepId, Assessment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::safety::Tier;
    use std::cell::Cell;
    use uuid::Uuid;

    fn said(tier: Tier) -> Assessment {
        Assessment {
            tier,
            categories: Vec::new(),
            pack_version: "1".into(),
            weighable: false,
        }
    }

    #[test]
    fn the_worst_holds_and_nothing_is_read_twice() {
        let assessed = Assessed::default();
        let exchange = |n| Exchange {
            step_id: StepId(Uuid::from_u128(n)),
            step_order: 1,
            user_input: format!("{n}"),
            gpt_response: String::new(),
            output_tokens: None,
        };
        let history = [exchange(1), exchange(2), exchange(3)];
        let read = Cell::new(0);
        let assess = |words: &str| {
            read.set(read.get() + 1);
            said(if words == "2" {
                Tier::Elevated
            } else {
                Tier::Low
            })
        };
        assessed.put(history[2].step_id, said(Tier::None));
        let worst = |now| assessed.worst(said(now), history.iter(), assess).tier;
        assert_eq!(worst(Tier::None), Tier::Elevated);
        assert_eq!(read.get(), 2, "one was remembered");
        assert_eq!(worst(Tier::Imminent), Tier::Imminent);
        assert_eq!(read.get(), 2);
    }
}
