//! Sealing whole files: a stream in chunks, of which none can be changed, moved, repeated or left out.
//!
//! Owns [`Sealer`] and [`Opener`], which stand between a file and who writes or reads it. Called by the
//! backups. Invariants: a [`FileKey`] seals one file only, so the nonce of a chunk is its number; the last chunk
//! says that it is the last, so a file that was cut does not end where it should; nothing is given out that was
//! not authenticated.
//!
//! This is the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015) over XChaCha20-Poly1305: chunks
//! of 64 KiB and a tag of 16 bytes, the last one shorter or as long; a nonce is 15 zeros, the number of the chunk
//! in 8 bytes, and 1 for the last or 0.

use super::aead::{Cipher, NONCE};
use std::io::{self, BufRead, Read, Write};

/// Bytes of a chunk before it is sealed.
const CHUNK: usize = 64 * 1024;
/// Bytes that sealing adds.
const TAG: usize = 16;

/// The key of one file.
pub struct FileKey(Cipher);

impl FileKey {
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        Cipher::new(secret).map(Self)
    }
}

fn nonce(number: u64, last: bool) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    let (_, tail) = nonce.split_at_mut(15);
    tail.iter_mut()
        .zip(number.to_be_bytes().into_iter().chain([u8::from(last)]))
        .for_each(|(to, byte)| *to = byte);
    nonce
}

/// Seals what is written to it. [`Sealer::finish`] writes the end; without it the file counts as cut.
pub struct Sealer<W: Write> {
    inner: W,
    key: FileKey,
    number: u64,
    waiting: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Before `inner`. The key must not have sealed anything before.
    pub fn new(inner: W, key: FileKey) -> Self {
        Self {
            inner,
            key,
            number: 0,
            waiting: Vec::with_capacity(CHUNK + TAG),
        }
    }

    /// Writes the end; what is behind this.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.inner)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        let sealed = self.key.0.seal(nonce, &[], &mut self.waiting, 0);
        sealed.ok_or_else(|| io::Error::other("a chunk is too long to be sealed"))?;
        self.number += 1;
        let written = self.inner.write_all(&self.waiting);
        self.waiting.clear();
        written
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until it is known whether it is the last.
        if self.waiting.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let some = bytes.len().min(CHUNK - self.waiting.len());
        self.waiting
            .extend_from_slice(bytes.get(..some).unwrap_or_default());
        Ok(some)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Opens what a [`Sealer`] has sealed; an error of the kind `InvalidData` where it was cut or changed.
pub struct Opener<R: BufRead> {
    inner: R,
    key: FileKey,
    number: u64,
    opened: io::Cursor<Vec<u8>>,
    over: bool,
}

impl<R: BufRead> Opener<R> {
    /// Behind `inner`, which begins with the first chunk.
    pub fn new(inner: R, key: FileKey) -> Self {
        Self {
            inner,
            key,
            number: 0,
            opened: io::Cursor::default(),
            over: false,
        }
    }

    fn open(&mut self) -> io::Result<()> {
        let mut sealed = Vec::new();
        let most = (CHUNK + TAG) as u64;
        self.inner.by_ref().take(most).read_to_end(&mut sealed)?;
        let last = self.inner.fill_buf()?.is_empty();
        let nonce = nonce(self.number, last);
        let opened = self.key.0.open(nonce, &[], &mut sealed);
        let cut = || io::Error::new(io::ErrorKind::InvalidData, "it was cut off or changed");
        let length = opened.ok_or_else(cut)?.len();
        sealed.truncate(length);
        self.number += 1;
        self.over = last;
        self.opened = io::Cursor::new(sealed);
        Ok(())
    }
}

impl<R: BufRead> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let some = self.opened.read(into)?;
            if some > 0 || self.over || into.is_empty() {
                return Ok(some);
            }
            self.open()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SystemRandom;
    use crate::auth::seal::MasterKeys;

    fn sealed(masters: &MasterKeys, text: &[u8]) -> Vec<u8> {
        let key = masters.file_key(masters.current(), b"header").unwrap();
        let mut sealer = Sealer::new(Vec::new(), key);
        sealer.write_all(text).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(masters: &MasterKeys, header: &[u8], sealed: &[u8]) -> io::Result<Vec<u8>> {
        let key = masters.file_key(masters.current(), header).unwrap();
        let mut text = Vec::new();
        Opener::new(sealed, key).read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_was_sealed_opens_whatever_its_length() {
        let masters = MasterKeys::generate(&SystemRandom).unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
            let text = vec![7; length];
            let sealed = sealed(&masters, &text);
            assert_eq!(
                sealed.len(),
                length + TAG * length.div_ceil(CHUNK).max(1),
                "{length}"
            );
            assert!(opened(&masters, b"header", &sealed).unwrap() == text);
        }
    }

    #[test]
    fn what_was_cut_lengthened_reordered_or_changed_does_not_open() {
        let masters = MasterKeys::generate(&SystemRandom).unwrap();
        let text: Vec<u8> = [1, 2, 3].into_iter().flat_map(|n| vec![n; CHUNK]).collect();
        let whole = sealed(&masters, &text);
        let chunks: Vec<&[u8]> = whole.chunks(CHUNK + TAG).collect();
        assert_eq!(chunks.len(), 3);
        let mut flipped = whole.clone();
        flipped[CHUNK + 9] ^= 1;
        for (what, wrong) in [
            ("cut to nothing", Vec::new()),
            ("cut by a byte", whole[..whole.len() - 1].to_vec()),
            ("cut after a chunk", chunks[..2].concat()),
            ("lengthened", [&whole[..], b"x"].concat()),
            (
                "repeated",
                [chunks[0], chunks[1], chunks[1], chunks[2]].concat(),
            ),
            ("reordered", [chunks[1], chunks[0], chunks[2]].concat()),
            ("shortened in the middle", [chunks[0], chunks[2]].concat()),
            ("changed", flipped),
        ] {
            let error = opened(&masters, b"header", &wrong).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{what}");
        }
        assert!(opened(&masters, b"another header", &whole).is_err());
        let others = MasterKeys::generate(&SystemRandom).unwrap();
        assert!(opened(&others, b"header", &whole).is_err());
    }
}
