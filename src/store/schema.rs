//! Where the schema of a database stands, and what leads from one version to the next.
//!
//! Owns the version that this program works with and what it says of any other. Called by the
//! backends, which hold the SQL, and by whoever opens a database. Invariant: nothing is written to a
//! schema that this program does not know.

use crate::domain::{Error, ErrorCode, Result};

/// The schema version that this program works with.
pub const SCHEMA_VERSION: i64 = 7;

/// The first schema version in which words are sealed.
pub(super) const SEALED_SINCE: i64 = 5;

/// What tells in `meta` that there are words from before.
pub(super) const UNSEALED: &str = "unsealed";

/// A step from one schema version to the next.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The version it leads to.
    pub version: i64,
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub sql: &'static str,
}

impl Migration {
    /// Those of a list, which is in order, up to a version.
    pub(super) fn up_to(all: &[Self], version: i64) -> &[Self] {
        let count = all.partition_point(|migration| migration.version <= version);
        all.get(..count).unwrap_or(all)
    }
}

/// Where the schema of a database stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaState {
    /// The version of the database; 0 when it is empty.
    pub current: i64,
    /// The version that this program works with.
    pub wanted: i64,
    /// What is left to do for the words of the time before they were sealed.
    pub unsealed: Unsealed,
}

/// What is left of the time before people's words were sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsealed {
    /// Nothing.
    Nothing,
    /// What is deleted, but may still be found in the files.
    Traces,
    /// Words that are stored as they were said.
    Words,
}

impl Unsealed {
    /// As it is stored; absence is nothing.
    pub(super) fn of(stored: Option<&str>) -> Self {
        match stored {
            None => Self::Nothing,
            Some("traces") => Self::Traces,
            Some(_) => Self::Words,
        }
    }
}

impl SchemaState {
    /// The refusal of a schema that is newer than this program.
    pub fn newer(self) -> Error {
        let Self {
            current, wanted, ..
        } = self;
        Error::new(
            ErrorCode::Config,
            format!(
                "the database has schema version {current}, this program knows up to {wanted}: \
                 run the newer deepme, or restore an older backup"
            ),
        )
    }

    /// Refuses a schema into which nothing of the version `schema` can be put; that of this program is one.
    pub fn takes(self, schema: i64) -> Result<()> {
        if schema == self.wanted {
            return self.check();
        }
        if self.current == schema {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Config,
            format!(
                "the database has schema version {}, what is to be put into it has {schema}: copy into a new one",
                self.current
            ),
        ))
    }

    /// Refuses a schema that this program does not work with, and names the way out.
    pub fn check(self) -> Result<()> {
        let Self {
            current, wanted, ..
        } = self;
        match current.cmp(&wanted) {
            std::cmp::Ordering::Equal if self.unsealed != Unsealed::Nothing => Err(Error::new(
                ErrorCode::Config,
                "words in the database are not sealed yet: run deepme migrate up",
            )),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(self.newer()),
            std::cmp::Ordering::Less => Err(Error::new(
                ErrorCode::Config,
                format!(
                    "the database has schema version {current}, this program needs {wanted}: \
                     run deepme migrate up"
                ),
            )),
        }
    }
}
