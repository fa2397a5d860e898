//! A SQLite file as a whole: the source or the target of a copy, or to be sealed.
//!
//! Owns the statements for that and the connection they run on. Called by the engine in
//! [`crate::store::copy`] and by whoever seals. Invariants: a source is opened read-only; no statement runs on a worker of
//! the runtime.

use super::{SqliteStore, failed, migrate};
use crate::domain::{Error, ErrorCode, Result};
use crate::store::copy::earlier::at;
use crate::store::copy::tables::{Column, Kind, Table};
use crate::store::copy::{Cell, Failure, Left, PAGE, Row, Sink, Snapshots, Source, not_empty};
use crate::store::sealing::{NO_TRACES, ONLY_TRACES, Sealing};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter, types::ToSqlOutput};
use std::path::{Path, PathBuf};

impl SqliteStore {
    /// The file at `path` as a source: as it is now, whatever is written to it meanwhile. Fails with
    /// `config` when there is none, or its schema is not the one that this program works with.
    pub async fn source(path: PathBuf) -> Result<Box<dyn Source>> {
        let dump = Dump::open(move || {
            let opened = || {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection = Connection::open_with_flags(&path, flags)?;
                connection.busy_timeout(super::BUSY)?;
                connection.pragma_update(None, "trusted_schema", false)?;
                // It begins with the first row that is read.
                connection.execute_batch("BEGIN")?;
                connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
                Ok(connection)
            };
            let connection = opened().map_err(|error: rusqlite::Error| {
                let message = format!("cannot read the database {}: {error}", path.display());
                Error::new(ErrorCode::Config, message).with_source(error)
            })?;
            migrate::state(&connection)?.check()?;
            Ok(connection)
        });
        Ok(Box::new(dump.await?))
    }

    /// The file at `path` as a target for what is of this schema version. Fails with `config` when its own is another
    /// one, or when there is something in it.
    pub async fn sink(path: PathBuf, schema: i64) -> Result<Box<dyn Sink>> {
        let dump = Dump::open(move || {
            let connection = super::connect(&path)?;
            migrate::state(&connection)?.takes(schema)?;
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(failed)?;
            for table in at(schema) {
                let filled: bool = connection
                    .query_row(&table.filled(), [], |row| row.get(0))
                    .map_err(failed)?;
                if filled {
                    return Err(not_empty(table));
                }
            }
            Ok(connection)
        });
        Ok(Box::new(dump.await?))
    }
}

impl SqliteStore {
    /// The file at `path`, to seal what is in it. Nobody must serve it meanwhile.
    pub async fn sealing(path: PathBuf) -> Result<Box<dyn Sealing>> {
        let dump = Dump::open(move || {
            let connection = super::connect(&path)?;
            connection
                .execute_batch("BEGIN IMMEDIATE")
                .map_err(failed)?;
            Ok(connection)
        });
        Ok(Box::new(dump.await?))
    }

    /// Rewrites the file at `path` without what was deleted in it, empties its log, and overwrites the
    /// backups from before the words were sealed. Blocks; nobody must serve the file meanwhile.
    pub fn remove_traces(path: &Path) -> Result<()> {
        let connection = super::connect(path)?;
        connection.execute_batch("VACUUM").map_err(failed)?;
        Self::settle(path)?;
        migrate::overwrite_backups(path, crate::store::SEALED_SINCE)?;
        connection.execute_batch(NO_TRACES).map_err(failed)
    }
}

impl Snapshots for SqliteStore {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Source>>> {
        Box::pin(Self::source(self.path.to_path_buf()))
    }
}

/// A connection in a transaction. Dropped, the transaction is undone.
struct Dump(Option<Connection>);

impl Dump {
    async fn open(open: impl FnOnce() -> Result<Connection> + Send + 'static) -> Result<Self> {
        let connection = tokio::task::spawn_blocking(open)
            .await
            .map_err(Error::internal)??;
        Ok(Self(Some(connection)))
    }

    /// Runs `job` on a thread of its own. When the caller goes away meanwhile, the connection goes too.
    async fn run<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self
            .0
            .take()
            .ok_or_else(|| Error::internal("the copy was broken off"))?;
        let (connection, outcome) = tokio::task::spawn_blocking(move || {
            let outcome = job(&connection);
            (connection, outcome)
        })
        .await
        .map_err(Error::internal)?;
        self.0 = Some(connection);
        outcome
    }
}

impl Source for Dump {
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.run(move |c| {
            let count: i64 = c
                .query_row(&table.count(), [], |row| row.get(0))
                .map_err(failed)?;
            u64::try_from(count).map_err(Error::internal)
        }))
    }

    fn page(
        &mut self,
        table: &'static Table,
        after: Option<Row>,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(self.run(move |c| {
            let mut statement = c
                .prepare_cached(&table.page('?', after.is_some(), PAGE))
                .map_err(failed)?;
            let key = params_from_iter(after.unwrap_or_default());
            statement
                .query_map(key, |row| read(table, row))
                .and_then(Iterator::collect)
                .map_err(failed)
        }))
    }
}

impl Sink for Dump {
    fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(move |c| {
            let marks = vec!["?"; table.columns.len()].join(", ");
            let (name, columns) = (table.name, table.names());
            c.prepare_cached(&format!("INSERT INTO {name} ({columns}) VALUES ({marks})"))
                .and_then(|mut statement| {
                    for row in rows {
                        statement.execute(params_from_iter(row))?;
                    }
                    Ok(())
                })
                .map_err(failed)
        }))
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, Failure>> {
        Box::pin(async move {
            // A commit that fails, for example on a full disk, is undone with the connection.
            self.run(|c| c.execute_batch("COMMIT").map_err(failed))
                .await
                .map_err(|e| Left::Nothing.because(e))?;
            // What is read back is the file, not what this connection remembers of it.
            let look = "PRAGMA shrink_memory; PRAGMA query_only = true; BEGIN";
            self.run(|c| c.execute_batch(look).map_err(failed))
                .await
                .map_err(|e| Left::Unverified.because(e))?;
            let source: Box<dyn Source> = self;
            Ok(source)
        })
    }
}

impl Sealing for Dump {
    fn replace(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.run(move |c| {
            let set = |columns: &[Column], first: usize, between: &str| {
                let named = (first..).zip(columns);
                let named: Vec<String> = named
                    .map(|(n, column)| format!("{} = ?{n}", column.name))
                    .collect();
                named.join(between)
            };
            let values = set(table.other_columns(), table.key + 1, ", ");
            let key = set(table.key_columns(), 1, " AND ");
            c.prepare_cached(&format!("UPDATE {} SET {values} WHERE {key}", table.name))
                .and_then(|mut statement| {
                    for row in rows {
                        statement.execute(params_from_iter(row))?;
                    }
                    Ok(())
                })
                .map_err(failed)
        }))
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let end = format!("{ONLY_TRACES}; COMMIT");
            self.run(move |c| c.execute_batch(&end).map_err(failed))
                .await
        })
    }
}

/// A row as it is stored. What is of another kind than its column says is an error.
fn read(table: &Table, row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let cell = |(index, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Id => row
                .get::<_, Option<[u8; 16]>>(index)?
                .map(|id| Cell::Id(uuid::Uuid::from_bytes(id))),
            Kind::Integer => row.get::<_, Option<i64>>(index)?.map(Cell::Integer),
            Kind::Text => row.get::<_, Option<String>>(index)?.map(Cell::Text),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect()
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Null => Ok(ToSqlOutput::from(rusqlite::types::Null)),
            Self::Id(id) => Ok(ToSqlOutput::from(id.as_bytes().as_slice())),
            Self::Integer(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}
