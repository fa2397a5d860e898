//! The house keeps to its floors: the table of `src/lib.rs`, enforced.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Longest file, without its tests.
const LONGEST: usize = 450;
/// Files that are longer than that for now. A line goes when its file has shrunk.
const STILL_TOO_LONG: &[&str] = &[];

/// Which floor a module is on, and what it forms a unit with: siblings on a floor are strangers.
fn place(path: &[String]) -> Option<(u8, &'static str)> {
    let inner = |module: &str| {
        let name = path.get(1).map(String::as_str).unwrap_or_default();
        let base = root().join("src").join(module).join(name);
        !name.is_empty() && (base.is_dir() || base.with_extension("rs").is_file())
    };
    Some(match path.first()?.as_str() {
        "domain" => (0, "domain"),
        "linear" => (0, "linear"),
        "wire" => (1, "wire"),
        "config" => (1, "config"),
        "store" if inner("store") => (2, "a store"),
        "store" => (1, "store"),
        "llm" if inner("llm") => (2, "the models"),
        "llm" => (1, "llm"),
        "auth" => (2, "auth"),
        "safety" => (2, "safety"),
        "insight" => (2, "insight"),
        "webhook" => (2, "webhook"),
        "client" => (2, "client"),
        "service" => (3, "service"),
        "http" => (4, "http"),
        "tui" => (4, "tui"),
        "cli" => (5, "cli"),
        _ => return None,
    })
}

/// What two modules may import beyond the rule of the floors, which is less.
fn only(unit: &str) -> Option<&'static [&'static str]> {
    match unit {
        "tui" => Some(&["client", "wire", "domain"]),
        "client" => Some(&["wire", "domain"]),
        _ => None,
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under `directory`, by its path from the root.
fn sources(directory: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(directory), &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The code without its tests and comments.
fn code(text: &str) -> String {
    let text = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let mut code = String::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        let line = line.split(" // ").next().unwrap_or_default();
        let _ = writeln!(code, "{line}");
    }
    code
}

/// The module that a file is: `src/http/mod.rs` and `src/http.rs` are both `http`.
fn module(file: &str) -> Vec<String> {
    let name = file
        .strip_prefix("src/")
        .unwrap()
        .strip_suffix(".rs")
        .unwrap();
    let mut path: Vec<String> = name.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// Every path that `tree` names: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<Vec<String>> {
    fn parse(rest: &mut &str, before: &[String], found: &mut Vec<Vec<String>>) {
        let mut path = before.to_vec();
        loop {
            *rest = rest.trim_start();
            if let Some(inside) = rest.strip_prefix('{') {
                *rest = inside;
                loop {
                    parse(rest, &path, found);
                    *rest = rest.trim_start();
                    match rest.strip_prefix(',') {
                        Some(more) if !more.trim_start().starts_with('}') => *rest = more,
                        _ => break,
                    }
                }
                let end = rest.find('}').map_or(rest.len(), |end| end + 1);
                *rest = &rest[end..];
                return;
            }
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            if end > 0 {
                path.push(rest[..end].to_owned());
                *rest = &rest[end..];
            }
            match rest.strip_prefix("::") {
                Some(more) if end > 0 => *rest = more,
                _ => break,
            }
        }
        found.push(path);
    }
    let mut found = Vec::new();
    parse(&mut &*tree, &[], &mut found);
    found
}

/// Every module path inside the crate that a file names, from the crate's root.
fn imports(file: &str, text: &str) -> BTreeSet<Vec<String>> {
    let code = code(text);
    let own = module(file);
    let mut named = BTreeSet::new();
    for (start, keyword) in ["crate::", "super::"]
        .iter()
        .flat_map(|keyword| code.match_indices(keyword))
    {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let mut rest = &code[start + keyword.len()..];
        let mut base: &[String] = &[];
        if keyword == "super::" {
            base = &own[..own.len().saturating_sub(1)];
            while let Some(further) = rest.strip_prefix("super::") {
                rest = further;
                base = &base[..base.len().saturating_sub(1)];
            }
        }
        for path in paths(rest) {
            named.insert([base, &path].concat());
        }
    }
    named
}

#[test]
fn use_trees_are_read() {
    let list = |tree: &str| {
        let paths = paths(tree).into_iter().map(|path| path.join("::"));
        paths.collect::<Vec<_>>()
    };
    assert_eq!(list("a::b;"), ["a::b"]);
    assert_eq!(
        list("a::{self, b::{c, d}, e as f,\n};"),
        ["a::self", "a::b::c", "a::b::d", "a::e"]
    );
    assert_eq!(list("{a::b, c::*};"), ["a::b", "c"]);
    assert_eq!(list("domain::Result<Say>"), ["domain::Result"]);
    let text = "use super::super::wire::Frame;\nuse super::x;\nfn f() { crate::cli::g() }\n// crate::http\n#[cfg(test)]\nmod tests { use crate::tui; }";
    let named: Vec<String> = imports("src/service/turn/run.rs", text)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        named,
        ["cli::g", "service::turn::x", "service::wire::Frame"]
    );
}

#[test]
fn a_file_imports_only_from_floors_below_its_own() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (file, text) in sources("src") {
        let own = module(&file);
        if own == ["lib"] || own == ["main"] {
            continue;
        }
        let (floor, unit) = place(&own).unwrap_or_else(|| panic!("{file} is on no floor"));
        for path in imports(&file, &text) {
            let Some((other_floor, other)) = place(&path) else {
                continue;
            };
            checked += 1;
            let allowed = match only(unit) {
                Some(few) => other == unit || few.contains(&other),
                None => other == unit || other_floor < floor,
            };
            if !allowed {
                wrong.push(format!(
                    "{file} ({unit}) names {} ({other})",
                    path.join("::")
                ));
            }
        }
    }
    assert!(checked > 200, "only {checked} imports were seen");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_of_the_crate_names_every_module() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows: Vec<&str> = lib
        .lines()
        .filter(|line| line.starts_with("//! | "))
        .collect();
    for line in lib.lines() {
        let Some(module) = line.strip_prefix("pub mod ") else {
            continue;
        };
        let module = module.trim_end_matches(';');
        let (floor, _) = place(&[module.to_owned()]).unwrap_or_else(|| panic!("{module}"));
        let row = rows
            .iter()
            .find(|row| row.starts_with(&format!("//! | {floor} |")));
        assert!(
            row.is_some_and(|row| row.contains(&format!("[`{module}`]"))),
            "{module} is not on floor {floor} of the table"
        );
    }
}

#[test]
fn sql_stands_only_under_the_store() {
    const WORDS: [&str; 12] = [
        "SELECT ",
        "INSERT INTO ",
        "UPDATE SET ",
        "DELETE FROM ",
        "CREATE TABLE",
        "CREATE INDEX",
        "ALTER TABLE",
        "DROP TABLE",
        "PRAGMA",
        "BEGIN IMMEDIATE",
        "ON CONFLICT",
        "VACUUM",
    ];
    const CRATES: [&str; 3] = ["rusqlite", "tokio_postgres", "deadpool_postgres"];
    let mut in_store = 0;
    for (file, text) in sources("src") {
        let code = code(&text);
        let found = WORDS
            .iter()
            .chain(&CRATES)
            .find(|word| code.contains(**word));
        if file.starts_with("src/store/") {
            in_store += usize::from(found.is_some());
        } else {
            assert_eq!(found, None, "{file}");
        }
    }
    assert!(in_store >= 5, "the words are those of SQL");
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut too_long = Vec::new();
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        assert!(
            text.starts_with("//! "),
            "{file} does not begin with what it is"
        );
        let lines = text
            .split("\n#[cfg(test)]\nmod ")
            .next()
            .unwrap_or_default();
        if lines.lines().count() > LONGEST {
            too_long.push(file);
        }
    }
    too_long.retain(|file| !file.ends_with("/tests.rs"));
    assert_eq!(too_long, STILL_TOO_LONG);
}

/// The cause of an error is for the log, and `#[expect]` beats `#[allow]`: it says when it is no
/// longer needed. The lints say so, unless somebody switches them off for a file.
#[test]
fn no_lint_is_switched_off_for_a_file_of_the_program() {
    for (file, text) in sources("src") {
        assert!(
            !text.contains("#![allow") && !text.contains("#[allow"),
            "{file}"
        );
        let code = code(&text);
        for lint in [
            "unwrap_used",
            "expect_used",
            "clippy::panic",
            "print_stdout",
            "print_stderr",
        ] {
            assert!(!code.contains(lint), "{file}: {lint}");
        }
    }
}

/// The methods of the store that carry words; the vault has one for each.
const WITH_WORDS: &[&str] = &[
    "add_session",
    "session",
    "sessions",
    "end_session",
    "begin_step",
    "checkpoint_step",
    "finish_step",
    "correct_step",
    "marks",
    "marks_between",
    "card",
    "put_card",
    "step",
    "find_step",
    "steps",
    "briefing",
    "fold",
    "add_prompt",
    "prompt",
    "prompt_history",
    "add_access",
    "accesses",
];

#[test]
fn no_word_goes_past_the_vault() {
    let mut past = Vec::new();
    let mut through = BTreeSet::new();
    for (file, text) in sources("src/service") {
        let code: String = code(&text).split_whitespace().collect();
        for method in WITH_WORDS {
            let call = format!(".store.{method}(");
            if !code.contains(&call) {
                continue;
            }
            if file.starts_with("src/service/vault/") {
                through.insert(*method);
            } else {
                past.push(format!("{file}: {call}"));
            }
        }
    }
    assert!(past.is_empty(), "{past:#?}");
    assert_eq!(through.len(), WITH_WORDS.len(), "{through:?}");
}
