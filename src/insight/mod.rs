//! Insight: what a person seems to feel, from the words of one message.
//!
//! | file | what it owns |
//! |---|---|
//! | `features` | a message as hashed pieces: n-grams of characters and words, endings |
//! | `model` | weights in eight bits: the format, its checks, scoring, calibration |
//! | `ko.bin`, `en.bin` | the weights, made by `examples/train_emotion` |
//!
//! Called by the turn with each message, and by the trainer, which must see a message exactly as
//! the engine does. Pure: no clock, no file, no network. Invariants: the same text gives the same
//! reading; the time is bounded whatever the length of the text; what it returns holds none of the
//! person's words. A guess by a small linear model: never a diagnosis, and never what decides
//! about safety. `docs/emotion.md` says how good it is.

pub mod features;
pub mod model;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use crate::domain::emotion::{Language, Reading};
use model::Model;

static KOREAN: LazyLock<Option<Model>> =
    LazyLock::new(|| Model::from_bytes(include_bytes!("ko.bin")).ok());
static ENGLISH: LazyLock<Option<Model>> =
    LazyLock::new(|| Model::from_bytes(include_bytes!("en.bin")).ok());

/// Reads one message. Without a language its script decides ([`Language::of`]).
///
/// Only the first [`features::READ`] characters count. Text in which the model knows nothing gives
/// [`Reading::UNKNOWN`]. The first call in a language decodes its weights (some milliseconds).
pub fn read(text: &str, language: impl Into<Option<Language>>) -> Reading {
    let language = language.into().unwrap_or_else(|| Language::of(text));
    // Weights that do not decode are a failed test, never a failed turn.
    embedded(language).map_or(Reading::UNKNOWN, |model| model.read(text))
}

/// Decodes the weights, so that the first message need not wait for it (some milliseconds).
pub fn warm_up() {
    LazyLock::force(&KOREAN);
    LazyLock::force(&ENGLISH);
}

/// The embedded model of a language.
pub fn embedded(language: Language) -> Option<&'static Model> {
    match language {
        Language::Korean => KOREAN.as_ref(),
        Language::English => ENGLISH.as_ref(),
    }
}
