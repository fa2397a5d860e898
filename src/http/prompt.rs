//! `/me/prompt`: a person's own instructions for the listener.

use super::extract::{Body, Caller};
use super::problem::Failure;
use super::{Surface, no_content};
use crate::domain::prompt::{Prompt, PromptName};
use crate::wire::rest::{Problem, PromptBody, PromptRequest};
use axum::Json;
use axum::extract::State;
use axum::response::Response;

impl From<Prompt> for PromptBody {
    fn from(prompt: Prompt) -> Self {
        Self {
            prompt: prompt.body,
            version: prompt.version,
        }
    }
}

/// Your own prompt. It goes below the server's.
#[utoipa::path(
    get, path = "/me/prompt", tag = "prompts",
    responses(
        (status = 200, body = PromptBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "You have none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Json<PromptBody>, Failure> {
    Ok(Json(
        surface.app.personal_prompt(caller.user_id()).await?.into(),
    ))
}

/// Set your own prompt. It is used from the next turn on.
#[utoipa::path(
    put, path = "/me/prompt", tag = "prompts", request_body = PromptRequest,
    responses(
        (status = 200, body = PromptBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(surface): State<Surface>,
    caller: Caller,
    Body(request): Body<PromptRequest>,
) -> Result<Json<PromptBody>, Failure> {
    let name = PromptName::Personal(caller.user_id());
    Ok(Json(
        surface.app.set_prompt(name, &request.prompt).await?.into(),
    ))
}

/// Forget your own prompt, every version of it.
#[utoipa::path(
    delete, path = "/me/prompt", tag = "prompts",
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "You have none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(surface): State<Surface>,
    caller: Caller,
) -> Result<Response, Failure> {
    surface.app.delete_personal_prompt(caller.user_id()).await?;
    Ok(no_content())
}
