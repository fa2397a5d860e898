//! A PostgreSQL database as the source or the target of a copy.
//!
//! Owns the statements of a copy and the connection they run on, which is none of the pool's. Called by
//! the engine in [`crate::store::copy`]. Invariants: a source is one read-only snapshot; while a target
//! is filled nobody else writes to it.

use super::pool::Told;
use super::{PostgresStore, migrate};
use crate::domain::{Error, ErrorCode, Result};
use crate::store::copy::tables::{Column, Kind, TABLES, Table};
use crate::store::copy::{Cell, Failure, Left, PAGE, Row, Sink, Source, not_empty};
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
        let dump = Dump::open(self).await?;
        dump.client.batch_execute(SNAPSHOT).await.map_err(failed)?;
        Ok(Box::new(dump))
    }

    /// The database as a target. Fails with `config` when its schema is not the one that this program
    /// works with, or when there is something in it; with `unavailable` when others write to it.
    pub async fn sink(&self) -> Result<Box<dyn Sink>> {
        let dump = Dump::open(self).await?;
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
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
        for table in TABLES {
            let filled = dump.client.query_one(&table.filled(), &[]).await;
            if filled.and_then(|row| row.try_get(0)).map_err(failed)? {
                return Err(not_empty(table));
            }
        }
        Ok(Box::new(dump))
    }
}

/// A connection in a transaction. Dropped, the connection closes and the server undoes it.
struct Dump {
    client: Client,
    /// Ends by itself once the client is gone.
    _driving: JoinHandle<()>,
}

impl Dump {
    async fn open(store: &PostgresStore) -> Result<Self> {
        let opened = store.connector.open_driven().await;
        let (client, driving) = opened.map_err(|e| Error::unavailable(Told::of(&e)))?;
        migrate::state(&client).await?.check()?;
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
            // One array a column: the statement is the same however many rows there are.
            let mut columns: Vec<Values> = table.columns.iter().map(Values::of).collect();
            for row in rows {
                for ((column, values), cell) in table.columns.iter().zip(&mut columns).zip(row) {
                    values.push(table, column, cell)?;
                }
            }
            let arrays: Vec<String> = (1..)
                .zip(table.columns)
                .map(|(n, column)| format!("${n}::{}[]", type_of(column.kind)))
                .collect();
            let statement = format!(
                "INSERT INTO {} ({}) SELECT * FROM unnest({})",
                table.name,
                table.names(),
                arrays.join(", ")
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
