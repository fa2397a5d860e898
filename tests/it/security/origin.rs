//! Row 9: which pages open sockets, and where in the handshake that is asked.

use crate::raw::{Ask, RawSocket};
use crate::support::Server;

const PAGES: [&str; 3] = [
    "https://app.example.com",
    "http://localhost:5173",
    "capacitor://localhost",
];

fn handshake() -> Ask {
    Ask::new("GET", "/ws/emotion").upgrade()
}

async fn with_pages() -> Server {
    Server::with(|config| {
        config.server.origins = PAGES.map(|page| page.parse().unwrap()).into();
    })
    .await
}

#[tokio::test]
async fn security_09_pages_that_are_named_and_the_servers_own_open_sockets() {
    let server = with_pages().await;
    let jiwoo = server.person("jiwoo").await;
    let ask = handshake().bearer(&jiwoo.token);
    assert_eq!(ask.send(&server).await.status, 101, "no browser");
    // The raw client says `host: test`.
    for page in PAGES.into_iter().chain(["http://test", "https://test"]) {
        let answer = ask.clone().header("origin", page).send(&server).await;
        assert_eq!(answer.status, 101, "{page}: {}", answer.text());
    }
    // The same by the real name, with a port.
    let own = format!("http://{}", server.address);
    let authorization = format!("Bearer {}", jiwoo.token);
    let headers = [("origin", own.as_str()), ("authorization", &authorization)];
    let mut socket = RawSocket::open(&server, "", &headers).await;
    assert!(socket.json().await["session_id"].is_string());
}

#[tokio::test]
async fn security_09_every_other_page_is_refused() {
    for server in [with_pages().await, Server::start().await] {
        let jiwoo = server.person("jiwoo").await;
        let ask = handshake().bearer(&jiwoo.token);
        for page in [
            "https://evil.example",
            "null",
            "",
            "*",
            "test",
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "https://evilapp.example.com",
            "https://x.app.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com/",
            "http://localhost",
            "http://127.0.0.1:5173",
            "http://test:8000",
            "http://test.evil.example",
            "https://app.example.com, https://evil.example",
            "file://",
        ] {
            let answer = ask.clone().header("origin", page).send(&server).await;
            assert_eq!(answer.status, 403, "{page:?}: {}", answer.text());
            assert_eq!(answer.problem().code, "forbidden", "{page:?}");
        }
        let twice = ask
            .clone()
            .header("origin", "http://test")
            .header("origin", "http://test");
        assert_eq!(twice.send(&server).await.status, 403);
        // What is not the server's own name is nobody's, however often it is said.
        let two_hosts = ask
            .header("host", "evil.example")
            .header("origin", "https://evil.example");
        assert!(matches!(two_hosts.send(&server).await.status, 400 | 403));
    }
}

/// One request with everything wrong, put right from the front: what is asked first answers first.
#[tokio::test]
async fn security_09_the_origin_is_asked_in_its_place() {
    let server = Server::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits.sockets_an_address = 1;
        config.limits.sockets_a_user = 1;
    })
    .await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let authorization = format!("Bearer {}", jiwoo.token);
    let address = |n: u8| format!("203.0.113.{n}");
    let first = address(1);
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-forwarded-for", &first),
    ];
    let mut held = RawSocket::open(&server, "", &headers).await;
    held.json().await;
    let asks = |from: u8, upgrade: bool, page: &str, two: bool, token: &str, user_id: &str| {
        let mut ask = Ask::new("GET", format!("/ws/emotion?user_id={user_id}"));
        if upgrade {
            ask = ask.upgrade();
        }
        if two {
            ask.path.push_str("&ticket=x");
        }
        ask.header("x-forwarded-for", &address(from))
            .header("origin", page)
            .bearer(token)
    };
    let (theirs, mine) = (minsu.user_id.to_string(), jiwoo.user_id.to_string());
    let (evil, own, token) = ("https://evil.example", "http://test", jiwoo.token.as_str());
    let table: [(Ask, &[u16]); 7] = [
        (asks(1, false, evil, true, "x", &theirs), &[429]),
        (asks(2, false, evil, true, "x", &theirs), &[400, 426]),
        (asks(2, true, evil, true, "x", &theirs), &[403]),
        (asks(2, true, own, true, "x", &theirs), &[400]),
        (asks(2, true, own, false, "x", &theirs), &[401]),
        (asks(2, true, own, false, token, &theirs), &[403]),
        (asks(2, true, own, false, token, &mine), &[429]),
    ];
    for (ask, statuses) in table {
        let answer = ask.send(&server).await;
        let right = statuses.contains(&answer.status);
        assert!(right, "{statuses:?} {ask:?} {}", answer.text());
    }
}
