//! Answers that get lost after the work was done: what is tried again is not done twice, and who asked
//! is told what became of it.

use super::Onlooker;
use crate::cluster::cluster;
use crate::contract::{at, finished, message, person, session_of, settings, talk, user, words};
use crate::support::START;
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::step::StepStatus;
use deepme::domain::{ErrorCode, SessionId, UserId};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::{Begun, Store as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A way to the database that swallows one answer, and the connection with it, when it is told to.
#[derive(Default)]
struct Wire {
    cuts: AtomicBool,
}

impl Wire {
    /// The URL of the same database by this way.
    async fn lay(self: &Arc<Self>, url: &str) -> String {
        let (login, rest) = url.rsplit_once('@').unwrap();
        let (place, database) = rest.split_once('/').unwrap();
        let place = if place.contains(':') {
            place.to_owned()
        } else {
            format!("{place}:5432")
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&place).await.unwrap();
                let wire = Arc::clone(&wire);
                tokio::spawn(async move { wire.carry(near, far).await });
            }
        });
        format!("{login}@{address}/{database}?sslmode=disable")
    }

    async fn carry(&self, near: TcpStream, far: TcpStream) {
        let (mut asks, mut hears) = near.into_split();
        let (mut answers, mut listens) = far.into_split();
        let there = tokio::io::copy(&mut asks, &mut listens);
        let back = async {
            let mut bytes = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = answers.read(&mut bytes).await {
                // The server says nothing of a statement before it is committed.
                if self.cuts.swap(false, Ordering::SeqCst)
                    || hears.write_all(&bytes[..n]).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! { _ = there => (), () = back => () }
    }

    /// The next answer gets lost.
    fn cut(&self) {
        assert!(
            !self.cuts.swap(true, Ordering::SeqCst),
            "the last cut was used"
        );
    }

    fn was_cut(&self) -> bool {
        !self.cuts.load(Ordering::SeqCst)
    }
}

/// A store with one connection, which goes over the wire.
async fn wired() -> (PostgresStore, Arc<Wire>, Onlooker) {
    let url = cluster().database().await;
    let wire = Arc::new(Wire::default());
    let mut settings = settings(&wire.lay(&url).await);
    settings.connections = 1;
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate(START).await.unwrap();
    (store, wire, Onlooker::at(&url).await)
}

/// The first call makes the connection know the statement, so that the answer to the second one is
/// the first thing that the server says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_added_twice_is_there_once() {
    let (store, wire, onlooker) = wired().await;
    person(&store, 1).await;
    wire.cut();
    let user_id = person(&store, 2).await;
    assert!(wire.was_cut());
    store.add_session(session_of(user_id, 1)).await.unwrap();
    wire.cut();
    store.add_session(session_of(user_id, 2)).await.unwrap();
    assert!(wire.was_cut());
    let begin = |n: u128| {
        let session_id = SessionId(session_of(user_id, n).session_id.0);
        let mut begin = words(user_id, session_id, "들어줘");
        begin.message_id = Some(message("m1"));
        // The third session has no row yet.
        begin.new_session = n >= 3;
        begin
    };
    let first = Begun::Started { step_order: 1 };
    assert_eq!(store.begin_step(begin(1)).await.unwrap(), first);
    wire.cut();
    assert_eq!(store.begin_step(begin(2)).await.unwrap(), first);
    assert!(wire.was_cut());
    // The very first attempt, of three statements, loses its first answer.
    wire.cut();
    assert_eq!(store.begin_step(begin(3)).await.unwrap(), first);
    assert!(wire.was_cut());
    for (table, rows) in [("users", 2), ("sessions", 3), ("steps", 3)] {
        let count = onlooker.count(&format!("FROM {table}")).await;
        assert_eq!(count, rows, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_a_turn_is_told_that_it_was_they_who_did() {
    let (store, wire, _onlooker) = wired().await;
    let (user_id, session_id) = talk(&store, 1).await;
    for cut in [false, true] {
        let begin = words(user_id, session_id, "말");
        let step_id = begin.step_id;
        store.begin_step(begin).await.unwrap();
        let end = finished(step_id, "네");
        if cut {
            wire.cut();
        }
        assert!(store.finish_step(end.clone()).await.unwrap(), "cut: {cut}");
        assert!(wire.was_cut());
        let mut other = finished(step_id, "아니요");
        other.status = StepStatus::Cancelled;
        if cut {
            wire.cut();
        }
        assert!(!store.finish_step(other).await.unwrap(), "it has an end");
        assert!(wire.was_cut());
        let step = store.step(user_id, step_id).await.unwrap().unwrap();
        assert_eq!(
            (step.status, step.gpt_response.as_str()),
            (end.status, "네")
        );
    }
    for cut in [false, true] {
        let begin = words(user_id, session_id, "말");
        let step_id = begin.step_id;
        store.begin_step(begin).await.unwrap();
        if cut {
            wire.cut();
        }
        assert!(store.forget_step(step_id).await.unwrap(), "cut: {cut}");
        assert!(wire.was_cut());
        assert_eq!(store.step(user_id, step_id).await.unwrap(), None);
    }
    // Nor is one forgotten that has an end.
    let last = store.find_step(user_id, session_id, None).await.unwrap();
    let step_id = last.unwrap().step_id;
    store.forget_step(step_id).await.unwrap();
    wire.cut();
    assert!(!store.forget_step(step_id).await.unwrap());
    assert!(wire.was_cut());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_deletes_their_prompt_is_not_told_that_there_was_none() {
    let (store, wire, _onlooker) = wired().await;
    let name = PromptName::Personal(person(&store, 1).await);
    assert!(!store.delete_prompt(name).await.unwrap());
    store
        .add_prompt(name, "반말로".into(), at(1))
        .await
        .unwrap();
    wire.cut();
    assert!(store.delete_prompt(name).await.unwrap());
    assert!(wire.was_cut());
    assert_eq!(store.prompt(name, None).await.unwrap(), None);
}

/// What would not be the same if it were done twice is left to who asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_done_twice_is_not_tried_again() {
    let (store, wire, onlooker) = wired().await;
    let name = PromptName::System(Language::Korean);
    store.add_prompt(name, "하나".into(), at(1)).await.unwrap();
    wire.cut();
    let unknown = store.add_prompt(name, "둘".into(), at(2)).await;
    assert_eq!(unknown.unwrap_err().code(), ErrorCode::Unavailable);
    assert!(wire.was_cut());
    assert_eq!(onlooker.count("FROM prompts").await, 2);

    let user_id: UserId = person(&store, 1).await;
    let change = async |old: &str, new: &str| {
        let outcome = store.change_password(user_id, old.into(), new.into());
        outcome.await
    };
    assert_eq!(change("hash 1", "two").await.unwrap(), Some(1));
    wire.cut();
    let unknown = change("two", "three").await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::Unavailable);
    let (user, hash) = store.user_by_email(user(1).email).await.unwrap().unwrap();
    assert_eq!((user.token_epoch, hash.as_str()), (2, "three"));
}
