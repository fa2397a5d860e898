//! Forgetting what has been kept for its time.
//!
//! Called by the sweep. Invariants: nothing goes that was said within the configured days; a conversation that
//! is going on is not touched; what goes is overwritten in the files, too.

use super::App;
use crate::domain::{Result, Timestamp};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Sessions, or accesses, that are forgotten at once; the rest in the next minute.
const AT_ONCE: u32 = 200;
/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// What was before this time has been kept for `days`; `None` for what is kept for ever.
fn kept_since(now: Timestamp, days: u32) -> Option<Timestamp> {
    let micros = Duration::from_secs(u64::from(days) * DAY).as_micros();
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    (days > 0).then(|| Timestamp::from_micros(now.as_micros().saturating_sub(micros)))
}

impl App {
    /// Forgets what has been kept for as long as `[retention]` says.
    pub(super) async fn forget_what_was_kept(&self) -> Result<()> {
        let kept = self.settings().retention.clone();
        let now = self.clock.now();
        let (mut words, mut sessions, mut accesses) = (0, 0, 0);
        if let Some(before) = kept_since(now, kept.cards_days) {
            sessions = self.store.forget_sessions(before, AT_ONCE).await?;
        }
        if let Some(before) = kept_since(now, kept.text_days) {
            words = self.store.forget_words(before, now, AT_ONCE).await?;
        }
        if let Some(before) = kept_since(now, kept.audit_days) {
            accesses = self.store.forget_accesses(before, AT_ONCE).await?;
        }
        if words + sessions + accesses > 0 {
            tracing::info!(
                words,
                sessions,
                accesses,
                "forgot what was kept for its time"
            );
            self.unscrubbed.store(true, Ordering::Relaxed);
        }
        self.scrub().await;
        self.follow_up_in_keyring().await;
        self.look_at_backups().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_now() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        assert_eq!(kept_since(now, 0), None, "for ever");
        let month = kept_since(now, 30).unwrap();
        assert_eq!(month, "2026-10-27T12:00:00Z".parse().unwrap());
        assert!(kept_since(now, u32::MAX).unwrap() < month);
    }
}
