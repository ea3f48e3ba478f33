//! From a path to a database that is known to be good.
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pelton_core::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::open_error::OpenError;
use super::schema::{self, APPLICATION, VERSION};

/// How long to wait for a person who looks into the file with a tool of SQLite's.
const PATIENCE: Duration = Duration::from_secs(5);
/// What SQLite's log is cut to when it was longer, in bytes.
const LONGEST_LOG: i64 = 64 * 1_024 * 1_024;
/// Pages that are kept in memory, in KiB, with SQLite's sign for that unit: enough for the ids of a million events.
const CACHE: i64 = -65_536;

/// An open file. The fields are dropped in this order: the lock goes last.
#[derive(Debug)]
pub struct Database {
    pub connection: Connection,
    pub path: PathBuf,
    /// Nothing is ever written through it.
    only_reads: bool,
    /// `None` beside the process that works with it.
    _lock: Option<File>,
}

impl Database {
    fn new(connection: Connection, path: &Path) -> Self {
        Self { connection, path: path.to_owned(), only_reads: false, _lock: None }
    }

    /// Opens or creates it. Blocks.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let real = locate(path)?;
        let lock = lock(path, &real)?;
        let connection = connect(&real).map_err(|error| refused(path, error))?;
        let mut database = Self { _lock: Some(lock), ..Self::new(connection, path) };
        let version = database.recognise()?;
        database.check()?;
        database.prepare(version).map_err(|error| refused(path, error))?;
        Ok(database)
    }

    /// Opens one that is there, beside the process that works with it, if there is one. Blocks.
    pub fn open_beside(path: &Path) -> Result<Self, OpenError> {
        let real = locate(path)?;
        if !real.exists() {
            return Err(OpenError::Absent { path: path.to_owned() });
        }
        let connection = connect(&real).map_err(|error| refused(path, error))?;
        let mut database = Self::new(connection, path);
        let version = database.recognise()?;
        database.check()?;
        if version == VERSION && !database.has_owners().map_err(|error| refused(path, error))? {
            database.make_durable().map_err(|error| refused(path, error))?;
            return Ok(database);
        }
        match lock(path, &real) {
            // Held only for as long as this takes, so that it hardly ever is in the way of a process that starts.
            Ok(_lock) => database.prepare(version).map_err(|error| refused(path, error))?,
            // Whoever is in it lives.
            Err(OpenError::InUse { .. }) if version == VERSION => {
                database.make_durable().map_err(|error| refused(path, error))?;
            }
            Err(error) => return Err(error),
        }
        Ok(database)
    }

    /// Opens one that this process has open already, for reads that take their time: they keep nobody from writing.
    /// Blocks.
    pub fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        let open = || {
            let connection = connect(path)?;
            connection.pragma_update(None, "query_only", "ON")?;
            Ok(Self { only_reads: true, ..Self::new(connection, path) })
        };
        open().map_err(|error| refused(path, error))
    }

    /// Begins a transaction.
    pub fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        // The file's write lock is taken at once: a read that would become a write could find that it is too late.
        let writes = TransactionBehavior::Immediate;
        let behavior = if self.only_reads { TransactionBehavior::Deferred } else { writes };
        self.connection.transaction_with_behavior(behavior)
    }

    /// Whether something belongs to a process, alive or dead.
    fn has_owners(&self) -> rusqlite::Result<bool> {
        let owners = "SELECT EXISTS (SELECT 1 FROM shard WHERE owner NOT NULL) OR EXISTS (SELECT 1 FROM member)
                      OR EXISTS (SELECT 1 FROM event WHERE taken = 1)";
        self.connection.query_row(owners, [], |row| row.get(0))
    }

    /// Its version; 0 for one that is empty. Only reads.
    fn recognise(&self) -> Result<i64, OpenError> {
        let number = |sql| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let read = || -> rusqlite::Result<_> {
            let tables = number("SELECT count(*) FROM sqlite_schema")?;
            Ok((tables, number("PRAGMA application_id")?, number("PRAGMA user_version")?))
        };
        let path = self.path.clone();
        match read().map_err(|error| refused(&path, error))? {
            (0, 0, 0) => Ok(0),
            (_, APPLICATION, version @ 1..=VERSION) => Ok(version),
            (_, APPLICATION, found) if found > VERSION => Err(OpenError::Newer { path, found, known: VERSION }),
            (_, APPLICATION, found) => Err(OpenError::Damaged { path, detail: format!("its version is {found}") }),
            _ => Err(OpenError::Foreign { path }),
        }
    }

    fn check(&self) -> Result<(), OpenError> {
        let found: Result<String, _> = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        match found {
            Ok(ok) if ok == "ok" => Ok(()),
            Ok(detail) => Err(OpenError::Damaged { path: self.path.clone(), detail: detail.replace('\n', " ") }),
            Err(error) => Err(refused(&self.path, error)),
        }
    }

    fn make_durable(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "journal_size_limit", LONGEST_LOG)?;
        self.connection.pragma_update(None, "cache_size", CACHE)?;
        // macOS flushes the disk itself only when asked this way.
        self.connection.pragma_update(None, "fullfsync", "ON")
    }

    fn prepare(&mut self, version: i64) -> rusqlite::Result<()> {
        self.make_durable()?;
        schema::migrate(&mut self.connection, version)?;
        // Nobody else works with the file, so whoever is in it has died.
        self.connection.execute_batch(
            "BEGIN;
             UPDATE shard SET owner = NULL WHERE owner NOT NULL;
             DELETE FROM member;
             UPDATE event SET taken = 0 WHERE taken = 1;
             COMMIT",
        )
    }
}

/// The path with all links followed, so that one file has one lock by whatever name.
fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    let no_file = || OpenError::NoFile { path: path.to_owned() };
    let name = path.file_name().ok_or_else(no_file)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| OpenError::Failed { path: path.to_owned(), detail: error.to_string() };
    let real = match folder.canonicalize() {
        Ok(folder) => folder.join(name),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(OpenError::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    match real.canonicalize() {
        Ok(real) if real.is_dir() => Err(no_file()),
        Ok(real) => Ok(real),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(real),
        Err(error) => Err(failed(error)),
    }
}

/// A lock of the operating system's, which ends with the process however that ends.
fn lock(path: &Path, real: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(real);
    name.push(".lock");
    let failed = |error: std::io::Error| OpenError::Failed {
        path: path.to_owned(),
        detail: format!("its lock {}: {error}", Path::new(&name).display()),
    };
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn connect(real: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(real, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn refused(path: &Path, error: rusqlite::Error) -> OpenError {
    let (path, detail) = (path.to_owned(), words(&error));
    if is_damage(&error) { OpenError::Damaged { path, detail } } else { OpenError::Failed { path, detail } }
}

/// What a failed call asks of the caller.
pub fn failure(path: &Path, error: &rusqlite::Error) -> StoreError {
    if is_damage(error) {
        return StoreError::Refused(OpenError::Damaged { path: path.to_owned(), detail: words(error) }.to_string());
    }
    let text = format!("the store {} failed: {}", path.display(), words(error));
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => StoreError::Unavailable(text),
        _ => StoreError::Refused(text),
    }
}

/// SQLite's own words.
fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, None) => code.to_string(),
        error => error.to_string(),
    }
}
