//! Words that nobody knows to be stored are taken back, and until they are gone nobody is told of them; who was
//! told of them keeps them.

use super::Unsure;
use crate::cluster::cluster;
use crate::support::{PATIENCE, Person, Server, Talk};
use deepme::client::Client;
use deepme::config::Config;
use deepme::llm::scripted::answer;
use deepme::store::Store;
use deepme::wire::ws::ServerFrame;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// A store whose next begin is one whose outcome nobody learns, and which forgets a step for a permit.
fn doubting(inner: Arc<dyn Store>, forgetful: &Arc<Semaphore>) -> Arc<dyn Store> {
    Arc::new(Unsure {
        unknown: AtomicBool::new(true),
        forgetful: Arc::clone(forgetful),
        ..Unsure::over(inner)
    })
}

/// Says it for the first time, and hears that nobody knows.
async fn say_in_vain(talk: &mut Talk) {
    talk.message("들어줘", "m1", None).await;
    let error = talk.error().await;
    assert_eq!((error.code.as_str(), error.stored), ("unavailable", None));
}

/// Until there is nothing of it any more.
async fn gone(jiwoo: &Person, session_id: deepme::domain::SessionId) {
    while !jiwoo.client.steps(session_id).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn fault_12_a_step_that_is_being_taken_back_is_acknowledged_to_nobody() {
    let forgetful = Arc::new(Semaphore::new(0));
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let wrap = |inner| doubting(inner, &forgetful);
    let server = Server::over(dir, Config::default(), None, wrap).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    say_in_vain(&mut talk).await;
    // It is there, and whoever were told of it now would lose it.
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps.len(), 1);
    talk.message("들어줘", "m1", None).await;
    let again = talk.error().await;
    assert_eq!((again.code.as_str(), again.stored), ("unavailable", None));
    let (_tablet, met) = jiwoo.connect(Some(session.session_id)).await;
    assert!(met.turn.is_none(), "on SQLite because it runs nowhere");
    forgetful.add_permits(1);
    gone(&jiwoo, session.session_id).await;
    server.script(answer(&["네"]));
    // The attempt to take it back may still be finishing.
    let turn = loop {
        talk.message("들어줘", "m1", None).await;
        let turn = talk.turn().await;
        if !turn.text.is_empty() {
            break turn;
        }
    };
    assert_eq!(turn.text, "네");
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!((steps.len(), steps[0].step_order), (1, 1));
}

#[tokio::test]
async fn fault_12_what_another_instance_has_acknowledged_is_not_taken_back() {
    let forgetful = Arc::new(Semaphore::new(0));
    let url = cluster().database().await;
    let keys = Arc::new(tempfile::tempdir().unwrap());
    let wrap = |inner| doubting(inner, &forgetful);
    let here = Server::one_of_several_over(&url, &keys, wrap).await;
    let there = Server::one_of_several(&url, &keys).await;
    let jiwoo = here.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    say_in_vain(&mut talk).await;
    drop(talk);
    let elsewhere = Client::new(&there.url()).unwrap();
    let jiwoo = Person {
        client: elsewhere.with_token(&jiwoo.token).unwrap(),
        ..jiwoo
    };
    let (mut talk, met) = jiwoo.connect(Some(session.session_id)).await;
    let told = met.turn.expect("it is stored, and told of").step_id;
    // When the first one tries again, its first attempt is over.
    forgetful.add_permits(2);
    let tried = async {
        while forgetful.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let tried = tokio::time::timeout(PATIENCE, tried).await;
    tried.expect("what is not gone is tried again");
    let long_ago = Instant::now().checked_sub(Duration::from_mins(1));
    there.clock.advance(Duration::from_secs(16));
    there.app.sweep_once(long_ago).await.unwrap();
    talk.message("들어줘", "m1", None).await;
    let turn = talk.turn().await;
    let ServerFrame::Error { error } = turn.end() else {
        panic!("nobody answered: {turn:?}");
    };
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("interrupted", Some(true))
    );
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!((steps.len(), steps[0].step_id), (1, told));
    assert_eq!(steps[0].user_input, "들어줘");
}
