//! What is kept of what the models are told.
//!
//! Owns [`Prompts`], a part of the [`Store`](super::Store), with the same rules: each method is one sentence, and
//! each has a case in the contract suite. Invariant: a version of the server's own prompts is never changed or forgotten.

use crate::domain::prompt::ab::Tally;
use crate::domain::prompt::{Prompt, PromptName};
use crate::domain::{Result, Timestamp};
use futures_util::future::BoxFuture;

/// The part of the store that is about prompts.
pub trait Prompts: Send + Sync + 'static {
    /// Saves a new version of a prompt; the version. Of a person's own the newest
    /// [`PERSONAL_KEPT`](crate::domain::prompt::PERSONAL_KEPT) are kept.
    fn add_prompt(
        &self,
        name: PromptName,
        body: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Prompt>>;

    /// The newest version of a prompt, or the given one.
    fn prompt(
        &self,
        name: PromptName,
        version: Option<i64>,
    ) -> BoxFuture<'_, Result<Option<Prompt>>>;

    /// All versions of a prompt, newest first.
    fn prompt_history(&self, name: PromptName) -> BoxFuture<'_, Result<Vec<Prompt>>>;

    /// The newest version of every stored prompt, by name.
    fn prompts(&self) -> BoxFuture<'_, Result<Vec<Prompt>>>;

    /// Forgets every version of a prompt; `false` when there was none.
    fn delete_prompt(&self, name: PromptName) -> BoxFuture<'_, Result<bool>>;

    /// How the turns went that began at `since` or later, by the version of the server's own prompt that was told;
    /// by ascending name of the version.
    fn tally_prompts(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<Tally>>>;
}
