//! `docs/faults.md` is the table: what it says is proved is a test that exists.

use std::collections::BTreeSet;
use std::path::Path;

/// Every test that is named after a row.
fn tests(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let names = text.split("fn fault_").skip(1);
            let names = names.filter_map(|rest| rest.split('(').next());
            found.extend(names.map(|name| format!("fault_{name}")));
        }
    }
}

#[test]
fn every_row_of_the_table_names_its_tests_and_every_test_its_row() {
    const ROWS: usize = 28;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let mut known = BTreeSet::new();
    tests(&root.join("tests/it"), &mut known);
    // This file speaks of them, too.
    known.retain(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    let mut named = BTreeSet::new();
    for row in 1..=ROWS {
        let begins = format!("| {row} |");
        let lines: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with(&begins))
            .collect();
        assert_eq!(lines.len(), 1, "row {row}");
        let its: Vec<&str> = lines[0]
            .split('`')
            .filter(|word| word.starts_with("fault_"))
            .collect();
        assert!(!its.is_empty(), "row {row}");
        for name in its {
            assert!(name.starts_with(&format!("fault_{row:02}_")), "{name}");
            named.insert(name.to_owned());
        }
    }
    assert_eq!(named, known);
}
