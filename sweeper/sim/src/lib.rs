//! Simulated histories: the whole pipeline, from survey to undo, on a virtual clock against a cloud that does its worst.
//!
//! A history is a seed. It makes an organisation, owners who attach, tag, protect and make things again at the worst
//! moment, calls that are slow, throttled, refused or answered by nobody, lists that are old or break off, runs that
//! die at any step and come back, and two runs at once. One oracle watches the cloud: *what was deleted was approved,
//! unprotected, unchanged at the last reading and intended, each at most once, within caps; everything else is
//! untouched; the log verifies*.
//!
//! `cargo run --release -p sweeper-sim -- --seed 17` plays one again and tells its story.

pub mod clock;
pub mod cloud;
#[cfg(test)]
mod copies;
pub mod fuse;
pub mod history;
#[cfg(test)]
mod lanes;
pub mod oracle;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod resumed;
pub mod rng;
#[cfg(test)]
mod undone;
pub mod week;

pub use history::{History, Story, play};
