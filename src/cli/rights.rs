//! `deepme user delete` and `user export`, `deepme session`.
//!
//! Owns what an admin does with what is a person's. Invariants: nothing is destroyed without a question or
//! `--yes`; nothing that was said is shown without a reason, which is noted first and which the person can see.

use super::{CliError, Global, Result, note, say, say_json, terminal, wiring};
use crate::domain::rights;
use crate::domain::{SessionId, UserId};
use crate::service::App;
use crate::wire::rest::{SessionBody, StepBody};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const HELP: &str = "Examples:
  deepme session list jiwoo@example.com
  deepme session read 0193a7c0-0000-7000-8000-000000000000 --reason \"the person asked for help, ticket 12\"";

/// Options of `user delete`.
#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The e-mail address or id of the account.
    user: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print the receipt as JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `user export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The e-mail address or id of the account.
    user: String,
    #[command(flatten)]
    why: Why,
    /// The file to write, which must not be there yet. Without it standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Why something is read that somebody said.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why it has to be read. The person can see this, and the name of your account on this machine.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
}

fn reason(text: &str) -> std::result::Result<String, String> {
    rights::reason(text).map_err(|error| error.message().to_owned())
}

/// Options of `session`.
#[derive(Debug, Args)]
pub(super) struct Session {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the sessions of an account, newest first: when they were, not what was said.
    List {
        /// The e-mail address or id of the account.
        user: String,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what was said in a session.
    Read {
        /// The session.
        session: SessionId,
        #[command(flatten)]
        why: Why,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(global: &Global, command: Session) -> Result {
    let config = wiring::config_of_owner(global)?;
    wiring::block_on(async move {
        let app = wiring::admin_app(config).await?;
        match command.action {
            Action::List { user, limit, json } => list(&app, &user, limit, json).await,
            Action::Read { session, why, json } => read(&app, session, &why, json).await,
        }
    })
}

async fn list(app: &App, user: &str, limit: u32, json: bool) -> Result {
    let user_id = app.find_user(user).await?.user_id;
    let sessions = app.sessions(user_id, None, Some(limit)).await?;
    let ended = |at: Option<crate::domain::Timestamp>| {
        at.map_or_else(String::new, |at| format!("  ended {at}"))
    };
    if json {
        let times = sessions.iter().map(|session| {
            serde_json::json!({
                "session_id": session.session_id,
                "started_at": session.started_at,
                "ended_at": session.ended_at,
            })
        });
        return say_json(&times.collect());
    }
    for session in sessions {
        let (id, at) = (session.session_id, session.started_at);
        say(format_args!("{id}  {at}{}", ended(session.ended_at)))?;
    }
    Ok(())
}

async fn read(app: &App, session_id: SessionId, why: &Why, json: bool) -> Result {
    let user_id = app.owner(session_id).await?;
    note_access(app, user_id, Some(session_id), why).await?;
    let session = app.session(user_id, session_id).await?;
    let steps = app.steps(user_id, session_id, 0, None).await?;
    if json {
        let steps: Vec<StepBody> = steps.into_iter().map(Into::into).collect();
        return say_json(&serde_json::json!({
            "session": SessionBody::from(session),
            "steps": steps,
        }));
    }
    for (n, step) in steps.into_iter().enumerate() {
        let gap = if n > 0 { "\n" } else { "" };
        let StepBody {
            step_order,
            created_at,
            status,
            user_input,
            gpt_response,
            ..
        } = step.into();
        say(format_args!(
            "{gap}#{step_order}  {created_at}  {}\n> {}\n{}",
            status.as_str(),
            plain(&user_input).replace('\n', "\n> "),
            plain(&gpt_response)
        ))?;
    }
    Ok(())
}

/// Text without what would command the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

/// Who sits at this machine: the account that became root, or the one that is logged in.
pub(super) fn who() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| {
            std::env::var(name)
                .ok()
                .filter(|name| rights::by(name).is_ok())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Notes that what a person said is about to be read, and says so.
pub(super) async fn note_access(
    app: &App,
    user_id: UserId,
    session_id: Option<SessionId>,
    why: &Why,
) -> Result {
    let by = who();
    app.note_access(user_id, session_id, &by, &why.reason)
        .await?;
    note(format_args!(
        "noted for the person to see: {by}, {}",
        why.reason
    ))
}

/// `user delete`.
pub(super) async fn delete(app: &Arc<App>, command: Delete) -> Result {
    let user = app.find_user(&command.user).await?;
    if !command.yes {
        let question = format!(
            "Erase {} ({}) with everything they said? There is no way back.",
            super::user::shown(&user),
            user.user_id
        );
        if !terminal::sure(&question)? {
            return Err(CliError::Usage(
                "nothing was erased: use --yes where nobody can be asked".into(),
            ));
        }
    }
    let receipt = app.erase(user.user_id).await?;
    if command.json {
        let receipt = serde_json::to_value(&receipt).map_err(crate::domain::Error::internal)?;
        return say_json(&receipt);
    }
    say(format_args!(
        "user_id:     {}\nerased_at:   {}",
        receipt.user_id, receipt.erased_at
    ))?;
    if let Some(erased) = receipt.erased {
        say(format_args!(
            "sessions:    {}\nsteps:       {}\nprompts:     {}",
            erased.sessions, erased.steps, erased.prompts
        ))?;
    }
    say("key:         destroyed")?;
    match receipt.overwritten {
        Some(true) => say("files:       overwritten"),
        Some(false) => say("files:       in use; a running server overwrites them within a minute"),
        None => say("files:       the database server's: see docs/privacy.md"),
    }
}

/// `user export`.
pub(super) async fn export(app: &Arc<App>, command: Export) -> Result {
    let user_id = app.find_user(&command.user).await?.user_id;
    let mut output: Box<dyn Write> = match &command.output {
        Some(path) => Box::new(new_file(path)?),
        None => Box::new(io::stdout().lock()),
    };
    note_access(app, user_id, None, &command.why).await?;
    let mut export = app.export(user_id).await?;
    while let Some(piece) = export.next().await? {
        output.write_all(piece.as_bytes())?;
    }
    output.flush()?;
    Ok(())
}

/// A file that only its owner reads.
fn new_file(path: &PathBuf) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|e| CliError::Usage(format!("cannot write {}: {e}", path.display())))
}
