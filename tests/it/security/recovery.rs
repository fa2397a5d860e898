//! Rows 7, 13 and 14 where a password was forgotten: a code from the admin's hand, good once.

use super::{closes, lives, refresh_token, status, with};
use crate::raw::Ask;
use crate::support::{PASSWORD, Server};
use deepme::domain::user::Role;
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

const NEW_PASSWORD: &str = "an entirely new one";
const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_a_code_sets_a_new_password_and_ends_every_login() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let login = server.stranger().login_v1(&jiwoo.email, PASSWORD).await;
    let login = login.unwrap();
    let phone = with(&server, &jiwoo, &login);
    let (mut here, _) = phone.connect(None).await;
    let (mut theirs, _) = minsu.connect(None).await;
    let replaced = server.app.recovery_code(jiwoo.user_id, HOUR).await.unwrap();
    let made = server.app.recovery_code(jiwoo.user_id, HOUR).await.unwrap();
    assert_eq!(made.expires_at, server.app.now().plus(HOUR));
    let reset = async |email: &str, code: &str| {
        let stranger = server.stranger();
        let outcome = stranger.reset_password(email, code, NEW_PASSWORD).await;
        outcome.map_err(|error| (error.status(), error.code().map(str::to_owned)))
    };
    let wrong = Err((Some(401), Some("wrong_credentials".to_owned())));
    for (email, code) in [
        (jiwoo.email.as_str(), "00000-00000-00000-00000"),
        (&jiwoo.email, &replaced.code),
        (&minsu.email, &made.code),
        ("nobody@example.com", &made.code),
        ("nonsense", &made.code),
    ] {
        assert_eq!(reset(email, code).await, wrong, "{email} {code}");
    }
    assert_eq!(status(&phone.client).await, 200, "nothing has happened yet");
    let typed = made.code.to_lowercase().replace('-', "");
    assert_eq!(reset("JIWOO@example.com", &typed).await, Ok(()));
    let since = Instant::now();
    for client in [&phone.client, &jiwoo.client] {
        assert_eq!(status(client).await, 401);
    }
    let refreshed = server.stranger().refresh(&refresh_token(&login)).await;
    assert_eq!(refreshed.unwrap_err().status(), Some(401));
    closes(&mut here, since, "a socket").await;
    lives(&mut theirs).await;
    assert_eq!(reset(&jiwoo.email, &made.code).await, wrong, "used up");
    let old = server.stranger().login(&jiwoo.email, PASSWORD).await;
    assert_eq!(old.unwrap_err().status(), Some(401));
    let new = server.stranger().login(&jiwoo.email, NEW_PASSWORD).await;
    new.unwrap();
    // In time.
    let late = server.app.recovery_code(jiwoo.user_id, HOUR).await.unwrap();
    server.clock.advance(HOUR);
    assert_eq!(reset(&jiwoo.email, &late.code).await, wrong);
}

#[tokio::test]
async fn security_14_of_twenty_that_bring_a_code_one_sets_a_password() {
    let free = |config: &mut deepme::config::Config| config.limits.login_failures = 0;
    let server = Server::with(free).await;
    let jiwoo = server.person("jiwoo").await;
    let made = server.app.recovery_code(jiwoo.user_id, HOUR).await.unwrap();
    let racing = (0..20).map(|_| {
        let body = json!({"email": jiwoo.email, "code": made.code, "new_password": NEW_PASSWORD});
        let ask = Ask::new("POST", "/password/reset").json(body.to_string());
        let address = server.address;
        async move { ask.send_to(address).await.status }
    });
    let mut statuses = join_all(racing).await;
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (204, &[401; 19][..]));
}

#[tokio::test]
async fn security_13_a_code_is_not_lost_on_a_weak_password_which_tells_nothing_of_the_account() {
    let server = Server::start().await;
    let jiwoo = server.person("gildong").await;
    let made = server.app.recovery_code(jiwoo.user_id, HOUR).await.unwrap();
    let reset = async |email: &str, new: &str| {
        let body = json!({"email": email, "code": made.code, "new_password": new});
        let ask = Ask::new("POST", "/password/reset").json(body.to_string());
        ask.send(&server).await
    };
    for (weak, code) in [
        ("short", "invalid_input"),
        ("Password1234!", "weak_password"),
        ("q1w2e3r4t5y6", "weak_password"),
    ] {
        for email in [jiwoo.email.as_str(), "nobody@example.com"] {
            let answer = reset(email, weak).await;
            assert_eq!(answer.status, 422, "{weak} {email}");
            let problem = answer.problem();
            assert_eq!(problem.code, code, "{weak} {email}");
            assert_eq!(problem.field.as_deref(), Some("new_password"));
            assert!(!answer.text().contains(weak));
        }
    }
    assert_eq!(reset(&jiwoo.email, NEW_PASSWORD).await.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_a_disabled_account_is_out_until_it_is_enabled() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let made = server.app.recovery_code(jiwoo.user_id, HOUR).await.unwrap();
    let (mut talk, _) = jiwoo.connect(None).await;
    let since = Instant::now();
    server.app.disable_user(jiwoo.user_id).await.unwrap();
    assert_eq!(status(&jiwoo.client).await, 401);
    closes(&mut talk, since, "disabled").await;
    let stranger = server.stranger();
    let login = stranger.login(&jiwoo.email, PASSWORD).await;
    assert_eq!(login.unwrap_err().code(), Some("wrong_credentials"));
    let reset = stranger.reset_password(&jiwoo.email, &made.code, NEW_PASSWORD);
    assert_eq!(reset.await.unwrap_err().status(), Some(401));
    server.app.enable_user(jiwoo.user_id).await.unwrap();
    assert_eq!(status(&jiwoo.client).await, 401, "what was void stays void");
    stranger.login(&jiwoo.email, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_role_ends_no_login() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server
        .app
        .set_role(jiwoo.user_id, Role::Admin)
        .await
        .unwrap();
    assert_eq!(
        server.app.user(jiwoo.user_id).await.unwrap().role,
        Role::Admin
    );
    assert_eq!(status(&jiwoo.client).await, 200);
}
