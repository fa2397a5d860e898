//! `deepme prompt results`: how the turns under each version went.
//!
//! Invariant: counts only; no words, and nobody by name.

use crate::cli::{Result, say, say_json};
use crate::domain::prompt::ab::Tally;
use crate::service::App;
use clap::Args;
use std::fmt::Write as _;

/// Options of `prompt results`.
#[derive(Debug, Args)]
pub(super) struct Results {
    /// How many days back.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Results {
    pub(super) async fn run(self, app: &App) -> Result {
        let tallies = app.tally_prompts(self.days).await?;
        if self.json {
            return say_json(&serde_json::json!({ "days": self.days, "prompts": tallies }));
        }
        if tallies.is_empty() {
            return say(format_args!("no turns in {} days", self.days));
        }
        say(table(&tallies).trim_end())
    }
}

fn table(tallies: &[Tally]) -> String {
    let mut table =
        "prompt    people   turns  complete  stopped  went on  tokens an answer\n".to_owned();
    for tally in tallies {
        let of_turns =
            |count: i64| format!("{} %", (count * 100 + tally.turns / 2) / tally.turns.max(1));
        let tokens = tally
            .output_tokens
            .map_or_else(|| "-".to_owned(), |tokens| tokens.to_string());
        let _ = writeln!(
            table,
            "{:<8} {:>7} {:>7} {:>9} {:>8} {:>8} {:>17}",
            tally.prompt_version,
            tally.people,
            tally.turns,
            of_turns(tally.complete),
            of_turns(tally.cancelled),
            of_turns(tally.went_on),
            tokens
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_turns_of_their_version() {
        let tally = |version: &str, turns, tokens| Tally {
            prompt_version: version.to_owned(),
            people: 2,
            turns,
            complete: turns - 1,
            cancelled: 1,
            went_on: turns / 2,
            output_tokens: tokens,
        };
        let table = table(&[tally("ko@3", 1200, Some(84)), tally("ko@10", 3, None)]);
        assert_eq!(
            table,
            "prompt    people   turns  complete  stopped  went on  tokens an answer\n\
             ko@3           2    1200     100 %      0 %     50 %                84\n\
             ko@10          2       3      67 %     33 %     33 %                 -\n"
        );
    }
}
