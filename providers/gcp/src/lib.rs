//! Google Cloud: projects and kinds, read through the official client libraries and the core's one door.
//!
//! | room | what it holds |
//! |---|---|
//! | `auth` | settings, credentials, clients, shared listings |
//! | `scopes` | projects: named ones, or all below an organisation or folder |
//! | `bills` | what projects cost by day, as the billing export in BigQuery tells it |
//! | `fault` | client library errors by meaning |
//! | `aggregated` | Compute lists by page, with what they could not reach |
//! | `paths` | resource URLs as names, zones and regions |
//! | `places` | listings that a service gives only a place at a time |
//! | `image_names` | how workloads name container images |
//! | `marks` | who manages a resource, by its labels |
//! | `asks` | questions that take a call each, put a few at a time |
//! | `rest` | one thing read by its name, and every change: what a permit allows, and nothing else |
//! | `compute`, `newer` | what may be done to resources of Compute Engine and of the newer APIs |
//! | `operations` | what a change is until it has happened |
//! | `usage` | Monitoring, batched |
//! | `advice` | Recommender's idle findings |
//! | `kinds/` | one file a kind |
//!
//! The client libraries' own retries are off: the door retries. Each client has its own connections; all share one
//! credential. Towards an overridden endpoint the libraries send that endpoint's own name in the `Host` header and
//! let nobody change it, so what serves several services on one port must tell them apart by path.

mod advice;
mod aggregated;
mod asks;
mod auth;
mod bills;
#[cfg(test)]
mod canned;
mod compute;
#[cfg(test)]
mod deeds;
mod fault;
mod image_names;
mod kinds;
mod marks;
mod newer;
mod operations;
mod paths;
mod places;
mod rest;
mod scopes;
mod usage;

pub use auth::{Config, SOURCES, connect};
pub use bills::BILL_NEEDS;
pub use scopes::NEEDS;

use sweeper_core::kind::KindSpec;

/// The passports of every kind, without connecting to anything.
pub fn specs() -> Vec<&'static KindSpec> {
    kinds::SPECS.to_vec()
}
