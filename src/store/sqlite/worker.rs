//! The threads that own the SQLite connections.
//!
//! Owns one writer and a few readers, each a thread with its own connection and a bounded queue.
//! Called by [`super::SqliteStore`] only. Invariants: no runtime worker ever waits on SQLite; each
//! job is atomic by itself (a savepoint); jobs that wait together share one commit, and none of
//! them is answered before that commit is on disk; after a sync that failed nothing is answered
//! any more; the writer is the last to close, so that a database that was closed is one file.

use crate::domain::meter::{Commits, Counter, Load};
use crate::domain::{Error, ErrorCode, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Jobs that may wait for a thread; one more is refused with `overloaded`.
const QUEUE: usize = 4096;
/// Jobs that share one commit at most: bounds how long the first of them waits.
const GROUP: usize = 256;
/// Longest wait for an answer, queueing included (fault table row 11 allows 3 s to a client).
const DEADLINE: Duration = Duration::from_millis(2900);

/// Tells the waiting caller, once it is known whether the commit succeeded.
type Reply = Box<dyn FnOnce(bool)>;
type WriteJob = Box<dyn FnOnce(&Connection) -> Option<Reply> + Send>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// Handles to the threads. They end when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Workers {
    writer: mpsc::Sender<WriteJob>,
    readers: Arc<[mpsc::Sender<ReadJob>]>,
    next_reader: Arc<AtomicUsize>,
    unsynced: CancellationToken,
    committed: Arc<Committed>,
}

/// What the writer has committed.
#[derive(Default)]
struct Committed {
    commits: Counter,
    writes: Counter,
}

impl Workers {
    /// Starts a thread for each connection.
    pub(super) fn start(mut writer: Connection, readers: Vec<Connection>) -> Result<Self> {
        let (writer_queue, jobs) = mpsc::channel(QUEUE);
        let unsynced = CancellationToken::new();
        let committed: Arc<Committed> = Arc::default();
        let (readers, threads): (Vec<_>, Vec<_>) = readers
            .into_iter()
            .enumerate()
            .map(|(n, connection)| {
                let (queue, jobs) = mpsc::channel(QUEUE);
                let thread = spawn(&format!("db-reader-{n}"), move || {
                    read_loop(&connection, jobs);
                })?;
                Ok((queue, thread))
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        let (told, counted) = (unsynced.clone(), Arc::clone(&committed));
        spawn("db-writer", move || {
            write_loop(&mut writer, jobs, &told, &counted);
            if !told.is_cancelled() {
                // The last connection to close empties the log and takes it away. Of two that close at once, each
                // may take the other for one that goes on, and both leave it.
                for reader in threads {
                    let _ = reader.join();
                }
            }
        })?;
        Ok(Self {
            writer: writer_queue,
            readers: readers.into(),
            next_reader: Arc::default(),
            unsynced,
            committed,
        })
    }

    /// Fires when a sync has failed; see [`super::SqliteStore::unsynced`].
    pub(super) fn unsynced(&self) -> CancellationToken {
        self.unsynced.clone()
    }

    /// How busy the writer is.
    pub(super) fn load(&self) -> Load {
        let waiting = self.writer.max_capacity() - self.writer.capacity();
        Load {
            waiting: waiting as u64,
            commits: Some(Commits {
                commits: self.committed.commits.get(),
                writes: self.committed.writes.get(),
            }),
            connections: None,
        }
    }

    /// Whether the writer takes a job that does nothing, within the time that an answer may take. A
    /// file that another process has locked is none of its faults: it drops the job then.
    pub(super) async fn writer_answers(&self) -> bool {
        let (taken, heard) = oneshot::channel::<()>();
        let job: WriteJob = Box::new(move |_| {
            drop(taken);
            None
        });
        let answer = async {
            // Behind a queue that is full, too: it is served as long as the writer is.
            let queued = self.writer.send(job).await.is_ok();
            let _ = heard.await;
            queued
        };
        tokio::time::timeout(DEADLINE, answer).await == Ok(true)
    }

    /// Runs `job` in a transaction; its result counts once it is committed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, result) = oneshot::channel();
        let unsynced = self.unsynced.clone();
        let run: WriteJob = Box::new(move |connection| {
            if answer.is_closed() {
                // The caller gave up: what it asked for must not happen behind its back.
                return None;
            }
            let outcome = in_savepoint(connection, job);
            // A group that outgrows the page cache is written, and may be synced, before its commit.
            if outcome.as_ref().is_err_and(|error| sync_failed(error)) {
                unsynced.cancel();
            }
            Some(Box::new(move |committed| {
                let outcome = if committed {
                    outcome
                } else {
                    outcome.and(Err(lost_commit()))
                };
                // A caller that is gone by now does not need to know.
                let _ = answer.send(outcome);
            }))
        });
        self.writer.try_send(run).map_err(queue_error)?;
        wait(result).await
    }

    /// Runs `job` on one of the readers, which see everything committed before.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.unsynced.is_cancelled() {
            return Err(ended());
        }
        let (answer, result) = oneshot::channel();
        let run: ReadJob = Box::new(move |connection| {
            if !answer.is_closed() {
                let _ = answer.send(caught(|| in_snapshot(connection, job)));
            }
        });
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed) % self.readers.len().max(1);
        let reader = self
            .readers
            .get(turn)
            .ok_or_else(|| Error::internal("no readers"))?;
        reader.try_send(run).map_err(queue_error)?;
        wait(result).await
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(Error::internal)
}

async fn wait<T>(result: oneshot::Receiver<Result<T>>) -> Result<T> {
    match tokio::time::timeout(DEADLINE, result).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(ended()),
        Err(_) => Err(Error::unavailable("the database did not answer in time")),
    }
}

fn queue_error<T>(error: mpsc::error::TrySendError<T>) -> Error {
    match error {
        mpsc::error::TrySendError::Full(_) => Error::new(
            ErrorCode::Overloaded,
            "the server has too much to store at the moment",
        )
        .retry_after(2),
        mpsc::error::TrySendError::Closed(_) => ended(),
    }
}

fn ended() -> Error {
    Error::unavailable("the database thread has ended")
}

fn lost_commit() -> Error {
    Error::unavailable("the transaction could not be committed")
}

/// Writes until nobody can ask any more, or until a sync fails: what was waiting then is refused by
/// the queue that ends here.
fn write_loop(
    connection: &mut Connection,
    mut jobs: mpsc::Receiver<WriteJob>,
    unsynced: &CancellationToken,
    counted: &Committed,
) {
    while let Some(first) = jobs.blocking_recv() {
        let mut replies = Vec::new();
        let committed = commit_group(connection, first, &mut jobs, &mut replies);
        if let Err(error) = &committed {
            tracing::error!(%error, jobs = replies.len(), "commit failed");
            if sync_failed(error) {
                unsynced.cancel();
            }
        }
        let lost = unsynced.is_cancelled();
        if committed.is_ok() && !replies.is_empty() {
            counted.commits.add(1);
            counted.writes.add(replies.len() as u64);
        }
        for reply in replies {
            reply(committed.is_ok() && !lost);
        }
        if lost {
            return;
        }
    }
}

/// Whether this is, or comes from, a sync that failed. The kernel may have dropped the pages and marked
/// them clean: the next sync would succeed without them, and an acknowledgement after it would be a
/// lie. A sync that fails in a checkpoint is none of these: SQLite keeps the log and copies all of it
/// again.
fn sync_failed(error: &(dyn std::error::Error + 'static)) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<rusqlite::Error>()?.sqlite_error())
        .any(|error| {
            matches!(
                error.extended_code,
                SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC
            )
        })
}

fn commit_group(
    connection: &mut Connection,
    first: WriteJob,
    jobs: &mut mpsc::Receiver<WriteJob>,
    replies: &mut Vec<Reply>,
) -> rusqlite::Result<()> {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            // Without a transaction the job is not run at all; it learns so by its dropped channel.
            drop(first);
            return Err(error);
        }
    };
    replies.extend(first(&transaction));
    while replies.len() < GROUP
        && let Ok(job) = jobs.try_recv()
    {
        replies.extend(job(&transaction));
    }
    transaction.commit()
}

fn read_loop(connection: &Connection, mut jobs: mpsc::Receiver<ReadJob>) {
    while let Some(job) = jobs.blocking_recv() {
        job(connection);
    }
}

/// A job that fails, or panics, leaves nothing behind and does not disturb its neighbours.
fn in_savepoint<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    if connection.is_autocommit() {
        // SQLite rolled the whole group back by itself, as it does when the disk is full.
        return Err(lost_commit());
    }
    let run = |sql| {
        connection
            .prepare_cached(sql)
            .and_then(|mut s| s.execute([]))
            .map_err(super::failed)
    };
    run("SAVEPOINT job")?;
    let outcome = caught(|| job(connection));
    if outcome.is_err() {
        run("ROLLBACK TO job")?;
    }
    run("RELEASE job")?;
    outcome
}

/// All statements of a read see one state of the database.
fn in_snapshot<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let transaction = connection.unchecked_transaction().map_err(super::failed)?;
    let outcome = job(&transaction);
    transaction.commit().map_err(super::failed)?;
    outcome
}

fn caught<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(job))
        .unwrap_or_else(|_| Err(Error::internal("a database job panicked")))
}
