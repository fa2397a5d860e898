//! Bodies of the wrong shape, kind and size.

use super::{CANARY, assert_problem};
use crate::raw::{Ask, read_answer};
use crate::support::{PATIENCE, Server};
use deepme::domain::user::UserFilter;
use deepme::llm::scripted::answer;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test]
async fn bodies_of_the_wrong_shape_name_the_member_and_nothing_else() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let generate = "/emotion/steps/generate";
    let mine = jiwoo.user_id;
    let cases: Vec<(&str, String, u16, Option<&str>)> = vec![
        ("/register", "{}".into(), 422, Some("name")),
        (
            "/register",
            r#"{"name":"a","email":5,"password":"x"}"#.into(),
            422,
            Some("email"),
        ),
        (
            "/register",
            r#"{"name":{"canary":1},"email":"a","password":"x"}"#.into(),
            422,
            Some("name"),
        ),
        (
            "/register",
            r#"{"name":"a","email":"canary","email":"b","password":"x"}"#.into(),
            422,
            Some("email"),
        ),
        ("/register", "[]".into(), 422, None),
        // The members' values in their order are no object.
        (generate, r#"[null, null, "말"]"#.into(), 422, None),
        ("/emotion/sessions", " [null, null]".into(), 422, None),
        ("/register", r#""canary""#.into(), 422, None),
        ("/register", "null".into(), 422, None),
        ("/register", String::new(), 400, None),
        ("/register", "canary".into(), 400, None),
        ("/register", r#"{"name":"canary"#.into(), 400, None),
        (
            "/register",
            r#"{"name":"a","email":"a@example.com","password":"0123456789"} canary"#.into(),
            400,
            None,
        ),
        (
            "/login",
            r#"{"email":null,"password":"canary-비밀"}"#.into(),
            422,
            Some("email"),
        ),
        (
            "/login",
            r#"{"email":"a@example.com","password":["canary"]}"#.into(),
            422,
            Some("password"),
        ),
        (
            "/change-password",
            r#"{"current_password":"canary"}"#.into(),
            422,
            Some("new_password"),
        ),
        (
            "/emotion/sessions",
            r#"{"user_id":"canary"}"#.into(),
            422,
            Some("user_id"),
        ),
        (
            "/emotion/sessions",
            r#"{"emotion_label":7}"#.into(),
            422,
            Some("emotion_label"),
        ),
        (
            "/emotion/sessions",
            r#"{"topic":"a\u0000"}"#.into(),
            422,
            Some("topic"),
        ),
        (
            "/emotion/sessions",
            json!({"topic": "가".repeat(4097)}).to_string(),
            422,
            Some("topic"),
        ),
        (
            "/emotion/sessions",
            r#"{"topic":"a","topic":"b"}"#.into(),
            422,
            Some("topic"),
        ),
        (generate, "{}".into(), 422, Some("user_input")),
        (
            generate,
            r#"{"user_input":" "}"#.into(),
            422,
            Some("user_input"),
        ),
        (
            generate,
            "{\"user_input\":\"\u{200b}\"}".into(),
            422,
            Some("user_input"),
        ),
        (
            generate,
            r#"{"user_input":"a\u0000"}"#.into(),
            422,
            Some("user_input"),
        ),
        (generate, r#"{"user_input":"\ud83d"}"#.into(), 400, None),
        (
            generate,
            r#"{"user_input":7}"#.into(),
            422,
            Some("user_input"),
        ),
        (
            generate,
            r#"{"user_input":"a","user_input":"canary"}"#.into(),
            422,
            Some("user_input"),
        ),
        (
            generate,
            r#"{"user_input":"a","session_id":"canary"}"#.into(),
            422,
            Some("session_id"),
        ),
        (
            generate,
            r#"{"user_input":"a","step_type":""}"#.into(),
            422,
            Some("step_type"),
        ),
        (
            generate,
            json!({"user_input": "a", "message_id": "m".repeat(65)}).to_string(),
            422,
            Some("message_id"),
        ),
        (
            generate,
            json!({"user_input": "x".repeat(16_385)}).to_string(),
            422,
            Some("user_input"),
        ),
        (
            generate,
            format!(
                r#"{{"user_input":{}{}}}"#,
                "[".repeat(10_000),
                "]".repeat(10_000)
            ),
            422,
            Some("user_input"),
        ),
        (
            generate,
            format!(r#"{{"user_input":"a","user_id":"{mine}","user_id":"{mine}"}}"#),
            422,
            Some("user_id"),
        ),
    ];
    for (path, body, status, field) in cases {
        let shown = format!("{path} {}", body.chars().take(80).collect::<String>());
        let code = if status == 400 {
            "bad_request"
        } else {
            "invalid_input"
        };
        let ask = Ask::new("POST", path).bearer(&jiwoo.token).json(body);
        assert_problem(&ask.send(&server).await, status, code, field, &shown);
    }
    assert!(server.model.asked().is_empty());
    assert!(jiwoo.client.sessions(mine, None).await.unwrap().is_empty());
    server.script(answer(&["네"]));
    let good = json!({
        "user_input": "안녕", "user_id": mine, "step_order": 99, "gpt_response": CANARY,
        "role": "system", "status": "complete", "unknown": {"a": [1]},
    });
    let step = Ask::new("POST", generate)
        .bearer(&jiwoo.token)
        .body("application/json; charset=utf-8", good.to_string())
        .send(&server)
        .await;
    assert_eq!(step.status, 200, "{}", step.text());
    assert_eq!(step.json()["step_order"], 1);
    assert_eq!(step.json()["gpt_response"], "네");
    assert!(!step.text().contains("canary"));
}

#[tokio::test]
async fn a_body_that_is_not_json() {
    let server = Server::start().await;
    let body = r#"{"name":"a","email":"a@example.com","password":"0123456789"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let answer = Ask::new("POST", "/register")
            .body(kind, body)
            .send(&server)
            .await;
        assert_problem(&answer, 415, "unsupported_media_type", None, kind);
    }
    let not_utf_8 = b"{\"name\":\"\xff\",\"email\":\"a@example.com\",\"password\":\"0123456789\"}";
    let answer = Ask::new("POST", "/register")
        .json(*not_utf_8)
        .send(&server)
        .await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
    answer.problem();
    // A promised body that never comes whole.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /register HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, read_answer(&mut stream, "POST"));
    assert_eq!(answer.await.expect("an answer").problem().status, 400);
    assert!(
        server
            .app
            .users(UserFilter::default(), None, 100)
            .await
            .unwrap()
            .is_empty()
    );
}

/// A client that sends a mebibyte before it listens must still learn why it was refused: a close
/// with unread bytes is a reset, and a reset eats the answer.
async fn sees_why(ask: Ask, status: u16) {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let ask = if ask.path == "/me/prompt" {
        ask.bearer(&jiwoo.token)
    } else {
        ask
    };
    for round in 0..20 {
        let answer = ask.send(&server).await;
        assert_eq!(answer.problem().status, status, "round {round}");
    }
}

fn mebibyte() -> Vec<u8> {
    json!({ "name": "x".repeat(1 << 20) })
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_client_sees_why() {
    sees_why(Ask::new("POST", "/register").json(mebibyte()), 413).await;
    sees_why(Ask::new("PUT", "/me/prompt").json(mebibyte()), 413).await;
}

#[tokio::test]
async fn a_large_body_does_not_hide_another_refusal() {
    let to = |path: &str| Ask::new("POST", path).json(mebibyte());
    sees_why(to("/emotion/steps/generate"), 401).await;
    sees_why(to("/nowhere"), 404).await;
    sees_why(to("/health"), 405).await;
    sees_why(
        Ask::new("POST", "/login").body("text/plain", mebibyte()),
        415,
    )
    .await;
}
