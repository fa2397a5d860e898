//! Steps: the person's words, stored under their place, and found again by their owner only.

use super::{Backend, at, finished, message, person, session_of, talk, turn, user, words};
use deepme::domain::prompt::{Language, PromptName};
use deepme::domain::step::{EmotionStep, Marks, StepStatus, StepType};
use deepme::domain::transcript::Exchange;
use deepme::domain::{ErrorCode, SessionId, StepId, UserId};
use deepme::store::{Begun, FinishStep, Store};
use uuid::Uuid;

/// Everything that is stored in a session.
async fn all(store: &dyn Store, user_id: UserId, session_id: SessionId) -> Vec<EmotionStep> {
    let steps = store.steps(user_id, session_id, 0, None).await.unwrap();
    steps.unwrap_or_default()
}

pub async fn words_come_back_to_the_byte(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let inputs = [
        "요즘 기분이 별로야.",
        "👩‍👩‍👧‍👦 👍🏽 🇰🇷 \u{1f469}\u{200d}\u{2764}\u{fe0f}\u{200d}\u{1f469}",
        " 앞뒤 공백과\r\n줄바꿈\t",
        "e\u{301} \u{e9} ㄱㅏ 가 \u{1100}\u{1161}",
        "'; DROP TABLE steps; -- \\ \" % _ $1 ?1",
        "\u{10ffff}\u{fffd}\u{feff}\u{202e}",
        "\u{1}\u{7f}\u{85}",
    ];
    for (order, input) in (1..).zip(inputs) {
        let mut begin = words(me, session, input);
        begin.step_type = StepType::parse(Some("체크인 ☀️")).unwrap();
        begin.message_id = Some(message(&format!("~!{order}\"'\\")));
        begin.at = at(5);
        let begun = store.begin_step(begin.clone()).await.unwrap();
        assert_eq!(begun, Begun::Started { step_order: order });
        let pending = EmotionStep {
            step_id: begin.step_id,
            session_id: session,
            step_order: order,
            step_type: begin.step_type,
            user_input: input.to_owned(),
            gpt_response: String::new(),
            status: StepStatus::Pending,
            finish_reason: None,
            message_id: begin.message_id,
            model: None,
            prompt_version: None,
            output_tokens: None,
            created_at: at(5),
            marks: Marks::default(),
        };
        let found = store.step(me, begin.step_id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&pending));
        let finish = finished(begin.step_id, input);
        assert!(store.finish_step(finish.clone()).await.unwrap().is_some());
        let complete = EmotionStep {
            gpt_response: input.to_owned(),
            status: StepStatus::Complete,
            finish_reason: finish.finish_reason,
            model: finish.model,
            prompt_version: finish.prompt_version,
            output_tokens: Some(7),
            ..pending
        };
        let found = store.step(me, begin.step_id).await.unwrap();
        assert_eq!(found, Some(complete));
    }
    assert_eq!(all(&*store, me, session).await.len(), inputs.len());
}

pub async fn steps_count_up_without_gaps(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let (_, yours) = talk(&*store, 2).await;
    for order in 1..=5 {
        // What is refused in between takes no place.
        let (step_id, place) = turn(&*store, me, session, "a", "b").await;
        assert_eq!(place, order);
        let mut begin = words(me, session, "a");
        begin.step_id = step_id;
        assert!(store.begin_step(begin).await.is_err(), "the id is taken");
        let refused = store.begin_step(words(me, yours, "a")).await.unwrap();
        assert_eq!(refused, Begun::NoSession);
    }
    let orders: Vec<i64> = all(&*store, me, session)
        .await
        .iter()
        .map(|step| step.step_order)
        .collect();
    assert_eq!(orders, [1, 2, 3, 4, 5]);
}

pub async fn a_reserved_session_is_made_by_its_first_words(backend: &dyn Backend) {
    let store = backend.open().await;
    let me = person(&*store, 1).await;
    let session = SessionId(Uuid::from_u128(50));
    let unreserved = store.begin_step(words(me, session, "a")).await.unwrap();
    assert_eq!(unreserved, Begun::NoSession);
    assert_eq!(store.session(me, session).await.unwrap(), None);
    let mut begin = words(me, session, "a");
    begin.new_session = true;
    begin.at = at(3);
    let begun = store.begin_step(begin.clone()).await.unwrap();
    assert_eq!(begun, Begun::Started { step_order: 1 });
    let made = store.session(me, session).await.unwrap().unwrap();
    assert_eq!((made.started_at, made.ended_at), (at(3), None));
    assert!(
        store
            .finish_step(finished(begin.step_id, "b"))
            .await
            .unwrap()
            .is_some()
    );
    // Reserved and already made: the words go on, the row stays as it is.
    begin.step_id = StepId(Uuid::new_v4());
    begin.at = at(99);
    let begun = store.begin_step(begin).await.unwrap();
    assert_eq!(begun, Begun::Started { step_order: 2 });
    assert_eq!(store.session(me, session).await.unwrap(), Some(made));
    // Nobody's session is made for a person who does not exist.
    let other = SessionId(Uuid::from_u128(51));
    let mut begin = words(UserId(Uuid::from_u128(9)), other, "a");
    begin.new_session = true;
    assert_eq!(store.begin_step(begin).await.unwrap(), Begun::NoSession);
    let nobody = UserId(Uuid::from_u128(9));
    assert_eq!(store.session(nobody, other).await.unwrap(), None);
}

pub async fn a_session_of_somebody_else_takes_no_words(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, _) = talk(&*store, 2).await;
    let mut begin = words(you, mine, "a");
    for new_session in [false, true] {
        begin.new_session = new_session;
        let begun = store.begin_step(begin.clone()).await.unwrap();
        assert_eq!(begun, Begun::NoSession);
    }
    assert_eq!(all(&*store, me, mine).await, []);
    assert_eq!(store.step(you, begin.step_id).await.unwrap(), None);
    // Not even whether a message exists is told.
    let mut own = words(me, mine, "비밀");
    own.message_id = Some(message("m"));
    store.begin_step(own).await.unwrap();
    begin.message_id = Some(message("m"));
    assert_eq!(store.begin_step(begin).await.unwrap(), Begun::NoSession);
}

pub async fn an_ended_session_takes_no_words_but_knows_its_messages(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let mut begin = words(me, session, "전에");
    begin.message_id = Some(message("m"));
    store.begin_step(begin.clone()).await.unwrap();
    // It may end while the answer is on its way: the turn finishes.
    store.end_session(me, session, at(9)).await.unwrap();
    assert!(
        store
            .finish_step(finished(begin.step_id, "답"))
            .await
            .unwrap()
            .is_some()
    );
    let refused = store.begin_step(words(me, session, "후에")).await.unwrap();
    assert_eq!(refused, Begun::Ended);
    let mut new = words(me, session, "후에");
    new.message_id = Some(message("n"));
    new.new_session = true;
    assert_eq!(store.begin_step(new).await.unwrap(), Begun::Ended);
    let step = store.step(me, begin.step_id).await.unwrap().unwrap();
    begin.step_id = StepId(Uuid::new_v4());
    let repeated = store.begin_step(begin).await.unwrap();
    assert_eq!(repeated, Begun::Repeated(Box::new(step.clone())));
    assert_eq!(all(&*store, me, session).await, [step]);
}

pub async fn a_repeated_message_gives_its_step_and_writes_nothing(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let mut begin = words(me, session, "처음");
    begin.message_id = Some(message("m"));
    store.begin_step(begin.clone()).await.unwrap();
    let mut again = words(me, session, "다른 말");
    again.message_id = Some(message("m"));
    // While it is pending, the message is itself and not in its own way.
    let Begun::Repeated(step) = store.begin_step(again.clone()).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (step.step_id, step.status),
        (begin.step_id, StepStatus::Pending)
    );
    assert_eq!(step.user_input, "처음");
    store
        .finish_step(finished(begin.step_id, "답"))
        .await
        .unwrap();
    // And while another one is pending it is still itself.
    store.begin_step(words(me, session, "둘째")).await.unwrap();
    let Begun::Repeated(step) = store.begin_step(again.clone()).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (step.step_id, step.gpt_response.as_str()),
        (begin.step_id, "답")
    );
    assert_eq!(all(&*store, me, session).await.len(), 2);
    assert_eq!(store.step(me, again.step_id).await.unwrap(), None);
}

pub async fn message_ids_belong_to_their_session(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    for (user_id, session, id) in [(me, mine, "m"), (you, yours, "m")] {
        let mut begin = words(user_id, session, "a");
        begin.message_id = Some(message(id));
        let begun = store.begin_step(begin).await.unwrap();
        assert_eq!(begun, Begun::Started { step_order: 1 });
    }
    // They are compared to the letter.
    store.close_orphans(at(1000), at(1000)).await.unwrap();
    let mut begin = words(me, mine, "a");
    begin.message_id = Some(message("M"));
    let begun = store.begin_step(begin).await.unwrap();
    assert_eq!(begun, Begun::Started { step_order: 2 });
}

pub async fn a_step_is_found_by_its_owner_only(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, mine) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    let mut begin = words(me, mine, "첫째");
    begin.message_id = Some(message("m"));
    let first = begin.step_id;
    store.begin_step(begin).await.unwrap();
    store.finish_step(finished(first, "답")).await.unwrap();
    let (second, _) = turn(&*store, me, mine, "둘째", "답").await;
    let found = |user_id, session, id: Option<&str>| {
        let store = &store;
        let id = id.map(message);
        async move {
            let step = store.find_step(user_id, session, id).await.unwrap();
            step.map(|step| step.step_id)
        }
    };
    assert_eq!(found(me, mine, Some("m")).await, Some(first));
    assert_eq!(found(me, mine, None).await, Some(second), "the latest");
    assert_eq!(found(me, mine, Some("n")).await, None);
    for (user_id, session) in [(you, mine), (me, yours), (you, yours)] {
        assert_eq!(found(user_id, session, Some("m")).await, None);
        assert_eq!(found(user_id, session, None).await, None);
    }
    assert!(store.step(me, first).await.unwrap().is_some());
    assert_eq!(store.step(you, first).await.unwrap(), None);
    assert_eq!(store.step(me, StepId(Uuid::nil())).await.unwrap(), None);
    assert_eq!(store.steps(you, mine, 0, None).await.unwrap(), None);
}

pub async fn steps_are_listed_by_order_and_pages(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let list = |after, limit| {
        let store = &store;
        async move {
            let steps = store.steps(me, session, after, limit).await.unwrap();
            let steps = steps.unwrap().into_iter().map(|step| step.step_order);
            steps.collect::<Vec<_>>()
        }
    };
    assert_eq!(
        list(0, None).await,
        [0; 0],
        "none yet, but the session is there"
    );
    for _ in 0..5 {
        turn(&*store, me, session, "a", "b").await;
    }
    assert_eq!(list(0, None).await, [1, 2, 3, 4, 5]);
    assert_eq!(list(-7, Some(2)).await, [1, 2]);
    assert_eq!(list(2, Some(2)).await, [3, 4]);
    assert_eq!(list(4, Some(2)).await, [5]);
    assert_eq!(list(5, Some(2)).await, [0; 0]);
    assert_eq!(list(i64::MAX, None).await, [0; 0]);
}

pub async fn a_briefing_is_the_newest_exchanges_before_the_step_oldest_first(
    backend: &dyn Backend,
) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let (you, yours) = talk(&*store, 2).await;
    turn(&*store, you, yours, "남의 말", "남의 답").await;
    let mut ids = Vec::new();
    for n in 1..=4 {
        let (step_id, _) = turn(&*store, me, session, &format!("u{n}"), &format!("a{n}")).await;
        ids.push(step_id);
    }
    let ko = PromptName::System(Language::Korean);
    let en = PromptName::System(Language::English);
    let personal = PromptName::Personal(me);
    store.add_prompt(ko, "하나".into(), at(0)).await.unwrap();
    let newest = store.add_prompt(ko, "둘".into(), at(0)).await.unwrap();
    let own = store
        .add_prompt(personal, "나".into(), at(0))
        .await
        .unwrap();
    let other = PromptName::Personal(you);
    store.add_prompt(other, "너".into(), at(0)).await.unwrap();

    let briefing = |before, limit| store.briefing(session, before, limit, vec![ko, en, personal]);
    let two = briefing(4, 2).await.unwrap();
    let exchange = |n: i64| Exchange {
        step_id: ids[usize::try_from(n - 1).unwrap()],
        step_order: n,
        user_input: format!("u{n}"),
        gpt_response: format!("a{n}"),
        output_tokens: Some(7),
    };
    assert_eq!(two.history, [exchange(2), exchange(3)]);
    assert_eq!(two.prompts, [newest, own]);
    // What got no answer was said all the same.
    let mut unanswered = finished(StepId(Uuid::new_v4()), "");
    let mut begin = words(me, session, "u5");
    begin.step_id = unanswered.step_id;
    unanswered.status = StepStatus::Failed;
    unanswered.output_tokens = None;
    store.begin_step(begin.clone()).await.unwrap();
    store.finish_step(unanswered).await.unwrap();
    let last = briefing(6, 1).await.unwrap().history;
    let silence = Exchange {
        step_id: begin.step_id,
        step_order: 5,
        user_input: "u5".into(),
        gpt_response: String::new(),
        output_tokens: None,
    };
    assert_eq!(last, [silence]);
    let whole = briefing(5, 100).await.unwrap();
    assert_eq!(whole.history, (1..=4).map(exchange).collect::<Vec<_>>());
    assert_eq!(briefing(1, 100).await.unwrap().history, []);
    assert_eq!(briefing(5, 0).await.unwrap().history, []);
    let none = store.briefing(session, 5, 1, Vec::new()).await.unwrap();
    assert_eq!((none.history, none.prompts.len()), (vec![exchange(4)], 0));
}

pub async fn text_with_nul_is_refused_and_nothing_of_it_is_kept(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let refused = |error: deepme::domain::Error| {
        assert_eq!(error.code(), ErrorCode::InvalidInput);
        error.field().unwrap()
    };
    let begun = store.begin_step(words(me, session, "a\0b")).await;
    assert_eq!(refused(begun.unwrap_err()), "user_input");
    assert_eq!(all(&*store, me, session).await, []);
    let begin = words(me, session, "a");
    let id = begin.step_id;
    store.begin_step(begin).await.unwrap();
    let partial = store.checkpoint_step(id, "\0".into(), at(99)).await;
    assert_eq!(refused(partial.unwrap_err()), "gpt_response");
    let end = store.finish_step(finished(id, "끝\0")).await;
    assert_eq!(refused(end.unwrap_err()), "gpt_response");
    assert_eq!(all(&*store, me, session).await[0].gpt_response, "");
    let mut labelled = session_of(me, 7);
    labelled.labels.topic = Some("\0".to_owned());
    let added = store.add_session(labelled).await;
    assert_eq!(refused(added.unwrap_err()), "topic");
    let mut odd = user(2);
    odd.name.push('\0');
    let added = store.add_user(odd, "hash".into()).await;
    assert_eq!(refused(added.unwrap_err()), "name");
    let name = PromptName::Personal(me);
    let added = store.add_prompt(name, "a\0".into(), at(1)).await;
    assert_eq!(refused(added.unwrap_err()), "body");
    assert_eq!(store.prompts().await.unwrap(), []);
    // A refusal spoils nothing for who comes next.
    assert!(
        store
            .finish_step(finished(id, "끝"))
            .await
            .unwrap()
            .is_some()
    );
}

pub async fn what_was_made_of_words_comes_back_and_its_owner_corrects_it(backend: &dyn Backend) {
    let store = backend.open().await;
    let (me, session) = talk(&*store, 1).await;
    let (you, _) = talk(&*store, 2).await;
    let mut begin = words(me, session, "말");
    let marks = |tier: &str, correction: Option<&str>| Marks {
        emotion: Some("읽은 것".to_owned()),
        correction: correction.map(str::to_owned),
        safety_tier: Some(tier.to_owned()),
    };
    begin.marks = marks("alone", None);
    let step_id = begin.step_id;
    store.begin_step(begin).await.unwrap();
    let now = async || store.step(me, step_id).await.unwrap().unwrap().marks;
    assert_eq!(now().await, marks("alone", None));
    // While the turn runs, and after it; the end of the turn leaves the person's word as it is.
    let correct = |who, to: Option<&str>| store.correct_step(who, step_id, to.map(str::to_owned));
    assert!(correct(me, Some("나")).await.unwrap());
    let finish = FinishStep {
        safety_tier: Some("together".to_owned()),
        ..finished(step_id, "답")
    };
    store.finish_step(finish).await.unwrap();
    assert_eq!(now().await, marks("together", Some("나")));
    assert!(!correct(you, Some("너")).await.unwrap());
    assert!(!correct(you, None).await.unwrap());
    assert_eq!(now().await, marks("together", Some("나")));
    for to in [Some("다시"), None, None] {
        assert!(correct(me, to).await.unwrap(), "twice is once");
        assert_eq!(now().await, marks("together", to));
    }
    assert!(correct(me, Some("a\0b")).await.is_err());
    let nothing = StepId(Uuid::from_u128(9));
    assert!(!store.correct_step(me, nothing, None).await.unwrap());
    // A reserved session that is made by its first words keeps what was made of them, and an end without a
    // tier leaves the one that there is.
    let mut first = words(me, SessionId(Uuid::from_u128(50)), "처음");
    (first.new_session, first.marks) = (true, marks("alone", None));
    let step_id = first.step_id;
    store.begin_step(first).await.unwrap();
    store.finish_step(finished(step_id, "답")).await.unwrap();
    let step = store.step(me, step_id).await.unwrap().unwrap();
    assert_eq!(step.marks, marks("alone", None));
}
