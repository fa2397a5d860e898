//! Connections, and what happens when one fails.
//!
//! Owns the pool, the deadline of every answer and the rule of what is tried again. Called by
//! [`super::PostgresStore`] only. Invariants: nobody waits longer than `database.answer_seconds`; a
//! connection whose answer did not come in time is never used again; what may have happened already is not
//! done a second time; nothing that a person said gets into an error.

use super::connector::Connector;
use crate::config;
use crate::domain::meter::{self, Load};
use crate::domain::{Error, ErrorCode, Result};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
    Timeouts,
};
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

/// Calls that may wait for a connection or have one; one more is refused with `overloaded`.
const QUEUE: usize = 4096;

/// The connections.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    places: Arc<Semaphore>,
    answer: Duration,
    connect: Duration,
}

/// When a statement may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Always: doing it twice is doing it once.
    Always,
    /// Only when it is certain that it was not done.
    IfUndone,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the database, or the way to it, said.
    Database(tokio_postgres::Error),
    /// Somebody else was faster; another attempt will see what they did.
    Race,
    /// An answer for the caller.
    Answer(Error),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Answer(error)
    }
}

/// A row that could not be added because one of its kind is there was a race.
pub(super) fn raced(error: tokio_postgres::Error) -> Trouble {
    if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
        Trouble::Race
    } else {
        Trouble::Database(error)
    }
}

/// What a statement comes to.
pub(super) type Done<T> = Result<T, Trouble>;

/// Several statements, all or nothing. What is cut off by the deadline goes with its connection.
pub(super) async fn transaction<T>(
    connection: &Object,
    work: impl Future<Output = Done<T>>,
) -> Done<T> {
    connection.batch_execute("BEGIN").await?;
    match work.await {
        Ok(value) => {
            connection.batch_execute("COMMIT").await?;
            Ok(value)
        }
        Err(trouble) => {
            // Where even that fails the connection is closed, and not used again.
            let _ = connection.batch_execute("ROLLBACK").await;
            Err(trouble)
        }
    }
}

impl Connections {
    pub(super) fn new(connector: &Connector, database: &config::Database) -> Result<Self> {
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_connect(
            connector.config().clone(),
            connector.clone(),
            ManagerConfig { recycling_method },
        );
        let pool = Pool::builder(manager)
            .max_size(database.connections as usize)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            pool,
            places: Arc::new(Semaphore::new(QUEUE)),
            answer: Duration::from_secs(database.answer_seconds),
            connect: Duration::from_secs(database.connect_seconds),
        })
    }

    /// How busy the pool is.
    pub(super) fn load(&self) -> Load {
        let status = self.pool.status();
        Load {
            waiting: status.waiting as u64,
            commits: None,
            connections: Some(meter::Connections {
                open: status.size as u64,
                idle: status.available as u64,
            }),
        }
    }

    /// A connection for as long as the caller likes; for starts and migrations.
    pub(super) async fn one(&self) -> Result<Object> {
        let timeouts = Timeouts {
            wait: Some(self.answer),
            create: Some(self.connect),
            recycle: Some(self.answer),
        };
        self.pool.timeout_get(&timeouts).await.map_err(unreachable)
    }

    /// The attempts at one statement.
    pub(super) fn attempts(&self, again: Again) -> Result<Attempts<'_>> {
        let place = self.places.try_acquire().map_err(|_| {
            Error::new(
                ErrorCode::Overloaded,
                "the server has too much to store at the moment",
            )
            .retry_after(2)
        })?;
        Ok(Attempts {
            connections: self,
            again,
            until: Instant::now() + self.answer,
            tried: 0,
            unknown: false,
            _place: place,
        })
    }
}

/// The attempts at one statement, all within one deadline.
pub(super) struct Attempts<'a> {
    connections: &'a Connections,
    again: Again,
    until: Instant,
    tried: u32,
    unknown: bool,
    _place: tokio::sync::SemaphorePermit<'a>,
}

impl Attempts<'_> {
    /// Until when there must be an answer.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Whether an earlier attempt may have been carried out.
    pub(super) fn unknown(&self) -> bool {
        self.unknown
    }

    /// A connection for the next attempt.
    pub(super) async fn connection(&mut self) -> Result<Object> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let timeouts = Timeouts {
                wait: Some(left),
                create: Some(left.min(self.connections.connect)),
                recycle: Some(left),
            };
            // Who has waited for a place among the connections has less time left to open one.
            let getting = self.connections.pool.timeout_get(&timeouts);
            match tokio::time::timeout_at(self.until, getting).await {
                Err(_) => return Err(unreachable(PoolError::Timeout(TimeoutType::Create))),
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => {
                    let passing = matches!(&error, PoolError::Backend(e) if may_pass(e));
                    self.tried += 1;
                    if !passing || !self.pause(Duration::from_millis(100)).await {
                        return Err(unreachable(error));
                    }
                }
            }
        }
    }

    /// What an attempt came to: an answer, or another attempt.
    pub(super) async fn judge<T>(
        &mut self,
        connection: Object,
        outcome: Result<Done<T>, tokio::time::error::Elapsed>,
    ) -> ControlFlow<Result<T>> {
        let trouble = match outcome {
            Ok(Ok(value)) => return ControlFlow::Break(Ok(value)),
            Ok(Err(Trouble::Answer(error))) => return ControlFlow::Break(Err(error)),
            Ok(Err(trouble)) => trouble,
            Err(_) => {
                // Its answer may still come, and would be taken for that of the next statement.
                let _ = Object::take(connection);
                return ControlFlow::Break(Err(Error::unavailable(
                    "PostgreSQL did not answer in time",
                )));
            }
        };
        let fate = fate(&trouble);
        if matches!(fate, Fate::Lost | Fate::Stale) {
            let _ = Object::take(connection);
        } else {
            drop(connection);
        }
        let again = match fate {
            Fate::Undone | Fate::Stale => true,
            Fate::Lost => {
                self.unknown = true;
                self.again == Again::Always
            }
            Fate::Refused | Fate::Defect => false,
        };
        self.tried += 1;
        if again && self.pause(Duration::from_millis(5)).await {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Err(match (fate, trouble) {
            (Fate::Defect, Trouble::Database(error)) => Error::internal(Told::of(&error)),
            (_, Trouble::Database(error)) => Error::unavailable(Told::of(&error)),
            _ => Error::unavailable("others were always faster"),
        }))
    }

    /// Waits before the next attempt, longer each time and never in step with others; `false` when there
    /// is no time left for one.
    async fn pause(&self, base: Duration) -> bool {
        let longest = base * 2u32.saturating_pow(self.tried.min(5));
        let random = std::hash::RandomState::new().build_hasher().finish();
        let part = u32::try_from(random % 1000).unwrap_or(0);
        let pause = base.min(longest) + longest * part / 1000;
        if Instant::now() + pause >= self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// What is known of a statement that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Rolled back; another attempt may succeed.
    Undone,
    /// Rolled back, because the connection is one to what there was before.
    Stale,
    /// The connection broke: nobody knows.
    Lost,
    /// Rolled back, and another attempt would fail as well for now.
    Refused,
    /// It should not have been sent.
    Defect,
}

fn fate(trouble: &Trouble) -> Fate {
    let Trouble::Database(error) = trouble else {
        return Fate::Undone;
    };
    let Some(code) = error.code() else {
        // A row that cannot be read as what it should be is no matter of the connection.
        let local = std::error::Error::source(error)
            .is_some_and(|source| !source.is::<std::io::Error>() && !error.is_closed());
        return if local { Fate::Defect } else { Fate::Lost };
    };
    match code.code() {
        "40001" | "40P01" => Fate::Undone,
        // Read-only: the server behind this connection is not the first one any more.
        "0A000" | "26000" | "25006" => Fate::Stale,
        "57P01" | "57P02" | "57P03" | "57P05" => Fate::Lost,
        "57014" | "55P03" => Fate::Refused,
        code => match code.get(..2) {
            Some("08") => Fate::Lost,
            Some("53" | "58") => Fate::Refused,
            _ => Fate::Defect,
        },
    }
}

/// Whether a connection that could not be had may be had in a moment: the server is not there or is
/// starting, as opposed to one that does not want us.
fn may_pass(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_none_or(|code| matches!(code.code(), "57P03" | "57P01" | "53300"))
}

fn unreachable(error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) => Error::unavailable(Told::of(&error)),
        PoolError::Timeout(_) => Error::unavailable("no connection to PostgreSQL in time"),
        other => Error::unavailable(other),
    }
}

/// What may be logged of an error of the database: the driver's own text can quote values, which are
/// people's words.
#[derive(Debug)]
pub(super) struct Told(String);

impl Told {
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            let mut line = error.to_string();
            let mut next = std::error::Error::source(error);
            while let Some(cause) = next {
                line = format!("{line}: {cause}");
                next = cause.source();
            }
            return Self(line);
        };
        let code = db.code().code();
        // Before there is a session nobody has said anything: these sentences are for the admin.
        let start =
            ["28", "3D", "57", "53", "08", "42", "25"].contains(&code.get(..2).unwrap_or_default());
        let mut line = format!("PostgreSQL says {code}");
        if start {
            line = format!("{line} {}", db.message());
        }
        for (what, name) in [("table", db.table()), ("constraint", db.constraint())] {
            if let Some(name) = name {
                line = format!("{line}, {what} {name}");
            }
        }
        Self(line)
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Told {}
