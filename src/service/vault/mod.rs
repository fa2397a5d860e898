//! The vault: what people say, and what they are told, between the use-cases and the store.
//!
//! Owns every way by which words get into the database and out of it. Called by the use-cases; a test
//! sees to it that they do not go past it. Invariant: no word is stored but sealed with the key of its
//! person; what was moved, swapped or put into the database by others is an error, not an answer.

mod insights;
mod keys;
mod old;
mod words;

pub(super) use insights::Kept;
pub use keys::{Rewrapped, rewrap};
pub use old::{Sealed, seal_old};

use crate::auth::masters::Masters;
use crate::domain::Random;
use crate::store::Store;
use std::sync::Arc;

/// Seals and opens what people say.
pub(super) struct Vault {
    store: Arc<dyn Store>,
    keys: keys::DataKeys,
    random: Arc<dyn Random>,
}

impl Vault {
    pub(super) fn new(store: Arc<dyn Store>, masters: Masters, random: Arc<dyn Random>) -> Self {
        Self {
            keys: keys::DataKeys::new(Arc::clone(&store), masters, Arc::clone(&random)),
            store,
            random,
        }
    }

    /// The keys that wrap data keys.
    pub(super) fn masters(&self) -> Arc<Masters> {
        self.keys.masters()
    }

    /// The account is gone, or may be: its key must not stay in memory.
    pub(super) fn forget(&self, user_id: Option<crate::domain::UserId>) {
        self.keys.forget(user_id);
    }
}
