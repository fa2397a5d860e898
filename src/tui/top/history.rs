//! What was read of a server, and what follows from two readings.
//!
//! Owns [`History`]. Called by [`super::figures`]. Invariants: pure; a rate needs two readings of one process, and what
//! cannot be told is `None`, never 0.

use crate::wire::exposition::{Exposition, Sample};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// How far back is looked.
const LATELY: Duration = Duration::from_mins(1);
/// When the process began: another one counts from 0.
const STARTED: &str = "process_start_time_seconds";

/// Something that only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Count {
    /// How fast, between the last two readings.
    pub(super) per_second: Option<f64>,
    /// By how much, between the oldest reading of the last minute and the newest.
    pub(super) lately: Option<f64>,
    /// How much since the server's start.
    pub(super) total: Option<f64>,
}

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    /// Half of them took at most so long.
    pub(super) p50: Quantile,
    /// 95 of a hundred took at most so long.
    pub(super) p95: Quantile,
    /// How long on average, in seconds.
    pub(super) mean: f64,
    /// How many there were.
    pub(super) count: f64,
}

/// A delay out of the buckets of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Quantile {
    pub(super) seconds: f64,
    /// It is more than that: in no bucket that has an end.
    pub(super) more: bool,
}

#[derive(Debug)]
struct Reading {
    /// On a clock that nobody sets.
    at: Duration,
    page: Exposition,
}

/// The readings of the last minute, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Reading>);

impl History {
    /// A page was read at this time.
    pub(super) fn add(&mut self, at: Duration, page: Exposition) {
        let began = page.get(STARTED, &[]);
        if self
            .page()
            .is_some_and(|last| last.get(STARTED, &[]) != began)
        {
            self.0.clear();
        }
        self.0.push_back(Reading { at, page });
        let old = |reading: &Reading| reading.at + LATELY < at;
        // Two of them, however far apart, make a rate.
        while self.0.len() > 2 && self.0.front().is_some_and(old) {
            self.0.pop_front();
        }
    }

    /// The newest page.
    pub(super) fn page(&self) -> Option<&Exposition> {
        self.0.back().map(|reading| &reading.page)
    }

    /// The time between two readings, in seconds.
    fn between(&self, earlier: Option<&Reading>) -> Option<f64> {
        let seconds = (self.0.back()?.at.checked_sub(earlier?.at)?).as_secs_f64();
        (seconds > 0.0).then_some(seconds)
    }

    fn previous(&self) -> Option<&Reading> {
        self.0.iter().rev().nth(1)
    }

    fn oldest(&self) -> Option<&Reading> {
        self.0.front().filter(|_| self.0.len() > 1)
    }

    /// What [`Count::lately`] is of, in seconds.
    pub(super) fn lately(&self) -> Option<f64> {
        self.between(self.oldest())
    }

    /// What [`Count::per_second`] is of, in seconds.
    pub(super) fn last(&self) -> Option<f64> {
        self.between(self.previous())
    }

    /// A counter, of those series that are meant.
    pub(super) fn count(&self, name: &str, meant: impl Fn(&Sample) -> bool) -> Count {
        // A label that has not happened yet is not on the page, but its name is.
        let sum = |page: &Exposition| {
            let series = page.of(name).filter(|sample| meant(sample));
            // Not `sum`, which is -0 of nothing.
            page.has(name)
                .then(|| series.fold(0.0, |sum, sample| sum + sample.value))
        };
        let total = self.page().and_then(sum);
        let since = |earlier: Option<&Reading>| grown(total?, sum(&earlier?.page)?);
        let last = since(self.previous());
        Count {
            per_second: last
                .zip(self.last())
                .map(|(grown, seconds)| grown / seconds),
            lately: since(self.oldest()),
            total,
        }
    }

    /// A histogram in the last minute.
    pub(super) fn spread_lately(&self, name: &str) -> Option<Spread> {
        spread(name, self.page()?, Some(&self.oldest()?.page))
    }

    /// A histogram since the server's start.
    pub(super) fn spread(&self, name: &str) -> Option<Spread> {
        spread(name, self.page()?, None)
    }
}

/// By how much a counter has grown, if it is still the same one.
fn grown(now: f64, before: f64) -> Option<f64> {
    (now >= before).then_some(now - before)
}

/// How long what came after `before` took; `None` if there was nothing.
fn spread(name: &str, now: &Exposition, before: Option<&Exposition>) -> Option<Spread> {
    let grown_by = |name: &str, labels: &[(&str, &str)]| {
        let value = now.get(name, labels)?;
        match before {
            Some(before) => grown(value, before.get(name, labels)?),
            None => Some(value),
        }
    };
    let count = grown_by(&format!("{name}_count"), &[]).filter(|count| *count > 0.0)?;
    let mean = grown_by(&format!("{name}_sum"), &[])? / count;
    let bucket = format!("{name}_bucket");
    let mut buckets = Vec::new();
    for sample in now.of(&bucket) {
        let end = sample.label("le")?;
        let inside = grown_by(&bucket, &[("le", end)])?;
        buckets.push((end.trim_start_matches('+').parse().ok()?, inside));
    }
    buckets.sort_by(|(a, _), (b, _)| f64::total_cmp(a, b));
    Some(Spread {
        p50: quantile(0.5, &buckets)?,
        p95: quantile(0.95, &buckets)?,
        mean,
        count,
    })
}

/// Where this share of all is below, by a straight line through its bucket, as Prometheus does it. The buckets are
/// sorted, each with all that are below its end, and the last has no end.
fn quantile(share: f64, buckets: &[(f64, f64)]) -> Option<Quantile> {
    let (_, all) = buckets.last().filter(|(end, _)| end.is_infinite())?;
    let rank = share * all;
    let (mut begin, mut below) = (0.0, 0.0);
    for (end, upto) in buckets {
        if *upto >= rank && *upto > 0.0 {
            let more = end.is_infinite();
            let inside = (rank - below) / (upto - below);
            let seconds = if more {
                begin
            } else {
                begin + (end - begin) * inside
            };
            return Some(Quantile { seconds, more });
        }
        (begin, below) = (*end, *upto);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn page(started: u32, value: u32) -> Exposition {
        let page = format!(
            "# TYPE a counter\na{{x=\"1\"}} {value}\na{{x=\"2\"}} 1\n{STARTED} {started}\n# TYPE b counter\n"
        );
        Exposition::parse(&page).unwrap()
    }

    fn counted(history: &History) -> Count {
        history.count("a", |sample| sample.label("x") == Some("1"))
    }

    #[test]
    fn a_rate_needs_two_readings_of_one_process() {
        let mut history = History::default();
        assert_eq!(counted(&history), Count::default());
        history.add(at(1), page(7, 10));
        let first = Count {
            total: Some(10.0),
            ..Count::default()
        };
        assert_eq!(counted(&history), first);
        assert_eq!((history.last(), history.lately()), (None, None));
        history.add(at(3), page(7, 14));
        history.add(at(4), page(7, 14));
        let third = Count {
            per_second: Some(0.0),
            lately: Some(4.0),
            total: Some(14.0),
        };
        assert_eq!(counted(&history), third);
        assert_eq!((history.last(), history.lately()), (Some(1.0), Some(3.0)));
        assert_eq!(history.count("a", |_| true).total, Some(15.0));
        // What is announced and has not happened is 0, what is not announced is not known.
        assert_eq!(history.count("b", |_| true).lately, Some(0.0));
        let none = history.count("b", |_| true).total;
        assert!(none.is_some_and(f64::is_sign_positive), "{none:?}");
        assert_eq!(history.count("c", |_| true), Count::default());
        // Another process.
        history.add(at(5), page(8, 20));
        assert_eq!(counted(&history).per_second, None);
        // A counter that shrinks is another one, whatever the page says of the process.
        history.add(at(6), page(8, 2));
        assert_eq!(
            counted(&history),
            Count {
                total: Some(2.0),
                ..Count::default()
            }
        );
    }

    #[test]
    fn what_is_older_than_a_minute_is_forgotten_but_for_the_last_two() {
        let mut history = History::default();
        for second in 0..100 {
            history.add(at(second), page(1, 0));
        }
        assert_eq!((history.0.len(), history.lately()), (61, Some(60.0)));
        history.add(at(500), page(1, 0));
        assert_eq!((history.0.len(), history.last()), (2, Some(401.0)));
    }

    fn delays(counts: [u32; 3], sum: f64) -> Exposition {
        let [a, b, all] = counts;
        // In the order in which nobody promised it.
        let page = format!(
            "# TYPE d histogram\nd_bucket{{le=\"+Inf\"}} {all}\nd_bucket{{le=\"0.5\"}} {a}\nd_bucket{{le=\"2.5\"}} {b}\nd_sum {sum}\nd_count {all}\n"
        );
        Exposition::parse(&page).unwrap()
    }

    #[test]
    fn delays_are_read_out_of_buckets() {
        let mut history = History::default();
        history.add(at(0), delays([0, 0, 0], 0.0));
        assert_eq!(history.spread("d"), None, "nothing took any time yet");
        history.add(at(1), delays([10, 20, 20], 20.0));
        let all = history.spread("d").unwrap();
        let told = |seconds| Quantile {
            seconds,
            more: false,
        };
        assert_eq!((all.p50, all.count), (told(0.5), 20.0));
        assert!(
            (all.p95.seconds - 2.3).abs() < 1e-9 && !all.p95.more,
            "{all:?}"
        );
        assert!((all.mean - 1.0).abs() < 1e-9);
        assert_eq!(history.spread_lately("d"), Some(all));
        // Slower than every bucket: more than the end of the last.
        let mut history = History::default();
        history.add(at(0), delays([10, 20, 20], 20.0));
        history.add(at(1), delays([10, 20, 22], 120.0));
        let lately = history.spread_lately("d").unwrap();
        assert_eq!(
            lately.p50,
            Quantile {
                seconds: 2.5,
                more: true
            }
        );
        assert_eq!((lately.count, lately.mean), (2.0, 50.0));
        history.add(at(2), delays([0, 0, 1], 1.0));
        assert_eq!(history.spread_lately("d"), None);
        assert_eq!(history.spread("e"), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_its_bucket(inside in proptest::array::uniform4(0u32..50), share in 0.01f64..1.0) {
            let mut below = 0.0;
            let ends = [0.1, 1.0, 10.0, f64::INFINITY];
            let buckets: Vec<_> = ends.iter().zip(inside).map(|(end, n)| {
                below += f64::from(n);
                (*end, below)
            }).collect();
            match quantile(share, &buckets) {
                None => prop_assert!(below == 0.0),
                Some(told) => {
                    prop_assert!((0.0..=10.0).contains(&told.seconds));
                    prop_assert!(told.more == (share * below > buckets[2].1));
                }
            }
        }
    }
}
