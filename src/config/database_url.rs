//! The address of a database, which may hold a password.
//!
//! Invariant: wherever it is shown or written, the password is `***`.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// The address of a database. `Display`, `Debug` and serialization hide its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Wraps an address.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The address with its password.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address with `***` for a password, which stands in `user:password@` or in a parameter.
    fn shown(&self) -> String {
        let (rest, parameters) = self.0.split_once('?').unzip();
        let rest = rest.unwrap_or(&self.0);
        let mut shown = hide_userinfo(rest);
        if let Some(parameters) = parameters {
            let parameters = parameters.split('&').map(|parameter| {
                let name = parameter.split('=').next().unwrap_or_default();
                if name.contains("pass") && name != "passfile" {
                    format!("{name}=***")
                } else {
                    parameter.to_owned()
                }
            });
            shown.push('?');
            shown.push_str(&parameters.collect::<Vec<_>>().join("&"));
        }
        shown
    }
}

fn hide_userinfo(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    // A password may hold a slash that nobody escaped: everything up to the last @ is hidden.
    let Some((userinfo, place)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    match userinfo.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***@{place}"),
        None => url.to_owned(),
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows() {
        for (url, shown) in [
            ("sqlite://data/deepme.db", "sqlite://data/deepme.db"),
            (
                "postgres://me@db.example/deepme",
                "postgres://me@db.example/deepme",
            ),
            ("postgres://me:canary@db/x", "postgres://me:***@db/x"),
            ("postgres://me:can/ary@x@db/x", "postgres://me:***@db/x"),
            (
                "postgres:///x?host=/run/pg&password=canary",
                "postgres:///x?host=/run/pg&password=***",
            ),
            (
                "postgres://me:canary@db/x?sslmode=require",
                "postgres://me:***@db/x?sslmode=require",
            ),
        ] {
            let url = DatabaseUrl::new(url);
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("canary"));
        }
    }
}
