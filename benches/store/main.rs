//! How fast the two databases store and find: `cargo bench --bench store`.
//!
//! Makes throw-away databases, SQLite in a file and PostgreSQL in a cluster of its own, both durable,
//! and prints two tables: turns per second by the number of people who talk at once, beside what the
//! disk itself commits; and how long one caller waits by how much is stored. Stops by itself and
//! leaves nothing behind.
//!
//! Options after `--`: `--seconds N` (of each crowd), `--samples N` (of each look), `--sessions N` (most
//! that are stored; a tenth and a hundredth of it come first).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a measuring program: it prints, it rounds, and it stops when something is wrong"
)]

mod bare;
mod cluster;
#[path = "../shared/dice.rs"]
mod dice;
mod fill;
mod load;

use cluster::Cluster;
use deepme::config::{self, DatabaseUrl};
use deepme::domain::Clock as _;
use deepme::domain::time::SystemClock;
use deepme::store::Store;
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use fill::Filler;
use load::Spread;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Writes of a turn.
const WRITES: f64 = 3.0;
/// People who talk at once.
const CROWDS: [usize; 3] = [1, 16, 100];

struct Options {
    seconds: u64,
    samples: usize,
    sessions: usize,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            seconds: 8,
            samples: 2_000,
            sessions: 100_000,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut number = || arguments.next().and_then(|n| n.parse().ok()).unwrap();
            match name.as_str() {
                "--seconds" => options.seconds = number() as u64,
                "--samples" => options.samples = number(),
                "--sessions" => options.sessions = number(),
                // cargo bench passes --bench.
                _ => {}
            }
        }
        options
    }
}

fn main() {
    let options = Options::read();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(options));
}

async fn run(options: Options) {
    // Where the cluster has its files, too.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let mut cluster = Cluster::start();
    println!(
        "SQLite {}, PostgreSQL {} ({} connections), {} cores",
        rusqlite::version(),
        cluster.version().await,
        config::Database::default().connections,
        std::thread::available_parallelism().unwrap()
    );
    if !cluster.is_own() {
        println!("PostgreSQL writes to another disk than the one that is measured here");
    }

    println!(
        "\nTurns that people take at once, {} s each\n",
        options.seconds
    );
    println!(
        "| database   | people | turns/s |  writes/s | turn p50, µs | turn p99, µs | failed |"
    );
    println!(
        "|------------|-------:|--------:|----------:|-------------:|-------------:|-------:|"
    );
    let mut shares = Vec::new();
    for name in ["SQLite", "PostgreSQL"] {
        print_disk(directory.path());
        let bare = print_bare(name, directory.path(), &mut cluster, &options).await;
        let (store, _) = open(name, directory.path(), "crowd", &mut cluster).await;
        let turns = crowds(name, &store, &options).await;
        // Once more, for the machine may have been busy: the better one counts.
        let bare = bare.max(print_bare(name, directory.path(), &mut cluster, &options).await);
        shares.push((name, turns / bare));
    }
    print_disk(directory.path());
    println!();
    for (name, share) in shares {
        println!(
            "{name}: {} people store {share:.2} turns, which are {:.2} writes, in the time of a bare commit",
            CROWDS[2],
            share * WRITES
        );
    }

    println!("\nWhat one caller waits, in µs: p50 / p99\n");
    println!(
        "| database   | sessions stored | list 20 sessions | get a session | list its steps | a whole turn |"
    );
    println!(
        "|------------|----------------:|-----------------:|--------------:|---------------:|-------------:|"
    );
    for name in ["SQLite", "PostgreSQL"] {
        let (store, filler) = open(name, directory.path(), "growth", &mut cluster).await;
        let people = fill::people(&*store).await;
        let mut talks = Vec::new();
        for part in [100, 10, 1] {
            filler
                .fill(&people, &mut talks, options.sessions / part)
                .await;
            let looks = load::look_around(&*store, &talks, options.samples).await;
            println!(
                "| {name:10} | {:>15} | {:>16} | {:>13} | {:>14} | {:>12} |",
                talks.len(),
                told(&looks.sessions),
                told(&looks.session),
                told(&looks.steps),
                told(&looks.turn)
            );
        }
    }
    cluster.end().await;
}

/// The turns a second of the largest crowd.
async fn crowds(name: &str, store: &Arc<dyn Store>, options: &Options) -> f64 {
    let people = fill::people(&**store).await;
    // Once to warm up: connections, statements, the first pages.
    load::crowd(store, &people, Duration::from_secs(1)).await;
    let mut per_second = 0.0;
    for crowd in CROWDS {
        let lasting = Duration::from_secs(options.seconds);
        let tally = load::crowd(store, &people[..crowd], lasting).await;
        println!(
            "| {name:10} | {crowd:>6} | {:>7.0} | {:>9.0} | {:>12.0} | {:>12.0} | {:>6} |",
            tally.per_second,
            tally.per_second * WRITES,
            tally.turn.p(0.5),
            tally.turn.p(0.99),
            tally.failed
        );
        per_second = tally.per_second;
    }
    per_second
}

/// A row for what the database does without deepme; its commits a second.
async fn print_bare(name: &str, directory: &Path, cluster: &mut Cluster, options: &Options) -> f64 {
    let lasting = Duration::from_secs(options.seconds);
    let connections = config::Database::default().connections;
    let (callers, (rate, took)) = if name == "SQLite" {
        let directory = tempfile::tempdir_in(directory).unwrap();
        (1, bare::sqlite(directory.path(), lasting))
    } else {
        let url = cluster.database().await;
        (
            connections,
            bare::postgres(&url, connections, lasting).await,
        )
    };
    println!(
        "| bare commits | {callers:>4} |       – | {rate:>9.0} | {:>12.0} | {:>12.0} |      – |",
        took.p(0.5),
        took.p(0.99)
    );
    rate
}

/// A row for what the disk does alone, one sync after the other.
fn print_disk(directory: &Path) {
    let (rate, took) = load::disk(directory, Duration::from_secs(2));
    println!(
        "| disk alone |      – |       – | {rate:>9.0} | {:>12.0} | {:>12.0} |      – |",
        took.p(0.5),
        took.p(0.99)
    );
}

/// A fresh database with the current schema, and how to fill it.
async fn open(
    name: &str,
    directory: &Path,
    purpose: &str,
    cluster: &mut Cluster,
) -> (Arc<dyn Store>, Filler) {
    if name == "SQLite" {
        let file = directory.join(format!("{purpose}.db"));
        let store = SqliteStore::open(&file, &SystemClock).unwrap();
        return (Arc::new(store), Filler::Sqlite(file));
    }
    let url = cluster.database().await;
    let settings = config::Database {
        url: DatabaseUrl::new(&url),
        ..config::Database::default()
    };
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate(SystemClock.now()).await.unwrap();
    (Arc::new(store), Filler::Postgres(url))
}

fn told(spread: &Spread) -> String {
    format!("{:.0} / {:.0}", spread.p(0.5), spread.p(0.99))
}
