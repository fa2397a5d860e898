//! `deepme serve`.

use super::backend::Backend;
use super::keyfiles::KeyFile;
use super::reload::Reloader;
use super::signals::{self, Signals};
use super::systemd::Watchdog;
use super::{CliError, Global, Result, declared, logging, note, owner, systemd, wiring};
use crate::config::Config;
use crate::domain::{Error, ErrorCode};
use crate::http;
use clap::Args;
use listenfd::ListenFd;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) const HELP: &str = "Examples:
  deepme serve                                  on 127.0.0.1:8000, data under ./data
  OPENAI_API_KEY=sk-… deepme serve              with OpenAI
  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=gemma3:12b deepme serve
  deepme serve --listen 127.0.0.1:9000

SIGTERM and SIGINT let running turns finish, a second one ends at once. SIGHUP reads the configuration again.";

/// Why a server ends whose disk fails.
const UNSYNCED: &str = "the disk did not confirm a commit (fsync failed): ending at once; nothing of it was \
                        acknowledged, and the next start reads what is really there";

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub(super) struct Serve {
    /// Address and port to listen on, instead of the configured one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Serve {
    /// The configuration of the files and the environment, with the options over it.
    pub(super) fn config(&self, global: &Global) -> Result<Config> {
        let mut config = wiring::config(global)?;
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        Ok(config)
    }
}

pub(super) fn run(global: &Global, command: Serve) -> Result {
    let config = command.config(global)?;
    owner::become_owner(&config)?;
    let logging = logging::start(&config)?;
    if let Some(error) = &logging.no_journal {
        note(format_args!(
            "log.format is journald, but the journal of this machine does not listen ({error}): log lines go to stderr as text"
        ))?;
    }
    let global = global.clone();
    wiring::block_on(async move {
        let stop = CancellationToken::new();
        let _file_size = signals::take_file_size()?;
        let server = Server::start(config.clone()).await?;
        // Whoever reads the greeting may send a signal at once.
        let signals = Signals::catch()?;
        note(format_args!("{}", server.greeting))?;
        systemd::ready(&server.app);
        let _watchdog = Watchdog::start(Arc::clone(&server.app))?;
        let reloader = Reloader {
            global,
            command,
            config,
            logging,
            app: Arc::clone(&server.app),
            keys: server.keys.clone(),
        };
        let heeding = tokio::spawn(signals.heed(stop.clone(), reloader));
        let outcome = server.run(stop).await;
        heeding.abort();
        note("deepme has stopped")?;
        outcome
    })
}

/// The listener that systemd made and hands over (`deepme.socket`), if it did: connections that come while the
/// server is not there wait in it.
fn inherited() -> Result<Option<TcpListener>> {
    let mut passed = ListenFd::from_env();
    let not_a_listener = |e: std::io::Error| {
        let message = format!("what was handed over by socket activation is no TCP listener: {e}");
        Error::new(ErrorCode::Config, message).with_source(e)
    };
    let Some(listener) = passed.take_tcp_listener(0).map_err(not_a_listener)? else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    if passed.len() > 1 {
        tracing::warn!(
            "socket activation hands over several sockets: only the first is listened on"
        );
    }
    Ok(Some(TcpListener::from_std(listener)?))
}

async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    let bound = TcpListener::bind(listen).await;
    bound.map_err(|e| {
        let message = format!("cannot listen on {listen}: {e}");
        Error::new(ErrorCode::Config, message).with_source(e).into()
    })
}

/// A server that is bound and ready; [`Self::run`] serves.
pub(super) struct Server {
    pub(super) app: Arc<crate::service::App>,
    pub(super) address: SocketAddr,
    pub(super) greeting: String,
    keys: KeyFile,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    _lock: Option<std::fs::File>,
    unsynced: CancellationToken,
}

impl Server {
    /// Opens everything and binds the port.
    pub(super) async fn start(config: Config) -> Result<Self> {
        let inherited = inherited()?;
        let listen = match &inherited {
            Some(listener) => listener.local_addr()?,
            None => config.server.listen,
        };
        if !listen.ip().to_canonical().is_loopback() && !config.server.behind_tls {
            return Err(Error::new(
                ErrorCode::Config,
                format!(
                    "{listen} can be reached from other machines, and what people say would travel there in the clear: \
                     listen on 127.0.0.1 behind a proxy that ends TLS, or set server.behind_tls = true \
                     if one does that on another machine"
                ),
            )
            .into());
        }
        // Bound first: a port in use must not cost a migration.
        let listener = match inherited {
            Some(listener) => listener,
            None => bind(listen).await?,
        };
        let address = listener.local_addr()?;
        let metrics = match config.metrics.address() {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let (models, hosts) = wiring::models(&config)?;
        if config.auth.query_token {
            tracing::warn!(
                "auth.query_token is on: tokens in URLs end up in the logs of proxies and in histories"
            );
        }
        if config.auth.guests && config.server.trusted_proxies.is_empty() {
            tracing::warn!(
                "auth.guests is on and server.trusted_proxies is empty: behind a proxy limits.accounts_an_hour counts nobody"
            );
        }
        let url = config.database.url.clone();
        let users = config.users.clone();
        let backend = Backend::of(&config.database)?;
        let opened = backend.open_to_serve(&config).await?;
        let keys = KeyFile::of(&backend, &config, &opened.store);
        let app = wiring::app(config, &backend, &opened, models).await?;
        if opened.lock.is_some() {
            // The lock says that nobody else can be running a turn.
            app.close_all_orphans().await?;
        }
        app.recognise_an_old_copy().await?;
        declared::declare(&app, &users).await?;
        if let Err(error) = app.check_ab(app.settings().prompts.ab).await {
            // Nobody is left alone for it.
            tracing::warn!("{error}: the newest is told");
        }
        let schema = app.schema_version().await?;
        let mut greeting = format!(
            "deepme {} on http://{address} (API description at http://{address}/docs)\n\
             database: {url} (schema {schema})\n\
             people's words are read by: {}",
            env!("CARGO_PKG_VERSION"),
            hosts.join(", then ")
        );
        if let Some(metrics) = &metrics {
            let address = metrics.local_addr()?;
            greeting = format!("{greeting}\nmetrics: http://{address}/metrics");
            if !address.ip().is_loopback() {
                greeting.push_str(" (whoever reaches this address may read them)");
            }
        }
        Ok(Self {
            app,
            address,
            greeting,
            keys,
            listener,
            metrics,
            _lock: opened.lock,
            unsynced: opened.unsynced,
        })
    }

    /// Serves until `stop` fires and the drain is over, or until the disk fails: then there is nothing
    /// to drain, for nothing more can be stored.
    pub(super) async fn run(self, stop: CancellationToken) -> Result {
        let app = Arc::clone(&self.app);
        let tending = tokio::spawn(async move { tokio::join!(app.sweep(), app.heed()) });
        let done = CancellationToken::new();
        // A turn that drains may still ring.
        let (app, quiet) = (Arc::clone(&self.app), done.clone());
        let telling = tokio::spawn(async move { app.tell_alarms(quiet).await });
        let metrics = self.metrics.map(|listener| {
            // To the end of the drain: that is when somebody looks.
            let serving = http::serve_metrics(Arc::clone(&self.app), listener, done.clone());
            tokio::spawn(serving)
        });
        let outcome = tokio::select! {
            outcome = http::serve(self.app, self.listener, stop) => outcome.map_err(Into::into),
            () = self.unsynced.cancelled() => Err(CliError::Failed(UNSYNCED.to_owned())),
        };
        tending.abort();
        done.cancel();
        let _ = telling.await;
        if let Some(metrics) = metrics {
            let _ = metrics.await;
        }
        outcome
    }
}
