//! `[[users]]`: a start makes who is missing and touches nobody's password.

use super::{Machine, PASSWORD};
use serde_json::Value;

const NEW: &str = "an entirely different secret";

/// Everybody at this machine, by address: role, name.
fn everybody(machine: &Machine) -> Vec<[String; 3]> {
    let list = machine.run(&["user", "list", "--json"], "").ok().json();
    let mut everybody: Vec<[String; 3]> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|user: &Value| ["email", "role", "name"].map(|key| user[key].as_str().unwrap().into()))
        .collect();
    everybody.sort();
    everybody
}

fn lets_in(machine: &Machine, email: &str, password: &str) -> bool {
    let server = machine.serve(&[], &[]);
    let url = server.url();
    let login = [
        "chat",
        "--server",
        &url,
        "--email",
        email,
        "--password-stdin",
    ];
    let said = machine.run(&[&login[..], &["--once", "안녕"]].concat(), password);
    assert_eq!(server.stop().code, 0);
    said.code == 0
}

#[test]
fn a_start_makes_who_is_missing_and_leaves_the_rest_to_them() {
    let machine = Machine::new();
    machine.write("yuna.password", &format!("{PASSWORD}\n"));
    let yuna = "[[users]]\nemail = \"Yuna@example.com\"\nname = \"유나\"\nrole = \"admin\"\npassword_file = \"yuna.password\"\n";
    machine.write("config.toml", yuna);
    assert!(lets_in(&machine, "yuna@example.com", PASSWORD));
    let all = everybody(&machine);
    assert_eq!(all, [["yuna@example.com", "admin", "유나"]]);

    // What the person and the admin do holds, but for the role; the file is not needed any more.
    std::fs::remove_file(machine.path("yuna.password")).unwrap();
    let passwd = ["user", "passwd", "yuna@example.com", "--password-stdin"];
    machine.run(&passwd, NEW).ok();
    machine
        .run(&["user", "role", "yuna@example.com", "user"], "")
        .ok();
    let hash: String = rusqlite::Connection::open(machine.path("data/deepme.db"))
        .unwrap()
        .query_row("SELECT password_hash FROM users", [], |row| row.get(0))
        .unwrap();
    let jiwoo = format!(
        "[[users]]\nemail = \"jiwoo@example.com\"\nname = \"지우\"\npassword_hash = \"{hash}\"\n"
    );
    machine.write(
        "config.toml",
        &format!("{}{jiwoo}", yuna.replace("유나", "다른 이름")),
    );
    assert!(lets_in(&machine, "yuna@example.com", NEW));
    assert!(lets_in(&machine, "jiwoo@example.com", NEW), "by the hash");
    assert!(!lets_in(&machine, "yuna@example.com", PASSWORD));
    let both = [
        ["jiwoo@example.com", "user", "지우"],
        ["yuna@example.com", "admin", "유나"],
    ];
    assert_eq!(everybody(&machine), both);

    // Nobody goes with their entry.
    machine.write("config.toml", "");
    assert!(lets_in(&machine, "jiwoo@example.com", NEW));
    assert_eq!(everybody(&machine), both);
}

#[test]
fn what_cannot_be_made_stops_the_start_with_its_number() {
    let machine = Machine::new();
    let declare = |rest: &str| {
        let who = "[[users]]\nemail = \"yuna@example.com\"\nname = \"유나\"\n";
        machine.write("config.toml", &format!("{who}{rest}\n"));
        machine.run(&["serve", "--listen", "127.0.0.1:0"], "")
    };
    machine.write("weak", "canary\n");
    for (rest, says) in [
        ("passwd = \"canary\"", "passwd"),
        ("", "number 1 needs either password_file or password_hash"),
        ("password_file = \"weak\"", "number 1 cannot be made"),
        ("password_file = \"missing\"", "cannot read missing"),
        (
            "password_hash = \"$argon2id$v=19$canary\"",
            "number 1 cannot be made",
        ),
    ] {
        let refused = declare(rest).failed(2, says);
        assert!(
            !refused.err.contains("canary") && !refused.err.contains("yuna@"),
            "{refused:?}"
        );
    }
    assert_eq!(everybody(&machine), [[""; 3]; 0]);
}
