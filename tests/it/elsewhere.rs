//! Two servers on one PostgreSQL: whoever runs a turn, everybody sees it, resumes it and stops it.

use crate::cluster::{cluster, connect};
use crate::support::{PASSWORD, PATIENCE, Person, START, Server, Talk, held, postgres};
use deepme::auth::SystemRandom;
use deepme::auth::seal::{MasterKeys, Place};
use deepme::client::Client;
use deepme::domain::step::{Marks, StepStatus, StepType};
use deepme::domain::{ErrorCode, SessionId, StepId};
use deepme::llm::scripted::{Act, Gate, answer};
use deepme::store::{BeginStep, Begun, Store};
use deepme::wire::ws::{ClientFrame, Resume, ServerFrame, close};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Two servers with the same keys, and where their database is.
struct Pair {
    url: String,
    here: Server,
    there: Server,
}

impl Pair {
    async fn start() -> Self {
        let url = cluster().database().await;
        let keys = Arc::new(tempfile::tempdir().unwrap());
        let here = Server::one_of_several(&url, &keys).await;
        let there = Server::one_of_several(&url, &keys).await;
        Self { url, here, there }
    }
}

/// The same person, by the same token, at another server.
fn at(server: &Server, person: &Person) -> Person {
    Person {
        client: Client::new(&server.url())
            .unwrap()
            .with_token(&person.token)
            .unwrap(),
        user_id: person.user_id,
        token: person.token.clone(),
        email: person.email.clone(),
    }
}

async fn resume(talk: &mut Talk, received: u64) {
    let step_id = None;
    talk.send(&ClientFrame::Resume(Resume { step_id, received }))
        .await;
}

/// A session with one turn, so that it has a row and both servers know of it.
async fn met(pair: &Pair) -> (Person, Talk, Talk, SessionId) {
    let jiwoo = pair.here.person("jiwoo").await;
    let (mut phone, session) = jiwoo.connect(None).await;
    pair.here.script(answer(&["네"]));
    phone.input("안녕").await;
    phone.turn().await;
    let session_id = session.session_id;
    let (tablet, found) = at(&pair.there, &jiwoo).connect(Some(session_id)).await;
    assert!(found.resumed && found.turn.is_none());
    (jiwoo, phone, tablet, session_id)
}

#[tokio::test]
async fn two_devices_on_two_servers_see_the_same_turn_as_it_grows() {
    let pair = Pair::start().await;
    let (_, mut phone, mut tablet, _) = met(&pair).await;
    let gate = Gate::default();
    pair.here
        .script(held("그랬군요 👩‍👩‍👧. ", &gate, "더 들려주세요."));
    phone.input("요즘 기분이 별로야.").await;
    // Before the turn has ended.
    tablet.text("그랬군요 👩‍👩‍👧. ").await;
    gate.open();
    let (here, there) = (phone.turn().await, tablet.turn().await);
    assert_eq!(here.text, "그랬군요 👩‍👩‍👧. 더 들려주세요.");
    assert_eq!(there.text, "더 들려주세요.");
    assert_eq!(here.end(), there.end());
    // And the other way round.
    pair.there.script(answer(&["저도 ", "여기 ", "있어요."]));
    tablet.input("고마워").await;
    let (there, here) = (tablet.turn().await, phone.turn().await);
    assert_eq!(there.text, "저도 여기 있어요.");
    assert_eq!((here.text, here.frames), (there.text, there.frames));
}

#[tokio::test]
async fn who_comes_back_to_another_server_goes_on_where_they_were() {
    let pair = Pair::start().await;
    let (jiwoo, mut phone, mut tablet, session_id) = met(&pair).await;
    let gate = Gate::default();
    pair.here.script(held("하나 둘 ", &gate, "셋"));
    phone.input("세어 줘").await;
    phone.text("하나 둘 ").await;
    drop(phone);
    let (mut phone, session) = at(&pair.there, &jiwoo).connect(Some(session_id)).await;
    let turn = session.turn.expect("the turn that runs elsewhere");
    assert_eq!(turn.step_order, 2);
    resume(&mut phone, 3).await;
    let ServerFrame::Resumed { resumed } = phone.frame().await else {
        panic!("no resumed frame")
    };
    assert_eq!((resumed.from, resumed.status), (3, StepStatus::Pending));
    phone.text("둘 ").await;
    gate.open();
    assert_eq!(phone.turn().await.text, "셋");
    assert_eq!(tablet.turn().await.text, "하나 둘 셋");
}

#[tokio::test]
async fn who_has_read_further_than_is_stored_is_not_told_anything_twice() {
    let pair = Pair::start().await;
    let (jiwoo, mut phone, _tablet, session_id) = met(&pair).await;
    let gate = Gate::default();
    pair.here.script(held("가나다라마", &gate, "바"));
    phone.input("말해 줘").await;
    phone.text("가나다라마").await;
    // At once: what was read may not be stored yet.
    let (mut back, _) = at(&pair.there, &jiwoo).connect(Some(session_id)).await;
    resume(&mut back, 5).await;
    let frame = back.frame().await;
    assert!(
        matches!(&frame, ServerFrame::Resumed { resumed } if resumed.from == 5),
        "{frame:?}"
    );
    gate.open();
    assert_eq!(back.turn().await.text, "바");
}

#[tokio::test]
async fn a_session_has_one_turn_at_a_time_on_whichever_server() {
    let pair = Pair::start().await;
    let (jiwoo, mut phone, mut tablet, session_id) = met(&pair).await;
    let gate = Gate::default();
    pair.here.script(held("음 ", &gate, "네"));
    phone.message("하나", "m1", None).await;
    tablet.text("음 ").await;
    tablet.input("둘").await;
    let refused = tablet.error().await;
    assert_eq!(
        (refused.code.as_str(), refused.stored),
        ("turn_in_progress", Some(false))
    );
    // The same message again is that message, and nobody is asked twice.
    let (mut back, _) = at(&pair.there, &jiwoo).connect(Some(session_id)).await;
    back.message("하나", "m1", Some(2)).await;
    gate.open();
    let turn = back.turn().await;
    assert_eq!(turn.text, "네");
    assert!(matches!(turn.frames[0], ServerFrame::Accepted { .. }));
    assert_eq!(turn.end(), phone.turn().await.end());
    let steps = jiwoo.client.steps(session_id).await.unwrap();
    assert_eq!(steps.len(), 2);
    assert_eq!(pair.there.model.asked().len(), 0);
}

#[tokio::test]
async fn a_turn_is_stopped_from_another_server() {
    let pair = Pair::start().await;
    let (_, mut phone, mut tablet, _) = met(&pair).await;
    pair.here
        .script(held("여기까지", &Gate::default(), "그 뒤"));
    phone.input("말해 줘").await;
    tablet.text("여기까지").await;
    tablet.send(&ClientFrame::Stop).await;
    for talk in [&mut phone, &mut tablet] {
        assert_eq!(talk.turn().await.done().status, StepStatus::Cancelled);
    }
}

#[tokio::test]
async fn words_that_worry_are_answered_by_help_on_every_server() {
    let pair = Pair::start().await;
    let (_, mut phone, mut tablet, _) = met(&pair).await;
    pair.here.script(answer(&["곁에 있을게요."]));
    phone.input("죽고 싶어").await;
    let (here, there) = (phone.turn().await, tablet.turn().await);
    let safety = |frames: &[ServerFrame]| {
        let found = frames
            .iter()
            .find(|f| matches!(f, ServerFrame::Safety { .. }));
        found.cloned().expect("a safety frame")
    };
    assert_eq!(safety(&here.frames), safety(&there.frames));
    assert_eq!(here.text, there.text);
}

/// The words of a turn whose server died: a step that nobody extends.
async fn orphan(pair: &Pair, jiwoo: &Person, session_id: SessionId, partial: &str) -> StepId {
    let (store, _) = postgres(&pair.url).await;
    let step_id = StepId(Uuid::new_v4());
    let masters = MasterKeys::load(&pair.here.dir.path().join("data/master.key"));
    let masters = masters.unwrap().unwrap();
    let key = masters
        .unwrap(&store.data_key(jiwoo.user_id).await.unwrap().unwrap())
        .unwrap();
    let seal = |place, text: &str| key.seal(place, text, &SystemRandom).unwrap();
    let lease_until = START.plus(Duration::from_secs(15));
    let begun = store
        .begin_step(BeginStep {
            step_id,
            session_id,
            user_id: jiwoo.user_id,
            new_session: false,
            step_type: StepType::default(),
            user_input: seal(Place::UserInput(step_id), "들어줘"),
            message_id: None,
            marks: Marks::default(),
            at: START,
            lease_until,
            quota: None,
        })
        .await
        .unwrap();
    assert!(matches!(begun, Begun::Started { .. }));
    store
        .checkpoint_step(
            step_id,
            seal(Place::GptResponse(step_id), partial),
            lease_until,
        )
        .await
        .unwrap();
    step_id
}

#[tokio::test]
async fn a_dead_servers_turn_ends_with_its_lease_for_whoever_waits_for_it() {
    let pair = Pair::start().await;
    let (jiwoo, _, _, session_id) = met(&pair).await;
    let step_id = orphan(&pair, &jiwoo, session_id, "듣고 있").await;
    let (mut phone, session) = at(&pair.there, &jiwoo).connect(Some(session_id)).await;
    assert_eq!(session.turn.unwrap().chars, 4);
    resume(&mut phone, 2).await;
    phone.text(" 있").await;
    let long_ago = Instant::now().checked_sub(Duration::from_mins(1));
    // The lease holds: nothing is closed.
    pair.there.app.sweep_once(long_ago).await.unwrap();
    pair.there.clock.advance(Duration::from_secs(16));
    // After an outage who runs a turn must have time to say so.
    pair.there.app.sweep_once(None).await.unwrap();
    let steps = jiwoo.client.steps(session_id).await.unwrap();
    let step = steps.iter().find(|step| step.step_id == step_id).unwrap();
    assert_eq!(step.status, StepStatus::Pending);
    pair.there.app.sweep_once(long_ago).await.unwrap();
    let turn = phone.turn().await;
    assert_eq!(turn.done().status, StepStatus::Interrupted);
    assert_eq!(turn.notices(), ["incomplete"]);
    // And the session is free.
    pair.there.script(answer(&["네"]));
    phone.input("다시").await;
    assert_eq!(phone.turn().await.text, "네");
}

#[tokio::test]
async fn fault_23_a_changed_password_closes_sockets_on_every_server() {
    let pair = Pair::start().await;
    let (jiwoo, _phone, mut tablet, _) = met(&pair).await;
    jiwoo
        .client
        .change_password(PASSWORD, "another horse battery")
        .await
        .unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5 + 3), tablet.closed()).await;
    assert_eq!(closed, Ok(close::UNAUTHENTICATED));
    let void = at(&pair.there, &jiwoo);
    let refused = void.client.sessions(jiwoo.user_id, None).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized.as_str()));
}

/// News get lost when the connection that carries them breaks; what they would have said is found.
#[tokio::test]
async fn a_turn_of_which_the_news_were_lost_is_told_later() {
    let pair = Pair::start().await;
    let (_, mut phone, mut tablet, _) = met(&pair).await;
    let admin = connect(&pair.url).await;
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    admin.query_one(sql, &[]).await.unwrap();
    pair.here.script(answer(&["네, ", "들었어요."]));
    phone.input("들려?").await;
    let (here, there) = (phone.turn().await, tablet.turn().await);
    assert_eq!((here.text, here.frames), (there.text, there.frames));
}

/// What a prompt says from now on holds on every server, because nobody remembers it.
#[tokio::test]
async fn a_changed_prompt_reaches_every_server() {
    let pair = Pair::start().await;
    let (jiwoo, _, mut tablet, _) = met(&pair).await;
    jiwoo.client.set_prompt("반말로 해 줘").await.unwrap();
    pair.there.script(vec![
        Act::Say("응".to_owned()),
        Act::End(deepme::domain::step::FinishReason::Stop),
    ]);
    tablet.input("안녕").await;
    tablet.turn().await;
    let asked = pair.there.model.asked();
    let system = &asked[0].messages[0].content;
    assert!(system.contains("반말로 해 줘"), "{system}");
}

/// A server that goes takes its own turns along, but not the ones it only shows.
#[tokio::test]
async fn a_server_that_drains_lets_go_of_turns_that_run_elsewhere() {
    let pair = Pair::start().await;
    let (_, mut phone, mut tablet, _) = met(&pair).await;
    let gate = Gate::default();
    pair.here.script(held("가", &gate, "나"));
    phone.input("말해 줘").await;
    tablet.text("가").await;
    let begun = Instant::now();
    pair.there.stop.cancel();
    assert_eq!(tablet.closed().await, close::RESTARTING);
    assert!(
        begun.elapsed() < PATIENCE / 2,
        "it did not wait for the turn"
    );
    gate.open();
    let turn = phone.turn().await;
    assert_eq!(
        (turn.text.as_str(), turn.done().status),
        ("가나", StepStatus::Complete)
    );
}
