//! The `openai` model against an upstream that sends bytes, not good manners.

mod ends;
mod requests;
mod streams;

use crate::support::{PATIENCE, Server};
use deepme::config::{Config, Model, Secret};
use deepme::llm::ChatModel;
use deepme::llm::openai::OpenAi;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// What must reach neither the client nor the log.
pub const CANARY: &str = "canary-업스트림-비밀";

/// How the upstream meets one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes, then the end of the connection.
    Raw(Vec<u8>),
    /// A 200 with an event stream, each of these a chunk of its own, ended as HTTP wants it.
    Stream(Vec<Vec<u8>>),
    /// The same without the end: the connection just breaks off.
    Broken(Vec<Vec<u8>>),
    /// The same, but the connection stays open and nothing more comes.
    Stall(Vec<Vec<u8>>),
    /// Nothing, not even a status.
    Silence,
    /// A stream that waits before each of these parts but the first until it is let go on: a permit
    /// each.
    Held(Vec<Vec<Vec<u8>>>, Arc<Semaphore>),
    /// This event again and again, as long as anybody listens.
    Endless(Vec<u8>),
}

/// A request as it came.
#[derive(Debug)]
pub struct Request {
    pub head: String,
    pub body: serde_json::Value,
}

/// An endpoint of the Chat Completions API, as it were.
pub struct Upstream {
    pub address: SocketAddr,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: mpsc::UnboundedReceiver<Request>,
    /// A message for each connection that our side closed while more could have come.
    hung_up: mpsc::UnboundedReceiver<()>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let replies: Arc<Mutex<VecDeque<Reply>>> = Arc::default();
        let (seen, requests) = mpsc::unbounded_channel();
        let (gone, hung_up) = mpsc::unbounded_channel();
        let queue = Arc::clone(&replies);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (queue, seen, gone) = (Arc::clone(&queue), seen.clone(), gone.clone());
                tokio::spawn(async move {
                    serve(stream, &queue, &seen, &gone).await;
                });
            }
        });
        Self {
            address,
            replies,
            requests,
            hung_up,
        }
    }

    pub fn reply(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(reply);
    }

    /// Drops the replies that nobody asked for.
    pub fn forget_replies(&self) {
        self.replies.lock().unwrap().clear();
    }

    /// The next request; it must have come already or come soon.
    pub async fn request(&mut self) -> Request {
        let request = tokio::time::timeout(PATIENCE, self.requests.recv());
        request.await.expect("a request").unwrap()
    }

    /// How many requests came that nobody looked at.
    pub fn more_requests(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }

    pub async fn hung_up(&mut self) {
        let gone = tokio::time::timeout(PATIENCE, self.hung_up.recv());
        gone.await.expect("our side hangs up").unwrap();
    }

    pub fn model(&self, name: &str) -> Arc<dyn ChatModel> {
        let config = Model {
            base_url: format!("http://{}/v1", self.address),
            model: "test-model".into(),
            api_key: Secret::new("sk-canary-key"),
            ..Model::default()
        };
        Arc::new(OpenAi::new(name, &config).unwrap())
    }

    /// A server that asks this upstream only.
    pub async fn server(&self, change: impl FnOnce(&mut Config)) -> Server {
        let mut config = Config::default();
        change(&mut config);
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Server::on(dir, config, Some(vec![self.model("up")])).await
    }
}

async fn serve(
    mut stream: TcpStream,
    replies: &Mutex<VecDeque<Reply>>,
    seen: &mpsc::UnboundedSender<Request>,
    gone: &mpsc::UnboundedSender<()>,
) {
    stream.set_nodelay(true).unwrap();
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        // A connection that was opened for nothing.
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    while bytes.len() < head_end + length {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    let body = serde_json::from_slice(&bytes[head_end..]).unwrap();
    // Taken before anybody hears of the request: the next one must not take it.
    let reply = replies.lock().unwrap().pop_front();
    let _ = seen.send(Request { head, body });
    let reply = reply.expect("a reply for every request");
    play(&mut stream, reply, gone).await;
}

async fn play(stream: &mut TcpStream, reply: Reply, gone: &mpsc::UnboundedSender<()>) {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                          transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let (chunks, end) = match &reply {
        Reply::Raw(bytes) => {
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            return;
        }
        Reply::Stream(chunks) => (chunks.clone(), &b"0\r\n\r\n"[..]),
        Reply::Broken(chunks) | Reply::Stall(chunks) => (chunks.clone(), &b""[..]),
        Reply::Silence => {
            wait_for_hang_up(stream, gone).await;
            return;
        }
        Reply::Held(parts, gate) => {
            let _ = stream.write_all(HEAD).await;
            for (n, part) in parts.iter().enumerate() {
                if n > 0 {
                    gate.acquire().await.unwrap().forget();
                }
                let _ = stream.write_all(&chunks_of(part)).await;
            }
            let _ = stream.write_all(b"0\r\n\r\n").await;
            return;
        }
        Reply::Endless(event) => {
            let _ = stream.write_all(HEAD).await;
            let chunk = chunk(event);
            while stream.write_all(&chunk).await.is_ok() {}
            let _ = gone.send(());
            return;
        }
    };
    let mut bytes = HEAD.to_vec();
    bytes.extend(chunks_of(&chunks));
    bytes.extend_from_slice(end);
    let _ = stream.write_all(&bytes).await;
    if matches!(reply, Reply::Stall(_)) {
        wait_for_hang_up(stream, gone).await;
    }
}

async fn wait_for_hang_up(stream: &mut TcpStream, gone: &mpsc::UnboundedSender<()>) {
    let _ = stream.read(&mut [0; 16]).await;
    let _ = gone.send(());
}

/// A chunk of HTTP's chunked encoding: what it holds is handed on by itself, however TCP cuts it.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// A chunk each; an empty one would end the stream.
fn chunks_of(pieces: &[Vec<u8>]) -> Vec<u8> {
    let pieces = pieces.iter().filter(|piece| !piece.is_empty());
    pieces.flat_map(|piece| chunk(piece)).collect()
}

/// An event of a stream.
pub fn event(json: &str) -> Vec<u8> {
    format!("data: {json}\n\n").into_bytes()
}

/// An event that says something.
pub fn says(text: &str) -> Vec<u8> {
    let delta = serde_json::json!({
        "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
    });
    event(&delta.to_string())
}

/// An event that ends the answer.
pub fn ends(reason: &str) -> Vec<u8> {
    event(&format!(
        r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#
    ))
}

pub fn done() -> Vec<u8> {
    event("[DONE]")
}

/// An answer with a body that is not for anybody's eyes.
pub fn status(line: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Raw(
        format!(
            "HTTP/1.1 {line}\r\ncontent-length: {length}\r\n{headers}connection: close\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}
