//! `deepme top --once` beside a real server: what it shows, and what it says where there is nothing to show.

use super::metrics::serve;
use super::{Machine, PASSWORD};
use crate::metrics::Figures;
use crate::upstream::{Reply, Upstream, done, ends, says};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_is_shown_with_the_turn_that_runs_and_without_a_word_of_it() {
    let machine = Machine::new();
    let upstream = Upstream::start().await;
    upstream.reply(Reply::Stream(vec![
        says("canary one"),
        ends("stop"),
        done(),
    ]));
    upstream.reply(Reply::Stall(vec![says("canary two")]));
    let model = format!("http://{}/v1", upstream.address);
    let env = [
        ("OPENAI_BASE_URL", model.as_str()),
        ("DEEPME_LLM__IDLE_SECONDS", "60"),
        ("DEEPME_SERVER__DRAIN_SECONDS", "0"),
    ];
    let (server, metrics) = serve(&machine, &env);
    let at = format!("http://{metrics}");
    let once = ["top", "--url", &at, "--once"];
    let json = [&once[..], &["--json"]].concat();

    let quiet = machine.run(&json, "").ok().json();
    assert_eq!(quiet["turns"]["running"], 0.0);
    assert_eq!(quiet["turns"]["started"]["per_second"], 0.0);
    assert_eq!(quiet["turns"]["started"]["lately"], 0.0);
    // Nothing was in any bucket yet, there is no backup, and it is SQLite.
    assert!(quiet["first_token"]["total"].is_null(), "{quiet}");
    assert!(quiet["newest_backup_age_seconds"].is_null());
    assert!(quiet["queues"]["connections_busy"].is_null());

    machine.add_user("jiwoo");
    let url = server.url();
    let talk = ["chat", "--server", &url, "--once", "canary words"];
    let log_in = ["--email", "jiwoo@example.com", "--password-stdin"];
    machine.run(&[&talk[..], &log_in].concat(), PASSWORD).ok();
    // The second one is remembered, and is told nothing to its end.
    let mut second = Command::new(super::binary());
    machine.prepare(&mut second);
    second
        .args(talk)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut talking = second.spawn().unwrap();
    let begun = async {
        // Of the answer that runs, too: the bytes are counted while it grows.
        let wanted = u32::try_from("canary one".len() + "canary two".len()).unwrap();
        let name = "deepme_answer_bytes_total";
        while Figures::of(metrics).await.get(name) < wanted.into() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun)
        .await
        .unwrap();

    let busy = machine.run(&json, "").ok().json();
    assert_eq!(busy["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(busy["turns"]["running"], 1.0, "{busy}");
    assert_eq!(busy["turns"]["places"], 1000.0);
    assert_eq!(busy["turns"]["started"]["total"], 2.0);
    assert_eq!(busy["turns"]["answer_bytes"]["total"], 20.0);
    assert_eq!(busy["sockets_open"], 1.0);
    assert_eq!(busy["models"][0]["name"], "openai");
    assert_eq!(busy["models"][0]["breaker"], "closed");
    assert_eq!(busy["first_token"]["total"]["count"], 1.0);
    assert_eq!(busy["safety"]["none"]["total"], 2.0);
    let seconds = busy["last_seconds"].as_f64().unwrap();
    assert!((1.0..20.0).contains(&seconds), "{seconds}");
    let up = busy["uptime_seconds"].as_f64().unwrap();
    assert!((1.0..300.0).contains(&up), "{up}");

    let text = machine.run(&once, "").ok();
    assert!(text.err.is_empty(), "{text:?}");
    let row = |name: &str| {
        let mut lines = text.out.lines().filter(|line| line.starts_with(name));
        let line = lines.next().unwrap_or_else(|| panic!("{name}: {text:?}"));
        line.split_whitespace().skip(1).collect::<Vec<_>>()
    };
    assert_eq!(row("running"), ["1", "of", "1000"]);
    assert_eq!(row("started"), ["0.0", "0", "2"]);
    assert_eq!(row("complete"), ["0.0", "0", "1"]);
    assert_eq!(row("turn, "), ["1", "s", "–", "–", "–"]);
    for shown in [&text.out, &busy.to_string()] {
        assert!(
            !shown.contains("canary") && !shown.contains("jiwoo"),
            "{shown}"
        );
    }
    talking.kill().unwrap();
    talking.wait().unwrap();
    server.stop();

    machine.run(&once, "").failed(1, "cannot be reached");
}

#[tokio::test]
async fn where_there_is_nothing_to_show_it_is_said_what_to_do() {
    let machine = Machine::new();
    let off = machine.run(&["top", "--once"], "");
    let off = off.failed(2, "[metrics]\nlisten = \"127.0.0.1:9464\"");
    assert!(off.err.contains("/etc/deepme/config.toml"), "{off:?}");
    let file = machine.write("config.toml", "[log]\nlevel = \"warn\"\n");
    let file = file.file_name().unwrap().to_str().unwrap();
    machine.run(&["top", "--once"], "").failed(2, file);
    // What is said to be written is right.
    let lines: String = off.err.split("\n\n").nth(1).unwrap().to_owned();
    machine.write("config.toml", &lines.replace(":9464", ":1"));
    machine.run(&["config", "check"], "").ok();
    machine
        .run(&["top", "--once"], "")
        .failed(1, "127.0.0.1:1/metrics");

    // A port that the system chooses, a file without a terminal, JSON without an end, and no address.
    let chosen = [("DEEPME_METRICS__LISTEN", "127.0.0.1:0")];
    machine
        .run_with(&["top", "--once"], "", &chosen)
        .failed(2, "--url");
    machine.run(&["top"], "").failed(2, "--once");
    machine.run(&["top", "--json"], "").failed(2, "--once");
    machine
        .run(&["top", "--once", "--url", "ftp://x"], "")
        .failed(1, "http");
    let never = ["top", "--once", "--interval", "0"];
    machine.run(&never, "").failed(2, "--interval");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_is_not_taken_for_deepme() {
    let machine = Machine::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("http://{}", other.local_addr().unwrap());
    for (body, says) in [
        ("go_goroutines 3\n", "no figures of deepme"),
        ("<html>canary</html>", "no page of figures"),
    ] {
        let listener = other.try_clone().unwrap();
        let answering = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut peer, _) = listener.accept().unwrap();
            let _ = peer.read(&mut [0; 4096]).unwrap();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            peer.write_all(head.as_bytes()).unwrap();
            peer.write_all(body.as_bytes()).unwrap();
        });
        let failed = machine.run(&["top", "--once", "--url", &at], "");
        let failed = failed.failed(1, says);
        assert!(!failed.err.contains("canary"), "{failed:?}");
        answering.join().unwrap();
    }
}
