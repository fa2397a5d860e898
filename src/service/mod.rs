//! Use-cases: what the surfaces can ask for.
//!
//! Owns [`App`], which ties the floors below together, and the rules that need more than one of
//! them: accounts ([`account`]), their logins ([`login`]), sessions ([`session`]), prompts ([`prompt`]) and turns ([`turn`]).
//! Called by the surfaces and the command line. Invariant: everything here takes an authenticated
//! `UserId` where it acts for a person, and answers about somebody else's things as if they did
//! not exist.

pub mod account;
mod elsewhere;
pub mod live;
pub mod login;
mod pace;
pub mod prompt;
pub mod session;
pub mod turn;
pub mod usage;

use crate::auth::keys::Keys;
use crate::auth::password::Hasher;
use crate::auth::token::Tokens;
use crate::config::Config;
use crate::domain::safety::Tier;
use crate::domain::{Clock, Random, Result};
use crate::llm::ChatModel;
use crate::llm::chain::Chain;
use crate::safety::{Assessment, Gate, PackError};
use crate::store::{Bulletin, Store};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Revocations that a socket may have waiting; one that has more looks after its own.
const REVOCATIONS: usize = 16;

/// What an [`App`] is made of; the tests bring their own clock, model and store.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// How the instances on the same store tell each other; `None` where there is only one.
    pub bulletin: Option<Arc<dyn Bulletin>>,
    /// Who answers, in the order in which they are asked.
    pub models: Vec<Arc<dyn ChatModel>>,
    /// The signing keys.
    pub keys: Keys,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
}

/// The use-cases, with what they need.
pub struct App {
    config: Config,
    store: Arc<dyn Store>,
    bulletin: Option<Arc<dyn Bulletin>>,
    chain: Chain,
    keys: Arc<Keys>,
    tokens: Tokens,
    hasher: Hasher,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    known_logins: login::KnownLogins,
    /// People some of whose tokens have just become void, for the sockets that are open.
    revoked: broadcast::Sender<login::Revoked>,
    live: live::sessions::Sessions,
    turns: TaskTracker,
    turn_places: Arc<Semaphore>,
    pace: pace::Pace,
    folding: turn::folding::Folding,
    draining: CancellationToken,
    /// Ends the turns that are still running when the drain deadline has passed.
    cutting: CancellationToken,
}

impl App {
    /// Puts the parts together, and begins to compile the safety rules beside it.
    pub fn new(parts: Parts) -> Result<Arc<Self>> {
        std::thread::Builder::new()
            .name("safety-rules".to_owned())
            .spawn(|| LazyLock::force(&GATE))
            .map_err(crate::domain::Error::internal)?;
        let keys = Arc::new(parts.keys);
        let auth = &parts.config.auth;
        Ok(Arc::new(Self {
            hasher: Hasher::new(auth.argon2_memory_kib, auth.argon2_passes, &*parts.random)?,
            tokens: Tokens::new(Arc::clone(&keys)),
            turn_places: Arc::new(Semaphore::new(
                parts.config.limits.turns.min(Semaphore::MAX_PERMITS),
            )),
            pace: pace::Pace::new(parts.config.limits.messages_a_minute),
            folding: turn::folding::Folding::default(),
            keys,
            chain: Chain::new(
                parts.models,
                parts.config.llm.breaker_failures,
                Duration::from_secs(parts.config.llm.breaker_seconds),
            ),
            config: parts.config,
            store: parts.store,
            bulletin: parts.bulletin,
            clock: parts.clock,
            random: parts.random,
            known_logins: login::KnownLogins::default(),
            revoked: broadcast::Sender::new(REVOCATIONS),
            live: live::sessions::Sessions::default(),
            turns: TaskTracker::new(),
            draining: CancellationToken::new(),
            cutting: CancellationToken::new(),
        }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Fires when the server stops taking new work.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// The time.
    pub fn now(&self) -> crate::domain::Timestamp {
        self.clock.now()
    }

    /// The schema version of the database, as proof that it answers.
    pub async fn schema_version(&self) -> Result<i64> {
        self.store.schema_version().await
    }
}

/// The safety gate. Compiling its rules takes a fifth of a second, so it happens once a process and
/// beside the start; who speaks within that time waits for it.
static GATE: LazyLock<Result<Gate, PackError>> = LazyLock::new(Gate::embedded);

/// What the gate says of these words and the turns before them.
fn assess(words: &str, recent: &[&str]) -> Assessment {
    match &*GATE {
        Ok(gate) => gate.assess(words, recent),
        Err(error) => {
            // The rules are part of the binary and a test reads them: this cannot happen unnoticed.
            tracing::error!(%error, "the safety rules are broken");
            Assessment {
                tier: Tier::None,
                categories: Vec::new(),
                pack_version: "none".into(),
            }
        }
    }
}
