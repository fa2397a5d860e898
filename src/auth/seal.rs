//! Sealing: what people say, as it is stored.
//!
//! Owns [`DataKey`], one a person, which seals texts, and [`MasterKeys`], which wrap the data keys.
//! Called by the services. Invariants: a sealed text opens only with the key of its person and in the
//! [`Place`] that it was sealed for, so that nothing can be moved or swapped in the database; a nonce is
//! never used twice, for it is 192 random bits; a key that is dropped is overwritten in memory.
//!
//! A sealed text is base64url of: one byte of version, a nonce of 24 bytes, and what XChaCha20-Poly1305
//! makes of the text (draft-irtf-cfrg-xchacha), whose associated data is the place. An empty text stays
//! empty: that there is none is no secret.

use super::aead::{Cipher, KEY, NONCE};
use super::chunks::FileKey;
use super::keys::{Key, Keys};
use crate::domain::keyring::WrappedKey;
use crate::domain::{
    AccessId, Error, ErrorCode, Random, Result, SessionId, StepId, Timestamp, UserId,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::path::Path;
use zeroize::Zeroizing;

/// The version of the format.
const VERSION: u8 = 1;
/// Bytes of a tag.
const TAG: usize = 16;

/// Where a sealed text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The words of a step.
    UserInput(StepId),
    /// The answer of a step.
    GptResponse(StepId),
    /// The summary of a session.
    Summary(SessionId),
    /// A label of a session, by the name of its field.
    Label(SessionId, &'static str),
    /// A version of the person's own prompt, by the time at which it was saved.
    Prompt(Timestamp),
    /// Why somebody read what the person said.
    Reason(AccessId),
    /// What was made of the words of a step, by the name of its column.
    Mark(StepId, &'static str),
    /// The card of a session, by the name of its column.
    Card(SessionId, &'static str),
}

impl Place {
    /// What tells this place of this person from every other one.
    fn associated(self, user_id: UserId) -> Vec<u8> {
        let mut data = Vec::with_capacity(64);
        data.extend_from_slice(b"deepme words\0");
        data.extend_from_slice(user_id.0.as_bytes());
        match self {
            Self::UserInput(step) => {
                data.push(1);
                data.extend_from_slice(step.0.as_bytes());
            }
            Self::GptResponse(step) => {
                data.push(2);
                data.extend_from_slice(step.0.as_bytes());
            }
            Self::Summary(session) => {
                data.push(3);
                data.extend_from_slice(session.0.as_bytes());
            }
            Self::Label(session, field) => {
                data.push(4);
                data.extend_from_slice(session.0.as_bytes());
                data.extend_from_slice(field.as_bytes());
            }
            Self::Prompt(at) => {
                data.push(5);
                data.extend_from_slice(&at.as_micros().to_be_bytes());
            }
            Self::Reason(access) => {
                data.push(6);
                data.extend_from_slice(access.0.as_bytes());
            }
            Self::Mark(step, column) => {
                data.push(7);
                data.extend_from_slice(step.0.as_bytes());
                data.extend_from_slice(column.as_bytes());
            }
            Self::Card(session, column) => {
                data.push(8);
                data.extend_from_slice(session.0.as_bytes());
                data.extend_from_slice(column.as_bytes());
            }
        }
        data
    }
}

/// The key that seals what one person says and hears.
pub struct DataKey {
    user_id: UserId,
    cipher: Cipher,
}

impl DataKey {
    fn new(user_id: UserId, secret: &[u8]) -> Option<Self> {
        let cipher = Cipher::new(secret)?;
        Some(Self { user_id, cipher })
    }

    /// Seals a text for its place.
    pub fn seal(&self, place: Place, text: &str, random: &dyn Random) -> Result<String> {
        if text.is_empty() {
            return Ok(String::new());
        }
        seal(
            &self.cipher,
            text.as_bytes(),
            &place.associated(self.user_id),
            random,
        )
    }

    /// Opens a text that was sealed for this place; `internal` when it was not, or not with this key.
    pub fn open(&self, place: Place, sealed: &str) -> Result<String> {
        if sealed.is_empty() {
            return Ok(String::new());
        }
        let text = open(&self.cipher, sealed, &place.associated(self.user_id));
        text.and_then(|text| String::from_utf8(text).ok())
            .ok_or_else(|| Error::internal("a sealed text does not open"))
    }
}

/// The keys that wrap data keys: the first wraps, all unwrap.
pub struct MasterKeys(Keys);

impl MasterKeys {
    /// Reads the file; `None` when there is none, `config` when it is not one or others can read it.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        Ok(Keys::load(path)?.map(Self))
    }

    /// Reads the file, or makes it with one fresh key.
    pub fn load_or_create(path: &Path, random: &dyn Random) -> Result<Self> {
        Keys::load_or_create(path, random).map(Self)
    }

    /// The same lines as in a file, from elsewhere.
    pub fn parse(text: &str) -> Result<Self> {
        Keys::parse(text).map(Self)
    }

    /// One fresh key that is stored nowhere, for tests.
    pub fn generate(random: &dyn Random) -> Result<Self> {
        Keys::generate(random).map(Self)
    }

    /// A fresh key before the one that wraps now; what was before that one goes.
    pub fn rotated(&self, random: &dyn Random) -> Result<Self> {
        self.0.rotated(random).map(Self)
    }

    /// Puts these keys into the file, in place of what is in it.
    pub fn replace(&self, path: &Path) -> Result<()> {
        self.0.replace(path)
    }

    /// The names of the keys, the one that wraps first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.ids()
    }

    /// The name of the key that wraps.
    pub fn current(&self) -> &str {
        self.0.ids().next().unwrap_or_default()
    }

    /// Whether there is a key of this name.
    pub fn knows(&self, id: &str) -> bool {
        self.0.named(id).is_some()
    }

    /// A fresh data key for a person, and how it may be stored.
    pub fn fresh(&self, user_id: UserId, random: &dyn Random) -> Result<(DataKey, WrappedKey)> {
        let mut secret = Zeroizing::new([0; KEY]);
        random.fill(secret.as_mut())?;
        let key = DataKey::new(user_id, secret.as_ref()).ok_or_else(unusable)?;
        Ok((key, self.wrap(user_id, secret.as_ref(), random)?))
    }

    /// The data key of a person; `config` when none of these keys wrapped it, `internal` when it is damaged.
    pub fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey> {
        let secret = self.secret(wrapped)?;
        DataKey::new(wrapped.user_id, &secret).ok_or_else(unusable)
    }

    /// The key of one file, made from the master key of this name and from the `header` of the file, which has
    /// random bytes in it; `config` when there is no such master key.
    pub fn file_key(&self, id: &str, header: &[u8]) -> Result<FileKey> {
        let key = self.0.named(id).ok_or_else(|| {
            Error::new(
                ErrorCode::Config,
                format!(
                    "the master key {id} is missing, with which it was sealed: put a copy of the file \
                     that has it in its place (this one has {})",
                    self.0.ids().collect::<Vec<_>>().join(", ")
                ),
            )
        })?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).map_err(|_| unusable())?;
        mac.update(b"deepme file\0");
        mac.update(header);
        let secret = Zeroizing::new(<[u8; KEY]>::from(mac.finalize().into_bytes()));
        FileKey::new(secret.as_ref()).ok_or_else(unusable)
    }

    /// The same data key, wrapped with the first of these keys.
    pub fn rewrap(&self, wrapped: &WrappedKey, random: &dyn Random) -> Result<WrappedKey> {
        let secret = self.secret(wrapped)?;
        self.wrap(wrapped.user_id, &secret, random)
    }

    fn wrap(&self, user_id: UserId, secret: &[u8], random: &dyn Random) -> Result<WrappedKey> {
        let key = self.0.signing()?;
        Ok(WrappedKey {
            user_id,
            master: key.kid.clone(),
            wrapped: seal(&wrapping(key)?, secret, &owner(user_id), random)?,
        })
    }

    fn secret(&self, wrapped: &WrappedKey) -> Result<Zeroizing<Vec<u8>>> {
        let key = self.0.named(&wrapped.master).ok_or_else(|| {
            Error::new(
                ErrorCode::Config,
                format!(
                    "the master key {} is missing, with which people's words are sealed",
                    wrapped.master
                ),
            )
        })?;
        open(&wrapping(key)?, &wrapped.wrapped, &owner(wrapped.user_id))
            .map(Zeroizing::new)
            .ok_or_else(|| Error::internal("a wrapped data key does not open"))
    }
}

/// The cipher of a master key. The key of the file only ever makes other keys.
fn wrapping(key: &Key) -> Result<Cipher> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.secret).map_err(|_| unusable())?;
    mac.update(b"deepme wrapping\0");
    let secret = Zeroizing::new(<[u8; KEY]>::from(mac.finalize().into_bytes()));
    Cipher::new(secret.as_ref()).ok_or_else(unusable)
}

fn owner(user_id: UserId) -> Vec<u8> {
    [b"deepme data key\0".as_slice(), user_id.0.as_bytes()].concat()
}

fn unusable() -> Error {
    Error::internal("a key is of the wrong length")
}

fn seal(cipher: &Cipher, text: &[u8], associated: &[u8], random: &dyn Random) -> Result<String> {
    let mut nonce = [0; NONCE];
    random.fill(&mut nonce)?;
    // The tag comes behind the text.
    let mut bytes = Vec::with_capacity(1 + NONCE + text.len() + TAG);
    bytes.push(VERSION);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(text);
    cipher
        .seal(nonce, associated, &mut bytes, 1 + NONCE)
        .ok_or_else(|| Error::internal("a text is too long to be sealed"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn open(cipher: &Cipher, sealed: &str, associated: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (version, rest) = bytes.split_first_mut()?;
    if *version != VERSION {
        return None;
    }
    let (nonce, sealed) = rest.split_first_chunk_mut::<NONCE>()?;
    let text = cipher.open(*nonce, associated, sealed)?.len();
    bytes.drain(..=NONCE);
    bytes.truncate(text);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;
    use uuid::Uuid;

    const ME: UserId = UserId(Uuid::from_u128(7));
    const STEP: StepId = StepId(Uuid::from_u128(8));

    fn masters() -> MasterKeys {
        MasterKeys::generate(&SystemRandom).unwrap()
    }

    #[test]
    fn a_sealed_text_opens_in_its_place_only() {
        let (key, _) = masters().fresh(ME, &SystemRandom).unwrap();
        let place = Place::UserInput(STEP);
        let sealed = key.seal(place, "힘들어 👩‍👩‍👧", &SystemRandom).unwrap();
        assert_eq!(key.open(place, &sealed).unwrap(), "힘들어 👩‍👩‍👧");
        let session = SessionId(STEP.0);
        for other in [
            Place::GptResponse(STEP),
            Place::UserInput(StepId(Uuid::from_u128(9))),
            Place::Summary(session),
            Place::Label(session, "topic"),
            Place::Prompt(Timestamp::from_micros(8)),
            Place::Mark(STEP, "emotion"),
            Place::Card(session, "body"),
        ] {
            assert!(key.open(other, &sealed).is_err(), "{other:?}");
        }
        let (others, _) = masters().fresh(ME, &SystemRandom).unwrap();
        assert!(others.open(place, &sealed).is_err());
        // A guess is not what the person says, and neither is the tier.
        let guess = Place::Mark(STEP, "emotion");
        let sealed = key.seal(guess, "sad", &SystemRandom).unwrap();
        assert_eq!(key.open(guess, &sealed).unwrap(), "sad");
        for column in ["correction", "safety_tier"] {
            assert!(key.open(Place::Mark(STEP, column), &sealed).is_err());
        }
    }

    #[test]
    fn the_same_words_never_look_the_same() {
        let (key, _) = masters().fresh(ME, &SystemRandom).unwrap();
        let sealed = |text| {
            key.seal(Place::UserInput(STEP), text, &SystemRandom)
                .unwrap()
        };
        assert_ne!(sealed("응"), sealed("응"));
        assert_eq!(sealed(""), "");
        assert_eq!(key.open(Place::UserInput(STEP), "").unwrap(), "");
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let (key, _) = masters().fresh(ME, &SystemRandom).unwrap();
        let place = Place::GptResponse(STEP);
        let sealed = key.seal(place, "그랬구나", &SystemRandom).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.open(place, &changed).is_err(), "byte {at}");
            assert!(key.open(place, &sealed[..at]).is_err() || at == 0);
        }
        assert!(key.open(place, "그랬구나").is_err(), "words in clear");
    }

    #[test]
    fn a_data_key_is_unwrapped_by_the_master_that_wrapped_it_for_its_owner() {
        let old = masters();
        let (key, wrapped) = old.fresh(ME, &SystemRandom).unwrap();
        let place = Place::UserInput(STEP);
        let sealed = key.seal(place, "말", &SystemRandom).unwrap();
        let opened = |masters: &MasterKeys, wrapped: &WrappedKey| {
            masters.unwrap(wrapped)?.open(place, &sealed)
        };
        assert_eq!(opened(&old, &wrapped).unwrap(), "말");
        let other = masters();
        assert_eq!(
            opened(&other, &wrapped).unwrap_err().code(),
            ErrorCode::Config
        );
        let stolen = WrappedKey {
            user_id: UserId(Uuid::from_u128(9)),
            ..wrapped.clone()
        };
        assert!(old.unwrap(&stolen).is_err());
        // Both keys in one file, the new one first.
        let both =
            MasterKeys::parse(&[other.0.to_text().as_str(), old.0.to_text().as_str()].concat())
                .unwrap();
        let moved = both.rewrap(&wrapped, &SystemRandom).unwrap();
        assert_eq!(moved.master, other.current());
        assert_eq!(opened(&other, &moved).unwrap(), "말");
    }
}
