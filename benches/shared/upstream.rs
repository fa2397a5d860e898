//! What every mock of an OpenAI-compatible upstream does: listen, read requests, write chunks.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The head of a streamed answer.
pub(crate) const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The end of a streamed answer.
pub(crate) const END: &[u8] = b"0\r\n\r\n";

/// Serves each connection to a free port.
pub(crate) async fn listen<S>(serve: impl Fn(TcpStream) -> S + Send + 'static) -> SocketAddr
where
    S: Future + Send + 'static,
    S::Output: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// The body of the next request; `None` when there is none. What was read beyond it stays in `buffer`.
pub(crate) async fn next_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    let head = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
    let length = text.split("content-length:").nth(1)?.lines().next()?;
    let length: usize = length.trim().parse().ok()?;
    while buffer.len() < head + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&buffer[head..head + length]).into_owned();
    buffer.drain(..head + length);
    Some(body)
}

/// Writes a piece of a streamed answer as one chunk.
pub(crate) async fn chunk(stream: &mut TcpStream, data: &[u8]) -> Option<()> {
    let mut framed = format!("{:x}\r\n", data.len()).into_bytes();
    framed.extend_from_slice(data);
    framed.extend_from_slice(b"\r\n");
    stream.write_all(&framed).await.ok()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
