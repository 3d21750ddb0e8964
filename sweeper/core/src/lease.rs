//! One writer per deployment: a lease in the store, with an epoch that only rises.
//!
//! **What a holder knows.** Its lease lasts the TTL, counted on its own clocks from *before* the request that
//! took or renewed it was sent, whichever of monotonic and wall time says that more has passed (a machine that
//! slept may not have counted on the first, a clock that was set back has not on the second). It re-reads the
//! epoch after any silence longer than half the time between renewals. A lease that ran out is never renewed:
//! its holder has to acquire again, under a new epoch.
//!
//! **What others know.** No two machines share a clock. Whoever has *watched* the lease unchanged (the same
//! writing: [`crate::store::Version`]) for its TTL and an eighth more on its own monotonic clock knows that it
//! ran out: the holder began to count before the watcher could. A run that cannot wait that long goes by the
//! time of day the holder wrote down, and only when that is [`SKEW`] past. Clocks further apart than that
//! could make it take a living lease; so could a person with [`break_`]. The lease is therefore not what
//! keeps an item from being sent twice: [`crate::claims`] are.

use crate::{
    clock::Clock,
    model::Timestamp,
    store::{
        PutOutcome, Store, StoreError, Version,
        document::{self, Document},
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// Where it is kept. Never deleted: the epoch must not start again.
pub const KEY: &str = "lock/lease";

/// How long a lease lasts without renewal, unless told otherwise.
pub const TTL: Duration = Duration::from_mins(1);

/// The TTLs that may be asked for: GCS takes about one write a second of one object, and nobody should wait
/// longer than a quarter of an hour for a run that died.
const TTLS: std::ops::RangeInclusive<Duration> = Duration::from_secs(6)..=Duration::from_mins(15);

/// How far past the time written down a lease must be to count as run out for one who did not watch, seconds.
pub const SKEW: i64 = 600;

/// How often a write is tried again.
const TRIES: usize = 10;

/// Who holds or wants the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// For people: user, host, command.
    pub by: String,
    /// The run. Never the same for two runs.
    pub run: String,
}

/// The lease as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    epoch: u64,
    /// Rises with every renewal.
    counter: u64,
    ttl_ms: u64,
    holder: Option<Holder>,
    since: Timestamp,
    /// When it runs out, by its holder's time of day.
    until: Timestamp,
}

impl Document for Written {
    const FORMAT: &'static str = "sweeper.lease";
}

impl Written {
    fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

/// The lease as anybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub epoch: u64,
    /// `None` when it is free.
    pub holder: Option<Holder>,
    /// Since when it is held, or was released, by the writer's time of day.
    pub since: Timestamp,
    /// When it runs out unless renewed, by its holder's time of day.
    pub until: Timestamp,
}

/// Why a lease is no longer good for a call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lost {
    /// More time passed than it lasts.
    #[error("the lease ran out")]
    Expired,
    /// What is left is not enough. Renewing may help.
    #[error("the lease lasts another {remaining:?}, and {needed:?} are needed")]
    TooShort { remaining: Duration, needed: Duration },
    /// Another epoch has begun.
    #[error("the lease was taken over or broken: it is at epoch {epoch} now{}", held_by(by.as_deref()))]
    TakenOver { epoch: u64, by: Option<String> },
    /// It is not in the store any more.
    #[error("the lease is gone from the state")]
    Gone,
}

fn held_by(by: Option<&str>) -> String {
    by.map(|by| format!(", held by {by}")).unwrap_or_default()
}

/// Why a lease could not be had or kept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LeaseError {
    /// Somebody else has it, as far as can be known.
    #[error("the lock is held by {by} since {since} (epoch {epoch})")]
    Held { by: String, since: Timestamp, epoch: u64 },
    /// We had it.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The TTL asked for is too short or too long.
    #[error("a lease lasts from 6 seconds to 15 minutes, not {0:?}")]
    Ttl(Duration),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a lease could not be broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BreakError {
    /// It is not at the epoch that was named: somebody else has it by now.
    #[error("the lock is at epoch {epoch}, not at the one named: look again")]
    OtherEpoch { epoch: u64 },
    /// Nobody holds it.
    #[error("the lock is free: there is nothing to break")]
    Free,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one process has seen of the lease, on its own monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    seen: Option<(Version, Duration)>,
}

impl Watch {
    /// Whether a writing has stood unchanged for longer than it lasts. `asked` and `answered` are when the
    /// read was sent and came back.
    fn ran_out(&mut self, version: Version, ttl: Duration, asked: Duration, answered: Duration) -> bool {
        match self.seen {
            // The eighth is for clocks that run at different speeds.
            Some((seen, since)) if seen == version => asked.saturating_sub(since) > ttl + ttl / 8,
            _ => {
                self.seen = Some((version, answered));
                false
            }
        }
    }
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
struct Moment {
    mono: Duration,
    wall: Timestamp,
}

impl Moment {
    fn of(clock: &dyn Clock) -> Self {
        Self { mono: clock.mono(), wall: clock.wall() }
    }

    /// What has passed since then by the clock that says more.
    fn passed(self, clock: &dyn Clock) -> Duration {
        let wall = Duration::from_secs(clock.wall().since(self.wall).max(0).unsigned_abs());
        clock.mono().saturating_sub(self.mono).max(wall)
    }
}

/// The right to be the one writer, for a while. Dropping it does not release it.
#[derive(Debug)]
pub struct Lease {
    holder: Holder,
    epoch: u64,
    counter: u64,
    version: Version,
    ttl: Duration,
    since: Timestamp,
    /// Before the request that took or renewed it was sent.
    sent: Moment,
    /// Before the last request was sent that showed it to be ours.
    contact: Moment,
}

impl Lease {
    /// Takes the lease if it is free, or ran out so long ago that clocks cannot be the reason ([`SKEW`]).
    ///
    /// # Errors
    /// [`LeaseError::Held`] when somebody else has it or may have it.
    pub fn acquire(store: &dyn Store, holder: &Holder, ttl: Duration, clock: &dyn Clock) -> Result<Self, LeaseError> {
        Self::acquire_watching(store, holder, ttl, clock, &mut Watch::default())
    }

    /// Like [`Lease::acquire`], and takes it also when `watch` has seen it unchanged for longer than it
    /// lasts: for those who look again and again.
    pub fn acquire_watching(
        store: &dyn Store,
        holder: &Holder,
        ttl: Duration,
        clock: &dyn Clock,
        watch: &mut Watch,
    ) -> Result<Self, LeaseError> {
        Self::take(store, holder, ttl, clock, |written, version, asked| {
            let watched = watch.ran_out(version, written.ttl(), asked, clock.mono());
            watched || clock.wall().since(written.until) > SKEW
        })
    }

    /// Waits for the lease, looking again and again, for as long as `patience`. With more than an eighth
    /// above the TTL of whoever holds it, and some seconds, a dead holder is outlived.
    pub async fn acquire_within(
        store: &dyn Store,
        holder: &Holder,
        ttl: Duration,
        clock: &dyn Clock,
        patience: Duration,
    ) -> Result<Self, LeaseError> {
        let mut watch = Watch::default();
        let end = clock.mono() + patience;
        loop {
            let outcome = Self::acquire_watching(store, holder, ttl, clock, &mut watch);
            let next = clock.mono() + (ttl / 6).clamp(Duration::from_secs(1), Duration::from_secs(10));
            if !matches!(outcome, Err(LeaseError::Held { .. })) || next > end {
                return outcome;
            }
            clock.sleep_until(next).await;
        }
    }

    /// Takes the lease whoever has it: for a caller who knows by other means that the holder has ended, as
    /// from a file lock that the system gives up with the process.
    pub fn succeed(store: &dyn Store, holder: &Holder, ttl: Duration, clock: &dyn Clock) -> Result<Self, LeaseError> {
        Self::take(store, holder, ttl, clock, |_, _, _| true)
    }

    fn take(
        store: &dyn Store,
        holder: &Holder,
        ttl: Duration,
        clock: &dyn Clock,
        mut ran_out: impl FnMut(&Written, Version, Duration) -> bool,
    ) -> Result<Self, LeaseError> {
        if !TTLS.contains(&ttl) {
            return Err(LeaseError::Ttl(ttl));
        }
        for _ in 0..TRIES {
            let asked = clock.mono();
            let current = document::read::<Written>(store, KEY)?;
            if let Some((written, version)) = &current
                && let Some(other) = &written.holder
                // What we took ourselves and did not hear of is ours.
                && other.run != holder.run
                && !ran_out(written, *version, asked)
            {
                let (by, since, epoch) = (other.by.clone(), written.since, written.epoch);
                return Err(LeaseError::Held { by, since, epoch });
            }
            let epoch = match &current {
                None => 1,
                Some((written, _)) => next_epoch(written)?,
            };
            let sent = Moment::of(clock);
            let next = Written {
                epoch,
                counter: 0,
                ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
                holder: Some(holder.clone()),
                since: sent.wall,
                until: sent.wall.plus(seconds(ttl)),
            };
            if let PutOutcome::Stored(version) = document::put(store, KEY, &next, current.map(|(_, at)| at))? {
                let lease = Self {
                    holder: holder.clone(),
                    epoch,
                    counter: 0,
                    version,
                    ttl,
                    since: sent.wall,
                    sent,
                    contact: sent,
                };
                // An answer that took longer than the lease lasts gives none.
                lease.check(clock, Duration::ZERO)?;
                return Ok(lease);
            }
        }
        Err(StoreError::Busy("others keep writing the lock".to_owned()).into())
    }

    /// Which holding this is. Rises with every new holder and every break.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// How often it has to be renewed: three times in its life.
    pub fn renew_every(&self) -> Duration {
        self.ttl / 3
    }

    /// How much longer it lasts, as far as its holder can know.
    pub fn remaining(&self, clock: &dyn Clock) -> Duration {
        self.ttl.saturating_sub(self.sent.passed(clock))
    }

    /// Whether it lasts longer than a call that takes up to `needed` (the request's timeout and a margin).
    /// Says nothing of what others did meanwhile: see [`Lease::guard`].
    pub fn check(&self, clock: &dyn Clock, needed: Duration) -> Result<(), Lost> {
        match self.remaining(clock) {
            Duration::ZERO => Err(Lost::Expired),
            remaining if remaining <= needed => Err(Lost::TooShort { remaining, needed }),
            _ => Ok(()),
        }
    }

    /// What must be asked before every call that changes the world: renews when due, re-reads the epoch after
    /// a silence longer than half the time between renewals, and then checks. The margin in `needed` has to
    /// cover what lies between this and the call.
    pub fn guard(&mut self, store: &dyn Store, clock: &dyn Clock, needed: Duration) -> Result<(), LeaseError> {
        self.check(clock, Duration::ZERO)?;
        if self.sent.passed(clock) >= self.renew_every() || self.remaining(clock) <= needed {
            self.renew(store, clock)?;
        } else if self.contact.passed(clock) > self.renew_every() / 2 {
            self.reread(store, clock)?;
        }
        Ok(self.check(clock, needed)?)
    }

    /// Makes it last its TTL again, from before the request is sent. After an error of the store it lasts as
    /// long as it did before.
    pub fn renew(&mut self, store: &dyn Store, clock: &dyn Clock) -> Result<(), LeaseError> {
        for _ in 0..TRIES {
            self.check(clock, Duration::ZERO)?;
            let sent = Moment::of(clock);
            let next = Written {
                epoch: self.epoch,
                counter: self.counter + 1,
                ttl_ms: u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX),
                holder: Some(self.holder.clone()),
                since: self.since,
                until: sent.wall.plus(seconds(self.ttl)),
            };
            match document::put(store, KEY, &next, Some(self.version))? {
                PutOutcome::Stored(version) => {
                    self.version = version;
                    self.counter = next.counter;
                    self.sent = sent;
                    self.contact = sent;
                    // An answer that came too late.
                    return Ok(self.check(clock, Duration::ZERO)?);
                }
                // Somebody else's writing, or an earlier one of ours whose answer was lost.
                PutOutcome::Conflict(_) => self.reread(store, clock)?,
            }
        }
        Err(StoreError::Busy("others keep writing the lock".to_owned()).into())
    }

    /// Asks the store whether it is still ours. Does not make it last longer.
    pub fn reread(&mut self, store: &dyn Store, clock: &dyn Clock) -> Result<(), LeaseError> {
        let asked = Moment::of(clock);
        let Some((written, version)) = document::read::<Written>(store, KEY)? else { return Err(Lost::Gone.into()) };
        if written.epoch != self.epoch || written.holder.as_ref().is_none_or(|other| other.run != self.holder.run) {
            let by = written.holder.map(|other| other.by);
            return Err(Lost::TakenOver { epoch: written.epoch, by }.into());
        }
        self.version = version;
        self.counter = self.counter.max(written.counter);
        self.contact = asked;
        Ok(self.check(clock, Duration::ZERO)?)
    }

    /// Gives it back. That somebody else has it by now is no error.
    pub fn release(self, store: &dyn Store, clock: &dyn Clock) -> Result<(), StoreError> {
        document::update(store, KEY, |written: Option<Written>| {
            Ok(match written {
                Some(written)
                    if written.epoch == self.epoch
                        && written.holder.as_ref().is_some_and(|holder| holder.run == self.holder.run) =>
                {
                    let now = clock.wall();
                    document::Next::Write(Written { holder: None, since: now, until: now, ..written }, ())
                }
                _ => document::Next::Keep(()),
            })
        })
    }
}

fn seconds(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

fn next_epoch(written: &Written) -> Result<u64, StoreError> {
    written.epoch.checked_add(1).ok_or_else(|| StoreError::Damaged(format!("`{KEY}`: its epoch cannot rise")))
}

/// The lease as it is now; `None` when there never was one.
pub fn show(store: &dyn Store) -> Result<Option<Shown>, StoreError> {
    Ok(document::read::<Written>(store, KEY)?.map(|(written, _)| Shown {
        epoch: written.epoch,
        holder: written.holder,
        since: written.since,
        until: written.until,
    }))
}

/// Takes the lease of `epoch` from whoever has it, and gives the epoch that it is at now. The caller writes
/// that into the audit log. A holder that lives notices before its next call but one; what it has sent is
/// still under way, so that its open claims must be given the time of a request before the world is read.
pub fn break_(store: &dyn Store, epoch: u64, clock: &dyn Clock) -> Result<u64, BreakError> {
    document::update(store, KEY, |written: Option<Written>| {
        Ok(match written {
            None => document::Next::Keep(Err(BreakError::Free)),
            Some(written) if written.epoch != epoch => {
                document::Next::Keep(Err(BreakError::OtherEpoch { epoch: written.epoch }))
            }
            Some(Written { holder: None, .. }) => document::Next::Keep(Err(BreakError::Free)),
            Some(written) => {
                let (next, now) = (next_epoch(&written)?, clock.wall());
                document::Next::Write(
                    Written { epoch: next, holder: None, since: now, until: now, ..written },
                    Ok(next),
                )
            }
        })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::VirtualClock,
        store::{MemoryStore, weather::Weather},
    };

    const S: Duration = Duration::from_secs(1);

    fn clock() -> VirtualClock {
        VirtualClock::new(Timestamp(1_800_000_000))
    }

    fn holder(run: &str) -> Holder {
        Holder { by: format!("{run}@host"), run: run.to_owned() }
    }

    fn acquire(store: &dyn Store, run: &str, clock: &dyn Clock) -> Result<Lease, LeaseError> {
        Lease::acquire(store, &holder(run), TTL, clock)
    }

    fn is_held(outcome: &Result<Lease, LeaseError>, by: &str, at: u64) -> bool {
        matches!(outcome, Err(LeaseError::Held { by: who, epoch, .. }) if who == by && *epoch == at)
    }

    #[test]
    fn one_holds_it_and_epochs_rise() {
        let (store, clock) = (MemoryStore::new(), clock());
        assert_eq!(show(&store), Ok(None));
        let first = acquire(&store, "a", &clock).unwrap();
        assert_eq!(first.epoch(), 1);
        assert!(is_held(&acquire(&store, "b", &clock), "a@host", 1));
        let shown = show(&store).unwrap().unwrap();
        assert_eq!((shown.epoch, shown.holder), (1, Some(holder("a"))));
        assert_eq!(shown.until.since(shown.since), 60);
        first.release(&store, &clock).unwrap();
        assert_eq!(show(&store).unwrap().unwrap().holder, None);
        let second = acquire(&store, "b", &clock).unwrap();
        assert_eq!(second.epoch(), 2);
    }

    #[test]
    fn a_renewed_lease_lasts_and_is_not_released_by_another() {
        let (store, clock) = (MemoryStore::new(), clock());
        let mut lease = acquire(&store, "a", &clock).unwrap();
        for _ in 0..100 {
            clock.advance(15 * S);
            lease.guard(&store, &clock, 20 * S).unwrap();
            assert!(is_held(&acquire(&store, "b", &clock), "a@host", 1));
        }
        assert_eq!(lease.remaining(&clock), 60 * S);
        // Broken and taken: the old holder's release changes nothing.
        break_(&store, 1, &clock).unwrap();
        let other = acquire(&store, "b", &clock).unwrap();
        lease.release(&store, &clock).unwrap();
        assert_eq!(show(&store).unwrap().unwrap().holder, Some(other.holder().clone()));
    }

    #[test]
    fn a_pause_past_the_ttl_loses_it_whoever_came_in_between() {
        for taken in [true, false] {
            let (store, clock) = (MemoryStore::new(), clock());
            let mut lease = acquire(&store, "a", &clock).unwrap();
            let mut watch = Watch::default();
            let watching = |watch: &mut Watch| Lease::acquire_watching(&store, &holder("b"), TTL, &clock, watch);
            if taken {
                assert!(is_held(&watching(&mut watch), "a@host", 1));
            }
            clock.advance(70 * S);
            if taken {
                assert_eq!(watching(&mut watch).unwrap().epoch(), 2);
            }
            assert_eq!(lease.check(&clock, Duration::ZERO), Err(Lost::Expired));
            assert_eq!(lease.guard(&store, &clock, S), Err(Lost::Expired.into()));
            assert_eq!(lease.renew(&store, &clock), Err(Lost::Expired.into()));
            assert!(lease.reread(&store, &clock).is_err());
        }
    }

    #[test]
    fn a_shorter_pause_makes_it_look_again() {
        let (store, clock) = (MemoryStore::new(), clock());
        let mut lease = acquire(&store, "a", &clock).unwrap();
        assert_eq!(break_(&store, 1, &clock), Ok(2));
        // Within half the time between renewals it may not have noticed.
        clock.advance(10 * S);
        lease.guard(&store, &clock, S).unwrap();
        clock.advance(S);
        assert_eq!(lease.guard(&store, &clock, S), Err(Lost::TakenOver { epoch: 2, by: None }.into()));
    }

    #[test]
    fn a_machine_that_slept_or_was_set_back_has_no_more_time() {
        /// Two clocks that need not agree.
        struct Two(std::sync::Mutex<(Timestamp, Duration)>);
        #[async_trait::async_trait]
        impl Clock for Two {
            fn wall(&self) -> Timestamp {
                self.0.lock().unwrap().0
            }
            fn mono(&self) -> Duration {
                self.0.lock().unwrap().1
            }
            async fn sleep_until(&self, _: Duration) {}
        }
        for (wall, mono, remaining) in [(61, 0, 0), (0, 61, 0), (-5000, 10, 50), (30, 10, 30), (10, 30, 30)] {
            let store = MemoryStore::new();
            let clock = Two(std::sync::Mutex::new((Timestamp(1_000_000), 500 * S)));
            let lease = acquire(&store, "a", &clock).unwrap();
            *clock.0.lock().unwrap() = (Timestamp(1_000_000 + wall), (500 + mono) * S);
            assert_eq!(lease.remaining(&clock), remaining * S, "{wall} {mono}");
        }
    }

    #[test]
    fn a_call_that_takes_longer_than_is_left_is_not_begun() {
        let (store, clock) = (MemoryStore::new(), clock());
        let mut lease = acquire(&store, "a", &clock).unwrap();
        clock.advance(15 * S);
        let short = Lost::TooShort { remaining: 45 * S, needed: 45 * S };
        assert_eq!(lease.check(&clock, 45 * S), Err(short));
        assert_eq!(lease.check(&clock, 44 * S), Ok(()));
        // Renewed early, since that helps.
        lease.guard(&store, &clock, 45 * S).unwrap();
        let never = lease.guard(&store, &clock, 60 * S);
        assert!(matches!(never, Err(LeaseError::Lost(Lost::TooShort { .. }))), "{never:?}");
    }

    #[test]
    fn who_did_not_watch_needs_the_time_of_day_to_be_far_past() {
        let (store, clock) = (MemoryStore::new(), clock());
        let _dead = acquire(&store, "a", &clock).unwrap();
        clock.advance(S * (60 + 600));
        assert!(is_held(&acquire(&store, "b", &clock), "a@host", 1));
        clock.advance(S);
        assert_eq!(acquire(&store, "b", &clock).unwrap().epoch(), 2);
    }

    #[test]
    fn watching_counts_from_the_last_writing() {
        let (store, clock) = (MemoryStore::new(), clock());
        let mut lease = acquire(&store, "a", &clock).unwrap();
        let mut watch = Watch::default();
        for _ in 0..20 {
            clock.advance(19 * S);
            lease.renew(&store, &clock).unwrap();
            assert!(Lease::acquire_watching(&store, &holder("b"), TTL, &clock, &mut watch).is_err());
        }
        clock.advance(67 * S);
        assert!(Lease::acquire_watching(&store, &holder("b"), TTL, &clock, &mut watch).is_err());
        clock.advance(S);
        assert!(Lease::acquire_watching(&store, &holder("b"), TTL, &clock, &mut watch).is_ok());
    }

    #[tokio::test]
    async fn waiting_outlives_the_dead_and_not_the_living() {
        let (store, clock) = (MemoryStore::new(), clock());
        let _dead = acquire(&store, "a", &clock).unwrap();
        let short = Lease::acquire_within(&store, &holder("b"), TTL, &clock, 30 * S).await;
        assert!(is_held(&short, "a@host", 1));
        let lease = Lease::acquire_within(&store, &holder("b"), TTL, &clock, 90 * S).await.unwrap();
        assert_eq!(lease.epoch(), 2);
    }

    #[test]
    fn whoever_knows_the_holder_has_ended_succeeds_it() {
        let (store, clock) = (MemoryStore::new(), clock());
        let mut old = acquire(&store, "a", &clock).unwrap();
        assert_eq!(Lease::succeed(&store, &holder("b"), TTL, &clock).unwrap().epoch(), 2);
        let lost = LeaseError::Lost(Lost::TakenOver { epoch: 2, by: Some("b@host".into()) });
        assert_eq!(old.renew(&store, &clock), Err(lost));
    }

    #[test]
    fn breaking_needs_the_epoch_that_was_seen() {
        let (store, clock) = (MemoryStore::new(), clock());
        assert_eq!(break_(&store, 1, &clock), Err(BreakError::Free));
        let lease = acquire(&store, "a", &clock).unwrap();
        assert_eq!(break_(&store, 7, &clock), Err(BreakError::OtherEpoch { epoch: 1 }));
        assert_eq!(break_(&store, lease.epoch(), &clock), Ok(2));
        assert_eq!(break_(&store, 2, &clock), Err(BreakError::Free));
        assert_eq!(acquire(&store, "b", &clock).unwrap().epoch(), 3);
    }

    #[test]
    fn a_lost_answer_is_found_out() {
        // The write is done, the answer never comes.
        let (store, clock) = (Weather::new(MemoryStore::new()), clock());
        store.lose_answers(1);
        assert!(matches!(acquire(&store, "a", &clock), Err(LeaseError::Store(_))));
        let mut lease = acquire(&store, "a", &clock).unwrap();
        assert_eq!(lease.epoch(), 2);
        clock.advance(20 * S);
        store.lose_answers(1);
        assert!(matches!(lease.renew(&store, &clock), Err(LeaseError::Store(_))));
        assert_eq!(lease.remaining(&clock), 40 * S);
        lease.renew(&store, &clock).unwrap();
        assert_eq!(lease.remaining(&clock), 60 * S);
    }

    #[test]
    fn what_cannot_be_read_is_never_free() {
        for bytes in [&b"{}"[..], b"", br#"{"format":"sweeper.lease/2","body":null}"#] {
            let (store, clock) = (MemoryStore::new(), clock());
            store.put_if(KEY, bytes, None).unwrap();
            assert!(matches!(acquire(&store, "a", &clock), Err(LeaseError::Store(_))));
            assert!(matches!(Lease::succeed(&store, &holder("a"), TTL, &clock), Err(LeaseError::Store(_))));
            assert!(show(&store).is_err() && break_(&store, 1, &clock).is_err());
            assert_eq!(store.get(KEY).unwrap().unwrap().0, bytes);
        }
        let (store, clock) = (Weather::new(MemoryStore::new()), clock());
        let mut lease = acquire(&store, "a", &clock).unwrap();
        store.fail(true);
        clock.advance(11 * S);
        assert!(matches!(acquire(&store, "b", &clock), Err(LeaseError::Store(_))));
        assert!(matches!(lease.guard(&store, &clock, S), Err(LeaseError::Store(_))));
        store.fail(false);
        store.delete_if(KEY, store.get(KEY).unwrap().unwrap().1).unwrap();
        assert_eq!(lease.guard(&store, &clock, S), Err(Lost::Gone.into()));
    }

    #[test]
    fn of_many_at_once_one_has_it() {
        for _ in 0..50 {
            let (store, clock) = (MemoryStore::new(), clock());
            let won: usize = std::thread::scope(|scope| {
                let runs: Vec<_> = (0..8)
                    .map(|run| {
                        let (store, clock) = (store.clone(), &clock);
                        scope.spawn(move || usize::from(acquire(&store, &run.to_string(), clock).is_ok()))
                    })
                    .collect();
                runs.into_iter().map(|run| run.join().unwrap()).sum()
            });
            assert_eq!(won, 1);
        }
    }

    #[test]
    fn ttls_have_bounds() {
        let (store, clock) = (MemoryStore::new(), clock());
        for ttl in [Duration::ZERO, 5 * S, 901 * S] {
            assert_eq!(Lease::acquire(&store, &holder("a"), ttl, &clock).unwrap_err(), LeaseError::Ttl(ttl));
        }
        assert_eq!(show(&store), Ok(None));
    }
}
