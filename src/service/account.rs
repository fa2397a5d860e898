//! Accounts: registering, logging in, and who a token names.
//!
//! Owns [`KnownUsers`], which spares a database read a request. Invariants: an unknown address and
//! a wrong password get the same answer after the same work; a token of a disabled, deleted or
//! logged-out account dies within [`FRESH`].

use super::App;
use crate::auth::token::Subject;
use crate::domain::news::News;
use crate::domain::user::{self, Email, NewPassword, User};
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// How long an account's state may be remembered: revocation acts within it.
pub const FRESH: Duration = Duration::from_secs(3);
/// How many accounts are remembered.
const REMEMBERED: usize = 20_000;

/// A login that succeeded.
#[derive(Debug)]
pub struct Login {
    /// Whose.
    pub user_id: UserId,
    /// The token, for `Authorization: Bearer`.
    pub access_token: String,
    /// How long it holds.
    pub expires_in: Duration,
}

/// Whose tokens have become void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Those of this account.
    Of(UserId),
    /// Perhaps anybody's: news were lost.
    Perhaps,
}

/// Whose tokens an account accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Those of this epoch.
    Epoch(i64),
    /// None: it is disabled or gone.
    Barred,
}

/// The standing of accounts that were asked for lately.
#[derive(Default)]
pub(super) struct KnownUsers(Mutex<HashMap<UserId, (Standing, Instant)>>);

impl KnownUsers {
    fn get(&self, user_id: UserId) -> Option<Standing> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&user_id)
            .filter(|(_, since)| since.elapsed() < FRESH)
            .map(|(standing, _)| *standing)
    }

    fn put(&self, user_id: UserId, standing: Standing) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (_, since)| since.elapsed() < FRESH);
            if known.len() >= REMEMBERED {
                known.clear();
            }
        }
        let newer = known
            .get(&user_id)
            .is_some_and(|(known, since)| since.elapsed() < FRESH && *known > standing);
        // What was read before a change must not outlive it.
        if !newer {
            known.insert(user_id, (standing, Instant::now()));
        }
    }
}

impl KnownUsers {
    fn forget(&self, user_id: Option<UserId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match user_id {
            Some(user_id) => drop(known.remove(&user_id)),
            None => known.clear(),
        }
    }
}

impl App {
    /// Makes an account; `email_taken` when the address has one.
    pub async fn register(&self, name: &str, email: &str, password: &str) -> Result<User> {
        let name = user::name(name)?;
        let email = Email::parse(email)?;
        let password = NewPassword::parse("password", password)?;
        let hash = self
            .hasher
            .hash(password.secret().clone(), &*self.random)
            .await?;
        let now = self.clock.now();
        let user_id = UserId::generate(now, &*self.random)?;
        let user = User {
            user_id,
            name,
            email,
            token_epoch: 0,
            disabled_at: None,
            created_at: now,
        };
        self.store.add_user(user.clone(), hash).await?;
        tracing::info!(%user_id, "account made");
        Ok(user)
    }

    /// Makes an account that nobody can log in to, for the person at this machine's own terminal.
    pub async fn register_local(&self, name: &str) -> Result<User> {
        let now = self.clock.now();
        let user_id = UserId::generate(now, &*self.random)?;
        let email = Email::placeholder(user_id);
        let user = User {
            user_id,
            name: user::name(name)?,
            email,
            token_epoch: 0,
            disabled_at: None,
            created_at: now,
        };
        // No password hashes to this.
        self.store.add_user(user.clone(), "!".to_owned()).await?;
        Ok(user)
    }

    /// Checks an address and a password.
    pub async fn login(&self, email: &str, password: SecretString) -> Result<Login> {
        let found = match Email::parse(email) {
            Ok(email) => self.store.user_by_email(email).await?,
            Err(_) => None,
        };
        let (user, hash) = found.unzip();
        // An account without a password is checked like one that does not exist.
        let hash = hash.filter(|hash| hash.starts_with('$'));
        let matches = self.hasher.verify(password, hash).await?;
        match user.filter(|user| matches && user.disabled_at.is_none()) {
            Some(user) => self.issue(&user),
            None => Err(Error::new(
                ErrorCode::WrongCredentials,
                "the e-mail address or the password is wrong",
            )),
        }
    }

    /// Replaces a password; all earlier tokens are void, the new login holds.
    pub async fn change_password(
        &self,
        user_id: UserId,
        current: SecretString,
        new: &str,
    ) -> Result<Login> {
        let new = NewPassword::parse("new_password", new)?;
        let user = self
            .store
            .user(user_id)
            .await?
            .ok_or_else(|| Error::not_found("user"))?;
        let stored = self
            .store
            .user_by_email(user.email.clone())
            .await?
            .map(|(_, hash)| hash)
            .filter(|h| h.starts_with('$'));
        if !self.hasher.verify(current, stored.clone()).await? {
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the current password is wrong",
            ));
        }
        let hash = self
            .hasher
            .hash(new.secret().clone(), &*self.random)
            .await?;
        let changed = self
            .store
            .change_password(user_id, stored.unwrap_or_default(), hash)
            .await?;
        let Some(token_epoch) = changed else {
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the password was changed elsewhere in the meantime",
            ));
        };
        self.known_users.put(user_id, Standing::Epoch(token_epoch));
        self.revoke_here(Revoked::Of(user_id));
        self.post(News::Revoked(user_id));
        tracing::info!(%user_id, "password changed");
        self.issue(&User {
            token_epoch,
            ..user
        })
    }

    /// A token for this account.
    pub fn issue(&self, user: &User) -> Result<Login> {
        let expires_in = Duration::from_secs(self.config.auth.legacy_ttl);
        let access_token =
            self.tokens
                .issue(user.user_id, user.token_epoch, self.clock.now(), expires_in)?;
        Ok(Login {
            user_id: user.user_id,
            access_token,
            expires_in,
        })
    }

    /// Whom a token names; `unauthorized` unless it is genuine, in time, and its account stands.
    pub async fn authenticate(&self, token: &str) -> Result<Subject> {
        let subject = self.tokens.verify(token, self.clock.now())?;
        self.check_standing(subject).await?;
        Ok(subject)
    }

    /// Whether the account behind a token that was genuine still stands.
    pub async fn check_standing(&self, subject: Subject) -> Result<()> {
        let standing = if let Some(standing) = self.known_users.get(subject.user_id) {
            standing
        } else {
            let user = self.store.user(subject.user_id).await?;
            let standing = user
                .filter(|user| user.disabled_at.is_none())
                .map_or(Standing::Barred, |user| Standing::Epoch(user.token_epoch));
            self.known_users.put(subject.user_id, standing);
            standing
        };
        if standing == Standing::Epoch(subject.epoch) {
            Ok(())
        } else {
            Err(Error::new(
                ErrorCode::Unauthorized,
                "the access token is not valid any more: log in again",
            ))
        }
    }

    /// Tells the sockets here that tokens have become void.
    pub(super) fn revoke_here(&self, revoked: Revoked) {
        // Nobody listens when no socket is open.
        let _ = self.revoked.send(revoked);
    }

    /// Another instance has made tokens void: what is remembered of them counts no more.
    pub(super) fn revoked_elsewhere(&self, revoked: Revoked) {
        match revoked {
            Revoked::Of(user_id) => {
                self.known_users.forget(Some(user_id));
                self.vault.forget(Some(user_id));
            }
            Revoked::Perhaps => {
                self.known_users.forget(None);
                self.vault.forget(None);
            }
        }
        self.revoke_here(revoked);
    }

    /// Forgets what is remembered of an account, so that it is looked up the next time.
    pub fn look_again(&self, user_id: UserId) {
        self.known_users.forget(Some(user_id));
    }

    /// Tells whose earlier tokens become void from now on.
    pub fn revocations(&self) -> broadcast::Receiver<Revoked> {
        self.revoked.subscribe()
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
        before: Option<(Timestamp, UserId)>,
        limit: u32,
    ) -> Result<Vec<User>> {
        self.store.users(before, limit).await
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
