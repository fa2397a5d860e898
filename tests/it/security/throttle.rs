//! Row 14: guessing is slow, and nobody learns by it who has an account.

use crate::raw::{Answer, Ask};
use crate::support::{PASSWORD, Server};
use futures_util::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

const NEW_PASSWORD: &str = "an entirely new one";

fn log_in(email: &str, password: &str) -> Ask {
    let body = json!({"email": email, "password": password});
    Ask::new("POST", "/login").json(body.to_string())
}

fn reset(email: &str, code: &str) -> Ask {
    let body = json!({"email": email, "code": code, "new_password": NEW_PASSWORD});
    Ask::new("POST", "/password/reset").json(body.to_string())
}

/// The status, and how long to wait; the same text for everybody.
fn told(answer: &Answer) -> (u16, u64) {
    let wait = answer
        .header("retry-after")
        .map_or(0, |s| s.parse().unwrap());
    let problem = answer.problem();
    assert_eq!(problem.code == "too_many", answer.status == 429);
    assert_eq!(wait > 0, answer.status == 429);
    (answer.status, wait)
}

/// What somebody who guesses is told, who waits as long as they are told to.
async fn guessing(server: &Server, ask: &Ask, times: usize) -> Vec<(u16, u64)> {
    let mut heard = Vec::new();
    for _ in 0..times {
        let (status, wait) = told(&ask.send(server).await);
        server.clock.advance(Duration::from_secs(wait));
        heard.push((status, wait));
    }
    heard
}

#[tokio::test]
async fn security_14_after_five_failures_each_try_at_an_account_costs_twice_the_wait() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let wrong = (401, 0);
    let mut expected = vec![wrong; 6];
    for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        expected.extend([(429, wait), wrong]);
    }
    let times = expected.len();
    let (email, nobody) = (jiwoo.email.as_str(), "nobody@example.com");
    // Codes and passwords count together, at other spellings of the address, too, and at what is none.
    for ask in [
        log_in(nobody, PASSWORD),
        log_in("nonsense", PASSWORD),
        reset("x@example.com", "0"),
    ] {
        assert_eq!(guessing(&server, &ask, times).await, expected, "{ask:?}");
    }
    let loud = format!(" {} ", email.to_uppercase());
    for ask in [
        log_in(email, "wrong"),
        log_in(&loud, "wrong"),
        reset(email, "0"),
    ] {
        assert_eq!(guessing(&server, &ask, 2).await, [wrong; 2], "{ask:?}");
    }
    let rest = guessing(&server, &log_in(email, "wrong"), times - 6).await;
    assert_eq!(rest, expected[6..]);
    // Even the right one has to wait, or its answer would tell; nobody is locked out for ever.
    let right = log_in(email, PASSWORD);
    assert_eq!(told(&right.send(&server).await), (429, 60));
    assert_eq!(told(&reset(email, "0").send(&server).await), (429, 60));
    server.clock.advance(Duration::from_mins(1));
    assert_eq!(right.send(&server).await.status, 200);
    // And it is as if nothing had been.
    let again = guessing(&server, &log_in(email, "wrong"), 7).await;
    assert_eq!(again, expected[..7]);
}

#[tokio::test]
async fn security_14_the_current_password_is_not_guessed_either() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let refused = jiwoo.client.change_password("wrong", NEW_PASSWORD).await;
        statuses.push(refused.unwrap_err().status().unwrap());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 401, 429]);
    server.clock.advance(Duration::from_secs(1));
    let changed = jiwoo.client.change_password(PASSWORD, NEW_PASSWORD).await;
    changed.unwrap();
}

/// Behind a proxy: in these tests everybody comes from loopback, which is nobody's address.
#[tokio::test]
async fn security_14_an_address_that_tries_many_accounts_waits_too() {
    let proxy = |config: &mut deepme::config::Config| {
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    };
    let server = Server::with(proxy).await;
    let jiwoo = server.person("jiwoo").await;
    let try_from = async |from: &str, n: usize| {
        let ask = log_in(&format!("a{n}@example.com"), PASSWORD);
        told(&ask.header("x-forwarded-for", from).send(&server).await)
    };
    for n in 0..21 {
        // A home has a whole /64.
        let from = format!("2001:db8:1:2::{n:x}");
        assert_eq!(try_from(&from, n).await, (401, 0), "{n}");
    }
    assert_eq!(try_from("2001:db8:1:2::99", 99).await, (429, 1));
    assert_eq!(try_from("2001:db8:1:3::99", 99).await, (401, 0));
    assert_eq!(try_from("192.0.2.1", 99).await, (401, 0));
    // A success of one's own is no way around it.
    server.clock.advance(Duration::from_secs(1));
    let own = log_in(&jiwoo.email, PASSWORD).header("x-forwarded-for", "2001:db8:1:2::1");
    assert_eq!(own.send(&server).await.status, 200);
    assert_eq!(try_from("2001:db8:1:2::99", 99).await, (401, 0));
    assert_eq!(try_from("2001:db8:1:2::99", 98).await, (429, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_14_guesses_at_the_same_time_win_nothing() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let mut right = 0;
    for _ in 0..3 {
        let ask = log_in(&jiwoo.email, "wrong");
        let asking = (0..40).map(|_| ask.send(&server));
        let answers = join_all(asking).await;
        right += answers.iter().filter(|a| told(a).0 == 401).count();
    }
    // Which of them come in time depends; that few do does not.
    assert!((6..=7).contains(&right), "{right}");
}

#[tokio::test]
async fn security_14_the_waits_are_the_admins_choice() {
    let server = Server::with(|config| config.limits.login_failures = 0).await;
    let heard = guessing(&server, &log_in("a@example.com", "x"), 12).await;
    assert_eq!(heard, [(401, 0); 12]);
    let mut config = deepme::config::Config::default();
    config.limits.login_failures = 1;
    server.app.adopt(&config);
    // What failed before it was asked for counts.
    let heard = log_in("a@example.com", "x").send(&server).await;
    assert_eq!(told(&heard), (429, 60));
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

/// What an answer tells beside its time.
fn face(answer: &Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "x-request-id" && name != "date");
    (answer.status, headers, answer.body.clone())
}

/// By turns, so that whatever else the machine does hits both kinds alike. Without the decoy hash the ratio
/// would be above ten, and so it is for who is refused before any hashing.
#[tokio::test]
async fn security_14_neither_text_nor_time_tells_who_has_an_account() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let store = server.beside().await;
    let disabled = store.disable_user(minsu.user_id, server.app.now());
    assert!(disabled.await.unwrap());
    let nobody = "nobody@example.com";
    let logins = [
        log_in(&jiwoo.email, "wrong"),
        log_in(nobody, "wrong"),
        log_in(&minsu.email, PASSWORD),
    ];
    let resets = [&jiwoo.email, nobody, &minsu.email].map(|email| reset(email, "0"));
    let kinds = [(logins, 200), (resets, 50)];
    for (asks, samples) in kinds {
        let mut times = [const { Vec::new() }; 3];
        let mut faces = Vec::new();
        for _ in 0..samples {
            server.clock.advance(Duration::from_mins(1));
            for (ask, times) in asks.iter().zip(&mut times) {
                let begun = Instant::now();
                let answer = ask.send(&server).await;
                times.push(begun.elapsed());
                faces.push(face(&answer));
            }
        }
        assert_eq!(faces[0].0, 401);
        assert!(faces.iter().all(|one| *one == faces[0]), "{:?}", asks[0]);
        let medians = times.map(median);
        for one in medians {
            let ratio = one / medians[0];
            assert!((0.6..1.7).contains(&ratio), "{medians:?} {:?}", asks[0]);
        }
        // Who has to wait costs nothing.
        let begun = Instant::now();
        for _ in 0..10 {
            assert_eq!(told(&asks[0].send(&server).await).0, 429);
        }
        let refused = begun.elapsed().as_secs_f64() / 10.0;
        assert!(refused < medians[0] / 2.0, "{refused} {medians:?}");
    }
}
