//! AWS: accounts, regions and kinds, read through the official SDK and the core's one door.
//!
//! | room | what it holds |
//! |---|---|
//! | `acts` | deeds that are alike for many kinds |
//! | `auth` | credentials, accounts, regions, clients |
//! | `asks` | questions that take a call each, put a few at a time |
//! | `bills` | what accounts cost by day, as Cost Explorer tells it |
//! | `fault` | SDK errors by meaning |
//! | `gate` | which operations may leave at all |
//! | `marks` | who manages a resource, by its tags |
//! | `image_uri` | how workloads name container images |
//! | `pen` | clients for one permit, which send changes |
//! | `policy` | whom a resource policy lets in |
//! | `usage` | metrics, batched |
//! | `whole` | XML answers that end early |
//! | `kinds/` | one file a kind |
//!
//! SDK retries are off: the door retries.

mod acts;
mod asks;
mod auth;
mod bills;
#[cfg(test)]
mod deeds;
mod fault;
mod gate;
mod http;
mod image_uri;
mod kinds;
mod marks;
mod pen;
mod policy;
mod usage;
mod whole;

pub use auth::{Config, NEEDS, OrgConfig, SOURCES, connect};
pub use bills::BILL_NEEDS;

use sweeper_core::kind::KindSpec;

/// The passports of every kind, without connecting to anything.
pub fn specs() -> Vec<&'static KindSpec> {
    kinds::SPECS.to_vec()
}
