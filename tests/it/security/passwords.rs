//! Rows 12 and 13: which passwords there are, and how they are kept.

use crate::raw::{Answer, Ask};
use crate::support::{PASSWORD, Person, Server};
use deepme::config::Config;
use deepme::domain::user::Email;
use serde_json::json;
use std::sync::Arc;

/// The commonest one of 10 characters that is no row of keys, one of a machine, one made of a common one, and
/// what is made of the person.
const WEAK: [(&str, &str); 5] = [
    ("q1w2e3r4t5y6", "tried first"),
    ("Fqrg7cs493", "tried first"),
    ("Password1234!", "too easy to guess"),
    ("비밀번호비밀번호", "at least 10"),
    ("jiwoo.kim2024", "your name or e-mail"),
];

async fn register(server: &Server, name: &str, email: &str, password: &str) -> Answer {
    let body = json!({"name": name, "email": email, "password": password});
    let ask = Ask::new("POST", "/register").json(body.to_string());
    ask.send(server).await
}

fn refused(answer: &Answer, field: &str, says: &str, password: &str) {
    assert_eq!(answer.status, 422, "{password}: {}", answer.text());
    let problem = answer.problem();
    assert_eq!(problem.field.as_deref(), Some(field), "{password}");
    assert!(problem.detail.contains(says), "{password}: {problem:?}");
    assert!(!answer.text().contains(password), "{}", answer.text());
    let code = if says.contains("at least") {
        "invalid_input"
    } else {
        "weak_password"
    };
    assert_eq!(problem.code, code, "{password}");
}

#[tokio::test]
async fn security_13_a_weak_password_is_refused_wherever_one_is_set() {
    let server = Server::start().await;
    let (name, email) = ("지우", "jiwoo.kim@example.com");
    for (password, says) in WEAK {
        let answer = register(&server, name, email, password).await;
        refused(&answer, "password", says, password);
    }
    let made = register(&server, name, email, PASSWORD).await;
    assert_eq!(made.status, 201);
    let login = server.stranger().login(email, PASSWORD).await.unwrap();
    for (password, says) in WEAK {
        let body = json!({"current_password": PASSWORD, "new_password": password});
        let ask = Ask::new("POST", "/change-password").json(body.to_string());
        let answer = ask.bearer(&login.access_token.0).send(&server).await;
        refused(&answer, "new_password", says, password);
    }
    server.stranger().login(email, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn security_13_every_character_counts_and_none_is_cut() {
    let server = Server::start().await;
    let long: String = "비가 온 뒤에 땅이 굳는다 👩‍👩‍👧 \u{1}"
        .chars()
        .cycle()
        .take(128)
        .collect();
    let odd = "\t \u{7f}~`'\"\\\u{a0}가";
    for (n, password) in [long.as_str(), odd].into_iter().enumerate() {
        let email = format!("a{n}@example.com");
        assert_eq!(register(&server, "a", &email, password).await.status, 201);
        server.stranger().login(&email, password).await.unwrap();
        let mut cut = password.to_owned();
        cut.pop();
        let refused = server.stranger().login(&email, &cut).await.unwrap_err();
        assert_eq!(refused.status(), Some(401), "{n}");
    }
}

#[tokio::test]
async fn security_13_the_admin_may_ask_for_more() {
    let server = Server::with(|config| config.auth.password_min = 15).await;
    let short = "purple monkey1";
    let answer = register(&server, "a", "a@example.com", short).await;
    refused(&answer, "password", "at least 15", short);
    let enough = register(&server, "a", "a@example.com", "purple monkey 1").await;
    assert_eq!(enough.status, 201);
}

async fn hash(server: &Server, person: &Person) -> String {
    let email = Email::parse(&person.email).unwrap();
    let found = server.beside().await.user_by_email(email).await.unwrap();
    found.unwrap().1
}

#[tokio::test]
async fn security_12_hashes_are_argon2id_and_follow_the_configuration_at_the_next_login() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let before = hash(&server, &jiwoo).await;
    assert!(before.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let with = async |passes: u32| {
        let mut config = Config::default();
        config.auth.argon2_passes = passes;
        let server = Server::on(Arc::clone(&server.dir), config, None).await;
        let wrong = server
            .stranger()
            .login(&jiwoo.email, "not my password")
            .await;
        wrong.unwrap_err();
        let login = server.stranger().login(&jiwoo.email, PASSWORD).await;
        let person = super::with(&server, &jiwoo, &login.unwrap());
        // It is the same password, so that nobody is logged out.
        assert_eq!(super::status(&person.client).await, 200);
        hash(&server, &jiwoo).await
    };
    let after = with(3).await;
    assert!(
        after.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"),
        "{after}"
    );
    assert_eq!(with(3).await, after, "once");
    assert_eq!(with(2).await, after, "never a weaker one");
    assert_eq!(super::status(&jiwoo.client).await, 200);
}
