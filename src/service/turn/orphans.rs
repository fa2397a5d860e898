//! Turns whose process is gone.
//!
//! Owns when a pending step is closed as interrupted: at a start when nobody else can be running
//! turns, and by a sweep once nobody has extended its lease. Called by whoever runs a server.
//! Invariant: a turn that runs here is never closed here, however far the clock jumps.

use super::LEASE;
use crate::domain::{Result, Timestamp};
use crate::service::App;
use std::time::Duration;
use tokio::time::Instant;

/// How often abandoned turns are looked for.
const SWEEP: Duration = Duration::from_secs(3);
/// How often what has had its time is forgotten.
const TIDY: Duration = Duration::from_mins(1);

impl App {
    /// Closes every pending turn, as one whose process is gone. For a start at which nobody else can
    /// be running turns on this database.
    pub async fn close_all_orphans(&self) -> Result<u64> {
        self.close_orphans(Timestamp::MAX, self.clock.now()).await
    }

    async fn close_orphans(&self, before: Timestamp, now: Timestamp) -> Result<u64> {
        let closed = self.store.close_orphans(before, now).await?;
        if closed > 0 {
            tracing::warn!(turns = closed, "closed turns that were interrupted");
        }
        Ok(closed)
    }

    /// Looks for abandoned turns, and forgets logins and codes that are over, until the server drains. Never returns before.
    pub async fn sweep(&self) {
        let mut reachable = None;
        let mut tidied: Option<Instant> = None;
        loop {
            tokio::select! {
                () = self.draining.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
            let settings = self.settings();
            settings.pace.forget_the_silent();
            settings.newcomers.forget_the_silent();
            self.tickets.forget_the_silent();
            let mut swept = self.sweep_once(reachable).await;
            if swept.is_ok() && tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                tidied = Some(Instant::now());
                swept = self.tidy().await;
            }
            match swept {
                Ok(()) => reachable = reachable.or(Some(Instant::now())),
                Err(error) => {
                    reachable = None;
                    tracing::warn!(code = %error.code(), causes = error.causes(), "sweep failed");
                }
            }
        }
    }

    /// Extends the leases of the turns that run here, then closes those that nobody extended.
    /// `reachable` says since when the database has answered: after an outage every lease has ended,
    /// and who runs a turn needs time to say so.
    pub async fn sweep_once(&self, reachable: Option<Instant>) -> Result<()> {
        let now = self.clock.now();
        // What runs here is no orphan, however far the clock has jumped since its last lease.
        for turn in self.live.all_running() {
            self.vault
                .checkpoint_step(turn.user_id, turn.step_id, &turn.text(), now.plus(LEASE))
                .await?;
        }
        let alone = self.bulletin.is_none();
        if alone || reachable.is_some_and(|since| since.elapsed() >= LEASE) {
            self.close_orphans(now, now).await?;
        } else {
            self.store.schema_version().await?;
        }
        Ok(())
    }
}
