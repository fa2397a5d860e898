//! `deepme session`, `user export` and `user delete`.

use super::{Machine, PASSWORD};
use serde_json::Value;

/// Somebody who has said something at a server; their id, their token and the session.
fn talked(machine: &Machine) -> (Value, String) {
    let user = machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let url = format!("http://{}", server.address);
    let args = [
        "chat",
        "--server",
        &url,
        "--email",
        "jiwoo@example.com",
        "--password-stdin",
        "--once",
        "오늘은 \u{1b}[31m좀 힘들었어",
    ];
    machine.run(&args, PASSWORD).ok();
    assert_eq!(server.stop().code, 0);
    let listed = machine.run(&["session", "list", "jiwoo@example.com", "--json"], "");
    let listed = listed.ok().json();
    let session = listed[0]["session_id"].as_str().unwrap().to_owned();
    (user, session)
}

#[test]
fn a_session_is_read_for_a_reason_that_is_noted() {
    let machine = Machine::new();
    let (_, session) = talked(&machine);
    let listed = machine
        .run(&["session", "list", "jiwoo@example.com"], "")
        .ok();
    assert!(
        listed.out.starts_with(&session) && !listed.out.contains("힘들"),
        "{listed:?}"
    );
    machine
        .run(&["session", "read", &session], "")
        .failed(2, "--reason");
    let short = ["session", "read", &session, "--reason", "x"];
    machine.run(&short, "").failed(2, "must say why");
    let reason = "본인의 문의, 12번";
    let env = [("SUDO_USER", "yuna"), ("USER", "root")];
    let args = ["session", "read", &session, "--reason", reason];
    let read = machine.run_with(&args, "", &env).ok();
    assert!(read.out.contains("> 오늘은 [31m좀 힘들었어\n"), "{read:?}");
    assert!(
        read.err.contains("yuna") && read.err.contains(reason),
        "{read:?}"
    );
    let json = machine.run(
        &["session", "read", &session, "--reason", reason, "--json"],
        "",
    );
    let json = json.ok().json();
    assert_eq!(json["steps"][0]["step_order"], 1);
    assert_eq!(json["session"]["session_id"], session.as_str());
    let nobody = uuid::Uuid::now_v7().to_string();
    let args = ["session", "read", &nobody, "--reason", reason];
    machine.run(&args, "").failed(1, "session");
    // What a command read, the person sees.
    let export = ["user", "export", "jiwoo@example.com", "--reason", reason];
    let export = machine.run(&export, "").ok().json();
    let told: Vec<&str> = export["data"]["accesses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|access| access["by"].as_str().unwrap())
        .collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], "yuna");
    assert_eq!(export["data"]["accesses"][0]["session_id"], Value::Null);
}

#[test]
fn an_export_is_written_where_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = Machine::new();
    talked(&machine);
    let args = [
        "user",
        "export",
        "jiwoo@example.com",
        "--reason",
        "본인의 문의, 12번",
        "--output",
        "jiwoo.json",
    ];
    let written = machine.run(&args, "").ok();
    assert_eq!(written.out, "");
    let path = machine.path("jiwoo.json");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(document["counts"]["steps"], 1);
    // Nothing is overwritten.
    machine.run(&args, "").failed(2, "jiwoo.json");
}

#[test]
fn an_account_is_erased_only_when_asked_twice() {
    let machine = Machine::new();
    let (user, _) = talked(&machine);
    let args = ["user", "delete", "jiwoo@example.com"];
    machine.run(&args, "").failed(2, "--yes");
    machine.run(&["user", "show", "jiwoo@example.com"], "").ok();
    let args = ["user", "delete", "jiwoo@example.com", "--yes", "--json"];
    let receipt = machine.run(&args, "").ok().json();
    assert_eq!(receipt["user_id"], user["user_id"]);
    assert_eq!(receipt["erased"]["steps"], 1);
    assert_eq!(receipt["key_destroyed"], true);
    machine.run(&args, "").failed(1, "user");
    let list = machine.run(&["user", "list"], "").ok();
    assert_eq!(list.out, "");
}

/// Security 25: what people say does not travel in the clear.
#[test]
fn security_25_an_address_that_others_reach_needs_a_proxy_that_ends_tls() {
    let machine = Machine::new();
    for public in [
        "0.0.0.0:0",
        "[::]:0",
        "192.0.2.1:8000",
        "[::ffff:192.0.2.1]:8000",
    ] {
        let args = ["serve", "--listen", public];
        machine.run(&args, "").failed(2, "server.behind_tls");
    }
    // With it the next thing is what is wrong.
    let env = [
        ("DEEPME_SERVER__BEHIND_TLS", "true"),
        ("DEEPME_DATABASE__URL", "mysql://x"),
    ];
    let args = ["serve", "--listen", "0.0.0.0:0"];
    machine.run_with(&args, "", &env).failed(2, "database.url");
}

/// Security 24: what is in memory is written nowhere when the process dies.
#[test]
fn security_24_a_process_that_dies_leaves_no_core() {
    let machine = Machine::new();
    let server = machine.serve(&[], &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let numbers: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    server.signal("-ABRT");
    assert_ne!(server.ended().code, 0);
    let left = std::fs::read_dir(machine.path(".")).unwrap();
    for file in left {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with("core"), "{name}");
    }
}
