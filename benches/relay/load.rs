//! The load: people who talk over sockets, and a reader without a relay between.

use crate::mock::{now, words};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where to, and as whom.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

/// Nanoseconds, sorted.
#[derive(Default)]
pub(crate) struct Spread(Vec<u64>);

impl Spread {
    pub(crate) fn p(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get((last as f64 * share).round() as usize)
            .copied()
            .unwrap_or(0) as f64
    }
}

/// What a run came to.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) tokens: usize,
    pub(crate) turns: usize,
    pub(crate) bad: usize,
    pub(crate) wall: Duration,
    pub(crate) first_token: Spread,
    pub(crate) delay: Spread,
}

impl Load {
    async fn connect(&self) -> Socket {
        let mut request = format!("ws://{}/ws/emotion", self.address)
            .into_client_request()
            .unwrap();
        request.headers_mut().insert(
            "authorization",
            format!("Bearer {}", self.token).parse().unwrap(),
        );
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        // The session frame.
        socket.next().await.unwrap().unwrap();
        socket
    }

    /// All clients at once; each turn is checked token by token.
    pub(crate) async fn run(
        &self,
        clients: usize,
        turns: usize,
        tokens: usize,
        pause: Duration,
    ) -> Tally {
        let mut sockets = Vec::new();
        for _ in 0..clients {
            sockets.push(self.connect().await);
        }
        let begun = Instant::now();
        let running: Vec<_> = sockets
            .into_iter()
            .enumerate()
            .map(|(n, mut socket)| {
                tokio::spawn(async move {
                    // Real people do not start in step.
                    tokio::time::sleep(pause * n as u32 / clients as u32).await;
                    let mut tally = Tally::default();
                    for _ in 0..turns {
                        turn(&mut socket, tokens, pause, &mut tally).await;
                    }
                    tally
                })
            })
            .collect();
        let mut all = Tally::default();
        for client in running {
            let tally = client.await.unwrap();
            all.tokens += tally.tokens;
            all.turns += tally.turns;
            all.bad += tally.bad;
            all.first_token.0.extend(tally.first_token.0);
            all.delay.0.extend(tally.delay.0);
        }
        all.wall = begun.elapsed();
        all.first_token.0.sort_unstable();
        all.delay.0.sort_unstable();
        all
    }

    /// Sockets that say nothing.
    pub(crate) async fn idle(&self, count: usize) -> Vec<Socket> {
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            sockets.push(self.connect().await);
        }
        sockets
    }
}

async fn turn(socket: &mut Socket, tokens: usize, pause: Duration, tally: &mut Tally) {
    let message = serde_json::json!({ "user_input": words(tokens, pause), "step_type": "normal" });
    let begun = now();
    socket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
    let mut reader = Tokens::default();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if let Some(token) = frame.get("token").and_then(Value::as_str) {
            let arrived = now();
            if reader.next == 0 {
                tally.first_token.0.push(arrived - begun);
            }
            reader.read(token, arrived, &mut tally.delay.0);
        } else if frame.get("done").is_some() || frame.get("error").is_some() {
            tally.turns += 1;
            tally.tokens += reader.next;
            if reader.next != tokens || reader.broken || frame.get("done").is_none() {
                tally.bad += 1;
            }
            return;
        }
    }
    tally.bad += 1;
}

/// Reads `word|number|nanoseconds;` out of text however it is cut or merged.
#[derive(Default)]
struct Tokens {
    rest: String,
    next: usize,
    broken: bool,
}

impl Tokens {
    fn read(&mut self, text: &str, arrived: u64, delays: &mut Vec<u64>) {
        self.rest.push_str(text);
        while let Some(end) = self.rest.find(';') {
            let token: String = self.rest.drain(..=end).collect();
            let mut parts = token.trim_end_matches(';').rsplit('|');
            let sent: Option<u64> = parts.next().and_then(|ns| ns.parse().ok());
            let number: Option<usize> = parts.next().and_then(|n| n.parse().ok());
            match (sent, number) {
                (Some(sent), Some(number))
                    if number == self.next && parts.next() == Some(" 마음이") =>
                {
                    delays.push(arrived.saturating_sub(sent));
                    self.next += 1;
                }
                _ => self.broken = true,
            }
        }
    }
}

/// The delay of tokens that are read straight from the mock: what the relay's own is measured against.
pub(crate) async fn direct(
    upstream: SocketAddr,
    clients: usize,
    tokens: usize,
    pause: Duration,
) -> Spread {
    let running: Vec<_> = (0..clients)
        .map(|n| {
            tokio::spawn(async move {
                tokio::time::sleep(pause * n as u32 / clients as u32).await;
                let body = serde_json::json!({ "messages": [{ "role": "user", "content": words(tokens, pause) }] }).to_string();
                let request = format!("POST /v1/chat/completions HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let mut stream = TcpStream::connect(upstream).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                let (mut delays, mut reader, mut bytes) = (Vec::new(), Tokens::default(), Vec::new());
                while reader.next < tokens && stream.read_buf(&mut bytes).await.unwrap() > 0 {
                    let arrived = now();
                    while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
                        let line: Vec<u8> = bytes.drain(..=end).collect();
                        let json = line.strip_prefix(b"data: ").and_then(|json| serde_json::from_slice::<Value>(json).ok());
                        let content = json.as_ref().and_then(|json| json["choices"][0]["delta"]["content"].as_str());
                        if let Some(content) = content {
                            reader.read(content, arrived, &mut delays);
                        }
                    }
                }
                delays
            })
        })
        .collect();
    let mut all = Spread::default();
    for client in running {
        all.0.extend(client.await.unwrap());
    }
    all.0.sort_unstable();
    all
}
