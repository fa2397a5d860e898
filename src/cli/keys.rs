//! `deepme keys`.

mod signing;

use super::backend::Backend;
use super::{Global, Result, say, say_json, terminal, wiring};
use crate::auth::SystemRandom;
use crate::auth::keys::Keys;
use crate::auth::seal::MasterKeys;
use crate::config::Config;
use crate::domain::{Error, ErrorCode};
use crate::service::vault;
use clap::{Args, Subcommand};
use std::path::Path;

pub(super) const HELP: &str = "Examples:
  deepme keys init             on the first machine of a PostgreSQL database; copy the file to the others
  deepme keys show --json      compare the fingerprint of two machines
  deepme keys rotate           sign tokens with a fresh key; those of the key before stay good
  deepme keys rotate --master  wrap everybody's data key with a fresh master key";

/// Options of `keys`.
#[derive(Debug, Args)]
pub(super) struct KeysCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make the key that signs tokens and the master key, where `auth.key_file` and
    /// `auth.master_key_file` say. SQLite does this at the first start.
    Init,
    /// Sign tokens with a fresh key, or, with --master, wrap everybody's data key with a fresh master key.
    /// Servers may go on meanwhile, and nobody is logged out.
    Rotate {
        /// The master key; words stay sealed with the data keys that it wraps.
        #[arg(long)]
        master: bool,
        #[command(flatten)]
        signing: signing::Signing,
    },
    /// Show which keys there are. Never shows a key.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(global: &Global, command: &KeysCommand) -> Result {
    let config = wiring::config_of_owner(global)?;
    let backend = Backend::of(&config.database)?;
    match command.action {
        Action::Init => init(&config, &backend),
        Action::Rotate { master: true, .. } => {
            wiring::block_on(async move { rotate_master(&config, &backend).await })
        }
        Action::Rotate { signing, .. } => {
            wiring::block_on(async move { signing.rotate(&config, &backend).await })
        }
        Action::Show { json } => show(&config, &backend, json),
    }
}

fn init(config: &Config, backend: &Backend) -> Result {
    let (file, master) = (backend.key_file(config), backend.master_file(config));
    let from_file = config.auth.master_key.expose().is_empty();
    let there = |file: &Path| {
        let message = format!("there are keys at {} already", file.display());
        Error::new(ErrorCode::Config, message)
    };
    if file.exists() && (master.exists() || !from_file) {
        return Err(there(&file).into());
    }
    let mut made = Vec::new();
    if !file.exists() {
        let keys = Keys::load_or_create(&file, &SystemRandom)?;
        made.push(format!(
            "made {} (fingerprint {})",
            file.display(),
            keys.fingerprint()
        ));
    }
    if from_file && !master.exists() {
        let masters = MasterKeys::load_or_create(&master, &SystemRandom)?;
        made.push(format!(
            "made {} (master key {}): keep a copy of it apart from the backups of the database; \
             without it nothing that people said can be read",
            master.display(),
            masters.current()
        ));
    }
    made.iter().try_for_each(say)?;
    if backend.shares_keys() {
        say(
            "copy what was made to every machine that serves this database, readable by the server only",
        )?;
    }
    Ok(())
}

fn show(config: &Config, backend: &Backend, json: bool) -> Result {
    let file = backend.key_file(config);
    let keys = Keys::load(&file)?.ok_or_else(|| {
        let message = format!("there are no keys at {}", file.display());
        Error::new(ErrorCode::Config, message)
    })?;
    let masters = backend.configured_masters(config)?;
    let masters: Vec<&str> = masters.iter().flat_map(MasterKeys::ids).collect();
    let from_file = config.auth.master_key.expose().is_empty();
    let master_file = from_file.then(|| backend.master_file(config));
    if json {
        return say_json(&serde_json::json!({
            "file": file,
            "fingerprint": keys.fingerprint(),
            "keys": keys.ids().collect::<Vec<_>>(),
            "master_file": master_file,
            "master_keys": masters,
        }));
    }
    say(format_args!(
        "{}\nfingerprint {}",
        file.display(),
        keys.fingerprint()
    ))?;
    keys.ids()
        .try_for_each(|id| say(format_args!("key {id}")))?;
    match master_file {
        Some(file) => say(file.display())?,
        None => say("auth.master_key")?,
    }
    masters
        .iter()
        .try_for_each(|id| say(format_args!("master key {id}")))
}

/// Where several machines share the database, the fresh key must be on all of them before anything is
/// wrapped with it: the first run makes it, the second one uses it. So does a run after one that was
/// broken off.
async fn rotate_master(config: &Config, backend: &Backend) -> Result {
    let opened = backend.open_beside(&config.database).await?;
    let store = &*opened.store;
    backend.masters(config, store).await?;
    let file = backend.master_file(config);
    let Some(old) = backend.configured_masters(config)? else {
        return Err(Error::internal("the master keys have gone").into());
    };
    let unfinished = store
        .data_keys_besides(old.current().to_owned(), None, 1)
        .await?;
    let masters = if unfinished.is_empty() && config.auth.master_key.expose().is_empty() {
        let fresh = old.rotated(&SystemRandom)?;
        fresh.replace(&file)?;
        if backend.shares_keys() {
            return say(format_args!(
                "made the master key {} in {}\ncopy the file to every machine that serves this \
                 database, then run this once more",
                fresh.current(),
                file.display()
            ));
        }
        fresh
    } else {
        old
    };
    let bar = terminal::bar("wrapping");
    let tell = |done: vault::Rewrapped| bar.set_position(done.keys);
    let done = vault::rewrap(store, &masters, &SystemRandom, &tell).await;
    bar.finish_and_clear();
    let done = done?;
    let current = masters.current().to_owned();
    if backend.shares_keys() {
        let claimed = store.claim_master(current.clone()).await?;
        if claimed != current {
            store.replace_master(claimed, current.clone()).await?;
        }
    }
    say(format_args!(
        "{} data keys are wrapped with the master key {current}; the one before stays in the file for \
         backups of before, and goes with the next rotation",
        done.keys
    ))
}
