//! Who somebody is, and who can read what they say: passwords, keys, tokens and seals.
//!
//! Owns hashing ([`password`]), what is no password ([`strength`]), the signing keys ([`keys`], [`ring`]), access tokens ([`token`]), refresh tokens
//! ([`refresh`]), one-time codes and tickets ([`once`]), session ids that are reserved without a row
//! ([`reserve`]) and the keys that seal people's words and whole files ([`seal`], [`masters`], [`chunks`]). Called by the services.
//! Invariant: no secret leaves this module except to whom it is for, or as the hash or the signature of it.

mod aead;
pub mod chunks;
pub(crate) mod hex;
pub mod keys;
pub mod masters;
pub mod once;
pub mod password;
pub mod refresh;
pub mod reserve;
pub mod ring;
pub mod seal;
pub mod strength;
pub mod token;
pub mod witness;

use crate::domain::{Error, Random, Result};

/// The operating system's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|e| Error::internal(e.to_string()))
    }
}
