//! What the kernel says of this process.
//!
//! Owns [`Process`], read from `/proc/self`. The names are those that Prometheus' own clients use.
//! Invariant: what cannot be read is left out.

use super::text::{Kind, Page};
use crate::domain::Timestamp;
use std::fs;

/// The figures of the process at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    resident_bytes: Option<u64>,
    open_descriptors: Option<u64>,
    most_descriptors: Option<u64>,
}

impl Process {
    /// Reads them. Blocks for as long as the kernel takes to write them.
    pub(super) fn read() -> Self {
        let text = |file| fs::read_to_string(file).unwrap_or_default();
        // One of them is the directory itself.
        let descriptors = fs::read_dir("/proc/self/fd").map(|entries| entries.count() as u64);
        Self {
            resident_bytes: resident(&text("/proc/self/status")),
            open_descriptors: descriptors.ok().map(|count| count.saturating_sub(1)),
            most_descriptors: most(&text("/proc/self/limits")),
        }
    }

    pub(super) fn show(&self, started: Timestamp, page: &mut Page) {
        let micros = started.as_micros();
        // Whole milliseconds, as text: no float would be exact.
        let (seconds, millis) = (
            micros.div_euclid(1_000_000),
            micros.rem_euclid(1_000_000) / 1000,
        );
        page.family(
            "process_start_time_seconds",
            Kind::Gauge,
            "When the process began, in seconds since 1970",
        )
        .sample(&[], format_args!("{seconds}.{millis:03}"));
        let figures = [
            (
                "process_resident_memory_bytes",
                "Memory that the process holds",
                self.resident_bytes,
            ),
            (
                "process_open_fds",
                "Descriptors that are open",
                self.open_descriptors,
            ),
            (
                "process_max_fds",
                "Descriptors that may be open",
                self.most_descriptors,
            ),
        ];
        for (name, help, figure) in figures {
            if let Some(figure) = figure {
                page.family(name, Kind::Gauge, help).sample(&[], figure);
            }
        }
    }
}

/// `VmRSS:     1234 kB`
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// `Max open files            1024                 524288               files`
fn most(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    // The soft limit; "unlimited" is no number.
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let status = "Name:\tdeepme\nVmHWM:\t   9999 kB\nVmRSS:\t   1234 kB\n";
        assert_eq!(resident(status), Some(1234 * 1024));
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(most(limits), Some(1024));
        assert_eq!(most("Max open files   unlimited  unlimited  files"), None);
        assert_eq!((resident(""), most("")), (None, None));
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let process = Process::read();
        assert!(process.resident_bytes.unwrap() > 1 << 20);
        assert!(process.open_descriptors.unwrap() >= 3);
    }
}
