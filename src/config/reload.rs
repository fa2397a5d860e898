//! What a running server takes over from a configuration that was read again.
//!
//! Owns [`Reload`]. Called by `serve` at SIGHUP. Pure. Invariants: what is in force afterwards is told
//! apart from what waits for the next start; keys are named, values never.

use super::Config;
use std::collections::BTreeMap;

/// What comes of reading the configuration again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reload {
    /// What is in force from now on.
    pub config: Config,
    /// The keys that hold another value from now on.
    pub changed: Vec<String>,
    /// The keys that were changed, too, but hold their old value until the next start.
    pub waiting: Vec<String>,
}

impl Config {
    /// Takes over from `new` what can change while a server runs.
    pub fn reload(&self, new: &Self) -> Reload {
        let mut config = self.clone();
        config.take_over(new);
        Reload {
            changed: self.differences(&config),
            waiting: config.differences(new),
            config,
        }
    }

    /// What is read anew for every message, turn or request; the rest is built into what was started.
    fn take_over(&mut self, new: &Self) {
        self.prompts.clone_from(&new.prompts);
        self.safety.clone_from(&new.safety);
        self.retention.clone_from(&new.retention);
        self.log.level.clone_from(&new.log.level);
        let started = (self.limits.connections, self.limits.turns);
        self.limits.clone_from(&new.limits);
        (self.limits.connections, self.limits.turns) = started;
    }

    /// The keys in which two configurations differ, in alphabetical order. A model that only one of
    /// them has is one key.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mut one, mut two) = (self.values(), other.values());
        for name in self.models.keys().chain(other.models.keys()) {
            if self.models.contains_key(name) != other.models.contains_key(name) {
                let key = format!("models.{name}");
                let keys_of_it = format!("{key}.");
                for side in [&mut one, &mut two] {
                    side.retain(|key, _| !key.starts_with(&keys_of_it));
                }
                one.insert(key.clone(), self.models.contains_key(name).to_string());
                two.insert(key, other.models.contains_key(name).to_string());
            }
        }
        let keys = one.keys().chain(two.keys());
        let mut differ: Vec<String> = keys
            .filter(|key| one.get(*key) != two.get(*key))
            .cloned()
            .collect();
        differ.sort();
        differ.dedup();
        differ
    }

    /// Every key and its value, to be compared only: the secrets are among them.
    fn values(&self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        let table = toml::Table::try_from(self).unwrap_or_default();
        flatten(&table, "", &mut values);
        let url = self.database.url.expose().to_owned();
        values.insert("database.url".to_owned(), url);
        for (name, model) in &self.models {
            let key = model.api_key.expose().to_owned();
            values.insert(format!("models.{name}.api_key"), key);
        }
        values
    }
}

fn flatten(table: &toml::Table, above: &str, values: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = format!("{above}{key}");
        match value {
            toml::Value::Table(inner) => flatten(inner, &format!("{key}."), values),
            value => {
                values.insert(key, value.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        Config::parse(text, "x", []).unwrap()
    }

    #[test]
    fn what_can_change_changes_and_the_rest_is_named() {
        let old = parsed("");
        let new = parsed(
            "[server]\nlisten = \"127.0.0.1:1\"\n[prompts]\nclient = \"ignore\"\n[log]\nlevel = \"debug\"\n\
             format = \"json\"\n[limits]\nturns = 7\ntokens_a_day = 5\n[safety]\ncountry = \"US\"",
        );
        let reload = old.reload(&new);
        assert_eq!(
            reload.changed,
            [
                "limits.tokens_a_day",
                "log.level",
                "prompts.client",
                "safety.country"
            ]
        );
        assert_eq!(
            reload.waiting,
            ["limits.turns", "log.format", "server.listen"]
        );
        assert_eq!(reload.config.prompts, new.prompts);
        assert_eq!(reload.config.limits.tokens_a_day, 5);
        assert_eq!(reload.config.limits.turns, old.limits.turns);
        assert_eq!(reload.config.server, old.server);
        // Every change is told once, and nothing else.
        let again = reload.config.reload(&new);
        assert!(again.changed.is_empty());
        assert_eq!(again.waiting, reload.waiting);
        assert_eq!(old.reload(&old).config, old);
    }

    #[test]
    fn a_secret_that_changed_is_named_and_not_shown() {
        let model = |key: &str| parsed(&format!("[models.a]\napi_key = \"{key}\""));
        let reload = model("sk-canary-1").reload(&model("sk-canary-2"));
        assert_eq!(reload.waiting, ["models.a.api_key"]);
        assert!(!format!("{reload:?}").contains("canary"));
        let url = |password: &str| {
            parsed(&format!(
                "[database]\nurl = \"postgres://me:{password}@db/x\""
            ))
        };
        assert_eq!(
            url("one").differences(&url("two")),
            ["database.url"],
            "both are shown with ***"
        );
    }

    #[test]
    fn a_model_that_is_new_or_gone_is_one_key() {
        let with = parsed("[models.a]\n[models.ab]\n[llm]\nchain = [\"builtin\"]");
        let without = parsed("[models.ab]\n[llm]\nchain = [\"builtin\"]");
        assert_eq!(without.differences(&with), ["models.a"]);
        assert_eq!(with.differences(&without), ["models.a"]);
    }
}
