//! A store in bad weather: it fails, or does what it is asked and its answer is lost.

use super::{DeleteOutcome, Put, PutOutcome, Store, StoreError, Version};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A store that fails when told to.
pub struct Weather<S> {
    store: S,
    fails: AtomicBool,
    /// Writes that go well before one fails; `u64::MAX` for all.
    left: AtomicU64,
    lost: AtomicU64,
}

impl<S: Store> Weather<S> {
    pub fn new(store: S) -> Self {
        Self { store, fails: AtomicBool::new(false), left: AtomicU64::new(u64::MAX), lost: AtomicU64::new(0) }
    }

    /// From now on nothing can be read or written, or all can again.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, SeqCst);
        self.left.store(u64::MAX, SeqCst);
    }

    /// So many more writes are done; then nothing can be read or written.
    pub fn fail_after(&self, writes: u64) {
        self.left.store(writes, SeqCst);
    }

    /// So many writes from now on are done, and fail all the same.
    pub fn lose_answers(&self, count: u64) {
        self.lost.store(count, SeqCst);
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.fails.load(SeqCst) { Err(StoreError::Failed("bad weather".to_owned())) } else { Ok(()) }
    }

    fn write<T>(&self, work: impl FnOnce(&S) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.up()?;
        let left = self.left.load(SeqCst);
        if left == 0 {
            self.fails.store(true, SeqCst);
            self.up()?;
        }
        if left != u64::MAX {
            self.left.store(left - 1, SeqCst);
        }
        let out = work(&self.store)?;
        if self.lost.load(SeqCst) > 0 {
            self.lost.fetch_sub(1, SeqCst);
            return Err(StoreError::Failed("the answer was lost".to_owned()));
        }
        Ok(out)
    }
}

impl<S: Store> Store for Weather<S> {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.up()?;
        self.store.get(key)
    }

    fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError> {
        self.write(|store| store.put_if(key, value, expected))
    }

    fn put_all_if(&self, puts: &[Put]) -> Result<Vec<PutOutcome>, StoreError> {
        self.write(|store| store.put_all_if(puts))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.up()?;
        self.store.list(prefix)
    }

    fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError> {
        self.write(|store| store.delete_if(key, expected))
    }
}
