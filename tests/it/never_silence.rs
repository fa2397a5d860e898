//! Words of somebody in danger are never met by silence, least of all when the turn is refused.

use crate::raw::Ask;
use crate::support::{PASSWORD, Server, Talk};
use deepme::client::Event;
use deepme::llm::Fault;
use deepme::llm::scripted::{Act, Gate, answer};
use deepme::wire::ws::{ErrorFrame, ServerFrame};
use serde_json::json;

const WORDS: &str = "죽고 싶어";

/// The next two frames are whom to reach, and why the turn was refused.
async fn helped_and_refused(talk: &mut Talk) -> ErrorFrame {
    let ServerFrame::Safety { safety } = talk.frame().await else {
        panic!("no safety frame")
    };
    assert!(!safety.message.is_empty() && !safety.resources.is_empty());
    assert!(safety.resources.iter().all(|r| !r.contact.is_empty()));
    talk.error().await
}

#[tokio::test]
async fn a_refused_turn_still_says_whom_to_reach_and_whether_the_words_are_kept() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(vec![Act::Wait(gate.clone()), Act::Say("네".into())]);
    let (mut talk, _) = jiwoo.connect(None).await;
    // Words that are refused for their length, or for what stands beside them.
    talk.input(&format!("{WORDS} {}", "x".repeat(17_000))).await;
    let error = helped_and_refused(&mut talk).await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("invalid_input", Some(false))
    );
    let frame = json!({"user_input": WORDS, "step_type": "x".repeat(33)});
    talk.send_text(&frame.to_string()).await;
    let error = helped_and_refused(&mut talk).await;
    assert_eq!(
        (error.field.as_deref(), error.stored),
        (Some("step_type"), Some(false))
    );
    // The session is still answering.
    talk.input("안녕").await;
    talk.frame().await;
    talk.input(WORDS).await;
    let error = helped_and_refused(&mut talk).await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("turn_in_progress", Some(false))
    );
    gate.open();
    talk.turn().await;
    // It has ended.
    talk.send_text(r#"{"end": true}"#).await;
    talk.frame().await;
    talk.input(WORDS).await;
    let error = helped_and_refused(&mut talk).await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("session_ended", Some(false))
    );
}

#[tokio::test]
async fn a_socket_that_is_closed_for_its_token_says_so_first() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    let changed = jiwoo
        .client
        .change_password(PASSWORD, "an entirely new one");
    changed.await.unwrap();
    talk.input(WORDS).await;
    assert!(matches!(talk.frame().await, ServerFrame::Safety { .. }));
    assert!(matches!(talk.event().await, Event::Closed(4401, _)));
}

#[tokio::test]
async fn a_model_that_fails_leaves_nobody_in_danger_without_an_answer() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    server.script(vec![Act::Fail(Fault::Connection)]);
    let (mut talk, session) = jiwoo.connect(None).await;
    talk.input(WORDS).await;
    let turn = talk.turn().await;
    assert!(matches!(turn.frames[0], ServerFrame::Accepted { .. }));
    assert!(
        matches!(turn.frames[1], ServerFrame::Safety { .. }),
        "before the first token"
    );
    assert!(!turn.text.is_empty());
    turn.done();
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps[0].gpt_response, turn.text);
}

#[tokio::test]
async fn generate_says_it_in_the_answer_and_in_the_problem() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let generate = async |body: serde_json::Value| {
        let ask = Ask::new("POST", "/emotion/steps/generate").bearer(&jiwoo.token);
        ask.json(body.to_string()).send(&server).await
    };
    server.script(answer(&["모델의 말"]));
    let step = generate(json!({"user_input": WORDS})).await.json();
    let text = step["gpt_response"].as_str().unwrap();
    let (help, rest) = text.split_once("모델의 말").unwrap();
    assert!(!help.trim().is_empty() && rest.is_empty(), "{text}");
    let refused = generate(json!({"user_input": WORDS, "message_id": ""})).await;
    let problem = refused.problem();
    assert_eq!((problem.status, problem.stored), (422, Some(false)));
    assert!(
        problem
            .safety
            .is_some_and(|safety| !safety.resources.is_empty())
    );
    let other = server.person("minsu").await.user_id;
    let foreign = generate(json!({"user_input": WORDS, "user_id": other})).await;
    assert_eq!(foreign.status, 403);
    assert!(foreign.problem().safety.is_some(), "{}", foreign.text());
}

/// Whoever sends the words again, because the answer never came, needs the help again.
#[tokio::test]
async fn words_that_are_sent_again_show_the_help_again() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    server.script(answer(&["곁에 있을게요."]));
    for again in [false, true] {
        talk.message(WORDS, "m1", None).await;
        let turn = talk.turn().await;
        let helped = |frame: &ServerFrame| matches!(frame, ServerFrame::Safety { .. });
        assert!(turn.frames.iter().any(helped), "again: {again}, {turn:?}");
        assert!(turn.text.ends_with("곁에 있을게요."), "{turn:?}");
    }
    assert_eq!(server.model.asked().len(), 1);
}
