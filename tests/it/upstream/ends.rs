//! How an upstream can fail, and what the person sees of it: nothing of what it said.

use super::{CANARY, Reply, Upstream, done, ends, event, says, status};
use crate::support::{Server, Talk};
use deepme::config::Config;
use deepme::domain::step::{FinishReason, StepStatus};
use deepme::llm::ChatModel;
use deepme::llm::scripted::{Scripted, answer};
use deepme::wire::ws::ClientFrame;
use std::sync::Arc;
use tokio::net::TcpSocket;

fn error_body() -> String {
    serde_json::json!({"error": {"message": CANARY, "type": CANARY, "code": CANARY}}).to_string()
}

/// Every way to say nothing.
fn refusals() -> Vec<(&'static str, Reply)> {
    let json = "content-type: application/json\r\n";
    let body = error_body();
    let sse = "content-type: text/event-stream\r\n";
    vec![
        ("401", status("401 Unauthorized", json, &body)),
        ("403", status("403 Forbidden", json, &body)),
        ("404", status("404 Not Found", json, &body)),
        ("400", status("400 Bad Request", json, &body)),
        (
            "429",
            status(
                "429 Too Many Requests",
                &format!("{json}retry-after: 1\r\n"),
                &body,
            ),
        ),
        (
            "429 odd",
            status(
                "429 Too Many Requests",
                &format!("{json}retry-after: soon\r\n"),
                &body,
            ),
        ),
        ("500", status("500 Internal Server Error", json, &body)),
        (
            "502 html",
            status("502 Bad Gateway", "content-type: text/html\r\n", CANARY),
        ),
        (
            "503",
            status(
                "503 Service Unavailable",
                &format!("{json}retry-after: 1\r\n"),
                &body,
            ),
        ),
        (
            "200 html",
            status(
                "200 OK",
                "content-type: text/html\r\n",
                &format!("<html>{CANARY}"),
            ),
        ),
        ("200 json", status("200 OK", json, &body)),
        ("200 without a type", status("200 OK", "", CANARY)),
        (
            "a redirect",
            status(
                "307 Temporary Redirect",
                "location: http://127.0.0.1:9/canary\r\n",
                "",
            ),
        ),
        (
            "no HTTP",
            Reply::Raw(format!("{CANARY}\r\n\r\n").into_bytes()),
        ),
        ("nothing", Reply::Raw(Vec::new())),
        ("an empty stream", status("200 OK", sse, "")),
        ("only [DONE]", Reply::Stream(vec![done()])),
        ("only an end", Reply::Stream(vec![ends("stop"), done()])),
        ("an error event", Reply::Stream(vec![event(&error_body())])),
        (
            "no events",
            Reply::Stream(vec![format!("{CANARY}\n").into_bytes()]),
        ),
        (
            "broken events",
            Reply::Stream(vec![event(CANARY).repeat(40), done()]),
        ),
        ("a break", Reply::Broken(vec![])),
    ]
}

#[tokio::test]
async fn fault_05_an_upstream_that_says_nothing_is_an_error_and_the_words_are_kept() {
    let mut upstream = Upstream::start().await;
    let server = upstream.server(|_| ()).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    let mut said = Vec::new();
    for (name, reply) in refusals() {
        // Should it be asked again, it says the same.
        for _ in 0..9 {
            upstream.reply(reply.clone());
        }
        said.push(format!("들어줘: {name}"));
        talk.input(said.last().unwrap()).await;
        let turn = talk.turn().await;
        let error = turn.error();
        assert_eq!(error.code, "model_unavailable", "{name}: {turn:?}");
        assert_eq!(
            (error.status, error.stored),
            (Some(StepStatus::Failed), Some(true)),
            "{name}"
        );
        assert!(
            error.retry_after.is_some(),
            "{name}: says when to try again"
        );
        assert!(!format!("{turn:?}").contains("canary"), "{name}: {turn:?}");
        assert!(turn.text.is_empty(), "{name}");
        upstream.forget_replies();
    }
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    let words: Vec<&str> = steps.iter().map(|step| step.user_input.as_str()).collect();
    assert_eq!(words, said);
    assert!(
        steps
            .iter()
            .all(|step| step.status == StepStatus::Failed && step.gpt_response.is_empty())
    );
    assert!(upstream.more_requests() >= steps.len());
    // And then it is well again: nothing of the failures is in the way.
    upstream.reply(Reply::Stream(vec![says("네"), ends("stop"), done()]));
    talk.input("아직 있어?").await;
    assert_eq!(talk.turn().await.text, "네");
}

#[tokio::test]
async fn an_upstream_that_says_nothing_gives_way_to_the_next_model() {
    let upstream = Upstream::start().await;
    let second = Arc::new(Scripted::default());
    let models = vec![
        upstream.model("up"),
        Arc::clone(&second) as Arc<dyn ChatModel>,
    ];
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::on(dir, Config::default(), Some(models)).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    for (name, reply) in refusals() {
        for _ in 0..9 {
            upstream.reply(reply.clone());
        }
        second.add(answer(&["내가 ", "들을게요."]));
        talk.input("들어줘").await;
        let turn = talk.turn().await;
        assert_eq!(turn.text, "내가 들을게요.", "{name}: {turn:?}");
        assert_eq!(turn.notices(), ["model_fallback"], "{name}");
        assert_eq!(turn.done().model.as_deref(), Some("scripted"), "{name}");
        assert!(!format!("{turn:?}").contains("canary"), "{name}: {turn:?}");
        upstream.forget_replies();
    }
}

#[tokio::test]
async fn fault_05_nobody_listens_at_the_upstreams_address() {
    // Bound, so that nobody else can have the port, and not listened at.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    let mut upstream = Upstream::start().await;
    upstream.address = address;
    let server = upstream.server(|_| ()).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.input("들어줘").await;
    let turn = talk.turn().await;
    assert_eq!(turn.error().code, "model_unavailable");
    assert!(!turn.error().message.contains(&address.port().to_string()));
}

/// After the first token there is no other model and no success.
#[tokio::test]
async fn fault_08_an_answer_that_is_cut_is_kept_and_not_called_complete() {
    let upstream = Upstream::start().await;
    let second = Arc::new(Scripted::default());
    let models = vec![
        upstream.model("up"),
        Arc::clone(&second) as Arc<dyn ChatModel>,
    ];
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut config = Config::default();
    // The same model is to fail more often than it usually may.
    config.llm.breaker_failures = 100;
    let server = Server::on(dir, config, Some(models)).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    let half = says("반쯤 👩‍👩‍👧");
    let cases = [
        (
            "a clean end of the stream",
            Reply::Stream(vec![half.clone()]),
        ),
        ("a break", Reply::Broken(vec![half.clone()])),
        (
            "an error event",
            Reply::Stream(vec![half.clone(), event(&error_body()), done()]),
        ),
        (
            "an error and words",
            Reply::Stream(vec![
                [half.clone(), event(&error_body()), says("더"), done()].concat(),
            ]),
        ),
        (
            "many broken events",
            Reply::Stream(vec![half.clone(), event(CANARY).repeat(40), done()]),
        ),
        (
            "an event without end",
            Reply::Stream(vec![half, b"data: ".to_vec(), vec![b'x'; 2 << 20]]),
        ),
    ];
    for (name, reply) in cases {
        upstream.reply(reply);
        talk.input("들어줘").await;
        let turn = talk.turn().await;
        assert_eq!(turn.text, "반쯤 👩‍👩‍👧", "{name}: {turn:?}");
        let end = turn.done();
        assert_eq!(
            (end.status, end.finish_reason),
            (StepStatus::Interrupted, None),
            "{name}"
        );
        assert_eq!(turn.notices(), ["incomplete"], "{name}");
        assert!(!format!("{turn:?}").contains("canary"), "{name}");
        let step = jiwoo
            .client
            .steps(session.session_id)
            .await
            .unwrap()
            .pop()
            .unwrap();
        assert_eq!(
            (
                step.status,
                step.gpt_response.as_str(),
                step.model.as_deref()
            ),
            (StepStatus::Interrupted, "반쯤 👩‍👩‍👧", Some("up"))
        );
    }
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn fault_09_endless_output_is_cut_at_the_cap_and_the_upstream_is_hung_up_on() {
    let mut upstream = Upstream::start().await;
    let server = upstream
        .server(|config| config.llm.max_output_bytes = 10_000)
        .await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    upstream.reply(Reply::Endless(says("가나다")));
    talk.input("말해줘").await;
    let turn = talk.turn().await;
    // 10,000 is no multiple of three: the last character is left out whole.
    assert_eq!(turn.text.len(), 9_999);
    let end = turn.done();
    assert_eq!(
        (end.status, end.finish_reason),
        (StepStatus::Complete, Some(FinishReason::Length))
    );
    assert_eq!(turn.notices(), ["incomplete"]);
    upstream.hung_up().await;
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps[0].gpt_response, turn.text);
}

#[tokio::test]
async fn stop_hangs_up_on_the_upstream() {
    let mut upstream = Upstream::start().await;
    let server = upstream.server(|_| ()).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    upstream.reply(Reply::Stall(vec![says("반쯤")]));
    talk.input("말해줘").await;
    talk.text("반쯤").await;
    talk.send(&ClientFrame::Stop).await;
    assert_eq!(talk.turn().await.done().status, StepStatus::Cancelled);
    upstream.hung_up().await;
    // The same before the first word.
    upstream.reply(Reply::Silence);
    talk.input("말해줘").await;
    upstream.request().await;
    upstream.request().await;
    talk.send(&ClientFrame::Stop).await;
    talk.turn().await;
    upstream.hung_up().await;
}

/// A server with little patience, and somebody who talks to it.
async fn impatient(upstream: &Upstream, first: u64, idle: u64) -> (Server, Talk) {
    let server = upstream.server(|config| {
        config.llm.first_token_seconds = first;
        config.llm.idle_seconds = idle;
    });
    let server = server.await;
    let (talk, _) = server.person("jiwoo").await.connect(None).await;
    (server, talk)
}

#[tokio::test]
async fn fault_06_a_stall_before_the_first_token() {
    let mut upstream = Upstream::start().await;
    let (_server, mut talk) = impatient(&upstream, 1, 20).await;
    for reply in [
        Reply::Silence,
        Reply::Stall(vec![]),
        Reply::Stall(vec![b": ping\n\n".to_vec()]),
    ] {
        upstream.reply(reply.clone());
        talk.input("말해줘").await;
        let turn = talk.turn().await;
        assert_eq!(turn.error().code, "model_unavailable", "{reply:?}");
        upstream.hung_up().await;
    }
}

#[tokio::test]
async fn fault_06_a_stall_between_two_tokens() {
    let mut upstream = Upstream::start().await;
    let (_server, mut talk) = impatient(&upstream, 20, 1).await;
    upstream.reply(Reply::Stall(vec![says("반쯤")]));
    talk.input("말해줘").await;
    let turn = talk.turn().await;
    let end = turn.done();
    assert_eq!(
        (turn.text.as_str(), end.status, end.finish_reason),
        ("반쯤", StepStatus::Interrupted, None)
    );
    upstream.hung_up().await;
}

#[tokio::test]
async fn a_stream_that_stays_open_after_its_answer_is_not_waited_for() {
    let mut upstream = Upstream::start().await;
    // Far more than this test may take.
    let (_server, mut talk) = impatient(&upstream, 100, 100).await;
    upstream.reply(Reply::Stall(vec![[says("네"), ends("stop")].concat()]));
    talk.input("말해줘").await;
    let turn = talk.turn().await;
    assert_eq!(
        (turn.text.as_str(), turn.done().status),
        ("네", StepStatus::Complete)
    );
    upstream.hung_up().await;
}
