//! The keys that sign tokens.
//!
//! Owns [`Keys`] and their file. Invariant: a key has 32 bytes or more from the operating system,
//! its file is readable by its owner only, and there is no default key.
//!
//! The file has a line for each key, `<kid> <hex>`; the first signs, all verify.

use super::hex::{hex, unhex};
use crate::domain::{Error, ErrorCode, Random, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Shortest key in bytes (RFC 7518 §3.2: as long as the hash).
const KEY_BYTES: usize = 32;

/// The server's keys.
pub struct Keys(Vec<Key>);

/// One key.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) secret: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// Reads the file, or makes it with one fresh key.
    pub fn load_or_create(path: &Path, random: &dyn Random) -> Result<Self> {
        match Self::load(path)? {
            Some(keys) => Ok(keys),
            None => Self::create(path, random),
        }
    }

    /// Reads the file; `None` when there is none.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => {
                check_mode(path)?;
                let keys = Self::parse(&text).map_err(|e| {
                    Error::new(
                        ErrorCode::Config,
                        format!("{}: {}", path.display(), e.message()),
                    )
                })?;
                Ok(Some(keys))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error("read", path, error)),
        }
    }

    /// The names of the keys, the signing one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.kid.as_str())
    }

    /// What tells these keys from others without telling what they are: hex digits.
    pub fn fingerprint(&self) -> String {
        let mut ids: Vec<&str> = self.ids().collect();
        ids.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(b"deepme keys\0");
        for id in ids {
            hash.update(id);
            hash.update(b"\n");
        }
        hex(&hash.finalize()[..16])
    }

    /// One fresh key that is stored nowhere.
    pub fn generate(random: &dyn Random) -> Result<Self> {
        let mut secret = Zeroizing::new(vec![0; KEY_BYTES]);
        random.fill(&mut secret)?;
        Ok(Self(vec![Key {
            kid: kid_of(&secret),
            secret,
        }]))
    }

    fn create(path: &Path, random: &dyn Random) -> Result<Self> {
        let keys = Self::generate(random)?;
        let cannot = |e| file_error("write", path, e);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory_of(path))
            .map_err(cannot)?;
        // Of two processes that start at once both use the one that was first.
        match keys.beside(path)?.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Self::load_or_create(path, random);
            }
            Err(error) => return Err(cannot(error.error)),
        }
        sync_directory(path)?;
        Ok(keys)
    }

    /// A fresh key before the first of these; what was before that one goes.
    pub fn rotated(&self, random: &dyn Random) -> Result<Self> {
        let mut keys = Self::generate(random)?;
        keys.0.extend(self.0.first().cloned());
        Ok(keys)
    }

    /// A fresh key that verifies after the first of these, which goes on signing; the others go. Where several
    /// machines have the keys, all must know one before any signs with it.
    pub fn staged(&self, random: &dyn Random) -> Result<Self> {
        let mut keys = self.first_only();
        keys.0.append(&mut Self::generate(random)?.0);
        Ok(keys)
    }

    /// The first two change places; `None` without a second one.
    pub fn swapped(&self) -> Option<Self> {
        let mut keys = self.0.clone();
        (keys.len() > 1).then(|| keys.swap(0, 1))?;
        Some(Self(keys))
    }

    /// The one that signs, and no other.
    pub fn first_only(&self) -> Self {
        Self(self.0.first().cloned().into_iter().collect())
    }

    /// Puts these keys into the file, in place of what is in it.
    pub fn replace(&self, path: &Path) -> Result<()> {
        let replaced = self.beside(path)?.persist(path);
        replaced.map_err(|error| file_error("write", path, error.error))?;
        sync_directory(path)
    }

    /// A file beside (mode 0600), to be put in place whole: a crash leaves no half of a key.
    fn beside(&self, path: &Path) -> Result<tempfile::NamedTempFile> {
        let cannot = |e| file_error("write", path, e);
        let mut file = tempfile::NamedTempFile::new_in(directory_of(path)).map_err(cannot)?;
        file.write_all(self.to_text().as_bytes()).map_err(cannot)?;
        file.as_file().sync_all().map_err(cannot)?;
        Ok(file)
    }

    /// The lines of the file.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in &self.0 {
            let secret = Zeroizing::new(hex(&key.secret));
            let _ = writeln!(text, "{} {}", key.kid, *secret);
        }
        text
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(
                ErrorCode::Config,
                "expected lines of `<kid> <64 or more hex digits>`",
            )
        };
        let keys = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let (kid, secret) = line.trim().split_once(' ').ok_or_else(wrong)?;
                let secret = unhex(secret.trim())
                    .filter(|s| s.len() >= KEY_BYTES)
                    .ok_or_else(wrong)?;
                // Zeros or one repeated byte are not from a random source.
                if secret.iter().all(|b| Some(b) == secret.first()) {
                    return Err(wrong());
                }
                Ok(Key {
                    kid: kid.to_owned(),
                    secret: Zeroizing::new(secret),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            Err(wrong())
        } else {
            Ok(Self(keys))
        }
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> Result<&Key> {
        self.0
            .first()
            .ok_or_else(|| Error::internal("no signing key"))
    }

    /// The key that a token says it is signed with, if it is one of these.
    pub(super) fn named(&self, kid: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// A keyed hash of `parts` for `purpose` by every key, the signing one first.
    pub(super) fn tags<'a>(
        &'a self,
        purpose: &'a [u8],
        parts: &'a [&'a [u8]],
    ) -> impl Iterator<Item = [u8; 32]> + 'a {
        self.0.iter().filter_map(move |key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).ok()?;
            mac.update(purpose);
            for part in parts {
                mac.update(part);
            }
            Some(mac.finalize().into_bytes().into())
        })
    }

    /// A stable name for `id` that does not tell which id it is.
    pub fn pseudonym(&self, id: &[u8]) -> String {
        self.tags(b"deepme pseudonym\0", &[id])
            .next()
            .map(|tag| hex(&tag[..16]))
            .unwrap_or_default()
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent()
        .filter(|d| !d.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> Result<()> {
    std::fs::File::open(directory_of(path))
        .and_then(|d| d.sync_all())
        .map_err(|e| file_error("write", path, e))
}

/// A key is named by its own hash, so that the name says nothing and never repeats.
fn kid_of(secret: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"deepme kid\0");
    hash.update(secret);
    hex(&hash.finalize()[..8])
}

fn check_mode(path: &Path) -> Result<()> {
    let mode = std::fs::metadata(path)
        .map_err(|e| file_error("read", path, e))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            ErrorCode::Config,
            format!(
                "{0} can be read by others (mode {1:03o}): run chmod 600 {0}",
                path.display(),
                mode & 0o777
            ),
        ));
    }
    Ok(())
}

fn file_error(verb: &str, path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorCode::Config,
        format!("cannot {verb} {}: {error}", path.display()),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;

    #[test]
    fn a_key_file_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token.key");
        let made = Keys::load_or_create(&path, &SystemRandom).unwrap();
        let read = Keys::load_or_create(&path, &SystemRandom).unwrap();
        assert_eq!(
            made.signing().unwrap().secret,
            read.signing().unwrap().secret
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Keys::load_or_create(&path, &SystemRandom).is_err());
    }

    #[test]
    fn weak_keys_are_refused() {
        for text in [
            "",
            "kid",
            "kid abcd",
            &format!("kid {}", "00".repeat(32)),
            &format!("kid {}", "가".repeat(32)),
        ] {
            assert!(Keys::parse(text).is_err(), "{text}");
        }
        assert!(Keys::parse(&format!("kid {}01", "00".repeat(31))).is_ok());
    }

    #[test]
    fn keys_are_rotated_in_one_step_or_in_two() {
        let ids = |keys: &Keys| keys.ids().map(str::to_owned).collect::<Vec<_>>();
        let one = Keys::generate(&SystemRandom).unwrap();
        let [first] = &ids(&one)[..] else { panic!() };
        assert!(one.swapped().is_none());
        let two = one.rotated(&SystemRandom).unwrap();
        let [second, old] = &ids(&two)[..] else {
            panic!()
        };
        assert!(old == first && second != first);
        let three = two.staged(&SystemRandom).unwrap();
        let [signs, third] = &ids(&three)[..] else {
            panic!()
        };
        assert!(signs == second && third != first);
        let used = three.swapped().unwrap();
        assert_eq!(ids(&used), [third.clone(), second.clone()]);
        assert_eq!(
            used.fingerprint(),
            three.fingerprint(),
            "whatever their order"
        );
        assert_eq!(ids(&used.first_only())[..], ids(&three)[1..]);
        assert_ne!(used.first_only().fingerprint(), used.fingerprint());
    }
}
