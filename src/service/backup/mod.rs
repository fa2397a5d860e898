//! Backups: a whole database in one file, compressed and sealed, and beside all of them one keyring.
//!
//! Owns where they are ([`Place`]), how one is made ([`create`]) and what is in one ([`Examined`]). Called by the
//! commands, and by the server for the keyring. Invariants: a file that has a backup's name was read back and is
//! what the database was at one moment; it holds no data key, and no login, ticket or code; a keyring that is younger
//! lies beside it; an older backup goes only after that.

mod file;
mod keyring;
mod restoring;

pub use keyring::{beside, rewrite};
pub use restoring::{Examined, Unread};

use crate::auth::seal::MasterKeys;
use crate::auth::witness::Witness;
use crate::domain::{Clock, Error, ErrorCode, Random, Result, Timestamp};
use crate::store::SCHEMA_VERSION;
use crate::store::copy::archive::{ArchiveSink, Described, Manifest};
use crate::store::copy::earlier;
use crate::store::copy::tables::Table;
use crate::store::copy::{Copied, Failure, Left, Progress, Snapshots, Source, copy_of};
use file::{Content, Header, Unfinished};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The name of the keyring.
const KEYRING: &str = "deepme.keyring";
/// How the name of a backup begins and ends.
const NAME: (&str, &str) = ("deepme-", ".backup");
/// How a backup begins while it is not in its place.
const UNFINISHED: &str = ".deepme-backup-";
/// Who makes a backup holds this, in the same directory.
const LOCK: &str = ".deepme.backup.lock";

/// What is in no backup. Claimed keys and the beat belong to the database that they are in; logins, tickets and
/// codes are void in a database that was put back; the data keys are in the keyring.
const LEFT_OUT: [&str; 7] = [
    "meta",
    "keyring",
    "logins",
    "tickets",
    "recoveries",
    "invites",
    "revocations",
];

/// A directory with backups.
#[derive(Debug, Clone)]
pub struct Place {
    directory: PathBuf,
}

/// Where backups of a server's database are made.
pub struct Backups {
    /// The directory.
    pub place: Place,
    /// The database.
    pub snapshots: Arc<dyn Snapshots>,
}

/// What it takes to write there.
pub struct Tools<'a> {
    /// The database.
    pub snapshots: &'a dyn Snapshots,
    /// The master keys; the first seals.
    pub masters: Arc<MasterKeys>,
    /// Who was erased.
    pub witness: Option<Witness>,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Random bytes.
    pub random: Arc<dyn Random>,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Made {
    /// Where it is.
    pub file: PathBuf,
    /// How many bytes it has.
    pub bytes: u64,
    /// The moment that it is of.
    pub created_at: Timestamp,
    /// What is in it.
    pub tables: Vec<Copied>,
    /// Accounts that the keyring has now.
    pub accounts: usize,
    /// Older backups that went.
    pub removed: Vec<PathBuf>,
    /// Why older ones are still there that should have gone.
    pub unremoved: Option<Error>,
}

impl Place {
    /// This directory, which need not be there yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            directory: if directory.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                directory
            },
        }
    }

    /// Where its keyring is.
    pub fn keyring(&self) -> PathBuf {
        self.directory.join(KEYRING)
    }

    /// Its backups by age, the newest first; blocks.
    pub fn backups(&self) -> Result<Vec<(Timestamp, PathBuf)>> {
        let files = file::files(&self.directory, NAME.0, NAME.1)?;
        let named = |path: PathBuf| Some((time_of(&path)?, path));
        let mut backups: Vec<_> = files.into_iter().filter_map(named).collect();
        backups.sort();
        backups.reverse();
        Ok(backups)
    }

    /// Removes all backups but the newest `keep`, of which there is one at least; those that went, and why not all did.
    fn thin_out(&self, keep: usize) -> (Vec<PathBuf>, Option<Error>) {
        let all = match self.backups() {
            Ok(all) => all,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let (mut removed, mut unremoved) = (Vec::new(), None);
        for (_, path) in all.into_iter().skip(keep.max(1)) {
            match std::fs::remove_file(&path) {
                Ok(()) => removed.push(path),
                Err(error) => unremoved = Some(file::unwritable(&path, error)),
            }
        }
        (removed, unremoved)
    }
}

/// `deepme-20261126T220000Z.backup`.
fn name_at(at: Timestamp) -> String {
    let rfc3339 = at.to_string();
    let seconds = rfc3339.split('.').next().unwrap_or_default();
    format!("{}{}Z{}", NAME.0, seconds.replace(['-', ':'], ""), NAME.1)
}

/// The time that a name tells; `None` when it is not the name of a backup.
fn time_of(path: &Path) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let basic = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?;
    let at: Timestamp = basic.parse().ok()?;
    (name_at(at) == name).then_some(at)
}

/// The tables that a backup of this schema version has.
fn backed_up(schema: i64) -> Vec<&'static Table> {
    let kept = |table: &&'static Table| !LEFT_OUT.contains(&table.name);
    earlier::at(schema).into_iter().filter(kept).collect()
}

/// What [`Examined::source`] has: the tables of a backup, and the data keys in their place.
fn put_back(schema: i64) -> Vec<&'static Table> {
    let there = |table: &&'static Table| table.name == "keyring" || !LEFT_OUT.contains(&table.name);
    earlier::at(schema).into_iter().filter(there).collect()
}

/// Makes a backup and reads it back, writes the keyring anew, and removes all older backups but `keep`, the new one
/// among them. Others may write to the database meanwhile. Broken off, or failed, it leaves no file.
pub async fn create(
    place: &Place,
    keep: usize,
    tools: &Tools<'_>,
    stop: &CancellationToken,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Made, Failure> {
    create_as_of(SCHEMA_VERSION, place, keep, tools, stop, tell).await
}

/// The same as the program of an earlier schema version made it; for tests of what of that time can be put back.
pub async fn create_as_of(
    schema: i64,
    place: &Place,
    keep: usize,
    tools: &Tools<'_>,
    stop: &CancellationToken,
    tell: &(dyn Fn(Progress) + Sync),
) -> Result<Made, Failure> {
    let nothing = |error| Failure {
        left: Left::Nothing,
        error,
    };
    let directory = place.directory.clone();
    let lock = blocking(move || prepare(&directory));
    let lock = lock.await.map_err(nothing)?;
    let created_at = tools.clock.now();
    let mut source = tools.snapshots.snapshot().await.map_err(nothing)?;
    let (unfinished, sink) = begin(schema, place, created_at, &mut *source, tools)
        .await
        .map_err(nothing)?;
    let tables = backed_up(schema);
    let tables = copy_of(&tables, &mut *source, Box::new(sink), stop, tell).await?;
    drop(source);
    let accounts = keyring::rewrite(place, tools, created_at, &[])
        .await
        .map_err(nothing)?;
    let place = place.clone();
    let finished = blocking(move || {
        let file = place.directory.join(name_at(created_at));
        unfinished.place(&file)?;
        let bytes = std::fs::metadata(&file).map_or(0, |file| file.len());
        let (removed, unremoved) = place.thin_out(keep);
        drop(lock);
        Ok((file, bytes, removed, unremoved))
    });
    let (file, bytes, removed, unremoved) = finished.await.map_err(nothing)?;
    Ok(Made {
        file,
        bytes,
        created_at,
        tables,
        accounts,
        removed,
        unremoved,
    })
}

/// The directory, alone, and without what a process has left there that was killed.
fn prepare(directory: &Path) -> Result<std::fs::File> {
    file::prepare(directory)?;
    let lock = file::hold(directory, LOCK)?.ok_or_else(|| {
        let message = format!("another backup is being made in {}", directory.display());
        Error::new(ErrorCode::Unavailable, message)
    })?;
    for left in file::files(directory, UNFINISHED, "")? {
        std::fs::remove_file(&left).map_err(|e| file::unwritable(&left, e))?;
    }
    Ok(lock)
}

async fn begin(
    schema: i64,
    place: &Place,
    created_at: Timestamp,
    source: &mut dyn Source,
    tools: &Tools<'_>,
) -> Result<(Unfinished, ArchiveSink)> {
    let mut manifest = Manifest { tables: Vec::new() };
    for table in backed_up(schema) {
        let rows = source.count(table).await?;
        manifest.tables.push(Described::of(table, rows));
    }
    let masters = Arc::clone(&tools.masters);
    let mut header = Header::of(Content::Backup, created_at, &masters, &*tools.random)?;
    header.schema = schema;
    let directory = place.directory.clone();
    blocking(move || {
        let (unfinished, layers) = Unfinished::begin(&directory, UNFINISHED, &header, &masters)?;
        let medium = unfinished.medium(layers, &header, &masters)?;
        let sink = ArchiveSink::begin(Box::new(medium), manifest)?;
        Ok((unfinished, sink))
    })
    .await
}

/// Work on files, off the runtime's workers.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_time_to_the_second() {
        let at: Timestamp = "2026-11-26T22:07:09.123456Z".parse().unwrap();
        let name = name_at(at);
        assert_eq!(name, "deepme-20261126T220709Z.backup");
        let told = time_of(Path::new("/a/b").join(&name).as_path()).unwrap();
        assert_eq!(told, "2026-11-26T22:07:09Z".parse().unwrap());
        for other in [
            "deepme-.backup",
            "deepme-20261126.backup",
            "deepme-x.backup",
            "a.backup",
        ] {
            assert_eq!(time_of(Path::new(other)), None, "{other}");
        }
    }

    /// A table of a later version is in the backups unless somebody says that it is not.
    #[test]
    fn what_is_left_out_are_tables_that_there_are() {
        use crate::store::copy::tables::TABLES;
        let known = |name: &str| TABLES.iter().any(|table| table.name == name);
        assert!(LEFT_OUT.iter().all(|name| known(name)));
        let kept: Vec<&str> = backed_up(SCHEMA_VERSION)
            .iter()
            .map(|table| table.name)
            .collect();
        assert_eq!(
            kept,
            [
                "users", "sessions", "steps", "cards", "usage", "accesses", "prompts"
            ]
        );
    }

    #[test]
    fn the_newest_stay_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        for day in 1..=5 {
            let name = format!("deepme-2026110{day}T000000Z.backup");
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        for other in ["deepme.keyring", "deepme-mine.backup", "other"] {
            std::fs::write(dir.path().join(other), "x").unwrap();
        }
        assert_eq!(place.thin_out(2).0.len(), 3);
        let left = place.backups().unwrap();
        let days: Vec<String> = left.iter().map(|(at, _)| at.to_string()).collect();
        assert!(days[0].starts_with("2026-11-05") && days[1].starts_with("2026-11-04"));
        assert_eq!(days.len(), 2);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 5);
        // What cannot be removed does not keep the others.
        std::fs::create_dir(dir.path().join("deepme-20261103T000000Z.backup")).unwrap();
        let (removed, unremoved) = place.thin_out(0);
        assert_eq!(removed.len(), 1, "one always stays");
        assert!(unremoved.unwrap().message().contains("deepme-20261103"));
    }
}
