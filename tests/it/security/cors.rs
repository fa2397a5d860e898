//! Row 9, by REST: what a browser is told about pages of elsewhere.

use crate::raw::{Answer, Ask};
use crate::support::Server;

const PAGE: &str = "https://app.example.com";

async fn with_a_page() -> Server {
    Server::with(|config| config.server.origins = vec![PAGE.parse().unwrap()]).await
}

/// What a browser asks before it sends a body or a token.
fn preflight(path: &str, page: &str) -> Ask {
    Ask::new("OPTIONS", path)
        .header("origin", page)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
}

fn said(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

/// The items of a list in a header, in small letters.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    let value = answer.header(name).unwrap_or_default().to_lowercase();
    let mut items: Vec<String> = value
        .split(',')
        .map(|item| item.trim().to_owned())
        .collect();
    items.sort();
    items
}

#[tokio::test]
async fn security_09_a_page_that_is_named_may_ask_and_read() {
    let server = with_a_page().await;
    let jiwoo = server.person("jiwoo").await;
    for path in ["/login", "/emotion/steps/generate", "/nowhere"] {
        let answer = preflight(path, PAGE).send(&server).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(
            list(&answer, "access-control-allow-methods"),
            ["delete", "get", "post", "put"]
        );
        assert_eq!(
            list(&answer, "access-control-allow-headers"),
            ["authorization", "content-type", "idempotency-key"]
        );
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("x-request-id").is_some());
    }
    let me = Ask::new("GET", "/me").header("origin", PAGE);
    for (ask, status) in [(me.clone(), 401), (me.bearer(&jiwoo.token), 200)] {
        let answer = ask.send(&server).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(
            list(&answer, "access-control-expose-headers"),
            ["link", "retry-after", "x-request-id"]
        );
        assert!(list(&answer, "vary").contains(&"origin".to_owned()));
    }
}

#[tokio::test]
async fn security_09_no_other_page_may_read_anything() {
    let server = with_a_page().await;
    for page in [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.example",
    ] {
        for ask in [
            preflight("/login", page),
            Ask::new("GET", "/health").header("origin", page),
        ] {
            let answer = ask.send(&server).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{page}");
        }
    }
}

#[tokio::test]
async fn security_09_without_a_list_nothing_is_said_to_pages() {
    let server = Server::start().await;
    let answer = preflight("/login", PAGE).send(&server).await;
    assert_eq!((answer.status, said(&answer)), (405, vec![]));
    answer.problem();
    let answer = Ask::new("GET", "/health").header("origin", PAGE);
    let answer = answer.send(&server).await;
    assert_eq!((answer.status, said(&answer)), (200, vec![]));
}
