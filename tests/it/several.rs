//! Real processes, and what becomes of conversations when one of them, or the database, dies.

use crate::cluster::Cluster;
use crate::command_line::Machine;
use crate::raw::Ask;
use crate::support::PASSWORD;
use crate::talkers::{Progress, Talked, balancer, compare, slow_model, talk};
use deepme::client::Client;
use deepme::domain::step::StepStatus;
use deepme::wire::rest::{GenerateRequest, StepBody};
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Longest time from the death of a server to the end of its last turn: a lease of 15 s, a sweep every
/// 3 s, and some for a machine that is busy with other tests.
const LEASE_AND_SWEEP: Duration = Duration::from_secs(15 + 3 + 7);

/// A machine that is set up for a database.
async fn machine(url: &str, words: usize, pause: Duration) -> (Machine, Vec<(String, String)>) {
    let machine = Machine::new();
    let env: Vec<(String, String)> = [
        ("DEEPME_DATABASE__URL", url),
        ("OPENAI_BASE_URL", &slow_model(words, pause).await),
        // Few people say a lot here, and who comes back says it again.
        ("DEEPME_LIMITS__MESSAGES_A_MINUTE", "0"),
        ("DEEPME_LIMITS__TURNS_A_USER", "0"),
        ("DEEPME_LIMITS__TOKENS_A_DAY", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let run = |args: &[&str]| machine.run_with(args, "", &borrowed(&env)).ok();
    run(&["migrate", "up"]);
    // Embedded SQLite makes its own at the first start.
    if url.starts_with("postgres") {
        run(&["keys", "init"]);
    }
    (machine, env)
}

fn borrowed(env: &[(String, String)]) -> Vec<(&str, &str)> {
    env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

/// As many clients as accounts, at the address.
async fn people(
    server: SocketAddr,
    through: SocketAddr,
    accounts: usize,
    name: &str,
) -> Vec<Client> {
    let stranger = Client::new(&format!("http://{server}")).unwrap();
    let mut people = Vec::new();
    for n in 0..accounts {
        let email = format!("{name}{n}-{}@example.com", server.port());
        stranger.register("사람", &email, PASSWORD).await.unwrap();
        let login = stranger.login(&email, PASSWORD).await.unwrap();
        let client = Client::new(&format!("http://{through}")).unwrap();
        people.push(client.with_token(&login.access_token.0).unwrap());
    }
    people
}

/// Everybody talks; `meanwhile` runs once so many turns have begun to be answered.
async fn everybody(
    people: &[Client],
    conversations: usize,
    turns: usize,
    meanwhile: impl AsyncFnOnce(&Progress),
) -> Vec<(Client, Talked)> {
    let progress = Arc::new(Progress::default());
    let talking: Vec<_> = (0..conversations)
        .map(|n| {
            let client = people[n % people.len()].clone();
            let progress = Arc::clone(&progress);
            tokio::spawn(async move {
                let talked = talk(client.clone(), &format!("talk{n}"), turns, progress).await;
                (client, talked)
            })
        })
        .collect();
    reached(&progress.speaking, conversations / 2).await;
    meanwhile(&progress).await;
    let all = tokio::time::timeout(Duration::from_mins(2), join_all(talking)).await;
    let all = all.expect("every conversation comes to its end");
    all.into_iter().map(Result::unwrap).collect()
}

/// What a test found, for whoever runs it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "a measurement is to be seen")]
fn measured(what: &str) {
    println!("{what}");
}

async fn reached(counter: &AtomicUsize, wanted: usize) {
    let begun = Instant::now();
    while counter.load(Ordering::Relaxed) < wanted {
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "it does not come to that"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// 200 conversations on two servers behind a balancer, one of which is killed in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_15_when_one_of_two_servers_is_killed_everybody_goes_on_with_the_other() {
    let cluster = Cluster::durable();
    let url = cluster.database().await;
    let (machine, env) = machine(&url, 20, Duration::from_millis(100)).await;
    let mut first = machine.serve(&[], &borrowed(&env));
    let second = machine.serve(&[], &borrowed(&env));
    // Compiling the safety rules takes its time in a test build: both are to be ready.
    for server in [first.address, second.address] {
        let warm = people(server, server, 1, "warm").await;
        let request = GenerateRequest {
            user_input: "안녕".to_owned(),
            ..GenerateRequest::default()
        };
        warm[0].generate(&request).await.unwrap();
    }
    let balanced = balancer(Arc::new(Mutex::new(vec![first.address, second.address]))).await;
    let people = people(second.address, balanced, 20, "talks").await;
    let mut killed = Instant::now();
    let talked = everybody(&people, 200, 2, async |_| {
        first.kill();
        killed = Instant::now();
    })
    .await;
    let everybody_heard = killed.elapsed();
    let mut interrupted = 0;
    for (client, talked) in &talked {
        let stored = client.steps(talked.session_id).await.unwrap();
        compare(talked, &stored);
        interrupted += stored
            .iter()
            .filter(|step| step.status == StepStatus::Interrupted)
            .count();
    }
    let troubles: usize = talked.iter().map(|(_, talked)| talked.troubles).sum();
    measured(&format!(
        "{interrupted} of 400 turns interrupted, {troubles} attempts more, all over {:.1} s after the kill",
        everybody_heard.as_secs_f64()
    ));
    assert!(interrupted > 20, "the kill came in the middle of turns");
    // Two turns of 2 s each, and the wait for the dead server's turns.
    assert!(
        everybody_heard < LEASE_AND_SWEEP + Duration::from_secs(10),
        "{everybody_heard:?}"
    );
}

/// PostgreSQL dies under load and comes back: whoever asked meanwhile was told to come back, nobody
/// lost a word, and the server was not restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_12_postgresql_may_die_and_come_back_under_load() {
    let cluster = Cluster::durable();
    let url = cluster.database().await;
    let (machine, env) = machine(&url, 10, Duration::from_millis(50)).await;
    let server = machine.serve(&[], &borrowed(&env));
    let people = people(server.address, server.address, 10, "talks").await;
    let get = async |path: &str| Ask::new("GET", path).send_to(server.address).await;
    let talked = everybody(&people, 60, 6, async |_| {
        cluster.stop("immediate");
        let health = get("/health").await;
        assert_eq!(health.status, 503);
        assert!(health.header("retry-after").is_some());
        assert_eq!(get("/health/live").await.status, 200);
        let person = people[0].base().clone();
        let stranger = Client::new(person.as_str()).unwrap();
        let asked = Instant::now();
        let refused = stranger.login("nobody@example.com", PASSWORD).await;
        assert!(
            asked.elapsed() < Duration::from_secs(3 + 2),
            "an answer comes within 3 s, and some for a busy machine"
        );
        assert_eq!(refused.unwrap_err().status(), Some(503));
        cluster.start();
    })
    .await;
    let mut troubles = 0;
    for (client, talked) in &talked {
        let stored = client.steps(talked.session_id).await.unwrap();
        compare(talked, &stored);
        troubles += talked.troubles;
    }
    measured(&format!("{troubles} attempts more"));
    assert_eq!(get("/health").await.status, 200);
}

/// Killed again and again in the middle of answers: ten times, or `DEEPME_TEST_KILLS`. Some people
/// begin to talk before each kill, unless many do already, for those may have to wait for the turn
/// that the kill before has left; and whenever those have nothing more to say.
async fn killed_ten_times(url: &str) {
    const MORE: usize = 5;
    const MANY: usize = 200;
    let kills = std::env::var("DEEPME_TEST_KILLS").map_or(10, |n| n.parse().unwrap());
    let (machine, env) = machine(url, 10, Duration::from_millis(40)).await;
    let mut server = machine.serve(&[], &borrowed(&env));
    let servers = Arc::new(Mutex::new(vec![server.address]));
    let balanced = balancer(Arc::clone(&servers)).await;
    let people = people(server.address, balanced, MORE, "talks").await;
    let progress = Arc::new(Progress::default());
    let mut talking: Vec<JoinHandle<_>> = Vec::new();
    let more = |talking: &mut Vec<JoinHandle<_>>| {
        let group = talking.len() / MORE;
        for person in &people {
            let (client, progress) = (person.clone(), Arc::clone(&progress));
            talking.push(tokio::spawn(async move {
                let name = format!("talk{group}");
                let talked = talk(client.clone(), &name, 4, progress).await;
                (client, talked)
            }));
        }
    };
    for _ in 0..kills {
        let still = |talking: &[JoinHandle<_>]| talking.iter().filter(|t| !t.is_finished()).count();
        if still(&talking) < MANY {
            more(&mut talking);
        }
        let begun = Instant::now();
        let spoken = progress.speaking.load(Ordering::Relaxed);
        while progress.speaking.load(Ordering::Relaxed) < spoken + 3 {
            if still(&talking) < MORE {
                more(&mut talking);
            }
            assert!(begun.elapsed() < Duration::from_mins(3), "nobody speaks");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.kill();
        server = machine.serve(&[], &borrowed(&env));
        *servers.lock().unwrap() = vec![server.address];
    }
    let all = tokio::time::timeout(Duration::from_mins(2), join_all(talking)).await;
    let all = all.expect("every conversation comes to its end");
    let (mut interrupted, mut acknowledged, mut troubles) = (0, 0, 0);
    for talked in all {
        let (client, talked) = talked.unwrap();
        let stored = client.steps(talked.session_id).await.unwrap();
        compare(&talked, &stored);
        acknowledged += stored.len();
        troubles += talked.troubles;
        let cut = |step: &&StepBody| step.status == StepStatus::Interrupted;
        interrupted += stored.iter().filter(cut).count();
    }
    measured(&format!(
        "{kills} kills: {acknowledged} turns acknowledged, none lost; {interrupted} interrupted; \
         {troubles} attempts more"
    ));
    assert!(
        interrupted >= kills,
        "every kill came in the middle of turns"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_15_killed_ten_times_on_sqlite_loses_nothing_acknowledged() {
    killed_ten_times("sqlite://data/deepme.db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_15_killed_ten_times_on_postgresql_loses_nothing_acknowledged() {
    let cluster = Cluster::durable();
    killed_ten_times(&cluster.database().await).await;
}
