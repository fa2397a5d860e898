//! Use-cases: what the surfaces can ask for.
//!
//! Owns [`App`], which ties the floors below together, and the rules that need more than one of
//! them: accounts ([`account`], [`guest`]), their logins ([`login`], [`ticket`]), sessions ([`session`]), prompts ([`prompt`]), turns
//! ([`turn`]) and what people can ask for who are kept ([`export`]).
//! Called by the surfaces and the command line. Invariant: everything here takes an authenticated
//! `UserId` where it acts for a person, and answers about somebody else's things as if they did
//! not exist.

pub mod account;
pub mod admin;
pub mod alarm;
mod assessed;
pub mod backup;
pub mod card;
mod elsewhere;
pub mod export;
pub mod guest;
mod hashing;
mod insight;
mod keyring;
pub mod live;
pub mod login;
pub mod looking_back;
pub mod meters;
mod pace;
pub mod prompt;
mod recitals;
pub mod recovery;
pub mod restored;
mod retention;
mod rights;
pub mod search;
pub mod session;
pub mod settings;
mod throttle;
pub mod ticket;
pub mod turn;
pub mod usage;
pub mod vault;

use crate::auth::keys::Keys;
use crate::auth::masters::Masters;
use crate::auth::password::Hasher;
use crate::auth::ring::Ring;
use crate::auth::token::Tokens;
use crate::auth::witness::Witness;
use crate::config::Config;
use crate::domain::safety::Tier;
use crate::domain::{Clock, Random, Result, StepId, UserId};
use crate::llm::ChatModel;
use crate::llm::chain::Chain;
use crate::safety::{Assessment, Gate, PackError};
use crate::store::{Bulletin, Store};
use crate::webhook::Webhook;
use backup::Backups;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex};
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
    /// The keys that wrap those which people's words are sealed with.
    pub masters: Masters,
    /// What this machine remembers of the store outside it, if anything.
    pub witness: Option<Witness>,
    /// Where backups of the store are made, if anywhere.
    pub backups: Option<Backups>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
}

/// The use-cases, with what they need.
pub struct App {
    config: settings::Fixed,
    settings: settings::Current,
    /// What has no words in it.
    store: Arc<dyn Store>,
    /// What has.
    vault: vault::Vault,
    witness: Option<Witness>,
    backups: Option<Backups>,
    keyring: keyring::FollowUp,
    bulletin: Option<Arc<dyn Bulletin>>,
    chain: Chain,
    keys: Arc<Ring>,
    tokens: Tokens,
    hasher: hashing::Hashing,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    known_logins: login::KnownLogins,
    throttle: throttle::Throttle,
    /// People some of whose tokens have just become void, for the sockets that are open.
    revoked: broadcast::Sender<login::Revoked>,
    live: live::sessions::Sessions,
    meters: meters::Meters,
    turns: TaskTracker,
    turn_places: Arc<Semaphore>,
    running: Arc<pace::RunningTurns>,
    /// How fast each person may ask for tickets.
    tickets: pace::Pace<UserId>,
    folding: turn::aside::Places,
    cards: turn::aside::Places,
    recitals: recitals::Recitals,
    exports: export::Places,
    alarms: alarm::Alarms,
    /// Steps of which it is not known whether they were stored, and which are being taken back.
    doubtful: Mutex<HashSet<StepId>>,
    assessed: assessed::Assessed,
    /// Whether an erasure was begun and could not be finished yet.
    unfinished: AtomicBool,
    searches: Semaphore,
    /// Whether something was deleted that may still be in files.
    unscrubbed: AtomicBool,
    scrubbing: tokio::sync::Mutex<()>,
    draining: CancellationToken,
    /// Ends the turns that are still running when the drain deadline has passed.
    cutting: CancellationToken,
}

impl App {
    /// Puts the parts together, and begins to compile the safety rules, and to unpack the
    /// weights of the classifier, beside it.
    pub fn new(parts: Parts) -> Result<Arc<Self>> {
        std::thread::Builder::new()
            .name("safety-rules".to_owned())
            .spawn(|| {
                LazyLock::force(&GATE);
                crate::insight::warm_up();
            })
            .map_err(crate::domain::Error::internal)?;
        let keys = Arc::new(Ring::new(parts.keys));
        let turns = parts.config.limits.turns.min(Semaphore::MAX_PERMITS);
        let webhook = parts.config.webhook.clone();
        let (config, settings) = settings::split(parts.config);
        let (auth, llm) = (&config.auth, &config.llm);
        let meters = meters::Meters::new(parts.clock.now());
        Ok(Arc::new(Self {
            hasher: hashing::Hashing {
                hasher: Hasher::new(auth.argon2_memory_kib, auth.argon2_passes, &*parts.random)?,
                asking: meters.hashing.clone(),
            },
            tokens: Tokens::new(Arc::clone(&keys)),
            turn_places: Arc::new(Semaphore::new(turns)),
            running: Arc::default(),
            tickets: pace::Pace::a_minute(ticket::A_MINUTE),
            folding: turn::aside::Places::default(),
            cards: turn::aside::Places::default(),
            recitals: recitals::Recitals::default(),
            exports: export::Places::default(),
            doubtful: Mutex::default(),
            assessed: assessed::Assessed::default(),
            alarms: alarm::Alarms::new(Webhook::new(&webhook)?),
            unfinished: AtomicBool::new(false),
            searches: Semaphore::new(search::AT_ONCE),
            // The process before may have been killed between the two.
            unscrubbed: AtomicBool::new(true),
            scrubbing: tokio::sync::Mutex::default(),
            keys,
            chain: Chain::new(
                parts.models,
                llm.breaker_failures,
                Duration::from_secs(llm.breaker_seconds),
            ),
            vault: vault::Vault::new(
                Arc::clone(&parts.store),
                parts.masters,
                Arc::clone(&parts.random),
            ),
            config,
            settings,
            store: parts.store,
            witness: parts.witness,
            backups: parts.backups,
            keyring: keyring::FollowUp::default(),
            bulletin: parts.bulletin,
            clock: parts.clock,
            random: parts.random,
            known_logins: login::KnownLogins::default(),
            throttle: throttle::Throttle::default(),
            revoked: broadcast::Sender::new(REVOCATIONS),
            live: live::sessions::Sessions::default(),
            meters,
            turns: TaskTracker::new(),
            draining: CancellationToken::new(),
            cutting: CancellationToken::new(),
        }))
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

/// What the gate says of these words alone.
fn assess(words: &str) -> Assessment {
    match &*GATE {
        Ok(gate) => gate.assess(words, &[]),
        Err(error) => {
            // The rules are part of the binary and a test reads them: this cannot happen unnoticed.
            tracing::error!(%error, "the safety rules are broken");
            Assessment {
                tier: Tier::None,
                categories: Vec::new(),
                pack_version: "none".into(),
                weighable: false,
            }
        }
    }
}

/// What the turns before make of these words, of which the gate said this alone.
fn assess_together(words: &str, alone: Assessment, recent: &[&str]) -> Assessment {
    match &*GATE {
        Ok(gate) => gate.together(alone, words, recent),
        Err(_) => alone,
    }
}
