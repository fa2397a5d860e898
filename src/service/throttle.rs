//! How often a password or a code may be tried.
//!
//! Owns [`Throttle`], the failures of this instance by account and by address. Called wherever a secret that
//! can be guessed is checked, before the work of checking it. Invariants: an account that does not exist is
//! counted like one that does; who is refused may come again within [`MOST`], for ever; no address of
//! either kind is kept, only a hash of it under a key of this process; at most [`KEPT`] are remembered.

use crate::config::Limits;
use crate::domain::{Error, ErrorCode, Result, Timestamp};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest time between two tries.
const MOST: Duration = Duration::from_mins(1);
/// How long a failure counts. So long that to wait for it wins no tries over waiting [`MOST`] each time.
const REMEMBERED: Duration = Duration::from_mins(15);
/// Most accounts and addresses that are remembered; the oldest go first.
const KEPT: usize = 100_000;

/// Who failed lately, and how often.
#[derive(Default)]
pub(super) struct Throttle {
    key: RandomState,
    tries: Mutex<HashMap<u64, Tries>>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    failures: u32,
    /// Those of which it is not known yet how they end.
    running: u32,
    last: Timestamp,
}

impl Tries {
    const fn none(now: Timestamp) -> Self {
        Self {
            failures: 0,
            running: 0,
            last: now,
        }
    }

    /// How they stand at `now`: what failed long ago is forgotten.
    fn at(self, now: Timestamp) -> Self {
        if now.since(self.last) < REMEMBERED {
            return self;
        }
        Self {
            failures: 0,
            ..self
        }
    }

    /// How long to wait from `now` when `free` failures cost nothing (0: any number); `None` to go on.
    fn wait(self, free: u32, now: Timestamp) -> Option<Duration> {
        if free == 0 {
            return None;
        }
        // What is not known yet may fail: beyond the free ones they go one after another.
        if self.running > 0 && self.failures.saturating_add(self.running) >= free {
            return Some(Duration::from_secs(1));
        }
        // A clock that was set back locks nobody out.
        let waited = (self.last <= now).then(|| now.since(self.last))?;
        let left = pause(self.failures, free).checked_sub(waited)?;
        (!left.is_zero()).then_some(left)
    }
}

/// The time between the last failure and the next try: none, then 1 s, 2 s, 4 s and so on.
fn pause(failures: u32, free: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(free.saturating_add(1)) else {
        return Duration::ZERO;
    };
    let seconds = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
    Duration::from_secs(seconds).min(MOST)
}

impl Throttle {
    /// Lets a try at `account`, which need not exist, from `address`, if that is known, begin; `too_many`
    /// with the time to wait otherwise.
    pub(super) fn admit(
        &self,
        account: &str,
        address: Option<IpAddr>,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Attempt<'_>> {
        let account = (
            self.key.hash_one(("account", account)),
            limits.login_failures,
        );
        let address = address.map(|address| {
            let key = self.key.hash_one(("address", address));
            (key, limits.login_failures_an_address)
        });
        let mut tries = self.tries();
        let both = [Some(account), address];
        let waits = both.iter().flatten().filter_map(|(key, free)| {
            let tries = tries.get(key)?.at(now);
            tries.wait(*free, now)
        });
        if let Some(wait) = waits.max() {
            return Err(too_many(wait));
        }
        make_room(&mut tries, now);
        for (key, _) in both.iter().flatten() {
            let entry = tries.entry(*key).or_insert(Tries::none(now));
            *entry = entry.at(now);
            entry.running += 1;
        }
        drop(tries);
        Ok(Attempt {
            throttle: self,
            account: account.0,
            address: address.map(|(key, _)| key),
        })
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<u64, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, keys: impl IntoIterator<Item = u64>, change: impl Fn(&mut Tries)) {
        let mut tries = self.tries();
        for key in keys {
            if let Some(entry) = tries.get_mut(&key) {
                change(entry);
                if entry.failures == 0 && entry.running == 0 {
                    tries.remove(&key);
                }
            }
        }
    }
}

/// Makes room for two more, a tenth at once, so that a flood does not pay for it each time.
fn make_room(tries: &mut HashMap<u64, Tries>, now: Timestamp) {
    if tries.len() + 2 <= KEPT {
        return;
    }
    tries.retain(|_, entry| entry.running > 0 || entry.at(now).failures > 0);
    if tries.len() + KEPT / 10 <= KEPT {
        return;
    }
    let mut times: Vec<Timestamp> = tries.values().map(|entry| entry.last).collect();
    let (_, oldest, _) = times.select_nth_unstable(KEPT / 10);
    let oldest = *oldest;
    let mut left = KEPT / 10;
    tries.retain(|_, entry| {
        let goes = left > 0 && entry.last <= oldest;
        left -= usize::from(goes);
        !goes
    });
}

fn too_many(wait: Duration) -> Error {
    let seconds = wait.as_millis().div_ceil(1000);
    Error::new(
        ErrorCode::TooMany,
        "there were too many wrong passwords or codes: wait a moment",
    )
    .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
}

/// A try that has begun. One that is dropped counts neither way: the server could not tell.
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    account: u64,
    address: Option<u64>,
}

impl Attempt<'_> {
    fn keys(&self) -> impl Iterator<Item = u64> + use<> {
        [Some(self.account), self.address].into_iter().flatten()
    }

    /// It was wrong.
    pub(super) fn failed(self, now: Timestamp) {
        self.throttle.change(self.keys(), |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.last = now;
        });
    }

    /// It was right: earlier failures at the account count no more. Those from the address do, or an account
    /// of one's own would be a way to guess at others.
    pub(super) fn succeeded(self) {
        self.throttle
            .change([self.account], |entry| entry.failures = 0);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.throttle.change(self.keys(), |entry| {
            entry.running = entry.running.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "me@example.com";
    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000).plus(Duration::from_secs(seconds))
    }

    fn limits() -> Limits {
        Limits {
            login_failures: 2,
            login_failures_an_address: 4,
            ..Limits::default()
        }
    }

    fn fail(throttle: &Throttle, account: &str, address: Option<IpAddr>, now: Timestamp) -> u32 {
        match throttle.admit(account, address, &limits(), now) {
            Ok(attempt) => {
                attempt.failed(now);
                0
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::TooMany);
                error.retry_after_seconds().unwrap()
            }
        }
    }

    #[test]
    fn each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_minute() {
        let pauses: Vec<u64> = (0..12).map(|n| pause(n, 2).as_secs()).collect();
        assert_eq!(pauses, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX, 2), MOST);
        let throttle = Throttle::default();
        let mut now = 0;
        for wait in [0u64, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60] {
            now += wait;
            if wait > 1 {
                assert_eq!(fail(&throttle, ME, None, at(now - 1)), 1);
            }
            assert_eq!(fail(&throttle, ME, None, at(now)), 0, "{now}");
        }
        assert_eq!(fail(&throttle, ME, None, at(now)), 60);
        assert_eq!(fail(&throttle, "you@example.com", None, at(now)), 0);
        // A quarter of an hour later it is as if nothing had been.
        let later = now + REMEMBERED.as_secs();
        for _ in 0..3 {
            assert_eq!(fail(&throttle, ME, None, at(later)), 0);
        }
        assert_eq!(fail(&throttle, ME, None, at(later)), 1);
        assert_eq!(fail(&throttle, ME, None, at(0)), 0, "a clock set back");
    }

    #[test]
    fn a_success_clears_the_account_and_not_the_address() {
        let throttle = Throttle::default();
        for n in 0..5 {
            assert_eq!(fail(&throttle, &format!("{n}"), HERE, at(0)), 0);
        }
        assert_eq!(fail(&throttle, ME, HERE, at(0)), 1, "the address");
        assert_eq!(fail(&throttle, "1", None, at(0)), 0, "without it");
        assert_eq!(fail(&throttle, "1", None, at(0)), 0);
        assert_eq!(fail(&throttle, "1", None, at(0)), 1, "the account");
        let right = throttle.admit("1", HERE, &limits(), at(1)).ok().unwrap();
        right.succeeded();
        assert_eq!(fail(&throttle, "1", None, at(1)), 0);
        assert_eq!(fail(&throttle, "2", HERE, at(1)), 0);
        assert_eq!(fail(&throttle, "3", HERE, at(1)), 2, "the address still");
    }

    #[test]
    fn what_runs_counts_as_if_it_might_fail_and_what_is_dropped_does_not() {
        let throttle = Throttle::default();
        let limits = limits();
        let admit = || throttle.admit(ME, None, &limits, at(0));
        let running: Vec<_> = (0..2).map(|_| admit().ok().unwrap()).collect();
        assert!(admit().is_err());
        drop(running);
        assert!(throttle.tries().is_empty(), "nothing is left of them");
        for _ in 0..2 {
            fail(&throttle, ME, None, at(0));
        }
        let one = admit().ok().unwrap();
        assert!(admit().is_err(), "one after another from now on");
        drop(one);
        assert!(admit().is_ok());
        let free = Limits {
            login_failures: 0,
            ..limits
        };
        let many: Vec<_> = (0..99)
            .map(|_| throttle.admit(ME, None, &free, at(0)))
            .collect();
        assert!(many.iter().all(Result::is_ok), "0 is no limit");
    }

    #[test]
    fn the_oldest_make_room() {
        let throttle = Throttle::default();
        for n in 0..KEPT as u64 + 5000 {
            // One every 2 ms, so that none is too old to count.
            let now = at(0).plus(Duration::from_millis(2 * n));
            assert_eq!(fail(&throttle, &n.to_string(), None, now), 0);
        }
        let kept = throttle.tries().len();
        assert!((KEPT * 8 / 10..=KEPT).contains(&kept), "{kept}");
        let known = |n: u64| {
            let key = throttle.key.hash_one(("account", n.to_string().as_str()));
            throttle.tries().contains_key(&key)
        };
        assert!(!known(0) && !known(5000) && known(20_000) && known(104_999));
    }
}
