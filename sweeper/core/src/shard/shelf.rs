//! Where shards meet: things are made once, under names, and never changed.

use crate::store::{PutOutcome, Store, StoreError};
use std::sync::Arc;

/// Bytes under names. Names are keys as those of a [`Store`].
pub trait Shelf: Send + Sync {
    /// What lies there.
    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Puts something where nothing is, whole and durably. `false`: something is there, and nothing was changed.
    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError>;

    /// Every name that starts with `prefix`, in byte order.
    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError>;
}

/// The shelf in a store.
#[derive(Clone)]
pub struct InStore(pub Arc<dyn Store>);

impl Shelf for InStore {
    fn read(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key)?.map(|(bytes, _)| bytes))
    }

    fn create(&self, key: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(matches!(self.0.put_if(key, bytes, None)?, PutOutcome::Stored(_)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        self.0.list(prefix)
    }
}
