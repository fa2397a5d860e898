//! The figures of a real process: what shows in them, and what never does.

use super::{Machine, Serving};
use crate::metrics::Figures;
use crate::raw::Ask;
use crate::talkers::slow_model;
use crate::upstream::{CANARY as FROM_UPSTREAM, Upstream, status};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

/// A server with figures, and where they are.
pub fn serve(machine: &Machine, env: &[(&str, &str)]) -> (Serving, SocketAddr) {
    let env = [env, &[("DEEPME_METRICS__LISTEN", "127.0.0.1:0")]].concat();
    let mut server = machine.serve(&[], &env);
    let line = server.line("metrics: http://");
    let address = line.strip_prefix("metrics: http://").unwrap();
    let address = address.strip_suffix("/metrics").unwrap().parse().unwrap();
    (server, address)
}

async fn call(
    server: &Serving,
    method: &'static str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> serde_json::Value {
    let mut ask = Ask::new(method, path);
    if let Some(token) = token {
        ask = ask.bearer(token);
    }
    if !body.is_empty() {
        ask = ask.json(body);
    }
    let answer = ask.send_to(server.address).await;
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_show_what_happened_and_nobody_it_happened_to() {
    let machine = Machine::new();
    let upstream = Upstream::start().await;
    let base_url = format!("http://{}/v1", upstream.address);
    let told = format!(r#"{{"error":{{"message":"{FROM_UPSTREAM}"}}}}"#);
    upstream.reply(status("500 Internal Server Error", "", &told));
    let env = [
        ("OPENAI_BASE_URL", base_url.as_str()),
        ("OPENAI_API_KEY", "canary-key"),
        ("DEEPME_LLM__CHAIN", "openai,builtin"),
        ("DEEPME_LLM__TRIES", "1"),
        ("DEEPME_LLM__BREAKER_FAILURES", "1"),
    ];
    let (server, metrics) = serve(&machine, &env);
    let open = r#"deepme_model_breaker{model="openai",place="1",state="open"}"#;
    let closed = r#"deepme_model_breaker{model="openai",place="1",state="closed"}"#;
    Figures::of(metrics)
        .await
        .are(&[(open, 0.0), (closed, 1.0)]);

    let account = r#"{"name":"canary name","email":"canary@example.com","password":"canary secret nest under the roof"}"#;
    call(&server, "POST", "/register", None, account).await;
    let login = call(&server, "POST", "/login", None, account).await;
    let token = login["access_token"].as_str().unwrap();
    let user_id = login["user_id"].as_str().unwrap();
    let words =
        r#"{"user_input":"canary words","system_prompt":"canary wish","step_type":"canary type"}"#;
    let step = call(
        &server,
        "POST",
        "/emotion/steps/generate",
        Some(token),
        words,
    )
    .await;
    assert_eq!(step["model"], "builtin", "{step}");
    let danger = r#"{"user_input":"나 오늘 죽으려고 약을 모았어"}"#;
    call(
        &server,
        "POST",
        "/emotion/steps/generate",
        Some(token),
        danger,
    )
    .await;
    let blank = r#"{"user_input":" "}"#;
    call(
        &server,
        "POST",
        "/emotion/steps/generate",
        Some(token),
        blank,
    )
    .await;
    let session_id = step["session_id"].as_str().unwrap();
    for path in [
        format!("/emotion/steps/{session_id}"),
        format!("/emotion/sessions/user/{user_id}?limit=3"),
        format!("/emotion/sessions/{session_id}"),
        "/emotion/canary".to_owned(),
        "/canary/path?access_token=canary".to_owned(),
    ] {
        call(&server, "GET", &path, Some(token), "").await;
    }
    let figures = Figures::of(metrics).await;
    figures.are(&[
        (open, 1.0),
        (closed, 0.0),
        (
            r#"deepme_model_failures_total{model="openai",place="1",fault="status"}"#,
            1.0,
        ),
        (
            r#"deepme_model_answers_total{model="openai",place="1"}"#,
            0.0,
        ),
        (
            r#"deepme_model_answers_total{model="builtin",place="2"}"#,
            2.0,
        ),
        ("deepme_turns_started_total", 2.0),
        (r#"deepme_turns_ended_total{status="complete"}"#, 2.0),
        (r#"deepme_turns_refused_total{code="invalid_input"}"#, 1.0),
        (r#"deepme_safety_turns_total{tier="none"}"#, 1.0),
        (r#"deepme_safety_turns_total{tier="imminent"}"#, 1.0),
        (
            r#"deepme_http_requests_total{route="/emotion/steps/generate",status="2xx"}"#,
            2.0,
        ),
        (
            r#"deepme_http_requests_total{route="/emotion/steps/generate",status="4xx"}"#,
            1.0,
        ),
        (
            r#"deepme_http_requests_total{route="/emotion/steps/{session_id}",status="2xx"}"#,
            1.0,
        ),
        (
            r#"deepme_http_requests_total{route="/emotion/sessions/user/{user_id}",status="2xx"}"#,
            1.0,
        ),
        (
            r#"deepme_http_requests_total{route="other",status="4xx"}"#,
            2.0,
        ),
    ]);
    assert!(figures.get("deepme_store_writes_total") >= figures.get("deepme_store_commits_total"));
    assert!(figures.get("deepme_store_commits_total") >= 5.0);
    assert!(figures.get("process_resident_memory_bytes") > 1e6);
    assert!(figures.get("process_open_fds") > 3.0);
    assert!(figures.get("process_start_time_seconds") > 1.7e9);
    let said = step["gpt_response"].as_str().unwrap();
    for secret in [
        "canary",
        FROM_UPSTREAM,
        "약을",
        said,
        user_id,
        session_id,
        token,
    ] {
        let line = figures.page.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    assert_eq!(server.stop().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_can_be_read_to_the_end_of_the_drain() {
    let machine = Machine::new();
    let model = slow_model(10_000, Duration::from_millis(20)).await;
    let env = [
        ("OPENAI_BASE_URL", model.as_str()),
        ("DEEPME_SERVER__DRAIN_SECONDS", "3"),
    ];
    let (mut server, metrics) = serve(&machine, &env);
    let account =
        r#"{"name":"jiwoo","email":"jiwoo@example.com","password":"correct horse battery"}"#;
    call(&server, "POST", "/register", None, account).await;
    let login = call(&server, "POST", "/login", None, account).await;
    let token = login["access_token"].as_str().unwrap().to_owned();
    let address = server.address;
    let turn = tokio::spawn(async move {
        let generating = Ask::new("POST", "/emotion/steps/generate").bearer(&token);
        generating
            .json(r#"{"user_input":"말해줘"}"#)
            .send_to(address)
            .await
    });
    let begun = async {
        while Figures::of(metrics).await.get("deepme_turns_running") < 1.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun)
        .await
        .unwrap();
    server.terminate();
    server.line("draining");
    Figures::of(metrics)
        .await
        .are(&[("deepme_turns_running", 1.0)]);
    turn.await.unwrap();
    assert_eq!(server.ended().code, 0);
    assert!(tokio::net::TcpStream::connect(metrics).await.is_err());
}

#[test]
fn there_are_no_figures_unless_somebody_wants_them_and_a_port_in_use_is_named() {
    let machine = Machine::new();
    let stopped = machine.serve(&[], &[]).stop();
    assert!(!stopped.err.contains("metrics"), "{stopped:?}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let env = [("DEEPME_METRICS__LISTEN", address.as_str())];
    machine
        .run_with(&["serve", "--listen", "127.0.0.1:0"], "", &env)
        .failed(2, &address);
    let env = [("DEEPME_METRICS__LISTEN", "localhost:9464")];
    machine
        .run_with(&["config", "check"], "", &env)
        .failed(2, "metrics.listen");
}
