//! Who read what is a person's, and what goes with time or with an account.

use super::{Backend, at, finished, person, session_of, talk, turn, user, words};
use deepme::domain::prompt::PromptName;
use deepme::domain::rights::{Access, Erased};
use deepme::domain::transcript::Summary;
use deepme::domain::usage::{Day, Tokens};
use deepme::domain::{AccessId, SessionId, Timestamp, UserId};
use deepme::store::{BeginStep, Deleted, Fold, Store};
use uuid::Uuid;

pub fn access(user_id: UserId, n: u128, seconds: u64) -> Access {
    Access {
        access_id: AccessId(Uuid::from_u128(n)),
        user_id,
        session_id: n.is_multiple_of(2).then(|| SessionId(Uuid::from_u128(n))),
        by: format!("admin {n}"),
        reason: format!("이유 {n}"),
        at: at(seconds),
    }
}

pub async fn who_read_is_listed_newest_first_by_pages(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, you) = (person(&*store, 1).await, person(&*store, 2).await);
    // Two at the same moment are told apart by their ids.
    let mine = [
        access(me, 1, 5),
        access(me, 2, 7),
        access(me, 3, 7),
        access(me, 4, 6),
    ];
    for access in mine.iter().chain([&access(you, 9, 8)]) {
        assert!(store.add_access(access.clone()).await.unwrap());
    }
    let nobody = access(UserId(Uuid::from_u128(7)), 10, 1);
    assert!(!store.add_access(nobody).await.unwrap());
    let newest_first = [2, 1, 3, 0].map(|n: usize| mine[n].clone());
    assert_eq!(store.accesses(me, None, None).await.unwrap(), newest_first);
    for size in 1..=5 {
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let page = store.accesses(me, before, Some(size)).await.unwrap();
            assert!(page.len() <= size as usize);
            let Some(last) = page.last() else { break };
            before = Some((last.at, last.access_id));
            pages.extend(page);
        }
        assert_eq!(pages, newest_first, "pages of {size}");
    }
    assert_eq!(store.accesses(you, None, None).await.unwrap().len(), 1);
}

pub async fn accesses_are_forgotten_by_their_time_a_little_at_a_time(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    for n in 1..=5 {
        let access = access(me, u128::from(n), n);
        store.add_access(access).await.unwrap();
    }
    assert_eq!(store.forget_accesses(at(4), 2).await.unwrap(), 2);
    let left = store.accesses(me, None, None).await.unwrap();
    assert_eq!(
        left.iter().map(|a| a.at).collect::<Vec<_>>(),
        [at(5), at(4), at(3)]
    );
    assert_eq!(store.forget_accesses(at(4), 2).await.unwrap(), 1);
    assert_eq!(store.forget_accesses(at(4), 2).await.unwrap(), 0);
}

pub async fn a_session_has_an_owner(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session_id) = talk(&*store, 1).await;
    assert_eq!(store.owner(session_id).await.unwrap(), Some(me));
    let unknown = SessionId(Uuid::from_u128(99));
    assert_eq!(store.owner(unknown).await.unwrap(), None);
}

pub async fn what_was_used_is_listed_by_day(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session_id) = talk(&*store, 1).await;
    assert_eq!(store.usage_days(me).await.unwrap(), []);
    let day = 24 * 3600;
    for (n, seconds) in (1..).zip([0, 2 * day, day]) {
        let begin = BeginStep {
            at: at(seconds),
            lease_until: at(seconds + 60),
            ..words(me, session_id, "말")
        };
        let mut finish = finished(begin.step_id, "답");
        finish.at = at(seconds);
        finish.charge = Tokens {
            input: n,
            output: 7,
        };
        store.begin_step(begin).await.unwrap();
        store.finish_step(finish).await.unwrap();
    }
    let days = store.usage_days(me).await.unwrap();
    let told: Vec<(Day, i64)> = days
        .iter()
        .map(|usage| (usage.day, usage.tokens.input))
        .collect();
    assert_eq!(
        told,
        [
            (Day::of(at(0)), 1),
            (Day::of(at(day)), 3),
            (Day::of(at(2 * day)), 2)
        ]
    );
}

pub async fn steps_of_a_person_go_a_part_at_a_time(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    let other = session_of(me, 3);
    store.add_session(other.clone()).await.unwrap();
    let other = other.session_id;
    for session_id in [mine, mine, other] {
        turn(&*store, me, session_id, "말", "답").await;
    }
    turn(&*store, you, yours, "네 말", "답").await;
    assert_eq!(store.delete_steps(me, 2).await.unwrap(), 2);
    let left = said(&*store, me, mine).await + said(&*store, me, other).await;
    assert_eq!(left, 1);
    assert_eq!(store.delete_steps(me, 2).await.unwrap(), 1);
    assert_eq!(store.delete_steps(me, 2).await.unwrap(), 0);
    assert_eq!(said(&*store, you, yours).await, 1);
    assert!(store.user(me).await.unwrap().is_some());
}

pub async fn an_account_goes_whole_and_how_much_it_was_is_told(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    for n in 0..3 {
        turn(&*store, me, mine, &format!("말 {n}"), "답").await;
    }
    turn(&*store, you, yours, "네 말", "답").await;
    let prompt = PromptName::Personal(me);
    store
        .add_prompt(prompt, "하나".into(), at(1))
        .await
        .unwrap();
    store.add_prompt(prompt, "둘".into(), at(2)).await.unwrap();
    store.add_access(access(me, 1, 1)).await.unwrap();
    let gone = store.delete_user(me, at(9)).await.unwrap();
    let erased = Erased {
        sessions: 1,
        steps: 3,
        prompts: 2,
    };
    assert_eq!(gone, Some(Deleted::With(erased)));
    assert_eq!(store.accesses(me, None, None).await.unwrap(), []);
    assert_eq!(store.owner(mine).await.unwrap(), None);
    assert_eq!(store.prompt_history(prompt).await.unwrap(), []);
    assert_eq!(store.usage_days(me).await.unwrap(), []);
    assert_eq!(
        store
            .steps(you, yours, 0, None)
            .await
            .unwrap()
            .unwrap()
            .len(),
        1
    );
    assert!(store.scrub().await.unwrap());
}

/// A session that began at `began`, with a step at each of these times.
async fn session_with(
    store: &dyn Store,
    me: UserId,
    n: u128,
    began: u64,
    steps: &[u64],
) -> SessionId {
    let mut session = session_of(me, n);
    session.started_at = at(began);
    let session_id = session.session_id;
    store.add_session(session).await.unwrap();
    for seconds in steps {
        let begin = BeginStep {
            at: at(*seconds),
            lease_until: at(seconds + 60),
            ..words(me, session_id, "말")
        };
        let finish = finished(begin.step_id, "답");
        store.begin_step(begin).await.unwrap();
        store.finish_step(finish).await.unwrap();
    }
    session_id
}

async fn said(store: &dyn Store, me: UserId, session_id: SessionId) -> usize {
    store
        .steps(me, session_id, 0, None)
        .await
        .unwrap()
        .unwrap()
        .len()
}

async fn ended(store: &dyn Store, me: UserId, session_id: SessionId) -> Option<Timestamp> {
    store
        .session(me, session_id)
        .await
        .unwrap()
        .unwrap()
        .ended_at
}

pub async fn words_are_forgotten_by_when_the_last_one_was_said(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let old = session_with(&*store, me, 1, 0, &[1, 20]).await;
    let lively = session_with(&*store, me, 2, 0, &[1, 150]).await;
    let empty = session_with(&*store, me, 3, 5, &[]).await;
    let new = session_with(&*store, me, 4, 120, &[121]).await;
    let running = session_with(&*store, me, 5, 2, &[3]).await;
    store.begin_step(words(me, running, "지금")).await.unwrap();
    let fold = Fold {
        session_id: old,
        after: 0,
        summary: Summary {
            until: 1,
            text: "요약".into(),
        },
        charge: Tokens::default(),
        at: at(21),
    };
    assert!(store.fold(fold).await.unwrap());
    assert_eq!(store.forget_words(at(100), at(200), 9).await.unwrap(), 2);
    assert_eq!(said(&*store, me, old).await, 0);
    assert_eq!(
        ended(&*store, me, old).await,
        Some(at(20)),
        "when the last word was said"
    );
    let briefing = store.briefing(old, i64::MAX, 9, Vec::new()).await.unwrap();
    assert_eq!(briefing.summary, None);
    assert_eq!(ended(&*store, me, empty).await, Some(at(5)));
    for (session_id, steps) in [(lively, 2), (new, 1), (running, 2)] {
        assert_eq!(said(&*store, me, session_id).await, steps);
        assert_eq!(ended(&*store, me, session_id).await, None);
    }
    assert_eq!(store.forget_words(at(100), at(201), 9).await.unwrap(), 0);
    // A little at a time, the oldest first.
    assert_eq!(store.forget_words(at(1000), at(202), 1).await.unwrap(), 1);
    assert_eq!(said(&*store, me, lively).await, 0);
    assert_eq!(said(&*store, me, new).await, 1);
}

pub async fn sessions_are_forgotten_by_when_the_last_word_was_said(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let old = session_with(&*store, me, 1, 0, &[1, 20]).await;
    let lively = session_with(&*store, me, 2, 0, &[1, 150]).await;
    let wordless = session_with(&*store, me, 3, 10, &[11, 90]).await;
    let running = session_with(&*store, me, 4, 2, &[3]).await;
    store.begin_step(words(me, running, "지금")).await.unwrap();
    // Its words are gone, but when they were said still counts.
    assert_eq!(store.forget_words(at(91), at(200), 9).await.unwrap(), 2);
    assert_eq!(store.forget_sessions(at(50), 9).await.unwrap(), 1);
    let left = async |session_id| store.session(me, session_id).await.unwrap().is_some();
    assert!(!left(old).await);
    assert!(left(lively).await && left(wordless).await && left(running).await);
    assert_eq!(store.forget_sessions(at(1000), 1).await.unwrap(), 1);
    assert!(!left(lively).await);
    assert_eq!(store.forget_sessions(at(1000), 9).await.unwrap(), 1);
    assert!(!left(wordless).await && left(running).await);
    assert_eq!(user(1).user_id, me);
}

pub async fn a_beat_is_later_than_all_before(backend: &dyn Backend) {
    let store = backend.open().await;
    let long_ago = Timestamp::from_micros(0);
    assert_eq!(store.beat(long_ago).await.unwrap(), long_ago);
    let after = |seconds, micros| Timestamp::from_micros(at(seconds).as_micros() + micros);
    for (beat, recorded) in [(5, at(5)), (3, after(5, 1)), (7, at(7)), (7, after(7, 1))] {
        assert_eq!(store.beat(at(beat)).await.unwrap(), recorded);
    }
    let again = backend.open().await.beat(long_ago).await.unwrap();
    assert_eq!(again, after(7, 2));
}

pub async fn everybody_begins_anew(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    turn(&*store, me, mine, "말", "답").await;
    let you = person(&*store, 2).await;
    let mut logins = Vec::new();
    for user_id in [me, you] {
        let login = super::logins::login(user_id, user_id.0.as_u128());
        assert!(store.add_login(login.clone()).await.unwrap());
        assert!(
            store
                .add_recovery(user_id, "code".into(), at(90))
                .await
                .unwrap()
        );
        logins.push(login.login_id);
    }
    store
        .add_invite("invite".into(), at(0), at(90))
        .await
        .unwrap();
    assert_eq!(store.begin_anew().await.unwrap(), 2);
    for (user_id, login_id) in [(me, logins[0]), (you, logins[1])] {
        assert_eq!(store.standing(user_id, login_id).await.unwrap(), None);
        assert_eq!(store.user(user_id).await.unwrap().unwrap().token_epoch, 1);
    }
    let reset = store.reset_password(user(1).email, "code".into(), "new".into(), at(1));
    assert_eq!(reset.await.unwrap(), None);
    let joined = store.add_invited_user(user(3), "h".into(), "invite".into(), at(1));
    assert!(!joined.await.unwrap());
    // What was said is where it was, and a login of today holds.
    assert_eq!(said(&*store, me, mine).await, 1);
    let mut again = super::logins::login(me, 77);
    again.epoch = 1;
    assert!(store.add_login(again).await.unwrap());
}
