//! How much may be done: caps of a run and of seven days, counted in the store, and the rate of calls.
//!
//! What is counted against is a *meter*: the whole deployment, a kind in an account, a policy, a standing
//! approval. An action takes its room on each meter that concerns it by compare-and-swap *before* its call and
//! keeps it until it is known that nothing was done: runs at once, or a run that crashes and starts again,
//! share one cap. What a crash leaves reserved counts as used.

use crate::{
    model::{DAY, Timestamp},
    money::Amount,
    policy::Limit,
    store::{
        Store, StoreError,
        document::{self, Document, Next, part},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::Duration,
};

/// Where meters are kept.
pub(crate) const METERS: &str = "caps/";

/// The window over which a meter counts, seconds.
pub const WINDOW: i64 = 7 * DAY;

/// How many times the caps of a run a window allows.
pub const RUNS_A_WINDOW: u32 = 3;

/// How long entries are kept: so long past the window that a clock that is ahead for a while gives nothing
/// free, seconds.
pub(crate) const KEPT: i64 = 2 * WINDOW;

/// Entries of one run that are closer together than this become one, seconds.
const MERGED: i64 = 3600;

/// Below this many resources a share is [`FEW`] of them.
const SMALL: u64 = 40;

/// Of a small population.
const FEW: u32 = 2;

/// How much may be done at most. Zero means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Resources.
    pub count: u32,
    /// Hundredths of a percent of the complete population.
    pub share: u32,
    /// Sum of the monthly costs, in the currency of the run.
    pub monthly: Amount,
}

impl Default for Caps {
    /// Of a run: 50 resources, 5 %, 2,000 a month.
    fn default() -> Self {
        Limit::default().into()
    }
}

impl From<Limit> for Caps {
    fn from(limit: Limit) -> Self {
        Self { count: limit.count, share: limit.share, monthly: limit.monthly_usd }
    }
}

impl Caps {
    /// Nothing at all.
    pub const NONE: Self = Self { count: 0, share: 0, monthly: Amount::ZERO };

    /// What a window allows where a run is allowed this.
    #[must_use]
    pub fn window(self) -> Self {
        Self {
            count: self.count.saturating_mul(RUNS_A_WINDOW),
            share: self.share.saturating_mul(RUNS_A_WINDOW),
            monthly: self.monthly.times(i64::from(RUNS_A_WINDOW)),
        }
    }

    /// The resources that the share allows.
    fn items(self, population: u64) -> u32 {
        if self.share == 0 {
            0
        } else if population < SMALL {
            FEW
        } else {
            u32::try_from(u128::from(population) * u128::from(self.share) / 10_000).unwrap_or(u32::MAX)
        }
    }
}

/// The lowest of each. Of no caps at all: none.
pub fn lowest(caps: &[Caps]) -> Caps {
    let both = |a: Caps, b: &Caps| Caps {
        count: a.count.min(b.count),
        share: a.share.min(b.share),
        monthly: a.monthly.min(b.monthly),
    };
    match caps {
        [] => Caps::NONE,
        [first, rest @ ..] => rest.iter().fold(*first, both),
    }
}

/// What a share is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Population {
    /// So many resources, all of them listed.
    Complete(u64),
    /// Not all could be listed: a share allows none.
    Incomplete,
    /// This meter has no population; another that concerns the same action has.
    Elsewhere,
}

/// Something that is counted, and how far it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// `all`, `policy/unattached-disks`, `aws.ec2-volume/111122223333`, `standing/<nonce>`.
    pub name: String,
    pub run: Caps,
    pub window: Caps,
    pub population: Population,
}

impl Meter {
    /// With [`RUNS_A_WINDOW`] times the caps of a run in a window.
    pub fn new(name: impl Into<String>, run: Caps, population: Population) -> Self {
        Self { name: name.into(), run, window: run.window(), population }
    }
}

/// What an action takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The action: its plan and its item. Taken once however often it is asked for.
    pub id: String,
    /// What counts as one run: the plan, so that a run that is resumed has no second cap.
    pub run: String,
    pub count: u32,
    /// `None` where it is unknown, or in another currency than the caps.
    pub monthly: Option<Amount>,
}

/// Which cap was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    RunCount,
    RunShare,
    RunMonthly,
    WindowCount,
    WindowShare,
    WindowMonthly,
    /// What an action of unknown cost adds is not known.
    UnknownCost,
    /// A share of what was not completely listed is not known.
    IncompletePopulation,
}

impl Which {
    /// Reads after "the cap on".
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunCount => "resources in a run",
            Self::RunShare => "the share of all resources in a run",
            Self::RunMonthly => "monthly cost in a run",
            Self::WindowCount => "resources in 7 days",
            Self::WindowShare => "the share of all resources in 7 days",
            Self::WindowMonthly => "monthly cost in 7 days",
            Self::UnknownCost => "monthly cost, by an action of unknown cost",
            Self::IncompletePopulation => "the share of resources that were not all listed",
        }
    }
}

/// So much of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Resources(u32),
    Monthly(Amount),
    Unknown,
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resources(count) => write!(formatter, "{count}"),
            Self::Monthly(amount) => formatter.write_str(&amount.cents()),
            Self::Unknown => formatter.write_str("an unknown amount"),
        }
    }
}

/// A cap that an action would exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    pub meter: String,
    pub which: Which,
    pub limit: Size,
    pub used: Size,
    pub adding: Size,
}

impl fmt::Display for Tripped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { meter, which, limit, used, adding } = self;
        write!(formatter, "the cap on {} ({meter}): {used} of {limit} used, {adding} more asked for", which.name())
    }
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub count: u32,
    pub monthly: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The action, as long as it is not known whether it was done.
    open: Option<String>,
    run: String,
    at: Timestamp,
    count: u32,
    monthly: Amount,
}

/// What a meter has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rolling {
    entries: Vec<Entry>,
}

impl Document for Rolling {
    const FORMAT: &'static str = "sweeper.caps";
}

fn key(meter: &str) -> String {
    let parts: Vec<String> = meter.split('/').map(part).collect();
    format!("{METERS}{}", parts.join("/"))
}

impl Rolling {
    /// What the meter of a name has counted; nothing when there was nothing yet.
    pub fn load(store: &dyn Store, meter: &str) -> Result<Self, StoreError> {
        Ok(document::read(store, &key(meter))?.map(|(rolling, _)| rolling).unwrap_or_default())
    }

    fn sum<'a>(entries: impl Iterator<Item = &'a Entry>) -> Used {
        entries.fold(Used::default(), |used, entry| Used {
            count: used.count.saturating_add(entry.count),
            monthly: used.monthly + entry.monthly,
        })
    }

    /// In the last `seconds`. What lies in the future, by a clock that was ahead, counts.
    pub fn within(&self, now: Timestamp, seconds: i64) -> Used {
        Self::sum(self.entries.iter().filter(|entry| now.since(entry.at) < seconds))
    }

    /// By a run, whenever.
    pub fn of_run(&self, run: &str) -> Used {
        Self::sum(self.entries.iter().filter(|entry| entry.run == run))
    }

    /// The first cap that an action would exceed, if any.
    pub fn would_exceed(&self, meter: &Meter, charge: &Charge, now: Timestamp) -> Option<Tripped> {
        let run = (self.of_run(&charge.run), meter.run, [Which::RunCount, Which::RunShare, Which::RunMonthly]);
        let window =
            (self.within(now, WINDOW), meter.window, [Which::WindowCount, Which::WindowShare, Which::WindowMonthly]);
        [run, window].into_iter().find_map(|(used, caps, which)| exceeded(meter, used, caps, charge, which))
    }

    /// Forgets what is too old to count, and puts together what one run did at about the same time.
    fn tidy(&mut self, now: Timestamp) {
        self.entries.retain(|entry| !is_old(entry, now));
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        for entry in self.entries.drain(..) {
            let near = |other: &&mut Entry| {
                other.open.is_none() && other.run == entry.run && (other.at.since(entry.at)).abs() < MERGED
            };
            match kept.iter_mut().rev().find(near) {
                Some(other) if entry.open.is_none() => {
                    // At the later time: none of it is forgotten early.
                    other.at = other.at.max(entry.at);
                    other.count = other.count.saturating_add(entry.count);
                    other.monthly += entry.monthly;
                }
                _ => kept.push(entry),
            }
        }
        self.entries = kept;
    }

    /// Whether nothing in it counts any more.
    pub(crate) fn is_spent(&self, now: Timestamp) -> bool {
        self.entries.iter().all(|entry| is_old(entry, now))
    }
}

fn is_old(entry: &Entry, now: Timestamp) -> bool {
    now.since(entry.at) >= KEPT
}

fn exceeded(
    meter: &Meter,
    used: Used,
    caps: Caps,
    charge: &Charge,
    [count, share, monthly]: [Which; 3],
) -> Option<Tripped> {
    let tripped = |which, limit, used, adding| Some(Tripped { meter: meter.name.clone(), which, limit, used, adding });
    let resources = |which, limit| {
        let over = used.count.checked_add(charge.count).is_none_or(|total| total > limit);
        if over || limit == 0 {
            tripped(which, Size::Resources(limit), Size::Resources(used.count), Size::Resources(charge.count))
        } else {
            None
        }
    };
    let of_all = || match meter.population {
        Population::Elsewhere => None,
        Population::Complete(population) => resources(share, caps.items(population)),
        Population::Incomplete => tripped(
            Which::IncompletePopulation,
            Size::Unknown,
            Size::Resources(used.count),
            Size::Resources(charge.count),
        ),
    };
    let money = || {
        let (limit, spent) = (Size::Monthly(caps.monthly), Size::Monthly(used.monthly));
        match charge.monthly {
            None => tripped(Which::UnknownCost, limit, spent, Size::Unknown),
            // A negative cost makes no room.
            Some(adding) if caps.monthly <= Amount::ZERO || used.monthly + adding.max(Amount::ZERO) > caps.monthly => {
                tripped(monthly, limit, spent, Size::Monthly(adding))
            }
            Some(_) => None,
        }
    };
    resources(count, caps.count).or_else(of_all).or_else(money)
}

/// What became of asking for room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reserved {
    /// It is counted on every meter; the action may go on.
    Yes,
    /// It is counted on none, unless it was before; nothing may be done.
    Tripped(Tripped),
}

/// Counts an action on every meter before it is done, or on none. On an error it may be counted on some, and
/// nothing may be done.
pub fn reserve(store: &dyn Store, meters: &[Meter], charge: &Charge, now: Timestamp) -> Result<Reserved, StoreError> {
    let mut fresh = Vec::new();
    for meter in meters {
        let outcome = document::update(store, &key(&meter.name), |rolling: Option<Rolling>| {
            let mut rolling = rolling.unwrap_or_default();
            if rolling.entries.iter().any(|entry| entry.open.as_ref() == Some(&charge.id)) {
                return Ok(Next::Keep(Ok(false)));
            }
            if let Some(tripped) = rolling.would_exceed(meter, charge, now) {
                return Ok(Next::Keep(Err(tripped)));
            }
            rolling.tidy(now);
            rolling.entries.push(Entry {
                open: Some(charge.id.clone()),
                run: charge.run.clone(),
                at: now,
                count: charge.count,
                monthly: charge.monthly.unwrap_or_default().max(Amount::ZERO),
            });
            Ok(Next::Write(rolling, Ok(true)))
        })?;
        match outcome {
            Ok(true) => fresh.push(meter.name.as_str()),
            Ok(false) => {}
            Err(tripped) => {
                // Room that cannot be given back stays counted until the window has passed.
                settle(store, &fresh, &charge.id, false, now)?;
                return Ok(Reserved::Tripped(tripped));
            }
        }
    }
    Ok(Reserved::Yes)
}

/// Says what became of an action: `done` where it was, or may have been. Otherwise its room is free again.
pub fn settle(store: &dyn Store, meters: &[&str], id: &str, done: bool, now: Timestamp) -> Result<(), StoreError> {
    for meter in meters {
        document::update(store, &key(meter), |rolling: Option<Rolling>| {
            let mut rolling = rolling.unwrap_or_default();
            let Some(at) = rolling.entries.iter().position(|entry| entry.open.as_deref() == Some(id)) else {
                return Ok(Next::Keep(()));
            };
            if done {
                rolling.entries[at].open = None;
            } else {
                rolling.entries.remove(at);
            }
            rolling.tidy(now);
            Ok(Next::Write(rolling, ()))
        })?;
    }
    Ok(())
}

/// At most so many calls in any minute, for each account on its own. It remembers no more than that many
/// instants of an account, and forgets accounts that have been quiet for a minute.
#[derive(Clone, Debug)]
pub struct Rate {
    a_minute: usize,
    recent: BTreeMap<String, VecDeque<Duration>>,
}

const MINUTE: Duration = Duration::from_mins(1);

impl Default for Rate {
    /// Ten a minute: somebody who watches can still stop it.
    fn default() -> Self {
        Self::new(10)
    }
}

impl Rate {
    /// Zero means none, ever.
    pub fn new(a_minute: u32) -> Self {
        Self { a_minute: a_minute as usize, recent: BTreeMap::new() }
    }

    /// Takes leave for one call now, or says at which instant of the monotonic clock to ask again;
    /// `None` for never.
    pub fn take(&mut self, account: &str, mono: Duration) -> Result<(), Option<Duration>> {
        self.recent.retain(|_, calls| calls.back().is_some_and(|last| *last + MINUTE > mono));
        if self.a_minute == 0 {
            return Err(None);
        }
        let calls = self.recent.entry(account.to_owned()).or_default();
        while calls.front().is_some_and(|first| *first + MINUTE <= mono) {
            calls.pop_front();
        }
        if calls.len() >= self.a_minute {
            return Err(calls.front().map(|first| *first + MINUTE));
        }
        calls.push_back(mono);
        Ok(())
    }

    /// Counts calls as made now that an earlier process may have made within the last minute, so that a run
    /// that starts again and again is no faster: see [`Rolling::within`].
    pub fn made(&mut self, account: &str, calls: u32, mono: Duration) {
        for _ in 0..(calls as usize).min(self.a_minute) {
            let _ = self.take(account, mono);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, weather::Weather};
    use proptest::prelude::*;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    const NOW: Timestamp = Timestamp(1_800_000_000);
    const S: Duration = Duration::from_secs(1);

    fn charge(id: u32, run: &str) -> Charge {
        Charge { id: format!("{run}/{id}"), run: run.to_owned(), count: 1, monthly: Some(Amount::whole(1)) }
    }

    fn all(run: Caps) -> Meter {
        Meter::new("all", run, Population::Elsewhere)
    }

    fn take(store: &dyn Store, meters: &[Meter], charge: &Charge, now: Timestamp) -> Result<(), Which> {
        match reserve(store, meters, charge, now).unwrap() {
            Reserved::Yes => Ok(()),
            Reserved::Tripped(tripped) => Err(tripped.which),
        }
    }

    /// Does as many as it may, one after the other; why no more.
    fn fill(store: &dyn Store, meter: &Meter, run: &str, now: Timestamp) -> (u32, Which) {
        for id in 0.. {
            let charge = charge(id, run);
            if let Err(which) = take(store, std::slice::from_ref(meter), &charge, now) {
                return (id, which);
            }
            settle(store, &[&meter.name], &charge.id, true, now).unwrap();
        }
        unreachable!()
    }

    #[test]
    fn the_defaults_are_those_of_policies() {
        let caps = Caps::default();
        assert_eq!((caps.count, caps.share, caps.monthly), (50, 500, Amount::whole(2000)));
        let window = caps.window();
        assert_eq!((window.count, window.share, window.monthly), (150, 1500, Amount::whole(6000)));
    }

    #[test]
    fn the_lowest_wins_and_no_caps_allow_nothing() {
        let caps = |count, share, monthly| Caps { count, share, monthly: Amount::whole(monthly) };
        assert_eq!(lowest(&[caps(1, 500, 30), caps(2, 400, 20), caps(3, 600, 10)]), caps(1, 400, 10));
        assert_eq!(lowest(&[]), Caps::NONE);
    }

    #[test]
    fn zero_means_none() {
        for (caps, which) in [
            (Caps { count: 0, ..Caps::default() }, Which::RunCount),
            (Caps { share: 0, ..Caps::default() }, Which::RunShare),
            (Caps { monthly: Amount::ZERO, ..Caps::default() }, Which::RunMonthly),
        ] {
            let meter = Meter::new("m", caps, Population::Complete(1_000_000));
            let free = Charge { monthly: Some(Amount::ZERO), ..charge(1, "p") };
            assert_eq!(take(&MemoryStore::new(), &[meter], &free, NOW), Err(which));
        }
    }

    #[test]
    fn a_run_and_a_window_have_their_caps() {
        let store = MemoryStore::new();
        let meter = all(Caps::default());
        for run in ["a", "b", "c"] {
            assert_eq!(fill(&store, &meter, run, NOW), (50, Which::RunCount));
        }
        assert_eq!(fill(&store, &meter, "d", NOW), (0, Which::WindowCount));
        // The boundary is exact.
        assert_eq!(fill(&store, &meter, "d", NOW.plus(WINDOW - 1)), (0, Which::WindowCount));
        assert_eq!(fill(&store, &meter, "d", NOW.plus(WINDOW)), (50, Which::RunCount));
        // A run that goes on later has still had its cap.
        assert_eq!(fill(&store, &meter, "d", NOW.plus(2 * WINDOW - 1)), (0, Which::RunCount));
    }

    #[test]
    fn money_is_capped_and_what_is_unknown_trips() {
        let store = MemoryStore::new();
        let meter = all(Caps { count: 1000, ..Caps::default() });
        let costs = |id, monthly| Charge { monthly, ..charge(id, "p") };
        let exact = costs(1, Some(Amount::whole(1999)));
        assert_eq!(take(&store, std::slice::from_ref(&meter), &exact, NOW), Ok(()));
        let over = costs(2, Amount::parse("1.000000000001"));
        assert_eq!(take(&store, std::slice::from_ref(&meter), &over, NOW), Err(Which::RunMonthly));
        assert_eq!(take(&store, std::slice::from_ref(&meter), &costs(3, None), NOW), Err(Which::UnknownCost));
        assert_eq!(take(&store, std::slice::from_ref(&meter), &costs(4, Some(Amount::whole(1))), NOW), Ok(()));
        // A credit makes no room.
        assert_eq!(take(&store, std::slice::from_ref(&meter), &costs(5, Some(Amount::whole(-9))), NOW), Ok(()));
        assert_eq!(take(&store, &[meter], &costs(6, Some(Amount::whole(1))), NOW), Err(Which::RunMonthly));
    }

    #[test]
    fn shares_are_of_what_was_all_listed() {
        let allowed = |share, population| {
            let caps = Caps { share, count: 1000, monthly: Amount::whole(10_000) };
            fill(&MemoryStore::new(), &Meter::new("k", caps, population), "p", NOW)
        };
        for (share, population, count) in [
            (500, 1000, 50),
            (500, 59, 2),
            (500, 60, 3),
            (500, 40, 2),
            (500, 39, 2),
            (500, 1, 2),
            (5000, 39, 2),
            (5000, 40, 20),
            (1, 9999, 0),
            (1, 10_000, 1),
            (0, 10_000, 0),
            (0, 10, 0),
        ] {
            let outcome = allowed(share, Population::Complete(population));
            assert_eq!(outcome, (count, Which::RunShare), "{share} of {population}");
        }
        assert_eq!(allowed(10_000, Population::Incomplete), (0, Which::IncompletePopulation));
    }

    #[test]
    fn all_meters_or_none() {
        let store = MemoryStore::new();
        let wide = all(Caps::default());
        let narrow = Meter::new("policy/p", Caps { count: 1, ..Caps::default() }, Population::Elsewhere);
        let meters = [wide, narrow];
        assert_eq!(take(&store, &meters, &charge(1, "a"), NOW), Ok(()));
        assert_eq!(take(&store, &meters, &charge(2, "a"), NOW), Err(Which::RunCount));
        assert_eq!(Rolling::load(&store, "all").unwrap().of_run("a").count, 1);
        // The one that was counted before stays counted.
        assert_eq!(take(&store, &meters, &charge(1, "a"), NOW), Ok(()));
        assert_eq!(Rolling::load(&store, "all").unwrap().of_run("a").count, 1);
    }

    #[test]
    fn what_was_not_done_gives_its_room_back() {
        let store = MemoryStore::new();
        let meter = [all(Caps { count: 1, ..Caps::default() })];
        for id in 0..5 {
            assert_eq!(take(&store, &meter, &charge(id, "a"), NOW), Ok(()));
            assert_eq!(take(&store, &meter, &charge(99, "a"), NOW), Err(Which::RunCount));
            settle(&store, &["all"], &charge(id, "a").id, false, NOW).unwrap();
        }
        assert_eq!(Rolling::load(&store, "all").unwrap().within(NOW, WINDOW), Used::default());
    }

    #[test]
    fn crashes_and_runs_at_once_share_one_cap() {
        // Each run reserves and dies before it settles.
        let store = MemoryStore::new();
        let meter = [all(Caps { count: 10, ..Caps::default() })];
        let done: u32 =
            (0..100).map(|run| u32::from(take(&store, &meter, &charge(0, &run.to_string()), NOW).is_ok())).sum();
        assert_eq!(done, 30);
        // Eight at once.
        let (store, done) = (MemoryStore::new(), AtomicU32::new(0));
        thread::scope(|scope| {
            for run in 0..8 {
                let (store, meter, done) = (store.clone(), &meter, &done);
                scope.spawn(move || {
                    for id in 0..10 {
                        if take(&store, meter, &charge(id, &run.to_string()), NOW).is_ok() {
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 30);
    }

    #[test]
    fn a_clock_that_is_ahead_for_a_while_frees_nothing() {
        let store = MemoryStore::new();
        let meter = all(Caps::default());
        for run in ["a", "b", "c"] {
            let _ = fill(&store, &meter, run, NOW);
        }
        // It writes something in the future, and tidies up.
        assert_eq!(fill(&store, &meter, "d", NOW.plus(WINDOW)), (50, Which::RunCount));
        assert_eq!(fill(&store, &meter, "e", NOW), (0, Which::WindowCount));
        assert_eq!(Rolling::load(&store, "all").unwrap().within(NOW, WINDOW).count, 200);
    }

    #[test]
    fn a_meter_does_not_grow() {
        let store = MemoryStore::new();
        let caps = Caps { count: 100_000, monthly: Amount::whole(1_000_000), share: 0 };
        let hours = 24 * 16;
        for hour in 0..hours {
            let now = NOW.plus(hour * 3600);
            let charge = charge(0, &format!("run-{hour}"));
            assert_eq!(take(&store, &[all(caps)], &charge, now), Ok(()));
            settle(&store, &["all"], &charge.id, true, now).unwrap();
        }
        // What one run does within an hour is one entry.
        for id in 0..5 {
            let charge = charge(id, "run-x");
            assert_eq!(take(&store, &[all(caps)], &charge, NOW.plus(hours * 3600 + i64::from(id))), Ok(()));
            settle(&store, &["all"], &charge.id, true, NOW.plus(hours * 3600)).unwrap();
        }
        let rolling = Rolling::load(&store, "all").unwrap();
        assert_eq!(rolling.entries.iter().filter(|entry| entry.run == "run-x").count(), 1);
        assert_eq!(rolling.within(NOW.plus(hours * 3600), WINDOW).count, 24 * 7 - 1 + 5);
        assert!(rolling.entries.len() <= 24 * 14 + 1, "{}", rolling.entries.len());
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let store = MemoryStore::new();
        store.put_if(&key("all"), br#"{"format":"sweeper.caps/2","body":{}}"#, None).unwrap();
        let error = reserve(&store, &[all(Caps::default())], &charge(1, "a"), NOW).unwrap_err();
        assert_eq!(error, StoreError::Newer { found: 2, known: 1 });
        let store = Weather::new(MemoryStore::new());
        store.lose_answers(1);
        assert!(reserve(&store, &[all(Caps::default())], &charge(1, "a"), NOW).is_err());
        // It is counted all the same, and once.
        assert_eq!(take(&store, &[all(Caps::default())], &charge(1, "a"), NOW), Ok(()));
        assert_eq!(Rolling::load(&store, "all").unwrap().of_run("a").count, 1);
    }

    #[test]
    fn a_tripped_cap_says_what_it_is() {
        let store = MemoryStore::new();
        let meter = all(Caps { monthly: Amount::whole(10), ..Caps::default() });
        let dear = Charge { monthly: Some(Amount::whole(11)), ..charge(1, "a") };
        let Reserved::Tripped(tripped) = reserve(&store, &[meter], &dear, NOW).unwrap() else { panic!() };
        assert_eq!(
            tripped.to_string(),
            "the cap on monthly cost in a run (all): 0.00 of 10.00 used, 11.00 more asked for"
        );
    }

    #[test]
    fn calls_are_as_rare_as_they_have_to_be() {
        let mut rate = Rate::default();
        for call in 0..10 {
            assert_eq!(rate.take("a", call * S), Ok(()));
        }
        assert_eq!(rate.take("a", 10 * S), Err(Some(60 * S)));
        assert_eq!(rate.take("b", 10 * S), Ok(()));
        assert_eq!(rate.take("a", 60 * S), Ok(()));
        assert_eq!(rate.take("a", 60 * S), Err(Some(61 * S)));
        assert_eq!(Rate::new(0).take("a", S), Err(None));
        let mut again = Rate::default();
        again.made("a", 7, S);
        assert_eq!((0..9).filter(|_| again.take("a", S).is_ok()).count(), 3);
    }

    proptest! {
        #[test]
        fn no_minute_has_more_calls_than_allowed(
            a_minute in 0_u32..12,
            gaps in prop::collection::vec((0_u64..20_000, prop::bool::ANY), 1..200),
        ) {
            let mut rate = Rate::new(a_minute);
            let (mut mono, mut made) = (Duration::ZERO, Vec::new());
            for (gap, waits) in gaps {
                mono += Duration::from_millis(gap);
                match rate.take("a", mono) {
                    Ok(()) => made.push(mono),
                    Err(Some(until)) if waits => {
                        prop_assert!(until > mono);
                        mono = until;
                        prop_assert_eq!(rate.take("a", mono), Ok(()));
                        made.push(mono);
                    }
                    Err(_) => {}
                }
            }
            for (at, first) in made.iter().enumerate() {
                let within = made[at..].iter().take_while(|call| **call < *first + MINUTE).count();
                prop_assert!(within <= a_minute as usize);
            }
        }

        // Whatever is done, given back, or left open, in several runs: no window and no run has more than allowed.
        #[test]
        fn no_window_has_more_than_allowed(steps in prop::collection::vec((0_i64..60_000, 0_u32..4, 0_u8..3, 0_i64..900), 1..60)) {
            let store = MemoryStore::new();
            let meter = all(Caps { count: 6, share: 0, monthly: Amount::whole(1500) });
            let (mut now, mut done) = (NOW, Vec::new());
            for (id, (gap, run, end, cost)) in steps.into_iter().enumerate() {
                now = now.plus(gap);
                let charge = Charge { monthly: Some(Amount::whole(cost)), ..charge(id as u32, &format!("run-{run}")) };
                if take(&store, std::slice::from_ref(&meter), &charge, now).is_err() {
                    continue;
                }
                match end {
                    0 => settle(&store, &["all"], &charge.id, false, now).unwrap(),
                    1 => settle(&store, &["all"], &charge.id, true, now).unwrap(),
                    _ => {}
                }
                if end != 0 {
                    done.push((now, cost));
                }
            }
            for (at, (first, _)) in done.iter().enumerate() {
                let window: Vec<_> = done[at..].iter().take_while(|(when, _)| when.since(*first) < WINDOW).collect();
                prop_assert!(window.len() <= 18);
                prop_assert!(window.iter().map(|(_, cost)| cost).sum::<i64>() <= 4500);
            }
        }
    }
}
