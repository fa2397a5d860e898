//! XChaCha20-Poly1305, the cipher of everything that is sealed.
//!
//! Owns [`Cipher`]. Called by what seals ([`super::seal`]). Invariant: the bytes are those of
//! draft-irtf-cfrg-xchacha-03, whatever makes them; a test compares them with another implementation.
//!
//! The construction is two known pieces: `HChaCha20` makes a key for one message from the key and the first 16 bytes of
//! the nonce, and ChaCha20-Poly1305 (RFC 8439) seals with it. ring's is written in assembly for whole messages: opening
//! 871 bytes takes it 0.66 µs where the `chacha20poly1305` crate takes 2.43, and a turn opens many (`docs/benchmarks.md`).

use ::ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::{R20, hchacha};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY: usize = 32;
/// Bytes of a nonce.
pub(super) const NONCE: usize = 24;
/// Bytes of the nonce that go into the key of the message.
const INTO_KEY: usize = 16;

/// A key to seal and open with; overwritten in memory when it is dropped.
pub(super) struct Cipher(Zeroizing<[u8; KEY]>);

impl Cipher {
    /// `None` when the key has not [`KEY`] bytes.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let mut own = Zeroizing::new([0; KEY]);
        if key.len() != KEY {
            return None;
        }
        own.copy_from_slice(key);
        Some(Self(own))
    }

    /// Seals what is in `text` from `from` on, in place, and appends the tag; `None` when it is too long. A nonce must
    /// never be used twice with a key.
    pub(super) fn seal(
        &self,
        nonce: [u8; NONCE],
        associated: &[u8],
        text: &mut Vec<u8>,
        from: usize,
    ) -> Option<()> {
        let (key, rest) = self.for_one(nonce)?;
        let tag = key
            .seal_in_place_separate_tag(rest, Aad::from(associated), text.get_mut(from..)?)
            .ok()?;
        text.extend_from_slice(tag.as_ref());
        Some(())
    }

    /// Opens, in place, what [`Self::seal`] made; `None` when it was made otherwise.
    pub(super) fn open<'a>(
        &self,
        nonce: [u8; NONCE],
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let (key, rest) = self.for_one(nonce)?;
        key.open_in_place(rest, Aad::from(associated), sealed).ok()
    }

    /// The key of the message with this nonce, and the nonce that is left to use with it.
    fn for_one(&self, nonce: [u8; NONCE]) -> Option<(LessSafeKey, Nonce)> {
        let (first, last) = nonce.split_first_chunk::<INTO_KEY>()?;
        let key = Zeroizing::new(<[u8; KEY]>::from(hchacha::<R20>(
            &(*self.0).into(),
            &(*first).into(),
        )));
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).ok()?;
        let mut rest = [0; 12];
        rest[4..].copy_from_slice(last);
        Some((LessSafeKey::new(key), Nonce::assume_unique_for_key(rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
    use chacha20poly1305::{XChaCha20Poly1305, XNonce};
    use proptest::prelude::*;

    proptest! {
        /// The same bytes as another implementation makes, both ways.
        #[test]
        fn it_is_xchacha20_poly1305(
            key: [u8; KEY],
            nonce: [u8; NONCE],
            associated in proptest::collection::vec(any::<u8>(), 0..80),
            text in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let payload = Payload { msg: &text, aad: &associated };
            let other = XChaCha20Poly1305::new(&key.into());
            let expected = other.encrypt(&XNonce::from(nonce), payload).unwrap();
            let cipher = Cipher::new(&key).unwrap();
            let mut sealed = text.clone();
            cipher.seal(nonce, &associated, &mut sealed, 0).unwrap();
            prop_assert_eq!(&sealed, &expected);
            let opened = cipher.open(nonce, &associated, &mut sealed).unwrap();
            prop_assert_eq!(opened, &text);
        }
    }

    #[test]
    fn a_key_has_32_bytes() {
        for len in [0, 31, 33] {
            assert!(Cipher::new(&vec![1; len]).is_none());
        }
    }
}
