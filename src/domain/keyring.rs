//! The keys of people as they may be stored.
//!
//! Owns [`WrappedKey`]. Called by the stores and by whoever wraps and unwraps. Invariant: what stands here
//! is of no use without the master key that it names, which is never in the database.

use super::id::UserId;

/// The key that a person's words are sealed with, sealed itself by a master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Whose words it is for.
    pub user_id: UserId,
    /// The name of the master key.
    pub master: String,
    /// The sealed key, in base64url.
    pub wrapped: String,
}
