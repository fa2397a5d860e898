//! `deepme chat --once`: say one thing, print the answer as it comes, exit.
//!
//! Invariant: stdout has the answer and nothing else.

use super::{CliError, Result, note};
use crate::client::{Client, ConnectOptions, Event};
use crate::domain::SessionId;
use crate::domain::step::StepStatus;
use crate::wire::ws::{ClientFrame, ServerFrame, UserMessage};
use std::io::{self, Write as _};

/// Says `words` and streams the answer.
pub(super) async fn talk(client: &Client, session_id: Option<SessionId>, words: String) -> Result {
    let mut socket = client
        .connect(&ConnectOptions {
            session_id,
            ..ConnectOptions::default()
        })
        .await?;
    let message = UserMessage {
        user_input: words,
        ..UserMessage::default()
    };
    let mut sent = false;
    loop {
        match socket.next().await {
            Event::Frame(ServerFrame::Session(session)) if !sent => {
                sent = true;
                note(format_args!("session {}", session.session_id))?;
                socket
                    .send(&ClientFrame::UserInput(message.clone()))
                    .await?;
            }
            Event::Frame(ServerFrame::Token { token }) => {
                let mut out = io::stdout().lock();
                out.write_all(plain(&token).as_bytes())?;
                out.flush()?;
            }
            Event::Frame(ServerFrame::Safety { safety }) => {
                note(&safety.message)?;
                for resource in safety.resources {
                    note(format_args!("  {}  {}", resource.name, resource.contact))?;
                }
            }
            Event::Frame(ServerFrame::Notice { notice }) => {
                note(format_args!("[{}] {}", notice.code, notice.message))?;
            }
            Event::Frame(ServerFrame::Done(done)) => {
                writeln!(io::stdout())?;
                socket.close().await;
                return if done.status == StepStatus::Complete {
                    Ok(())
                } else {
                    Err(CliError::Silent)
                };
            }
            Event::Frame(ServerFrame::Error { error }) => {
                return Err(CliError::Failed(error.message));
            }
            Event::Closed(code, reason) => {
                return Err(CliError::Failed(format!(
                    "the server closed the connection ({code} {reason})"
                )));
            }
            Event::Frame(_) | Event::Unknown(_) => {}
        }
    }
}

/// What a model says is data: control characters do not reach the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(super::plain("가\u{1b}[31m\r나\n다\u{9b}"), "가[31m나\n다");
    }
}
