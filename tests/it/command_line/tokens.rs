//! `deepme user token`: how an installed app that knows only its `user_id` comes to a login.

use super::{Machine, Outcome};
use crate::cluster::cluster;
use crate::raw::Ask;
use crate::support::on_postgres;
use serde_json::json;

/// An id as the original made them.
const ID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
/// 30 days.
const USUAL: u64 = 30 * 24 * 3600;

/// A machine on the database of this run.
struct Bench {
    machine: Machine,
    url: Option<String>,
}

impl Bench {
    async fn new() -> Self {
        let url = if on_postgres() {
            Some(cluster().database().await)
        } else {
            None
        };
        let bench = Self {
            machine: Machine::new(),
            url,
        };
        if bench.url.is_some() {
            bench.run(&["migrate", "up"]).ok();
            bench.run(&["keys", "init"]).ok();
        }
        bench
    }

    fn env(&self) -> Vec<(&str, &str)> {
        let url = self.url.as_deref();
        url.map(|url| ("DEEPME_DATABASE__URL", url))
            .into_iter()
            .collect()
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.machine.run_with(args, super::PASSWORD, &self.env())
    }

    fn token(&self, args: &[&str]) -> Outcome {
        self.run(&[&["user", "token"][..], args].concat())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_made_beside_a_running_server_and_can_be_ended() {
    let bench = Bench::new().await;
    let server = bench.machine.serve(&[], &bench.env());
    let made = bench.token(&[ID, "--create", "--name", "지우"]).ok();
    let token = made.out.trim_end().to_owned();
    assert_eq!(made.out, format!("{token}\n"), "the token and nothing else");
    assert!(
        made.err.contains(ID) && !made.err.contains(&token),
        "{made:?}"
    );
    assert!(!made.err.contains("지우") && !made.err.contains("invalid"));
    let me = Ask::new("GET", "/me").bearer(&token);
    let answer = me.send_to(server.address).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["user_id"], ID);
    assert_eq!(answer.json()["name"], "지우");
    assert_eq!(answer.json()["email"], json!(null));
    let old_app = Ask::new("GET", format!("/ws/emotion?user_id={ID}"));
    let old_app = old_app.upgrade().bearer(&token);
    assert_eq!(old_app.send_to(server.address).await.status, 101);
    // The person can see that somebody may have been them.
    let log = Ask::new("GET", "/me/access-log").bearer(&token);
    let log = log.send_to(server.address).await.json();
    assert_eq!(log[0]["by"], "tester");
    assert_eq!(log[0]["session_id"], json!(null));
    // Another one for the same account, and each is a login of its own.
    let second = bench
        .token(&[ID, "--create", "--json", "--days", "90"])
        .ok();
    assert!(!second.err.contains("made the account"));
    let second = second.json();
    assert_eq!(second["user_id"], ID);
    assert_eq!(second["token_type"], "bearer");
    assert_eq!(second["expires_in"], 90 * 24 * 3600);
    let out = Ask::new("POST", "/logout").bearer(&token);
    assert_eq!(out.send_to(server.address).await.status, 204);
    assert_eq!(me.send_to(server.address).await.status, 401);
    let other = second["access_token"].as_str().unwrap();
    let me = Ask::new("GET", "/me").bearer(other);
    assert_eq!(me.send_to(server.address).await.status, 200);
    let stopped = server.stop();
    assert_eq!(stopped.code, 0);
    let shown = bench.run(&["user", "show", ID]).ok();
    assert!(shown.out.contains("(guest)") && !shown.out.contains("invalid"));
    let listed = bench.run(&["user", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["email"], json!(null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_needs_an_account() {
    let bench = Bench::new().await;
    bench.token(&[ID]).failed(1, "no such user");
    bench
        .token(&["nobody@example.com"])
        .failed(1, "no such user");
    bench
        .token(&["nobody@example.com", "--create"])
        .failed(2, "not for an address");
    bench.token(&["nobody", "--create"]).failed(1, "email");
    for days in ["0", "3651", "-1", "x"] {
        let days = format!("--days={days}");
        bench.token(&[ID, "--create", &days]).failed(2, "--days");
    }
    bench.token(&[ID, "--name", "x"]).failed(2, "--create");
    bench
        .token(&[ID, "--create", "--name", ""])
        .failed(1, "name");
    let listed = bench.run(&["user", "list", "--json"]).ok().json();
    assert_eq!(listed, json!([]));
    let add = ["user", "add", "--name", "x", "--email", "jiwoo@example.com"];
    bench.run(&[&add[..], &["--password-stdin"]].concat()).ok();
    let made = bench.token(&["JIWOO@example.com", "--json"]).ok();
    assert!(!made.err.contains("jiwoo"), "{made:?}");
    assert_eq!(made.json()["expires_in"], USUAL);
}

#[test]
fn switches_that_weaken_the_doors_are_warned_of() {
    const URLS: &str = "auth.query_token is on";
    const GUESTS: &str = "limits.accounts_an_hour counts nobody";
    let machine = Machine::new();
    let proxy = ("DEEPME_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let guests = ("DEEPME_AUTH__GUESTS", "true");
    for (env, warnings) in [
        (&[][..], &[][..]),
        (&[("DEEPME_AUTH__QUERY_TOKEN", "true")], &[URLS]),
        (&[guests], &[GUESTS]),
        (&[guests, proxy], &[]),
    ] {
        let stopped = machine.serve(&[], env).stop();
        for warning in [URLS, GUESTS] {
            let told = stopped.err.contains(warning);
            assert_eq!(told, warnings.contains(&warning), "{warning} {stopped:?}");
        }
    }
}
