//! The accept loop: hyper with timers and limits.
//!
//! Owns every connection until it ends or becomes a socket. Called by [`super::serve`].
//! `axum::serve` would do, but it sets no timers: a peer that sends half a request head, or no byte
//! at all, would stay for ever. Invariants: at most `connections` at once; a peer has
//! `request_head` to say what it wants; a lack of descriptors makes accepting pause, not end.

use super::linger::{Linger, Lingering};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Longest request head, in bytes.
const HEAD: usize = 16 * 1024;
/// Pause after an accept that failed: descriptors are usually back by then.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What the loop keeps to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) connections: usize,
    pub(super) request_head: Duration,
}

/// A running accept loop.
pub(super) struct Accepting {
    accepting: JoinHandle<()>,
    connections: TaskTracker,
}

impl Accepting {
    /// Accepts until `stop` fires.
    pub(super) fn start(
        listener: TcpListener,
        router: Router,
        settings: Settings,
        stop: CancellationToken,
    ) -> Self {
        let connections = TaskTracker::new();
        let accepting = tokio::spawn(accept(
            listener,
            router,
            settings,
            stop,
            connections.clone(),
        ));
        Self {
            accepting,
            connections,
        }
    }

    /// Waits until nobody new is let in: the port is closed. What is left are the connections.
    pub(super) async fn stopped(self) -> Connections {
        let _ = self.accepting.await;
        self.connections.close();
        Connections(self.connections)
    }
}

/// The connections of a loop that has ended.
pub(super) struct Connections(TaskTracker);

impl Connections {
    /// Waits at most `patience` for those that are left.
    pub(super) async fn finish(self, patience: Duration) {
        if tokio::time::timeout(patience, self.0.wait()).await.is_err() {
            tracing::warn!(
                connections = self.0.len(),
                "connections did not close in time"
            );
        }
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    settings: Settings,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(
        settings.connections.min(Semaphore::MAX_PERMITS),
    ));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(
                    stream,
                    Peer(peer.ip()),
                    router.clone(),
                    settings,
                    stop.clone(),
                    connections.clone(),
                    place,
                );
                connections.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    settings: Settings,
    stop: CancellationToken,
    tasks: TaskTracker,
    place: OwnedSemaphorePermit,
) {
    // Tokens are small and must not wait for more.
    let _ = stream.set_nodelay(true);
    // hyper's timer starts with the first byte; a peer that sends none is nobody.
    match tokio::time::timeout(settings.request_head, stream.peek(&mut [0])).await {
        Ok(Ok(1..)) => {}
        _ => return,
    }
    let linger = Linger::default();
    let io = TokioIo::new(Lingering::new(stream, linger.clone(), tasks));
    // The place is taken until the last request of the connection is over; a socket takes it along.
    let place = Place(Arc::new(place));
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(linger.clone());
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        request
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.request_head)
        .max_buf_size(HEAD)
        .serve_connection(io, TowerToHyperService::new(service))
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "connection ended");
    }
}

/// One of the connections that may be open at once.
#[derive(Debug, Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// The other end of a connection: the client, or the proxy in front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);
