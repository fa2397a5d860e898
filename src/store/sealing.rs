//! Sealing what was stored before there were seals.
//!
//! Owns what a backend gives to it, [`Sealing`]. Called by the vault, which knows the keys. Invariant:
//! the database is sealed whole or not at all, and a start that was interrupted on the way goes on from
//! there: first the words, then the traces that they left in the files.

use super::copy::tables::Table;
use super::copy::{Row, Sink, Source};
use crate::domain::Result;
use futures_util::future::BoxFuture;

/// A database in a transaction in which its words are sealed. Dropped, the transaction is undone.
pub trait Sealing: Source + Sink {
    /// Replaces rows by their keys.
    fn replace(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>>;

    /// Records that only traces are left, and ends the transaction.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// Records that the words are sealed and their traces are not removed yet.
pub(super) const ONLY_TRACES: &str = "UPDATE meta SET value = 'traces' WHERE name = 'unsealed'";
/// Records that nothing is left to do.
pub(super) const NO_TRACES: &str = "DELETE FROM meta WHERE name = 'unsealed'";
