//! The built-in offline listener: answers when no language model is configured or the model is
//! down. Owns its sentences in Korean and English and the rules by which one is chosen; called by
//! the model adapter of this floor. Invariants: pure and deterministic, never empty, at most one
//! question an answer, words about dying are answered gravely and with a way to reach a person,
//! and it says once a session that it is a simple offline program.

mod compose;
mod en;
mod ko;
mod notice;
mod phrase;
mod read;
#[cfg(test)]
mod tests;
mod text;

use notice::Tongue;

/// The whole answer. Deterministic: same history and words give the same answer.
///
/// `earlier` is this session, oldest first: the person's words and our answer. Give all of it:
/// what is left out may be said again.
pub fn reply(earlier: &[(&str, &str)], user_input: &str) -> String {
    let tongue = match tongue_of(user_input, earlier) {
        Speech::Korean => Tongue {
            phrases: &ko::PHRASES,
            cues: &ko::CUES,
            read: ko::read,
            another: ko::said_of_another,
        },
        Speech::English | Speech::Other => Tongue {
            phrases: &en::PHRASES,
            cues: &en::CUES,
            read: en::read,
            another: en::said_of_another,
        },
    };
    let foreign = tongue_of(user_input, earlier) == Speech::Other;
    let disclosed = [&*ko::PHRASES, &*en::PHRASES].into_iter().any(|phrases| {
        compose::DISCLOSURES
            .iter()
            .flat_map(|pool| phrases.get(pool))
            .any(|line| earlier.iter().any(|(_, answer)| answer.contains(line)))
    });
    compose::answer(&tongue, earlier, user_input, foreign, disclosed)
}

/// Splits an answer into the pieces it is streamed in: word by word, white space kept at the end
/// of each. Joined they are the answer again, and no piece splits a grapheme cluster.
pub fn pieces(answer: &str) -> Vec<&str> {
    text::pieces(answer)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speech {
    Korean,
    English,
    /// A script the listener cannot read.
    Other,
}

/// Hangul anywhere is Korean; letters of no other known script are English; a message without
/// letters, or a word like `ok`, keeps the language of the messages before it.
fn tongue_of(words: &str, earlier: &[(&str, &str)]) -> Speech {
    let of = |words: &str| -> Option<Speech> {
        let (mut latin, mut other) = (0_usize, 0_usize);
        for c in words.chars() {
            if text::is_hangul(c) {
                return Some(Speech::Korean);
            }
            if c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}') {
                latin += 1;
            } else if c.is_alphabetic() {
                other += 1;
            }
        }
        match (latin, other) {
            (0, 0) => None,
            (latin, other) if other > latin => Some(Speech::Other),
            _ => Some(Speech::English),
        }
    };
    let before = || earlier.iter().rev().find_map(|(words, _)| of(words));
    match of(words) {
        None => before()
            .filter(|s| *s != Speech::Other)
            .unwrap_or(Speech::English),
        Some(Speech::English) if words.trim().chars().count() <= 4 => before()
            .filter(|s| *s == Speech::Korean)
            .unwrap_or(Speech::English),
        Some(speech) => speech,
    }
}
