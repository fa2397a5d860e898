//! One-time codes that an admin hands over: invitations, and codes for a new password.
//!
//! Called by the commands that make them and by the surfaces where they are brought. Invariants: a code is
//! shown once, to who made it; what is stored is its hash; who brings a wrong code, or one for an address
//! that has no account, gets the same answer after the same work.

use super::App;
use crate::auth::once;
use crate::domain::user::Email;
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use std::net::IpAddr;
use std::time::Duration;

/// A code, and until when it holds.
pub struct Code {
    /// As it is handed over, such as `7KQ2M-0XJ4P-B9D8T-WZ5RC`.
    pub code: String,
    /// When it ends, used or not.
    pub expires_at: Timestamp,
}

impl App {
    /// Makes an invitation, good for one account.
    pub async fn invite(&self, holds: Duration) -> Result<Code> {
        let now = self.clock.now();
        let (code, expires_at) = (once::code(&*self.random)?, now.plus(holds));
        let hash = once::code_hash(&code);
        self.store.add_invite(hash, now, expires_at).await?;
        Ok(Code { code, expires_at })
    }

    /// Makes a code for a new password, in place of an earlier one; `not_found` without such an account.
    pub async fn recovery_code(&self, user_id: UserId, holds: Duration) -> Result<Code> {
        let (code, expires_at) = (once::code(&*self.random)?, self.clock.now().plus(holds));
        let hash = once::code_hash(&code);
        if !self.store.add_recovery(user_id, hash, expires_at).await? {
            return Err(Error::not_found("user"));
        }
        tracing::info!(%user_id, "code for a new password made");
        Ok(Code { code, expires_at })
    }

    /// Replaces a forgotten password by way of a code; all earlier tokens are void. `too_many` after too many
    /// wrong ones `from` there or at this account.
    pub async fn reset_password(
        &self,
        email: &str,
        code: &str,
        new: &str,
        from: Option<IpAddr>,
    ) -> Result<()> {
        let address = Email::parse(email).ok();
        let attempt = self
            .admit(address.as_ref().map_or(email, Email::as_str), from)
            .await?;
        // Without the name: what is refused for it would tell whose address this is.
        let hash = self
            .new_hash("new_password", new, None, address.as_ref())
            .await?;
        let reset = match address {
            Some(email) => {
                let (code, now) = (once::code_hash(code), self.clock.now());
                self.store.reset_password(email, code, hash, now).await?
            }
            None => None,
        };
        let Some(user_id) = reset else {
            attempt.failed(self.clock.now());
            return Err(Error::new(
                ErrorCode::WrongCredentials,
                "the e-mail address or the code is wrong, or the code does not hold any more",
            ));
        };
        attempt.succeeded();
        self.voided(user_id);
        tracing::info!(%user_id, "password reset by a code");
        Ok(())
    }
}
