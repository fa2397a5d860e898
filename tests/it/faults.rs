//! The fault table, row by row, where no other module proves it: `docs/faults.md` says which test
//! shows what.

mod closing;
mod database;
mod disk;
mod limits;
mod migrating;
mod order;
mod restored;
mod slow;
mod stopping;
mod table;

use crate::command_line::{PASSWORD, Serving};
use crate::support::{Person, Talk};
use deepme::client::{Client, ConnectOptions};
use deepme::domain::SessionId;
use std::net::SocketAddr;
use std::time::Duration;

/// What a test found, for whoever runs it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "a measurement is to be seen")]
fn measured(what: &str) {
    println!("{what}");
}

/// An account on a server, and its owner.
async fn person_at(address: SocketAddr, name: &str) -> Person {
    let email = format!("{name}@example.com");
    let stranger = Client::new(&format!("http://{address}")).unwrap();
    let user = stranger.register(name, &email, PASSWORD).await.unwrap();
    let login = stranger.login(&email, PASSWORD).await.unwrap();
    let token = login.access_token.0;
    Person {
        client: stranger.with_token(&token).unwrap(),
        user_id: user.user_id,
        token,
        email,
    }
}

/// The same person by another way.
fn by(person: &Person, address: SocketAddr) -> Person {
    let client = Client::new(&format!("http://{address}")).unwrap();
    Person {
        client: client.with_token(&person.token).unwrap(),
        user_id: person.user_id,
        token: person.token.clone(),
        email: person.email.clone(),
    }
}

/// A socket on a session of which the first frame was read.
async fn on(person: &Person, session_id: Option<SessionId>) -> (Talk, SessionId) {
    let options = ConnectOptions {
        session_id,
        ..ConnectOptions::default()
    };
    let (talk, session) = person.connect_with(&options).await;
    (talk, session.session_id)
}

/// Asks until the answer is as wanted; fails after ten seconds.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(10), asking).await;
    assert!(asked.is_ok(), "{what}: not within 10 s");
}

/// Kilobytes of memory that a process holds.
fn resident(server: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}
