//! Putting the program together from a configuration.
//!
//! Owns the choice of models and what goes into an [`App`]. Called by the commands. Invariant: this is
//! the one place that knows which kinds of model there are.

use super::backend::{Backend, Opened};
use super::{Global, Result};
use crate::auth::SystemRandom;
use crate::config::Config;
use crate::domain::time::SystemClock;
use crate::llm::ChatModel;
use crate::llm::listener::Listener;
use crate::llm::openai::OpenAi;
use crate::service::backup::{Backups, Place};
use crate::service::{App, Parts};
use std::path::PathBuf;
use std::sync::Arc;

/// Reads the configuration as `--config`, the environment and the files say.
pub(super) fn config(global: &Global) -> Result<Config> {
    Ok(located_config(global)?.0)
}

/// The same for a command that works on the data, as their owner: to be called before there is a second thread.
pub(super) fn config_of_owner(global: &Global) -> Result<Config> {
    let config = config(global)?;
    super::owner::become_owner(&config)?;
    Ok(config)
}

/// The same, with the file that it came from.
pub(super) fn located_config(global: &Global) -> Result<(Config, Option<PathBuf>)> {
    Ok(Config::load(
        global.config.as_deref(),
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    )?)
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

/// The whole program on a database that is open.
pub(super) async fn app(
    config: Config,
    backend: &Backend,
    opened: &Opened,
    models: Vec<Arc<dyn ChatModel>>,
) -> Result<Arc<App>> {
    let store = &*opened.store;
    let key_file = backend.key_file(&config);
    let keys = super::keyfiles::keys(store, &key_file, backend.shares_keys()).await?;
    let masters = backend.masters(&config, store).await?;
    let backups = Backups {
        place: Place::new(&config.backup.directory),
        snapshots: Arc::clone(&opened.snapshots),
    };
    Ok(App::new(Parts {
        config,
        store: Arc::clone(&opened.store),
        bulletin: opened.bulletin.clone(),
        models,
        keys,
        masters,
        backups: Some(backups),
        witness: Some(backend.witness(&key_file)),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
    })?)
}

/// An app for a command that only touches the database.
pub(super) async fn admin_app(config: Config) -> Result<Arc<App>> {
    let backend = Backend::of(&config.database)?;
    let opened = backend.open_beside(&config.database).await?;
    app(config, &backend, &opened, Vec::new()).await
}

/// An app for a command that asks the models as well, and where each of them sends people's words.
pub(super) async fn asking_app(config: Config) -> Result<(Arc<App>, Vec<String>)> {
    let (models, hosts) = models(&config)?;
    let backend = Backend::of(&config.database)?;
    let opened = backend.open_beside(&config.database).await?;
    Ok((app(config, &backend, &opened, models).await?, hosts))
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
