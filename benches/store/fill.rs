//! What a database is filled with before it is measured, by the fastest way there is.
//!
//! Invariant: it looks like what the program itself would have stored: ids by time, four steps a
//! session, the people in turn.

use crate::cluster;
use deepme::domain::user::{Email, Role, User};
use deepme::domain::{SessionId, Timestamp, UserId};
use deepme::store::Store;
use futures_util::SinkExt as _;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::PathBuf;
use std::pin::pin;
use uuid::Uuid;

/// The people who share what is stored.
pub(crate) const PEOPLE: usize = 100;
pub(crate) const STEPS: i64 = 4;
/// Sessions that go in at once.
const PART: usize = 5_000;
/// 2026-01-01T00:00:00Z; a session begins each minute after it.
const FIRST: i64 = 1_767_225_600_000_000;

/// About 100 bytes.
pub(crate) const WORDS: &str = "요즘 일이 많아서 그런지 잠을 잘 못 자겠어요. 어떻게 하면 좋을까요?";
/// About 500 bytes.
pub(crate) fn answer() -> String {
    "많이 지치셨겠어요. 잠들기 전에 무슨 생각이 드는지 조금 더 말해 줄래요? ".repeat(5)
}

/// By which way the rows go in.
pub(crate) enum Filler {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Whose session.
pub(crate) type Talk = (UserId, SessionId);

/// The accounts, by the store itself.
pub(crate) async fn people(store: &dyn Store) -> Vec<UserId> {
    let mut people = Vec::with_capacity(PEOPLE);
    for n in 0..PEOPLE {
        let user = User {
            user_id: UserId(by_time(FIRST)),
            name: format!("사람 {n}"),
            email: Email::parse(&format!("person{n}@example.com")).unwrap(),
            role: Role::User,
            token_epoch: 0,
            disabled_at: None,
            created_at: Timestamp::from_micros(FIRST),
        };
        people.push(user.user_id);
        store.add_user(user, "hash".to_owned()).await.unwrap();
    }
    people
}

/// A version 7 id of this time.
pub(crate) fn by_time(micros: i64) -> Uuid {
    let (_, random) = Uuid::new_v4().as_u64_pair();
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(micros as u64 / 1000, &bytes).into_uuid()
}

impl Filler {
    /// Adds sessions until `talks` has `wanted` of them.
    pub(crate) async fn fill(&self, people: &[UserId], talks: &mut Vec<Talk>, wanted: usize) {
        while talks.len() < wanted {
            let part: Vec<(Talk, i64)> = (talks.len()..wanted.min(talks.len() + PART))
                .map(|n| {
                    let at = FIRST + n as i64 * 60_000_000;
                    ((people[n % PEOPLE], SessionId(by_time(at))), at)
                })
                .collect();
            match self {
                Self::Sqlite(path) => sqlite(path.clone(), part.clone()).await,
                Self::Postgres(url) => postgres(url, &part).await,
            }
            talks.extend(part.iter().map(|(talk, _)| *talk));
        }
        if let Self::Postgres(url) = self {
            // What autovacuum and the checkpointer would do within minutes.
            let client = cluster::connect(url).await;
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
            client.batch_execute("CHECKPOINT").await.unwrap();
        }
    }
}

async fn sqlite(path: PathBuf, part: Vec<(Talk, i64)>) {
    let work = move || {
        let mut connection = rusqlite::Connection::open(path).unwrap();
        let transaction = connection.transaction().unwrap();
        let answer = answer();
        for ((user, session), at) in part {
            transaction
                .prepare_cached(
                    "INSERT INTO sessions (session_id, user_id, started_at) VALUES (?1, ?2, ?3)",
                )
                .unwrap()
                .execute(rusqlite::params![
                    session.0.as_bytes(),
                    user.0.as_bytes(),
                    at
                ])
                .unwrap();
            for order in 1..=STEPS {
                let at = at + order;
                transaction
                    .prepare_cached(
                        "INSERT INTO steps (step_id, session_id, step_order, step_type, user_input, gpt_response,
                             status, finish_reason, model, prompt_version, output_tokens, created_at, finished_at)
                         VALUES (?1, ?2, ?3, 'normal', ?4, ?5, 'complete', 'stop', 'm', 'ko@0', 90, ?6, ?6)",
                    )
                    .unwrap()
                    .execute(rusqlite::params![
                        by_time(at).as_bytes(),
                        session.0.as_bytes(),
                        order,
                        WORDS,
                        answer,
                        at
                    ])
                    .unwrap();
            }
        }
        transaction.commit().unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

async fn postgres(url: &str, part: &[(Talk, i64)]) {
    let (mut sessions, mut steps) = (String::new(), String::new());
    let answer = answer();
    for ((user, session), at) in part {
        writeln!(sessions, "{}\t{}\t{at}", session.0, user.0).unwrap();
        for order in 1..=STEPS {
            let at = at + order;
            let step = by_time(at);
            writeln!(
                steps,
                "{step}\t{}\t{order}\tnormal\t{WORDS}\t{answer}\tcomplete\tstop\tm\tko@0\t90\t{at}\t{at}",
                session.0
            )
            .unwrap();
        }
    }
    let client = cluster::connect(url).await;
    for (into, rows) in [
        ("sessions (session_id, user_id, started_at)", sessions),
        (
            "steps (step_id, session_id, step_order, step_type, user_input, gpt_response, status, \
             finish_reason, model, prompt_version, output_tokens, created_at, finished_at)",
            steps,
        ),
    ] {
        let copy = format!("COPY {into} FROM STDIN");
        let mut sink = pin!(client.copy_in(&copy).await.unwrap());
        sink.send(Cursor::new(rows.into_bytes())).await.unwrap();
        sink.finish().await.unwrap();
    }
}
