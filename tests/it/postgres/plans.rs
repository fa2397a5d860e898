//! Statements find their rows by an index, however many rows there are.

use super::Onlooker;
use crate::cluster::cluster;
use crate::contract::{at, finished, message, settings, words};
use crate::support::START;
use deepme::domain::user::UserFilter;
use deepme::domain::{SessionId, StepId, Timestamp, UserId};
use deepme::store::postgres::{Connector, PostgresStore};
use deepme::store::{Insights as _, Store as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// 5000 people, sessions and steps: the first 50 people have 100 sessions each, and the first 50
/// sessions 100 steps each, the last of which is pending.
const MANY: &str = "
    INSERT INTO users (user_id, name, email, password_hash, created_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'n', 'n' || n || '@example.com', 'hash', n
    FROM generate_series(1, 5000) n;
    INSERT INTO sessions (session_id, user_id, started_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n % 50 + 1), 32, '0')::uuid, n
    FROM generate_series(0, 4999) n;
    INSERT INTO steps (step_id, session_id, step_order, step_type, user_input, gpt_response,
                       status, message_id, lease_until, created_at, finished_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n % 50), 32, '0')::uuid, n / 50 + 1,
           'normal', repeat('말', 50), repeat('네', 50),
           CASE WHEN n < 4950 THEN 'complete' ELSE 'pending' END, 'm' || n,
           CASE WHEN n < 4950 THEN NULL ELSE 9 END, n, CASE WHEN n < 4950 THEN n END
    FROM generate_series(0, 4999) n;
    ANALYZE;";

/// How often each table was read from one end to the other, and by an index.
async fn scans(onlooker: &Onlooker) -> BTreeMap<String, (i64, i64)> {
    let sql = "SELECT relname::text, seq_scan, idx_scan FROM pg_stat_user_tables
               WHERE relname IN ('users', 'sessions', 'steps')";
    let rows = onlooker.0.query(sql, &[]).await.unwrap();
    rows.iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))))
        .collect()
}

/// Not by the plans of copies of the statements, but by what the server counted of the real ones: a
/// connection that is gone has told what it did.
#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    let url = cluster().database().await;
    let onlooker = Onlooker::at(&url).await;
    let settings = settings(&url);
    let connector = Connector::parse(&settings).unwrap();
    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    store.migrate(START).await.unwrap();
    drop(store);
    Onlooker::at(&url)
        .await
        .0
        .batch_execute(MANY)
        .await
        .unwrap();
    onlooker.alone().await;
    let before = scans(&onlooker).await;

    let store = PostgresStore::connect(&connector, &settings).await.unwrap();
    // More often than five times: then the server may settle for a plan that knows no values.
    for n in 0..12 {
        // Session n is of person n + 1.
        let (user_id, session_id) = (
            UserId(Uuid::from_u128(n + 1)),
            SessionId(Uuid::from_u128(n)),
        );
        let step_id = StepId(Uuid::from_u128(4950 + n));
        let page = store.users(UserFilter::default(), None, 20).await.unwrap();
        let last = page.last().unwrap();
        let last = Some((last.created_at, last.user_id));
        assert_eq!(
            store
                .users(UserFilter::default(), last, 20)
                .await
                .unwrap()
                .len(),
            20
        );
        let page = store.sessions(user_id, None, Some(20)).await.unwrap();
        let last = page.last().unwrap();
        let last = Some((last.started_at, last.session_id));
        let rest = store.sessions(user_id, last, None).await.unwrap();
        assert_eq!((page.len(), rest.len()), (20, 80));
        store.session(user_id, session_id).await.unwrap().unwrap();
        for (limit, found) in [(Some(20), 20), (None, 50)] {
            let page = store.steps(user_id, session_id, 50, limit).await.unwrap();
            assert_eq!(page.unwrap().len(), found);
        }
        let marks = store.marks(user_id, session_id, 20).await.unwrap();
        assert_eq!(marks.unwrap().len(), 20);
        let all = store.marks_between(user_id, at(0), Timestamp::MAX, 20);
        assert!(all.await.unwrap().is_empty(), "they began long ago");
        let began = Timestamp::from_micros(0);
        let all = store.marks_between(user_id, began, at(0), 20).await;
        assert_eq!(all.unwrap().len(), 20);
        store.correct_step(user_id, step_id, None).await.unwrap();
        store.step(user_id, step_id).await.unwrap().unwrap();
        for id in [None, Some(message(&format!("m{n}")))] {
            let found = store.find_step(user_id, session_id, id).await.unwrap();
            assert!(found.is_some());
        }
        let briefing = store
            .briefing(session_id, 100, 20, Vec::new())
            .await
            .unwrap();
        assert_eq!(briefing.history.len(), 20);
        store
            .checkpoint_step(step_id, "음".into(), at(1))
            .await
            .unwrap();
        assert!(
            store
                .finish_step(finished(step_id, "네"))
                .await
                .unwrap()
                .is_some()
        );
        let next = words(user_id, session_id, "말");
        store.begin_step(next.clone()).await.unwrap();
        let forgotten = store.forget_step(next.step_id, next.lease_until);
        assert!(forgotten.await.unwrap());
        let closed = store.close_orphans(START, START).await.unwrap();
        assert_eq!(closed, if n == 0 { 49 } else { 0 });
        store.end_session(user_id, session_id, at(9)).await.unwrap();
    }
    drop(store);
    onlooker.alone().await;
    let after = scans(&onlooker).await;
    assert_eq!(after.len(), 3);
    for (table, (whole, by_index)) in after {
        let (whole_before, by_index_before) = before[&table];
        assert_eq!(whole, whole_before, "{table} was read from end to end");
        assert!(
            by_index >= by_index_before + 12,
            "{table}: nothing was counted"
        );
    }
}
