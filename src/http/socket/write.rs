//! Writing to a peer.
//!
//! Invariant: every write has a deadline, and none a timer unless it has to wait.

use super::super::problem;
use super::{Over, Socket, Step};
use crate::domain::Error;
use crate::wire::ws::{ErrorFrame, ServerFrame, close};
use axum::extract::ws::{CloseFrame, Message};
use futures_util::{FutureExt as _, SinkExt as _};
use std::time::Duration;
use tokio::time::timeout;

impl Socket {
    pub(super) async fn refuse(&mut self, error: &Error, stored: Option<bool>) -> Step {
        problem::log(error);
        self.send_error(ErrorFrame {
            stored,
            ..ErrorFrame::from(error)
        })
        .await
    }

    pub(super) async fn send_error(&mut self, error: ErrorFrame) -> Step {
        self.send(ServerFrame::Error { error }).await
    }

    pub(super) async fn send(&mut self, frame: ServerFrame) -> Step {
        self.feed(frame.to_json()).await?;
        self.flush().await
    }

    pub(super) async fn feed(&mut self, json: String) -> Step {
        self.feed_message(Message::Text(json.into())).await
    }

    /// Hands a message to the library, which writes when it has enough.
    pub(super) async fn feed_message(&mut self, message: Message) -> Step {
        let slow = Duration::from_secs(self.app.config().server.slow_client_seconds);
        let mut feed = self.ws.feed(message);
        // No timer where there is nothing to wait for, which is nearly always.
        if let Some(fed) = (&mut feed).now_or_never() {
            return fed.map_err(|_| Over::Gone);
        }
        match timeout(slow, feed).await {
            Ok(fed) => fed.map_err(|_| Over::Gone),
            Err(_) => Err(Over::Close(
                close::OVERLOADED,
                "too slow: reconnect and resume",
            )),
        }
    }

    pub(super) async fn flush(&mut self) -> Step {
        let slow = Duration::from_secs(self.app.config().server.slow_client_seconds);
        let mut flush = self.ws.flush();
        if let Some(flushed) = (&mut flush).now_or_never() {
            return flushed.map_err(|_| Over::Gone);
        }
        match timeout(slow, flush).await {
            Ok(flushed) => flushed.map_err(|_| Over::Gone),
            Err(_) => Err(Over::Close(
                close::OVERLOADED,
                "too slow: reconnect and resume",
            )),
        }
    }

    /// Closes, and waits a moment for the peer to do so too.
    pub(super) async fn say_goodbye(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let goodbye = async {
            if self.ws.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.ws.recv().await {}
            }
        };
        let _ = timeout(Duration::from_secs(1), goodbye).await;
    }
}
