//! Many people for many minutes, and nothing goes as planned:
//! `cargo bench --bench soak -- --minutes 10 --clients 1000`.
//!
//! Starts `deepme serve` as a process of its own on a throw-away SQLite database, and in this one a
//! model that fails in many ways and people who lose their connections, resume, send messages again,
//! stop, read slowly, and watch from a second device. At the end what everybody was told is compared
//! with what is stored, and the memory and descriptors of the server, looked at every second, must not
//! have grown. Prints a report in Markdown; exits with 1 when something is wrong. Linux only.
//!
//! Options after `--`: `--minutes N --clients N --seed N --binary PATH`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a measuring program: it prints, it rounds, and it stops when something is wrong"
)]

mod check;
mod client;
#[path = "../shared/dice.rs"]
mod dice;
mod model;
mod report;
#[path = "../shared/server.rs"]
mod server;
#[path = "../shared/upstream.rs"]
mod upstream;
mod watch;
mod watcher;

use client::{Crowd, Lived, Person, Tally};
use deepme::client::Client;
use model::Model;
use report::Report;
use server::Server;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Clients of one account: logging in costs a password hash each time.
const CLIENTS_AN_ACCOUNT: usize = 10;
/// How long the last answers may take after the end.
const LAST_WORDS: Duration = Duration::from_mins(3);

/// Patience with the model is short, so that its faults do not fill the run with waiting.
const SETTINGS: [(&str, &str); 3] = [
    ("DEEPME_LLM__FIRST_TOKEN_SECONDS", "3"),
    ("DEEPME_LLM__IDLE_SECONDS", "3"),
    ("DEEPME_LLM__TURN_SECONDS", "30"),
];

struct Options {
    minutes: f64,
    clients: usize,
    seed: u64,
    binary: String,
}

impl Options {
    fn read() -> Self {
        let mut options = Self {
            minutes: 10.0,
            clients: 1000,
            seed: 1,
            binary: env!("CARGO_BIN_EXE_deepme").to_owned(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().unwrap();
            match name.as_str() {
                "--minutes" => options.minutes = value().parse().unwrap(),
                "--clients" => options.clients = value().parse().unwrap(),
                "--seed" => options.seed = value().parse().unwrap(),
                "--binary" => options.binary = value(),
                // cargo bench passes --bench.
                _ => {}
            }
        }
        options
    }
}

fn main() -> ExitCode {
    let options = Options::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(run(&options));
    report.print();
    ExitCode::from(u8::from(!report.is_fine()))
}

async fn run(options: &Options) -> Report {
    let load_before = watch::load_average();
    let model = Model::default();
    let server = Server::start(&options.binary, model.start().await, &SETTINGS).await;
    let clients = accounts(&server, options.clients.div_ceil(CLIENTS_AN_ACCOUNT)).await;
    let descriptors_before = server.descriptors();
    let memory_before = server.memory();

    let crowd = Arc::new(Crowd::default());
    let until = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let living: Vec<_> = (0..options.clients)
        .map(|n| {
            let account = n % clients.len();
            let client = clients[account].clone();
            let person = Person::new(client, account, n, options.seed, Arc::clone(&crowd));
            tokio::spawn(person.live(until))
        })
        .collect();
    let samples = watch::watch(&server, &crowd, &model, until).await;
    let (mut lived, mut tally) = (Lived::default(), Tally::default());
    for person in living {
        let Ok(one) = tokio::time::timeout(LAST_WORDS, person).await else {
            lived
                .wrong
                .push("somebody does not come to an end".to_owned());
            continue;
        };
        let one = one.unwrap();
        lived.sessions.extend(one.sessions);
        lived.wrong.extend(one.wrong);
        tally.add(one.tally);
    }
    let checked = check::compare(&clients, lived.sessions).await;
    // Everybody has gone; what is left belongs to nobody but the model and the database.
    drop(clients);
    let descriptors_after = settled(&server, &model).await;
    let memory_after = server.memory();
    let cpu_seconds = server.cpu_seconds();
    let ready = server.ready;
    let ended = server.stop();
    let (integrity, rows) = check::file(&ended.dir.path().join("data/deepme.db"));
    Report {
        minutes: options.minutes,
        clients: options.clients,
        seed: options.seed,
        ready,
        load_before,
        samples,
        tally,
        wrong: lived.wrong,
        checked,
        played: model.played(),
        descriptors: (descriptors_before, descriptors_after),
        memory: (memory_before, memory_after),
        cpu_seconds,
        code: ended.code,
        said: ended.said,
        integrity,
        rows,
    }
}

async fn accounts(server: &Server, count: usize) -> Vec<Client> {
    let stranger = Client::new(&format!("http://{}", server.address)).unwrap();
    let mut clients = Vec::new();
    for n in 0..count {
        let token = server.account(&format!("soak{n}")).await;
        clients.push(stranger.with_token(&token).unwrap());
    }
    clients
}

/// The descriptors without the connections to the model, once nobody is left.
async fn settled(server: &Server, model: &Model) -> usize {
    let ours = || server.descriptors().saturating_sub(model.connections());
    let begun = Instant::now();
    let mut before = ours();
    while begun.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = ours();
        if now >= before {
            return now;
        }
        before = now;
    }
    before
}
