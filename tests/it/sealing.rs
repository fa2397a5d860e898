//! Words at rest: nobody reads them without the keys, and the keys are not where the words are.

use crate::cluster::{cluster, connect};
use crate::contract::{at, session_of, user};
use crate::support::{START, Server, on_postgres, postgres};
use deepme::auth::SystemRandom;
use deepme::auth::masters::Masters;
use deepme::auth::seal::MasterKeys;
use deepme::config::Config;
use deepme::domain::prompt::PromptName;
use deepme::domain::time::ManualClock;
use deepme::domain::{SessionId, UserId};
use deepme::llm::scripted::answer;
use deepme::service::vault::{rewrap, seal_old};
use deepme::service::{App, Parts};
use deepme::store::postgres::{MIGRATIONS, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{Store, Unsealed};
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// What is said, and must be found nowhere.
const CANARIES: [&str; 6] = [
    "카나리아가 운다",
    "노란 깃털",
    "새장 이야기",
    "열린 문",
    "작은 새라고 불러 줘",
    "지난 이야기의 요약",
];

/// Everything that is on the disk under a directory.
pub fn bytes_under(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(bytes_under(&path));
        } else {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    bytes
}

/// Every row of every table.
async fn rows_of(url: &str) -> Vec<u8> {
    let client = connect(url).await;
    let tables = client
        .query(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
            &[],
        )
        .await
        .unwrap();
    let mut bytes = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        let rows = client
            .query(&format!("SELECT t::text FROM {table} t"), &[])
            .await
            .unwrap();
        for row in rows {
            bytes.extend(row.get::<_, String>(0).into_bytes());
        }
    }
    bytes
}

pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// What is stored of a server, in its files or in its database.
async fn stored(server: &Server) -> Vec<u8> {
    if on_postgres() {
        rows_of(&std::fs::read_to_string(server.database()).unwrap()).await
    } else {
        bytes_under(server.dir.path())
    }
}

#[tokio::test]
async fn security_21_what_is_stored_holds_no_word_of_what_was_said() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let labels = CreateSessionRequest {
        topic: Some(CANARIES[2].to_owned()),
        insight_tag: Some(CANARIES[3].to_owned()),
        ..CreateSessionRequest::default()
    };
    let session = jiwoo.client.create_session(&labels).await.unwrap();
    jiwoo.client.set_prompt(CANARIES[4]).await.unwrap();
    server.script(answer(&[CANARIES[1], "이 예쁘네요."]));
    let said = GenerateRequest {
        session_id: Some(session.session_id),
        user_input: CANARIES[0].to_owned(),
        message_id: Some("canary-message".to_owned()),
        ..GenerateRequest::default()
    };
    jiwoo.client.generate(&said).await.unwrap();
    let bytes = stored(&server).await;
    for canary in CANARIES {
        assert!(!holds(&bytes, canary), "{canary}");
    }
    // It was looked for in the right place.
    assert!(holds(&bytes, "canary-message") && holds(&bytes, "jiwoo@example.com"));
    // Who it belongs to reads it as it was said.
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps[0].user_input, CANARIES[0]);
    assert_eq!(
        steps[0].gpt_response,
        format!("{}이 예쁘네요.", CANARIES[1])
    );
    let session = jiwoo.client.session(session.session_id).await.unwrap();
    assert_eq!(session.topic.as_deref(), Some(CANARIES[2]));
    assert_eq!(jiwoo.client.prompt().await.unwrap().prompt, CANARIES[4]);
    let asked = server.model.asked();
    assert!(asked[0].messages[0].content.contains(CANARIES[4]));
}

#[tokio::test]
async fn security_21_a_row_that_was_moved_or_written_by_others_does_not_open() {
    let server = Server::embedded().await;
    let jiwoo = server.person("jiwoo").await;
    let mut session_id = None;
    for words in ["하나", "둘"] {
        server.script(answer(&["응"]));
        let said = GenerateRequest {
            session_id,
            user_input: words.to_owned(),
            ..GenerateRequest::default()
        };
        session_id = Some(jiwoo.client.generate(&said).await.unwrap().session_id);
    }
    let session_id = session_id.unwrap();
    let connection = rusqlite::Connection::open(server.database()).unwrap();
    for change in [
        "UPDATE steps SET user_input = (SELECT user_input FROM steps WHERE step_order = 2)
         WHERE step_order = 1",
        "UPDATE steps SET user_input = gpt_response WHERE step_order = 1",
        "UPDATE steps SET user_input = 'in clear' WHERE step_order = 1",
    ] {
        jiwoo.client.steps(session_id).await.unwrap();
        connection
            .execute_batch("BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM steps; COMMIT")
            .unwrap();
        assert_eq!(connection.execute(change, []).unwrap(), 1, "{change}");
        let refused = jiwoo.client.steps(session_id).await.unwrap_err();
        assert!(
            refused.to_string().contains("something went wrong"),
            "{refused}"
        );
        connection
            .execute_batch(
                "UPDATE steps SET user_input = (SELECT user_input FROM kept WHERE kept.step_id = steps.step_id);
                 DROP TABLE kept",
            )
            .unwrap();
    }
}

/// What somebody said when words were stored as they are; the columns of the third version.
async fn lived_in(execute: impl AsyncFn(String), id: fn(Uuid) -> String) {
    let (user, session) = (user(1), session_of(user(1).user_id, 1));
    let (me, talk) = (id(user.user_id.0), id(session.session_id.0));
    let at = at(0).as_micros();
    let step = id(Uuid::from_u128(5));
    execute(format!(
        "INSERT INTO users (user_id, name, email, password_hash, created_at)
         VALUES ({me}, '지우', 'jiwoo@example.com', '!', {at});
         INSERT INTO sessions (session_id, user_id, topic, insight_tag, started_at, summary, summary_until)
         VALUES ({talk}, {me}, '{}', '{}', {at}, '{}', 1);
         INSERT INTO steps (step_id, session_id, step_order, step_type, user_input, gpt_response, status,
                            created_at, finished_at)
         VALUES ({step}, {talk}, 1, 'normal', '{}', '{}', 'complete', {at}, {at});
         INSERT INTO prompts (name, version, user_id, body, created_at)
         VALUES ('user:{}', 1, {me}, '{}', {at}), ('ko', 1, NULL, '서버의 말', {at})",
        CANARIES[2],
        CANARIES[3],
        CANARIES[5],
        CANARIES[0],
        CANARIES[1],
        user.user_id,
        CANARIES[4],
    ))
    .await;
}

/// A program over a store whose people were sealed with these keys.
fn program(store: Arc<dyn Store>, masters: MasterKeys) -> Arc<App> {
    App::new(Parts {
        config: Config::default(),
        store,
        bulletin: None,
        models: Vec::new(),
        keys: deepme::auth::keys::Keys::generate(&SystemRandom).unwrap(),
        masters: Masters::fixed(masters),
        witness: None,
        backups: None,
        clock: Arc::new(ManualClock::new(START)),
        random: Arc::new(SystemRandom),
    })
    .unwrap()
}

async fn everything_is_there(app: &App) {
    let (me, talk) = (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(1)));
    let session = app.session(me, talk).await.unwrap();
    assert_eq!(session.labels.topic.as_deref(), Some(CANARIES[2]));
    assert_eq!(session.labels.insight_tag.as_deref(), Some(CANARIES[3]));
    assert_eq!(session.labels.emotion_label, None);
    let steps = app.steps(me, talk, 0, None).await.unwrap();
    assert_eq!(steps[0].user_input, CANARIES[0]);
    assert_eq!(steps[0].gpt_response, CANARIES[1]);
    let own = app.personal_prompt(me).await.unwrap();
    assert_eq!(own.body, CANARIES[4]);
    let language = deepme::domain::prompt::Language::Korean;
    let servers = app.prompt(PromptName::System(language), None);
    assert_eq!(servers.await.unwrap().body, "서버의 말");
}

#[tokio::test]
async fn words_of_before_are_sealed_in_sqlite_and_leave_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.db");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations/sqlite");
    let connection = rusqlite::Connection::open(&file).unwrap();
    for script in ["0001_init.sql", "0002_meta.sql", "0003_usage.sql"] {
        let sql = std::fs::read_to_string(scripts.join(script)).unwrap();
        connection.execute_batch(&sql).unwrap();
    }
    connection.pragma_update(None, "user_version", 3).unwrap();
    lived_in(
        async |sql| connection.execute_batch(&sql).unwrap(),
        |id| format!("x'{}'", id.simple()),
    )
    .await;
    drop(connection);
    assert!(
        CANARIES
            .iter()
            .all(|canary| holds(&bytes_under(dir.path()), canary))
    );

    let store = SqliteStore::open(&file, &ManualClock::new(START)).unwrap();
    let state = || SqliteStore::state(&file).unwrap();
    assert_eq!(state().unsealed, Unsealed::Words);
    let refused = state().check().unwrap_err();
    assert!(refused.message().contains("deepme migrate up"), "{refused}");
    let masters = MasterKeys::generate(&SystemRandom).unwrap();
    // One that is broken off leaves everything as it was.
    drop(SqliteStore::sealing(file.clone()).await.unwrap());
    assert_eq!(state().unsealed, Unsealed::Words);
    let sealing = SqliteStore::sealing(file.clone()).await.unwrap();
    seal_old(sealing, &masters, &SystemRandom, &|_| ())
        .await
        .unwrap();
    assert_eq!(state().unsealed, Unsealed::Traces);
    state().check().unwrap_err();
    let path = file.clone();
    let removed = tokio::task::spawn_blocking(move || SqliteStore::remove_traces(&path));
    removed.await.unwrap().unwrap();
    assert_eq!(state().unsealed, Unsealed::Nothing);
    state().check().unwrap();
    let bytes = bytes_under(dir.path());
    for canary in CANARIES {
        assert!(!holds(&bytes, canary), "{canary}");
    }
    everything_is_there(&program(Arc::new(store), masters)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_before_are_sealed_in_postgresql() {
    let url = cluster().database().await;
    let settings = crate::contract::settings(&url);
    let connector = deepme::store::postgres::Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate_by(START, &MIGRATIONS[..3]).await.unwrap();
    let client = connect(&url).await;
    lived_in(
        async |sql| client.batch_execute(&sql).await.unwrap(),
        |id| format!("'{id}'"),
    )
    .await;
    assert!(holds(&rows_of(&url).await, CANARIES[0]));
    store.migrate(START).await.unwrap();
    assert_eq!(store.state().await.unwrap().unsealed, Unsealed::Words);
    let masters = MasterKeys::generate(&SystemRandom).unwrap();
    let sealing = store.sealing().await.unwrap();
    seal_old(sealing, &masters, &SystemRandom, &|_| ())
        .await
        .unwrap();
    assert_eq!(store.state().await.unwrap().unsealed, Unsealed::Traces);
    store.remove_traces().await.unwrap();
    store.state().await.unwrap().check().unwrap();
    let bytes = rows_of(&url).await;
    for canary in CANARIES {
        assert!(!holds(&bytes, canary), "{canary}");
    }
    everything_is_there(&program(Arc::new(store), masters)).await;
}

#[tokio::test]
async fn a_master_key_is_rotated_under_a_server_that_runs() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(answer(&["응"]));
    let said = |words: &str| GenerateRequest {
        user_input: words.to_owned(),
        ..GenerateRequest::default()
    };
    let step = jiwoo.client.generate(&said("하나")).await.unwrap();
    let file = server.dir.path().join("data/master.key");
    let old = MasterKeys::load(&file).unwrap().unwrap();
    let new = old.rotated(&SystemRandom).unwrap();
    new.replace(&file).unwrap();
    // Another server on the same database wraps with the new one already; this one has not read it yet.
    let raw: Arc<dyn Store> = if on_postgres() {
        let url = std::fs::read_to_string(server.database()).unwrap();
        Arc::new(postgres(&url).await.0)
    } else {
        let clock = ManualClock::new(START);
        Arc::new(SqliteStore::open(&server.database(), &clock).unwrap())
    };
    let raw = &*raw;
    let minji = server.person("minji").await;
    let (_, fresh) = new.fresh(minji.user_id, &SystemRandom).unwrap();
    raw.add_data_key(fresh).await.unwrap().unwrap();
    server.script(answer(&["네"]));
    minji.client.generate(&said("둘")).await.unwrap();
    let done = rewrap(raw, &new, &SystemRandom, &|_| ()).await.unwrap();
    assert_eq!(done.keys, 1, "the other one is already");
    assert_eq!(raw.masters().await.unwrap(), [new.current()]);
    let again = rewrap(raw, &new, &SystemRandom, &|_| ()).await.unwrap();
    assert_eq!(again.keys, 0);
    let steps = jiwoo.client.steps(step.session_id).await.unwrap();
    assert_eq!(steps[0].user_input, "하나");
    // Who starts with the new key alone reads everything.
    let only_new = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, only_new.lines().next().unwrap()).unwrap();
    let dir = Arc::clone(&server.dir);
    let token = jiwoo.token.clone();
    server.shut_down().await;
    let server = Server::on(dir, Config::default(), None).await;
    let jiwoo = server.stranger().with_token(&token).unwrap();
    let steps = jiwoo.steps(step.session_id).await.unwrap();
    assert_eq!(steps[0].user_input, "하나");
}
