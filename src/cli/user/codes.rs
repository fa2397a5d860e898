//! `deepme user invite` and `deepme user passwd --code`: one-time codes, shown once.
//!
//! Invariant: of output to a pipe the first line is the code and nothing else.

use super::super::{CliError, Result, note, say, say_json};
use crate::domain::user::User;
use crate::service::App;
use crate::service::recovery::Code;
use clap::Args;
use std::time::Duration;

/// Longest time that a code may hold, in hours: a month.
pub(super) const MOST_HOURS: u64 = 31 * 24;

/// Options of `user invite`.
#[derive(Debug, Args)]
pub(super) struct Invite {
    /// Hours that the code holds.
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u64).range(1..=MOST_HOURS))]
    hours: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Invite {
    pub(super) async fn run(self, app: &App) -> Result {
        let code = app.invite(Duration::from_hours(self.hours)).await?;
        if app.config().auth.registration != crate::config::Registration::Invite {
            note("auth.registration is not \"invite\": at this server nobody is asked for a code")?;
        }
        show(&code, self.json)
    }
}

/// A code for a new password.
pub(super) async fn recovery(app: &App, user: &User, hours: u64, json: bool) -> Result {
    if user.disabled_at.is_some() {
        let message = "the account is disabled: a code would not hold; enable it first";
        return Err(CliError::Failed(message.to_owned()));
    }
    let holds = Duration::from_hours(hours);
    show(&app.recovery_code(user.user_id, holds).await?, json)
}

/// The code on stdout; what is to be known about it beside.
fn show(Code { code, expires_at }: &Code, json: bool) -> Result {
    if json {
        return say_json(&serde_json::json!({ "code": code, "expires_at": expires_at }));
    }
    say(code)?;
    note(format_args!(
        "good once, until {expires_at}; it is shown here only"
    ))
}
