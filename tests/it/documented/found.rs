//! The commands in the documents, and where they stand.

use super::shell::{Call, read};
use std::path::Path;

/// File and line.
pub type Found<T> = Vec<(String, T)>;

/// What stands for a session in the documents.
pub const SESSION: &str = "0193a7c0-0000-7000-8000-000000000000";

fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = vec!["README.md".to_owned(), "README.ko.md".to_owned()];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "md") {
            let name = path.file_name().unwrap().to_str().unwrap();
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    let text = |name: &String| std::fs::read_to_string(root.join(name)).unwrap();
    names
        .iter()
        .map(|name| (name.clone(), text(name)))
        .collect()
}

/// A line, and those that continue it.
fn joined<'a>(first: &str, more: &mut impl Iterator<Item = (usize, &'a str)>) -> String {
    let mut line = first.to_owned();
    while let Some(before) = line.strip_suffix('\\') {
        let next = more.next().map_or("", |(_, next)| next.trim());
        line = format!("{} {next}", before.trim_end());
    }
    line
}

/// The commands in blocks of `console`, behind a prompt, and of `sh`.
pub fn in_blocks() -> Found<Call> {
    let mut found = Vec::new();
    for (name, text) in documents() {
        let mut lines = (1..).zip(text.lines());
        let mut block = None;
        let mut exported = Vec::new();
        while let Some((number, line)) = lines.next() {
            let trimmed = line.trim_start();
            if let Some(kind) = trimmed.strip_prefix("```") {
                block = block.is_none().then(|| kind.trim().to_owned());
                exported.clear();
                continue;
            }
            let typed = match block.as_deref() {
                Some("console") => ["$ ", "# "]
                    .iter()
                    .find_map(|prompt| trimmed.strip_prefix(prompt)),
                Some("sh" | "bash" | "shell") => Some(trimmed),
                _ => None,
            };
            let Some(typed) = typed else { continue };
            let typed = joined(typed, &mut lines);
            if let Some((_, end)) = typed.split_once("<<'") {
                let end = end.split('\'').next().unwrap_or_default();
                lines.by_ref().find(|(_, line)| line.trim() == end);
            }
            for mut call in read(&typed, &mut exported) {
                for arg in &mut call.args {
                    *arg = arg.replace("$SESSION", SESSION);
                }
                found.push((format!("{name}:{number}"), call));
            }
        }
    }
    found
}

/// The words after `deepme` in what stands between backticks outside of blocks.
pub fn in_prose() -> Found<Vec<String>> {
    let mut found = Vec::new();
    for (name, text) in documents() {
        let mut block = false;
        let mut prose = String::new();
        for line in text.lines() {
            let fence = line.trim_start().starts_with("```");
            block ^= fence;
            prose.push_str(if block || fence { "" } else { line });
            prose.push('\n');
        }
        let mut number = 1;
        for (n, span) in prose.split('`').enumerate() {
            let words: Vec<&str> = span.split_whitespace().collect();
            let begins = words.iter().position(|word| *word == "deepme");
            if n % 2 == 1
                && let Some(begins) = begins
                && words.len() > begins + 1
                && words[..begins]
                    .iter()
                    .all(|word| word.contains('=') || *word == "sudo")
            {
                let args = words[begins + 1..].iter().map(|word| (*word).to_owned());
                found.push((format!("{name}:{number}"), args.collect()));
            }
            number += span.matches('\n').count();
        }
    }
    found
}

/// The examples of every help, which the manual pages have, too.
pub fn examples() -> Found<Call> {
    fn collect(command: &clap::Command, called: &str, found: &mut Found<Call>) {
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.unwrap_or_default();
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
        let examples = examples.lines().take_while(|line| !line.is_empty());
        let mut lines = (1..).zip(examples);
        while let Some((_, line)) = lines.next() {
            let line = joined(line.trim(), &mut lines);
            // What it is for stands behind it, apart.
            let typed = line.split("  ").next().unwrap_or_default();
            let calls = read(typed, &mut Vec::new());
            assert_eq!(calls.len(), 1, "{called} --help: {line}");
            for call in calls {
                if !found.iter().any(|(_, other)| *other == call) {
                    found.push((format!("{called} --help"), call));
                }
            }
        }
        for sub in command.get_subcommands() {
            collect(sub, &format!("{called} {}", sub.get_name()), found);
        }
    }
    let mut found = Vec::new();
    collect(&deepme::cli::command(), "deepme", &mut found);
    found
}
