//! A whole database goes into an empty one: the engine of `deepme db copy` on both backends.

mod failures;
mod schema;

use crate::cluster::{cluster, connect};
use crate::contract::{at, finished, message, person, session_of, settings, turn, words};
use deepme::domain::keyring::WrappedKey;
use deepme::domain::login::Ticket;
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::session::Labels;
use deepme::domain::step::{FinishReason, Marks, StepStatus};
use deepme::domain::time::ManualClock;
use deepme::domain::transcript::Summary;
use deepme::domain::usage::{Day, Tokens};
use deepme::domain::user::Email;
use deepme::domain::{Result, UserId};
use deepme::store::SCHEMA_VERSION;
use deepme::store::copy::tables::TABLES;
use deepme::store::copy::{Copied, PAGE, Phase, Progress, Sink, Source, copy};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::sqlite::SqliteStore;
use deepme::store::{BeginStep, FinishStep, Fold, PutCard, Store, StoredCard};
use futures_util::future::join_all;
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
            Self::File(_) => SqliteStore::sink(self.path(), SCHEMA_VERSION).await,
            Self::Server(store, _) => store.sink(SCHEMA_VERSION).await,
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
        .change_password(crate::contract::logins::change(
            other,
            "hash 2",
            "또 다른 해시",
            8,
        ))
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
            marks: Marks {
                emotion: (n > 1).then(|| "감정".to_owned()),
                correction: (n > 2).then(|| "정정".to_owned()),
                safety_tier: (n > 1).then(|| "tier".to_owned()),
            },
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
        assert!(store.finish_step(finish).await.unwrap().is_some());
    }
    turn(store, user_id, full.session_id, "", &"긴 답".repeat(20_000)).await;
    let begin = |n| store.begin_step(words(user_id, session_of(user_id, n).session_id, "words"));
    for begun in join_all((2..2 + STEPS).map(begin)).await {
        begun.unwrap();
    }
    for (until, day) in [(2, 2), (4, 3 * 24 * 3600)] {
        let fold = Fold {
            session_id: full.session_id,
            after: until - 2,
            summary: Summary {
                until,
                text: "지금까지 👩‍👩‍👧".to_owned(),
            },
            charge: Tokens {
                input: i64::MAX / 2,
                output: 7,
            },
            at: at(day),
        };
        assert!(store.fold(fold).await.unwrap());
    }
    let card = PutCard {
        user_id,
        card: StoredCard {
            session_id: full.session_id,
            body: "카드".to_owned(),
            quotes: None,
            made_at: at(3),
        },
        labels: Labels {
            insight_tag: Some("tag".to_owned()),
            ..Labels::default()
        },
        charge: Tokens::default(),
    };
    assert!(store.put_card(card).await.unwrap());
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
    let key = WrappedKey {
        user_id,
        master: "m".to_owned(),
        wrapped: "w".to_owned(),
    };
    store.add_data_key(key).await.unwrap().unwrap();
    let login = crate::contract::logins::login(user_id, 9);
    assert!(store.add_login(login.clone()).await.unwrap());
    store
        .end_login(user_id, login.login_id, at(3))
        .await
        .unwrap();
    for origin in [None, Some("https://app.example.com".to_owned())] {
        let ticket = Ticket {
            hash: format!("{origin:?}"),
            user_id,
            login_id: login.login_id,
            epoch: 7,
            origin,
            token_expires_at: at(9),
            expires_at: at(30),
        };
        store.add_ticket(ticket).await.unwrap();
    }
    store.add_recovery(other, "c".into(), at(9)).await.unwrap();
    store.add_invite("i".into(), at(1), at(9)).await.unwrap();
    let access = crate::contract::rights::access(user_id, 1, 9);
    assert!(store.add_access(access).await.unwrap());
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
        ("keyring", 1),
        // One came with the change of a password.
        ("logins", 2),
        ("tickets", 2),
        ("recoveries", 1),
        ("invites", 1),
        ("revocations", 2),
        ("sessions", sessions),
        ("steps", steps),
        ("cards", 1),
        ("usage", 2),
        ("accesses", 1),
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
        let used = store.usage(user_id, Day::of(at(2))).await.unwrap();
        let ids: Vec<_> = sessions.iter().map(|s| s.session_id).collect();
        let mut summaries = Vec::new();
        for session_id in ids {
            let briefing = store.briefing(session_id, 1, 0, Vec::new()).await;
            summaries.extend(briefing.unwrap().summary);
        }
        assert_eq!((used.tokens.output, summaries.len()), (7, 1));
        assert_eq!(store.claim_keys("other".to_owned()).await.unwrap(), "abc");
        told.insert(format!(
            "{sessions:?} {steps:?} {user:?} {history:?} {prompts:?} {used:?} {summaries:?}"
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
