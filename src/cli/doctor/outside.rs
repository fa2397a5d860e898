//! How a server looks from where its people are.
//!
//! Owns what is asked through the front door; what the answers mean is [`super::door`]'s. Called by `deepme doctor --url`.
//! Invariants: without a login nothing is stored and nobody is woken up: a handshake is refused before it begins; with
//! one, a session of that account has one more turn.

use crate::client::{Client, ConnectOptions, Event};
use crate::domain::Timestamp;
use crate::wire::ws::{ClientFrame, ServerFrame, UserMessage};
use reqwest::Url;
use reqwest::header::{
    CONNECTION, DATE, HeaderMap, HeaderValue, LOCATION, ORIGIN, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use std::time::Duration;
use tokio::time::Instant;
use x509_cert::der::Decode as _;

/// How long anything may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a turn may take.
const TURN: Duration = Duration::from_mins(2);
/// Said to the model. It must come back as it is, and the answer be long enough to tell how its pieces come.
pub(super) const WORDS: &str = "점검 중이에요. 하나부터 스물까지 세어 주세요. 👩‍👩‍👧";
/// A page that no server is of.
pub(super) const STRANGER: &str = "https://stranger.invalid";

/// From when until when a certificate holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

/// What came back of a request.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The time that it says it is.
    pub(super) date: Option<Timestamp>,
    pub(super) certificate: Option<Validity>,
    /// Where it sends people instead.
    pub(super) elsewhere: Option<Url>,
    pub(super) took: Duration,
    /// Whether the body is what deepme says.
    pub(super) ours: bool,
}

/// What a turn looked like.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// The words as the server has them.
    pub(super) heard: String,
    /// When the pieces of the answer came, since the words were sent: what holds the pieces back holds back
    /// that they were accepted, too.
    pub(super) pieces: Vec<Duration>,
}

/// What came of the handshakes of nobody: without a page, from the server's own, and from one of elsewhere.
#[derive(Debug, Clone)]
pub(super) struct Knocks {
    pub(super) nobody: Result<Answer, String>,
    pub(super) own: Result<Answer, String>,
    pub(super) stranger: Result<Answer, String>,
}

/// Who looks through the front door.
pub(super) struct Visitor {
    base: Url,
    http: reqwest::Client,
}

impl Visitor {
    pub(super) fn new(base: &Url) -> Result<Self, String> {
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .tls_info(true)
            .user_agent(concat!("deepme-doctor/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            base: base.clone(),
            http: http.map_err(|e| e.to_string())?,
        })
    }

    async fn get(&self, path: &str, headers: HeaderMap) -> Result<Answer, String> {
        let url = self.base.join(path).map_err(|e| e.to_string())?;
        let begun = Instant::now();
        let sent = self.http.get(url).headers(headers).send().await;
        let response = sent.map_err(|error| causes(&error.without_url()))?;
        let took = begun.elapsed();
        let certificate = response
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .and_then(|tls| validity(tls.peer_certificate()?));
        let elsewhere = response.headers().get(LOCATION);
        let elsewhere = elsewhere.and_then(|to| response.url().join(to.to_str().ok()?).ok());
        let date = response.headers().get(DATE);
        let date = date.and_then(|date| http_date(date.to_str().ok()?));
        let status = response.status().as_u16();
        let ours = response.text().await.is_ok_and(|body| {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            body.get("schema").is_some() || body.get("code").is_some()
        });
        Ok(Answer {
            status,
            date,
            certificate,
            elsewhere,
            took,
            ours,
        })
    }

    /// `/health`.
    pub(super) async fn health(&self) -> Result<Answer, String> {
        self.get("/health", HeaderMap::new()).await
    }

    /// What comes of handshakes of nobody: each is refused before it begins.
    pub(super) async fn knocks(&self) -> Knocks {
        let own = self.base.origin().ascii_serialization();
        Knocks {
            nobody: self.knock(None).await,
            own: self.knock(Some(&own)).await,
            stranger: self.knock(Some(STRANGER)).await,
        }
    }

    /// A handshake as the page at this origin would send it, or without a page.
    async fn knock(&self, page: Option<&str>) -> Result<Answer, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_static("ZGVlcG1lIGRvY3Rvcg==");
        headers.insert(SEC_WEBSOCKET_KEY, key);
        if let Some(page) = page {
            let page = HeaderValue::try_from(page).map_err(|e| e.to_string())?;
            headers.insert(ORIGIN, page);
        }
        self.get("/ws/emotion", headers).await
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_micros(time.timestamp().as_microsecond()))
}

fn validity(certificate: &[u8]) -> Option<Validity> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let holds = certificate.tbs_certificate.validity;
    let at = |time: x509_cert::time::Time| {
        let micros = i64::try_from(time.to_unix_duration().as_micros()).ok()?;
        Some(Timestamp::from_micros(micros))
    };
    Some(Validity {
        from: at(holds.not_before)?,
        until: at(holds.not_after)?,
    })
}

/// Why a request came to nothing, without the layers of the client that only say that it did.
fn causes(error: &reqwest::Error) -> String {
    let mut whole = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        whole.push(cause.to_string());
        source = cause.source();
    }
    whole.retain(|cause| !cause.starts_with("client error ("));
    if whole.is_empty() {
        return error.to_string();
    }
    whole.join(": ")
}

/// One turn of somebody who is logged in.
pub(super) async fn turn(client: &Client) -> Result<Turn, String> {
    let talk = async {
        let connected = client.connect(&ConnectOptions::default()).await;
        let mut socket = connected.map_err(|e| e.to_string())?;
        let mut heard = None;
        let mut pieces = Vec::new();
        let mut since = Instant::now();
        loop {
            match socket.next().await {
                Event::Frame(ServerFrame::Session(_)) => {
                    let words = ClientFrame::UserInput(UserMessage {
                        user_input: WORDS.to_owned(),
                        ..UserMessage::default()
                    });
                    since = Instant::now();
                    socket.send(&words).await.map_err(|e| e.to_string())?;
                }
                Event::Frame(ServerFrame::Accepted { accepted }) => {
                    heard = Some(accepted.user_input);
                }
                Event::Frame(ServerFrame::Token { .. }) => pieces.push(since.elapsed()),
                Event::Frame(ServerFrame::Done(_)) => break,
                Event::Frame(ServerFrame::Error { error }) => return Err(error.message),
                Event::Closed(code, why) => return Err(format!("it was closed ({code} {why})")),
                Event::Frame(_) | Event::Unknown(_) => {}
            }
        }
        socket.close().await;
        heard
            .map(|heard| Turn { heard, pieces })
            .ok_or_else(|| "the words were never accepted".to_owned())
    };
    let talked = tokio::time::timeout(TURN, talk).await;
    talked.map_err(|_| "the turn did not end in two minutes".to_owned())?
}
