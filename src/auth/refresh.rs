//! Refresh tokens: opaque, each for one use.
//!
//! Owns [`RefreshToken`]. A token names its login and holds 256 random bits, and is kept as a hash only.
//! Its successor is a keyed hash of it by the server's own key: whoever brings a token gets the same
//! successor however often they ask, from whichever instance, and nobody has to keep it in the meantime;
//! who has a token, but not the key, cannot know what follows it. A second keyed hash proves that this
//! server made it, so that a made-up one cannot pass for one that was stolen. Invariants: the hash, not
//! the key, decides whether a token is the current one, so that a login outlives its keys; a token shows
//! nowhere.

use super::hex::{hex, unhex};
use super::keys::Keys;
use crate::domain::{LoginId, Random, Result};
use sha2::{Digest as _, Sha256};
use std::fmt;
use uuid::Uuid;

/// What a token begins with, so that programs that look for leaked secrets know it.
const PREFIX: &str = "dmr_";
const LOGIN: usize = 16;
const SECRET: usize = 32;
const PROOF: usize = 16;

/// A refresh token.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    login_id: LoginId,
    secret: [u8; SECRET],
    proof: [u8; PROOF],
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl RefreshToken {
    /// The first one of a login.
    pub fn first(keys: &Keys, login_id: LoginId, random: &dyn Random) -> Result<Self> {
        let mut secret = [0; SECRET];
        random.fill(&mut secret)?;
        let proof = proofs(keys, login_id, &secret).next().unwrap_or_default();
        Ok(Self {
            login_id,
            secret,
            proof,
        })
    }

    /// Reads a token; `None` for what none can look like.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = unhex(text.strip_prefix(PREFIX)?)?;
        if bytes.len() != LOGIN + SECRET + PROOF {
            return None;
        }
        let (login, rest) = bytes.split_at(LOGIN);
        let (secret, proof) = rest.split_at(SECRET);
        Some(Self {
            login_id: LoginId(Uuid::from_slice(login).ok()?),
            secret: secret.try_into().ok()?,
            proof: proof.try_into().ok()?,
        })
    }

    /// The token as its owner gets it.
    pub fn reveal(&self) -> String {
        let bytes = [&self.login_id.0.as_bytes()[..], &self.secret, &self.proof].concat();
        format!("{PREFIX}{}", hex(&bytes))
    }

    /// The login that it is for.
    pub fn login_id(&self) -> LoginId {
        self.login_id
    }

    /// The token as it is kept.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"deepme refresh token\0");
        hash.update(self.login_id.0.as_bytes());
        hash.update(self.secret);
        hex(&hash.finalize())
    }

    /// Whether one of these keys made it.
    pub fn is_genuine(&self, keys: &Keys) -> bool {
        // Not in constant time: who guesses a proof right has won nothing but a login that ends.
        proofs(keys, self.login_id, &self.secret).any(|proof| proof == self.proof)
    }

    /// What follows it, by each key, that of the signing key first.
    pub fn successors(&self, keys: &Keys) -> Vec<Self> {
        let login_id = self.login_id;
        let parts: [&[u8]; 2] = [login_id.0.as_bytes(), &self.secret];
        keys.tags(b"deepme refresh successor\0", &parts)
            .enumerate()
            .map(|(n, secret)| Self {
                login_id,
                secret,
                // Proved by the same key, however many there are by then.
                proof: proofs(keys, login_id, &secret).nth(n).unwrap_or_default(),
            })
            .collect()
    }
}

fn proofs(
    keys: &Keys,
    login_id: LoginId,
    secret: &[u8; SECRET],
) -> impl Iterator<Item = [u8; PROOF]> {
    let parts: [&[u8]; 2] = [login_id.0.as_bytes(), secret];
    keys.tags(b"deepme refresh proof\0", &parts)
        .map(|tag| std::array::from_fn(|i| tag[i]))
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;

    fn keys() -> Keys {
        Keys::generate(&SystemRandom).unwrap()
    }

    fn login_id() -> LoginId {
        LoginId(Uuid::from_u128(7))
    }

    #[test]
    fn a_token_is_read_as_it_was_given_and_kept_as_something_else() {
        let token = RefreshToken::first(&keys(), login_id(), &SystemRandom).unwrap();
        let text = token.reveal();
        assert_eq!(RefreshToken::parse(&text), Some(token.clone()));
        assert_eq!(token.login_id(), login_id());
        assert_eq!(token.hash().len(), 64);
        assert!(!text.contains(&token.hash()) && !format!("{token:?}").contains("dmr_"));
        for wrong in [
            "",
            "dmr_",
            &text[4..],
            &text[..text.len() - 2],
            &format!("{text}00"),
            &text.replace("dmr_", "dmr_가"),
        ] {
            assert_eq!(RefreshToken::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_has_one_successor_by_each_key_and_only_by_those() {
        let (keys, other) = (keys(), keys());
        let first = RefreshToken::first(&keys, login_id(), &SystemRandom).unwrap();
        let [second] = &first.successors(&keys)[..] else {
            panic!()
        };
        assert_eq!(
            first.successors(&keys),
            std::slice::from_ref(second),
            "however often it is asked"
        );
        assert_ne!(first.successors(&other)[0], *second);
        assert_ne!(first.hash(), second.hash());
        assert!(first.is_genuine(&keys) && second.is_genuine(&keys));
        assert!(!first.is_genuine(&other));
        let mut made_up = first.clone();
        made_up.secret[0] ^= 1;
        assert!(!made_up.is_genuine(&keys));
        let mut stranger = first;
        stranger.login_id = LoginId(Uuid::from_u128(8));
        assert!(!stranger.is_genuine(&keys));
    }
}
