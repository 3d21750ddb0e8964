//! When each schedule last ran, in the state: a daemon that starts again makes up for what it missed, and of two daemons
//! over one state only one runs each time.

use super::agenda::{self, Step};
use crate::config::Entry;
use serde::{Deserialize, Serialize};
use sweeper_core::{
    model::Timestamp,
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};

/// The last run of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// When it comes, as written. Of another time, the last run says nothing about what was missed.
    when: String,
    /// When it was begun, or skipped, or when the schedule was first seen.
    pub at: Timestamp,
    /// What began it.
    run: String,
    /// When it ended, and with which exit code.
    pub ended: Option<(Timestamp, u8)>,
}

impl Document for Last {
    const FORMAT: &'static str = "sweeper.schedule";
}

/// What became of asking for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours; it last ran then.
    Ours(Timestamp),
    /// Somebody else ran it, at that time.
    Theirs(Timestamp),
}

fn key(entry: &Entry) -> String {
    format!("daemon/{}", document::part(&entry.name))
}

/// What is known of a schedule. One that is seen for the first time, or comes at other times than before, has nothing to
/// make up for.
pub fn known(store: &dyn Store, entry: &Entry, now: Timestamp) -> Result<Last, StoreError> {
    document::update(store, &key(entry), |last: Option<Last>| {
        Ok(match last {
            Some(last) if last.when == entry.written => Next::Keep(last),
            _ => {
                let first = first(entry, now);
                Next::Write(first.clone(), first)
            }
        })
    })
}

fn first(entry: &Entry, at: Timestamp) -> Last {
    Last { when: entry.written.clone(), at, run: String::new(), ended: None }
}

/// Takes the run that is due now, unless somebody did before.
pub fn claim(store: &dyn Store, entry: &Entry, now: Timestamp, run: &str) -> Result<Claim, StoreError> {
    document::update(store, &key(entry), |last: Option<Last>| {
        let before = match &last {
            Some(last) if last.run == run => return Ok(Next::Keep(Claim::Ours(last.at))),
            Some(last) => last.at,
            // It was forgotten while we ran.
            None => Timestamp(0),
        };
        if matches!(agenda::step(entry, before, now), Step::Wait(_)) {
            return Ok(Next::Keep(Claim::Theirs(before)));
        }
        let ours = Last { run: run.to_owned(), ..first(entry, now) };
        Ok(Next::Write(ours, Claim::Ours(before)))
    })
}

/// Notes how a run ended.
pub fn ended(store: &dyn Store, entry: &Entry, run: &str, at: Timestamp, code: u8) -> Result<(), StoreError> {
    change(store, entry, run, |last| last.ended = Some((at, code)))
}

/// Gives a run that was stopped back: whoever starts next makes up for it.
pub fn give_back(store: &dyn Store, entry: &Entry, run: &str, before: Timestamp) -> Result<(), StoreError> {
    change(store, entry, run, |last| {
        last.at = before;
        last.run = String::new();
    })
}

/// Changes what is known of a run, while it is the last.
fn change(store: &dyn Store, entry: &Entry, run: &str, change: impl Fn(&mut Last)) -> Result<(), StoreError> {
    document::update(store, &key(entry), |last: Option<Last>| {
        Ok(match last {
            Some(mut last) if last.run == run => {
                change(&mut last);
                Next::Write(last, ())
            }
            _ => Next::Keep(()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;
    use sweeper_core::store::MemoryStore;

    const START: Timestamp = Timestamp(1_800_000_000);

    fn entry(cron: &str) -> Entry {
        let text = format!("[[schedule]]\nname = \"night: all\"\ncron = \"{cron}\"\n");
        Config::parse("sweeper.toml", &text, Path::new("")).unwrap().schedules.remove(0)
    }

    #[test]
    fn a_daemon_that_starts_again_knows_what_it_missed() {
        let store = MemoryStore::new();
        let hourly = entry("0 * * * *");
        let first = known(&store, &hourly, START).unwrap();
        assert_eq!((first.at, first.ended), (START, None));
        // Nothing ran, and yet the schedule is known.
        assert_eq!(known(&store, &hourly, START.plus(7200)).unwrap(), first);
        let later = START.plus(7200);
        assert!(matches!(agenda::step(&hourly, first.at, later), Step::Run { passed: 2, .. }));
        assert_eq!(claim(&store, &hourly, later, "a").unwrap(), Claim::Ours(START));
        ended(&store, &hourly, "a", later.plus(60), 3).unwrap();
        let last = known(&store, &hourly, later.plus(90)).unwrap();
        assert_eq!((last.at, last.ended), (later, Some((later.plus(60), 3))));
        // At other times, it has missed nothing.
        let moved = entry("30 * * * *");
        assert_eq!(known(&store, &moved, later.plus(86_400)).unwrap().at, later.plus(86_400));
    }

    #[test]
    fn of_three_that_hear_the_same_time_one_runs() {
        let store = MemoryStore::new();
        let hourly = entry("0 * * * *");
        known(&store, &hourly, START).unwrap();
        let due = START.plus(3600);
        let claims: Vec<Claim> =
            ["a", "b", "c"].iter().map(|run| claim(&store, &hourly, due.plus(1), run).unwrap()).collect();
        assert_eq!(claims, [Claim::Ours(START), Claim::Theirs(due.plus(1)), Claim::Theirs(due.plus(1))]);
        // An answer that was lost is asked for again.
        assert!(matches!(claim(&store, &hourly, due.plus(2), "a").unwrap(), Claim::Ours(_)));
        // Those who lost change nothing.
        ended(&store, &hourly, "b", due.plus(9), 70).unwrap();
        give_back(&store, &hourly, "c", START).unwrap();
        let last = known(&store, &hourly, due).unwrap();
        assert_eq!((last.at, last.ended), (due.plus(1), None));
    }

    #[test]
    fn what_was_stopped_is_made_up_for() {
        let store = MemoryStore::new();
        let hourly = entry("0 * * * *");
        known(&store, &hourly, START).unwrap();
        let due = START.plus(3600);
        assert_eq!(claim(&store, &hourly, due, "a").unwrap(), Claim::Ours(START));
        give_back(&store, &hourly, "a", START).unwrap();
        assert_eq!(claim(&store, &hourly, due.plus(5), "b").unwrap(), Claim::Ours(START));
    }

    #[test]
    fn a_clock_that_was_wrong_stops_nothing() {
        let store = MemoryStore::new();
        let hourly = entry("0 * * * *");
        let wrong = START.plus(400 * 86_400);
        known(&store, &hourly, wrong.plus(-3600)).unwrap();
        assert!(matches!(claim(&store, &hourly, wrong, "a").unwrap(), Claim::Ours(_)));
        let last = known(&store, &hourly, START).unwrap();
        assert_eq!(agenda::heard(&hourly, last.at, START), START);
    }

    #[test]
    fn state_that_is_damaged_is_no_state() {
        let store = MemoryStore::new();
        let hourly = entry("0 * * * *");
        store.put_if(&key(&hourly), b"{}", None).unwrap();
        assert!(matches!(known(&store, &hourly, START), Err(StoreError::Damaged(_))));
        assert!(matches!(claim(&store, &hourly, START, "a"), Err(StoreError::Damaged(_))));
    }
}
