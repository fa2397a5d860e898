//! Prompts: the server's own in two languages, and a person's own.
//!
//! Invariant: what the store does not have, the program brings along as version 0.

use super::App;
use crate::config::PromptsAb;
use crate::domain::prompt::ab::Tally;
use crate::domain::prompt::{self, Language, Prompt, PromptName, variables};
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};

/// Microseconds of a day.
const DAY: i64 = 24 * 3600 * 1_000_000;

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

    /// The earlier version of the server's own prompt that this person is told instead of the newest, if they
    /// are on that side of `[prompts.ab]`. Without one that is there the newest is told.
    pub(super) async fn earlier_for(
        &self,
        user_id: UserId,
        language: Language,
        ab: PromptsAb,
    ) -> Option<Prompt> {
        let name = PromptName::System(language);
        let split = ab.of(language);
        if !split.takes(name, user_id) {
            return None;
        }
        let earlier = self.prompt(name, Some(split.version)).await;
        earlier
            .inspect_err(|error| {
                tracing::warn!(prompt = %name.key(), version = split.version, code = %error.code(), causes = error.causes(),
                    "the version of prompts.ab was not to be had: the newest is told");
            })
            .ok()
    }

    /// Refuses `[prompts.ab]` when it names a version that is not there.
    pub async fn check_ab(&self, ab: PromptsAb) -> Result<()> {
        for language in [Language::Korean, Language::English] {
            let split = ab.of(language);
            if split.percent == 0 {
                continue;
            }
            let name = PromptName::System(language);
            let found = self.prompt(name, Some(split.version)).await;
            found.map_err(|error| match error.code() {
                ErrorCode::NotFound => Error::new(
                    ErrorCode::Config,
                    format!(
                        "prompts.ab.{key}.version is {}, and the prompt {key} has no such version: deepme prompt history {key}",
                        split.version,
                        key = language.as_str(),
                    ),
                ),
                _ => error,
            })?;
        }
        Ok(())
    }

    /// How the turns of the last `days` went, by the version of the server's own prompt that was told.
    pub async fn tally_prompts(&self, days: u32) -> Result<Vec<Tally>> {
        let back = i64::from(days) * DAY;
        let since = self.clock.now().as_micros().saturating_sub(back);
        self.store
            .tally_prompts(Timestamp::from_micros(since))
            .await
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
