//! The connection to the server, as the update sees it.
//!
//! Owns [`Link`] and [`Wait`]. Invariant: on an open link at most one question of this client is
//! unanswered, so that an error frame, which names no question, can only mean that one.

use crate::domain::{StepId, Timestamp};
use crate::wire::ws::close;
use std::time::Duration;

/// Names one attempt at a socket. What comes from an earlier one is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LinkId(pub(super) u64);

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Link {
    /// None is wanted.
    #[default]
    Off,
    /// It is being made; `again` after one was lost or an attempt failed.
    Connecting {
        /// Attempts that failed in a row.
        failed: u32,
        /// Whether the person was connected before.
        again: bool,
    },
    /// The session frame has come.
    Open(Open),
}

/// An open connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    /// What was asked and not answered.
    pub(super) asked: Option<Asked>,
    /// The turn that tokens belong to.
    pub(super) attached: Option<StepId>,
    /// The turns that were asked for on this connection.
    pub(super) resumed: Vec<StepId>,
    /// When the server was last heard.
    pub(super) heard: Timestamp,
    /// When it was asked for a sign of life.
    pub(super) pinged: Option<Timestamp>,
}

impl Open {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            asked: None,
            attached: None,
            resumed: Vec::new(),
            heard: now,
            pinged: None,
        }
    }
}

/// A question to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The rest of a turn.
    Resume(StepId),
    /// To take the words of this message.
    Say(String),
}

/// How long to wait before a connection is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// The server said that it will be back in a moment.
    Soon,
    /// As is usual after this many failures.
    Backoff(u32),
    /// The server said that it has too much to do.
    Later(u32),
}

impl Wait {
    /// The wait after a close code; `None` when there is to be no connection any more.
    pub(super) const fn after(code: u16, failed: u32) -> Option<Self> {
        match code {
            close::NORMAL | close::UNAUTHENTICATED | close::UNKNOWN_SESSION => None,
            close::RESTARTING if failed == 0 => Some(Self::Soon),
            close::OVERLOADED | close::TOO_MANY => Some(Self::Later(failed)),
            _ => Some(Self::Backoff(failed)),
        }
    }

    /// The time to wait. `jitter` is between 0 and 1 and spreads the clients of a server that
    /// comes back.
    pub(super) fn duration(self, jitter: f64) -> Duration {
        let doubled = |first: f64, times: u32, most: f64| {
            let full = (first * 2f64.powi(times.min(16).cast_signed())).min(most);
            Duration::from_secs_f64(full * (0.5 + jitter.clamp(0.0, 1.0) / 2.0))
        };
        match self {
            Self::No => Duration::ZERO,
            Self::Soon => doubled(1.5, 0, 1.5),
            Self::Backoff(failed) => doubled(0.5, failed, 30.0),
            Self::Later(failed) => doubled(10.0, failed, 60.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_are_spread() {
        let seconds = |wait: Wait, jitter| wait.duration(jitter).as_secs_f64();
        assert!(seconds(Wait::No, 1.0) < f64::EPSILON);
        let backoff: Vec<_> = (0..9).map(|n| seconds(Wait::Backoff(n), 1.0)).collect();
        assert_eq!(backoff, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert!(seconds(Wait::Backoff(3), 0.0) < seconds(Wait::Backoff(3), 0.5));
        assert!(seconds(Wait::Later(0), 0.0) >= 5.0);
        assert!(seconds(Wait::Backoff(u32::MAX), 9.0) <= 30.0);
    }

    #[test]
    fn close_codes_say_whether_and_when_to_come_back() {
        assert_eq!(Wait::after(close::NORMAL, 0), None);
        assert_eq!(Wait::after(close::UNAUTHENTICATED, 0), None);
        assert_eq!(Wait::after(close::RESTARTING, 0), Some(Wait::Soon));
        assert_eq!(Wait::after(close::RESTARTING, 2), Some(Wait::Backoff(2)));
        assert_eq!(Wait::after(close::OVERLOADED, 0), Some(Wait::Later(0)));
        assert_eq!(Wait::after(1006, 1), Some(Wait::Backoff(1)));
    }
}
