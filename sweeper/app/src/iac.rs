//! The indexes that `[iac]` names, read.

use crate::config;
use std::{fs::File, path::Path};
use sweeper_core::{
    iac::{Iac, IacError, IacIndex, Outcome, Source},
    model::Timestamp,
};

/// How far the clock of whoever makes an index may be ahead of ours, seconds.
const AHEAD: i64 = 3600;

/// Reads every index. One that cannot be read stays, and holds: it is never left out.
pub fn read(config: &config::Iac, now: Timestamp) -> Iac {
    let sources = config.indexes.iter().map(|(name, path)| Source { path: name.clone(), outcome: outcome(path, now) });
    Iac { clouds: config.clouds.clone(), max_age: config.max_age, sources: sources.collect() }
}

fn outcome(path: &Path, now: Timestamp) -> Outcome {
    let file = File::open(path).map_err(|error| IacError::Io(error.kind()));
    match file.and_then(IacIndex::read) {
        // It would never grow old.
        Ok(index) if index.made().since(now) > AHEAD => {
            Outcome::Unreadable(format!("it was made {}, which is yet to come", index.made()))
        }
        Ok(index) => Outcome::Index(index),
        Err(error) => Outcome::Unreadable(error.to_string()),
    }
}
