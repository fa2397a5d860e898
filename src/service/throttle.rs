//! How often a password or a code may be tried.
//!
//! Owns [`Throttle`], the failures of this instance by account and by address. Called wherever a secret that
//! can be guessed is checked, before the work of checking it. Invariants: an account that does not exist is
//! counted like one that does; who is refused may come again within [`MOST`], for ever; no address of
//! either kind is kept, only a hash of it under a key of this process; at most [`KEPT`] are remembered.

use crate::config::Limits;
use crate::domain::{Clock, Error, ErrorCode, Result, Timestamp};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest time between two tries.
const MOST: Duration = Duration::from_mins(1);
/// How long a failure counts. So long that to wait for it wins no tries over waiting [`MOST`] each time.
const REMEMBERED: Duration = Duration::from_mins(15);
/// Most accounts and addresses that are remembered; the oldest go first.
const KEPT: usize = 100_000;
/// Tries at one account, and from one address, that go on at once; others queue. Each of them may turn out to
/// be one too many.
const AT_ONCE: (usize, usize) = (2, 8);

/// Who failed lately, and how often.
#[derive(Default)]
pub(super) struct Throttle {
    key: RandomState,
    tries: Mutex<HashMap<u64, Tries>>,
}

#[derive(Debug, Clone)]
struct Tries {
    failures: u32,
    /// When the last one was, or, beyond the free ones, when the last try began.
    last: Timestamp,
    /// Where those queue that try now, and how many they are.
    gate: Option<Arc<Semaphore>>,
    here: usize,
}

impl Tries {
    const fn none(now: Timestamp) -> Self {
        Self {
            failures: 0,
            last: now,
            gate: None,
            here: 0,
        }
    }

    /// The failures that count at `now`: what was long ago is forgotten.
    fn failures(&self, now: Timestamp) -> u32 {
        if now.since(self.last) < REMEMBERED {
            self.failures
        } else {
            0
        }
    }

    /// How long to wait from `now` when `free` failures cost nothing (0: any number).
    fn wait(&self, free: u32, now: Timestamp) -> Duration {
        // A clock that was set back locks nobody out.
        if free == 0 || self.last > now {
            return Duration::ZERO;
        }
        pause(self.failures(now), free).saturating_sub(now.since(self.last))
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
    /// Lets a try at `account`, which need not exist, from `address`, if that is known, begin, after those that
    /// are going on; `too_many` with the time to wait otherwise.
    pub(super) async fn admit(
        &self,
        account: &str,
        address: Option<IpAddr>,
        limits: &Limits,
        clock: &dyn Clock,
    ) -> Result<Attempt<'_>> {
        let (a_account, an_address) = AT_ONCE;
        let account = self.key.hash_one(("account", account));
        let mut attempt = Attempt {
            throttle: self,
            account,
            places: Vec::with_capacity(2),
        };
        // The address first: who queues there must not keep others from an account.
        let address = address.map(|address| {
            let key = self.key.hash_one(("address", address));
            (key, limits.login_failures_an_address, an_address)
        });
        let both = [address, Some((account, limits.login_failures, a_account))];
        for (key, free, at_once) in both.into_iter().flatten() {
            let gate = self.enter(key, free, at_once, clock.now())?;
            let place = attempt.place(key);
            place.permit = gate.acquire_owned().await.ok();
            // What went before may have failed meanwhile.
            place.began = self.begin(key, free, clock.now())?;
        }
        Ok(attempt)
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<u64, Tries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more who tries here; where they queue.
    fn enter(&self, key: u64, free: u32, at_once: usize, now: Timestamp) -> Result<Arc<Semaphore>> {
        let mut tries = self.tries();
        if let Some(entry) = tries.get(&key) {
            refuse(entry.wait(free, now))?;
        } else {
            make_room(&mut tries, now);
        }
        let entry = tries.entry(key).or_insert(Tries::none(now));
        entry.here += 1;
        let gate = entry
            .gate
            .get_or_insert_with(|| Arc::new(Semaphore::new(at_once)));
        Ok(Arc::clone(gate))
    }

    /// Begins a try, beyond the free failures as the only one; when the last one was.
    fn begin(&self, key: u64, free: u32, now: Timestamp) -> Result<Option<Timestamp>> {
        let mut tries = self.tries();
        let Some(entry) = tries.get_mut(&key) else {
            return Ok(None);
        };
        refuse(entry.wait(free, now))?;
        entry.failures = entry.failures(now);
        if pause(entry.failures, free).is_zero() {
            return Ok(None);
        }
        Ok(Some(std::mem::replace(&mut entry.last, now)))
    }

    fn change(&self, key: u64, change: impl FnOnce(&mut Tries)) {
        let mut tries = self.tries();
        let Some(entry) = tries.get_mut(&key) else {
            return;
        };
        change(entry);
        if entry.here == 0 {
            entry.gate = None;
            if entry.failures == 0 {
                tries.remove(&key);
            }
        }
    }
}

/// Makes room for two more, a tenth at once, so that a flood does not pay for it each time.
fn make_room(tries: &mut HashMap<u64, Tries>, now: Timestamp) {
    if tries.len() + 2 <= KEPT {
        return;
    }
    tries.retain(|_, entry| entry.here > 0 || entry.failures(now) > 0);
    if tries.len() + KEPT / 10 <= KEPT {
        return;
    }
    let mut times: Vec<Timestamp> = tries.values().map(|entry| entry.last).collect();
    let (_, oldest, _) = times.select_nth_unstable(KEPT / 10);
    let oldest = *oldest;
    let mut left = KEPT / 10;
    tries.retain(|_, entry| {
        let goes = left > 0 && entry.last <= oldest && entry.here == 0;
        left -= usize::from(goes);
        !goes
    });
}

fn refuse(wait: Duration) -> Result<()> {
    if wait.is_zero() {
        return Ok(());
    }
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Err(Error::new(
        ErrorCode::TooMany,
        "there were too many wrong passwords or codes: wait a moment",
    )
    .retry_after(seconds))
}

/// A try that has begun. One that is dropped counts neither way: the server could not tell.
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    account: u64,
    places: Vec<Place>,
}

/// A place in the queue of an account or an address.
struct Place {
    key: u64,
    permit: Option<OwnedSemaphorePermit>,
    /// When the last try was before this one began, if it began as the only one.
    began: Option<Timestamp>,
}

impl Attempt<'_> {
    fn place(&mut self, key: u64) -> &mut Place {
        self.places.push(Place {
            key,
            permit: None,
            began: None,
        });
        let last = self.places.len() - 1;
        &mut self.places[last]
    }

    /// It was wrong.
    pub(super) fn failed(self, now: Timestamp) {
        for place in &self.places {
            self.throttle.change(place.key, |entry| {
                entry.failures = entry.failures.saturating_add(1);
                entry.last = now;
            });
        }
    }

    /// It was right: earlier failures at the account count no more. Those from the address do, or an account
    /// of one's own would be a way to guess at others.
    pub(super) fn succeeded(self) {
        for place in &self.places {
            self.throttle.change(place.key, |entry| {
                entry.last = place.began.unwrap_or(entry.last);
                if place.key == self.account {
                    entry.failures = 0;
                }
            });
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        for place in &mut self.places {
            place.permit = None;
            self.throttle.change(place.key, |entry| {
                entry.here = entry.here.saturating_sub(1);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::ManualClock;

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

    async fn fail(
        throttle: &Throttle,
        account: &str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> u32 {
        let clock = ManualClock::new(now);
        match throttle.admit(account, address, &limits(), &clock).await {
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

    #[tokio::test]
    async fn each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_minute() {
        let pauses: Vec<u64> = (0..12).map(|n| pause(n, 2).as_secs()).collect();
        assert_eq!(pauses, [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX, 2), MOST);
        let throttle = Throttle::default();
        let mut now = 0;
        for wait in [0u64, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60] {
            now += wait;
            if wait > 1 {
                assert_eq!(fail(&throttle, ME, None, at(now - 1)).await, 1);
            }
            assert_eq!(fail(&throttle, ME, None, at(now)).await, 0, "{now}");
        }
        assert_eq!(fail(&throttle, ME, None, at(now)).await, 60);
        assert_eq!(fail(&throttle, "you@example.com", None, at(now)).await, 0);
        // A quarter of an hour later it is as if nothing had been.
        let later = now + REMEMBERED.as_secs();
        for _ in 0..3 {
            assert_eq!(fail(&throttle, ME, None, at(later)).await, 0);
        }
        assert_eq!(fail(&throttle, ME, None, at(later)).await, 1);
        assert_eq!(
            fail(&throttle, ME, None, at(0)).await,
            0,
            "a clock set back"
        );
    }

    #[tokio::test]
    async fn a_success_clears_the_account_and_not_the_address() {
        let throttle = Throttle::default();
        for n in 0..5 {
            assert_eq!(fail(&throttle, &format!("{n}"), HERE, at(0)).await, 0);
        }
        assert_eq!(fail(&throttle, ME, HERE, at(0)).await, 1, "the address");
        for wait in [0, 0, 1] {
            let waits = fail(&throttle, "1", None, at(0)).await;
            assert_eq!(waits, wait, "the account");
        }
        let clock = ManualClock::new(at(1));
        for _ in 0..2 {
            // Who gets in costs the others at the address nothing.
            let right = throttle.admit("1", HERE, &limits(), &clock).await;
            right.ok().unwrap().succeeded();
        }
        assert_eq!(fail(&throttle, "1", None, at(1)).await, 0);
        assert_eq!(fail(&throttle, "2", HERE, at(1)).await, 0);
        let waits = fail(&throttle, "3", HERE, at(1)).await;
        assert_eq!(waits, 2, "the address still");
    }

    #[tokio::test]
    async fn those_at_once_queue_and_beyond_the_free_failures_there_is_one() {
        let throttle = Throttle::default();
        let (limits, clock) = (limits(), ManualClock::new(at(0)));
        let admit = || Box::pin(throttle.admit(ME, None, &limits, &clock));
        let (first, second) = (admit().await.ok().unwrap(), admit().await.ok().unwrap());
        let mut third = admit();
        assert!(futures_util::poll!(&mut third).is_pending());
        first.succeeded();
        drop(third.await.ok().unwrap());
        drop(second);
        assert!(throttle.tries().is_empty(), "nothing is left of them");
        for _ in 0..3 {
            fail(&throttle, ME, None, at(0)).await;
        }
        clock.set(at(1));
        let one = admit().await.ok().unwrap();
        assert!(admit().await.is_err(), "its outcome is not known yet");
        drop(one);
        assert!(admit().await.is_err(), "nor will it ever be");
        clock.set(at(2));
        let one = admit().await.ok().unwrap();
        one.succeeded();
        assert!(throttle.tries().is_empty());
        // Who queued behind failures is refused.
        let running = [admit().await.ok().unwrap(), admit().await.ok().unwrap()];
        let mut queued = [admit(), admit()];
        for one in &mut queued {
            assert!(futures_util::poll!(one).is_pending());
        }
        for one in running {
            one.failed(at(2));
        }
        let [third, fourth] = queued;
        third.await.ok().unwrap().failed(at(2));
        assert!(fourth.await.is_err());
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let throttle = Throttle::default();
        for n in 0..KEPT as u64 + 5000 {
            // One every 2 ms, so that none is too old to count.
            let now = at(0).plus(Duration::from_millis(2 * n));
            assert_eq!(fail(&throttle, &n.to_string(), None, now).await, 0);
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
