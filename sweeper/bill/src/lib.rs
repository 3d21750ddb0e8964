//! What things cost: the price book, and what the bill says.

pub mod prices;
