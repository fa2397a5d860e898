//! The logins that `deepme chat` remembers, by server.
//!
//! Owns one JSON file under the user's state directory. Invariant: it is readable by its owner
//! only, and holds tokens, never passwords.

use crate::domain::UserId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// A login that can be used again.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) user_id: UserId,
    pub(super) name: String,
    pub(super) access_token: String,
}

/// The file.
#[derive(Debug, Clone)]
pub(super) struct Logins(Option<PathBuf>);

impl Logins {
    /// `$XDG_STATE_HOME/deepme/logins.json`, or under `~/.local/state`; nowhere without a home.
    pub(super) fn usual() -> Self {
        let state = std::env::var_os("XDG_STATE_HOME")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from);
        let home = || {
            Some(
                PathBuf::from(std::env::var_os("HOME").filter(|v| !v.is_empty())?)
                    .join(".local/state"),
            )
        };
        Self(
            state
                .or_else(home)
                .map(|dir| dir.join("deepme/logins.json")),
        )
    }

    /// The login for this server, if one is remembered.
    pub(super) fn get(&self, server: &str) -> Option<Remembered> {
        self.read().remove(server)
    }

    /// Remembers a login, in place of an earlier one for this server.
    pub(super) fn put(&self, server: &str, login: Remembered) -> io::Result<()> {
        let Some(path) = &self.0 else { return Ok(()) };
        let mut all = self.read();
        all.insert(server.to_owned(), login);
        let directory = path.parent().unwrap_or(path);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        // Written beside and moved, so that a crash leaves the old file or the new one.
        let beside = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(serde_json::to_string_pretty(&all)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(beside, path)
    }

    /// What cannot be read is not remembered.
    fn read(&self) -> BTreeMap<String, Remembered> {
        let text = self
            .0
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_login_is_remembered_privately() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/logins.json");
        let logins = Logins(Some(path.clone()));
        assert!(logins.get("http://a").is_none());
        let login = |token: &str| Remembered {
            user_id: UserId(uuid::Uuid::nil()),
            name: "지우".into(),
            access_token: token.into(),
        };
        logins.put("http://a", login("1")).unwrap();
        logins.put("http://b", login("2")).unwrap();
        assert_eq!(logins.get("http://a").unwrap().access_token, "1");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::write(&path, "{ broken").unwrap();
        assert!(logins.get("http://a").is_none());
    }
}
