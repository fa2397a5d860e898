//! What was made of words is read without them.

use super::{Backend, at, session_of, talk, turn, words};
use deepme::domain::flow::MarkedStep;
use deepme::domain::session::Labels;
use deepme::domain::step::Marks;
use deepme::domain::usage::{Day, Tokens};
use deepme::domain::{SessionId, StepId, UserId};
use deepme::store::{PutCard, Store, StoredCard};
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

fn labels(of: [Option<&str>; 5]) -> Labels {
    let [
        emotion_label,
        topic,
        trigger_summary,
        insight_summary,
        insight_tag,
    ] = of.map(|text| text.map(str::to_owned));
    Labels {
        emotion_label,
        topic,
        trigger_summary,
        insight_summary,
        insight_tag,
    }
}

fn put(user_id: UserId, session_id: SessionId, body: &str, says: [Option<&str>; 5]) -> PutCard {
    PutCard {
        user_id,
        card: StoredCard {
            session_id,
            body: body.to_owned(),
            quotes: Some(format!("인용 {body}")),
            made_at: at(5),
        },
        labels: labels(says),
        charge: Tokens {
            input: 7,
            output: 3,
        },
    }
}

pub async fn a_card_takes_the_place_of_the_one_before_and_fills_what_nobody_set(
    backend: &dyn Backend,
) {
    let store = backend.open().await;
    let (me, _) = talk(&*store, 1).await;
    let (you, _) = talk(&*store, 2).await;
    let mut session = session_of(me, 10);
    session.labels.topic = Some("내가 정한 것".to_owned());
    let id = session.session_id;
    store.add_session(session).await.unwrap();
    assert_eq!(store.card(me, id).await.unwrap(), None);
    let is = async || store.session(me, id).await.unwrap().unwrap().labels;
    let used = async || store.usage(me, Day::of(at(5))).await.unwrap().tokens;
    let first = put(
        me,
        id,
        "하나",
        [Some("a"), Some("b"), None, Some("d"), Some("e")],
    );
    assert!(store.put_card(first.clone()).await.unwrap());
    let filled = labels([Some("a"), Some("내가 정한 것"), None, Some("d"), Some("e")]);
    assert_eq!(is().await, filled);
    assert_eq!(store.card(me, id).await.unwrap(), Some(first.card.clone()));
    assert_eq!(used().await.total(), 10);
    // The same again is done once.
    assert!(store.put_card(first.clone()).await.unwrap());
    assert_eq!((is().await, used().await.total()), (filled.clone(), 10));
    // Of somebody else, and of nothing.
    assert!(!store.put_card(put(you, id, "x", [None; 5])).await.unwrap());
    let nothing = SessionId(Uuid::from_u128(77));
    assert!(
        !store
            .put_card(put(me, nothing, "x", [None; 5]))
            .await
            .unwrap()
    );
    assert_eq!(store.card(you, id).await.unwrap(), None);
    assert_eq!(store.card(me, id).await.unwrap(), Some(first.card));
    // What a card has set, the next one changes; what it says nothing of, goes.
    let mut second = put(
        me,
        id,
        "둘",
        [Some("A"), Some("B"), Some("C"), None, Some("e")],
    );
    second.charge = Tokens::default();
    assert!(store.put_card(second.clone()).await.unwrap());
    let changed = [Some("A"), Some("내가 정한 것"), Some("C"), None, Some("e")];
    assert_eq!(is().await, labels(changed));
    assert_eq!(store.card(me, id).await.unwrap(), Some(second.card));
    assert_eq!(used().await.total(), 10);
    let third = put(me, id, "셋", [None; 5]);
    assert!(store.put_card(third).await.unwrap());
    let own = [None, Some("내가 정한 것"), None, None, None];
    assert_eq!(is().await, labels(own));
    let nul = put(me, id, "a\0b", [None; 5]);
    assert!(store.put_card(nul).await.is_err());
}

pub async fn quotes_are_forgotten_with_the_words_and_a_card_with_its_session(
    backend: &dyn Backend,
) {
    let store = backend.open().await;
    let (me, id) = talk(&*store, 1).await;
    turn(&*store, me, id, "말", "답").await;
    let card = put(me, id, "하나", [Some("a"), None, None, None, None]);
    store.put_card(card.clone()).await.unwrap();
    store.forget_words(at(500), at(600), 9).await.unwrap();
    let kept = store.card(me, id).await.unwrap().unwrap();
    assert_eq!((kept.body, kept.quotes), (card.card.body, None));
    // One that was being written meanwhile.
    let late = put(me, id, "늦은 것", [Some("a"), None, None, None, None]);
    store.put_card(late.clone()).await.unwrap();
    let kept = store.card(me, id).await.unwrap().unwrap();
    assert_eq!((kept.body, kept.quotes), (late.card.body, None));
    let session = store.session(me, id).await.unwrap().unwrap();
    assert_eq!(session.labels.emotion_label.as_deref(), Some("a"));
    assert_eq!(store.forget_sessions(at(500), 9).await.unwrap(), 1);
    assert_eq!(store.card(me, id).await.unwrap(), None);
    let (you, id) = talk(&*store, 2).await;
    store.put_card(put(you, id, "둘", [None; 5])).await.unwrap();
    store.delete_user(you, at(9)).await.unwrap();
    assert_eq!(store.card(you, id).await.unwrap(), None);
}
