//! `/emotion/…` for what a conversation shows.

use super::Surface;
use super::extract::{Body, Caller, Id, Params};
use super::picture::chart::Chart;
use super::picture::{self, Width};
use super::problem::Failure;
use crate::config::PromptLanguage;
use crate::domain::emotion::Emotion;
use crate::domain::prompt::Language;
use crate::domain::{Error, SessionId, StepId, Timestamp, UserId};
use crate::service::card::Shown;
use crate::wire::card::CardBody;
use crate::wire::insight::{EmotionRequest, FlowBody, StepEmotionBody, TrendBody};
use crate::wire::rest::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// In which form an answer comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Json,
    Svg,
}

/// A language of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Lang {
    Ko,
    En,
}

/// How something is to be shown.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct View {
    /// `svg` for a picture.
    #[param(inline)]
    format: Option<Format>,
    /// The language of the picture: `ko` or `en`. Without it, that of the server's prompts, or of `Accept-Language`.
    #[param(inline)]
    lang: Option<Lang>,
}

/// How a flow is to be shown.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FlowView {
    /// `svg` for a picture.
    #[param(inline)]
    format: Option<Format>,
    /// The language of the picture: `ko` or `en`. Without it, that of the server's prompts, or of `Accept-Language`.
    #[param(inline)]
    lang: Option<Lang>,
    /// For which screen the picture is: `wide` (720 pixels, unless said), or `narrow` (300, from top to bottom).
    #[param(inline)]
    width: Option<Width>,
}

/// Of what time, and how it is to be shown.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// Sessions that began at this time or later: RFC 3339, or a date of UTC. Without it, 30 days before `to`.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Sessions that began before this time. Without it, until now.
    #[param(example = "2026-12-01")]
    to: Option<String>,
    /// `svg` for a picture.
    #[param(inline)]
    format: Option<Format>,
    /// The language of the picture: `ko` or `en`. Without it, that of the server's prompts, or of `Accept-Language`.
    #[param(inline)]
    lang: Option<Lang>,
    /// For which screen the picture is: `wide` (720 pixels, unless said), or `narrow` (300, from top to bottom).
    #[param(inline)]
    width: Option<Width>,
    /// In minutes east of UTC, whose days the picture names: 540 for Korea. Without it, those of UTC.
    #[param(minimum = -840, maximum = 840, example = 540)]
    utc_offset: Option<i16>,
}

/// The language in which a picture speaks: the wanted one, else that of the server, else the asker's, else Korean.
fn language(surface: &Surface, wanted: Option<Lang>, headers: &HeaderMap) -> Language {
    match (wanted, surface.app.settings().prompts.language) {
        (Some(Lang::Ko), _) | (None, PromptLanguage::Ko) => Language::Korean,
        (Some(Lang::En), _) | (None, PromptLanguage::En) => Language::English,
        (None, PromptLanguage::Auto) => {
            let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
            accepted.and_then(preferred).unwrap_or(Language::Korean)
        }
    }
}

/// The first of the accepted languages that the house speaks; browsers list them by preference.
fn preferred(accepted: &str) -> Option<Language> {
    let tags = accepted.split(',').map(|tag| tag.split(';').next());
    tags.flatten().find_map(|tag| {
        let language = tag.trim().split('-').next().unwrap_or_default();
        Language::parse(&language.to_ascii_lowercase())
    })
}

/// A time, or the beginning of a day.
pub(super) fn moment(field: &'static str, text: &str) -> Result<Timestamp, Error> {
    let of_day = format!("{text}T00:00:00Z");
    let text = if text.len() == 10 { &of_day } else { text };
    text.parse().map_err(|_| {
        Error::invalid(
            field,
            "must be a time such as 2026-11-01T09:00:00Z, or a date",
        )
    })
}

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

/// How the moods of a session follow each other: points, transitions and turning points, or a picture of them.
#[utoipa::path(
    get, path = "/emotion/sessions/{session_id}/flow", tag = "insight",
    params(("session_id" = uuid::Uuid, Path, description = "The session"), FlowView),
    responses(
        (status = 200, content((FlowBody = "application/json"), (String = "image/svg+xml"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such session, or somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn flow(
    State(surface): State<Surface>,
    caller: Caller,
    Id(session_id): Id<SessionId>,
    Params(view): Params<FlowView>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let flow = surface.app.flow(caller.user_id(), session_id).await?;
    let body = FlowBody::of(session_id, flow.steps, flow.truncated);
    Ok(match view.format.unwrap_or_default() {
        Format::Json => Json(body).into_response(),
        Format::Svg => {
            let language = language(&surface, view.lang, &headers);
            picture::answer(Chart::of_flow(&body, language).draw(view.width.unwrap_or_default()))
        }
    })
}

/// The same over your sessions of some time: the last 30 days unless said.
#[utoipa::path(
    get, path = "/emotion/trends/user/{user_id}", tag = "insight",
    params(("user_id" = uuid::Uuid, Path, description = "You"), Span),
    responses(
        (status = 200, content((TrendBody = "application/json"), (String = "image/svg+xml"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Somebody else's user_id", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn trend(
    State(surface): State<Surface>,
    caller: Caller,
    Id(user_id): Id<UserId>,
    Params(span): Params<Span>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    caller.must_be(Some(user_id))?;
    let east = span.utc_offset.unwrap_or_default();
    if !(-840..=840).contains(&east) {
        return Err(Error::invalid("utc_offset", "must be from -840 to 840").into());
    }
    let from = span.from.as_deref().map(|text| moment("from", text));
    let to = span.to.as_deref().map(|text| moment("to", text));
    let trend = surface
        .app
        .trend(user_id, from.transpose()?, to.transpose()?)
        .await?;
    let of = (trend.from, trend.to);
    let body = TrendBody::of(user_id, of, &trend.flow.steps, trend.flow.truncated);
    Ok(match span.format.unwrap_or_default() {
        Format::Json => Json(body).into_response(),
        Format::Svg => {
            let language = language(&surface, span.lang, &headers);
            let chart = Chart::of_trend(&body, language, east);
            picture::answer(chart.draw(span.width.unwrap_or_default()))
        }
    })
}

/// The card of a session. It is made when the session ends, some seconds later: until then there is none.
#[utoipa::path(
    get, path = "/emotion/sessions/{session_id}/card", tag = "insight",
    params(("session_id" = uuid::Uuid, Path, description = "The session"), View),
    responses(
        (status = 200, content((CardBody = "application/json"), (String = "image/svg+xml"))),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No card yet, no such session, or somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn card(
    State(surface): State<Surface>,
    caller: Caller,
    Id(session_id): Id<SessionId>,
    Params(view): Params<View>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let shown = surface.app.card(caller.user_id(), session_id).await?;
    let body = body(session_id, shown);
    Ok(match view.format.unwrap_or_default() {
        Format::Json => Json(body).into_response(),
        Format::Svg => {
            let language = language(&surface, view.lang, &headers);
            picture::answer(picture::card::draw(&body, language))
        }
    })
}

/// Make a card of a session in place of the one there is, and wait for it. It counts as a message of the minute, and
/// what a model takes for it as tokens of the day; without tokens left, or a model, a shorter card is made, unless one of
/// the same steps was written before.
#[utoipa::path(
    post, path = "/emotion/sessions/{session_id}/card", tag = "insight",
    params(("session_id" = uuid::Uuid, Path, description = "The session")),
    responses(
        (status = 200, body = CardBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Nothing was said in it, no such session, or somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many messages a minute", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "One is being made, or no model can write another now and the one that was written stays", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn make_card(
    State(surface): State<Surface>,
    caller: Caller,
    Id(session_id): Id<SessionId>,
) -> Result<Json<CardBody>, Failure> {
    let shown = surface.app.make_card(caller.user_id(), session_id).await?;
    Ok(Json(body(session_id, shown)))
}

fn body(session_id: SessionId, shown: Shown) -> CardBody {
    CardBody::of(
        session_id,
        shown.card,
        shown.quotes,
        shown.made_at,
        shown.safety,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_the_house_speaks_counts() {
        for (accepted, language) in [
            ("ko-KR,ko;q=0.9,en;q=0.8", Some(Language::Korean)),
            ("fr-FR, EN-gb;q=0.7, ko;q=0.3", Some(Language::English)),
            ("de, *;q=0.1", None),
            ("", None),
        ] {
            assert_eq!(preferred(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn a_date_is_the_beginning_of_its_day() {
        let day = moment("from", "2026-11-01").unwrap();
        assert_eq!(day.to_string(), "2026-11-01T00:00:00.000000Z");
        assert_eq!(moment("from", "2026-11-01T09:00:00+09:00").unwrap(), day);
        for wrong in ["", "yesterday", "2026-13-01", "2026-11-1é"] {
            assert!(moment("from", wrong).is_err(), "{wrong}");
        }
    }
}
