//! Rows in a file: a sink that writes them, and a source that reads them.
//!
//! Owns the format of what is inside a backup, the same whatever database it is of. Called by the backups, which
//! compress and seal it. Invariants: rows are written and read in the order of their tables, once; how many there
//! are stands before them, and nothing stands after them.
//!
//! First a line of JSON, the [`Manifest`]. Then the cells of all rows: a byte, 0 for none, 1 for an id and its 16
//! bytes, 2 for a number and its 8, 3 for a text, the number of its bytes in 4 bytes, and those. Numbers are
//! big-endian.

use super::tables::{Kind, Table};
use super::{Cell, Failure, Left, PAGE, Row, Sink, Source};
use crate::domain::{Error, ErrorCode, Result};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use uuid::Uuid;

/// Most bytes of the line before the rows.
const MANIFEST: u64 = 64 * 1024;

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The tables, in the order in which their rows stand.
    pub tables: Vec<Described>,
}

/// A table of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// How many of the columns, from the first, are the key.
    pub key: usize,
    /// Its columns: name, and `id`, `integer` or `text`.
    pub columns: Vec<(String, String)>,
    /// How many rows it has.
    pub rows: u64,
}

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "id",
        Kind::Integer => "integer",
        Kind::Text => "text",
    }
}

impl Described {
    /// A table of this program's schema.
    pub fn of(table: &Table, rows: u64) -> Self {
        let column = |column: &super::tables::Column| {
            (column.name.to_owned(), name_of(column.kind).to_owned())
        };
        Self {
            name: table.name.to_owned(),
            key: table.key,
            columns: table.columns.iter().map(column).collect(),
            rows,
        }
    }

    /// What is here and not in that table, or the other way round.
    fn differs(&self, table: &Table) -> Option<String> {
        let there = Self::of(table, self.rows);
        let without = |here: &Self, there: &Self| {
            let strange = here.columns.iter().find(|own| !there.columns.contains(own));
            strange.cloned()
        };
        let name = &self.name;
        if let Some((column, kind)) = without(self, &there) {
            Some(format!("its table {name} has a column {column} ({kind})"))
        } else if let Some((column, _)) = without(&there, self) {
            Some(format!("its table {name} has no column {column}"))
        } else if *self == there {
            None
        } else {
            Some(format!("its table {name} has another order or key"))
        }
    }
}

/// What an archive is written to.
pub trait Medium: Write + Send + 'static {
    /// Ends it and brings it to the disk; what was written, from its beginning.
    fn finish(self: Box<Self>) -> io::Result<Box<dyn Read + Send>>;
}

/// An archive that is being written.
pub struct ArchiveSink {
    medium: Option<Box<dyn Medium>>,
    manifest: Manifest,
}

impl ArchiveSink {
    /// Writes the manifest. Blocks.
    pub fn begin(mut medium: Box<dyn Medium>, manifest: Manifest) -> Result<Self> {
        let mut line = serde_json::to_vec(&manifest).map_err(Error::internal)?;
        line.push(b'\n');
        medium.write_all(&line).map_err(unwritten)?;
        Ok(Self {
            medium: Some(medium),
            manifest,
        })
    }
}

impl Sink for ArchiveSink {
    fn add(&mut self, _: &'static Table, rows: Vec<Row>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut medium = self.medium.take().ok_or_else(broken_off)?;
            let written = off_the_runtime(move || {
                let mut bytes = Vec::new();
                for cell in rows.iter().flatten() {
                    put(cell, &mut bytes)?;
                }
                medium.write_all(&bytes).map_err(unwritten)?;
                Ok(medium)
            });
            self.medium = Some(written.await?);
            Ok(())
        })
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn Source>, Failure>> {
        Box::pin(async move {
            let Self { medium, manifest } = *self;
            let finished = off_the_runtime(move || {
                let medium = medium.ok_or_else(broken_off)?;
                let read = medium.finish().map_err(unwritten)?;
                ArchiveSource::begin(read)
            });
            let source = finished.await.map_err(|e| Left::Nothing.because(e))?;
            if source.manifest != manifest {
                return Err(Left::Nothing.because(damaged("it does not begin as it was written")));
            }
            let source: Box<dyn Source> = Box::new(source);
            Ok(source)
        })
    }
}

fn put(cell: &Cell, bytes: &mut Vec<u8>) -> Result<()> {
    match cell {
        Cell::Null => bytes.push(0),
        Cell::Id(id) => {
            bytes.push(1);
            bytes.extend_from_slice(id.as_bytes());
        }
        Cell::Integer(number) => {
            bytes.push(2);
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Cell::Text(text) => {
            let length = u32::try_from(text.len()).map_err(Error::internal)?;
            bytes.push(3);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    Ok(())
}

/// An archive that is being read, from its first row to its last.
pub struct ArchiveSource {
    manifest: Manifest,
    reading: Option<Reading>,
}

/// Where the reading is.
struct Reading {
    from: BufReader<Box<dyn Read + Send>>,
    /// The rows that are left of each table.
    left: Vec<u64>,
}

impl ArchiveSource {
    /// Reads the manifest. Blocks; `invalid_input` when it is none.
    pub fn begin(from: Box<dyn Read + Send>) -> Result<Self> {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        let read = from.by_ref().take(MANIFEST).read_until(b'\n', &mut line);
        read.map_err(unread)?;
        let manifest: Manifest = serde_json::from_slice(&line)
            .map_err(|_| damaged("its list of tables cannot be read"))?;
        let left = manifest.tables.iter().map(|table| table.rows).collect();
        Ok(Self {
            manifest,
            reading: Some(Reading { from, left }),
        })
    }

    /// What is in it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Refuses an archive in which there is anything but these tables, as they are here; says what.
    pub fn check(&self, tables: &[&'static Table]) -> Result<()> {
        let strange = |described: &Described| {
            let table = tables.iter().find(|table| table.name == described.name);
            match table {
                None => Some(format!("there is a table {} in it", described.name)),
                Some(table) => described.differs(table),
            }
        };
        match self.manifest.tables.iter().find_map(strange) {
            None => Ok(()),
            Some(what) => Err(damaged(format!(
                "{what}; no backup of its schema version is like that"
            ))),
        }
    }

    fn place(&self, table: &Table) -> Option<usize> {
        let tables = &self.manifest.tables;
        tables.iter().position(|other| other.name == table.name)
    }
}

impl Source for ArchiveSource {
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>> {
        let rows = self
            .place(table)
            .and_then(|place| self.manifest.tables.get(place))
            .map_or(0, |table| table.rows);
        Box::pin(async move { Ok(rows) })
    }

    fn page(&mut self, table: &'static Table, _: Option<Row>) -> BoxFuture<'_, Result<Vec<Row>>> {
        let place = self.place(table);
        Box::pin(async move {
            let Some(place) = place else {
                return Ok(Vec::new());
            };
            let mut reading = self.reading.take().ok_or_else(broken_off)?;
            let read = off_the_runtime(move || {
                let rows = reading.page(place, table)?;
                Ok((reading, rows))
            });
            let (reading, rows) = read.await?;
            self.reading = Some(reading);
            Ok(rows)
        })
    }
}

impl Reading {
    fn page(&mut self, place: usize, table: &Table) -> Result<Vec<Row>> {
        if self.left.iter().take(place).any(|left| *left > 0) {
            return Err(Error::internal("an archive is read in its order"));
        }
        let Some(left) = self.left.get_mut(place) else {
            return Ok(Vec::new());
        };
        let some = (*left).min(u64::from(PAGE));
        *left -= some;
        let row = |_| {
            let cells = table
                .columns
                .iter()
                .map(|column| get(&mut self.from, column.kind));
            cells.collect::<Result<Row>>()
        };
        let rows = (0..some).map(row).collect::<Result<Vec<Row>>>()?;
        if self.left.iter().all(|left| *left == 0)
            && !self.from.fill_buf().map_err(unread)?.is_empty()
        {
            return Err(damaged("there is something after its last row"));
        }
        Ok(rows)
    }
}

fn get(from: &mut impl Read, kind: Kind) -> Result<Cell> {
    fn bytes<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        from.read_exact(&mut bytes).map_err(unread)?;
        Ok(bytes)
    }
    let [tag] = bytes(from)?;
    match (tag, kind) {
        (0, _) => Ok(Cell::Null),
        (1, Kind::Id) => Ok(Cell::Id(Uuid::from_bytes(bytes(from)?))),
        (2, Kind::Integer) => Ok(Cell::Integer(i64::from_be_bytes(bytes(from)?))),
        (3, Kind::Text) => {
            let length = u64::from(u32::from_be_bytes(bytes(from)?));
            let mut text = Vec::new();
            from.take(length).read_to_end(&mut text).map_err(unread)?;
            if text.len() as u64 != length {
                return Err(damaged("it ends within a text"));
            }
            let text = String::from_utf8(text);
            text.map(Cell::Text)
                .map_err(|_| damaged("a text in it is none"))
        }
        _ => Err(damaged("a value is of another kind than its column")),
    }
}

/// The refusal of what is no archive, or not a whole one.
pub fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorCode::InvalidInput,
        format!("the backup is damaged: {what}"),
    )
}

/// What failed reading means: bytes that do not belong there, or a disk that does not give them.
pub fn unread(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => damaged(error),
        io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
        _ => Error::new(
            ErrorCode::Unavailable,
            format!("the backup cannot be read: {error}"),
        ),
    }
}

fn unwritten(error: io::Error) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("the backup cannot be written: {error}"),
    )
}

fn broken_off() -> Error {
    Error::internal("the archive was broken off")
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}

#[cfg(test)]
mod tests {
    use super::super::earlier::at;
    use super::*;

    /// What is said of an archive of schema 6 whose list of tables was changed.
    fn said_of(change: impl FnOnce(&mut Vec<Described>)) -> String {
        let mut tables = at(6).iter().map(|table| Described::of(table, 0)).collect();
        change(&mut tables);
        let mut line = serde_json::to_vec(&Manifest { tables }).unwrap();
        line.push(b'\n');
        let source = ArchiveSource::begin(Box::new(io::Cursor::new(line))).unwrap();
        let checked = source.check(&at(6));
        checked.map_or_else(|e| e.message().to_owned(), |()| String::new())
    }

    #[test]
    fn what_is_strange_in_an_archive_is_named() {
        let column = |name: &str| (name.to_owned(), "text".to_owned());
        assert_eq!(said_of(|_| ()), "");
        assert_eq!(
            said_of(|tables| drop(tables.pop())),
            "",
            "as if it were empty"
        );
        let said = said_of(|tables| tables[1].columns.push(column("mood")));
        assert_eq!(
            said,
            "the backup is damaged: its table users has a column mood (text); no backup of its schema version is like \
             that"
        );
        let said = said_of(|tables| drop(tables[1].columns.remove(2)));
        assert!(
            said.contains("its table users has no column email;"),
            "{said}"
        );
        let said = said_of(|tables| tables[1].columns.swap(1, 2));
        assert!(said.contains("users has another order or key"), "{said}");
        let said = said_of(|tables| tables[1].name = "moods".to_owned());
        assert!(said.contains("there is a table moods in it;"), "{said}");
        // What came later has no business in it either.
        let said = said_of(|tables| {
            let steps = at(7).into_iter().find(|table| table.name == "steps");
            tables[9] = Described::of(steps.unwrap(), 0);
        });
        assert!(
            said.contains("its table steps has a column emotion (text)"),
            "{said}"
        );
    }
}
