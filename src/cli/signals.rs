//! The signals that a server is sent.
//!
//! Owns what each of them means. Called by [`super::serve`]. Invariants: the first SIGTERM or SIGINT
//! drains, the second ends at once; SIGHUP reads the configuration again, and means nothing any more once
//! the server drains.

use super::reload::Reloader;
use super::systemd;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals, caught from the moment on at which this was made.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// To end, by the signal of this name.
    End(&'static str),
    /// To read the configuration again.
    Reload,
}

impl Signals {
    /// Begins to catch them: what was the end of the process before is a wish from now on.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Does what the signals ask for: fires `stop` at the first that asks for the end. Never returns.
    pub(super) async fn heed(mut self, stop: CancellationToken, mut reloader: Reloader) {
        let name = loop {
            match self.next().await {
                Asked::End(name) => break name,
                Asked::Reload => reloader.reload().await,
            }
        };
        tracing::info!(signal = name, "draining; once more ends at once");
        stop.cancel();
        systemd::stopping(&reloader.app);
        loop {
            match self.next().await {
                Asked::End(name) => {
                    tracing::warn!(signal = name, "ending at once");
                    std::process::exit(1);
                }
                Asked::Reload => tracing::warn!("not reloading: the server is draining"),
            }
        }
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.term.recv() => Asked::End("SIGTERM"),
            _ = self.int.recv() => Asked::End("SIGINT"),
            _ = self.hup.recv() => Asked::Reload,
        }
    }
}

/// A file that would grow beyond the process's limit is an error of that write, not the end of the
/// process: the signal (25 on Linux) is taken and forgotten. Holds as long as the value.
pub(super) fn take_file_size() -> io::Result<Signal> {
    signal(SignalKind::from_raw(25))
}
