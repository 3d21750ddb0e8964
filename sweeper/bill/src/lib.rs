//! What things cost: the price book, and what the bill says.

mod columns;
mod csv;
pub mod delta;
pub mod engine;
mod exact;
pub mod export;
pub mod focus;
mod names;
mod parquet;
pub mod partial;
pub mod prices;
pub mod request;
mod rollup;
pub mod row;
pub mod source;
