//! `deepme user list`: which accounts there are.
//!
//! Owns the words for a [`UserFilter`]. Invariant: an account is listed only if it passes every one of them.

use super::{as_json, shown};
use crate::cli::{Result, say, say_json};
use crate::domain::user::{Role, User, UserFilter};
use crate::service::App;
use clap::Args;

/// Options of `user list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this role.
    #[arg(long, value_parser = ["admin", "user"])]
    role: Option<String>,
    #[command(flatten)]
    standing: Standing,
    /// Only guests.
    #[arg(long)]
    guests: bool,
    /// Only those with this in their name, or in their address whatever its case.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Whether they may log in.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Standing {
    /// Only those who may not log in.
    #[arg(long)]
    disabled: bool,
    /// Only those who may log in.
    #[arg(long)]
    enabled: bool,
}

impl List {
    pub(super) async fn run(self, app: &App) -> Result {
        let users = app.users(self.filter(), None, self.limit).await?;
        if self.json {
            return say_json(&users.iter().map(as_json).collect());
        }
        users.iter().try_for_each(|user| say(line(user)))
    }

    fn filter(&self) -> UserFilter {
        let Standing { disabled, enabled } = self.standing;
        UserFilter {
            role: self.role.as_deref().and_then(Role::parse),
            disabled: (disabled || enabled).then_some(disabled),
            text: self.search.clone(),
            guests: self.guests,
        }
    }
}

fn line(user: &User) -> String {
    let admin = match user.role {
        Role::Admin => "  (admin)",
        Role::User => "",
    };
    let disabled = user.disabled_at.map_or("", |_| "  (disabled)");
    format!(
        "{}  {}  {}  {}{admin}{disabled}",
        user.user_id,
        user.created_at,
        shown(user),
        user.name
    )
}
