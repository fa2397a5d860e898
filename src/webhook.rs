//! Signed calls to an endpoint of the admin's.
//!
//! Owns [`Webhook`], which makes one call, and [`Event`], what is told. Called by the services. Invariants: an event
//! holds ids, a tier and a time, nothing of what anybody said; whoever has the secret can tell that it comes from this
//! server, and when.
//!
//! The form is that of Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): the headers `webhook-id`,
//! `webhook-timestamp` and `webhook-signature`, which is `v1,` and the base64 of HMAC-SHA256 over the id, the timestamp
//! and the body with dots between them. The id stays the same when a call is tried again.

use crate::config;
use crate::domain::safety::Tier;
use crate::domain::{Error, ErrorCode, Result, SessionId, StepId, Timestamp, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use sha2::Sha256;
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Fewest bytes of a secret.
const SECRET_MIN: usize = 24;
/// Before a secret that is base64.
const ENCODED: &str = "whsec_";

/// Somebody said something that puts them in danger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the event.
    pub id: String,
    /// How much danger.
    pub tier: Tier,
    /// Who.
    pub user_id: UserId,
    /// In which session.
    pub session_id: Option<SessionId>,
    /// In which step; none where the words were refused and are not stored.
    pub step_id: Option<StepId>,
    /// When.
    pub at: Timestamp,
}

/// What is sent.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    tier: &'a str,
    user_id: UserId,
    session_id: Option<SessionId>,
    step_id: Option<StepId>,
}

/// Where and how calls are made.
pub struct Webhook {
    url: reqwest::Url,
    secret: Zeroizing<Vec<u8>>,
    http: reqwest::Client,
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::Config, format!("[webhook]: {what}"))
}

impl Webhook {
    /// What the configuration says; `None` without a URL. `config` when the URL is none, is not HTTPS although it
    /// leads off this machine, or when the secret is missing, too short or cannot be read.
    pub fn new(config: &config::Webhook) -> Result<Option<Self>> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let url = reqwest::Url::parse(&config.url).map_err(|_| wrong("url is not an address"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here(&url)) {
            return Err(wrong(
                "url must begin with https://, for it leads off this machine",
            ));
        }
        let text = if config.secret_file.as_os_str().is_empty() {
            Zeroizing::new(config.secret.expose().to_owned())
        } else {
            let file = &config.secret_file;
            let read = std::fs::read_to_string(file);
            Zeroizing::new(read.map_err(|e| wrong(format!("cannot read {}: {e}", file.display())))?)
        };
        let secret = match text.trim().strip_prefix(ENCODED) {
            Some(encoded) => STANDARD
                .decode(encoded)
                .map_err(|_| wrong("what follows whsec_ in the secret is not base64"))?,
            None => text.trim().as_bytes().to_vec(),
        };
        let secret = Zeroizing::new(secret);
        if secret.len() < SECRET_MIN {
            let message = format!(
                "the secret must have {SECRET_MIN} bytes or more, as of openssl rand -hex 24"
            );
            return Err(wrong(message));
        }
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .user_agent(concat!("deepme/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| wrong("cannot make an HTTP client").with_source(e))?;
        Ok(Some(Self { url, secret, http }))
    }

    /// Tells an event, once. `unavailable` when nobody took it; its message is for the log.
    pub async fn call(&self, event: &Event, now: Timestamp) -> Result<()> {
        let body = serde_json::to_string(&Body {
            r#type: "safety.raised",
            timestamp: event.at,
            data: Data {
                tier: event.tier.as_str(),
                user_id: event.user_id,
                session_id: event.session_id,
                step_id: event.step_id,
            },
        })
        .map_err(Error::internal)?;
        let seconds = now.as_seconds().to_string();
        let answer = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", &seconds)
            .header("webhook-signature", self.sign(&event.id, &seconds, &body)?)
            .body(body)
            .send()
            .await
            // The address may hold a secret of its own.
            .map_err(|error| Error::unavailable(error.without_url()))?;
        let status = answer.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(Error::unavailable(format!("it answered {status}")))
        }
    }

    fn sign(&self, id: &str, seconds: &str, body: &str) -> Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)
            .map_err(|_| Error::internal("a key is of the wrong length"))?;
        for part in [id, ".", seconds, ".", body] {
            mac.update(part.as_bytes());
        }
        Ok(format!(
            "v1,{}",
            STANDARD.encode(mac.finalize().into_bytes())
        ))
    }
}

/// Whether an address leads to this very machine.
fn is_here(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn config(url: &str, secret: &str) -> config::Webhook {
        config::Webhook {
            url: url.to_owned(),
            secret: Secret::new(secret),
            ..config::Webhook::default()
        }
    }

    /// The example of the specification.
    #[test]
    fn the_signature_is_the_standard_one() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let webhook = Webhook::new(&config("https://example.com", secret));
        let signed = webhook.unwrap().unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signed.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_would_not_be_safe_is_refused() {
        let secret = "a secret that is long enough";
        assert!(Webhook::new(&config("", "")).unwrap().is_none());
        for url in [
            "https://example.com/x",
            "http://127.0.0.1:9/x",
            "http://[::1]/x",
            "http://localhost/x",
        ] {
            assert!(
                Webhook::new(&config(url, secret)).unwrap().is_some(),
                "{url}"
            );
        }
        for (url, secret) in [
            ("http://example.com/x", secret),
            ("ftp://127.0.0.1/x", secret),
            ("example.com", secret),
            ("https://example.com", "short"),
            ("https://example.com", ""),
            ("https://example.com", "whsec_~"),
        ] {
            let refused = Webhook::new(&config(url, secret)).err().unwrap();
            assert_eq!(refused.code(), ErrorCode::Config, "{url}");
        }
    }
}
