//! How much one person, one address and one socket may ask for, and what those hear who ask for more.

use crate::raw::Ask;
use crate::support::{PATIENCE, START, Server, held};
use deepme::client::{ClientError, ConnectOptions, Event};
use deepme::config::Config;
use deepme::domain::Timestamp;
use deepme::domain::usage::Day;
use deepme::llm::ChatModel;
use deepme::llm::listener::Listener;
use deepme::llm::scripted::{Act, Gate, answer};
use deepme::wire::rest::GenerateRequest;
use deepme::wire::ws::{ClientFrame, ServerFrame};
use std::sync::Arc;
use std::time::Duration;

/// An answer that cost this.
fn costly(input: i64, output: i64) -> Vec<Act> {
    vec![Act::Say("네".to_owned()), Act::Counted(input, output)]
}

fn midnight() -> Timestamp {
    Day::of(START).end()
}

fn problem(error: ClientError) -> deepme::wire::rest::Problem {
    match error {
        ClientError::Problem(problem) => *problem,
        other => panic!("expected a problem, got {other}"),
    }
}

#[tokio::test]
async fn who_speaks_too_fast_waits_and_nobody_else_does() {
    let server = Server::with(|config| config.limits.messages_a_minute = 2).await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let (mut phone, _) = jiwoo.connect(None).await;
    let (mut tablet, _) = jiwoo.connect(None).await;
    for talk in [&mut phone, &mut tablet] {
        server.script(answer(&["네"]));
        talk.input("안녕").await;
        assert_eq!(talk.turn().await.text, "네");
    }
    phone.input("거기 있어?").await;
    let error = phone.error().await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("too_many", Some(false))
    );
    assert!((1..=31).contains(&error.retry_after.unwrap()), "{error:?}");
    // The same by REST, and help all the same.
    let said = GenerateRequest {
        user_input: "오늘 밤 옥상에서 뛰어내릴 거야".into(),
        ..GenerateRequest::default()
    };
    let refused = problem(jiwoo.client.generate(&said).await.unwrap_err());
    assert_eq!((refused.status, refused.code.as_str()), (429, "too_many"));
    assert_eq!(refused.stored, Some(false));
    assert_eq!(refused.safety.unwrap().tier, "imminent");
    phone.input(&said.user_input).await;
    let first = phone.frame().await;
    assert!(matches!(first, ServerFrame::Safety { .. }), "{first:?}");
    assert_eq!(phone.error().await.code, "too_many");
    server.script(answer(&["네"]));
    let (mut other, _) = minsu.connect(None).await;
    other.input("안녕").await;
    assert_eq!(other.turn().await.text, "네");
    assert_eq!(server.model.asked().len(), 3);
}

#[tokio::test]
async fn a_person_has_so_many_sockets_and_gets_one_back_when_one_closes() {
    let server = Server::with(|config| config.limits.sockets_a_user = 2).await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let (first, _) = jiwoo.connect(None).await;
    let (_second, _) = jiwoo.connect(None).await;
    let refused = Ask::new("GET", "/ws/emotion")
        .upgrade()
        .bearer(&jiwoo.token);
    let refused = refused.send(&server).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.problem().code, "too_many");
    assert!(refused.header("retry-after").is_some());
    minsu.connect(None).await;
    first.0.close().await;
    // The place is free as soon as the server has seen the socket go.
    let options = ConnectOptions::default();
    let free = async {
        while jiwoo.client.connect(&options).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let freed = tokio::time::timeout(PATIENCE, free).await;
    freed.expect("the place of a socket that has gone is free");
}

/// A message that is sent again because its answer was lost is not lost to the pace.
#[tokio::test]
async fn a_message_that_was_stored_is_answered_beyond_the_pace() {
    let server = Server::with(|config| config.limits.messages_a_minute = 1).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    server.script(answer(&["네, ", "들어요."]));
    talk.message("들어줘", "m1", None).await;
    assert_eq!(talk.turn().await.text, "네, 들어요.");
    talk.message("다른 말", "m2", None).await;
    assert_eq!(talk.error().await.code, "too_many");
    talk.message("들어줘", "m1", Some(3)).await;
    assert_eq!(talk.turn().await.text, "들어요.");
    let said = GenerateRequest {
        session_id: Some(session.session_id),
        user_input: "들어줘".into(),
        message_id: Some("m1".into()),
        ..GenerateRequest::default()
    };
    let step = jiwoo.client.generate(&said).await.unwrap();
    assert_eq!(step.gpt_response, "네, 들어요.");
    assert_eq!(server.model.asked().len(), 1);
}

#[tokio::test]
async fn a_person_has_so_many_turns_at_once() {
    let server = Server::with(|config| config.limits.turns_a_user = 1).await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let (mut phone, _) = jiwoo.connect(None).await;
    let (mut tablet, _) = jiwoo.connect(None).await;
    let (mut other, _) = minsu.connect(None).await;
    let gate = Gate::default();
    server.script(held("네, ", &gate, "들어요."));
    phone.message("들어줘", "m1", None).await;
    phone.text("네, ").await;
    tablet.input("나도").await;
    let error = tablet.error().await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("too_many", Some(false))
    );
    assert!(error.retry_after.is_some());
    server.script(answer(&["안녕"]));
    other.input("안녕").await;
    assert_eq!(other.turn().await.text, "안녕");
    gate.open();
    assert_eq!(phone.turn().await.text, "들어요.");
    server.script(answer(&["그래"]));
    // The place is given back when everything of the turn has ended, a moment after its end was told.
    let free = async {
        loop {
            tablet.input("나도").await;
            match tablet.frame().await {
                ServerFrame::Accepted { .. } => break,
                ServerFrame::Error { error } => assert_eq!(error.code, "too_many"),
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
    assert_eq!(tablet.turn().await.text, "그래");
}

/// What the model was made to read is paid for, though the person did not wait for a word of it.
#[tokio::test]
async fn a_turn_that_is_stopped_before_its_first_token_is_not_free() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    server.script(vec![Act::Hang]);
    talk.input("들어줘").await;
    let accepted = talk.frame().await;
    assert!(matches!(accepted, ServerFrame::Accepted { .. }));
    let asked = async {
        while server.model.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    talk.send(&ClientFrame::Stop).await;
    talk.turn().await;
    let usage = jiwoo.client.usage().await.unwrap();
    assert!(usage.input_tokens > 250, "{usage:?}");
    assert_eq!(usage.output_tokens, 0);
}

#[tokio::test]
async fn an_address_has_so_many_sockets_whoever_they_belong_to() {
    let server = Server::with(|config| {
        config.limits.sockets_an_address = 1;
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let (jiwoo, minsu) = (server.person("jiwoo").await, server.person("minsu").await);
    let open = async |from: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let url = format!("ws://{}/ws/emotion", server.address);
        let mut request =
            tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(url)
                .unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", bearer.parse().unwrap());
        headers.insert("x-forwarded-for", from.parse().unwrap());
        tokio_tungstenite::connect_async(request).await
    };
    let _held = open("198.51.100.1", &jiwoo.token).await.unwrap();
    let error = open("198.51.100.1", &minsu.token).await.unwrap_err();
    let tokio_tungstenite::tungstenite::Error::Http(refused) = error else {
        panic!("{error}")
    };
    assert_eq!(refused.status(), 429);
    // Nobody is even asked who they are.
    let error = open("198.51.100.1", "nonsense").await.unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
    // What a client writes itself does not make it somebody else.
    let error = open("1.2.3.4, 198.51.100.1", &minsu.token)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
    let _other = open("198.51.100.2", &minsu.token).await.unwrap();
}

#[tokio::test]
async fn who_floods_a_socket_loses_it() {
    let server = Server::start().await;
    let (mut talk, _) = server.person("jiwoo").await.connect(None).await;
    for _ in 0..1000 {
        let ping = tokio_tungstenite::tungstenite::Message::text(r#"{"ping": 1}"#);
        if talk.0.send_raw(ping).await.is_err() {
            break;
        }
    }
    let mut pongs = 0;
    loop {
        match talk.event().await {
            Event::Frame(ServerFrame::Pong { .. }) => pongs += 1,
            Event::Closed(code, _) => {
                assert_eq!(code, 4429);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((600..1000).contains(&pongs), "{pongs}");
}

/// Words that come too late in a flood are not lost without a word.
#[tokio::test]
async fn who_floods_is_told_that_the_words_were_not_taken() {
    let server = Server::start().await;
    let (mut talk, _) = server.person("jiwoo").await.connect(None).await;
    for _ in 0..600 {
        talk.send_text(r#"{"ping": 1}"#).await;
    }
    // The pace lets some more through while the first ones are read.
    let words = r#"{"user_input": "", "message_id": "m"}"#;
    for _ in 0..100 {
        talk.send_text(words).await;
    }
    let mut last = None;
    loop {
        match talk.event().await {
            Event::Frame(frame) => last = Some(frame),
            Event::Closed(code, _) => {
                assert_eq!(code, 4429);
                break;
            }
            Event::Unknown(other) => panic!("{other}"),
        }
    }
    let Some(ServerFrame::Error { error }) = last else {
        panic!("{last:?}")
    };
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("too_many", Some(false))
    );
}

#[tokio::test]
async fn what_a_turn_cost_is_told_and_the_day_ends_when_it_is_used_up() {
    let server = Server::with(|config| config.limits.tokens_a_day = 100).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    let usage = jiwoo.client.usage().await.unwrap();
    assert_eq!((usage.input_tokens, usage.remaining), (0, Some(100)));
    server.script(costly(70, 10));
    talk.input("안녕").await;
    let quota = talk.turn().await.done().quota.unwrap();
    assert_eq!((quota.limit, quota.remaining), (100, 20));
    assert_eq!(quota.resets_at, midnight());
    // One that began within the quota is finished, whatever it costs.
    server.script(costly(70, 10));
    talk.message("있잖아", "m1", None).await;
    assert_eq!(talk.turn().await.done().quota.unwrap().remaining, 0);
    let usage = jiwoo.client.usage().await.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (140, 20));
    assert_eq!((usage.limit, usage.remaining), (Some(100), Some(0)));
    assert_eq!(usage.resets_at, midnight());
    talk.input("더 있어").await;
    let error = talk.error().await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("quota_exceeded", Some(false))
    );
    let until = midnight().since(START).as_secs();
    assert!(u64::from(error.retry_after.unwrap()).abs_diff(until) <= 1);
    let refused = problem(
        jiwoo
            .client
            .generate(&GenerateRequest {
                user_input: "더 있어".into(),
                ..GenerateRequest::default()
            })
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (refused.status, refused.code.as_str()),
        (429, "quota_exceeded")
    );
    // What was said before can be heard again.
    talk.message("있잖아", "m1", None).await;
    assert_eq!(talk.turn().await.text, "네");
    server.clock.set(midnight());
    server.script(costly(1, 1));
    talk.input("좋은 아침").await;
    assert_eq!(talk.turn().await.done().quota.unwrap().remaining, 98);
    assert_eq!(server.model.asked().len(), 3);
}

/// Nobody in danger is sent away at the quota that holds for the others; at twice as much they are, and
/// hear whom to reach before they hear that.
#[tokio::test]
async fn the_day_of_somebody_in_danger_is_longer() {
    let server = Server::with(|config| config.limits.tokens_a_day = 100).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    server.script(costly(100, 0));
    talk.input("안녕").await;
    talk.turn().await.done();
    server.script(costly(90, 10));
    talk.input("죽고 싶어").await;
    let turn = talk.turn().await;
    assert!(
        matches!(turn.frames[1], ServerFrame::Safety { .. }),
        "{turn:?}"
    );
    assert_eq!(turn.done().quota.unwrap().remaining, 0);
    talk.input("죽고 싶어").await;
    let first = talk.frame().await;
    assert!(matches!(first, ServerFrame::Safety { .. }), "{first:?}");
    let error = talk.error().await;
    assert_eq!(
        (error.code.as_str(), error.stored),
        ("quota_exceeded", Some(false))
    );
}

/// The next words may be harmless; the danger is not over because of that.
#[tokio::test]
async fn a_danger_of_a_moment_ago_holds_when_the_day_is_used_up() {
    let server = Server::with(|config| config.limits.tokens_a_day = 100).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    server.script(costly(100, 0));
    talk.input("죽고 싶어").await;
    talk.turn().await.done();
    server.script(costly(90, 10));
    talk.input("응").await;
    assert_eq!(talk.turn().await.done().quota.unwrap().remaining, 0);
    talk.input("응").await;
    let first = talk.frame().await;
    assert!(matches!(first, ServerFrame::Safety { .. }), "{first:?}");
    assert_eq!(talk.error().await.code, "quota_exceeded");
    let said = GenerateRequest {
        session_id: Some(session.session_id),
        user_input: "응".into(),
        ..GenerateRequest::default()
    };
    let refused = problem(jiwoo.client.generate(&said).await.unwrap_err());
    assert_eq!(refused.code, "quota_exceeded");
    assert!(refused.safety.is_some());
}

#[tokio::test]
async fn what_nobody_counted_is_estimated_and_what_was_not_asked_is_free() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    server.script(answer(&["열두 글자쯤 되는 답"]));
    talk.input("안녕").await;
    talk.turn().await.done();
    let usage = jiwoo.client.usage().await.unwrap();
    // The system prompt alone is more than a thousand bytes.
    assert!(usage.input_tokens > 250, "{usage:?}");
    let bytes = i64::try_from("열두 글자쯤 되는 답".len()).unwrap();
    assert_eq!(usage.output_tokens, (bytes + 3) / 4);
    // One that failed before its first token costs nothing.
    talk.input("안녕").await;
    talk.turn().await.error();
    assert_eq!(jiwoo.client.usage().await.unwrap(), usage);

    let models: Vec<Arc<dyn ChatModel>> = vec![Arc::new(Listener::new(Duration::ZERO))];
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut config = Config::default();
    config.limits.tokens_a_day = 0;
    let server = Server::on(dir, config, Some(models)).await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, _) = jiwoo.connect(None).await;
    talk.input("안녕").await;
    assert_eq!(talk.turn().await.done().quota, None);
    let usage = jiwoo.client.usage().await.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (0, 0));
    assert_eq!((usage.limit, usage.remaining), (None, None));
}
