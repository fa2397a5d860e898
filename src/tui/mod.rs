//! The terminal client.
//!
//! Owns what `deepme chat` shows and does, and [`top`], the figures of a server. Called by the command line with a [`Client`]; sees only
//! the client, the wire and the domain, as any app would. The core is pure: [`update`] takes a
//! message and the model and names effects, [`view`] paints the model; [`shell`] owns the terminal,
//! the socket and the clock, and is the only part that does anything. Invariants: no word that was
//! typed or received is lost or shown twice, whatever the network does; the terminal is as it was
//! when [`run`] is over, however it ends.

mod beside;
mod chat;
mod editor;
mod form;
mod layout;
mod link;
mod model;
mod msg;
mod shell;
mod text;
mod texts;
mod top;
mod transcript;
mod update;
mod view;

#[cfg(test)]
mod tests;

use crate::client::{Client, ClientError};
use crate::domain::prompt::Language;
use crate::domain::{SessionId, Timestamp, UserId};
use crate::wire::rest::{LoginBody, Secret};
use futures_util::future::BoxFuture;
use std::time::Duration;
use std::{fmt, io};

pub use beside::beside;
pub use shell::run;
pub use text::clean;
pub use top::{Look, run as run_top};

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The access token.
    pub token: Secret,
    /// What brings the next one; without it the login ends with the token.
    pub refresh: Option<Secret>,
    /// When to ask for the next one: before the token ends.
    pub renew_at: Option<Timestamp>,
    /// Whose it is.
    pub user_id: UserId,
    /// What to call the person on the screen.
    pub name: String,
}

/// What the terminal client is started with.
pub struct Options {
    /// The server; needs no token.
    pub client: Client,
    /// A login that is known already. Without one the person is asked.
    pub login: Option<Login>,
    /// The session to open instead of the list.
    pub session: Option<SessionId>,
    /// Shown when the server runs in this same process, and ends with it.
    pub local: Option<String>,
    /// The language of the screen.
    pub language: Language,
    /// Called with each new login.
    pub save_login: Box<dyn FnMut(&Login) + Send>,
    /// Called with a login whose token ends soon, or has ended; gives the same login with a new one.
    pub renew: Renew,
}

/// What renews a login. Several clients may share one, so this is for who knows of the others.
pub type Renew = Box<dyn Fn(Login) -> BoxFuture<'static, Result<Login, ClientError>> + Send>;

impl Login {
    /// What the server answered to a login or a renewal at `now`.
    pub fn of(body: LoginBody, name: String, now: Timestamp) -> Self {
        // Early enough to try again a few times when the network is away.
        let holds = Duration::from_secs(body.expires_in) * 3 / 4;
        Self {
            token: body.access_token,
            renew_at: body.refresh_token.is_some().then(|| now.plus(holds)),
            refresh: body.refresh_token,
            user_id: body.user_id,
            name,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("client", &self.client)
            .field("login", &self.login)
            .field("session", &self.session)
            .field("local", &self.local)
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

/// Why the terminal client ended other than by the person's wish.
#[derive(Debug)]
pub enum TuiError {
    /// The terminal does not do what is asked of it, or there is none.
    Terminal(io::Error),
    /// A part of the client died of a defect.
    Defect,
}

impl fmt::Display for TuiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Terminal(error) => write!(f, "the terminal cannot be used: {error}"),
            Self::Defect => f.write_str("the terminal client ended because of a defect in it"),
        }
    }
}

impl std::error::Error for TuiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Terminal(error) => Some(error),
            Self::Defect => None,
        }
    }
}

impl From<io::Error> for TuiError {
    fn from(error: io::Error) -> Self {
        Self::Terminal(error)
    }
}
