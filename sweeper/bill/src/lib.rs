//! What things cost: the price book, and what the bill says.

pub mod alert;
pub mod delta;
pub mod expected;
pub mod focus;
pub mod prices;
pub mod robust;
pub mod split;
