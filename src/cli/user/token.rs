//! `deepme user token`.
//!
//! Owns the way of an installed app that knows its `user_id` and nothing else to a login. Invariants: the token
//! goes to standard output and nowhere else; what was done is said by ids.

use super::super::{CliError, Result, note, rights, say, say_json};
use crate::domain::{ErrorCode, UserId};
use crate::service::App;
use crate::service::guest;
use clap::Args;
use std::time::Duration;

const DAY: u64 = 24 * 3600;

/// Options of `user token`.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// The e-mail address or id of the account.
    user: String,
    /// Days that the token holds. Default: `auth.legacy_ttl`, 30 days unless it is set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: Option<u64>,
    /// Make the account with this id, without address and password, if there is none: for an app that has
    /// spoken for an id so far.
    #[arg(long)]
    create: bool,
    /// What the person is called whose account is made.
    #[arg(long, requires = "create", default_value = guest::NAME)]
    name: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(app: &App, command: Token) -> Result {
    let user = match app.find_user(&command.user).await {
        Err(error) if command.create && error.code() == ErrorCode::NotFound => {
            let user_id: UserId = command.user.parse().map_err(|_| {
                CliError::Usage("--create makes an account for an id, not for an address".into())
            })?;
            let user = app.add_guest(Some(user_id), &command.name).await?;
            note(format_args!("made the account {user_id}"))?;
            user
        }
        found => found?,
    };
    let holds = command.days.map(|days| Duration::from_secs(days * DAY));
    let login = app.issue_by_hand(&user, holds, &rights::who()).await?;
    let seconds = login.expires_in.as_secs();
    let until = app.now().plus(login.expires_in);
    note(format_args!(
        "made a token for {} that holds until {until}: whoever has it is this person",
        user.user_id
    ))?;
    if command.json {
        return say_json(&serde_json::json!({
            "user_id": user.user_id,
            "access_token": login.access_token,
            "token_type": "bearer",
            "expires_in": seconds,
        }));
    }
    say(login.access_token)
}
