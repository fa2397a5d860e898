//! The configuration of a running server: what holds to its end, and what may change before.
//!
//! Owns [`Fixed`] and [`Settings`]. Called by everything that needs a setting. Invariants: a section
//! stands in one of the two only, so that nobody reads a value that does not hold any more; who needs
//! several settings that belong together takes them at once, and keeps them.

use super::App;
use super::pace::Pace;
use crate::config::{Auth, Config, Limits, Llm, Prompts, Retention, Safety, Server};
use crate::domain::UserId;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// What holds from the start to the end.
#[derive(Debug)]
pub struct Fixed {
    /// The listener and its sockets.
    pub server: Server,
    /// Accounts and tokens.
    pub auth: Auth,
    /// How models are asked.
    pub llm: Llm,
}

/// What may change while the server runs.
pub struct Settings {
    /// What the models are told.
    pub prompts: Prompts,
    /// Help for people in danger.
    pub safety: Safety,
    /// How long things are kept.
    pub retention: Retention,
    /// Sizes and rates. Those of the whole server, `connections` and `turns`, never change.
    pub limits: Limits,
    /// How fast each person may speak.
    pub(super) pace: Arc<Pace<UserId>>,
    /// How fast accounts may be made from each address.
    pub(super) newcomers: Arc<Pace<IpAddr>>,
}

/// The settings that hold now.
pub(super) struct Current(RwLock<Arc<Settings>>);

/// Both parts of a configuration.
pub(super) fn split(config: Config) -> (Fixed, Current) {
    let settings = Settings {
        pace: Arc::new(Pace::a_minute(config.limits.messages_a_minute)),
        newcomers: Arc::new(Pace::an_hour(config.limits.accounts_an_hour)),
        prompts: config.prompts,
        safety: config.safety,
        retention: config.retention,
        limits: config.limits,
    };
    let fixed = Fixed {
        server: config.server,
        auth: config.auth,
        llm: config.llm,
    };
    (fixed, Current(RwLock::new(Arc::new(settings))))
}

impl App {
    /// What does not change while the server runs.
    pub fn config(&self) -> &Fixed {
        &self.config
    }

    /// What holds at the moment.
    pub fn settings(&self) -> Arc<Settings> {
        let current = self.settings.0.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what may change of a configuration that was checked and comes from
    /// [`Config::reload`]. Turns that run keep what they began with.
    pub fn adopt(&self, config: &Config) {
        let before = self.settings();
        let messages = config.limits.messages_a_minute;
        let pace = if messages == before.limits.messages_a_minute {
            Arc::clone(&before.pace)
        } else {
            Arc::new(Pace::a_minute(messages))
        };
        let newcomers = if config.limits.accounts_an_hour == before.limits.accounts_an_hour {
            Arc::clone(&before.newcomers)
        } else {
            Arc::new(Pace::an_hour(config.limits.accounts_an_hour))
        };
        let settings = Arc::new(Settings {
            prompts: config.prompts.clone(),
            safety: config.safety.clone(),
            retention: config.retention.clone(),
            limits: config.limits.clone(),
            pace,
            newcomers,
        });
        *self
            .settings
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
    }
}
