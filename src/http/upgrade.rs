//! The handshake of `/ws/emotion`: everything that is checked before the upgrade.
//!
//! Order (the security checklist fixes it): 503 draining, 429 too many from this address, 426 or 400
//! no WebSocket, 403 a page that is not let in, 400 more than one credential, 401, 403 somebody else's
//! `user_id`, 429 too many of this person, then the upgrade. An unknown or foreign
//! session is a matter for the open socket. Invariant: nothing is upgraded for nobody.

use super::Surface;
use super::accept::Place;
use super::address::Address;
use super::extract;
use super::linger::Linger;
use super::origin;
use super::problem::{self, Failure};
use super::socket::{Peer, Socket, Wanted};
use crate::auth::token::Subject;
use crate::domain::{Error, ErrorCode};
use crate::wire::ws::{BEARER_SUBPROTOCOL, SUBPROTOCOL};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, RequestPartsExt as _};
use serde::Deserialize;

/// Bytes that a socket may have waiting to be read: 4 KiB costs a fifteenth of the default's memory.
const READ_BUFFER: usize = 2048;
/// Bytes that are collected before a write.
const WRITE_BUFFER: usize = 16 * 1024;
/// Bytes that may wait for a slow peer inside the library, beside the turn itself.
const WRITE_MOST: usize = 1 << 20;

/// The query of the seed. What is not known is ignored: old apps send what they like.
#[derive(Debug, Deserialize)]
struct Asked {
    user_id: Option<String>,
    session_id: Option<String>,
}

/// `GET /ws/emotion`
pub(super) async fn upgrade(
    State(surface): State<Surface>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: axum::extract::Request,
) -> Response {
    match checked(surface, &headers, upgrade, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn checked(
    surface: Surface,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: axum::extract::Request,
) -> Result<Response, Response> {
    let refuse = |error: Error| Failure::from(error).into_response();
    let (mut parts, _) = request.into_parts();
    if surface.app.draining().is_cancelled() {
        let error =
            Error::new(ErrorCode::Overloaded, "the server is restarting: try again").retry_after(5);
        return Err(refuse(error));
    }
    let settings = surface.app.settings();
    let limits = &settings.limits;
    let Ok(Address(address)) = parts.extract_with_state(&surface).await;
    // Better no limit than one that everybody behind a forgotten proxy shares.
    let address = address
        .map(|address| surface.crowd.of_address(address, limits.sockets_an_address))
        .transpose()
        .map_err(refuse)?;
    let upgrade = upgrade.map_err(|rejection| no_websocket(&rejection))?;
    let offers = offers(headers);
    let subject = caller(&surface, headers, &offers, &parts.uri)
        .await
        .map_err(refuse)?;
    // One that is given twice is not what was checked and is used.
    let Query(asked) = parts
        .extract::<Query<Asked>>()
        .await
        .map_err(|_| problem::field("repeated or malformed query parameter", Some("query")))?;
    // Anything but one's own id is somebody else's, a malformed one too.
    if asked
        .user_id
        .is_some_and(|id| id.parse() != Ok(subject.user_id))
    {
        return Err(refuse(extract::not_yours()));
    }
    let person = surface
        .crowd
        .of_user(subject.user_id, limits.sockets_a_user)
        .map_err(refuse)?;
    let every_frame = offers.contains(&SUBPROTOCOL);
    let wanted = match asked.session_id.filter(|id| !id.is_empty()) {
        None => Wanted::New,
        // Old apps send "null" and the like.
        Some(id) => id.parse().map_or(Wanted::Nonsense, Wanted::Session),
    };
    let linger = parts
        .extract::<Extension<Linger>>()
        .await
        .map(|Extension(linger)| linger)
        .unwrap_or_default();
    let place = parts
        .extract::<Extension<Place>>()
        .await
        .ok()
        .map(|Extension(place)| place);
    let peer = Peer {
        subject,
        every_frame,
        wanted,
        linger,
    };
    let limit = limits.message_bytes;
    let tracked = surface.sockets.token();
    Ok(upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_MOST)
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(move |ws: WebSocket| async move {
            Socket::new(surface.app, ws, peer).run().await;
            drop((address, person, place));
            drop(tracked);
        }))
}

fn no_websocket(rejection: &WebSocketUpgradeRejection) -> Response {
    let status = match rejection.status() {
        StatusCode::UPGRADE_REQUIRED => StatusCode::UPGRADE_REQUIRED,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = problem::plain(
        status,
        "this path speaks WebSocket: open it with a WebSocket client",
    );
    if status == StatusCode::UPGRADE_REQUIRED {
        let websocket = HeaderValue::from_static("websocket");
        response.headers_mut().insert(UPGRADE, websocket);
    }
    response
}

/// Who asks, by the one credential that there is; a page must be one that is let in.
async fn caller(
    surface: &Surface,
    headers: &HeaderMap,
    offers: &[&str],
    uri: &Uri,
) -> Result<Subject, Error> {
    let app = &surface.app;
    let origin = origin::admitted(headers, &app.config().server.origins)?;
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let query = query.map(|Query(pairs)| pairs).unwrap_or_default();
    match credential(headers, offers, &query, app.config().auth.query_token)? {
        Credential::Token(token) => app.authenticate(token).await,
        Credential::Ticket(ticket) => {
            let origin = origin.map(|origin| origin.to_string());
            app.redeem_ticket(ticket, origin.as_deref()).await
        }
    }
}

/// The subprotocols that the client offers.
fn offers(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect()
}

/// What somebody shows to be let in.
#[derive(Debug, Clone, Copy)]
enum Credential<'a> {
    /// An access token.
    Token(&'a str),
    /// A ticket, for this handshake only.
    Ticket(&'a str),
}

/// The one credential of the handshake. An access token in the query is one only where that is switched on.
fn credential<'a>(
    headers: &'a HeaderMap,
    offers: &[&'a str],
    query: &'a [(String, String)],
    query_token: bool,
) -> Result<Credential<'a>, Error> {
    let header = extract::bearer(headers)?;
    let offered = offers
        .iter()
        .filter_map(|offer| offer.strip_prefix(BEARER_SUBPROTOCOL));
    let asked = query
        .iter()
        .filter_map(|(name, value)| match name.as_str() {
            "ticket" => Some(Credential::Ticket(value)),
            "access_token" if query_token => Some(Credential::Token(value)),
            _ => None,
        });
    let mut all = header
        .into_iter()
        .chain(offered)
        .map(Credential::Token)
        .chain(asked);
    match (all.next(), all.next()) {
        (Some(credential), None) => Ok(credential),
        (None, _) => Err(extract::missing_token()),
        (Some(_), Some(_)) => Err(Error::new(
            ErrorCode::BadFrame,
            "there must be exactly one credential in the handshake",
        )),
    }
}
