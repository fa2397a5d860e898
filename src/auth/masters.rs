//! The master keys of a running process, and where they are read from.
//!
//! Owns [`Masters`]. Called by the vault. Invariant: a key that was once read stays known, so that a
//! rotation while the server runs makes nothing unreadable.

use super::seal::MasterKeys;
use crate::domain::{Error, ErrorCode, Result};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// The master keys, which may be rotated while they are in use.
pub struct Masters {
    keys: RwLock<Arc<MasterKeys>>,
    file: Option<PathBuf>,
}

impl Masters {
    /// Keys that stay as they are.
    pub fn fixed(keys: MasterKeys) -> Self {
        Self {
            keys: RwLock::new(Arc::new(keys)),
            file: None,
        }
    }

    /// Keys that were read from this file, and are read again when another one is needed.
    pub fn of_file(keys: MasterKeys, file: PathBuf) -> Self {
        Self {
            file: Some(file),
            ..Self::fixed(keys)
        }
    }

    /// The keys as they were last read.
    pub fn now(&self) -> Arc<MasterKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys as the file has them now, if they are from one; blocks.
    pub fn latest(&self) -> Result<Arc<MasterKeys>> {
        let read = self.file.as_deref().map(MasterKeys::load).transpose()?;
        Ok(read.flatten().map_or_else(|| self.now(), Arc::new))
    }

    /// Reads the file again; blocks. `config` when it does not have the key of this name.
    pub fn look_for(&self, id: &str) -> Result<Arc<MasterKeys>> {
        let missing = || {
            Error::new(
                ErrorCode::Config,
                format!("the master key {id} is missing, with which people's words are sealed"),
            )
        };
        let file = self.file.as_ref().ok_or_else(missing)?;
        let read = MasterKeys::load(file)?
            .filter(|keys| keys.knows(id))
            .ok_or_else(missing)?;
        let read = Arc::new(read);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read);
        Ok(read)
    }
}
