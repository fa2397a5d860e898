//! `/emotion/sessions/user/{user_id}/search`.

use super::Surface;
use super::extract::{Body, Caller, Id};
use super::insight::moment;
use super::page::{self, Page};
use super::problem::Failure;
use crate::domain::search::Terms;
use crate::domain::{Error, SessionId, UserId};
use crate::service::search::Wanted;
use crate::wire::rest::Problem;
use crate::wire::search::{FoundBody, PlaceBody, SearchBody, SearchRequest};
use axum::Json;
use axum::extract::State;

/// Sessions of a page unless it is said.
const USUAL: u32 = 20;
/// Longest label or tag that is looked for, in characters.
const WORD: usize = 100;

/// Look for your sessions by words, label, tag and date. One request looks through 50 sessions at most, and `next`
/// says where to go on. It changes nothing; the words are in the body because URLs end up in logs.
#[utoipa::path(
    post, path = "/emotion/sessions/user/{user_id}/search", tag = "sessions",
    params(("user_id" = uuid::Uuid, Path, description = "You")),
    request_body = SearchRequest,
    responses(
        (status = 200, body = SearchBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
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
    Body(request): Body<SearchRequest>,
) -> Result<Json<SearchBody>, Failure> {
    caller.must_be(Some(user_id))?;
    let (limit, cursor) = (request.limit, request.cursor);
    let page = Page { limit, cursor };
    let limit = page.limit()?.unwrap_or(USUAL);
    let before = page.by_time()?.map(|(time, id)| (time, SessionId(id)));
    let from = request.from.as_deref().map(|text| moment("from", text));
    let to = request.to.as_deref().map(|text| moment("to", text));
    let wanted = Wanted {
        from: from.transpose()?,
        to: to.transpose()?,
        label: request.label.map(|word| short("label", word)).transpose()?,
        tag: request.tag.map(|word| short("tag", word)).transpose()?,
        words: request.q.as_deref().map(Terms::parse).transpose()?,
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
