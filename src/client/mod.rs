//! The client: REST and WebSocket, as an app would use them.
//!
//! Owns [`Client`] and [`Socket`], and [`FiguresAt`] for who runs a server. Used by `deepme chat`, `top` and by the tests, so that what the tests
//! prove is what people get. Invariant: knows the wire and nothing of the server's inside.

mod figures;
mod socket;

pub use figures::FiguresAt;
pub use socket::{ABNORMAL, ConnectOptions, Event, Socket};

use crate::domain::emotion::Emotion;
use crate::domain::{SessionId, StepId, UserId};
use crate::wire::card::CardBody;
use crate::wire::insight::{EmotionRequest, FlowBody, StepEmotionBody, TrendBody};
use crate::wire::rest::{
    ChangePasswordRequest, ClientKind, CreateSessionRequest, GenerateRequest, HealthBody,
    LoginBody, LoginRequest, Problem, PromptBody, PromptRequest, RefreshRequest, RegisterRequest,
    ResetPasswordRequest, Secret, SessionBody, StepBody, UsageBody, UserBody,
};
use crate::wire::rights::{AccessBody, ExportBody, ReceiptBody};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

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

/// The address of a server.
fn address(text: &str) -> Result<Url> {
    let url =
        Url::parse(text).map_err(|_| ClientError::Network(format!("{text} is not an address")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(ClientError::Network(format!(
            "{text} is not an http or https address"
        )));
    }
    Ok(url)
}

/// A client by these options, that says who it is.
fn built(options: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    // Fails when it is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = options.user_agent(concat!("deepme/", env!("CARGO_PKG_VERSION")));
    options.build().map_err(|e| {
        // For want of certificates above all, which TLS needs and a small system may not have.
        let cause =
            std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string);
        ClientError::Network(format!(
            "no HTTP client can be made: {cause} (is ca-certificates installed?)"
        ))
    })
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8000`.
    pub fn new(base: &str) -> Result<Self> {
        let base = address(base)?;
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
        let http = built(http)?;
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
                invite: None,
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

    /// `POST /password/reset`
    pub async fn reset_password(&self, email: &str, code: &str, new: &str) -> Result<()> {
        let body = ResetPasswordRequest {
            email: email.into(),
            code: code.into(),
            new_password: new.into(),
        };
        self.post("/password/reset", &body).await
    }

    /// `GET /me`
    pub async fn me(&self) -> Result<UserBody> {
        self.get("/me").await
    }

    /// `DELETE /me`
    pub async fn erase(&self) -> Result<ReceiptBody> {
        self.call(Method::DELETE, "/me", None::<&()>).await
    }

    /// `GET /me/export`
    pub async fn export(&self) -> Result<ExportBody> {
        self.get("/me/export").await
    }

    /// `GET /me/access-log`, newest first.
    pub async fn accesses(&self) -> Result<Vec<AccessBody>> {
        self.get("/me/access-log").await
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

    /// `GET /emotion/sessions/{session_id}/flow`
    pub async fn flow(&self, session_id: SessionId) -> Result<FlowBody> {
        self.get(&format!("/emotion/sessions/{session_id}/flow"))
            .await
    }

    /// `GET /emotion/sessions/{session_id}/card`
    pub async fn card(&self, session_id: SessionId) -> Result<CardBody> {
        self.get(&format!("/emotion/sessions/{session_id}/card"))
            .await
    }

    /// `POST /emotion/sessions/{session_id}/card`
    pub async fn make_card(&self, session_id: SessionId) -> Result<CardBody> {
        let path = format!("/emotion/sessions/{session_id}/card");
        self.call(Method::POST, &path, None::<&()>).await
    }

    /// `GET /emotion/trends/user/{user_id}`, of the last 30 days.
    pub async fn trend(&self, user_id: UserId) -> Result<TrendBody> {
        self.get(&format!("/emotion/trends/user/{user_id}")).await
    }

    /// `GET /emotion/steps/{session_id}`, by ascending order.
    pub async fn steps(&self, session_id: SessionId) -> Result<Vec<StepBody>> {
        self.get(&format!("/emotion/steps/{session_id}")).await
    }

    /// `PUT /emotion/steps/{step_id}/emotion`; without a label, `DELETE`.
    pub async fn correct_step(
        &self,
        step_id: StepId,
        label: Option<Emotion>,
    ) -> Result<StepEmotionBody> {
        let path = format!("/emotion/steps/{step_id}/emotion");
        match label.map(|label| label.to_string()) {
            emotion_label @ Some(_) => {
                self.call(Method::PUT, &path, Some(&EmotionRequest { emotion_label }))
                    .await
            }
            None => self.call(Method::DELETE, &path, None::<&()>).await,
        }
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
            Some(&PromptRequest {
                prompt: prompt.into(),
            }),
        )
        .await
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
async fn within<T>(patience: Duration, call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(patience, call)
        .await
        .unwrap_or_else(|_| Err(ClientError::Network("it does not answer".to_owned())))
}
