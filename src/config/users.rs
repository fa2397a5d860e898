//! `[[users]]`: accounts that a start makes when they are missing.
//!
//! Owns [`DeclaredUser`]. Read by `serve`. Invariant: what is here has a checked address and name, and exactly
//! one source of a first password.

use super::{Secret, wrong};
use crate::domain::Result;
use crate::domain::user::{self, Email, Role};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// One `[[users]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredUser {
    /// The address that names the account.
    #[serde(serialize_with = "shown", deserialize_with = "address")]
    pub email: Email,
    /// What the person is called when the account is made; theirs from then on.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// What the account is at every start.
    #[serde(default)]
    pub role: Role,
    /// The file whose first line is the first password; read only when the account is made.
    #[serde(default)]
    password_file: PathBuf,
    /// The argon2id hash of the first password, instead of a file.
    #[serde(default)]
    password_hash: Secret,
}

/// Where the first password of a declared account comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstPassword<'a> {
    /// The first line of this file.
    File(&'a Path),
    /// Known by its hash only.
    Hash(&'a str),
}

impl DeclaredUser {
    /// Its first password.
    pub fn password(&self) -> FirstPassword<'_> {
        if self.password_hash.expose().is_empty() {
            FirstPassword::File(&self.password_file)
        } else {
            FirstPassword::Hash(self.password_hash.expose())
        }
    }
}

/// What one entry cannot say of itself. Entries are told by their number: addresses stay out of errors.
pub(super) fn check(users: &[DeclaredUser]) -> Result<()> {
    let mut seen = HashSet::new();
    for (n, user) in (1..).zip(users) {
        let (file, hash) = (&user.password_file, user.password_hash.expose());
        if file.as_os_str().is_empty() == hash.is_empty() {
            return Err(wrong(format!(
                "users: number {n} needs either password_file or password_hash"
            )));
        }
        if !hash.is_empty() && !hash.starts_with("$argon2id$v=19$") {
            return Err(wrong(format!(
                "users: the password_hash of number {n} must be one of argon2id, $argon2id$v=19$…"
            )));
        }
        if !seen.insert(user.email.as_str()) {
            return Err(wrong(format!(
                "users: number {n} has the email of an earlier one"
            )));
        }
    }
    Ok(())
}

fn shown<S: Serializer>(email: &Email, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(email.as_str())
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Email, D::Error> {
    let text = String::deserialize(deserializer)?;
    Email::parse(&text).map_err(|e| de::Error::custom(format!("email {}", e.message())))
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    user::name(&text).map_err(|e| de::Error::custom(format!("name {}", e.message())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn refused(entries: &str) -> String {
        let refused = Config::parse(entries, "config.toml", []).unwrap_err();
        refused.message().to_owned()
    }

    #[test]
    fn what_is_declared_is_checked_before_anything_starts() {
        const WHO: &str = "[[users]]\nemail = \"Jiwoo@example.com\"\nname = \"지우\"\n";
        let with = |rest: &str| format!("{WHO}{rest}\n");
        let hash = "password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$canary$canary\"";
        let file = "password_file = \"a\"";
        let parsed = Config::parse(&with(hash), "x", []).unwrap();
        assert_eq!(parsed.users[0].email.as_str(), "jiwoo@example.com");
        assert_eq!(parsed.users[0].role, Role::User);
        assert!(!parsed.to_toml().contains("canary") && !format!("{parsed:?}").contains("jiwoo"));
        assert!(refused(&with("passwd = \"canary\"")).contains("passwd"));
        assert!(refused(&with("role = \"root\"\npassword_file = \"a\"")).contains("root"));
        assert!(refused(WHO).contains("number 1 needs either"));
        assert!(refused(&with(&format!("{file}\n{hash}"))).contains("either"));
        assert!(refused(&with("password_hash = \"canary\"")).contains("argon2id"));
        let twice = [with(file), with(file)].concat();
        assert!(refused(&twice).contains("number 2"));
        let nowhere = with(file).replace("Jiwoo@", "");
        assert!(refused(&nowhere).contains("email must be an e-mail address"));
        assert!(refused(&with(file).replace("지우", " ")).contains("name must not be empty"));
        for entries in [
            with("password_hash = \"canary\""),
            with("passwd = \"canary\""),
        ] {
            assert!(!refused(&entries).contains("canary"));
        }
    }
}
