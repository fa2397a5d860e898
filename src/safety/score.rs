//! How good a gate is: recall and precision of pairs (expected tier, got tier).

use serde::Serialize;

use crate::domain::safety::Tier;

/// Recall and precision of one question; 1 where there was nothing to find or to report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Of those that belong, the share that was found.
    pub recall: f64,
    /// Of those that were found, the share that belongs.
    pub precision: f64,
}

/// [`Rates`] for each tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tiers {
    /// For `none`.
    pub none: Rates,
    /// For `low`.
    pub low: Rates,
    /// For `elevated`.
    pub elevated: Rates,
    /// For `imminent`.
    pub imminent: Rates,
}

/// The whole report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Elevated and imminent taken as one.
    pub elevated_or_worse: Rates,
    /// Each tier on its own.
    pub tiers: Tiers,
}

/// Scores pairs of (expected, got).
pub fn score(pairs: &[(Tier, Tier)]) -> Score {
    let tier = |tier: Tier| rates(pairs, |got| got == tier);
    Score {
        elevated_or_worse: rates(pairs, |got| got >= Tier::Elevated),
        tiers: Tiers {
            none: tier(Tier::None),
            low: tier(Tier::Low),
            elevated: tier(Tier::Elevated),
            imminent: tier(Tier::Imminent),
        },
    }
}

fn rates(pairs: &[(Tier, Tier)], is: impl Fn(Tier) -> bool) -> Rates {
    let count = |f: &dyn Fn(&(Tier, Tier)) -> bool| pairs.iter().filter(|pair| f(pair)).count();
    let both = count(&|pair| is(pair.0) && is(pair.1));
    Rates {
        recall: share(both, count(&|pair| is(pair.0))),
        precision: share(both, count(&|pair| is(pair.1))),
    }
}

fn share(part: usize, whole: usize) -> f64 {
    let float = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if whole == 0 {
        1.0
    } else {
        float(part) / float(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        use Tier::{Elevated, Imminent, Low, None};
        let got = score(&[
            (None, None),
            (None, Elevated),
            (Elevated, Imminent),
            (Imminent, Low),
        ]);
        assert_eq!(
            got.elevated_or_worse,
            Rates {
                recall: 0.5,
                precision: 0.5
            }
        );
        assert_eq!(
            got.tiers.none,
            Rates {
                recall: 0.5,
                precision: 1.0
            }
        );
        assert_eq!(
            got.tiers.imminent,
            Rates {
                recall: 0.0,
                precision: 0.0
            }
        );
        assert_eq!(
            got.tiers.low,
            Rates {
                recall: 1.0,
                precision: 0.0
            }
        );
    }

    #[test]
    fn nothing_to_find_is_not_a_fault() {
        assert_eq!(
            score(&[]).elevated_or_worse,
            Rates {
                recall: 1.0,
                precision: 1.0
            }
        );
    }
}
