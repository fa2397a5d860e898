//! Bad input over REST: each gets a problem that says what is wrong and does not repeat it.

use crate::raw::{Answer, Ask, read_answer};
use crate::support::{PASSWORD, PATIENCE, Person, Server};
use deepme::llm::scripted::answer;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// What must never come back.
const CANARY: &str = "canary-비밀";

/// The answer is this problem, without a word of what was sent.
fn assert_problem(answer: &Answer, status: u16, code: &str, field: Option<&str>, what: &str) {
    let problem = answer.problem();
    assert_eq!(
        (
            answer.status,
            problem.code.as_str(),
            problem.field.as_deref()
        ),
        (status, code, field),
        "{what}: {}",
        answer.text()
    );
    assert!(
        !answer.text().contains("canary") && !answer.text().contains("비밀"),
        "{what} came back: {}",
        answer.text()
    );
    assert!(answer.header("x-request-id").is_some(), "{what}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
}

fn register(name: &str, email: &str, password: &str) -> Ask {
    let body = json!({ "name": name, "email": email, "password": password });
    Ask::new("POST", "/register").json(body.to_string())
}

fn log_in(email: &str, password: &str) -> Ask {
    let body = json!({ "email": email, "password": password });
    Ask::new("POST", "/login").json(body.to_string())
}

#[tokio::test]
async fn registering_with_what_is_no_account() {
    let server = Server::start().await;
    let long = "a".repeat(65);
    let cases = [
        (register("", "a@example.com", PASSWORD), "name"),
        (register(" \t", "a@example.com", PASSWORD), "name"),
        (
            register(&"가".repeat(101), "a@example.com", PASSWORD),
            "name",
        ),
        (register("a\nb", "a@example.com", PASSWORD), "name"),
        (register("a\0b", "a@example.com", PASSWORD), "name"),
        (register("a", "", PASSWORD), "email"),
        (register("a", CANARY, PASSWORD), "email"),
        (register("a", "canary@", PASSWORD), "email"),
        (register("a", "canary@example", PASSWORD), "email"),
        (register("a", "a b@example.com", PASSWORD), "email"),
        (register("a", "a@b@example.com", PASSWORD), "email"),
        (register("a", "a\0@example.com", PASSWORD), "email"),
        (
            register("a", &format!("{long}@example.com"), PASSWORD),
            "email",
        ),
        (register("a", "a@example.com", ""), "password"),
        (register("a", "a@example.com", "canary-12"), "password"),
        (
            register("a", "a@example.com", "비밀번호짧아요요"),
            "password",
        ),
        (
            register("a", "a@example.com", &"가".repeat(129)),
            "password",
        ),
    ];
    for (ask, field) in cases {
        let shown = String::from_utf8_lossy(&ask.body).into_owned();
        let answer = ask.send(&server).await;
        assert_problem(&answer, 422, "invalid_input", Some(field), &shown);
    }
    // Nothing was made of it, and a good one works; 10 and 128 characters are passwords.
    for (n, password) in ["가나다라마바사아자차".to_owned(), "👩‍👩‍👧".repeat(25) + "abc"]
        .iter()
        .enumerate()
    {
        let email = format!("a{n}@example.com");
        let made = register("지우", &email, password).send(&server).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert!(!made.text().contains("password"));
        assert_eq!(log_in(&email, password).send(&server).await.status, 200);
    }
    assert_eq!(server.app.users(None, 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_address_has_one_account_however_it_is_written() {
    let server = Server::start().await;
    let made = register("지우", "Jiwoo.Kim@Example.com", PASSWORD)
        .send(&server)
        .await;
    assert_eq!(made.json()["email"], "jiwoo.kim@example.com");
    for spelling in [
        "jiwoo.kim@example.com",
        "JIWOO.KIM@EXAMPLE.COM",
        " Jiwoo.Kim@example.com\n",
    ] {
        let taken = register("남", spelling, "another password")
            .send(&server)
            .await;
        assert_problem(&taken, 409, "email_taken", None, spelling);
        assert_eq!(log_in(spelling, PASSWORD).send(&server).await.status, 200);
    }
    // Composed and decomposed are one address, too.
    let composed = register("a", "caf\u{e9}@example.com", PASSWORD);
    assert_eq!(composed.send(&server).await.status, 201);
    let decomposed = register("a", "cafe\u{301}@example.com", PASSWORD);
    assert_eq!(decomposed.send(&server).await.status, 409);
    assert_eq!(server.app.users(None, 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn twenty_registrations_of_one_address_make_one_account() {
    let server = Server::start().await;
    let asks = (0..20).map(|n| {
        let email = if n % 2 == 0 {
            "jiwoo@example.com"
        } else {
            "Jiwoo@Example.com"
        };
        register("지우", email, PASSWORD)
    });
    let sent = asks.map(|ask| {
        let address = server.address;
        tokio::spawn(async move { ask.send_to(address).await.status })
    });
    let mut statuses = futures_util::future::join_all(sent.collect::<Vec<_>>())
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect::<Vec<_>>();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 19][..]));
}

#[tokio::test]
async fn a_wrong_address_and_a_wrong_password_look_the_same() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let wrong_password = log_in(&jiwoo.email, CANARY).send(&server).await;
    assert_problem(&wrong_password, 401, "wrong_credentials", None, "password");
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("canary", PASSWORD),
        ("", ""),
        (&jiwoo.email, ""),
        (&jiwoo.email, "Correct Horse Battery"),
        (&jiwoo.email, "correct horse battery "),
        (&jiwoo.email, "correct horse batter"),
    ] {
        let answer = log_in(email, password).send(&server).await;
        assert_eq!(
            (answer.status, &answer.body),
            (401, &wrong_password.body),
            "{email}"
        );
    }
    let changed = jiwoo.client.change_password(CANARY, "a new password").await;
    let changed = changed.unwrap_err();
    assert_eq!(
        (changed.status(), changed.code()),
        (Some(401), Some("wrong_credentials"))
    );
    let short = jiwoo.client.change_password(PASSWORD, "short").await;
    assert_eq!(short.unwrap_err().status(), Some(422));
    assert!(
        server
            .stranger()
            .login(&jiwoo.email, PASSWORD)
            .await
            .is_ok()
    );
}

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
        ("/register", r#""canary""#.into(), 422, None),
        ("/register", "null".into(), 422, None),
        ("/register", "".into(), 400, None),
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
            json!({"topic": "가".repeat(2000)}).to_string(),
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
    assert!(server.app.users(None, 100).await.unwrap().is_empty());
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
