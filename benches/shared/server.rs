//! The server under measurement: the real binary, in a process of its own.

use deepme::client::Client;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Everybody here is one of a few people at one address, who say as much as they can: what the program
/// refuses such people by default would be all that is measured.
const NO_LIMITS: [(&str, &str); 7] = [
    ("DEEPME_LIMITS__CONNECTIONS", "100000"),
    ("DEEPME_LIMITS__TURNS", "100000"),
    ("DEEPME_LIMITS__TURNS_A_USER", "0"),
    ("DEEPME_LIMITS__SOCKETS_A_USER", "0"),
    ("DEEPME_LIMITS__SOCKETS_AN_ADDRESS", "0"),
    ("DEEPME_LIMITS__MESSAGES_A_MINUTE", "0"),
    ("DEEPME_LIMITS__TOKENS_A_DAY", "0"),
];

pub(crate) const PASSWORD: &str = "a password for one run";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// From starting the process to the first good answer of `/health`.
    pub(crate) ready: Duration,
    child: Child,
    /// Collects what it says.
    said: JoinHandle<Vec<String>>,
    dir: TempDir,
}

/// Bytes that a process holds.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Resident.
    pub(crate) rss: u64,
    /// Resident, what is shared with others counted by its share.
    pub(crate) pss: u64,
}

/// What became of a server.
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// What it said, its warnings and errors among it.
    pub(crate) said: Vec<String>,
    /// Where its database is.
    pub(crate) dir: TempDir,
}

impl Server {
    /// Starts the binary with this upstream as its only model, and these variables.
    pub(crate) async fn start(binary: &str, upstream: SocketAddr, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let mut child = Command::new(std::path::absolute(binary).unwrap())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(dir.path())
            .env("OPENAI_BASE_URL", format!("http://{upstream}/v1"))
            .env("DEEPME_LOG__LEVEL", "warn")
            .envs(NO_LIMITS)
            .envs(env.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some(rest) = line.split("http://").nth(1) {
                break rest.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        let said = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        let client = Client::new(&format!("http://{address}")).unwrap();
        while client.health().await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self {
            address,
            ready: begun.elapsed(),
            child,
            said,
            dir,
        }
    }

    /// A fresh account's token.
    pub(crate) async fn account(&self, name: &str) -> String {
        let client = Client::new(&format!("http://{}", self.address)).unwrap();
        let email = format!("{name}@example.com");
        client.register(name, &email, PASSWORD).await.unwrap();
        let login = client.login(&email, PASSWORD).await.unwrap();
        login.access_token.0
    }

    /// User and system time so far (`/proc/PID/stat`, in ticks of 10 ms).
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat
            .rsplit(") ")
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) as f64 / 100.0
    }

    pub(crate) fn memory(&self) -> Memory {
        let smaps = self.proc("smaps_rollup");
        let bytes = |name: &str| {
            let line = smaps.lines().find(|line| line.starts_with(name)).unwrap();
            let kib = line.split_whitespace().nth(1).unwrap();
            kib.parse::<u64>().unwrap() * 1024
        };
        Memory {
            rss: bytes("Rss:"),
            pss: bytes("Pss:"),
        }
    }

    /// Open files and sockets.
    pub(crate) fn descriptors(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(directory).unwrap().count()
    }

    fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// SIGTERM, and what comes of it.
    pub(crate) fn stop(mut self) -> Ended {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let code = self.child.wait().unwrap().code();
        Ended {
            code,
            said: self.said.join().unwrap(),
            dir: self.dir,
        }
    }
}
