//! The handshake of `/ws/emotion`: one credential, in the order of the checklist.

use crate::raw::{Ask, Heard, RawSocket};
use crate::support::Server;
use deepme::client::ConnectOptions;

fn handshake() -> Ask {
    Ask::new("GET", "/ws/emotion").upgrade()
}

#[tokio::test]
async fn exactly_one_credential() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let token = &jiwoo.token;
    let offer = format!("deepme.v1, deepme.bearer.{token}");
    let both = handshake()
        .bearer(token)
        .header("sec-websocket-protocol", &offer);
    let twice = handshake()
        .header("sec-websocket-protocol", &offer)
        .header("sec-websocket-protocol", &format!("deepme.bearer.{token}"));
    let two_offers = format!("{offer}, deepme.bearer.other");
    let other = handshake().header("sec-websocket-protocol", &two_offers);
    let headers = handshake().bearer(token).bearer(token);
    let with_garbage = handshake()
        .bearer("x")
        .header("sec-websocket-protocol", &offer);
    for ask in [both, twice, other, headers, with_garbage] {
        let answer = ask.send(&server).await;
        assert_eq!(answer.status, 400, "{ask:?} {}", answer.text());
        answer.problem();
    }
    let two = Ask::new("GET", "/me").bearer(token).bearer(token);
    assert_eq!(two.send(&server).await.status, 400);
    let one = handshake().header("sec-websocket-protocol", &offer);
    assert_eq!(one.send(&server).await.status, 101);
}

#[tokio::test]
async fn a_bearer_in_the_subprotocol_is_never_answered() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let bearer = format!("deepme.bearer.{}", jiwoo.token);
    let header = format!("Bearer {}", jiwoo.token);
    let cases = [
        (
            vec![("sec-websocket-protocol", format!("deepme.v1, {bearer}"))],
            Some("deepme.v1"),
        ),
        (
            vec![("sec-websocket-protocol", format!("{bearer}, deepme.v1"))],
            Some("deepme.v1"),
        ),
        (
            vec![(
                "sec-websocket-protocol",
                format!("{bearer},deepme.v1,other"),
            )],
            Some("deepme.v1"),
        ),
        (
            vec![
                ("authorization", header.clone()),
                ("sec-websocket-protocol", "other".into()),
            ],
            None,
        ),
        (vec![("authorization", header)], None),
        (vec![("sec-websocket-protocol", bearer)], None),
    ];
    for (headers, protocol) in cases {
        let mut ask = handshake();
        for (name, value) in &headers {
            ask = ask.header(name, value);
        }
        let answer = ask.send(&server).await;
        assert_eq!(answer.status, 101, "{}", answer.text());
        assert_eq!(answer.header("sec-websocket-protocol"), protocol);
        assert!(!format!("{answer:?}").contains(&jiwoo.token));
    }
    let options = ConnectOptions {
        bearer_in_subprotocol: true,
        ..ConnectOptions::default()
    };
    let (_, session) = jiwoo.connect_with(&options).await;
    assert!(!session.resumed);
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so_before_anything_else() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let plain = Ask::new("GET", "/ws/emotion");
    let version = Ask::new("GET", "/ws/emotion")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "8")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let keyless = Ask::new("GET", "/ws/emotion")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13");
    for ask in [plain, version, keyless] {
        for ask in [ask.clone(), ask.bearer(&jiwoo.token)] {
            let answer = ask.send(&server).await;
            assert!(matches!(answer.status, 400 | 426), "{answer:?}");
            answer.problem();
            if answer.status == 426 {
                assert_eq!(
                    answer.header("upgrade"),
                    Some("websocket"),
                    "RFC 9110 §15.5.22"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_user_id_must_be_ones_own_or_absent() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    let header = format!("Bearer {}", jiwoo.token);
    let mine = jiwoo.user_id.to_string();
    let plain = mine.replace('-', "");
    for good in [
        String::new(),
        format!("?user_id={mine}"),
        format!("?user_id={}", mine.to_uppercase()),
        format!("?user_id={plain}"),
        format!("?user_id={mine}&unknown=1"),
    ] {
        let mut socket = RawSocket::open(&server, &good, &[("authorization", &header)]).await;
        assert!(socket.json().await["session_id"].is_string(), "{good}");
        assert_eq!(socket.protocol, None);
    }
    let other = minsu.user_id;
    for (bad, status) in [
        (other.to_string(), 403),
        (uuid::Uuid::now_v7().to_string(), 403),
        ("null".to_owned(), 403),
        (String::new(), 403),
        (format!("{mine}0"), 403),
        ("%ff".to_owned(), 403),
        (format!("{mine}&user_id={other}"), 422),
        (format!("{other}&user_id={mine}"), 422),
        (format!("{other}&session_id=a&session_id=b"), 422),
    ] {
        let mut ask = handshake().bearer(&jiwoo.token);
        ask.path.extend(["?user_id=", &bad]);
        let answer = ask.send(&server).await;
        assert_eq!(answer.status, status, "{bad}: {}", answer.text());
        answer.problem();
    }
    // Without a credential a user_id is nobody.
    let mut ask = handshake();
    ask.path.extend(["?user_id=", &mine]);
    assert_eq!(ask.send(&server).await.status, 401);
}

#[tokio::test]
async fn fault_28_closing_is_answered_with_closing() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let header = format!("Bearer {}", jiwoo.token);
    let mut socket = RawSocket::open(&server, "", &[("authorization", &header)]).await;
    socket.json().await;
    let close = tokio_tungstenite::tungstenite::Message::Close(None);
    socket.send(close).await;
    assert!(matches!(socket.next().await, Heard::Closed(1000 | 1005)));
}
