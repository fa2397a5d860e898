//! What of the documents is run, on a machine with two people on it, and why the rest is not.

use super::found::{SESSION, examples, in_blocks};
use super::shell::Call;
use crate::command_line::{Machine, Outcome, PASSWORD};
use std::collections::BTreeSet;
use std::path::Path;

/// What is done with a command.
enum How {
    /// It is run, and ends with 0.
    Run,
    /// It is run with these words behind it, which take the place of somebody at a terminal, and without these files.
    On(&'static [&'static str], &'static [&'static str]),
    /// It is run, and may end with 1: it judges the machine.
    Judges,
    /// It is only parsed.
    Parsed(&'static str),
}
use How::{Judges, On, Parsed, Run};

const DATABASE: &[&str] = &["data/deepme.db"];
const KEYS: &[&str] = &["data/token.key", "data/master.key"];

/// By how a command begins; the longest counts.
const TABLE: &[(&str, How)] = &[
    ("backup create", Run),
    ("backup restore", On(&["--yes"], DATABASE)),
    ("backup verify", Run),
    (
        "chat",
        Parsed("it asks at a terminal, or talks with a server at a fixed port"),
    ),
    ("chat --start", Run),
    ("completions", Run),
    ("config", Run),
    (
        "db copy",
        Parsed("it takes a PostgreSQL at a fixed address; command_line::moving"),
    ),
    ("doctor", Judges),
    ("keys", Run),
    ("keys init", On(&[], KEYS)),
    ("man", Run),
    ("migrate", Run),
    ("prompt", Run),
    ("safety", Run),
    (
        "serve",
        Parsed("it goes on until it is told to stop; command_line::serving"),
    ),
    ("session", Run),
    ("simulate", Run),
    (
        "top",
        Parsed("it reads a server that runs and tells figures; command_line::top"),
    ),
    ("user", Run),
    ("user add", On(&["--password-stdin"], DATABASE)),
    (
        "user add --name 지우 --email jiwoo@example.com --password-file",
        On(&[], DATABASE),
    ),
    ("user delete", On(&["--yes"], &[])),
];

/// What reaches for another machine is only parsed.
const ELSEWHERE: [&str; 3] = ["postgres://", "https://", "http://"];

fn row_of(call: &Call) -> Option<&'static (&'static str, How)> {
    let typed = call.args.join(" ");
    let begins = |name: &str| {
        let rest = typed.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let rows = TABLE.iter().filter(|(name, _)| begins(name));
    rows.max_by_key(|(name, _)| name.len())
}

fn is_elsewhere(call: &Call) -> bool {
    let values = call.env.iter().map(|(_, value)| value);
    let mut words = call.args.iter().chain(values);
    words.any(|word| ELSEWHERE.iter().any(|there| word.contains(there)))
}

/// A machine that has what the documents speak of.
struct Prepared {
    machine: Machine,
    session: String,
    backup: String,
}

fn prepared() -> Prepared {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    machine.add_user("yuna");
    let text = |name: &str| machine.path(name).to_str().unwrap().to_owned();
    machine.write("listener.md", "조용히 들어 주세요.");
    for n in 1..=4 {
        machine.write("ko.md", &format!("조용히 들어 주세요. {n}"));
        let file = text("ko.md");
        machine
            .run(&["prompt", "set", "ko", "--file", &file], "")
            .ok();
    }
    machine.write(
        "sentences.tsv",
        "lang\ttier\ttext\nko\tnone\t오늘은 좋았어\n",
    );
    machine.write("secret.txt", PASSWORD);
    private(&machine.path("secret.txt"));
    let personas = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/personas");
    std::fs::create_dir_all(machine.path("docs/personas")).unwrap();
    for name in ["tired-evening.ko.toml", "danger.ko.toml"] {
        let to = machine.path("docs/personas").join(name);
        std::fs::copy(personas.join(name), to).unwrap();
    }
    let talk = [
        "chat",
        "--start",
        "--email",
        "jiwoo@example.com",
        "--password-stdin",
    ];
    let once = ["--once", "요즘 기분이 별로야."];
    let env = [("DEEPME_SERVER__LISTEN", "127.0.0.1:0")];
    let said = machine
        .run_with(&[&talk[..], &once].concat(), PASSWORD, &env)
        .ok();
    let session = said.err.split("session ").nth(1).unwrap();
    let session = session.split_whitespace().next().unwrap().to_owned();
    let made = machine.run(&["backup", "create", "--json"], "").ok().json();
    let backup = made["file"].as_str().unwrap().to_owned();
    Prepared {
        machine,
        session,
        backup,
    }
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Prepared {
    /// Runs a command on a copy of the machine.
    fn run(&self, call: &Call, more: &[&str], without: &[&str]) -> Outcome {
        let machine = Machine::new();
        copy(&self.machine.path(""), &machine.path(""));
        for name in without {
            std::fs::remove_file(machine.path(name)).unwrap();
        }
        let below = |word: &String| match word.strip_prefix('/') {
            Some(path) => machine.path(path).to_str().unwrap().to_owned(),
            None if word.ends_with(".backup") => self.backup.clone(),
            None => word.replace(SESSION, &self.session),
        };
        let args: Vec<String> = call.args.iter().map(below).collect();
        let args: Vec<&str> = args
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        let mut env = vec![
            ("DEEPME_SERVER__LISTEN", "127.0.0.1:0"),
            ("EDITOR", "sed -i 1s/^/x/"),
        ];
        env.extend(
            call.env
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        machine.run_with(&args, PASSWORD, &env)
    }
}

#[test]
fn the_commands_in_the_documents_that_need_nothing_else_run() {
    let prepared = prepared();
    let (mut used, mut done, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut run = 0;
    for (place, call) in in_blocks().into_iter().chain(examples()) {
        let typed = format!("deepme {}", call.args.join(" "));
        let Some((name, how)) = row_of(&call) else {
            wrong.push(format!(
                "{place}: {typed}: say in the table what is done with it"
            ));
            continue;
        };
        used.insert(*name);
        if is_elsewhere(&call) || !done.insert(call.clone()) {
            continue;
        }
        let (more, without, codes): (&[&str], &[&str], &[i32]) = match how {
            Run => (&[], &[], &[0]),
            On(more, without) => (more, without, &[0]),
            Judges => (&[], &[], &[0, 1]),
            Parsed(why) => {
                assert!(!why.is_empty());
                continue;
            }
        };
        run += 1;
        let outcome = prepared.run(&call, more, without);
        if !codes.contains(&outcome.code) || outcome.err.contains("a defect at") {
            wrong.push(format!("{place}: {typed}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let rows: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(used, rows, "a row that nothing needs");
    assert!(run > 50, "{run}");
}
