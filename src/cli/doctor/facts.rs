//! The facts of a machine.
//!
//! Owns how they are gathered. Called by `deepme doctor`. Invariants: nothing is changed and no file is made; what cannot be found out is left
//! out; a database of another user is not opened.

use super::database::Database;
use super::findings::{Backups, Disk, Kept};
use crate::cli::backend::{Backend, blocking};
use crate::cli::{CliError, keyfiles};
use crate::config::Config;
use crate::domain::transcript::{Message, Role};
use crate::llm::{ChatModel, ChatRequest, Fault, Piece};
use crate::service::backup::Place;
use crate::store::sqlite::SqliteStore;
use futures_util::StreamExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// What a model is asked, which tells it nothing.
const HELLO: &str = "Say: ok";

/// The directory of the data, as far as there is one.
pub(super) fn data(backend: &Backend, config: &Config) -> PathBuf {
    let file = match backend {
        Backend::Sqlite(path) => path.clone(),
        Backend::Postgres(_) => backend.master_file(config),
    };
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    directory.unwrap_or(Path::new(".")).to_owned()
}

/// The files that nobody else may read, those of them that are there.
pub(super) fn kept(backend: &Backend, config: &Config) -> Vec<Kept> {
    let mut paths = vec![
        backend.key_file(config),
        config.database.password_file.clone(),
    ];
    if config.auth.master_key.expose().is_empty() {
        paths.push(backend.master_file(config));
    }
    if let Backend::Sqlite(path) = backend {
        let beside = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
        paths.extend(["", "-wal", "-shm", ".seen", ".erased"].map(beside));
    }
    paths.extend(
        config
            .models
            .values()
            .map(|model| model.api_key_file.clone()),
    );
    let place = Place::new(&config.backup.directory);
    paths.push(place.keyring());
    paths.extend(
        place
            .backups()
            .unwrap_or_default()
            .into_iter()
            .map(|(_, path)| path),
    );
    let data = data(backend, config);
    let owner = std::fs::metadata(&data).map(|directory| directory.uid());
    let known = |path: PathBuf| {
        let file = std::fs::metadata(&path).ok()?;
        // What systemd hands over is root's, and readable by the service alone.
        let handed_over = path.starts_with("/run/credentials");
        (file.is_file() && !handed_over).then(|| Kept {
            mode: file.mode(),
            uid: file.uid(),
            // Elsewhere root may own what the server reads by its group or by an ACL.
            owner: if path.starts_with(&data) {
                owner.as_ref().copied().unwrap_or(file.uid())
            } else {
                file.uid()
            },
            path,
        })
    };
    let named = paths
        .into_iter()
        .filter(|path| !path.as_os_str().is_empty());
    named.filter_map(known).collect()
}

/// The room where data and backups are.
pub(super) fn disks(backend: &Backend, config: &Config) -> Vec<Disk> {
    let mut disks: Vec<(u64, Disk)> = Vec::new();
    for path in [data(backend, config), config.backup.directory.clone()] {
        let (Ok(stat), Ok(file)) = (rustix::fs::statvfs(&path), std::fs::metadata(&path)) else {
            continue;
        };
        if disks.iter().all(|(device, _)| *device != file.dev()) {
            let disk = Disk {
                path,
                free: stat.f_bavail.saturating_mul(stat.f_frsize),
                total: stat.f_blocks.saturating_mul(stat.f_frsize),
            };
            disks.push((file.dev(), disk));
        }
    }
    disks.into_iter().map(|(_, disk)| disk).collect()
}

/// How many descriptors a running server may open, or else a process that is started from here; whether it is a
/// server's.
pub(super) fn descriptors() -> (u64, bool) {
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let served = processes.filter_map(|process| {
        let command = std::fs::read(process.path().join("cmdline")).ok()?;
        let mut words = command.split(|byte| *byte == 0);
        let program = words.next()?;
        let serves = program.ends_with(b"deepme") && words.next()? == b"serve";
        let limits = serves.then(|| std::fs::read_to_string(process.path().join("limits")))?;
        most(&limits.ok()?)
    });
    match served.min() {
        Some(most) => (most, true),
        None => (own.unwrap_or(u64::MAX), false),
    }
}

/// The soft limit in a `/proc/PID/limits`.
fn most(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// The database, without changing it.
pub(super) async fn database(backend: &Backend, config: &Config) -> Database {
    if let Backend::Sqlite(path) = backend {
        let Ok(file) = std::fs::metadata(path) else {
            return Database::None(path.clone());
        };
        if file.uid() != rustix::process::geteuid().as_raw() {
            return Database::Foreign(path.clone(), file.uid());
        }
    }
    if let Backend::Sqlite(path) = backend {
        let path = path.clone();
        let checked = blocking(move || Ok(SqliteStore::quick_check(&path)?)).await;
        match checked {
            Ok(None) => {}
            Ok(Some(damage)) => return Database::Damaged(damage),
            Err(error) => return Database::Closed(error.to_string()),
        }
    }
    let state = match backend.state(&config.database).await {
        Ok(state) => state,
        Err(error) => return Database::Closed(error.to_string()),
    };
    let keys = if state.current == state.wanted {
        keys(backend, config).await
    } else {
        None
    };
    Database::Open {
        embedded: matches!(backend, Backend::Sqlite(_)),
        state,
        keys,
    }
}

/// Whether the keys are the right ones, where something depends on them already.
async fn keys(backend: &Backend, config: &Config) -> Option<Result<(), String>> {
    let checked = async {
        let opened = backend.open_beside(&config.database).await?;
        let store = &*opened.store;
        if store.masters().await?.is_empty() {
            return Ok(false);
        }
        backend.masters(config, store).await?;
        // With words in the database the keys have been claimed, so that this only compares.
        if backend.shares_keys() {
            keyfiles::keys(store, &backend.key_file(config), true).await?;
        }
        Ok::<_, CliError>(true)
    };
    match checked.await {
        Ok(false) => None,
        Ok(true) => Some(Ok(())),
        Err(error) => Some(Err(error.to_string())),
    }
}

pub(super) fn backups(config: &Config) -> Backups {
    let place = Place::new(&config.backup.directory);
    Backups {
        directory: config.backup.directory.clone(),
        newest: place.backups().ok().and_then(|all| Some(all.first()?.0)),
        keyring: place.keyring().is_file(),
    }
}

/// Asks a model for one token; after how long it came.
pub(super) async fn ask(model: &dyn ChatModel, config: &Config) -> Result<Duration, Fault> {
    let request = ChatRequest {
        messages: vec![Message {
            role: Role::User,
            content: HELLO.to_owned(),
        }],
        max_output_tokens: 16,
        pseudonym: "doctor".to_owned(),
        schema: None,
    };
    let begun = Instant::now();
    let first = async {
        let mut stream = model.ask(request).await?;
        loop {
            match stream.next().await {
                // Some begin with an empty one.
                Some(Ok(Piece::Text(text))) if text.is_empty() => {}
                Some(Ok(_)) => return Ok(begun.elapsed()),
                Some(Err(fault)) => return Err(fault),
                None => return Err(Fault::Malformed),
            }
        }
    };
    let patience = Duration::from_secs(config.llm.first_token_seconds);
    let first = tokio::time::timeout(patience, first).await;
    first.unwrap_or(Err(Fault::Stalled))
}
