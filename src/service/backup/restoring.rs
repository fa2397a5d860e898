//! What is in a backup, and what of it can be put back.
//!
//! Owns [`Examined`]. Called by `deepme backup verify` and `restore`. Invariants: before anything is put back the
//! whole file was read and is as it was written; who is not in the keyring was erased since and is not put back;
//! nobody is put back without the key to their words that the keyring has.

use super::file::{self, Content};
use super::keyring::Keyring;
use super::{backed_up, blocking, put_back};
use crate::auth::seal::MasterKeys;
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use crate::store::SCHEMA_VERSION;
use crate::store::copy::archive::ArchiveSource;
use crate::store::copy::earlier::OLDEST;
use crate::store::copy::tables::Table;
use crate::store::copy::{Cell, PAGE, Phase, Progress, Row, Source};
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A backup that was read from its beginning to its end.
pub struct Examined {
    file: PathBuf,
    masters: Arc<MasterKeys>,
    keyring: Keyring,
    /// The moment that it is of.
    pub created_at: Timestamp,
    /// The schema version that it is of, this program's or an earlier one.
    pub schema: i64,
    /// The master key that it is sealed with.
    pub master: String,
    /// When the keyring was written last.
    pub keyring_at: Timestamp,
    /// The accounts that are in it.
    people: BTreeSet<Uuid>,
}

/// A person of a backup whose words nobody can read.
#[derive(Debug)]
pub struct Unread {
    /// Who.
    pub user_id: UserId,
    /// Why not.
    pub error: Error,
}

impl Examined {
    /// Reads a backup and the keyring that belongs to it.
    pub async fn read(
        file: &Path,
        keyring: &Path,
        masters: Arc<MasterKeys>,
        stop: &CancellationToken,
        tell: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self> {
        let mut archive = open(file, &masters).await?;
        let (path, keys) = (keyring.to_owned(), Arc::clone(&masters));
        let keyring = blocking(move || {
            Keyring::read(&path, &keys).map_err(|error| {
                if error.code() != ErrorCode::NotFound {
                    return error;
                }
                let message = format!(
                    "there is no keyring at {}: without it nothing in the backup can be read; name it with --keyring",
                    path.display()
                );
                Error::new(ErrorCode::NotFound, message)
            })
        })
        .await?;
        let keyring_at = keyring.at.unwrap_or(archive.created_at);
        if keyring_at < archive.created_at {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!(
                    "the keyring is of {keyring_at}, before the backup of {}: use the one that lay beside the backup",
                    archive.created_at
                ),
            ));
        }
        let read = people(archive.schema, &mut archive.source, tell);
        let people = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Error::new(ErrorCode::Interrupted, "interrupted")),
            people = read => people.map_err(|error| about(file, error))?,
        };
        if !people.is_empty() && people.iter().all(|id| !keyring.accounts.contains_key(id)) {
            // Else they would be remembered as erased.
            return Err(Error::new(
                ErrorCode::InvalidInput,
                "the keyring knows none of the people in the backup: it is of another database (name the right one with \
                 --keyring), or all of them have been erased",
            ));
        }
        Ok(Self {
            file: file.to_owned(),
            masters,
            keyring,
            created_at: archive.created_at,
            schema: archive.schema,
            master: archive.master,
            keyring_at,
            people,
        })
    }

    /// What can be put back, as it was at its schema version: the tables of [`source`](Self::source).
    pub fn tables(&self) -> Vec<&'static Table> {
        put_back(self.schema)
    }

    /// How many people there are in it.
    pub fn people(&self) -> usize {
        self.people.len()
    }

    /// Who was erased since it was made.
    pub fn erased(&self) -> Vec<UserId> {
        let gone = |user_id: &&Uuid| !self.keyring.accounts.contains_key(*user_id);
        self.people
            .iter()
            .filter(gone)
            .map(|id| UserId(*id))
            .collect()
    }

    /// Whose data key the master keys do not unwrap.
    pub fn unread(&self) -> Vec<Unread> {
        let keys = self.people.iter().filter_map(|id| self.keyring.key(*id));
        keys.filter_map(|key| {
            let error = self.masters.unwrap(&key).err()?;
            Some(Unread {
                user_id: key.user_id,
                error,
            })
        })
        .collect()
    }

    /// What can be put back, with the data keys.
    pub async fn source(&self) -> Result<Box<dyn Source>> {
        let archive = open(&self.file, &self.masters).await?;
        let keys = self.people.iter().filter_map(|id| {
            let key = self.keyring.key(*id)?;
            let row = vec![
                Cell::Id(*id),
                Cell::Text(key.master),
                Cell::Text(key.wrapped),
            ];
            Some((*id, row))
        });
        Ok(Box::new(WithKeys {
            archive: archive.source,
            keys: keys.collect(),
        }))
    }
}

/// What a file has.
struct Opened {
    source: ArchiveSource,
    created_at: Timestamp,
    schema: i64,
    master: String,
}

async fn open(file: &Path, masters: &Arc<MasterKeys>) -> Result<Opened> {
    let (path, masters) = (file.to_owned(), Arc::clone(masters));
    blocking(move || {
        let (header, content) = file::open(&path, Content::Backup, &masters)?;
        if header.schema > SCHEMA_VERSION || header.schema < OLDEST {
            let way_out = if header.schema > SCHEMA_VERSION {
                "install the newer deepme that made it, or put an older backup back"
            } else {
                "no deepme made such a backup"
            };
            return Err(Error::new(
                ErrorCode::Config,
                format!(
                    "{} has schema version {}, this program puts those from {OLDEST} to {SCHEMA_VERSION} back: {way_out}",
                    path.display(),
                    header.schema
                ),
            ));
        }
        let source = ArchiveSource::begin(content).and_then(|source| {
            source.check(&backed_up(header.schema))?;
            Ok(source)
        });
        Ok(Opened {
            source: source.map_err(|error| about(&path, error))?,
            created_at: header.created_at,
            schema: header.schema,
            master: header.master,
        })
    })
    .await
}

fn about(file: &Path, error: Error) -> Error {
    if error.code() == ErrorCode::Interrupted {
        return error;
    }
    Error::new(
        error.code(),
        format!("{}: {}", file.display(), error.message()),
    )
}

/// Reads everything; who is in it.
async fn people(
    schema: i64,
    archive: &mut ArchiveSource,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<BTreeSet<Uuid>> {
    let mut people = BTreeSet::new();
    for table in backed_up(schema) {
        let rows = archive.count(table).await?;
        let mut done = 0;
        loop {
            let page = archive.page(table, None).await?;
            done += page.len() as u64;
            tell(Progress {
                phase: Phase::Reading,
                table: table.name,
                done,
                rows,
            });
            if table.name == "users" {
                people.extend(page.iter().filter_map(|row| match row.first() {
                    Some(Cell::Id(id)) => Some(*id),
                    _ => None,
                }));
            }
            if done >= rows {
                break;
            }
        }
    }
    Ok(people)
}

/// The rows of a backup and, in their place, those of the keyring.
struct WithKeys {
    archive: ArchiveSource,
    keys: BTreeMap<Uuid, Row>,
}

impl Source for WithKeys {
    fn count(&mut self, table: &'static Table) -> BoxFuture<'_, Result<u64>> {
        if table.name == "keyring" {
            let keys = self.keys.len() as u64;
            return Box::pin(async move { Ok(keys) });
        }
        self.archive.count(table)
    }

    fn page(
        &mut self,
        table: &'static Table,
        after: Option<Row>,
    ) -> BoxFuture<'_, Result<Vec<Row>>> {
        if table.name != "keyring" {
            return self.archive.page(table, after);
        }
        let after = match after.as_deref() {
            Some([Cell::Id(id), ..]) => std::ops::Bound::Excluded(*id),
            _ => std::ops::Bound::Unbounded,
        };
        let rows = self.keys.range((after, std::ops::Bound::Unbounded));
        let page: Vec<Row> = rows
            .take(PAGE as usize)
            .map(|(_, row)| row.clone())
            .collect();
        Box::pin(async move { Ok(page) })
    }
}
