//! `/me/export`, `/me/access-log` and `DELETE /me`.

use super::Surface;
use super::extract::{Caller, Params};
use super::page::{self, Page};
use super::problem::Failure;
use crate::domain::AccessId;
use crate::service::export::Download;
use crate::wire::rest::Problem;
use crate::wire::rights::{AccessBody, ExportBody, ReceiptBody};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

/// Everything that is stored of you, in one document. It is sent while it is read; one that was cut off has no
/// `sha256` at its end.
#[utoipa::path(
    get, path = "/me/export", tag = "rights",
    responses(
        (status = 200, body = ExportBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "You are exporting already, or others are", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn export(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Response, Failure> {
    let download = surface.app.download(caller.user_id()).await?;
    let pieces = stream::try_unfold(download, |mut download: Download| async move {
        let piece = download.next().await?;
        Ok::<_, crate::domain::Error>(piece.map(|piece| (piece, download)))
    });
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"deepme-export.json\"",
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// Who read what you said past your login, newest first: whole, or by pages with `limit`.
#[utoipa::path(
    get, path = "/me/access-log", tag = "rights", params(Page),
    responses(
        (status = 200, body = Vec<AccessBody>, headers(("Link" = String, description = "The next page, if there may be one"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn accesses(
    State(surface): State<Surface>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Response, Failure> {
    let limit = page.limit()?;
    let before = page.by_time()?.map(|(time, id)| (time, AccessId(id)));
    let accesses = surface
        .app
        .accesses(caller.user_id(), before, limit)
        .await?;
    let next = accesses
        .last()
        .map(|last| page::after(last.at, last.access_id.0));
    let bodies: Vec<AccessBody> = accesses.into_iter().map(Into::into).collect();
    Ok(page::link(
        Json(&bodies).into_response(),
        "/me/access-log",
        limit,
        bodies.len(),
        next,
    ))
}

/// Erase your account with everything that is yours. There is no way back: the key to your words is destroyed,
/// so that old backups cannot be read either.
#[utoipa::path(
    delete, path = "/me", tag = "rights",
    responses(
        (status = 200, body = ReceiptBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn erase(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Json<ReceiptBody>, Failure> {
    Ok(Json(surface.app.erase(caller.user_id()).await?))
}
