//! A model that says what it is told: for tests.
//!
//! Owns [`Scripted`]. Invariant: it does nothing that its script does not say, and it never looks
//! at a clock: what has to wait waits for a [`Gate`].

use super::{ChatModel, ChatRequest, Fault, Piece, TokenStream};
use crate::domain::step::FinishReason;
use futures_util::future::BoxFuture;
use futures_util::stream;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// What to do next.
#[derive(Debug, Clone)]
pub enum Act {
    /// Say this.
    Say(String),
    /// Wait until the gate is opened once.
    Wait(Gate),
    /// Fail; as the first act, instead of an answer.
    Fail(Fault),
    /// End the answer.
    End(FinishReason),
    /// End the answer, and say how many tokens were read and written.
    Counted(i64, i64),
    /// Say nothing more and do not end.
    Hang,
}

/// Holds a script back until a test lets it go on.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets one wait pass, now or later.
    pub fn open(&self) {
        self.0.add_permits(1);
    }

    async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

/// A script of one answer: the words as tokens, then the end.
pub fn answer(tokens: &[&str]) -> Vec<Act> {
    let mut acts: Vec<Act> = tokens
        .iter()
        .map(|token| Act::Say((*token).to_owned()))
        .collect();
    acts.push(Act::End(FinishReason::Stop));
    acts
}

/// Plays one script an answer, in the order in which they were added; without one it is refused.
#[derive(Debug, Default)]
pub struct Scripted {
    scripts: Mutex<VecDeque<Vec<Act>>>,
    asked: Mutex<Vec<ChatRequest>>,
}

impl Scripted {
    /// Adds the script of one more answer.
    pub fn add(&self, script: Vec<Act>) {
        self.scripts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(script);
    }

    /// Everything that was asked.
    pub fn asked(&self) -> Vec<ChatRequest> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ChatModel for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<TokenStream, Fault>> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        let script = self
            .scripts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        Box::pin(async move {
            let script = script.ok_or(Fault::Refused { status: 404 })?;
            if let Some(Act::Fail(fault)) = script.first() {
                return Err(fault.clone());
            }
            let acts = VecDeque::from(script);
            let played: TokenStream = Box::pin(stream::unfold(acts, |mut acts| async move {
                loop {
                    let piece = match acts.pop_front()? {
                        Act::Say(text) => Ok(Piece::Text(text)),
                        Act::Wait(gate) => {
                            gate.pass().await;
                            continue;
                        }
                        Act::Fail(fault) => Err(fault),
                        Act::End(finish_reason) => Ok(Piece::End {
                            finish_reason,
                            input_tokens: None,
                            output_tokens: None,
                        }),
                        Act::Counted(input, output) => Ok(Piece::End {
                            finish_reason: FinishReason::Stop,
                            input_tokens: Some(input),
                            output_tokens: Some(output),
                        }),
                        Act::Hang => std::future::pending().await,
                    };
                    return Some((piece, acts));
                }
            }));
            Ok(played)
        })
    }
}
