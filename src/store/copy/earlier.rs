//! What the tables were at earlier schema versions of which there are backups.
//!
//! Owns [`at`]. Called by whoever reads a backup and by the backends that are filled with one. Invariant: for each
//! version from [`OLDEST`] on it tells what the migrations up to it make; a test compares the two in both backends.
//! Whoever writes a migration that adds a table names it in `CAME`; who changes a table puts what it was into `WAS`.

use super::tables::{Column, STEPS, TABLES, Table};

/// The schema version of the first program that made backups.
pub const OLDEST: i64 = 6;

/// Tables that were not there at [`OLDEST`], and the version that they came with.
const CAME: &[(&str, i64)] = &[("cards", 7)];

/// Tables that a migration changed, and the last version at which they were so.
const WAS: &[(i64, Table)] = &[(
    6,
    Table {
        name: "steps",
        key: 1,
        columns: first(16, STEPS),
    },
)];

const fn first(count: usize, columns: &'static [Column]) -> &'static [Column] {
    columns.split_at(count).0
}

/// The tables of a schema version, in an order in which they can be filled.
pub fn at(schema: i64) -> Vec<&'static Table> {
    let came_later = |table: &&'static Table| {
        let mut came = CAME.iter();
        came.any(|(name, with)| *name == table.name && *with > schema)
    };
    let as_it_was = |table: &'static Table| {
        let was = WAS
            .iter()
            .filter(|(until, was)| was.name == table.name && *until >= schema);
        was.min_by_key(|(until, _)| *until)
            .map_or(table, |(_, was)| was)
    };
    let there = TABLES.iter().filter(|table| !came_later(table));
    there.map(as_it_was).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SCHEMA_VERSION;

    #[test]
    fn today_is_what_the_list_says() {
        let today: Vec<&Table> = TABLES.iter().collect();
        assert_eq!(at(SCHEMA_VERSION), today);
    }

    #[test]
    fn a_table_is_what_it_was_and_one_that_came_later_is_not_there() {
        let six = at(6);
        assert!(six.iter().all(|table| table.name != "cards"));
        let steps = six.iter().find(|table| table.name == "steps").unwrap();
        assert_eq!(steps.columns.last().unwrap().name, "input_tokens");
        assert_eq!(six.len(), TABLES.len() - 1);
    }
}
