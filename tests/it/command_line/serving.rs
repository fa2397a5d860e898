//! `deepme serve` and `deepme chat --once`.

use super::{Machine, PASSWORD};
use crate::raw::Ask;
use rusqlite::Connection;
use std::net::TcpListener;

#[test]
fn a_server_says_where_it_is_and_stops_when_told() {
    let machine = Machine::new();
    let server = machine.serve(&[], &[]);
    let listening = std::net::TcpStream::connect(server.address);
    assert!(listening.is_ok());
    let arguments = String::from_utf8(server.arguments()).unwrap();
    assert!(arguments.contains("serve"));
    let stopped = server.stop();
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(
        stopped.out.is_empty(),
        "a server has nothing to say on stdout"
    );
    assert!(
        stopped
            .err
            .contains("people's words are read by: the built-in listener")
    );
    let schema = format!("schema {}", deepme::store::SCHEMA_VERSION);
    assert!(stopped.err.contains(&schema));
}

#[test]
fn a_port_in_use_is_named_and_costs_nothing() {
    let machine = Machine::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    machine
        .run(&["serve", "--listen", &address], "")
        .failed(2, &address);
    assert!(
        !machine.path("data").exists(),
        "nothing was made for nothing"
    );
}

#[test]
fn one_database_has_one_server() {
    let machine = Machine::new();
    let first = machine.serve(&[], &[]);
    machine
        .run(&["serve", "--listen", "127.0.0.1:0"], "")
        .failed(2, "another deepme serves");
    // Commands for the admin work beside it.
    machine.add_user("jiwoo");
    assert_eq!(first.stop().code, 0);
    assert_eq!(machine.serve(&[], &[]).stop().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_prints_the_answer_and_nothing_else_on_stdout() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let server = machine.serve(&[], &[]);
    let url = server.url();
    let login = [
        "chat",
        "--server",
        &url,
        "--email",
        "jiwoo@example.com",
        "--password-stdin",
        "--once",
    ];
    let said = machine
        .run(&[&login[..], &["요즘 기분이 별로야."]].concat(), PASSWORD)
        .ok();
    assert!(
        said.out.ends_with('\n') && said.out.trim().chars().count() > 5,
        "{said:?}"
    );
    let session = &said.err.split_once("session ").unwrap().1[..36];
    // The login is remembered, so the next one needs no password; - reads standard input.
    let args = [
        "chat",
        "--server",
        &url,
        "--session",
        session,
        "--once",
        "-",
    ];
    let again = machine.run(&args, "회사에서 혼났어 👩‍👩‍👧\n").ok();
    assert!(again.err.contains(session));
    let remembered = std::fs::read_to_string(machine.path("state/deepme/logins.json")).unwrap();
    assert!(!remembered.contains(PASSWORD));

    // What was said is stored as it was said, and as it was answered.
    let logins: serde_json::Value = serde_json::from_str(&remembered).unwrap();
    let token = logins[format!("{url}/")]["access_token"].as_str().unwrap();
    let ask = Ask::new("GET", format!("/emotion/steps/{session}")).bearer(token);
    let stored = ask.send_to(server.address).await.json();
    assert_eq!(stored[0]["user_input"], "요즘 기분이 별로야.");
    assert_eq!(stored[0]["gpt_response"], said.out.trim_end_matches('\n'));
    assert_eq!(stored[1]["user_input"], "회사에서 혼났어 👩‍👩‍👧");
    assert_eq!(stored[1]["gpt_response"], again.out.trim_end_matches('\n'));

    // What fails, fails: a refused turn, a wrong password, a session that is not there.
    let blank = machine.run(&["chat", "--server", &url, "--once", " "], "");
    assert_eq!((blank.code, blank.out.as_str()), (1, ""), "{blank:?}");
    machine
        .run(&[&login[..], &["안녕"]].concat(), "a wrong password")
        .failed(1, "the e-mail address or the password is wrong");
    let nowhere = "00000000-0000-7000-8000-000000000000";
    let missing = machine.run(
        &[
            "chat",
            "--server",
            &url,
            "--session",
            nowhere,
            "--once",
            "x",
        ],
        "",
    );
    assert_eq!((missing.code, missing.out.as_str()), (1, ""), "{missing:?}");
    assert_eq!(server.stop().code, 0);
}

#[test]
fn one_command_is_a_conversation_of_ones_own() {
    let machine = Machine::new();
    let env = [("DEEPME_SERVER__LISTEN", "127.0.0.1:0")];
    let said = machine
        .run_with(&["chat", "--start", "--once", "I can't sleep"], "", &env)
        .ok();
    assert!(!said.out.trim().is_empty());
    assert!(
        !said.out.contains("deepme"),
        "the greeting is not part of the answer: {said:?}"
    );
    // Nobody is asked where there is nobody to ask.
    let refused = machine.run_with(&["chat", "--once", "hi"], "", &env);
    assert_ne!(refused.code, 0);
    assert!(
        refused.out.is_empty() && refused.err.contains("--start"),
        "{refused:?}"
    );
}

/// A server that runs may be older than a command beside it.
#[test]
fn a_command_beside_a_server_does_not_migrate() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    let database = Connection::open(machine.path("data/deepme.db")).unwrap();
    database
        .execute_batch(
            "DROP TABLE logins; DROP TABLE tickets; DROP TABLE recoveries; DROP TABLE invites;
             DROP TABLE revocations; ALTER TABLE users DROP COLUMN role;
             DROP TABLE accesses; DROP INDEX sessions_by_start; DROP INDEX sessions_with_words;
             ALTER TABLE sessions DROP COLUMN forgotten_at;
             ALTER TABLE sessions DROP COLUMN summary_until;
             ALTER TABLE sessions DROP COLUMN summary;
             ALTER TABLE steps DROP COLUMN input_tokens; ALTER TABLE steps DROP COLUMN emotion;
             ALTER TABLE steps DROP COLUMN correction; ALTER TABLE steps DROP COLUMN safety_tier;
             DROP TABLE cards;
             DROP TABLE usage; DROP TABLE keyring; DROP TABLE meta; PRAGMA user_version = 1",
        )
        .unwrap();
    for args in ["user list", "prompt list"] {
        let args: Vec<&str> = args.split(' ').collect();
        machine.run(&args, "").failed(2, "run deepme migrate up");
    }
    let up = machine.run(&["migrate", "up"], "").ok();
    let newest = deepme::store::SCHEMA_VERSION;
    assert_eq!(up.out, format!("schema 1 -> {newest}\n"));
    machine.run(&["user", "list"], "").ok();
}
