//! A message as hashed pieces, for the model.
//!
//! Owns what the model sees of a sentence: n-grams of 1 to 4 characters across word borders, words, and pairs of words that
//! stand beside each other or have one between them. Called by the model and by the trainer. Invariants: the same text
//! gives the same keys on every machine; no key comes twice; the time is linear in the text.

use super::letters::is_invisible;
use crate::linear::{Keys, characters, hash, is_letter};

/// The kinds of pieces, so that equal letters of two kinds are two pieces.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Gram = 11,
    Word,
    Pair,
    Apart,
}

/// Longest n-gram, in characters.
const LONGEST: usize = 4;
/// Longest run that is read as one sentence, in characters: what goes on without a mark is read in windows of this length,
/// each beginning in the middle of the one before.
const SENTENCE: usize = 200;

/// The keys of every sentence of a text and, when it is short, of the whole of it, which comes first. Sentences without a
/// letter have none.
pub fn sentences(text: &str) -> Vec<Vec<u32>> {
    let text = normalise(text);
    let ends = |c: &char| matches!(c, '.' | '!' | '?' | '…' | '\n' | '。');
    let parts: Vec<&[char]> = text
        .split(ends)
        .flat_map(windows)
        .filter(|part| part.iter().copied().any(is_letter))
        .collect();
    let whole = (parts.len() > 1 && text.len() <= SENTENCE).then_some(text.as_slice());
    whole.into_iter().chain(parts).map(keys).collect()
}

/// A run as windows that overlap by a half, so that nothing said in it is cut everywhere.
fn windows(run: &[char]) -> impl Iterator<Item = &[char]> {
    let starts = (0..run.len().max(1)).step_by(SENTENCE / 2);
    let more = run.len().saturating_sub(SENTENCE / 2).max(1);
    starts
        .take_while(move |start| *start < more)
        .map(|start| &run[start..run.len().min(start + SENTENCE)])
}

/// The keys of a text as one sentence, each once.
fn keys(text: &[char]) -> Vec<u32> {
    let mut keys = Keys::with_room(text.len() * 6 + 32);
    let words: Vec<&[char]> = text
        .split(|c| !is_letter(*c))
        .filter(|word| !word.is_empty())
        .collect();
    let edge = || std::iter::once(' ');
    let spaced = words
        .iter()
        .flat_map(|word| edge().chain(word.iter().copied()));
    let padded: Vec<char> = spaced.chain(edge()).collect();
    keys.add_grams(Kind::Gram as u64, &padded, LONGEST);
    let both = |kind, a: &[char], b: &[char]| {
        let letters = a.iter().chain(&[' ']).chain(b).copied();
        hash(kind as u64, letters)
    };
    for (i, word) in words.iter().enumerate() {
        keys.add(hash(Kind::Word as u64, word.iter().copied()));
        for (kind, other) in [(Kind::Pair, i + 1), (Kind::Apart, i + 2)] {
            if let Some(other) = words.get(other) {
                keys.add(both(kind, word, other));
            }
        }
    }
    keys.into_list()
}

/// NFC, lower case, digits as `0`, at most two of a character in a row, nothing that has no width.
fn normalise(text: &str) -> Vec<char> {
    let mut kept: Vec<char> = Vec::with_capacity(text.len() / 2);
    for c in characters(text) {
        let c = match c {
            '\n' => '\n',
            // Left out by many.
            '‘' | '’' | '\'' => continue,
            _ if is_invisible(c) => continue,
            _ if c.is_whitespace() => ' ',
            _ if c.is_ascii_digit() => '0',
            _ => c,
        };
        if !kept.ends_with(&[c, c]) {
            kept.push(c);
        }
    }
    kept
}
