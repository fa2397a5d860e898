//! The end of a process that is asked to end: row 17.

use super::{on, person_at};
use crate::command_line::Machine;
use crate::support::Talk;
use crate::talkers::slow_model;
use deepme::client::Event;
use deepme::domain::step::StepStatus;
use deepme::wire::ws::{NOTICE_DRAINING, ServerFrame};
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const STREAMS: usize = 100;

/// What somebody heard whose turn ran when the server was told to end.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    draining: bool,
    status: Option<StepStatus>,
    code: u16,
}

async fn to_the_end(talk: &mut Talk) -> Heard {
    let mut heard = Heard::default();
    loop {
        match talk.event().await {
            Event::Frame(ServerFrame::Token { token }) => heard.text.push_str(&token),
            Event::Frame(ServerFrame::Notice { notice }) => {
                heard.draining |= notice.code == NOTICE_DRAINING;
            }
            Event::Frame(ServerFrame::Done(done)) => heard.status = Some(done.status),
            Event::Closed(code, _) => {
                heard.code = code;
                return heard;
            }
            Event::Frame(_) | Event::Unknown(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_17_a_hundred_streams_finish_before_the_process_ends() {
    let machine = Machine::new();
    let model = slow_model(20, Duration::from_millis(150)).await;
    let env = [
        ("OPENAI_BASE_URL", model.as_str()),
        ("DEEPME_LIMITS__SOCKETS_A_USER", "0"),
        ("DEEPME_LIMITS__TURNS_A_USER", "0"),
        ("DEEPME_LIMITS__MESSAGES_A_MINUTE", "0"),
    ];
    let server = machine.serve(&[], &env);
    let jiwoo = person_at(server.address, "jiwoo").await;
    let address = server.address;
    let mut talks = join_all((0..STREAMS).map(async |_| {
        let (mut talk, _) = on(&jiwoo, None).await;
        talk.input("말해줘").await;
        while !matches!(talk.frame().await, ServerFrame::Token { .. }) {}
        talk
    }))
    .await;
    let (mut idle, _) = on(&jiwoo, None).await;
    server.terminate();
    // Who has no turn is told to go, and nobody new is let in.
    assert_eq!(idle.closed().await, 1012);
    assert!(TcpStream::connect(address).await.is_err());
    let heard = join_all(talks.iter_mut().map(to_the_end)).await;
    let whole = heard.iter().filter(|heard| {
        heard.status == Some(StepStatus::Complete) && heard.text.ends_with("낱말19 ")
    });
    assert_eq!(whole.count(), STREAMS, "{:?}", heard[0]);
    assert!(
        heard
            .iter()
            .all(|heard| heard.draining && heard.code == 1012)
    );
    let ended = server.ended();
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_17_turns_that_are_too_long_are_cut_and_kept() {
    let machine = Machine::new();
    let model = slow_model(10_000, Duration::from_millis(20)).await;
    let env = [
        ("OPENAI_BASE_URL", model.as_str()),
        ("DEEPME_SERVER__DRAIN_SECONDS", "1"),
    ];
    let server = machine.serve(&[], &env);
    let jiwoo = person_at(server.address, "jiwoo").await;
    let (mut talk, session_id) = on(&jiwoo, None).await;
    talk.input("말해줘").await;
    while !matches!(talk.frame().await, ServerFrame::Token { .. }) {}
    server.terminate();
    let told = Instant::now();
    let heard = to_the_end(&mut talk).await;
    assert_eq!(heard.status, Some(StepStatus::Interrupted));
    assert_eq!((heard.draining, heard.code), (true, 1012));
    let ended = server.ended();
    assert_eq!(ended.code, 0, "{ended:?}");
    // What the configuration allows, and the ten seconds for what is left.
    assert!(
        told.elapsed() < Duration::from_secs(1 + 10),
        "{:?}",
        told.elapsed()
    );
    let server = machine.serve(&[], &env);
    let again = super::by(&jiwoo, server.address);
    let steps = again.client.steps(session_id).await.unwrap();
    assert_eq!(steps[0].status, StepStatus::Interrupted);
    assert!(steps[0].gpt_response.ends_with(&heard.text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_17_a_second_signal_ends_at_once_and_loses_no_word() {
    let machine = Machine::new();
    let model = slow_model(10_000, Duration::from_millis(20)).await;
    let env = [("OPENAI_BASE_URL", model.as_str())];
    let server = machine.serve(&[], &env);
    let jiwoo = person_at(server.address, "jiwoo").await;
    let (mut talk, session_id) = on(&jiwoo, None).await;
    talk.input("말해줘").await;
    while !matches!(talk.frame().await, ServerFrame::Token { .. }) {}
    server.terminate();
    while !matches!(talk.frame().await, ServerFrame::Notice { .. }) {}
    let told = Instant::now();
    server.terminate();
    let ended = server.ended();
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        told.elapsed() < Duration::from_secs(2),
        "{:?}",
        told.elapsed()
    );
    let server = machine.serve(&[], &env);
    let again = super::by(&jiwoo, server.address);
    let steps = again.client.steps(session_id).await.unwrap();
    assert_eq!(steps[0].user_input, "말해줘");
    assert_eq!(steps[0].status, StepStatus::Interrupted);
}
