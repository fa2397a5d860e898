//! The logins that `deepme chat` remembers, by server.
//!
//! Owns one JSON file under the user's state directory, and the renewal of what is in it. Invariants: it
//! is readable by its owner only, and holds tokens, never passwords; of several clients that share a
//! login one renews it while the others wait, for a refresh token is good for one use.

use crate::client::{Client, ClientError};
use crate::domain::time::SystemClock;
use crate::domain::{Clock as _, Timestamp, UserId};
use crate::tui::Login;
use crate::wire::rest::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// A login that can be used again.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) user_id: UserId,
    pub(super) name: String,
    pub(super) access_token: String,
    /// What brings the next access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
    /// When to ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renew_at: Option<Timestamp>,
}

impl From<&Login> for Remembered {
    fn from(login: &Login) -> Self {
        Self {
            user_id: login.user_id,
            name: login.name.clone(),
            access_token: login.token.0.clone(),
            refresh_token: login.refresh.as_ref().map(|token| token.0.clone()),
            renew_at: login.renew_at,
        }
    }
}

impl From<Remembered> for Login {
    fn from(known: Remembered) -> Self {
        Self {
            token: Secret(known.access_token),
            refresh: known.refresh_token.map(Secret),
            renew_at: known.renew_at,
            user_id: known.user_id,
            name: known.name,
        }
    }
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

    /// The same login with the next access token: what another client got meanwhile, or what the server
    /// gives. What cannot be remembered is used all the same.
    pub(super) async fn renew(
        &self,
        client: &Client,
        server: &str,
        login: &Remembered,
    ) -> Result<Remembered, ClientError> {
        let logins = self.clone();
        // Waiting for another process is nothing for a worker of the runtime.
        let lock = tokio::task::spawn_blocking(move || logins.lock()).await;
        let _lock = lock.ok().and_then(Result::ok);
        let known = self
            .get(server)
            .filter(|known| known.user_id == login.user_id);
        let newest = known.unwrap_or_else(|| login.clone());
        let now = SystemClock.now();
        if newest.access_token != login.access_token
            && newest.renew_at.is_some_and(|renew_at| renew_at > now)
        {
            return Ok(newest);
        }
        let token = newest.refresh_token.clone().unwrap_or_default();
        let body = client.refresh(&token).await?;
        let renewed = Remembered::from(&Login::of(body, newest.name, now));
        let others = self.get(server).map(|known| known.user_id);
        if others.is_none_or(|user_id| user_id == renewed.user_id) {
            let _ = self.write(server, renewed.clone());
        }
        Ok(renewed)
    }

    /// Holds the file for one process.
    fn lock(&self) -> io::Result<Option<File>> {
        let Some(path) = &self.0 else { return Ok(None) };
        let directory = path.parent().unwrap_or(path);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.with_extension("lock"))?;
        file.lock()?;
        Ok(Some(file))
    }

    /// Remembers a login, in place of an earlier one for this server.
    pub(super) fn put(&self, server: &str, login: Remembered) -> io::Result<()> {
        let _lock = self.lock()?;
        self.write(server, login)
    }

    fn write(&self, server: &str, login: Remembered) -> io::Result<()> {
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
            refresh_token: None,
            renew_at: None,
        };
        logins.put("http://a", login("1")).unwrap();
        logins.put("http://b", login("2")).unwrap();
        assert_eq!(logins.get("http://a").unwrap().access_token, "1");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        // As it was before there were refresh tokens.
        let id = uuid::Uuid::nil();
        let old =
            format!(r#"{{"http://a": {{"user_id": "{id}", "name": "a", "access_token": "3"}}}}"#);
        std::fs::write(&path, old).unwrap();
        assert_eq!(logins.get("http://a").unwrap().access_token, "3");
        std::fs::write(&path, "{ broken").unwrap();
        assert!(logins.get("http://a").is_none());
    }
}
