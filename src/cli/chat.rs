//! `deepme chat`.

use super::logins::{Logins, Remembered};
use super::serve::Server;
use super::terminal::{self, PasswordFrom};
use super::{CliError, Global, Result, logging, note, once, owner, wiring};
use crate::client::Client;
use crate::domain::time::SystemClock;
use crate::domain::{Clock as _, SessionId};
use crate::service;
use crate::tui::Login;
use clap::Args;
use std::io::{IsTerminal as _, Read as _};
use tokio_util::sync::CancellationToken;

pub(super) const HELP: &str =
    "With no server at the address it offers to start one in the same process.

Examples:
  deepme chat
  deepme chat --server https://chat.example.com
  deepme chat --once \"요즘 기분이 별로야.\"
  echo \"I can't sleep\" | deepme chat --once -
  deepme chat --start --once \"요즘 기분이 별로야.\"     starts a server without asking";

/// Options of `chat`.
#[derive(Debug, Args)]
pub(super) struct Chat {
    /// The server. Default: the configured address.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Say this, print the answer to stdout and exit; - reads standard input.
    #[arg(long, value_name = "TEXT")]
    once: Option<String>,
    /// The session to continue.
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,
    /// Start a server in this process without asking, when there is none.
    #[arg(long)]
    start: bool,
    /// Log in with this address instead of the remembered login.
    #[arg(long)]
    email: Option<String>,
    #[command(flatten)]
    password: PasswordFrom,
}

pub(super) fn run(global: &Global, command: Chat) -> Result {
    let mut config = wiring::config(global)?;
    let words = command.once.as_deref().map(words).transpose()?;
    let local = format!("http://{}", config.server.listen);
    let address = command.server.clone().unwrap_or_else(|| local.clone());
    let client = Client::new(&address)?;
    wiring::block_on(async move {
        if client.health().await.is_ok() {
            return talk(client, None, command, words).await;
        }
        if address != local {
            return Err(CliError::Failed(format!(
                "there is no deepme server at {address}"
            )));
        }
        let question = format!("There is no server at {address}. Start one in this process?");
        if !command.start && !terminal::yes(&question)? {
            let advice = "start one with `deepme serve`, or let this command do it with --start";
            return Err(CliError::Failed(format!(
                "there is no server at {address}: {advice}"
            )));
        }
        owner::refuse_root(&config)?;
        // Log lines would be written into the conversation.
        "off".clone_into(&mut config.log.level);
        logging::start(&config)?;
        let spinner = terminal::spinner("starting");
        let server = Server::start(config).await;
        spinner.finish_and_clear();
        let server = server?;
        note(&server.greeting)?;
        let stop = CancellationToken::new();
        let app = std::sync::Arc::clone(&server.app);
        let client = Client::new(&format!("http://{}", server.address))?;
        let serving = tokio::spawn(server.run(stop.clone()));
        let outcome = talk(client, Some(&app), command, words).await;
        stop.cancel();
        let served = serving.await.map_err(crate::domain::Error::internal)?;
        outcome.and(served)
    })
}

/// The text of `--once`.
fn words(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    Ok(input.trim_end_matches(['\r', '\n']).to_owned())
}

async fn talk(
    client: Client,
    own: Option<&crate::service::App>,
    command: Chat,
    words: Option<String>,
) -> Result {
    let logins = Logins::usual();
    let server = client.base().to_string();
    let login = log_in(&client, own, &command, &logins, &server).await?;
    if let Some(words) = words {
        let Some(login) = login else {
            return Err(CliError::Usage(
                "not logged in: use --email, or run deepme chat once and log in there".into(),
            ));
        };
        return once::talk(
            &client.with_token(&login.access_token)?,
            command.session,
            words,
        )
        .await;
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(CliError::Usage(
            "this is no terminal: use --once for scripts".into(),
        ));
    }
    super::chat_screen::run(
        client,
        login,
        command.session,
        own.is_some(),
        (logins, server),
    )
    .await
}

/// A login without asking, if there is one: the named account, the remembered one, or, on a server
/// of one's own, an account made on the spot.
async fn log_in(
    client: &Client,
    own: Option<&crate::service::App>,
    command: &Chat,
    logins: &Logins,
    server: &str,
) -> Result<Option<Remembered>> {
    if let Some(email) = &command.email {
        let password = command.password.read("password", false)?;
        let login = client.login_v1(email, &password).await?;
        let now = SystemClock.now();
        let me = client.with_token(&login.access_token.0)?.me().await?;
        let remembered = Remembered::from(&Login::of(login, me.name, now));
        logins.put(server, remembered.clone())?;
        return Ok(Some(remembered));
    }
    if let Some(remembered) = logins.get(server) {
        let found = still_good(client, &remembered, logins, server).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let Some(app) = own else { return Ok(None) };
    // An account without a password lives by its token: a server of one's own makes a new one.
    let known = match logins.get(server) {
        Some(known) => app.user(known.user_id).await.ok(),
        None => None,
    };
    let known = known.filter(|user| user.disabled_at.is_none());
    let user = if let Some(user) = known {
        user
    } else {
        let name = std::env::var("USER")
            .ok()
            .filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| "local".to_owned());
        app.add_guest(None, &name).await?
    };
    let login = app.issue(&user, service::login::Client::V1).await?;
    let login = Login::of(login.into(), user.name, app.now());
    let remembered = Remembered::from(&login);
    logins.put(server, remembered.clone())?;
    Ok(Some(remembered))
}

/// A remembered login as it can be used, renewed where that is due; `None` when it holds no more.
pub(super) async fn still_good(
    client: &Client,
    remembered: &Remembered,
    logins: &Logins,
    server: &str,
) -> Result<Option<Remembered>> {
    let fresh = remembered
        .renew_at
        .is_none_or(|renew_at| renew_at > SystemClock.now());
    let holds = async |login: &Remembered| {
        let me = client.with_token(&login.access_token)?;
        Result::Ok(me.me().await.is_ok())
    };
    if fresh && holds(remembered).await? {
        return Ok(Some(remembered.clone()));
    }
    if remembered.refresh_token.is_none() {
        return Ok(None);
    }
    Ok(logins.renew(client, server, remembered).await.ok())
}
