//! `deepme prompt diff` and `prompt replay`: what another version changes.
//!
//! Invariant: what somebody said is sent to a model and shown only for a reason that they can see.

use super::system;
use crate::cli::rights::{Why, note_access};
use crate::cli::{Result, note, say, say_json};
use crate::domain::SessionId;
use crate::service::App;
use crate::tui;
use clap::Args;
use similar::TextDiff;

/// Columns of a terminal that does not tell, and of no terminal.
const COLUMNS: u16 = 100;

/// Options of `prompt diff`.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// ko or en.
    name: String,
    /// The version to begin with; 0 is the one that comes with the program. Default: the one before TO.
    from: Option<i64>,
    /// The version to end with. Default: the newest.
    to: Option<i64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) async fn run(self, app: &App) -> Result {
        let name = system(&self.name)?;
        let to = app.prompt(name, self.to).await?;
        let from = self.from.unwrap_or(to.version - 1);
        if from < 0 {
            return note(format_args!("there is nothing before {}", to.label()));
        }
        let from = app.prompt(name, Some(from)).await?;
        // Stored texts have no line end at their end.
        let texts = [&from, &to].map(|prompt| format!("{}\n", prompt.body));
        let lines = TextDiff::from_lines(&texts[0], &texts[1]);
        let labels = (from.label(), to.label());
        let mut shown = lines.unified_diff();
        let shown = shown.header(&labels.0, &labels.1).to_string();
        if self.json {
            return say_json(&serde_json::json!({
                "from": from.version,
                "to": to.version,
                "diff": shown,
            }));
        }
        if shown.is_empty() {
            return note(format_args!("{} and {} are the same", labels.0, labels.1));
        }
        say(shown.trim_end())
    }
}

/// Options of `prompt replay`.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// ko or en.
    name: String,
    /// A version; 0 is the one that comes with the program.
    #[arg(value_name = "VERSION_A")]
    a: i64,
    /// Another.
    #[arg(value_name = "VERSION_B")]
    b: i64,
    /// The session whose last words are answered.
    #[arg(long)]
    session: SessionId,
    #[command(flatten)]
    why: Why,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// `hosts` read the words.
    pub(super) async fn run(self, app: &App, hosts: &[String]) -> Result {
        let name = system(&self.name)?;
        // What is wrong is said before anything is noted or read.
        let a = app.prompt(name, Some(self.a)).await?;
        let b = app.prompt(name, Some(self.b)).await?;
        let user_id = app.owner(self.session).await?;
        note_access(app, user_id, Some(self.session), &self.why).await?;
        note(format_args!("asking {}", hosts.join(", ")))?;
        let a = app.replay(user_id, self.session, a).await?;
        let b = app.replay(user_id, self.session, b).await?;
        if self.json {
            let answers = [&a, &b].map(|replayed| {
                serde_json::json!({
                    "prompt_version": replayed.prompt_version,
                    "model": replayed.model,
                    "gpt_response": replayed.gpt_response,
                })
            });
            return say_json(&serde_json::json!({
                "user_input": a.user_input,
                "answers": answers,
            }));
        }
        let width = crossterm::terminal::size().map_or(COLUMNS, |(columns, _)| columns);
        let [left, right] = [&a, &b].map(|replayed| {
            format!(
                "{}  {}\n\n{}",
                replayed.prompt_version, replayed.model, replayed.gpt_response
            )
        });
        let quoted = a.user_input.replace('\n', "\n> ");
        say(format_args!("> {}\n", tui::clean(&quoted)))?;
        say(tui::beside(&left, &right, width.into()))
    }
}
