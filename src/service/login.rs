//! Logins: the tokens that people get, and whether they still stand.
//!
//! Owns [`KnownLogins`], which spares a database read a request. Called by the surfaces for every
//! credential, and by whoever makes tokens void. Invariants: a token of an account that was disabled or
//! deleted, or of a login that is over, dies within [`FRESH`], whoever ended it and wherever; a refresh
//! token is used once, but for a minute in which it gives the same successor.

use super::App;
use crate::auth::refresh::RefreshToken;
use crate::auth::token::Subject;
use crate::domain::login::Login;
use crate::domain::news::News;
use crate::domain::usage::Day;
use crate::domain::user::User;
use crate::domain::{Error, ErrorCode, LoginId, Result, Timestamp, UserId};
use crate::store::{Rotate, Rotated};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// How long the standing of a login may be remembered: revocation acts within it.
pub const FRESH: Duration = Duration::from_secs(3);
/// How many logins are remembered.
const REMEMBERED: usize = 20_000;
/// Longest time that a read of the database may take; what began before a revocation is not believed.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// How often it is looked who lost their tokens by somebody who could not tell.
const LOOK: Duration = Duration::from_secs(1);
/// How many of them are read.
const LATELY: u32 = 1000;
/// How long a revocation is kept for who looks.
const KEPT: Duration = Duration::from_mins(2);
/// How long nobody could look before it is believed that something was missed.
const BLIND: Duration = Duration::from_secs(30);
/// Rows of each kind that are forgotten at once.
const TIDIED: u32 = 1000;
/// Days for which it is kept what a person used.
const USAGE_DAYS: i64 = 35;

/// What kind of client logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// One that knows nothing of refresh tokens: its access token lasts for `auth.legacy_ttl`.
    Legacy,
    /// One that refreshes.
    V1,
}

/// A login that succeeded.
#[derive(Debug)]
pub struct LoggedIn {
    /// Whose.
    pub user_id: UserId,
    /// The token, for `Authorization: Bearer`.
    pub access_token: String,
    /// How long it holds.
    pub expires_in: Duration,
    /// What brings the next one.
    pub refresh_token: Option<String>,
}

/// Whose tokens have become void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Some of this account.
    Of(UserId),
    /// Perhaps anybody's: news were lost.
    Perhaps,
}

/// The epoch of the tokens that a login accepts; `None` for a login that accepts none.
type Epoch = Option<i64>;

/// The standing of logins that were asked for lately.
#[derive(Default)]
pub(super) struct KnownLogins(Mutex<Known>);

#[derive(Default)]
struct Known {
    standings: HashMap<LoginId, (UserId, Epoch, Instant)>,
    /// When tokens of a person were last made void: what was read before is not believed.
    voided: HashMap<UserId, Instant>,
    /// The same of everybody.
    all_voided: Option<Instant>,
}

impl KnownLogins {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, user_id: UserId, login_id: LoginId) -> Option<Epoch> {
        let known = self.known();
        let (owner, epoch, since) = known.standings.get(&login_id)?;
        (*owner == user_id && since.elapsed() < FRESH).then_some(*epoch)
    }

    /// Remembers what a read that began at `begun` said.
    fn put(&self, user_id: UserId, login_id: LoginId, epoch: Epoch, begun: Instant) {
        let mut known = self.known();
        let voided = known.voided.get(&user_id).copied().max(known.all_voided);
        if voided.is_some_and(|voided| voided >= begun) {
            return;
        }
        if known.standings.len() >= REMEMBERED {
            known
                .standings
                .retain(|_, (_, _, since)| since.elapsed() < FRESH);
            if known.standings.len() >= REMEMBERED {
                known.standings.clear();
            }
        }
        known.standings.insert(login_id, (user_id, epoch, begun));
    }

    fn forget(&self, revoked: Revoked) {
        let mut known = self.known();
        let now = Instant::now();
        match revoked {
            Revoked::Of(user_id) => {
                known.standings.retain(|_, (owner, _, _)| *owner != user_id);
                known.voided.retain(|_, at| at.elapsed() < LONGEST_READ);
                known.voided.insert(user_id, now);
            }
            Revoked::Perhaps => {
                known.standings.clear();
                known.all_voided = Some(now);
            }
        }
    }
}

impl App {
    /// Tokens for this account by a new login. `wrong_credentials` when the account has been disabled, or
    /// its tokens made void, since it was read.
    pub async fn issue(&self, user: &User, client: Client) -> Result<LoggedIn> {
        let (login, refresh_token) = self.new_login(user, client)?;
        if !self.store.add_login(login.clone()).await? {
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the account was changed in the meantime: log in again",
            ));
        }
        self.logged_in(&login, refresh_token)
    }

    /// A login that is not stored yet, and its refresh token.
    pub(super) fn new_login(
        &self,
        user: &User,
        client: Client,
    ) -> Result<(Login, Option<RefreshToken>)> {
        let now = self.clock.now();
        let login_id = LoginId::generate(now, &*self.random)?;
        let auth = &self.config.auth;
        let holds = match client {
            Client::Legacy => auth.legacy_ttl,
            Client::V1 => auth.refresh_ttl,
        };
        let holds = Duration::from_secs(holds);
        let mut login = Login::new(login_id, user.user_id, user.token_epoch, now, holds);
        let refresh_token = match client {
            Client::Legacy => None,
            Client::V1 => Some(RefreshToken::first(
                &self.keys.now(),
                login_id,
                &*self.random,
            )?),
        };
        login.refresh_hash = refresh_token.as_ref().map(RefreshToken::hash);
        Ok((login, refresh_token))
    }

    /// The answer to a login that is stored.
    pub(super) fn logged_in(
        &self,
        login: &Login,
        refresh_token: Option<RefreshToken>,
    ) -> Result<LoggedIn> {
        let auth = &self.config.auth;
        let expires_in = Duration::from_secs(if refresh_token.is_some() {
            auth.access_ttl
        } else {
            auth.legacy_ttl
        });
        let now = self.clock.now();
        let access_token =
            self.tokens
                .issue(login.user_id, login.login_id, login.epoch, now, expires_in)?;
        Ok(LoggedIn {
            user_id: login.user_id,
            access_token,
            expires_in,
            refresh_token: refresh_token.map(|token| token.reveal()),
        })
    }

    /// A new access token, and the refresh token that follows this one.
    pub async fn refresh(&self, refresh_token: &str) -> Result<LoggedIn> {
        let refused = || {
            Error::new(
                ErrorCode::Unauthorized,
                "the refresh token does not hold any more: log in again",
            )
        };
        let token = RefreshToken::parse(refresh_token).ok_or_else(refused)?;
        let keys = self.keys.now();
        let successors = token.successors(&keys);
        let successor = successors.first().ok_or_else(refused)?;
        let now = self.clock.now();
        let login_id = token.login_id();
        let rotated = self
            .store
            .rotate_login(Rotate {
                login_id,
                presented: token.hash(),
                genuine: token.is_genuine(&keys),
                successor: successor.hash(),
                at: now,
                expires_at: now.plus(Duration::from_secs(self.config.auth.refresh_ttl)),
            })
            .await?;
        let (user_id, epoch, successor) = match rotated {
            Rotated::Fresh { user_id, epoch } => (user_id, epoch, successor),
            Rotated::Again {
                user_id,
                epoch,
                current,
            } => {
                // Another key may sign by now; the successor is the one that was given out.
                let given = successors.iter().find(|token| token.hash() == current);
                (user_id, epoch, given.ok_or_else(refused)?)
            }
            Rotated::Stolen { user_id } => {
                tracing::warn!(%user_id, %login_id, "a refresh token came back after it was replaced: its login is ended");
                self.voided(user_id);
                return Err(refused());
            }
            Rotated::Nothing => return Err(refused()),
        };
        let holds = Duration::ZERO;
        let login = Login::new(login_id, user_id, epoch, now, holds);
        self.logged_in(&login, Some(successor.clone()))
    }

    /// Ends the login of a token; its tokens are void.
    pub async fn log_out(&self, subject: Subject) -> Result<()> {
        let Subject {
            user_id, login_id, ..
        } = subject;
        self.store
            .end_login(user_id, login_id, self.clock.now())
            .await?;
        self.voided(user_id);
        tracing::info!(%user_id, "logged out");
        Ok(())
    }

    /// Ends all logins of an account; all its tokens are void.
    pub async fn log_out_everywhere(&self, user_id: UserId) -> Result<()> {
        let ended = self.store.end_all_logins(user_id, self.clock.now()).await?;
        ended.ok_or_else(|| Error::not_found("user"))?;
        self.voided(user_id);
        tracing::info!(%user_id, "logged out everywhere");
        Ok(())
    }

    /// Whom a token names; `unauthorized` unless it is genuine, in time, and its login stands.
    pub async fn authenticate(&self, token: &str) -> Result<Subject> {
        let subject = self.tokens.verify(token, self.clock.now())?;
        self.check_standing(subject).await?;
        Ok(subject)
    }

    /// Whether the login behind a token that was genuine still stands.
    pub async fn check_standing(&self, subject: Subject) -> Result<()> {
        let Subject {
            user_id, login_id, ..
        } = subject;
        let epoch = if let Some(epoch) = self.known_logins.get(user_id, login_id) {
            epoch
        } else {
            let begun = Instant::now();
            let standing = self.store.standing(user_id, login_id).await?;
            let epoch = standing.map(|standing| standing.epoch);
            self.known_logins.put(user_id, login_id, epoch, begun);
            epoch
        };
        if epoch == Some(subject.epoch) {
            Ok(())
        } else {
            Err(Error::new(
                ErrorCode::Unauthorized,
                "the access token is not valid any more: log in again",
            ))
        }
    }

    /// Tokens of an account were made void by this instance: what is remembered of them counts no more,
    /// here and elsewhere.
    pub(super) fn voided(&self, user_id: UserId) {
        self.heard_of(Revoked::Of(user_id));
        self.post(News::Revoked(user_id));
    }

    /// Tokens have become void: what is remembered of them counts no more, and the sockets here are told.
    pub(super) fn heard_of(&self, revoked: Revoked) {
        self.known_logins.forget(revoked);
        // The account may be gone: its key must not stay in memory.
        self.vault.forget(match revoked {
            Revoked::Of(user_id) => Some(user_id),
            Revoked::Perhaps => None,
        });
        // Nobody listens when no socket is open.
        let _ = self.revoked.send(revoked);
    }

    /// Forgets what is remembered of an account, so that it is looked up the next time.
    pub fn look_again(&self, user_id: UserId) {
        self.known_logins.forget(Revoked::Of(user_id));
    }

    /// Tells whose tokens become void from now on.
    pub fn revocations(&self) -> broadcast::Receiver<Revoked> {
        self.revoked.subscribe()
    }

    /// Looks who lost their tokens by a command beside the server, or by an instance whose news did not
    /// arrive, until the server drains. Times are only compared with each other: whose clock they are of
    /// does not matter.
    pub(super) async fn watch_revocations(&self) {
        let mut known: HashMap<UserId, Timestamp> = HashMap::new();
        let mut blind: Option<Instant> = None;
        loop {
            tokio::select! {
                () = self.draining.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let lately = match self.store.revoked_lately(LATELY).await {
                Ok(lately) => lately,
                // The sweep says so, too.
                Err(error) => {
                    tracing::debug!(code = %error.code(), "revocations could not be read");
                    blind.get_or_insert_with(Instant::now);
                    continue;
                }
            };
            let missed = blind.take().is_some_and(|since| since.elapsed() >= BLIND);
            if missed || lately.len() >= LATELY as usize {
                self.heard_of(Revoked::Perhaps);
            }
            for (user_id, at) in &lately {
                if known.get(user_id) != Some(at) {
                    self.heard_of(Revoked::Of(*user_id));
                    // Erased, by a command or another instance: this machine remembers it, too.
                    if let Ok(None) = self.store.user(*user_id).await {
                        self.stop_turns_of(*user_id);
                        self.remember_erased(*user_id, *at).await;
                    }
                }
            }
            known = lately.into_iter().collect();
        }
    }

    /// Forgets logins, tickets and codes that have had their time, and what people used long ago.
    pub async fn tidy(&self) -> Result<()> {
        let now = self.clock.now();
        let micros = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        // Copies of the database are scrubbed by the names of those who were erased lately: they must not be forgotten
        // before, however long this server was down.
        let revoked_before = if self.scrub().await {
            Timestamp::from_micros(now.as_micros().saturating_sub(micros))
        } else {
            Timestamp::from_micros(0)
        };
        let gone = self.store.tidy(now, revoked_before, TIDIED).await?;
        let gone = gone
            + self
                .store
                .forget_usage(Day::of(now).back(USAGE_DAYS))
                .await?;
        if gone > 0 {
            tracing::debug!(rows = gone, "forgot what has had its time");
        }
        self.beat().await?;
        self.finish_erasing().await?;
        self.forget_what_was_kept().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ME: UserId = UserId(Uuid::from_u128(1));
    const YOU: UserId = UserId(Uuid::from_u128(2));
    const MINE: LoginId = LoginId(Uuid::from_u128(3));
    const YOURS: LoginId = LoginId(Uuid::from_u128(4));

    #[test]
    fn what_was_read_before_a_revocation_does_not_outlive_it() {
        let known = KnownLogins::default();
        let begun = Instant::now();
        known.put(ME, MINE, Some(0), begun);
        known.put(YOU, YOURS, Some(0), begun);
        assert_eq!(known.get(ME, MINE), Some(Some(0)));
        assert_eq!(known.get(YOU, MINE), None, "a login has one owner");
        known.forget(Revoked::Of(ME));
        assert_eq!(known.get(ME, MINE), None);
        assert_eq!(known.get(YOU, YOURS), Some(Some(0)));
        known.put(ME, MINE, Some(0), begun);
        assert_eq!(known.get(ME, MINE), None);
        known.put(ME, MINE, None, Instant::now());
        assert_eq!(known.get(ME, MINE), Some(None));
        known.forget(Revoked::Perhaps);
        known.put(YOU, YOURS, Some(0), begun);
        assert_eq!(known.get(YOU, YOURS), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let known = KnownLogins::default();
        for n in 0..REMEMBERED as u128 + 10 {
            let begun = Instant::now();
            known.put(ME, LoginId(Uuid::from_u128(n)), Some(0), begun);
        }
        assert!(known.known().standings.len() <= REMEMBERED);
    }
}
