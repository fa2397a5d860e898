//! Tickets: credentials for one handshake each, for browsers.
//!
//! Called by the surfaces. Invariants: a ticket lets in whom its login lets in at that moment, from the same
//! origin, once and within [`TICKET`]; it never outlives the token that it was asked with; whatever is wrong with
//! one, the refusal is the same.

use super::App;
use crate::auth::once;
use crate::auth::token::Subject;
use crate::domain::login::{TICKET, Ticket};
use crate::domain::{Error, ErrorCode, Result};

/// Tickets that a person may ask for a minute. Each is a row until it is used or swept.
pub(super) const A_MINUTE: u32 = 60;

impl App {
    /// A ticket for the login behind a token, for pages of this origin; without one for what is no browser.
    pub async fn issue_ticket(&self, subject: Subject, origin: Option<String>) -> Result<String> {
        let Subject {
            user_id,
            login_id,
            epoch,
            expires_at,
        } = subject;
        self.tickets.admit(user_id)?;
        let ticket = once::ticket(&*self.random)?;
        let added = self
            .store
            .add_ticket(Ticket {
                hash: once::ticket_hash(&ticket),
                user_id,
                login_id,
                epoch,
                origin,
                token_expires_at: expires_at,
                expires_at: self.clock.now().plus(TICKET),
            })
            .await;
        if let Err(error) = added {
            // There is no row for an account that has gone since its standing was read.
            self.look_again(user_id);
            self.check_standing(subject).await?;
            return Err(error);
        }
        Ok(ticket)
    }

    /// Whom a ticket lets in from this origin; `unauthorized` when it lets in nobody. Either way it is used up.
    pub async fn redeem_ticket(&self, ticket: &str, origin: Option<&str>) -> Result<Subject> {
        let now = self.clock.now();
        let ticket = self
            .store
            .take_ticket(once::ticket_hash(ticket), now)
            .await?
            .filter(|ticket| ticket.origin.as_deref() == origin && ticket.token_expires_at > now)
            .ok_or_else(refused)?;
        let subject = Subject {
            user_id: ticket.user_id,
            login_id: ticket.login_id,
            epoch: ticket.epoch,
            expires_at: ticket.token_expires_at,
        };
        let standing = self.check_standing(subject).await;
        standing.map_err(|error| match error.code() {
            ErrorCode::Unauthorized => refused(),
            _ => error,
        })?;
        Ok(subject)
    }
}

fn refused() -> Error {
    Error::new(
        ErrorCode::Unauthorized,
        "the ticket does not hold: ask for another one",
    )
}
