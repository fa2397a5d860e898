//! `/emotion/…`: sessions and steps.

use super::Surface;
use super::extract::{Body, Caller, Id, Params};
use super::page::{self, Page};
use super::problem::Failure;
use crate::domain::step::{EmotionStep, MessageId, StepType, UserInput};
use crate::domain::{Error, ErrorCode, SessionId, UserId, prompt};
use crate::safety::Assessment;
use crate::service::App;
use crate::service::turn::{Said, Say, stored_after};
use crate::wire::rest::{CreateSessionRequest, GenerateRequest, Problem, SessionBody, StepBody};
use crate::wire::ws::ServerFrame;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Begin a session.
#[utoipa::path(
    post, path = "/emotion/sessions", tag = "sessions", request_body = CreateSessionRequest,
    responses(
        (status = 201, body = SessionBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Somebody else's user_id", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_session(
    State(surface): State<Surface>,
    caller: Caller,
    Body(request): Body<CreateSessionRequest>,
) -> Result<(StatusCode, Json<SessionBody>), Failure> {
    caller.must_be(request.user_id)?;
    let session = surface
        .app
        .create_session(caller.user_id(), request.labels())
        .await?;
    Ok((StatusCode::CREATED, Json(session.into())))
}

/// A session.
#[utoipa::path(
    get, path = "/emotion/sessions/{session_id}", tag = "sessions",
    params(("session_id" = uuid::Uuid, Path, description = "The session")),
    responses(
        (status = 200, body = SessionBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such session, or somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_session(
    State(surface): State<Surface>,
    caller: Caller,
    Id(session_id): Id<SessionId>,
) -> Result<Json<SessionBody>, Failure> {
    Ok(Json(
        surface
            .app
            .session(caller.user_id(), session_id)
            .await?
            .into(),
    ))
}

/// Your sessions, newest first: whole, or by pages with `limit`.
#[utoipa::path(
    get, path = "/emotion/sessions/user/{user_id}", tag = "sessions",
    params(("user_id" = uuid::Uuid, Path, description = "You"), Page),
    responses(
        (status = 200, body = Vec<SessionBody>, headers(("Link" = String, description = "The next page, if there may be one"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Somebody else's user_id", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_sessions(
    State(surface): State<Surface>,
    caller: Caller,
    Id(user_id): Id<UserId>,
    Params(page): Params<Page>,
) -> Result<Response, Failure> {
    caller.must_be(Some(user_id))?;
    let limit = page.limit()?;
    let before = page.by_time()?.map(|(time, id)| (time, SessionId(id)));
    let sessions = surface.app.sessions(user_id, before, limit).await?;
    let next = sessions
        .last()
        .map(|last| page::after(last.started_at, last.session_id.0));
    let bodies: Vec<SessionBody> = sessions.into_iter().map(Into::into).collect();
    let path = format!("/emotion/sessions/user/{user_id}");
    Ok(page::link(
        Json(&bodies).into_response(),
        &path,
        limit,
        bodies.len(),
        next,
    ))
}

/// End a session. It can be read but not continued; ending it again changes nothing.
#[utoipa::path(
    post, path = "/emotion/sessions/{session_id}/end", tag = "sessions",
    params(("session_id" = uuid::Uuid, Path, description = "The session")),
    responses(
        (status = 200, body = SessionBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end_session(
    State(surface): State<Surface>,
    caller: Caller,
    Id(session_id): Id<SessionId>,
) -> Result<Json<SessionBody>, Failure> {
    Ok(Json(
        surface
            .app
            .end_session(caller.user_id(), session_id)
            .await?
            .into(),
    ))
}

/// The steps of a session by ascending order: whole, or by pages with `limit`.
#[utoipa::path(
    get, path = "/emotion/steps/{session_id}", tag = "steps",
    params(
        ("session_id" = uuid::Uuid, Path, description = "The session"),
        ("limit" = Option<u32>, Query, description = "Most items to send, 1 to 200. Without it the list comes whole.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "Where the page before ended: taken from its `Link` header.", pattern = r"^[0-9]{1,18}$"),
    ),
    responses(
        (status = 200, body = Vec<StepBody>, headers(("Link" = String, description = "The next page, if there may be one"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_steps(
    State(surface): State<Surface>,
    caller: Caller,
    Id(session_id): Id<SessionId>,
    Params(page): Params<Page>,
) -> Result<Response, Failure> {
    let limit = page.limit()?;
    let after = page.by_number()?.unwrap_or(0);
    let steps = surface
        .app
        .steps(caller.user_id(), session_id, after, limit)
        .await?;
    let next = steps.last().map(|last| last.step_order.to_string());
    let bodies: Vec<StepBody> = steps.into_iter().map(Into::into).collect();
    let path = format!("/emotion/steps/{session_id}");
    Ok(page::link(
        Json(&bodies).into_response(),
        &path,
        limit,
        bodies.len(),
        next,
    ))
}

/// Say something and wait for the whole answer. The words are stored before the model is asked,
/// and the turn goes on when you hang up.
///
/// `Idempotency-Key` means the same as `message_id`.
#[utoipa::path(
    post, path = "/emotion/steps/generate", tag = "steps", request_body = GenerateRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same as message_id")),
    responses(
        (status = 200, body = StepBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Somebody else's user_id", body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The session has ended, or is still answering", body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many messages a minute, or no tokens left today", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "No model could answer; the words are stored", body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn generate(
    State(surface): State<Surface>,
    caller: Caller,
    headers: HeaderMap,
    Body(request): Body<GenerateRequest>,
) -> Result<Json<StepBody>, Failure> {
    // The gate reads the words before anything can refuse them.
    let assessment = surface.app.assess(&request.user_input);
    let safety = surface.app.safety(&request.user_input, &assessment);
    if let Err(failure) = caller.must_be(request.user_id) {
        return Err(failure.stored(Some(false)).safety(safety));
    }
    let key = headers
        .get("idempotency-key")
        .map(|value| value.to_str().unwrap_or_default().trim_matches('"'));
    let step = answer(&surface.app, caller.user_id(), &request, key, assessment).await;
    step.map(|step| Json(step.into())).map_err(|failure| {
        let failure = failure.or_safety(safety);
        if let Some(safety) = failure.unstored_safety() {
            let (user_id, session_id) = (caller.user_id(), request.session_id);
            surface
                .app
                .raise_alarm_unstored(safety, user_id, session_id);
        }
        failure
    })
}

async fn answer(
    app: &Arc<App>,
    user_id: UserId,
    request: &GenerateRequest,
    idempotency_key: Option<&str>,
    assessment: Assessment,
) -> Result<EmotionStep, Failure> {
    let say = match say(app, user_id, request, idempotency_key, assessment).await {
        Ok(say) => say,
        Err(error) => {
            app.meters().refused(&error);
            let stored = stored_after(&error);
            return Err(Failure::from(error).stored(stored));
        }
    };
    let (session_id, words) = (say.session_id, request.user_input.as_str());
    let unanswered = |error: Error| Failure::from(error).stored(Some(true));
    match app.say(user_id, say).await {
        Ok(Said::Started(turn) | Said::Running(turn)) => match app.ended(&turn).await {
            ServerFrame::Error { error } => {
                let passed_on = [ErrorCode::Unavailable, ErrorCode::Overloaded];
                let code = passed_on
                    .into_iter()
                    .find(|code| error.code == code.as_str())
                    .unwrap_or(ErrorCode::ModelUnavailable);
                let wait = error.retry_after.unwrap_or(5);
                let failure = Failure::from(Error::new(code, error.message).retry_after(wait));
                Err(failure.stored(error.stored.or(Some(true))))
            }
            _ => Ok(app.step(user_id, turn.step_id).await?),
        },
        Ok(Said::Stored(step)) if step.gpt_response.is_empty() => Err(unanswered(Error::new(
            ErrorCode::ModelUnavailable,
            "this message got no answer: send it again under another message_id",
        ))),
        Ok(Said::Stored(step)) => Ok(*step),
        Err(error) => {
            app.meters().refused(&error);
            let stored = stored_after(&error);
            // Who has used up the day is judged by what they said before as well.
            let safety = if error.code() == ErrorCode::QuotaExceeded {
                let held = app.assess_in_session(user_id, session_id, words).await;
                app.safety(words, &held)
            } else {
                None
            };
            Err(Failure::from(error).stored(stored).safety(safety))
        }
    }
}

/// The checked request.
async fn say(
    app: &App,
    user_id: UserId,
    request: &GenerateRequest,
    idempotency_key: Option<&str>,
    assessment: Assessment,
) -> Result<Say, Error> {
    let settings = app.settings();
    let limits = &settings.limits;
    let message_id = request.message_id.as_deref().or(idempotency_key);
    let message_id = message_id.map(MessageId::parse).transpose()?;
    if message_id.is_some() && request.session_id.is_none() {
        // A fresh session every time would make a repeated message a new one.
        return Err(Error::invalid(
            "session_id",
            "is needed with message_id or Idempotency-Key: a message is unique in its session",
        ));
    }
    Ok(Say {
        user_input: UserInput::parse(&request.user_input, limits.input_bytes)?,
        step_type: StepType::parse(request.step_type.as_deref())?,
        client_prompt: prompt::client(request.system_prompt.as_deref(), limits.input_bytes)?,
        message_id,
        session_id: match app.attach(user_id, request.session_id).await? {
            Some(attached) => attached.session_id,
            None => return Err(Error::not_found("session")),
        },
        knows_frames: false,
        assessment,
    })
}
