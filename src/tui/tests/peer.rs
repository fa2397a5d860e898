//! The server as a socket shows it, in a model.
//!
//! Owns [`Turn`] and [`Conn`], and how a turn is told, ended and gone on with; `network` moves them. They
//! do as `http::socket` does: what is shown of a turn is what the turn is at that moment.

use super::*;
use std::collections::VecDeque;

/// A turn on the server.
pub(super) struct Turn {
    pub(super) message_id: Option<String>,
    pub(super) words: String,
    pub(super) text: Vec<char>,
    /// How much of it a crash leaves.
    pub(super) stored: usize,
    pub(super) status: StepStatus,
    /// Whether a crash took text from it that was told.
    pub(super) cut: bool,
}

/// A socket: what is on its way in both directions, and the server's place in a turn.
pub(super) struct Conn {
    pub(super) to_client: VecDeque<ServerFrame>,
    pub(super) to_server: VecDeque<ClientFrame>,
    pub(super) cursor: Option<(usize, usize)>,
    pub(super) news: VecDeque<usize>,
}

pub(super) fn accepted_frame(n: usize, turn: &Turn) -> ServerFrame {
    accepted(n as u128 + 1, turn.message_id.as_deref(), &turn.words)
}

pub(super) fn end_frame(n: usize, turn: &Turn) -> ServerFrame {
    if turn.status == StepStatus::Failed {
        return failed(n as u128 + 1);
    }
    match done(n as u128 + 1, turn.status) {
        ServerFrame::Done(done) => ServerFrame::Done(Done {
            message_id: turn.message_id.clone(),
            ..done
        }),
        other => other,
    }
}

/// Goes on with a turn after so many code points, as the server does.
pub(super) fn go_on(conn: &mut Conn, n: usize, turn: &Turn, received: u64) {
    let after = usize::try_from(received).unwrap();
    let from = if after <= turn.text.len() { after } else { 0 };
    let frame = resumed(n as u128 + 1, from as u64, turn.status);
    if turn.status == StepStatus::Pending {
        conn.cursor = Some((n, from));
        conn.to_client.push_back(frame);
        return;
    }
    if conn.cursor.is_some_and(|(followed, _)| followed != n) {
        let error = ErrorFrame {
            retry_after: Some(1),
            ..error("turn_in_progress", None)
        };
        conn.to_client.push_back(ServerFrame::Error { error });
        return;
    }
    conn.cursor = None;
    conn.to_client.push_back(frame);
    if from < turn.text.len() {
        conn.to_client
            .push_back(token(&turn.text[from..].iter().collect::<String>()));
    }
    conn.to_client.push_back(end_frame(n, turn));
}
