//! The embedded backend: one file, one writer, a few readers, write-ahead log.
//!
//! Owns [`SqliteStore`]; the statements stand in the submodules by subject. Invariants: every
//! commit is synced to disk before it is acknowledged (`synchronous = FULL`), foreign keys hold,
//! and the file is readable by its owner only.

mod accounts;
mod dump;
mod file;
mod insights;
mod keyring;
mod logins;
mod meta;
mod migrate;
mod prompts;
mod rights;
mod sessions;
mod steps;
mod usage;
mod users;
mod worker;

use super::{
    BeginStep, Begun, Briefing, FinishStep, Fold, Migration, SchemaState, Store, Unsealed,
};
use crate::domain::keyring::WrappedKey;
use crate::domain::meter::Load;
use crate::domain::prompt::PromptName;
use crate::domain::session::EmotionSession;
use crate::domain::step::{EmotionStep, MessageId};
use crate::domain::usage::{Day, Usage};
use crate::domain::user::{Email, User, UserFilter};
use crate::domain::{Clock, Error, Result, SessionId, StepId, Timestamp, UserId};
use file::{BUSY, connect};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub use file::{path_of, prepare};

/// Reader threads: reads are short and come from the page cache.
const READERS: usize = 2;

/// The embedded database.
#[derive(Clone)]
pub struct SqliteStore {
    workers: worker::Workers,
    path: Arc<Path>,
}

impl SqliteStore {
    /// Opens the database at `path`, making the file (mode 0600) and its directory (0700) when
    /// they are missing, and brings its schema up to date after a backup.
    pub fn open(path: &Path, clock: &dyn Clock) -> Result<Self> {
        prepare(path)?;
        let mut writer = connect(path)?;
        migrate::up(&mut writer, path, clock.now(), migrate::MIGRATIONS)?;
        let readers = (0..READERS)
            .map(|_| {
                let connection = connect(path)?;
                connection
                    .pragma_update(None, "query_only", true)
                    .map_err(failed)?;
                Ok(connection)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            workers: worker::Workers::start(writer, readers)?,
            path: path.into(),
        })
    }

    /// Makes the file at `path` as [`open`](Self::open) does, at an earlier schema version, to be filled with what is
    /// of that one. Blocks.
    pub fn make_at(path: &Path, schema: i64) -> Result<()> {
        prepare(path)?;
        let migrations = Migration::up_to(migrate::MIGRATIONS, schema);
        migrate::run(&mut connect(path)?, migrations)
    }

    /// Brings the schema of a file that was just filled up to date, without the backup that [`open`](Self::open)
    /// makes first: it would be one of what was put back. Blocks.
    pub fn bring_up(path: &Path) -> Result<()> {
        let mut connection = connect(path)?;
        let state = migrate::state(&connection)?;
        if state.current > state.wanted {
            return Err(state.newer());
        }
        migrate::run(&mut connection, migrate::MIGRATIONS)
    }

    /// Copies what the log has into the file at `path` and syncs both. Before anything is served: after a
    /// sync that failed, the kernel may hold pages of the log as clean that never reached the disk, and
    /// what is committed on top of them would be lost with them when the power fails. Blocks; fails with
    /// `unavailable` when the disk fails or somebody else is at the file.
    pub fn settle(path: &Path) -> Result<()> {
        let busy: i64 = connect(path)?
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(failed)?;
        if busy == 0 {
            Ok(())
        } else {
            Err(Error::unavailable("the database is in use"))
        }
    }

    /// Fires when the disk did not confirm a commit (a failed `fsync`). Nothing was acknowledged by it
    /// and nothing is answered any more: what the kernel still holds of the file is not known, so the
    /// process must end, and the next one reads what is really there.
    pub fn unsynced(&self) -> CancellationToken {
        self.workers.unsynced()
    }

    /// What is wrong with the file at `path`, if anything. Reads all of it and changes nothing; blocks.
    pub fn quick_check(path: &Path) -> Result<Option<String>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let checked = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        });
        match checked {
            Ok(text) if text == "ok" => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                    Ok(Some(error.to_string()))
                }
                _ => Err(failed(error)),
            },
        }
    }

    /// What the schema of the file at `path` is, without changing it.
    pub fn state(path: &Path) -> Result<SchemaState> {
        if !path.exists() {
            return Ok(SchemaState {
                current: 0,
                wanted: super::SCHEMA_VERSION,
                unsealed: Unsealed::Nothing,
            });
        }
        migrate::state(&connect(path)?)
    }
}

/// What a failed statement means: trouble with the disk or a lock may pass, the rest is a defect.
fn failed(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Sqlite;
    match error.sqlite_error_code() {
        Some(
            Sqlite::DatabaseBusy
            | Sqlite::DatabaseLocked
            | Sqlite::DiskFull
            | Sqlite::SystemIoFailure
            | Sqlite::CannotOpen
            | Sqlite::ReadOnly
            | Sqlite::OutOfMemory,
        ) => Error::unavailable(error),
        _ => Error::internal(error),
    }
}

/// A stored value that this program would not have stored.
fn corrupt(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
}

/// Reads the `index`th column as an id.
fn uuid(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<uuid::Uuid> {
    row.get::<_, [u8; 16]>(index).map(uuid::Uuid::from_bytes)
}

/// Reads the `index`th column as a time.
fn time(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    row.get(index).map(Timestamp::from_micros)
}

/// Reads the `index`th column as a time that may be absent.
fn optional_time(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(index)
        .map(|micros| micros.map(Timestamp::from_micros))
}

impl Store for SqliteStore {
    fn alive(&self) -> BoxFuture<'_, bool> {
        Box::pin(self.workers.writer_answers())
    }

    fn load(&self) -> Load {
        self.workers.load()
    }

    fn schema_version(&self) -> BoxFuture<'_, Result<i64>> {
        Box::pin(
            self.workers
                .read(|c| migrate::state(c).map(|state| state.current)),
        )
    }

    fn claim_keys(&self, fingerprint: String) -> BoxFuture<'_, Result<String>> {
        Box::pin(
            self.workers
                .write(move |c| meta::claim(c, "keys", &fingerprint)),
        )
    }

    fn claim_master(&self, id: String) -> BoxFuture<'_, Result<String>> {
        Box::pin(self.workers.write(move |c| meta::claim(c, "master", &id)))
    }

    fn replace_master(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| meta::replace(c, "master", &old, &new)),
        )
    }

    fn masters(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(self.workers.read(keyring::masters))
    }

    fn data_key(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        Box::pin(self.workers.read(move |c| keyring::get(c, user_id)))
    }

    fn add_data_key(&self, key: WrappedKey) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        Box::pin(self.workers.write(move |c| keyring::add(c, &key)))
    }

    fn rewrap_data_key(&self, old: WrappedKey, new: WrappedKey) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| keyring::rewrap(c, &old, &new)))
    }

    fn data_keys_besides(
        &self,
        master: String,
        after: Option<UserId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<WrappedKey>>> {
        Box::pin(
            self.workers
                .read(move |c| keyring::besides(c, &master, after, limit)),
        )
    }

    fn add_user(&self, user: User, password_hash: String) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            self.workers
                .write(move |c| users::add(c, &user, &password_hash)),
        )
    }

    fn user(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<User>>> {
        Box::pin(self.workers.read(move |c| users::get(c, user_id)))
    }

    fn user_by_email(&self, email: Email) -> BoxFuture<'_, Result<Option<(User, String)>>> {
        Box::pin(self.workers.read(move |c| users::by_email(c, &email)))
    }

    fn users(
        &self,
        filter: UserFilter,
        before: Option<(Timestamp, UserId)>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<User>>> {
        Box::pin(
            self.workers
                .read(move |c| users::list(c, &filter, before, limit)),
        )
    }

    fn add_session(&self, session: EmotionSession) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.workers.write(move |c| sessions::add(c, &session)))
    }

    fn session(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>> {
        Box::pin(
            self.workers
                .read(move |c| sessions::get(c, user_id, session_id)),
        )
    }

    fn sessions(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, SessionId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<EmotionSession>>> {
        Box::pin(
            self.workers
                .read(move |c| sessions::list(c, user_id, before, limit)),
        )
    }

    fn end_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>> {
        Box::pin(
            self.workers
                .write(move |c| sessions::end(c, user_id, session_id, at)),
        )
    }

    fn begin_step(&self, begin: BeginStep) -> BoxFuture<'_, Result<Begun>> {
        Box::pin(self.workers.write(move |c| steps::begin(c, &begin)))
    }

    fn checkpoint_step(
        &self,
        step_id: StepId,
        gpt_response: String,
        lease_until: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            self.workers
                .write(move |c| steps::checkpoint(c, step_id, &gpt_response, lease_until)),
        )
    }

    fn finish_step(&self, finish: FinishStep) -> BoxFuture<'_, Result<Option<Usage>>> {
        Box::pin(self.workers.write(move |c| steps::finish(c, &finish)))
    }

    fn acknowledge_step(&self, step_id: StepId) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| steps::acknowledge(c, step_id)))
    }

    fn forget_step(&self, step_id: StepId, lease_until: Timestamp) -> BoxFuture<'_, Result<bool>> {
        Box::pin(
            self.workers
                .write(move |c| steps::forget(c, step_id, lease_until)),
        )
    }

    fn close_orphans(&self, before: Timestamp, at: Timestamp) -> BoxFuture<'_, Result<u64>> {
        Box::pin(
            self.workers
                .write(move |c| steps::close_orphans(c, before, at)),
        )
    }

    fn step(&self, user_id: UserId, step_id: StepId) -> BoxFuture<'_, Result<Option<EmotionStep>>> {
        Box::pin(self.workers.read(move |c| steps::get(c, user_id, step_id)))
    }

    fn find_step(
        &self,
        user_id: UserId,
        session_id: SessionId,
        message_id: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Option<EmotionStep>>> {
        Box::pin(
            self.workers
                .read(move |c| steps::find(c, user_id, session_id, message_id.as_ref())),
        )
    }

    fn steps(
        &self,
        user_id: UserId,
        session_id: SessionId,
        after: i64,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<Vec<EmotionStep>>>> {
        Box::pin(
            self.workers
                .read(move |c| steps::list(c, user_id, session_id, after, limit)),
        )
    }

    fn briefing(
        &self,
        session_id: SessionId,
        before: i64,
        limit: u32,
        prompts: Vec<PromptName>,
    ) -> BoxFuture<'_, Result<Briefing>> {
        Box::pin(self.workers.read(move |c| {
            let history = steps::history(c, session_id, before, limit)?;
            let summary = sessions::summary(c, session_id)?;
            let found = prompts.into_iter().map(|name| prompts::get(c, name, None));
            let prompts = found.filter_map(Result::transpose).collect::<Result<_>>()?;
            Ok(Briefing {
                history,
                summary,
                prompts,
            })
        }))
    }

    fn fold(&self, fold: Fold) -> BoxFuture<'_, Result<bool>> {
        Box::pin(self.workers.write(move |c| sessions::fold(c, &fold)))
    }

    fn forget_usage(&self, day: Day) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.workers.write(move |c| usage::forget(c, day)))
    }

    fn usage(&self, user_id: UserId, day: Day) -> BoxFuture<'_, Result<Usage>> {
        Box::pin(self.workers.read(move |c| usage::of(c, user_id, day)))
    }
}
