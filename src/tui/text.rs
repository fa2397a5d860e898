//! Text on a grid of cells: what is shown of outside text, how wide it is, where it breaks.
//!
//! Owns [`clean`], [`width`], [`wrap`] and [`fit`]. Called by everything that shows or edits text.
//! Invariants: what comes out of [`clean`] cannot move the cursor, colour the screen or reorder its
//! neighbours; a break never falls inside a grapheme.

use ratatui::buffer::CellWidth as _;
use std::iter::Peekable;
use std::ops::Range;
use std::str::Chars;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// What a tab becomes.
const TAB: &str = "    ";

/// Text from outside as it may be shown: escape sequences, control characters and bidirectional
/// overrides are gone, every kind of line end is `\n`, and the form is NFC.
pub fn clean(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_control_string(&mut chars),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    kept.push('\n');
                }
            }
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => kept.push('\n'),
            '\t' => kept.push_str(TAB),
            c if c.is_control() || reorders(c) => {}
            c => kept.push(c),
        }
    }
    kept.nfc().collect()
}

/// [`clean`] on one line.
pub(super) fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ").trim().to_owned()
}

/// Bidirectional embeddings, overrides and isolates, and the byte order mark.
const fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Skips what follows an ESC.
fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_control_string(chars);
        }
        _ => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

/// Skips parameters and the final byte of a control sequence; what cannot belong to one stays.
fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// Skips to the end of a control string. It ends with its line at the latest, so that one that is
/// never closed does not swallow the rest of an answer.
fn skip_control_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|&c| c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if chars.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

/// The cells that a text without line ends takes: counted as the terminal buffer counts them.
pub(super) fn width(text: &str) -> usize {
    text.graphemes(true).map(cells).sum()
}

fn cells(grapheme: &str) -> usize {
    if grapheme.contains(char::is_control) {
        0
    } else {
        usize::from(grapheme.cell_width())
    }
}

/// The rows of a text that is `width` cells wide, as byte ranges: broken between words, long words
/// between graphemes. Spaces at a break hang over the end of their row, so that the rows of a line
/// lie next to each other without a gap.
pub(super) fn wrap(text: &str, width: usize) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        wrap_line(line, start, width.max(1), &mut rows);
        start += line.len() + 1;
    }
    rows
}

fn wrap_line(line: &str, start: usize, limit: usize, rows: &mut Vec<Range<usize>>) {
    let (mut row, mut word, mut used) = (0, 0, 0);
    for (at, grapheme) in line.grapheme_indices(true) {
        let cells = cells(grapheme);
        let space = matches!(grapheme, " " | "\u{3000}");
        while !space && used + cells > limit && at > row {
            let cut = if word > row { word } else { at };
            rows.push(start + row..start + cut);
            row = cut;
            used = width(&line[cut..at]);
        }
        used += cells;
        if space {
            word = at + grapheme.len();
        }
    }
    rows.push(start + row..start + line.len());
}

/// As much of a line as fits into `limit` cells, with an ellipsis where something is missing.
pub(super) fn fit(line: &str, limit: usize) -> String {
    if width(line) <= limit {
        return line.to_owned();
    }
    let Some(limit) = limit.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let kept = line.graphemes(true).take_while(|grapheme| {
        used += cells(grapheme);
        used <= limit
    });
    kept.chain(["…"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str, width: usize) -> Vec<&str> {
        wrap(text, width)
            .into_iter()
            .map(|row| &text[row])
            .collect()
    }

    #[test]
    fn model_text_cannot_touch_the_terminal() {
        for (raw, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[Hhome", "home"),
            ("\u{9b}31mred", "red"),
            ("a\u{1b}]0;title\u{7}b", "ab"),
            (
                "a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\b",
                "alinkb",
            ),
            ("\u{1b}Pq never closed\nthe rest stays", "\nthe rest stays"),
            ("\u{1b}[가나다", "가나다"),
            ("\u{1b}(Bplain", "plain"),
            ("bell\u{7} back\u{8} del\u{7f}", "bell back del"),
            ("a\u{202e}evil\u{202c}\u{2066}b\u{2069}", "aevilb"),
            ("1\r\n2\r3\u{2028}4", "1\n2\n3\n4"),
            ("\tx", "    x"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("👩‍👩‍👧 ❤️ 🇰🇷", "👩‍👩‍👧 ❤️ 🇰🇷"),
        ] {
            assert_eq!(clean(raw), shown, "{raw:?}");
        }
        assert_eq!(clean_line("  a\nb\u{1b}[1m "), "a b");
    }

    #[test]
    fn widths_are_those_of_the_terminal_buffer() {
        for (text, cells) in [
            ("abc", 3),
            ("한글", 4),
            ("👩‍👩‍👧", 2),
            ("🇰🇷", 2),
            ("❤️", 2),
            ("e\u{301}", 1),
            ("", 0),
        ] {
            assert_eq!(width(text), cells, "{text}");
        }
    }

    #[test]
    fn rows_break_between_words_and_long_words_between_graphemes() {
        assert_eq!(
            rows("요즘 기분이 별로야", 9),
            ["요즘 ", "기분이 ", "별로야"]
        );
        assert_eq!(rows("가나다라마", 5), ["가나", "다라", "마"]);
        assert_eq!(rows("a 가나다", 6), ["a ", "가나다"]);
        assert_eq!(rows("a\n\nb", 6), ["a", "", "b"]);
        assert_eq!(rows("", 6), [""]);
        assert_eq!(rows("👩‍👩‍👧👩‍👩‍👧🇰🇷", 4), ["👩‍👩‍👧👩‍👩‍👧", "🇰🇷"]);
        assert_eq!(rows("가나", 1), ["가", "나"]);
        assert_eq!(rows("ab   cd", 3), ["ab   ", "cd"]);
    }

    #[test]
    fn a_line_is_cut_with_an_ellipsis() {
        assert_eq!(fit("가나다", 6), "가나다");
        assert_eq!(fit("가나다", 5), "가나…");
        assert_eq!(fit("가나다", 4), "가…");
        assert_eq!(fit("가나다", 1), "…");
        assert_eq!(fit("가나다", 0), "");
    }

    proptest! {
        /// Nothing is lost or split, and no row is too wide but for its hanging spaces.
        #[test]
        fn rows_are_the_text(text in "([ab 가나ㅋ]|👩‍👩‍👧|🇰🇷|❤️|\\n){0,40}", limit in 2usize..12) {
            let rows = rows(&text, limit);
            prop_assert_eq!(rows.concat(), text.replace('\n', ""));
            let whole = text.split('\n').flat_map(|line| line.graphemes(true));
            prop_assert_eq!(
                rows.iter().flat_map(|row| row.graphemes(true)).collect::<Vec<_>>(),
                whole.collect::<Vec<_>>()
            );
            for row in rows {
                prop_assert!(width(row.trim_end()) <= limit, "{row:?}");
            }
        }

        #[test]
        fn cleaning_leaves_nothing_that_acts(text in "\\PC{0,8}(\u{1b}|\u{9b}|\u{202e}|\\[|\\]|[0-9;m]|\r|\u{7}|가){0,20}") {
            let shown = clean(&text);
            prop_assert!(!shown.chars().any(|c| (c.is_control() && c != '\n') || reorders(c)));
            prop_assert_eq!(clean(&shown), shown);
        }
    }
}
