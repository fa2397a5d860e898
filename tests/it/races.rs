//! Many at once: what twenty devices, or one impatient client, do to a session.

use crate::support::{PATIENCE, Person, START, Server, held};
use deepme::domain::step::{FinishReason, MessageId, StepStatus, StepType, UserInput};
use deepme::domain::{SessionId, StepId};
use deepme::llm::scripted::{Act, Gate, answer};
use deepme::service::turn::{Found, Say};
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use deepme::wire::ws::ServerFrame;
use futures_util::future::join_all;
use std::time::Duration;

const RACERS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fault_18_twenty_devices_speak_at_once_and_one_is_heard() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(vec![
        Act::Wait(gate.clone()),
        Act::Say("네".into()),
        Act::End(FinishReason::Stop),
    ]);
    let (first, session) = jiwoo.connect(None).await;
    let mut talks = vec![first];
    while talks.len() < RACERS {
        talks.push(jiwoo.connect(Some(session.session_id)).await.0);
    }
    let speaking = talks.iter_mut().enumerate();
    join_all(speaking.map(async |(n, talk)| talk.input(&format!("장치 {n}")).await)).await;
    // Everybody hears of the one turn, and all but its speaker are told to wait. The answer is held
    // back until the last of them was refused.
    let refused = std::sync::atomic::AtomicUsize::new(0);
    let heard = join_all(talks.iter_mut().map(async |talk| {
        loop {
            match talk.frame().await {
                ServerFrame::Error { error } => {
                    assert_eq!(
                        (error.code.as_str(), error.stored),
                        ("turn_in_progress", Some(false))
                    );
                    let before = refused.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    if before + 1 == RACERS - 1 {
                        gate.open();
                    }
                }
                ServerFrame::Done(done) => return (done.step_id, done.step_order, done.status),
                ServerFrame::Accepted { .. } | ServerFrame::Token { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }))
    .await;
    assert_eq!((heard[0].1, heard[0].2), (1, StepStatus::Complete));
    assert!(heard.iter().all(|turn| turn == &heard[0]));
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(server.model.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fault_19_one_message_sent_by_twenty_sockets_is_answered_once_to_all() {
    let server = Server::with(|config| config.limits.messages_a_minute = 0).await;
    let jiwoo = server.person("jiwoo").await;
    let (first, session) = jiwoo.connect(None).await;
    let mut talks = vec![first];
    while talks.len() < RACERS {
        talks.push(jiwoo.connect(Some(session.session_id)).await.0);
    }
    for round in 1..=20 {
        server.script(answer(&["네, ", "들어요."]));
        let id = format!("m{round}");
        join_all(talks.iter_mut().map(async |talk| {
            talk.message("안녕", &id, Some(0)).await;
            // As a client does: what `resumed` says is replaced, the rest is added.
            let mut text = String::new();
            let mut ends = 0;
            while ends == 0 {
                match talk.frame().await {
                    ServerFrame::Resumed { resumed } => {
                        assert_eq!(resumed.from, 0);
                        text.clear();
                    }
                    ServerFrame::Token { token } => text.push_str(&token),
                    ServerFrame::Accepted { accepted } => assert_eq!(accepted.step_order, round),
                    ServerFrame::Done(done) => {
                        assert_eq!(
                            (done.step_order, done.status),
                            (round, StepStatus::Complete)
                        );
                        ends += 1;
                    }
                    other => panic!("round {round}: {other:?}"),
                }
            }
            assert_eq!(text, "네, 들어요.", "round {round}");
        }))
        .await;
        // A socket whose message is read only after it has heard the whole turn live gets the replay
        // that it asked for. The next round must not take that for its own, so they are told apart
        // by a ping.
        join_all(talks.iter_mut().map(async |talk| {
            talk.send_text(r#"{"ping": "round"}"#).await;
            while !matches!(talk.frame().await, ServerFrame::Pong { .. }) {}
        }))
        .await;
    }
    assert_eq!(server.model.asked().len(), 20);
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    let orders: Vec<i64> = steps.iter().map(|step| step.step_order).collect();
    assert_eq!(orders, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fault_19_one_message_generated_twenty_times_is_one_step_and_every_answer_is_whole() {
    let server = Server::with(|config| config.limits.messages_a_minute = 0).await;
    let jiwoo = server.person("jiwoo").await;
    for round in 1..=20 {
        let session = jiwoo
            .client
            .create_session(&CreateSessionRequest::default())
            .await
            .unwrap();
        server.script(answer(&["네, ", "들어요."]));
        let request = GenerateRequest {
            session_id: Some(session.session_id),
            user_input: "안녕".into(),
            message_id: Some("m".into()),
            ..GenerateRequest::default()
        };
        let steps = join_all((0..RACERS).map(|_| jiwoo.client.generate(&request))).await;
        for step in &steps {
            let step = step.as_ref().unwrap();
            assert_eq!(
                (step.status, step.gpt_response.as_str()),
                (StepStatus::Complete, "네, 들어요."),
                "round {round}"
            );
            assert_eq!(step, steps[0].as_ref().unwrap());
        }
        assert_eq!(server.model.asked().len(), round);
    }
}

/// Words that were stored while nobody looked: the caller went between the commit and the answer.
async fn begun_and_dropped(server: &Server, jiwoo: &Person, session: SessionId) -> StepId {
    let words = "들어줘";
    let say = Say {
        session_id: session,
        user_input: UserInput::parse(words, 100).unwrap(),
        step_type: StepType::default(),
        client_prompt: None,
        message_id: Some(MessageId::parse("m").unwrap()),
        knows_frames: true,
        assessment: server.app.assess(words),
    };
    let mut saying = Box::pin(server.app.say(jiwoo.user_id, say));
    assert!(futures_util::poll!(saying.as_mut()).is_pending());
    let stored = async {
        loop {
            let found = server
                .app
                .steps(jiwoo.user_id, session, 0, None)
                .await
                .unwrap();
            match found.first() {
                Some(step) => return step.step_id,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let step_id = tokio::time::timeout(PATIENCE, stored).await.unwrap();
    drop(saying);
    step_id
}

#[tokio::test]
async fn fault_01_who_hangs_up_right_after_the_words_are_stored_is_still_answered() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let fresh = CreateSessionRequest::default();
    let session = jiwoo
        .client
        .create_session(&fresh)
        .await
        .unwrap()
        .session_id;
    server.script(answer(&["네"]));
    let step_id = begun_and_dropped(&server, &jiwoo, session).await;
    match server
        .app
        .find_turn(jiwoo.user_id, session, None)
        .await
        .unwrap()
    {
        Found::Running(turn) => {
            let end = tokio::time::timeout(PATIENCE, turn.wait()).await.unwrap();
            assert!(matches!(end, ServerFrame::Done(done) if done.step_id == step_id));
        }
        Found::Stored(step) => assert_eq!(step.status, StepStatus::Complete),
    }
    let steps = jiwoo.client.steps(session).await.unwrap();
    assert_eq!(
        (steps[0].status, steps[0].gpt_response.as_str()),
        (StepStatus::Complete, "네")
    );
}

/// Fault 20: leases are times, and times jump.
#[tokio::test]
async fn fault_20_a_clock_that_jumps_two_hours_ends_no_running_turn() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let gate = Gate::default();
    server.script(held("가", &gate, "나"));
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.input("안녕").await;
    talk.text("가").await;
    let jump = Duration::from_hours(2);
    server.clock.advance(jump);
    server.app.sweep_once(None).await.unwrap();
    server.clock.set(START);
    server.app.sweep_once(None).await.unwrap();
    gate.open();
    let turn = talk.turn().await;
    assert_eq!(
        (turn.text.as_str(), turn.done().status),
        ("나", StepStatus::Complete)
    );
}
