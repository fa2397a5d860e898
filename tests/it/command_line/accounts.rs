//! `deepme user` and `deepme migrate`.

use super::{Machine, PASSWORD};
use deepme::client::{Client, ConnectOptions, Event};
use deepme::store::SCHEMA_VERSION;
use serde_json::json;
use std::time::Duration;

#[test]
fn accounts_are_made_listed_and_shown() {
    let machine = Machine::new();
    let jiwoo = machine.add_user("jiwoo");
    assert_eq!(jiwoo["email"], "jiwoo@example.com");
    let file = machine.write("password.txt", &format!("{PASSWORD}\nanother line\n"));
    let args = [
        "user",
        "add",
        "--name",
        "지우 👩‍👩‍👧",
        "--email",
        "B@Example.com",
        "--password-file",
    ];
    let args = [&args[..], &[file.to_str().unwrap()]].concat();
    let second = machine.run(&args, "").ok();
    assert!(second.out.contains("b@example.com") && second.out.lines().count() == 1);
    let list = machine.run(&["user", "list", "--json"], "").ok().json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["name"], "지우 👩‍👩‍👧", "newest first");
    assert_eq!(list[1], jiwoo);
    let one = machine.run(&["user", "list", "--limit", "1"], "").ok();
    assert_eq!(one.out.lines().count(), 1);
    let id = jiwoo["user_id"].as_str().unwrap();
    for who in ["JIWOO@example.com", id] {
        let shown = machine
            .run(&["user", "show", who, "--json"], "")
            .ok()
            .json();
        assert_eq!(shown["user_id"], jiwoo["user_id"]);
        assert_eq!(shown["sessions"], 0);
        let shown = machine.run(&["user", "show", who], "").ok();
        assert!(shown.out.contains(id) && !shown.out.contains("argon2"));
    }
    machine
        .run(&["user", "show", "nobody@example.com"], "")
        .failed(1, "no such user");
    machine
        .run(&["user", "list", "--limit", "0"], "")
        .failed(2, "--limit");
}

#[test]
fn the_list_is_of_those_who_are_asked_for() {
    let machine = Machine::new();
    for name in ["jiwoo", "minsu", "seoyeon"] {
        machine.add_user(name);
    }
    let change = |args: &[&str]| machine.run(&[&["user"], args].concat(), "").ok();
    change(&["role", "minsu@example.com", "admin"]);
    change(&["disable", "jiwoo@example.com"]);
    let names = |args: &[&str]| {
        let list = machine.run(&[&["user", "list", "--json"], args].concat(), "");
        let list = list.ok().json();
        let names = list.as_array().unwrap().iter().map(|user| &user["name"]);
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&["--role", "admin"]), ["minsu"]);
    assert_eq!(names(&["--role", "user"]), ["seoyeon", "jiwoo"]);
    assert_eq!(names(&["--disabled"]), ["jiwoo"]);
    assert_eq!(names(&["--enabled"]), ["seoyeon", "minsu"]);
    assert_eq!(names(&["--search", "YEON@"]), ["seoyeon"]);
    assert_eq!(
        names(&["--enabled", "--role", "user", "--search", "o"]),
        ["seoyeon"]
    );
    assert_eq!(names(&["--guests"]), [""; 0]);
    let shown = machine.run(&["user", "list", "--disabled"], "").ok();
    assert!(shown.out.ends_with("jiwoo  (disabled)\n"), "{shown:?}");
    let both = ["user", "list", "--disabled", "--enabled"];
    machine.run(&both, "").failed(2, "--enabled");
    machine
        .run(&["user", "list", "--role", "root"], "")
        .failed(2, "admin");
}

#[test]
fn what_is_no_account_is_refused_with_the_member() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let add = |name: &str, email: &str, password: &str| {
        let args = [
            "user",
            "add",
            "--name",
            name,
            "--email",
            email,
            "--password-stdin",
        ];
        machine.run(&args, password)
    };
    add("x", "JIWOO@example.com", PASSWORD).failed(1, "has an account");
    add("x", "nowhere", PASSWORD).failed(1, "email");
    add("", "a@example.com", PASSWORD).failed(1, "name");
    let short = add("x", "a@example.com", "canary").failed(1, "password");
    assert!(!short.err.contains("canary"));
    add("x", "a@example.com", "").failed(1, "password");
    // Without a terminal and without a source there is nobody to ask.
    let args = ["user", "add", "--name", "x", "--email", "a@example.com"];
    machine.run(&args, "").failed(2, "--password-stdin");
    let missing = [&args[..], &["--password-file", "missing.txt"]].concat();
    machine.run(&missing, "").failed(2, "missing.txt");
    let list = machine.run(&["user", "list", "--json"], "").ok().json();
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[test]
fn an_invitation_is_shown_once_and_lets_one_person_in() {
    let machine = Machine::new();
    let invite = ("DEEPME_AUTH__REGISTRATION", "invite");
    let shown = machine.run_with(&["user", "invite"], "", &[invite]).ok();
    let code = shown.out.trim_end();
    assert_eq!((code.len(), code.lines().count()), (23, 1), "{shown:?}");
    assert!(shown.err.contains("once") && !shown.err.contains(code));
    let json = machine.run_with(&["user", "invite", "--hours", "1", "--json"], "", &[invite]);
    let json = json.ok().json();
    assert_ne!(json["code"], code);
    assert!(json["expires_at"].is_string());
    for hours in ["0", "745", "x"] {
        machine
            .run(&["user", "invite", "--hours", hours], "")
            .failed(2, "--hours");
    }
    // Where nobody needs one it says so.
    let open = machine.run(&["user", "invite"], "").ok();
    assert!(open.err.contains("auth.registration"), "{open:?}");
    let stored = std::fs::read(machine.path("data/deepme.db")).unwrap();
    let stored = String::from_utf8_lossy(&stored);
    assert!(!stored.contains(code) && !stored.contains(&code.replace('-', "")));
}

/// What stands in argv can be read by everybody on the machine.
#[test]
fn no_command_takes_a_password_as_an_argument() {
    let machine = Machine::new();
    for command in [
        "user add --name x --email a@example.com",
        "user passwd a@example.com",
        "chat --once x --email a@example.com",
    ] {
        for option in ["--password", "--password=canary", "-p"] {
            let args: Vec<&str> = command.split(' ').chain([option, "canary"]).collect();
            machine.run(&args, "").failed(2, "error:");
        }
    }
    for command in [
        &["user", "add", "--help"][..],
        &["user", "passwd", "--help"],
        &["chat", "--help"],
    ] {
        let help = machine.run(command, "").ok().out;
        let takes_value = help.lines().any(|line| {
            line.trim_start().starts_with("--password")
                && line.contains('<')
                && !line.contains("<FILE>")
        });
        assert!(!takes_value, "{help}");
    }
}

#[test]
fn the_schema_is_shown_and_brought_up() {
    let machine = Machine::new();
    let status = machine
        .run(&["migrate", "status", "--json"], "")
        .ok()
        .json();
    assert_eq!(status, json!({"current": 0, "wanted": SCHEMA_VERSION}));
    assert!(!machine.path("data").exists(), "looking makes nothing");
    let status = machine.run(&["migrate"], "").ok();
    assert!(status.out.contains("deepme migrate up"));
    machine.run(&["migrate", "up"], "").ok();
    let status = machine
        .run(&["migrate", "status", "--json"], "")
        .ok()
        .json();
    assert_eq!(
        status,
        json!({"current": SCHEMA_VERSION, "wanted": SCHEMA_VERSION})
    );
    let again = machine.run(&["migrate", "up"], "").ok();
    assert!(again.out.contains("up to date"));
}

#[test]
fn fault_24_a_newer_schema_is_refused_by_every_command_and_not_touched() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let database = machine.path("data/deepme.db");
    let set = |version: i64| {
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    set(99);
    for args in [
        "serve --listen 127.0.0.1:0",
        "user list",
        "prompt list",
        "migrate up",
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        machine.run(&args, "").failed(2, "99");
    }
    let status = machine.run(&["migrate", "status", "--json"], "").json();
    assert_eq!(status, json!({"current": 99, "wanted": SCHEMA_VERSION}));
    set(SCHEMA_VERSION);
    let list = machine.run(&["user", "list", "--json"], "").ok().json();
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_written_is_named() {
    let machine = Machine::new();
    // A file where a directory should be: refused to root, too, who may write anywhere else.
    machine.write("data", "not a directory");
    for args in ["serve --listen 127.0.0.1:0", "user list", "migrate up"] {
        let args: Vec<&str> = args.split(' ').collect();
        machine.run(&args, "").failed(2, "data");
    }
    let nowhere = [("DEEPME_DATABASE__URL", "sqlite:///proc/deepme/d.db")];
    machine
        .run_with(&["migrate", "up"], "", &nowhere)
        .failed(2, "/proc/deepme");
    let odd = [("DEEPME_DATABASE__URL", "sqlite://")];
    machine
        .run_with(&["migrate", "up"], "", &odd)
        .failed(2, "database.url");
}

/// What an admin does beside a running server, by the real binary on both sides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_commands_beside_the_server_end_open_sockets() {
    let machine = Machine::new();
    let jiwoo = machine.add_user("jiwoo");
    let email = jiwoo["email"].as_str().unwrap();
    let server = machine.serve(&[], &[]);
    let stranger = Client::new(&server.url()).unwrap();
    let mut password = PASSWORD.to_owned();
    let disable = ["user", "disable", email];
    let set = ["user", "passwd", email, "--password-stdin"];
    for (args, stdin, says) in [
        (&disable[..], "", "disabled"),
        (&set, "an entirely new one\n", "password is set"),
    ] {
        let login = stranger.login(email, &password).await.unwrap();
        let client = stranger.with_token(&login.access_token.0).unwrap();
        let mut socket = client.connect(&ConnectOptions::default()).await.unwrap();
        let done = machine.run(args, stdin).ok();
        assert!(done.err.contains(says), "{done:?}");
        let closing = async {
            loop {
                if let Event::Closed(code, _) = socket.next().await {
                    return code;
                }
            }
        };
        let code = tokio::time::timeout(Duration::from_secs(5 + 3), closing).await;
        assert_eq!(code.unwrap(), 4401, "{args:?}");
        assert_eq!(client.me().await.unwrap_err().status(), Some(401));
        let old = stranger.login(email, &password).await.unwrap_err();
        assert_eq!(old.status(), Some(401), "{args:?}");
        machine.run(&["user", "enable", email], "").ok();
        if !stdin.is_empty() {
            password = stdin.trim_end().to_owned();
        }
    }
    // A code for the person, who sets the password.
    let shown = machine.run(&["user", "passwd", email, "--code"], "").ok();
    let code = shown.out.trim_end();
    assert_eq!((code.len(), code.lines().count()), (23, 1), "{shown:?}");
    let new = "purple monkey dishwasher";
    stranger.reset_password(email, code, new).await.unwrap();
    stranger.login(email, new).await.unwrap();
}

#[test]
fn passwords_and_roles_are_changed_for_who_is_there() {
    let machine = Machine::new();
    let jiwoo = machine.add_user("jiwoo");
    let email = jiwoo["email"].as_str().unwrap();
    let id = jiwoo["user_id"].as_str().unwrap();
    assert_eq!(jiwoo["role"], "user");
    for command in [
        "passwd --code",
        "passwd --password-stdin",
        "disable",
        "enable",
    ] {
        let args = format!("user {command} nobody@example.com");
        let args: Vec<&str> = args.split(' ').collect();
        machine.run(&args, PASSWORD).failed(1, "no such user");
    }
    let weak = machine.run(&["user", "passwd", id, "--password-stdin"], "Jiwoo12345!");
    let weak = weak.failed(1, "password: is too easy to guess from");
    assert!(!weak.err.contains("12345"));
    let file = machine.write("new.txt", "an entirely new one\n");
    let args = [
        "user",
        "passwd",
        id,
        "--password-file",
        file.to_str().unwrap(),
    ];
    machine.run(&args, "").ok();
    machine
        .run(&["user", "passwd", id], "")
        .failed(2, "--password-stdin");
    let args = ["user", "passwd", id, "--code", "--password-stdin"];
    machine.run(&args, "").failed(2, "--code");
    machine
        .run(&["user", "passwd", id, "--hours", "2"], "")
        .failed(2, "--code");
    machine.run(&["user", "role", email, "admin"], "").ok();
    machine
        .run(&["user", "role", email, "king"], "")
        .failed(2, "king");
    machine.run(&["user", "disable", id], "").ok();
    machine
        .run(&["user", "passwd", id, "--code"], "")
        .failed(1, "disabled");
    let shown = machine
        .run(&["user", "show", email, "--json"], "")
        .ok()
        .json();
    assert_eq!(shown["role"], "admin");
    assert!(shown["disabled_at"].is_string());
    let list = machine.run(&["user", "list"], "").ok().out;
    assert!(list.contains("(admin)  (disabled)"), "{list}");
    let shown = machine.run(&["user", "show", email], "").ok().out;
    assert!(shown.contains("role:       admin") && shown.contains("disabled:   since"));
    machine.run(&["user", "enable", id], "").ok();
    let json = ["user", "passwd", id, "--code", "--hours", "2", "--json"];
    assert_eq!(
        machine.run(&json, "").ok().json()["code"]
            .as_str()
            .unwrap()
            .len(),
        23
    );
}
