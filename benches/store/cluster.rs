//! A throw-away PostgreSQL that keeps its promises: fsync is on, and so is everything else that is by
//! default.
//!
//! Started as the tests start theirs (`tests/it/cluster.rs` says why it is done like this), or the one
//! of `DEEPME_BENCH_POSTGRES_URL`, in which a database is made and dropped again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio_postgres::NoTls;
use uuid::Uuid;

pub(crate) struct Cluster {
    /// Everything up to the database.
    base: String,
    /// Where to make a database from.
    first: String,
    made: Vec<String>,
    guard: Option<Child>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        if let Ok(url) = std::env::var("DEEPME_BENCH_POSTGRES_URL") {
            let (base, first) = url.rsplit_once('/').unwrap();
            return Self {
                base: base.to_owned(),
                first: first.to_owned(),
                made: Vec::new(),
                guard: None,
            };
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut guard = as_nobody()
            .arg("-c")
            .arg(
                r#"set -e
                directory=$(mktemp -d /tmp/deepme-pg-XXXXXX)
                end() { "$0/pg_ctl" -D "$directory/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$directory"; }
                trap end EXIT
                trap '' INT TERM HUP
                "$0/initdb" -D "$directory/data" -U postgres --auth=trust --no-sync --locale=C --encoding=UTF8 >/dev/null
                printf "%s\n" "unix_socket_directories = '$directory'" "listen_addresses = '127.0.0.1'" \
                    "port = $1" >> "$directory/data/postgresql.conf"
                "$0/pg_ctl" -D "$directory/data" -w -t 60 -l "$directory/log" start >/dev/null
                echo started
                cat >/dev/null"#,
            )
            .arg(binaries())
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(guard.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line.trim(), "started", "PostgreSQL did not start");
        Self {
            base: format!("postgres://postgres@127.0.0.1:{port}"),
            first: "postgres".to_owned(),
            made: Vec::new(),
            guard: Some(guard),
        }
    }

    /// Whether it writes to this machine's disk.
    pub(crate) fn is_own(&self) -> bool {
        self.guard.is_some()
    }

    /// The URL of a fresh, empty database.
    pub(crate) async fn database(&mut self) -> String {
        let name = format!("deepme_bench_{}", Uuid::new_v4().simple());
        let client = connect(&format!("{}/{}", self.base, self.first)).await;
        let made = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        client.batch_execute(&made).await.unwrap();
        let url = format!("{}/{name}", self.base);
        self.made.push(name);
        url
    }

    /// What it says of itself.
    pub(crate) async fn version(&self) -> String {
        let client = connect(&format!("{}/{}", self.base, self.first)).await;
        let row = client.query_one("SHOW server_version", &[]).await.unwrap();
        row.get(0)
    }

    /// Leaves nothing behind.
    pub(crate) async fn end(mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            guard.wait().unwrap();
            return;
        }
        let client = connect(&format!("{}/{}", self.base, self.first)).await;
        for name in &self.made {
            let gone = format!("DROP DATABASE {name} WITH (FORCE)");
            client.batch_execute(&gone).await.unwrap();
        }
    }
}

/// A connection that takes care of itself.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A shell as somebody who is not root.
fn as_nobody() -> Command {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout.trim_ascii() != b"0" {
        return Command::new("sh");
    }
    let mut command = Command::new("runuser");
    command
        .args(["-u", "postgres", "--", "sh"])
        .current_dir("/");
    command
}

/// Where `initdb` and `pg_ctl` are, of the newest version that is installed.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = versions
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, path)| has_initdb(path))
        .max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).find(|path| has_initdb(path));
    newest
        .map(|(_, path)| path)
        .or(elsewhere)
        .expect("apt install postgresql, or set DEEPME_BENCH_POSTGRES_URL")
}

fn has_initdb(path: &Path) -> bool {
    path.join("initdb").is_file()
}
