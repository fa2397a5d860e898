//! What the figures of a server are: their names, their form, and what they count.

use crate::cluster::cluster;
use crate::raw::{Answer, Ask};
use crate::support::{Server, held};
use deepme::llm::scripted::{Act, Gate, answer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The page of a server as it is read: every series and its value. Panics where the page is not well-formed.
#[derive(Debug)]
pub struct Figures {
    pub page: String,
    series: BTreeMap<String, f64>,
    /// The kind of every name.
    kinds: BTreeMap<String, String>,
}

impl Figures {
    pub async fn of(address: SocketAddr) -> Self {
        let answer: Answer = Ask::new("GET", "/metrics").send_to(address).await;
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        let page = answer.text().to_owned();
        let (mut series, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        let mut family = String::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(
                    kinds.insert(name.to_owned(), kind.to_owned()),
                    None,
                    "{line}"
                );
                name.clone_into(&mut family);
            } else if !line.starts_with("# HELP ") {
                assert!(line.starts_with(&family), "{line} is none of {family}");
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert_eq!(series.insert(name.to_owned(), value), None, "{line}");
            }
        }
        assert!(page.ends_with('\n'));
        Self {
            page,
            series,
            kinds,
        }
    }

    /// The value of a series, 0 when it is not there yet.
    pub fn get(&self, series: &str) -> f64 {
        self.series.get(series).copied().unwrap_or_default()
    }

    /// All of these have these values.
    #[expect(clippy::float_cmp, reason = "they are counted")]
    pub fn are(&self, wanted: &[(&str, f64)]) {
        for (series, value) in wanted {
            assert_eq!(self.get(series), *value, "{series}\n{}", self.page);
        }
    }
}

/// Where the figures of a server can be read.
async fn shown(server: &Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Arc::clone(&server.app);
    tokio::spawn(deepme::http::serve_metrics(
        app,
        listener,
        CancellationToken::new(),
    ));
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operations_manual_has_every_name_and_its_kind() {
    let embedded = Server::embedded().await;
    let keys = Arc::new(tempfile::tempdir().unwrap());
    let connected = Server::one_of_several(&cluster().database().await, &keys).await;
    let mut kinds = BTreeMap::new();
    let backups = embedded.dir.path().join("backups");
    std::fs::create_dir(&backups).unwrap();
    for day in 20..23 {
        let name = format!("deepme-202611{day}T030000Z.backup");
        std::fs::write(backups.join(name), "").unwrap();
    }
    embedded.app.tidy().await.unwrap();
    let newest = "2026-11-22T03:00:00Z".parse().unwrap();
    let newest = deepme::domain::Timestamp::as_seconds(newest);
    let figures = Figures::of(shown(&embedded).await).await;
    let told = figures.get("deepme_backup_time_seconds").to_string();
    assert_eq!(told, newest.to_string());
    for server in [&embedded, &connected] {
        // So that whatever only shows once it has happened has happened.
        let figures = Figures::of(shown(server).await).await;
        kinds.extend(figures.kinds);
    }
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter(|row| row.starts_with("deepme_") || row.starts_with("process_"));
    let told: BTreeMap<String, String> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            let kind = rest.split('|').nth(1).unwrap().trim();
            (name.to_owned(), kind.to_owned())
        })
        .collect();
    assert_eq!(told, kinds);
}

/// The names of figures in a text, without what a histogram adds to them.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("deepme_") || word.starts_with("process_"));
    names
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[tokio::test]
async fn the_dashboard_shows_the_figures_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dashboard = std::fs::read_to_string(root.join("packaging/grafana/deepme.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let manual = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    // That these are the ones that exist is the test above.
    let existing: BTreeSet<String> = rows
        .filter_map(|row| row.split('`').next())
        .filter(|name| name.starts_with("deepme_") || name.starts_with("process_"))
        .map(str::to_owned)
        .collect();
    let mut shown = BTreeSet::new();
    let mut panels = BTreeSet::new();
    for panel in json["panels"].as_array().unwrap() {
        assert!(panels.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let names = named(target["expr"].as_str().unwrap());
            assert!(!names.is_empty(), "{target}");
            shown.extend(names);
        }
    }
    let unknown: Vec<_> = shown.difference(&existing).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // Tells the instances apart; is somebody, on a server with few people; is in how turns ended.
    let left_out = [
        "deepme_build_info",
        "deepme_safety_turns_total",
        "deepme_turns_started_total",
    ];
    let hidden: Vec<_> = existing.difference(&shown).collect();
    assert_eq!(hidden, left_out);
}

#[tokio::test]
async fn turns_and_sockets_are_counted_from_their_begin_to_their_end() {
    let server = Server::start().await;
    let metrics = shown(&server).await;
    let jiwoo = server.person("jiwoo").await;
    Figures::of(metrics).await.are(&[
        ("deepme_turns_started_total", 0.0),
        (r#"deepme_turns_ended_total{status="complete"}"#, 0.0),
        ("deepme_sockets_open", 0.0),
        ("deepme_passwords_hashing", 0.0),
        (
            r#"deepme_http_requests_total{route="/login",status="2xx"}"#,
            1.0,
        ),
    ]);
    let (mut talk, _) = jiwoo.connect(None).await;
    let gate = Gate::default();
    let mut script = held("네", &gate, " 들어요");
    script.pop();
    script.push(Act::Counted(11, 7));
    server.script(script);
    talk.input("안녕").await;
    talk.text("네").await;
    Figures::of(metrics).await.are(&[
        ("deepme_turns_running", 1.0),
        ("deepme_turns_places", 1000.0),
        ("deepme_turns_started_total", 1.0),
        ("deepme_turn_seconds_count", 0.0),
        ("deepme_sockets_open", 1.0),
    ]);
    gate.open();
    talk.turn().await.done();
    // One that is stopped, one that fails, one that breaks off.
    server.script(vec![Act::Say("음".to_owned()), Act::Hang]);
    talk.input("안녕").await;
    talk.text("음").await;
    talk.send(&deepme::wire::ws::ClientFrame::Stop).await;
    talk.turn().await;
    talk.input("안녕").await;
    talk.turn().await.error();
    server.script(vec![Act::Say("네".to_owned())]);
    talk.input("안녕").await;
    talk.turn().await.done();
    // And words that are not taken.
    talk.input(" ").await;
    talk.error().await;
    drop(talk);
    // The turn is counted before its end is told; the socket when it has gone.
    let gone = async { while Figures::of(metrics).await.get("deepme_sockets_open") > 0.0 {} };
    tokio::time::timeout(crate::support::PATIENCE, gone)
        .await
        .unwrap();
    let figures = Figures::of(metrics).await;
    figures.are(&[
        ("deepme_turns_running", 0.0),
        ("deepme_turns_started_total", 4.0),
        (r#"deepme_turns_ended_total{status="complete"}"#, 1.0),
        (r#"deepme_turns_ended_total{status="cancelled"}"#, 1.0),
        (r#"deepme_turns_ended_total{status="failed"}"#, 1.0),
        (r#"deepme_turns_ended_total{status="interrupted"}"#, 1.0),
        (r#"deepme_turns_refused_total{code="invalid_input"}"#, 1.0),
        ("deepme_turn_seconds_count", 4.0),
        (r#"deepme_turn_seconds_bucket{le="+Inf"}"#, 4.0),
        ("deepme_first_token_seconds_count", 3.0),
        // Only the first answer had more than one piece.
        ("deepme_between_tokens_seconds_count", 1.0),
        (
            "deepme_answer_bytes_total",
            u32::try_from("네 들어요음네".len()).unwrap().into(),
        ),
        (r#"deepme_safety_turns_total{tier="none"}"#, 4.0),
        (r#"deepme_safety_turns_total{tier="imminent"}"#, 0.0),
        (r#"deepme_sockets_closed_total{code="gone"}"#, 1.0),
        (
            r#"deepme_http_requests_total{route="/ws/emotion",status="1xx"}"#,
            1.0,
        ),
        (
            r#"deepme_model_answers_total{model="scripted",place="1"}"#,
            1.0,
        ),
        (
            r#"deepme_model_failures_total{model="scripted",place="1",fault="refused"}"#,
            1.0,
        ),
        (
            r#"deepme_model_failures_total{model="scripted",place="1",fault="connection"}"#,
            1.0,
        ),
    ]);
    // Counted by the provider, or else an estimate of what was asked and said.
    let (read, written) = (
        figures.get(r#"deepme_tokens_total{direction="in"}"#),
        figures.get(r#"deepme_tokens_total{direction="out"}"#),
    );
    assert!(read > 11.0 && written > 7.0, "{}", figures.page);
    // And the same as the person is charged.
    let usage = jiwoo.client.usage().await.unwrap();
    let charged = [usage.input_tokens, usage.output_tokens].map(|n| u32::try_from(n).unwrap());
    figures.are(&[
        (r#"deepme_tokens_total{direction="in"}"#, charged[0].into()),
        (r#"deepme_tokens_total{direction="out"}"#, charged[1].into()),
    ]);
}

#[tokio::test]
async fn a_socket_that_the_server_closes_is_counted_by_its_code() {
    let server = Server::start().await;
    let metrics = shown(&server).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    let binary = tokio_tungstenite::tungstenite::Message::binary(vec![1]);
    talk.0.send_raw(binary).await.unwrap();
    assert_eq!(talk.closed().await, 1003);
    Figures::of(metrics)
        .await
        .are(&[(r#"deepme_sockets_closed_total{code="1003"}"#, 1.0)]);
}

#[tokio::test]
async fn a_model_that_stands_twice_in_the_chain_is_told_apart() {
    let model = Arc::new(deepme::llm::scripted::Scripted::default());
    model.add(answer(&["네"]));
    let models = vec![Arc::clone(&model) as Arc<dyn deepme::llm::ChatModel>, model];
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let server = Server::on(dir, deepme::config::Config::default(), Some(models)).await;
    let figures = Figures::of(shown(&server).await).await;
    let places: BTreeSet<&str> = figures
        .series
        .keys()
        .filter(|series| series.starts_with("deepme_model_answers_total"))
        .map(String::as_str)
        .collect();
    assert_eq!(places.len(), 2, "{places:?}");
}

#[tokio::test]
async fn the_listener_of_the_figures_has_nothing_else_and_that_of_people_not_them() {
    let server = Server::start().await;
    let metrics = shown(&server).await;
    for path in [
        "/",
        "/health",
        "/login",
        "/docs",
        "/metrics/x",
        "/openapi.json",
    ] {
        let answer = Ask::new("GET", path).send_to(metrics).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let answer = Ask::new("POST", "/metrics").send_to(metrics).await;
    assert_eq!(answer.status, 405);
    let answer = Ask::new("GET", "/metrics").send(&server).await;
    assert_eq!(answer.status, 404);
    let health = Ask::new("GET", "/health").send(&server).await;
    let health = health.json();
    let members: Vec<&String> = health.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["database", "schema", "status"],
        "nothing of models"
    );
}
