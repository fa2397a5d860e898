//! The configuration: sections, defaults, a TOML file and the environment over it.
//!
//! Owns [`Config`]. Read at start by the command line, and again at SIGHUP, and handed down as values;
//! nothing below reads the environment. Invariant: an unknown key is an error that names it, and a secret shows
//! as `***` wherever a config is printed.

mod database_url;
mod network;
mod origin;
mod overlay;
mod prompts;
mod reload;
mod secret;
mod sections;
mod users;

pub use database_url::DatabaseUrl;
pub use network::Network;
pub use origin::Origin;
pub use prompts::{ClientPrompts, PromptLanguage, Prompts, PromptsAb};
pub use reload::Reload;
pub use secret::Secret;
pub use sections::{
    Auth, Backup, Database, Limits, Llm, Log, LogFormat, Metrics, Model, Registration, Retention,
    Safety, Server, Webhook,
};
pub use users::{DeclaredUser, FirstPassword};

use crate::domain::user::PASSWORD_MIN;
use crate::domain::{Error, ErrorCode, Result};
use overlay::{known_keys, overlay};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// How long things are kept.
    pub retention: Retention,
    /// Where backups are made, and how many are kept.
    pub backup: Backup,
    /// Help for people in danger.
    pub safety: Safety,
    /// Where it is told that somebody is in danger.
    pub webhook: Webhook,
    /// What is logged.
    pub log: Log,
    /// Where the figures of the server can be read.
    pub metrics: Metrics,
    /// Accounts that a start makes when they are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<DeclaredUser>,
}

/// Most bytes of an answer that can be allowed: escaped as JSON, six times as many, they are still
/// one message.
const MOST_OUTPUT: usize = 128 * 1024;

/// Longest answer of a database: words whose fate is unknown are looked for as long as a turn's lease of
/// 15 s holds, and a statement may begin late and take as long again.
const MOST_ANSWER_SECONDS: u64 = 7;

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
            ("auth.access_ttl", self.auth.access_ttl),
            ("auth.refresh_ttl", self.auth.refresh_ttl),
            ("auth.legacy_ttl", self.auth.legacy_ttl),
            ("llm.first_token_seconds", self.llm.first_token_seconds),
            ("llm.idle_seconds", self.llm.idle_seconds),
            ("llm.turn_seconds", self.llm.turn_seconds),
            ("llm.tries", u64::from(self.llm.tries)),
            ("llm.breaker_failures", u64::from(self.llm.breaker_failures)),
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
            ("backup.keep", u64::from(self.backup.keep)),
            ("database.connections", u64::from(self.database.connections)),
            ("database.connect_seconds", self.database.connect_seconds),
            ("database.answer_seconds", self.database.answer_seconds),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(wrong(format!("{key} must be at least 1")));
            }
        }
        if self.llm.max_output_bytes > MOST_OUTPUT {
            return Err(wrong(format!(
                "llm.max_output_bytes must be at most {MOST_OUTPUT}"
            )));
        }
        if self.database.answer_seconds > MOST_ANSWER_SECONDS {
            return Err(wrong(format!(
                "database.answer_seconds must be at most {MOST_ANSWER_SECONDS}"
            )));
        }
        if !self.metrics.listen.is_empty() && self.metrics.address().is_none() {
            return Err(wrong(
                "metrics.listen must be an address and port, such as 127.0.0.1:9464, or empty",
            ));
        }
        if self.auth.argon2_memory_kib < 19_456 || self.auth.argon2_passes < 2 {
            return Err(wrong(
                "auth.argon2_memory_kib must be at least 19456 and auth.argon2_passes at least 2 (OWASP)",
            ));
        }
        if !(PASSWORD_MIN..=64).contains(&self.auth.password_min) {
            return Err(wrong(format!(
                "auth.password_min must be {PASSWORD_MIN} to 64"
            )));
        }
        if self.safety.country.len() != 2
            || !self.safety.country.bytes().all(|b| b.is_ascii_uppercase())
        {
            return Err(wrong(
                "safety.country must be two capital letters, such as KR",
            ));
        }
        for (key, split) in [("ko", self.prompts.ab.ko), ("en", self.prompts.ab.en)] {
            if split.percent > 100 || split.version < 0 {
                return Err(wrong(format!(
                    "prompts.ab.{key}: percent must be 0 to 100, and version a version of the prompt"
                )));
            }
        }
        users::check(&self.users)
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
        let example: toml::Table =
            toml::from_str(include_str!("../../config.toml.example")).unwrap();
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
            ("DEEPME_AUTH__PASSWORD_MIN", "9"),
            ("DEEPME_SAFETY__COUNTRY", "kr"),
            ("DEEPME_MODELS__X__BASE_URL", "ftp://x"),
            ("DEEPME_MODELS__BUILTIN__MODEL", "x"),
            ("DEEPME_SERVER__LISTEN", "nowhere"),
            ("DEEPME_SERVER__ORIGINS", "*"),
            (
                "DEEPME_SERVER__ORIGINS",
                "https://a.example,https://b.example/",
            ),
            ("DEEPME_METRICS__LISTEN", "localhost"),
        ] {
            assert!(
                Config::parse("", "x", env(&[(key, value)])).is_err(),
                "{key}={value}"
            );
        }
    }
}
