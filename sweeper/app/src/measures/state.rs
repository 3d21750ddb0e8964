//! What the state, and the audit log beside it, say to whoever measures.

use super::{Measures, Value, catalogue as of};
use crate::{
    deployment,
    state::{self, Place},
};
use std::{
    io::BufRead as _,
    path::{Path, PathBuf},
};
use sweeper_bill::growth::{Growth, GrowthOutcome, GrowthTerms};
use sweeper_core::{
    audit::{self, Log as _, LogError, Origin},
    history::counts::counts,
    lease,
    model::Timestamp,
    policy::watch::Breakdown,
    store::{Store, StoreError},
    triggers,
};
use sweeper_store::FileLog;

impl Measures {
    /// Of a state that lasts, and of the log of its deployment, which is beside it unless it is named. A state that cannot be read is told of by the run
    /// itself; here it is only said that it is none, and it has no figures.
    pub fn state(place: Option<&Place>, named: Option<&Path>, now: Timestamp) -> Self {
        let mut measures = Self::default();
        let Some(place) = place.filter(|place| **place != Place::Memory) else { return measures };
        let read = state::open(place).and_then(|store| {
            let _ = measures.grown(store.as_ref());
            let _ = measures.remembered(store.as_ref());
            measures.repeated(store.as_ref())?;
            measures.locked(store.as_ref(), now)
        });
        measures.set(&of::STATE_READ, &[], u64::from(read.is_ok()));
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

    /// Triggers that came more than once.
    fn repeated(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        for (schedule, count) in triggers::repeats(store)? {
            self.set(&of::REPEATS, &[&schedule], count);
        }
        Ok(())
    }

    /// What the state remembers of the log, wherever that is: in a bucket its lines are not listed for this.
    fn remembered(&mut self, store: &dyn Store) -> Result<(), LogError> {
        let Some((name, _)) = store.get(deployment::NAME)? else { return Ok(()) };
        let origin = Origin::new(String::from_utf8_lossy(&name), deployment::LOG);
        if let Some(head) = audit::remembered(store, &origin)? {
            self.set(&of::AUDIT_EVENTS, &[], head.size);
        }
        Ok(())
    }

    /// What lies in a directory.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sweeper_core::{clock::VirtualClock, lease::Holder, model::DAY};

    const NOW: Timestamp = Timestamp(1_790_000_000);

    #[test]
    fn what_the_state_and_the_log_say() {
        let place = std::env::temp_dir().join(format!("sweeper-measures-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let state = Place::File(place.join("state.db"));
        assert_eq!(Measures::state(Some(&Place::Memory), None, NOW), Measures::default());
        let value = |measures: &Measures, measure, labels: &[&str]| measures.get(measure, labels);
        let before = Measures::state(Some(&state), None, NOW);
        assert_eq!(value(&before, &of::LOCK_HELD, &[]), Some(Value::Seconds(0)), "nobody has it");
        assert_eq!(value(&before, &of::STATE_READ, &[]), Some(Value::Count(1)));
        assert_eq!(value(&before, &of::AUDIT_EVENTS, &[]), None, "there is no log");

        let store = state::open(&state).unwrap();
        let numbers = |rate: f64| -> Vec<(i64, u64, u64)> {
            (0..28).map(|day| (NOW.0 - (27 - day) * DAY, (1000.0 * rate.powi(day as i32)) as u64, 3)).collect()
        };
        let body = serde_json::json!({
            "classes": {
                "disk": { "aws:1": numbers(1.07) },
                "vm": { "aws:1": numbers(1.0) },
                "image": { "aws:1": &numbers(1.5)[25..] },
            },
            "owners": {},
        });
        let written = serde_json::json!({ "format": "sweeper.history-counts/1", "body": body }).to_string();
        store.put_if("history/counts", written.as_bytes(), None).unwrap();
        let holder = Holder { by: "a@b".to_owned(), run: "1".to_owned() };
        let clock = VirtualClock::new(NOW.plus(-5));
        let lease = lease::Lease::acquire(store.as_ref(), &holder, Duration::from_mins(1), &clock).unwrap();
        let log = FileLog::open(&place.join("state.audit")).unwrap();
        let lines: Vec<Vec<u8>> = (0..7).map(|number| format!("{{\"n\":{number}}}").into_bytes()).collect();
        log.append(0, &lines).unwrap();

        let after = Measures::state(Some(&state), None, NOW);
        assert_eq!(value(&after, &of::LOCK_HELD, &[]), Some(Value::Seconds(5)));
        assert_eq!(value(&after, &of::AUDIT_EVENTS, &[]), Some(Value::Count(7)));
        assert_eq!(value(&after, &of::AUDIT_BYTES, &[]), Some(Value::Count(7 * 8)));
        let Some(Value::Share(grown)) = value(&after, &of::GROWTH, &["disk"]) else { panic!("{after:?}") };
        assert!((0.069..0.071).contains(&grown), "{grown}");
        assert_eq!(value(&after, &of::GROWTH, &["vm"]), Some(Value::Share(0.0)));
        assert_eq!(value(&after, &of::GROWTH, &["image"]), None, "three days say nothing");
        lease.release(store.as_ref(), &clock).unwrap();
        drop(store);
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::write(&place, "no state").unwrap();
        let mut none = Measures::default();
        none.set(&of::STATE_READ, &[], 0_u64);
        assert_eq!(Measures::state(Some(&state), None, NOW), none, "what cannot be read has no figures");
        std::fs::remove_file(&place).unwrap();
    }
}
