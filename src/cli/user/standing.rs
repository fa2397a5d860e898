//! `deepme user passwd`, `disable`, `enable` and `role`: what the admin changes about an account.
//!
//! Invariant: they say what has become of the person's logins.

use super::super::terminal::PasswordFrom;
use super::super::{Result, note};
use super::{codes, password_prompt};
use crate::domain::user::Role;
use crate::service::App;
use clap::{Args, ValueEnum};

/// Options of `user passwd`.
#[derive(Debug, Args)]
pub(super) struct Passwd {
    /// The account's e-mail address or id.
    user: String,
    /// Print a code with which the person sets a new password, instead of setting one.
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    code: bool,
    /// Hours that the code holds.
    #[arg(long, default_value_t = 1, requires = "code", value_parser = clap::value_parser!(u64).range(1..=codes::MOST_HOURS))]
    hours: u64,
    /// Print the code as JSON.
    #[arg(long, requires = "code")]
    json: bool,
    #[command(flatten)]
    password: PasswordFrom,
}

impl Passwd {
    pub(super) async fn run(self, app: &App) -> Result {
        let user = app.find_user(&self.user).await?;
        if self.code {
            return codes::recovery(app, &user, self.hours, self.json).await;
        }
        let password = self.password.read(&password_prompt(app), true)?;
        app.set_password(&user, &password).await?;
        note("the password is set, and all logins of the account have ended")
    }
}

/// Options of `user disable` and `user enable`.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// The account's e-mail address or id.
    user: String,
}

impl Who {
    pub(super) async fn disable(self, app: &App) -> Result {
        let user = app.find_user(&self.user).await?;
        app.disable_user(user.user_id).await?;
        note("the account is disabled, and all its logins have ended")
    }

    pub(super) async fn enable(self, app: &App) -> Result {
        let user = app.find_user(&self.user).await?;
        app.enable_user(user.user_id).await?;
        note("the account may log in")
    }
}

/// Options of `user role`.
#[derive(Debug, Args)]
pub(super) struct SetRole {
    /// The account's e-mail address or id.
    user: String,
    /// What it is to be.
    role: RoleName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    User,
    Admin,
}

impl SetRole {
    pub(super) async fn run(self, app: &App) -> Result {
        let user = app.find_user(&self.user).await?;
        let role = match self.role {
            RoleName::User => Role::User,
            RoleName::Admin => Role::Admin,
        };
        app.set_role(user.user_id, role).await?;
        note(format_args!("the account has the role {}", role.as_str()))
    }
}
