//! What things cost: the price book, and what the bill says.

pub mod alert;
pub mod always_on;
pub mod budget;
pub mod delta;
pub mod evidence;
pub mod expected;
pub mod focus;
pub mod growth;
pub mod planned;
pub mod prices;
pub mod robust;
pub mod runaway;
pub mod split;
pub mod waterfall;
