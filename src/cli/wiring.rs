//! Putting the program together from a configuration.
//!
//! Owns the choice of store and models. Called by the commands. Invariant: this is the one place
//! that knows which backend and which kinds of model there are.

use super::{Global, Result};
use crate::auth::SystemRandom;
use crate::auth::keys::Keys;
use crate::config::{Config, LogFormat};
use crate::domain::time::SystemClock;
use crate::domain::{Error, ErrorCode};
use crate::llm::ChatModel;
use crate::llm::listener::Listener;
use crate::llm::openai::OpenAi;
use crate::service::{App, Parts};
use crate::store::Store;
use crate::store::sqlite::{self, SqliteStore};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;

/// Reads the configuration as `--config`, the environment and the files say.
pub(super) fn config(global: &Global) -> Result<Config> {
    Ok(located_config(global)?.0)
}

/// The same, with the file that it came from.
pub(super) fn located_config(global: &Global) -> Result<(Config, Option<PathBuf>)> {
    Ok(Config::load(
        global.config.as_deref(),
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    )?)
}

/// Starts logging to stderr.
pub(super) fn log(config: &Config) -> Result {
    let wrong = |e: String| Error::new(ErrorCode::Config, format!("log.level: {e}"));
    // async-openai and the HTTP stack log payloads, which are people's words.
    let quiet = "async_openai=off,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,tungstenite=warn,tokio_tungstenite=warn";
    let filter = EnvFilter::try_new(format!("{},{quiet}", config.log.level))
        .map_err(|e| wrong(e.to_string()))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let begun = match config.log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(|e| wrong(e.to_string()).into())
}

/// Opens the store that the configuration names.
pub(super) fn store(config: &Config) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(SqliteStore::open(
        &database_file(config)?,
        &SystemClock,
    )?))
}

/// The file of the embedded database.
pub(super) fn database_file(config: &Config) -> Result<PathBuf> {
    let wrong = || {
        Error::new(
            ErrorCode::Config,
            "database.url must be sqlite://PATH, such as sqlite://data/deepme.db",
        )
    };
    Ok(sqlite::path_of(config.database.url.expose()).ok_or_else(wrong)?)
}

/// Models in the order in which they are asked.
pub(super) type Chain = Vec<Arc<dyn ChatModel>>;

/// The models of the chain, and where each sends people's words.
pub(super) fn models(config: &Config) -> Result<(Chain, Vec<String>)> {
    let mut models: Chain = Vec::new();
    let mut hosts = Vec::new();
    for name in &config.llm.chain {
        if let Some(model) = config.models.get(name) {
            let model = OpenAi::new(name, model)?;
            hosts.push(format!("{name} at {}", model.host()));
            models.push(Arc::new(model));
        } else {
            hosts.push("the built-in listener on this machine".to_owned());
            models.push(Arc::new(Listener::default()));
        }
    }
    Ok((models, hosts))
}

/// The whole program.
pub(super) fn app(
    config: Config,
    store: Arc<dyn Store>,
    models: Vec<Arc<dyn ChatModel>>,
) -> Result<Arc<App>> {
    let key_file = if config.auth.key_file.as_os_str().is_empty() {
        database_file(&config)?.with_file_name("token.key")
    } else {
        config.auth.key_file.clone()
    };
    let keys = Keys::load_or_create(&key_file, &SystemRandom)?;
    let clock = Arc::new(SystemClock);
    let random = Arc::new(SystemRandom);
    Ok(App::new(Parts {
        config,
        store,
        bulletin: None,
        models,
        keys,
        clock,
        random,
    })?)
}

/// An app for a command that only touches the database.
pub(super) fn admin_app(global: &Global) -> Result<Arc<App>> {
    let config = config(global)?;
    let store = store(&config)?;
    app(config, store, Vec::new())
}

/// Runs a future to its end on a runtime of its own.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("deepme")
        .build()?;
    let outcome = runtime.block_on(future);
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

/// Holds the database for one server: a second one on the same file would sweep the turns of the
/// first. Let go when dropped.
pub(super) fn lock(database: &Path) -> Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    sqlite::prepare(database)?;
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let path = database.with_file_name(name);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::new(
            ErrorCode::Config,
            format!(
                "another deepme serves the database {} already",
                database.display()
            ),
        )
        .into()),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}
