//! Text that is being typed.
//!
//! Owns [`Editor`], used for the message and for the fields of the form. Invariants: the text is in
//! NFC, as input methods on some systems send jamo one by one; the cursor stands between graphemes
//! and every movement and deletion takes whole ones.

use super::text;
use std::fmt;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Longest text, in bytes: above every server's limit for a message, below what slows a keystroke.
pub(super) const LONGEST: usize = 64 * 1024;

/// A text with a cursor.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Editor {
    text: String,
    cursor: usize,
}

/// What is typed may be a password, and is private in any case.
impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Editor({} bytes)", self.text.len())
    }
}

impl Editor {
    /// A text with the cursor at its end.
    pub(super) fn with(text: &str) -> Self {
        let text: String = text.nfc().collect();
        Self {
            cursor: text.len(),
            text,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The byte that the cursor stands before.
    pub(super) const fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text out.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Types `new` at the cursor; `false` when it would make the text too long.
    pub(super) fn insert(&mut self, new: &str) -> bool {
        if self.text.len() + new.len() > LONGEST {
            return false;
        }
        let (before, after) = self.text.split_at(self.cursor);
        // What follows may join what was typed, so the cursor is found by what stays behind it.
        let typed = before.chars().chain(new.chars()).nfc().collect::<String>();
        self.text = typed.chars().chain(after.chars()).nfc().collect();
        self.cursor = self.boundary(typed.len().min(self.text.len()));
        true
    }

    pub(super) fn backspace(&mut self) {
        self.remove(self.left_of(self.cursor)..self.cursor);
    }

    pub(super) fn delete(&mut self) {
        self.remove(self.cursor..self.right_of(self.cursor));
    }

    /// Deletes the word before the cursor.
    pub(super) fn delete_word(&mut self) {
        self.remove(self.word_left()..self.cursor);
    }

    /// Deletes the line up to the cursor.
    pub(super) fn delete_to_home(&mut self) {
        self.remove(self.line().start..self.cursor);
    }

    /// Deletes the line from the cursor on.
    pub(super) fn delete_to_end(&mut self) {
        self.remove(self.cursor..self.line().end);
    }

    pub(super) fn left(&mut self) {
        self.cursor = self.left_of(self.cursor);
    }

    pub(super) fn right(&mut self) {
        self.cursor = self.right_of(self.cursor);
    }

    pub(super) fn word_back(&mut self) {
        self.cursor = self.word_left();
    }

    pub(super) fn word_on(&mut self) {
        let ends = self.text[self.cursor..]
            .unicode_word_indices()
            .map(|(at, word)| self.cursor + at + word.len());
        self.cursor = ends
            .into_iter()
            .next()
            .map_or(self.text.len(), |at| self.boundary(at));
    }

    pub(super) fn home(&mut self) {
        self.cursor = self.line().start;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.line().end;
    }

    /// Moves one row up in a text that is `width` cells wide; `false` in the first row.
    pub(super) fn up(&mut self, width: usize) -> bool {
        let (row, column) = self.cell(width);
        row.checked_sub(1)
            .is_some_and(|row| self.go_to(row, column, width))
    }

    /// Moves one row down in a text that is `width` cells wide; `false` in the last row.
    pub(super) fn down(&mut self, width: usize) -> bool {
        let (row, column) = self.cell(width);
        self.go_to(row + 1, column, width)
    }

    /// The row and column of the cursor in a text that is `width` cells wide.
    pub(super) fn cell(&self, width: usize) -> (usize, usize) {
        let rows = text::wrap(&self.text, width);
        let row = rows
            .iter()
            .rposition(|row| row.start <= self.cursor)
            .unwrap_or(0);
        let start = rows.get(row).map_or(0, |row| row.start);
        (row, text::width(&self.text[start..self.cursor]).min(width))
    }

    fn go_to(&mut self, row: usize, column: usize, width: usize) -> bool {
        let rows = text::wrap(&self.text, width);
        let Some(range) = rows.get(row).cloned() else {
            return false;
        };
        // The place after a row's last grapheme belongs to the next row of the same line.
        let last = if rows
            .get(row + 1)
            .is_some_and(|next| next.start == range.end)
        {
            self.left_of(range.end)
        } else {
            range.end
        };
        let start = range.start;
        let mut used = 0;
        self.cursor = self.text[range]
            .grapheme_indices(true)
            .find_map(|(at, grapheme)| {
                let here = start + at;
                used += text::width(grapheme);
                (used > column || here >= last).then_some(here)
            })
            .unwrap_or(last);
        true
    }

    fn remove(&mut self, range: Range<usize>) {
        let start = range.start;
        self.text.replace_range(range, "");
        // Neighbours may join now: a vowel that has lost the space before it.
        let tail = self.text.split_off(start);
        self.text = self.text.chars().chain(tail.chars()).nfc().collect();
        self.cursor = self.boundary(start.min(self.text.len()));
    }

    /// The first place between graphemes that is not before `at`.
    fn boundary(&self, at: usize) -> usize {
        self.text
            .grapheme_indices(true)
            .map(|(start, _)| start)
            .find(|start| *start >= at)
            .unwrap_or(self.text.len())
    }

    fn left_of(&self, at: usize) -> usize {
        self.text[..at]
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(start, _)| start)
    }

    fn right_of(&self, at: usize) -> usize {
        self.text[at..]
            .graphemes(true)
            .next()
            .map_or(at, |grapheme| at + grapheme.len())
    }

    fn word_left(&self) -> usize {
        self.text[..self.cursor]
            .unicode_word_indices()
            .next_back()
            .map_or(0, |(start, _)| start)
    }

    /// The line that the cursor is in.
    fn line(&self) -> Range<usize> {
        let start = self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[self.cursor..]
            .find('\n')
            .map_or(self.text.len(), |at| self.cursor + at);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn jamo_that_come_one_by_one_are_a_syllable() {
        let mut editor = Editor::default();
        for jamo in ["\u{1112}", "\u{1161}", "\u{11ab}"] {
            assert!(editor.insert(jamo));
        }
        assert_eq!(editor.text(), "한");
        editor.backspace();
        assert!(editor.is_empty());
    }

    #[test]
    fn deletion_takes_whole_graphemes() {
        let mut editor = Editor::with("a👩‍👩‍👧🇰🇷❤️");
        for left in ["a👩‍👩‍👧🇰🇷", "a👩‍👩‍👧", "a", "", ""] {
            editor.backspace();
            assert_eq!(editor.text(), left);
        }
        let mut editor = Editor::with("👩‍👩‍👧b");
        editor.home();
        editor.delete();
        assert_eq!(editor.text(), "b");
    }

    #[test]
    fn words_and_lines_go_at_once() {
        let mut editor = Editor::with("요즘 기분이\n별로 야");
        editor.delete_word();
        assert_eq!(editor.text(), "요즘 기분이\n별로 ");
        editor.delete_to_home();
        assert_eq!(editor.text(), "요즘 기분이\n");
        editor.left();
        editor.word_back();
        editor.delete_to_end();
        assert_eq!(editor.text(), "요즘 \n");
        editor.home();
        editor.word_on();
        assert!(editor.insert("에"));
        assert_eq!(editor.text(), "요즘에 \n");
    }

    #[test]
    fn the_cursor_moves_by_rows_of_the_screen() {
        let mut editor = Editor::with("가나다라마");
        assert_eq!(editor.cell(4), (2, 2));
        assert!(editor.up(4));
        assert_eq!(editor.cell(4), (1, 2));
        assert!(editor.up(4));
        assert!(!editor.up(4));
        assert_eq!(editor.cell(4), (0, 2));
        assert!(editor.down(4) && editor.down(4));
        assert!(!editor.down(4));
        assert_eq!(editor.cell(4), (2, 2));
        assert!(editor.insert("!\n"));
        assert_eq!(editor.cell(4), (3, 0));
    }

    #[test]
    fn what_is_too_long_is_not_taken() {
        let mut editor = Editor::default();
        assert!(!editor.insert(&"가".repeat(LONGEST)));
        assert!(editor.is_empty());
        assert_eq!(format!("{:?}", Editor::with("비밀")), "Editor(6 bytes)");
    }

    proptest! {
        #[test]
        fn no_key_leaves_the_cursor_inside_a_grapheme(
            keys in prop::collection::vec((0u8..14, "(\u{1112}|\u{1161}|\u{11ab}|👩|\u{200d}|🇰|\u{fe0f}|\u{301}|[a \\n])"), 0..60),
            width in 1usize..9,
        ) {
            let mut editor = Editor::default();
            for (key, text) in keys {
                match key {
                    0 => editor.backspace(),
                    1 => editor.delete(),
                    2 => editor.left(),
                    3 => editor.right(),
                    4 => { editor.up(width); }
                    5 => { editor.down(width); }
                    6 => editor.delete_word(),
                    7 => editor.home(),
                    8 => editor.word_on(),
                    _ => { editor.insert(&text); }
                }
                let (row, column) = editor.cell(width);
                prop_assert!(row <= editor.text.len() && column <= width);
                prop_assert!(
                    editor.text.grapheme_indices(true).any(|(at, _)| at == editor.cursor)
                        || editor.cursor == editor.text.len()
                );
                prop_assert_eq!(editor.text.nfc().collect::<String>(), editor.text.clone());
            }
        }
    }
}
