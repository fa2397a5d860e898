//! People with an account.
//!
//! Owns [`User`] and the checked forms of what is typed to make one. Invariant: an [`Email`] is in
//! its one comparable form, so that two spellings of an address are one account.

use super::error::{Error, Result};
use super::id::UserId;
use super::text;
use super::time::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt;
use unicode_normalization::UnicodeNormalization as _;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the account.
    pub user_id: UserId,
    /// What the person wants to be called.
    pub name: String,
    /// Where the account was registered.
    pub email: Email,
    /// What the account may do.
    pub role: Role,
    /// Counts up whenever all earlier tokens must die: password change, disable.
    pub token_epoch: i64,
    /// Since when the account may not log in, if so.
    pub disabled_at: Option<Timestamp>,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// What an account may do. The doors of the network are the same for both; an admin's own are commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Talk.
    #[default]
    User,
    /// Talk, and be known as somebody who runs the server.
    Admin,
}

impl Role {
    /// The name, as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::User, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// Which accounts are listed; by default all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Those of this role.
    pub role: Option<Role>,
    /// Those that are disabled, or those that are not.
    pub disabled: Option<bool>,
    /// Those with this in their name, or in their address whatever its case.
    pub text: Option<String>,
    /// Only guests, who have no address.
    pub guests: bool,
}

/// The end of every placeholder; RFC 2606 keeps `.invalid` free.
pub(crate) const NOWHERE: &str = "@guest.invalid";

/// An e-mail address in its comparable form: NFC, trimmed, lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Checks and normalises an address that somebody typed. The check is for slips of the keyboard, not for
    /// delivery. A placeholder is nobody's to type.
    pub fn parse(text: &str) -> Result<Self> {
        let email = Self::stored(text)?;
        match email.address() {
            Some(_) => Ok(email),
            None => Err(Self::wrong()),
        }
    }

    fn wrong() -> Error {
        Error::invalid(
            "email",
            "must be an e-mail address such as name@example.com",
        )
    }

    /// An address as it comes from the database, which may be a placeholder.
    pub fn stored(text: &str) -> Result<Self> {
        let address: String = text.trim().nfc().collect::<String>().to_lowercase();
        let (local, domain) = address.rsplit_once('@').ok_or_else(Self::wrong)?;
        let odd = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '@' | '<' | '>' | ',' | ';' | '"' | '\\')
        };
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        let ok = (1..=64).contains(&local.len())
            && address.len() <= 254
            && !address.chars().any(|c| odd(c) && c != '@')
            && !local.contains('@')
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && domain.contains('.')
            && domain.split('.').all(label);
        if ok {
            Ok(Self(address))
        } else {
            Err(Self::wrong())
        }
    }

    /// The address of an account that has no mailbox: nobody can receive mail at `.invalid`.
    pub fn placeholder(user_id: UserId) -> Self {
        Self(format!("{user_id}{NOWHERE}"))
    }

    /// The address, to be shown; `None` for a placeholder.
    pub fn address(&self) -> Option<&str> {
        (!self.0.ends_with(NOWHERE)).then_some(&self.0)
    }

    /// The address as it is stored and compared, placeholders included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses stay out of logs; ask [`Email::as_str`] where one must be shown.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

/// The least that may be asked of a password, in characters, and the default (NIST SP 800-63B-4 asks for 8
/// with a second factor, 15 without).
pub const PASSWORD_MIN: usize = 10;
/// Longest password, in characters.
pub const PASSWORD_MAX: usize = 128;

/// A password that somebody wants to have.
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Checks the length, which is `least` characters or more. Any character is allowed and none is cut.
    pub fn parse(field: &'static str, password: &str, least: usize) -> Result<Self> {
        let length = password.chars().count();
        if length < least {
            return Err(Error::invalid(
                field,
                format!("must be at least {least} characters"),
            ));
        }
        if length > PASSWORD_MAX {
            return Err(Error::invalid(
                field,
                format!("must be at most {PASSWORD_MAX} characters"),
            ));
        }
        Ok(Self(SecretString::from(password.to_owned())))
    }

    /// The password itself, for hashing.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// What a person is called: 1 to 100 characters on one line.
pub fn name(text: &str) -> Result<String> {
    text::line("name", text, 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_are_one_address() {
        assert_eq!(
            Email::parse(" Kim@Example.COM ").unwrap().as_str(),
            "kim@example.com"
        );
        assert_eq!(
            Email::parse("e\u{301}@ex.com").unwrap(),
            Email::parse("\u{e9}@ex.com").unwrap()
        );
    }

    #[test]
    fn slips_are_refused() {
        for wrong in [
            "",
            "kim",
            "kim@",
            "@example.com",
            "a b@example.com",
            "a@b",
            "a@@b.c",
            "a@b..c",
            "a@-b.c",
            "a@b.c>",
        ] {
            assert!(Email::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_placeholder_can_be_stored_but_neither_typed_nor_shown() {
        let placeholder = Email::placeholder(UserId(uuid::Uuid::from_u128(7)));
        assert_eq!(placeholder.address(), None);
        assert_eq!(Email::stored(placeholder.as_str()).unwrap(), placeholder);
        for typed in [placeholder.as_str(), " X@Guest.INVALID "] {
            assert!(Email::parse(typed).is_err(), "{typed}");
        }
        let near = Email::parse("a@my.guest.invalid").unwrap();
        assert_eq!(near.address(), Some("a@my.guest.invalid"));
    }

    #[test]
    fn password_length_counts_characters() {
        assert!(NewPassword::parse("password", &"가".repeat(9), PASSWORD_MIN).is_err());
        assert!(NewPassword::parse("password", &"가".repeat(10), PASSWORD_MIN).is_ok());
        assert!(NewPassword::parse("password", &"가".repeat(128), PASSWORD_MIN).is_ok());
        assert!(NewPassword::parse("password", &"가".repeat(129), PASSWORD_MIN).is_err());
    }
}
