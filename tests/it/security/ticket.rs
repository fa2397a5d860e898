//! Rows 10 and 11: no long-lived token in a URL, but a ticket for one handshake; one credential and no more.

use super::{closes, nobody_any_more, pair, with};
use crate::raw::{Answer, Ask, RawSocket};
use crate::support::{PASSWORD, Person, Server};
use deepme::auth::once;
use deepme::client::{Client, ConnectOptions};
use deepme::config::Config;
use deepme::llm::scripted::answer;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

const PAGE: &str = "https://app.example.com";
const OTHER_PAGE: &str = "http://localhost:5173";

fn with_pages(config: &mut Config) {
    config.server.origins = [PAGE, OTHER_PAGE].map(|page| page.parse().unwrap()).into();
}

fn from(origin: Option<&str>, ask: Ask) -> Ask {
    match origin {
        Some(origin) => ask.header("origin", origin),
        None => ask,
    }
}

/// A ticket that a page of this origin asks for.
async fn ticket(server: &Server, person: &Person, origin: Option<&str>) -> String {
    let ask = Ask::new("POST", "/ws-ticket").bearer(&person.token);
    let answer = from(origin, ask).send(server).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["expires_in"], 30);
    body["ticket"].as_str().unwrap().to_owned()
}

fn handshake(query: &str) -> Ask {
    Ask::new("GET", format!("/ws/emotion{query}")).upgrade()
}

async fn show(server: &Server, ticket: &str, origin: Option<&str>) -> Answer {
    let ask = handshake(&format!("?ticket={ticket}"));
    from(origin, ask).send(server).await
}

/// The ticket lets in nobody.
async fn refused(server: &Server, ticket: &str, origin: Option<&str>, what: &str) {
    let answer = show(server, ticket, origin).await;
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    assert_eq!(answer.problem().code, "unauthorized", "{what}");
    assert!(answer.header("www-authenticate").is_some(), "{what}");
    assert!(!answer.text().contains(ticket), "{what}");
}

#[tokio::test]
async fn security_10_a_ticket_opens_one_socket_for_its_person() {
    let server = Server::with(with_pages).await;
    let jiwoo = server.person("jiwoo").await;
    for origin in [None, Some(PAGE)] {
        let ticket = ticket(&server, &jiwoo, origin).await;
        assert!(ticket.len() == 64 && ticket.bytes().all(|b| b.is_ascii_hexdigit()));
        let query = format!("?ticket={ticket}&user_id={}", jiwoo.user_id);
        let headers: Vec<(&str, &str)> = origin.map(|o| ("origin", o)).into_iter().collect();
        let mut socket = RawSocket::open(&server, &query, &headers).await;
        let session = socket.json().await;
        server.script(answer(&["네"]));
        socket
            .send(Message::text(r#"{"user_input": "안녕"}"#))
            .await;
        while socket.json().await.get("done").is_none() {}
        let id = session["session_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(jiwoo.client.steps(id).await.unwrap().len(), 1, "theirs");
        refused(&server, &ticket, origin, "used up").await;
    }
    let minsu = server.person("minsu").await;
    let theirs = ticket(&server, &minsu, None).await;
    let ask = handshake(&format!("?ticket={theirs}&user_id={}", jiwoo.user_id));
    assert_eq!(ask.send(&server).await.status, 403, "somebody else's id");
    refused(&server, &theirs, None, "used up by the attempt").await;
    for made_up in ["", "0", &"0".repeat(64), &jiwoo.token, "%00", "가"] {
        let answer = show(&server, made_up, None).await;
        assert_eq!(answer.status, 401, "{made_up}");
    }
}

#[tokio::test]
async fn security_10_of_a_ticket_only_the_hash_is_kept() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let ticket = ticket(&server, &jiwoo, None).await;
    let store = server.beside().await;
    let now = server.app.now();
    assert_eq!(store.take_ticket(ticket.clone(), now).await.unwrap(), None);
    let kept = store.take_ticket(once::ticket_hash(&ticket), now).await;
    let kept = kept.unwrap().unwrap();
    assert_eq!((kept.user_id, kept.origin), (jiwoo.user_id, None));
    for entry in std::fs::read_dir(server.dir.path().join("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let found = bytes.windows(64).any(|part| part == ticket.as_bytes());
        assert!(!found, "the ticket is in a file");
    }
}

#[tokio::test]
async fn security_10_a_ticket_is_for_the_origin_that_asked() {
    let server = Server::with(with_pages).await;
    let jiwoo = server.person("jiwoo").await;
    let own = Some("http://test");
    let all = [None, Some(PAGE), Some(OTHER_PAGE), own];
    for asked in all {
        for shown in all {
            let ticket = ticket(&server, &jiwoo, asked).await;
            if asked == shown {
                assert_eq!(show(&server, &ticket, shown).await.status, 101);
                continue;
            }
            let what = format!("of {asked:?} shown by {shown:?}");
            refused(&server, &ticket, shown, &what).await;
            refused(&server, &ticket, asked, "used up by the attempt").await;
        }
    }
    let ask = Ask::new("POST", "/ws-ticket").bearer(&jiwoo.token);
    for page in ["https://evil.example", "null"] {
        let answer = ask.clone().header("origin", page).send(&server).await;
        assert_eq!(answer.status, 403, "a ticket that could not be used");
        assert_eq!(answer.problem().code, "forbidden");
    }
}

#[tokio::test]
async fn security_10_a_ticket_holds_for_thirty_seconds_and_never_longer_than_its_token() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let early = ticket(&server, &jiwoo, None).await;
    let late = ticket(&server, &jiwoo, None).await;
    server.clock.advance(Duration::from_secs(29));
    assert_eq!(show(&server, &early, None).await.status, 101);
    server.clock.advance(Duration::from_secs(1));
    refused(&server, &late, None, "30 s").await;
    let login = server.stranger().login_v1(&jiwoo.email, PASSWORD).await;
    let phone = with(&server, &jiwoo, &login.unwrap());
    server.clock.advance(Duration::from_secs(880));
    let [in_time, too_late] = [
        ticket(&server, &phone, None).await,
        ticket(&server, &phone, None).await,
    ];
    server.clock.advance(Duration::from_secs(19));
    assert_eq!(show(&server, &in_time, None).await.status, 101);
    server.clock.advance(Duration::from_secs(1));
    refused(&server, &too_late, None, "the token has ended").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_10_a_ticket_dies_with_its_login() {
    let server = Server::start().await;
    let store = server.beside().await;
    for what in ["logout", "everywhere", "password", "disable", "delete"] {
        let person = server.person(what).await;
        let login = server.stranger().login_v1(&person.email, PASSWORD).await;
        let phone = with(&server, &person, &login.unwrap());
        let ticket = ticket(&server, &phone, None).await;
        let now = server.app.now();
        match what {
            "logout" => phone.client.log_out().await.unwrap(),
            "everywhere" => person.client.log_out_everywhere().await.unwrap(),
            "password" => {
                let new = "an entirely new one";
                let changed = person.client.change_password(PASSWORD, new).await;
                changed.unwrap();
            }
            "disable" => assert!(store.disable_user(phone.user_id, now).await.unwrap()),
            _ => assert!(
                store
                    .delete_user(phone.user_id, now)
                    .await
                    .unwrap()
                    .is_some()
            ),
        }
        nobody_any_more(&phone).await;
        refused(&server, &ticket, None, what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_07_a_socket_that_a_ticket_opened_ends_with_its_login() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let ticket = ticket(&server, &jiwoo, None).await;
    let base = server.url();
    let client = Client::new(&base).unwrap();
    let query = format!("?ticket={ticket}");
    let mut socket =
        RawSocket::open(&server, &query, &[("sec-websocket-protocol", "deepme.v1")]).await;
    assert_eq!(socket.protocol.as_deref(), Some("deepme.v1"));
    socket.json().await;
    let (mut by_token, _) = jiwoo.connect(None).await;
    let since = Instant::now();
    jiwoo.client.log_out().await.unwrap();
    assert_eq!(socket.next().await, crate::raw::Heard::Closed(4401));
    closes(&mut by_token, since, "the one beside it").await;
    let nobody = client.connect(&ConnectOptions::default()).await;
    assert_eq!(nobody.unwrap_err().status(), Some(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_10_of_twenty_racers_on_two_instances_one_gets_in() {
    let servers = pair().await;
    let jiwoo = servers[0].person("jiwoo").await;
    let ticket = ticket(&servers[0], &jiwoo, None).await;
    let racing = (0..20).map(|n| show(&servers[n % 2], &ticket, None));
    let mut statuses: Vec<u16> = join_all(racing).await.iter().map(|a| a.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 101);
    assert!(
        statuses[1..].iter().all(|status| *status == 401),
        "{statuses:?}"
    );
}

/// The same on whichever database the other tests run on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn security_10_of_twenty_racers_on_one_instance_one_gets_in() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let ticket = ticket(&server, &jiwoo, None).await;
    let answers = join_all((0..20).map(|_| show(&server, &ticket, None))).await;
    let let_in = answers.iter().filter(|answer| answer.status == 101);
    assert_eq!(let_in.count(), 1);
}

#[tokio::test]
async fn tickets_are_given_a_minutes_worth_at_a_time() {
    let server = Server::start().await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let ask = Ask::new("POST", "/ws-ticket").bearer(&jiwoo.token);
    let mut given = 0;
    let refused = loop {
        let answer = ask.send(&server).await;
        if answer.status == 429 {
            break answer;
        }
        given += 1;
        assert!(given < 1000);
    };
    assert!(given >= 60, "{given}");
    assert_eq!(refused.problem().code, "too_many");
    assert!(refused.header("retry-after").is_some());
    ticket(&server, &minsu, None).await;
}

#[tokio::test]
async fn security_11_a_ticket_beside_another_credential_is_one_too_many() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let token = &jiwoo.token;
    let ticket = ticket(&server, &jiwoo, None).await;
    let query = format!("?ticket={ticket}");
    let offer = format!("deepme.v1, deepme.bearer.{token}");
    for ask in [
        handshake(&query).bearer(token),
        handshake(&query).header("sec-websocket-protocol", &offer),
        handshake(&format!("{query}&ticket={ticket}")),
        handshake(&format!("{query}&ticket=")),
        handshake("?ticket=").bearer(token),
        handshake(&format!("?user_id=x&session_id=y&%74icket={ticket}")).bearer(token),
    ] {
        let answer = ask.send(&server).await;
        assert_eq!(answer.status, 400, "{ask:?} {}", answer.text());
        assert_eq!(answer.problem().code, "bad_frame");
    }
    // Nobody looked at it meanwhile.
    assert_eq!(show(&server, &ticket, None).await.status, 101);
}

#[tokio::test]
async fn security_10_a_token_in_the_url_counts_only_where_that_is_switched_on() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let query = format!("?access_token={}", jiwoo.token);
    assert_eq!(handshake(&query).send(&server).await.status, 401);
    // It is nothing, so it is not one too many either.
    let beside = handshake(&query).bearer(&jiwoo.token);
    assert_eq!(beside.send(&server).await.status, 101);

    let server = Server::with(|config| config.auth.query_token = true).await;
    let jiwoo = server.person("jiwoo").await;
    let query = format!("?access_token={}", jiwoo.token);
    let mut socket = RawSocket::open(&server, &query, &[]).await;
    assert!(socket.json().await["session_id"].is_string());
    let ticket = ticket(&server, &jiwoo, None).await;
    for ask in [
        handshake(&query).bearer(&jiwoo.token),
        handshake(&format!("{query}&ticket={ticket}")),
        handshake(&format!("{query}&access_token=x")),
    ] {
        assert_eq!(ask.send(&server).await.status, 400, "{ask:?}");
    }
    let wrong = handshake("?access_token=x");
    assert_eq!(wrong.send(&server).await.status, 401);
    // By REST it never counts.
    let me = Ask::new("GET", format!("/me{query}"));
    assert_eq!(me.send(&server).await.status, 401);
}
