//! A message as hashed pieces.
//!
//! Owns what the model sees: n-grams of 1 to 4 characters across word borders, words and pairs of
//! words, how each word begins (a Korean stem), how the message begins and ends (Korean says much of
//! a feeling in the last syllables, and much of those in their letters), and how long it is. Called
//! by the model and by the trainer.
//! Invariant: the same text gives the same keys on every machine; no key comes twice.

use crate::linear::{self, Keys, characters, is_letter};
use unicode_normalization::UnicodeNormalization as _;

/// How many characters of a message are read, after normalisation.
pub const READ: usize = 500;

/// Longest n-gram, in characters.
const LONGEST: usize = 4;

/// The kinds of pieces, so that equal letters of two kinds are two pieces.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Gram = 1,
    Word,
    Pair,
    Ending,
    Letters,
    Beginning,
    Mark,
    Length,
    Stem,
}

/// The keys of a message, each once. Empty for text without a visible character.
pub fn keys(text: &str) -> Vec<u32> {
    let text = normalise(text);
    if text.is_empty() {
        return Vec::new();
    }
    let mut keys = Keys::with_room(text.len() * 6 + 32);
    grams(&text, &mut keys);
    words(&text, &mut keys);
    if let Some(last) = text.last().filter(|last| !is_letter(**last)) {
        keys.add(hash(Kind::Mark, [*last]));
    }
    keys.add(hash(Kind::Length, [length(text.len())]));
    keys.into_list()
}

/// NFC, lower case, digits as `0`, one space for many, at most two of a character in a row.
fn normalise(text: &str) -> Vec<char> {
    let mut kept: Vec<char> = Vec::new();
    // Twice the bound, so that a long run of one letter does not hide what follows, but no more.
    for c in characters(text).take(2 * READ) {
        let c = match c {
            _ if c.is_whitespace() => ' ',
            _ if c.is_ascii_digit() => '0',
            _ if c.is_control() => continue,
            '’' => '\'',
            _ => c,
        };
        let drawn_out = kept.ends_with(&[c, c]);
        let gap = c == ' ' && kept.last().is_none_or(|last| *last == ' ');
        if !drawn_out && !gap {
            kept.push(c);
        }
        if kept.len() == READ {
            break;
        }
    }
    if kept.last() == Some(&' ') {
        kept.pop();
    }
    kept
}

fn grams(text: &[char], keys: &mut Keys) {
    let edge = std::iter::once(' ');
    let padded: Vec<char> = edge
        .clone()
        .chain(text.iter().copied())
        .chain(edge)
        .collect();
    keys.add_grams(Kind::Gram as u64, &padded, LONGEST);
}

fn words(text: &[char], keys: &mut Keys) {
    let mut before: Option<&[char]> = None;
    let words = text
        .split(|c| !is_letter(*c) && *c != '\'')
        .filter(|word| !word.is_empty());
    for word in words {
        keys.add(hash(Kind::Word, word.iter().copied()));
        // A Korean word changes at its end: what it is about is in its first syllables.
        for end in 1..=word.len().min(3) {
            keys.add(hash(Kind::Stem, word[..end].iter().copied()));
        }
        match before {
            Some(before) => {
                let pair = before.iter().chain(&[' ']).chain(word).copied();
                keys.add(hash(Kind::Pair, pair));
            }
            None => {
                for end in 1..=word.len().min(2) {
                    keys.add(hash(Kind::Beginning, word[..end].iter().copied()));
                }
            }
        }
        before = Some(word);
    }
    let Some(last) = before else { return };
    for length in 1..=last.len().min(3) {
        let ending = &last[last.len() - length..];
        keys.add(hash(Kind::Ending, ending.iter().copied()));
    }
    // Six letters are in the last two to six characters, so no more are taken apart.
    let letters: Vec<char> = last[last.len().saturating_sub(6)..]
        .iter()
        .copied()
        .nfd()
        .collect();
    for length in 1..=letters.len().min(6) {
        let ending = &letters[letters.len() - length..];
        keys.add(hash(Kind::Letters, ending.iter().copied()));
    }
}

/// The length of a message as one of seven letters.
const fn length(characters: usize) -> char {
    match characters {
        0..=4 => 'a',
        5..=7 => 'b',
        8..=10 => 'c',
        11..=14 => 'd',
        15..=20 => 'e',
        21..=40 => 'f',
        _ => 'g',
    }
}

fn hash(kind: Kind, letters: impl IntoIterator<Item = char>) -> u32 {
    linear::hash(kind as u64, letters)
}
