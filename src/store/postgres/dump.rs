//! A PostgreSQL database as a whole: the source or the target of a copy, or to be sealed.
//!
//! Owns the statements for that and the connection they run on, which is none of the pool's. Called by
//! the engine in [`crate::store::copy`] and by whoever seals. Invariants: a source is one read-only snapshot; while a target
//! is filled nobody else writes to it.

use super::pool::Told;
use super::{PostgresStore, migrate};
use crate::domain::{Error, ErrorCode, Result};
use crate::store::SCHEMA_VERSION;
use crate::store::copy::earlier::at;
use crate::store::copy::tables::{Column, Kind, TABLES, Table};
use crate::store::copy::{Cell, Failure, Left, PAGE, Row, Sink, Snapshots, Source, not_empty};
use crate::store::sealing::{NO_TRACES, ONLY_TRACES, Sealing};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// A snapshot. The limits that the pool's connections have are not for one that reads everything.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

impl PostgresStore {
    /// The database as a source: as it is now, whatever is written to it meanwhile. Fails with `config`
    /// when its schema is not the one that this program works with.
    pub async fn source(&self) -> Result<Box<dyn Source>> {
        let dump = Dump::open(self, SCHEMA_VERSION).await?;
        dump.client.batch_execute(SNAPSHOT).await.map_err(failed)?;
        Ok(Box::new(dump))
    }

    /// The database as a target for what is of this schema version. Fails with `config` when its own is another one,
    /// or when there is something in it; with `unavailable` when others write to it.
    pub async fn sink(&self, schema: i64) -> Result<Box<dyn Sink>> {
        let dump = Dump::open(self, schema).await?;
        let there = at(schema);
        let tables: Vec<&str> = there.iter().map(|table| table.name).collect();
        // Whoever writes now is waited for as long as for any statement.
        let locked = format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
        dump.client.batch_execute(&locked).await.map_err(|error| {
            let busy = [
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::QUERY_CANCELED,
                SqlState::T_R_DEADLOCK_DETECTED,
            ];
            if error.code().is_some_and(|code| busy.contains(code)) {
                let told = Told::of(&error);
                return Error::new(
                    ErrorCode::Unavailable,
                    "somebody writes to the database: stop every deepme that serves it",
                )
                .with_source(told);
            }
            failed(error)
        })?;
        dump.client
            .batch_execute(
                "SET LOCAL statement_timeout = 0; \
                 SET LOCAL idle_in_transaction_session_timeout = 0",
            )
            .await
            .map_err(failed)?;
        for table in there {
            let filled = dump.client.query_one(&table.filled(), &[]).await;
            if filled.and_then(|row| row.try_get(0)).map_err(failed)? {
                return Err(not_empty(table));
            }
        }
        Ok(Box::new(dump))
    }
}

impl PostgresStore {
    /// The database, to seal what is in it; fails with `unavailable` when others write to it.
    pub async fn sealing(&self) -> Result<Box<dyn Sealing>> {
        let opened = self.connector.open_driven().await;
        let (client, driving) = opened.map_err(|e| Error::unavailable(Told::of(&e)))?;
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let locked = format!(
            "BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE; SET LOCAL statement_timeout = 0;
             SET LOCAL idle_in_transaction_session_timeout = 0",
            tables.join(", ")
        );
        client.batch_execute(&locked).await.map_err(failed)?;
        Ok(Box::new(Dump {
            client,
            _driving: driving,
        }))
    }

    /// Rewrites the tables without what was deleted in them. What the server's own log, its copies and
    /// backups hold is out of reach.
    pub async fn remove_traces(&self) -> Result<()> {
        let opened = self.connector.open_driven().await;
        let (client, _driving) = opened.map_err(|e| Error::unavailable(Told::of(&e)))?;
        let unlimited = "SET statement_timeout = 0";
        let rewrite =
            ["sessions", "steps", "prompts"].map(|table| format!("VACUUM (FULL) {table}"));
        for statement in std::iter::once(unlimited)
            .chain(rewrite.iter().map(String::as_str))
            .chain([NO_TRACES])
        {
            client.batch_execute(statement).await.map_err(failed)?;
        }
        Ok(())
    }
}

impl Snapshots for PostgresStore {
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Source>>> {
        Box::pin(self.source())
    }
}

/// A connection in a transaction. Dropped, the connection closes and the server undoes it.
struct Dump {
    client: Client,
    /// Ends by itself once the client is gone.
    _driving: JoinHandle<()>,
}

impl Dump {
    async fn open(store: &PostgresStore, schema: i64) -> Result<Self> {
        let opened = store.connector.open_driven().await;
        let (client, driving) = opened.map_err(|e| Error::unavailable(Told::of(&e)))?;
        migrate::state(&client).await?.takes(schema)?;
        Ok(Self {
            client,
            _driving: driving,
        })
    }
}

/// What a failed statement means. The database's own words may quote what people said.
fn failed(error: tokio_postgres::Error) -> Error {
    let told = Told::of(&error);
    if error.as_db_error().is_none() {
        return Error::unavailable(told);
    }
    Error::new(ErrorCode::Internal, "the database refused a statement").with_source(told)
}

impl Source for Dump {
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async {
            let counted = self.client.query_one(&table.count(), &[]).await;
            let count: i64 = counted.and_then(|row| row.try_get(0)).map_err(failed)?;
            u64::try_from(count).map_err(Error::internal)
        })
    }

    fn page(
        &mut self,
        table: &'static Table,
        after: Option<Row>,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            let statement = table.page('$', after.is_some(), PAGE);
            let key = after.unwrap_or_default();
            let key: Vec<&(dyn ToSql + Sync)> = key.iter().filter_map(parameter).collect();
            let rows = self.client.query(&statement, &key).await.map_err(failed)?;
            rows.iter()
                .map(|row| read(table, row))
                .collect::<Result<_, _>>()
                .map_err(failed)
        })
    }
}

impl Sink for Dump {
    fn add(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let (arrays, columns) = Values::arrays(table, rows)?;
            let statement = format!(
                "INSERT INTO {} ({}) SELECT * FROM unnest({arrays})",
                table.name,
                table.names(),
            );
            let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(Values::parameter).collect();
            let added = self.client.execute(&statement, &values).await;
            added.map(|_| ()).map_err(failed)
        })
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, Failure>> {
        Box::pin(async move {
            let committed = self.client.batch_execute("COMMIT").await;
            committed.map_err(|error| {
                // A server that says no has undone it; one that says nothing may have done it.
                let refused = error
                    .code()
                    .is_some_and(|code| !code.code().starts_with("57"));
                let left = if refused {
                    Left::Nothing
                } else {
                    Left::Unknown
                };
                left.because(failed(error))
            })?;
            let looking = self.client.batch_execute(SNAPSHOT).await;
            looking.map_err(|e| Left::Unverified.because(failed(e)))?;
            let source: Box<dyn Source> = self;
            Ok(source)
        })
    }
}

impl Sealing for Dump {
    fn replace(&mut self, table: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let set = |of: &str, columns: &[Column]| -> Vec<String> {
                let one = |column: &Column| format!("{of}{0} = v.{0}", column.name);
                columns.iter().map(one).collect()
            };
            let values = set("", table.other_columns());
            let key = set("t.", table.key_columns());
            let (arrays, columns) = Values::arrays(table, rows)?;
            let statement = format!(
                "UPDATE {} t SET {} FROM unnest({arrays}) AS v ({}) WHERE {}",
                table.name,
                values.join(", "),
                table.names(),
                key.join(" AND ")
            );
            let values: Vec<&(dyn ToSql + Sync)> = columns.iter().map(Values::parameter).collect();
            let replaced = self.client.execute(&statement, &values).await;
            replaced.map(|_| ()).map_err(failed)
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let end = format!("{ONLY_TRACES}; COMMIT");
            self.client.batch_execute(&end).await.map_err(failed)
        })
    }
}

const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "uuid",
        Kind::Integer => "bigint",
        Kind::Text => "text",
    }
}

/// A cell of a key, which is never null.
fn parameter(cell: &Cell) -> Option<&(dyn ToSql + Sync)> {
    match cell {
        Cell::Null => None,
        Cell::Id(id) => Some(id),
        Cell::Integer(number) => Some(number),
        Cell::Text(text) => Some(text),
    }
}

fn read(table: &Table, row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let cell = |(index, column): (usize, &Column)| {
        Ok(match column.kind {
            Kind::Id => row.try_get::<_, Option<Uuid>>(index)?.map(Cell::Id),
            Kind::Integer => row.try_get::<_, Option<i64>>(index)?.map(Cell::Integer),
            Kind::Text => row.try_get::<_, Option<String>>(index)?.map(Cell::Text),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect()
}

/// The values of a column in the rows of a page.
enum Values {
    Ids(Vec<Option<Uuid>>),
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
}

impl Values {
    /// One array a column: a statement is the same however many rows there are. The arrays as they are
    /// written in it, and what they hold.
    fn arrays(table: &Table, rows: Vec<Row>) -> Result<(String, Vec<Self>)> {
        let mut columns: Vec<Self> = table.columns.iter().map(Self::of).collect();
        for row in rows {
            for ((column, values), cell) in table.columns.iter().zip(&mut columns).zip(row) {
                values.push(table, column, cell)?;
            }
        }
        let arrays: Vec<String> = (1..)
            .zip(table.columns)
            .map(|(n, column)| format!("${n}::{}[]", type_of(column.kind)))
            .collect();
        Ok((arrays.join(", "), columns))
    }

    fn of(column: &Column) -> Self {
        match column.kind {
            Kind::Id => Self::Ids(Vec::new()),
            Kind::Integer => Self::Integers(Vec::new()),
            Kind::Text => Self::Texts(Vec::new()),
        }
    }

    fn push(&mut self, table: &Table, column: &Column, cell: Cell) -> Result<()> {
        match (self, cell) {
            (Self::Ids(ids), Cell::Null) => ids.push(None),
            (Self::Ids(ids), Cell::Id(id)) => ids.push(Some(id)),
            (Self::Integers(numbers), Cell::Null) => numbers.push(None),
            (Self::Integers(numbers), Cell::Integer(number)) => numbers.push(Some(number)),
            (Self::Texts(texts), Cell::Null) => texts.push(None),
            (Self::Texts(_), Cell::Text(text)) if text.contains('\0') => {
                return Err(Error::new(
                    ErrorCode::InvalidInput,
                    format!(
                        "{}.{} holds the NUL character somewhere, which PostgreSQL cannot store",
                        table.name, column.name
                    ),
                ));
            }
            (Self::Texts(texts), Cell::Text(text)) => texts.push(Some(text)),
            _ => {
                let what = format!("{}.{} is of another kind", table.name, column.name);
                return Err(Error::internal(what));
            }
        }
        Ok(())
    }

    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Ids(ids) => ids,
            Self::Integers(numbers) => numbers,
            Self::Texts(texts) => texts,
        }
    }
}
