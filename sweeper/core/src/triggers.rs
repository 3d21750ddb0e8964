//! One run a trigger: schedulers deliver at least once, and platforms start again what they think has failed.
//!
//! A trigger is named by the token that came with it, for one schedule. Whoever comes first with it runs and says so
//! again every [`BEAT`]; whoever comes later is told that it was done, or that somebody is at it. A run that failed, or
//! whose beat has stopped, is begun again by whoever asks next.
//!
//! Whether a beat has stopped is watched on the watcher's own monotonic clock, as with [`crate::lease`]. Two runs of one
//! trigger can still meet where the first could not write for [`TTL`]: looking twice costs calls and breaks nothing, and
//! what changes a cloud rests on [`crate::claims`].

use crate::{
    clock::Clock,
    model::Timestamp,
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Where they are kept.
const KEY: &str = "job/triggers";

/// How many are remembered, of all schedules together.
pub const KEPT: usize = 200;

/// How long the longest name and token may be that are remembered, bytes.
pub const LONGEST: usize = 512;

/// How often a run says that it is alive.
pub const BEAT: Duration = Duration::from_secs(10);

/// For how long a beat may be missing. Three beats and a request that was slow.
pub const TTL: Duration = Duration::from_secs(40);

/// How often somebody who waits for a beat looks.
const LOOK: Duration = Duration::from_secs(2);

/// How far past [`TTL`] the time written down must be to count without having watched, seconds.
const SKEW: i64 = 600;

/// One trigger, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub schedule: String,
    pub token: String,
    /// The run. Never the same for two runs.
    pub run: String,
    pub began: Timestamp,
    /// Rises while the run is alive.
    beat: u64,
    /// When it last did, by the run's time of day.
    seen: Timestamp,
    pub end: Option<End>,
    /// How often it came again, and nothing was done for it.
    #[serde(default)]
    pub repeats: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub at: Timestamp,
    /// The exit code; none where it was stopped.
    pub code: Option<u8>,
    /// What the run called itself in what it wrote.
    pub called: Option<String>,
    /// Whether the trigger is done with; otherwise it may run again.
    pub done: bool,
}

/// All of them, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Triggers {
    last: Vec<Trigger>,
}

impl Document for Triggers {
    const FORMAT: &'static str = "sweeper.triggers";
}

impl Triggers {
    fn of(&mut self, schedule: &str, token: &str) -> Option<&mut Trigger> {
        self.last.iter_mut().find(|own| own.schedule == schedule && own.token == token)
    }

    /// Adds one, and forgets the oldest that is over where there are too many.
    fn add(&mut self, trigger: Trigger) {
        self.last.retain(|own| own.schedule != trigger.schedule || own.token != trigger.token);
        while self.last.len() >= KEPT {
            let over = self.last.iter().position(|own| own.end.is_some());
            self.last.remove(over.unwrap_or(0));
        }
        self.last.push(trigger);
    }
}

/// What became of asking for a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Ours to run.
    Ours,
    /// It was run before, and is done.
    Done(Trigger),
    /// Somebody else is at it, and alive.
    Elsewhere(Trigger),
}

enum Taken {
    Is(Claimed),
    /// Somebody began, and may be alive.
    Perhaps(Trigger),
}

/// Asks for a trigger, for a run. Waits, no longer than [`TTL`] and a little, where somebody began and it is not known
/// whether he is alive.
///
/// # Errors
/// A state that cannot be read or written: then nobody may begin.
pub async fn claim(
    store: &dyn Store,
    clock: &dyn Clock,
    schedule: &str,
    token: &str,
    run: &str,
) -> Result<Claimed, StoreError> {
    let mut watched: Option<(Trigger, Duration)> = None;
    loop {
        let stopped = watched
            .as_ref()
            .filter(|(_, since)| clock.mono().saturating_sub(*since) > TTL + TTL / 8)
            .map(|(own, _)| own);
        match take(store, clock.wall(), (schedule, token, run), stopped)? {
            Taken::Is(claimed) => {
                if let Claimed::Done(own) = &claimed {
                    repeated(store, own);
                }
                return Ok(claimed);
            }
            Taken::Perhaps(other) => match &watched {
                // That somebody else asked as well is no sign of life.
                Some((before, _)) if before.beat == other.beat && before.run == other.run => {}
                Some(_) => {
                    repeated(store, &other);
                    return Ok(Claimed::Elsewhere(other));
                }
                None => watched = Some((other, clock.mono())),
            },
        }
        clock.sleep_until(clock.mono() + LOOK).await;
    }
}

fn take(
    store: &dyn Store,
    now: Timestamp,
    (schedule, token, run): (&str, &str, &str),
    stopped: Option<&Trigger>,
) -> Result<Taken, StoreError> {
    document::update(store, KEY, |triggers: Option<Triggers>| {
        let mut triggers = triggers.unwrap_or_default();
        let mut repeats = 0;
        if let Some(own) = triggers.of(schedule, token) {
            repeats = own.repeats;
            let silent = now.since(own.seen) > TTL.as_secs() as i64 + SKEW;
            match &own.end {
                Some(end) if end.done => return Ok(Next::Keep(Taken::Is(Claimed::Done(own.clone())))),
                None if stopped.is_none_or(|seen| (seen.beat, &seen.run) != (own.beat, &own.run)) && !silent => {
                    return Ok(Next::Keep(Taken::Perhaps(own.clone())));
                }
                Some(_) | None => {}
            }
        }
        triggers.add(Trigger {
            schedule: schedule.to_owned(),
            token: token.to_owned(),
            run: run.to_owned(),
            began: now,
            beat: 0,
            seen: now,
            end: None,
            repeats,
        });
        Ok(Next::Write(triggers, Taken::Is(Claimed::Ours)))
    })
}

/// Counts that a trigger came again. What cannot be counted changes nothing: no run is begun either way.
fn repeated(store: &dyn Store, trigger: &Trigger) {
    let _ = document::update(store, KEY, |triggers: Option<Triggers>| {
        let mut triggers = triggers.unwrap_or_default();
        match triggers.of(&trigger.schedule, &trigger.token) {
            Some(own) => own.repeats += 1,
            None => return Ok(Next::Keep(())),
        }
        Ok(Next::Write(triggers, ()))
    });
}

/// How often triggers came again, by schedule: of those that are remembered.
///
/// # Errors
/// A state that cannot be read.
pub fn repeats(store: &dyn Store) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut all = BTreeMap::new();
    if let Some((known, _)) = document::read::<Triggers>(store, KEY)? {
        for own in known.last {
            *all.entry(own.schedule).or_default() += own.repeats;
        }
    }
    Ok(all)
}

/// Says that a run is alive. Whether the trigger is still its own.
pub fn beat(store: &dyn Store, now: Timestamp, schedule: &str, token: &str, run: &str) -> Result<bool, StoreError> {
    change(store, schedule, token, run, |own| {
        own.beat += 1;
        own.seen = now;
    })
}

/// Says how a run ended. Whether the trigger was still its own.
pub fn end(store: &dyn Store, schedule: &str, token: &str, run: &str, end: End) -> Result<bool, StoreError> {
    change(store, schedule, token, run, |own| own.end = Some(end.clone()))
}

fn change(
    store: &dyn Store,
    schedule: &str,
    token: &str,
    run: &str,
    change: impl Fn(&mut Trigger),
) -> Result<bool, StoreError> {
    document::update(store, KEY, |triggers: Option<Triggers>| {
        let mut triggers = triggers.unwrap_or_default();
        match triggers.of(schedule, token).filter(|own| own.run == run && own.end.is_none()) {
            Some(own) => change(own),
            None => return Ok(Next::Keep(false)),
        }
        Ok(Next::Write(triggers, true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::VirtualClock, store::MemoryStore};

    const START: Timestamp = Timestamp(1_800_000_000);

    struct Place {
        store: MemoryStore,
        clock: VirtualClock,
    }

    impl Place {
        fn new() -> Self {
            Self { store: MemoryStore::new(), clock: VirtualClock::new(START) }
        }

        async fn claim(&self, schedule: &str, token: &str, run: &str) -> Claimed {
            claim(&self.store, &self.clock, schedule, token, run).await.unwrap()
        }

        fn end(&self, token: &str, run: &str, code: u8, done: bool) -> bool {
            let ended = End { at: self.clock.wall(), code: Some(code), called: Some(format!("report {run}")), done };
            end(&self.store, "nightly", token, run, ended).unwrap()
        }

        fn kept(&self) -> Vec<Trigger> {
            document::read::<Triggers>(&self.store, KEY).unwrap().unwrap().0.last
        }
    }

    #[tokio::test]
    async fn a_trigger_is_done_once_and_a_schedule_has_its_own() {
        let place = Place::new();
        assert_eq!(place.claim("nightly", "a", "1").await, Claimed::Ours);
        assert!(place.end("a", "1", 3, true));
        let Claimed::Done(done) = place.claim("nightly", "a", "2").await else { panic!("it ran twice") };
        let end = done.end.unwrap();
        assert_eq!((done.run.as_str(), end.code, end.called.as_deref()), ("1", Some(3), Some("report 1")));
        assert_eq!(place.claim("nightly", "b", "3").await, Claimed::Ours);
        assert_eq!(place.claim("weekly", "a", "4").await, Claimed::Ours);
        assert!(matches!(place.claim("nightly", "a", "5").await, Claimed::Done(_)));
        let counted = BTreeMap::from([("nightly".to_owned(), 2), ("weekly".to_owned(), 0)]);
        assert_eq!(repeats(&place.store).unwrap(), counted);
        // No wait was needed for any of it.
        assert_eq!(place.clock.mono(), Duration::ZERO);
    }

    #[tokio::test]
    async fn what_failed_runs_again() {
        let place = Place::new();
        assert_eq!(place.claim("nightly", "a", "1").await, Claimed::Ours);
        assert!(place.end("a", "1", 70, false));
        assert!(!place.end("a", "1", 0, true), "an end is not changed");
        assert_eq!(place.claim("nightly", "a", "2").await, Claimed::Ours);
        assert!(!place.end("a", "1", 0, true), "it belongs to another run");
        assert!(place.end("a", "2", 0, true));
        assert_eq!(repeats(&place.store).unwrap()["nightly"], 0, "each of them was run");
        assert!(matches!(place.claim("nightly", "a", "3").await, Claimed::Done(_)));
        assert_eq!(place.kept().len(), 1);
    }

    #[tokio::test]
    async fn a_run_that_is_silent_is_taken_over_and_notices() {
        let place = Place::new();
        assert_eq!(place.claim("nightly", "a", "1").await, Claimed::Ours);
        assert_eq!(place.claim("nightly", "a", "2").await, Claimed::Ours);
        let waited = place.clock.mono();
        assert!(waited > TTL && waited < TTL * 2, "{waited:?}");
        assert!(!beat(&place.store, START, "nightly", "a", "1").unwrap());
        assert!(beat(&place.store, START, "nightly", "a", "2").unwrap());
        // Long past, by the time of day: nobody waits.
        place.clock.advance(Duration::from_secs(TTL.as_secs() + SKEW as u64 + 60));
        let before = place.clock.mono();
        assert_eq!(place.claim("nightly", "a", "3").await, Claimed::Ours);
        assert_eq!(place.clock.mono(), before);
    }

    /// A store in which another run beats whenever somebody reads for the second time.
    struct Beating(MemoryStore, std::sync::atomic::AtomicU32);

    impl Store for Beating {
        fn get(&self, key: &str) -> Result<Option<(Vec<u8>, crate::store::Version)>, StoreError> {
            if self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 2 {
                assert!(beat(&self.0, START, "nightly", "a", "1")?);
            }
            self.0.get(key)
        }

        fn put_if(
            &self,
            key: &str,
            value: &[u8],
            expected: Option<crate::store::Version>,
        ) -> Result<crate::store::PutOutcome, StoreError> {
            self.0.put_if(key, value, expected)
        }

        fn put_all_if(&self, puts: &[crate::store::Put]) -> Result<Vec<crate::store::PutOutcome>, StoreError> {
            self.0.put_all_if(puts)
        }

        fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
            self.0.list(prefix)
        }

        fn delete_if(
            &self,
            key: &str,
            expected: crate::store::Version,
        ) -> Result<crate::store::DeleteOutcome, StoreError> {
            self.0.delete_if(key, expected)
        }
    }

    #[tokio::test]
    async fn a_run_that_is_alive_is_left_alone() {
        let place = Place::new();
        assert_eq!(place.claim("nightly", "a", "1").await, Claimed::Ours);
        let store = Beating(place.store.clone(), std::sync::atomic::AtomicU32::new(0));
        let claimed = claim(&store, &place.clock, "nightly", "a", "2").await.unwrap();
        let Claimed::Elsewhere(other) = claimed else { panic!("{claimed:?}") };
        assert_eq!(other.run, "1");
        assert_eq!(repeats(&place.store).unwrap()["nightly"], 1);
        assert!(place.clock.mono() < TTL);
    }

    #[tokio::test]
    async fn the_last_are_kept_and_what_runs_among_them() {
        let place = Place::new();
        assert_eq!(place.claim("nightly", "running", "r").await, Claimed::Ours);
        for number in 0..KEPT + 50 {
            let (token, run) = (format!("t{number}"), format!("r{number}"));
            assert_eq!(place.claim("nightly", &token, &run).await, Claimed::Ours);
            assert!(place.end(&token, &run, 0, true));
        }
        let kept = place.kept();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].token, "running");
        assert_eq!(kept[KEPT - 1].token, format!("t{}", KEPT + 49));
    }
}
