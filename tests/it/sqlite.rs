//! What the embedded backend promises beyond the contract: its file and its constraints.

use crate::support::{PATIENCE, START, Server};
use deepme::domain::ErrorCode;
use deepme::domain::time::ManualClock;
use deepme::llm::scripted::answer;
use deepme::store::sqlite::SqliteStore;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A database in which somebody has talked and wished for something.
async fn lived_in() -> (Server, Connection) {
    let server = Server::embedded().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(answer(&["네"]));
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.input("안녕").await;
    talk.turn().await;
    jiwoo.client.set_prompt("반말로").await.unwrap();
    let connection = Connection::open(server.database()).unwrap();
    connection
        .pragma_update(None, "foreign_keys", true)
        .unwrap();
    (server, connection)
}

fn count(connection: &Connection, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn with_a_person_goes_everything_of_theirs() {
    let (_server, connection) = lived_in().await;
    for table in ["users", "sessions", "steps", "prompts"] {
        assert_eq!(count(&connection, table), 1, "{table}");
    }
    connection.execute("DELETE FROM users", []).unwrap();
    for table in ["users", "sessions", "steps", "prompts"] {
        assert_eq!(count(&connection, table), 0, "{table}");
    }
}

/// The invariants of the store hold in the database itself, whoever writes to it.
#[tokio::test]
async fn the_schema_refuses_what_the_store_promises_never_to_hold() {
    let (_server, connection) = lived_in().await;
    let copy = |changes: &[(&str, &str)]| {
        let columns = "step_id, session_id, step_order, step_type, user_input, gpt_response, status, \
                       finish_reason, message_id, lease_until, created_at, finished_at";
        let values: Vec<&str> = columns
            .split(", ")
            .map(str::trim)
            .map(|column| {
                let change = changes.iter().find(|(name, _)| *name == column);
                change.map_or(column, |(_, value)| value)
            })
            .collect();
        let sql = format!(
            "INSERT INTO steps ({columns}) SELECT {} FROM steps LIMIT 1",
            values.join(", ")
        );
        connection.execute(&sql, [])
    };
    let id = ("step_id", "randomblob(16)");
    let next = ("step_order", "step_order + 1");
    let pending = [
        id,
        ("status", "'pending'"),
        ("lease_until", "9"),
        ("finished_at", "NULL"),
    ];
    assert!(copy(&[id]).is_err(), "two steps in one place");
    assert!(copy(&[id, ("step_order", "0")]).is_err());
    assert!(copy(&[("step_id", "x'00'"), next]).is_err(), "no UUID");
    assert!(copy(&[id, next, ("status", "'odd'")]).is_err());
    assert!(copy(&[id, next, ("finish_reason", "'odd'")]).is_err());
    assert!(
        copy(&[id, next, ("status", "'pending'")]).is_err(),
        "pending without a lease"
    );
    assert!(
        copy(&[id, next, ("lease_until", "9")]).is_err(),
        "a lease without a turn"
    );
    assert!(
        copy(&[id, next, ("session_id", "randomblob(16)")]).is_err(),
        "no session"
    );
    copy(&[&pending[..], &[next, ("message_id", "'m'")]].concat()).unwrap();
    let two = [&pending[..], &[("step_order", "7")]].concat();
    assert!(copy(&two).is_err(), "two pending steps in a session");
    let message = [id, ("step_order", "8"), ("message_id", "'m'")];
    assert!(copy(&message).is_err(), "a message twice");
}

#[tokio::test]
async fn nobody_else_can_read_the_files() {
    let (server, _connection) = lived_in().await;
    let directory = server.database().parent().unwrap().to_owned();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 3, "database, write-ahead log, key");
}

/// Two connections that close at once may each take the other for one that goes on, and leave the log.
#[test]
fn a_database_that_was_closed_is_one_file() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..200 {
        let file = dir.path().join(format!("{round}.db"));
        drop(SqliteStore::open(&file, &ManualClock::new(START)).unwrap());
        let log = file.with_extension("db-wal");
        let begun = std::time::Instant::now();
        while log.exists() {
            assert!(begun.elapsed() < PATIENCE, "round {round}");
            std::thread::yield_now();
        }
    }
}

#[tokio::test]
async fn what_is_no_database_of_this_program_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(START);
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "my diary, not a database\n".repeat(100)).unwrap();
    let refused = SqliteStore::open(&text, &clock).err().unwrap();
    assert_eq!(refused.code(), ErrorCode::Config);
    let kept = std::fs::read_to_string(&text).unwrap();
    assert!(kept.starts_with("my diary"));

    let newer = dir.path().join("newer.db");
    drop(SqliteStore::open(&newer, &clock).unwrap());
    let connection = Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteStore::open(&newer, &clock).err().unwrap();
    assert_eq!(refused.code(), ErrorCode::Config);
    assert!(refused.message().contains("99"), "{refused}");
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}
