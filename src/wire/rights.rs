//! Bodies of the endpoints about a person's rights.
//!
//! Owns the JSON of the export, of the list of accesses and of the receipt. Invariant: what an export has of
//! a session or a step is what the other endpoints show of it, and more.

use super::card::CardBody;
use super::rest::{PromptBody, SessionBody, StepBody};
use crate::domain::rights::{Access, Erased};
use crate::domain::usage::Usage;
use crate::domain::{AccessId, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an export says first, so that programs know how to read it.
pub const EXPORT_FORMAT: &str = "deepme-export-1";

/// `GET /me/export`. It is sent while it is read from the database: `counts` and `sha256` come last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExportBody {
    /// `deepme-export-1`.
    #[schema(example = "deepme-export-1")]
    pub format: String,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub exported_at: Timestamp,
    /// Everything that is stored of you.
    pub data: ExportData,
    /// How much that is.
    pub counts: ExportCounts,
    /// SHA-256 in hex digits of the bytes of `data`, as they stand in the answer: JSON without spaces.
    #[schema(min_length = 64, max_length = 64)]
    pub sha256: String,
}

/// Everything that is stored of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExportData {
    /// The account.
    pub user: ExportUser,
    /// Every session with its steps, newest first.
    pub sessions: Vec<ExportSession>,
    /// Every version of your own prompt, newest first.
    pub prompts: Vec<ExportPrompt>,
    /// Tokens that your conversations cost, by day.
    pub usage: Vec<ExportUsage>,
    /// Who read your words past your login, newest first.
    pub accesses: Vec<AccessBody>,
}

/// The account, in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportUser {
    /// Names the account.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// What the person wants to be called.
    pub name: String,
    /// The address of the account; null for a guest.
    pub email: Option<String>,
    /// `user` or `admin`.
    pub role: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A session with all that was said in it, in an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExportSession {
    /// The session.
    #[serde(flatten)]
    pub session: SessionBody,
    /// What the model reads in place of the oldest steps, where they no longer fit.
    pub summary: Option<String>,
    /// Its card, where it has one.
    pub card: Option<CardBody>,
    /// Its steps by ascending order.
    pub steps: Vec<StepBody>,
}

/// A version of the person's own prompt, in an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExportPrompt {
    /// The prompt.
    #[serde(flatten)]
    pub prompt: PromptBody,
    /// When it was saved.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
}

/// Tokens of a day, in an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportUsage {
    /// When the day began. A day is one of UTC.
    #[schema(value_type = String, format = DateTime)]
    pub day: Timestamp,
    /// Tokens that were read.
    pub input_tokens: i64,
    /// Tokens that were written.
    pub output_tokens: i64,
}

impl From<Usage> for ExportUsage {
    fn from(usage: Usage) -> Self {
        Self {
            day: usage.day.begin(),
            input_tokens: usage.tokens.input,
            output_tokens: usage.tokens.output,
        }
    }
}

/// How much an export holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportCounts {
    /// Sessions.
    pub sessions: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Versions of the person's own prompt.
    pub prompts: u64,
    /// Days.
    pub usage: u64,
    /// Accesses.
    pub accesses: u64,
}

/// Somebody who runs the server read what you said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessBody {
    /// Names the access.
    #[schema(value_type = uuid::Uuid)]
    pub access_id: AccessId,
    /// The session that was read; null for everything.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub session_id: Option<SessionId>,
    /// The name of their account on the server's machine.
    #[schema(example = "root")]
    pub by: String,
    /// Why, in their words.
    #[schema(example = "본인이 도움을 요청함")]
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl From<Access> for AccessBody {
    fn from(access: Access) -> Self {
        Self {
            access_id: access.access_id,
            session_id: access.session_id,
            by: access.by,
            reason: access.reason,
            at: access.at,
        }
    }
}

/// `DELETE /me`: what was erased. It names no more of the person than their id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptBody {
    /// Whose account it was.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// When it was erased.
    #[schema(value_type = String, format = DateTime)]
    pub erased_at: Timestamp,
    /// What went with it; null when the answer of the database was lost and nobody counted.
    pub erased: Option<ErasedBody>,
    /// Whether the key was destroyed without which nothing of it can be read, in no backup either: always.
    pub key_destroyed: bool,
    /// Whether the key has been taken out of the keyring of the backups that deepme makes, so that no older one of
    /// them has anything of what you said. If not, it is tried again every minute. Null where there are none.
    pub backups: Option<bool>,
    /// Whether what was deleted has been overwritten in the files of the database, too. If not, it will be
    /// within minutes. Of PostgreSQL it cannot be said and is null: see the privacy page of the documentation.
    pub overwritten: Option<bool>,
}

/// What went with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErasedBody {
    /// Conversations.
    pub sessions: i64,
    /// What was said in them, with its answers.
    pub steps: i64,
    /// Versions of the person's own prompt.
    pub prompts: i64,
}

impl From<Erased> for ErasedBody {
    fn from(erased: Erased) -> Self {
        Self {
            sessions: erased.sessions,
            steps: erased.steps,
            prompts: erased.prompts,
        }
    }
}
