//! Paths, methods and parameters that do not exist.

use super::assert_problem;
use crate::raw::Ask;
use crate::support::{Person, Server};

#[tokio::test]
async fn paths_methods_and_parameters_that_do_not_exist() {
    let server = Server::start().await;
    let Person { token, user_id, .. } = server.person("jiwoo").await;
    let sessions = format!("/emotion/sessions/user/{user_id}");
    let unknown = uuid::Uuid::now_v7();
    let own = "/emotion/sessions/";
    let cases: Vec<(&str, String, u16, &str, Option<&str>)> = vec![
        ("GET", "/canary".into(), 404, "not_found", None),
        ("POST", "/register/canary".into(), 404, "not_found", None),
        ("GET", "//".into(), 404, "not_found", None),
        ("GET", "/emotion".into(), 404, "not_found", None),
        ("GET", "/register".into(), 405, "method_not_allowed", None),
        ("DELETE", "/health".into(), 405, "method_not_allowed", None),
        ("PATCH", "/me".into(), 405, "method_not_allowed", None),
        (
            "POST",
            "/ws/emotion".into(),
            405,
            "method_not_allowed",
            None,
        ),
        (
            "GET",
            format!("{own}canary"),
            422,
            "invalid_input",
            Some("path"),
        ),
        (
            "GET",
            format!("{own}{unknown}canary"),
            422,
            "invalid_input",
            Some("path"),
        ),
        (
            "GET",
            format!("{own}%ff%fe"),
            422,
            "invalid_input",
            Some("path"),
        ),
        (
            "POST",
            format!("{own}canary/end"),
            422,
            "invalid_input",
            Some("path"),
        ),
        (
            "GET",
            "/emotion/steps/canary".into(),
            422,
            "invalid_input",
            Some("path"),
        ),
        (
            "GET",
            "/emotion/sessions/user/canary".into(),
            422,
            "invalid_input",
            Some("path"),
        ),
        ("GET", format!("{own}{unknown}"), 404, "not_found", None),
        (
            "GET",
            format!("{sessions}?limit=0"),
            422,
            "invalid_input",
            Some("limit"),
        ),
        (
            "GET",
            format!("{sessions}?limit=201"),
            422,
            "invalid_input",
            Some("limit"),
        ),
        (
            "GET",
            format!("{sessions}?limit=-1"),
            422,
            "invalid_input",
            Some("query"),
        ),
        (
            "GET",
            format!("{sessions}?limit=canary"),
            422,
            "invalid_input",
            Some("query"),
        ),
        (
            "GET",
            format!("{sessions}?limit=1&limit=2"),
            422,
            "invalid_input",
            Some("query"),
        ),
        (
            "GET",
            format!("{sessions}?canary=1"),
            422,
            "invalid_input",
            Some("query"),
        ),
        (
            "GET",
            format!("{sessions}?limit=1&cursor=canary"),
            422,
            "invalid_input",
            Some("cursor"),
        ),
        (
            "GET",
            format!("{sessions}?limit=1&cursor="),
            422,
            "invalid_input",
            Some("cursor"),
        ),
        (
            "GET",
            format!("{sessions}?cursor=1.canary"),
            422,
            "invalid_input",
            Some("cursor"),
        ),
        (
            "GET",
            format!("/emotion/steps/{unknown}?cursor=canary"),
            422,
            "invalid_input",
            Some("cursor"),
        ),
        (
            "GET",
            format!("/emotion/steps/{unknown}?canary"),
            422,
            "invalid_input",
            Some("query"),
        ),
    ];
    for (method, path, status, code, field) in cases {
        let answer = Ask::new(method, &path).bearer(&token).send(&server).await;
        assert_problem(&answer, status, code, field, &format!("{method} {path}"));
    }
    // RFC 9110 §15.5.6: a 405 says what would be allowed.
    let answer = Ask::new("DELETE", "/health").send(&server).await;
    assert!(
        answer
            .header("allow")
            .is_some_and(|allow| allow.contains("GET"))
    );
}
