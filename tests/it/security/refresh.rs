//! Row 8: refresh tokens are good for one use, with a minute in which they give the same successor.

use super::{again, closes, pair, refresh_token, status, with};
use crate::raw::Ask;
use crate::support::{PASSWORD, Person, Server};
use deepme::client::ClientError;
use deepme::wire::rest::LoginBody;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

async fn log_in(server: &Server, person: &Person) -> LoginBody {
    let login = server.stranger().login_v1(&person.email, PASSWORD).await;
    login.unwrap()
}

async fn refresh(server: &Server, login: &LoginBody) -> Result<LoginBody, ClientError> {
    server.stranger().refresh(&refresh_token(login)).await
}

#[tokio::test]
async fn security_08_a_refresh_token_brings_the_next_pair() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let mut login = log_in(&server, &jiwoo).await;
    assert_eq!(
        (login.expires_in, login.token_type.as_str()),
        (900, "bearer")
    );
    for _ in 0..3 {
        server.clock.advance(Duration::from_mins(16));
        let person = with(&server, &jiwoo, &login);
        assert_eq!(status(&person.client).await, 401, "the access token ended");
        let next = refresh(&server, &login).await.unwrap();
        assert_eq!((next.expires_in, next.user_id), (900, jiwoo.user_id));
        assert_ne!(refresh_token(&next), refresh_token(&login));
        assert_eq!(status(&with(&server, &jiwoo, &next).client).await, 200);
        login = next;
    }
    // Sixty days without a refresh are the end; each refresh begins them anew.
    server.clock.advance(Duration::from_hours(24 * 59));
    let login = refresh(&server, &login).await.unwrap();
    server.clock.advance(Duration::from_hours(24 * 59));
    let login = refresh(&server, &login).await.unwrap();
    server.clock.advance(Duration::from_hours(24 * 60));
    let over = refresh(&server, &login).await.unwrap_err();
    assert_eq!(
        (over.status(), over.code()),
        (Some(401), Some("unauthorized"))
    );
}

/// An answer that was lost, or two windows of one app: the same successor, for a minute.
#[tokio::test]
async fn security_08_within_a_minute_the_same_successor_comes_again() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let first = log_in(&server, &jiwoo).await;
    let second = refresh(&server, &first).await.unwrap();
    for seconds in [0, 59, 1] {
        server.clock.advance(Duration::from_secs(seconds));
        let again = refresh(&server, &first).await.unwrap();
        assert_eq!(refresh_token(&again), refresh_token(&second));
        assert_eq!(status(&with(&server, &jiwoo, &again).client).await, 200);
    }
    refresh(&server, &second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_08_a_token_that_comes_back_later_ends_the_login() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let first = log_in(&server, &jiwoo).await;
    let second = refresh(&server, &first).await.unwrap();
    let phone = with(&server, &jiwoo, &second);
    let (mut talk, _) = phone.connect(None).await;
    server.clock.advance(Duration::from_secs(61));
    let since = Instant::now();
    assert_eq!(
        refresh(&server, &first).await.unwrap_err().status(),
        Some(401)
    );
    // Nobody knows which of the two is the thief.
    assert_eq!(
        refresh(&server, &second).await.unwrap_err().status(),
        Some(401)
    );
    assert_eq!(status(&phone.client).await, 401);
    closes(&mut talk, since, "the login's socket").await;
    assert_eq!(status(&jiwoo.client).await, 200, "another login");
    // An older one says so even within the minute of a newer one.
    let first = log_in(&server, &jiwoo).await;
    let second = refresh(&server, &first).await.unwrap();
    let third = refresh(&server, &second).await.unwrap();
    assert_eq!(
        refresh(&server, &first).await.unwrap_err().status(),
        Some(401)
    );
    assert_eq!(
        refresh(&server, &third).await.unwrap_err().status(),
        Some(401)
    );
}

/// Knowing which login it is does not help anybody to end it.
#[tokio::test]
async fn security_08_what_this_server_did_not_make_ends_nothing() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let login = log_in(&server, &jiwoo).await;
    let token = refresh_token(&login);
    let mut made_up = token.clone();
    let place = made_up.len() - 50;
    let digit = if &made_up[place..=place] == "0" {
        "1"
    } else {
        "0"
    };
    made_up.replace_range(place..=place, digit);
    let cut = &token[..token.len() - 2];
    let other = login.access_token.0.as_str();
    for wrong in ["", "dmr_", &made_up, cut, other, "가", &token[4..]] {
        let refused = server.stranger().refresh(wrong).await.unwrap_err();
        let told = (refused.status(), refused.code());
        assert_eq!(told, (Some(401), Some("unauthorized")), "{wrong}");
    }
    for body in [
        "{}",
        r#"{"refresh_token": 1}"#,
        r#"{"refresh_token": null}"#,
    ] {
        let answer = Ask::new("POST", "/refresh").json(body).send(&server).await;
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.problem().field.as_deref(), Some("refresh_token"));
    }
    refresh(&server, &login).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_08_of_twenty_racers_on_two_instances_all_get_one_successor() {
    let servers = pair().await;
    let jiwoo = servers[0].person("jiwoo").await;
    let first = log_in(&servers[0], &jiwoo).await;
    let racing = (0..20).map(|n| refresh(&servers[n % 2], &first));
    let won: Vec<LoginBody> = join_all(racing)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let successors: BTreeSet<String> = won.iter().map(refresh_token).collect();
    assert_eq!(successors.len(), 1);
    for login in &won {
        assert_eq!(status(&with(&servers[1], &jiwoo, login).client).await, 200);
    }
    refresh(&servers[1], &won[0]).await.unwrap();
}

#[tokio::test]
async fn security_08_only_who_asks_for_it_gets_a_refresh_token() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let ask = async |client: &str| {
        let body = format!(
            r#"{{"email": "{}", "password": "{PASSWORD}"{client}}}"#,
            jiwoo.email
        );
        Ask::new("POST", "/login").json(body).send(&server).await
    };
    for old in ["", r#", "client": null"#, r#", "device": "v1""#] {
        let answer = ask(old).await.json();
        assert_eq!(answer["expires_in"], 30 * 24 * 3600, "{old}");
        assert!(answer.get("refresh_token").is_none(), "{old}");
    }
    assert_eq!(ask(r#", "client": "v1""#).await.json()["expires_in"], 900);
    for wrong in [r#", "client": "v2""#, r#", "client": 1"#] {
        let answer = ask(wrong).await;
        assert_eq!(answer.status, 422, "{wrong}");
        assert_eq!(answer.problem().field.as_deref(), Some("client"));
    }
}

/// A new signing key throws nobody out: what is kept of a refresh token does not depend on it.
#[tokio::test]
async fn security_08_a_refresh_token_outlives_the_key_that_made_it() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let login = log_in(&server, &jiwoo).await;
    let dir = std::sync::Arc::clone(&server.dir);
    server.shut_down().await;
    std::fs::remove_file(dir.path().join("data/token.key")).unwrap();
    let server = Server::on(dir, deepme::config::Config::default(), None).await;
    let person = with(&server, &jiwoo, &login);
    assert_eq!(status(&person.client).await, 401, "another key");
    let next = refresh(&server, &login).await.unwrap();
    assert_eq!(status(&with(&server, &jiwoo, &next).client).await, 200);
    assert_eq!(status(&again(&server, &jiwoo).await.client).await, 200);
}
