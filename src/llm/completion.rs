//! What the events of a Chat Completions stream say together.
//!
//! Owns [`Answer`]. Called by the models that speak that API. Invariants: an answer is whole only if the stream said
//! that it ended; chunks that cannot be read are borne a few times, then the stream is malformed; nothing that the
//! provider wrote beside the answer goes further.

use super::{Fault, Piece, escapes};
use crate::domain::step::FinishReason;
use serde::de::{IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// Broken events that one answer may have before it is given up.
const BROKEN: u32 = 16;

/// What the events have said so far.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) finish_reason: Option<FinishReason>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    pub(super) done: bool,
    ended: bool,
    broken: u32,
    pub(super) fault: Option<Fault>,
}

impl Answer {
    pub(super) fn event(&mut self, data: &[u8]) -> Result<(), Fault> {
        if data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let mended;
        let chunk = match serde_json::from_slice::<Chunk<'_>>(data) {
            Err(_) if let Some(whole) = escapes::mend(data) => {
                mended = whole;
                serde_json::from_slice(&mended)
            }
            read => read,
        };
        let Ok(chunk) = chunk else {
            self.broken += 1;
            return if self.broken > BROKEN {
                Err(Fault::Malformed)
            } else {
                Ok(())
            };
        };
        if chunk.error.is_some() {
            return Err(Fault::Status { status: 500 });
        }
        if let Some(usage) = chunk.usage {
            self.input_tokens = usage.prompt_tokens.or(self.input_tokens);
            self.output_tokens = usage.completion_tokens.or(self.output_tokens);
        }
        if let Some(choice) = chunk.choices.into_iter().flatten().next() {
            if let Some(Text(content)) = choice.delta.and_then(|delta| delta.content) {
                self.text.push_str(&content);
            }
            if let Some(reason) = choice
                .finish_reason
                .and_then(|Text(reason)| finish_reason(&reason))
            {
                self.finish_reason = Some(reason);
            }
        }
        Ok(())
    }

    /// The stream is over: was the answer?
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        if self.done || self.finish_reason.is_some() {
            self.ended = true;
            Ok(())
        } else {
            Err(Fault::Connection)
        }
    }

    pub(super) fn take(&mut self) -> Option<Piece> {
        if let Some(text) = self.take_text() {
            return Some(text);
        }
        std::mem::take(&mut self.ended).then(|| Piece::End {
            finish_reason: self.finish_reason.unwrap_or(FinishReason::Stop),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
        })
    }

    pub(super) fn take_text(&mut self) -> Option<Piece> {
        (!self.text.is_empty()).then(|| Piece::Text(std::mem::take(&mut self.text)))
    }
}

/// Servers differ in their words for the end.
fn finish_reason(word: &str) -> Option<FinishReason> {
    match word {
        "" | "null" => None,
        "length" | "max_tokens" => Some(FinishReason::Length),
        "content_filter" => Some(FinishReason::ContentFilter),
        _ => Some(FinishReason::Stop),
    }
}

/// A chunk as servers really send it: everything may be missing.
#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<i64>,
    #[serde(default)]
    completion_tokens: Option<i64>,
}

/// A string that is borrowed from the event where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

/// A whole stream that the network cuts after each of these many bytes: what was said, and whether it was whole. For
/// the fuzzer.
#[cfg(fuzzing)]
pub fn read_stream(bytes: &[u8], cuts: &[usize]) -> (String, Result<(), Fault>) {
    let (mut answer, mut events) = (Answer::default(), super::sse::Events::default());
    let mut said = String::new();
    let mut rest = bytes;
    let mut outcome = Ok(());
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (chunk, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        outcome = events.feed(chunk, &mut |data| answer.event(data));
        if outcome.is_err() || answer.done {
            break;
        }
    }
    if outcome.is_ok() && !answer.done {
        outcome = events.finish(&mut |data| answer.event(data));
    }
    let outcome = outcome.and_then(|()| answer.close());
    while let Some(Piece::Text(text)) = answer.take() {
        said.push_str(&text);
    }
    (said, outcome)
}
