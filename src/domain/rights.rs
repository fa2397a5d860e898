//! What a person may know and ask for: who read their words, and that everything of theirs goes.
//!
//! Owns [`Access`] and [`Erased`], and the checked form of the reason for an access. Called by the store
//! and the services. Invariant: nobody reads the words of a person past their own login without a reason
//! that the person can see.

use super::error::{Error, Result};
use super::id::{AccessId, SessionId, UserId};
use super::text;
use super::time::Timestamp;

/// Shortest reason, in characters: one that says something.
const REASON_MIN: usize = 8;
/// Longest reason, in characters.
const REASON_MAX: usize = 500;
/// Longest name of who reads, in characters.
const BY_MAX: usize = 64;

/// Somebody who runs the server read what a person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Names the access.
    pub access_id: AccessId,
    /// Whose words were read.
    pub user_id: UserId,
    /// The session that was read; `None` for everything there is.
    pub session_id: Option<SessionId>,
    /// Who read: the name of their account on the server's machine.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Checks a reason: a line of 8 to 500 characters.
pub fn reason(reason: &str) -> Result<String> {
    let reason = text::line("reason", reason, REASON_MAX)?;
    if reason.chars().count() < REASON_MIN {
        let message = format!("must say why, in {REASON_MIN} characters or more");
        return Err(Error::invalid("reason", message));
    }
    Ok(reason)
}

/// Checks the name of who reads: a line of at most 64 characters.
pub fn by(name: &str) -> Result<String> {
    text::line("by", name, BY_MAX)
}

/// What was deleted with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// Conversations.
    pub sessions: i64,
    /// What was said in them, with its answers.
    pub steps: i64,
    /// Versions of the person's own prompt.
    pub prompts: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        for none in ["", "       ", "because", "x\u{7}yyyyyyyyy"] {
            assert!(reason(none).is_err(), "{none:?}");
        }
        assert!(reason(&"가".repeat(501)).is_err());
        let asked = "본인이 삭제 여부를 물어봄";
        assert_eq!(reason(&format!(" {asked} ")).unwrap(), asked);
    }
}
