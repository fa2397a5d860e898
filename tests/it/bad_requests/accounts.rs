//! Accounts that are none.

use super::{CANARY, assert_problem};
use crate::raw::Ask;
use crate::support::{PASSWORD, Server};
use deepme::domain::user::UserFilter;
use serde_json::json;

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
    for (n, password) in [
        "비가온뒤에땅이굳는다".to_owned(),
        "비가 온 뒤에 땅".to_owned() + &"👩‍👩‍👧".repeat(23) + "가나다라",
    ]
    .iter()
    .enumerate()
    {
        let email = format!("a{n}@example.com");
        let made = register("지우", &email, password).send(&server).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert!(!made.text().contains("password"));
        assert_eq!(log_in(&email, password).send(&server).await.status, 200);
    }
    assert_eq!(
        server
            .app
            .users(UserFilter::default(), None, 100)
            .await
            .unwrap()
            .len(),
        2
    );
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
        let taken = register("남", spelling, "yet another password")
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
    assert_eq!(
        server
            .app
            .users(UserFilter::default(), None, 100)
            .await
            .unwrap()
            .len(),
        2
    );
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
    server.clock.advance(std::time::Duration::from_mins(15));
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
