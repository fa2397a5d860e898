//! The configuration: sections, defaults, a TOML file and the environment over it.
//!
//! Owns [`Config`]. Read once at start by the command line and handed down as values; nothing below
//! reads the environment. Invariant: an unknown key is an error that names it, and a secret shows
//! as `***` wherever a config is printed.

use crate::domain::{Error, ErrorCode, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The listener and its sockets.
    pub server: Server,
    /// Where things are stored.
    pub database: Database,
    /// Accounts and tokens.
    pub auth: Auth,
    /// How models are asked.
    pub llm: Llm,
    /// The models there are, by a name of the admin's choice.
    pub models: BTreeMap<String, Model>,
    /// What the models are told.
    pub prompts: Prompts,
    /// Sizes and rates.
    pub limits: Limits,
    /// Help for people in danger.
    pub safety: Safety,
    /// What is logged.
    pub log: Log,
}

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
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            ping_seconds: 30,
            drain_seconds: 30,
            request_seconds: 10,
            slow_client_seconds: 5,
        }
    }
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://relative/path` or `sqlite:///absolute/path`.
    pub url: String,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite://data/deepme.db".to_owned(),
        }
    }
}

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The file with the key that signs tokens; empty means `token.key` beside the database. It is
    /// made at the first start (mode 0600).
    pub key_file: PathBuf,
    /// Seconds that the token of a login holds.
    pub legacy_ttl: u64,
    /// argon2id memory in KiB (OWASP floor: 19456).
    pub argon2_memory_kib: u32,
    /// argon2id passes (OWASP floor at that memory: 2).
    pub argon2_passes: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            key_file: PathBuf::new(),
            legacy_ttl: 30 * 24 * 3600,
            argon2_memory_kib: 19_456,
            argon2_passes: 2,
        }
    }
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
}

impl Default for Llm {
    fn default() -> Self {
        Self {
            chain: Vec::new(),
            context_tokens: 8000,
            history_steps: 200,
            max_output_tokens: 1024,
            max_output_bytes: 65_536,
            first_token_seconds: 20,
            idle_seconds: 15,
            turn_seconds: 120,
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

/// `[prompts]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prompts {
    /// What happens to a client's `system_prompt`.
    pub client: ClientPrompts,
    /// Which system prompt is used.
    pub language: PromptLanguage,
}

impl Default for Prompts {
    fn default() -> Self {
        Self {
            client: ClientPrompts::Append,
            language: PromptLanguage::Auto,
        }
    }
}

/// What happens to a client's `system_prompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientPrompts {
    /// It goes below the server's own.
    Append,
    /// It is not used.
    Ignore,
}

/// Which system prompt is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptLanguage {
    /// That of the person's words; Korean when they have no letters.
    Auto,
    /// Korean.
    Ko,
    /// English.
    En,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            input_bytes: 16_384,
            message_bytes: 65_536,
            body_bytes: 65_536,
            connections: 20_000,
            turns: 1000,
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

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A secret in the configuration: shown and written as `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "***" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "***" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a secret must be a string"))
    }
}

impl Config {
    /// Reads the file, if there is one, and lays the environment over it.
    ///
    /// `named` is what `--config` or `$DEEPME_CONFIG` say; a file named there must exist. Without
    /// it the first of `./config.toml` and `/etc/deepme/config.toml` is read. `env` yields the
    /// process's variables.
    pub fn load(
        named: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Option<PathBuf>)> {
        let usual = ["config.toml", "/etc/deepme/config.toml"].map(PathBuf::from);
        let path = named
            .map(Path::to_path_buf)
            .or_else(|| usual.into_iter().find(|p| p.is_file()));
        let text = match &path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|e| wrong(format!("cannot read {}: {e}", path.display())))?,
            None => String::new(),
        };
        let source = path.as_ref().map_or_else(
            || "the configuration".to_owned(),
            |p| p.display().to_string(),
        );
        Ok((Self::parse(&text, &source, env)?, path))
    }

    /// The same from a text. `source` names it in errors.
    pub fn parse(
        text: &str,
        source: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let file: Self = toml::from_str(text).map_err(|e| unreadable(text, source, &e))?;
        let mut table: toml::Table =
            toml::from_str(text).map_err(|e| unreadable(text, source, &e))?;
        let mut env: Vec<(String, String)> = env.into_iter().collect();
        env.sort();
        let openai = env.iter().any(|(k, v)| {
            matches!(k.as_str(), "OPENAI_API_KEY" | "OPENAI_BASE_URL") && !v.is_empty()
        });
        let known = known_keys();
        let mut changed = false;
        for (variable, value) in &env {
            if let Some(path) = variable
                .strip_prefix("DEEPME_")
                .filter(|rest| rest.contains("__"))
            {
                overlay(&mut table, &known, variable, &path.to_lowercase(), value)?;
                changed = true;
            }
        }
        let mut config: Self = if changed {
            // A value of a secret may not show up in an error, so the text of the error stays short.
            table
                .try_into()
                .map_err(|e: toml::de::Error| wrong(format!("the environment: {}", e.message())))?
        } else {
            file
        };
        if openai {
            config.add_openai(&env);
        }
        if config.llm.chain.is_empty() {
            let name = if config.models.contains_key("openai") {
                "openai"
            } else {
                "builtin"
            };
            config.llm.chain = vec![name.to_owned()];
        }
        config.check()?;
        Ok(config)
    }

    /// `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `OPENAI_MODEL` fill what the file left open.
    fn add_openai(&mut self, env: &[(String, String)]) {
        let model = self.models.entry("openai".to_owned()).or_default();
        let standard = Model::default();
        for (variable, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
            match variable.as_str() {
                "OPENAI_API_KEY" if model.api_key == standard.api_key => {
                    model.api_key = Secret::new(value);
                }
                "OPENAI_BASE_URL" if model.base_url == standard.base_url => {
                    model.base_url.clone_from(value);
                }
                "OPENAI_MODEL" if model.model == standard.model => model.model.clone_from(value),
                _ => {}
            }
        }
    }

    /// What types cannot say.
    fn check(&self) -> Result<()> {
        for name in &self.llm.chain {
            if name != "builtin" && !self.models.contains_key(name) {
                return Err(wrong(format!(
                    "llm.chain names {name:?}, but there is no [models.{name}]"
                )));
            }
        }
        if self.models.contains_key("builtin") {
            return Err(wrong(
                "[models.builtin]: this name belongs to the built-in listener",
            ));
        }
        for (name, model) in &self.models {
            let ok = reqwest::Url::parse(&model.base_url)
                .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
            if !ok {
                return Err(wrong(format!(
                    "models.{name}.base_url must be an http or https address"
                )));
            }
        }
        let positive = [
            ("server.ping_seconds", self.server.ping_seconds),
            ("server.request_seconds", self.server.request_seconds),
            (
                "server.slow_client_seconds",
                self.server.slow_client_seconds,
            ),
            ("auth.legacy_ttl", self.auth.legacy_ttl),
            ("llm.first_token_seconds", self.llm.first_token_seconds),
            ("llm.idle_seconds", self.llm.idle_seconds),
            ("llm.turn_seconds", self.llm.turn_seconds),
            (
                "llm.max_output_tokens",
                u64::from(self.llm.max_output_tokens),
            ),
            ("llm.max_output_bytes", self.llm.max_output_bytes as u64),
            ("limits.input_bytes", self.limits.input_bytes as u64),
            ("limits.message_bytes", self.limits.message_bytes as u64),
            ("limits.body_bytes", self.limits.body_bytes as u64),
            ("limits.connections", self.limits.connections as u64),
            ("limits.turns", self.limits.turns as u64),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(wrong(format!("{key} must be at least 1")));
            }
        }
        if self.auth.argon2_memory_kib < 19_456 || self.auth.argon2_passes < 2 {
            return Err(wrong(
                "auth.argon2_memory_kib must be at least 19456 and auth.argon2_passes at least 2 (OWASP)",
            ));
        }
        if self.safety.country.len() != 2
            || !self.safety.country.bytes().all(|b| b.is_ascii_uppercase())
        {
            return Err(wrong(
                "safety.country must be two capital letters, such as KR",
            ));
        }
        Ok(())
    }

    /// The configuration as TOML, secrets as `***`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::Config, message)
}

/// What is wrong with a file, and where. The library would quote the line, which may hold a secret:
/// of the line only a key that there is is named.
fn unreadable(text: &str, source: &str, error: &toml::de::Error) -> Error {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    let known = known_keys();
    let known = known
        .values()
        .filter_map(toml::Value::as_table)
        .any(|section| {
            let model = section.get("*").and_then(toml::Value::as_table);
            section.contains_key(key) || model.is_some_and(|model| model.contains_key(key))
        });
    let key = if known {
        format!(" ({key})")
    } else {
        String::new()
    };
    wrong(format!("{source}, line {number}{key}: {}", error.message()))
}

/// Every key with a value of its type; a model's stand under `models.*`.
fn known_keys() -> toml::Table {
    let mut known = toml::Table::try_from(Config::default()).unwrap_or_default();
    let mut any = toml::Table::new();
    any.insert(
        "*".to_owned(),
        toml::Table::try_from(Model::default())
            .unwrap_or_default()
            .into(),
    );
    known.insert("models".to_owned(), any.into());
    known
}

/// Sets one key of `table`; the value is read as the type that `known` has there.
fn overlay(
    table: &mut toml::Table,
    known: &toml::Table,
    variable: &str,
    path: &str,
    value: &str,
) -> Result<()> {
    let keys: Vec<&str> = path.split("__").collect();
    let (last, sections) = keys
        .split_last()
        .ok_or_else(|| wrong(format!("{variable} names no key")))?;
    let unknown = || wrong(format!("{variable}: there is no key {}", keys.join(".")));
    let mut known = known;
    let mut table = table;
    for section in sections {
        known = known
            .get(*section)
            .or_else(|| known.get("*"))
            .and_then(toml::Value::as_table)
            .ok_or_else(unknown)?;
        table = table
            .entry(*section)
            .or_insert_with(|| toml::Table::new().into())
            .as_table_mut()
            .ok_or_else(unknown)?;
    }
    let parsed = match known.get(*last).ok_or_else(unknown)? {
        toml::Value::Integer(_) => value.parse().ok().map(toml::Value::Integer),
        toml::Value::Float(_) => value.parse().ok().map(toml::Value::Float),
        toml::Value::Boolean(_) => value.parse().ok().map(toml::Value::Boolean),
        toml::Value::Array(_) => {
            let items = value
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Some(toml::Value::Array(
                items.map(|item| item.to_owned().into()).collect(),
            ))
        }
        toml::Value::String(_) | toml::Value::Datetime(_) => Some(value.to_owned().into()),
        toml::Value::Table(_) => None,
    };
    table.insert(
        (*last).to_owned(),
        parsed.ok_or_else(|| wrong(format!("{variable}: the value has the wrong type")))?,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_example_is_the_defaults_key_by_key() {
        let example: toml::Table = toml::from_str(include_str!("../config.toml.example")).unwrap();
        let mut defaults = toml::Table::try_from(Config::default()).unwrap();
        defaults.remove("models");
        assert_eq!(example, defaults);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = Config::parse("[server]\nlisten_on = 1", "config.toml", []).unwrap_err();
        assert!(error.message().contains("listen_on"), "{error}");
        let error = Config::parse("", "x", env(&[("DEEPME_SERVER__LISTEN_ON", "1")])).unwrap_err();
        assert!(
            error.message().contains("DEEPME_SERVER__LISTEN_ON"),
            "{error}"
        );
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = Config::parse(
            "[server]\nlisten = \"127.0.0.1:1\"\n[models.gpt]\nmodel = \"a\"",
            "config.toml",
            env(&[
                ("DEEPME_SERVER__LISTEN", "127.0.0.1:2"),
                ("DEEPME_LLM__CHAIN", "gpt, builtin"),
                ("DEEPME_LLM__CONTEXT_TOKENS", "5"),
                ("DEEPME_MODELS__GPT__API_KEY", "123"),
                ("DEEPME_CONFIG", "ignored here"),
            ]),
        )
        .unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.llm.chain, ["gpt", "builtin"]);
        assert_eq!(config.llm.context_tokens, 5);
        assert_eq!(config.models["gpt"].api_key.expose(), "123");
        assert_eq!(config.models["gpt"].model, "a");
    }

    #[test]
    fn openai_is_chosen_when_its_variables_are_set() {
        assert_eq!(Config::parse("", "x", []).unwrap().llm.chain, ["builtin"]);
        for variable in ["OPENAI_API_KEY", "OPENAI_BASE_URL"] {
            let config =
                Config::parse("", "x", env(&[(variable, "http://localhost:1/v1")])).unwrap();
            assert_eq!(config.llm.chain, ["openai"]);
        }
        assert_eq!(
            Config::parse("", "x", env(&[("OPENAI_API_KEY", "")]))
                .unwrap()
                .llm
                .chain,
            ["builtin"]
        );
    }

    #[test]
    fn secrets_do_not_show() {
        let config = Config::parse("", "x", env(&[("OPENAI_API_KEY", "sk-canary")])).unwrap();
        assert!(!format!("{config:?}{}", config.to_toml()).contains("canary"));
        let wrong = Config::parse("[models.a]\napi_key = 5\n", "x", []).unwrap_err();
        assert!(!wrong.message().contains("canary"));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (key, value) in [
            ("DEEPME_LLM__CHAIN", "nobody"),
            ("DEEPME_LLM__TURN_SECONDS", "0"),
            ("DEEPME_LLM__TURN_SECONDS", "soon"),
            ("DEEPME_AUTH__ARGON2_PASSES", "1"),
            ("DEEPME_SAFETY__COUNTRY", "kr"),
            ("DEEPME_MODELS__X__BASE_URL", "ftp://x"),
            ("DEEPME_MODELS__BUILTIN__MODEL", "x"),
            ("DEEPME_SERVER__LISTEN", "nowhere"),
        ] {
            assert!(
                Config::parse("", "x", env(&[(key, value)])).is_err(),
                "{key}={value}"
            );
        }
    }
}
