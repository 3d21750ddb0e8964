//! Where state lasts: small values under keys, changed only by compare-and-swap.
//!
//! The trait asks no more than an object store can give, so that a file, a bucket and a test's memory
//! hold the same state. There are no transactions over keys: whoever needs two values to agree puts
//! them under one key.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use thiserror::Error;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod document;
#[cfg(any(test, feature = "conformance"))]
pub mod weather;

/// Which writing of a key a value is. Never used twice for a key, not even after a deletion, so that
/// "still at this version" means "not touched since".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Why state could not be read or written. Each reads after "failed to …:".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// What is there is not what was written. Never overwritten.
    #[error("state is damaged: {0}")]
    Damaged(String),
    /// Written by a later release.
    #[error("state has schema {found}, this release knows up to {known}: use a newer release")]
    Newer { found: u64, known: u64 },
    /// The place does not exist, or may not be written.
    #[error("state cannot be opened or written: {0}")]
    Unwritable(String),
    /// Another process held it for longer than we wait.
    #[error("state is in use by another process: {0}")]
    Busy(String),
    /// Anything else: disk full, network.
    #[error("state is not available: {0}")]
    Failed(String),
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is stored, durably, as this version.
    Stored(Version),
    /// Nothing was changed: the key is at another version, or gone (`None`).
    Conflict(Option<Version>),
}

/// What became of a conditional deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    Deleted,
    /// It was not there; not an error.
    Absent,
    /// Nothing was changed: the key is at this version.
    Conflict(Version),
}

/// One conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    pub key: String,
    pub value: Vec<u8>,
    /// The version to replace; `None` to store only where nothing is.
    pub expected: Option<Version>,
}

/// Values under keys. Keys are short paths of ASCII letters, digits and `/ . _ -`. Every handle on the
/// same state sees every other's writes; a write that has returned is durable.
pub trait Store: Send + Sync {
    /// The value and its version, or `None` when nothing is there.
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError>;

    /// Stores a value if the key is at the expected version (`None`: if nothing is there).
    fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError>;

    /// Many independent conditional writes, with an outcome each, in their order. Some may be stored and
    /// others not, also when this fails: they are no transaction, only cheaper together.
    fn put_all_if(&self, puts: &[Put]) -> Result<Vec<PutOutcome>, StoreError>;

    /// Every key that starts with `prefix`, in byte order.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Deletes a key if it is at the expected version.
    fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError>;
}

/// State that ends with the process: for tests, and where nothing lasting is at hand. Clones are handles
/// on the same state.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    values: BTreeMap<String, (Vec<u8>, Version)>,
    last: u64,
}

impl Shared {
    fn put_if(&mut self, key: &str, value: &[u8], expected: Option<Version>) -> PutOutcome {
        let current = self.values.get(key).map(|(_, version)| *version);
        if current != expected {
            return PutOutcome::Conflict(current);
        }
        self.last += 1;
        let version = Version(self.last);
        self.values.insert(key.to_owned(), (value.to_owned(), version));
        PutOutcome::Stored(version)
    }
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        Ok(self.with(|shared| shared.values.get(key).cloned()))
    }

    fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError> {
        Ok(self.with(|shared| shared.put_if(key, value, expected)))
    }

    fn put_all_if(&self, puts: &[Put]) -> Result<Vec<PutOutcome>, StoreError> {
        Ok(self.with(|shared| puts.iter().map(|put| shared.put_if(&put.key, &put.value, put.expected)).collect()))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.with(|shared| {
            let from = shared.values.range(prefix.to_owned()..);
            from.map(|(key, _)| key).take_while(|key| key.starts_with(prefix)).cloned().collect()
        }))
    }

    fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError> {
        Ok(self.with(|shared| match shared.values.get(key) {
            None => DeleteOutcome::Absent,
            Some((_, current)) if *current != expected => DeleteOutcome::Conflict(*current),
            Some(_) => {
                shared.values.remove(key);
                DeleteOutcome::Deleted
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_conforms() {
        conformance::all(|| {
            let store = MemoryStore::new();
            move || Box::new(store.clone())
        });
    }
}
