//! `/health`: for load balancers and for people.

use super::Surface;
use super::problem;
use crate::wire::rest::HealthBody;
use axum::Json;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

/// Whether the server takes requests: the database answers and it is not shutting down.
#[utoipa::path(
    get, path = "/health", tag = "health", security(()),
    responses((status = 200, body = HealthBody), (status = 503, body = HealthBody))
)]
pub(super) async fn ready(State(surface): State<Surface>) -> Response {
    let schema = surface.app.schema_version().await;
    if let Err(error) = &schema {
        problem::log(error);
    }
    let draining = surface.app.draining().is_cancelled();
    let body = HealthBody {
        status: if draining {
            "draining"
        } else if schema.is_ok() {
            "ok"
        } else {
            "unavailable"
        }
        .to_owned(),
        database: if schema.is_ok() { "ok" } else { "unavailable" }.to_owned(),
        schema: schema.ok(),
    };
    if body.status == "ok" {
        Json(body).into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            [(RETRY_AFTER, HeaderValue::from_static("2"))],
            Json(body),
        )
            .into_response()
    }
}

/// The same as `/health`.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, body = HealthBody), (status = 503, body = HealthBody))
)]
pub(super) async fn ready_too(state: State<Surface>) -> Response {
    ready(state).await
}

/// Whether the process runs. Asks nobody.
#[utoipa::path(get, path = "/health/live", tag = "health", security(()), responses((status = 200)))]
pub(super) async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}
