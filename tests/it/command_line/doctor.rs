//! `deepme doctor`: the real facts of a machine, and of a server.

use super::{Machine, Outcome, PASSWORD};
use crate::cluster::cluster;
use crate::proxy::{Proxy, Way};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

fn found(outcome: &Outcome, check: &str) -> Vec<(String, String)> {
    let report = outcome.json();
    let all = report["findings"].as_array().unwrap();
    all.iter()
        .filter(|one| one["check"] == check)
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            (
                text("severity"),
                format!("{} {}", text("says"), text("fix")),
            )
        })
        .collect()
}

#[test]
fn a_machine_is_looked_at_and_nothing_is_changed() {
    let machine = Machine::new();
    let first = machine.run(&["doctor"], "").ok();
    assert!(
        first.out.contains("there is none at data/deepme.db yet"),
        "{first:?}"
    );
    assert_eq!(std::fs::read_dir(machine.path(".")).unwrap().count(), 0);

    machine.add_user("jiwoo");
    machine.run(&["backup", "create"], "").ok();
    let well = machine.run(&["doctor", "--models", "--json"], "").ok();
    for (check, says) in [
        ("database", "the file is whole"),
        ("schema", "is up to date"),
        ("backup", "0 hours old"),
        ("model", "began to answer"),
    ] {
        let found = found(&well, check);
        assert!(
            found
                .iter()
                .any(|(severity, text)| severity == "ok" && text.contains(says)),
            "{check}: {found:?}"
        );
    }
    let key = machine.path("data/master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = machine.run(&["doctor", "--json"], "");
    assert_eq!(open.code, 1);
    assert_eq!(found(&open, "files")[0].0, "fail");
    assert!(
        found(&open, "files")[0]
            .1
            .contains("chmod 600 data/master.key")
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::remove_file(machine.path("backups/deepme.keyring")).unwrap();
    let lost = machine.run(&["doctor", "--json"], "");
    assert_eq!(found(&lost, "backup")[0].0, "fail");
    let wrong = machine.run_with(&["doctor"], "", &[("DEEPME_LLM__TRIES", "0")]);
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.out.contains("llm.tries") && wrong.out.contains("deepme config check"),
        "{wrong:?}"
    );
}

#[test]
fn a_file_that_is_damaged_and_keys_that_are_lost_are_told() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let args = [
        "chat",
        "--server",
        &server.url(),
        "--email",
        "jiwoo@example.com",
    ];
    machine
        .run(
            &[&args[..], &["--password-stdin", "--once", "안녕"]].concat(),
            PASSWORD,
        )
        .ok();
    assert_eq!(server.stop().code, 0);
    let well = machine.run(&["doctor", "--json"], "").ok();
    assert_eq!(found(&well, "keys")[0].0, "ok");
    std::fs::rename(machine.path("data/master.key"), machine.path("aside")).unwrap();
    let lost = machine.run(&["doctor", "--json"], "");
    assert_eq!(lost.code, 1);
    assert!(
        found(&lost, "keys")[0]
            .1
            .contains("the master key is missing at data/master.key")
    );
    assert!(!machine.path("data/master.key").exists(), "none is made");
    std::fs::rename(machine.path("aside"), machine.path("data/master.key")).unwrap();

    let file = machine.path("data/deepme.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let pages = bytes.len() / 4096;
    for page in 2..pages {
        bytes[page * 4096..page * 4096 + 64].fill(0xa5);
    }
    std::fs::write(&file, bytes).unwrap();
    let damaged = machine.run(&["doctor", "--json"], "");
    assert_eq!(damaged.code, 1);
    let found = found(&damaged, "database");
    assert!(
        found[0].0 == "fail" && found[0].1.contains("backup restore"),
        "{found:?}"
    );
}

#[test]
fn a_server_is_looked_at_from_outside_without_a_login_and_with_one() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let url = server.url();
    let looked = machine.run(&["doctor", "--json", "--url", &url], "").ok();
    for (check, says) in [
        ("health", "/health is well"),
        ("clock", "the clock of the server is that of this machine"),
        ("tls", "not needed"),
        ("websocket", "the handshake gets through"),
        ("origin", "the server's own page is let in"),
        ("streaming", "--email holds a turn"),
    ] {
        let found = found(&looked, check);
        assert!(
            found
                .iter()
                .any(|(severity, text)| severity == "ok" && text.contains(says)),
            "{check}: {found:?}"
        );
    }
    let args = [
        "doctor",
        "--json",
        "--url",
        &url,
        "--email",
        "jiwoo@example.com",
        "--password-stdin",
    ];
    let talked = machine.run(&args, PASSWORD).ok();
    assert!(
        found(&talked, "hangul")[0]
            .1
            .contains("arrive as they were sent")
    );
    assert!(found(&talked, "streaming")[0].1.contains("pieces"));
    let wrong = machine.run(&args, "another password");
    assert_eq!(found(&wrong, "turn")[0].0, "warn");
    assert_eq!(server.stop().code, 0);
    let gone = machine.run(&["doctor", "--json", "--url", &url], "");
    assert_eq!(gone.code, 1);
    assert!(found(&gone, "health")[0].1.contains("does not answer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_holds_answers_back_is_told_from_one_that_does_not() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let address = server.url().trim_start_matches("http://").parse();
    let proxy = Proxy::to(address.unwrap()).await;
    let looked = || {
        let url = format!("http://{}", proxy.address);
        let args = ["doctor", "--json", "--url", &url, "--password-stdin"];
        let args = [&args[..], &["--email", "jiwoo@example.com"]].concat();
        let outcome = machine.run(&args, PASSWORD).ok();
        found(&outcome, "streaming").remove(0)
    };
    let (severity, says) = looked();
    assert_eq!(severity, "ok", "{says}");
    // Far longer than the built-in listener pauses between two words.
    proxy.down(Way::Held(Duration::from_millis(700)));
    let (severity, says) = looked();
    assert_eq!(severity, "warn", "{says}");
    assert!(
        says.contains("something holds them back until the end"),
        "{says}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_on_a_server_is_looked_at() {
    let machine = Machine::new();
    let url = cluster().database().await;
    let env = [("DEEPME_DATABASE__URL", &*url)];
    let empty = machine.run_with(&["doctor", "--json"], "", &env);
    assert_eq!(empty.code, 1);
    assert!(found(&empty, "schema")[0].1.contains("deepme migrate up"));
    machine.run_with(&["migrate", "up"], "", &env).ok();
    let well = machine.run_with(&["doctor", "--json"], "", &env).ok();
    assert_eq!(found(&well, "database")[0].0, "ok");
    assert!(
        found(&well, "clock")
            .iter()
            .any(|(severity, text)| severity == "ok" && text.contains("database"))
    );
    let nowhere = [("DEEPME_DATABASE__URL", "postgres://x@127.0.0.1:1/x")];
    let closed = machine.run_with(&["doctor", "--json"], "", &nowhere);
    assert_eq!(
        (closed.code, &*found(&closed, "database")[0].0),
        (1, "fail")
    );
}
