//! A throw-away PostgreSQL.
//!
//! Started from the installed binaries, as an unprivileged user (`initdb` refuses root), in a
//! directory of its own. A shell guards it: when the pipe from this process closes, however the
//! process ended, the server is stopped and the directory removed. With `DEEPME_TEST_POSTGRES_URL`
//! that server is used instead of the shared one. Without either the tests fail: a skip would prove
//! nothing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// One running server.
pub struct Cluster {
    /// Everything up to the database.
    base: String,
    own: Option<Own>,
}

/// What a server of our own is made of.
struct Own {
    directory: PathBuf,
    port: u16,
    binaries: PathBuf,
    guard: Child,
}

/// The server that the tests of this process share. It forgets what it knew when the machine fails,
/// which is faster.
pub fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| match std::env::var("DEEPME_TEST_POSTGRES_URL") {
        Ok(url) => {
            let base = url.rsplit_once('/').expect("a URL with a database").0;
            Cluster {
                base: base.to_owned(),
                own: None,
            }
        }
        Err(_) => Cluster::own("-c fsync=off -c full_page_writes=off"),
    })
}

impl Cluster {
    /// A server of one's own that keeps its promises, for a test that stops it.
    pub fn durable() -> Self {
        Self::own("")
    }

    /// A server with TLS, by this certificate and key (PEM), and passwords over TCP.
    pub fn with_tls(certificate: &str, key: &str) -> Self {
        let cluster = Self::own("");
        let own = cluster.own.as_ref().unwrap();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            own.write(name, text);
        }
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        own.write("pg_hba.conf", rules);
        own.write("postgresql.auto.conf", "ssl = on\n");
        cluster.stop("fast");
        cluster.start();
        cluster
    }

    fn own(settings: &str) -> Self {
        let binaries = binaries();
        let mut guard = as_nobody("sh");
        // Says where it is once it runs; ends when nobody holds the pipe any more.
        guard
            .arg("-c")
            .arg(
                r#"set -e
                directory=$(mktemp -d /tmp/deepme-pg-XXXXXX)
                end() { "$0/pg_ctl" -D "$directory/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$directory"; }
                trap end EXIT
                trap '' INT TERM HUP PIPE
                "$0/initdb" -D "$directory/data" -U postgres --auth=trust --no-sync --locale=C --encoding=UTF8 >/dev/null
                printf "%s\n" "unix_socket_directories = '$directory'" "listen_addresses = '127.0.0.1'" "port = $1" \
                    "max_connections = 300" "shared_buffers = 32MB" "log_min_messages = fatal" >> "$directory/data/postgresql.conf"
                "$0/pg_ctl" -D "$directory/data" -w -t 60 -o "$2" -l "$directory/log" start >/dev/null
                echo "$directory"
                cat >/dev/null"#,
            )
            .arg(&binaries)
            .arg(free_port().to_string())
            .arg(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut guard = guard.spawn().expect("a shell");
        let mut line = String::new();
        let said = guard.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let directory = PathBuf::from(line.trim());
        assert!(directory.is_absolute(), "PostgreSQL did not start");
        let configuration =
            std::fs::read_to_string(directory.join("data/postgresql.conf")).unwrap();
        let port = configuration
            .lines()
            .find_map(|line| line.strip_prefix("port = "))
            .unwrap();
        let port = port.parse().unwrap();
        Self {
            base: format!("postgres://postgres@127.0.0.1:{port}"),
            own: Some(Own {
                directory,
                port,
                binaries,
                guard,
            }),
        }
    }

    /// The URL of a database here.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// The URL of a fresh, empty database.
    pub async fn database(&self) -> String {
        let name = format!("deepme_{}", Uuid::new_v4().simple());
        let client = connect(&self.url("postgres")).await;
        let made = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        client.batch_execute(&made).await.unwrap();
        self.url(&name)
    }

    /// The URL of a copy of one of its databases, whose connections end by that.
    pub async fn copy_of(&self, url: &str) -> String {
        let original = url.rsplit('/').next().unwrap();
        let original = original.split('?').next().unwrap();
        let name = format!("deepme_{}", Uuid::new_v4().simple());
        let client = connect(&self.url("postgres")).await;
        let end = format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{original}'"
        );
        let allow = |yes| format!("ALTER DATABASE {original} ALLOW_CONNECTIONS {yes}");
        client.batch_execute(&allow(false)).await.unwrap();
        client.batch_execute(&end).await.unwrap();
        let made = format!("CREATE DATABASE {name} TEMPLATE {original}");
        client.batch_execute(&made).await.unwrap();
        client.batch_execute(&allow(true)).await.unwrap();
        self.url(&name)
    }

    fn own_one(&self) -> &Own {
        self.own.as_ref().expect("a server of one's own")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.own_one().port
    }

    /// Where its Unix socket is.
    pub fn directory(&self) -> &Path {
        &self.own_one().directory
    }

    /// Stops it: `smart`, `fast` or `immediate`.
    pub fn stop(&self, mode: &str) {
        self.own_one().control(&["-m", mode, "-w", "stop"]);
    }

    /// Starts it again where it was.
    pub fn start(&self) {
        let own = self.own_one();
        let log = own.directory.join("log");
        own.control(&["-w", "-t", "60", "-l", log.to_str().unwrap(), "start"]);
    }
}

impl Own {
    fn control(&self, arguments: &[&str]) {
        let done = as_nobody(self.binaries.join("pg_ctl").to_str().unwrap())
            .arg("-D")
            .arg(self.directory.join("data"))
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "pg_ctl {arguments:?}");
    }

    /// A private file of the server's.
    fn write(&self, name: &str, text: &str) {
        let path = self.directory.join("data").join(name);
        let mut writing = as_nobody("sh")
            .arg("-c")
            .arg(r#"umask 077; cat > "$0""#)
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = writing.stdin.take().unwrap();
        pipe.write_all(text.as_bytes()).unwrap();
        drop(pipe);
        assert!(writing.wait().unwrap().success());
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // The pipe closes, the guard cleans up.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A connection that takes care of itself.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A command as somebody who is not root.
fn as_nobody(program: &str) -> Command {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout.trim_ascii() != b"0" {
        return Command::new(program);
    }
    let known = |user: &str| {
        let found = Command::new("id").arg(user).output().unwrap();
        found.status.success()
    };
    let user = if known("postgres") {
        "postgres"
    } else {
        "nobody"
    };
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--", program]).current_dir("/");
    command
}

/// Where `initdb` and `pg_ctl` are, of the newest version that is installed.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").is_file())
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&path).find(|path| path.join("initdb").is_file());
    found.pop().map(|(_, path)| path).or(elsewhere).expect(
        "the tests need PostgreSQL: apt install postgresql, or set DEEPME_TEST_POSTGRES_URL",
    )
}

fn free_port() -> u16 {
    // Below the range of ports that clients get: none may take it while the server is stopped.
    (0..1000)
        .map(|_| 20_000 + (Uuid::new_v4().as_u128() % 12_000) as u16)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

#[tokio::test]
async fn each_database_is_a_fresh_one() {
    let (one, two) = (cluster().database().await, cluster().database().await);
    assert_ne!(one, two);
    for url in [one, two] {
        let client = connect(&url).await;
        let row = client
            .query_one(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, i64>(0), 0);
    }
}
