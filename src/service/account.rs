//! Accounts: registering, logging in with a password, and changing it.
//!
//! Called by the surfaces and the commands. Invariant: an unknown address and a wrong password get the
//! same answer after the same work.

use super::App;
use super::login::{Client, LoggedIn};
use super::throttle::Attempt;
use crate::auth::token::Subject;
use crate::auth::{once, strength};
use crate::config::Registration;
use crate::domain::user::{self, Email, NewPassword, Role, User, UserFilter};
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use crate::store::PasswordChange;
use secrecy::SecretString;
use std::net::IpAddr;

impl App {
    /// Makes an account for somebody who comes over the network, as `auth.registration` allows;
    /// `registration_closed`, `invite_needed`, or `email_taken` when the address has one. `from` is the network address
    /// that counts for `limits.accounts_an_hour`, where one can be told.
    pub async fn register(
        &self,
        name: &str,
        email: &str,
        password: &str,
        invite: Option<&str>,
        from: Option<IpAddr>,
    ) -> Result<User> {
        let invite = match self.config.auth.registration {
            Registration::Open => None,
            Registration::Invite => Some(invite.map(once::code_hash).ok_or_else(invite_needed)?),
            Registration::Closed => {
                return Err(Error::new(
                    ErrorCode::RegistrationClosed,
                    "accounts are made by the admin of this server only",
                ));
            }
        };
        // What is refused for these does not count.
        user::name(name)?;
        Email::parse(email)?;
        self.admit_newcomer(from)?;
        let (user, hash) = self.new_account(name, email, password).await?;
        match invite {
            None => self.store.add_user(user.clone(), hash).await?,
            Some(code) => {
                let now = user.created_at;
                let joined = self.store.add_invited_user(user.clone(), hash, code, now);
                if !joined.await? {
                    return Err(invite_needed());
                }
            }
        }
        tracing::info!(user_id = %user.user_id, "account made");
        Ok(user)
    }

    /// `too_many` when more accounts are made from an address than `limits.accounts_an_hour` allows.
    pub(super) fn admit_newcomer(&self, from: Option<IpAddr>) -> Result<()> {
        match from {
            Some(from) => self.settings().newcomers.admit(from),
            None => Ok(()),
        }
    }

    /// Makes an account for the admin; `email_taken` when the address has one.
    pub async fn add_account(&self, name: &str, email: &str, password: &str) -> Result<User> {
        let (user, hash) = self.new_account(name, email, password).await?;
        self.store.add_user(user.clone(), hash).await?;
        Ok(user)
    }

    /// An account that is not stored yet, and its password hash.
    pub(super) async fn new_account(
        &self,
        name: &str,
        email: &str,
        password: &str,
    ) -> Result<(User, String)> {
        let user = self.nobody_yet(name, email)?;
        let (name, email) = (Some(user.name.as_str()), Some(&user.email));
        let hash = self.new_hash("password", password, name, email).await?;
        Ok((user, hash))
    }

    /// An account that is not stored yet.
    pub(super) fn nobody_yet(&self, name: &str, email: &str) -> Result<User> {
        let now = self.clock.now();
        let user_id = UserId::generate(now, &*self.random)?;
        Ok(User {
            user_id,
            name: user::name(name)?,
            email: Email::parse(email)?,
            role: Role::User,
            token_epoch: 0,
            disabled_at: None,
            created_at: now,
        })
    }

    fn parse_password(&self, field: &'static str, password: &str) -> Result<NewPassword> {
        NewPassword::parse(field, password, self.config.auth.password_min)
    }

    /// The hash of a new password; `weak_password` when it is too easy to guess, also by who knows this of
    /// the person.
    pub(super) async fn new_hash(
        &self,
        field: &'static str,
        password: &str,
        name: Option<&str>,
        email: Option<&Email>,
    ) -> Result<String> {
        let password = self.parse_password(field, password)?;
        let secret = password.secret();
        let about = strength::about(name, email);
        if let Some(weakness) = self.hasher.judge(secret.clone(), about).await? {
            return Err(Error::new(ErrorCode::WeakPassword, weakness.message()).of(field));
        }
        self.hasher.hash(secret.clone(), &*self.random).await
    }

    /// Checks an address and a password, which came `from` there; `too_many` after too many wrong ones.
    pub async fn login(
        &self,
        email: &str,
        password: SecretString,
        client: Client,
        from: Option<IpAddr>,
    ) -> Result<LoggedIn> {
        let address = Email::parse(email).ok();
        let attempt = self
            .admit(address.as_ref().map_or(email, Email::as_str), from)
            .await?;
        let found = match address {
            Some(email) => self.store.user_by_email(email).await?,
            None => None,
        };
        let (user, hash) = found.unzip();
        // An account without a password is checked like one that does not exist.
        let hash = hash.filter(|hash| hash.starts_with('$'));
        let matches = self.hasher.verify(password.clone(), hash.clone()).await?;
        let user = user.filter(|user| matches && user.disabled_at.is_none());
        let Some(user) = user else {
            attempt.failed(self.clock.now());
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the e-mail address or the password is wrong",
            ));
        };
        attempt.succeeded();
        let login = self.issue(&user, client).await?;
        self.renew_hash(&user, hash.unwrap_or_default(), password)
            .await;
        Ok(login)
    }

    /// Lets somebody try a secret of the account with this address, which need not exist.
    pub(super) async fn admit(&self, account: &str, from: Option<IpAddr>) -> Result<Attempt<'_>> {
        let settings = self.settings();
        let admitted = self
            .throttle
            .admit(account, from, &settings.limits, &*self.clock);
        admitted.await
    }

    /// Replaces a hash that costs less than what is asked for now. Nobody's login fails by it.
    async fn renew_hash(&self, user: &User, old: String, password: SecretString) {
        if !self.hasher.hasher.is_outdated(&old) {
            return;
        }
        let user_id = user.user_id;
        let renewed = async {
            let new = self.hasher.hash(password, &*self.random).await?;
            self.store.rehash(user_id, old, new).await
        };
        match renewed.await {
            Ok(true) => tracing::info!(%user_id, "password hash renewed"),
            // The password was changed in the meantime.
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%user_id, code = %error.code(), "password hash not renewed");
            }
        }
    }

    /// Replaces a password; all earlier tokens are void, the new login holds. It is of the kind of the
    /// one that asked.
    pub async fn change_password(
        &self,
        subject: Subject,
        current: SecretString,
        new: &str,
        from: Option<IpAddr>,
    ) -> Result<LoggedIn> {
        let user_id = subject.user_id;
        self.parse_password("new_password", new)?;
        let user = self
            .store
            .user(user_id)
            .await?
            .ok_or_else(|| Error::not_found("user"))?;
        let attempt = self.admit(user.email.as_str(), from).await?;
        let stored = self
            .store
            .user_by_email(user.email.clone())
            .await?
            .map(|(_, hash)| hash)
            .filter(|h| h.starts_with('$'));
        if !self.hasher.verify(current, stored.clone()).await? {
            attempt.failed(self.clock.now());
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the current password is wrong",
            ));
        }
        attempt.succeeded();
        let (name, email) = (Some(user.name.as_str()), Some(&user.email));
        let hash = self.new_hash("new_password", new, name, email).await?;
        let standing = self.store.standing(user_id, subject.login_id).await?;
        let client = match standing {
            Some(standing) if standing.refreshes => Client::V1,
            _ => Client::Legacy,
        };
        let (mut login, refresh_token) = self.new_login(&user, client)?;
        let changed = self
            .store
            .change_password(PasswordChange {
                user_id,
                old_hash: stored.unwrap_or_default(),
                new_hash: hash,
                login: login.clone(),
                at: self.clock.now(),
            })
            .await?;
        let Some(epoch) = changed else {
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the password was changed elsewhere in the meantime",
            ));
        };
        self.voided(user_id);
        tracing::info!(%user_id, "password changed");
        login.epoch = epoch;
        self.logged_in(&login, refresh_token)
    }

    /// The account itself.
    pub async fn user(&self, user_id: UserId) -> Result<User> {
        self.store
            .user(user_id)
            .await?
            .ok_or_else(|| Error::not_found("user"))
    }

    /// Accounts for the admin, newest first.
    pub async fn users(
        &self,
        filter: UserFilter,
        before: Option<(Timestamp, UserId)>,
        limit: u32,
    ) -> Result<Vec<User>> {
        self.store.users(filter, before, limit).await
    }

    /// The account with this address or id.
    pub async fn find_user(&self, email_or_id: &str) -> Result<User> {
        let found = match email_or_id.parse() {
            Ok(user_id) => self.store.user(user_id).await?,
            Err(_) => self
                .store
                .user_by_email(Email::parse(email_or_id)?)
                .await?
                .map(|(user, _)| user),
        };
        found.ok_or_else(|| Error::not_found("user"))
    }
}

/// The refusal of somebody without an invitation: no code, a wrong one and one that is used up are told
/// alike.
fn invite_needed() -> Error {
    Error::new(
        ErrorCode::InviteNeeded,
        "an account on this server needs an invitation that still holds: ask its admin for a code",
    )
}
