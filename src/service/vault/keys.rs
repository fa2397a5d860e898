//! The data keys of the people who are talking.
//!
//! Owns [`DataKeys`], which spares a read and an unwrapping each time, and [`rewrap`]. Invariants: a
//! person's key is made once, whoever asks for it at the same time and on whichever instance; no more
//! than [`REMEMBERED`] keys are in memory.

use crate::auth::masters::Masters;
use crate::auth::seal::{DataKey, MasterKeys};
use crate::domain::keyring::WrappedKey;
use crate::domain::{Error, Random, Result, UserId};
use crate::store::Store;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many people's keys are remembered.
const REMEMBERED: usize = 20_000;
/// Keys that are wrapped again at a time.
const PAGE: u32 = 500;

/// Data keys, unwrapped.
pub(super) struct DataKeys {
    store: Arc<dyn Store>,
    masters: Arc<Masters>,
    random: Arc<dyn Random>,
    known: Mutex<HashMap<UserId, Arc<DataKey>>>,
}

impl DataKeys {
    pub(super) fn new(store: Arc<dyn Store>, masters: Masters, random: Arc<dyn Random>) -> Self {
        Self {
            store,
            masters: Arc::new(masters),
            random,
            known: Mutex::default(),
        }
    }

    pub(super) fn masters(&self) -> Arc<Masters> {
        Arc::clone(&self.masters)
    }

    /// The person's key, which is made if they have none; `None` when there is no such person.
    pub(super) async fn of(&self, user_id: UserId) -> Result<Option<Arc<DataKey>>> {
        if let Some(key) = self.known().get(&user_id) {
            return Ok(Some(Arc::clone(key)));
        }
        let mut wrapped = self.store.data_key(user_id).await?;
        if wrapped.is_none() {
            let (_, fresh) = self.masters.now().fresh(user_id, &*self.random)?;
            wrapped = self.store.add_data_key(fresh).await?;
        }
        let Some(wrapped) = wrapped else {
            return Ok(None);
        };
        let key = Arc::new(self.unwrap(wrapped).await?);
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(user_id, Arc::clone(&key));
        Ok(Some(key))
    }

    /// Forgets the key of one person, or of everybody.
    pub(super) fn forget(&self, user_id: Option<UserId>) {
        match user_id {
            Some(user_id) => drop(self.known().remove(&user_id)),
            None => self.known().clear(),
        }
    }

    async fn unwrap(&self, wrapped: WrappedKey) -> Result<DataKey> {
        let masters = self.masters.now();
        if masters.knows(&wrapped.master) {
            return masters.unwrap(&wrapped);
        }
        // Rotated since the file was read.
        let masters = Arc::clone(&self.masters);
        tokio::task::spawn_blocking(move || masters.look_for(&wrapped.master)?.unwrap(&wrapped))
            .await
            .map_err(Error::internal)?
    }

    fn known(&self) -> MutexGuard<'_, HashMap<UserId, Arc<DataKey>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far [`rewrap`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrapped {
    /// Data keys that were wrapped again.
    pub keys: u64,
}

/// Wraps every data key with the first of the master keys. May be broken off and begun again.
pub async fn rewrap(
    store: &dyn Store,
    masters: &MasterKeys,
    random: &dyn Random,
    tell: &(dyn Fn(Rewrapped) + Sync),
) -> Result<Rewrapped> {
    let mut done = Rewrapped { keys: 0 };
    let mut after = None;
    loop {
        let page = store
            .data_keys_besides(masters.current().to_owned(), after, PAGE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(done);
        };
        after = Some(last.user_id);
        for old in page {
            let new = masters.rewrap(&old, random)?;
            // Who was faster did the same, or has deleted the account.
            if store.rewrap_data_key(old, new).await? {
                done.keys += 1;
            }
        }
        tell(done);
    }
}
