//! What things cost: the price book, and what the bill says.

pub mod alert;
pub mod always_on;
pub mod budget;
mod columns;
mod csv;
pub mod delta;
pub mod engine;
pub mod evidence;
mod exact;
pub mod expected;
pub mod export;
pub mod focus;
pub mod growth;
pub mod movement;
mod names;
mod parquet;
pub mod partial;
pub mod planned;
pub mod prices;
pub mod request;
pub mod robust;
mod rollup;
pub mod row;
pub mod runaway;
pub mod source;
pub mod split;
pub mod waterfall;
