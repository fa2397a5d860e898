//! Session ids that are given out before there is a row.
//!
//! Connecting and leaving leaves nothing behind, yet the id of a session frame stays valid for its
//! user for 24 hours, on every instance and across restarts. So the id carries its own proof: it is
//! a UUIDv7 whose last 44 bits are a keyed hash of the user, the time and the 30 random bits
//! before. Forging one would take 2^44 tries online and win a fresh id of one's own. Invariant: an
//! id made here is never accepted for another user.

use super::keys::Keys;
use crate::domain::{Random, Result, SessionId, Timestamp, UserId};
use std::time::Duration;
use uuid::Uuid;

/// How long a reserved id is valid.
pub const VALID: Duration = Duration::from_hours(24);

const TAG_BITS: u32 = 44;
const TAG_MASK: u128 = (1 << TAG_BITS) - 1;

/// A fresh id for a session of this user.
pub fn reserve(
    keys: &Keys,
    user_id: UserId,
    now: Timestamp,
    random: &dyn Random,
) -> Result<SessionId> {
    let id = SessionId::generate(now, random)?.0.as_u128() & !TAG_MASK;
    let tag = tags(keys, user_id, id).next().unwrap_or_default();
    Ok(SessionId(Uuid::from_u128(id | tag)))
}

/// Whether this id was reserved for this user within the last 24 hours.
pub fn is_reserved(keys: &Keys, user_id: UserId, session_id: SessionId, now: Timestamp) -> bool {
    let id = session_id.0.as_u128();
    if session_id.0.get_version_num() != 7 {
        return false;
    }
    let made_ms = u64::try_from(id >> 80).unwrap_or(u64::MAX);
    let age = now.as_millis().saturating_sub(made_ms);
    // A minute of clock difference between instances is forgiven.
    let fresh = u128::from(age) <= VALID.as_millis() && made_ms <= now.as_millis() + 60_000;
    fresh && tags(keys, user_id, id & !TAG_MASK).any(|tag| tag == id & TAG_MASK)
}

fn tags(keys: &Keys, user_id: UserId, id: u128) -> impl Iterator<Item = u128> {
    let id = id.to_be_bytes();
    keys.tags(b"deepme session id\0", &[user_id.0.as_bytes(), &id])
        .map(|tag| u128::from_be_bytes(std::array::from_fn(|i| tag[i])) & TAG_MASK)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;

    #[test]
    fn an_id_is_valid_for_its_user_and_its_day() {
        let keys = Keys::generate(&SystemRandom).unwrap();
        let now = Timestamp::from_micros(1_795_416_374_000_000);
        let (me, you) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let id = reserve(&keys, me, now, &SystemRandom).unwrap();
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        assert!(is_reserved(&keys, me, id, now));
        assert!(is_reserved(&keys, me, id, now.plus(VALID)));
        assert!(!is_reserved(
            &keys,
            me,
            id,
            now.plus(VALID + Duration::from_secs(1))
        ));
        assert!(!is_reserved(&keys, you, id, now));
        assert!(!is_reserved(
            &keys,
            me,
            SessionId(Uuid::from_u128(id.0.as_u128() ^ 1)),
            now
        ));
        assert!(!is_reserved(
            &Keys::generate(&SystemRandom).unwrap(),
            me,
            id,
            now
        ));
        assert!(!is_reserved(&keys, me, SessionId(Uuid::new_v4()), now));
    }
}
