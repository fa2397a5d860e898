//! Peers that do not read, and peers that are gone without a word: rows 2 and 3.

use super::{by, measured};
use crate::proxy::{Proxy, Way};
use crate::support::{PATIENCE, Server, Talk};
use deepme::client::Event;
use deepme::domain::step::{FinishReason, StepStatus};
use deepme::llm::scripted::{Act, Gate};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

/// The longest answer that the configuration allows, of what grows most in JSON: 786 kB on the wire.
const LONGEST: usize = 128 * 1024;
/// Turns after which the kernel's buffers are full, whatever they are on this machine.
const ENOUGH: usize = 16;

/// How long tokens take to reach a listener: the slowest of them. Paced, so that what goes on beside
/// it has time to disturb.
async fn slowest(talk: &mut Talk, gate: &Gate, mut enough: impl FnMut(usize) -> bool) -> Duration {
    let mut slowest = Duration::ZERO;
    for n in 0.. {
        if enough(n) {
            break;
        }
        let said = Instant::now();
        gate.open();
        talk.text("가").await;
        slowest = slowest.max(said.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    slowest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_02_who_stops_reading_is_closed_and_delays_nobody() {
    let server = Server::with(|config| {
        config.server.slow_client_seconds = 1;
        config.llm.max_output_bytes = LONGEST;
        config.llm.summaries = false;
        config.limits.tokens_a_day = 0;
    })
    .await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    // Somebody listens to a model that speaks slowly.
    let gate = Gate::default();
    let word = [Act::Wait(gate.clone()), Act::Say("가".into())];
    let mut script: Vec<Act> = (0..2000).flat_map(|_| word.clone()).collect();
    script.push(Act::End(FinishReason::Stop));
    server.script(script);
    let (mut other, _) = minsu.connect(None).await;
    other.input("천천히").await;
    let before = slowest(&mut other, &gate, |n| n == 50).await;

    // One device of somebody else's stops reading, while the other one talks.
    let proxy = Proxy::to(server.address).await;
    let (mut phone, session) = jiwoo.connect(None).await;
    let session_id = session.session_id;
    let (mut stuck, _) = by(&jiwoo, proxy.address).connect(Some(session_id)).await;
    proxy.down(Way::Stopped);
    let long = "\u{1}".repeat(LONGEST);
    for _ in 0..ENOUGH {
        server.script(vec![Act::Say(long.clone()), Act::End(FinishReason::Stop)]);
    }
    let length = long.len();
    let talking = tokio::spawn(async move {
        for _ in 0..ENOUGH {
            phone.input("길게").await;
            let turn = phone.turn().await;
            assert_eq!(turn.text.len(), length);
            assert_eq!(turn.done().status, StepStatus::Complete);
        }
    });
    let during = slowest(&mut other, &gate, |n| n > 50 && talking.is_finished()).await;
    talking.await.unwrap();
    // The limit of 1 s and the 5 s of the promise.
    let closed = async {
        loop {
            tokio::select! {
                () = proxy.hung_up() => return,
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    let ping = Message::text(r#"{"ping": 1}"#);
                    let _ = stuck.0.send_raw(ping).await;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(6), closed)
        .await
        .expect("who does not read is closed");
    measured(&format!(
        "slowest token: {before:?} without a slow client, {during:?} with one"
    ));
    assert!(
        during < before + Duration::from_secs(1),
        "{before:?} {during:?}"
    );
    // What it reads in the end is that it was too slow, or that the connection is over.
    proxy.down(Way::Open);
    let end = async {
        loop {
            if let Event::Closed(code, _) = stuck.0.next().await {
                return code;
            }
        }
    };
    let code = tokio::time::timeout(PATIENCE, end).await.unwrap();
    assert!(matches!(code, 1013 | 1006), "{code}");
    let steps = jiwoo.client.steps(session_id).await.unwrap();
    assert_eq!(steps.len(), ENOUGH);
    assert!(steps.iter().all(|step| step.gpt_response == long));
}

#[tokio::test]
async fn fault_03_a_peer_that_is_gone_without_a_word_is_closed_within_two_pings() {
    const PERIOD: Duration = Duration::from_secs(2);
    let server = Server::with(|config| config.server.ping_seconds = PERIOD.as_secs()).await;
    let jiwoo = server.person("jiwoo").await;
    let proxy = Proxy::to(server.address).await;
    let (mut gone, _) = by(&jiwoo, proxy.address).connect(None).await;
    let (mut alive, _) = jiwoo.connect(None).await;
    // A moment after the server's own clock has begun to tick, as a pong comes after its ping.
    tokio::time::sleep(Duration::from_millis(100)).await;
    gone.send_text(r#"{"ping": 1}"#).await;
    gone.frame().await;
    proxy.up(Way::Lost);
    proxy.down(Way::Lost);
    let lost = Instant::now();
    // Who is there answers pings by reading, and is left alone.
    let ended = tokio::select! {
        ended = tokio::time::timeout(PATIENCE, proxy.hung_up()) => ended,
        event = alive.0.next() => panic!("{event:?}"),
    };
    ended.expect("who is gone is closed");
    // Two periods, the second for which a goodbye is waited for, and some for a busy machine; a third one would be too
    // many.
    let took = lost.elapsed();
    measured(&format!("closed after {took:?}"));
    assert!(took >= PERIOD, "{took:?}");
    assert!(took < PERIOD * 3 + Duration::from_millis(900), "{took:?}");
    alive.send_text(r#"{"ping": 2}"#).await;
    alive.frame().await;
}
