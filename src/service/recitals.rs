//! The indexes over the server's prompts that answers are held against.
//!
//! Owns [`Recitals`]. Called by the turn. Invariant: no more than [`REMEMBERED`] of them are in memory, and none
//! is built on a worker of the runtime.

use crate::llm::recital::Instructions;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many prompts are remembered, a some hundred kilobytes each. One that calls people by name is another one for each
/// of them.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Prompts and their indexes.
pub(super) struct Recitals(Mutex<LruCache<String, Arc<Instructions>>>);

impl Default for Recitals {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Recitals {
    /// The index over a prompt.
    pub(super) async fn instructions(&self, prompt: String) -> Arc<Instructions> {
        if let Some(index) = self.known().get(&prompt) {
            return Arc::clone(index);
        }
        let text = prompt.clone();
        let built = tokio::task::spawn_blocking(move || Instructions::of(&text));
        // Building does not fail; if it did, the answer would not be guarded.
        let index = Arc::new(built.await.unwrap_or_else(|_| Instructions::of("")));
        self.known().put(prompt, Arc::clone(&index));
        index
    }

    fn known(&self) -> MutexGuard<'_, LruCache<String, Arc<Instructions>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
