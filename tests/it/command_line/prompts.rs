//! `deepme prompt`, alone and beside a running server.

use super::{Machine, PASSWORD};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn prompts_are_listed_changed_and_rolled_back() {
    let machine = Machine::new();
    let list = machine.run(&["prompt", "list", "--json"], "").ok().json();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ko", "en"]);
    assert!(list.as_array().unwrap().iter().all(|p| p["version"] == 0));
    let own = machine.run(&["prompt", "show", "ko"], "").ok();
    assert!(own.out.contains("노아"));

    let saved = machine.run(&["prompt", "set", "ko"], "첫째 판 👩‍👩‍👧\n").ok();
    assert!(saved.out.contains("ko@1"), "{saved:?}");
    let file = machine.write("prompt.md", "둘째 판");
    let saved = machine
        .run(
            &["prompt", "set", "ko", "--file", file.to_str().unwrap()],
            "",
        )
        .ok();
    assert!(saved.out.contains("ko@2"));
    assert_eq!(
        machine.run(&["prompt", "show", "ko"], "").ok().out,
        "둘째 판\n"
    );
    let first = machine.run(&["prompt", "show", "ko", "--at", "1"], "").ok();
    assert_eq!(first.out, "첫째 판 👩‍👩‍👧\n");
    let zero = machine.run(&["prompt", "show", "ko", "--at", "0"], "").ok();
    assert_eq!(zero.out, own.out);
    machine
        .run(&["prompt", "show", "ko", "--at", "9"], "")
        .failed(1, "no such prompt");

    let ab = [
        ("DEEPME_PROMPTS__AB__KO__VERSION", "1"),
        ("DEEPME_PROMPTS__AB__KO__PERCENT", "80"),
    ];
    let list = machine.run_with(&["prompt", "list"], "", &ab).ok();
    let told = "80 of 100 people are told ko@1 instead (prompts.ab.ko)";
    assert!(list.out.contains(told), "{list:?}");
    let list = machine
        .run_with(&["prompt", "list", "--json"], "", &ab)
        .ok();
    let list = list.json();
    let ko = list.as_array().unwrap().iter().find(|p| p["name"] == "ko");
    assert_eq!(ko.unwrap()["ab"]["percent"], 80);
    let none = machine.run(&["prompt", "results"], "").ok();
    assert_eq!(none.out, "no turns in 30 days\n");

    let back = machine.run(&["prompt", "rollback", "ko", "1"], "").ok();
    assert!(back.out.contains("ko@3"));
    machine.run(&["prompt", "rollback", "ko", "0"], "").ok();
    let history = machine
        .run(&["prompt", "history", "ko", "--json"], "")
        .ok()
        .json();
    let versions: Vec<i64> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["version"].as_i64().unwrap())
        .collect();
    assert_eq!(versions, [4, 3, 2, 1, 0]);
    assert_eq!(history[1]["prompt"], history[3]["prompt"]);
    machine
        .run(&["prompt", "rollback", "ko", "9"], "")
        .failed(1, "no such prompt");
    machine
        .run(&["prompt", "set", "ko"], " \n")
        .failed(1, "prompt");
    machine
        .run(&["prompt", "set", "ko"], &"가".repeat(20_000))
        .failed(1, "prompt");
    let list = machine.run(&["prompt", "list"], "").ok();
    assert!(
        list.out.contains("ko@4") && list.out.contains("en@0"),
        "{list:?}"
    );

    // A person's own.
    machine.add_user("jiwoo");
    let user = ["--user", "jiwoo@example.com"];
    let set = machine
        .run(&[&["prompt", "set"], &user[..]].concat(), "반말로")
        .ok();
    assert!(set.out.contains("@1"), "{set:?}");
    let shown = machine
        .run(&[&["prompt", "show"], &user[..]].concat(), "")
        .ok();
    assert_eq!(shown.out, "반말로\n");
    machine
        .run(&[&["prompt", "set"], &user[..]].concat(), "존댓말로")
        .ok();
    let back = machine
        .run(&[&["prompt", "rollback"], &user[..], &["1"]].concat(), "")
        .ok();
    assert!(back.out.contains("@3"), "{back:?}");
    let shown = machine
        .run(&[&["prompt", "show"], &user[..]].concat(), "")
        .ok();
    assert_eq!(shown.out, "반말로\n");
    machine
        .run(&["prompt", "show", "--user", "nobody@example.com"], "")
        .failed(1, "no such user");
    machine
        .run(&["prompt", "show", "ko", "--user", "jiwoo@example.com"], "")
        .failed(2, "error:");
}

#[test]
fn a_prompt_is_edited_in_the_editor() {
    let machine = Machine::new();
    let script = |name: &str, text: &str| {
        let path = machine.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let edit = |editor: (&str, &str)| machine.run_with(&["prompt", "edit", "ko"], "", &[editor]);
    // Sees the stored text, in a file that nobody else can read.
    let append = script(
        "append.sh",
        "grep -q 노아 \"$1\" || exit 7\n[ \"$(stat -c %a \"$1\")\" = 600 ] || exit 8\necho '덧붙임' >> \"$1\"",
    );
    assert!(edit(("VISUAL", &append)).ok().out.contains("ko@1"));
    let shown = machine.run(&["prompt", "show", "ko"], "").ok().out;
    assert!(shown.contains("노아") && shown.ends_with("덧붙임\n"));
    // With arguments, as in "code --wait", and one that replaces the file.
    let replace = script(
        "replace.sh",
        "[ \"$1\" = --wait ] || exit 9\necho '새 글' > \"$2.new\" && mv \"$2.new\" \"$2\"",
    );
    assert!(
        edit(("EDITOR", &format!("{replace} --wait")))
            .ok()
            .out
            .contains("ko@2")
    );
    assert_eq!(
        machine.run(&["prompt", "show", "ko"], "").ok().out,
        "새 글\n"
    );
    // Nothing changed, nothing left, or given up: no version.
    let same = edit(("VISUAL", "true")).ok();
    assert!(same.out.is_empty() && same.err.contains("nothing was changed"));
    let empty = script("empty.sh", ": > \"$1\"");
    edit(("VISUAL", &empty)).failed(1, "prompt");
    let give_up = script("give_up.sh", "echo x > \"$1\"; exit 1");
    assert_ne!(edit(("VISUAL", &give_up)).code, 0);
    assert_ne!(edit(("VISUAL", "/nowhere/editor")).code, 0);
    let history = machine
        .run(&["prompt", "history", "ko", "--json"], "")
        .ok()
        .json();
    assert_eq!(history.as_array().unwrap().len(), 3);
    let left = std::fs::read_dir(machine.path("")).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("deepme-"));
    assert_eq!(left.count(), 0, "no copy of a prompt is left behind");
}

#[test]
fn a_running_server_uses_a_new_version_from_the_next_turn_on() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let url = server.url();
    let versions = |session: Option<&str>| {
        let mut args = vec![
            "chat",
            "--server",
            &url,
            "--email",
            "jiwoo@example.com",
            "--password-stdin",
        ];
        args.extend(["--once", "안녕"]);
        if let Some(session) = session {
            args.extend(["--session", session]);
        }
        let said = machine.run(&args, PASSWORD).ok();
        said.err.split_once("session ").unwrap().1[..36].to_owned()
    };
    let session = versions(None);
    machine.run(&["prompt", "set", "ko"], "새 지침").ok();
    assert_eq!(versions(Some(&session)), session);
    machine.run(&["prompt", "rollback", "ko", "0"], "").ok();
    versions(Some(&session));
    assert_eq!(server.stop().code, 0);
    let database = rusqlite::Connection::open(machine.path("data/deepme.db")).unwrap();
    let mut used = database
        .prepare("SELECT prompt_version FROM steps ORDER BY step_order")
        .unwrap();
    let used: Vec<String> = used
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(used, ["ko@0", "ko@1", "ko@2"]);
}
