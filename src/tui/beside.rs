//! Two texts beside each other, for commands that compare.
//!
//! Owns [`beside`]. Pure. Invariants: no line is wider than asked for, whatever the script, down to two cells a
//! column; what would command the terminal is gone.

use super::text::{clean, width, wrap};

/// Between the columns.
const RULE: &str = " │ ";

/// Two texts in two columns of equal width, within `total` cells.
pub fn beside(left: &str, right: &str, total: usize) -> String {
    let column = (total.saturating_sub(width(RULE)) / 2).max(2);
    let [left, right] = [left, right].map(|text| rows(&clean(text), column));
    let lines = (0..left.len().max(right.len())).map(|row| {
        let at = |side: &[String]| side.get(row).cloned().unwrap_or_default();
        let (left, right) = (at(&left), at(&right));
        let gap = " ".repeat(column.saturating_sub(width(&left)));
        format!("{left}{gap}{RULE}{right}").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn rows(text: &str, column: usize) -> Vec<String> {
    let rows = wrap(text, column).into_iter();
    rows.map(|row| text[row].trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_to_their_cells_in_every_script() {
        let shown = beside(
            "ko@1\n\n오늘 하루도 애쓰셨어요.",
            "ko@2\n\nfine \u{1b}[31mred",
            27,
        );
        assert_eq!(
            shown,
            "ko@1         │ ko@2\n             │\n오늘 하루도  │ fine red\n애쓰셨어요.  │"
        );
        assert!(shown.lines().all(|line| width(line) <= 27));
        assert_eq!(beside("", "", 0), "   │", "two cells are the least");
    }
}
