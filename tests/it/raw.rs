//! HTTP and WebSocket without a client's manners: what no good client sends, byte for byte.

use crate::support::{PATIENCE, Server};
use deepme::wire::rest::Problem;
use futures_util::{SinkExt as _, StreamExt as _};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

/// One HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem of an error, which every error must be.
    pub fn problem(&self) -> Problem {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        assert!(!problem.detail.is_empty() && !problem.title.is_empty());
        problem
    }
}

/// A connection that holds little: as on a real network, what the server does not read is not sent,
/// and a server that closes instead of reading breaks the client's write.
pub async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// A request that is well-formed at least as HTTP.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }

    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    /// The headers of a WebSocket handshake.
    pub fn upgrade(self) -> Self {
        self.header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: test\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !self.body.is_empty() || self.method == "POST" || self.method == "PUT" {
            let length = self.body.len().to_string();
            head.extend(["content-length: ", &length, "\r\n"]);
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Writes the request and reads nothing.
    pub async fn write_to(&self, stream: &mut TcpStream) {
        stream.write_all(&self.bytes()).await.unwrap();
    }

    pub async fn send(&self, server: &Server) -> Answer {
        self.send_to(server.address).await
    }

    /// Writes everything and only then reads, as simple clients do; a write that fails is where
    /// they give up.
    pub async fn send_to(&self, address: SocketAddr) -> Answer {
        let exchange = async {
            let mut stream = connect(address).await;
            let written = stream.write_all(&self.bytes()).await;
            assert!(
                written.is_ok(),
                "the server hung up on the request: {written:?}"
            );
            read_answer(&mut stream, self.method).await
        };
        timeout(PATIENCE, exchange).await.expect("an answer")
    }
}

/// Reads one answer; panics when the connection ends before it is whole.
pub async fn read_answer(stream: &mut TcpStream, method: &str) -> Answer {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read_buf(&mut bytes).await;
        assert!(
            read.as_ref().is_ok_and(|n| *n > 0),
            "the connection ended before the answer's head: {read:?}, got {:?}",
            String::from_utf8_lossy(&bytes)
        );
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let status: u16 = status.parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = bytes.split_off(head_end + 4);
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse::<usize>().unwrap());
    let length = if method == "HEAD" || status == 101 {
        0
    } else {
        length
    };
    let more = async |stream: &mut TcpStream, body: &mut Vec<u8>| {
        let read = stream.read_buf(body).await;
        assert!(
            read.as_ref().is_ok_and(|n| *n > 0),
            "the connection ended before the answer was whole: {read:?}"
        );
    };
    if headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())) {
        let mut whole = Vec::new();
        loop {
            let Some(end) = body.windows(2).position(|w| w == b"\r\n") else {
                more(stream, &mut body).await;
                continue;
            };
            let size = std::str::from_utf8(&body[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            while body.len() < end + 2 + size + 2 {
                more(stream, &mut body).await;
            }
            whole.extend(&body[end + 2..end + 2 + size]);
            body.drain(..end + 2 + size + 2);
            if size == 0 {
                break;
            }
        }
        body = whole;
    } else {
        // After an upgrade the other protocol follows.
        body.truncate(length);
        while body.len() < length {
            more(stream, &mut body).await;
        }
    }
    Answer {
        status,
        headers,
        body,
    }
}

/// A socket of any client there may be.
pub struct RawSocket {
    ws: WebSocketStream<TcpStream>,
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
}

/// What it hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Json(serde_json::Value),
    Closed(u16),
    /// The connection ended without a Close frame.
    Broken(String),
}

impl RawSocket {
    /// Opens `/ws/emotion` with this query, `""` or `"?…"`, and these headers.
    pub async fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Self {
        let url = format!("ws://{}/ws/emotion{query}", server.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        let stream = connect(server.address).await;
        let opening = tokio_tungstenite::client_async(request, stream);
        let (ws, response) = timeout(PATIENCE, opening)
            .await
            .expect("a handshake")
            .unwrap();
        let protocol = response
            .headers()
            .get("sec-websocket-protocol")
            .map(|value| value.to_str().unwrap().to_owned());
        Self { ws, protocol }
    }

    pub async fn send(&mut self, message: Message) {
        self.try_send(message).await.unwrap();
    }

    pub async fn try_send(
        &mut self,
        message: Message,
    ) -> Result<(), tokio_tungstenite::tungstenite::Error> {
        timeout(PATIENCE, self.ws.send(message))
            .await
            .expect("the message is taken")
    }

    pub async fn next(&mut self) -> Heard {
        loop {
            let next = timeout(PATIENCE, self.ws.next());
            match next.await.expect("the server says something") {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Json(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Close(frame))) => {
                    return Heard::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Heard::Broken(error.to_string()),
                None => return Heard::Broken("end of file".to_owned()),
            }
        }
    }

    pub async fn json(&mut self) -> serde_json::Value {
        match self.next().await {
            Heard::Json(value) => value,
            other => panic!("expected a frame, got {other:?}"),
        }
    }
}
