//! Requests on their way in: who asks, and what.
//!
//! Owns the extractors [`Caller`], [`Body`], [`Id`] and [`Params`]. Invariant: what they refuse is a
//! problem that names the member, and the credential is looked at before the body.

use super::Surface;
use super::problem::{self, Failure};
use crate::auth::token::Subject;
use crate::domain::{Error, ErrorCode, UserId};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use std::str::FromStr;
use std::time::Duration;

/// The person behind a valid bearer token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) Subject);

impl Caller {
    /// Their id.
    pub(super) fn user_id(self) -> UserId {
        self.0.user_id
    }

    /// A `user_id` in path, query or body must be the asker's own.
    pub(super) fn must_be(self, user_id: Option<UserId>) -> Result<(), Failure> {
        match user_id {
            Some(user_id) if user_id != self.user_id() => Err(not_yours().into()),
            _ => Ok(()),
        }
    }
}

/// The refusal of a `user_id` that is not the asker's.
pub(super) fn not_yours() -> Error {
    Error::new(
        ErrorCode::Forbidden,
        "this user_id is not the one that you are logged in as",
    )
}

impl FromRequestParts<Surface> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, surface: &Surface) -> Result<Self, Failure> {
        let token = bearer(&parts.headers)?.ok_or_else(missing_token)?;
        Ok(Self(surface.app.authenticate(token).await?))
    }
}

/// The error for a request without a credential.
pub(super) fn missing_token() -> Error {
    Error::new(
        ErrorCode::Unauthorized,
        "log in first: this needs an access token",
    )
}

/// The token of the `Authorization` header, if there is one.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::new(
            ErrorCode::BadFrame,
            "there must be one Authorization header",
        ));
    }
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.map(Some).ok_or_else(|| {
        Error::new(
            ErrorCode::Unauthorized,
            "the Authorization header must be a bearer token",
        )
    })
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Surface> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, surface: &Surface) -> Result<Self, Response> {
        let config = surface.app.config();
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(problem::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must be application/json",
            ));
        }
        let limit = surface.app.settings().limits.body_bytes;
        let patience = Duration::from_secs(config.server.request_seconds);
        let bytes =
            match tokio::time::timeout(patience, axum::body::to_bytes(request.into_body(), limit))
                .await
            {
                Ok(Ok(bytes)) => bytes,
                Ok(Err(error)) => {
                    let too_large = std::error::Error::source(&error).is_some_and(
                        <dyn std::error::Error + 'static>::is::<http_body_util::LengthLimitError>,
                    );
                    if !too_large {
                        return Err(problem::plain(
                            StatusCode::BAD_REQUEST,
                            "the body did not arrive whole",
                        ));
                    }
                    let message = format!("the body must be at most {limit} bytes");
                    return Err(
                        Failure::from(Error::new(ErrorCode::TooLarge, message)).into_response()
                    );
                }
                Err(_) => {
                    return Err(problem::plain(
                        StatusCode::REQUEST_TIMEOUT,
                        "the body did not arrive in time",
                    ));
                }
            };
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Response> {
    // The library would also take a list of the members' values, in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        let error = Error::new(ErrorCode::InvalidInput, "the body must be a JSON object");
        return Err(Failure::from(error).into_response());
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        use serde_json::error::Category;
        let at = error.path().to_string();
        match error.inner().classify() {
            Category::Data => {
                // The message may quote what was sent; only its kind goes out.
                let text = error.inner().to_string();
                let reason = [
                    "missing field",
                    "duplicate field",
                    "invalid type",
                    "invalid length",
                ]
                .into_iter()
                .find(|kind| text.starts_with(kind))
                .unwrap_or("invalid value");
                let named = text.split('`').nth(1).filter(|_| reason.ends_with("field"));
                let place = if at == "." {
                    named.map(str::to_owned)
                } else {
                    Some(at)
                };
                let detail = match (&place, reason) {
                    (Some(place), reason) if reason.ends_with("field") => {
                        format!("{reason}: {}", named.unwrap_or(place))
                    }
                    (Some(place), reason) => format!("{reason}: {place}"),
                    (None, reason) => reason.to_owned(),
                };
                problem::field(&detail, place.as_deref())
            }
            _ => problem::plain(StatusCode::BAD_REQUEST, "the body is not JSON"),
        }
    })?;
    json.end().map_err(|_| {
        problem::plain(
            StatusCode::BAD_REQUEST,
            "there is more than one JSON value in the body",
        )
    })?;
    Ok(value)
}

/// The one id in the path.
#[derive(Debug)]
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr> FromRequestParts<Surface> for Id<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, surface: &Surface) -> Result<Self, Response> {
        let wrong = || problem::field("the id in the path must be a UUID", Some("path"));
        let Path(text) = Path::<String>::from_request_parts(parts, surface)
            .await
            .map_err(|_| wrong())?;
        text.parse().map(Self).map_err(|_| wrong())
    }
}

/// The query parameters; unknown ones and ones given twice are refused.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Surface> for Params<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, surface: &Surface) -> Result<Self, Response> {
        match Query::<T>::from_request_parts(parts, surface).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(_) => Err(problem::field(
                "unknown, repeated or malformed query parameter",
                Some("query"),
            )),
        }
    }
}
