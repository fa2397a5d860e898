//! Frames of the WebSocket protocol byte for byte, as Autobahn would send them: row 28.
//!
//! Every case ends as it should: with the Close frame that answers it and then the end of the
//! connection, never with a reset.

use crate::raw::{Ask, connect, read_answer};
use crate::support::{PATIENCE, Person, Server};
use deepme::llm::scripted::answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;

/// A frame as a client sends it, masked; `head` is its first byte.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![head];
    match u16::try_from(payload.len()).unwrap() {
        short @ ..126 => bytes.push(LAST | u8::try_from(short).unwrap()),
        long => {
            bytes.push(LAST | 0x7e);
            bytes.extend(long.to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    bytes
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(LAST | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// An open socket of which the first frame was read.
struct Wire(TcpStream);

impl Wire {
    async fn open(server: &Server, person: &Person) -> Self {
        let ask = Ask::new("GET", "/ws/emotion").upgrade();
        let ask = ask.bearer(&person.token);
        let mut stream = connect(server.address).await;
        let mut head = format!("{} {} HTTP/1.1\r\nhost: test\r\n", ask.method, ask.path);
        for (name, value) in &ask.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream, "GET").await;
        assert_eq!(answer.status, 101);
        // The first frame may have come with the answer's head.
        Self(stream)
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Everything until the connection ends, which it does without a reset.
    async fn rest(mut self) -> Vec<(u8, Vec<u8>)> {
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .expect("the connection ends")
            .expect("without a reset");
        frames(&bytes)
    }
}

/// Frames as a server sends them: whole and not masked.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [head, length, rest @ ..] = bytes {
        let (length, rest) = match (length, rest) {
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (short, rest) => (usize::from(*short), rest),
        };
        frames.push((*head, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    frames
}

/// Sends this on a socket of its own; what came back but text, and the code of the Close frame.
async fn answered(server: &Server, person: &Person, bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, u16) {
    let mut wire = Wire::open(server, person).await;
    wire.say(bytes).await;
    let mut heard = wire.rest().await;
    heard.retain(|(head, _)| *head != LAST | TEXT);
    let (head, payload) = heard.pop().expect("a Close frame");
    assert_eq!(head, LAST | CLOSE, "the last frame closes");
    let code = match payload[..] {
        [] => 1005,
        [a, b, ..] => u16::from_be_bytes([a, b]),
        [_] => panic!("half a code"),
    };
    (heard, code)
}

#[tokio::test]
async fn fault_28_every_close_is_answered_by_one_and_the_connection_ends_cleanly() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let empty = frame(LAST | CLOSE, b"");
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("no code", empty.clone(), &[1000, 1005]),
        ("1000", close(1000, b""), &[1000]),
        ("1001, a reason", close(1001, "안녕".as_bytes()), &[1001]),
        ("1003", close(1003, b""), &[1003]),
        ("1011", close(1011, b""), &[1011]),
        ("3000", close(3000, b""), &[3000]),
        ("4999", close(4999, b""), &[4999]),
        ("the longest reason", close(1000, &[b'x'; 123]), &[1000]),
        (
            "twice",
            [close(1000, b""), close(1000, b"")].concat(),
            &[1000],
        ),
        (
            "words after it",
            [close(1000, b""), frame(LAST | TEXT, b"{}")].concat(),
            &[1000],
        ),
        (
            "a ping after it",
            [close(1000, b""), frame(LAST | PING, b"x")].concat(),
            &[1000],
        ),
        ("half a code", frame(LAST | CLOSE, &[3]), &[1002]),
        ("0", close(0, b""), &[1002]),
        ("999", close(999, b""), &[1002]),
        ("1004", close(1004, b""), &[1002]),
        ("1005", close(1005, b""), &[1002]),
        ("1006", close(1006, b""), &[1002]),
        ("1016", close(1016, b""), &[1002]),
        ("2999", close(2999, b""), &[1002]),
        ("5000", close(5000, b""), &[1002]),
        (
            "a reason that is no UTF-8",
            close(1000, b"\xff"),
            &[1002, 1007],
        ),
        ("too long", frame(LAST | CLOSE, &[b'x'; 126]), &[1002]),
        ("in fragments", frame(CLOSE, b""), &[1002]),
    ];
    for (name, bytes, codes) in cases {
        let (others, code) = answered(&server, &jiwoo, &bytes).await;
        assert!(codes.contains(&code), "{name}: {code}");
        assert!(others.is_empty(), "{name}: {others:?}");
    }
}

#[tokio::test]
async fn fault_28_pings_are_answered_and_broken_frames_refused() {
    let server = Server::start().await;
    let jiwoo = server.person("jiwoo").await;
    let long = [b'x'; 125];
    // Answered as they are, and between the fragments of a message.
    let pings = [
        frame(LAST | PING, b""),
        frame(LAST | PING, b"\x00\xff"),
        frame(TEXT, br#"{"pi"#),
        frame(LAST | PING, &long),
        frame(LAST | PONG, b"nobody asked"),
        frame(LAST, br#"ng": 1}"#),
        close(1000, b""),
    ];
    let (pongs, code) = answered(&server, &jiwoo, &pings.concat()).await;
    assert_eq!(code, 1000);
    let pongs: Vec<&[u8]> = pongs
        .iter()
        .map(|(head, payload)| {
            assert_eq!(*head, LAST | PONG);
            &payload[..]
        })
        .collect();
    // Of several that wait together only the last need be answered (RFC 6455, 5.5.2).
    assert_eq!(pongs.last(), Some(&&long[..]));
    let mut unmasked = vec![LAST | TEXT, 2];
    unmasked.extend(b"{}");
    for (name, bytes) in [
        ("a long ping", frame(LAST | PING, &[b'x'; 126])),
        ("a ping in fragments", frame(PING, b"x")),
        ("a reserved bit", frame(LAST | 0x40 | TEXT, b"{}")),
        ("a reserved opcode", frame(LAST | 0x0b, b"")),
        ("no mask", unmasked),
        ("a fragment of nothing", frame(LAST, b"x")),
        (
            "a message inside another",
            [frame(TEXT, b"{"), frame(LAST | TEXT, b"}")].concat(),
        ),
    ] {
        let (_, code) = answered(&server, &jiwoo, &bytes).await;
        assert_eq!(code, 1002, "{name}");
    }
    let (mut talk, _) = jiwoo.connect(None).await;
    server.script(answer(&["네"]));
    talk.input("아직 있어?").await;
    assert_eq!(talk.turn().await.text, "네");
}
