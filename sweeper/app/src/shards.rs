//! One survey by many processes: which shard this one is, where they meet, and what it does. The rules are in
//! [`sweeper_core::shard`].

mod merge;
mod place;
mod work;

pub use merge::{Merge, merge};
pub use place::{Which, run_id, shelf, which};
pub use work::{Job, survey_shard, survey_with};

use crate::{
    TOOL,
    commands::Settings,
    exit::{Exit, Failure},
};
use sweeper_core::{
    shard::{Run, ShardError, Stage},
    store::StoreError,
};

/// As it is named on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// List what is there
    #[default]
    Units,
    /// Put the questions that the rules still ask
    Answers,
}

impl From<Part> for Stage {
    fn from(part: Part) -> Self {
        match part {
            Part::Units => Self::Units,
            Part::Answers => Self::Answers,
        }
    }
}

/// A run as its processes know it; of no number of shards where that is for the list to say.
fn run(id: String, shards: u32, settings: &Settings) -> Run {
    Run { id, shards, tool: TOOL.to_owned(), rules: rules(settings) }
}

/// A digest of what is looked at and by which rules: processes for which it differs would not list the same.
pub fn rules(settings: &Settings) -> String {
    let choice = &settings.choice;
    let policies: Vec<String> = settings.set.policies.iter().map(sweeper_core::policy::Policy::digest).collect();
    let what = (&choice.accounts, &choice.regions, &choice.org, &choice.management_group, &choice.parent);
    // Debug forms quote texts, so that no two choices have one text.
    sweeper_core::shard::digest(&format!("{:?}", (policies, what, settings.all_kinds)))
}

/// What stops a process of a run.
impl From<ShardError> for Failure {
    fn from(error: ShardError) -> Self {
        let said = error.to_string();
        match error {
            ShardError::Store(StoreError::Damaged(_)) | ShardError::Damaged(..) => Self::new(Exit::Damaged, said),
            ShardError::Other { .. } => Self::usage(said).help("begin another run: give it another name with --run"),
            ShardError::NoRun(_) => Self::usage(said).help("list its shards first: `sweeper survey --shard I/N`"),
            ShardError::NoAsks(_) => Self::usage(said).help("write them first: `sweeper survey merge --asks`"),
            ShardError::Store(_) | ShardError::Index { .. } | ShardError::Cloud(_) => Self::usage(said),
        }
    }
}
