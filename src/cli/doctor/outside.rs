//! How a server looks from where its people are.
//!
//! Owns what is asked through the front door, and what the answers mean. Called by `deepme doctor --url`. Invariants: without a login nothing is
//! stored and nobody is woken up: a handshake is refused before it begins; with one, a session of that account has
//! one more turn.

use super::findings::{Finding, clock, fail, ok, warn};
use crate::client::{Client, ConnectOptions, Event};
use crate::domain::Timestamp;
use crate::wire::ws::{ClientFrame, ServerFrame, UserMessage};
use reqwest::Url;
use reqwest::header::{
    CONNECTION, DATE, HeaderMap, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use std::time::Duration;
use tokio::time::Instant;
use x509_cert::der::Decode as _;

/// How long anything may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a turn may take.
const TURN: Duration = Duration::from_mins(2);
/// Days before its end at which a certificate should have been renewed: Let's Encrypt renews at 30.
const EXPIRES_SOON: u64 = 14;
/// Said to the model. It must come back as it is.
pub(super) const WORDS: &str = "점검 중이에요. 하나부터 다섯까지 세어 주세요. 👩‍👩‍👧";
/// A page that no server is of.
const STRANGER: &str = "https://stranger.invalid";

/// What came back of a request.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The time that it says it is.
    pub(super) date: Option<Timestamp>,
    /// When the certificate ends.
    pub(super) expires: Option<Timestamp>,
    pub(super) took: Duration,
    /// Whether the body is what deepme says.
    pub(super) ours: bool,
}

/// What a turn looked like.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    /// The words as the server has them.
    pub(super) heard: String,
    /// When the pieces of the answer came, since the words were accepted.
    pub(super) pieces: Vec<Duration>,
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
        let response = sent.map_err(|error| {
            let error = error.without_url();
            let mut why = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                why = format!("{why}: {cause}");
                source = cause.source();
            }
            why
        })?;
        let took = begun.elapsed();
        let expires = response
            .extensions()
            .get::<reqwest::tls::TlsInfo>()
            .and_then(|tls| expiry(tls.peer_certificate()?));
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
            expires,
            took,
            ours,
        })
    }

    /// `/health`.
    pub(super) async fn health(&self) -> Result<Answer, String> {
        self.get("/health", HeaderMap::new()).await
    }

    /// A handshake of nobody, as a page of elsewhere would send it or without a page: refused before it begins.
    pub(super) async fn knock(&self, from_a_page: bool) -> Result<Answer, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_static("ZGVlcG1lIGRvY3Rvcg==");
        headers.insert(SEC_WEBSOCKET_KEY, key);
        if from_a_page {
            headers.insert(ORIGIN, HeaderValue::from_static(STRANGER));
        }
        self.get("/ws/emotion", headers).await
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_micros(time.timestamp().as_microsecond()))
}

fn expiry(certificate: &[u8]) -> Option<Timestamp> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let end = certificate.tbs_certificate.validity.not_after;
    let micros = i64::try_from(end.to_unix_duration().as_micros()).ok()?;
    Some(Timestamp::from_micros(micros))
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
                    socket.send(&words).await.map_err(|e| e.to_string())?;
                }
                Event::Frame(ServerFrame::Accepted { accepted }) => {
                    heard = Some(accepted.user_input);
                    since = Instant::now();
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

/// What `/health` and the way to it look like.
pub(super) fn health(base: &Url, answer: &Result<Answer, String>, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "health";
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            return vec![fail(
                CHECK,
                format!("{base} does not answer: {why}"),
                "look at the name, the certificate, and whether proxy and server run: systemctl status deepme",
            )];
        }
    };
    let mut found = vec![tls(base, answer.expires, now)];
    found.push(match answer.status {
        200 if answer.ours => ok(CHECK, format!("/health is well and took {} ms", answer.took.as_millis())),
        503 if answer.ours => fail(CHECK, "/health is 503: the database does not answer, or the server drains", "journalctl -u deepme"),
        status => fail(
            CHECK,
            format!("/health is answered with HTTP {status}, by something that is not deepme"),
            "let the proxy hand everything on to server.listen (docs/operations.md, Behind a proxy)",
        ),
    });
    if let Some(date) = answer.date {
        // It is told to the second.
        found.push(clock("the server", date.as_micros() - now.as_micros()));
    }
    found
}

fn tls(base: &Url, expires: Option<Timestamp>, now: Timestamp) -> Finding {
    const CHECK: &str = "tls";
    let here = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if base.scheme() == "http" && here {
        return ok(CHECK, "not needed: the server is asked on this machine");
    }
    if base.scheme() == "http" {
        return fail(
            CHECK,
            "what people say travels in the clear: the address begins with http",
            "a proxy that ends TLS (docs/operations.md, Behind a proxy)",
        );
    }
    let Some(expires) = expires else {
        return ok(CHECK, "the certificate is accepted");
    };
    let days = expires.since(now).as_secs() / (24 * 3600);
    let says = format!("the certificate is accepted and holds {days} days");
    if days < EXPIRES_SOON {
        warn(
            CHECK,
            says,
            "renew it: certbot renew, or see why Caddy has not",
        )
    } else {
        ok(CHECK, says)
    }
}

/// Whether a handshake gets through, and one of a page of elsewhere does not.
pub(super) fn handshake(
    nobody: &Result<Answer, String>,
    page: &Result<Answer, String>,
) -> Vec<Finding> {
    const CHECK: &str = "websocket";
    let fix = "Upgrade and Connection must be handed on (docs/operations.md, Behind a proxy)";
    let through = match nobody {
        Err(why) => fail(
            CHECK,
            format!("the handshake does not get through: {why}"),
            fix,
        ),
        Ok(answer) => match answer.status {
            401 if answer.ours => ok(
                CHECK,
                "the handshake gets through, and nobody is let in without a login",
            ),
            429 | 503 => warn(
                CHECK,
                format!(
                    "the server takes no sockets at the moment (HTTP {})",
                    answer.status
                ),
                "journalctl -u deepme",
            ),
            400 | 426 if answer.ours => fail(CHECK, "the proxy takes the Upgrade header away", fix),
            101 => fail(
                CHECK,
                "somebody without a login was let in: this is not deepme",
                fix,
            ),
            status => fail(
                CHECK,
                format!("the handshake is answered with HTTP {status}"),
                fix,
            ),
        },
    };
    let stranger = match page {
        Err(_) => return vec![through],
        Ok(answer) if answer.status == 403 => ok("origin", "a page of elsewhere is refused"),
        Ok(answer) if matches!(answer.status, 429 | 503) => return vec![through],
        Ok(answer) => fail(
            "origin",
            format!(
                "the handshake of a page at {STRANGER} is answered with HTTP {} instead of 403",
                answer.status
            ),
            "the proxy must hand Origin and Host on as they are; server.origins must not name it",
        ),
    };
    vec![through, stranger]
}

/// Pieces that come within this have come together: no model is as fast after it was so slow.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Pieces of an answer by which it can be told whether something holds them back.
const ENOUGH: usize = 5;

/// Whether words and answers come through as they are and when they are.
pub(super) fn conversation(turn: &Result<Turn, String>) -> Vec<Finding> {
    let turn = match turn {
        Ok(turn) => turn,
        Err(why) => {
            return vec![fail(
                "turn",
                format!("a turn did not work: {why}"),
                "journalctl -u deepme; deepme doctor --models on the server",
            )];
        }
    };
    let hangul = if turn.heard == WORDS {
        ok("hangul", "Hangul and emoji arrive as they were sent")
    } else {
        fail(
            "hangul",
            "Hangul does not arrive as it was sent",
            "look for something between that rewrites what it does not know",
        )
    };
    let count = turn.pieces.len();
    let streaming = match (turn.pieces.first(), turn.pieces.last()) {
        (Some(first), Some(last)) if count >= ENOUGH => {
            let (whole, spread) = (*last, last.saturating_sub(*first));
            let says = format!(
                "{count} pieces of an answer came over {} ms, the first after {} ms",
                spread.as_millis(),
                first.as_millis()
            );
            if whole > Duration::from_secs(1) && spread < AT_ONCE {
                warn(
                    "streaming",
                    format!("{says}: something holds them back until the end"),
                    "proxy_buffering off (nginx), flush_interval -1 (Caddy)",
                )
            } else {
                ok("streaming", says)
            }
        }
        _ => ok(
            "streaming",
            format!(
                "the answer came in {count} pieces, too few to tell whether they are held back"
            ),
        ),
    };
    vec![hangul, streaming]
}
