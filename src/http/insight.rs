//! `/emotion/…` for what a conversation shows.

use super::Surface;
use super::extract::{Body, Caller, Id};
use super::problem::Failure;
use crate::domain::StepId;
use crate::domain::emotion::Emotion;
use crate::wire::insight::{EmotionRequest, StepEmotionBody};
use crate::wire::rest::Problem;
use axum::Json;
use axum::extract::State;

/// Say what you felt in a step. It counts more than the guess, wherever the step is shown.
#[utoipa::path(
    put, path = "/emotion/steps/{step_id}/emotion", tag = "insight", request_body = EmotionRequest,
    params(("step_id" = uuid::Uuid, Path, description = "The step")),
    responses(
        (status = 200, body = StepEmotionBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such step, or somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn correct(
    State(surface): State<Surface>,
    caller: Caller,
    Id(step_id): Id<StepId>,
    Body(request): Body<EmotionRequest>,
) -> Result<Json<StepEmotionBody>, Failure> {
    set(&surface, caller, step_id, request.label()?).await
}

/// Take back what you said you felt in a step. The guess is shown again.
#[utoipa::path(
    delete, path = "/emotion/steps/{step_id}/emotion", tag = "insight",
    params(("step_id" = uuid::Uuid, Path, description = "The step")),
    responses(
        (status = 200, body = StepEmotionBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such step, or somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn take_back(
    State(surface): State<Surface>,
    caller: Caller,
    Id(step_id): Id<StepId>,
) -> Result<Json<StepEmotionBody>, Failure> {
    set(&surface, caller, step_id, None).await
}

async fn set(
    surface: &Surface,
    caller: Caller,
    step_id: StepId,
    label: Option<Emotion>,
) -> Result<Json<StepEmotionBody>, Failure> {
    let feeling = surface
        .app
        .correct_step(caller.user_id(), step_id, label)
        .await?;
    Ok(Json(StepEmotionBody {
        step_id,
        emotion: feeling.map(Into::into),
    }))
}
