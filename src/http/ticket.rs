//! `/ws-ticket`.

use super::extract::Caller;
use super::problem::Failure;
use super::{Surface, origin};
use crate::domain::login::TICKET;
use crate::wire::entry::TicketBody;
use crate::wire::rest::{Problem, Secret};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

/// Get a ticket for one handshake, for browsers, which cannot set headers there: `/ws/emotion?ticket=…`. It holds
/// for 30 seconds and for one use, for pages of the origin that asked for it.
#[utoipa::path(
    post, path = "/ws-ticket", tag = "accounts",
    responses(
        (status = 201, body = TicketBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Pages of this origin are not let in", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many tickets in a minute", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn issue_ticket(
    State(surface): State<Surface>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<TicketBody>), Failure> {
    let origin = origin::admitted(&headers, &surface.app.config().server.origins)?;
    let ticket = surface
        .app
        .issue_ticket(caller.0, origin.map(|origin| origin.to_string()))
        .await?;
    let body = TicketBody {
        ticket: Secret(ticket),
        expires_in: TICKET.as_secs(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}
