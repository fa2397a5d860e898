//! Bad input on the socket: each gets a clear error, nothing is lost and nobody else is disturbed.

use crate::raw::{Heard, RawSocket};
use crate::support::{Person, Server, Talk};
use deepme::client::{ConnectOptions, Event};
use deepme::domain::SessionId;
use deepme::llm::scripted::answer;
use deepme::wire::ws::ServerFrame;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// Where a normal turn still works and is the session's next step.
async fn still_works(server: &Server, talk: &mut Talk, order: i64) {
    server.script(answer(&["네"]));
    talk.input("괜찮아").await;
    let turn = talk.turn().await;
    assert_eq!(
        (turn.text.as_str(), turn.done().step_order),
        ("네", order),
        "{turn:?}"
    );
}

/// Sends each text on one socket and expects its error; a turn after each.
async fn refused(cases: &[(String, &str, Option<&str>)]) {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    for (order, (text, code, field)) in (1..).zip(cases) {
        let shown: String = text.chars().take(80).collect();
        talk.send_text(text).await;
        let error = talk.error().await;
        assert_eq!(
            (error.code.as_str(), error.field.as_deref()),
            (*code, *field),
            "{shown}"
        );
        assert!(!error.message.is_empty() && !error.message.contains("canary"));
        if *code == "invalid_input" {
            assert_eq!(error.stored, Some(false), "{shown}");
        }
        still_works(&server, &mut talk, order).await;
    }
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(
        steps.len(),
        cases.len(),
        "only the good turns are stored, and all of them"
    );
    assert!(steps.iter().all(|step| step.user_input == "괜찮아"));
    assert_eq!(server.model.asked().len(), cases.len());
}

#[tokio::test]
async fn fault_21_what_is_no_frame() {
    let deep = |open: &str, close: &str| open.repeat(10_000) + &close.repeat(10_000);
    let cases: Vec<(String, &str, Option<&str>)> = [
        String::new(),
        "canary".into(),
        "{".into(),
        r#"{"user_input": "canary""#.into(),
        r#"{"user_input": "canary"} {"user_input": "canary"}"#.into(),
        "null".into(),
        r#"["user_input", "canary"]"#.into(),
        r#""canary""#.into(),
        "{}".into(),
        r#"{"canary": 1}"#.into(),
        r#"{"step_type": "normal"}"#.into(),
        r#"{"user_input": "canary", "stop": true}"#.into(),
        r#"{"user_input": "canary", "end": true}"#.into(),
        r#"{"ping": 1, "resume": {"received": 0}}"#.into(),
        r#"{"user_input": "canary", "user_input": "b"}"#.into(),
        r#"{"user_input": 5}"#.into(),
        r#"{"user_input": ["canary"]}"#.into(),
        r#"{"user_input": null}"#.into(),
        r#"{"user_input": "\ud83d"}"#.into(),
        r#"{"user_input": "canary", "step_type": 3}"#.into(),
        r#"{"user_input": "canary", "system_prompt": {}}"#.into(),
        r#"{"user_input": "canary", "message_id": 7}"#.into(),
        r#"{"user_input": "canary", "received": -1}"#.into(),
        r#"{"user_input": "canary", "received": 1.5}"#.into(),
        r#"{"stop": false}"#.into(),
        r#"{"stop": "canary"}"#.into(),
        r#"{"resume": 3}"#.into(),
        r#"{"resume": {"step_id": "canary"}}"#.into(),
        r#"{"auth": "canary"}"#.into(),
        r#"{"auth": {}}"#.into(),
        format!(r#"{{"user_input": {}}}"#, deep("[", "]")),
        format!(
            r#"{{"ping": {}1{}}}"#,
            r#"{"a":"#.repeat(5000),
            "}".repeat(5000)
        ),
        deep("[", "]"),
        "[".repeat(60_000),
    ]
    .into_iter()
    .map(|text| (text, "bad_frame", None))
    .collect();
    refused(&cases).await;
}

#[tokio::test]
async fn words_that_are_none_and_names_that_are_too_long() {
    let words = |words: &str| serde_json::json!({ "user_input": words }).to_string();
    let with = |member: &str, value: &str| {
        let mut frame = serde_json::json!({ "user_input": "a" });
        frame[member] = value.into();
        (frame.to_string(), "invalid_input", Some(member.to_owned()))
    };
    let mut cases: Vec<(String, &str, Option<String>)> = [
        "",
        " ",
        "\n\t\r",
        "\u{3000}",
        "\u{200b}\u{200d}\u{feff}",
        "\u{2060}\u{3164}",
        "a\0b",
        "\0",
        &"가".repeat(16_384 / 3 + 1),
    ]
    .iter()
    .map(|bad| (words(bad), "invalid_input", Some("user_input".to_owned())))
    .collect();
    cases.extend([
        with("step_type", &"가".repeat(33)),
        with("step_type", ""),
        with("step_type", "a\nb"),
        with("message_id", &"m".repeat(65)),
        with("message_id", ""),
        with("message_id", "a b"),
        with("message_id", "메시지"),
        with("system_prompt", "a\0"),
        with("system_prompt", &"p".repeat(16_385)),
    ]);
    let cases: Vec<(String, &str, Option<&str>)> = cases
        .iter()
        .map(|(text, code, field)| (text.clone(), *code, field.as_deref()))
        .collect();
    refused(&cases).await;
}

#[tokio::test]
async fn what_just_fits_is_taken_to_the_byte() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    // 16,384 bytes exactly, the last of them a family of four.
    let family = "👨‍👩‍👧‍👦";
    let words = format!("{}{family}", "x".repeat(16_384 - family.len()));
    server.script(answer(&["네"]));
    // A member that is not known is skipped, however deep it goes.
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let frame = serde_json::json!({
        "user_input": words, "step_type": "가".repeat(32), "message_id": "m".repeat(64),
    });
    let frame = format!(r#"{{"unknown":{deep},{}"#, &frame.to_string()[1..]);
    talk.send_text(&frame).await;
    assert_eq!(talk.turn().await.done().step_order, 1);
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps[0].user_input, words);
    assert_eq!(steps[0].step_type, "가".repeat(32));
}

fn frame(payload: &[u8], kind: Data, last: bool) -> Message {
    Message::Frame(Frame::message(payload.to_vec(), OpCode::Data(kind), last))
}

#[tokio::test]
async fn fault_28_a_message_may_come_in_fragments_that_cut_a_character() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    let text = r#"{"user_input":"요즘 👩‍👩‍👧"}"#.as_bytes();
    for cut in 1..text.len() {
        server.script(answer(&["네"]));
        let (a, b) = text.split_at(cut);
        talk.0.send_raw(frame(a, Data::Text, false)).await.unwrap();
        talk.0
            .send_raw(frame(b, Data::Continue, true))
            .await
            .unwrap();
        assert_eq!(talk.turn().await.text, "네", "cut at {cut}");
    }
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert!(steps.iter().all(|step| step.user_input == "요즘 👩‍👩‍👧"));
}

/// What is said in a session must be there after the socket was closed for what came later.
async fn closed_with(code: u16, bad: Vec<Message>, error: Option<&str>) {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut other, _) = jiwoo.connect(None).await;
    let (mut talk, session) = jiwoo.connect(None).await;
    still_works(&server, &mut talk, 1).await;
    for message in bad {
        // The server may have closed already.
        let _ = talk.0.send_raw(message).await;
    }
    if let Some(wanted) = error {
        assert_eq!(talk.error().await.code, wanted);
    }
    let Event::Closed(got, _) = talk.event().await else {
        panic!("not closed")
    };
    assert_eq!(got, code);
    // The session goes on, and nobody else noticed.
    let (mut talk, again) = jiwoo.connect(Some(session.session_id)).await;
    assert!(again.resumed);
    still_works(&server, &mut talk, 2).await;
    still_works(&server, &mut other, 1).await;
}

#[tokio::test]
async fn fault_21_a_binary_message_is_refused_with_1003() {
    let binary = Message::binary(r#"{"user_input":"a"}"#.as_bytes().to_vec());
    closed_with(1003, vec![binary], Some("bad_frame")).await;
}

#[tokio::test]
async fn fault_28_text_that_is_not_utf_8_is_refused_with_1007() {
    let payloads: [&[u8]; 4] = [
        b"{\"user_input\":\"\xff\"}",
        b"{\"user_input\":\"\xc0\x80\"}",
        b"{\"user_input\":\"\xed\xa0\xbd\"}",
        b"{\"user_input\":\"\xea\xb0",
    ];
    for payload in payloads {
        closed_with(1007, vec![frame(payload, Data::Text, true)], None).await;
    }
    // Bad from the second fragment on.
    let fragments = vec![
        frame("{\"user_input\":\"가".as_bytes(), Data::Text, false),
        frame(b"\x80\"}", Data::Continue, true),
    ];
    closed_with(1007, fragments, None).await;
}

#[tokio::test]
async fn fault_28_a_broken_frame_is_refused_with_1002() {
    closed_with(1002, vec![frame(b"x", Data::Continue, true)], None).await;
    closed_with(1002, vec![frame(b"x", Data::Reserved(3), true)], None).await;
}

#[tokio::test]
async fn fault_21_a_message_of_a_mebibyte_is_refused_with_1009_and_the_client_sees_why() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut bystander, _) = jiwoo.connect(None).await;
    let bearer = format!("Bearer {}", jiwoo.token);
    let big = serde_json::json!({ "user_input": "가".repeat(350_000) }).to_string();
    // A close while bytes are on their way is answered by a reset that eats what was said before:
    // once is luck.
    for round in 0..20 {
        let mut socket = RawSocket::open(&server, "", &[("authorization", &bearer)]).await;
        socket.json().await;
        if round % 2 == 0 {
            socket.send(Message::text(big.clone())).await;
        } else {
            // The same in fragments that are small enough one by one.
            let pieces = big.as_bytes().chunks(50_000);
            let last = pieces.len() - 1;
            for (n, piece) in pieces.enumerate() {
                let kind = if n == 0 { Data::Text } else { Data::Continue };
                socket.send(frame(piece, kind, n == last)).await;
            }
        }
        let Heard::Json(error) = socket.next().await else {
            panic!("round {round}: no error frame")
        };
        assert_eq!(error["error"]["code"], "too_large", "round {round}");
        assert_eq!(socket.next().await, Heard::Closed(1009), "round {round}");
    }
    still_works(&server, &mut bystander, 1).await;
}

async fn opened(server: &Server, person: &Person, query: &str) -> (RawSocket, SessionId) {
    let bearer = format!("Bearer {}", person.token);
    let mut socket = RawSocket::open(server, query, &[("authorization", &bearer)]).await;
    let first = socket.json().await;
    let session_id = first["session_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(first["resumed"], false);
    (socket, session_id)
}

#[tokio::test]
async fn a_session_that_is_not_ones_own_is_a_new_one_for_old_apps_and_4404_for_new_ones() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let minsu = server.person("minsu").await;
    server.script(answer(&["비밀"]));
    let (mut talk, private) = jiwoo.connect(None).await;
    talk.input("비밀이야").await;
    talk.turn().await;
    let (_idle, reserved) = jiwoo.connect(None).await;

    let missing = uuid::Uuid::now_v7();
    let wanted = [private.session_id.0, reserved.session_id.0, missing];
    for wanted in wanted {
        let (mut socket, session_id) =
            opened(&server, &minsu, &format!("?session_id={wanted}")).await;
        assert_ne!(session_id.0, wanted);
        server.script(answer(&["네"]));
        socket.send(Message::text(r#"{"user_input":"안녕"}"#)).await;
        assert_eq!(socket.json().await["accepted"]["step_order"], 1);
        let mut v1 = minsu
            .client
            .connect(&ConnectOptions {
                session_id: Some(SessionId(wanted)),
                ..ConnectOptions::default()
            })
            .await
            .unwrap();
        assert!(matches!(v1.next().await, Event::Closed(4404, _)));
    }
    // Old apps also send what is no id at all.
    for odd in ["", "null", "undefined", "5", "%00", "%F0%9F%99%83"] {
        opened(&server, &minsu, &format!("?session_id={odd}")).await;
    }
    // Nothing of it touched the other's session.
    let steps = jiwoo.client.steps(private.session_id).await.unwrap();
    assert_eq!(steps.len(), 1);
    let asked = server.model.asked();
    let said = asked[1..].iter().flat_map(|request| &request.messages);
    assert!(said.into_iter().all(|m| !m.content.contains("비밀")));
}

#[tokio::test]
async fn an_ended_session_can_be_read_but_not_continued() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let (mut talk, session) = jiwoo.connect(None).await;
    still_works(&server, &mut talk, 1).await;
    let (mut tablet, _) = jiwoo.connect(Some(session.session_id)).await;
    talk.send_text(r#"{"end": true}"#).await;
    let ServerFrame::Ended { ended } = talk.frame().await else {
        panic!()
    };
    assert_eq!(ended.session_id, session.session_id);
    let (mut later, again) = jiwoo.connect(Some(session.session_id)).await;
    assert!(again.resumed);
    for talk in [&mut talk, &mut tablet, &mut later] {
        talk.input("한마디만 더").await;
        let error = talk.error().await;
        assert_eq!(
            (error.code.as_str(), error.stored),
            ("session_ended", Some(false))
        );
        // The socket is alive: the old answer can be asked for.
        talk.send_text(r#"{"resume": {"received": 0}}"#).await;
        assert_eq!(talk.turn().await.text, "네");
    }
    // A message that was stored before the end is told again, not refused.
    let steps = jiwoo.client.steps(session.session_id).await.unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(server.model.asked().len(), 1);
}
