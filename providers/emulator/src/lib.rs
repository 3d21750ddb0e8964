//! The clouds' wire APIs on loopback, answered from an organisation file.
//!
//! The emulator speaks the protocols that the SDKs of AWS (EC2 query, query, JSON, REST-JSON, REST-XML and
//! Smithy RPC v2 CBOR), Azure (ARM and its data planes) and Google Cloud (JSON and gRPC) speak, so that a real
//! client can be pointed at it. What is changed through it is changed, as by the real ones: with protections, operations
//! that end later, copies and bins. It keeps a journal of every call with the permission the call needs, and can be told
//! to misbehave: see [`Fault`]. One port serves all: a signature, the Host header or the
//! path says whose a request is. Signatures are read for the account, the region and the service, never
//! verified; of tokens only the presence is looked at.

mod azure;
mod bills;
mod cloud;
mod costs;
mod demo;
mod fault;
mod gcp;
mod http;
mod org;
mod pace;
mod page;
mod render;
mod request;
mod rest;
mod routes;
mod server;
mod services;
mod truth;

pub use bills::BillFile;
pub use costs::Cost;
pub use demo::{Demo, demo};
pub use fault::{Fault, FaultError, FaultKind, parse_faults};
pub use org::{Account, Google, Org, OrgError, Organization, Resource, Tenant, Vendor};
pub use pace::Pace;
pub use server::{Call, Emulator, Options};
pub use truth::Truth;
