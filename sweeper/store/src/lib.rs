//! Where the state of [`sweeper_core::store`] lasts, and what else lies in buckets and is kept: bills.

mod bills;
mod bridge;
mod bucket;
mod cache;
mod fetch;
mod ledger;
mod lock;
mod log;
#[cfg(test)]
mod lossy;
mod object;
mod object_log;
mod shelf;
mod sqlite;
mod stream;

pub use bills::BucketBills;
pub use bucket::Bucket;
pub use cache::CacheDirectory;
pub use fetch::object;
pub use ledger::StoreLedger;
pub use lock::FileLock;
pub use log::FileLog;
pub use object::BucketStore;
pub use object_log::ObjectLog;
pub use shelf::Directory;
pub use sqlite::SqliteStore;
pub use stream::{Download, Upload};
