//! When each schedule last ran, in the state: a daemon that starts again makes up for what it missed, and of two daemons
//! over one state only one runs each time. A run says again and again that it is alive; one that falls silent without an end
//! is run once more, a few times at most.

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
    /// Rises while it runs. `None`: nobody says so of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beat: Option<u64>,
    /// When the schedule last ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Timestamp>,
    /// The how-manieth time it is that this run is tried, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    tried: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_first(tried: &u32) -> bool {
    *tried == 0
}

/// How often a run is tried that dies.
pub const TRIES: u32 = 3;
/// How long a run that died again waits, seconds after it was begun: what kills it may pass.
const PAUSE: i64 = 600;

/// A run of which no end is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    pub run: String,
    /// When it was begun.
    pub at: Timestamp,
    beat: u64,
    /// The how-manieth try it is, from 0.
    pub tried: u32,
}

impl Open {
    /// Whether it may be run again, once it is known to have died.
    pub fn may_run_again(&self, now: Timestamp) -> bool {
        self.tried + 1 < TRIES && (self.tried == 0 || now.since(self.at) >= PAUSE)
    }
}

impl Last {
    /// The run, where no end of it is known.
    pub fn open(&self) -> Option<Open> {
        let beat = self.beat.filter(|_| self.ended.is_none() && !self.run.is_empty())?;
        Some(Open { run: self.run.clone(), at: self.at, beat, tried: self.tried })
    }
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
    let (when, run) = (entry.written.clone(), String::new());
    Last { when, at, run, ended: None, beat: None, before: None, tried: 0 }
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
        let ours = Last { run: run.to_owned(), beat: Some(0), before: Some(before), ..first(entry, now) };
        Ok(Next::Write(ours, Claim::Ours(before)))
    })
}

/// Takes a run that has fallen silent over, unless it was heard of since or somebody else did.
pub fn take_over(
    store: &dyn Store,
    entry: &Entry,
    now: Timestamp,
    silent: &Open,
    run: &str,
) -> Result<Option<Timestamp>, StoreError> {
    document::update(store, &key(entry), |last: Option<Last>| {
        Ok(match last {
            // An answer that was lost is asked for again.
            Some(last) if last.run == run => Next::Keep(Some(last.before.unwrap_or(last.at))),
            Some(last) if last.open().as_ref() == Some(silent) => {
                let before = last.before.unwrap_or(last.at);
                let (tried, run) = (last.tried + 1, run.to_owned());
                Next::Write(Last { at: now, run, beat: Some(0), tried, ..last }, Some(before))
            }
            _ => Next::Keep(None),
        })
    })
}

/// Says that a run is alive.
pub fn beat(store: &dyn Store, entry: &Entry, run: &str) -> Result<(), StoreError> {
    change(store, entry, run, |last| last.beat = last.beat.map(|beat| beat + 1))
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
        last.tried = 0;
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
    fn a_run_that_died_is_tried_again_and_not_for_ever() {
        let store = MemoryStore::new();
        let hourly = entry("0 * * * *");
        known(&store, &hourly, START).unwrap();
        let mut now = START.plus(3600);
        assert_eq!(claim(&store, &hourly, now, "a").unwrap(), Claim::Ours(START));
        let open = |now| known(&store, &hourly, now).unwrap().open();
        let first = open(now).unwrap();
        beat(&store, &hourly, "a").unwrap();
        assert_eq!(take_over(&store, &hourly, now, &first, "b").unwrap(), None, "it was heard of since");
        for (run, is_at_once) in [("b", true), ("c", false)] {
            let silent = open(now).unwrap();
            assert_eq!(silent.may_run_again(now.plus(60)), is_at_once);
            now = now.plus(PAUSE);
            assert!(silent.may_run_again(now));
            assert_eq!(take_over(&store, &hourly, now, &silent, run).unwrap(), Some(START));
            assert_eq!(take_over(&store, &hourly, now, &silent, run).unwrap(), Some(START), "the answer was lost");
            assert_eq!(take_over(&store, &hourly, now, &silent, "d").unwrap(), None, "somebody did");
        }
        assert!(!open(now).unwrap().may_run_again(now.plus(86_400)), "three times are enough");
        // What was stopped is no death, and the next time counts from the start.
        give_back(&store, &hourly, "c", START).unwrap();
        assert_eq!(open(now), None);
        assert_eq!(claim(&store, &hourly, now, "e").unwrap(), Claim::Ours(START));
        assert_eq!(open(now).unwrap().tried, 0);
        ended(&store, &hourly, "e", now, 0).unwrap();
        assert_eq!(open(now), None);
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
