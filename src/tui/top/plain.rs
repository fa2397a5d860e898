//! The figures as plain text.
//!
//! Owns [`text`]. Called for `deepme top --once`. Invariant: pure, without colours, one row under another, so that it
//! can be kept and compared.

use super::Top;
use super::sections::{header, sections};

/// All that is known.
pub(super) fn text(top: &Top) -> String {
    let [first, second] = header(&top.figures);
    let mut lines = vec![top.url.clone(), first, second];
    for section in sections(&top.figures) {
        lines.push(String::new());
        lines.extend(
            section
                .into_iter()
                .map(|row| row.text.trim_end().to_owned()),
        );
    }
    lines.join("\n")
}
