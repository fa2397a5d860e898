//! How fast somebody may do something, and how much at once.
//!
//! Owns [`Pace`] and [`Running`]. Called by the turn before it begins, by who lets guests in and gives tickets, and
//! by the sweep, which forgets those who have been silent. Invariants: a burst of a minute's or an hour's worth is
//! let through, then one for each that the time allows; its time is monotonic, whatever the clock does; nobody is remembered for longer than
//! it takes to be let through again.

use crate::domain::{Error, ErrorCode, Result, UserId};
use governor::clock::{Clock as _, MonotonicClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// Lets through what is within the pace of each person, or of each address.
pub(super) struct Pace<K: Copy + Eq + Hash>(Option<Limiter<K>>);

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, MonotonicClock>;

impl<K: Copy + Eq + Hash> Pace<K> {
    /// So many a minute for each; 0 for any number.
    pub(super) fn a_minute(most: u32) -> Self {
        Self::by(NonZeroU32::new(most).map(Quota::per_minute))
    }

    /// So many an hour for each; 0 for any number.
    pub(super) fn an_hour(most: u32) -> Self {
        Self::by(NonZeroU32::new(most).map(Quota::per_hour))
    }

    fn by(quota: Option<Quota>) -> Self {
        let limiter = |quota| RateLimiter::new(quota, DashMapStateStore::default(), MonotonicClock);
        Self(quota.map(limiter))
    }

    /// `too_many` when somebody is over their pace, with the time to wait.
    pub(super) fn admit(&self, whom: K) -> Result<()> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter.check_key(&whom).map_err(|until| {
            let wait = until.wait_time_from(MonotonicClock.now());
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
            Error::new(
                ErrorCode::TooMany,
                "so many at once are not taken: wait a moment",
            )
            .retry_after(seconds.saturating_add(1))
        })
    }

    /// Forgets those who would be let through as if they had never spoken.
    pub(super) fn forget_the_silent(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// How many turns of each person run.
pub(super) type RunningTurns = Mutex<HashMap<UserId, usize>>;

/// One of the turns of a person that run; no longer when it is dropped. What they cost is known only at
/// their end, so a quota bounds what one person costs only if few of them run at once.
pub(super) struct Running {
    turns: Arc<RunningTurns>,
    user_id: UserId,
}

impl Running {
    /// `too_many` when `most` turns of the person run; 0 for any number.
    pub(super) fn take(turns: &Arc<RunningTurns>, user_id: UserId, most: usize) -> Result<Self> {
        let mut running = turns.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(user_id).or_insert(0);
        if most > 0 && *count >= most {
            return Err(Error::new(
                ErrorCode::TooMany,
                "too many of your conversations are being answered at once: wait a moment",
            )
            .retry_after(1));
        }
        *count += 1;
        drop(running);
        Ok(Self {
            turns: Arc::clone(turns),
            user_id,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.user_id) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.user_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_makes_room_and_is_not_remembered() {
        let turns = Arc::new(RunningTurns::default());
        let person = |n| UserId(uuid::Uuid::from_u128(n));
        let first = Running::take(&turns, person(1), 1).ok().unwrap();
        let refused = Running::take(&turns, person(1), 1).err().unwrap();
        assert_eq!(refused.code(), ErrorCode::TooMany);
        assert!(Running::take(&turns, person(2), 1).is_ok());
        assert!(Running::take(&turns, person(1), 0).is_ok(), "0 is no limit");
        drop(first);
        assert!(turns.lock().unwrap().is_empty());
    }

    #[test]
    fn each_person_has_a_pace_of_their_own() {
        let pace = Pace::a_minute(2);
        let person = |n| UserId(uuid::Uuid::from_u128(n));
        assert!(pace.admit(person(1)).is_ok() && pace.admit(person(1)).is_ok());
        let error = pace.admit(person(1)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TooMany);
        // Two a minute: the next one may come within half of it.
        assert!((1..=31).contains(&error.retry_after_seconds().unwrap()));
        assert!(pace.admit(person(2)).is_ok());
        pace.forget_the_silent();
        assert!(
            pace.admit(person(1)).is_err(),
            "who has just spoken is not forgotten"
        );
        let free = Pace::a_minute(0);
        assert!((0..1000).all(|_| free.admit(person(1)).is_ok()));
    }
}
