//! Answers that get lost after the work was done: what is tried again is not done twice, and who asked
//! is told what became of it.

use super::{Onlooker, until};
use crate::cluster::cluster;
use crate::contract::{at, finished, message, person, session_of, settings, talk, user, words};
use crate::support::START;
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::step::StepStatus;
use deepme::domain::{ErrorCode, SessionId, UserId};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::{Accounts as _, Begun, Prompts as _, Store as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A way to the database that swallows one answer, and the connection with it, when it is told to; or
/// breaks while the server is at work.
#[derive(Default)]
struct Wire {
    /// Which of the next answers gets lost; 0 for none.
    cuts: AtomicU32,
    breaks: watch::Sender<u32>,
}

/// Held by who looks on, it keeps what was written from being committed.
const HOLD: &str = "SELECT pg_advisory_lock(7)";
const LET_GO: &str = "SELECT pg_advisory_unlock(7)";

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
        let mut breaks = self.breaks.subscribe();
        let back = async {
            let mut bytes = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = answers.read(&mut bytes).await {
                // The server says nothing of a statement before it is committed.
                let counted = |left: u32| left.checked_sub(1);
                let order = Ordering::SeqCst;
                if self.cuts.fetch_update(order, order, counted) == Ok(1)
                    || hears.write_all(&bytes[..n]).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! { _ = there => (), () = back => (), _ = breaks.changed() => () }
    }

    /// The next answer gets lost.
    fn cut(&self) {
        self.cut_nth(1);
    }

    /// This one of the next answers gets lost.
    fn cut_nth(&self, nth: u32) {
        let last = self.cuts.swap(nth, Ordering::SeqCst);
        assert_eq!(last, 0, "the last cut was used");
    }

    fn was_cut(&self) -> bool {
        self.cuts.load(Ordering::SeqCst) == 0
    }

    /// Every connection there is breaks, unnoticed by a server that is at work for it.
    fn break_all(&self) {
        self.breaks.send_modify(|breaks| *breaks += 1);
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
    // The next one loses the third: not there, why, made.
    wire.cut_nth(3);
    assert_eq!(store.begin_step(begin(4)).await.unwrap(), first);
    assert!(wire.was_cut());
    for (table, rows) in [("users", 2), ("sessions", 4), ("steps", 4)] {
        let count = onlooker.count(&format!("FROM {table}")).await;
        assert_eq!(count, rows, "{table}");
    }
}

/// The connection breaks while the server is at work, which goes on and succeeds after another attempt
/// has looked and found nothing: who asked hears that it is done, and it is done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_outlives_its_connection_is_no_hindrance() {
    for table in ["users", "sessions", "steps"] {
        let (store, wire, onlooker) = wired().await;
        let me = person(&store, 1).await;
        if table == "steps" {
            store.add_session(session_of(me, 8)).await.unwrap();
            store.add_session(session_of(me, 9)).await.unwrap();
        }
        let sql = format!(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END$$;
             CREATE TRIGGER hold AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION hold()"
        );
        onlooker.0.batch_execute(&sql).await.unwrap();
        let write = async |n| match table {
            "users" => store.add_user(user(n), "hash".into()).await,
            "sessions" => store.add_session(session_of(me, n)).await,
            _ => {
                let begin = words(me, session_of(me, n).session_id, "말");
                let begun = store.begin_step(begin).await?;
                assert_eq!(begun, Begun::Started { step_order: 1 });
                Ok(())
            }
        };
        write(8).await.unwrap();
        let rows = format!("FROM {table}");
        let before = onlooker.count(&rows).await;
        onlooker.0.execute(HOLD, &[]).await.unwrap();
        let waiting = "FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let breaking = async {
            until("it is held", async || onlooker.count(waiting).await == 1).await;
            wire.break_all();
            // The second one waits for what becomes of the first one's row.
            until("both wait", async || onlooker.count(waiting).await == 2).await;
            onlooker.0.execute(LET_GO, &[]).await.unwrap();
        };
        let (written, ()) = tokio::join!(write(9), breaking);
        assert!(written.is_ok(), "{table}: {written:?}");
        assert_eq!(onlooker.count(&rows).await, before + 1, "{table}");
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
        assert!(
            store.finish_step(end.clone()).await.unwrap().is_some(),
            "cut: {cut}"
        );
        assert!(wire.was_cut());
        let mut other = finished(step_id, "아니요");
        other.status = StepStatus::Cancelled;
        if cut {
            wire.cut();
        }
        assert!(
            store.finish_step(other).await.unwrap().is_none(),
            "it has an end"
        );
        assert!(wire.was_cut());
        let step = store.step(user_id, step_id).await.unwrap().unwrap();
        assert_eq!(
            (step.status, step.gpt_response.as_str()),
            (end.status, "네")
        );
    }
    for cut in [false, true] {
        let begin = words(user_id, session_id, "말");
        let (step_id, lease) = (begin.step_id, begin.lease_until);
        store.begin_step(begin).await.unwrap();
        if cut {
            wire.cut();
        }
        let forgotten = store.forget_step(step_id, lease).await;
        assert!(forgotten.unwrap(), "cut: {cut}");
        assert!(wire.was_cut());
        assert_eq!(store.step(user_id, step_id).await.unwrap(), None);
    }
    // Nor is one forgotten that has an end.
    let last = store.find_step(user_id, session_id, None).await.unwrap();
    let step_id = last.unwrap().step_id;
    store.forget_step(step_id, at(60)).await.unwrap();
    wire.cut();
    assert!(!store.forget_step(step_id, at(60)).await.unwrap());
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
        let n = uuid::Uuid::new_v4().as_u128();
        let outcome = store.change_password(crate::contract::logins::change(user_id, old, new, n));
        outcome.await
    };
    assert_eq!(change("hash 1", "two").await.unwrap(), Some(1));
    wire.cut();
    let unknown = change("two", "three").await.unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::Unavailable);
    let (user, hash) = store.user_by_email(user(1).email).await.unwrap().unwrap();
    assert_eq!((user.token_epoch, hash.as_str()), (2, "three"));
}
