//! What the facts of a machine mean.
//!
//! Owns [`Finding`] and the decisions about this machine. Called by `deepme doctor`. Pure. Invariants: every check has one finding at
//! least, so that it is seen that it was made; what is not as it should be comes with what to type or to write.

use crate::config::Config;
use crate::domain::Timestamp;
use crate::llm::Fault;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// It works, but should not stay so.
    Warn,
    /// It does not work, or somebody may come to harm.
    Fail,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// What was looked at, in a word.
    pub(super) check: &'static str,
    /// What was found, in a sentence.
    pub(super) says: String,
    /// A command or a line of the configuration.
    pub(super) fix: Option<String>,
}

pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Finding {
    Finding {
        severity: Severity::Ok,
        check,
        says: says.into(),
        fix: None,
    }
}

pub(super) fn warn(
    check: &'static str,
    says: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        severity: Severity::Warn,
        check,
        says: says.into(),
        fix: Some(fix.into()),
    }
}

pub(super) fn fail(
    check: &'static str,
    says: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        severity: Severity::Fail,
        ..warn(check, says, fix)
    }
}

/// Settings that are allowed and better not so.
pub(super) fn settings(config: &Config, file: Option<&Path>) -> Vec<Finding> {
    const CHECK: &str = "config";
    let mut found = vec![ok(
        CHECK,
        match file {
            Some(file) => format!("{} is right", file.display()),
            None => "there is no configuration file; the defaults and the environment are right"
                .to_owned(),
        },
    )];
    let listen = config.server.listen;
    let wide = !listen.ip().to_canonical().is_loopback();
    if wide && !config.server.behind_tls {
        found.push(fail(
            CHECK,
            format!("server.listen is {listen}: other machines reach it, and deepme speaks no TLS, so it does not start"),
            "[server] listen = \"127.0.0.1:8000\" behind a proxy that ends TLS, or behind_tls = true if one does elsewhere",
        ));
    }
    if config.auth.query_token {
        found.push(warn(
            CHECK,
            "auth.query_token is on: tokens in URLs end up in the logs of proxies and in histories",
            "[auth] query_token = false (browsers use POST /ws-ticket)",
        ));
    }
    if (wide || config.server.behind_tls || config.auth.guests)
        && config.server.trusted_proxies.is_empty()
    {
        found.push(warn(
            CHECK,
            "server.trusted_proxies is empty: behind a proxy nobody is told from anybody else by address, and no limit of an address holds",
            "[server] trusted_proxies = [\"127.0.0.1\"], the addresses of your proxy",
        ));
    }
    if config
        .metrics
        .address()
        .is_some_and(|at| !at.ip().to_canonical().is_loopback())
    {
        found.push(warn(
            CHECK,
            format!(
                "metrics.listen is {}: whoever reaches it reads the figures without a password",
                config.metrics.listen
            ),
            "[metrics] listen = \"127.0.0.1:9464\"",
        ));
    }
    found
}

/// A file that only the server may read.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) uid: u32,
    /// Whose files they are: the owner of the directory of the data.
    pub(super) owner: u32,
}

pub(super) fn files(kept: &[Kept]) -> Vec<Finding> {
    const CHECK: &str = "files";
    let mut found = Vec::new();
    for file in kept {
        let path = file.path.display();
        if file.mode & 0o077 != 0 {
            found.push(fail(
                CHECK,
                format!(
                    "{path} can be read by others (mode {:03o})",
                    file.mode & 0o777
                ),
                format!("chmod 600 {path}"),
            ));
        }
        if file.uid != file.owner {
            found.push(fail(
                CHECK,
                format!(
                    "{path} belongs to user {}, the data to user {}",
                    file.uid, file.owner
                ),
                format!("chown {} {path}", file.owner),
            ));
        }
    }
    if found.is_empty() {
        found.push(ok(
            CHECK,
            format!("{} files are their owner's alone", kept.len()),
        ));
    }
    found
}

/// Room on a disk, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) path: PathBuf,
    pub(super) free: u64,
    pub(super) total: u64,
}

const MIB: u64 = 1 << 20;

pub(super) fn disk(disk: &Disk) -> Finding {
    const CHECK: &str = "disk";
    let (path, free) = (disk.path.display(), disk.free / MIB);
    let says = format!("{free} MiB are free at {path}");
    let fix = || format!("df -h {path}; make room, or move the data to a larger disk");
    if disk.free < 100 * MIB {
        fail(CHECK, format!("{says}: soon nothing can be stored"), fix())
    } else if disk.free < 1024 * MIB || disk.free < disk.total / 20 {
        warn(CHECK, says, fix())
    } else {
        ok(CHECK, says)
    }
}

/// How far a clock may be ahead or behind before it is said.
const APART: Duration = Duration::from_secs(5);

/// The clock of this machine beside that of something else, in microseconds that the other is ahead.
pub(super) fn clock(other: &str, ahead: i64) -> Finding {
    const CHECK: &str = "clock";
    if u128::from(ahead.unsigned_abs()) <= APART.as_micros() {
        return ok(
            CHECK,
            format!("the clock of {other} is that of this machine"),
        );
    }
    let seconds = ahead.unsigned_abs() / 1_000_000;
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    fail(
        CHECK,
        format!(
            "the clock of {other} is {seconds} s {direction} this machine's: tokens and leases go by time"
        ),
        "timedatectl set-ntp true, on both",
    )
}

/// The clock beside the last time that the database was in use.
pub(super) fn clock_since(seen: Option<Timestamp>, now: Timestamp) -> Option<Finding> {
    let ahead = seen?.since(now);
    Some(if ahead > APART {
        fail(
            "clock",
            format!(
                "the database was in use {} s from now: the clock of this machine was set back",
                ahead.as_secs()
            ),
            "timedatectl set-ntp true",
        )
    } else {
        ok(
            "clock",
            "it is later than when the database was last in use",
        )
    })
}

/// Descriptors that a server needs beside those of its connections.
const OTHER_DESCRIPTORS: u64 = 64;

/// `most` descriptors may be open in a running server, or in one that is started from here.
pub(super) fn descriptors(most: u64, running: bool, connections: u64) -> Finding {
    const CHECK: &str = "descriptors";
    let who = if running {
        "the running server may open"
    } else {
        "a server that is started from here may open"
    };
    let says = format!("{who} {most} descriptors, limits.connections is {connections}");
    if most >= connections.saturating_add(OTHER_DESCRIPTORS) {
        ok(CHECK, says)
    } else if running {
        warn(
            CHECK,
            says,
            "LimitNOFILE=65536 in the unit (systemctl edit deepme), or a smaller limits.connections",
        )
    } else {
        warn(
            CHECK,
            says,
            "ulimit -n 65536; the unit in systemd/ has it already",
        )
    }
}

/// What there is of backups.
#[derive(Debug)]
pub(super) struct Backups {
    pub(super) directory: PathBuf,
    pub(super) newest: Option<Timestamp>,
    pub(super) keyring: bool,
}

pub(super) fn backups(backups: &Backups, max_age_hours: u32, now: Timestamp) -> Finding {
    const CHECK: &str = "backup";
    let at = backups.directory.display();
    let fix = "deepme backup create; every night: systemctl enable --now deepme-backup.timer";
    let Some(newest) = backups.newest else {
        return warn(CHECK, format!("there is no backup in {at}"), fix);
    };
    let hours = now.since(newest).as_secs() / 3600;
    if !backups.keyring {
        fail(
            CHECK,
            format!("there is no keyring in {at}: without it no backup there can be put back"),
            fix,
        )
    } else if max_age_hours > 0 && hours >= u64::from(max_age_hours) {
        fail(
            CHECK,
            format!(
                "the newest backup in {at} is {hours} hours old, backup.max_age_hours is {max_age_hours}"
            ),
            "deepme backup create; then see why there was none: journalctl -u deepme-backup",
        )
    } else {
        ok(
            CHECK,
            format!("the newest backup in {at} is {hours} hours old"),
        )
    }
}

/// A model that was asked for a token, and after how long it came.
pub(super) fn model(name: &str, outcome: &Result<Duration, Fault>) -> Finding {
    const CHECK: &str = "model";
    let fault = match outcome {
        Ok(after) => {
            return ok(
                CHECK,
                format!("{name} began to answer after {} ms", after.as_millis()),
            );
        }
        Err(fault) => fault,
    };
    let (says, fix) = match fault {
        Fault::Refused { status: 404 } => (
            "does not know the model (HTTP 404)".to_owned(),
            format!("[models.{name}] model and base_url"),
        ),
        Fault::Refused { status } => (
            format!("refuses the key (HTTP {status})"),
            format!("[models.{name}] api_key_file"),
        ),
        Fault::Busy { .. } => (
            "is busy, or the quota of its key is used up".to_owned(),
            "look at the provider's account; put another model into llm.chain".to_owned(),
        ),
        Fault::Status { status } => (
            format!("answers with HTTP {status}"),
            "try again later; put another model into llm.chain".to_owned(),
        ),
        Fault::Connection => (
            "cannot be reached".to_owned(),
            format!("[models.{name}] base_url, and whether this machine reaches it: curl -v"),
        ),
        Fault::Stalled => (
            "said nothing in time".to_owned(),
            "a larger llm.first_token_seconds, or another model in llm.chain".to_owned(),
        ),
        Fault::Malformed => (
            "answers, but not with a stream of Chat Completions".to_owned(),
            format!("[models.{name}] base_url, which ends before /chat/completions"),
        ),
    };
    fail(CHECK, format!("{name} {says}"), fix)
}
