//! Where the state of [`sweeper_core::store`] lasts.

mod sqlite;

pub use sqlite::SqliteStore;
