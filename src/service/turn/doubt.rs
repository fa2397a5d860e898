//! Words of which nobody knows whether they are stored.
//!
//! Owns how they are taken back, and of whose steps others may be told meanwhile. Called when a turn
//! begins, and by whoever finds a pending step that does not run here. Invariant: a step that
//! was acknowledged or shown as running is not taken back, by this instance or another. A list of steps is no
//! acknowledgement: it may show one that goes.

use super::LEASE;
use crate::domain::{Error, ErrorCode, Result, StepId, Timestamp};
use crate::service::App;
use std::collections::HashSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

impl App {
    /// A database that did not answer in time may still have stored the words. Nobody was told that
    /// it did, so they must not stay behind as a turn that nobody runs and that blocks the session. Here
    /// it is told to nobody until it is gone; another instance that tells of it acknowledges it first,
    /// and then it stays, interrupted in the end.
    pub(super) fn forget_if_unknown(
        self: &Arc<Self>,
        step_id: StepId,
        lease: Timestamp,
        error: &Error,
    ) {
        if error.code() != ErrorCode::Unavailable {
            return;
        }
        self.doubtful().insert(step_id);
        let app = Arc::clone(self);
        self.turns.spawn(async move {
            let begun = tokio::time::Instant::now();
            // What is not there yet may still come: a database on another machine may be at it.
            while begun.elapsed() < LEASE && !app.draining.is_cancelled() {
                if let Ok(true) = app.store.forget_step(step_id, lease).await {
                    tracing::warn!(%step_id, "a step of unknown outcome was taken back");
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            app.doubtful().remove(&step_id);
        });
    }

    /// Whether the step is being taken back by this instance.
    pub(in crate::service) fn is_doubtful(&self, step_id: StepId) -> bool {
        self.doubtful().contains(&step_id)
    }

    fn doubtful(&self) -> MutexGuard<'_, HashSet<StepId>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a pending step that does not run here stays where it is, whatever whoever began it was
    /// told by the database: only of such a one may anybody be told.
    pub(in crate::service) async fn stays(&self, step_id: StepId) -> Result<bool> {
        Ok(!self.is_doubtful(step_id) && self.store.acknowledge_step(step_id).await?)
    }
}
