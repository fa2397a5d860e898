//! Bodies of the REST endpoints.
//!
//! Owns the JSON shapes; field names are the seed's. Invariant: what a request carries is only
//! text here, checked by the domain types before anything is done with it. Unknown members are
//! ignored and never stored; a member given twice is refused.

use super::insight::EmotionBody;
use crate::domain::safety::Tier;
use crate::domain::session::{EmotionSession, Labels};
use crate::domain::step::{EmotionStep, FinishReason, StepStatus};
use crate::domain::user::User;
use crate::domain::{SessionId, StepId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A password or token on its way: redacted in `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// `POST /register`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegisterRequest {
    /// What the person wants to be called: 1 to 100 characters.
    #[schema(
        min_length = 1,
        pattern = r"^\s*[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,98}[^\s\x00-\x1f\x7f-\x9f])?\s*$",
        example = "지우"
    )]
    pub name: String,
    /// Where the account is registered; case does not matter.
    #[schema(format = Email, example = "jiwoo@example.com", max_length = 254)]
    pub email: String,
    /// 10 to 128 characters, any of them.
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    pub password: Secret,
    /// A code of `deepme user invite`, where the server wants one (`auth.registration = "invite"`).
    /// Case, spaces and hyphens do not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "7KQ2M-0XJ4P-B9D8T-WZ5RC")]
    pub invite: Option<Secret>,
}

/// An account, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UserBody {
    /// Names the account.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// What the person is called.
    pub name: String,
    /// The address in its stored form; null for a guest.
    pub email: Option<String>,
    /// When the account was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            user_id: user.user_id,
            name: user.name,
            email: user.email.address().map(str::to_owned),
            created_at: user.created_at,
        }
    }
}

/// `POST /login`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginRequest {
    /// The address of the account.
    #[schema(format = Email, example = "jiwoo@example.com")]
    pub email: String,
    /// Its password.
    #[schema(value_type = String, format = Password)]
    pub password: Secret,
    /// `v1` for a client that refreshes its tokens; absent gives one long-lived token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientKind>,
}

/// What a client knows to do with tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum ClientKind {
    /// It refreshes them.
    V1,
}

/// Read as a text first: of anything else the library would say that it is no JSON.
impl TryFrom<String> for ClientKind {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "v1" => Ok(Self::V1),
            _ => Err("expected v1"),
        }
    }
}

/// `POST /refresh`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefreshRequest {
    /// The refresh token that came with the last login or refresh. It is good for one use; within a
    /// minute it gives the same answer again.
    #[schema(value_type = String)]
    pub refresh_token: Secret,
}

/// A login that succeeded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LoginBody {
    /// For `Authorization: Bearer`.
    #[schema(value_type = String)]
    pub access_token: Secret,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    pub token_type: String,
    /// Seconds until the token ends.
    pub expires_in: u64,
    /// Whose it is.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// For `POST /refresh`, of a client that said `v1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub refresh_token: Option<Secret>,
}

/// What a person's conversations have cost on a day of UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageBody {
    /// Tokens that models read; estimated where a provider did not count.
    pub input_tokens: i64,
    /// Tokens that models wrote.
    pub output_tokens: i64,
    /// Tokens, read and written, that the person may use a day; null for any number.
    pub limit: Option<i64>,
    /// What is left of them; a turn begins as long as it is more than 0. Null without a limit.
    pub remaining: Option<i64>,
    /// When the next day begins.
    #[schema(value_type = String, format = DateTime)]
    pub resets_at: Timestamp,
}

/// `POST /change-password`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChangePasswordRequest {
    /// The password as it is.
    #[schema(value_type = String, format = Password)]
    pub current_password: Secret,
    /// The password as it shall be: 10 to 128 characters.
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    pub new_password: Secret,
}

/// `POST /password/reset`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResetPasswordRequest {
    /// The address of the account.
    #[schema(example = "jiwoo@example.com")]
    pub email: String,
    /// The code that the admin got from `deepme user passwd --code`. Case, spaces and hyphens do not matter.
    #[schema(value_type = String, example = "7KQ2M-0XJ4P-B9D8T-WZ5RC")]
    pub code: Secret,
    /// The password as it shall be: 10 to 128 characters.
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    pub new_password: Secret,
}

/// `POST /emotion/sessions`
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CreateSessionRequest {
    /// When given, the asker's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    pub user_id: Option<UserId>,
    /// The leading emotion.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$", example = "불안")]
    pub emotion_label: Option<String>,
    /// What it is about.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$", example = "이직")]
    pub topic: Option<String>,
    /// What set it off.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub trigger_summary: Option<String>,
    /// What the person came to see.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub insight_summary: Option<String>,
    /// A tag for that insight.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$")]
    pub insight_tag: Option<String>,
}

impl CreateSessionRequest {
    /// The labels, unchecked.
    pub fn labels(self) -> Labels {
        Labels {
            emotion_label: self.emotion_label,
            topic: self.topic,
            trigger_summary: self.trigger_summary,
            insight_summary: self.insight_summary,
            insight_tag: self.insight_tag,
        }
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionBody {
    /// Names the session.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// Whose it is.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// The leading emotion.
    pub emotion_label: Option<String>,
    /// What it is about.
    pub topic: Option<String>,
    /// What set it off.
    pub trigger_summary: Option<String>,
    /// What the person came to see.
    pub insight_summary: Option<String>,
    /// A tag for that insight.
    pub insight_tag: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it was ended, if it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl From<EmotionSession> for SessionBody {
    fn from(session: EmotionSession) -> Self {
        Self {
            session_id: session.session_id,
            user_id: session.user_id,
            emotion_label: session.labels.emotion_label,
            topic: session.labels.topic,
            trigger_summary: session.labels.trigger_summary,
            insight_summary: session.labels.insight_summary,
            insight_tag: session.labels.insight_tag,
            started_at: session.started_at,
            ended_at: session.ended_at,
        }
    }
}

/// `POST /emotion/steps/generate`
///
/// `step_order`, `gpt_response` and `role` of older clients are ignored: the server knows them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct GenerateRequest {
    /// The session to continue; absent starts a new one.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Uuid, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    pub session_id: Option<SessionId>,
    /// When given, the asker's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Uuid, pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
    pub user_id: Option<UserId>,
    /// What the person says; not blank.
    #[schema(
        min_length = 1,
        pattern = r"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff\u3164][^\x00]*$",
        example = "요즘 기분이 별로야."
    )]
    pub user_input: String,
    /// The client's word for the kind of step: 1 to 32 characters.
    #[serde(default)]
    #[schema(
        example = "normal",
        pattern = r"^\s*[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]{0,30}[^\s\x00-\x1f\x7f-\x9f])?\s*$"
    )]
    pub step_type: Option<String>,
    /// A wish for the model, below the server's own prompt.
    #[serde(default)]
    pub system_prompt: Option<String>,
    /// The client's name for this message: sending it again makes no second step.
    #[serde(default)]
    #[schema(pattern = r"^[!-~]{1,64}$")]
    pub message_id: Option<String>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepBody {
    /// Names the step.
    #[schema(value_type = uuid::Uuid)]
    pub step_id: StepId,
    /// The session it is part of.
    #[schema(value_type = uuid::Uuid)]
    pub session_id: SessionId,
    /// Its place there, from 1.
    pub step_order: i64,
    /// The client's word for the kind of step.
    pub step_type: String,
    /// What the person wrote.
    pub user_input: String,
    /// The answer so far; empty when there is none.
    pub gpt_response: String,
    /// `pending`, `complete`, `cancelled`, `interrupted` or `failed`.
    #[schema(value_type = String, example = "complete")]
    pub status: StepStatus,
    /// `stop`, `length`, `content_filter` or null.
    #[schema(value_type = Option<String>, example = "stop")]
    pub finish_reason: Option<FinishReason>,
    /// The client's name for the message.
    pub message_id: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The system prompt that was used.
    pub prompt_version: Option<String>,
    /// When the words were stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// What the person felt: what they say, else a guess by their words. Null for steps from before there
    /// were guesses.
    pub emotion: Option<EmotionBody>,
    /// `none`, `low`, `elevated` or `imminent`: how much care the words need, by the safety gate. Null for steps from
    /// before it was stored.
    #[schema(value_type = Option<String>, example = "none")]
    pub safety_tier: Option<Tier>,
}

impl From<EmotionStep> for StepBody {
    fn from(step: EmotionStep) -> Self {
        Self {
            emotion: step.marks.feeling().map(Into::into),
            safety_tier: step.marks.tier(),
            step_id: step.step_id,
            session_id: step.session_id,
            step_order: step.step_order,
            step_type: step.step_type.as_str().to_owned(),
            user_input: step.user_input,
            gpt_response: step.gpt_response,
            status: step.status,
            finish_reason: step.finish_reason,
            message_id: step.message_id.map(|id| id.as_str().to_owned()),
            model: step.model,
            prompt_version: step.prompt_version,
            created_at: step.created_at,
        }
    }
}

/// `PUT /me/prompt`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptRequest {
    /// The person's own instructions for the listener, below the server's.
    #[schema(
        min_length = 1,
        pattern = r"^[^\x00]*[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff\u3164][^\x00]*$",
        example = "반말로 편하게 이야기해 줘."
    )]
    pub prompt: String,
}

/// `GET|PUT /me/prompt`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromptBody {
    /// The person's own instructions for the listener, below the server's.
    #[schema(example = "반말로 편하게 이야기해 줘.")]
    pub prompt: String,
    /// Counts the versions from 1.
    pub version: i64,
}

/// `GET /health`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthBody {
    /// `ok`, or why not: `unavailable`, `draining`.
    #[schema(example = "ok")]
    pub status: String,
    /// `ok` or `unavailable`.
    #[schema(example = "ok")]
    pub database: String,
    /// The version of the database schema.
    #[schema(example = 1)]
    pub schema: Option<i64>,
}

/// RFC 9457 `application/problem+json`. `detail` also serves clients written for `FastAPI`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI reference that names the kind of problem: `/problems/<code>`.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not_found")]
    pub kind: String,
    /// The HTTP status in words.
    #[schema(example = "Not Found")]
    pub title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    pub status: u16,
    /// What went wrong, for people.
    #[schema(example = "no such session")]
    pub detail: String,
    /// What went wrong, for programs.
    #[schema(example = "not_found")]
    pub code: String,
    /// The member of the request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// After a refused turn: whether its words were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<bool>,
    /// After a refused turn of somebody who may be in danger: whom to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub safety: Option<super::ws::Safety>,
}
