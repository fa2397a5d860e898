//! The WebSocket side of the client.
//!
//! Owns [`Socket`] and how one is opened. Invariant: a socket that says nothing for too long counts as
//! closed.

use super::{Client, ClientError, PATIENCE, Result, problem};
use crate::domain::{SessionId, UserId};
use crate::wire::ws::{BEARER_SUBPROTOCOL, ClientFrame, SUBPROTOCOL, ServerFrame};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// How long a socket may be silent: the server pings every 30 s unless it is set otherwise.
const SILENCE: Duration = Duration::from_secs(150);

impl Client {
    /// Opens a socket on `/ws/emotion`.
    pub async fn connect(&self, options: &ConnectOptions) -> Result<Socket> {
        let mut url = self
            .base
            .join("/ws/emotion")
            .map_err(|e| ClientError::Network(e.to_string()))?;
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme)
            .map_err(|()| ClientError::Unexpected("an address without a scheme".to_owned()))?;
        if let Some(user_id) = options.user_id {
            url.query_pairs_mut()
                .append_pair("user_id", &user_id.to_string());
        }
        if let Some(session_id) = options.session_id {
            url.query_pairs_mut()
                .append_pair("session_id", &session_id.to_string());
        }
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|e| ClientError::Network(e.to_string()))?;
        let mut offers = Vec::new();
        if options.every_frame {
            offers.push(SUBPROTOCOL.to_owned());
        }
        if let Some(token) = &self.token {
            if options.bearer_in_subprotocol {
                let token = token
                    .to_str()
                    .unwrap_or_default()
                    .trim_start_matches("Bearer ");
                offers.push(format!("{BEARER_SUBPROTOCOL}{token}"));
            } else {
                request.headers_mut().insert(AUTHORIZATION, token.clone());
            }
        }
        if !offers.is_empty() {
            let value = HeaderValue::try_from(offers.join(", "))
                .map_err(|e| ClientError::Unexpected(e.to_string()))?;
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        let connecting = tokio_tungstenite::connect_async_with_config(request, None, true);
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        match connected.map_err(|_| ClientError::Network("it does not answer".to_owned()))? {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(tungstenite::Error::Http(response)) => Err(problem(
                response.status(),
                response.body().as_deref().unwrap_or_default(),
            )),
            Err(error) => Err(ClientError::Network(error.to_string())),
        }
    }
}

/// How a socket is opened.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The session to continue; absent begins a new one.
    pub session_id: Option<SessionId>,
    /// The seed's query parameter; must be the token's own.
    pub user_id: Option<UserId>,
    /// Whether to offer `deepme.v1`.
    pub every_frame: bool,
    /// Whether the token goes into the subprotocol offer instead of the header.
    pub bearer_in_subprotocol: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            session_id: None,
            user_id: None,
            every_frame: true,
            bearer_in_subprotocol: false,
        }
    }
}

/// An open socket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// What comes out of a socket.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A frame.
    Frame(ServerFrame),
    /// A text that is no frame this client knows.
    Unknown(String),
    /// The server closed with this code; nothing follows.
    Closed(u16, String),
}

/// The code for a connection that ended without a Close frame (RFC 6455 §7.1.5).
pub const ABNORMAL: u16 = 1006;

impl Socket {
    /// Sends a frame.
    pub async fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        self.send_raw(Message::text(frame.to_json())).await
    }

    /// Sends anything: for tests of what a server must withstand.
    pub async fn send_raw(&mut self, message: Message) -> Result<()> {
        self.0
            .send(message)
            .await
            .map_err(|e| ClientError::Network(e.to_string()))
    }

    /// The next thing that the server says. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        loop {
            let Ok(message) = tokio::time::timeout(SILENCE, self.0.next()).await else {
                return Event::Closed(ABNORMAL, "nothing was heard for too long".to_owned());
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    return ServerFrame::parse(&text)
                        .map_or_else(|| Event::Unknown(text.to_string()), Event::Frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame
                        .map_or((1005, String::new()), |CloseFrame { code, reason }| {
                            (code.into(), reason.to_string())
                        });
                    // The library answers the close when it is polled once more.
                    while let Some(Ok(_)) = self.0.next().await {}
                    return Event::Closed(code, reason);
                }
                // The library answers pings by itself.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Event::Closed(ABNORMAL, error.to_string()),
                None => return Event::Closed(ABNORMAL, "the connection ended".to_owned()),
            }
        }
    }

    /// Says goodbye and waits for the server to do so.
    pub async fn close(mut self) {
        let _ = self.0.close(None).await;
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Drops the connection without a word, as a lost network does.
    pub fn abort(self) {
        drop(self);
    }
}
