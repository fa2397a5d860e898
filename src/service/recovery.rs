//! One-time codes that an admin hands over: invitations.
//!
//! Called by the commands that make them and by the surfaces where they are brought. Invariant: a code is
//! shown once, to who made it; what is stored is its hash.

use super::App;
use crate::auth::once;
use crate::domain::{Result, Timestamp};
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
}
