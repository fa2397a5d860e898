//! Prompts: the server's own in two languages, and a person's own.
//!
//! Invariant: what the store does not have, the program brings along as version 0.

use super::App;
use crate::domain::prompt::{self, Language, Prompt, PromptName, variables};
use crate::domain::{Error, Result, UserId};

impl App {
    /// The newest version of a prompt, or the given one.
    pub async fn prompt(&self, name: PromptName, version: Option<i64>) -> Result<Prompt> {
        let stored = if version == Some(0) {
            None
        } else {
            self.vault.prompt(name, version).await?
        };
        let own = || {
            name.embedded()
                .filter(|_| matches!(version, None | Some(0)))
        };
        stored
            .or_else(own)
            .ok_or_else(|| Error::not_found("prompt"))
    }

    /// Saves a new version; it is used from the next turn on. A text that is the newest version's
    /// already makes none.
    pub async fn set_prompt(&self, name: PromptName, body: &str) -> Result<Prompt> {
        let body = prompt::body(body)?;
        // A person's own wish is told as they wrote it.
        if matches!(name, PromptName::System(_)) {
            variables::check(&body)?;
        }
        if let Some(newest) = self
            .vault
            .prompt(name, None)
            .await?
            .filter(|p| p.body == body)
        {
            return Ok(newest);
        }
        self.vault.add_prompt(name, body, self.clock.now()).await
    }

    /// All versions, newest first, the program's own last.
    pub async fn prompt_history(&self, name: PromptName) -> Result<Vec<Prompt>> {
        let mut versions = self.vault.prompt_history(name).await?;
        versions.extend(name.embedded());
        if versions.is_empty() {
            Err(Error::not_found("prompt"))
        } else {
            Ok(versions)
        }
    }

    /// Saves the text of an earlier version as the newest, variables as it knew them.
    pub async fn roll_back_prompt(&self, name: PromptName, version: i64) -> Result<Prompt> {
        let earlier = self.prompt(name, Some(version)).await?;
        self.vault
            .add_prompt(name, earlier.body, self.clock.now())
            .await
    }

    /// The newest version of the server's own prompts.
    pub async fn prompts(&self) -> Result<Vec<Prompt>> {
        let mut stored = self.store.prompts().await?;
        // What people ask for themselves is theirs.
        stored.retain(|prompt| matches!(prompt.name, PromptName::System(_)));
        let own = [Language::Korean, Language::English]
            .map(PromptName::System)
            .into_iter()
            .filter(|name| !stored.iter().any(|p| p.name == *name))
            .filter_map(PromptName::embedded);
        Ok(own.chain(stored.iter().cloned()).collect())
    }

    /// The person's own prompt.
    pub async fn personal_prompt(&self, user_id: UserId) -> Result<Prompt> {
        self.prompt(PromptName::Personal(user_id), None).await
    }

    /// Forgets the person's own prompt, every version of it.
    pub async fn delete_personal_prompt(&self, user_id: UserId) -> Result<()> {
        if self
            .store
            .delete_prompt(PromptName::Personal(user_id))
            .await?
        {
            Ok(())
        } else {
            Err(Error::not_found("prompt"))
        }
    }
}
