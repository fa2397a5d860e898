//! `deepme db copy`, and what may not be migrated or copied.

use super::{Machine, Outcome, PASSWORD, PATIENCE, binary};
use crate::cluster::{cluster, connect};
use deepme::client::Client;
use rusqlite::Connection;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

const HOME: &str = "sqlite://data/deepme.db";

/// A machine on which two people have talked, and whose prompts have versions.
fn lived_in() -> Machine {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    machine.add_user("minsu");
    let server = machine.serve(&[], &[]);
    let url = server.url();
    for email in ["jiwoo@example.com", "minsu@example.com"] {
        let args = [
            "chat",
            "--server",
            &url,
            "--email",
            email,
            "--password-stdin",
            "--once",
        ];
        let said = machine.run(&[&args[..], &["요즘 기분이 별로야. 👩‍👩‍👧"]].concat(), PASSWORD);
        let session = &said.ok().err.split_once("session ").unwrap().1[..36].to_owned();
        let args = [
            "chat",
            "--server",
            &url,
            "--session",
            session,
            "--once",
            "자러 갈게 😴",
        ];
        machine.run(&args, "").ok();
    }
    assert_eq!(server.stop().code, 0);
    // Ends that need a model that fails.
    let database = Connection::open(machine.path("data/deepme.db")).unwrap();
    for (n, status) in (10..).zip(["cancelled", "interrupted", "failed", "pending"]) {
        let pending = status == "pending";
        let statement = format!(
            "INSERT INTO steps (step_id, session_id, step_order, step_type, user_input, gpt_response, status,
                                message_id, lease_until, created_at, finished_at)
             SELECT randomblob(16), session_id, {n}, 'normal', '말 {n} 🏳️‍🌈', '', '{status}', 'm{n}', {}, {n}, {}
             FROM sessions LIMIT 1",
            if pending { "9" } else { "NULL" },
            if pending { "NULL" } else { "9" },
        );
        assert_eq!(database.execute(&statement, []).unwrap(), 1);
    }
    for text in ["첫째 판", "둘째 판 👋"] {
        machine.run(&["prompt", "set", "ko"], text).ok();
    }
    let own = ["prompt", "set", "--user", "jiwoo@example.com"];
    machine.run(&own, "반말로").ok();
    machine
}

fn copy(machine: &Machine, from: &str, to: &str, more: &[&str]) -> Outcome {
    let args = ["db", "copy", "--from", from, "--to", to];
    machine.run(&[&args[..], more].concat(), "")
}

/// What the commands tell of a database.
fn listings(machine: &Machine, url: &str) -> Vec<Value> {
    [
        "user list --json",
        "user show jiwoo@example.com --json",
        "prompt list --json",
        "prompt history ko --json",
        "prompt show --user jiwoo@example.com --json",
    ]
    .map(|args| {
        let args: Vec<&str> = args.split(' ').collect();
        let env = [("DEEPME_DATABASE__URL", url)];
        machine.run_with(&args, "", &env).ok().json()
    })
    .into()
}

/// Every step of a file, in the order of their ids.
fn steps(machine: &Machine, file: &str) -> Vec<String> {
    let database = Connection::open(machine.path(file)).unwrap();
    let mut statement = database
        .prepare("SELECT * FROM steps ORDER BY step_id")
        .unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..width).map(|n| row.get::<_, rusqlite::types::Value>(n));
        Ok(format!("{:?}", cells.collect::<Vec<_>>()))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_to_a_server_and_back() {
    let machine = lived_in();
    let (there, far) = (cluster().database().await, cluster().database().await);
    let back = "sqlite://back/deepme.db";
    let before = std::fs::read(machine.path("data/deepme.db")).unwrap();
    let mut reports = Vec::new();
    for (from, to) in [(HOME, &*there), (&there, &far), (&far, back)] {
        reports.push(copy(&machine, from, to, &["--json"]).ok().json());
    }
    assert_eq!(
        std::fs::read(machine.path("data/deepme.db")).unwrap(),
        before,
        "the source is only read"
    );
    assert!(
        reports.iter().all(|report| *report == reports[0]),
        "{reports:#?}"
    );
    let rows: Vec<(&str, u64)> = reports[0]["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| {
            assert_eq!(table["sha256"].as_str().unwrap().len(), 64);
            (
                table["name"].as_str().unwrap(),
                table["rows"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("meta", 1),
            ("users", 2),
            ("keyring", 2),
            ("logins", 2),
            ("tickets", 0),
            ("recoveries", 0),
            ("invites", 0),
            ("revocations", 0),
            ("sessions", 2),
            ("steps", 8),
            ("cards", 0),
            ("usage", 0),
            ("accesses", 0),
            ("prompts", 3)
        ]
    );
    assert_eq!(
        steps(&machine, "data/deepme.db"),
        steps(&machine, "back/deepme.db")
    );
    let wanted = listings(&machine, HOME);
    // The key goes by another way than the words.
    let missing = machine.run_with(&["user", "list"], "", &[("DEEPME_DATABASE__URL", back)]);
    missing.failed(2, "back/master.key");
    std::fs::copy(
        machine.path("data/master.key"),
        machine.path("back/master.key"),
    )
    .unwrap();
    for url in [&*there, &far, back] {
        assert_eq!(listings(&machine, url), wanted, "{url}");
    }
    // A token of before holds there, because the keys lie where both look for them.
    let logins = std::fs::read_to_string(machine.path("state/deepme/logins.json")).unwrap();
    let token = logins
        .split_once("\"access_token\":")
        .unwrap()
        .1
        .split('"')
        .nth(1)
        .unwrap();
    let server = machine.serve(&[], &[("DEEPME_DATABASE__URL", &there)]);
    let client = Client::new(&server.url())
        .unwrap()
        .with_token(token)
        .unwrap();
    let me = client.me().await.unwrap();
    let email = me.email.unwrap();
    assert!(email.ends_with("@example.com"), "{email}");
    assert_eq!(server.stop().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_says_what_it_did() {
    let machine = Machine::new();
    machine.run(&["prompt", "set", "en"], "Listen.").ok();
    // What is copied is another at every run but for this.
    let database = Connection::open(machine.path("data/deepme.db")).unwrap();
    database
        .execute("UPDATE prompts SET created_at = 7", [])
        .unwrap();
    let to = cluster().database().await;
    let done = copy(&machine, HOME, &to, &[]).ok();
    insta::assert_snapshot!(done.out.replace(&to, "TARGET"));
    insta::assert_snapshot!(done.err.replace(&to, "TARGET"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_not_empty_is_refused_and_left_alone() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let to = cluster().database().await;
    copy(&machine, HOME, &to, &[]).ok();
    let failed = copy(&machine, HOME, &to, &[]).failed(2, "not empty");
    insta::assert_snapshot!(failed.err, @"deepme: --to: the database is not empty, there are users in it: copy into a new one");
    copy(&machine, &to, HOME, &[]).failed(2, "not empty");
    copy(&machine, HOME, "sqlite://./data/../data/deepme.db", &[]).failed(2, "the same database");
    // Keys that somebody claimed are something, too.
    let claimed = cluster().database().await;
    let env = [("DEEPME_DATABASE__URL", claimed.as_str())];
    machine.run_with(&["migrate", "up"], "", &env).ok();
    machine.run_with(&["user", "list"], "", &env).ok();
    copy(&machine, HOME, &claimed, &[]).failed(2, "claimed keys");
    let count = connect(&claimed)
        .await
        .query_one("SELECT count(*) FROM users", &[])
        .await;
    assert_eq!(count.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_not_this_programs_is_not_copied() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let database = Connection::open(machine.path("data/deepme.db")).unwrap();
    let set = |version: i64| {
        database
            .pragma_update(None, "user_version", version)
            .unwrap();
    };
    let there = cluster().database().await;
    for (version, says) in [
        (1, "migrate up"),
        (99, "the newer deepme"),
        (0, "migrate up"),
    ] {
        set(version);
        let failed = copy(&machine, HOME, &there, &[]).failed(2, says);
        assert!(failed.err.contains("--from"), "{failed:?}");
        if version > 0 {
            let failed = copy(&machine, &there, HOME, &[]);
            assert_eq!(failed.code, 2, "{failed:?}");
        }
    }
    let env = [("DEEPME_DATABASE__URL", there.as_str())];
    let status = machine
        .run_with(&["migrate", "status", "--json"], "", &env)
        .ok();
    assert_eq!(
        status.json()["current"],
        0,
        "the target of a refused source is not touched"
    );
    copy(&machine, "sqlite://missing/deepme.db", &there, &[]).failed(2, "missing/deepme.db");
    assert!(!machine.path("missing").exists());
    copy(&machine, "mysql://me:canary@x/y", &there, &[]).failed(2, "--from must be sqlite://");
    copy(&machine, HOME, "nonsense", &[]).failed(2, "--to must be sqlite://");
}

/// Who serves a file, owns it.
#[test]
fn a_file_that_is_served_is_neither_copied_nor_filled_nor_migrated() {
    let machine = Machine::new();
    let server = machine.serve(&[], &[]);
    let copied = copy(&machine, HOME, "sqlite://copy.db", &[]).failed(2, "another deepme serves");
    assert!(copied.err.contains("--from"), "{copied:?}");
    assert!(!machine.path("copy.db").exists());
    machine
        .run(&["migrate", "up"], "")
        .failed(2, "another deepme serves");
    let env = [("DEEPME_DATABASE__URL", "sqlite://other.db")];
    machine.run_with(&["migrate", "up"], "", &env).ok();
    let filled = copy(&machine, "sqlite://other.db", HOME, &[]).failed(2, "another deepme serves");
    assert!(filled.err.contains("--to"), "{filled:?}");
    assert_eq!(server.stop().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_may_stand_in_a_file() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let file = machine.write("password", "canary\n");
    let file = file.to_str().unwrap();
    let to = cluster().database().await;
    let args = ["--to-password-file", file];
    copy(&machine, HOME, &to, &args).failed(2, "--to-password-file");
    let private = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(file, private).unwrap();
    copy(&machine, HOME, &to, &args).ok();
    let back = copy(
        &machine,
        &to,
        "sqlite://back.db",
        &["--from-password-file", file],
    )
    .ok();
    assert!(!format!("{back:?}").contains("canary"));
    let with = to.replacen("postgres@", "postgres:canary@", 1);
    let both = copy(&machine, HOME, &with, &args).failed(2, "--to");
    assert!(!format!("{both:?}").contains("canary"));
    let back = copy(&machine, &with, "sqlite://again.db", &[]).ok();
    assert!(
        !format!("{back:?}").contains("canary") && back.out.contains(":***@"),
        "{back:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_copy_leaves_an_empty_target() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let (from, to) = (cluster().database().await, cluster().database().await);
    copy(&machine, HOME, &from, &[]).ok();
    // The copy cannot get past the sessions.
    let client = connect(&from).await;
    client
        .batch_execute("BEGIN; LOCK TABLE steps")
        .await
        .unwrap();
    let mut command = Command::new(binary());
    machine.prepare(&mut command);
    let mut child = command
        .args(["db", "copy", "--from", &from, "--to", &to])
        .env("DEEPME_DATABASE__ANSWER_SECONDS", "7")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("copying sessions") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert_eq!(
        rest,
        "deepme: interrupted; nothing was copied, the target is as empty as before\n"
    );
    client.batch_execute("ROLLBACK").await.unwrap();
    let users = connect(&to)
        .await
        .query_one("SELECT count(*) FROM users", &[])
        .await;
    assert_eq!(users.unwrap().get::<_, i64>(0), 0);
    copy(&machine, &from, &to, &[]).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_others_write_to_is_refused() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let to = cluster().database().await;
    let env = [
        ("DEEPME_DATABASE__URL", to.as_str()),
        ("DEEPME_DATABASE__ANSWER_SECONDS", "1"),
    ];
    machine.run_with(&["migrate", "up"], "", &env).ok();
    let client = connect(&to).await;
    client
        .batch_execute("BEGIN; INSERT INTO meta VALUES ('other', 'x')")
        .await
        .unwrap();
    let args = ["db", "copy", "--from", HOME, "--to", &to];
    let failed = machine
        .run_with(&args, "", &env[1..])
        .failed(1, "somebody writes");
    assert!(failed.err.contains("--to"), "{failed:?}");
    client.batch_execute("ROLLBACK").await.unwrap();
    machine.run_with(&args, "", &env[1..]).ok();
}

/// The wait for the target may be long, and whoever waits may think better of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_waits_for_its_target_can_be_interrupted() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let to = cluster().database().await;
    let client = connect(&to).await;
    // As somebody does who migrates: the bytes of "deepme".
    client
        .batch_execute("SELECT pg_advisory_lock(x'646565706d65'::bigint)")
        .await
        .unwrap();
    let mut command = Command::new(binary());
    machine.prepare(&mut command);
    let mut child = command
        .args(["db", "copy", "--from", HOME, "--to", &to])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    while !client
        .query_one(waiting, &[])
        .await
        .unwrap()
        .get::<_, bool>(0)
    {
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    // Nobody lets go of the lock before it has ended.
    let said = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let said = tokio::time::timeout(PATIENCE, said).await.unwrap().unwrap();
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said, "deepme: interrupted; nothing was copied\n");
    client
        .batch_execute("SELECT pg_advisory_unlock_all()")
        .await
        .unwrap();
    copy(&machine, HOME, &to, &[]).ok();
}
