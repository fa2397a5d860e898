//! What a machine remembers outside its database, so that an old copy of the database is known for one.
//!
//! Owns [`Witness`], two small files. Called by the services; blocks. Invariants: the files hold times and ids,
//! nothing of what anybody said; who was once erased is never forgotten here.

use crate::domain::{Error, Result, Timestamp, UserId};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The files.
#[derive(Debug, Clone)]
pub struct Witness {
    seen: PathBuf,
    erased: PathBuf,
}

impl Witness {
    /// `<name>.seen` and `<name>.erased`, made when there is something to remember.
    pub fn beside(name: &Path) -> Self {
        let with = |end: &str| {
            let mut name = name.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self {
            seen: with(".seen"),
            erased: with(".erased"),
        }
    }

    /// The last beat of the database that was seen from here.
    pub fn seen(&self) -> Result<Option<Timestamp>> {
        let Some(text) = read(&self.seen)? else {
            return Ok(None);
        };
        // What was cut by a crash says nothing.
        Ok(text.trim().parse().ok().map(Timestamp::from_micros))
    }

    /// Remembers a beat in place of the one before.
    pub fn see(&self, beat: Timestamp) -> Result<()> {
        let mut beside = self.seen.clone().into_os_string();
        beside.push(".new");
        let write = || {
            let mut file = open(Path::new(&beside), false)?;
            writeln!(file, "{}", beat.as_micros())?;
            std::fs::rename(&beside, &self.seen)
        };
        write().map_err(Error::unavailable)
    }

    /// Who was erased, and when: who came back under the same id later was not.
    pub fn erased(&self) -> Result<Vec<(UserId, Timestamp)>> {
        let text = read(&self.erased)?.unwrap_or_default();
        let line = |line: &str| {
            let (user_id, micros) = line.split_once(' ')?;
            let at = Timestamp::from_micros(micros.parse().ok()?);
            Some((user_id.parse().ok()?, at))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// Remembers somebody who was erased; once it returns it is on the disk.
    pub fn add_erased(&self, user_id: UserId, at: Timestamp) -> Result<()> {
        if self.erased()?.contains(&(user_id, at)) {
            return Ok(());
        }
        let write = || {
            let mut file = open(&self.erased, true)?;
            // After a line that a crash has cut.
            writeln!(file, "\n{user_id} {}", at.as_micros())?;
            file.sync_all()
        };
        write().map_err(Error::unavailable)
    }
}

fn open(path: &Path, append: bool) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .mode(0o600)
        .open(path)
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::unavailable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_was_seen_and_who_was_erased_is_remembered_privately() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let witness = Witness::beside(&dir.path().join("t.db"));
        assert_eq!(witness.seen().unwrap(), None);
        assert_eq!(witness.erased().unwrap(), []);
        for micros in [7, 9] {
            witness.see(Timestamp::from_micros(micros)).unwrap();
            let seen = witness.seen().unwrap();
            assert_eq!(seen, Some(Timestamp::from_micros(micros)));
        }
        let at = Timestamp::from_micros(5);
        let [one, two] = [1, 2].map(|n| (UserId(Uuid::from_u128(n)), at));
        for (user_id, at) in [one, two, one] {
            witness.add_erased(user_id, at).unwrap();
        }
        assert_eq!(witness.erased().unwrap(), [one, two]);
        // A line that was cut takes nobody else with it.
        std::fs::write(dir.path().join("t.db.erased"), format!("{} 5\n0000", one.0)).unwrap();
        witness.add_erased(two.0, at).unwrap();
        assert_eq!(witness.erased().unwrap(), [one, two]);
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
}
