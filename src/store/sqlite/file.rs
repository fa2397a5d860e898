//! The file of the database, and how it is opened.
//!
//! Owns what every connection to it has in common. Called by [`super::SqliteStore`] and by who looks at a
//! file that is not served. Invariant: whatever is made here, its owner alone can read.

use crate::domain::{Error, ErrorCode, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection waits for another process's lock (a CLI command beside the server).
pub(super) const BUSY: Duration = Duration::from_millis(2500);

/// The file of a `sqlite://` URL: `sqlite://data/deepme.db` is relative, `sqlite:///var/…` is not.
pub fn path_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite://")?;
    (!path.is_empty() && !path.contains(['?', '#'])).then(|| PathBuf::from(path))
}

/// Makes the file (mode 0600) and its directory (0700) when they are missing.
pub fn prepare(path: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let cannot = |what: &Path, error: std::io::Error| {
        let message = format!("cannot write {}: {error}", what.display());
        Error::new(ErrorCode::Config, message).with_source(error)
    };
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|e| cannot(directory, e))?;
    }
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| cannot(path, e))?;
    Ok(())
}

/// A connection to the file, which must be there.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    // Switching to the write-ahead log is not covered by the busy timeout: at the very first start
    // several processes may try at once.
    let mut opened = open();
    for _ in 0..50 {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        let code = opened
            .as_ref()
            .err()
            .and_then(rusqlite::Error::sqlite_error_code);
        if !matches!(code, Some(DatabaseBusy | DatabaseLocked)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = open();
    }
    opened.map_err(|error| {
        let message = format!("cannot open the database {}: {error}", path.display());
        Error::new(ErrorCode::Config, message).with_source(error)
    })
}
