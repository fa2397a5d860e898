//! Paging: a limit, and an opaque cursor in a `Link` header.
//!
//! Invariant: a cursor is the place of the last item of a page in the list's order, so that items
//! that come or go in the meantime shift nothing.

use crate::domain::{Error, Timestamp};
use axum::http::HeaderValue;
use axum::http::header::LINK;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

/// Most items of a page.
pub(super) const MOST: u32 = 200;

/// The query of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Most items to send, 1 to 200. Without it the list comes whole.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<u32>,
    /// Where the page before ended: taken from its `Link` header.
    #[param(pattern = r"^[0-9]{1,18}\.[0-9a-fA-F]{32}$")]
    pub(super) cursor: Option<String>,
}

impl Page {
    /// The checked limit.
    pub(super) fn limit(&self) -> Result<Option<u32>, Error> {
        match self.limit {
            Some(limit) if !(1..=MOST).contains(&limit) => {
                Err(Error::invalid("limit", format!("must be 1 to {MOST}")))
            }
            limit => Ok(limit),
        }
    }

    /// The cursor of a list by time and id.
    pub(super) fn by_time(&self) -> Result<Option<(Timestamp, Uuid)>, Error> {
        let read = |cursor: &str| {
            let (time, id) = cursor.split_once('.')?;
            let time = digits(time)?;
            let id = (id.len() == 32).then(|| Uuid::try_parse(id).ok())??;
            Some((Timestamp::from_micros(time), id))
        };
        self.cursor
            .as_deref()
            .map(|cursor| read(cursor).ok_or_else(wrong))
            .transpose()
    }

    /// The cursor of a list by number.
    pub(super) fn by_number(&self) -> Result<Option<i64>, Error> {
        self.cursor
            .as_deref()
            .map(|cursor| digits(cursor).ok_or_else(wrong))
            .transpose()
    }
}

/// A number as a cursor has it.
fn digits(text: &str) -> Option<i64> {
    let plain = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn wrong() -> Error {
    Error::invalid("cursor", "is not one that this list gave")
}

/// The cursor after an item of a list by time and id.
pub(super) fn after(time: Timestamp, id: Uuid) -> String {
    format!("{}.{}", time.as_micros(), id.simple())
}

/// Names the next page when this one is full.
pub(super) fn link(
    mut response: Response,
    path: &str,
    limit: Option<u32>,
    items: usize,
    cursor: Option<String>,
) -> Response {
    if let (Some(limit), Some(cursor)) = (limit, cursor)
        && usize::try_from(limit).is_ok_and(|limit| items >= limit)
        && let Ok(value) = HeaderValue::try_from(format!(
            "<{path}?limit={limit}&cursor={cursor}>; rel=\"next\""
        ))
    {
        response.headers_mut().insert(LINK, value);
    }
    response
}
