//! `deepme user invite`: one-time codes, shown once.
//!
//! Invariant: of output to a pipe the first line is the code and nothing else.

use super::super::{Result, note, say, say_json};
use crate::service::App;
use crate::service::recovery::Code;
use clap::Args;
use std::time::Duration;

/// Longest time that a code may hold, in hours: a month.
const MOST_HOURS: u64 = 31 * 24;

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
