//! What the state, and the audit log beside it, say to whoever measures.

use super::{Measures, Value, catalogue as of};
use crate::state::{self, Place};
use std::{
    io::BufRead as _,
    path::{Path, PathBuf},
};
use sweeper_bill::growth::{Growth, GrowthOutcome, GrowthTerms};
use sweeper_core::{
    audit::{Log as _, LogError},
    history::counts::counts,
    lease,
    model::Timestamp,
    policy::watch::Breakdown,
    store::{Store, StoreError},
};
use sweeper_store::FileLog;

impl Measures {
    /// Of a state that lasts, and of the log of its deployment, which is beside it unless it is named. A state that cannot be read is told of by the run
    /// itself; here it only has no figures.
    pub fn state(place: Option<&Place>, named: Option<&Path>, now: Timestamp) -> Self {
        let mut measures = Self::default();
        let Some(place) = place.filter(|place| **place != Place::Memory) else { return measures };
        if let Ok(store) = state::open(place) {
            let _ = measures.grown(store.as_ref());
            let _ = measures.locked(store.as_ref(), now);
        }
        if let Some(directory) = log(place, named) {
            let _ = measures.logged(&directory);
        }
        measures
    }

    fn grown(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        for (class, scans) in counts(store, Breakdown::Class, &|_, _| true)? {
            let growth = Growth::of(&scans, &GrowthTerms::default(), false);
            if growth.outcome != GrowthOutcome::Learning {
                // The lesser of both, as what tells of growth does: a step to another level is none.
                self.set(&of::GROWTH, &[&class], Value::Share(growth.slope.min(growth.steps)));
            }
        }
        Ok(())
    }

    fn locked(&mut self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let held = lease::show(store)?.filter(|shown| shown.holder.is_some());
        let held = held.map_or(0, |shown| now.since(shown.since).max(0));
        self.set(&of::LOCK_HELD, &[], Value::Seconds(held));
        Ok(())
    }

    fn logged(&mut self, directory: &Path) -> Result<(), LogError> {
        let unreadable = |error: std::io::Error| LogError::Unreadable(error.to_string());
        let log = FileLog::open_to_read(directory);
        let Some(last) = log.segments(u64::MAX)?.pop() else { return Ok(()) };
        // A segment has a bounded number of lines.
        let mut lines = 0;
        for line in log.read(last)?.split(b'\n') {
            line.map_err(unreadable)?;
            lines += 1;
        }
        self.set(&of::AUDIT_EVENTS, &[], last + lines);
        let mut bytes = 0;
        for part in ["seg", "checkpoint"] {
            let entries = std::fs::read_dir(directory.join(part)).map_err(unreadable)?;
            for entry in entries {
                bytes += entry.and_then(|entry| entry.metadata()).map_err(unreadable)?.len();
            }
        }
        self.set(&of::AUDIT_BYTES, &[], bytes);
        Ok(())
    }
}

/// The directory of the log of a deployment, where it is one.
fn log(place: &Place, named: Option<&Path>) -> Option<PathBuf> {
    match (named, place) {
        (Some(directory), _) => Some(directory.to_owned()),
        (None, Place::File(path)) => Some(state::database(path).with_extension("audit")),
        (None, _) => None,
    }
}
