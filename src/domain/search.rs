//! Looking for words in what a person said.
//!
//! Owns [`Terms`]. Called by the search. Invariants: pure; an offset counts the code points of the text as it was
//! written, whatever case folding does to it; a text holds the terms only if it holds all of them.

use super::error::{Error, Result};
use unicode_normalization::UnicodeNormalization as _;

/// Longest query, in characters.
pub const QUERY_MAX: usize = 100;
/// Code points of a text that are shown around what was found, on either side.
const AROUND: usize = 30;

/// What is looked for: words that must all be there, in any order and any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms(Vec<Vec<char>>);

/// Where a text has one of the terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Code points before the first term that was asked for.
    pub offset: usize,
    /// Code points of that term.
    pub length: usize,
    /// The text around it, as it was written.
    pub excerpt: String,
}

/// One character for one, so that places stay what they are.
fn folded(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

impl Terms {
    /// Reads a query; `invalid_input` when it is blank or too long.
    pub fn parse(query: &str) -> Result<Self> {
        if query.chars().count() > QUERY_MAX {
            let message = format!("must be at most {QUERY_MAX} characters");
            return Err(Error::invalid("q", message));
        }
        let terms = query.split_whitespace();
        let terms: Vec<Vec<char>> = terms.map(|term| term.nfc().map(folded).collect()).collect();
        if terms.is_empty() || super::text::is_blank(query) {
            return Err(Error::invalid("q", "must not be empty"));
        }
        Ok(Self(terms))
    }

    /// Where the text has the first term, if it has all of them.
    pub fn find(&self, text: &str) -> Option<Hit> {
        let letters: Vec<char> = text.chars().collect();
        let folded: Vec<char> = letters.iter().copied().map(folded).collect();
        let place = |term: &Vec<char>| {
            let mut windows = folded.windows(term.len().max(1));
            windows.position(|window| window == term.as_slice())
        };
        let places: Option<Vec<usize>> = self.0.iter().map(place).collect();
        let offset = *places?.first()?;
        let length = self.0.first()?.len();
        let from = offset.saturating_sub(AROUND);
        let to = (offset + length + AROUND).min(letters.len());
        Some(Hit {
            offset,
            length,
            excerpt: letters.get(from..to)?.iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(query: &str, text: &str) -> Option<(usize, String)> {
        let hit = Terms::parse(query).unwrap().find(text)?;
        let found = text.chars().skip(hit.offset).take(hit.length).collect();
        Some((hit.offset, found))
    }

    #[test]
    fn all_terms_must_be_there_in_any_case_and_order() {
        let text = "오늘 Meeting에서 İ 말이 안 나왔어";
        assert_eq!(find("meeting", text), Some((3, "Meeting".to_owned())));
        assert_eq!(find("나왔어 오늘", text), Some((20, "나왔어".to_owned())));
        assert_eq!(find("오늘 내일", text), None);
        // Typed in pieces, as some keyboards do.
        assert_eq!(
            find("\u{110b}\u{1169}\u{1102}\u{1173}\u{11af}", text),
            Some((0, "오늘".to_owned()))
        );
        for wrong in ["", " \u{200b} ", &"가".repeat(101)] {
            assert!(Terms::parse(wrong).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_there(text in any::<String>(), from in 0..40usize, length in 1..10usize) {
            let piece: String = text.chars().skip(from).take(length).collect();
            if let Ok(terms) = Terms::parse(&piece)
                && let Some(hit) = terms.find(&text)
            {
                let found = text.chars().skip(hit.offset).take(hit.length);
                let found: Vec<char> = found.map(folded).collect();
                prop_assert_eq!(&found, &terms.0[0]);
                prop_assert!(text.contains(&hit.excerpt));
            }
        }

        #[test]
        fn a_word_that_is_there_is_found(before in "[가-힣 ]{0,40}", word in "[a-zA-Z가-힣]{1,8}", after in "[가-힣 ]{0,40}") {
            let text = format!("{before}{word}{after}");
            prop_assert!(Terms::parse(&word).unwrap().find(&text).is_some());
        }
    }
}
