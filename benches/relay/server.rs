//! The server under measurement: the real binary, in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// From starting the process to the first good answer of `/health`.
    pub(crate) ready: Duration,
    child: Child,
    _dir: TempDir,
}

impl Server {
    /// Starts the binary with this upstream as its only model.
    pub(crate) async fn start(binary: &str, upstream: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let mut child = Command::new(std::path::absolute(binary).unwrap())
            .args(["serve", "--listen", "127.0.0.1:0"])
            .current_dir(dir.path())
            .env("OPENAI_BASE_URL", format!("http://{upstream}/v1"))
            .env("DEEPME_LOG__LEVEL", "warn")
            .env("DEEPME_LIMITS__TURNS", "100000")
            .env("DEEPME_LIMITS__CONNECTIONS", "100000")
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
        // What else it says is not read here, but the pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
        let http = reqwest_client();
        while !http
            .get(format!("http://{address}/health"))
            .send()
            .await
            .is_ok_and(|r| r.status().is_success())
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self {
            address,
            ready: begun.elapsed(),
            child,
            _dir: dir,
        }
    }

    /// A fresh account's token.
    pub(crate) async fn log_in(&self) -> String {
        let client = deepme::client::Client::new(&format!("http://{}", self.address)).unwrap();
        client
            .register("bench", "bench@example.com", "a password for one run")
            .await
            .unwrap();
        client
            .login("bench@example.com", "a password for one run")
            .await
            .unwrap()
            .access_token
            .0
    }

    /// User and system time so far (`/proc/PID/stat`, in ticks of 10 ms).
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(") ")
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) as f64 / 100.0
    }

    /// Resident bytes.
    pub(crate) fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    pub(crate) fn stop(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn reqwest_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
