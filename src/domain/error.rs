//! The one error of the house.
//!
//! Owns [`Error`] and its closed set of codes. Built where the meaning is known, mapped once by
//! each surface (HTTP status, WebSocket frame, exit code). Invariant: `message` is written for the
//! person who reads it and never holds conversation text, secrets or the text of `source`.

use std::borrow::Cow;
use std::fmt;

/// `std::result::Result` with the house's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as a client may act on it. The wire form is the `snake_case` name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A value does not meet its rules; `field` names it.
    InvalidInput,
    /// A WebSocket message that is not one of the known frames.
    BadFrame,
    /// No valid credential.
    Unauthorized,
    /// A new password that is too easy to guess; `field` names it.
    WeakPassword,
    /// The e-mail and password do not belong together.
    WrongCredentials,
    /// A valid credential for somebody else's `user_id`.
    Forbidden,
    /// No such thing, or it is somebody else's.
    NotFound,
    /// The e-mail address has an account.
    EmailTaken,
    /// Accounts are made by the admin only.
    RegistrationClosed,
    /// An account needs an invitation that holds.
    InviteNeeded,
    /// The session has ended; it can be read but not continued.
    SessionEnded,
    /// Another turn of the session is running.
    TurnInProgress,
    /// More bytes than the limit.
    TooLarge,
    /// More requests, turns or sockets than the limit.
    TooMany,
    /// The tokens of the day are used up.
    QuotaExceeded,
    /// Accepting nothing new: a queue is full or the server is draining.
    Overloaded,
    /// The database cannot be reached or is not answering in time.
    Unavailable,
    /// The turn ended before it had an answer.
    Interrupted,
    /// No model of the chain could answer.
    ModelUnavailable,
    /// The configuration or the environment of the process is wrong.
    Config,
    /// A defect of this program.
    Internal,
}

impl ErrorCode {
    /// The stable name that clients see.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::BadFrame => "bad_frame",
            Self::Unauthorized => "unauthorized",
            Self::WeakPassword => "weak_password",
            Self::WrongCredentials => "wrong_credentials",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::EmailTaken => "email_taken",
            Self::RegistrationClosed => "registration_closed",
            Self::InviteNeeded => "invite_needed",
            Self::SessionEnded => "session_ended",
            Self::TurnInProgress => "turn_in_progress",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Interrupted => "interrupted",
            Self::ModelUnavailable => "model_unavailable",
            Self::Config => "config",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure with a code for programs, a sentence for people and a cause for the log.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: ErrorCode,
    message: Cow<'static, str>,
    field: Option<&'static str>,
    retry_after: Option<u32>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure without a cause of its own.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            field: None,
            retry_after: None,
            source: None,
        }))
    }

    /// A value of `field` that does not meet its rules.
    pub fn invalid(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidInput, message).of(field)
    }

    /// Names the member of the request that is wrong.
    pub fn of(mut self, field: &'static str) -> Self {
        self.0.field = Some(field);
        self
    }

    /// `what` does not exist, or is not the asker's: the two look the same.
    pub fn not_found(what: &'static str) -> Self {
        Self::new(ErrorCode::NotFound, format!("no such {what}"))
    }

    /// A defect: logged with its source, shown without it.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::Internal, "something went wrong on the server").with_source(source)
    }

    /// The database did not answer as it should; trying again may help.
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorCode::Unavailable,
            "the database is not available at the moment",
        )
        .retry_after(2)
        .with_source(source)
    }

    /// Adds the cause, which is logged and never shown to a client.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Tells the client to wait this many seconds before it tries again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What went wrong, for programs.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What went wrong, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The member of the request that is wrong, if one is.
    pub fn field(&self) -> Option<&'static str> {
        self.0.field
    }

    /// Seconds to wait before trying again, if that may help.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.0.retry_after
    }

    /// The chain of causes as one line for the log.
    pub fn causes(&self) -> String {
        let mut line = String::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        line
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.field {
            Some(field) => write!(f, "{field}: {}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
