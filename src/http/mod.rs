//! The network surface: REST, the WebSocket endpoint, documentation.
//!
//! Owns the routes and what every answer has in common (request ids, headers, problem bodies); the
//! handlers stand in the submodules and only translate. Called by the command line through
//! [`serve`]. Invariants: every route but the listed open ones wants a bearer token; every error
//! is `application/problem+json`; the path is logged, never the query.

mod accept;
mod account;
mod address;
mod crowd;
mod docs;
mod emotion;
mod extract;
mod guest;
mod health;
mod insight;
mod linger;
mod metrics;
mod origin;
mod page;
mod picture;
mod problem;
mod prompt;
mod recovery;
mod rights;
mod search;
mod socket;
mod ticket;
mod upgrade;
mod web;

use crate::service::App;
use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use crowd::Crowd;
use linger::Linger;
pub use metrics::serve as serve_metrics;
use problem::Failure;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the handlers share.
#[derive(Clone)]
struct Surface {
    app: Arc<App>,
    /// Every open socket, so that a drain can wait for them: hyper forgets a connection once it is
    /// upgraded.
    sockets: TaskTracker,
    /// The same by person and address.
    crowd: Arc<Crowd>,
}

/// Serves until `stop` fires, then lets turns finish within the configured deadline, tells every
/// socket, and returns once all connections have ended or the time is up.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let surface = Surface {
        app: Arc::clone(&app),
        sockets: TaskTracker::new(),
        crowd: Arc::default(),
    };
    let settings = accept::Settings {
        connections: app.settings().limits.connections,
        request_head: Duration::from_secs(app.config().server.request_seconds),
    };
    let accepting =
        accept::Accepting::start(listener, router(surface.clone()), settings, stop.clone());
    stop.cancelled().await;
    // First of all: who is told to go and comes back at once is not let in by the server that goes.
    let connections = accepting.stopped().await;
    app.drain(Duration::from_secs(app.config().server.drain_seconds))
        .await;
    // The turns have ended and the sockets know: what is left is their goodbye.
    surface.sockets.close();
    if tokio::time::timeout(Duration::from_secs(3), surface.sockets.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            sockets = surface.sockets.len(),
            "sockets did not close in time"
        );
    }
    connections.finish(Duration::from_secs(2)).await;
    Ok(())
}

/// Every REST route and its description.
fn rest() -> OpenApiRouter<Surface> {
    OpenApiRouter::with_openapi(docs::description())
        .routes(routes!(account::register))
        .routes(routes!(guest::register_guest))
        .routes(routes!(account::login))
        .routes(routes!(account::refresh))
        .routes(routes!(account::log_out))
        .routes(routes!(account::log_out_everywhere))
        .routes(routes!(account::change_password))
        .routes(routes!(ticket::issue_ticket))
        .routes(routes!(account::me, rights::erase))
        .routes(routes!(rights::export))
        .routes(routes!(rights::accesses))
        .routes(routes!(recovery::reset_password))
        .routes(routes!(account::usage))
        .routes(routes!(prompt::get, prompt::put, prompt::delete))
        .routes(routes!(emotion::create_session))
        .routes(routes!(emotion::get_session))
        .routes(routes!(emotion::list_sessions))
        .routes(routes!(search::search))
        .routes(routes!(emotion::end_session))
        .routes(routes!(emotion::generate))
        .routes(routes!(emotion::list_steps))
        .routes(routes!(insight::correct, insight::take_back))
        .routes(routes!(insight::flow))
        .routes(routes!(insight::trend))
        .routes(routes!(insight::card, insight::make_card))
        .routes(routes!(health::ready))
        .routes(routes!(health::ready_too))
        .routes(routes!(health::live))
}

/// The routes and their description.
fn parts() -> (Router<Surface>, OpenApi) {
    let (routes, mut api) = rest().split_for_parts();
    docs::add_refusals_of_bodies(&mut api);
    (routes, api)
}

/// The OpenAPI description of the REST surface, as JSON.
pub fn openapi_json() -> String {
    let (_, api) = parts();
    api.to_pretty_json().unwrap_or_default()
}

fn router(surface: Surface) -> Router {
    let (rest, api) = parts();
    let cors = origin::cors(&surface.app.config().server.origins);
    let router = rest
        .route("/ws/emotion", axum::routing::get(upgrade::upgrade))
        .merge(docs::router(api))
        .merge(web::router(surface.app.config().server.page))
        .fallback(|| async { Failure::from(crate::domain::Error::not_found("path")) })
        .method_not_allowed_fallback(|| async {
            problem::plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not know this method",
            )
        })
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(
            problem::panicked,
        ));
    // Around what makes answers, so that a page can read its errors, too.
    let router = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router
        .layer(middleware::from_fn_with_state(surface.clone(), observe))
        .with_state(surface)
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives every answer a request id and its headers, and logs it.
async fn observe(State(surface): State<Surface>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = uuid::Uuid::new_v4();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let draining = surface.app.draining().is_cancelled();
    // What refuses a request before its body was read must still be seen by who is sending it.
    let unread = (!request.body().is_end_stream())
        .then(|| request.extensions().get::<Linger>().cloned())
        .flatten();
    // What no route has is counted together: paths are as many as people like.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other", MatchedPath::as_str).to_owned();
    let quiet = path.starts_with("/health") || path.starts_with("/ws/");
    let mut response = next.run(request).await;
    let status = response.status();
    surface
        .app
        .meters()
        .requests
        .add((route, status.as_u16() / 100));
    if let Some(linger) = unread.filter(|_| status.is_client_error() || status.is_server_error()) {
        linger.ask();
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID.clone(), value);
    }
    headers
        .entry(X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    headers
        .entry(REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    if draining {
        headers.insert(
            axum::http::header::CONNECTION,
            HeaderValue::from_static("close"),
        );
    }
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::warn!(%id, %method, path, status = status.as_u16(), ms, "request");
    } else if quiet {
        tracing::debug!(%id, %method, path, status = status.as_u16(), ms, "request");
    } else {
        tracing::info!(%id, %method, path, status = status.as_u16(), ms, "request");
    }
    response
}

/// An answer without a body.
fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
