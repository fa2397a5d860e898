//! `deepme prompt`.

mod compare;
mod results;

use super::{CliError, Global, Result, note, say, say_json, terminal, wiring};
use crate::config::PromptsAb;
use crate::domain::prompt::ab::Split;
use crate::domain::prompt::{self, Prompt as Version, PromptName};
use crate::service::App;
use clap::{Args, Subcommand};
use std::io::Read as _;
use std::path::PathBuf;

pub(super) const HELP: &str =
    "The server's own prompts are called ko and en; with --user it is that person's own, which goes
below the server's. A running server uses a new version from the next turn on. In the server's own
{{name}}, {{date}} and {{language}} stand for what the person is called, the day, and the language of their
words.

Examples:
  deepme prompt list
  deepme prompt show ko
  deepme prompt edit ko                         in $VISUAL or $EDITOR
  deepme prompt set en --file listener.md
  deepme prompt history ko
  deepme prompt rollback ko 2
  deepme prompt diff ko
  deepme prompt diff ko 0 2
  deepme prompt replay ko 1 2 --session 0193a7c0-0000-7000-8000-000000000000 --reason 'told us that it was cold, ticket 12'
  deepme prompt results --days 7                how the turns under each version went
  deepme prompt edit --user jiwoo@example.com";

/// Options of `prompt`.
#[derive(Debug, Args)]
pub(super) struct Prompt {
    #[command(subcommand)]
    action: Action,
}

/// Which prompt.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// ko or en.
    name: Option<String>,
    /// That person's own: e-mail address or id.
    #[arg(long)]
    user: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the prompts with their newest versions.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a prompt.
    Show {
        #[command(flatten)]
        which: Which,
        /// An earlier version; 0 is the one that comes with the program.
        // Not `version`: that is what --version is called in every command.
        #[arg(id = "at", long = "at", value_name = "VERSION")]
        version: Option<i64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a prompt in an editor and save it as a new version.
    Edit {
        #[command(flatten)]
        which: Which,
    },
    /// Save a file, or standard input, as a new version.
    Set {
        #[command(flatten)]
        which: Which,
        /// The file with the text; - is standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// List the versions of a prompt, newest first.
    History {
        #[command(flatten)]
        which: Which,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Save the text of an earlier version as the newest.
    #[command(allow_missing_positional = true)]
    Rollback {
        #[command(flatten)]
        which: Which,
        /// The version to go back to; 0 is the one that comes with the program.
        #[arg(id = "to", value_name = "VERSION")]
        version: i64,
    },
    /// Show what changed between two versions of a server's prompt, as a unified diff.
    Diff(compare::Diff),
    /// Answer the last words of a session under two versions of a server's prompt, side by side. Nothing is stored,
    /// and the wish that the app sent with the words is not known any more.
    Replay(compare::Replay),
    /// Count how the turns of the last days went under each version of the server's prompts. Shows no words and nobody.
    Results(results::Results),
}

pub(super) fn run(global: &Global, command: Prompt) -> Result {
    let config = wiring::config_of_owner(global)?;
    wiring::block_on(async move {
        if let Action::Replay(command) = command.action {
            let (app, hosts) = wiring::asking_app(config).await?;
            return command.run(&app, &hosts).await;
        }
        let app = wiring::admin_app(config).await?;
        match command.action {
            Action::Replay(_) => Ok(()),
            Action::Diff(command) => command.run(&app).await,
            Action::Results(command) => command.run(&app).await,
            Action::List { json } => {
                let prompts = app.prompts().await?;
                let ab = app.settings().prompts.ab;
                if json {
                    let with_ab = |prompt: &Version| {
                        let mut value = as_json(prompt);
                        value["ab"] = serde_json::json!(split(prompt.name, ab));
                        value
                    };
                    return say_json(&prompts.iter().map(with_ab).collect());
                }
                for prompt in prompts {
                    say(summary(&prompt))?;
                    if let Some(Split { version, percent }) = split(prompt.name, ab) {
                        let key = prompt.name.key();
                        say(format_args!(
                            "      {percent} of 100 people are told {key}@{version} instead (prompts.ab.{key})"
                        ))?;
                    }
                }
                Ok(())
            }
            Action::Show {
                which,
                version,
                json,
            } => {
                let prompt = app.prompt(which.name(&app).await?, version).await?;
                if json {
                    say_json(&as_json(&prompt))
                } else {
                    say(prompt.body)
                }
            }
            Action::Edit { which } => {
                let name = which.name(&app).await?;
                let before = app
                    .prompt(name, None)
                    .await
                    .map(|p| p.body)
                    .unwrap_or_default();
                let after = terminal::edit(&format!("{before}\n"), ".md")?;
                if after.trim() == before.trim() {
                    return note("nothing was changed");
                }
                save(&app, name, &after).await
            }
            Action::Set { which, file } => {
                let name = which.name(&app).await?;
                let mut text = String::new();
                if file.as_os_str() == "-" {
                    std::io::stdin().read_to_string(&mut text)?;
                } else {
                    text = std::fs::read_to_string(&file).map_err(|e| {
                        CliError::Usage(format!("cannot read {}: {e}", file.display()))
                    })?;
                }
                save(&app, name, &text).await
            }
            Action::History { which, json } => {
                let versions = app.prompt_history(which.name(&app).await?).await?;
                if json {
                    return say_json(&versions.iter().map(as_json).collect());
                }
                for version in versions {
                    say(summary(&version))?;
                }
                Ok(())
            }
            Action::Rollback { which, version } => {
                let name = which.name(&app).await?;
                let saved = app.roll_back_prompt(name, version).await?;
                say(format_args!(
                    "{} is the text of version {version}",
                    saved.label()
                ))
            }
        }
    })
}

impl Which {
    async fn name(&self, app: &App) -> Result<PromptName> {
        if let Some(user) = &self.user {
            return Ok(PromptName::Personal(app.find_user(user).await?.user_id));
        }
        system(self.name.as_deref().unwrap_or_default())
    }
}

/// Who is told another version of this prompt, if anybody is.
fn split(name: PromptName, ab: PromptsAb) -> Option<Split> {
    let PromptName::System(language) = name else {
        return None;
    };
    Some(ab.of(language)).filter(|split| split.percent > 0)
}

/// The server's own prompt of this name.
fn system(name: &str) -> Result<PromptName> {
    match PromptName::parse(name) {
        Some(name @ PromptName::System(_)) => Ok(name),
        _ => Err(prompt::unknown(name).into()),
    }
}

async fn save(app: &App, name: PromptName, text: &str) -> Result {
    let saved = app.set_prompt(name, text).await?;
    say(format_args!("saved as {}", saved.label()))
}

fn summary(prompt: &Version) -> String {
    let since = prompt
        .created_at
        .map_or_else(|| "comes with the program".to_owned(), |at| at.to_string());
    let first = prompt.body.lines().next().unwrap_or_default();
    let first: String = first.chars().take(60).collect();
    format!(
        "{}  {since}  {} characters  {first}",
        prompt.label(),
        prompt.body.chars().count()
    )
}

fn as_json(prompt: &Version) -> serde_json::Value {
    serde_json::json!({
        "name": prompt.name.key(),
        "version": prompt.version,
        "prompt": prompt.body,
        "created_at": prompt.created_at,
    })
}
