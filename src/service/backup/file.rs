//! A file that is compressed and sealed: a backup, or the keyring beside it.
//!
//! Owns the header of such a file and the layers below it. Called by this module only; everything here blocks.
//! Invariants: a file is written beside its place and put there whole, readable by its owner only; the key is made
//! from every byte of the header, so that whoever changes the header cannot read on.
//!
//! The first line is JSON in the clear, a [`Header`]; then what [`crate::auth::chunks`] makes of the content, which
//! is compressed (DEFLATE, RFC 1951).

use crate::auth::chunks::{FileKey, Opener, Sealer};
use crate::auth::hex::hex;
use crate::auth::seal::MasterKeys;
use crate::domain::{Error, ErrorCode, Random, Result, Timestamp};
use crate::store::SCHEMA_VERSION;
use crate::store::copy::archive::{Medium, damaged, unread};
use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The version of the format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// Most bytes of the header.
const HEADER: u64 = 4096;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    Backup,
    Keyring,
}

/// What a file says of itself in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) deepme: Content,
    format: u32,
    /// The version of the schema that the content is of.
    pub(super) schema: i64,
    pub(super) created_at: Timestamp,
    /// The name of the master key.
    pub(super) master: String,
    /// Random, so that no two files have the same key.
    salt: String,
}

impl Header {
    pub(super) fn of(
        deepme: Content,
        created_at: Timestamp,
        masters: &MasterKeys,
        random: &dyn Random,
    ) -> Result<Self> {
        let mut salt = [0; 32];
        random.fill(&mut salt)?;
        Ok(Self {
            deepme,
            format: FORMAT,
            schema: SCHEMA_VERSION,
            created_at,
            master: masters.current().to_owned(),
            salt: hex(&salt),
        })
    }

    fn line(&self) -> Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self).map_err(Error::internal)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// A file that is being written, not in its place yet. Dropped, it goes.
pub(super) struct Unfinished(NamedTempFile);

/// The layers above it.
pub(super) struct Layers(DeflateEncoder<Sealer<BufWriter<File>>>);

impl Unfinished {
    /// Makes the file in `directory`, with a name that begins with `prefix`, and writes the header.
    pub(super) fn begin(
        directory: &Path,
        prefix: &str,
        header: &Header,
        masters: &MasterKeys,
    ) -> Result<(Self, Layers)> {
        let file = tempfile::Builder::new()
            .prefix(prefix)
            .tempfile_in(directory)
            .map_err(|e| unwritable(directory, e))?;
        let line = header.line()?;
        let key = masters.file_key(&header.master, &line)?;
        let opened = file.reopen().map_err(|e| unwritable(directory, e))?;
        let mut below = BufWriter::new(opened);
        below
            .write_all(&line)
            .map_err(|e| unwritable(directory, e))?;
        // What is sealed already is base64: the fastest level takes most of what there is to take.
        let layers = DeflateEncoder::new(Sealer::new(below, key), Compression::fast());
        Ok((Self(file), Layers(layers)))
    }

    /// The layers, and how what was written through them is read again.
    pub(super) fn medium(
        &self,
        layers: Layers,
        header: &Header,
        masters: &MasterKeys,
    ) -> Result<OnDisk> {
        let line = header.line()?;
        Ok(OnDisk {
            layers,
            file: self.0.reopen().map_err(|e| unwritable(self.0.path(), e))?,
            content: line.len() as u64,
            key: masters.file_key(&header.master, &line)?,
        })
    }

    /// Puts the file in its place, where there must be none.
    pub(super) fn place(self, path: &Path) -> Result<()> {
        let placed = self.0.persist_noclobber(path);
        placed.map_err(|e| unwritable(path, e.error))?;
        sync_directory(path)
    }

    /// Puts the file in its place and overwrites the bytes of the one before, if there was one.
    pub(super) fn replace(self, path: &Path) -> Result<()> {
        let before = File::options().write(true).open(path);
        let placed = self.0.persist(path);
        placed.map_err(|e| unwritable(path, e.error))?;
        sync_directory(path)?;
        match before {
            Ok(before) => overwrite(before).map_err(|e| unwritable(path, e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unwritable(path, error)),
        }
    }
}

impl Layers {
    /// Ends the file and brings it to the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let below = self.0.finish()?.finish()?;
        let file = below.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

impl Write for Layers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file that is read back when it has been written.
pub(super) struct OnDisk {
    layers: Layers,
    file: File,
    /// Where the content begins.
    content: u64,
    key: FileKey,
}

impl Write for OnDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.layers.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.layers.flush()
    }
}

impl Medium for OnDisk {
    fn finish(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        let Self {
            layers,
            mut file,
            content,
            key,
        } = *self;
        layers.finish()?;
        file.seek(SeekFrom::Start(content))?;
        Ok(unsealed(BufReader::new(file), key))
    }
}

/// Opens a file; its header and what is in it. `not_found` where there is none, `config` where the master key or
/// this program is the wrong one, `invalid_input` where it is no such file.
pub(super) fn open(
    path: &Path,
    content: Content,
    masters: &MasterKeys,
) -> Result<(Header, Box<dyn Read + Send>)> {
    let about = |error: Error| {
        Error::new(
            error.code(),
            format!("{}: {}", path.display(), error.message()),
        )
    };
    let file = File::open(path).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => ErrorCode::NotFound,
            _ => ErrorCode::Unavailable,
        };
        Error::new(code, format!("cannot read {}: {error}", path.display()))
    })?;
    open_file(file, content, masters).map_err(about)
}

fn open_file(
    file: File,
    content: Content,
    masters: &MasterKeys,
) -> Result<(Header, Box<dyn Read + Send>)> {
    let mut file = BufReader::new(file);
    let mut line = Vec::new();
    let read = file.by_ref().take(HEADER).read_until(b'\n', &mut line);
    read.map_err(unread)?;
    let strange = || Error::new(ErrorCode::InvalidInput, "this is no file of deepme backup");
    // What a later version adds may be anything but this.
    let any: serde_json::Value = serde_json::from_slice(&line).map_err(|_| strange())?;
    let format = any.get("format").and_then(serde_json::Value::as_u64);
    if format.is_some_and(|format| format > u64::from(FORMAT)) {
        return Err(Error::new(
            ErrorCode::Config,
            "it was made by a newer deepme: use that one",
        ));
    }
    let header: Header = serde_json::from_value(any).map_err(|_| strange())?;
    if header.deepme != content {
        return Err(strange());
    }
    let key = masters.file_key(&header.master, &line)?;
    Ok((header, unsealed(file, key)))
}

fn unsealed(file: BufReader<File>, key: FileKey) -> Box<dyn Read + Send> {
    let opened = BufReader::new(Opener::new(file, key));
    Box::new(DeflateDecoder::new(opened))
}

/// The whole of a small file.
pub(super) fn read_to_end(mut from: Box<dyn Read + Send>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(unread)?;
    if bytes.is_empty() {
        return Err(damaged("there is nothing in it"));
    }
    Ok(bytes)
}

/// Makes the directory (mode 0700) unless it is there.
pub(super) fn prepare(directory: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| unwritable(directory, e))
}

/// Holds `name` in `directory` until the file is dropped; waits for whoever has it.
pub(super) fn wait_for(directory: &Path, name: &str) -> Result<File> {
    let path = directory.join(name);
    let file = lock_file(&path)?;
    file.lock().map_err(|e| unwritable(&path, e))?;
    Ok(file)
}

/// The same; `None` when somebody has it.
pub(super) fn hold(directory: &Path, name: &str) -> Result<Option<File>> {
    let path = directory.join(name);
    let file = lock_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(unwritable(&path, error)),
    }
}

fn lock_file(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| unwritable(path, e))
}

fn overwrite(mut file: File) -> io::Result<()> {
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|e| unwritable(directory, e))
}

pub(super) fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("cannot write {}: {error}", path.display()),
    )
    .with_source(error)
}

/// The files of `directory` whose names begin and end so.
pub(super) fn files(directory: &Path, begin: &str, end: &str) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot read {}: {error}", directory.display());
            return Err(Error::new(ErrorCode::Unavailable, message));
        }
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}
