//! Saying goodbye to a peer that is still sending.
//!
//! Owns [`Lingering`], a connection that can be asked to read on for a moment after it was given
//! up. When a socket is closed while the peer's bytes are unread, the kernel answers with a reset,
//! and the peer may never see the last thing that was written: the 413 or the 1009 that says why.
//! Invariant: bounded in time and bytes, and only where [`Linger::ask`] was called.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

/// For how long, and how many bytes, are read on.
const TIME: Duration = Duration::from_secs(2);
const BYTES: u64 = 4 << 20;

/// Asks a connection to linger; travels with each request as an extension.
#[derive(Debug, Clone, Default)]
pub(super) struct Linger(Arc<AtomicBool>);

impl Linger {
    /// Reads on for a moment when the connection ends.
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection that lingers when it was asked to.
#[derive(Debug)]
pub(super) struct Lingering {
    stream: Option<TcpStream>,
    linger: Linger,
    tasks: TaskTracker,
}

impl Lingering {
    pub(super) fn new(stream: TcpStream, linger: Linger, tasks: TaskTracker) -> Self {
        Self {
            stream: Some(stream),
            linger,
            tasks,
        }
    }

    fn stream(&mut self) -> std::io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| std::io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if !self.linger.0.load(Ordering::Relaxed) {
            return;
        }
        if let Some(mut stream) = self.stream.take() {
            self.tasks.spawn(async move {
                let _ = stream.shutdown().await;
                let mut rest = stream.take(BYTES);
                let _ =
                    tokio::time::timeout(TIME, tokio::io::copy(&mut rest, &mut tokio::io::sink()))
                        .await;
            });
        }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(AsyncWrite::is_write_vectored)
    }
}
