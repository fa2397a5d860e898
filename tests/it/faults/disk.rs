//! Disks that are full, and disks that fail: rows 13 and 14.

use super::{on, person_at};
use crate::command_line::{Machine, Outcome, Serving};
use crate::raw::Ask;
use crate::support::{Person, Talk};
use crate::upstream::{self, Reply, Upstream, ends, says};
use deepme::client::Event;
use deepme::domain::step::StepStatus;
use deepme::wire::rest::{CreateSessionRequest, GenerateRequest};
use deepme::wire::ws::ServerFrame;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Whether a program of the system did what it was asked to.
fn done(program: &str, args: &[&str]) -> bool {
    let outcome = Command::new(program).args(args).output();
    let outcome =
        outcome.unwrap_or_else(|e| panic!("{program}: {e}: see tests/run for what is needed"));
    outcome.status.success()
}

/// A small file system of one's own, as long as it is held.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where this process may not mount.
    fn at(path: &'a Path) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let options = "size=2m,mode=0700";
        let place = path.to_str().unwrap();
        done("mount", &["-t", "tmpfs", "-o", options, "tmpfs", place]).then_some(Self(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        done("umount", &["--lazy", self.0.to_str().unwrap()]);
    }
}

/// Writes until nothing more can be written, is refused, reads all the same, and goes on when there
/// is room again.
async fn full_and_back(server: &Serving, fill: impl FnOnce(), free: impl FnOnce()) {
    let jiwoo = person_at(server.address, "jiwoo").await;
    let turn = GenerateRequest {
        user_input: "들어줘".to_owned(),
        ..GenerateRequest::default()
    };
    let step = jiwoo.client.generate(&turn).await.unwrap();
    let fresh = CreateSessionRequest::default();
    let mut kept = 1;
    fill();
    // The log has some room left from before.
    let refused = loop {
        match jiwoo.client.create_session(&fresh).await {
            Ok(_) => kept += 1,
            Err(refused) => break refused,
        }
        assert!(kept < 20_000, "nothing was full");
    };
    assert_eq!(refused.status(), Some(503));
    let generating = Ask::new("POST", "/emotion/steps/generate").bearer(&jiwoo.token);
    let generating = generating.json(r#"{"user_input": "아직 있어?"}"#);
    let answer = generating.send_to(server.address).await;
    assert_eq!(answer.problem().status, 503);
    assert!(answer.header("retry-after").is_some());
    let (mut talk, _) = on(&jiwoo, Some(step.session_id)).await;
    talk.input("아직 있어?").await;
    assert_eq!(talk.error().await.code, "unavailable");
    // Everything that was acknowledged can be read.
    let steps = jiwoo.client.steps(step.session_id).await.unwrap();
    assert_eq!(steps, std::slice::from_ref(&step));
    let sessions = jiwoo.client.sessions(jiwoo.user_id, None).await.unwrap();
    assert_eq!(sessions.len(), kept);
    free();
    talk.input("아직 있어?").await;
    assert_eq!(talk.turn().await.done().step_order, 2);
    jiwoo.client.create_session(&fresh).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_13_a_full_disk_refuses_words_and_recovers_by_itself() {
    let machine = Machine::new();
    let data = machine.path("data");
    let Some(_mounted) = Small::at(&data) else {
        eprintln!("not shown: this process may not mount a small file system");
        return;
    };
    let server = machine.serve(&[], &[]);
    let filler = data.join("filler");
    let fill = || {
        // Whatever fits; the last write fails.
        let all = vec![0; 4 << 20];
        assert!(std::fs::write(&filler, all).is_err());
    };
    full_and_back(&server, fill, || std::fs::remove_file(&filler).unwrap()).await;
    assert_eq!(server.stop().code, 0);
}

/// The signal that comes with it would end the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_13_a_file_that_may_not_grow_is_an_error_and_not_the_end() {
    let machine = Machine::new();
    let server = machine.serve(&[], &[]);
    let limit = |size: &str| {
        let (process, size) = (server.id().to_string(), format!("--fsize={size}:unlimited"));
        assert!(done("prlimit", &["--pid", &process, &size]));
    };
    full_and_back(&server, || limit("200000"), || limit("unlimited")).await;
    assert_eq!(server.stop().code, 0);
}

/// A server whose disk can be made to fail.
struct Failing {
    machine: Machine,
    server: Serving,
}

impl Failing {
    fn new(env: &[(&str, &str)]) -> Self {
        let machine = Machine::new();
        let control = machine.path("fiu");
        // It becomes the server, with its functions in front of the C library's.
        let wrapper = ["fiu-run", "-x", "-f", control.to_str().unwrap()];
        let server = machine.serve_under(&wrapper, &[], env);
        Self { machine, server }
    }

    /// `enable` or `disable` a function of the C library.
    fn fault(&self, command: &str) {
        let control = self.machine.path("fiu");
        let id = self.server.id().to_string();
        let args = ["-f", control.to_str().unwrap(), "-c", command, &id];
        assert!(done("fiu-ctrl", &args));
    }

    /// It ends by itself, at once, and says why.
    fn ends(self) -> Machine {
        let begun = Instant::now();
        let ended: Outcome = self.server.ended();
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains("fsync failed"), "{ended:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
        self.machine
    }
}

/// Nothing is acknowledged any more, and the connection ends.
async fn nothing_more(talk: &mut Talk) {
    loop {
        match talk.event().await {
            Event::Closed(..) => return,
            Event::Frame(frame @ (ServerFrame::Accepted { .. } | ServerFrame::Done(_))) => {
                panic!("acknowledged: {frame:?}")
            }
            Event::Frame(ServerFrame::Error { error }) => assert_ne!(error.stored, Some(true)),
            Event::Frame(_) | Event::Unknown(_) => {}
        }
    }
}

/// What is there after the next start.
async fn after(machine: &Machine, jiwoo: &Person, talk: Option<Talk>) -> Vec<(String, StepStatus)> {
    drop(talk);
    let server = machine.serve(&[], &[]);
    let again = super::by(jiwoo, server.address);
    let sessions = again.client.sessions(jiwoo.user_id, None).await.unwrap();
    let steps = again.client.steps(sessions[0].session_id).await.unwrap();
    let known = steps.into_iter().map(|step| (step.user_input, step.status));
    known.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_14_words_that_were_not_synced_are_not_acknowledged_and_the_process_ends() {
    let failing = Failing::new(&[]);
    let jiwoo = person_at(failing.server.address, "jiwoo").await;
    let (mut talk, _) = on(&jiwoo, None).await;
    talk.input("하나").await;
    talk.turn().await.done();
    failing.fault("enable name=posix/io/sync/*");
    talk.input("둘").await;
    nothing_more(&mut talk).await;
    let machine = failing.ends();
    let known = after(&machine, &jiwoo, Some(talk)).await;
    assert_eq!(known[0], ("하나".to_owned(), StepStatus::Complete));
    // Whether the others were written nobody knows; they have no answer.
    assert!(
        known[1..]
            .iter()
            .all(|(_, status)| *status == StepStatus::Interrupted)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_14_an_answer_that_was_not_synced_is_not_done_and_the_process_ends() {
    let upstream = Upstream::start().await;
    let gate = Arc::new(Semaphore::new(0));
    let parts = vec![
        vec![says("네, ")],
        vec![says("들어요."), ends("stop"), upstream::done()],
    ];
    upstream.reply(Reply::Held(parts, Arc::clone(&gate)));
    let model = format!("http://{}/v1", upstream.address);
    let failing = Failing::new(&[("OPENAI_BASE_URL", &model)]);
    let jiwoo = person_at(failing.server.address, "jiwoo").await;
    let (mut talk, _) = on(&jiwoo, None).await;
    talk.input("하나").await;
    while !matches!(talk.frame().await, ServerFrame::Token { .. }) {}
    failing.fault("enable name=posix/io/sync/*");
    gate.add_permits(1);
    nothing_more(&mut talk).await;
    let machine = failing.ends();
    let known = after(&machine, &jiwoo, Some(talk)).await;
    // The words were acknowledged, and are there. The answer may be, for its pages were written.
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].0, "하나");
    assert_ne!(known[0].1, StepStatus::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_14_a_write_that_fails_is_refused_and_passes() {
    let failing = Failing::new(&[]);
    let jiwoo = person_at(failing.server.address, "jiwoo").await;
    let (mut talk, session_id) = on(&jiwoo, None).await;
    talk.input("하나").await;
    talk.turn().await.done();
    // Only the database is written at a place; sockets and the log are not.
    failing.fault("enable name=posix/io/rw/pwrite");
    talk.input("둘").await;
    assert_eq!(talk.error().await.code, "unavailable");
    assert_eq!(jiwoo.client.steps(session_id).await.unwrap().len(), 1);
    failing.fault("disable name=posix/io/rw/pwrite");
    talk.input("셋").await;
    assert_eq!(talk.turn().await.done().step_order, 2);
    assert_eq!(failing.server.stop().code, 0);
}
