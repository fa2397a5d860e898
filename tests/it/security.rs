//! The security checklist, row by row, where no other module proves it: `docs/security.md` says which
//! test shows what.

mod cors;
mod guests;
pub mod keys;
mod origin;
mod passwords;
mod recital;
mod recovery;
mod refresh;
mod registration;
mod revocation;
mod rights;
mod throttle;
mod ticket;

use crate::cluster::cluster;
use crate::support::{PASSWORD, Person, Server, Talk};
use deepme::client::Client;
use deepme::wire::rest::LoginBody;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may go on that was revoked (it takes 4 s at most, 5 s are promised), and some for a machine that
/// is busy with other tests.
const SOON: Duration = Duration::from_secs(5 + 3);

/// Two servers with the same keys on one PostgreSQL.
async fn pair() -> [Server; 2] {
    let url = cluster().database().await;
    let keys = Arc::new(tempfile::tempdir().unwrap());
    [
        Server::one_of_several(&url, &keys).await,
        Server::one_of_several(&url, &keys).await,
    ]
}

/// The same person with other tokens, perhaps at another server.
fn with(server: &Server, person: &Person, login: &LoginBody) -> Person {
    let token = login.access_token.0.clone();
    Person {
        client: server.stranger().with_token(&token).unwrap(),
        user_id: person.user_id,
        token,
        email: person.email.clone(),
    }
}

/// Another login of the same person.
async fn again(server: &Server, person: &Person) -> Person {
    let login = server.stranger().login_v1(&person.email, PASSWORD).await;
    with(server, person, &login.unwrap())
}

fn refresh_token(login: &LoginBody) -> String {
    login.refresh_token.clone().unwrap().0
}

/// The status of the simplest call; 200 for one that succeeds.
async fn status(client: &Client) -> u16 {
    client
        .me()
        .await
        .map_or_else(|error| error.status().unwrap(), |_| 200)
}

/// The tokens of this person are worth nothing.
async fn nobody_any_more(person: &Person) {
    let since = Instant::now();
    while status(&person.client).await != 401 {
        assert!(since.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The socket ends, with this code, within what the checklist allows.
async fn closes(talk: &mut Talk, since: Instant, what: &str) {
    assert_eq!(talk.closed().await, 4401, "{what}");
    let took = since.elapsed();
    assert!(took < SOON, "{what}: {took:?}");
}

/// The socket is there and answers.
async fn lives(talk: &mut Talk) {
    talk.send_text(r#"{"ping": 1}"#).await;
    let frame = talk.frame().await;
    let pong = matches!(frame, deepme::wire::ws::ServerFrame::Pong { .. });
    assert!(pong, "{frame:?}");
}
