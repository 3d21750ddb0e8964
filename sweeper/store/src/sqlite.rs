//! State in one SQLite file.
//!
//! With a rollback journal rather than a write-ahead log: it survives on a network share, where a write-ahead
//! log does not work, and a run writes seldom. The locks of network file systems cannot be relied on all the
//! same: two machines that write one file can damage it. State that machines share belongs into a bucket, and
//! [`crate::FileLock`], which those who change the world take first, refuses network file systems.

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use sweeper_core::store::{DeleteOutcome, Put, PutOutcome, Store, StoreError, Version};

/// The schema written, and the newest understood.
const SCHEMA: u64 = 1;

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(10);

/// A [`Store`] in a SQLite file. Several handles and processes may use the same file at once.
pub struct SqliteStore {
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the state at `path`, creating it, readable by the owner only, and its directory where there
    /// is none. A file that is not ours, is damaged, or has a newer schema is an error and is not touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(|error| StoreError::Unwritable(at(&error)))?;
        }
        private(path).map_err(|error| StoreError::Unwritable(at(&error)))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
        prepare(&mut connection).map_err(|error| match error {
            StoreError::Damaged(what) => StoreError::Damaged(at(&what)),
            StoreError::Unwritable(what) => StoreError::Unwritable(at(&what)),
            StoreError::Busy(what) => StoreError::Busy(at(&what)),
            StoreError::Failed(what) => StoreError::Failed(at(&what)),
            newer @ StoreError::Newer { .. } => newer,
        })?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` with the write lock held from its start: what it reads cannot change before it writes.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
        let out = work(&transaction).map_err(fault)?;
        transaction.commit().map_err(fault)?;
        Ok(out)
    }
}

/// Creates the file, if there is none, readable and writable by its owner only; SQLite gives its journal
/// the same rights.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY).map_err(fault)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(fault)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(fault)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    let tables: u64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fault)?;
    if tables == 0 {
        transaction
            .execute_batch(
                "CREATE TABLE schema (version INTEGER NOT NULL) STRICT;
                 CREATE TABLE written (last INTEGER NOT NULL) STRICT;
                 CREATE TABLE entry (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) STRICT;
                 INSERT INTO written (last) VALUES (0);",
            )
            .map_err(fault)?;
        transaction.execute("INSERT INTO schema (version) VALUES (?1)", [SCHEMA]).map_err(fault)?;
    } else {
        let found: Option<u64> = transaction
            .query_row("SELECT version FROM schema", [], |row| row.get(0))
            .optional()
            .map_err(|error| match error {
            // A healthy SQLite file without our table.
            rusqlite::Error::SqliteFailure(failure, _) if failure.code == ErrorCode::Unknown => {
                StoreError::Damaged("not a state file of sweeper".to_owned())
            }
            other => fault(other),
        })?;
        match found {
            Some(SCHEMA) => {}
            Some(newer) if newer > SCHEMA => return Err(StoreError::Newer { found: newer, known: SCHEMA }),
            Some(_) | None => return Err(StoreError::Damaged("it has no valid schema version".to_owned())),
        }
    }
    transaction.commit().map_err(fault)
}

/// What an error of SQLite means. Its result codes: sqlite.org/rescode.html.
fn fault(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        // A value of the wrong type, a missing row: not as we wrote it.
        return StoreError::Damaged(text);
    };
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch => StoreError::Damaged(text),
        // A table or column that should be there is not.
        ErrorCode::Unknown => StoreError::Damaged(text),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy(text),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => StoreError::Unwritable(text),
        _ => StoreError::Failed(text),
    }
}

fn version_of(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<Version>> {
    transaction
        .prepare_cached("SELECT version FROM entry WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
        .map(|version| version.map(Version))
}

fn put(
    transaction: &Transaction<'_>,
    key: &str,
    value: &[u8],
    expected: Option<Version>,
) -> rusqlite::Result<PutOutcome> {
    let current = version_of(transaction, key)?;
    if current != expected {
        return Ok(PutOutcome::Conflict(current));
    }
    let version: u64 = transaction
        .prepare_cached("UPDATE written SET last = last + 1 RETURNING last")?
        .query_row([], |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO entry (key, value, version) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version",
        )?
        .execute(params![key, value, version])?;
    Ok(PutOutcome::Stored(Version(version)))
}

impl Store for SqliteStore {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.connection()
            .prepare_cached("SELECT value, version FROM entry WHERE key = ?1")
            .map_err(fault)?
            .query_row([key], |row| Ok((row.get(0)?, Version(row.get(1)?))))
            .optional()
            .map_err(fault)
    }

    fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError> {
        self.write(|transaction| put(transaction, key, value, expected))
    }

    /// One transaction: one wait for the disk, and either all of it is stored or none.
    fn put_all_if(&self, puts: &[Put]) -> Result<Vec<PutOutcome>, StoreError> {
        self.write(|transaction| {
            puts.iter().map(|each| put(transaction, &each.key, &each.value, each.expected)).collect()
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT key FROM entry WHERE key >= ?1 ORDER BY key").map_err(fault)?;
        let mut rows = statement.query([prefix]).map_err(fault)?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next().map_err(fault)? {
            let key: String = row.get(0).map_err(fault)?;
            if !key.starts_with(prefix) {
                break;
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError> {
        self.write(|transaction| match version_of(transaction, key)? {
            None => Ok(DeleteOutcome::Absent),
            Some(current) if current != expected => Ok(DeleteOutcome::Conflict(current)),
            Some(_) => {
                transaction.prepare_cached("DELETE FROM entry WHERE key = ?1")?.execute([key])?;
                Ok(DeleteOutcome::Deleted)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        path::PathBuf,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// A directory of this test's own, gone at its end.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let unique = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("sweeper-store-{}-{unique}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("state.db")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn failure(path: &Path) -> StoreError {
        match SqliteStore::open(path) {
            Ok(_) => panic!("opened {}", path.display()),
            Err(error) => error,
        }
    }

    #[test]
    fn sqlite_conforms() {
        sweeper_core::store::conformance::all(|| {
            let place = Place::new();
            move || Box::new(SqliteStore::open(&place.file()).unwrap())
        });
    }

    #[test]
    fn state_lasts() {
        let place = Place::new();
        let version = match SqliteStore::open(&place.file()).unwrap().put_if("a", b"1", None).unwrap() {
            PutOutcome::Stored(version) => version,
            PutOutcome::Conflict(_) => panic!("a new file has values"),
        };
        let again = SqliteStore::open(&place.file()).unwrap();
        assert_eq!(again.get("a").unwrap(), Some((b"1".to_vec(), version)));
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let place = Place::new();
        drop(SqliteStore::open(&place.file()).unwrap());
        let other = Connection::open(place.file()).unwrap();
        other.execute("UPDATE schema SET version = 7", []).unwrap();
        drop(other);
        let before = fs::read(place.file()).unwrap();
        let error = failure(&place.file());
        assert_eq!(error, StoreError::Newer { found: 7, known: SCHEMA });
        assert!(error.to_string().contains("newer release"), "{error}");
        assert_eq!(fs::read(place.file()).unwrap(), before);
    }

    #[test]
    fn a_foreign_file_is_refused_and_left_alone() {
        let place = Place::new();
        fs::write(place.file(), "a text, longer than the header of a database, that somebody needs. ".repeat(40))
            .unwrap();
        let before = fs::read(place.file()).unwrap();
        assert!(matches!(failure(&place.file()), StoreError::Damaged(_)));
        assert_eq!(fs::read(place.file()).unwrap(), before);

        let database = place.0.join("other.db");
        Connection::open(&database).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = failure(&database);
        assert!(error.to_string().contains("not a state file of sweeper"), "{error}");
        assert!(error.to_string().contains("other.db"), "{error}");
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let place = Place::new();
        let store = SqliteStore::open(&place.file()).unwrap();
        for count in 0..200 {
            store.put_if(&format!("k/{count}"), &[7; 300], None).unwrap();
        }
        drop(store);
        let whole = fs::read(place.file()).unwrap();
        let read_all = |bytes: &[u8]| -> Result<usize, StoreError> {
            let copy = Place::new();
            fs::write(copy.file(), bytes).unwrap();
            let store = SqliteStore::open(&copy.file())?;
            let keys = store.list("")?;
            for key in &keys {
                store.get(key)?;
            }
            store.put_if("new", b"", None)?;
            Ok(keys.len())
        };
        assert_eq!(read_all(&whole), Ok(200));
        // Cut at every page but the last, and in the middle of one.
        for cut in (512..whole.len() - 1).step_by(4096).chain([whole.len() / 2, whole.len() - 5000]) {
            assert!(matches!(read_all(&whole[..cut]), Err(StoreError::Damaged(_))), "cut at {cut}");
        }
        // Overwritten anywhere: some of it can be seen, none of it may panic.
        let mut seen = 0;
        for at in (0..whole.len() - 64).step_by(997) {
            let mut bytes = whole.clone();
            bytes[at..at + 64].fill(0xEE);
            match read_all(&bytes) {
                Ok(_) => {}
                Err(error) => {
                    assert!(matches!(error, StoreError::Damaged(_) | StoreError::Newer { .. }), "{error:?} at {at}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 5, "{seen}");
    }

    #[test]
    fn where_it_cannot_write_it_says_so() {
        let place = Place::new();
        fs::write(place.0.join("file"), "").unwrap();
        // Below a file there is no directory, not even for root.
        let error = failure(&place.0.join("file/state.db"));
        assert!(matches!(error, StoreError::Unwritable(_)), "{error:?}");
        assert!(error.to_string().contains("state.db"), "{error}");
        assert!(matches!(failure(&place.0), StoreError::Unwritable(_)));
    }

    #[cfg(unix)]
    /// As of a file system that was mounted again so: whoever tests may be root, who can write everywhere else.
    #[test]
    fn what_became_read_only_is_read_and_not_written() {
        let place = Place::new();
        let store = SqliteStore::open(&place.file()).unwrap();
        let PutOutcome::Stored(version) = store.put_if("a", b"1", None).unwrap() else { panic!("it is new") };
        store.connection().pragma_update(None, "query_only", true).unwrap();
        for put in [store.put_if("a", b"2", Some(version)), store.put_if("b", b"2", None)] {
            assert!(matches!(put, Err(StoreError::Unwritable(_))), "{put:?}");
        }
        assert!(matches!(store.delete_if("a", version), Err(StoreError::Unwritable(_))));
        assert_eq!(store.get("a").unwrap(), Some((b"1".to_vec(), version)));
    }

    #[test]
    fn state_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let place = Place::new();
        let path = place.0.join("deep/er/state.db");
        drop(SqliteStore::open(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
