//! The upstream: an OpenAI-compatible server that says numbered, time-stamped tokens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since this program began: mock and load client share the clock.
pub(crate) fn now() -> u64 {
    ORIGIN.elapsed().as_nanos() as u64
}

/// The words of a turn that make the mock say `tokens` tokens with this pause between them.
pub(crate) fn words(tokens: usize, pause: Duration) -> String {
    format!("요즘 기분이 별로야. [mock {tokens} {}]", pause.as_micros())
}

/// Starts the mock on a free port.
pub(crate) async fn start() -> SocketAddr {
    LazyLock::force(&ORIGIN);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers one request after the other on a connection.
async fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
        let length: usize = text
            .split("content-length:")
            .nth(1)?
            .lines()
            .next()?
            .trim()
            .parse()
            .ok()?;
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        }
        let body = String::from_utf8_lossy(&buffer[head..head + length]).into_owned();
        buffer.drain(..head + length);
        // The newest words stand last.
        let mut wish = body.rsplit("[mock ").next()?.split(']').next()?.split(' ');
        let tokens: usize = wish.next()?.parse().ok()?;
        let pause = Duration::from_micros(wish.next()?.parse().ok()?);
        answer(&mut stream, tokens, pause).await?;
    }
}

async fn answer(stream: &mut TcpStream, tokens: usize, pause: Duration) -> Option<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut event = String::new();
    for n in 0..tokens {
        event.clear();
        let _ = write!(
            event,
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" 마음이|{n}|{};\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n",
            now()
        );
        chunk(stream, &event).await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    let end = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n\ndata: [DONE]\n\n"
    );
    chunk(stream, &end).await?;
    stream.write_all(b"0\r\n\r\n").await.ok()
}

async fn chunk(stream: &mut TcpStream, data: &str) -> Option<()> {
    let framed = format!("{:x}\r\n{data}\r\n", data.len());
    stream.write_all(framed.as_bytes()).await.ok()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
