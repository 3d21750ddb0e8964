//! Azure: subscriptions and kinds, read through one transport and the core's one door.
//!
//! | room | what it holds |
//! |---|---|
//! | `universe` | subscriptions, from the parent or the environment |
//! | `auth` | credentials and tokens |
//! | `transport` | the one HTTP client, and the hosts that may see a token |
//! | `arm` | a thin client of Resource Manager: pages or an error |
//! | `acts` | what is done to resources, and how far it is |
//! | `sdk` | the management crate's client on the same transport |
//! | `entity` | what all resources have in common, and how they are listed |
//! | `graph` | Resource Graph: one query for all subscriptions |
//! | `rights` | whether a right holds at a subscription's root |
//! | `locks` | management locks |
//! | `needs` | what a run needs beside what its kinds declare |
//! | `marks` | who manages a resource, by its tags and group |
//! | `bills` | what subscriptions cost by day, as Cost Management tells it |
//! | `fault` | errors by meaning |
//! | `usage` | metrics, batched |
//! | `kinds/` | one file a kind |
//!
//! `azure_mgmt_compute` is community-generated and frozen: it stays behind `sdk` and the kinds that use it.

mod acr;
mod acts;
mod arm;
mod auth;
mod bills;
mod entity;
mod fault;
mod graph;
mod image_uri;
mod kinds;
mod locks;
mod marks;
mod needs;
mod rights;
mod sdk;
mod shared;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod universe;
mod usage;
mod web;

pub use auth::SOURCES;
pub use bills::BILL_NEEDS;
pub use needs::NEEDS;
pub use universe::connect;

use std::collections::BTreeSet;
use sweeper_core::kind::KindSpec;

/// What to look at, and how.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Only these subscriptions; empty for the one of the environment, or all below `management_group`.
    pub subscriptions: BTreeSet<String>,
    /// Every subscription below this management group; `Some("")` is the tenant's root group.
    pub management_group: Option<String>,
    /// Only resources in these regions; empty for all.
    pub regions: BTreeSet<String>,
    /// An emulator that serves every service over plain http on loopback, entered with a dummy credential;
    /// nothing of the environment is then used.
    pub endpoint: Option<String>,
}

/// The passports of every kind, without connecting to anything.
pub fn specs() -> Vec<&'static KindSpec> {
    kinds::SPECS.to_vec()
}
