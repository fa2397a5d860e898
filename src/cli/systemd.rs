//! What systemd is told.
//!
//! Owns the messages of `sd_notify`. Called by [`super::serve`] and what it runs. Invariant: a process
//! that systemd did not start says nothing, and that is no error.

use sd_notify::NotifyState;

/// The server takes requests.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// The configuration is being read again; [`ready`] ends it.
pub(super) fn reloading() {
    // From systemd 253 on the time is a part of it; 252 and older do not mind.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The server drains.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd was not told");
    }
}
