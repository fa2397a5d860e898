//! `deepme user`.

mod codes;
mod list;
mod standing;
mod token;

use super::rights;
use super::terminal::PasswordFrom;
use super::{Global, Result, say, say_json, wiring};
use crate::domain::user;
use crate::service::App;
use clap::{Args, Subcommand};

pub(super) const HELP: &str = "Examples:
  deepme user add --name 지우 --email jiwoo@example.com
  deepme user add --name 지우 --email jiwoo@example.com --password-file secret.txt
  deepme user list --json
  deepme user list --role admin
  deepme user list --disabled --search jiwoo
  deepme user show jiwoo@example.com
  deepme user token 0193a7c0-0000-7000-8000-000000000000 --create --days 90
  deepme user export jiwoo@example.com --reason 'asked for by mail, ticket 12' --output jiwoo.json
  deepme user delete jiwoo@example.com
  deepme user invite --hours 24
  deepme user passwd jiwoo@example.com --code
  deepme user disable jiwoo@example.com
  deepme user enable jiwoo@example.com
  deepme user role jiwoo@example.com admin";

/// Options of `user`.
#[derive(Debug, Args)]
pub(super) struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account. The password is asked for.
    Add {
        /// What the person wants to be called.
        #[arg(long)]
        name: String,
        /// Their e-mail address.
        #[arg(long)]
        email: String,
        #[command(flatten)]
        password: PasswordFrom,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a code with which one person can make an account (`auth.registration = "invite"`).
    Invite(codes::Invite),
    /// Set an account's password, which is asked for, or print a code with which the person sets one.
    Passwd(standing::Passwd),
    /// Let nobody log in to an account, and end its logins.
    Disable(standing::Who),
    /// Let an account log in again.
    Enable(standing::Who),
    /// Make an account one of an admin, or of a user again.
    Role(standing::SetRole),
    /// List the accounts, newest first.
    List(list::List),
    /// Show an account.
    Show {
        /// Its e-mail address or id.
        user: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make an access token for an account, for an app that cannot log in. Its `POST /logout` ends it.
    Token(token::Token),
    /// Write everything that is stored of a person, for them to take along.
    Export(rights::Export),
    /// Erase an account with everything that is its person's. There is no way back.
    Delete(rights::Delete),
}

pub(super) fn run(global: &Global, command: User) -> Result {
    let config = wiring::config_of_owner(global)?;
    wiring::block_on(async move {
        let app = wiring::admin_app(config).await?;
        match command.action {
            Action::Token(command) => token::run(&app, command).await,
            Action::Export(command) => rights::export(&app, command).await,
            Action::Delete(command) => rights::delete(&app, command).await,
            Action::Add {
                name,
                email,
                password,
                json,
            } => {
                // What is wrong is said before the password is asked for.
                user::name(&name)?;
                user::Email::parse(&email)?;
                let password = password.read(&password_prompt(&app), true)?;
                let user = app.add_account(&name, &email, &password).await?;
                if json {
                    say_json(&as_json(&user))
                } else {
                    say(format_args!("{}  {}", user.user_id, shown(&user)))
                }
            }
            Action::Invite(command) => command.run(&app).await,
            Action::Passwd(command) => command.run(&app).await,
            Action::Disable(who) => who.disable(&app).await,
            Action::Enable(who) => who.enable(&app).await,
            Action::Role(command) => command.run(&app).await,
            Action::List(command) => command.run(&app).await,
            Action::Show { user, json } => {
                let user = app.find_user(&user).await?;
                let sessions = app.sessions(user.user_id, None, None).await?.len();
                let mut value = as_json(&user);
                if let Some(object) = value.as_object_mut() {
                    object.insert("sessions".to_owned(), sessions.into());
                }
                if json {
                    return say_json(&value);
                }
                say(format_args!(
                    "user_id:    {}\nname:       {}\nemail:      {}",
                    user.user_id,
                    user.name,
                    shown(&user)
                ))?;
                say(format_args!(
                    "role:       {}\ncreated_at: {}\nsessions:   {sessions}",
                    user.role.as_str(),
                    user.created_at
                ))?;
                match user.disabled_at {
                    Some(since) => say(format_args!("disabled:   since {since}")),
                    None => Ok(()),
                }
            }
        }
    })
}

/// The address, or what is said in its place.
pub(super) fn shown(user: &user::User) -> &str {
    user.email.address().unwrap_or("(guest)")
}

/// What is asked for.
fn password_prompt(app: &App) -> String {
    let least = app.config().auth.password_min;
    format!("password ({least} to {} characters)", user::PASSWORD_MAX)
}

fn as_json(user: &user::User) -> serde_json::Value {
    serde_json::json!({
        "user_id": user.user_id,
        "name": user.name,
        "email": user.email.address(),
        "role": user.role.as_str(),
        "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    })
}
