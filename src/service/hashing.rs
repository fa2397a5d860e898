//! Password hashing, counted.
//!
//! Owns [`Hashing`]. Called by the accounts. Invariant: whatever waits for a hash, or for a core to
//! make it on, is counted until it has it or has gone.

use crate::auth::password::Hasher;
use crate::auth::strength::Weakness;
use crate::domain::meter::Gauge;
use crate::domain::{Random, Result};
use secrecy::SecretString;

/// A [`Hasher`] and how many ask it at the moment.
pub(super) struct Hashing {
    pub(super) hasher: Hasher,
    pub(super) asking: Gauge,
}

impl Hashing {
    /// [`Hasher::judge`].
    pub(super) async fn judge(
        &self,
        password: SecretString,
        about: Vec<String>,
    ) -> Result<Option<Weakness>> {
        let _held = self.asking.hold();
        self.hasher.judge(password, about).await
    }

    /// [`Hasher::hash`].
    pub(super) async fn hash(&self, password: SecretString, random: &dyn Random) -> Result<String> {
        let _held = self.asking.hold();
        self.hasher.hash(password, random).await
    }

    /// [`Hasher::verify`].
    pub(super) async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool> {
        let _held = self.asking.hold();
        self.hasher.verify(password, hash).await
    }
}
