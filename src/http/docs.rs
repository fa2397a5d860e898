//! `/openapi.json` and `/docs`: the description of the REST surface, and a page to try it.
//!
//! Invariant: the page comes from the binary; it loads nothing from anywhere else.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::middleware::{self, Next};
use axum::response::Response;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Info, License, OpenApi, OpenApiBuilder, Ref, ResponseBuilder,
};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What the description says beside the routes.
pub(super) fn description() -> OpenApi {
    let mut info = Info::new("deepme", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "감정 대화 백엔드 · A self-hosted emotion-chat backend.\n\n\
         Conversations stream over the WebSocket at `/ws/emotion`: see docs/protocol.md of the project. \
         Errors are `application/problem+json` (RFC 9457)."
            .to_owned(),
    );
    let mut license = License::new("MIT");
    license.identifier = Some("MIT".to_owned());
    info.license = Some(license);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("bearer", SecurityScheme::Http(bearer))
                .build(),
        ))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(
            "bearer",
            [],
        )]))
        .build()
}

/// Adds what every operation with a body may answer: that it is too large, or no JSON.
pub(super) fn add_refusals_of_bodies(api: &mut OpenApi) {
    let problem = |description: &str| {
        let schema = Ref::from_schema_name("Problem");
        ResponseBuilder::new()
            .description(description)
            .content(
                "application/problem+json",
                ContentBuilder::new().schema(Some(schema)).build(),
            )
            .build()
    };
    for item in api.paths.paths.values_mut() {
        for operation in [&mut item.post, &mut item.put, &mut item.patch] {
            let Some(operation) = operation.as_mut().filter(|o| o.request_body.is_some()) else {
                continue;
            };
            let responses = &mut operation.responses.responses;
            for (status, description) in [
                ("413", "The body is too large"),
                ("415", "The body is not application/json"),
            ] {
                responses
                    .entry(status.to_owned())
                    .or_insert_with(|| problem(description).into());
            }
        }
    }
}

/// The description and its page.
pub(super) fn router<S: Clone + Send + Sync + 'static>(api: OpenApi) -> Router<S> {
    // The validator badge would ask somebody else's server.
    let config = Config::default()
        .validator_url("none")
        .persist_authorization(false)
        .try_it_out_enabled(true);
    Router::from(
        SwaggerUi::new("/docs")
            .url("/openapi.json", api)
            .config(config),
    )
    .layer(middleware::from_fn(page_headers))
}

/// The page has its own scripts and styles, some of them inline; nothing else is let in.
async fn page_headers(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                          connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
