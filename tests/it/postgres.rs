//! What the backend on PostgreSQL promises beyond the contract: its schema, its migrations, its
//! indexes, and what becomes of a call when a connection or the database fails.

mod plans;
mod schema;
mod trouble;
mod unknown;
mod versions;

use crate::cluster::connect;
use crate::contract::settings;
use crate::support::PATIENCE;
use deepme::domain::Error;
use deepme::store::postgres::{Connector, PostgresStore};
use std::time::Duration;
use tokio::time::Instant;
use tokio_postgres::Client;

/// A store on the database at `url`, whatever its schema is.
pub async fn store(url: &str) -> PostgresStore {
    let settings = settings(url);
    let connector = Connector::parse(&settings).unwrap();
    PostgresStore::connect(&connector, &settings).await.unwrap()
}

/// Somebody beside the store who looks into its database.
struct Onlooker(Client);

/// Connections of others to this database.
const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() \
                      AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

impl Onlooker {
    async fn at(url: &str) -> Self {
        Self(connect(url).await)
    }

    async fn count(&self, what: &str) -> i64 {
        let sql = format!("SELECT count(*) {what}");
        self.0.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// Ends every other connection to this database, as the server would if it were told to stop.
    async fn end_others(&self) {
        let sql = format!("SELECT pg_terminate_backend(pid) {OTHERS}");
        self.0.execute(&sql, &[]).await.unwrap();
        self.alone().await;
    }

    /// Waits until nobody else is connected. What they did then shows in the statistics.
    async fn alone(&self) {
        until("nobody else is connected", async || {
            self.count(OTHERS).await == 0
        })
        .await;
    }
}

/// Asks until it is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Everything that anybody could ever read of an error.
pub fn all_of(error: &Error) -> String {
    format!("{error} ({}) {error:?}", error.causes())
}
