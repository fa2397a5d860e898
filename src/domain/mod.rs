//! What the house talks about, without any I/O.
//!
//! Owns the vocabulary: identifiers, time, errors, people, sessions, steps and prompts, and the
//! pure decision of what a model gets to read ([`transcript`]). Called by every floor above.
//! Invariant: a value of a type here has already been checked; nothing below the edge checks it
//! again, and nothing here reads a clock, a random source, a file or a socket by itself.

pub mod card;
pub mod emotion;
pub mod error;
pub mod flow;
pub mod id;
pub mod keyring;
pub mod login;
pub mod meter;
pub mod news;
pub mod prompt;
pub mod rights;
pub mod safety;
pub mod search;
pub mod session;
pub mod step;
pub mod text;
pub mod time;
pub mod transcript;
pub mod usage;
pub mod user;

pub use error::{Error, ErrorCode, Result};
pub use id::{AccessId, LoginId, Random, SessionId, StepId, UserId};
pub use time::{Clock, Timestamp};
