//! The indexes over the server's prompts that answers are held against.
//!
//! Owns [`Recitals`]. Called by the turn. Invariant: no more than [`REMEMBERED`] of them are in memory, and none
//! is built on a worker of the runtime.

use crate::llm::recital::Instructions;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many prompts are remembered: both languages, and the versions before while turns still use them.
const REMEMBERED: usize = 4;

/// Prompts and their indexes.
#[derive(Default)]
pub(super) struct Recitals(Mutex<Vec<(String, Arc<Instructions>)>>);

impl Recitals {
    /// The index over a prompt.
    pub(super) async fn instructions(&self, prompt: String) -> Arc<Instructions> {
        let find = |known: &[(String, Arc<Instructions>)]| {
            let found = known.iter().find(|(text, _)| *text == prompt);
            found.map(|(_, index)| Arc::clone(index))
        };
        if let Some(index) = find(&self.known()) {
            return index;
        }
        let text = prompt.clone();
        let built = tokio::task::spawn_blocking(move || Instructions::of(&text));
        // Building does not fail; if it did, the answer would not be guarded.
        let index = Arc::new(built.await.unwrap_or_else(|_| Instructions::of("")));
        let mut known = self.known();
        if find(&known).is_none() {
            if known.len() >= REMEMBERED {
                known.remove(0);
            }
            known.push((prompt, Arc::clone(&index)));
        }
        index
    }

    fn known(&self) -> MutexGuard<'_, Vec<(String, Arc<Instructions>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
