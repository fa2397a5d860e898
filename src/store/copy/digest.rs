//! What tells the content of a table from any other.
//!
//! Owns [`Digest`]. Called by the engine. Invariant: two lists of rows have the same digest only if
//! every cell is the same, whatever backend it came from: each cell goes in with its kind and length.

use super::tables::Table;
use super::{Cell, Row};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// SHA-256 over a table's name, its columns, and its rows in the order of their keys.
pub(super) struct Digest {
    hash: Sha256,
    rows: u64,
}

impl Digest {
    pub(super) fn new(table: &Table) -> Self {
        let mut digest = Self {
            hash: Sha256::new(),
            rows: 0,
        };
        digest.hash.update(b"deepme table\0");
        digest.part(3, table.name.as_bytes());
        for column in table.columns {
            digest.part(3, column.name.as_bytes());
        }
        digest
    }

    pub(super) fn add(&mut self, row: &Row) {
        for cell in row {
            match cell {
                Cell::Null => self.part(0, &[]),
                Cell::Id(id) => self.part(1, id.as_bytes()),
                Cell::Integer(number) => self.part(2, &number.to_be_bytes()),
                Cell::Text(text) => self.part(3, text.as_bytes()),
            }
        }
        self.rows += 1;
    }

    /// How many rows there were, and the digest as hex digits.
    pub(super) fn finish(self) -> (u64, String) {
        let mut text = String::new();
        for byte in self.hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        (self.rows, text)
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.hash.update([tag]);
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::TABLES;
    use super::*;

    fn of(rows: &[Row]) -> String {
        let mut digest = Digest::new(&TABLES[0]);
        for row in rows {
            digest.add(row);
        }
        digest.finish().1
    }

    #[test]
    fn what_differs_in_anything_has_another_digest() {
        let text = |text: &str| Cell::Text(text.to_owned());
        let different = [
            of(&[]),
            of(&[vec![text(""), text("")]]),
            of(&[vec![text(""), Cell::Null]]),
            of(&[vec![text("ab"), text("c")]]),
            of(&[vec![text("a"), text("bc")]]),
            of(&[vec![text("1"), Cell::Integer(1)]]),
            of(&[vec![text("1"), text("1")]]),
            of(&[vec![text("a"), text("b")], vec![text("c"), text("d")]]),
            of(&[vec![text("c"), text("d")], vec![text("a"), text("b")]]),
        ];
        let distinct: std::collections::BTreeSet<&String> = different.iter().collect();
        assert_eq!(distinct.len(), different.len());
    }

    /// Whoever keeps a report may compare it with one of a later version.
    #[test]
    fn the_digest_stays_what_it_is() {
        let row = vec![
            Cell::Text("키".to_owned()),
            Cell::Id(uuid::Uuid::from_u128(1)),
            Cell::Integer(-1),
            Cell::Null,
        ];
        assert_eq!(
            of(&[row]),
            "a37849943069c703fdd40dec470faed19190e94e0c8b60edad59296325e493de"
        );
    }
}
