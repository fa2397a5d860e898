//! Language models: who answers.
//!
//! Owns the [`ChatModel`] trait and its messages; the models stand in the submodules. Called by the
//! turn. Invariants: a stream that ends without [`Piece::End`] was cut, whatever the network said;
//! a [`Fault`] never holds the provider's text.

pub mod builtin;
pub mod chain;
#[cfg(not(fuzzing))]
mod completion;
#[cfg(fuzzing)]
pub mod completion;
mod escapes;
pub mod listener;
pub mod openai;
pub mod recital;
pub mod scripted;
mod sse;
pub mod tokens;

use crate::domain::step::FinishReason;
use crate::domain::transcript::Message;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use std::time::Duration;

/// A model that can be asked.
pub trait ChatModel: Send + Sync + 'static {
    /// The name that steps remember.
    fn name(&self) -> &str;

    /// Whether it is a language model, whose tokens cost something and which can write a summary.
    fn is_language_model(&self) -> bool {
        true
    }

    /// Asks; the answer comes piece by piece. Dropping the stream stops the model.
    fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<TokenStream, Fault>>;
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatRequest {
    /// System prompt, history and the newest words.
    pub messages: Vec<Message>,
    /// Most tokens the answer may have.
    pub max_output_tokens: u32,
    /// The form that the answer is to have, if any. Not every endpoint heeds it: read the answer strictly.
    pub schema: Option<Schema>,
    /// A stable name for the person that tells the provider nothing about them.
    pub pseudonym: String,
}

/// A JSON Schema for a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// What it is called: letters, digits, underscores.
    pub name: &'static str,
    /// The schema, as JSON. Every object lists all of its members as required and allows no others.
    pub json: &'static str,
}

/// The answer as it comes.
pub type TokenStream = BoxStream<'static, Result<Piece, Fault>>;

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text, whole Unicode scalar values, one token or several that came together.
    Text(String),
    /// The model has ended its answer.
    End {
        /// Why.
        finish_reason: FinishReason,
        /// Tokens of what it was asked, when the provider counted them.
        input_tokens: Option<i64>,
        /// Tokens of the answer, when the provider counted them.
        output_tokens: Option<i64>,
    },
}

/// Why a model did not answer, or not to the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The provider asks to wait (429, or 503 with Retry-After).
    Busy {
        /// For how long, if it said so.
        retry_after: Option<Duration>,
    },
    /// The provider refuses this server's credential or model name: the admin must act.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Any other HTTP status that is no success.
    Status {
        /// It.
        status: u16,
    },
    /// The connection could not be made or broke.
    Connection,
    /// Nothing came for too long.
    Stalled,
    /// What came was not a chat completion.
    Malformed,
}

impl Fault {
    /// Everything that [`Self::as_str`] may say.
    pub const KINDS: [&'static str; 6] = [
        "busy",
        "refused",
        "status",
        "connection",
        "stalled",
        "malformed",
    ];

    /// For the log: says what happened, never what was said.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Refused { .. } => "refused",
            Self::Status { .. } => "status",
            Self::Connection => "connection",
            Self::Stalled => "stalled",
            Self::Malformed => "malformed",
        }
    }
}
