//! Migrations: of an empty database by many at once, one that fails, one from the future, and from
//! every earlier version with people in it, in both dialects.

use super::{Onlooker, all_of, store};
use crate::cluster::{cluster, connect};
use crate::contract::{at, session_of, settings, talk, user, words};
use crate::support::{START, postgres};
use deepme::domain::prompt::{Language, Prompt, PromptName};
use deepme::domain::session::{EmotionSession, Labels};
use deepme::domain::step::{EmotionStep, FinishReason, Marks, MessageId, StepStatus, StepType};
use deepme::domain::time::ManualClock;
use deepme::domain::{ErrorCode, StepId};
use deepme::store::postgres::{Connector, MIGRATIONS, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{Begun, Migration, SCHEMA_VERSION, SchemaState, Store, Unsealed};
use futures_util::future::join_all;
use std::fmt::Write as _;
use std::path::Path;
use uuid::Uuid;

/// All migrations and one more.
fn and_then(sql: &'static str) -> Vec<Migration> {
    let next = Migration {
        version: SCHEMA_VERSION + 1,
        name: "next",
        sql,
    };
    MIGRATIONS.iter().copied().chain([next]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_that_migrate_at_once_one_does() {
    let url = cluster().database().await;
    let stores = join_all((0..10).map(|_| store(&url))).await;
    for outcome in join_all(stores.iter().map(|store| store.migrate(START))).await {
        outcome.unwrap();
    }
    let onlooker = Onlooker::at(&url).await;
    let rows = onlooker
        .0
        .query(
            "SELECT version FROM schema_migrations ORDER BY version",
            &[],
        )
        .await
        .unwrap();
    let applied: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(applied, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
    for store in stores {
        store.state().await.unwrap().check().unwrap();
    }
}

#[tokio::test]
async fn a_migration_may_take_longer_than_an_answer() {
    let mut settings = settings(&cluster().database().await);
    settings.answer_seconds = 1;
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    let slow = and_then("SELECT pg_sleep(1.2)");
    store.migrate_by(START, &slow).await.unwrap();
    let version = store.schema_version().await.unwrap();
    assert_eq!(version, SCHEMA_VERSION + 1);
}

#[tokio::test]
async fn fault_24_a_migration_that_fails_leaves_the_old_schema() {
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let (user_id, session_id) = talk(&store, 1).await;
    let failing = and_then("DROP TABLE steps; CREATE TABLE next (x bigint); SELECT nonsense");
    let error = store.migrate_by(START, &failing).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Config);
    assert_eq!(
        error.message(),
        "the database could not be migrated and is as it was: \
         PostgreSQL says 42703 column \"nonsense\" does not exist"
    );
    store.state().await.unwrap().check().unwrap();
    let kept = store.steps(user_id, session_id, 0, None).await.unwrap();
    assert_eq!(kept, Some(Vec::new()));
    let onlooker = Onlooker::at(&url).await;
    let next = onlooker.count("FROM pg_tables WHERE tablename = 'next'");
    assert_eq!(next.await, 0);
    // Nor does an empty database keep a part of its first schema.
    let empty = super::store(&cluster().database().await).await;
    empty.migrate_by(START, &failing).await.unwrap_err();
    assert_eq!(empty.state().await.unwrap().current, 0);
    empty.migrate(START).await.unwrap();
}

#[tokio::test]
async fn fault_24_a_schema_from_the_future_is_refused_and_not_touched() {
    let url = cluster().database().await;
    let (store, _) = postgres(&url).await;
    let longer = and_then("CREATE TABLE next (x bigint)");
    store.migrate_by(START, &longer).await.unwrap();
    let (current, wanted) = (SCHEMA_VERSION + 1, SCHEMA_VERSION);
    let state = store.state().await.unwrap();
    let unsealed = Unsealed::Nothing;
    assert_eq!(
        state,
        SchemaState {
            current,
            wanted,
            unsealed
        }
    );
    let sentence = format!(
        "the database has schema version {current}, this program knows up to {wanted}: \
         run the newer deepme, or restore an older backup"
    );
    for refused in [store.migrate(START).await, state.check()] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Config);
        assert_eq!(refused.message(), sentence, "{}", all_of(&refused));
    }
    assert_eq!(store.schema_version().await.unwrap(), current);
}

#[tokio::test]
async fn an_older_schema_is_refused_by_who_does_not_migrate() {
    let url = cluster().database().await;
    let store = store(&url).await;
    for version in 0..SCHEMA_VERSION {
        let done = &MIGRATIONS[..usize::try_from(version).unwrap()];
        store.migrate_by(START, done).await.unwrap();
        let state = store.state().await.unwrap();
        assert_eq!(state.current, version);
        let refused = state.check().unwrap_err();
        assert!(
            refused.message().ends_with("run deepme migrate up"),
            "{refused}"
        );
    }
}

/// A way to write an id, which is where the dialects differ.
type Id = fn(Uuid) -> String;

fn of_postgres(id: Uuid) -> String {
    format!("'{id}'")
}

fn of_sqlite(id: Uuid) -> String {
    format!("x'{}'", id.simple())
}

fn text(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"))
}

fn session() -> EmotionSession {
    let mut session = session_of(user(1).user_id, 1);
    session.labels = Labels {
        emotion_label: Some("슬픔".into()),
        topic: Some("일".into()),
        ..Labels::default()
    };
    session
}

/// A step of every status; the last one is pending.
fn steps() -> Vec<EmotionStep> {
    let (stop, length) = (Some(FinishReason::Stop), Some(FinishReason::Length));
    [
        (StepStatus::Complete, stop, "그랬군요 👩‍👩‍👧"),
        (StepStatus::Cancelled, None, "그랬"),
        (StepStatus::Interrupted, length, "그"),
        (StepStatus::Failed, None, ""),
        (StepStatus::Pending, None, "음"),
    ]
    .into_iter()
    .zip(1u32..)
    .map(|((status, finish_reason, answer), order)| EmotionStep {
        step_id: StepId(Uuid::from_u128(u128::from(order))),
        session_id: session().session_id,
        step_order: i64::from(order),
        step_type: StepType::parse(Some("diary")).unwrap(),
        user_input: format!("말 {order}\nنص"),
        gpt_response: answer.to_owned(),
        status,
        finish_reason,
        message_id: (order != 2).then(|| MessageId::parse(&format!("m{order}")).unwrap()),
        model: finish_reason.map(|_| "m".to_owned()),
        prompt_version: finish_reason.map(|_| "ko@2".to_owned()),
        output_tokens: finish_reason.map(|_| 7),
        created_at: at(u64::from(order)),
        marks: Marks::default(),
    })
    .collect()
}

fn prompts() -> Vec<Prompt> {
    let system = PromptName::System(Language::Korean);
    [
        (system, 1),
        (system, 2),
        (PromptName::Personal(user(1).user_id), 1),
    ]
    .map(|(name, version)| Prompt {
        name,
        version,
        body: format!("조용히 {version}"),
        created_at: Some(at(9)),
    })
    .into()
}

/// What somebody who lived with the first version has left, in the columns that it had.
fn left(id: Id) -> String {
    let user = user(1);
    let session = session();
    let mut sql = format!(
        "INSERT INTO users (user_id, name, email, password_hash, token_epoch, created_at)
         VALUES ({}, '{}', '{}', 'hash', 0, {});
         INSERT INTO sessions (session_id, user_id, emotion_label, topic, started_at)
         VALUES ({}, {}, '슬픔', '일', {});",
        id(user.user_id.0),
        user.name,
        user.email.as_str(),
        user.created_at.as_micros(),
        id(session.session_id.0),
        id(user.user_id.0),
        session.started_at.as_micros(),
    );
    for step in steps() {
        let (lease, end) = match step.status {
            StepStatus::Pending => (at(60).as_micros().to_string(), "NULL".to_owned()),
            _ => ("NULL".to_owned(), at(50).as_micros().to_string()),
        };
        let values = [
            id(step.step_id.0),
            id(step.session_id.0),
            step.step_order.to_string(),
            text(Some(step.step_type.as_str())),
            text(Some(&step.user_input)),
            text(Some(&step.gpt_response)),
            text(Some(step.status.as_str())),
            text(step.finish_reason.map(FinishReason::as_str)),
            text(step.message_id.as_ref().map(MessageId::as_str)),
            text(step.model.as_deref()),
            text(step.prompt_version.as_deref()),
            step.output_tokens
                .map_or("NULL".to_owned(), |n| n.to_string()),
            lease,
            step.created_at.as_micros().to_string(),
            end,
        ];
        let _ = write!(
            sql,
            "INSERT INTO steps (step_id, session_id, step_order, step_type, user_input,
                 gpt_response, status, finish_reason, message_id, model, prompt_version,
                 output_tokens, lease_until, created_at, finished_at) VALUES ({});",
            values.join(", ")
        );
    }
    for prompt in prompts() {
        let owner = match prompt.name {
            PromptName::Personal(user_id) => id(user_id.0),
            PromptName::System(_) => "NULL".to_owned(),
        };
        let _ = write!(
            sql,
            "INSERT INTO prompts (name, version, user_id, body, created_at)
             VALUES ('{}', {}, {owner}, '{}', {});",
            prompt.name.key(),
            prompt.version,
            prompt.body,
            at(9).as_micros(),
        );
    }
    sql
}

/// Reads all of it by the store, and lives on with it.
async fn everything_is_there(store: &dyn Store) {
    let (user, session) = (user(1), session());
    let found = store.user_by_email(user.email.clone()).await.unwrap();
    assert_eq!(found, Some((user.clone(), "hash".to_owned())));
    let found = store.sessions(user.user_id, None, None).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&session));
    let (user_id, session_id) = (user.user_id, session.session_id);
    let found = store.steps(user_id, session_id, 0, None).await.unwrap();
    assert_eq!(found, Some(steps()));
    let [one, two, own] = &prompts()[..] else {
        panic!("three prompts")
    };
    let found = store.prompts().await.unwrap();
    assert_eq!(found, [two.clone(), own.clone()]);
    let found = store.prompt_history(one.name).await.unwrap();
    assert_eq!(found, [two.clone(), one.clone()]);
    let keys = store.claim_keys("print".into()).await.unwrap();
    assert_eq!(keys, "print");
    // The turn that ran is still the only one until somebody closes it.
    let mut begin = words(user_id, session_id, "또");
    assert_eq!(store.begin_step(begin.clone()).await.unwrap(), Begun::Busy);
    assert_eq!(store.close_orphans(at(61), at(62)).await.unwrap(), 1);
    let begun = store.begin_step(begin.clone()).await.unwrap();
    assert_eq!(begun, Begun::Started { step_order: 6 });
    begin.message_id.clone_from(&steps()[0].message_id);
    let repeated = store.begin_step(begin).await.unwrap();
    assert_eq!(repeated, Begun::Repeated(Box::new(steps()[0].clone())));
    assert_eq!(store.schema_version().await.unwrap(), SCHEMA_VERSION);
}

#[tokio::test]
async fn postgres_comes_up_from_every_earlier_version_with_people_in_it() {
    for version in 1..=MIGRATIONS.len() {
        let url = cluster().database().await;
        let store = store(&url).await;
        store
            .migrate_by(START, &MIGRATIONS[..version])
            .await
            .unwrap();
        let client = connect(&url).await;
        client.batch_execute(&left(of_postgres)).await.unwrap();
        store.migrate(START).await.unwrap();
        everything_is_there(&store).await;
    }
}

/// The migrations of SQLite, which the program does not show, in their order.
fn scripts() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations/sqlite");
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path| std::fs::read_to_string(path).unwrap();
    files.into_iter().map(read).collect()
}

#[tokio::test]
async fn sqlite_comes_up_from_every_earlier_version_with_people_in_it() {
    let scripts = scripts();
    assert_eq!(
        scripts.len(),
        MIGRATIONS.len(),
        "a file a version, in both dialects"
    );
    for version in 1..=scripts.len() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        for script in &scripts[..version] {
            connection.execute_batch(script).unwrap();
        }
        connection
            .pragma_update(None, "user_version", i64::try_from(version).unwrap())
            .unwrap();
        connection.execute_batch(&left(of_sqlite)).unwrap();
        drop(connection);
        let store = SqliteStore::open(&file, &ManualClock::new(START)).unwrap();
        everything_is_there(&store).await;
    }
}
