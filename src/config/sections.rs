//! The sections of the configuration and their defaults.
//!
//! Invariant: every key has a default that serves a stranger, and a unit in its name or its comment.

use super::{DatabaseUrl, Network, Origin, Secret};
use crate::domain::user::PASSWORD_MIN;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[server]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Seconds between protocol pings on a socket; a peer silent for two of them is closed.
    pub ping_seconds: u64,
    /// Seconds that running turns have to finish after SIGTERM.
    pub drain_seconds: u64,
    /// Seconds that a client may take to send its request head, and then its body.
    pub request_seconds: u64,
    /// Seconds that a socket may refuse to take what is written before it is closed with 1013.
    pub slow_client_seconds: u64,
    /// Whether a proxy in front ends TLS. Without it only this machine may reach `listen`.
    pub behind_tls: bool,
    /// Addresses or networks (CIDR) of the proxies in front, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Origins of pages elsewhere that may open sockets and read answers (CORS). The server's own is always
    /// allowed, and so is who sends none: no browser.
    pub origins: Vec<Origin>,
    /// Whether `/` is a page to talk in, from a browser.
    pub page: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            ping_seconds: 30,
            drain_seconds: 30,
            request_seconds: 10,
            slow_client_seconds: 5,
            behind_tls: false,
            trusted_proxies: Vec::new(),
            origins: Vec::new(),
            page: true,
        }
    }
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://relative/path`, `sqlite:///absolute/path` or `postgres://user@host/database`.
    pub url: DatabaseUrl,
    /// A file with the password for PostgreSQL, instead of one in the URL.
    pub password_file: PathBuf,
    /// PostgreSQL: most connections at once for statements; one more listens for news.
    pub connections: u32,
    /// PostgreSQL: seconds that opening a connection may take.
    pub connect_seconds: u64,
    /// PostgreSQL: seconds that an answer may take, the wait for a connection included.
    pub answer_seconds: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: DatabaseUrl::new("sqlite://data/deepme.db"),
            password_file: PathBuf::new(),
            connections: 16,
            connect_seconds: 2,
            answer_seconds: 3,
        }
    }
}

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The file with the key that signs tokens (mode 0600). Empty means `token.key` beside a SQLite
    /// file, made at the first start; with PostgreSQL `data/token.key`, made by `deepme keys init`.
    pub key_file: PathBuf,
    /// The file with the key that wraps the keys which people's words are sealed with (mode 0600). Empty
    /// means `master.key` beside a SQLite file, made at the first start; with PostgreSQL
    /// `data/master.key`, made by `deepme keys init`. Without it nothing that was said can be read.
    pub master_key_file: PathBuf,
    /// The line of such a file, instead of one; several for a rotation.
    pub master_key: Secret,
    /// Who may make an account over the network.
    pub registration: Registration,
    /// Characters that a new password must have, 10 to 64.
    pub password_min: usize,
    /// Seconds that an access token holds of a client that refreshes.
    pub access_ttl: u64,
    /// Seconds that a login holds that is not refreshed.
    pub refresh_ttl: u64,
    /// Seconds that the access token holds of a client that does not refresh.
    pub legacy_ttl: u64,
    /// Whether `?access_token=` is a credential in the handshake of a socket. URLs end up in logs and histories.
    pub query_token: bool,
    /// Whether `POST /register/guest` gives whoever asks an account without address and password.
    pub guests: bool,
    /// argon2id memory in KiB (OWASP floor: 19456).
    pub argon2_memory_kib: u32,
    /// argon2id passes (OWASP floor at that memory: 2).
    pub argon2_passes: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            key_file: PathBuf::new(),
            master_key_file: PathBuf::new(),
            master_key: Secret::default(),
            registration: Registration::Open,
            password_min: PASSWORD_MIN,
            access_ttl: 900,
            refresh_ttl: 60 * 24 * 3600,
            legacy_ttl: 30 * 24 * 3600,
            query_token: false,
            guests: false,
            argon2_memory_kib: 19_456,
            argon2_passes: 2,
        }
    }
}

/// Who may make an account over the network; `deepme user add` always makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody.
    Open,
    /// Who brings a code of `deepme user invite`.
    Invite,
    /// Nobody.
    Closed,
}

/// `[llm]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Llm {
    /// Names of models in the order in which they are asked; `builtin` is always there. Empty means
    /// `openai` when `OPENAI_API_KEY` or `OPENAI_BASE_URL` is set, else `builtin`.
    pub chain: Vec<String>,
    /// Tokens that the system prompt, the history and the newest words may have together.
    pub context_tokens: usize,
    /// Newest steps that are considered for the history at all.
    pub history_steps: u32,
    /// Whether the oldest steps are folded into a summary, written by a model, when they no longer fit.
    pub summaries: bool,
    /// Whether a session that ends gets a summary card, written by a model where there is one.
    pub cards: bool,
    /// Most tokens an answer may have.
    pub max_output_tokens: u32,
    /// Most bytes an answer may have, whatever the model counts.
    pub max_output_bytes: usize,
    /// Seconds until the first token must have come.
    pub first_token_seconds: u64,
    /// Seconds that may pass between two tokens.
    pub idle_seconds: u64,
    /// Seconds that a turn may take.
    pub turn_seconds: u64,
    /// How often a model is asked before its first token, when it fails in a way that may pass.
    pub tries: u32,
    /// Seconds that all tries of a turn together may be spread over.
    pub retry_seconds: u64,
    /// Turns in a row that a model must fail to be left alone for a while.
    pub breaker_failures: u32,
    /// Seconds that it is left alone.
    pub breaker_seconds: u64,
}

impl Default for Llm {
    fn default() -> Self {
        Self {
            chain: Vec::new(),
            context_tokens: 8000,
            history_steps: 200,
            summaries: true,
            cards: true,
            max_output_tokens: 1024,
            max_output_bytes: 65_536,
            first_token_seconds: 20,
            idle_seconds: 15,
            turn_seconds: 120,
            tries: 3,
            retry_seconds: 10,
            breaker_failures: 5,
            breaker_seconds: 30,
        }
    }
}

/// `[models.NAME]`: an endpoint of the Chat Completions API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Up to and without `/chat/completions`.
    pub base_url: String,
    /// What to ask it for.
    pub model: String,
    /// Its key; empty sends none.
    pub api_key: Secret,
    /// A file that holds the key, instead of `api_key`.
    pub api_key_file: PathBuf,
    /// Sampling temperature, 0 to 2; negative leaves it to the provider.
    pub temperature: f32,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            api_key: Secret::default(),
            api_key_file: PathBuf::new(),
            temperature: -1.0,
        }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most bytes of one `user_input`.
    pub input_bytes: usize,
    /// Most bytes of one WebSocket message.
    pub message_bytes: usize,
    /// Most bytes of a request body.
    pub body_bytes: usize,
    /// Most connections at once, of all kinds.
    pub connections: usize,
    /// Most turns at once.
    pub turns: usize,
    /// Most turns of one person at once, on one instance; 0 for no limit.
    pub turns_a_user: usize,
    /// Most sockets of one person at once, on one instance; 0 for no limit.
    pub sockets_a_user: usize,
    /// Most sockets from one address at once, on one instance; 0 for no limit. An IPv6 address counts
    /// by its /64. Loopback is not counted: that is a proxy that `server.trusted_proxies` does not name.
    pub sockets_an_address: usize,
    /// Wrong passwords or codes at an account, existing or not, before each further one costs a wait of 1 s,
    /// 2 s and so on up to a minute, on one instance; 0 for no wait.
    pub login_failures: u32,
    /// The same from an address, counted as for sockets.
    pub login_failures_an_address: u32,
    /// Messages that one person may send a minute, on one instance; 0 for no limit.
    pub messages_a_minute: u32,
    /// Tokens, read and written, that one person may use on a day of UTC; 0 for no limit.
    pub tokens_a_day: u32,
    /// Guests that may come from one address an hour, to one instance; 0 for no limit. Addresses count as for
    /// sockets.
    pub accounts_an_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: 16_384,
            message_bytes: 65_536,
            body_bytes: 65_536,
            connections: 20_000,
            turns: 1000,
            turns_a_user: 8,
            sockets_a_user: 32,
            sockets_an_address: 256,
            login_failures: 5,
            login_failures_an_address: 20,
            messages_a_minute: 60,
            tokens_a_day: 3_000_000,
            accounts_an_hour: 20,
        }
    }
}

/// `[retention]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days after its last message for which what was said in a session is kept; 0 for ever. Then the session
    /// is ended, and its steps and its summary are deleted.
    pub text_days: u32,
    /// Days after its last message for which a session is kept at all, with its labels; 0 for ever.
    pub cards_days: u32,
    /// Days for which it is kept who read a person's words; 0 as long as the account.
    pub audit_days: u32,
}

/// `[backup]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Where `deepme backup create` puts backups and their keyring. Who is erased is taken out of this keyring at
    /// once.
    pub directory: PathBuf,
    /// Backups that are kept there, 1 or more; older ones go once a new one was read back.
    pub keep: u32,
    /// Hours after which the newest backup is too old for `deepme doctor`; 0 for never.
    pub max_age_hours: u32,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("backups"),
            keep: 14,
            max_age_hours: 36,
        }
    }
}

/// `[safety]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Safety {
    /// ISO 3166-1 alpha-2 code of the country whose helplines are named first.
    pub country: String,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            country: "KR".to_owned(),
        }
    }
}

/// `[webhook]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Where it is told that somebody is in danger, without what they said; empty for nowhere. HTTPS, unless it is
    /// on this machine.
    pub url: String,
    /// What calls are signed with: 24 bytes or more, or `whsec_` and their base64.
    pub secret: Secret,
    /// A file with the secret, instead.
    pub secret_file: PathBuf,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,deepme::http=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// `[metrics]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Address and port of a listener of its own; empty for none.
    pub listen: String,
}

impl Metrics {
    /// Where to listen; `None` for nowhere, and for what is no address, which no configuration that was
    /// checked has.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// To the journal of systemd, with fields; as text to stderr where there is none.
    Journald,
}
