//! What conversations cost, and what stands for the steps that no longer fit.

use super::{Backend, at, finished, message, person, talk, turn, words};
use deepme::domain::step::StepStatus;
use deepme::domain::transcript::Summary;
use deepme::domain::usage::{Day, Tokens, Usage};
use deepme::domain::{ErrorCode, SessionId, StepId, Timestamp, UserId};
use deepme::store::{Begun, FinishStep, Fold, Store};
use futures_util::future::join_all;
use std::time::Duration;
use uuid::Uuid;

const TODAY: Duration = Duration::from_hours(24);

fn tokens(input: i64, output: i64) -> Tokens {
    Tokens { input, output }
}

/// The end of a turn that cost this.
fn costly(step_id: StepId, charge: Tokens, at: Timestamp) -> FinishStep {
    FinishStep {
        charge,
        at,
        ..finished(step_id, "네")
    }
}

/// A turn that is begun; its step.
async fn begun(store: &dyn Store, user_id: UserId, session_id: SessionId) -> StepId {
    let begin = words(user_id, session_id, "a");
    let step_id = begin.step_id;
    let begun = store.begin_step(begin).await.unwrap();
    assert!(matches!(begun, Begun::Started { .. }), "{begun:?}");
    step_id
}

pub async fn what_turns_cost_adds_up_by_person_and_day(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    let today = Day::of(at(2));
    let tomorrow = Day::of(at(2).plus(TODAY));
    let nothing = store.usage(me, today).await.unwrap();
    assert_eq!(
        nothing,
        Usage {
            day: today,
            tokens: tokens(0, 0)
        }
    );
    let mut ends = Vec::new();
    for (session, user_id, charge, when) in [
        (mine, me, tokens(100, 10), at(2)),
        (yours, you, tokens(5, 5), at(2)),
        (mine, me, tokens(200, 20), at(3)),
        (mine, me, tokens(0, 0), at(4)),
        (mine, me, tokens(1, 2), at(2).plus(TODAY)),
    ] {
        let step_id = begun(&*store, user_id, session).await;
        let used = store.finish_step(costly(step_id, charge, when)).await;
        ends.push(used.unwrap().unwrap());
    }
    let used = |day, tokens| Usage { day, tokens };
    assert_eq!(
        ends,
        [
            used(today, tokens(100, 10)),
            used(today, tokens(5, 5)),
            used(today, tokens(300, 30)),
            used(today, tokens(300, 30)),
            used(tomorrow, tokens(1, 2)),
        ]
    );
    assert_eq!(
        store.usage(me, today).await.unwrap().tokens,
        tokens(300, 30)
    );
    assert_eq!(
        store.usage(me, tomorrow).await.unwrap().tokens,
        tokens(1, 2)
    );
    assert_eq!(store.usage(you, today).await.unwrap().tokens, tokens(5, 5));
    let nobody = UserId(Uuid::from_u128(9));
    assert_eq!(
        store.usage(nobody, today).await.unwrap().tokens,
        tokens(0, 0)
    );
}

/// One that was interrupted may end again, better; one that nobody answered may be told its end twice.
pub async fn a_turn_is_charged_once_however_often_it_ends(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let step_id = begun(&*store, me, session).await;
    let mut end = costly(step_id, tokens(100, 10), at(2));
    end.status = StepStatus::Interrupted;
    for _ in 0..2 {
        let used = store.finish_step(end.clone()).await.unwrap().unwrap();
        assert_eq!(used.tokens, tokens(100, 10));
    }
    end.status = StepStatus::Complete;
    let used = store.finish_step(end.clone()).await.unwrap().unwrap();
    assert_eq!(used.tokens, tokens(100, 10));
    assert_eq!(store.finish_step(end).await.unwrap(), None);
    // One that was taken for dead was not charged by who took it for dead.
    let step_id = begun(&*store, me, session).await;
    store.close_orphans(at(999), at(999)).await.unwrap();
    let late = costly(step_id, tokens(7, 7), at(3));
    let used = store.finish_step(late).await.unwrap().unwrap();
    assert_eq!(used.tokens, tokens(107, 17));
}

pub async fn of_twenty_that_charge_at_once_none_is_lost(backend: &dyn Backend) {
    let store = backend.open().await;
    let other = backend.open().await;
    let me = person(&*store, 1).await;
    let mut ends = Vec::new();
    for n in 10..30 {
        let session = super::session_of(me, n);
        let session_id = session.session_id;
        store.add_session(session).await.unwrap();
        ends.push(begun(&*store, me, session_id).await);
    }
    let stores = [&store, &other];
    let ending = ends
        .iter()
        .enumerate()
        .map(|(n, step_id)| stores[n % 2].finish_step(costly(*step_id, tokens(10, 1), at(2))));
    for used in join_all(ending).await {
        assert!(used.unwrap().is_some());
    }
    let used = store.usage(me, Day::of(at(2))).await.unwrap();
    assert_eq!(used.tokens, tokens(200, 20));
}

pub async fn what_was_used_long_ago_is_forgotten(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let days = [at(2), at(2 + 24 * 3600), at(2 + 48 * 3600)];
    for when in days {
        let begin = words(me, session, "말");
        let step_id = begin.step_id;
        store.begin_step(begin).await.unwrap();
        let end = costly(step_id, tokens(1, 1), when);
        store.finish_step(end).await.unwrap().unwrap();
    }
    let [first, second, third] = days.map(Day::of);
    assert_eq!(store.forget_usage(first).await.unwrap(), 0);
    assert_eq!(store.forget_usage(third).await.unwrap(), 2);
    let left = async |day| store.usage(me, day).await.unwrap().tokens;
    assert_eq!(left(first).await, Tokens::default());
    assert_eq!(left(second).await, Tokens::default());
    assert_eq!(left(third).await, tokens(1, 1));
}

pub async fn who_has_used_up_the_day_begins_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let mut said = words(me, session, "a");
    said.message_id = Some(message("m"));
    said.quota = Some(50);
    let step_id = said.step_id;
    store.begin_step(said.clone()).await.unwrap();
    store
        .finish_step(costly(step_id, tokens(90, 10), at(2)))
        .await
        .unwrap();
    let ask = |quota, when: Timestamp, new: bool| {
        let mut begin = words(me, session, "b");
        begin.quota = quota;
        begin.at = when;
        if new {
            begin.session_id = SessionId(Uuid::from_u128(77));
            begin.new_session = true;
        }
        store.begin_step(begin)
    };
    for new in [false, true] {
        for quota in [0, 50, 100] {
            let begun = ask(Some(quota), at(3), new).await.unwrap();
            assert_eq!(begun, Begun::UsedUp, "{quota}, new: {new}");
        }
    }
    let sessions = store.sessions(me, None, None).await.unwrap();
    assert_eq!(sessions.len(), 1, "nothing was written");
    let steps = store.steps(me, session, 0, None).await.unwrap().unwrap();
    assert_eq!(steps.len(), 1, "nothing was written");
    // What was said before costs nothing.
    said.step_id = StepId(Uuid::new_v4());
    let again = store.begin_step(said).await.unwrap();
    assert!(matches!(again, Begun::Repeated(_)), "{again:?}");
    // What stands in the way besides comes first.
    let mut foreign = words(me, SessionId(Uuid::from_u128(99)), "b");
    foreign.quota = Some(1);
    assert_eq!(store.begin_step(foreign).await.unwrap(), Begun::NoSession);
    // One token is enough to begin, a new day, too, and without a quota there is none.
    let started = [
        ask(Some(101), at(3), true).await.unwrap(),
        ask(Some(1), at(3).plus(TODAY), false).await.unwrap(),
    ];
    assert!(
        started.iter().all(|b| matches!(b, Begun::Started { .. })),
        "{started:?}"
    );
    assert_eq!(ask(Some(50), at(3), false).await.unwrap(), Begun::Busy);
}

fn fold(session_id: SessionId, after: i64, until: i64, text: &str) -> Fold {
    Fold {
        session_id,
        after,
        summary: Summary {
            until,
            text: text.to_owned(),
        },
        charge: tokens(30, 3),
        at: at(2),
    }
}

pub async fn a_summary_stands_for_the_oldest_steps_and_is_replaced_by_who_saw_it(
    backend: &dyn Backend,
) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    for n in 1..=4 {
        turn(&*store, me, session, &format!("u{n}"), "a").await;
    }
    let summary = async || {
        let briefing = store.briefing(session, 5, 10, Vec::new()).await.unwrap();
        assert_eq!(briefing.history.len(), 4, "the words themselves stay");
        briefing.summary.map(|s| (s.until, s.text))
    };
    let used = async || store.usage(me, Day::of(at(2))).await.unwrap().tokens;
    assert_eq!(summary().await, None);
    assert!(
        store
            .fold(fold(session, 0, 2, "지금까지 👩‍👩‍👧"))
            .await
            .unwrap()
    );
    assert_eq!(summary().await, Some((2, "지금까지 👩‍👩‍👧".to_owned())));
    assert_eq!(used().await, tokens(30, 3));
    for after in [0, 1, 3] {
        assert!(
            !store
                .fold(fold(session, after, 3, "늦은 것"))
                .await
                .unwrap()
        );
    }
    assert_eq!(
        used().await,
        tokens(30, 3),
        "what counts not is not charged"
    );
    assert!(store.fold(fold(session, 2, 3, "셋까지")).await.unwrap());
    assert_eq!(summary().await, Some((3, "셋까지".to_owned())));
    assert_eq!(used().await, tokens(60, 6));
    let nowhere = SessionId(Uuid::from_u128(404));
    assert!(!store.fold(fold(nowhere, 0, 1, "x")).await.unwrap());
    let refused = store.fold(fold(session, 3, 4, "\0")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidInput);
    assert_eq!(refused.field(), Some("summary"));
}

pub async fn of_twenty_that_fold_the_same_steps_one_counts(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let (me, session) = talk(&*stores[0], 1).await;
    let folding = (0..20).map(|n| stores[n % 2].fold(fold(session, 0, 1, &n.to_string())));
    let folded = join_all(folding).await;
    let counted = folded.into_iter().filter(|done| *done.as_ref().unwrap());
    assert_eq!(counted.count(), 1);
    let used = stores[0].usage(me, Day::of(at(2))).await.unwrap();
    assert_eq!(used.tokens, tokens(30, 3));
}
