//! Where the state of [`sweeper_core::store`] lasts.

mod bridge;
mod bucket;
mod ledger;
mod lock;
mod log;
#[cfg(test)]
mod lossy;
mod object;
mod object_log;
mod sqlite;

pub use bucket::Bucket;
pub use ledger::StoreLedger;
pub use lock::FileLock;
pub use log::FileLog;
pub use object::BucketStore;
pub use object_log::ObjectLog;
pub use sqlite::SqliteStore;
