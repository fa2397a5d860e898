//! What is kept, and the promises about keeping it.
//!
//! Owns the [`Store`] trait: each method is one sentence and one transaction, and each has a case
//! in the contract suite that every backend passes. Called by the services. Invariants, whatever
//! the backend: `(session_id, step_order)` and `(session_id, message_id)` are unique; a session has
//! at most one pending step; a returned `Ok` of a method that writes means that it is on disk.
//! Absence is `Ok(None)`: the service names what is missing. SQL stands only below this module.

mod accounts;
pub mod copy;
mod insights;
pub mod postgres;
mod prompts;
mod rights;
mod schema;
pub mod sealing;
pub mod sqlite;

pub use accounts::{Accounts, PasswordChange, Rotate, Rotated};
pub use insights::{Insights, PutCard, StoredCard};
pub use prompts::Prompts;
pub use rights::{Deleted, Rights};
pub use schema::{Migration, SCHEMA_VERSION, SchemaState, Unsealed};
use schema::{SEALED_SINCE, UNSEALED};

use crate::domain::keyring::WrappedKey;
use crate::domain::meter::Load;
use crate::domain::news::News;
use crate::domain::prompt::{Prompt, PromptName};
use crate::domain::session::EmotionSession;
use crate::domain::step::{EmotionStep, FinishReason, Marks, MessageId, StepStatus, StepType};
use crate::domain::transcript::{Exchange, Summary};
use crate::domain::usage::{Day, Tokens, Usage};
use crate::domain::user::{Email, User, UserFilter};
use crate::domain::{Error, Result, SessionId, StepId, Timestamp, UserId};
use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

/// The documented contract of a database. Every method may also fail with `unavailable` when the
/// database cannot be reached or does not answer in time, with `invalid_input` when a text holds the
/// NUL character, which not every database can store, and with `internal` on a defect.
pub trait Store: Accounts + Rights + Insights + Prompts {
    /// Whether what works on the database inside this process still does, however the database is:
    /// `false` means that only another process can help. A database elsewhere that does not answer is
    /// no reason. Takes as long as an answer may take.
    fn alive(&self) -> BoxFuture<'_, bool>;

    /// How busy the store is at this moment.
    fn load(&self) -> Load;

    /// The schema version of the database, read from it.
    fn schema_version(&self) -> BoxFuture<'_, Result<i64>>;

    /// Records the fingerprint of the servers' keys unless one is recorded; the one that is.
    fn claim_keys(&self, fingerprint: String) -> BoxFuture<'_, Result<String>>;

    /// Records the name of the master key that wraps data keys unless one is recorded; the one that is.
    fn claim_master(&self, id: String) -> BoxFuture<'_, Result<String>>;

    /// Replaces the recorded name of the master key, if it still is `old`; `false` when it is not.
    fn replace_master(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>>;

    /// The names of the master keys that there are data keys of, sorted.
    fn masters(&self) -> BoxFuture<'_, Result<Vec<String>>>;

    /// The person's data key.
    fn data_key(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<WrappedKey>>>;

    /// Stores a data key unless the person has one; the one that they then have, or `None` when there is
    /// no such person.
    fn add_data_key(&self, key: WrappedKey) -> BoxFuture<'_, Result<Option<WrappedKey>>>;

    /// Replaces a person's data key by the same one under another wrapping, if it still is `old`; `false`
    /// when it is not.
    fn rewrap_data_key(&self, old: WrappedKey, new: WrappedKey) -> BoxFuture<'_, Result<bool>>;

    /// The data keys that are not wrapped by the master key `master`, by ascending person, at most
    /// `limit`, those after `after`.
    fn data_keys_besides(
        &self,
        master: String,
        after: Option<UserId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<WrappedKey>>>;

    /// Adds an account; `email_taken` when the address has one.
    fn add_user(&self, user: User, password_hash: String) -> BoxFuture<'_, Result<()>>;

    /// The account with this id.
    fn user(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<User>>>;

    /// The account with this address and its password hash.
    fn user_by_email(&self, email: Email) -> BoxFuture<'_, Result<Option<(User, String)>>>;

    /// The accounts that pass the filter, newest first, at most `limit`, those before `before` in that
    /// order.
    fn users(
        &self,
        filter: UserFilter,
        before: Option<(Timestamp, UserId)>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<User>>>;

    /// Adds a session; the user must exist.
    fn add_session(&self, session: EmotionSession) -> BoxFuture<'_, Result<()>>;

    /// The session, if it is this user's.
    fn session(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>>;

    /// The user's sessions, newest first, at most `limit`, those before `before` in that order.
    fn sessions(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, SessionId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<EmotionSession>>>;

    /// Ends the user's session at `at` unless it has ended; the session as it then is.
    fn end_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>>;

    /// Stores the person's words as the session's next step, pending; makes the session's row when
    /// `new_session` says so. See [`Begun`] for what may stand in the way.
    fn begin_step(&self, begin: BeginStep) -> BoxFuture<'_, Result<Begun>>;

    /// Replaces the partial answer of a pending step and extends its lease.
    fn checkpoint_step(
        &self,
        step_id: StepId,
        gpt_response: String,
        lease_until: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;

    /// Closes a step with its answer and, where one is given, its safety tier: a pending one, or one that was closed as interrupted, because
    /// who took its turn for dead knows less than who ran it. Charges its tokens once to the day of the
    /// end; what the person has used of that day, or `None` when the step has another end.
    fn finish_step(&self, finish: FinishStep) -> BoxFuture<'_, Result<Option<Usage>>>;

    /// Keeps a pending step from being forgotten, because somebody is told of it who did not begin it;
    /// `false` when it is not pending (any more).
    fn acknowledge_step(&self, step_id: StepId) -> BoxFuture<'_, Result<bool>>;

    /// Forgets a pending step that nobody has acknowledged or extended since it began with this lease;
    /// `false` when there is none.
    fn forget_step(&self, step_id: StepId, lease_until: Timestamp) -> BoxFuture<'_, Result<bool>>;

    /// Closes, at `at`, every pending step whose lease ended before `before` as interrupted; how
    /// many there were.
    fn close_orphans(&self, before: Timestamp, at: Timestamp) -> BoxFuture<'_, Result<u64>>;

    /// The step, if it is in a session of this user.
    fn step(&self, user_id: UserId, step_id: StepId) -> BoxFuture<'_, Result<Option<EmotionStep>>>;

    /// The step of the user's session with this message id; without one, its latest.
    fn find_step(
        &self,
        user_id: UserId,
        session_id: SessionId,
        message_id: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Option<EmotionStep>>>;

    /// The steps of the user's session by ascending order, at most `limit`, those after `after`;
    /// `None` when the session is not this user's.
    fn steps(
        &self,
        user_id: UserId,
        session_id: SessionId,
        after: i64,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<Vec<EmotionStep>>>>;

    /// What the model needs to know for a step: the newest `limit` exchanges before it, answered
    /// or not, oldest first, what stands for those that no longer fit, and the newest stored version
    /// of each named prompt.
    fn briefing(
        &self,
        session_id: SessionId,
        before: i64,
        limit: u32,
        prompts: Vec<PromptName>,
    ) -> BoxFuture<'_, Result<Briefing>>;

    /// Replaces what stands for the oldest steps of a session, if it still covers those up to `after`
    /// only (0: none), and charges the tokens it took; `false` when it does not.
    fn fold(&self, fold: Fold) -> BoxFuture<'_, Result<bool>>;

    /// Forgets what people used on days before `day`; of how many days of people.
    fn forget_usage(&self, day: Day) -> BoxFuture<'_, Result<u64>>;

    /// What the person has used of a day.
    fn usage(&self, user_id: UserId, day: Day) -> BoxFuture<'_, Result<Usage>>;
}

/// A text as every backend can store it; `invalid_input` when it holds the NUL character.
pub(crate) fn storable(field: &'static str, text: &str) -> Result<()> {
    if text.contains('\0') {
        Err(Error::invalid(field, "must not contain the NUL character"))
    } else {
        Ok(())
    }
}

/// How the instances on one database tell each other what happens. Best effort: what gets lost is
/// found by looking into the database.
pub trait Bulletin: Send + Sync + 'static {
    /// Tells the other instances. Never waits; loses the news when too many are waiting.
    fn post(&self, news: News);

    /// What the others tell from now on, [`News::Missed`] where some of it may be lost.
    fn listen(&self) -> broadcast::Receiver<News>;
}

/// What starts a step.
#[derive(Debug, Clone)]
pub struct BeginStep {
    /// The new step's id.
    pub step_id: StepId,
    /// The session, of this user.
    pub session_id: SessionId,
    /// Who speaks.
    pub user_id: UserId,
    /// Whether the session's row may be made here because its id was reserved for this user.
    pub new_session: bool,
    /// The client's word for the kind of step.
    pub step_type: StepType,
    /// The words, to the byte.
    pub user_input: String,
    /// The client's name for the message.
    pub message_id: Option<MessageId>,
    /// What was made of the words by then.
    pub marks: Marks,
    /// Now.
    pub at: Timestamp,
    /// Until when the step counts as running if nobody extends it.
    pub lease_until: Timestamp,
    /// Tokens that the person may have used of the day of `at` for the step to be begun; `None` for
    /// as many as they like.
    pub quota: Option<i64>,
}

/// What came of [`Store::begin_step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The words are stored under this place in the session.
    Started {
        /// The step's place.
        step_order: i64,
    },
    /// The message was stored before: this is its step. Nothing was written.
    Repeated(Box<EmotionStep>),
    /// Another step of the session is pending. Nothing was written.
    Busy,
    /// The session has ended. Nothing was written.
    Ended,
    /// The person has used up their tokens of the day. Nothing was written.
    UsedUp,
    /// The session does not exist, is not this user's, or the user does not exist.
    NoSession,
}

/// What ends a step.
#[derive(Debug, Clone)]
pub struct FinishStep {
    /// The pending step.
    pub step_id: StepId,
    /// The whole answer, or what there is of it.
    pub gpt_response: String,
    /// Anything but pending.
    pub status: StepStatus,
    /// Why the model stopped.
    pub finish_reason: Option<FinishReason>,
    /// The model that answered.
    pub model: Option<String>,
    /// The system prompt that was used.
    pub prompt_version: Option<String>,
    /// Tokens of the answer, when the provider counted them.
    pub output_tokens: Option<i64>,
    /// The tier of the words together with those before, if it is another one than that of the words alone.
    pub safety_tier: Option<String>,
    /// What is charged to the person, counted or estimated.
    pub charge: Tokens,
    /// Now.
    pub at: Timestamp,
}

/// What makes the oldest steps of a session a summary.
#[derive(Debug, Clone)]
pub struct Fold {
    /// The session.
    pub session_id: SessionId,
    /// The last step that the summary before covers; 0 when there is none.
    pub after: i64,
    /// The new summary.
    pub summary: Summary,
    /// What it cost.
    pub charge: Tokens,
    /// Now.
    pub at: Timestamp,
}

/// What the model needs to know for a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Briefing {
    /// Exchanges, oldest first; the answer of one that got none is empty.
    pub history: Vec<Exchange>,
    /// What stands for the oldest steps of the session; they may be in `history`, too.
    pub summary: Option<Summary>,
    /// The newest stored versions of the prompts that were asked for.
    pub prompts: Vec<Prompt>,
}
