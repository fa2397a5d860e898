//! The page at `/`: a chat client in the browser, and the reference client of docs/protocol.md.
//!
//! Owns the files beside this one and how they are sent; what they do is told in `page.js`. Called by the router.
//! Invariants: the page loads nothing from anywhere else and runs no script that stands in it; a script or style is
//! addressed by the hash of all of them, so that no page ever mixes those of two versions and a browser may keep
//! them for good; with `server.page` off there is nothing here.

use super::Surface;
use crate::domain::emotion::Emotion;
use crate::domain::safety::Tier;
use crate::safety::resources::Kind;
use crate::safety::{Lang, resources};
use crate::service::App;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;

const INDEX: &str = include_str!("index.html");

/// A file that the page asks for.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 20] = [
    Asset {
        name: "page.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("page.css"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        text: include_str!("icon.svg"),
    },
    Asset {
        name: "page.js",
        kind: SCRIPT,
        text: include_str!("page.js"),
    },
    Asset {
        name: "api.js",
        kind: SCRIPT,
        text: include_str!("api.js"),
    },
    Asset {
        name: "talk.js",
        kind: SCRIPT,
        text: include_str!("talk.js"),
    },
    Asset {
        name: "turn.js",
        kind: SCRIPT,
        text: include_str!("turn.js"),
    },
    Asset {
        name: "log.js",
        kind: SCRIPT,
        text: include_str!("log.js"),
    },
    Asset {
        name: "felt.js",
        kind: SCRIPT,
        text: include_str!("felt.js"),
    },
    Asset {
        name: "look.js",
        kind: SCRIPT,
        text: include_str!("look.js"),
    },
    Asset {
        name: "trend.js",
        kind: SCRIPT,
        text: include_str!("trend.js"),
    },
    Asset {
        name: "sure.js",
        kind: SCRIPT,
        text: include_str!("sure.js"),
    },
    Asset {
        name: "picture.js",
        kind: SCRIPT,
        text: include_str!("picture.js"),
    },
    Asset {
        name: "sheet.js",
        kind: SCRIPT,
        text: include_str!("sheet.js"),
    },
    Asset {
        name: "card.js",
        kind: SCRIPT,
        text: include_str!("card.js"),
    },
    Asset {
        name: "door.js",
        kind: SCRIPT,
        text: include_str!("door.js"),
    },
    Asset {
        name: "drawer.js",
        kind: SCRIPT,
        text: include_str!("drawer.js"),
    },
    Asset {
        name: "box.js",
        kind: SCRIPT,
        text: include_str!("box.js"),
    },
    Asset {
        name: "beside.js",
        kind: SCRIPT,
        text: include_str!("beside.js"),
    },
    Asset {
        name: "words.js",
        kind: SCRIPT,
        text: include_str!("words.js"),
    },
    Asset {
        name: "keep.js",
        kind: SCRIPT,
        text: include_str!("keep.js"),
    },
];

/// Only what is ours, and no string ever becomes markup (Trusted Types). An image may be one that a script of ours has
/// fetched (`blob:`): a picture of the server wants the token in a header. A form that no script takes goes nowhere,
/// least of all with a password in its URL.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Names the assets in force.
static VERSION: LazyLock<String> = LazyLock::new(|| digest(ASSETS.iter().map(|asset| asset.text)));

/// The first 16 hex digits of a SHA-256.
fn digest<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    hash.finalize()[..8]
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The page and what it asks for; no routes at all where it is switched off.
pub(super) fn router(shown: bool) -> Router<Surface> {
    if !shown {
        return Router::new();
    }
    Router::new()
        .route("/", get(page))
        .route("/page/{version}/{name}", get(asset))
}

/// The page with what it must know of the server before anybody is logged in: whom it lets in, whom to call, whether
/// conversations that end get a card, and what the labels of feelings are called.
fn index(app: &App) -> String {
    let resources = resources(&app.settings().safety.country, Tier::Elevated, &[]);
    let talk = resources.iter().take(1);
    let rescue = resources
        .iter()
        .skip(1)
        .find(|line| line.kind == Kind::Emergency);
    let lines: Vec<_> = talk
        .chain(rescue)
        .map(|line| {
            json!({"contact": line.number, "ko": line.name(Lang::Ko), "en": line.name(Lang::En)})
        })
        .collect();
    // What people are told of the labels is written in one place, which is not the page.
    let feelings: Vec<_> = Emotion::ALL
        .iter()
        .map(|label| json!({"label": label, "ko": label.korean(), "en": label.english()}))
        .collect();
    let server = json!({
        "registration": app.config().auth.registration,
        "guests": app.config().auth.guests,
        "cards": app.config().llm.cards,
        "lines": lines,
        "feelings": feelings,
    });
    // Inside a script element nothing may look like the end of it.
    let server = server.to_string().replace('<', "\\u003c");
    INDEX
        .replace("{{version}}", &VERSION)
        .replace("{{server}}", &server)
}

async fn page(State(surface): State<Surface>, headers: HeaderMap) -> Response {
    let index = index(&surface.app);
    let tag = digest([index.as_str()].into_iter());
    let mut response = cached(
        &headers,
        &tag,
        "no-cache",
        "text/html; charset=utf-8",
        index,
    );
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // No other page may keep a hand on the window of this one.
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

async fn asset(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return super::problem::Failure::from(crate::domain::Error::not_found("path"))
            .into_response();
    };
    // While instances of two versions serve side by side, a page of the one may ask the other.
    let keeping = if version == *VERSION {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    };
    cached(&headers, &VERSION, keeping, asset.kind, asset.text)
}

/// An answer that a browser need not be sent again: 304 to one that has it.
fn cached(
    headers: &HeaderMap,
    tag: &str,
    keeping: &'static str,
    kind: &'static str,
    body: impl IntoResponse,
) -> Response {
    let tag = format!("\"{tag}\"");
    let has = |value: &HeaderValue| {
        let mut tags = value.to_str().unwrap_or_default().split(',');
        tags.any(|have| have.trim().trim_start_matches("W/") == tag)
    };
    let known = headers.get_all(IF_NONE_MATCH).iter().any(has);
    let head = [(CACHE_CONTROL, keeping.to_owned()), (ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(CONTENT_TYPE, kind)], body).into_response()
}
