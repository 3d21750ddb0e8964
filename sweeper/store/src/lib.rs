//! Where the state of [`sweeper_core::store`] lasts.

mod ledger;
mod sqlite;

pub use ledger::StoreLedger;
pub use sqlite::SqliteStore;
