//! Connections that are killed, locks that are held, and errors that keep to themselves what people
//! said.

use super::{OTHERS, Onlooker, all_of, until};
use crate::cluster::{cluster, connect};
use crate::contract::{at, finished, person, session_of, settings, talk, turn, user, words};
use crate::support::{PATIENCE, START, postgres};
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::step::StepStatus;
use deepme::domain::user::Email;
use deepme::domain::{ErrorCode, UserId};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::{Begun, Prompts as _, Store};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

/// Opens every connection that the pool may have.
async fn warm(store: &PostgresStore, onlooker: &Onlooker) {
    until("the pool is full", async || {
        let calls = (0..32).map(|_| store.schema_version());
        join_all(calls).await.into_iter().for_each(|outcome| {
            outcome.unwrap();
        });
        onlooker.count(OTHERS).await == 4
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_does_not_notice_that_connections_were_killed() {
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let onlooker = Onlooker::at(&url).await;
    let (user_id, session_id) = talk(&store, 1).await;
    for round in 0..4 {
        warm(&store, &onlooker).await;
        onlooker.end_others().await;
        for n in 0..4 {
            turn(&store, user_id, session_id, "말", "네").await;
            store.user(user_id).await.unwrap().unwrap();
            let steps = store.steps(user_id, session_id, 0, None).await.unwrap();
            assert_eq!(steps.unwrap().len(), round * 4 + n + 1);
            let sessions = store.sessions(user_id, None, Some(9)).await.unwrap();
            assert_eq!(sessions.len(), 1);
        }
        warm(&store, &onlooker).await;
        onlooker.end_others().await;
        // And twenty at once, which find all of them dead.
        let first = 100 * (round as u128 + 1);
        join_all((first..first + 20).map(|n| person(&store, n))).await;
    }
}

/// While they are at work, too: every call is answered, and nothing is done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_connections_that_are_killed_at_work_nothing_is_lost_or_done_twice() {
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let onlooker = Onlooker::at(&url).await;
    let store = Arc::new(store);
    let enough = Arc::new(AtomicBool::new(false));
    let mut talking = Vec::new();
    for n in 1..=6 {
        let (user_id, session_id) = talk(&*store, n).await;
        let (store, enough) = (Arc::clone(&store), Arc::clone(&enough));
        talking.push(tokio::spawn(async move {
            let mut turns = 0;
            while !enough.load(Ordering::Relaxed) {
                turns += 1;
                turn(&*store, user_id, session_id, "말", "네").await;
            }
            let steps = store.steps(user_id, session_id, 0, None).await.unwrap();
            let orders: Vec<i64> = steps.unwrap().iter().map(|s| s.step_order).collect();
            assert_eq!(orders, (1..=turns).collect::<Vec<_>>());
        }));
    }
    let sql = format!("SELECT pg_terminate_backend(pid) {OTHERS} AND state <> 'idle'");
    let mut killed = 0;
    until("many were killed at work", async || {
        killed += onlooker.0.execute(&sql, &[]).await.unwrap();
        killed >= 40 || talking.iter().any(tokio::task::JoinHandle::is_finished)
    })
    .await;
    enough.store(true, Ordering::Relaxed);
    for talk in talking {
        talk.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_12_words_whose_connection_is_taken_away_on_the_way_are_stored_once() {
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let (user_id, session_id) = talk(&store, 1).await;
    let onlooker = Onlooker::at(&url).await;
    let holder = connect(&format!("{url}?application_name=holder")).await;
    // A step refers to its session's row, and so waits for whoever holds that.
    holder
        .batch_execute("BEGIN; SELECT 1 FROM sessions FOR UPDATE")
        .await
        .unwrap();
    let waiting = format!("{OTHERS} AND wait_event_type = 'Lock'");
    let begin = words(user_id, session_id, "들어줘");
    let step_id = begin.step_id;
    let beginning = tokio::spawn({
        let store = store.clone();
        async move { store.begin_step(begin).await }
    });
    for _ in 0..2 {
        until("the words wait", async || {
            onlooker.count(&waiting).await == 1
        })
        .await;
        let sql = format!("SELECT pg_terminate_backend(pid, 5000) {waiting}");
        assert_eq!(onlooker.0.execute(&sql, &[]).await.unwrap(), 1);
    }
    until("they are offered again", async || {
        onlooker.count(&waiting).await == 1
    })
    .await;
    holder.batch_execute("COMMIT").await.unwrap();
    let begun = beginning.await.unwrap().unwrap();
    assert_eq!(begun, Begun::Started { step_order: 1 });
    let steps = store.steps(user_id, session_id, 0, None).await.unwrap();
    let ids: Vec<_> = steps.unwrap().iter().map(|step| step.step_id).collect();
    assert_eq!(ids, [step_id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_who_waits_for_a_lock_is_told_in_time_and_served_once_it_is_gone() {
    let url = cluster().database().await;
    let mut settings = settings(&url);
    settings.answer_seconds = 1;
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate(START).await.unwrap();
    let user_id = person(&store, 1).await;
    let holder = connect(&url).await;
    holder
        .batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    // More than there are connections: some wait for the lock, the others for a connection.
    let asked = Instant::now();
    let answers = join_all((0..12).map(|_| store.user(user_id))).await;
    let took = asked.elapsed();
    for answer in answers {
        let refused = answer.unwrap_err();
        assert_eq!(
            refused.code(),
            ErrorCode::Unavailable,
            "{}",
            all_of(&refused)
        );
        assert_eq!(refused.retry_after_seconds(), Some(2));
    }
    // A second, and some for a busy machine.
    assert!(took < Duration::from_secs(1 + 2), "{took:?}");
    // Who needs no users is served meanwhile, by the same connections.
    assert!(store.prompts().await.unwrap().is_empty());
    let asked = Instant::now();
    let added = store.add_user(user(2), "hash".into()).await.unwrap_err();
    assert_eq!(added.code(), ErrorCode::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(1 + 2));
    holder.batch_execute("ROLLBACK").await.unwrap();
    let served = async { while store.user(user_id).await.is_err() {} };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
    for found in join_all((0..4).map(|_| store.user(user_id))).await {
        assert!(found.unwrap().is_some());
    }
    // What was refused is not done later behind everybody's back.
    let onlooker = Onlooker(holder);
    assert_eq!(onlooker.count("FROM users").await, 1);
    assert!(
        onlooker.count(OTHERS).await <= 4,
        "no connection stays behind"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_line_that_is_too_long_is_not_joined_and_who_stands_in_it_is_served() {
    let url = cluster().database().await;
    let mut settings = settings(&url);
    // Nobody gives up while the others come.
    settings.answer_seconds = 120;
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate(START).await.unwrap();
    let user_id = person(&store, 1).await;
    let holder = connect(&url).await;
    let lock = "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE";
    holder.batch_execute(lock).await.unwrap();
    let store = Arc::new(store);
    let mut asking = JoinSet::new();
    for _ in 0..4100 {
        let store = Arc::clone(&store);
        asking.spawn(async move { store.user(user_id).await });
    }
    for _ in 0..4 {
        let refused = tokio::time::timeout(PATIENCE, asking.join_next()).await;
        let refused = refused.unwrap().unwrap().unwrap().unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Overloaded);
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    while let Some(served) = asking.join_next().await {
        assert!(served.unwrap().unwrap().is_some());
    }
}

#[tokio::test]
async fn no_error_holds_what_somebody_said() {
    const CANARY: &str = "kanarienvogel";
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let (user_id, session_id) = talk(&store, 1).await;
    let (_, other_session) = talk(&store, 2).await;
    let nobody = UserId(Uuid::from_u128(99));
    let mut errors = Vec::new();

    // An id that is taken: the detail holds the id.
    let mut twin = user(1);
    twin.name = CANARY.into();
    twin.email = Email::parse(&format!("{CANARY}@example.com")).unwrap();
    errors.push(store.add_user(twin, CANARY.into()).await.unwrap_err());
    // A session of nobody.
    let mut session = session_of(nobody, 9);
    session.labels.topic = Some(CANARY.into());
    errors.push(store.add_session(session).await.unwrap_err());
    // A personal prompt of nobody.
    let name = PromptName::Personal(nobody);
    errors.push(
        store
            .add_prompt(name, CANARY.into(), at(1))
            .await
            .unwrap_err(),
    );
    // A step's id that is taken in another session.
    let mut begin = words(user_id, session_id, CANARY);
    store.begin_step(begin.clone()).await.unwrap();
    let step_id = begin.step_id;
    begin.user_id = UserId(Uuid::from_u128(2));
    begin.session_id = other_session;
    errors.push(store.begin_step(begin).await.unwrap_err());
    // An end that is none: the detail is the whole row.
    let mut end = finished(step_id, CANARY);
    end.status = StepStatus::Pending;
    errors.push(store.finish_step(end).await.unwrap_err());
    // NUL, which PostgreSQL does not take.
    let korean = PromptName::System(Language::Korean);
    let nul = format!("{CANARY}\0");
    errors.push(store.add_prompt(korean, nul, at(1)).await.unwrap_err());
    // Whatever else the database may say of a row.
    connect(&url)
        .await
        .batch_execute(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
             $$BEGIN RAISE EXCEPTION '%', NEW USING DETAIL = NEW::text, HINT = NEW::text; END$$;
             CREATE TRIGGER tell BEFORE INSERT OR UPDATE ON steps FOR EACH ROW EXECUTE FUNCTION tell();",
        )
        .await
        .unwrap();
    let end = finished(step_id, CANARY);
    errors.push(store.finish_step(end).await.unwrap_err());

    let said: Vec<String> = errors.iter().map(all_of).collect();
    let codes: Vec<ErrorCode> = errors.iter().map(deepme::domain::Error::code).collect();
    let mut expected = [ErrorCode::Internal; 7];
    expected[5] = ErrorCode::InvalidInput;
    assert_eq!(codes, expected, "{said:#?}");
    for line in &said {
        assert!(!line.contains(CANARY), "{line}");
    }
    // Who reads the log still learns where to look.
    for (line, part) in [
        (
            0,
            "PostgreSQL says 23505, table users, constraint users_pkey",
        ),
        (1, "PostgreSQL says 23503, table sessions"),
        (4, "PostgreSQL says 23514, table steps"),
        (6, "PostgreSQL says P0001"),
    ] {
        assert!(said[line].contains(part), "{}", said[line]);
    }
}
