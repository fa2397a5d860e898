//! The main job: somebody says how they feel, and the answer streams back and is stored.

use crate::support::{START, Server, held};
use deepme::client::ConnectOptions;
use deepme::domain::step::{FinishReason, StepStatus};
use deepme::llm::Fault;
use deepme::llm::scripted::{Act, Gate, answer};
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use deepme::wire::ws::{ClientFrame, Resume, ServerFrame};

#[tokio::test]
async fn words_go_in_an_answer_streams_back_and_both_are_stored() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(answer(&["그랬", "군요. ", "👩‍👩‍👧"]));
    let (mut talk, session) = jiwoo.connect(None).await;
    assert!(!session.resumed && session.turn.is_none());
    assert!(
        jiwoo
            .client
            .sessions(jiwoo.user_id, None)
            .await
            .unwrap()
            .is_empty(),
        "connecting leaves nothing behind"
    );

    talk.input("요즘 기분이 별로야.").await;
    let turn = talk.turn().await;
    let ServerFrame::Accepted { accepted } = &turn.frames[0] else {
        panic!("{turn:?}")
    };
    assert_eq!(
        (accepted.step_order, accepted.user_input.as_str()),
        (1, "요즘 기분이 별로야.")
    );
    assert_eq!(turn.text, "그랬군요. 👩‍👩‍👧");
    let done = turn.done();
    assert_eq!(
        (done.step_id, done.step_order, done.created_at),
        (accepted.step_id, 1, START)
    );
    assert_eq!(
        (done.status, done.finish_reason),
        (StepStatus::Complete, Some(FinishReason::Stop))
    );

    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].user_input, "요즘 기분이 별로야.");
    assert_eq!(steps[0].gpt_response, turn.text);
    assert_eq!(steps[0].step_type, "normal");
    assert_eq!(steps[0].model.as_deref(), Some("scripted"));
    assert_eq!(steps[0].prompt_version.as_deref(), Some("ko@0"));
    assert_eq!(
        jiwoo
            .client
            .sessions(jiwoo.user_id, None)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn words_are_acknowledged_before_the_model_says_anything() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(vec![Act::Hang]);
    let (mut phone, session) = jiwoo.connect(None).await;
    let (mut tablet, _) = jiwoo.connect(Some(session.session_id)).await;
    phone.input("들어줘").await;
    for talk in [&mut phone, &mut tablet] {
        let ServerFrame::Accepted { accepted } = talk.frame().await else {
            panic!()
        };
        assert_eq!(accepted.user_input, "들어줘");
    }
}

#[tokio::test]
async fn a_session_goes_on_with_its_history() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(answer(&["one"]));
    server.script(answer(&["two"]));
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input("first").await;
    talk.turn().await;
    talk.0.close().await;
    let (mut talk, again) = jiwoo.connect(Some(session.session_id)).await;
    assert!(again.resumed);
    talk.input("second").await;
    assert_eq!(talk.turn().await.done().step_order, 2);
    let asked = server.model.asked();
    let said: Vec<&str> = asked[1]
        .messages
        .iter()
        .skip(1)
        .map(|m| m.content.as_str())
        .collect();
    assert_eq!(said, ["first", "one", "second"]);
}

#[tokio::test]
async fn the_seeds_own_client_is_served() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(answer(&["네"]));
    let options = ConnectOptions {
        user_id: Some(jiwoo.user_id),
        every_frame: false,
        ..ConnectOptions::default()
    };
    let (mut talk, _) = jiwoo.connect_with(&options).await;
    talk.send_text(r#"{"user_input": "요즘 기분이 별로야.", "step_type": "checkin", "system_prompt": "너는 감정 전문 상담사야"}"#).await;
    let turn = talk.turn().await;
    assert_eq!(turn.text, "네");
    let request = &server.model.asked()[0];
    let system = &request.messages[0].content;
    assert!(
        system.contains("노아") && system.ends_with("너는 감정 전문 상담사야"),
        "the client's prompt stands last"
    );
}

#[tokio::test]
async fn fault_01_a_dropped_socket_does_not_lose_the_turn() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("가나", &gate, "다"));
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input("hi").await;
    talk.text("가나").await;
    talk.0.abort();

    let (mut talk, again) = jiwoo.connect(Some(session.session_id)).await;
    let running = again.turn.expect("the turn is running");
    assert_eq!((running.step_order, running.chars), (1, 2));
    talk.send(&ClientFrame::Resume(Resume {
        step_id: Some(running.step_id),
        received: 1,
    }))
    .await;
    let ServerFrame::Resumed { resumed } = talk.frame().await else {
        panic!()
    };
    assert_eq!((resumed.from, resumed.status), (1, StepStatus::Pending));
    gate.open();
    let turn = talk.turn().await;
    assert_eq!(turn.text, "나다");
    assert_eq!(turn.done().status, StepStatus::Complete);
    // And once more, from the store.
    talk.send(&ClientFrame::Resume(Resume {
        step_id: None,
        received: 99,
    }))
    .await;
    let turn = talk.turn().await;
    assert!(matches!(&turn.frames[0], ServerFrame::Resumed { resumed } if resumed.from == 0));
    assert_eq!(turn.text, "가나다");
}

#[tokio::test]
async fn stop_keeps_what_there_is() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(vec![Act::Say("반쯤".into()), Act::Hang]);
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input("hi").await;
    talk.text("반쯤").await;
    talk.send(&ClientFrame::Stop).await;
    let turn = talk.turn().await;
    assert_eq!(turn.done().status, StepStatus::Cancelled);
    assert_eq!(turn.notices(), ["incomplete"]);
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(
        (steps[0].gpt_response.as_str(), steps[0].status),
        ("반쯤", StepStatus::Cancelled)
    );
    // The session is free again.
    server.script(answer(&["ok"]));
    talk.input("again").await;
    assert_eq!(talk.turn().await.text, "ok");
}

#[tokio::test]
async fn a_model_that_fails_ends_the_turn_and_the_words_are_kept() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(vec![Act::Fail(Fault::Status { status: 500 })]);
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input("들어줘").await;
    let turn = talk.turn().await;
    let error = turn.error();
    assert_eq!(
        (error.code.as_str(), error.status, error.stored),
        ("model_unavailable", Some(StepStatus::Failed), Some(true))
    );
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(
        (steps[0].user_input.as_str(), steps[0].status),
        ("들어줘", StepStatus::Failed)
    );
}

#[tokio::test]
async fn an_answer_that_is_cut_is_kept_and_said_to_be_cut() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    // The stream just stops: a clean end of file is no end of an answer.
    server.script(vec![Act::Say("반".into())]);
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input("hi").await;
    let turn = talk.turn().await;
    assert_eq!(
        (turn.done().status, turn.done().finish_reason),
        (StepStatus::Interrupted, None)
    );
    assert_eq!(
        jiwoo.client.steps(session.session_id).await.unwrap()[0].gpt_response,
        "반"
    );
}

#[tokio::test]
async fn fault_19_the_same_message_is_never_answered_twice() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("가", &gate, "나"));
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.message("hi", "m1", None).await;
    talk.text("가").await;
    talk.0.abort();
    let (mut talk, _) = jiwoo.connect(Some(session.session_id)).await;
    talk.message("hi", "m1", Some(1)).await;
    gate.open();
    let turn = talk.turn().await;
    assert_eq!(turn.text, "나");
    talk.message("hi", "m1", None).await;
    let turn = talk.turn().await;
    assert_eq!((turn.text.as_str(), turn.done().step_order), ("가나", 1));
    assert_eq!(server.model.asked().len(), 1);
    assert_eq!(
        jiwoo.client.steps(session.session_id).await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn every_device_of_a_session_sees_its_turns_and_one_speaks_at_a_time() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("가", &gate, "나"));
    let (mut phone, session) = jiwoo.connect(None).await;
    let (mut tablet, _) = jiwoo.connect(Some(session.session_id)).await;
    phone.input("hi").await;
    phone.text("가").await;
    tablet.text("가").await;
    tablet.input("me too").await;
    let refused = tablet.error().await;
    assert_eq!(
        (refused.code.as_str(), refused.stored),
        ("turn_in_progress", Some(false))
    );
    gate.open();
    assert_eq!(phone.turn().await.text, "나");
    assert_eq!(tablet.turn().await.text, "나");
}

#[tokio::test]
async fn generate_answers_the_whole_step() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(answer(&["네, ", "들어요."]));
    let session = jiwoo
        .client
        .create_session(&CreateSessionRequest::default())
        .await
        .unwrap();
    let request = GenerateRequest {
        session_id: Some(session.session_id),
        user_input: "안녕".into(),
        message_id: Some("m".into()),
        ..GenerateRequest::default()
    };
    let step = jiwoo.client.generate(&request).await.unwrap();
    assert_eq!(
        (step.step_order, step.gpt_response.as_str(), step.status),
        (1, "네, 들어요.", StepStatus::Complete)
    );
    let again = jiwoo
        .client
        .generate(&GenerateRequest {
            session_id: Some(step.session_id),
            ..request
        })
        .await
        .unwrap();
    assert_eq!(again, step);
}

#[tokio::test]
async fn fault_17_a_drain_lets_the_turn_finish_and_says_goodbye() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("가", &gate, "나"));
    let (mut talk, _) = jiwoo.connect(None).await;
    let (mut idle, _) = jiwoo.connect(None).await;
    talk.input("hi").await;
    talk.text("가").await;
    server.stop.cancel();
    assert_eq!(idle.closed().await, 1012);
    assert!(
        matches!(talk.frame().await, ServerFrame::Notice { notice } if notice.code == "draining")
    );
    gate.open();
    assert_eq!(talk.turn().await.text, "나");
    assert_eq!(talk.closed().await, 1012);
    server.shut_down().await;
}

#[tokio::test]
async fn fault_15_what_a_dead_process_left_is_closed_at_the_start() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let server = Server::on(
        std::sync::Arc::clone(&dir),
        deepme::config::Config::default(),
        None,
    )
    .await;
    let jiwoo = server.person("jiwoo").await;
    server.script(vec![Act::Say("반".into()), Act::Hang]);
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input("hi").await;
    talk.text("반").await;
    // The process is gone: its tasks never run again, its database is what is on disk.
    let token = jiwoo.token.clone();
    std::mem::forget(server.app);
    server.serving.abort();
    let server = Server::on(dir, deepme::config::Config::default(), None).await;
    let client = server.stranger().with_token(&token).unwrap();
    let steps = client.steps(session.session_id).await.unwrap();
    assert_eq!(steps[0].status, StepStatus::Interrupted);
    assert_eq!(steps[0].user_input, "hi");
}

#[tokio::test]
async fn a_message_id_needs_its_session() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let request = GenerateRequest {
        user_input: "안녕".into(),
        message_id: Some("m".into()),
        ..GenerateRequest::default()
    };
    let refused = jiwoo.client.generate(&request).await.unwrap_err();
    assert_eq!(refused.status(), Some(422));
    assert!(server.model.asked().is_empty());
}

#[tokio::test]
async fn a_session_that_was_ended_before_a_word_was_said_takes_none() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.send_text(r#"{"end": false}"#).await;
    assert_eq!(talk.error().await.code, "bad_frame");
    talk.send(&ClientFrame::End).await;
    assert!(matches!(talk.frame().await, ServerFrame::Ended { .. }));
    talk.input("아직 있어?").await;
    let refused = talk.error().await;
    assert_eq!(
        (refused.code.as_str(), refused.stored),
        ("session_ended", Some(false))
    );
    assert!(
        jiwoo
            .client
            .sessions(jiwoo.user_id, None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_message_that_is_stored_is_found_when_nothing_new_is_taken() {
    let server = Server::with(|config| config.limits.turns = 1).await;
    let jiwoo = server.person("jiwoo").await;
    server.script(vec![Act::Say("가".into()), Act::Hang]);
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.message("hi", "m1", None).await;
    talk.text("가").await;
    let (mut again, _) = jiwoo.connect(Some(session.session_id)).await;
    again.message("hi", "m1", Some(0)).await;
    again.text("가").await;
    // Another message finds no place, and that is said.
    let (mut other, _) = jiwoo.connect(None).await;
    other.message("hi", "m2", None).await;
    let refused = other.error().await;
    assert_eq!(
        (refused.code.as_str(), refused.stored),
        ("overloaded", Some(false))
    );
}

/// Whoever asks by REST while the turn runs sees how it stands.
#[tokio::test]
async fn a_running_step_is_shown_as_it_stands() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    let gate = Gate::default();
    server.script(held("그랬", &gate, "군요."));
    talk.input("들어줘").await;
    talk.text("그랬").await;
    let step = async || {
        let mut steps = jiwoo.client.steps(session.session_id).await.unwrap();
        assert_eq!(steps.len(), 1);
        steps.remove(0)
    };
    // What there is of the answer is stored within a second.
    while step().await.gpt_response.is_empty() {
        tokio::task::yield_now().await;
    }
    let running = step().await;
    assert_eq!(
        (running.status, running.gpt_response.as_str()),
        (StepStatus::Pending, "그랬")
    );
    assert_eq!(running.user_input, "들어줘");
    gate.open();
    talk.turn().await.done();
    let ended = step().await;
    assert_eq!(
        (ended.status, ended.gpt_response.as_str()),
        (StepStatus::Complete, "그랬군요.")
    );
}
