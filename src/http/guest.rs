//! `/register/guest`.

use super::Surface;
use super::account::client;
use super::address::Address;
use super::extract::Body;
use super::problem::Failure;
use crate::wire::entry::GuestRequest;
use crate::wire::rest::{LoginBody, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

/// Make an account without address and password, and get its tokens. Whoever loses them loses the account.
/// Only where `auth.guests` is on.
#[utoipa::path(
    post, path = "/register/guest", tag = "accounts", request_body = GuestRequest, security(()),
    responses(
        (status = 201, body = LoginBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "This server takes no guests", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many accounts from this address in an hour", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn register_guest(
    State(surface): State<Surface>,
    Address(from): Address,
    Body(request): Body<GuestRequest>,
) -> Result<(StatusCode, Json<LoginBody>), Failure> {
    let login = surface
        .app
        .register_guest(request.name.as_deref(), client(request.client), from)
        .await?;
    Ok((StatusCode::CREATED, Json(login.into())))
}
