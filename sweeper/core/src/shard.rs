//! One survey by many processes.
//!
//! Whoever comes first *freezes* the list of units (an account and a region, with the kinds to list there) under the
//! run's name; everybody works from that list, so that together they list everything once. A shard lists its units and
//! *seals* what it saw. A merge puts the seals together: what never came, or is not what was sealed, is blind. What the
//! rules then still ask is sharded once more.
//!
//! Everything lies on a [`Shelf`], where things are only ever made and never changed, so that two attempts at the same
//! shard are no harm: the first that sealed counts.
//!
//! ```text
//! run/<id>/units.json              the frozen list
//! run/<id>/shard-3-<attempt>.0     what an attempt saw, in parts
//! run/<id>/shard-3.seal-1          which attempt counts, and the SHA-256 of its parts
//! run/<id>/asks.json               what is still asked, once the shards were merged
//! run/<id>/answers-3.seal-1        as with shards
//! run/<id>/claim-shard-3.1         who works on a shard, where nobody hands out numbers
//! ```

mod asks;
mod claim;
mod gather;
mod sheet;
mod shelf;
#[cfg(test)]
mod tests;
mod units;
mod work;

pub use asks::{Asking, Given, given, publish};
pub use claim::{Claims, Next, RENEW};
pub use gather::{Gathered, gather};
pub use sheet::{Sealing, is_sealed};
pub use shelf::{InStore, Shelf};
pub use units::{Expected, Frozen, Unit, freeze, frozen};
pub(crate) use work::{Listed, closed};
pub use work::{answer, list};

use crate::store::{StoreError, document};
use std::fmt;
use thiserror::Error;

/// What a run is, to everybody who takes part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// How many shards it has.
    pub shards: u32,
    /// The release: others may list otherwise.
    pub tool: String,
    /// A digest of what is looked at and by which rules.
    pub rules: String,
}

/// A digest by which processes know that they have the same before them.
pub fn digest(text: &str) -> String {
    crate::plan::sha256(text.as_bytes())
}

impl Run {
    /// Where something of the run lies.
    fn key(&self, name: &str) -> String {
        format!("run/{}/{name}", document::part(&self.id))
    }

    /// A shard in words.
    fn named(&self, shard: u32) -> String {
        format!("shard {shard} of {}", self.shards)
    }
}

/// What a shard does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Freezes the list of units.
    Begin,
    /// Lists units.
    Units,
    /// Puts what is still asked.
    Answers,
}

impl Stage {
    /// As its files are named.
    const fn name(self) -> &'static str {
        match self {
            Self::Begin => "units",
            Self::Units => "shard",
            Self::Answers => "answers",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why a shard cannot be worked on, or a run not be merged.
#[derive(Debug, Error)]
pub enum ShardError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing of the run `{0}` is there")]
    NoRun(String),
    #[error("the questions of the run `{0}` are not there yet")]
    NoAsks(String),
    /// What the run was frozen with is not what this process has.
    #[error("the run `{run}` was begun {with}, and this process is {own}")]
    Other { run: String, with: String, own: String },
    #[error("`{0}` is not what was written: {1}")]
    Damaged(String, String),
    #[error("there is no shard {shard} of {shards}: they are numbered from 0")]
    Index { shard: u32, shards: u32 },
    /// A cloud cannot be entered at all: another attempt may.
    #[error("{0}")]
    Cloud(#[from] crate::kind::CloudError),
}
