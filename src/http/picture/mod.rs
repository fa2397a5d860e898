//! Pictures that the server draws: SVG, in light and dark, in Korean and English.
//!
//! Owns the page that a picture is ([`document`]), its colours and [`escaped`]; [`chart`] draws a flow, on
//! narrow screens by [`narrow`], [`card`] a card. Called by the handlers. Invariants: pure; nothing outside is loaded, no font and no script; every text goes through
//! [`escaped`]; a screen reader is told by `title` and `desc` what is to be seen.

pub(super) mod card;
pub(super) mod chart;
mod lines;
mod narrow;
#[cfg(test)]
mod tests;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;
use utoipa::ToSchema;

/// For which screen a picture is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Width {
    /// 720 pixels, from left to right.
    #[default]
    Wide,
    /// 300 pixels, for a phone, from top to bottom.
    Narrow,
}

/// The colours by the preference of who looks at it.
const STYLE: &str = "\
svg{--paper:#fff;--ink:#1f2933;--quiet:#56626c;--grid:#dfe4e8;--line:#2b6a8a;--up:#256b45;--down:#99402f;\
font-family:system-ui,-apple-system,'Noto Sans KR','Noto Sans CJK KR',sans-serif}\
@media(prefers-color-scheme:dark){svg{--paper:#14181c;--ink:#e8ecef;--quiet:#a3afb8;--grid:#2b333a;\
--line:#86c5e2;--up:#86d3a3;--down:#eaa394}}\
.paper{fill:var(--paper)}text{fill:var(--ink);font-size:14px;paint-order:stroke;stroke:var(--paper);stroke-width:3px}.head{font-size:17px;font-weight:600}\
.quiet{fill:var(--quiet);font-size:12px}.end{text-anchor:end}.mid{text-anchor:middle}\
.grid{stroke:var(--grid)}.line{fill:none;stroke:var(--line);stroke-width:2}.dot{fill:var(--line)}\
.maybe{fill:var(--paper);stroke:var(--quiet);stroke-width:1.5}\
.part{fill:var(--line);font-size:12px;font-weight:600}.said{font-style:italic}\
.up{fill:var(--up)}.down{fill:var(--down)}\
.turn{stroke:var(--quiet);stroke-dasharray:4 4}";

/// The one style that a browser may use of a picture which is opened by itself.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'");
    HeaderValue::try_from(policy).ok()
});

/// A whole picture. `title` and `description` are told to who cannot see it.
fn document(size: (u32, u32), lang: &str, title: &str, description: &str, inside: &str) -> String {
    let ((width, height), title, description) = (size, escaped(title), escaped(description));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"deepme-title deepme-desc\" lang=\"{lang}\">\n\
         <title id=\"deepme-title\">{title}</title>\n<desc id=\"deepme-desc\">{description}</desc>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n{inside}</svg>\n"
    )
}

/// A text as it may stand between tags and in an attribute. What XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {}
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The picture as an answer.
pub(super) fn answer(svg: String) -> Response {
    let mut response = ([(CONTENT_TYPE, "image/svg+xml; charset=utf-8")], svg).into_response();
    if let Some(policy) = &*POLICY {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    }
    response
}
