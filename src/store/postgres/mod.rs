//! The backend for more than one server: PostgreSQL by a pool of connections.
//!
//! Owns [`PostgresStore`]; the statements stand in the submodules by subject. Invariants: each method
//! is one statement, or several of which one writes, so that it needs no transaction around it; the
//! common case is one round trip; what was not acknowledged within the deadline is never
//! acknowledged later.

mod accounts;
mod connector;
mod dump;
mod insights;
mod keyring;
mod logins;
mod meta;
mod migrate;
mod news;
mod pool;
mod prompts;
mod rights;
mod sessions;
mod steps;
mod tls;
mod usage;
mod users;

use super::{BeginStep, Begun, Briefing, FinishStep, Fold, Migration, SchemaState, Store};
use crate::config;
use crate::domain::keyring::WrappedKey;
use crate::domain::meter::Load;
use crate::domain::prompt::PromptName;
use crate::domain::session::EmotionSession;
use crate::domain::step::{EmotionStep, MessageId};
use crate::domain::usage::{Day, Usage};
use crate::domain::user::{Email, User, UserFilter};
use crate::domain::{Error, ErrorCode, Result, SessionId, StepId, Timestamp, UserId};
use futures_util::future::BoxFuture;
use pool::{Again, Connections, Done, Told, Trouble};
use std::ops::ControlFlow;
use tokio::time::timeout_at;
use tokio_postgres::Row;

pub use connector::Connector;
pub use migrate::MIGRATIONS;
pub use news::PostgresBulletin;

/// A database on a server.
#[derive(Clone)]
pub struct PostgresStore {
    connections: Connections,
    connector: Connector,
}

impl PostgresStore {
    /// Connects once, as a proof. Fails with `config` when the database keeps text in another encoding
    /// than UTF-8, with `unavailable` when it cannot be reached. Does not look at the schema.
    pub async fn connect(connector: &Connector, database: &config::Database) -> Result<Self> {
        let store = Self {
            connections: Connections::new(connector, database)?,
            connector: connector.clone(),
        };
        let client = store.connections.one().await.map_err(|error| {
            let place = connector.place();
            let message = format!("the database at {place} does not let us in");
            Error::new(ErrorCode::Unavailable, message)
                .retry_after(2)
                .with_source(error.causes())
        })?;
        let encoding: String = client
            .query_one("SHOW server_encoding", &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|e| Error::unavailable(Told::of(&e)))?;
        if encoding != "UTF8" {
            return Err(Error::new(
                ErrorCode::Config,
                format!("the database keeps text as {encoding}: make one with ENCODING 'UTF8'"),
            ));
        }
        Ok(store)
    }

    /// How far the server's clock is ahead of `now`, in microseconds; negative when it is behind. The
    /// leases of turns are times that instances compare.
    pub async fn clock_ahead(&self, now: Timestamp) -> Result<i64> {
        let client = self.connections.one().await?;
        let theirs: i64 = client
            .query_one(
                "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
                &[],
            )
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|e| Error::unavailable(Told::of(&e)))?;
        Ok(theirs.saturating_sub(now.as_micros()))
    }

    /// What the schema of the database is, without changing it.
    pub async fn state(&self) -> Result<SchemaState> {
        migrate::state(&*self.connections.one().await?).await
    }

    /// Brings the schema up to date. Fails with `config` when it is newer than this program, or when a
    /// migration fails, which leaves it as it was.
    pub async fn migrate(&self, now: Timestamp) -> Result<()> {
        self.migrate_by(now, MIGRATIONS).await
    }

    /// The same up to an earlier schema version, for a database that is to be filled with what is of that one.
    pub async fn make_at(&self, now: Timestamp, schema: i64) -> Result<()> {
        self.migrate_by(now, Migration::up_to(MIGRATIONS, schema))
            .await
    }

    /// The same by another list; for tests of what a list may do.
    pub async fn migrate_by(&self, now: Timestamp, migrations: &[Migration]) -> Result<()> {
        // Its own connection: its statements may take long, and other ones must not wait for them.
        let (mut client, driving) = self
            .connector
            .open_driven()
            .await
            .map_err(|e| Error::unavailable(Told::of(&e)))?;
        let migrated = migrate::up(&mut client, now, migrations).await;
        drop(client);
        let _ = driving.await;
        migrated
    }
}

/// Runs a statement on a connection of the pool, again where the rule allows it, within the deadline.
/// A closure could not borrow both the connection and what the statement needs.
macro_rules! run {
    ($self:ident, $again:expr, |$connection:ident, $unknown:ident| $statement:expr) => {
        Box::pin(async move {
            let mut attempts = $self.connections.attempts($again)?;
            loop {
                let $connection = attempts.connection().await?;
                let $unknown = attempts.unknown();
                let outcome = timeout_at(attempts.until(), async { $statement.await }).await;
                if let ControlFlow::Break(answer) = attempts.judge($connection, outcome).await {
                    return answer;
                }
            }
        })
    };
    ($self:ident, $again:expr, |$connection:ident| $statement:expr) => {
        run!($self, $again, |$connection, _unknown| $statement)
    };
}
use run;

/// A stored value that this program would not have stored.
fn corrupt(what: &'static str) -> Trouble {
    Trouble::Answer(Error::internal(format!("a stored {what} cannot be read")))
}

/// Reads the `index`th column as a time.
fn time(row: &Row, index: usize) -> Done<Timestamp> {
    Ok(Timestamp::from_micros(row.try_get(index)?))
}

/// Reads the `index`th column as a time that may be absent.
fn optional_time(row: &Row, index: usize) -> Done<Option<Timestamp>> {
    let micros: Option<i64> = row.try_get(index)?;
    Ok(micros.map(Timestamp::from_micros))
}

async fn briefing(
    c: &deadpool_postgres::Object,
    session_id: SessionId,
    before: i64,
    limit: u32,
    prompts: &[PromptName],
) -> Done<Briefing> {
    // All are on their way at once.
    let (history, summary, prompts) = futures_util::try_join!(
        steps::history(c, session_id, before, limit),
        sessions::summary(c, session_id),
        prompts::newest(c, prompts)
    )?;
    Ok(Briefing {
        history,
        summary,
        prompts,
    })
}

impl Store for PostgresStore {
    fn alive(&self) -> BoxFuture<'_, bool> {
        // All of it runs on the runtime.
        Box::pin(std::future::ready(true))
    }

    fn load(&self) -> Load {
        self.connections.load()
    }

    fn schema_version(&self) -> BoxFuture<'_, Result<i64>> {
        run!(self, Again::Always, |c| meta::schema_version(&c))
    }

    fn claim_keys(&self, fingerprint: String) -> BoxFuture<'_, Result<String>> {
        run!(self, Again::Always, |c| meta::claim(
            &c,
            "keys",
            &fingerprint
        ))
    }

    fn claim_master(&self, id: String) -> BoxFuture<'_, Result<String>> {
        run!(self, Again::Always, |c| meta::claim(&c, "master", &id))
    }

    fn replace_master(&self, old: String, new: String) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| meta::replace(
            &c,
            "master",
            (&old, &new),
            unknown
        ))
    }

    fn masters(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        run!(self, Again::Always, |c| keyring::masters(&c))
    }

    fn data_key(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        run!(self, Again::Always, |c| keyring::get(&c, user_id))
    }

    fn add_data_key(&self, key: WrappedKey) -> BoxFuture<'_, Result<Option<WrappedKey>>> {
        run!(self, Again::Always, |c| keyring::add(&c, &key))
    }

    fn rewrap_data_key(&self, old: WrappedKey, new: WrappedKey) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| keyring::rewrap(
            &c, &old, &new, unknown
        ))
    }

    fn data_keys_besides(
        &self,
        master: String,
        after: Option<UserId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<WrappedKey>>> {
        run!(self, Again::Always, |c| keyring::besides(
            &c, &master, after, limit
        ))
    }

    fn add_user(&self, user: User, password_hash: String) -> BoxFuture<'_, Result<()>> {
        run!(self, Again::Always, |c, unknown| users::add(
            &c,
            &user,
            &password_hash,
            unknown
        ))
    }

    fn user(&self, user_id: UserId) -> BoxFuture<'_, Result<Option<User>>> {
        run!(self, Again::Always, |c| users::get(&c, user_id))
    }

    fn user_by_email(&self, email: Email) -> BoxFuture<'_, Result<Option<(User, String)>>> {
        run!(self, Again::Always, |c| users::by_email(&c, &email))
    }

    fn users(
        &self,
        filter: UserFilter,
        before: Option<(Timestamp, UserId)>,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<User>>> {
        run!(self, Again::Always, |c| users::list(
            &c, &filter, before, limit
        ))
    }

    fn add_session(&self, session: EmotionSession) -> BoxFuture<'_, Result<()>> {
        run!(self, Again::Always, |c, unknown| sessions::add(
            &c, &session, unknown
        ))
    }

    fn session(
        &self,
        user_id: UserId,
        session_id: SessionId,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>> {
        run!(self, Again::Always, |c| sessions::get(
            &c, user_id, session_id
        ))
    }

    fn sessions(
        &self,
        user_id: UserId,
        before: Option<(Timestamp, SessionId)>,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Vec<EmotionSession>>> {
        run!(self, Again::Always, |c| sessions::list(
            &c, user_id, before, limit
        ))
    }

    fn end_session(
        &self,
        user_id: UserId,
        session_id: SessionId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<EmotionSession>>> {
        run!(self, Again::Always, |c| sessions::end(
            &c, user_id, session_id, at
        ))
    }

    fn begin_step(&self, begin: BeginStep) -> BoxFuture<'_, Result<Begun>> {
        run!(self, Again::Always, |c, unknown| steps::begin(
            &c, &begin, unknown
        ))
    }

    fn checkpoint_step(
        &self,
        step_id: StepId,
        gpt_response: String,
        lease_until: Timestamp,
    ) -> BoxFuture<'_, Result<()>> {
        run!(self, Again::Always, |c| steps::checkpoint(
            &c,
            step_id,
            &gpt_response,
            lease_until
        ))
    }

    fn finish_step(&self, finish: FinishStep) -> BoxFuture<'_, Result<Option<Usage>>> {
        run!(self, Again::Always, |c, unknown| steps::finish(
            &c, &finish, unknown
        ))
    }

    fn acknowledge_step(&self, step_id: StepId) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c| steps::acknowledge(&c, step_id))
    }

    fn forget_step(&self, step_id: StepId, lease_until: Timestamp) -> BoxFuture<'_, Result<bool>> {
        run!(self, Again::Always, |c, unknown| steps::forget(
            &c,
            step_id,
            lease_until,
            unknown
        ))
    }

    fn close_orphans(&self, before: Timestamp, at: Timestamp) -> BoxFuture<'_, Result<u64>> {
        run!(self, Again::Always, |c| steps::close_orphans(
            &c, before, at
        ))
    }

    fn step(&self, user_id: UserId, step_id: StepId) -> BoxFuture<'_, Result<Option<EmotionStep>>> {
        run!(self, Again::Always, |c| steps::get(&c, user_id, step_id))
    }

    fn find_step(
        &self,
        user_id: UserId,
        session_id: SessionId,
        message_id: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Option<EmotionStep>>> {
        run!(self, Again::Always, |c| steps::find(
            &c,
            user_id,
            session_id,
            message_id.as_ref()
        ))
    }

    fn steps(
        &self,
        user_id: UserId,
        session_id: SessionId,
        after: i64,
        limit: Option<u32>,
    ) -> BoxFuture<'_, Result<Option<Vec<EmotionStep>>>> {
        run!(self, Again::Always, |c| steps::list(
            &c, user_id, session_id, after, limit
        ))
    }

    fn briefing(
        &self,
        session_id: SessionId,
        before: i64,
        limit: u32,
        prompts: Vec<PromptName>,
    ) -> BoxFuture<'_, Result<Briefing>> {
        run!(self, Again::Always, |c| briefing(
            &c, session_id, before, limit, &prompts
        ))
    }

    fn fold(&self, fold: Fold) -> BoxFuture<'_, Result<bool>> {
        // Done twice, the second one finds the summary of the first and does nothing.
        run!(self, Again::Always, |c| sessions::fold(&c, &fold))
    }

    fn forget_usage(&self, day: Day) -> BoxFuture<'_, Result<u64>> {
        run!(self, Again::Always, |c| usage::forget(&c, day))
    }

    fn usage(&self, user_id: UserId, day: Day) -> BoxFuture<'_, Result<Usage>> {
        run!(self, Again::Always, |c| usage::of(&c, user_id, day))
    }
}
