//! What the server's process holds, every second, and whether that grows.

use crate::client::Crowd;
use crate::model::Model;
use crate::server::Server;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// The part of the run that does not count: caches and pools fill, and the longest conversations, of
/// four minutes and more, become as many as they stay.
const WARM_UP: f64 = 0.4;
/// How much more than at first there may be at last: a twentieth, and what is noise in so small a process.
const ALLOWED: f64 = 1.05;
const NOISE_MIB: f64 = 4.0;
const NOISE_DESCRIPTORS: f64 = 20.0;

/// One second of the run.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: f64,
    pub(crate) rss_mib: f64,
    pub(crate) descriptors: f64,
    /// Those that are neither somebody's socket nor a connection to the model.
    pub(crate) unexplained: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) turns: usize,
    pub(crate) load: f64,
}

/// Looks every second until the run is over.
pub(crate) async fn watch(
    server: &Server,
    crowd: &Crowd,
    model: &Model,
    until: Instant,
) -> Vec<Sample> {
    let begun = Instant::now();
    let mut samples = Vec::new();
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while Instant::now() < until {
        seconds.tick().await;
        let descriptors = server.descriptors() as f64;
        let known = crowd.sockets.load(Ordering::Relaxed) + model.connections();
        samples.push(Sample {
            at: begun.elapsed().as_secs_f64(),
            rss_mib: server.memory().rss as f64 / f64::from(1 << 20),
            descriptors,
            unexplained: descriptors - known as f64,
            cpu_seconds: server.cpu_seconds(),
            turns: crowd.turns.load(Ordering::Relaxed),
            load: load_average(),
        });
        if samples.len().is_multiple_of(10) {
            let last = samples[samples.len() - 1];
            eprint!(
                "\r{:>5.0} s, {} turns, {:.0} MiB ",
                last.at, last.turns, last.rss_mib
            );
        }
    }
    eprintln!();
    samples
}

/// The machine's load average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// How something went after the warm-up.
pub(crate) struct Growth {
    /// Its median in the first and in the last quarter.
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// How much it grew an hour, by a line through all samples.
    pub(crate) an_hour: f64,
    pub(crate) most: f64,
    /// What the last quarter may have at most.
    pub(crate) allowed: f64,
}

impl Growth {
    pub(crate) fn of_memory(samples: &[Sample]) -> Self {
        Self::of(samples, |sample| sample.rss_mib, NOISE_MIB)
    }

    pub(crate) fn of_descriptors(samples: &[Sample]) -> Self {
        Self::of(samples, |sample| sample.unexplained, NOISE_DESCRIPTORS)
    }

    fn of(samples: &[Sample], what: fn(&Sample) -> f64, noise: f64) -> Self {
        let warm = (samples.len() as f64 * WARM_UP) as usize;
        let counts = &samples[warm..];
        let quarter = (counts.len() / 4).max(1);
        let first = median(counts.iter().take(quarter).map(what));
        let last = median(counts.iter().rev().take(quarter).map(what));
        Self {
            first,
            last,
            an_hour: slope(counts, what) * 3600.0,
            most: samples.iter().map(what).fold(0.0, f64::max),
            allowed: first.max(0.0) * ALLOWED + noise,
        }
    }

    pub(crate) fn is_fine(&self) -> bool {
        self.last <= self.allowed
    }
}

pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

/// A second's growth (least squares).
fn slope(samples: &[Sample], what: fn(&Sample) -> f64) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (at, value) = (mean(&|sample| sample.at), mean(&what));
    let together = mean(&|sample| (sample.at - at) * (what(sample) - value));
    let spread = mean(&|sample| (sample.at - at).powi(2));
    if spread > 0.0 { together / spread } else { 0.0 }
}
