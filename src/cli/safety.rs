//! `deepme safety`.

use super::{CliError, Global, Result, say, say_json, terminal, wiring};
use crate::domain::safety::Tier;
use crate::domain::{Error, Timestamp};
use crate::safety::Gate;
use crate::safety::score::{Rates, score};
use crate::service::looking_back::{Replay, Tally};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

pub(super) const HELP: &str = "Examples:
  deepme safety test sentences.tsv
  deepme safety test sentences.tsv --json
  deepme safety report --days 7
  deepme safety replay --steps                  after an update of the rules";

/// Options of `safety`.
#[derive(Debug, Args)]
pub(super) struct Safety {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Measure the safety gate on sentences of known tier.
    Test {
        /// Tab-separated, with the header lang, tier, text.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Count what the gate said of the messages of the last days. Shows no words and nobody.
    Report(Past),
    /// Read the messages of the last days by the rules of this program, and count whose tier would be another. Shows
    /// no words.
    Replay {
        #[command(flatten)]
        past: Past,
        /// Name the steps, too.
        #[arg(long)]
        steps: bool,
    },
}

#[derive(Debug, Args)]
struct Past {
    /// How many days back.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Microseconds of a day.
const DAY: i64 = 24 * 3600 * 1_000_000;

pub(super) fn run(global: &Global, command: &Safety) -> Result {
    match &command.action {
        Action::Test { file, json } => test(file, *json),
        Action::Report(past) => look_back(global, past, None),
        Action::Replay { past, steps } => look_back(global, past, Some(*steps)),
    }
}

/// Reports, or replays if `steps` says whether to name them.
fn look_back(global: &Global, past: &Past, steps: Option<bool>) -> Result {
    let config = wiring::config_of_owner(global)?;
    wiring::block_on(async move {
        let app = wiring::admin_app(config).await?;
        let since = app.now().as_micros() - i64::from(past.days) * DAY;
        let since = Timestamp::from_micros(since);
        let spinner = terminal::spinner("reading");
        let tell = |people| spinner.set_message(format!("reading, {people} people"));
        match steps {
            None => {
                let tally = app.tally_tiers(since, &tell).await;
                spinner.finish_and_clear();
                report(&tally?, past)
            }
            Some(steps) => {
                let replay = app.replay_gate(since, &tell).await;
                spinner.finish_and_clear();
                show_replay(&replay?, past, steps)
            }
        }
    })
}

fn report(tally: &Tally, past: &Past) -> Result {
    let of = |counts: &std::collections::BTreeMap<Tier, u64>, tier| {
        counts.get(&tier).copied().unwrap_or(0)
    };
    if past.json {
        let tiers: serde_json::Map<_, _> = Tier::ALL
            .into_iter()
            .map(|tier| {
                let counts = serde_json::json!({
                    "steps": of(&tally.tiers, tier),
                    "people": of(&tally.people, tier),
                });
                (tier.as_str().to_owned(), counts)
            })
            .collect();
        return say_json(&serde_json::json!({
            "days": past.days,
            "steps": tally.steps,
            "unknown": tally.unknown,
            "tiers": tiers,
        }));
    }
    say(format_args!(
        "messages in {} days: {} (from before tiers were stored: {})",
        past.days, tally.steps, tally.unknown
    ))?;
    say("tier       messages   people")?;
    for tier in Tier::ALL {
        say(format_args!(
            "{:<9} {:>9} {:>8}",
            tier.as_str(),
            of(&tally.tiers, tier),
            of(&tally.people, tier)
        ))?;
    }
    Ok(())
}

fn show_replay(replay: &Replay, past: &Past, steps: bool) -> Result {
    let mut changes = std::collections::BTreeMap::<(Tier, Tier), u64>::new();
    for change in &replay.changed {
        *changes.entry((change.from, change.to)).or_default() += 1;
    }
    if past.json {
        let changes: Vec<_> = changes
            .into_iter()
            .map(|((from, to), steps)| serde_json::json!({"from": from, "to": to, "steps": steps}))
            .collect();
        let mut all = serde_json::json!({
            "days": past.days,
            "steps": replay.steps,
            "changed": replay.changed.len(),
            "changes": changes,
        });
        if steps {
            let named = replay.changed.iter().map(|change| {
                serde_json::json!({
                    "session_id": change.session_id,
                    "step_id": change.step_id,
                    "from": change.from,
                    "to": change.to,
                })
            });
            all["named"] = named.collect();
        }
        return say_json(&all);
    }
    say(format_args!(
        "messages in {} days: {} (with another tier by the rules of this program: {})",
        past.days,
        replay.steps,
        replay.changed.len()
    ))?;
    for ((from, to), count) in changes {
        say(format_args!(
            "{:<9} -> {:<9} {count:>8}",
            from.as_str(),
            to.as_str()
        ))?;
    }
    if steps {
        for change in &replay.changed {
            say(format_args!(
                "session {} step {}  {} -> {}",
                change.session_id,
                change.step_id,
                change.from.as_str(),
                change.to.as_str()
            ))?;
        }
    }
    Ok(())
}

fn test(file: &Path, json: bool) -> Result {
    let sentences = read(file)?;
    let gate = Gate::embedded().map_err(Error::internal)?;
    let pairs: Vec<(Tier, Tier)> = sentences
        .iter()
        .map(|(tier, text)| (*tier, gate.assess(text, &[]).tier))
        .collect();
    let score = score(&pairs);
    if json {
        return say_json(&serde_json::to_value(score).map_err(Error::internal)?);
    }
    say(format_args!(
        "{} sentences, rules {}",
        pairs.len(),
        gate.version()
    ))?;
    let row = |name: &str, rates: Rates| {
        say(format_args!(
            "{name:<18} recall {:.3}  precision {:.3}",
            rates.recall, rates.precision
        ))
    };
    row("elevated or worse", score.elevated_or_worse)?;
    row("none", score.tiers.none)?;
    row("low", score.tiers.low)?;
    row("elevated", score.tiers.elevated)?;
    row("imminent", score.tiers.imminent)
}

/// The sentences of a file with their tiers.
fn read(file: &Path) -> Result<Vec<(Tier, String)>> {
    let wrong =
        |line: usize, what: &str| CliError::Usage(format!("{}:{line}: {what}", file.display()));
    let text = std::fs::read_to_string(file)
        .map_err(|e| CliError::Usage(format!("cannot read {}: {e}", file.display())))?;
    let mut lines = text.lines().zip(1..);
    if lines
        .next()
        .is_none_or(|(header, _)| header.trim_end() != "lang\ttier\ttext")
    {
        return Err(wrong(
            1,
            "expected the header lang, tier, text, separated by tabs",
        ));
    }
    lines
        .filter(|(line, _)| !line.trim().is_empty())
        .map(|(line, number)| {
            let mut columns = line.splitn(3, '\t').skip(1);
            let tier = columns.next().and_then(Tier::parse);
            let tier = tier
                .ok_or_else(|| wrong(number, "the tier must be none, low, elevated or imminent"))?;
            let text = columns
                .next()
                .ok_or_else(|| wrong(number, "there is no text"))?;
            Ok((tier, text.to_owned()))
        })
        .collect()
}
