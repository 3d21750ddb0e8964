//! What things cost: the price book, and what the bill says.

pub mod delta;
pub mod focus;
pub mod prices;
