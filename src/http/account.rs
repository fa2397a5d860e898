//! `/register`, `/login`, `/refresh`, `/logout`, `/logout-all`, `/change-password`, `/me`, `/me/usage`.

use super::address::Address;
use super::extract::{Body, Caller};
use super::problem::Failure;
use super::{Surface, no_content};
use crate::service::login::{Client, LoggedIn};
use crate::wire::rest::{
    ChangePasswordRequest, ClientKind, LoginBody, LoginRequest, Problem, RefreshRequest,
    RegisterRequest, Secret, UsageBody, UserBody,
};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

impl From<LoggedIn> for LoginBody {
    fn from(login: LoggedIn) -> Self {
        Self {
            access_token: Secret(login.access_token),
            token_type: "bearer".to_owned(),
            expires_in: login.expires_in.as_secs(),
            user_id: login.user_id,
            refresh_token: login.refresh_token.map(Secret),
        }
    }
}

/// The kind of client that a body names.
pub(super) fn client(kind: Option<ClientKind>) -> Client {
    match kind {
        Some(ClientKind::V1) => Client::V1,
        None => Client::Legacy,
    }
}

/// Make an account.
#[utoipa::path(
    post, path = "/register", tag = "accounts", request_body = RegisterRequest, security(()),
    responses(
        (status = 201, body = UserBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Registration is closed (`registration_closed`), or needs an invitation that holds (`invite_needed`)", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The address has an account", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many accounts from this address in an hour", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn register(
    State(surface): State<Surface>,
    Address(from): Address,
    Body(request): Body<RegisterRequest>,
) -> Result<(StatusCode, Json<UserBody>), Failure> {
    let invite = request.invite.as_ref().map(|code| code.0.as_str());
    let user = surface
        .app
        .register(
            &request.name,
            &request.email,
            &request.password.0,
            invite,
            from,
        )
        .await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Get an access token.
#[utoipa::path(
    post, path = "/login", tag = "accounts", request_body = LoginRequest, security(()),
    responses(
        (status = 200, body = LoginBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The address or the password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong passwords; `Retry-After` says when to try again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn login(
    State(surface): State<Surface>,
    Address(from): Address,
    Body(request): Body<LoginRequest>,
) -> Result<Json<LoginBody>, Failure> {
    Ok(Json(
        surface
            .app
            .login(
                &request.email,
                request.password.0.into(),
                client(request.client),
                from,
            )
            .await?
            .into(),
    ))
}

/// Get the next access token. The refresh token is good for one use; within a minute it gives the same
/// successor again, after that its return ends the login, for somebody else must have it.
#[utoipa::path(
    post, path = "/refresh", tag = "accounts", request_body = RefreshRequest, security(()),
    responses(
        (status = 200, body = LoginBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The refresh token does not hold", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn refresh(
    State(surface): State<Surface>,
    Body(request): Body<RefreshRequest>,
) -> Result<Json<LoginBody>, Failure> {
    let login = surface.app.refresh(&request.refresh_token.0).await?;
    Ok(Json(login.into()))
}

/// End this login: its tokens are void and its sockets are closed.
#[utoipa::path(
    post, path = "/logout", tag = "accounts",
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn log_out(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Response, Failure> {
    surface.app.log_out(caller.0).await?;
    Ok(no_content())
}

/// End all your logins, this one included.
#[utoipa::path(
    post, path = "/logout-all", tag = "accounts",
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn log_out_everywhere(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Response, Failure> {
    surface.app.log_out_everywhere(caller.user_id()).await?;
    Ok(no_content())
}

/// Replace the password. All earlier tokens are void; the answer has a new one.
#[utoipa::path(
    post, path = "/change-password", tag = "accounts", request_body = ChangePasswordRequest,
    responses(
        (status = 200, body = LoginBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token, or the current password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many wrong passwords; `Retry-After` says when to try again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change_password(
    State(surface): State<Surface>,
    caller: Caller,
    Address(from): Address,
    Body(request): Body<ChangePasswordRequest>,
) -> Result<Json<LoginBody>, Failure> {
    let current = request.current_password.0.into();
    Ok(Json(
        surface
            .app
            .change_password(caller.0, current, &request.new_password.0, from)
            .await?
            .into(),
    ))
}

/// Your account.
#[utoipa::path(
    get, path = "/me", tag = "accounts",
    responses(
        (status = 200, body = UserBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn me(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Json<UserBody>, Failure> {
    Ok(Json(surface.app.user(caller.user_id()).await?.into()))
}

/// Tokens that your conversations have cost today, and what is left. A day is one of UTC.
#[utoipa::path(
    get, path = "/me/usage", tag = "accounts",
    responses(
        (status = 200, body = UsageBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn usage(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Json<UsageBody>, Failure> {
    let used = surface.app.usage(caller.user_id()).await?;
    let left = surface.app.quota_left(used);
    Ok(Json(UsageBody {
        input_tokens: used.tokens.input,
        output_tokens: used.tokens.output,
        limit: left.map(|left| left.limit),
        remaining: left.map(|left| left.remaining),
        resets_at: used.day.end(),
    }))
}
