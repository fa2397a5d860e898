//! Copying a whole database into an empty one, or into an archive, whatever their kinds.
//!
//! Owns the engine, [`copy`], and what a backend gives to it: a [`Source`] and a [`Sink`]. Called by
//! `deepme db copy` and the backups. Invariants: the source is read as it was at one moment and is not written to; the
//! target gets all of it in one transaction or nothing; what is reported as copied was read back and
//! is the same; there is never more than a page of rows in memory.

pub mod archive;
mod digest;
pub mod earlier;
pub mod tables;

use crate::domain::{Error, ErrorCode, Result};
use digest::Digest;
use futures_util::future::BoxFuture;
use tables::{TABLES, Table};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Rows that are in memory at once.
pub const PAGE: u32 = 500;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Null,
    /// A UUID.
    Id(Uuid),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// The values of a row, in the order of the table's columns.
pub type Row = Vec<Cell>;

/// A database as it was at one moment.
pub trait Source: Send {
    /// How many rows a table has.
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>>;

    /// The next [`PAGE`] rows by key, or what there is: those after the key `after`.
    fn page(
        &mut self,
        table: &'static Table,
        after: Option<Row>,
    ) -> BoxFuture<'_, Result<Vec<Row>>>;
}

/// Where a database can be had as it is at this moment, whatever is written to it meanwhile.
pub trait Snapshots: Send + Sync + 'static {
    /// The database. Fails with `config` when its schema is not the one that this program works with.
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Source>>>;
}

/// An empty database in a transaction, which is undone when this is dropped.
pub trait Sink: Send {
    /// Adds rows.
    fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>>;

    /// Ends the transaction; the database as it then is. A failure says what is known of the outcome.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, Failure>>;
}

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// What tells its content from any other, in hex digits.
    pub sha256: String,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A file is read before anything is done with it.
    Reading,
    /// Rows go over.
    Copying,
    /// The copy is read back.
    Verifying,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// With which table.
    pub table: &'static str,
    /// Rows of it that are done.
    pub done: u64,
    /// Rows that it has.
    pub rows: u64,
}

/// What a copy that failed has left in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Everything or nothing: the answer to the commit did not come.
    Unknown,
    /// Everything, but it could not be read back, or is not the same.
    Unverified,
}

/// Why a copy failed.
#[derive(Debug)]
pub struct Failure {
    /// What there is in the target.
    pub left: Left,
    /// What went wrong.
    pub error: Error,
}

impl Left {
    pub(super) fn because(self, error: Error) -> Failure {
        Failure { left: self, error }
    }
}

/// Copies every table and reads the copy back. Ends early when `stop` is cancelled, but not between the
/// commit and its answer.
pub async fn copy(
    source: &mut dyn Source,
    sink: Box<dyn Sink>,
    stop: &CancellationToken,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Copied>, Failure> {
    let all: Vec<&'static Table> = TABLES.iter().collect();
    copy_of(&all, source, sink, stop, tell).await
}

/// The same with these tables only, of whatever schema version, which must be in the order of [`TABLES`].
pub async fn copy_of(
    tables: &[&'static Table],
    source: &mut dyn Source,
    sink: Box<dyn Sink>,
    stop: &CancellationToken,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Copied>, Failure> {
    let mut sink = sink;
    let sent = unless(stop, async {
        let mut sent = Vec::new();
        for &table in tables {
            sent.push(transfer(source, Some(&mut *sink), table, Phase::Copying, tell).await?);
        }
        Ok(sent)
    });
    let sent = sent.await.map_err(|e| Left::Nothing.because(e))?;
    let mut target = sink.commit().await?;
    let kept = unless(stop, async {
        let mut kept = Vec::new();
        for &table in tables {
            kept.push(transfer(&mut *target, None, table, Phase::Verifying, tell).await?);
        }
        Ok(kept)
    });
    let kept = kept.await.map_err(|e| Left::Unverified.because(e))?;
    match sent.iter().zip(&kept).find(|(sent, kept)| sent != kept) {
        None => Ok(sent),
        Some((sent, kept)) => Err(Left::Unverified.because(Error::new(
            ErrorCode::Internal,
            format!(
                "the table {} has {} rows with the content {} there, and {} with {} here",
                sent.table, sent.rows, sent.sha256, kept.rows, kept.sha256
            ),
        ))),
    }
}

/// The outcome of `work`, unless it is told to stop before.
async fn unless<T>(stop: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Error::new(ErrorCode::Interrupted, "interrupted")),
        outcome = work => outcome,
    }
}

/// Reads a table from its first row to its last, and adds the rows to the sink if there is one.
async fn transfer(
    source: &mut dyn Source,
    mut sink: Option<&mut (dyn Sink + '_)>,
    table: &'static Table,
    phase: Phase,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Copied> {
    let rows = source.count(table).await?;
    let mut digest = Digest::new(table);
    let mut after = None;
    let mut done = 0;
    loop {
        let page = source.page(table, after).await?;
        for row in &page {
            digest.add(row);
        }
        done += page.len() as u64;
        // The last page may be empty; only an empty table is told by it.
        if !page.is_empty() || done == 0 {
            tell(Progress {
                phase,
                table: table.name,
                done,
                rows,
            });
        }
        let full = page.len() >= PAGE as usize;
        after = page
            .last()
            .map(|row| row.iter().take(table.key).cloned().collect());
        if let Some(sink) = &mut sink
            && !page.is_empty()
        {
            sink.add(table, page).await?;
        }
        if !full {
            break;
        }
    }
    if done != rows {
        return Err(Error::new(
            ErrorCode::Internal,
            format!(
                "the table {} has {rows} rows, of which {done} could be read",
                table.name
            ),
        ));
    }
    let (rows, sha256) = digest.finish();
    Ok(Copied {
        table: table.name,
        rows,
        sha256,
    })
}

/// The refusal of a target in which something is.
pub(super) fn not_empty(table: &Table) -> Error {
    Error::new(
        ErrorCode::Config,
        format!(
            "the database is not empty, there are {} in it: copy into a new one",
            if table.name == "meta" {
                "claimed keys"
            } else {
                table.name
            }
        ),
    )
}
