//! The rules that text from outside has in common.
//!
//! Owns the checks that the parsed types of this floor are built on. Invariant: text that passed
//! has no NUL (PostgreSQL cannot store one) and is within its length.

use super::error::{Error, Result};

/// A line of text: trimmed, 1 to `max` characters, no control characters.
pub fn line(field: &'static str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    if text.chars().count() > max {
        return Err(Error::invalid(
            field,
            format!("must be at most {max} characters"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(text.to_owned())
}

/// Free text kept exactly as written: not blank, at most `max_bytes` bytes of UTF-8, no NUL.
pub fn free(field: &'static str, text: &str, max_bytes: usize) -> Result<String> {
    if text.len() > max_bytes {
        return Err(Error::invalid(
            field,
            format!("must be at most {max_bytes} bytes"),
        ));
    }
    if text.contains('\0') {
        return Err(Error::invalid(field, "must not contain the NUL character"));
    }
    if is_blank(text) {
        return Err(Error::invalid(field, "must not be empty"));
    }
    Ok(text.to_owned())
}

/// Whether a person sees nothing of this text: zero-width characters alone are blank, too.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{3164}'
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_refused_however_it_is_made() {
        for blank in ["", " ", "\n\t", "\u{3000}", "\u{200b}\u{feff}"] {
            assert!(free("user_input", blank, 100).is_err(), "{blank:?}");
            assert!(line("name", blank, 100).is_err() || !blank.trim().is_empty());
        }
    }

    #[test]
    fn free_text_is_kept_as_written() {
        let text = "  요즘 기분이 별로야.\n👩‍👩‍👧 ";
        assert_eq!(free("user_input", text, 100).unwrap(), text);
        assert!(free("user_input", "a\0b", 100).is_err());
        assert!(free("user_input", "가가", 5).is_err());
    }
}
