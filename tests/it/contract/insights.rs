//! What was made of words is read without them.

use super::{Backend, at, session_of, talk, turn, words};
use deepme::domain::flow::MarkedStep;
use deepme::domain::step::Marks;
use deepme::domain::{SessionId, StepId, UserId};
use deepme::store::Store;
use uuid::Uuid;

/// A step of which this was made; as it is to be listed.
async fn marked(
    store: &dyn Store,
    user_id: UserId,
    session_id: SessionId,
    step_order: i64,
    emotion: &str,
) -> MarkedStep {
    let mut begin = words(user_id, session_id, "말");
    begin.marks = Marks {
        emotion: Some(emotion.to_owned()),
        ..Marks::default()
    };
    begin.at = at(u64::try_from(step_order).unwrap());
    let (step_id, marks, created_at) = (begin.step_id, begin.marks.clone(), begin.at);
    store.begin_step(begin).await.unwrap();
    let finish = super::finished(step_id, "답");
    store.finish_step(finish).await.unwrap();
    MarkedStep {
        step_id,
        session_id,
        step_order,
        created_at,
        marks,
    }
}

pub async fn what_was_made_of_a_session_is_listed_by_order_newest_kept(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    turn(&*store, you, yours, "말", "답").await;
    assert_eq!(store.marks(me, session, 9).await.unwrap(), Some(Vec::new()));
    let mut all = Vec::new();
    for order in 1..=5 {
        all.push(marked(&*store, me, session, order, &format!("m{order}")).await);
    }
    let (step_id, correction) = (all[1].step_id, Some("내 말".to_owned()));
    store
        .correct_step(me, step_id, correction.clone())
        .await
        .unwrap();
    all[1].marks.correction = correction;
    for limit in 1..=6 {
        let from = all.len().saturating_sub(limit);
        let found = store.marks(me, session, u32::try_from(limit).unwrap());
        assert_eq!(found.await.unwrap().unwrap(), all[from..], "{limit}");
    }
    assert_eq!(store.marks(you, session, 9).await.unwrap(), None);
    let nothing = SessionId(Uuid::from_u128(77));
    assert_eq!(store.marks(me, nothing, 9).await.unwrap(), None);
}

pub async fn what_was_made_of_sessions_is_listed_by_when_they_began(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, _) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    turn(&*store, you, yours, "말", "답").await;
    let mut all = Vec::new();
    // Two began at the same moment; nothing was said in the first of all.
    for (n, began) in [(10, 30), (11, 10), (12, 20), (13, 20)] {
        let mut session = session_of(me, n);
        session.started_at = at(began);
        store.add_session(session.clone()).await.unwrap();
        for order in 1..=2 {
            let step = marked(&*store, me, session.session_id, order, &format!("m{n}")).await;
            all.push((began, n, step));
        }
    }
    all.sort_by_key(|(began, n, step)| (*began, *n, step.step_order));
    let ids = |steps: &[MarkedStep]| steps.iter().map(|s| s.step_id).collect::<Vec<StepId>>();
    for (from, to) in [(0, 99), (10, 30), (20, 21), (11, 20), (30, 31), (50, 60)] {
        let wanted: Vec<MarkedStep> = all
            .iter()
            .filter(|(began, ..)| (from..to).contains(began))
            .map(|(.., step)| step.clone())
            .collect();
        let found = store.marks_between(me, at(from), at(to), 99).await.unwrap();
        assert_eq!(found, wanted, "{from} to {to}");
        let newest = store.marks_between(me, at(from), at(to), 3).await.unwrap();
        assert_eq!(ids(&newest), ids(&wanted[wanted.len().saturating_sub(3)..]));
    }
}
