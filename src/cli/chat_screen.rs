//! The terminal client of `deepme chat`, wired up.

use super::Result;
use super::logins::{Logins, Remembered};
use crate::client::Client;
use crate::domain::SessionId;
use crate::domain::prompt::Language;
use crate::tui::{self, Login, Options};

/// Talks on the screen until the person leaves. The language is that of the locale.
pub(super) async fn run(
    client: Client,
    login: Option<Remembered>,
    session: Option<SessionId>,
    own: bool,
    (logins, server): (Logins, String),
) -> Result {
    let language = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .filter(|value| value.starts_with("ko"))
        .map_or(Language::English, |_| Language::Korean);
    let local = match language {
        Language::Korean => "이 프로세스 안의 서버: 끝내면 함께 멈춰요",
        Language::English => "server in this process: it stops with the chat",
    };
    let (renewing, at) = (logins.clone(), server.clone());
    let stranger = client.clone();
    let options = Options {
        client,
        login: login.map(Login::from),
        session,
        local: own.then(|| local.to_owned()),
        language,
        save_login: Box::new(move |login| {
            // A login that is not remembered is asked for again: nothing to stop the talk for.
            let _ = logins.put(&server, Remembered::from(login));
        }),
        renew: Box::new(move |login| {
            let (logins, server, client) = (renewing.clone(), at.clone(), stranger.clone());
            Box::pin(async move {
                let login = Remembered::from(&login);
                let renewed = logins.renew(&client, &server, &login).await?;
                Ok(Login::from(renewed))
            })
        }),
    };
    tui::run(options).await.map_err(|error| match error {
        tui::TuiError::Terminal(error) => error.into(),
        tui::TuiError::Defect => super::CliError::Usage(error.to_string()),
    })
}
