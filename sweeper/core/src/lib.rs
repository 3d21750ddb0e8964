//! The sweeper without clouds, terminals, files or clocks.
//!
//! The pipeline, as a list of types:
//!
//! ```text
//! Kind::enumerate -> Listing -> Inventory + Coverage        looking   (async, survey.rs)
//! detect::judge   -> Verdict, and the asks it still has     judging   (pure, detect/)
//! Kind::answer    -> Answers                                looking again, only where a rule asks
//! policy::decide  -> Decision                               deciding  (pure, policy/)
//! report::Report  -> JSON, which people's renderings read   (report.rs)
//! ```
//!
//! Three rules hold everywhere: a failed listing is never an empty list; absence is concluded only
//! through [`inventory::Inventory::users`] and [`inventory::Inventory::exists`], which can answer
//! *unknown*; and leave to change the world is a value, [`kind::Permit`], that nothing here gives away.

pub mod answers;
pub mod apply;
pub mod approve;
pub mod audit;
pub mod baseline;
pub mod begun;
pub mod calendar;
pub mod calls;
pub mod caps;
pub mod charges;
pub mod claims;
pub mod clock;
pub mod clocks;
pub mod costs;
pub mod deed;
pub mod detect;
pub mod engine;
pub mod environment;
pub mod exit;
pub mod facts;
pub mod floor;
pub mod history;
pub mod house;
pub mod iac;
pub mod ical;
mod ids;
pub mod in_use;
pub mod inert;
pub mod intern;
pub mod inventory;
pub mod kind;
pub mod lease;
pub mod ledger;
mod live;
pub mod made_again;
pub mod model;
pub mod money;
pub mod note;
pub mod observe;
pub mod owner;
pub mod plan;
pub mod policy;
pub mod prune;
pub mod report;
pub mod shard;
pub mod slo;
pub mod store;
pub mod survey;
pub mod survey_file;
#[cfg(test)]
pub(crate) mod testing;
pub mod triggers;
pub mod ttl;
pub mod used;
pub mod waiver;
