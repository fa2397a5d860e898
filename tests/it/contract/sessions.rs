//! Sessions: whose they are, how they are listed, how they end.

use super::{Backend, at, person, session_of, talk, turn};
use deepme::domain::session::Labels;
use deepme::domain::{SessionId, Timestamp, UserId};
use uuid::Uuid;

pub async fn a_session_comes_back_as_it_was_written(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let mut session = session_of(me, 10);
    session.labels = Labels {
        emotion_label: Some("불안 👩‍👩‍👧".into()),
        topic: Some(" 이직\n'; DROP TABLE sessions; -- ".into()),
        trigger_summary: None,
        insight_summary: Some("e\u{301} 와 \u{e9}".into()),
        insight_tag: Some("\u{202e}rtl".into()),
    };
    session.started_at = Timestamp::from_micros(-62_135_596_800_000_000);
    session.ended_at = Some(Timestamp::MAX);
    store.add_session(session.clone()).await.unwrap();
    let found = store.session(me, session.session_id).await.unwrap();
    assert_eq!(found, Some(session.clone()));
    // Any UUID will do, and a second session of the same id is refused.
    let max = session_of(me, u128::MAX);
    store.add_session(max.clone()).await.unwrap();
    assert_eq!(store.session(me, max.session_id).await.unwrap(), Some(max));
    assert!(store.add_session(session_of(me, 10)).await.is_err());
    assert_eq!(
        store.session(me, session.session_id).await.unwrap(),
        Some(session)
    );
}

pub async fn a_session_needs_its_user(backend: &dyn Backend) {
    let store = backend.open().await;
    let session = session_of(UserId(Uuid::from_u128(1)), 10);
    assert!(store.add_session(session.clone()).await.is_err());
    let user_id = session.user_id;
    let made = store.session(user_id, session.session_id).await.unwrap();
    assert_eq!(made, None);
}

pub async fn somebody_elses_session_does_not_exist(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, _) = talk(&*store, 2).await;
    turn(&*store, me, mine, "내 말", "답").await;
    let missing = SessionId(Uuid::from_u128(3));
    for session in [mine, missing] {
        assert_eq!(store.session(you, session).await.unwrap(), None);
        assert_eq!(store.end_session(you, session, at(9)).await.unwrap(), None);
        assert_eq!(store.steps(you, session, 0, None).await.unwrap(), None);
        let found = store.find_step(you, session, None).await.unwrap();
        assert_eq!(found, None);
    }
    let yours = store.sessions(you, None, None).await.unwrap();
    assert!(yours.iter().all(|session| session.user_id == you));
    let session = store.session(me, mine).await.unwrap().unwrap();
    assert_eq!(session.ended_at, None);
}

pub async fn sessions_are_listed_newest_first_and_pages_neither_skip_nor_repeat(
    backend: &dyn Backend,
) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, person(&*store, 2).await);
    // Equal times are ordered by id; somebody else's stand in between.
    for (id, seconds) in [(5, 3), (9, 3), (7, 3), (1, 8), (2, 0), (8, 3)] {
        let mut session = session_of(if id == 8 { you } else { me }, id);
        session.started_at = at(seconds);
        store.add_session(session).await.unwrap();
    }
    let all = store.sessions(me, None, None).await.unwrap();
    let ids: Vec<u128> = all.iter().map(|s| s.session_id.0.as_u128()).collect();
    assert_eq!(ids, [1, 9, 7, 5, 2]);
    for size in 1..=6 {
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = store.sessions(me, before, Some(size)).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.started_at, last.session_id));
            // What is added at the front meanwhile shifts nothing.
            let mut newer = session_of(me, u128::from(100 + size) * 100 + pages.len() as u128);
            newer.started_at = at(1000 + u64::from(size));
            store.add_session(newer).await.unwrap();
            pages.extend(page);
            if pages.len() > 100 {
                break;
            }
        }
        let ids: Vec<u128> = pages
            .iter()
            .map(|s| s.session_id.0.as_u128())
            .filter(|id| *id < 100)
            .collect();
        assert_eq!(ids, [1, 9, 7, 5, 2], "pages of {size}");
    }
    let rest = store.sessions(me, Some((at(3), SessionId(Uuid::from_u128(7)))), None);
    assert_eq!(rest.await.unwrap().len(), 2);
    assert_eq!(store.sessions(me, None, Some(0)).await.unwrap(), []);
}

pub async fn a_session_ends_once(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (_, other) = talk(&*store, 2).await;
    let ended = store.end_session(me, mine, at(9)).await.unwrap().unwrap();
    assert_eq!(ended.ended_at, Some(at(9)));
    let again = store.end_session(me, mine, at(12)).await.unwrap().unwrap();
    assert_eq!(again, ended);
    assert_eq!(store.session(me, mine).await.unwrap(), Some(ended));
    assert_eq!(store.end_session(me, other, at(9)).await.unwrap(), None);
}
