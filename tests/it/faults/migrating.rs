//! A migration that is killed at any moment: row 24.

use super::measured;
use crate::cluster::{cluster, connect};
use crate::command_line::{Machine, binary};
use deepme::store::SCHEMA_VERSION;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

/// Brings a database up, and is killed at its `n`th call of these; whether it came to that.
fn killed_at(machine: &Machine, calls: &str, n: usize, url: &str) -> bool {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:signal=SIGKILL:when={n}");
    let mut command = Command::new("strace");
    machine.prepare(&mut command);
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject])
        .arg(binary())
        .args(["migrate", "up"])
        .env("DEEPME_DATABASE__URL", url);
    let outcome = command
        .output()
        .expect("the tests need strace: see tests/run");
    let killed = outcome.status.signal() == Some(9) || outcome.status.code() == Some(128 + 9);
    assert!(killed || outcome.status.success(), "{outcome:?}");
    killed
}

/// What somebody said before words were sealed.
const CANARY: &str = "a canary sings";
const LIVED_IN: &str = "
    INSERT INTO users (user_id, name, email, password_hash, created_at)
    VALUES (x'00000000000000000000000000000001', 'me', 'me@example.com', '!', 1);
    INSERT INTO sessions (session_id, user_id, started_at)
    VALUES (x'00000000000000000000000000000002', x'00000000000000000000000000000001', 1);
    INSERT INTO steps (step_id, session_id, step_order, step_type, user_input, status, created_at, finished_at)
    VALUES (x'00000000000000000000000000000003', x'00000000000000000000000000000002', 1, 'normal',
            'a canary sings', 'complete', 1, 1)";

#[test]
fn fault_24_a_sqlite_migration_killed_at_every_write_is_old_or_new() {
    const FIRST: &str = include_str!("../../../src/store/migrations/sqlite/0001_init.sql");
    let url = "sqlite://data/deepme.db";
    let mut old = 0;
    for n in 1.. {
        let machine = Machine::new();
        std::fs::create_dir(machine.path("data")).unwrap();
        let file = machine.path("data/deepme.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch(FIRST).unwrap();
        connection.execute_batch(LIVED_IN).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        drop(connection);
        let killed = killed_at(&machine, "pwrite64,fsync,fdatasync,ftruncate", n, url);
        // SQLite itself puts right what was left.
        let connection = rusqlite::Connection::open(&file).unwrap();
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        let meta = "SELECT count(*) FROM sqlite_master WHERE name = 'meta'";
        let newer: i64 = connection.query_row(meta, [], |row| row.get(0)).unwrap();
        let sound: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        drop(connection);
        assert_eq!(sound, "ok", "killed at {n}");
        assert!(
            (version, newer) == (1, 0) || (version, newer) == (SCHEMA_VERSION, 1),
            "killed at {n}: version {version}"
        );
        old += usize::from(version == 1);
        machine.run(&["migrate", "up"], "").ok();
        // Whatever was left undone is done: no word is to be seen any more, and the step is there.
        let files = std::fs::read_dir(machine.path("data")).unwrap();
        for entry in files {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let seen = bytes
                .windows(CANARY.len())
                .any(|part| part == CANARY.as_bytes());
            assert!(!seen, "killed at {n}");
        }
        let sealed = rusqlite::Connection::open(&file).unwrap();
        let words: String = sealed
            .query_row("SELECT user_input FROM steps", [], |row| row.get(0))
            .unwrap();
        assert!(words.len() > CANARY.len());
        if !killed {
            assert_eq!(version, SCHEMA_VERSION);
            measured(&format!(
                "killed at {} places, {old} times before the commit",
                n - 1
            ));
            assert!(old > 3 && n > 10);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_24_a_postgresql_migration_killed_at_every_send_is_old_or_new() {
    let machine = Machine::new();
    let mut old = 0;
    let mut seen = std::collections::BTreeSet::new();
    for n in 1.. {
        let url = cluster().database().await;
        let killed = killed_at(&machine, "sendto,sendmsg,writev", n, &url);
        let onlooker = connect(&url).await;
        // Whoever was killed may still be at work over there.
        let others = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid()
                      AND backend_type = 'client backend'";
        super::until("it has ended", async || {
            onlooker
                .query_one(others, &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
                == 0
        })
        .await;
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables: i64 = onlooker.query_one(tables, &[]).await.unwrap().get(0);
        seen.insert(tables);
        old += usize::from(tables == 0);
        let env = [("DEEPME_DATABASE__URL", url.as_str())];
        machine.run_with(&["migrate", "up"], "", &env).ok();
        if !killed {
            measured(&format!(
                "killed at {} places, {old} times before the commit",
                n - 1
            ));
            assert!(old > 2, "{old}");
            // None of it, or all that there is in the end.
            assert_eq!(seen.len(), 2, "{seen:?}");
            assert!(seen.contains(&0));
            return;
        }
    }
}
