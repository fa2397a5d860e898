//! A database that is gone, slow or held by somebody else: rows 10 and 11.

use super::{measured, on, person_at, until};
use crate::cluster::cluster;
use crate::command_line::{Machine, Serving};
use crate::proxy::{Proxy, Way};
use crate::raw::{Answer, Ask};
use crate::support::{Person, Talk};
use crate::upstream::{Reply, Upstream, done, ends, says};
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest time for any answer, and some for a machine that is busy with other tests.
const IN_TIME: Duration = Duration::from_secs(3 + 2);

/// A server on a database, somebody who talks there, and the model that is or is not asked.
struct Place {
    server: Serving,
    jiwoo: Person,
    /// A socket that was open before anything went wrong.
    talk: Talk,
    upstream: Upstream,
    _machine: Machine,
}

async fn generate(address: SocketAddr, token: &str) -> Answer {
    let ask = Ask::new("POST", "/emotion/steps/generate").bearer(token);
    let ask = ask.json(r#"{"user_input": "들어줘"}"#);
    ask.send_to(address).await
}

impl Place {
    async fn on(url: &str, machine: Machine) -> Self {
        let upstream = Upstream::start().await;
        let model = format!("http://{}/v1", upstream.address);
        let env = [
            ("DEEPME_DATABASE__URL", url),
            ("OPENAI_BASE_URL", &model),
            ("DEEPME_LIMITS__TURNS_A_USER", "0"),
        ];
        machine.run_with(&["migrate", "up"], "", &env).ok();
        if url.starts_with("postgres") {
            machine.run_with(&["keys", "init"], "", &env).ok();
        }
        let server = machine.serve(&[], &env);
        let jiwoo = person_at(server.address, "jiwoo").await;
        let (talk, _) = on(&jiwoo, None).await;
        let mut place = Self {
            server,
            jiwoo,
            talk,
            upstream,
            _machine: machine,
        };
        place.talks().await;
        place
    }

    /// On PostgreSQL, with something in between.
    async fn behind_a_proxy() -> (Self, Proxy) {
        let url = cluster().database().await;
        let parsed: tokio_postgres::Config = url.parse().unwrap();
        let port = parsed.get_ports()[0];
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let proxy = Proxy::to(target).await;
        let through = url.replacen(&target.to_string(), &proxy.address.to_string(), 1);
        assert_ne!(through, url);
        (Self::on(&through, Machine::new()).await, proxy)
    }

    async fn get(&self, path: &str) -> Answer {
        Ask::new("GET", path).send_to(self.server.address).await
    }

    async fn generate(&self) -> Answer {
        generate(self.server.address, &self.jiwoo.token).await
    }

    /// A turn goes as it should.
    async fn talks(&mut self) {
        self.upstream
            .reply(Reply::Stream(vec![says("네"), ends("stop"), done()]));
        let answer = self.generate().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(self.upstream.more_requests(), 1);
    }

    /// Nothing can be stored: everybody is told so in time, nobody asks the model, and the process is
    /// as lively as before.
    async fn refuses(&mut self) {
        self.says_so_in_time().await;
        assert_eq!(self.upstream.more_requests(), 0, "the model is not asked");
    }

    async fn says_so_in_time(&mut self) {
        let talk = &mut self.talk;
        let (address, token) = (self.server.address, self.jiwoo.token.clone());
        let mut answered = Vec::new();
        let asking = async {
            let answers = join_all((0..20).map(|_| async {
                let asked = Instant::now();
                (generate(address, &token).await, asked.elapsed())
            }))
            .await;
            let asked = Instant::now();
            talk.input("들어줘").await;
            let error = talk.error().await;
            assert_eq!(error.code, "unavailable");
            // Nobody knows: an earlier try may have stored them.
            assert_eq!(error.stored, None);
            assert!(error.retry_after.is_some());
            (answers, asked.elapsed())
        };
        let mut asking = std::pin::pin!(asking);
        let (answers, took) = loop {
            tokio::select! {
                outcome = asking.as_mut() => break outcome,
                live = async {
                    let asked = Instant::now();
                    let answer = Ask::new("GET", "/health/live").send_to(address).await;
                    (answer.status, asked.elapsed())
                } => {
                    assert_eq!(live.0, 200);
                    answered.push(live.1);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        let mut longest = Duration::ZERO;
        for (answer, took) in answers {
            let problem = answer.problem();
            assert_eq!((problem.status, problem.stored), (503, None));
            assert!(answer.header("retry-after").is_some());
            longest = longest.max(took);
        }
        answered.sort();
        let usual = answered[answered.len() * 9 / 10];
        measured(&format!(
            "refused after {longest:?} ({took:?} on the socket); /health/live at most {usual:?}, nine times of ten"
        ));
        assert!(longest < IN_TIME && took < IN_TIME, "{longest:?} {took:?}");
        assert!(usual < Duration::from_millis(100), "{usual:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_a_postgresql_that_is_down_is_said_at_once_and_costs_no_model_call() {
    let (mut place, proxy) = Place::behind_a_proxy().await;
    proxy.cut(true);
    place.refuses().await;
    let health = place.get("/health/ready").await;
    assert_eq!(health.status, 503);
    assert!(health.header("retry-after").is_some());
    assert_eq!(place.get("/health/live").await.status, 200);
    proxy.cut(false);
    until("healthy again", async || {
        place.get("/health").await.status == 200
    })
    .await;
    place.talks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_postgresql_that_says_nothing_is_not_waited_for() {
    let (mut place, proxy) = Place::behind_a_proxy().await;
    proxy.down(Way::Stopped);
    place.refuses().await;
    assert_eq!(place.get("/health").await.status, 503);
    proxy.down(Way::Open);
    until("healthy again", async || {
        place.get("/health").await.status == 200
    })
    .await;
    // A slow one is not a dead one.
    proxy.down(Way::Slow(Duration::from_millis(50)));
    place.talks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_sqlite_file_that_somebody_holds_is_not_waited_for() {
    let machine = Machine::new();
    let file = machine.path("data/deepme.db");
    let mut place = Place::on("sqlite://data/deepme.db", machine).await;
    let holder = rusqlite::Connection::open(file).unwrap();
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        holder.execute_batch(lock).unwrap();
        place.refuses().await;
        // Who only reads is served: the log is for that.
        let sessions = place.jiwoo.client.sessions(place.jiwoo.user_id, None);
        assert!(!sessions.await.unwrap().is_empty());
        holder.execute_batch("ROLLBACK").unwrap();
        place.talks().await;
    }
}
