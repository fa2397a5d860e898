//! Logins: what a person's tokens hang on.
//!
//! Owns [`Login`], [`Ticket`] and the decision what a refresh token is worth ([`Login::judge`]). Called
//! by the store, which keeps them, and by the services. Invariants: of a refresh token or a ticket only
//! the hash is ever here; a login counts as long as it is of its account's token epoch, so that raising
//! the epoch ends all of them at once.

use super::id::{LoginId, UserId};
use super::time::Timestamp;
use std::time::Duration;

/// How long the refresh token before the current one still gives its successor: the answer that brought
/// it may have been lost, or two windows of an app may have asked at the same time.
pub const GRACE: Duration = Duration::from_mins(1);

/// Logins that an account may have at once; a new one takes the place of the oldest.
pub const MOST: u32 = 100;

/// How long a ticket for a socket holds.
pub const TICKET: Duration = Duration::from_secs(30);

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Names it; access tokens say it.
    pub login_id: LoginId,
    /// Whose it is.
    pub user_id: UserId,
    /// The account's token epoch at the time; with a later one the login is over.
    pub epoch: i64,
    /// The hash of the refresh token; `None` for one that lasts as long as its access token.
    pub refresh_hash: Option<String>,
    /// The hash of the refresh token before.
    pub previous_hash: Option<String>,
    /// When that one was replaced.
    pub rotated_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it was ended, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What a refresh token is worth that is not the current one of its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It was replaced a moment ago: it gives the same successor again.
    Again,
    /// It was replaced long ago, so that somebody else has it: the login is to be ended.
    Stolen,
    /// Nothing.
    Nothing,
}

impl Login {
    /// A login without a refresh token.
    pub fn new(
        login_id: LoginId,
        user_id: UserId,
        epoch: i64,
        now: Timestamp,
        holds: Duration,
    ) -> Self {
        Self {
            login_id,
            user_id,
            epoch,
            refresh_hash: None,
            previous_hash: None,
            rotated_at: None,
            created_at: now,
            expires_at: now.plus(holds),
            revoked_at: None,
        }
    }

    /// What the token with this hash is worth, when it is not the current one. `genuine`: this server
    /// made it for this login, which a token of any age can prove.
    pub fn judge(&self, presented: &str, genuine: bool, now: Timestamp) -> Worth {
        if self.refresh_hash.is_none() || self.revoked_at.is_some() || self.expires_at <= now {
            return Worth::Nothing;
        }
        let previous = self.previous_hash.as_deref() == Some(presented);
        let lately = self
            .rotated_at
            .is_some_and(|rotated_at| now.since(rotated_at) <= GRACE);
        match (previous, lately) {
            (true, true) => Worth::Again,
            (true, false) => Worth::Stolen,
            (false, _) if genuine => Worth::Stolen,
            (false, _) => Worth::Nothing,
        }
    }
}

/// Whose tokens an account accepts, and whether a login of it may be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Those of this epoch.
    pub epoch: i64,
    /// Whether the login has a refresh token.
    pub refreshes: bool,
}

/// A credential for one handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The hash of the ticket.
    pub hash: String,
    /// Whom it lets in.
    pub user_id: UserId,
    /// By which login.
    pub login_id: LoginId,
    /// The epoch of the token that it was asked with.
    pub epoch: i64,
    /// The origin of the page that asked; `None` for a client that is no browser.
    pub origin: Option<String>,
    /// When that token ends, and with it the socket unless it is renewed.
    pub token_expires_at: Timestamp,
    /// When the ticket ends.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn login() -> Login {
        let now = Timestamp::from_micros(1_000_000_000_000);
        let holds = Duration::from_hours(1);
        Login {
            refresh_hash: Some("new".into()),
            previous_hash: Some("old".into()),
            rotated_at: Some(now),
            ..Login::new(
                LoginId(Uuid::from_u128(1)),
                UserId(Uuid::from_u128(2)),
                0,
                now,
                holds,
            )
        }
    }

    #[test]
    fn the_token_before_gives_its_successor_for_a_minute_and_then_betrays_a_thief() {
        let login = login();
        let at = |seconds| login.created_at.plus(Duration::from_secs(seconds));
        for (seconds, worth) in [
            (0, Worth::Again),
            (60, Worth::Again),
            (61, Worth::Stolen),
            (3599, Worth::Stolen),
            (3600, Worth::Nothing),
        ] {
            assert_eq!(login.judge("old", true, at(seconds)), worth, "{seconds}");
            // That it was once current is known without a proof.
            assert_eq!(login.judge("old", false, at(seconds)), worth, "{seconds}");
        }
        // A clock that was set back is no reason to throw anybody out.
        let before = Timestamp::from_micros(login.created_at.as_micros() - 9_000_000);
        assert_eq!(login.judge("old", true, before), Worth::Again);
    }

    #[test]
    fn only_a_token_that_this_server_made_ends_a_login() {
        let login = login();
        let now = login.created_at;
        assert_eq!(login.judge("older", true, now), Worth::Stolen);
        assert_eq!(login.judge("guessed", false, now), Worth::Nothing);
        let over = Login {
            revoked_at: Some(now),
            ..login.clone()
        };
        let without = Login {
            refresh_hash: None,
            previous_hash: None,
            ..login
        };
        for nothing in [over, without] {
            assert_eq!(nothing.judge("old", true, now), Worth::Nothing);
        }
    }
}
