//! Who a command runs as.
//!
//! Owns one rule: a command that root runs on data of somebody else becomes that somebody first. Called by the
//! commands that work on the data, before there is a second thread. Invariant: whoever runs a command, no file beside
//! the database comes to belong to anybody but the owner of the data, for the server could not open it.

use super::{CliError, Result};
use crate::config::{Config, DatabaseUrl};
use crate::store::sqlite;
use rustix::fs::{Gid, Uid};
use rustix::process::geteuid;
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Somebody on this machine.
type Owner = (Uid, Gid);

/// Becomes, if root runs this, the owner of the data: of the database's file, else of the keys.
pub(super) fn become_owner(config: &Config) -> Result {
    become_owner_of(&data(config))
}

/// The same for a database that is named on the command line; nothing for one on a server.
pub(super) fn become_owner_of_file(url: &DatabaseUrl) -> Result {
    sqlite::path_of(url.expose()).map_or(Ok(()), |file| become_owner_of(&file))
}

/// Refuses to work as root on data of somebody else, where it is too late to become them.
pub(super) fn refuse_root(config: &Config) -> Result {
    match other(&data(config)) {
        None => Ok(()),
        Some((uid, _)) => Err(CliError::Usage(format!(
            "the data belong to the user with the id {}: run this command as that user, not as root",
            uid.as_raw()
        ))),
    }
}

fn become_owner_of(file: &Path) -> Result {
    let Some((uid, gid)) = other(file) else {
        return Ok(());
    };
    // For this thread, and so for all that it will start.
    let become_them = || {
        set_thread_groups(&[gid])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)
    };
    become_them().map_err(|error| {
        CliError::Failed(format!(
            "cannot become the user with the id {}, to whom the data belong: {error}",
            uid.as_raw()
        ))
    })
}

fn data(config: &Config) -> PathBuf {
    let key_file = &config.auth.key_file;
    sqlite::path_of(config.database.url.expose()).unwrap_or_else(|| {
        if key_file.as_os_str().is_empty() {
            PathBuf::from("data/token.key")
        } else {
            key_file.clone()
        }
    })
}

/// Whose this file is, or the directory in which it is going to be, when this is root and they are not.
fn other(file: &Path) -> Option<Owner> {
    if !geteuid().is_root() {
        return None;
    }
    let there = file.ancestors().find_map(|path| {
        let here = Path::new(".");
        let path = if path.as_os_str().is_empty() {
            here
        } else {
            path
        };
        path.metadata().ok()
    })?;
    let owner = (Uid::from_raw(there.uid()), Gid::from_raw(there.gid()));
    (!owner.0.is_root()).then_some(owner)
}
