//! SQLite's errors as ours, and how connections are opened.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Kind, Result};

/// 512 KiB of pages a connection: the newest incidents and the way to them.
const CACHE_KIB: u32 = 512;
/// How long a connection waits for another's lock. Ours hold one for milliseconds; a backup by hand may take longer.
const BUSY_MS: u32 = 2000;

/// What a failure of SQLite means to whoever asked.
pub fn kind(error: &rusqlite::Error) -> Kind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Kind::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted) => {
            Kind::Unavailable
        }
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed,
        ) => Kind::Io,
        _ => Kind::Internal,
    }
}

/// `map_err(failed("reading incidents"))`
pub fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| match kind(&error) {
        Kind::Unavailable => Error::new(Kind::Unavailable, format!("{doing} took too long")),
        kind => Error::new(kind, format!("{doing}: {error}")),
    }
}

/// Never makes the file: below a mount point whose disk is gone there must be none.
pub fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    set_up(Connection::open_with_flags(path, flags)?)
}

/// For reading. On a disk that takes no writes the log cannot be made that SQLite reads by; the file alone can.
pub fn open_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(path, flags).and_then(set_up).and_then(|connection| {
        version(&connection)?;
        Ok(connection)
    });
    opened.or_else(|error| open_alone(path).map_err(|_| error))
}

/// The file without its log, touching nothing beside it.
pub fn open_alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(address(path), flags).and_then(set_up)?;
    version(&connection)?;
    Ok(connection)
}

/// The number of the schema: how many migrations were applied.
pub fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn set_up(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS.into()))?;
    connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIB))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Sorting spills into RAM, never onto the card.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

fn address(path: &Path) -> String {
    let mut out = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => out.push(char::from(*byte)),
            byte => out += &format!("%{byte:02X}"),
        }
    }
    out + "?immutable=1"
}

/// Runs `work` and nothing of it when it fails.
pub fn savepoint<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let doing = failed("writing to the database");
    connection.execute_batch("SAVEPOINT asked").map_err(&doing)?;
    match work(connection) {
        Ok(done) => connection.execute_batch("RELEASE asked").map_err(doing).map(|()| done),
        Err(error) => {
            // Already gone when the failure took the whole transaction with it.
            let _ = connection.execute_batch("ROLLBACK TO asked; RELEASE asked");
            Err(error)
        }
    }
}
