//! Whether a credential still stands: password changes, expiry and renewal on open sockets.

use crate::support::{PASSWORD, Person, Server, Talk, held};
use deepme::client::ConnectOptions;
use deepme::llm::scripted::{Gate, answer};
use deepme::wire::ws::ServerFrame;
use serde_json::json;
use std::time::Duration;

const NEW_PASSWORD: &str = "an entirely new one";

async fn spoken(server: &Server, person: &Person) -> (Talk, deepme::domain::SessionId) {
    let (mut talk, session) = person.connect(None).await;
    server.script(answer(&["네"]));
    talk.input("안녕").await;
    talk.turn().await.done();
    (talk, session.session_id)
}

async fn renew(talk: &mut Talk, token: &str) -> ServerFrame {
    let frame = json!({"auth": {"access_token": token}});
    talk.send_text(&frame.to_string()).await;
    talk.frame().await
}

#[tokio::test]
async fn a_password_change_voids_every_token_before_it() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let second = server
        .stranger()
        .login(&jiwoo.email, PASSWORD)
        .await
        .unwrap();
    let second = server
        .stranger()
        .with_token(&second.access_token.0)
        .unwrap();
    let fresh = jiwoo
        .client
        .change_password(PASSWORD, NEW_PASSWORD)
        .await
        .unwrap();
    let me = jiwoo.user_id;
    for old in [&jiwoo.client, &second] {
        assert_eq!(
            old.sessions(me, None).await.unwrap_err().status(),
            Some(401)
        );
        let refused = old.connect(&ConnectOptions::default()).await.unwrap_err();
        assert_eq!(refused.status(), Some(401));
    }
    let new = server.stranger().with_token(&fresh.access_token.0).unwrap();
    new.sessions(me, None).await.unwrap();
    let wrong = server.stranger().login(&jiwoo.email, PASSWORD).await;
    assert_eq!(wrong.unwrap_err().status(), Some(401));
    server
        .stranger()
        .login(&jiwoo.email, NEW_PASSWORD)
        .await
        .unwrap();
    minsu.client.sessions(minsu.user_id, None).await.unwrap();
}

/// A socket that says nothing learns of it, too, and not only by the next ping, which would come
/// after the test has lost its patience.
#[tokio::test]
async fn fault_23_an_idle_socket_with_a_void_token_is_closed() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let (mut idle, _) = jiwoo.connect(None).await;
    let (mut other, _) = minsu.connect(None).await;
    jiwoo
        .client
        .change_password(PASSWORD, NEW_PASSWORD)
        .await
        .unwrap();
    assert_eq!(idle.closed().await, 4401);
    other.send_text(r#"{"ping": 1}"#).await;
    assert!(
        matches!(other.frame().await, ServerFrame::Pong { .. }),
        "nobody else is touched"
    );
}

/// Whatever it is that a socket with a void token says: nothing is done and it is closed.
#[tokio::test]
async fn a_socket_with_a_void_token_is_closed_at_its_next_message() {
    let frames = [
        r#"{"user_input": "아직 나야"}"#,
        r#"{"resume": {"received": 0}}"#,
        r#"{"end": true}"#,
        r#"{"stop": true}"#,
    ];
    for every_frame in [true, false] {
        let server = Server::start().await;
        let jiwoo = server.person("jiwoo").await;
        let (_, session) = spoken(&server, &jiwoo).await;
        let mut talks = Vec::new();
        for frame in frames {
            let options = ConnectOptions {
                every_frame,
                session_id: Some(session),
                ..ConnectOptions::default()
            };
            talks.push((frame, jiwoo.connect_with(&options).await.0));
        }
        let fresh = jiwoo
            .client
            .change_password(PASSWORD, NEW_PASSWORD)
            .await
            .unwrap();
        for (frame, talk) in &mut talks {
            talk.send_text(frame).await;
            match talk.event().await {
                deepme::client::Event::Closed(code, _) => assert_eq!(code, 4401, "{frame}"),
                other => panic!("{frame} on a void token: {other:?}"),
            }
        }
        let client = server.stranger().with_token(&fresh.access_token.0).unwrap();
        assert_eq!(client.steps(session).await.unwrap().len(), 1);
        assert_eq!(client.session(session).await.unwrap().ended_at, None);
        assert_eq!(server.model.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_fresh_token_of_the_same_person_renews_an_open_socket() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let (mut talk, _) = spoken(&server, &jiwoo).await;
    // Somebody else's, nobody's and a void one change nothing.
    let ServerFrame::Error { error } = renew(&mut talk, &minsu.token).await else {
        panic!()
    };
    assert_eq!(error.code, "forbidden");
    let ServerFrame::Error { error } = renew(&mut talk, "garbage").await else {
        panic!()
    };
    assert_eq!(error.code, "unauthorized");
    assert!(!error.message.contains("garbage"));
    server.script(answer(&["네"]));
    talk.input("아직 나야").await;
    let turn = talk.turn().await;
    assert_eq!(turn.done().step_order, 2);

    let fresh = jiwoo
        .client
        .change_password(PASSWORD, NEW_PASSWORD)
        .await
        .unwrap();
    let ServerFrame::Error { error } = renew(&mut talk, &jiwoo.token).await else {
        panic!("a void token renews nothing")
    };
    assert_eq!(error.code, "unauthorized");
    let ServerFrame::Auth { auth } = renew(&mut talk, &fresh.access_token.0).await else {
        panic!()
    };
    let ttl = Duration::from_secs(fresh.expires_in);
    assert_eq!(auth.expires_at, server.app.now().plus(ttl));
    server.script(answer(&["네"]));
    talk.input("여전히 나야").await;
    assert_eq!(talk.turn().await.done().step_order, 3);
}

#[tokio::test]
async fn expiry_closes_new_clients_at_their_next_message_and_leaves_old_apps_alone() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let ttl = Duration::from_secs(server.app.config().auth.legacy_ttl);
    let (mut new, session) = spoken(&server, &jiwoo).await;
    let (mut renewed, _) = jiwoo.connect(Some(session)).await;
    let options = ConnectOptions {
        every_frame: false,
        session_id: Some(session),
        ..ConnectOptions::default()
    };
    let (mut old, _) = jiwoo.connect_with(&options).await;
    server.clock.advance(ttl / 2);
    let login = server
        .stranger()
        .login(&jiwoo.email, PASSWORD)
        .await
        .unwrap();
    let answered = renew(&mut renewed, &login.access_token.0).await;
    assert!(matches!(answered, ServerFrame::Auth { .. }));
    server.clock.advance(ttl / 2 + Duration::from_mins(1));

    new.input("아직 있어?").await;
    assert_eq!(new.closed().await, 4401);
    server.script(answer(&["네"]));
    old.input("아직 있어?").await;
    assert_eq!(old.turn().await.text, "네");
    assert_eq!(renewed.turn().await.text, "네", "another device's turn");
    server.script(answer(&["네네"]));
    renewed.input("나도").await;
    assert_eq!(renewed.turn().await.text, "네네");
    assert_eq!(old.turn().await.text, "네네");
}

/// Fault 23: the running turn may finish on expiry.
#[tokio::test]
async fn fault_23_a_turn_that_runs_when_the_token_expires_is_finished() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("가", &gate, "나"));
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.input("안녕").await;
    talk.text("가").await;
    let ttl = Duration::from_secs(server.app.config().auth.legacy_ttl);
    server.clock.advance(ttl + Duration::from_mins(1));
    gate.open();
    let turn = talk.turn().await;
    assert_eq!(turn.text, "나");
    turn.done();
    talk.input("더").await;
    assert_eq!(talk.closed().await, 4401);
}

/// Fault 20: the clock may be set back; what was void stays void.
#[tokio::test]
async fn fault_20_a_clock_that_is_set_back_revives_no_token() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    jiwoo
        .client
        .change_password(PASSWORD, NEW_PASSWORD)
        .await
        .unwrap();
    server.clock.advance(Duration::from_hours(2));
    let me = jiwoo.user_id;
    assert!(jiwoo.client.sessions(me, None).await.is_err());
    server.clock.set(crate::support::START);
    assert_eq!(
        jiwoo.client.sessions(me, None).await.unwrap_err().status(),
        Some(401)
    );
}
