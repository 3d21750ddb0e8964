//! AWS's wire APIs on loopback, answered from an organisation file.
//!
//! The emulator speaks the protocols that the AWS SDKs speak (EC2 query, query, JSON, REST-JSON,
//! REST-XML and Smithy RPC v2 CBOR), so that a real client can be pointed at it. It is read-only,
//! keeps a journal of every call with the IAM action the call needs, and can be told to misbehave:
//! see [`Fault`]. Signatures are read for the account, the region and the service, never verified.

mod cloud;
mod demo;
mod fault;
mod http;
mod org;
mod page;
mod render;
mod request;
mod routes;
mod server;
mod services;
mod truth;

pub use demo::{Demo, demo};
pub use fault::{Fault, FaultError, FaultKind, parse_faults};
pub use org::{Account, Org, OrgError, Organization, Resource};
pub use server::{Call, Emulator, Options};
pub use truth::Truth;
