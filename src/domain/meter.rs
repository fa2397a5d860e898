//! Figures that are counted while a server runs.
//!
//! Owns [`Counter`], [`Gauge`], [`Tally`] and [`Histogram`], and [`Load`], which a store says of itself. Called by whoever knows that something has
//! happened, and by who shows the figures. Invariants: counting cannot fail and waits for nobody but
//! another count; what is counted by is one of a few names that are known beforehand, and never a
//! person's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often something happened.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// It happened `times` more.
    pub fn add(&self, times: u64) {
        self.0.fetch_add(times, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of a thing there are at the moment.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// One more, as long as the value is held.
    pub fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.0))
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of what a [`Gauge`] counts; no longer when it is dropped.
#[derive(Debug)]
#[must_use = "it is counted as long as it is held"]
pub struct Held(Arc<AtomicU64>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often each of a few things happened.
#[derive(Debug)]
pub struct Tally<K>(Mutex<BTreeMap<K, u64>>);

impl<K: Ord> Default for Tally<K> {
    fn default() -> Self {
        Self::of([])
    }
}

impl<K: Ord> Tally<K> {
    /// These are shown also as long as they have not happened.
    pub fn of(known: impl IntoIterator<Item = K>) -> Self {
        Self(Mutex::new(known.into_iter().map(|key| (key, 0)).collect()))
    }

    /// This happened once more.
    pub fn add(&self, key: K) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(key).or_default() += 1;
    }
}

impl<K: Ord + Clone> Tally<K> {
    /// How often each so far, in the order of the keys.
    pub fn all(&self) -> Vec<(K, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, n)| (key.clone(), *n)).collect()
    }
}

/// How long something took, by how many were at most how long.
#[derive(Debug)]
pub struct Histogram {
    /// The upper ends of the buckets, ascending, in milliseconds.
    ends: &'static [u32],
    /// How many fell into each, and into none.
    counts: Box<[AtomicU64]>,
    /// All of it together, in microseconds.
    sum: AtomicU64,
}

/// A [`Histogram`] at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// The end of each bucket in milliseconds, and how many were at most as long.
    pub buckets: Vec<(u32, u64)>,
    /// How many there were.
    pub count: u64,
    /// How long all of them took together.
    pub sum: Duration,
}

impl Histogram {
    /// With buckets that end at these milliseconds, in ascending order.
    pub fn new(ends: &'static [u32]) -> Self {
        Self {
            ends,
            counts: (0..=ends.len()).map(|_| AtomicU64::default()).collect(),
            sum: AtomicU64::default(),
        }
    }

    /// One took as long as this.
    pub fn observe(&self, took: Duration) {
        let bucket = self
            .ends
            .partition_point(|end| Duration::from_millis((*end).into()) < took);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was observed so far.
    pub fn spread(&self) -> Spread {
        let mut count = 0;
        let mut below = self.counts.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let buckets = self.ends.iter().copied().zip(&mut below).collect();
        let _ = below.next();
        Spread {
            buckets,
            count,
            sum: Duration::from_micros(self.sum.load(Ordering::Relaxed)),
        }
    }
}

/// How busy a store is, by what it knows without asking anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls that wait for the thread that writes, or for a connection.
    pub waiting: u64,
    /// What an embedded database has committed since its start.
    pub commits: Option<Commits>,
    /// The connections to a database on a server.
    pub connections: Option<Connections>,
}

/// Commits of an embedded database; writes that wait together share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commits {
    /// How many.
    pub commits: u64,
    /// The writes in them.
    pub writes: u64,
}

/// Connections to a database on a server, but for the one that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Those that are open.
    pub open: u64,
    /// Those of them that nobody uses.
    pub idle: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let gauge = Gauge::default();
        let first = gauge.hold();
        let second = gauge.clone().hold();
        assert_eq!(gauge.get(), 2);
        drop(first);
        assert_eq!(gauge.get(), 1);
        drop(second);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn what_is_known_is_there_before_it_happens() {
        let tally = Tally::of(["b", "a"]);
        tally.add("c");
        tally.add("a");
        tally.add("a");
        assert_eq!(tally.all(), [("a", 2), ("b", 0), ("c", 1)]);
    }

    #[test]
    fn a_bucket_has_everything_that_was_at_most_as_long() {
        let histogram = Histogram::new(&[100, 1000]);
        assert_eq!(histogram.spread().count, 0);
        for millis in [1, 100, 101, 1000, 5000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let spread = histogram.spread();
        assert_eq!(spread.buckets, [(100, 2), (1000, 4)]);
        assert_eq!(spread.count, 5);
        assert_eq!(spread.sum, Duration::from_millis(6202));
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.spread().count, 6);
    }
}
