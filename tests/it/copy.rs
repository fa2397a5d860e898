//! A whole database goes into an empty one: the engine of `deepme db copy` on both backends.

use crate::cluster::{cluster, connect};
use crate::contract::{at, finished, message, person, session_of, settings, turn, words};
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::session::Labels;
use deepme::domain::step::{FinishReason, StepStatus};
use deepme::domain::time::ManualClock;
use deepme::domain::user::Email;
use deepme::domain::{Error, ErrorCode, Result, UserId};
use deepme::store::copy::tables::{Kind, TABLES, Table};
use deepme::store::copy::{Copied, Failure, Left, PAGE, Phase, Progress, Row, Sink, Source, copy};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{BeginStep, FinishStep, Store};
use futures_util::future::{BoxFuture, join_all};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A database with an up-to-date schema.
enum Place {
    File(TempDir),
    Server(Box<PostgresStore>, String),
}

impl Place {
    fn file() -> Self {
        let place = Self::File(tempfile::tempdir().unwrap());
        drop(SqliteStore::open(&place.path(), &ManualClock::new(at(0))).unwrap());
        place
    }

    async fn server() -> Self {
        let url = cluster().database().await;
        let settings = settings(&url);
        let connector = Connector::parse(&settings).unwrap();
        let store = PostgresStore::connect(&connector, &settings).await.unwrap();
        store.migrate(at(0)).await.unwrap();
        Self::Server(Box::new(store), url)
    }

    /// One of each kind.
    async fn both() -> [Self; 2] {
        [Self::file(), Self::server().await]
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::File(dir) => dir.path().join("t.db"),
            Self::Server(..) => panic!("no file"),
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::File(_) => {
                Arc::new(SqliteStore::open(&self.path(), &ManualClock::new(at(0))).unwrap())
            }
            Self::Server(store, _) => Arc::new(PostgresStore::clone(store)),
        }
    }

    async fn source(&self) -> Box<dyn Source> {
        match self {
            Self::File(_) => SqliteStore::source(self.path()).await.unwrap(),
            Self::Server(store, _) => store.source().await.unwrap(),
        }
    }

    async fn sink(&self) -> Result<Box<dyn Sink>> {
        match self {
            Self::File(_) => SqliteStore::sink(self.path()).await,
            Self::Server(store, _) => store.sink().await,
        }
    }

    /// Something that is no business of the store.
    async fn execute(&self, sqlite: &str, postgres: &str) {
        match self {
            Self::File(_) => {
                let connection = rusqlite::Connection::open(self.path()).unwrap();
                connection.execute_batch(sqlite).unwrap();
            }
            Self::Server(_, url) => connect(url).await.batch_execute(postgres).await.unwrap(),
        }
    }

    async fn is_empty(&self) -> bool {
        let mut source = self.source().await;
        let mut rows = 0;
        for table in TABLES {
            rows += source.count(table).await.unwrap();
        }
        rows == 0
    }
}

/// Sessions in a lived-in database: two full pages.
const SESSIONS: u128 = 2 * PAGE as u128;
/// Steps beside those of every end: a page and one.
const STEPS: u128 = PAGE as u128 + 1;

/// Everything that there can be, more than a page of it, and text of every kind.
async fn lived_in(store: &dyn Store) -> UserId {
    let user_id = person(store, 1).await;
    let other = person(store, 2).await;
    store
        .change_password(other, "hash 2".to_owned(), "또 다른 해시".to_owned())
        .await
        .unwrap()
        .unwrap();
    let mut full = session_of(user_id, 1);
    full.labels = Labels {
        emotion_label: Some("슬픔 😢".to_owned()),
        topic: Some("e\u{301} 와 é".to_owned()),
        trigger_summary: Some("\r\n\t\"'\\".to_owned()),
        insight_summary: Some(String::new()),
        insight_tag: Some("\u{feff}\u{200d}".to_owned()),
    };
    store.add_session(full.clone()).await.unwrap();
    let add = |n| store.add_session(session_of(user_id, n));
    for added in join_all((2..=SESSIONS).map(add)).await {
        added.unwrap();
    }
    let ends = [
        (
            StepStatus::Complete,
            Some(FinishReason::Length),
            Some(i64::MAX),
        ),
        (
            StepStatus::Complete,
            Some(FinishReason::ContentFilter),
            Some(i64::MIN),
        ),
        (StepStatus::Cancelled, None, None),
        (StepStatus::Interrupted, None, Some(0)),
        (StepStatus::Failed, None, None),
    ];
    for (n, (status, finish_reason, output_tokens)) in (1..).zip(ends) {
        let begin = BeginStep {
            message_id: Some(message(&format!("m-{n}"))),
            ..words(
                user_id,
                full.session_id,
                "👩‍👩‍👧 가각힣 ｈａｌｆ \u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            )
        };
        let step_id = begin.step_id;
        store.begin_step(begin).await.unwrap();
        let finish = FinishStep {
            status,
            finish_reason,
            output_tokens,
            model: None,
            prompt_version: None,
            ..finished(step_id, "그랬군요.\n\n…")
        };
        assert!(store.finish_step(finish).await.unwrap());
    }
    turn(store, user_id, full.session_id, "", &"긴 답".repeat(20_000)).await;
    let begin = |n| store.begin_step(words(user_id, session_of(user_id, n).session_id, "words"));
    for begun in join_all((2..2 + STEPS).map(begin)).await {
        begun.unwrap();
    }
    let ended = session_of(user_id, SESSIONS).session_id;
    store.end_session(user_id, ended, at(9)).await.unwrap();
    for name in [
        PromptName::System(Language::Korean),
        PromptName::Personal(other),
    ] {
        for body in ["첫째", "second 👋"] {
            store
                .add_prompt(name, body.to_owned(), at(3))
                .await
                .unwrap();
        }
    }
    store.claim_keys("abc".to_owned()).await.unwrap();
    user_id
}

async fn copied(from: &Place, to: &Place) -> Vec<Copied> {
    let mut source = from.source().await;
    let sink = to.sink().await.unwrap();
    copy(&mut *source, sink, &CancellationToken::new(), &|_| ())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lived_in_database_goes_everywhere_and_stays_the_same() {
    let first = Place::file();
    let user_id = lived_in(&*first.store()).await;
    let places = [
        first,
        Place::server().await,
        Place::server().await,
        Place::file(),
        Place::file(),
    ];
    let mut reports = Vec::new();
    for pair in places.windows(2) {
        reports.push(copied(&pair[0], &pair[1]).await);
    }
    let rows: Vec<(&str, u64)> = reports[0].iter().map(|c| (c.table, c.rows)).collect();
    let (sessions, steps) = (
        SESSIONS.try_into().unwrap(),
        6 + u64::try_from(STEPS).unwrap(),
    );
    let wanted = [
        ("meta", 1),
        ("users", 2),
        ("sessions", sessions),
        ("steps", steps),
        ("prompts", 4),
    ];
    assert_eq!(rows, wanted);
    for report in &reports[1..] {
        assert_eq!(report, &reports[0]);
    }
    // What the store says of them, which knows nothing of copies.
    let mut told = BTreeSet::new();
    for place in &places {
        let store = place.store();
        let sessions = store.sessions(user_id, None, None).await.unwrap();
        let mut steps = Vec::new();
        for session in &sessions {
            steps.push(
                store
                    .steps(user_id, session.session_id, 0, None)
                    .await
                    .unwrap(),
            );
        }
        let email = Email::parse("PERSON2@example.com").unwrap();
        let user = store.user_by_email(email).await.unwrap().unwrap();
        let history = store
            .prompt_history(PromptName::Personal(user.0.user_id))
            .await
            .unwrap();
        let prompts = store.prompts().await.unwrap();
        assert_eq!(store.claim_keys("other".to_owned()).await.unwrap(), "abc");
        told.insert(format!(
            "{sessions:?} {steps:?} {user:?} {history:?} {prompts:?}"
        ));
    }
    assert_eq!(told.len(), 1);
    assert!(told.first().unwrap().contains("Pending"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_on_the_way_adds_up() {
    let [from, to] = [Place::file(), Place::file()];
    lived_in(&*from.store()).await;
    let seen = Mutex::new(Vec::new());
    let tell = |progress: Progress| seen.lock().unwrap().push(progress);
    let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
    let report = copy(&mut *source, sink, &CancellationToken::new(), &tell)
        .await
        .unwrap();
    let seen = seen.into_inner().unwrap();
    for phase in [Phase::Copying, Phase::Verifying] {
        for copied in &report {
            let of_it = |p: &&Progress| p.phase == phase && p.table == copied.table;
            let done: Vec<u64> = seen.iter().filter(of_it).map(|p| p.done).collect();
            assert_eq!(
                done.last(),
                Some(&copied.rows),
                "{phase:?} {}",
                copied.table
            );
            assert!(done.is_sorted() && done.windows(2).all(|w| w[1] - w[0] <= u64::from(PAGE)));
            assert_eq!(
                seen.iter()
                    .filter(of_it)
                    .filter(|p| p.done == p.rows)
                    .count(),
                1
            );
        }
    }
}

/// A source that does something before its `turn`th page.
struct Watched<'a, F> {
    inner: Box<dyn Source>,
    pages: usize,
    before: &'a F,
}

impl<F> Source for Watched<'_, F>
where
    F: Fn(usize) -> BoxFuture<'static, Result<()>> + Sync,
{
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>> {
        self.inner.count(table)
    }

    fn page(
        &mut self,
        table: &'static Table,
        after: Option<Row>,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        self.pages += 1;
        let before = (self.before)(self.pages);
        Box::pin(async move {
            before.await?;
            self.inner.page(table, after).await
        })
    }
}

async fn copied_with<F>(from: &Place, to: &Place, before: &F) -> Result<Vec<Copied>, Failure>
where
    F: Fn(usize) -> BoxFuture<'static, Result<()>> + Sync,
{
    let inner = from.source().await;
    let mut source = Watched {
        inner,
        pages: 0,
        before,
    };
    let sink = to.sink().await.unwrap();
    copy(&mut source, sink, &CancellationToken::new(), &|_| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_source_is_read_as_it_was_at_one_moment() {
    for from in Place::both().await {
        let store = from.store();
        person(&*store, 1).await;
        let to = Place::file();
        let writing = |page| -> BoxFuture<'static, Result<()>> {
            let store = Arc::clone(&store);
            Box::pin(async move {
                // The first page is that of a table before users.
                if page <= 2 {
                    person(&*store, 10 + page as u128).await;
                }
                Ok(())
            })
        };
        let report = copied_with(&from, &to, &writing).await.unwrap();
        // A snapshot begins with its first statement, which is the first count.
        let users = report.iter().find(|c| c.table == "users").unwrap();
        assert_eq!(users.rows, 1);
        assert_eq!(
            store.users(None, 9).await.unwrap().len(),
            3,
            "they were written"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_or_is_interrupted_leaves_nothing() {
    let from = Place::file();
    lived_in(&*from.store()).await;
    for to in Place::both().await {
        // In the middle of the sessions, of which a page is there already.
        let failing = |page| -> BoxFuture<'static, Result<()>> {
            Box::pin(async move {
                if page == 4 {
                    Err(Error::unavailable("gone"))
                } else {
                    Ok(())
                }
            })
        };
        let failure = copied_with(&from, &to, &failing).await.unwrap_err();
        assert_eq!(
            (failure.left, failure.error.code()),
            (Left::Nothing, ErrorCode::Unavailable)
        );

        let stop = CancellationToken::new();
        let tell = |progress: Progress| {
            if progress.table == "steps" {
                stop.cancel();
            }
        };
        let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
        let failure = copy(&mut *source, sink, &stop, &tell).await.unwrap_err();
        assert_eq!(
            (failure.left, failure.error.code()),
            (Left::Nothing, ErrorCode::Interrupted)
        );

        assert!(to.is_empty().await);
        // It can be tried again at once.
        let report = copied(&from, &to).await;
        assert_eq!(report.len(), TABLES.len());
        let refused = to.sink().await.err().unwrap();
        assert_eq!(refused.code(), ErrorCode::Config);
        assert!(refused.message().contains("not empty"), "{refused}");
    }
}

/// A target that keeps something else than it was given is found out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_back_is_compared() {
    let from = Place::file();
    person(&*from.store(), 1).await;
    for to in Place::both().await {
        to.execute(
            "CREATE TRIGGER wrong AFTER INSERT ON users BEGIN UPDATE users SET name = name || ' '; END",
            "CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN NEW.name := NEW.name || ' '; RETURN NEW; END $$;
             CREATE TRIGGER wrong BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION wrong()",
        )
        .await;
        let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
        let failure = copy(&mut *source, sink, &CancellationToken::new(), &|_| ())
            .await
            .unwrap_err();
        assert_eq!(failure.left, Left::Unverified);
        assert!(
            failure.error.message().contains("users"),
            "{}",
            failure.error
        );
    }
}

/// An earlier version stored it; PostgreSQL cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_the_target_cannot_store_is_named_by_its_column() {
    let [from, to] = Place::both().await;
    person(&*from.store(), 1).await;
    from.execute("UPDATE users SET name = 'a' || char(0) || 'canary'", "")
        .await;
    let (mut source, sink) = (from.source().await, to.sink().await.unwrap());
    let failure = copy(&mut *source, sink, &CancellationToken::new(), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(failure.left, Left::Nothing);
    assert!(
        failure.error.message().contains("users.name"),
        "{}",
        failure.error
    );
    assert!(!format!("{:?}", failure.error).contains("canary"));
    assert!(to.is_empty().await);
}

/// Table, column, kind, place in the primary key (0: none).
type Found = BTreeSet<(String, String, Kind, i64)>;

fn kind(name: &str) -> Kind {
    match name {
        "BLOB" | "uuid" => Kind::Id,
        "INTEGER" | "int8" => Kind::Integer,
        "TEXT" | "text" => Kind::Text,
        other => panic!("a column of type {other}: teach it to store::copy"),
    }
}

/// A later migration cannot forget the copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_columns_is_what_both_schemas_have() {
    let mut told = Found::new();
    for table in TABLES {
        for (n, column) in (1..).zip(table.columns) {
            let place = if n <= table.key {
                i64::try_from(n).unwrap()
            } else {
                0
            };
            told.insert((
                table.name.to_owned(),
                column.name.to_owned(),
                column.kind,
                place,
            ));
        }
    }
    let [file, server] = Place::both().await;
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m, pragma_table_xinfo(m.name) c
             WHERE m.type = 'table'",
        )
        .unwrap();
    let found: Found = statement
        .query_map([], |row| {
            let name: String = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, kind(&name), row.get(3)?))
        })
        .unwrap()
        .map(rusqlite::Result::unwrap)
        .collect();
    assert_eq!(found, told, "SQLite");

    let Place::Server(_, url) = &server else {
        unreachable!()
    };
    let client = connect(url).await;
    let rows = client
        .query(
            "SELECT c.relname::text, a.attname::text, t.typname::text,
                    coalesce(array_position(i.indkey::int2[], a.attnum), -1)::bigint + 1,
                    l.collname::text
             FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             JOIN pg_type t ON t.oid = a.atttypid
             LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
             LEFT JOIN pg_collation l ON l.oid = a.attcollation
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
               AND c.relname <> 'schema_migrations'",
            &[],
        )
        .await
        .unwrap();
    let found: Found = rows
        .iter()
        .map(|row| {
            let (place, collation): (i64, Option<&str>) = (row.get(3), row.get(4));
            // The same order as in SQLite.
            assert!(
                place == 0 || collation.is_none_or(|name| name == "C"),
                "{row:?}"
            );
            (row.get(0), row.get(1), kind(row.get(2)), place)
        })
        .collect();
    assert_eq!(found, told, "PostgreSQL");

    // A table stands after those it refers to.
    let rows = client
        .query(
            "SELECT r.relname::text, f.relname::text FROM pg_constraint k
             JOIN pg_class r ON r.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
             WHERE k.contype = 'f'",
            &[],
        )
        .await
        .unwrap();
    let place = |name: &str| TABLES.iter().position(|table| table.name == name).unwrap();
    assert!(rows.len() >= 3);
    for row in rows {
        assert!(place(row.get(1)) < place(row.get(0)), "{row:?}");
    }
}
