//! The real binary: what it prints, where, and with which exit code.

mod accounts;
mod backup;
mod comparing;
mod declared;
mod doctor;
mod journal;
mod keys;
mod logs;
mod manual;
mod metrics;
mod moving;
mod owner;
mod postgres;
mod prompts;
mod rights;
mod serving;
mod simulate;
mod supervised;
mod tokens;
mod top;

use assert_cmd::cargo::cargo_bin_cmd;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine of one's own: a directory, and no environment but this.
pub struct Machine(TempDir);

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// It succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It failed with this code and says so on stderr, in a line for people.
    pub fn failed(self, code: i32, says: &str) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        assert!(self.err.contains(says), "{says:?} is not in {self:?}");
        assert!(!self.err.contains("panicked") && !self.err.contains("RUST_BACKTRACE"));
        self
    }
}

impl Machine {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.0.path())
            .env("XDG_STATE_HOME", self.0.path().join("state"))
            .env("TMPDIR", self.0.path())
            .env("USER", "tester");
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str], stdin: &str) -> Outcome {
        self.run_with(args, stdin, &[])
    }

    /// The same with variables.
    pub fn run_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new(binary());
        self.prepare(&mut command);
        command.args(args).envs(env.iter().copied());
        let mut command = assert_cmd::Command::from_std(command);
        let output = command.write_stdin(stdin).timeout(PATIENCE).output();
        outcome(output.unwrap())
    }

    /// Starts a server on a port of its own and waits until it says where.
    pub fn serve(&self, args: &[&str], env: &[(&str, &str)]) -> Serving {
        self.serve_under(&[], args, env)
    }

    /// The same under a program that becomes the server when it has prepared something.
    pub fn serve_under(&self, wrapper: &[&str], args: &[&str], env: &[(&str, &str)]) -> Serving {
        let program = binary();
        let mut command = match wrapper {
            [] => Command::new(program),
            [wrapper, its @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(its).arg(program);
                command
            }
        };
        self.prepare(&mut command);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null());
        Self::started(command)
    }

    /// The server that this command is, once it has said where.
    pub fn started(mut command: Command) -> Serving {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (said, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        let mut log = Vec::new();
        let begun = Instant::now();
        let address = loop {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let line = lines
                .recv_timeout(left)
                .unwrap_or_else(|e| panic!("the server does not start: {e}: {log:?}"));
            log.push(line.clone());
            if let Some((_, rest)) = line.split_once(" on http://") {
                let address: SocketAddr = rest.split(' ').next().unwrap().parse().unwrap();
                assert_ne!(address.port(), 0, "the real port is printed");
                break address;
            }
        };
        Serving {
            child,
            lines,
            log,
            address,
        }
    }

    /// An account, made by the command for it.
    pub fn add_user(&self, name: &str) -> serde_json::Value {
        let email = format!("{name}@example.com");
        let args = [
            "user",
            "add",
            "--name",
            name,
            "--email",
            &email,
            "--password-stdin",
            "--json",
        ];
        self.run(&args, PASSWORD).ok().json()
    }
}

fn outcome(output: Output) -> Outcome {
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn binary() -> PathBuf {
    cargo_bin_cmd!("deepme").get_program().into()
}

/// A server that runs until it is told to stop.
pub struct Serving {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: Vec<String>,
    pub address: SocketAddr,
}

impl Serving {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn arguments(&self) -> Vec<u8> {
        std::fs::read(
            Path::new("/proc")
                .join(self.child.id().to_string())
                .join("cmdline"),
        )
        .unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM; everything it said on stderr, its stdout and its exit code.
    pub fn stop(self) -> Outcome {
        self.terminate();
        self.ended()
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// The next line on stderr with this in it.
    pub fn line(&mut self, with: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|e| panic!("{with:?}: {e}: {:?}", self.log));
            self.log.push(line.clone());
            if line.contains(with) {
                return line;
            }
        }
    }

    /// Waits for the end; what it said and its exit code.
    pub fn ended(mut self) -> Outcome {
        // Its stderr ends with it.
        while let Ok(line) = self.lines.recv_timeout(Duration::from_mins(1)) {
            self.log.push(line);
        }
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).unwrap();
        let status = self.child.wait().unwrap();
        Outcome {
            code: status.code().unwrap_or(-1),
            out,
            err: std::mem::take(&mut self.log).join("\n"),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Gone already where it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let machine = Machine::new();
    let help = machine.run(&["--help"], "").ok();
    let commands: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for wanted in [
        "serve", "migrate", "user", "prompt", "chat", "config", "keys", "db",
    ] {
        assert!(commands.contains(&wanted), "{commands:?}");
    }
    for command in commands {
        let help = machine.run(&[command, "--help"], "").ok();
        let example = format!("deepme {command}");
        let after = help.out.split("Example").nth(1).unwrap_or_default();
        assert!(after.contains(&example), "{command}: {}", help.out);
        assert!(help.err.is_empty());
    }
    assert!(
        machine
            .run(&["--version"], "")
            .ok()
            .out
            .starts_with("deepme ")
    );
    // Nothing was made by looking.
    assert_eq!(std::fs::read_dir(machine.0.path()).unwrap().count(), 0);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let machine = Machine::new();
    for args in [
        &["nonsense"][..],
        &[],
        &["serve", "--nonsense"],
        &["serve", "--listen", "nowhere"],
        &["user", "add"],
        &["prompt", "show"],
        &["chat", "--session", "x", "--once", "a"],
        &["config", "check", "--config", "missing.toml"],
    ] {
        let outcome = machine.run(args, "");
        assert_eq!(outcome.code, 2, "{args:?} {outcome:?}");
        assert!(
            outcome.out.is_empty() && !outcome.err.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let machine = Machine::new();
    machine.add_user("jiwoo");
    for args in [
        "user list",
        "prompt list --json",
        "prompt show ko",
        "config show",
        "--help",
    ] {
        // The pipe is closed before the command writes: nobody ever reads.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(binary());
        machine.prepare(&mut command);
        command
            .args(args.split(' '))
            .stdout(writer)
            .stderr(Stdio::piped());
        let outcome = outcome(command.output().unwrap());
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{args}");
    }
}

#[test]
fn the_configuration_is_checked_and_shown_without_its_secrets() {
    let machine = Machine::new();
    machine.run(&["config", "check"], "").ok();
    machine.write("config.toml", "[server]\nlisten_on = \"x\"\n");
    machine.run(&["config", "check"], "").failed(2, "listen_on");
    machine.run(&["serve"], "").failed(2, "listen_on");
    let secret = "[models.gpt]\napi_key = \"sk-canary\"\n";
    let file = machine.write("other.toml", secret);
    let file = file.to_str().unwrap();
    let check = machine.run(&["config", "check", "--config", file], "").ok();
    assert!(check.out.contains(file));
    for args in [&["config", "show"][..], &["config", "show", "--json"]] {
        let shown = machine.run_with(args, "", &[("DEEPME_CONFIG", file)]).ok();
        assert!(
            shown.out.contains("***") && !shown.out.contains("canary"),
            "{shown:?}"
        );
    }
    let env = [
        ("DEEPME_CONFIG", file),
        ("DEEPME_SERVER__LISTEN", "127.0.0.1:9"),
    ];
    let shown = machine
        .run_with(&["config", "show", "--json"], "", &env)
        .ok();
    assert_eq!(shown.json()["server"]["listen"], "127.0.0.1:9");
    let unknown = [("DEEPME_SERVER__LISTEN_ON", "canary")];
    machine
        .run_with(&["config", "check", "--config", file], "", &unknown)
        .failed(2, "DEEPME_SERVER__LISTEN_ON");
    for (text, says) in [
        (
            "[models.gpt]\napi_key = [\"sk-canary\"]\n",
            "line 2 (api_key)",
        ),
        ("[models.gpt]\napi_key = \"sk-canary\n", "other.toml"),
        ("[llm]\nchain = [\"nobody\"]\n", "nobody"),
        ("[log]\nlevel = 5\n", "level"),
    ] {
        machine.write("other.toml", text);
        let failed = machine
            .run(&["config", "check", "--config", file], "")
            .failed(2, says);
        assert!(
            !failed.err.contains("canary"),
            "a secret in an error: {failed:?}"
        );
    }
    let odd = [
        ("OPENAI_API_KEY", "sk-canary\u{7}"),
        ("DEEPME_DATABASE__URL", "mysql://canary@x"),
    ];
    let failed = machine.run_with(&["config", "check"], "", &odd[..1]);
    assert!(!failed.err.contains("canary"), "{failed:?}");
    std::fs::remove_file(machine.path("config.toml")).unwrap();
    let failed = machine
        .run_with(&["config", "check"], "", &odd[1..])
        .failed(2, "database.url");
    assert!(!failed.err.contains("canary"));
}
