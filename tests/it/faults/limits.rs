//! Too many, and too slow to say what they want: rows 22, 26 and 27.

use super::{measured, on, person_at, resident, until};
use crate::command_line::{Machine, PASSWORD};
use crate::raw::{Ask, read_answer};
use crate::support::{PATIENCE, Server};
use crate::talkers::slow_model;
use deepme::client::Client;
use deepme::wire::ws::ServerFrame;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_without_descriptors_accepting_pauses_and_recovers() {
    let machine = Machine::new();
    let few = ["sh", "-c", r#"ulimit -n 128; exec "$@""#, "sh"];
    let server = machine.serve_under(&few, &[], &[]);
    let jiwoo = person_at(server.address, "jiwoo").await;
    let (mut talk, _) = on(&jiwoo, None).await;
    // The queue of the kernel takes those that the server cannot.
    let mut taken = Vec::new();
    for _ in 0..200 {
        taken.push(TcpStream::connect(server.address).await.unwrap());
    }
    let descriptors = format!("/proc/{}/fd", server.id());
    until("all are taken", async || {
        std::fs::read_dir(&descriptors).unwrap().count() >= 128
    })
    .await;
    // Who is in talks on.
    talk.input("안녕").await;
    talk.turn().await.done();
    drop(taken);
    until("somebody is let in again", async || {
        let ask = Ask::new("GET", "/health");
        let asking = tokio::time::timeout(Duration::from_secs(1), ask.send_to(server.address));
        asking.await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    talk.input("아직 있어?").await;
    talk.turn().await.done();
    let stopped = server.stop();
    assert_eq!(stopped.code, 0);
    // It said so, and did not fill the log with it.
    let said = stopped.err.matches("cannot accept a connection").count();
    assert!((1..200).contains(&said), "{said} lines");
}

/// 500 here; `DEEPME_TEST_IDLE=10000` for as many as the table says, where `ulimit -n` allows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_22_idle_sockets_cost_little() {
    let sockets: u32 = std::env::var("DEEPME_TEST_IDLE").map_or(500, |n| n.parse().unwrap());
    let machine = Machine::new();
    let server = machine.serve(&[], &[("DEEPME_LIMITS__SOCKETS_A_USER", "0")]);
    let jiwoo = person_at(server.address, "jiwoo").await;
    // The rules of safety are compiled by then, which takes memory for a moment.
    let (mut talk, _) = on(&jiwoo, None).await;
    talk.input("안녕").await;
    talk.turn().await.done();
    let mut idle = Vec::new();
    // The first ones pay for what is shared.
    while idle.len() < 200 {
        idle.push(on(&jiwoo, None).await);
    }
    let before = resident(&server);
    while idle.len() < 200 + sockets as usize {
        idle.push(on(&jiwoo, None).await);
    }
    let more = resident(&server).saturating_sub(before);
    measured(&format!("{sockets} idle sockets more: {more} kB"));
    // 150 MiB for ten thousand; the allocator takes 2 MiB at a time, for each of its two threads.
    let allowed = 15 * u64::from(sockets) + 2 * 2048;
    assert!(more < allowed, "{more} kB");
}

/// What a peer sends before it falls silent, and then a byte now and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_26_who_does_not_say_what_they_want_is_closed_in_time() {
    let server = Server::with(|config| config.server.request_seconds = 1).await;
    let jiwoo = server.person("jiwoo").await;
    let body = format!(
        "POST /emotion/steps/generate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"user",
        jiwoo.token
    );
    let cases = [
        ("no byte", String::new(), false),
        (
            "half a head",
            "GET /health HTTP/1.1\r\nhost:".to_owned(),
            false,
        ),
        (
            "a slow head",
            "GET /health HTTP/1.1\r\nx-long: ".to_owned(),
            true,
        ),
        ("half a body", body.clone(), false),
        ("a slow body", body, true),
    ];
    let closed = join_all(cases.map(async |(name, said, drips)| {
        let begun = Instant::now();
        let (mut reading, mut writing) = TcpStream::connect(server.address)
            .await
            .unwrap()
            .into_split();
        writing.write_all(said.as_bytes()).await.unwrap();
        let dripping = async {
            while drips && writing.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut heard = Vec::new();
        let ended = tokio::select! {
            ended = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut heard)) => ended,
            () = dripping => unreachable!(),
        };
        // A reset is an end as well for somebody who goes on writing.
        let _ = ended.unwrap_or_else(|_| panic!("{name} is never closed"));
        (name, begun.elapsed(), String::from_utf8(heard).unwrap())
    }))
    .await;
    for (name, took, heard) in closed {
        measured(&format!("{name}: closed after {took:?}"));
        // Who is told why may read that for two seconds more; the rest is for a busy machine.
        let longest = if heard.is_empty() { 1 + 3 } else { 1 + 2 + 3 };
        assert!(took < Duration::from_secs(longest), "{name}: {took:?}");
        let status = heard.split(' ').nth(1);
        assert!(matches!(status, None | Some("408")), "{name}: {heard}");
    }
    // The others were served meanwhile, by a connection that stays.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(read_answer(&mut stream, "GET").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_sixty_four_logins_at_once_cost_little_and_disturb_no_stream() {
    const LOGINS: usize = 64;
    let machine = Machine::new();
    // Longer than the logins take, however busy the machine is.
    let model = slow_model(10_000, Duration::from_millis(20)).await;
    let server = machine.serve(&[], &[("OPENAI_BASE_URL", &model)]);
    let jiwoo = person_at(server.address, "jiwoo").await;
    let (mut talk, _) = on(&jiwoo, None).await;
    talk.input("말해줘").await;
    talk.frame().await;
    // The longest time without a token, for as long as `going`.
    let mut gap = async |going: &dyn Fn(usize) -> bool| {
        let mut longest = Duration::ZERO;
        let mut heard = Instant::now();
        for n in 0.. {
            if !going(n) {
                break;
            }
            assert!(matches!(talk.frame().await, ServerFrame::Token { .. }));
            longest = longest.max(heard.elapsed());
            heard = Instant::now();
        }
        longest
    };
    let before = gap(&|n| n < 50).await;
    let memory = resident(&server);
    let stranger = Client::new(&format!("http://{}", server.address)).unwrap();
    let email = jiwoo.email.clone();
    let flood = tokio::spawn(async move {
        let begun = Instant::now();
        let all = join_all((0..LOGINS).map(|_| stranger.login(&email, PASSWORD))).await;
        (all, begun.elapsed())
    });
    let most = std::cell::Cell::new(memory);
    let during = gap(&|_| {
        most.set(most.get().max(resident(&server)));
        !flood.is_finished()
    })
    .await;
    let (logins, took) = flood.await.unwrap();
    assert!(logins.iter().all(Result::is_ok));
    let more = (most.get() - memory) / 1024;
    measured(&format!(
        "{LOGINS} logins in {took:?}: {more} MiB more, longest pause {during:?}, {before:?} without"
    ));
    assert!(more < 200, "{more} MiB");
    assert!(during < before + Duration::from_secs(1), "{during:?}");
}
