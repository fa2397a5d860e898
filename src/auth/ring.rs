//! The signing keys of a running server.
//!
//! Owns [`Ring`]. Called by whatever signs or verifies. Invariant: who took the keys works with them to the
//! end of what they do; who takes them next has those that hold then.

use super::keys::Keys;
use std::sync::{Arc, PoisonError, RwLock};

/// Keys that may be rotated while they are in use.
pub struct Ring(RwLock<Arc<Keys>>);

impl Ring {
    /// Begins with these.
    pub fn new(keys: Keys) -> Self {
        Self(RwLock::new(Arc::new(keys)))
    }

    /// Those that hold now.
    pub fn now(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These hold from now on.
    pub fn replace(&self, keys: Keys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}
