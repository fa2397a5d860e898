//! Row 7: whatever ends a login ends its tokens and its sockets within 5 s, on every instance.

use super::{SOON, again, closes, lives, pair, refresh_token, status, with};
use crate::support::{PASSWORD, Person, Server};
use deepme::client::ConnectOptions;
use std::time::{Duration, Instant};

const NEW_PASSWORD: &str = "an entirely new one";

/// Whoever holds a token of a login that is over is nobody, by REST and at the door of the socket.
async fn nobody(person: &Person, what: &str) {
    assert_eq!(status(&person.client).await, 401, "{what}");
    let refused = person.client.connect(&ConnectOptions::default()).await;
    assert_eq!(refused.unwrap_err().status(), Some(401), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_logout_ends_this_login_and_no_other() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let phone = again(&server, &jiwoo).await;
    let (mut here, _) = phone.connect(None).await;
    let old_app = ConnectOptions {
        every_frame: false,
        ..ConnectOptions::default()
    };
    let (mut too, _) = phone.connect_with(&old_app).await;
    let (mut other, _) = jiwoo.connect(None).await;
    let (mut theirs, _) = minsu.connect(None).await;
    let since = Instant::now();
    phone.client.log_out().await.unwrap();
    nobody(&phone, "at once").await;
    closes(&mut here, since, "a new client").await;
    closes(&mut too, since, "an old app").await;
    assert_eq!(status(&jiwoo.client).await, 200);
    lives(&mut other).await;
    lives(&mut theirs).await;
    // A token that is void cannot even log out.
    assert_eq!(
        phone.client.log_out().await.unwrap_err().status(),
        Some(401)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_logout_everywhere_ends_every_login() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let login = server.stranger().login_v1(&jiwoo.email, PASSWORD).await;
    let login = login.unwrap();
    let phone = with(&server, &jiwoo, &login);
    let (mut here, _) = phone.connect(None).await;
    let (mut other, _) = jiwoo.connect(None).await;
    let (mut theirs, _) = minsu.connect(None).await;
    let since = Instant::now();
    phone.client.log_out_everywhere().await.unwrap();
    for person in [&phone, &jiwoo] {
        nobody(person, "at once").await;
    }
    closes(&mut here, since, "this one").await;
    closes(&mut other, since, "another one").await;
    let refreshed = server.stranger().refresh(&refresh_token(&login)).await;
    assert_eq!(refreshed.unwrap_err().status(), Some(401));
    lives(&mut theirs).await;
    // The password is as it was.
    assert_eq!(status(&again(&server, &jiwoo).await.client).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_a_password_change_ends_the_other_logins_and_the_new_one_holds() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let login = server.stranger().login_v1(&jiwoo.email, PASSWORD).await;
    let login = login.unwrap();
    let phone = with(&server, &jiwoo, &login);
    let (mut other, _) = jiwoo.connect(None).await;
    let new = phone.client.change_password(PASSWORD, NEW_PASSWORD).await;
    let since = Instant::now();
    let new = new.unwrap();
    // Of the kind of the login that asked.
    assert_eq!(new.expires_in, 900);
    nobody(&phone, "the login that asked").await;
    nobody(&jiwoo, "another one").await;
    closes(&mut other, since, "another one").await;
    let refreshed = server.stranger().refresh(&refresh_token(&login)).await;
    assert_eq!(refreshed.unwrap_err().status(), Some(401));
    let phone = with(&server, &jiwoo, &new);
    assert_eq!(status(&phone.client).await, 200);
    let next = server.stranger().refresh(&refresh_token(&new)).await;
    assert_eq!(
        status(&with(&server, &jiwoo, &next.unwrap()).client).await,
        200
    );
    let legacy = server.stranger().login(&jiwoo.email, NEW_PASSWORD).await;
    let legacy = with(&server, &jiwoo, &legacy.unwrap());
    let new = legacy.client.change_password(NEW_PASSWORD, PASSWORD).await;
    assert!(new.unwrap().refresh_token.is_none());
}

/// Who is told by no news: by a command beside the server, say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_what_a_command_ends_is_over_for_a_server_that_nobody_tells() {
    let server = Server::start().await;
    let store = server.beside().await;
    for what in ["disable", "delete", "password"] {
        let jiwoo = server.person(what).await;
        let (mut talk, _) = jiwoo.connect(None).await;
        assert_eq!(status(&jiwoo.client).await, 200);
        let now = server.app.now();
        let user_id = jiwoo.user_id;
        let since = Instant::now();
        let done = match what {
            "disable" => store.disable_user(user_id, now).await,
            "delete" => store
                .delete_user(user_id, now)
                .await
                .map(|gone| gone.is_some()),
            _ => store.set_password(user_id, "$".into(), now).await,
        };
        assert!(done.unwrap());
        while status(&jiwoo.client).await == 200 {
            assert!(since.elapsed() < SOON, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        closes(&mut talk, since, what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_what_ends_on_one_instance_is_over_on_the_others() {
    let [here, there] = pair().await;
    let jiwoo = here.person("jiwoo").await;
    for everywhere in [false, true] {
        let phone = again(&here, &jiwoo).await;
        let away = Person {
            client: there.stranger().with_token(&phone.token).unwrap(),
            token: phone.token.clone(),
            email: phone.email.clone(),
            user_id: phone.user_id,
        };
        let (mut talk, _) = away.connect(None).await;
        assert_eq!(status(&away.client).await, 200);
        let since = Instant::now();
        if everywhere {
            phone.client.log_out_everywhere().await.unwrap();
        } else {
            phone.client.log_out().await.unwrap();
        }
        while status(&away.client).await == 200 {
            assert!(since.elapsed() < SOON, "everywhere: {everywhere}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        closes(&mut talk, since, "on the other instance").await;
    }
}

/// A login with one long-lived token is a login like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_a_long_lived_token_can_be_ended_too() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let login = server
        .stranger()
        .login(&jiwoo.email, PASSWORD)
        .await
        .unwrap();
    assert_eq!(login.expires_in, 30 * 24 * 3600);
    let old_app = with(&server, &jiwoo, &login);
    old_app.client.log_out().await.unwrap();
    nobody(&old_app, "at once").await;
    assert_eq!(status(&jiwoo.client).await, 200);
}
