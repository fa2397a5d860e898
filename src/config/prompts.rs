//! What the models are told, as far as it is configured.
//!
//! Invariant: texts are not configuration; they are versions in the database.

use crate::domain::prompt::Language;
use crate::domain::prompt::ab::Split;
use serde::{Deserialize, Serialize};

/// `[prompts]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prompts {
    /// What happens to a client's `system_prompt`.
    pub client: ClientPrompts,
    /// Which system prompt is used.
    pub language: PromptLanguage,
    /// Who is told an earlier version of it.
    pub ab: PromptsAb,
}

impl Default for Prompts {
    fn default() -> Self {
        Self {
            client: ClientPrompts::Append,
            language: PromptLanguage::Auto,
            ab: PromptsAb::default(),
        }
    }
}

/// `[prompts.ab]`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptsAb {
    /// Of the Korean prompt.
    pub ko: Split,
    /// Of the English prompt.
    pub en: Split,
}

impl PromptsAb {
    /// That of one language.
    pub fn of(self, language: Language) -> Split {
        match language {
            Language::Korean => self.ko,
            Language::English => self.en,
        }
    }
}

/// What happens to a client's `system_prompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientPrompts {
    /// It goes below the server's own.
    Append,
    /// It is not used.
    Ignore,
}

/// Which system prompt is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptLanguage {
    /// That of the person's words; Korean when they have no letters.
    Auto,
    /// Korean.
    Ko,
    /// English.
    En,
}
