//! Fault 25: an old copy of the database is put back.

use crate::cluster::cluster;
use crate::support::{PASSWORD, PATIENCE, Person, Server, on_postgres};
use deepme::config::Config;
use deepme::llm::scripted::answer;
use deepme::wire::rest::GenerateRequest;
use deepme::wire::ws::{ClientFrame, Resume};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A copy of the database of a directory, and what puts it back.
async fn copy(dir: &TempDir) -> impl AsyncFnOnce() {
    let file = dir.path().join("data/t.db");
    let kept = if on_postgres() {
        let url = std::fs::read_to_string(&file).unwrap();
        cluster().copy_of(&url).await.into_bytes()
    } else {
        let kept = dir.path().join("kept");
        let live = rusqlite::Connection::open(&file).unwrap();
        live.execute("VACUUM INTO ?1", [kept.to_str().unwrap()])
            .unwrap();
        let bytes = std::fs::read(&kept).unwrap();
        std::fs::remove_file(kept).unwrap();
        bytes
    };
    async move || {
        // The last connection takes the log with it. Whoever puts a file back under one that is still closing has
        // a file that is neither.
        let closed = async {
            while !on_postgres() && file.with_file_name("t.db-wal").exists() {
                tokio::task::yield_now().await;
            }
        };
        let closed = tokio::time::timeout(PATIENCE, closed).await;
        closed.expect("the database closes");
        std::fs::write(&file, kept).unwrap();
    }
}

async fn start(dir: &Arc<TempDir>) -> Server {
    Server::on(Arc::clone(dir), Config::default(), None).await
}

async fn said(server: &Server, person: &Person, words: &str) -> deepme::wire::rest::StepBody {
    server.script(answer(&["네, 들었어요."]));
    let request = GenerateRequest {
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    person.client.generate(&request).await.unwrap()
}

/// The same person at a server that has been started again.
fn at(server: &Server, person: &Person) -> Person {
    Person {
        client: server.stranger().with_token(&person.token).unwrap(),
        user_id: person.user_id,
        token: person.token.clone(),
        email: person.email.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_25_on_an_old_copy_no_token_holds_and_who_was_erased_stays_erased() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = start(&dir).await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let old = said(&server, &jiwoo, "첫째").await;
    said(&server, &minsu, "지워질 말").await;
    let login = server
        .stranger()
        .login_v1(&jiwoo.email, PASSWORD)
        .await
        .unwrap();
    let before = login.refresh_token.unwrap().0;
    let put_back = copy(&dir).await;
    // What the copy does not know.
    server.clock.advance(Duration::from_secs(90));
    let after = server.stranger().refresh(&before).await.unwrap();
    let new = said(&server, &jiwoo, "둘째").await;
    minsu.client.erase().await.unwrap();
    server.app.tidy().await.unwrap();
    server.shut_down().await;
    put_back().await;

    let server = start(&dir).await;
    let jiwoo = at(&server, &jiwoo);
    assert_eq!(jiwoo.client.me().await.unwrap_err().status(), Some(401));
    for token in [before, after.refresh_token.unwrap().0] {
        let refreshed = server.stranger().refresh(&token).await;
        assert_eq!(refreshed.unwrap_err().status(), Some(401));
    }
    let login = server.stranger().login(&minsu.email, PASSWORD).await;
    assert_eq!(login.unwrap_err().status(), Some(401), "erased again");
    let store = server.beside().await;
    assert_eq!(store.user(minsu.user_id).await.unwrap(), None);
    assert_eq!(store.data_key(minsu.user_id).await.unwrap(), None);
    // Who logs in finds what the copy has, and is told what it has not.
    let login = server
        .stranger()
        .login(&jiwoo.email, PASSWORD)
        .await
        .unwrap();
    let token = login.access_token.0;
    let jiwoo = Person {
        client: server.stranger().with_token(&token).unwrap(),
        token,
        ..jiwoo
    };
    let steps = jiwoo.client.steps(old.session_id).await.unwrap();
    assert_eq!(steps[0].user_input, "첫째");
    let gone = jiwoo.client.steps(new.session_id).await;
    assert_eq!(gone.unwrap_err().status(), Some(404));
    let (mut talk, _) = jiwoo.connect(Some(old.session_id)).await;
    let resume = |step_id, received| ClientFrame::Resume(Resume { step_id, received });
    talk.send(&resume(Some(new.step_id), 3)).await;
    assert_eq!(talk.error().await.code, "not_found");
    drop(talk);

    // Once only: the next start is one like any other.
    server.shut_down().await;
    let server = start(&dir).await;
    let me = at(&server, &jiwoo).client.me().await.unwrap();
    assert_eq!(me.user_id, jiwoo.user_id);
}

/// A server that was off for a while, or whose clock was set back, has no old copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_25_a_database_that_only_slept_is_no_old_copy() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut server = start(&dir).await;
    let jiwoo = server.person("jiwoo").await;
    for minutes in [0, 60, 5] {
        server.clock.advance(Duration::from_mins(minutes));
        server.app.tidy().await.unwrap();
        server.shut_down().await;
        // Its clock begins where the first one did.
        server = start(&dir).await;
        assert!(!server.app.recognise_an_old_copy().await.unwrap());
        let jiwoo = at(&server, &jiwoo);
        let me = jiwoo.client.me().await.unwrap();
        assert_eq!(me.user_id, jiwoo.user_id);
    }
}
