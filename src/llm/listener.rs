//! The built-in listener as a model of the chain.
//!
//! Owns [`Listener`], the thin shell around the pure engine in [`super::builtin`]. Invariant: it
//! needs nothing but the words: no network, no file, and it cannot fail.

use super::{ChatModel, ChatRequest, Fault, Piece, TokenStream, builtin};
use crate::domain::step::FinishReason;
use crate::domain::transcript::{Message, Role};
use futures_util::future::BoxFuture;
use futures_util::stream;
use std::collections::VecDeque;
use std::time::Duration;

/// The name of the model that needs no network.
pub const BUILTIN: &str = "builtin";

/// Answers without any language model.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    pace: Duration,
}

impl Listener {
    /// A listener that pauses this long between two words, so that it can be read along.
    pub const fn new(pace: Duration) -> Self {
        Self { pace }
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self::new(Duration::from_millis(25))
    }
}

impl ChatModel for Listener {
    fn name(&self) -> &'static str {
        BUILTIN
    }

    fn is_language_model(&self) -> bool {
        false
    }

    fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<TokenStream, Fault>> {
        let pace = self.pace;
        Box::pin(async move {
            // Reading a long session word by word is work; it does not belong on a runtime worker.
            let answer = tokio::task::spawn_blocking(move || answer(&request.messages))
                .await
                .map_err(|_| Fault::Malformed)?;
            let mut pieces: VecDeque<Piece> = builtin::pieces(&answer)
                .into_iter()
                .map(|piece| Piece::Text(piece.to_owned()))
                .collect();
            pieces.push_back(Piece::End {
                finish_reason: FinishReason::Stop,
                input_tokens: None,
                output_tokens: None,
            });
            let stream: TokenStream = Box::pin(stream::unfold(
                (pieces, false),
                move |(mut pieces, begun)| async move {
                    let piece = pieces.pop_front()?;
                    if begun && !pace.is_zero() && matches!(piece, Piece::Text(_)) {
                        tokio::time::sleep(pace).await;
                    }
                    Some((Ok(piece), (pieces, true)))
                },
            ));
            Ok(stream)
        })
    }
}

/// The pairs of words and answers before, and the newest words.
fn answer(messages: &[Message]) -> String {
    let mut earlier: Vec<(&str, &str)> = Vec::new();
    let mut words = "";
    for message in messages {
        match message.role {
            Role::System => {}
            Role::User => {
                if !words.is_empty() {
                    earlier.push((words, ""));
                }
                words = &message.content;
            }
            Role::Assistant => earlier.push((std::mem::take(&mut words), &message.content)),
        }
    }
    builtin::reply(&earlier, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_before_is_handed_on() {
        let message = |role, content: &str| Message {
            role,
            content: content.to_owned(),
        };
        let first = answer(&[
            message(Role::System, "s"),
            message(Role::User, "요즘 기분이 별로야."),
        ]);
        let second = answer(&[
            message(Role::User, "요즘 기분이 별로야."),
            message(Role::Assistant, &first),
            message(Role::User, "요즘 기분이 별로야."),
        ]);
        assert!(!first.is_empty() && !second.is_empty());
        assert_ne!(first, second);
    }
}
