//! The methods of the store that are about prompts.

use super::Unsure;
use deepme::domain::prompt::ab::Tally;
use deepme::domain::prompt::{Prompt, PromptName};
use deepme::domain::{Result, Timestamp};
use deepme::store::Prompts;
use futures_util::future::BoxFuture;

impl Prompts for Unsure {
    fn add_prompt(
        &self,
        name: PromptName,
        body: String,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Prompt>> {
        self.inner.add_prompt(name, body, at)
    }

    fn prompt(
        &self,
        name: PromptName,
        version: Option<i64>,
    ) -> BoxFuture<'_, Result<Option<Prompt>>> {
        self.inner.prompt(name, version)
    }

    fn prompt_history(&self, name: PromptName) -> BoxFuture<'_, Result<Vec<Prompt>>> {
        self.inner.prompt_history(name)
    }

    fn prompts(&self) -> BoxFuture<'_, Result<Vec<Prompt>>> {
        self.inner.prompts()
    }

    fn tally_prompts(&self, since: Timestamp) -> BoxFuture<'_, Result<Vec<Tally>>> {
        self.inner.tally_prompts(since)
    }

    fn delete_prompt(&self, name: PromptName) -> BoxFuture<'_, Result<bool>> {
        self.inner.delete_prompt(name)
    }
}
