//! The client: REST and WebSocket, as an app would use them.
//!
//! Owns [`Client`] and [`Socket`]. Used by `deepme chat` and by the tests, so that what the tests
//! prove is what people get. Invariant: knows the wire and nothing of the server's inside.

use crate::domain::{SessionId, UserId};
use crate::wire::rest::{
    ChangePasswordRequest, ClientKind, CreateSessionRequest, GenerateRequest, HealthBody,
    LoginBody, LoginRequest, Problem, PromptBody, RefreshRequest, RegisterRequest, Secret,
    SessionBody, StepBody, UsageBody, UserBody,
};
use crate::wire::ws::{BEARER_SUBPROTOCOL, ClientFrame, SUBPROTOCOL, ServerFrame};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// What a call comes to.
pub type Result<T> = std::result::Result<T, ClientError>;

/// Why a call did not work.
#[derive(Debug)]
pub enum ClientError {
    /// The server answered with a problem.
    Problem(Box<Problem>),
    /// The server answered with a status and no problem: it may be another server, or a proxy.
    Status(u16),
    /// The server could not be reached, or the connection broke.
    Network(String),
    /// The server said something that this client does not understand.
    Unexpected(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => match &problem.field {
                Some(field) => write!(f, "{field}: {}", problem.detail),
                None => f.write_str(&problem.detail),
            },
            Self::Status(status) => write!(f, "the server answered with HTTP status {status}"),
            Self::Network(what) => write!(f, "the server cannot be reached: {what}"),
            Self::Unexpected(what) => write!(f, "the server said something unexpected: {what}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    /// The HTTP status, when there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// The problem's code, when there was one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

/// A server, and who one is there.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    token: Option<HeaderValue>,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8000`.
    pub fn new(base: &str) -> Result<Self> {
        let base = Url::parse(base)
            .map_err(|_| ClientError::Network(format!("{base} is not an address")))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(ClientError::Network(format!(
                "{base} is not an http or https address"
            )));
        }
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("deepme/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| ClientError::Network(e.to_string()))?;
        Ok(Self {
            base,
            http,
            token: None,
        })
    }

    /// The same server with this access token.
    pub fn with_token(&self, token: &str) -> Result<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| ClientError::Unexpected("a token that cannot be sent".to_owned()))?;
        value.set_sensitive(true);
        Ok(Self {
            token: Some(value),
            ..self.clone()
        })
    }

    /// The address of the server.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Any call: for tests and for what has no method of its own. An empty answer reads as `null`.
    pub async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T> {
        let url = self
            .base
            .join(path)
            .map_err(|e| ClientError::Network(e.to_string()))?;
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(network)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(network)?;
        if !status.is_success() {
            return Err(problem(status, &bytes));
        }
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes).map_err(|e| ClientError::Unexpected(e.to_string()))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.call(Method::GET, path, None::<&()>).await
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `GET /health`
    pub async fn health(&self) -> Result<HealthBody> {
        within(PATIENCE, self.get("/health")).await
    }

    /// `POST /register`
    pub async fn register(&self, name: &str, email: &str, password: &str) -> Result<UserBody> {
        self.post(
            "/register",
            &RegisterRequest {
                name: name.into(),
                email: email.into(),
                password: password.into(),
            },
        )
        .await
    }

    /// `POST /login`, for one long-lived token.
    pub async fn login(&self, email: &str, password: &str) -> Result<LoginBody> {
        self.log_in_as(None, email, password).await
    }

    /// `POST /login`, for tokens that are refreshed.
    pub async fn login_v1(&self, email: &str, password: &str) -> Result<LoginBody> {
        self.log_in_as(Some(ClientKind::V1), email, password).await
    }

    async fn log_in_as(
        &self,
        client: Option<ClientKind>,
        email: &str,
        password: &str,
    ) -> Result<LoginBody> {
        let request = LoginRequest {
            email: email.into(),
            password: password.into(),
            client,
        };
        self.post("/login", &request).await
    }

    /// `POST /refresh`
    pub async fn refresh(&self, refresh_token: &str) -> Result<LoginBody> {
        let refresh_token = Secret::from(refresh_token);
        self.post("/refresh", &RefreshRequest { refresh_token })
            .await
    }

    /// `POST /logout`
    pub async fn log_out(&self) -> Result<()> {
        self.call(Method::POST, "/logout", None::<&()>).await
    }

    /// `POST /logout-all`
    pub async fn log_out_everywhere(&self) -> Result<()> {
        self.call(Method::POST, "/logout-all", None::<&()>).await
    }

    /// `POST /change-password`
    pub async fn change_password(&self, current: &str, new: &str) -> Result<LoginBody> {
        let body = ChangePasswordRequest {
            current_password: current.into(),
            new_password: new.into(),
        };
        self.post("/change-password", &body).await
    }

    /// `GET /me`
    pub async fn me(&self) -> Result<UserBody> {
        self.get("/me").await
    }

    /// `GET /me/usage`
    pub async fn usage(&self) -> Result<UsageBody> {
        self.get("/me/usage").await
    }

    /// `POST /emotion/sessions`
    pub async fn create_session(&self, request: &CreateSessionRequest) -> Result<SessionBody> {
        self.post("/emotion/sessions", request).await
    }

    /// `GET /emotion/sessions/{session_id}`
    pub async fn session(&self, session_id: SessionId) -> Result<SessionBody> {
        self.get(&format!("/emotion/sessions/{session_id}")).await
    }

    /// `GET /emotion/sessions/user/{user_id}`, newest first; whole without `limit`.
    pub async fn sessions(&self, user_id: UserId, limit: Option<u32>) -> Result<Vec<SessionBody>> {
        let limit = limit.map_or_else(String::new, |n| format!("?limit={n}"));
        self.get(&format!("/emotion/sessions/user/{user_id}{limit}"))
            .await
    }

    /// `POST /emotion/sessions/{session_id}/end`
    pub async fn end_session(&self, session_id: SessionId) -> Result<SessionBody> {
        self.call(
            Method::POST,
            &format!("/emotion/sessions/{session_id}/end"),
            None::<&()>,
        )
        .await
    }

    /// `GET /emotion/steps/{session_id}`, by ascending order.
    pub async fn steps(&self, session_id: SessionId) -> Result<Vec<StepBody>> {
        self.get(&format!("/emotion/steps/{session_id}")).await
    }

    /// `POST /emotion/steps/generate`
    pub async fn generate(&self, request: &GenerateRequest) -> Result<StepBody> {
        self.post("/emotion/steps/generate", request).await
    }

    /// `GET /me/prompt`
    pub async fn prompt(&self) -> Result<PromptBody> {
        self.get("/me/prompt").await
    }

    /// `PUT /me/prompt`
    pub async fn set_prompt(&self, prompt: &str) -> Result<PromptBody> {
        self.call(
            Method::PUT,
            "/me/prompt",
            Some(&PromptBody {
                prompt: prompt.into(),
                version: 0,
            }),
        )
        .await
    }

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

fn network(error: reqwest::Error) -> ClientError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    ClientError::Network(text)
}

fn problem(status: StatusCode, body: &[u8]) -> ClientError {
    serde_json::from_slice(body).map_or(ClientError::Status(status.as_u16()), |problem| {
        ClientError::Problem(Box::new(problem))
    })
}

/// How long a server may take for what needs no model.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a socket may be silent: the server pings every 30 s unless it is set otherwise.
const SILENCE: Duration = Duration::from_secs(150);

async fn within<T>(patience: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(patience, call)
        .await
        .unwrap_or_else(|_| Err(ClientError::Network("it does not answer".to_owned())))
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
