//! `/password/reset`.

use super::address::Address;
use super::extract::Body;
use super::problem::Failure;
use super::{Surface, no_content};
use crate::wire::rest::{Problem, ResetPasswordRequest};
use axum::extract::State;
use axum::response::Response;

/// Replace a forgotten password by way of a code from the admin. The code is good once; all earlier tokens are
/// void: log in with the new password.
#[utoipa::path(
    post, path = "/password/reset", tag = "accounts", request_body = ResetPasswordRequest, security(()),
    responses(
        (status = 204),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The address or the code is wrong, or the code does not hold any more", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong codes or passwords; `Retry-After` says when to try again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reset_password(
    State(surface): State<Surface>,
    Address(from): Address,
    Body(request): Body<ResetPasswordRequest>,
) -> Result<Response, Failure> {
    let ResetPasswordRequest {
        email,
        code,
        new_password,
    } = request;
    surface
        .app
        .reset_password(&email, &code.0, &new_password.0, from)
        .await?;
    Ok(no_content())
}
