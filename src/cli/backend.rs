//! Which database the configuration names, and how it is opened.
//!
//! Owns the choice of backend. Called by [`super::wiring`] and the commands about the database itself.
//! Invariants: this is the one place that knows which backends there are; only one server works on a
//! file, and it alone may change the file's schema; a schema on a server is changed by `deepme migrate
//! up` only.

use super::{Result, note};
use crate::config::{self, Config};
use crate::domain::time::SystemClock;
use crate::domain::{Clock as _, Error, ErrorCode};
use crate::store::copy::{Sink, Snapshots, Source};
use crate::store::postgres::{Connector, PostgresBulletin, PostgresStore};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{Bulletin, SchemaState, Store};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How far the clocks of a server and its database may be apart before it is said, in microseconds.
/// Leases of turns are 15 s, and are compared by whoever sweeps.
const CLOCKS_APART: u64 = 2_000_000;

/// A database, not opened yet.
pub(super) enum Backend {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Box<Connector>),
}

/// A database that is open.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    /// The database as it is at a moment.
    pub(super) snapshots: Arc<dyn Snapshots>,
    /// How instances tell each other; `None` where there is one only.
    pub(super) bulletin: Option<Arc<dyn Bulletin>>,
    /// Held while the database is served by this process alone; `None` when others may serve it, too.
    pub(super) lock: Option<File>,
    /// Fires when the process must end, for the database can no longer be trusted through it.
    pub(super) unsynced: CancellationToken,
}

impl Backend {
    /// The database that the configuration names.
    pub(super) fn of(database: &config::Database) -> Result<Self> {
        let url = database.url.expose();
        if let Some(path) = sqlite::path_of(url) {
            return Ok(Self::Sqlite(path));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(Box::new(Connector::parse(database)?)));
        }
        Err(Error::new(
            ErrorCode::Config,
            "database.url must be sqlite://PATH, such as sqlite://data/deepme.db, \
             or postgres://USER@HOST/DATABASE",
        )
        .into())
    }

    /// Opens the database to serve it. A file is locked and brought up to date.
    pub(super) async fn open_to_serve(&self, config: &Config) -> Result<Opened> {
        let database = &config.database;
        match self {
            Self::Sqlite(path) => {
                let file = path.clone();
                // Locked before the schema is touched.
                let (lock, store) = blocking(move || {
                    let lock = lock(&file)?;
                    SqliteStore::settle(&file)?;
                    Ok((lock, SqliteStore::open(&file, &SystemClock)?))
                })
                .await?;
                self.seal(config).await?;
                let store = Arc::new(store);
                Ok(Opened {
                    unsynced: store.unsynced(),
                    snapshots: Arc::<SqliteStore>::clone(&store),
                    store,
                    bulletin: None,
                    lock: Some(lock),
                })
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                store.state().await?.check()?;
                let ahead = store.clock_ahead(SystemClock.now()).await?;
                if ahead.unsigned_abs() > CLOCKS_APART {
                    note(format_args!(
                        "warning: the clock of the database is {} s apart from this machine's; \
                         running turns are told from dead ones by time, so let NTP set both",
                        ahead / 1_000_000
                    ))?;
                }
                let store = Arc::new(store);
                Ok(Opened {
                    snapshots: Arc::<PostgresStore>::clone(&store),
                    store,
                    bulletin: Some(PostgresBulletin::start((**connector).clone())),
                    lock: None,
                    // A PostgreSQL server ends by itself when its disk fails.
                    unsynced: CancellationToken::new(),
                })
            }
        }
    }

    /// Opens the database beside a server that may be running on it. An empty file is made ready; an
    /// older one is not touched.
    pub(super) async fn open_beside(&self, database: &config::Database) -> Result<Opened> {
        let (store, snapshots): (Arc<dyn Store>, Arc<dyn Snapshots>) = match self {
            Self::Sqlite(path) => {
                let path = path.clone();
                blocking(move || {
                    let state = SqliteStore::state(&path)?;
                    if state.current > 0 {
                        state.check()?;
                    }
                    let store = Arc::new(SqliteStore::open(&path, &SystemClock)?);
                    let snapshots = Arc::<SqliteStore>::clone(&store);
                    Ok((store as Arc<dyn Store>, snapshots as Arc<dyn Snapshots>))
                })
                .await?
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                store.state().await?.check()?;
                let store = Arc::new(store);
                let snapshots = Arc::<PostgresStore>::clone(&store);
                (store, snapshots)
            }
        };
        Ok(Opened {
            store,
            snapshots,
            bulletin: None,
            lock: None,
            // A command does one thing, which fails, and ends.
            unsynced: CancellationToken::new(),
        })
    }

    /// Where the schema stands, without changing it.
    pub(super) async fn state(&self, database: &config::Database) -> Result<SchemaState> {
        match self {
            Self::Sqlite(path) => {
                let path = path.clone();
                blocking(move || Ok(SqliteStore::state(&path)?)).await
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                Ok(store.state().await?)
            }
        }
    }

    /// How far the clock of a database on a server is ahead of this machine's, in microseconds; 0 for a file.
    pub(super) async fn clock_ahead(&self, database: &config::Database) -> Result<i64> {
        match self {
            Self::Sqlite(_) => Ok(0),
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                Ok(store.clock_ahead(SystemClock.now()).await?)
            }
        }
    }

    /// Brings the schema up to date; where it stood and where it stands.
    pub(super) async fn migrate(&self, config: &Config) -> Result<(SchemaState, SchemaState)> {
        let database = &config.database;
        let before = self.state(database).await?;
        match self {
            Self::Sqlite(path) => {
                let path = path.clone();
                let _lock = blocking(move || {
                    let lock = lock(&path)?;
                    SqliteStore::open(&path, &SystemClock)?;
                    Ok(lock)
                })
                .await?;
                self.seal(config).await?;
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                store.migrate(SystemClock.now()).await?;
                self.seal(config).await?;
            }
        }
        Ok((before, self.state(database).await?))
    }

    /// Opens the database to read all of it. A file must not be served meanwhile: what is said after the
    /// moment of the copy would be missing in it.
    pub(super) async fn open_source(
        self,
        database: &config::Database,
    ) -> Result<(Box<dyn Source>, Option<File>)> {
        match self {
            Self::Sqlite(path) => {
                if !path.is_file() {
                    let message = format!("there is no database at {}", path.display());
                    return Err(Error::new(ErrorCode::Config, message).into());
                }
                let file = path.clone();
                let lock = blocking(move || hold(&file)).await?;
                Ok((SqliteStore::source(path).await?, Some(lock)))
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(&connector, database).await?;
                Ok((store.source().await?, None))
            }
        }
    }

    /// Opens the database to fill it with what is of this schema version. One without a schema gets that one.
    pub(super) async fn open_sink(
        &self,
        database: &config::Database,
        schema: i64,
    ) -> Result<(Box<dyn Sink>, Option<File>)> {
        match self {
            Self::Sqlite(path) => {
                let file = path.clone();
                let lock = blocking(move || {
                    let lock = lock(&file)?;
                    if SqliteStore::state(&file)?.current == 0 {
                        SqliteStore::make_at(&file, schema)?;
                    }
                    Ok(lock)
                })
                .await?;
                Ok((SqliteStore::sink(path.clone(), schema).await?, Some(lock)))
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                if store.state().await?.current == 0 {
                    store.make_at(SystemClock.now(), schema).await?;
                }
                Ok((store.sink(schema).await?, None))
            }
        }
    }

    /// Brings a database that was filled to the schema of this program. Whoever calls this still has its lock.
    pub(super) async fn bring_up(&self, database: &config::Database) -> Result {
        match self {
            Self::Sqlite(path) => {
                let path = path.clone();
                blocking(move || Ok(SqliteStore::bring_up(&path)?)).await
            }
            Self::Postgres(connector) => {
                let store = PostgresStore::connect(connector, database).await?;
                Ok(store.migrate(SystemClock.now()).await?)
            }
        }
    }

    /// Whether both are one and the same file. Of two servers this cannot be told.
    pub(super) fn is(&self, other: &Self) -> bool {
        let (Self::Sqlite(one), Self::Sqlite(two)) = (self, other) else {
            return false;
        };
        one == two
            || matches!((one.canonicalize(), two.canonicalize()), (Ok(one), Ok(two)) if one == two)
    }
}

/// Holds a file for one server, making it when it is missing: a second server on it would sweep the
/// turns of the first. Let go when dropped.
pub(super) fn lock(database: &Path) -> Result<File> {
    sqlite::prepare(database)?;
    hold(database)
}

/// The same for a file that is there.
fn hold(database: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let path = database.with_file_name(name);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Error::new(ErrorCode::Config, message).with_source(error)
        })?;
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

/// Work on files, off the runtime's workers.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}
