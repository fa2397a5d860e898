//! Guests: real people with real tokens, who gave neither an address nor a password. Off unless switched on.

use crate::raw::{Answer, Ask};
use crate::support::{PASSWORD, Person, Server};
use deepme::domain::user::UserFilter;
use deepme::wire::rest::LoginBody;
use serde_json::json;
use std::time::Duration;

fn ask(body: &serde_json::Value) -> Ask {
    Ask::new("POST", "/register/guest").json(body.to_string())
}

fn login(answer: &Answer) -> LoginBody {
    assert_eq!(answer.status, 201, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn person(server: &Server, login: &LoginBody) -> Person {
    let token = login.access_token.0.clone();
    Person {
        client: server.stranger().with_token(&token).unwrap(),
        user_id: login.user_id,
        token,
        email: String::new(),
    }
}

#[tokio::test]
async fn guests_are_refused_unless_they_are_switched_on() {
    let server = Server::start().await;
    let answer = ask(&json!({})).send(&server).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.problem().code, "forbidden");
    let users = server.app.users(UserFilter::default(), None, 10).await;
    assert!(users.unwrap().is_empty());
}

#[tokio::test]
async fn a_guest_talks_like_anybody_and_has_no_address() {
    let server = Server::with(|config| config.auth.guests = true).await;
    let answer = ask(&json!({"name": "지우"})).send(&server).await;
    let old = login(&answer);
    assert_eq!(
        (old.expires_in, old.token_type.as_str()),
        (30 * 24 * 3600, "bearer")
    );
    assert!(old.refresh_token.is_none());
    let guest = person(&server, &old);
    let me = Ask::new("GET", "/me")
        .bearer(&guest.token)
        .send(&server)
        .await;
    assert_eq!(me.json()["email"], json!(null));
    assert_eq!(me.json()["name"], "지우");
    assert!(!me.text().contains("invalid"));
    server.script(deepme::llm::scripted::answer(&["네"]));
    let (mut talk, session) = guest.connect(None).await;
    talk.input("안녕").await;
    talk.turn().await.done();
    let export = Ask::new("GET", "/me/export").bearer(&guest.token);
    let export = export.send(&server).await;
    assert_eq!(export.json()["data"]["user"]["email"], json!(null));
    // Nobody else's business.
    let other = login(&ask(&json!({})).send(&server).await);
    let other = person(&server, &other);
    assert_eq!(other.client.me().await.unwrap().name, "guest");
    let foreign = other.client.steps(session.session_id).await;
    assert_eq!(foreign.unwrap_err().status(), Some(404));
    // It can be ended for good.
    guest.client.log_out().await.unwrap();
    assert_eq!(guest.client.me().await.unwrap_err().status(), Some(401));
    other.client.erase().await.unwrap();
}

#[tokio::test]
async fn a_guests_client_may_refresh() {
    let server = Server::with(|config| config.auth.guests = true).await;
    let first = login(&ask(&json!({"client": "v1"})).send(&server).await);
    assert_eq!(first.expires_in, 900);
    server.clock.advance(Duration::from_mins(16));
    let token = first.refresh_token.unwrap().0;
    let next = server.stranger().refresh(&token).await.unwrap();
    let guest = person(&server, &next);
    assert_eq!(guest.client.me().await.unwrap().user_id, first.user_id);
    for (body, field) in [
        (json!({"client": "v2"}), "client"),
        (json!({"name": ""}), "name"),
        (json!({"name": 1}), "name"),
    ] {
        let answer = ask(&body).send(&server).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.problem().field.as_deref(), Some(field));
    }
}

/// Its placeholder of an address opens no door, and nobody takes it first.
#[tokio::test]
async fn nobody_registers_or_logs_in_as_a_guest() {
    let server = Server::with(|config| config.auth.guests = true).await;
    let guest = login(&ask(&json!({})).send(&server).await);
    let stranger = server.stranger();
    let free = uuid::Uuid::now_v7();
    for id in [guest.user_id.to_string(), free.to_string()] {
        let email = format!("{id}@guest.invalid");
        let taken = stranger.register("x", &email, PASSWORD).await.unwrap_err();
        assert_eq!(
            (taken.status(), taken.code()),
            (Some(422), Some("invalid_input"))
        );
        for password in ["!", "", PASSWORD] {
            let refused = stranger.login(&email, password).await.unwrap_err();
            let told = (refused.status(), refused.code());
            assert_eq!(told, (Some(401), Some("wrong_credentials")));
        }
    }
    let guest = person(&server, &guest);
    for current in ["!", "", PASSWORD] {
        let refused = guest.client.change_password(current, "an entirely new one");
        assert_eq!(refused.await.unwrap_err().code(), Some("wrong_credentials"));
    }
}

#[tokio::test]
async fn guests_of_an_address_are_counted() {
    let server = Server::with(|config| {
        config.auth.guests = true;
        config.limits.accounts_an_hour = 2;
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let from = async |address: &str| {
        let ask = ask(&json!({})).header("x-forwarded-for", address);
        ask.send(&server).await
    };
    assert_eq!(from("203.0.113.1").await.status, 201);
    // What is refused for another reason does not count.
    let wrong = ask(&json!({"name": ""})).header("x-forwarded-for", "203.0.113.1");
    assert_eq!(wrong.send(&server).await.status, 422);
    assert_eq!(from("203.0.113.1").await.status, 201);
    let refused = from("203.0.113.1").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.problem().code, "too_many");
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=1801).contains(&wait), "{wait}");
    // An account with an address counts like one without.
    let register = async |email: &str| {
        let body = json!({"name": "지우", "email": email, "password": PASSWORD});
        let ask = Ask::new("POST", "/register").json(body.to_string());
        ask.header("x-forwarded-for", "203.0.113.2")
            .send(&server)
            .await
    };
    assert_eq!(register("not an address").await.status, 422);
    assert_eq!(register("jiwoo@example.com").await.status, 201);
    assert_eq!(from("203.0.113.2").await.status, 201);
    let refused = register("minsu@example.com").await;
    assert_eq!(
        (refused.status, refused.problem().code.as_str()),
        (429, "too_many")
    );
    // A home has a whole /64.
    assert_eq!(from("2001:db8:1:2::1").await.status, 201);
    assert_eq!(from("2001:db8:1:2:3::1").await.status, 201);
    assert_eq!(from("2001:db8:1:2:4::1").await.status, 429);
    // A new limit holds at once.
    let mut config = deepme::config::Config::default();
    config.limits.accounts_an_hour = 0;
    server.app.adopt(&config);
    assert_eq!(from("203.0.113.1").await.status, 201);
}
