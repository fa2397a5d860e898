//! Guests: people with an account that has neither an address nor a password.
//!
//! Called by the surfaces and the commands. Invariants: a guest is an account like any other, with a login that
//! can be ended; nobody else can register its placeholder of an address or log in with it, and it is never shown.

use super::App;
use super::login::{Client, LoggedIn};
use crate::domain::login::Login;
use crate::domain::user::{self, Email, Role, User};
use crate::domain::{Error, ErrorCode, LoginId, Result, UserId};
use std::net::IpAddr;
use std::time::Duration;

/// What a guest is called who did not say.
pub const NAME: &str = "guest";
/// What a person reads of a token that was made for them.
const TOKEN_MADE: &str =
    "서버에서 접속 토큰을 만들었습니다 · an access token was made at the server";

impl App {
    /// Makes a guest and logs it in; `forbidden` unless `auth.guests` is on. `from` is the address that counts
    /// for `limits.accounts_an_hour`, where one can be told.
    pub async fn register_guest(
        &self,
        name: Option<&str>,
        client: Client,
        from: Option<IpAddr>,
    ) -> Result<LoggedIn> {
        if !self.config.auth.guests {
            return Err(Error::new(
                ErrorCode::Forbidden,
                "this server takes no guests: register with an e-mail address",
            ));
        }
        let name = user::name(name.unwrap_or(NAME))?;
        self.admit_newcomer(from)?;
        let user = self.add_guest(None, &name).await?;
        self.issue(&user, client).await
    }

    /// Makes an account that nobody can log in to: with this id, which must be free, or a new one.
    pub async fn add_guest(&self, user_id: Option<UserId>, name: &str) -> Result<User> {
        let name = user::name(name)?;
        let now = self.clock.now();
        let user_id = match user_id {
            Some(user_id) => user_id,
            None => UserId::generate(now, &*self.random)?,
        };
        let user = User {
            user_id,
            name,
            email: Email::placeholder(user_id),
            role: Role::User,
            token_epoch: 0,
            disabled_at: None,
            created_at: now,
        };
        // No password hashes to this.
        self.store.add_user(user.clone(), "!".to_owned()).await?;
        tracing::info!(%user_id, "guest account made");
        Ok(user)
    }

    /// A token for this account by a login that `by` made and not the person; `auth.legacy_ttl` unless it shall
    /// hold for another time. Whoever has it can read everything, so it is noted for the person to see first.
    /// `forbidden` when the account is disabled.
    pub async fn issue_by_hand(
        &self,
        user: &User,
        holds: Option<Duration>,
        by: &str,
    ) -> Result<LoggedIn> {
        let disabled = || {
            Error::new(
                ErrorCode::Forbidden,
                "this account is disabled: it takes no tokens",
            )
        };
        if user.disabled_at.is_some() {
            return Err(disabled());
        }
        let user_id = user.user_id;
        self.note_access(user_id, None, by, TOKEN_MADE).await?;
        let holds = holds.unwrap_or(Duration::from_secs(self.config.auth.legacy_ttl));
        let now = self.clock.now();
        let login_id = LoginId::generate(now, &*self.random)?;
        let login = Login::new(login_id, user_id, user.token_epoch, now, holds);
        if !self.store.add_login(login).await? {
            return Err(disabled());
        }
        let epoch = user.token_epoch;
        let access_token = self.tokens.issue(user_id, login_id, epoch, now, holds)?;
        Ok(LoggedIn {
            user_id,
            access_token,
            expires_in: holds,
            refresh_token: None,
        })
    }
}
