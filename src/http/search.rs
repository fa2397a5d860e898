//! `/emotion/sessions/user/{user_id}/search`.

use super::Surface;
use super::extract::{Caller, Id, Params};
use super::insight::moment;
use super::page::{self, Page};
use super::problem::Failure;
use crate::domain::search::Terms;
use crate::domain::{Error, SessionId, UserId};
use crate::service::search::Wanted;
use crate::wire::rest::Problem;
use crate::wire::search::{FoundBody, PlaceBody, SearchBody};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Sessions of a page unless it is said.
const USUAL: u32 = 20;
/// Longest label or tag that is looked for, in characters.
const WORD: usize = 100;

/// What is looked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// Words that you said in one step, all of them, in any order and case.
    #[param(example = "회의 발표", max_length = 100)]
    q: Option<String>,
    /// An emotion of one of its steps by its id or Korean name, or the `emotion_label` of the session.
    #[param(example = "anxious", max_length = 100)]
    label: Option<String>,
    /// The `insight_tag` of the session, or a tag of its card.
    #[param(example = "회의", max_length = 100)]
    tag: Option<String>,
    /// Sessions that began at this time or later: RFC 3339, or a date of UTC.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// Sessions that began before this time.
    #[param(example = "2026-12-01")]
    to: Option<String>,
    /// Most sessions to send, 1 to 200; 20 unless said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Where to go on: `next` of the answer before.
    #[param(pattern = r"^[0-9]{1,18}\.[0-9a-fA-F]{32}$")]
    cursor: Option<String>,
}

/// Look for your sessions by words, label, tag and date. One request looks through 50 sessions at most, and `next`
/// says where to go on.
#[utoipa::path(
    get, path = "/emotion/sessions/user/{user_id}/search", tag = "sessions",
    params(("user_id" = uuid::Uuid, Path, description = "You"), Query),
    responses(
        (status = 200, body = SearchBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Somebody else's user_id", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Others are searching", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search(
    State(surface): State<Surface>,
    caller: Caller,
    Id(user_id): Id<UserId>,
    Params(query): Params<Query>,
) -> Result<Json<SearchBody>, Failure> {
    caller.must_be(Some(user_id))?;
    let (limit, cursor) = (query.limit, query.cursor);
    let page = Page { limit, cursor };
    let limit = page.limit()?.unwrap_or(USUAL);
    let before = page.by_time()?.map(|(time, id)| (time, SessionId(id)));
    let from = query.from.as_deref().map(|text| moment("from", text));
    let to = query.to.as_deref().map(|text| moment("to", text));
    let wanted = Wanted {
        from: from.transpose()?,
        to: to.transpose()?,
        label: query.label.map(|word| short("label", word)).transpose()?,
        tag: query.tag.map(|word| short("tag", word)).transpose()?,
        words: query.q.as_deref().map(Terms::parse).transpose()?,
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = surface.app.search(user_id, &wanted, before, limit).await?;
    let sessions = found.found.into_iter().map(|found| FoundBody {
        session: found.session.into(),
        places: found
            .places
            .into_iter()
            .map(|(step_id, hit)| PlaceBody {
                step_id,
                offset: hit.offset,
                length: hit.length,
                excerpt: hit.excerpt,
            })
            .collect(),
    });
    Ok(Json(SearchBody {
        sessions: sessions.collect(),
        next: found.next.map(|(time, id)| page::after(time, id.0)),
    }))
}

fn short(field: &'static str, word: String) -> Result<String, Error> {
    if word.trim().is_empty() || word.chars().count() > WORD {
        return Err(Error::invalid(
            field,
            format!("must be 1 to {WORD} characters"),
        ));
    }
    Ok(word)
}
