//! The admin hears that somebody is in danger, and nothing of what they said.

use crate::support::Server;
use crate::upstream::{Upstream, status};
use deepme::config::{Config, Secret};
use deepme::llm::scripted::answer;
use deepme::wire::rest::GenerateRequest;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "a secret that is long enough";

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_is_told_until_somebody_takes_it_and_holds_no_words() {
    let mut hook = Upstream::start().await;
    for line in ["500 Internal Server Error", "204 No Content", "200 OK"] {
        hook.reply(status(line, "", ""));
    }
    let mut config = Config::default();
    config.webhook.url = format!("http://{}/hook", hook.address);
    config.webhook.secret = Secret::new(SECRET);
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::on(dir, config, None).await;
    let app = Arc::clone(&server.app);
    let stop = CancellationToken::new();
    let quiet = stop.clone();
    let telling = tokio::spawn(async move { app.tell_alarms(quiet).await });
    let jiwoo = server.person("jiwoo").await;
    let mut session = None;
    for words in ["오늘은 날이 맑았어.", "그냥 죽고 싶어."] {
        server.script(answer(&["네, 듣고 있어요."]));
        let request = GenerateRequest {
            session_id: session,
            user_input: words.to_owned(),
            ..GenerateRequest::default()
        };
        session = Some(jiwoo.client.generate(&request).await.unwrap().session_id);
    }
    let steps = jiwoo.client.steps(session.unwrap()).await.unwrap();
    let (first, again) = (hook.request().await, hook.request().await);
    assert!(
        first.head.starts_with("POST /hook HTTP/1.1"),
        "{}",
        first.head
    );
    assert_eq!(first.body, again.body);
    let name = "webhook-id";
    assert_eq!(header(&first.head, name), header(&again.head, name));
    assert!(header(&first.head, "webhook-signature").starts_with("v1,"));
    let now = server.app.now().as_seconds().to_string();
    assert_eq!(header(&first.head, "webhook-timestamp"), now);
    let expected = serde_json::json!({
        "type": "safety.raised",
        "timestamp": server.app.now(),
        "data": {
            "tier": "elevated",
            "user_id": jiwoo.user_id,
            "session_id": session,
            "step_id": steps[1].step_id,
        },
    });
    assert_eq!(first.body, expected);
    // Words that are refused are heard, too.
    jiwoo.client.end_session(session.unwrap()).await.unwrap();
    let request = GenerateRequest {
        session_id: session,
        user_input: "죽고 싶어.".to_owned(),
        ..GenerateRequest::default()
    };
    assert_eq!(
        jiwoo.client.generate(&request).await.unwrap_err().status(),
        Some(409)
    );
    let refused = hook.request().await.body;
    assert_eq!(refused["data"]["step_id"], serde_json::Value::Null);
    assert_eq!(refused["data"]["tier"], "elevated");
    assert_eq!(hook.more_requests(), 0, "an ordinary message rings nothing");
    // A drain is not the end: a turn that it lets finish may still ring.
    server.app.draining().cancel();
    let danger = deepme::wire::ws::Safety {
        tier: "imminent".to_owned(),
        message: String::new(),
        resources: Vec::new(),
    };
    hook.reply(status("500 Internal Server Error", "", ""));
    hook.reply(status("204 No Content", "", ""));
    server
        .app
        .raise_alarm_unstored(&danger, jiwoo.user_id, session);
    let (refused, taken) = (hook.request().await.body, hook.request().await.body);
    assert_eq!(refused["data"]["tier"], "imminent");
    assert_eq!(refused, taken, "tried again during the drain");
    // What waits when the server ends is told once more.
    hook.reply(status("204 No Content", "", ""));
    server
        .app
        .raise_alarm_unstored(&danger, jiwoo.user_id, session);
    stop.cancel();
    telling.await.unwrap();
    assert_eq!(hook.more_requests(), 1);
}
