//! What people may use, and what they have used.
//!
//! Owns the quota of a day. Called by the turn and by the surfaces. Invariants: a turn that began
//! within the quota is finished; somebody in danger has twice as much, so that they are answered when
//! others would be sent away, and still not without end.

use super::App;
use crate::domain::safety::Tier;
use crate::domain::usage::{Day, Usage};
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use crate::wire::ws::QuotaLeft;

impl App {
    /// Tokens that a person may use a day; `None` for any number.
    pub fn tokens_a_day(&self) -> Option<i64> {
        let tokens = self.settings().limits.tokens_a_day;
        (tokens > 0).then(|| tokens.into())
    }

    /// Tokens that a person may have used for a turn of this tier to begin.
    pub(super) fn quota(&self, tier: Tier) -> Option<i64> {
        let tokens = self.tokens_a_day()?;
        Some(if tier >= Tier::Elevated {
            tokens.saturating_mul(2)
        } else {
            tokens
        })
    }

    /// What is left of the day, for the client; `None` without a quota.
    pub fn quota_left(&self, used: Usage) -> Option<QuotaLeft> {
        let limit = self.tokens_a_day()?;
        Some(QuotaLeft {
            limit,
            remaining: used.left_of(limit),
            resets_at: used.day.end(),
        })
    }

    /// What the person has used today.
    pub async fn usage(&self, user_id: UserId) -> Result<Usage> {
        self.store.usage(user_id, Day::of(self.clock.now())).await
    }
}

/// The refusal of words when the tokens of the day are used up.
pub(super) fn used_up(now: Timestamp) -> Error {
    let wait = Day::of(now).end().since(now).as_secs();
    Error::new(
        ErrorCode::QuotaExceeded,
        "today's tokens are used up: there are new ones after midnight UTC",
    )
    .retry_after(u32::try_from(wait).unwrap_or(u32::MAX).saturating_add(1))
}
