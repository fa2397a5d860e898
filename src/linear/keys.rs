//! How a piece of text becomes a key, and the keys of a text a set.
//!
//! Owns the characters that pieces are made of ([`characters`], [`is_letter`]), their hash ([`hash`]) and the set ([`Keys`]).
//! Called by the two models for every message of a person, and by nobody else. Invariants: the same text gives the same keys on
//! every machine; no key comes twice.

use unicode_normalization::UnicodeNormalization as _;

/// The characters of a text, composed (NFC) and in lower case.
pub fn characters(text: &str) -> impl Iterator<Item = char> {
    composed(text).map(lower)
}

/// NFC. Looking up how a character composes takes longer than all else that is done with it, and nearly none needs it.
fn composed(text: &str) -> impl Iterator<Item = char> {
    let mut plain = text.chars();
    let mut other = None;
    std::iter::from_fn(move || {
        if let Some(other) = &mut other {
            return Iterator::next(other);
        }
        let from = plain.as_str();
        let c = plain.next()?;
        // What comes before a mark may be composed with it.
        if is_inert(c) && plain.clone().next().is_none_or(is_inert) {
            Some(c)
        } else {
            other.insert(from.nfc()).next()
        }
    })
}

/// Whether a character is part of a word.
pub fn is_letter(c: char) -> bool {
    is_syllable(c) || c.is_alphanumeric()
}

/// Whether NFC leaves a character alone that stands beside others of this kind: what comes before the first combining mark,
/// Hangul syllables, the jamo of the keyboard, the marks and most of the pictures that people write.
const fn is_inert(c: char) -> bool {
    is_syllable(c)
        || matches!(
            c,
            ..'\u{300}'
                | '\u{200b}'..='\u{2027}'
                | '\u{2600}'..='\u{27bf}'
                | '\u{3131}'..='\u{318e}'
                | '\u{fe0f}'
                | '\u{1f300}'..='\u{1faff}'
        )
}

const fn is_syllable(c: char) -> bool {
    matches!(c, '가'..='힣')
}

/// The one capital that becomes two characters loses the second, a dot.
fn lower(c: char) -> char {
    if is_syllable(c) {
        c
    } else {
        c.to_lowercase().next().unwrap_or(c)
    }
}

/// The state that the letters of a piece of this kind are mixed into: equal letters of two kinds are two pieces.
const fn seed(kind: u64) -> u64 {
    kind.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Mixes the next letter in.
const fn mix(state: u64, letter: char) -> u64 {
    let state = (state ^ letter as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 32)
}

/// The key of a piece: the upper half, as the multiplication mixes upwards.
const fn key(state: u64) -> u32 {
    (state.wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 32) as u32
}

/// The key of the piece of this kind that has these letters.
pub fn hash(kind: u64, letters: impl IntoIterator<Item = char>) -> u32 {
    key(letters.into_iter().fold(seed(kind), mix))
}

/// Keys in the order they came, each once. (0 and 1 are one.)
#[derive(Debug)]
pub struct Keys {
    /// The keys, then room: what is there says nothing.
    list: Vec<u32>,
    count: usize,
    /// Each key at the place that its upper bits say, or the next free one; 0 is free.
    slots: Vec<u32>,
}

impl Keys {
    /// None yet, with room for so many; for more it is made.
    pub fn with_room(count: usize) -> Self {
        let room = count.max(16).next_power_of_two();
        Self {
            list: vec![0; room],
            count: 0,
            // With so many free, few stand beside their place.
            slots: vec![0; 4 * room],
        }
    }

    /// Adds a key, if it is not there yet.
    #[inline]
    pub fn add(&mut self, key: u32) {
        if self.count == self.list.len() {
            self.grow();
        }
        let key = key.max(1);
        let last = self.slots.len() - 1;
        let mut at = (key >> last.leading_zeros().saturating_sub(usize::BITS - u32::BITS)) as usize;
        while self.slots[at & last] != 0 && self.slots[at & last] != key {
            at += 1;
        }
        // No branch on what cannot be foreseen: whether a piece comes again.
        let fresh = self.slots[at & last] == 0;
        self.slots[at & last] = key;
        self.list[self.count] = key;
        self.count += usize::from(fresh);
    }

    /// Adds the runs of 1 to `longest` characters of a text, as pieces of this kind.
    pub fn add_grams(&mut self, kind: u64, text: &[char], longest: usize) {
        for start in 0..text.len() {
            let mut state = seed(kind);
            for c in text[start..].iter().take(longest) {
                state = mix(state, *c);
                self.add(key(state));
            }
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mut more = Self::with_room(2 * self.list.len());
        for key in &self.list[..self.count] {
            more.add(*key);
        }
        *self = more;
    }

    /// The keys.
    pub fn into_list(mut self) -> Vec<u32> {
        self.list.truncate(self.count);
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use unicode_normalization::char::canonical_combining_class;
    use unicode_normalization::{IsNormalized, is_nfc_quick};

    #[test]
    fn what_is_called_inert_is() {
        let inert = || (char::MIN..=char::MAX).filter(|c| is_inert(*c));
        assert!(inert().count() > 12_000);
        for c in inert() {
            let alone = is_nfc_quick(std::iter::once(c));
            assert_eq!(alone, IsNormalized::Yes, "{c:?}");
            assert_eq!(canonical_combining_class(c), 0, "{c:?}");
        }
    }

    #[test]
    fn characters_are_composed_wherever_a_text_is_not() {
        for text in [
            "",
            "너무 힘들어ㅠㅠ… I can’t 😭",
            "\u{1109}\u{1173}\u{11af}\u{1111}\u{1165}",
            // A syllable and its end, a letter and its mark, with plain ones around them.
            "나 \u{ac00}\u{11a8} 이제 Cafe\u{301} 갈래",
            "\u{301}a\u{323}\u{307}",
            "\u{212b}\u{2126}ÅΩ ﷺ",
        ] {
            let expected: String = text.nfc().flat_map(char::to_lowercase).collect();
            assert_eq!(characters(text).collect::<String>(), expected, "{text:?}");
        }
        assert_eq!(characters("İI").collect::<String>(), "ii");
    }

    #[test]
    fn a_key_is_kept_once_however_many_there_are() {
        let mut state = seed(1);
        let mut keys = Keys::with_room(0);
        let mut expected = Vec::new();
        let mut seen = BTreeSet::new();
        for i in 0..5_000_u32 {
            state = mix(state, 'a');
            // Some come again, and many have the same upper bits.
            let next = match i % 4 {
                0 => i % 7,
                1 => u32::MAX - i % 40,
                _ => key(state),
            };
            keys.add(next);
            if seen.insert(next.max(1)) {
                expected.push(next.max(1));
            }
        }
        assert!(expected.len() > 2_500);
        assert_eq!(keys.into_list(), expected);
    }
}
