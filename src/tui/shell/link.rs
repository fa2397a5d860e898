//! One connection, from the wait before it to its end.
//!
//! Owns the socket. Started by the shell for each attempt. Invariants: exactly one `Closed` or
//! `Refused` is the last that is heard of an attempt that was not given up; one that is given up, as
//! its queue was dropped, says goodbye to the server and nothing more to anybody.

use super::super::link::LinkId;
use super::super::msg::{LinkEvent, Msg};
use crate::client::{ABNORMAL, Client, ClientError, ConnectOptions, Event, Socket};
use crate::domain::SessionId;
use crate::wire::ws::ClientFrame;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// What is sent.
pub(super) type Frame = ClientFrame;
/// Frames that may wait to be sent.
pub(super) const QUEUE: usize = 16;
/// How long making a connection may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a frame may take to be written, and a goodbye to be answered.
const WRITE: Duration = Duration::from_secs(10);

/// Makes a connection and carries frames both ways until it is over or given up.
pub(super) async fn run(
    client: Client,
    id: LinkId,
    session_id: Option<SessionId>,
    wait: Duration,
    mut questions: mpsc::Receiver<Frame>,
    out: mpsc::Sender<Msg>,
) {
    let options = ConnectOptions {
        session_id,
        ..ConnectOptions::default()
    };
    let connecting = async {
        sleep(wait).await;
        timeout(PATIENCE, client.connect(&options)).await
    };
    let connected = tokio::select! {
        connected = connecting => connected,
        // Nothing is asked before the session frame, so this is the end of the queue.
        _ = questions.recv() => return,
    };
    let last = match connected {
        Ok(Ok(socket)) => match carry(socket, id, &mut questions, &out).await {
            Some(code) => LinkEvent::Closed(code),
            None => return,
        },
        Ok(Err(error)) => LinkEvent::Refused(error),
        Err(_) => LinkEvent::Refused(ClientError::Network("no answer in time".to_owned())),
    };
    // Nobody listens any more when the client is quitting.
    let _ = out.send(Msg::Link(id, last)).await;
}

/// The close code; `None` when the connection is given up.
async fn carry(
    mut socket: Socket,
    id: LinkId,
    questions: &mut mpsc::Receiver<Frame>,
    out: &mpsc::Sender<Msg>,
) -> Option<u16> {
    loop {
        tokio::select! {
            frame = questions.recv() => {
                let Some(frame) = frame else {
                    let _ = timeout(WRITE, socket.close()).await;
                    return None;
                };
                if !matches!(timeout(WRITE, socket.send(&frame)).await, Ok(Ok(()))) {
                    return Some(ABNORMAL);
                }
            }
            event = socket.next() => {
                let event = match event {
                    Event::Frame(frame) => LinkEvent::Frame(frame),
                    Event::Unknown(_) => LinkEvent::Noise,
                    Event::Closed(code, _) => return Some(code),
                };
                if out.send(Msg::Link(id, event)).await.is_err() {
                    return None;
                }
            }
        }
    }
}
