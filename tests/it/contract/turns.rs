//! Turns: who may begin one, what keeps one alive, how it ends, and who sees it.

use super::{Backend, at, finished, message, person, talk, turn, words};
use deepme::domain::step::{FinishReason, StepStatus};
use deepme::domain::{SessionId, StepId};
use deepme::store::{BeginStep, Begun, Store};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const RACERS: usize = 20;

/// Everybody begins at once, every other one from another process.
async fn race(backend: &dyn Backend, begins: Vec<BeginStep>) -> Vec<Begun> {
    let stores = [backend.open().await, backend.open().await];
    let racing = begins.into_iter().enumerate().map(|(n, begin)| {
        let store = Arc::clone(&stores[n % 2]);
        tokio::spawn(async move { store.begin_step(begin).await.unwrap() })
    });
    let racing: Vec<_> = racing.collect();
    join_all(racing)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

fn started(begun: &[Begun]) -> usize {
    let started = |b: &&Begun| matches!(b, Begun::Started { .. });
    begun.iter().filter(started).count()
}

pub async fn of_twenty_that_begin_at_once_one_starts(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    for order in 1..=3 {
        let begins = (0..RACERS).map(|n| {
            let mut begin = words(me, session, &format!("{n}"));
            begin.message_id = (n % 3 == 0).then(|| message(&format!("{order}-{n}")));
            begin
        });
        let begins: Vec<_> = begins.collect();
        let begun = race(backend, begins.clone()).await;
        assert_eq!(started(&begun), 1, "{begun:?}");
        let busy = begun.iter().filter(|b| **b == Begun::Busy).count();
        assert_eq!(busy, RACERS - 1, "{begun:?}");
        let winner = begun.iter().position(|b| *b != Begun::Busy).unwrap();
        assert_eq!(begun[winner], Begun::Started { step_order: order });
        let steps = store.steps(me, session, 0, None).await.unwrap().unwrap();
        assert_eq!(steps.len(), usize::try_from(order).unwrap());
        assert_eq!(steps.last().unwrap().step_id, begins[winner].step_id);
        let finish = finished(begins[winner].step_id, "답");
        assert!(store.finish_step(finish).await.unwrap().is_some());
    }
}

pub async fn of_twenty_with_one_message_id_one_starts_and_the_rest_find_it(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let begins = (0..RACERS).map(|n| {
        let mut begin = words(me, session, &format!("{n}"));
        begin.message_id = Some(message("m"));
        begin
    });
    let begins: Vec<_> = begins.collect();
    let begun = race(backend, begins.clone()).await;
    assert_eq!(started(&begun), 1, "{begun:?}");
    let winner = begun
        .iter()
        .position(|b| matches!(b, Begun::Started { .. }))
        .unwrap();
    for (n, begun) in begun.iter().enumerate().filter(|(n, _)| *n != winner) {
        let Begun::Repeated(step) = begun else {
            panic!("{n}: {begun:?}")
        };
        assert_eq!(step.step_id, begins[winner].step_id);
        assert_eq!(step.user_input, begins[winner].user_input);
    }
    let steps = store.steps(me, session, 0, None).await.unwrap().unwrap();
    assert_eq!(steps.len(), 1);
}

pub async fn twenty_sessions_at_once_do_not_hinder_each_other(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut begins = Vec::new();
    for n in 1..=RACERS as u128 {
        let (user_id, session) = talk(&*store, n).await;
        begins.push(words(user_id, session, "a"));
    }
    let begun = race(backend, begins).await;
    assert_eq!(started(&begun), RACERS, "{begun:?}");
}

pub async fn of_twenty_that_make_the_same_reserved_session_one_starts(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let session = SessionId(Uuid::from_u128(77));
    let mut begin = words(me, session, "a");
    begin.new_session = true;
    let begins = (0..RACERS).map(|_| BeginStep {
        step_id: StepId(Uuid::new_v4()),
        ..begin.clone()
    });
    let begun = race(backend, begins.collect()).await;
    assert_eq!(started(&begun), 1, "{begun:?}");
    assert!(!begun.contains(&Begun::NoSession), "{begun:?}");
    assert_eq!(store.sessions(me, None, None).await.unwrap().len(), 1);
}

pub async fn a_checkpoint_counts_only_while_pending(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let begin = words(me, session, "a");
    let id = begin.step_id;
    store.begin_step(begin).await.unwrap();
    for partial in ["그랬", "그랬군요 👩‍👩‍👧", ""] {
        store
            .checkpoint_step(id, partial.into(), at(100))
            .await
            .unwrap();
        let step = store.step(me, id).await.unwrap().unwrap();
        assert_eq!(
            (step.gpt_response.as_str(), step.status),
            (partial, StepStatus::Pending)
        );
    }
    // The lease went along: at its first end nothing is an orphan.
    assert_eq!(store.close_orphans(at(99), at(99)).await.unwrap(), 0);
    store.finish_step(finished(id, "끝")).await.unwrap();
    let end = store.step(me, id).await.unwrap();
    store
        .checkpoint_step(id, "늦은 말".into(), at(500))
        .await
        .unwrap();
    assert_eq!(store.step(me, id).await.unwrap(), end);
    // Nor does one that is late reopen the session.
    turn(&*store, me, session, "b", "c").await;
    let nobody = StepId(Uuid::nil());
    store
        .checkpoint_step(nobody, "x".into(), at(500))
        .await
        .unwrap();
}

pub async fn a_step_is_finished_once(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let begin = words(me, session, "a");
    let id = begin.step_id;
    store.begin_step(begin).await.unwrap();
    assert!(
        store
            .finish_step(finished(id, "처음"))
            .await
            .unwrap()
            .is_some()
    );
    let first = store.step(me, id).await.unwrap();
    let mut second = finished(id, "둘째");
    second.status = StepStatus::Cancelled;
    second.model = None;
    assert!(store.finish_step(second).await.unwrap().is_none());
    assert_eq!(store.step(me, id).await.unwrap(), first);
    let nobody = finished(StepId(Uuid::nil()), "x");
    assert!(store.finish_step(nobody).await.unwrap().is_none());
}

pub async fn who_ran_a_turn_knows_its_end_better_than_who_took_it_for_dead(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let begin = words(me, session, "a");
    let id = begin.step_id;
    store.begin_step(begin).await.unwrap();
    assert_eq!(store.close_orphans(at(61), at(61)).await.unwrap(), 1);
    // The session has gone on meanwhile: a late end opens nothing again.
    turn(&*store, me, session, "b", "c").await;
    assert!(
        store
            .finish_step(finished(id, "끝까지 한 말"))
            .await
            .unwrap()
            .is_some()
    );
    let step = store.step(me, id).await.unwrap().unwrap();
    assert_eq!(
        (step.gpt_response.as_str(), step.status),
        ("끝까지 한 말", StepStatus::Complete)
    );
    assert!(
        store
            .finish_step(finished(id, "또"))
            .await
            .unwrap()
            .is_none()
    );
    turn(&*store, me, session, "d", "e").await;
}

pub async fn of_twenty_that_finish_one_counts(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let (me, session) = talk(&*stores[0], 1).await;
    let begin = words(me, session, "a");
    let id = begin.step_id;
    stores[0].begin_step(begin).await.unwrap();
    let finishing = (0..RACERS).map(|n| stores[n % 2].finish_step(finished(id, &n.to_string())));
    let won: Vec<usize> = join_all(finishing)
        .await
        .into_iter()
        .enumerate()
        .filter_map(|(n, won)| won.unwrap().map(|_| n))
        .collect();
    assert_eq!(won.len(), 1);
    let step = stores[1].step(me, id).await.unwrap().unwrap();
    assert_eq!(step.gpt_response, won[0].to_string());
}

pub async fn every_end_is_kept_as_it_was(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let statuses = [
        StepStatus::Complete,
        StepStatus::Cancelled,
        StepStatus::Interrupted,
        StepStatus::Failed,
    ];
    let reasons = [
        None,
        Some(FinishReason::Stop),
        Some(FinishReason::Length),
        Some(FinishReason::ContentFilter),
    ];
    for status in statuses {
        for reason in reasons {
            let begin = words(me, session, "a");
            let mut finish = finished(begin.step_id, "");
            finish.status = status;
            finish.finish_reason = reason;
            finish.model = None;
            finish.prompt_version = None;
            finish.output_tokens = None;
            let id = begin.step_id;
            store.begin_step(begin).await.unwrap();
            assert!(store.finish_step(finish).await.unwrap().is_some());
            let step = store.step(me, id).await.unwrap().unwrap();
            assert_eq!((step.status, step.finish_reason), (status, reason));
            assert_eq!(
                (step.model, step.prompt_version, step.output_tokens),
                (None, None, None)
            );
        }
    }
}

pub async fn a_step_is_forgotten_only_while_it_is_pending(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let begin = words(me, session, "들어줘");
    let (step_id, lease) = (begin.step_id, begin.lease_until);
    store.begin_step(begin).await.unwrap();
    assert!(store.forget_step(step_id, lease).await.unwrap());
    assert!(!store.forget_step(step_id, lease).await.unwrap());
    assert_eq!(store.step(me, step_id).await.unwrap(), None);
    // Its place is free, and a step that has ended stays.
    let begin = words(me, session, "다시");
    let step_id = begin.step_id;
    assert_eq!(
        store.begin_step(begin).await.unwrap(),
        Begun::Started { step_order: 1 }
    );
    store.close_orphans(at(999), at(999)).await.unwrap();
    assert!(!store.forget_step(step_id, lease).await.unwrap());
    assert!(store.step(me, step_id).await.unwrap().is_some());
}

pub async fn a_step_that_somebody_knows_of_is_not_forgotten(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let begin = words(me, session, "들어줘");
    let (told, lease) = (begin.step_id, begin.lease_until);
    store.begin_step(begin).await.unwrap();
    assert!(store.acknowledge_step(told).await.unwrap());
    assert!(!store.forget_step(told, lease).await.unwrap());
    assert!(store.acknowledge_step(told).await.unwrap(), "by another");
    assert!(!store.forget_step(told, lease).await.unwrap());
    // It is no longer for that: nobody runs it.
    assert_eq!(
        store
            .close_orphans(lease.plus(Duration::from_millis(1)), at(999))
            .await
            .unwrap(),
        1
    );
    assert!(!store.acknowledge_step(told).await.unwrap(), "it has ended");
    // Nor is one that somebody runs.
    let begin = words(me, session, "또");
    let run = begin.step_id;
    store.begin_step(begin).await.unwrap();
    let longer = lease.plus(Duration::from_secs(15));
    store
        .checkpoint_step(run, "네".into(), longer)
        .await
        .unwrap();
    assert!(!store.forget_step(run, lease).await.unwrap());
    let none = StepId(uuid::Uuid::from_u128(404));
    assert!(!store.acknowledge_step(none).await.unwrap());
}

pub async fn orphans_are_closed_by_their_lease_and_keep_what_they_have(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, old) = talk(&*store, 1).await;
    let (you, young) = talk(&*store, 2).await;
    let mut begin = words(me, old, "들어줘");
    begin.lease_until = at(60);
    let orphan = begin.step_id;
    store.begin_step(begin).await.unwrap();
    store
        .checkpoint_step(orphan, "반".into(), at(60))
        .await
        .unwrap();
    let mut begin = words(you, young, "나도");
    begin.lease_until = at(90);
    let alive = begin.step_id;
    store.begin_step(begin).await.unwrap();

    assert_eq!(
        store.close_orphans(at(60), at(60)).await.unwrap(),
        0,
        "not before its end"
    );
    assert_eq!(store.close_orphans(at(61), at(61)).await.unwrap(), 1);
    assert_eq!(store.close_orphans(at(61), at(61)).await.unwrap(), 0);
    let step = store.step(me, orphan).await.unwrap().unwrap();
    assert_eq!(
        (
            step.status,
            step.user_input.as_str(),
            step.gpt_response.as_str()
        ),
        (StepStatus::Interrupted, "들어줘", "반")
    );
    assert_eq!(step.finish_reason, None);
    let step = store.step(you, alive).await.unwrap().unwrap();
    assert_eq!(step.status, StepStatus::Pending);
    // The session is free.
    turn(&*store, me, old, "b", "c").await;
    let step = store.step(me, orphan).await.unwrap().unwrap();
    assert_eq!(step.gpt_response, "반");
}

pub async fn a_second_process_sees_what_is_committed(backend: &dyn Backend) {
    let (here, there) = (backend.open().await, backend.open().await);
    let (me, session) = talk(&*here, 1).await;
    for n in 1..=20 {
        let (writer, reader) = if n % 2 == 0 {
            (&here, &there)
        } else {
            (&there, &here)
        };
        let begin = words(me, session, &format!("{n}"));
        let id = begin.step_id;
        let begun = writer.begin_step(begin).await.unwrap();
        assert_eq!(begun, Begun::Started { step_order: n });
        let busy = reader.begin_step(words(me, session, "x")).await.unwrap();
        assert_eq!(busy, Begun::Busy);
        let seen = reader.step(me, id).await.unwrap().unwrap();
        assert_eq!(seen.user_input, n.to_string());
        assert!(
            reader
                .finish_step(finished(id, "답"))
                .await
                .unwrap()
                .is_some()
        );
        let seen = writer.find_step(me, session, None).await.unwrap().unwrap();
        assert_eq!((seen.step_id, seen.status), (id, StepStatus::Complete));
    }
}

pub async fn two_processes_count_steps_together(backend: &dyn Backend) {
    let stores = [backend.open().await, backend.open().await];
    let (me, session) = talk(&*stores[0], 1).await;
    // Whole turns, as fast as they go, until each of twenty speakers was heard.
    let speaking = (0..RACERS).map(|n| {
        let store = Arc::clone(&stores[n % 2]);
        tokio::spawn(async move {
            loop {
                let begin = words(me, session, &n.to_string());
                let id = begin.step_id;
                match store.begin_step(begin).await.unwrap() {
                    Begun::Started { .. } => {
                        assert!(
                            store
                                .finish_step(finished(id, "답"))
                                .await
                                .unwrap()
                                .is_some()
                        );
                        return;
                    }
                    // Who asks without a pause holds the file all the time, and SQLite's own waiting is not fair.
                    Begun::Busy => tokio::time::sleep(Duration::from_millis(1)).await,
                    other => panic!("{other:?}"),
                }
            }
        })
    });
    let speaking: Vec<_> = speaking.collect();
    for spoken in join_all(speaking).await {
        spoken.unwrap();
    }
    let steps = stores[1]
        .steps(me, session, 0, None)
        .await
        .unwrap()
        .unwrap();
    let orders: Vec<i64> = steps.iter().map(|step| step.step_order).collect();
    assert_eq!(orders, (1..=20).collect::<Vec<_>>());
    let mut said: Vec<&str> = steps.iter().map(|s| s.user_input.as_str()).collect();
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), RACERS, "everybody once");
}

pub async fn what_is_written_is_there_after_a_reopening(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    turn(&*store, me, session, "요즘", "그래요").await;
    store
        .begin_step(words(me, session, "그리고"))
        .await
        .unwrap();
    let before = store.steps(me, session, 0, None).await.unwrap();
    drop(store);
    let store: Arc<dyn Store> = backend.open().await;
    assert_eq!(store.steps(me, session, 0, None).await.unwrap(), before);
    assert_eq!(store.close_orphans(at(1000), at(1000)).await.unwrap(), 1);
}
