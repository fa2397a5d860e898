//! What the run came to, in Markdown.

use crate::check::Checked;
use crate::client::Tally;
use crate::server::Memory;
use crate::watch::{Growth, Sample, median};
use std::collections::BTreeMap;
use std::time::Duration;

/// Descriptors that may be left more than at the start, when everybody has gone.
const LEFT: usize = 8;
/// Wrong things that are told one by one.
const TOLD: usize = 20;
/// Rows of the table of the run.
const ROWS: usize = 12;

pub(crate) struct Report {
    pub(crate) minutes: f64,
    pub(crate) clients: usize,
    pub(crate) seed: u64,
    pub(crate) ready: Duration,
    pub(crate) load_before: f64,
    pub(crate) samples: Vec<Sample>,
    pub(crate) tally: Tally,
    pub(crate) wrong: Vec<String>,
    pub(crate) checked: Checked,
    pub(crate) played: BTreeMap<&'static str, usize>,
    /// Before and after everybody, those to the model left out.
    pub(crate) descriptors: (usize, usize),
    pub(crate) memory: (Memory, Memory),
    pub(crate) cpu_seconds: f64,
    pub(crate) code: Option<i32>,
    pub(crate) said: Vec<String>,
    pub(crate) integrity: String,
    pub(crate) rows: usize,
}

impl Report {
    /// Every promise, and whether it was kept.
    fn promises(&self) -> Vec<(String, bool)> {
        let memory = Growth::of_memory(&self.samples);
        let descriptors = Growth::of_descriptors(&self.samples);
        let checked = &self.checked;
        let (before, after) = self.descriptors;
        let told = |growth: &Growth, unit: &str| {
            format!(
                "{:.1} → {:.1}{unit} (allowed {:.1}; {:+.1} an hour by a line through all; most {:.1})",
                growth.first, growth.last, growth.allowed, growth.an_hour, growth.most
            )
        };
        vec![
            (
                format!(
                    "each of {} acknowledged messages is exactly one step, and each of {} steps somebody's message; orders without a gap in {} sessions; every text as it was told ({} complete, {} by a second device)",
                    checked.acknowledged,
                    checked.stored,
                    checked.sessions,
                    checked.complete,
                    checked.watched
                ),
                checked.wrong.is_empty()
                    && checked.acknowledged == checked.stored
                    && self.rows == checked.stored,
            ),
            (
                format!(
                    "nothing was told that may not be: {} times",
                    self.wrong.len()
                ),
                self.wrong.is_empty(),
            ),
            (
                format!("memory does not grow: {}", told(&memory, " MiB")),
                memory.is_fine(),
            ),
            (
                format!(
                    "descriptors that are neither a person's socket nor a connection to the model do not grow: {}",
                    told(&descriptors, "")
                ),
                descriptors.is_fine(),
            ),
            (
                format!(
                    "descriptors are given back: {before} before, {after} after everybody has gone"
                ),
                after <= before + LEFT,
            ),
            (
                format!(
                    "SIGTERM ends it with code 0 ({:?}), and the file is whole ({})",
                    self.code, self.integrity
                ),
                self.code == Some(0) && self.integrity == "ok",
            ),
        ]
    }

    pub(crate) fn is_fine(&self) -> bool {
        self.promises().iter().all(|(_, kept)| *kept)
    }

    pub(crate) fn print(&self) {
        let last = self.samples.last();
        let turns = last.map_or(0, |last| last.turns);
        let load = median(self.samples.iter().map(|sample| sample.load));
        println!(
            "{} clients for {} minutes, seed {}. Load average {:.1} before, {load:.1} in the middle; ready after {:.0} ms.\n",
            self.clients,
            self.minutes,
            self.seed,
            self.load_before,
            self.ready.as_secs_f64() * 1e3
        );
        println!("| promise | kept |\n|---|---|");
        for (promise, kept) in self.promises() {
            println!("| {promise} | {} |", if kept { "yes" } else { "**NO**" });
        }
        for wrong in self.wrong.iter().chain(&self.checked.wrong).take(TOLD) {
            println!("\n- {wrong}");
        }
        let seconds = last.map_or(1.0, |last| last.at);
        println!(
            "\n{turns} turns, {:.0} a second; {:.1} s of the server's CPU, {:.2} ms a turn.\n",
            turns as f64 / seconds,
            self.cpu_seconds,
            self.cpu_seconds * 1e3 / turns.max(1) as f64
        );
        self.print_run();
        println!("\n| what happened | times |\n|---|---:|");
        for (what, times) in &self.tally.0 {
            println!("| {what} | {times} |");
        }
        println!("\n| the model's answers | times |\n|---|---:|");
        for (fault, times) in &self.played {
            println!("| {fault} | {times} |");
        }
        self.print_log();
    }

    fn print_run(&self) {
        println!(
            "| second | RSS, MiB | descriptors | of these unexplained | turns/s | CPU, % of a core |\n|---:|---:|---:|---:|---:|---:|"
        );
        let size = self.samples.len().div_ceil(ROWS).max(2);
        for part in self.samples.chunks(size).filter(|part| part.len() > 1) {
            let (first, last) = (part[0], part[part.len() - 1]);
            let seconds = last.at - first.at;
            println!(
                "| {:.0} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} |",
                last.at,
                median(part.iter().map(|sample| sample.rss_mib)),
                median(part.iter().map(|sample| sample.descriptors)),
                median(part.iter().map(|sample| sample.unexplained)),
                (last.turns - first.turns) as f64 / seconds,
                (last.cpu_seconds - first.cpu_seconds) / seconds * 100.0
            );
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (before, after) = self.memory;
        println!(
            "\nRSS / PSS in MiB before anybody came {:.1} / {:.1}, after everybody had gone {:.1} / {:.1}.",
            mib(before.rss),
            mib(before.pss),
            mib(after.rss),
            mib(after.pss)
        );
    }

    /// What the server logged as warnings and errors, by kind.
    fn print_log(&self) {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        let logged = |line: &&String| line.contains(" WARN ") || line.contains(" ERROR ");
        for line in self.said.iter().filter(logged) {
            // Without its time, and without what is different each time.
            let kind = line.split_whitespace().skip(1).take(8);
            let kind = kind.filter(|word| !word.contains(['=', '-']));
            *kinds.entry(kind.collect::<Vec<_>>().join(" ")).or_default() += 1;
        }
        println!("\n| the server logged | times |\n|---|---:|");
        for (kind, times) in kinds {
            println!("| {kind} | {times} |");
        }
    }
}
