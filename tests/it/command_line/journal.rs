//! `log.format = "journald"`: with a journal that listens, and without one.

use super::Machine;
use crate::raw::Ask;
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where every program looks for the journal.
const SOCKET: &str = "/run/systemd/journal/socket";
const JOURNALD: (&str, &str) = ("DEEPME_LOG__FORMAT", "journald");

/// Begins a program in a world of its own, in which `$1` is `/run`.
const WORLD: [&str; 8] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-ec",
    "mount --bind \"$1\" /run; shift; exec \"$@\"",
    "sh",
];

/// Whether this machine lets us make one.
fn worlds() -> bool {
    let mut command = Command::new("unshare");
    let args = ["--user", "--map-root-user", "--mount", "true"];
    let silent = command.args(args).stderr(Stdio::null()).status();
    silent.is_ok_and(|status| status.success())
}

/// The fields of an entry, in the journal's own form: `NAME=value` lines, or a name, a length and bytes.
fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|b| *b == b'\n') {
        let line = String::from_utf8(entry[..end].to_vec()).unwrap();
        entry = &entry[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            fields.insert(name.to_owned(), value.to_owned());
            continue;
        }
        let (length, rest) = entry.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap());
        let (value, rest) = rest.split_at(usize::try_from(length).unwrap());
        fields.insert(line, String::from_utf8(value.to_vec()).unwrap());
        entry = &rest[1..];
    }
    fields
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_gets_fields_and_no_words() {
    if !worlds() {
        // Where no namespace may be made, the other test is what there is.
        return;
    }
    let machine = Machine::new();
    let run = machine.path("run");
    let socket = run.join(Path::new(SOCKET).strip_prefix("/run").unwrap());
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let journal = UnixDatagram::bind(&socket).unwrap();
    let patience = Some(Duration::from_secs(20));
    journal.set_read_timeout(patience).unwrap();
    let (told, entries) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 18];
        while let Ok(size) = journal.recv(&mut bytes) {
            if told.send(fields(&bytes[..size])).is_err() {
                return;
            }
        }
    });
    let world = [&WORLD[..], &[run.to_str().unwrap()]].concat();
    let env = [JOURNALD, ("DEEPME_LOG__LEVEL", "trace")];
    let server = machine.serve_under(&world, &[], &env);
    let account = r#"{"name":"canary name","email":"canary@example.com","password":"canary secret nest under the roof"}"#;
    let ask = |path: &'static str| Ask::new("POST", path);
    ask("/register").json(account).send_to(server.address).await;
    let login = ask("/login").json(account).send_to(server.address).await;
    let login: serde_json::Value = serde_json::from_slice(&login.body).unwrap();
    let token = login["access_token"].as_str().unwrap().to_owned();
    let words = r#"{"user_input":"canary words"}"#;
    let generating = ask("/emotion/steps/generate").bearer(&token).json(words);
    let said = generating.send_to(server.address).await;
    assert_eq!(said.status, 200);
    let said: serde_json::Value = serde_json::from_slice(&said.body).unwrap();
    let answer = said["gpt_response"].as_str().unwrap();
    let stopped = server.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    // The greeting and the last line are for whoever started it, log lines are not among them.
    assert!(stopped.err.contains("deepme has stopped"), "{stopped:?}");
    for line in ["TRACE", "turn ended", "journald"] {
        assert!(!stopped.err.contains(line), "{stopped:?}");
    }
    // What was sent before this arrives before it.
    let last = UnixDatagram::unbound().unwrap();
    last.send_to(b"LAST=1\n", &socket).unwrap();
    // The first one has nothing in it: whether somebody listens.
    let entries: Vec<_> = std::iter::from_fn(|| entries.recv().ok())
        .take_while(|entry| !entry.contains_key("LAST"))
        .filter(|entry| !entry.is_empty())
        .collect();
    let of = |message: &str| {
        let mut found = entries
            .iter()
            .filter(|entry| entry.get("MESSAGE").is_some_and(|text| text == message));
        found
            .next()
            .unwrap_or_else(|| panic!("{message:?} is not in {entries:#?}"))
    };
    let turn = of("turn ended");
    assert_eq!(turn["PRIORITY"], "6");
    assert_eq!(turn["SYSLOG_IDENTIFIER"], "deepme");
    assert!(turn["TARGET"].starts_with("deepme::"), "{turn:?}");
    assert_eq!(turn["DEEPME_STEP_ID"], said["step_id"].as_str().unwrap());
    let request = of("request");
    assert!(request.contains_key("DEEPME_STATUS"), "{request:?}");
    assert!(
        entries.iter().any(|entry| entry["PRIORITY"] == "7"),
        "trace is on"
    );
    for secret in ["canary", token.as_str(), answer] {
        let found = entries.iter().find(|entry| {
            entry
                .iter()
                .any(|(name, value)| name.contains(secret) || value.contains(secret))
        });
        assert_eq!(found, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_journal_lines_go_to_stderr_and_it_is_said() {
    let machine = Machine::new();
    // A machine with a journal is made one without.
    let empty = machine.path("run");
    std::fs::create_dir(&empty).unwrap();
    let world = [&WORLD[..], &[empty.to_str().unwrap()]].concat();
    let world: &[&str] = match Path::new(SOCKET).exists() {
        true if !worlds() => return,
        true => &world,
        false => &[],
    };
    let server = machine.serve_under(world, &[], &[JOURNALD]);
    let stopped = server.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let mut lines = stopped.err.lines();
    let first = lines.next().unwrap();
    assert!(
        first.contains("journal") && first.contains("stderr"),
        "{first}"
    );
    assert!(
        lines.any(|line| line.contains("INFO") && line.contains("draining")),
        "{stopped:?}"
    );

    machine.write("config.toml", "[log]\nformat = \"journal\"\n");
    machine.run(&["config", "check"], "").failed(2, "journald");
}
