//! How fast the real server relays: `cargo bench --bench relay`.
//!
//! Starts `deepme serve` as a process of its own on a throw-away database, a mock upstream and a
//! load client in this one, and prints throughput, time to first token, added delay per token, the
//! server's CPU and its memory per idle socket. Everything stays on the loopback interface and
//! stops by itself. Linux only: the figures come from `/proc`.
//!
//! Options after `--`: `--clients N --turns N --tokens N --idle N --logins N --binary PATH`. `ulimit -n` must be
//! larger than the number of idle sockets.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring program: it prints, it rounds, and it stops when something is wrong"
)]

mod load;
mod mock;
#[path = "../shared/server.rs"]
mod server;
#[path = "../shared/upstream.rs"]
mod upstream;

use deepme::client::Client;
use load::{Load, Spread};
use server::Server;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The numbered tokens of the mock count for many of a model's: conversations would outgrow what it
/// reads after three turns, and half of the relayed tokens be those of summaries.
const SETTINGS: [(&str, &str); 1] = [("DEEPME_LLM__SUMMARIES", "false")];

struct Options {
    clients: usize,
    turns: usize,
    tokens: usize,
    idle: usize,
    logins: usize,
    binary: String,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            clients: 100,
            turns: 5,
            tokens: 200,
            idle: 10_000,
            logins: 50,
            binary: env!("CARGO_BIN_EXE_deepme").to_owned(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut number = || arguments.next().and_then(|n| n.parse().ok()).unwrap();
            match name.as_str() {
                "--clients" => options.clients = number(),
                "--turns" => options.turns = number(),
                "--tokens" => options.tokens = number(),
                "--idle" => options.idle = number(),
                "--logins" => options.logins = number(),
                "--binary" => options.binary = arguments.next().unwrap(),
                // cargo bench passes --bench.
                _ => {}
            }
        }
        options
    }
}

fn main() {
    let options = Options::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(options));
}

async fn run(options: Options) {
    let upstream = mock::start().await;
    let server = Server::start(&options.binary, upstream, &SETTINGS).await;
    println!(
        "ready after {:.0} ms, {:.1} MiB resident",
        server.ready.as_secs_f64() * 1e3,
        server.memory().rss as f64 / MIB
    );
    let token = server.account("bench").await;
    let load = Load {
        address: server.address,
        token,
    };

    println!(
        "\nflood: {} clients, {} turns each, {} tokens a turn, no pause between tokens",
        options.clients, options.turns, options.tokens
    );
    // Once to warm up: connections, caches, the tokenizer.
    load.run(options.clients, 1, options.tokens, Duration::ZERO)
        .await;
    let cpu = server.cpu_seconds();
    let flood = load
        .run(
            options.clients,
            options.turns,
            options.tokens,
            Duration::ZERO,
        )
        .await;
    let cpu = server.cpu_seconds() - cpu;
    println!(
        "  tokens/s                 {:>10.0}",
        flood.tokens as f64 / flood.wall.as_secs_f64()
    );
    println!(
        "  turns/s                  {:>10.1}",
        flood.turns as f64 / flood.wall.as_secs_f64()
    );
    println!(
        "  server CPU s / M tokens  {:>10.2}",
        cpu / flood.tokens as f64 * 1e6
    );
    print_spread("  first token, ms         ", &flood.first_token, 1e6);
    println!("  turns lost or damaged    {:>10}", flood.bad);

    let paced_clients = options.clients * 2;
    println!("\npaced: {paced_clients} clients, one turn of 100 tokens, 10 ms between tokens");
    let direct = load::direct(upstream, paced_clients, 100, Duration::from_millis(10)).await;
    let cpu = server.cpu_seconds();
    let paced = load
        .run(paced_clients, 1, 100, Duration::from_millis(10))
        .await;
    let cpu = server.cpu_seconds() - cpu;
    print_spread("  first token, ms         ", &paced.first_token, 1e6);
    print_spread("  delay per token, us     ", &paced.delay, 1e3);
    print_spread("  … of which without relay", &direct, 1e3);
    println!(
        "  server CPU               {:>9.1}%",
        cpu / paced.wall.as_secs_f64() * 100.0
    );
    println!("  turns lost or damaged    {:>10}", paced.bad);

    let (clients, pause) = (options.clients, Duration::from_millis(10));
    println!(
        "\nlogins: {clients} clients, one turn of 300 tokens, 10 ms between tokens; alone, then with {} logins at once, \
         again and again",
        options.logins
    );
    server.account("logins").await;
    for round in 1..=3 {
        let alone = load.run(clients, 1, 300, pause).await;
        let logins = server.logins(options.logins);
        let beside = load.run(clients, 1, 300, pause).await;
        let logins = logins.stop().await;
        println!(
            "  delay per token, us, p99 {:>10.0} alone {:>8.0} with {logins} logins ({round})",
            alone.delay.p(0.99) / 1e3,
            beside.delay.p(0.99) / 1e3,
        );
    }

    end(server);

    let server = Server::start(&options.binary, upstream, &[]).await;
    let load = Load {
        address: server.address,
        token: server.account("bench").await,
    };
    // The rules of safety are compiled by then, which takes memory for some seconds.
    load.run(1, 1, options.tokens, Duration::ZERO).await;
    tokio::time::sleep(SETTLED).await;
    let before = server.memory();
    let sockets = load.idle(options.idle).await;
    tokio::time::sleep(SETTLED).await;
    let after = server.memory();
    println!(
        "\nidle: {} sockets that say nothing, on a server of their own, {} descriptors",
        sockets.len(),
        server.descriptors()
    );
    print_memory("RSS", before.rss, after.rss, sockets.len());
    print_memory("PSS", before.pss, after.pss, sockets.len());
    drop(sockets);
    end(server);
}

/// People who log in again and again.
struct Logins {
    people: Vec<JoinHandle<usize>>,
    stop: CancellationToken,
}

impl Server {
    /// So many people at once, all with one account of their own.
    fn logins(&self, people: usize) -> Logins {
        let stop = CancellationToken::new();
        let client = Client::new(&format!("http://{}", self.address)).unwrap();
        let person = || {
            let (client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let mut logins = 0;
                while !stop.is_cancelled() {
                    client
                        .login("logins@example.com", server::PASSWORD)
                        .await
                        .unwrap();
                    logins += 1;
                }
                logins
            })
        };
        Logins {
            people: (0..people).map(|_| person()).collect(),
            stop,
        }
    }
}

impl Logins {
    /// How many there were.
    async fn stop(self) -> usize {
        self.stop.cancel();
        let mut logins = 0;
        for person in self.people {
            logins += person.await.unwrap();
        }
        logins
    }
}

/// How long the allocator may take to give back what is not needed any more.
const SETTLED: Duration = Duration::from_secs(15);

fn end(server: Server) {
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{:?}", ended.said);
    for line in ended
        .said
        .iter()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
    {
        println!("the server said: {line}");
    }
    drop(ended.dir);
}

const MIB: f64 = 1024.0 * 1024.0;

fn print_spread(name: &str, spread: &Spread, unit: f64) {
    println!(
        "{name} {:>10.2} p50 {:>10.2} p99",
        spread.p(0.5) / unit,
        spread.p(0.99) / unit
    );
}

fn print_memory(name: &str, before: u64, after: u64, sockets: usize) {
    println!(
        "  {name} before, after, MiB   {:>10.1} {:>10.1}, KiB a socket {:>6.1}",
        before as f64 / MIB,
        after as f64 / MIB,
        after.saturating_sub(before) as f64 / sockets.max(1) as f64 / 1024.0
    );
}
