//! The schema: the same in both dialects, and it holds the invariants of the store by itself.

use super::{Onlooker, store};
use crate::cluster::cluster;
use crate::contract::{at, settings, talk, turn};
use crate::support::postgres;
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::time::ManualClock;
use deepme::domain::{ErrorCode, UserId};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{Accounts as _, Prompts as _};
use rusqlite::Connection;
use std::collections::BTreeSet;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// A column, an index or a reference a line.
type Lines = BTreeSet<String>;

fn column(table: &str, name: &str, kind: &str, required: bool, default: bool) -> String {
    format!("{table}.{name} {kind}, required {required}, default {default}")
}

fn index(table: &str, columns: &[String], unique: bool, partial: bool) -> String {
    let columns = columns.join(", ");
    format!("index of {table} ({columns}), unique {unique}, partial {partial}")
}

fn reference(table: &str, from: &str, to: &str, cascades: bool) -> String {
    format!("{table}.{from} refers to {to}, cascades {cascades}")
}

/// The rows of a query, each made by `read`.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    of: &str,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([of], |row| read(row)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn of_sqlite() -> Lines {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.db");
    drop(SqliteStore::open(&file, &ManualClock::new(at(0))).unwrap());
    let c = Connection::open(&file).unwrap();
    let mut lines = Lines::new();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE ?1";
    for table in rows(&c, tables, "sqlite%", |row| row.get::<_, String>(0)) {
        let sql =
            r#"SELECT name, type, "notnull", dflt_value IS NOT NULL FROM pragma_table_info(?1)"#;
        lines.extend(rows(&c, sql, &table, |row| {
            let kind = match row.get::<_, String>(1)?.as_str() {
                "BLOB" => "uuid",
                "TEXT" => "text",
                "INTEGER" => "bigint",
                other => panic!("{other}"),
            };
            let name: String = row.get(0)?;
            Ok(column(&table, &name, kind, row.get(2)?, row.get(3)?))
        }));
        let sql = r#"SELECT name, "unique", partial FROM pragma_index_list(?1)"#;
        lines.extend(rows(&c, sql, &table, |row| {
            let name: String = row.get(0)?;
            let sql = "SELECT name FROM pragma_index_info(?1) ORDER BY seqno";
            let columns = rows(&c, sql, &name, |row| row.get(0));
            Ok(index(&table, &columns, row.get(1)?, row.get(2)?))
        }));
        let sql = r#"SELECT "from", "table", "to", on_delete = 'CASCADE' FROM pragma_foreign_key_list(?1)"#;
        lines.extend(rows(&c, sql, &table, |row| {
            let (from, other): (String, String) = (row.get(0)?, row.get(1)?);
            let to = format!("{other}.{}", row.get::<_, String>(2)?);
            Ok(reference(&table, &from, &to, row.get(3)?))
        }));
    }
    lines
}

async fn of_postgres() -> Lines {
    let url = cluster().database().await;
    let (_store, _) = postgres(&url).await;
    let onlooker = Onlooker::at(&url).await;
    let ask = async |sql: &str| onlooker.0.query(sql, &[]).await.unwrap();
    let mut lines = Lines::new();
    let columns = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
                          a.attnotnull, a.atthasdef
                   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
                     AND a.attnum > 0 AND NOT a.attisdropped";
    for row in ask(columns).await {
        let (table, name, kind) = (row.get(0), row.get(1), row.get(2));
        lines.insert(column(table, name, kind, row.get(3), row.get(4)));
    }
    let indexes = "SELECT t.relname::text, i.indisunique, i.indpred IS NOT NULL,
                          ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true)
                                FROM generate_series(1, i.indnkeyatts) k ORDER BY k)
                   FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
                   WHERE t.relnamespace = 'public'::regnamespace";
    for row in ask(indexes).await {
        let columns: Vec<String> = row.get(3);
        lines.insert(index(row.get(0), &columns, row.get(1), row.get(2)));
    }
    let references = "SELECT c.conrelid::regclass::text, a.attname::text,
                             c.confrelid::regclass::text || '.' || b.attname, c.confdeltype = 'c'
                      FROM pg_constraint c
                      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
                      JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
                      WHERE c.contype = 'f'";
    for row in ask(references).await {
        lines.insert(reference(row.get(0), row.get(1), row.get(2), row.get(3)));
    }
    lines
}

#[tokio::test]
async fn both_dialects_have_the_same_tables_columns_indexes_and_references() {
    let (sqlite, mut postgres) = (of_sqlite(), of_postgres().await);
    // SQLite keeps the version in the head of its file.
    let versions = |line: &String| line.contains("schema_migrations");
    assert_eq!(postgres.iter().filter(|line| versions(line)).count(), 4);
    postgres.retain(|line| !versions(line));
    let only = |here: &Lines, there: &Lines| here.difference(there).cloned().collect::<Vec<_>>();
    assert_eq!(only(&sqlite, &postgres), <[String; 0]>::default(), "SQLite");
    assert_eq!(
        only(&postgres, &sqlite),
        <[String; 0]>::default(),
        "PostgreSQL"
    );
    for line in [
        "steps.finished_at bigint, required false, default false",
        "index of steps (session_id, message_id), unique true, partial true",
        "prompts.user_id refers to users.user_id, cascades true",
    ] {
        assert!(sqlite.contains(line), "{sqlite:#?}");
    }
}

/// A database in which somebody has talked and wished for something.
async fn lived_in() -> (PostgresStore, Onlooker) {
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let (user_id, session_id) = talk(&store, 1).await;
    turn(&store, user_id, session_id, "안녕", "네").await;
    let name = PromptName::Personal(user_id);
    store
        .add_prompt(name, "반말로".into(), at(3))
        .await
        .unwrap();
    (store, Onlooker::at(&url).await)
}

#[tokio::test]
async fn with_a_person_goes_everything_of_theirs() {
    let (store, onlooker) = lived_in().await;
    let system = PromptName::System(Language::Korean);
    store
        .add_prompt(system, "조용히".into(), at(4))
        .await
        .unwrap();
    let left = async || {
        let mut left = Vec::new();
        for table in ["users", "sessions", "steps", "prompts", "logins"] {
            left.push(onlooker.count(&format!("FROM {table}")).await);
        }
        left
    };
    let login = crate::contract::logins::login(UserId(Uuid::from_u128(1)), 1);
    assert!(store.add_login(login).await.unwrap());
    assert_eq!(left().await, [1, 1, 1, 2, 1]);
    onlooker.0.execute("DELETE FROM users", &[]).await.unwrap();
    assert_eq!(
        left().await,
        [0, 0, 0, 1, 0],
        "the server's own prompt stays"
    );
}

/// The invariants of the store hold in the database itself, whoever writes to it.
#[tokio::test]
async fn the_schema_refuses_what_the_store_promises_never_to_hold() {
    let (_store, onlooker) = lived_in().await;
    let copy = async |changes: &[(&str, &str)]| {
        let columns = "step_id, session_id, step_order, step_type, user_input, gpt_response, status, \
                       finish_reason, message_id, lease_until, created_at, finished_at";
        let values: Vec<&str> = columns
            .split(", ")
            .map(|column| {
                let change = changes.iter().find(|(name, _)| *name == column);
                change.map_or(column, |(_, value)| value)
            })
            .collect();
        let sql = format!(
            "INSERT INTO steps ({columns}) SELECT {} FROM steps ORDER BY step_order LIMIT 1",
            values.join(", ")
        );
        let outcome = onlooker.0.execute(&sql, &[]).await;
        outcome.map_err(|error| error.code().unwrap().clone())
    };
    let id = ("step_id", "gen_random_uuid()");
    let next = ("step_order", "step_order + 1");
    let pending = [
        id,
        ("status", "'pending'"),
        ("lease_until", "9"),
        ("finished_at", "NULL"),
    ];
    let (taken, check) = (SqlState::UNIQUE_VIOLATION, SqlState::CHECK_VIOLATION);
    for (changes, code, what) in [
        (&[id][..], &taken, "two steps in one place"),
        (&[next], &taken, "two steps of one id"),
        (&[id, ("step_order", "0")], &check, "no place"),
        (
            &[("step_id", "NULL"), next],
            &SqlState::NOT_NULL_VIOLATION,
            "no id",
        ),
        (
            &[id, next, ("user_input", "NULL")],
            &SqlState::NOT_NULL_VIOLATION,
            "no words",
        ),
        (&[id, next, ("status", "'odd'")], &check, "an odd status"),
        (
            &[id, next, ("finish_reason", "'odd'")],
            &check,
            "an odd reason",
        ),
        (
            &[id, next, ("status", "'pending'")],
            &check,
            "pending without a lease",
        ),
        (
            &[id, next, ("lease_until", "9")],
            &check,
            "a lease without a turn",
        ),
        (
            &[id, next, ("finished_at", "NULL")],
            &check,
            "an end at no time",
        ),
        (
            &[id, next, ("session_id", "gen_random_uuid()")],
            &SqlState::FOREIGN_KEY_VIOLATION,
            "no session",
        ),
    ] {
        assert_eq!(copy(changes).await, Err(code.clone()), "{what}");
    }
    let first = [&pending[..], &[next, ("message_id", "'m'")]].concat();
    assert_eq!(copy(&first).await, Ok(1));
    let two = [&pending[..], &[("step_order", "7")]].concat();
    assert_eq!(copy(&two).await, Err(taken.clone()), "two pending steps");
    let message = [id, ("step_order", "8"), ("message_id", "'m'")];
    assert_eq!(copy(&message).await, Err(taken), "a message twice");
}

#[tokio::test]
async fn a_database_that_keeps_text_otherwise_is_refused_by_name() {
    let url = cluster().database().await;
    let name = format!("{}_ascii", url.rsplit('/').next().unwrap());
    let made = format!(
        "CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    Onlooker::at(&url)
        .await
        .0
        .batch_execute(&made)
        .await
        .unwrap();
    let settings = settings(&format!("{url}_ascii"));
    let connector = Connector::parse(&settings).unwrap();
    let refused = PostgresStore::connect(&connector, &settings)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code(), ErrorCode::Config);
    assert_eq!(
        refused.message(),
        "the database keeps text as SQL_ASCII: make one with ENCODING 'UTF8'"
    );
    store(&url).await.state().await.unwrap();
}
