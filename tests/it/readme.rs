//! What the documents promise is what the program has.

use deepme::config::{Config, Model};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// `section.key` and its default as TOML.
fn keys() -> BTreeMap<String, String> {
    let mut sections = toml::Table::try_from(Config::default()).unwrap();
    sections.remove("models");
    let model = toml::Table::try_from(Model::default()).unwrap();
    sections.insert("models.NAME".to_owned(), model.into());
    let mut keys = BTreeMap::new();
    flatten(&sections, "", &mut keys);
    keys
}

fn flatten(table: &toml::Table, above: &str, keys: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value.as_table() {
            Some(inner) => flatten(inner, &format!("{above}{key}."), keys),
            None => {
                keys.insert(format!("{above}{key}"), value.to_string());
            }
        }
    }
}

#[test]
fn the_configuration_table_has_every_key_its_default_and_its_variable() {
    for readme in ["README.md", "README.ko.md"] {
        let readme_text = text(readme);
        let rows: Vec<Vec<&str>> = readme_text
            .lines()
            .filter(|line| line.contains("`DEEPME_") && line.starts_with("| `"))
            .map(|line| {
                line.split('|')
                    .map(|cell| cell.trim().trim_matches('`'))
                    .collect()
            })
            .collect();
        let mut told = BTreeMap::new();
        for row in rows {
            let variable = format!("DEEPME_{}", row[1].to_uppercase().replace('.', "__"));
            assert_eq!(row[3], variable, "{readme}");
            told.insert(row[1].to_owned(), row[2].to_owned());
        }
        assert_eq!(told, keys(), "{readme}");
    }
}

/// The words between backticks at the head of a list item.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let head = line
        .strip_prefix("- ")
        .and_then(|item| item.split_once(':'));
    head.into_iter()
        .flat_map(|(names, _)| names.split('`').skip(1).step_by(2))
}

#[test]
fn every_direct_dependency_is_accounted_for() {
    let manifest: toml::Table = toml::from_str(&text("Cargo.toml")).unwrap();
    let wanted: BTreeSet<&str> = ["dependencies", "dev-dependencies"]
        .into_iter()
        .flat_map(|table| manifest[table].as_table().unwrap().keys())
        .map(String::as_str)
        .collect();
    let document = text("docs/dependencies.md");
    let told: BTreeSet<&str> = document.lines().flat_map(named).collect();
    assert_eq!(told, wanted);
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for document in [
        "README.md",
        "README.ko.md",
        "CHANGELOG.md",
        "docs/protocol.md",
        "docs/operations.md",
        "docs/dependencies.md",
        "docs/security.md",
    ] {
        let body = text(document);
        for link in body
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap();
            if path.is_empty() || link.contains("://") {
                continue;
            }
            let directory = Path::new(document).parent().unwrap();
            let target = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(directory)
                .join(path);
            assert!(target.exists(), "{document}: {link}");
        }
    }
}

/// What the program says of its schema is shown as it is now.
#[test]
fn the_schema_in_the_examples_is_the_one_of_the_program() {
    let newest = deepme::store::SCHEMA_VERSION;
    let says = [
        ("(schema ", format!("(schema {newest})")),
        ("\"schema\":", format!("\"schema\":{newest}}}")),
        ("schema 0 -> ", format!("schema 0 -> {newest}")),
        (" is up to date", format!("schema {newest} is up to date")),
    ];
    let mut shown = [0; 4];
    for name in ["README.md", "README.ko.md", "docs/operations.md"] {
        for line in text(name).lines() {
            for (count, (begins, whole)) in shown.iter_mut().zip(&says) {
                if line.contains(begins) {
                    assert!(line.contains(whole), "{name}: {line}");
                    *count += 1;
                }
            }
        }
    }
    assert!(shown.iter().all(|count| *count > 0), "{shown:?}");
}
