//! The upstream: an OpenAI-compatible server that says numbered, time-stamped tokens.

use crate::upstream::{self, END, HEAD, chunk};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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
    upstream::listen(serve).await
}

/// Answers one request after the other on a connection.
async fn serve(mut stream: TcpStream) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let body = upstream::next_request(&mut stream, &mut buffer).await?;
        // The newest words stand last.
        let mut wish = body.rsplit("[mock ").next()?.split(']').next()?.split(' ');
        let tokens: usize = wish.next()?.parse().ok()?;
        let pause = Duration::from_micros(wish.next()?.parse().ok()?);
        answer(&mut stream, tokens, pause).await?;
    }
}

async fn answer(stream: &mut TcpStream, tokens: usize, pause: Duration) -> Option<()> {
    stream.write_all(HEAD).await.ok()?;
    let mut event = String::new();
    for n in 0..tokens {
        event.clear();
        let _ = write!(
            event,
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" 마음이|{n}|{};\"}},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n",
            now()
        );
        chunk(stream, event.as_bytes()).await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    let end = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n\ndata: [DONE]\n\n"
    );
    chunk(stream, end.as_bytes()).await?;
    stream.write_all(END).await.ok()
}
