//! Errors as they leave over HTTP: RFC 9457 problems.
//!
//! Owns [`Failure`], the one place where an [`Error`] becomes a status, and where it is logged.
//! Invariant: the cause of an error is logged here and never sent.

use crate::domain::{Error, ErrorCode};
use crate::wire::rest::Problem;
use crate::wire::ws::Safety;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::any::Any;

/// An error on its way out of a handler.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    stored: Option<bool>,
    safety: Option<Safety>,
}

impl Failure {
    /// The same, unless it is said already.
    pub(super) fn or_safety(self, safety: Option<Safety>) -> Self {
        match self.safety {
            Some(_) => self,
            None => self.safety(safety),
        }
    }

    /// Whom somebody in danger may reach whose words are not stored, or may not be.
    pub(super) fn unstored_safety(&self) -> Option<&Safety> {
        self.safety.as_ref().filter(|_| self.stored != Some(true))
    }

    /// Adds whom somebody in danger may reach, although the turn is refused.
    pub(super) fn safety(mut self, safety: Option<Safety>) -> Self {
        self.safety = safety;
        self
    }

    /// Says whether the words of a refused turn were stored.
    pub(super) fn stored(mut self, stored: Option<bool>) -> Self {
        self.stored = stored;
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            stored: None,
            safety: None,
        }
    }
}

/// The status of a code.
fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidInput | ErrorCode::WeakPassword => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::BadFrame => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized | ErrorCode::WrongCredentials => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::RegistrationClosed | ErrorCode::InviteNeeded => {
            StatusCode::FORBIDDEN
        }
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::EmailTaken | ErrorCode::SessionEnded | ErrorCode::TurnInProgress => {
            StatusCode::CONFLICT
        }
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::TooMany | ErrorCode::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Overloaded | ErrorCode::Unavailable | ErrorCode::Interrupted => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::ModelUnavailable => StatusCode::BAD_GATEWAY,
        ErrorCode::Config | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Logs an error whose cause somebody may have to look into.
pub(super) fn log(error: &Error) {
    if matches!(
        error.code(),
        ErrorCode::Internal | ErrorCode::Config | ErrorCode::Unavailable
    ) {
        tracing::error!(code = %error.code(), causes = error.causes(), "{}", error.message());
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self {
            error,
            stored,
            safety,
        } = self;
        log(&error);
        let status = status(error.code());
        let mut response = respond(&Problem {
            kind: format!("/problems/{}", error.code()),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: error.message().to_owned(),
            code: error.code().as_str().to_owned(),
            field: error.field().map(str::to_owned),
            stored,
            safety,
        });
        let headers = response.headers_mut();
        if let Some(seconds) = error.retry_after_seconds() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"deepme\""),
            );
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            // What is left of the body cannot be told from the next request.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A problem that is about HTTP itself.
pub(super) fn plain(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    respond(&Problem {
        kind: "about:blank".to_owned(),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        code: title.to_lowercase().replace(' ', "_"),
        field: None,
        stored: None,
        safety: None,
    })
}

/// A member of the request that does not meet its rules, found while reading it.
pub(super) fn field(detail: &str, field: Option<&str>) -> Response {
    let status = status(ErrorCode::InvalidInput);
    respond(&Problem {
        kind: format!("/problems/{}", ErrorCode::InvalidInput),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        code: ErrorCode::InvalidInput.as_str().to_owned(),
        field: field.map(str::to_owned),
        stored: None,
        safety: None,
    })
}

/// What a panic in a handler looks like from outside.
pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Failure::from(Error::internal("a handler panicked")).into_response()
}

fn respond(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    (
        status,
        [(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        )],
        body,
    )
        .into_response()
}
