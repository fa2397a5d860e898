//! Which pages may use this server from a browser.
//!
//! Owns the check of the `Origin` header ([`admitted`]) and what is said to pages of elsewhere by REST
//! ([`cors`]). Called by the handshake, by who gives tickets, and by the router. Invariants: a page that is not
//! the server's own and not in `server.origins` opens no socket and reads no answer; who sends no `Origin` is no
//! browser; cookies are never asked for, so that no page can ride on anybody's login.

use crate::config::Origin;
use crate::domain::{Error, ErrorCode};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LINK, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The origin of the page behind a request; `None` where there is no page, `forbidden` for one that is not
/// let in. A page that comes from the host and port that the request goes to is the server's own.
pub(super) fn admitted(headers: &HeaderMap, allowed: &[Origin]) -> Result<Option<Origin>, Error> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(value) = origins.next() else {
        return Ok(None);
    };
    let hosts: Vec<&HeaderValue> = headers.get_all(HOST).iter().collect();
    let own = |origin: &Origin| match hosts[..] {
        [host] => host.to_str().is_ok_and(|host| origin.is_at(host)),
        _ => false,
    };
    let origin = value.to_str().ok().and_then(|text| text.parse().ok());
    origin
        .filter(|origin| origins.next().is_none() && (allowed.contains(origin) || own(origin)))
        .map(Some)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::Forbidden,
                "pages of this origin are not let in: whoever runs the server can name it in server.origins",
            )
        })
}

/// Lets pages of these origins read answers; `None`, and nothing is said, when there are none.
pub(super) fn cors(allowed: &[Origin]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = allowed
        .iter()
        .filter_map(|origin| HeaderValue::try_from(origin.to_string()).ok())
        .collect();
    (!origins.is_empty()).then(|| {
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([
                AUTHORIZATION,
                CONTENT_TYPE,
                HeaderName::from_static("idempotency-key"),
            ])
            .expose_headers([LINK, RETRY_AFTER, super::REQUEST_ID.clone()])
            .max_age(REMEMBERED)
    })
}
