//! A second device on somebody's session: says nothing and hears everything.

use crate::client::{Crowd, Line, Lived, Print};
use deepme::client::{Client, ConnectOptions, Event};
use deepme::domain::step::StepStatus;
use deepme::domain::{SessionId, StepId};
use deepme::wire::ws::ServerFrame;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A turn that was heard from its first word to its end.
pub(crate) struct Watched {
    pub(crate) step_id: StepId,
    pub(crate) status: StepStatus,
    pub(crate) text: Print,
}

pub(crate) struct Watcher {
    watching: JoinHandle<(Vec<Watched>, Option<u16>)>,
    enough: CancellationToken,
}

/// Begins to watch; with a `nap` it reads a frame only every so many milliseconds.
pub(crate) async fn start(
    client: &Client,
    crowd: &Arc<Crowd>,
    session_id: SessionId,
    nap: u64,
) -> Option<Watcher> {
    let options = ConnectOptions {
        session_id: Some(session_id),
        ..ConnectOptions::default()
    };
    let mut line = Line::new(client.connect(&options).await.ok()?, crowd);
    // From its first frame on it hears of every turn.
    let Event::Frame(ServerFrame::Session(_)) = line.socket.next().await else {
        return None;
    };
    let enough = CancellationToken::new();
    let token = enough.clone();
    let watching = tokio::spawn(async move {
        let mut watched = Vec::new();
        let closed = tokio::select! {
            () = token.cancelled() => None,
            code = watch(line, nap, &mut watched) => Some(code),
        };
        (watched, closed)
    });
    Some(Watcher { watching, enough })
}

async fn watch(mut line: Line, nap: u64, watched: &mut Vec<Watched>) -> u16 {
    let (mut step, mut text) = (None, String::new());
    loop {
        match line.socket.next().await {
            Event::Frame(ServerFrame::Accepted { accepted }) => {
                step = Some(accepted.step_id);
                text.clear();
            }
            Event::Frame(ServerFrame::Token { token }) => text.push_str(&token),
            Event::Frame(ServerFrame::Done(done)) if step == Some(done.step_id) => {
                watched.push(Watched {
                    step_id: done.step_id,
                    status: done.status,
                    text: Print::of(&text),
                });
            }
            Event::Closed(code, _) => return code,
            _ => {}
        }
        if nap > 0 {
            tokio::time::sleep(Duration::from_millis(nap)).await;
        }
    }
}

impl Watcher {
    /// Goes away; what it heard.
    pub(crate) async fn end(self, lived: &mut Lived) -> Vec<Watched> {
        self.enough.cancel();
        let (watched, closed) = self.watching.await.unwrap();
        if let Some(code) = closed {
            lived
                .tally
                .count(format!("a second device closed by the server ({code})"));
        }
        watched
    }
}
