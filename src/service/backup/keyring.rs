//! The keyring of a place with backups: the data keys that are in no backup.
//!
//! Owns [`Keyring`] and its one file. Called by [`super::create`], by restoring, and by whoever erases somebody.
//! Invariants: there is one file in a place, and the one before it is overwritten; who was erased by name is not in
//! it, so that no backup of the place, however old, has their words any more; nobody else ever goes from it, so that a database
//! that was lost and begun anew does not take the backups of the one before with it.
//!
//! Its content is a line of JSON with the time and then one for each account, in the order of their ids. All of it is in memory at
//! once: about 200 bytes an account.

use super::file::{self, Content, Header};
use super::{Place, Tools, blocking};
use crate::auth::seal::MasterKeys;
use crate::auth::witness::Witness;
use crate::domain::keyring::WrappedKey;
use crate::domain::{Error, ErrorCode, Result, Timestamp, UserId};
use crate::store::copy::archive::damaged;
use crate::store::copy::tables::{Column, Kind, Table, named};
use crate::store::copy::{Cell, Row, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Who rewrites it holds this, in the same directory.
const LOCK: &str = ".deepme.keyring.lock";

/// Whose accounts there are, and since when.
const ACCOUNTS: Table = Table {
    name: "users",
    key: 1,
    columns: &[
        Column {
            name: "user_id",
            kind: Kind::Id,
        },
        Column {
            name: "created_at",
            kind: Kind::Integer,
        },
    ],
};

/// A wrapped data key, and which master key unwraps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wrapped {
    master: String,
    wrapped: String,
}

/// The accounts of all backups of a place but for those that were erased, with their data keys; `None` for who has
/// not said anything yet.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    /// When it was written: it knows of every account of a backup that is older.
    pub(super) at: Option<Timestamp>,
    pub(super) accounts: BTreeMap<Uuid, Option<Wrapped>>,
}

#[derive(Serialize, Deserialize)]
struct First {
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Line {
    user_id: Uuid,
    key: Option<Wrapped>,
}

impl Keyring {
    /// The data key of an account.
    pub(super) fn key(&self, user_id: Uuid) -> Option<WrappedKey> {
        let Wrapped { master, wrapped } = self.accounts.get(&user_id)?.clone()?;
        Some(WrappedKey {
            user_id: UserId(user_id),
            master,
            wrapped,
        })
    }

    /// Reads the file; blocks. Errors as those of any such file.
    pub(super) fn read(path: &Path, masters: &MasterKeys) -> Result<Self> {
        let (_, content) = file::open(path, Content::Keyring, masters)?;
        let bytes = file::read_to_end(content);
        let parsed = bytes.and_then(|bytes| {
            Self::parse(&bytes).ok_or_else(|| damaged("a line of it cannot be read"))
        });
        parsed.map_err(|error| {
            let message = error.message().replace("the backup", "the keyring");
            Error::new(error.code(), format!("{}: {message}", path.display()))
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let First { at } = serde_json::from_slice(lines.next()?).ok()?;
        let mut accounts = BTreeMap::new();
        for line in lines {
            let Line { user_id, key } = serde_json::from_slice(line).ok()?;
            accounts.insert(user_id, key);
        }
        Some(Self {
            at: Some(at),
            accounts,
        })
    }

    fn lines(&self, at: Timestamp) -> serde_json::Result<Vec<u8>> {
        let mut lines = serde_json::to_vec(&First { at })?;
        lines.push(b'\n');
        for (user_id, key) in &self.accounts {
            let line = Line {
                user_id: *user_id,
                key: key.clone(),
            };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// Takes in what a database has now, and leaves out who was erased. Who came back under the same id after that
    /// was not.
    fn merge(&mut self, now: Accounts, erased: &[(UserId, Timestamp)]) {
        for (user_id, _) in erased {
            self.accounts.remove(&user_id.0);
        }
        for (user_id, (created_at, key)) in now {
            let gone =
                |(erased, at): &(UserId, Timestamp)| erased.0 == user_id && created_at <= *at;
            if !erased.iter().any(gone) {
                self.accounts.insert(user_id, key);
            }
        }
    }
}

/// The accounts of a database: since when, and the data key.
type Accounts = BTreeMap<Uuid, (Timestamp, Option<Wrapped>)>;

async fn accounts(source: &mut dyn Source) -> Result<Accounts> {
    static USERS: Table = ACCOUNTS;
    let mut accounts = Accounts::new();
    let mut after = None;
    loop {
        let page = source.page(&USERS, after).await?;
        let Some(last) = page.last() else { break };
        after = Some(key_of(last));
        for row in page {
            if let [Cell::Id(user_id), Cell::Integer(created_at)] = row[..] {
                accounts.insert(user_id, (Timestamp::from_micros(created_at), None));
            }
        }
    }
    let keyring = named("keyring").ok_or_else(|| Error::internal("no table of keys"))?;
    let mut after = None;
    loop {
        let page = source.page(keyring, after).await?;
        let Some(last) = page.last() else {
            return Ok(accounts);
        };
        after = Some(key_of(last));
        for row in page {
            let Ok([Cell::Id(user_id), Cell::Text(master), Cell::Text(wrapped)]) =
                <[Cell; 3]>::try_from(row)
            else {
                return Err(Error::internal("a data key is of another kind"));
            };
            if let Some((_, key)) = accounts.get_mut(&user_id) {
                *key = Some(Wrapped { master, wrapped });
            }
        }
    }
}

fn key_of(row: &Row) -> Row {
    row.iter().take(1).cloned().collect()
}

/// Writes the keyring of a place anew: what it had and what the database has now, without who was erased; how many
/// accounts it has. It is not of a time before `not_before`. Who was erased is known by the witness and by `erased`.
pub async fn rewrite(
    place: &Place,
    tools: &Tools<'_>,
    not_before: Timestamp,
    erased: &[(UserId, Timestamp)],
) -> Result<usize> {
    let directory = place.directory.clone();
    let lock = blocking(move || file::wait_for(&directory, LOCK)).await?;
    // Whoever is erased from here on rewrites it after us.
    let now = tools.clock.now().max(not_before);
    let mut source = tools.snapshots.snapshot().await?;
    let accounts = accounts(&mut *source).await?;
    drop(source);
    let job = Job {
        place: place.clone(),
        masters: std::sync::Arc::clone(&tools.masters),
        witness: tools.witness.clone(),
        erased: erased.to_vec(),
        random: std::sync::Arc::clone(&tools.random),
    };
    blocking(move || {
        let written = job.write(accounts, now);
        drop(lock);
        written
    })
    .await
}

/// What happens off the runtime.
struct Job {
    place: Place,
    masters: std::sync::Arc<MasterKeys>,
    witness: Option<Witness>,
    erased: Vec<(UserId, Timestamp)>,
    random: std::sync::Arc<dyn crate::domain::Random>,
}

impl Job {
    fn write(&self, accounts: Accounts, now: Timestamp) -> Result<usize> {
        let path = self.place.keyring();
        for left in file::files(&self.place.directory, UNFINISHED, "")? {
            // Of a process that was killed; it holds no lock any more.
            let _ = std::fs::remove_file(left);
        }
        let mut keyring = match Keyring::read(&path, &self.masters) {
            Ok(keyring) => keyring,
            Err(error) if error.code() == ErrorCode::NotFound => Keyring::default(),
            Err(error) => return Err(error),
        };
        let erased = self.witness.as_ref().map(Witness::erased).transpose()?;
        let erased = [&self.erased[..], &erased.unwrap_or_default()].concat();
        keyring.merge(accounts, &erased);
        let at = keyring.at.map_or(now, |before| before.max(now));
        let lines = keyring.lines(at).map_err(Error::internal)?;
        let header = Header::of(Content::Keyring, at, &self.masters, &*self.random)?;
        let directory = &self.place.directory;
        let (unfinished, mut layers) =
            file::Unfinished::begin(directory, UNFINISHED, &header, &self.masters)?;
        let written = layers.write_all(&lines).and_then(|()| layers.finish());
        written.map_err(|e| file::unwritable(&path, e))?;
        unfinished.replace(&path)?;
        Ok(keyring.accounts.len())
    }
}

/// How the file begins while it is not in its place.
const UNFINISHED: &str = ".deepme-keyring-";

/// Where the keyring of a backup lies, unless somebody says so: beside it.
pub fn beside(backup: &Path) -> PathBuf {
    backup.with_file_name(super::KEYRING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Uuid = Uuid::from_u128(1);
    const YOU: Uuid = Uuid::from_u128(2);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn wrapped(what: &str) -> Wrapped {
        Wrapped {
            master: "m".to_owned(),
            wrapped: what.to_owned(),
        }
    }

    fn with(accounts: &[(Uuid, Option<Wrapped>)]) -> Keyring {
        Keyring {
            at: Some(at(1)),
            accounts: accounts.iter().cloned().collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let keyring = with(&[(ME, Some(wrapped("mine"))), (YOU, None)]);
        let read = Keyring::parse(&keyring.lines(at(7)).unwrap()).unwrap();
        assert_eq!(read.at, Some(at(7)));
        assert_eq!(read.accounts, keyring.accounts);
        assert!(read.key(YOU).is_none());
        assert_eq!(read.key(ME).unwrap().wrapped, "mine");
        assert!(Keyring::parse(b"{}").is_none());
    }

    /// The database was lost and begun anew: who is merely not there was not erased.
    #[test]
    fn a_database_that_was_begun_anew_takes_nobody_away() {
        let mut keyring = with(&[(ME, Some(wrapped("mine")))]);
        keyring.merge(
            Accounts::from([(YOU, (at(5), Some(wrapped("yours"))))]),
            &[],
        );
        assert_eq!(keyring.accounts[&ME], Some(wrapped("mine")));
        assert_eq!(keyring.accounts[&YOU], Some(wrapped("yours")));
    }

    #[test]
    fn who_was_erased_goes_also_if_an_old_database_has_them_again() {
        let erased = [(UserId(ME), at(9))];
        let mut keyring = with(&[(ME, Some(wrapped("mine"))), (YOU, Some(wrapped("yours")))]);
        keyring.merge(
            Accounts::from([(ME, (at(5), Some(wrapped("mine"))))]),
            &erased,
        );
        assert_eq!(keyring.accounts.keys().collect::<Vec<_>>(), [&YOU]);
        // Who came back later has another key.
        keyring.merge(
            Accounts::from([(ME, (at(10), Some(wrapped("new"))))]),
            &erased,
        );
        assert_eq!(keyring.accounts[&ME], Some(wrapped("new")));
    }
}
