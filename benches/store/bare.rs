//! What the databases commit when nothing of deepme is in between: one row of a turn, one commit.

use crate::cluster;
use crate::fill::{WORDS, answer};
use crate::load::Spread;
use std::path::Path;
use std::time::{Duration, Instant};

const TABLE: &str = "CREATE TABLE bare (
    id BIGINT NOT NULL, connection BIGINT NOT NULL, words TEXT NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (connection, id))";

/// Commits a second, and microseconds each took: SQLite on one connection, as it has one writer, with
/// the log synced at every commit.
pub(crate) fn sqlite(directory: &Path, lasting: Duration) -> (f64, Spread) {
    let connection = rusqlite::Connection::open(directory.join("bare.db")).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "FULL")
        .unwrap();
    connection.execute_batch(TABLE).unwrap();
    let mut insert = connection
        .prepare("INSERT INTO bare VALUES (?, 0, ?, ?)")
        .unwrap();
    let answer = answer();
    let mut took = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < lasting {
        let one = Instant::now();
        let id = took.len() as i64;
        insert.execute((id, WORDS, &answer)).unwrap();
        took.push(one.elapsed().as_secs_f64() * 1e6);
    }
    let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
    (rate, Spread::of(took))
}

/// The same by PostgreSQL on as many connections at once.
pub(crate) async fn postgres(url: &str, connections: u32, lasting: Duration) -> (f64, Spread) {
    let client = cluster::connect(url).await;
    client.batch_execute(TABLE).await.unwrap();
    let begun = Instant::now();
    let inserting: Vec<_> = (0..i64::from(connections))
        .map(|connection| {
            let url = url.to_owned();
            tokio::spawn(async move {
                let client = cluster::connect(&url).await;
                let insert = client
                    .prepare("INSERT INTO bare VALUES ($1, $2, $3, $4)")
                    .await
                    .unwrap();
                let answer = answer();
                let mut took = Vec::new();
                while begun.elapsed() < lasting {
                    let one = Instant::now();
                    let id = took.len() as i64;
                    client
                        .execute(&insert, &[&id, &connection, &WORDS, &answer])
                        .await
                        .unwrap();
                    took.push(one.elapsed().as_secs_f64() * 1e6);
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for connection in inserting {
        all.extend(connection.await.unwrap());
    }
    let rate = all.len() as f64 / begun.elapsed().as_secs_f64();
    (rate, Spread::of(all))
}
