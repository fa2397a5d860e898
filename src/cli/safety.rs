//! `deepme safety`.

use super::{CliError, Global, Result, say, say_json};
use crate::domain::Error;
use crate::domain::safety::Tier;
use crate::safety::Gate;
use crate::safety::score::{Rates, score};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

pub(super) const HELP: &str = "Examples:
  deepme safety test sentences.tsv
  deepme safety test sentences.tsv --json";

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
}

pub(super) fn run(_: &Global, command: &Safety) -> Result {
    let Action::Test { file, json } = &command.action;
    let sentences = read(file)?;
    let gate = Gate::embedded().map_err(Error::internal)?;
    let pairs: Vec<(Tier, Tier)> = sentences
        .iter()
        .map(|(tier, text)| (*tier, gate.assess(text, &[]).tier))
        .collect();
    let score = score(&pairs);
    if *json {
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
