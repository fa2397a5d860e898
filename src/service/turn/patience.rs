//! Whether a model that said nothing is asked once more, and when.
//!
//! Owns the rule; pure. Called by [`super::asking`]. Invariant: a person is not kept waiting longer
//! than the budget for retries allows, whatever a provider asks for.

use crate::llm::Fault;
use std::time::Duration;

/// The first pause is up to this long, each one after it up to twice the one before.
const FIRST: Duration = Duration::from_millis(250);
/// No pause is longer than this unless the provider asks for it.
const LONGEST: Duration = Duration::from_secs(4);

/// The pause before the same model is asked again, or `None` when it is the next one's turn. `tries`: how
/// often it was asked; `most`: how often it may be; `left`: of the budget; `random`: any number.
pub(super) fn again(
    fault: &Fault,
    tries: u32,
    most: u32,
    left: Duration,
    random: u64,
) -> Option<Duration> {
    if tries >= most || !may_pass(fault) {
        return None;
    }
    let longest = (FIRST * 2u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST);
    let part = u32::try_from(random % 1024).unwrap_or(0);
    let pause = longest * part / 1024;
    let wanted = match fault {
        // The jitter on top keeps those who were refused together from coming back together.
        Fault::Busy {
            retry_after: Some(retry_after),
        } => retry_after.saturating_add(pause),
        _ => pause,
    };
    (wanted < left).then_some(wanted)
}

/// Whether another try of the same model may end otherwise. One that was silent for the whole time that
/// a person waits has used that time up.
fn may_pass(fault: &Fault) -> bool {
    match fault {
        Fault::Busy { .. } | Fault::Connection | Fault::Malformed => true,
        Fault::Status { status } => matches!(status, 408 | 425 | 500..=599),
        Fault::Refused { .. } | Fault::Stalled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(10);

    #[test]
    fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
        for (fault, tried) in [
            (Fault::Connection, true),
            (Fault::Malformed, true),
            (Fault::Busy { retry_after: None }, true),
            (Fault::Status { status: 500 }, true),
            (Fault::Status { status: 529 }, true),
            (Fault::Status { status: 408 }, true),
            (Fault::Status { status: 400 }, false),
            (Fault::Status { status: 422 }, false),
            (Fault::Refused { status: 401 }, false),
            (Fault::Stalled, false),
        ] {
            assert_eq!(again(&fault, 1, 3, LEFT, 5).is_some(), tried, "{fault:?}");
            assert_eq!(again(&fault, 3, 3, LEFT, 5), None, "{fault:?}: three tries");
        }
    }

    #[test]
    fn pauses_grow_but_not_beyond_the_longest_and_are_never_the_same() {
        let pause = |tries, random| again(&Fault::Connection, tries, 99, LEFT, random).unwrap();
        for tries in 1..20 {
            assert_eq!(pause(tries, 0), Duration::ZERO);
            assert!(pause(tries, 512) < pause(tries, 1023));
            assert!(pause(tries, 1023) < LONGEST);
            assert!(pause(tries, 1023) <= pause(tries + 1, 1023));
        }
        assert!(pause(1, 1023) < FIRST);
    }

    #[test]
    fn a_provider_is_waited_for_as_long_as_it_asks_if_there_is_time() {
        let busy = |seconds| Fault::Busy {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let pause = again(&busy(7), 1, 3, LEFT, 512).unwrap();
        assert!((7.0..7.3).contains(&pause.as_secs_f64()), "{pause:?}");
        assert_eq!(again(&busy(10), 1, 3, LEFT, 0), None);
        assert_eq!(again(&busy(u64::MAX), 1, 3, LEFT, 1023), None);
        assert_eq!(again(&Fault::Connection, 1, 3, Duration::ZERO, 0), None);
    }
}
