//! Where the state of [`sweeper_core::store`] lasts.

mod bridge;
mod bucket;
mod ledger;
mod lock;
mod log;
mod object;
mod sqlite;

pub use bucket::Bucket;
pub use ledger::StoreLedger;
pub use lock::FileLock;
pub use log::FileLog;
pub use object::BucketStore;
pub use sqlite::SqliteStore;
