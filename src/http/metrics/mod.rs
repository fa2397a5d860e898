//! `GET /metrics`: the figures of this instance, for Prometheus.
//!
//! Owns which figures there are, how they are called, and the listener that they are read at. Called by
//! the command line through [`serve`]. Invariants: it is another listener than people's, and knows one
//! path; a label is a word of the program's or the admin's, never a person's; nobody is asked for a
//! figure, so that it is answered while the database is not.

mod process;
mod text;

use super::accept::{Accepting, Settings};
use crate::domain::meter::Load;
use crate::llm::chain::State as Breaker;
use crate::service::App;
use crate::service::meters::ModelFigures;
use crate::store::SCHEMA_VERSION;
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use process::Process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use text::{Kind, Page};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections at once: who reads figures is one, or a few.
const CONNECTIONS: usize = 16;

/// Serves `/metrics` until `stop` fires.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: CancellationToken) {
    let settings = Settings {
        connections: CONNECTIONS,
        request_head: Duration::from_secs(app.config().server.request_seconds),
    };
    let router = Router::new().route("/metrics", get(answer)).with_state(app);
    let accepting = Accepting::start(listener, router, settings, stop.clone());
    stop.cancelled().await;
    let connections = accepting.stopped().await;
    connections.finish(Duration::from_secs(1)).await;
}

async fn answer(State(app): State<Arc<App>>) -> Response {
    // Files of the kernel's, read as files are.
    let process = tokio::task::spawn_blocking(Process::read).await;
    let page = page(&app, &process.unwrap_or_default());
    ([(CONTENT_TYPE, text::CONTENT)], page).into_response()
}

/// Everything there is to say.
fn page(app: &App, process: &Process) -> String {
    let mut page = Page::default();
    let version = env!("CARGO_PKG_VERSION");
    let schema = SCHEMA_VERSION.to_string();
    page.family(
        "deepme_build_info",
        Kind::Gauge,
        "Always 1; which program this is",
    )
    .sample(&[("version", version), ("schema", &schema)], 1);
    turns(app, &mut page);
    sockets(app, &mut page);
    models(&app.models(), &mut page);
    store(app.store_load(), &mut page);
    backups(app, &mut page);
    process.show(app.meters().started, &mut page);
    page.into_text()
}

fn backups(app: &App, page: &mut Page) {
    let newest = app.meters().newest_backup.load(Ordering::Relaxed);
    if newest > 0 {
        page.family(
            "deepme_backup_time_seconds",
            Kind::Gauge,
            "When the newest backup was made, since 1970",
        )
        .sample(&[], newest);
    }
}

fn turns(app: &App, page: &mut Page) {
    let meters = app.meters();
    page.family(
        "deepme_turns_running",
        Kind::Gauge,
        "Turns that this instance runs",
    )
    .sample(&[], meters.turns_running.get());
    page.family(
        "deepme_turns_places",
        Kind::Gauge,
        "Turns that this instance may run at once",
    )
    .sample(&[], app.settings().limits.turns);
    page.family(
        "deepme_turns_started_total",
        Kind::Counter,
        "Turns whose words were stored",
    )
    .sample(&[], meters.turns_started.get());
    let mut ended = page.family(
        "deepme_turns_ended_total",
        Kind::Counter,
        "Turns that are over",
    );
    for (status, count) in meters.turns_ended.all() {
        ended.sample(&[("status", status)], count);
    }
    let mut refused = page.family(
        "deepme_turns_refused_total",
        Kind::Counter,
        "Words that were not taken",
    );
    for (code, count) in meters.turns_refused.all() {
        refused.sample(&[("code", code)], count);
    }
    page.family(
        "deepme_first_token_seconds",
        Kind::Histogram,
        "From the stored words to the first token of the model",
    )
    .spread(&meters.first_token.spread());
    page.family(
        "deepme_between_tokens_seconds",
        Kind::Histogram,
        "From one piece of an answer to the next, on average over each turn",
    )
    .spread(&meters.between_tokens.spread());
    page.family(
        "deepme_turn_seconds",
        Kind::Histogram,
        "From the stored words to the stored end",
    )
    .spread(&meters.turn.spread());
    page.family(
        "deepme_tokens_total",
        Kind::Counter,
        "Tokens that models have read and written, as they are charged",
    )
    .sample(&[("direction", "in")], meters.tokens_in.get())
    .sample(&[("direction", "out")], meters.tokens_out.get());
    page.family(
        "deepme_answer_bytes_total",
        Kind::Counter,
        "Bytes of answers, counted every second while they grow",
    )
    .sample(&[], meters.answer_bytes.get());
    let mut tiers = page.family(
        "deepme_safety_turns_total",
        Kind::Counter,
        "Turns by what the safety gate said of them",
    );
    for (tier, count) in meters.tiers.all() {
        tiers.sample(&[("tier", tier.as_str())], count);
    }
    page.family(
        "deepme_passwords_hashing",
        Kind::Gauge,
        "Passwords that are hashed, or wait for it",
    )
    .sample(&[], meters.hashing.get());
}

fn sockets(app: &App, page: &mut Page) {
    let meters = app.meters();
    page.family(
        "deepme_sockets_open",
        Kind::Gauge,
        "WebSockets that are open",
    )
    .sample(&[], meters.sockets.get());
    let mut closed = page.family(
        "deepme_sockets_closed_total",
        Kind::Counter,
        "WebSockets that are over, by the close code of the server, or gone",
    );
    for (code, count) in meters.closes.all() {
        let code = code.map_or("gone".to_owned(), |code| code.to_string());
        closed.sample(&[("code", &code)], count);
    }
    let mut requests = page.family(
        "deepme_http_requests_total",
        Kind::Counter,
        "HTTP requests that were answered, by route and status",
    );
    for ((route, class), count) in meters.requests.all() {
        let status = format!("{class}xx");
        requests.sample(&[("route", &route), ("status", &status)], count);
    }
}

fn models(models: &[ModelFigures], page: &mut Page) {
    const STATES: [(Breaker, &str); 3] = [
        (Breaker::Closed, "closed"),
        (Breaker::Open, "open"),
        (Breaker::Probing, "half_open"),
    ];
    // A model can stand in the chain twice.
    let place = |index: usize| (index + 1).to_string();
    let mut breakers = page.family(
        "deepme_model_breaker",
        Kind::Gauge,
        "1 for the state that the breaker of a model is in",
    );
    for (index, model) in models.iter().enumerate() {
        for (state, name) in STATES {
            let labels = [
                ("model", model.name.as_str()),
                ("place", &place(index)),
                ("state", name),
            ];
            breakers.sample(&labels, u8::from(model.state == state));
        }
    }
    let mut answers = page.family(
        "deepme_model_answers_total",
        Kind::Counter,
        "Answers that a model gave to their end",
    );
    for (index, model) in models.iter().enumerate() {
        let labels = [("model", model.name.as_str()), ("place", &place(index))];
        answers.sample(&labels, model.answers);
    }
    let mut failures = page.family(
        "deepme_model_failures_total",
        Kind::Counter,
        "Times that a model gave no answer, or broke one off",
    );
    for (index, model) in models.iter().enumerate() {
        for (fault, count) in &model.failures {
            let labels = [
                ("model", model.name.as_str()),
                ("place", &place(index)),
                ("fault", fault),
            ];
            failures.sample(&labels, count);
        }
    }
}

fn store(load: Load, page: &mut Page) {
    page.family(
        "deepme_store_waiting",
        Kind::Gauge,
        "Calls that wait for the thread that writes, or for a connection",
    )
    .sample(&[], load.waiting);
    if let Some(commits) = load.commits {
        page.family(
            "deepme_store_commits_total",
            Kind::Counter,
            "Commits of the embedded database",
        )
        .sample(&[], commits.commits);
        page.family(
            "deepme_store_writes_total",
            Kind::Counter,
            "Writes in the commits of the embedded database",
        )
        .sample(&[], commits.writes);
    }
    if let Some(connections) = load.connections {
        page.family(
            "deepme_store_connections",
            Kind::Gauge,
            "Connections to the database, without the one that listens",
        )
        .sample(&[("state", "idle")], connections.idle)
        .sample(
            &[("state", "busy")],
            connections.open.saturating_sub(connections.idle),
        );
    }
}
