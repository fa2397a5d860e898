//! `deepme simulate`: a scripted person rehearses a prompt before people meet it.
//!
//! Owns one talk over the socket that apps use. What is expected of it is in [`persona`], whether it held in
//! [`verdict`], both pure. Invariants: it knows no more than an app does; on a server of its own its account is
//! erased again, however the talk ends.

mod persona;
mod verdict;

use super::logins::Logins;
use super::serve::Server;
use super::terminal::PasswordFrom;
use super::{CliError, Global, Result, chat, logging, note, owner, say, say_json, wiring};
use crate::client::{Client, ConnectOptions, Event, Socket};
use crate::domain::prompt::{Language, PromptName};
use crate::service::{App, login};
use crate::wire::ws::{ClientFrame, ServerFrame, UserMessage};
use clap::Args;
use persona::Persona;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use verdict::{Heard, Secrets, Verdict};

pub(super) const HELP: &str =
    "The file says what the person says and what is expected of every answer; docs/operations.md has its keys. Exit code 1
when an expectation does not hold.

Examples:
  deepme simulate docs/personas/tired-evening.ko.toml --start
  deepme simulate danger.ko.toml --server https://chat.example.com --email tester@example.com --json";

/// Options of `simulate`.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// The person, as TOML.
    #[arg(value_name = "FILE")]
    persona: PathBuf,
    /// The server. Default: the configured address.
    #[arg(long, value_name = "URL", conflicts_with = "start")]
    server: Option<String>,
    /// Start a server in this process, with the configured database and models, and erase the person afterwards.
    #[arg(long)]
    start: bool,
    /// Log in with this address instead of the login that `deepme chat` remembers.
    #[arg(long, conflicts_with = "start")]
    email: Option<String>,
    #[command(flatten)]
    password: PasswordFrom,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(global: &Global, command: Simulate) -> Result {
    let mut config = wiring::config(global)?;
    let file = command.persona.display();
    let text = std::fs::read_to_string(&command.persona)
        .map_err(|e| CliError::Usage(format!("cannot read {file}: {e}")))?;
    let persona = Persona::parse(&text).map_err(|e| CliError::Usage(format!("{file}: {e}")))?;
    wiring::block_on(async move {
        if command.start {
            owner::refuse_root(&config)?;
            // Log lines would be written into the report.
            "off".clone_into(&mut config.log.level);
            logging::start(&config)?;
            let server = Server::start(config).await?;
            let app = Arc::clone(&server.app);
            let client = Client::new(&format!("http://{}", server.address))?;
            let stop = CancellationToken::new();
            let serving = tokio::spawn(server.run(stop.clone()));
            let verdict = on_ones_own(&app, &client, &persona).await;
            stop.cancel();
            serving.await.map_err(crate::domain::Error::internal)??;
            return report(&persona, &verdict?, command.json);
        }
        let usual = format!("http://{}", config.server.listen);
        let client = Client::new(&command.server.unwrap_or(usual))?;
        let token = match &command.email {
            Some(email) => {
                let password = command.password.read("password", false)?;
                client.login(email, &password).await?.access_token.0
            }
            None => remembered(&client).await?,
        };
        let client = client.with_token(&token)?;
        let verdict = talk(&client, &persona, &Secrets::of_the_program()).await?;
        report(&persona, &verdict, command.json)
    })
}

async fn remembered(client: &Client) -> Result<String> {
    let (logins, server) = (Logins::usual(), client.base().to_string());
    let good = match logins.get(&server) {
        Some(login) => chat::still_good(client, &login, &logins, &server).await?,
        None => None,
    };
    good.map(|login| login.access_token).ok_or_else(|| {
        CliError::Usage(
            "not logged in: use --email, or run deepme chat once and log in there".into(),
        )
    })
}

/// The talk as a guest of this process, of whom nothing stays.
async fn on_ones_own(app: &Arc<App>, client: &Client, persona: &Persona) -> Result<Vec<Verdict>> {
    let mut secrets = Secrets::of_the_program();
    for language in [Language::Korean, Language::English] {
        secrets.add(&app.prompt(PromptName::System(language), None).await?.body);
    }
    let user = app.add_guest(None, &persona.name).await?;
    let talked = async {
        let login = app.issue(&user, login::Client::Legacy).await?;
        let login: crate::wire::rest::LoginBody = login.into();
        let client = client.with_token(&login.access_token.0)?;
        talk(&client, persona, &secrets).await
    };
    let verdict = talked.await;
    app.erase(user.user_id).await?;
    verdict
}

/// Says line after line, each when the answer before is whole.
async fn talk(client: &Client, persona: &Persona, secrets: &Secrets) -> Result<Vec<Verdict>> {
    let mut socket = client.connect(&ConnectOptions::default()).await?;
    let mut verdicts = Vec::new();
    for (n, line) in persona.say.iter().enumerate() {
        let heard = turn(&mut socket, &line.text).await?;
        let last = n + 1 == persona.say.len();
        let lost = heard.closed.is_some();
        verdicts.push(verdict::of(persona, line, last, heard, secrets));
        if lost {
            return Ok(verdicts);
        }
    }
    socket.close().await;
    Ok(verdicts)
}

async fn turn(socket: &mut Socket, words: &str) -> Result<Heard> {
    let message = UserMessage {
        user_input: words.to_owned(),
        ..UserMessage::default()
    };
    socket.send(&ClientFrame::UserInput(message)).await?;
    let begun = Instant::now();
    let mut heard = Heard::default();
    loop {
        match socket.next().await {
            Event::Frame(ServerFrame::Token { token }) => {
                heard.first_token.get_or_insert_with(|| begun.elapsed());
                heard.answer.push_str(&token);
            }
            Event::Frame(ServerFrame::Safety { .. }) => heard.safety = true,
            Event::Frame(ServerFrame::Done(done)) => {
                heard.whole = begun.elapsed();
                heard.status = Some(done.status);
                heard.finish_reason = done.finish_reason;
                return Ok(heard);
            }
            Event::Frame(ServerFrame::Error { error }) => {
                return Err(CliError::Failed(error.message));
            }
            Event::Closed(code, reason) => {
                heard.whole = begun.elapsed();
                heard.closed = Some(format!("{code} {reason}"));
                return Ok(heard);
            }
            Event::Frame(_) | Event::Unknown(_) => {}
        }
    }
}

fn report(persona: &Persona, verdicts: &[Verdict], json: bool) -> Result {
    let failed: usize = verdicts.iter().map(|verdict| verdict.failed.len()).sum();
    let silent = persona.say.len() - verdicts.len();
    if json {
        say_json(&serde_json::json!({
            "name": persona.name,
            "passed": failed == 0 && silent == 0,
            "turns": verdicts,
        }))?;
    } else {
        for (n, verdict) in (1..).zip(verdicts) {
            say(format_args!("#{n}  {verdict}"))?;
        }
    }
    if failed == 0 && silent == 0 {
        return note(format_args!(
            "{}: every expectation held, {} turns",
            persona.name,
            verdicts.len()
        ));
    }
    note(format_args!(
        "{}: {failed} expectations did not hold; {silent} lines were not said",
        persona.name
    ))?;
    Err(CliError::Silent)
}
