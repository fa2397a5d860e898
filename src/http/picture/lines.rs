//! Lines of a text, broken by an estimate of their width: no font is known here.
//!
//! Called by what draws texts of any length. Invariants: no letter is lost; a line is estimated on the safe side.

use unicode_segmentation::UnicodeSegmentation as _;

/// How wide a letter is, in hundredths of an em: on the safe side.
fn width(grapheme: &str) -> u32 {
    match grapheme.chars().next() {
        Some(' ' | '.' | ',' | '!' | '\'' | 'i' | 'l' | '|') => 35,
        Some(c) if c.is_ascii_uppercase() || matches!(c, 'm' | 'w' | '@') => 85,
        Some(c) if c.is_ascii() => 62,
        _ => 105,
    }
}

/// The lines of a text of at most `most` hundredths of an em: broken at spaces where there are any, else between letters.
pub(super) fn lines(text: &str, most: u32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut wide = 0;
    for word in text.split_word_bounds() {
        let size: u32 = word.graphemes(true).map(width).sum();
        // A mark hangs over the end rather than begin a line.
        let mark = word
            .chars()
            .all(|c| c.is_ascii_punctuation() || matches!(c, '…' | '”' | '。'));
        if mark && !line.is_empty() && wide <= most {
            line.push_str(word);
            wide += size;
            continue;
        }
        if wide + size > most && !line.trim().is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            wide = 0;
        }
        if line.is_empty() && word.trim().is_empty() {
            continue;
        }
        // One that is longer than a line.
        for grapheme in word.graphemes(true) {
            let size = width(grapheme);
            if wide + size > most {
                lines.push(std::mem::take(&mut line));
                wide = 0;
            }
            line.push_str(grapheme);
            wide += size;
        }
    }
    if !line.trim().is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: u32 = 3000;

    proptest! {
        #[test]
        fn no_letter_is_lost_and_no_line_too_long(text in "[가-힣a-zA-Z .👩🏽]{0,200}") {
            let broken = lines(&text, LINE);
            for line in &broken {
                let wide: u32 = line.graphemes(true).map(width).sum();
                let marks = line.chars().rev().take_while(|c| *c == '.').count();
                prop_assert!(wide <= LINE || marks > 0, "{}", line);
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&broken.concat()), letters(&text));
        }
    }
}
