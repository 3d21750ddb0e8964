//! The memory of what was seen before: since when a rule has held of a resource.
//!
//! The clock counts *observed* time. Found starts or continues it, Clean clears it, Unknown (or no run)
//! neither resets nor advances it, and a gap longer than `max_gap` is not counted. It is an input of
//! [`crate::policy::decide`], so that rules about time stay pure.
//!
//! A clock carries marks ([`Told`]): notices that were delivered. The ledger is their only authority; no tag of a
//! resource is. A mark lapses when the policy, the owner, the cost or what is seen of the resource changes.

mod told;

pub use told::{Fingerprint, Told};

use crate::{
    detect::View,
    inventory::{Resource, ResourceIx},
    model::{DAY, Scope, Timestamp},
    owner,
    policy::{Costs, Evaluation, PolicySet, RowVerdict},
    ttl,
};
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{BuildHasher as _, BuildHasherDefault},
    ops::Range,
    sync::Arc,
};

/// The longest time between two runs that still counts as observed, seconds.
pub const MAX_GAP: i64 = 3 * DAY;
/// How far apart two sightings must be to count as two, seconds.
pub const APART: i64 = DAY;
/// How far the clock may be behind what the ledger has seen, seconds.
pub const MAX_SKEW: i64 = 60;
/// How far the clock may be ahead of what the ledger has seen, seconds: nobody knows whether time passed or the clock
/// jumped.
pub const MAX_AHEAD: i64 = 90 * DAY;

/// What a clock belongs to. A re-created name is another: its identity or its creation differs.
///
/// There may be a million, so that what many share is kept once.
#[derive(Clone, PartialEq, Eq)]
pub struct LedgerKey {
    series: Arc<Series>,
    uid: Box<str>,
    created: Option<Timestamp>,
}

/// What the clocks of one rule, kind and account share.
#[derive(PartialEq, Eq)]
struct Series {
    /// [`crate::policy::Policy::rule`].
    rule: Box<str>,
    kind: Box<str>,
    account: Box<str>,
}

/// Rule, kind and account.
type SeriesOf<'a> = (&'a str, &'a str, &'a str);
/// A key that is not made, in the order of keys.
type Identity<'a> = (SeriesOf<'a>, &'a str, Option<Timestamp>);

impl Series {
    fn new((rule, kind, account): SeriesOf<'_>) -> Self {
        Self { rule: rule.into(), kind: kind.into(), account: account.into() }
    }

    fn parts(&self) -> SeriesOf<'_> {
        (&self.rule, &self.kind, &self.account)
    }
}

impl LedgerKey {
    pub fn new(rule: &str, resource: &Resource<'_>) -> Self {
        Self::of(rule, resource.kind().id, resource.account(), resource.uid(), resource.created())
    }

    /// Of its parts.
    pub fn of(rule: &str, kind: &str, account: &str, uid: &str, created: Option<Timestamp>) -> Self {
        Self { series: Arc::new(Series::new((rule, kind, account))), uid: uid.into(), created }
    }

    pub fn rule(&self) -> &str {
        &self.series.rule
    }

    pub fn kind(&self) -> &str {
        &self.series.kind
    }

    pub fn account(&self) -> &str {
        &self.series.account
    }

    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    fn identity(&self) -> Identity<'_> {
        (self.series.parts(), &self.uid, self.created)
    }
}

/// By rule, kind, account, identity and creation: the order in which they are written.
impl Ord for LedgerKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let series = if Arc::ptr_eq(&self.series, &other.series) {
            Ordering::Equal
        } else {
            self.series.parts().cmp(&other.series.parts())
        };
        series.then_with(|| self.uid.cmp(&other.uid)).then_with(|| self.created.cmp(&other.created))
    }
}

impl PartialOrd for LedgerKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for LedgerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity().fmt(formatter)
    }
}

/// What the last judgement was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Found,
    Unknown,
}

/// What is remembered of one rule and one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub first_found: Timestamp,
    /// Seconds for which it was seen to hold.
    pub observed: i64,
    pub last_seen: Timestamp,
    pub last_state: State,
    /// Times it was found, not counting those closer together than [`APART`].
    pub complete_sightings: u32,
    /// When the last of these was.
    pub counted_at: Timestamp,
    /// The region it was listed in: its absence means something only when that was listed completely.
    pub region: Arc<str>,
    /// Notices that were delivered and have not lapsed: one a policy, by its name.
    pub told: Box<[Told]>,
}

impl Sighting {
    /// The notice under a policy.
    pub fn told(&self, policy: &str) -> Option<&Told> {
        self.told.iter().find(|told| &*told.policy == policy)
    }
}

/// A clock, and what it belongs to.
pub type Entry = (LedgerKey, Sighting);

/// A part of the ledger: what one evaluation needs, as it is kept in a survey.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSlice {
    /// Sorted by key, each once: half of what a tree takes, and moved on in place.
    entries: Vec<Entry>,
    /// See [`Self::check`]. Not written: it is of the moment of reading.
    doubt: Option<Box<str>>,
}

impl LedgerSlice {
    /// Holds the wall clock against what the ledger has seen. Where they do not go together nothing may be decided
    /// by time.
    pub fn check(&mut self, wall: Timestamp) {
        let latest = self.entries.iter().map(|(_, sighting)| sighting.last_seen).max();
        self.doubt = latest.and_then(|latest| {
            let ahead = wall.since(latest);
            let said = |seconds: i64| ttl::spoken(seconds / 60 * 60);
            if ahead < -MAX_SKEW {
                Some(format!("it is {} behind what the state has seen, {latest}", said(-ahead)).into())
            } else if ahead > MAX_AHEAD {
                Some(format!("it is {} ahead of what the state has seen, {latest}", said(ahead / DAY * DAY)).into())
            } else {
                None
            }
        });
    }

    /// Says that the wall clock cannot be trusted, for a reason that others found.
    pub fn distrust(&mut self, why: String) {
        self.doubt = Some(why.into());
    }

    /// Why the clock cannot be trusted, if it was found so.
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// Only the clocks of some rows, and the last that moved: what a survey keeps of clocks that are in doubt.
    fn of_rows(&mut self, set: &PolicySet, view: &View<'_>, evaluation: &Evaluation) {
        let judged = Judged::of(set, view, evaluation);
        let mut rows = judged.clocks().peekable();
        let last = self.entries.iter().map(|(_, sighting)| sighting.last_seen).max();
        self.entries.retain(|(key, sighting)| {
            while rows.next_if(|(identity, ..)| *identity < key.identity()).is_some() {}
            Some(sighting.last_seen) == last || rows.peek().is_some_and(|(identity, ..)| *identity == key.identity())
        });
    }

    pub fn get(&self, key: &LedgerKey) -> Option<&Sighting> {
        self.find(key.identity()).ok().map(|at| &self.entries[at].1)
    }

    /// What is remembered of a resource under a rule.
    pub fn of(&self, rule: &str, resource: &Resource<'_>) -> Option<&Sighting> {
        let series = (rule, resource.kind().id, resource.account());
        self.find((series, resource.uid(), resource.created())).ok().map(|at| &self.entries[at].1)
    }

    /// In the order of keys.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Parts of one ledger put together. No two have a key in common.
    pub fn join<E>(parts: impl IntoIterator<Item = Result<Self, E>>) -> Result<Self, E> {
        let mut names = Names::default();
        let mut entries: Vec<Entry> = Vec::new();
        for part in parts {
            entries.extend(part?.entries.into_iter().map(|(key, sighting)| {
                let series = names.series(key.series.parts());
                let region = names.text(&sighting.region);
                (LedgerKey { series, ..key }, Sighting { region, ..sighting })
            }));
        }
        // In place: a stable sort needs half as much again.
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|later, earlier| later.0 == earlier.0);
        entries.shrink_to_fit();
        Ok(Self { entries, doubt: None })
    }

    fn find(&self, identity: Identity<'_>) -> Result<usize, usize> {
        self.entries.binary_search_by(|(key, _)| key.identity().cmp(&identity))
    }

    /// Adds clocks that are not there yet.
    fn add(&mut self, fresh: Vec<Entry>) {
        if self.entries.is_empty() {
            self.entries = fresh;
        } else {
            self.entries.extend(fresh);
        }
        self.sort();
        self.entries.shrink_to_fit();
    }

    /// Restores the order. Of clocks with one key, the last stays.
    fn sort(&mut self) {
        if self.entries.is_sorted_by(|a, b| a.0 < b.0) {
            return;
        }
        self.entries.sort_by(|a, b| a.0.cmp(&b.0));
        self.entries.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
    }
}

impl FromIterator<Entry> for LedgerSlice {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut slice = Self { entries: entries.into_iter().collect(), doubt: None };
        slice.sort();
        slice
    }
}

impl<'a> IntoIterator for &'a LedgerSlice {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for LedgerSlice {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// What entries share, while they are made.
#[derive(Default)]
struct Names {
    series: HashTable<Arc<Series>>,
    texts: BTreeSet<Arc<str>>,
}

fn hash(series: SeriesOf<'_>) -> u64 {
    BuildHasherDefault::<rustc_hash::FxHasher>::default().hash_one(series)
}

impl Names {
    fn series(&mut self, parts: SeriesOf<'_>) -> Arc<Series> {
        let code = hash(parts);
        if let Some(known) = self.series.find(code, |known| known.parts() == parts) {
            return Arc::clone(known);
        }
        let new = Arc::new(Series::new(parts));
        self.series.insert_unique(code, Arc::clone(&new), |known| hash(known.parts()));
        new
    }

    /// Regions, policies, channels, owners: few, and of many clocks.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }
}

/// A key as it is written.
#[derive(Serialize, Deserialize)]
struct WrittenKey<'a> {
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    account: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    created: Option<Timestamp>,
}

/// A [`Sighting`] as it is written.
#[derive(Serialize, Deserialize)]
struct WrittenSighting<'a> {
    first_found: Timestamp,
    observed: i64,
    last_seen: Timestamp,
    last_state: State,
    complete_sightings: u32,
    counted_at: Timestamp,
    #[serde(borrow)]
    region: Cow<'a, str>,
    /// Of earlier releases, which told nobody: without what was told it is no mark, and it is not kept.
    #[serde(default, skip_serializing, rename = "told_at")]
    _told_at: Option<Timestamp>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<told::Written<'a>>,
}

fn written((key, sighting): &Entry) -> (WrittenKey<'_>, WrittenSighting<'_>) {
    let key = WrittenKey {
        rule: key.rule().into(),
        kind: key.kind().into(),
        account: key.account().into(),
        uid: key.uid().into(),
        created: key.created,
    };
    let sighting = WrittenSighting {
        first_found: sighting.first_found,
        observed: sighting.observed,
        last_seen: sighting.last_seen,
        last_state: sighting.last_state,
        complete_sightings: sighting.complete_sightings,
        counted_at: sighting.counted_at,
        region: Cow::Borrowed(&sighting.region),
        _told_at: None,
        told: sighting.told.iter().map(told::Written::of).collect(),
    };
    (key, sighting)
}

impl Names {
    fn read(&mut self, key: WrittenKey<'_>, sighting: WrittenSighting<'_>) -> Entry {
        let series = self.series((&key.rule, &key.kind, &key.account));
        let key = LedgerKey { series, uid: key.uid.into(), created: key.created };
        let sighting = Sighting {
            first_found: sighting.first_found,
            observed: sighting.observed,
            last_seen: sighting.last_seen,
            last_state: sighting.last_state,
            complete_sightings: sighting.complete_sightings,
            counted_at: sighting.counted_at,
            region: self.text(&sighting.region),
            told: sighting.told.into_iter().map(|told| told.read(self)).collect(),
        };
        (key, sighting)
    }
}

/// JSON has no maps with structured keys.
impl Serialize for LedgerSlice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter().map(written))
    }
}

impl<'de> Deserialize<'de> for LedgerSlice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // One clock at a time: there may be a million.
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = LedgerSlice;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of clocks")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<LedgerSlice, A::Error> {
                let mut names = Names::default();
                let mut slice = LedgerSlice::default();
                while let Some((key, sighting)) = seq.next_element::<(WrittenKey<'de>, WrittenSighting<'de>)>()? {
                    slice.entries.push(names.read(key, sighting));
                }
                slice.sort();
                slice.entries.shrink_to_fit();
                Ok(slice)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

/// What [`advance`] came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advanced {
    /// The instant of the evaluation.
    pub at: Option<Timestamp>,
    /// The clocks of every row, moved on: what `decide` reads and a survey keeps.
    pub slice: LedgerSlice,
    /// Clocks that no longer run: the rule no longer holds, or the resource is gone.
    pub cleared: Vec<LedgerKey>,
}

/// Moves the clocks on by what was just seen, and drops marks that lapsed. Pure: the same ledger and evaluation give
/// the same clocks. Takes the ledger, since there may be no room for another. Where its clock is in doubt nothing moves
/// and nothing is cleared.
pub fn advance(
    ledger: LedgerSlice,
    set: &PolicySet,
    view: &View<'_>,
    costs: &dyn Costs,
    evaluation: &Evaluation,
    max_gap: i64,
) -> Advanced {
    let now = view.now;
    if ledger.doubt.is_some() {
        let mut slice = ledger;
        slice.of_rows(set, view, evaluation);
        return Advanced { at: None, slice, cleared: Vec::new() };
    }
    let judged = Judged::of(set, view, evaluation);
    let mut names = Names::default();
    let mut slice = ledger;
    let mut fresh = Vec::new();
    let mut still = vec![false; slice.entries.len()];
    let mut at = 0;
    for (identity, rows, region) in judged.clocks() {
        let state = judged.state(rows);
        while slice.entries.get(at).is_some_and(|(key, _)| key.identity() < identity) {
            at += 1;
        }
        let known = slice.entries.get_mut(at).filter(|(key, _)| key.identity() == identity);
        let after = moved(known.as_ref().map(|(_, sighting)| sighting), state, now, max_gap, names.text(region));
        match (known, after) {
            (Some((_, sighting)), Some(after)) => {
                *sighting = after;
                if !sighting.told.is_empty() {
                    judged.lapse(rows, set, costs, sighting);
                }
                still[at] = true;
            }
            (None, Some(after)) => {
                let (series, uid, created) = identity;
                fresh.push((LedgerKey { series: names.series(series), uid: uid.into(), created }, after));
            }
            (_, None) => {}
        }
    }
    drop(judged);
    let ends = ended(&slice.entries, &still, set, view);
    let mut cleared = Vec::with_capacity(ends.len());
    let (mut at, mut ends) = (0, ends.into_iter().peekable());
    let quiet = slice.entries.extract_if(.., |_| {
        at += 1;
        !still[at - 1]
    });
    // Both in the order of the ledger; what is quiet and has not ended stays where the ledger is kept.
    let places = still.iter().enumerate().filter(|(_, still)| !**still).map(|(at, _)| at);
    for ((key, _), at) in quiet.zip(places) {
        if ends.next_if_eq(&at).is_some() {
            cleared.push(key);
        }
    }
    slice.add(fresh);
    Advanced { at: Some(now), slice, cleared }
}

/// The rows of an evaluation in the order of the clocks they move.
struct Judged<'a> {
    view: &'a View<'a>,
    evaluation: &'a Evaluation,
    /// In their order.
    series: Vec<SeriesOf<'a>>,
    /// Index into `series`, and the row.
    rows: Vec<(u32, u32)>,
}

impl<'a> Judged<'a> {
    fn of(set: &'a PolicySet, view: &'a View<'a>, evaluation: &'a Evaluation) -> Self {
        let mut known: BTreeMap<SeriesOf<'a>, u32> = BTreeMap::new();
        let mut rows = Vec::with_capacity(evaluation.rows.len());
        for (at, row) in evaluation.rows.iter().enumerate() {
            let resource = view.inventory.at(row.resource);
            let rule = set.policies[usize::from(row.policy)].rule.as_str();
            let new = known.len() as u32;
            let series = *known.entry((rule, resource.kind().id, resource.account())).or_insert(new);
            rows.push((series, at as u32));
        }
        let mut ranks = vec![0; known.len()];
        for (rank, met) in known.values().enumerate() {
            ranks[*met as usize] = rank as u32;
        }
        for (series, _) in &mut rows {
            *series = ranks[*series as usize];
        }
        let mut judged = Self { view, evaluation, series: known.into_keys().collect(), rows: Vec::new() };
        rows.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| {
                    let (a, b) = (judged.resource(a.1), judged.resource(b.1));
                    a.uid().cmp(b.uid()).then_with(|| a.created().cmp(&b.created()))
                })
                .then_with(|| a.1.cmp(&b.1))
        });
        judged.rows = rows;
        judged
    }

    fn resource(&self, row: u32) -> Resource<'a> {
        self.view.inventory.at(self.evaluation.rows[row as usize].resource)
    }

    fn identity(&self, (series, row): (u32, u32)) -> Identity<'a> {
        let resource = self.resource(row);
        (self.series[series as usize], resource.uid(), resource.created())
    }

    /// Each clock once, with its rows and its region.
    fn clocks(&self) -> impl Iterator<Item = (Identity<'a>, &[(u32, u32)], &'a str)> {
        self.rows.chunk_by(|a, b| self.identity(*a) == self.identity(*b)).map(|rows| {
            let first = rows[0];
            (self.identity(first), rows, self.resource(first.1).scope().region.as_str())
        })
    }

    /// Two policies with the same rule may both have a row; unknown is then the careful one.
    fn state(&self, rows: &[(u32, u32)]) -> State {
        let unknown = |row: &(u32, u32)| self.evaluation.rows[row.1 as usize].verdict == RowVerdict::Unknown;
        if rows.iter().any(unknown) { State::Unknown } else { State::Found }
    }

    /// Drops the marks of a clock that no longer say what is so. A mark of a policy that is not among these stays, and
    /// so does one of which something was not seen.
    fn lapse(&self, rows: &[(u32, u32)], set: &PolicySet, costs: &dyn Costs, sighting: &mut Sighting) {
        let mut told = std::mem::take(&mut sighting.told).into_vec();
        told.retain(|told| {
            let Some(policy) = set.policies.iter().position(|policy| policy.name == *told.policy) else { return true };
            let row = rows
                .iter()
                .map(|row| &self.evaluation.rows[row.1 as usize])
                .find(|row| usize::from(row.policy) == policy);
            let Some(row) = row else { return false };
            let resource = self.view.inventory.at(row.resource);
            match owner::of(self.view, resource) {
                Ok(owner) if row.verdict == RowVerdict::Found => {
                    let cost = costs.monthly(resource);
                    let now = Fingerprint::of(&set.policies[policy], resource, owner.name.as_deref(), &cost);
                    told.fingerprint.differs(&now).is_none()
                }
                _ => true,
            }
        });
        sighting.told = told.into_boxed_slice();
    }
}

/// One clock, moved on. Unknown starts none.
pub(crate) fn moved(
    before: Option<&Sighting>,
    state: State,
    now: Timestamp,
    max_gap: i64,
    region: Arc<str>,
) -> Option<Sighting> {
    let Some(before) = before else {
        return (state == State::Found).then_some(Sighting {
            first_found: now,
            observed: 0,
            last_seen: now,
            last_state: state,
            complete_sightings: 1,
            counted_at: now,
            region,
            told: Box::default(),
        });
    };
    let mut after = Sighting { region, ..before.clone() };
    let gap = now.since(before.last_seen);
    if gap < 0 {
        // An older survey judged again: what is known since stays.
        return Some(after);
    }
    if state == State::Found && before.last_state == State::Found && gap <= max_gap {
        after.observed = after.observed.saturating_add(gap);
    }
    if state == State::Found && now.since(before.counted_at) >= APART {
        after.complete_sightings = after.complete_sightings.saturating_add(1);
        after.counted_at = now;
    }
    after.last_seen = now;
    after.last_state = state;
    Some(after)
}

/// Of the clocks that are not still running: where those are whose rule was judged and does not hold, or
/// whose resource is certainly gone.
fn ended(entries: &[Entry], still: &[bool], set: &PolicySet, view: &View<'_>) -> Vec<usize> {
    let rules: BTreeSet<&str> = set.policies.iter().map(|policy| policy.rule.as_str()).collect();
    let quiet: Vec<usize> =
        (0..entries.len()).filter(|at| !still[*at] && rules.contains(entries[*at].0.rule())).collect();
    if quiet.is_empty() {
        return quiet;
    }
    let there = there(entries, &quiet, view);
    quiet
        .into_iter()
        .zip(there)
        .filter(|(at, there)| {
            let (key, sighting) = &entries[*at];
            match there {
                // Seen, and judged by the rule without a row: it does not hold.
                Some(at) => {
                    let resource = view.inventory.at(*at);
                    let judged = set.policies.iter().any(|policy| {
                        policy.rule == key.rule()
                            && policy.judges(resource.kind())
                            && policy.covers(resource.cloud(), resource.account())
                            && policy.covers_region(resource.region())
                    });
                    judged && resource.is_selected()
                }
                // Not seen: gone only where its listing was complete.
                None => view.inventory.kinds().iter().find(|kind| kind.id == key.kind()).is_some_and(|kind| {
                    view.inventory.is_whole(kind, &Scope::new(kind.cloud, key.account(), &*sighting.region))
                }),
            }
        })
        .map(|(at, _)| at)
        .collect()
}

/// The resources of some clocks, where they were seen.
fn there(entries: &[Entry], quiet: &[usize], view: &View<'_>) -> Vec<Option<ResourceIx>> {
    let key = |at: usize| &entries[quiet[at]].0;
    // Clocks of one series stand together.
    let mut ranges: BTreeMap<(&str, &str), Vec<Range<usize>>> = BTreeMap::new();
    let mut from = 0;
    for series in quiet.chunk_by(|a, b| entries[*a].0.series == entries[*b].0.series) {
        let to = from + series.len();
        ranges.entry((key(from).kind(), key(from).account())).or_default().push(from..to);
        from = to;
    }
    let mut there = vec![None; quiet.len()];
    for resource in view.inventory.resources() {
        let wanted = (resource.uid(), resource.created());
        for range in ranges.get(&(resource.kind().id, resource.account())).into_iter().flatten() {
            let of = |at: &usize| (entries[*at].0.uid(), entries[*at].0.created);
            if let Ok(at) = quiet[range.clone()].binary_search_by(|at| of(at).cmp(&wanted)) {
                there[range.start + at] = Some(resource.ix());
            }
        }
    }
    there
}

/// Where the ledger is kept between runs.
pub trait Ledger: Send + Sync {
    /// Every clock.
    fn load(&self) -> Result<LedgerSlice, String>;
    /// Writes clocks moved on and takes out those cleared. Where somebody else wrote in between, the later
    /// sighting wins, and the earlier start. Of a clock that is there already it takes marks away and adds none:
    /// see [`Self::mark`].
    fn merge(&self, advanced: &Advanced) -> Result<(), String>;
    /// Marks clocks as told, once a notice was delivered; an earlier mark of the same policy is replaced. Gives how
    /// many were there to be marked.
    fn mark(&self, marks: &[(LedgerKey, Told)]) -> Result<usize, String>;
}

/// The merge every ledger does, of all that was [`Advanced`] or of what concerns one part of the ledger.
pub fn merge<'a>(
    into: &mut LedgerSlice,
    at: Option<Timestamp>,
    moved: impl IntoIterator<Item = &'a Entry>,
    cleared: impl IntoIterator<Item = &'a LedgerKey>,
) {
    let mut gone: Vec<usize> = Vec::new();
    for key in cleared {
        // Somebody who looked later knows better.
        if let Ok(place) = into.find(key.identity())
            && Some(into.entries[place].1.last_seen) <= at
        {
            gone.push(place);
        }
    }
    if !gone.is_empty() {
        gone.sort_unstable();
        let mut place = 0;
        into.entries.retain(|_| {
            place += 1;
            gone.binary_search(&(place - 1)).is_err()
        });
    }
    let mut fresh = Vec::new();
    for (key, sighting) in moved {
        match into.find(key.identity()) {
            Ok(place) => {
                let known = &mut into.entries[place].1;
                let first_found = known.first_found.min(sighting.first_found);
                if known.last_seen > sighting.last_seen {
                    known.first_found = first_found;
                } else {
                    // Marks that lapsed go, and those stay that were made since the evaluation.
                    let mut told = std::mem::take(&mut known.told).into_vec();
                    told.retain(|mark| Some(mark.at) > at || sighting.told.contains(mark));
                    *known = Sighting { first_found, told: told.into_boxed_slice(), ..sighting.clone() };
                }
            }
            Err(_) => fresh.push((key.clone(), sighting.clone())),
        }
    }
    if !fresh.is_empty() {
        into.add(fresh);
    }
}

/// The marking every ledger does, of all marks or of those that concern one part of the ledger.
pub fn mark<'a>(into: &mut LedgerSlice, marks: impl IntoIterator<Item = &'a (LedgerKey, Told)>) -> usize {
    let mut marked = 0;
    for (key, new) in marks {
        let Ok(place) = into.find(key.identity()) else { continue };
        let sighting = &mut into.entries[place].1;
        let mut told = std::mem::take(&mut sighting.told).into_vec();
        told.retain(|known| known.policy != new.policy);
        told.push(new.clone());
        told.sort_by(|a, b| a.policy.cmp(&b.policy));
        sighting.told = told.into_boxed_slice();
        marked += 1;
    }
    marked
}

/// Forgets everything with the process.
#[derive(Default)]
pub struct InMemory {
    kept: std::sync::Mutex<LedgerSlice>,
}

impl Ledger for InMemory {
    fn load(&self) -> Result<LedgerSlice, String> {
        Ok(self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
    }

    fn merge(&self, advanced: &Advanced) -> Result<(), String> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        merge(&mut kept, advanced.at, &advanced.slice, &advanced.cleared);
        Ok(())
    }

    fn mark(&self, marks: &[(LedgerKey, Told)]) -> Result<usize, String> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(mark(&mut kept, marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"[[{"rule":"r","kind":"aws.ec2-volume","account":"1","uid":"vol-1","created":null},{"first_found":1,"observed":2,"last_seen":3,"last_state":"found","complete_sightings":1,"counted_at":1,"region":"us-east-1"}],[{"rule":"r","kind":"aws.ec2-volume","account":"1","uid":"vol-2","created":5},{"first_found":1,"observed":0,"last_seen":1,"last_state":"unknown","complete_sightings":1,"counted_at":1,"region":"us-east-1","told_at":2}]]"#;
    const TOLD: &str = r#","told":[{"policy":"p","at":2,"channel":"mail","to":"alice","fingerprint":{"policy":"00000000000000ff","owner":"0000000000000001","seen":"8000000000000000","monthly":"12.5"}}]"#;

    #[test]
    fn what_earlier_releases_wrote_is_read_and_written_again() {
        let slice: LedgerSlice = serde_json::from_str(OLD).unwrap();
        // Nobody knows what was told then: it is no mark.
        assert!(slice.iter().all(|(_, sighting)| sighting.told.is_empty()));
        assert_eq!(serde_json::to_string(&slice).unwrap(), OLD.replace(",\"told_at\":2", ""));
        let written = OLD.replace(",\"told_at\":2", TOLD);
        let slice: LedgerSlice = serde_json::from_str(&written).unwrap();
        assert_eq!(serde_json::to_string(&slice).unwrap(), written);
        // A reader lends no text.
        assert_eq!(serde_json::from_reader::<_, LedgerSlice>(written.as_bytes()).unwrap(), slice);
        let key = LedgerKey::of("r", "aws.ec2-volume", "1", "vol-2", Some(Timestamp(5)));
        let told = slice.get(&key).unwrap().told("p").unwrap();
        assert_eq!((told.at, &*told.channel, &*told.to), (Timestamp(2), "mail", "alice"));
        for damaged in [TOLD.replace("ff\"", "f\""), TOLD.replace("12.5", "x"), TOLD.replace("\"to\":\"alice\",", "")] {
            assert!(
                serde_json::from_str::<LedgerSlice>(&OLD.replace(",\"told_at\":2", &damaged)).is_err(),
                "{damaged}"
            );
        }
        // In any order, and of two with one key the last.
        let mut entries: Vec<Entry> = slice.clone().into_iter().rev().collect();
        let first = Sighting { observed: 9, ..entries[0].1.clone() };
        entries.insert(0, (key, first));
        assert_eq!(entries.iter().cloned().collect::<LedgerSlice>(), slice);
        let parts = entries.into_iter().skip(1).map(|entry| Ok::<_, String>(LedgerSlice::from_iter([entry])));
        assert_eq!(LedgerSlice::join(parts).unwrap(), slice);
    }

    #[test]
    fn a_clock_that_jumps_is_not_trusted() {
        let slice: LedgerSlice = serde_json::from_str(OLD).unwrap();
        let doubt = |wall: i64| {
            let mut slice = slice.clone();
            slice.check(Timestamp(wall));
            slice.doubt().map(str::to_owned)
        };
        // Last seen at 3.
        assert_eq!(doubt(3 - MAX_SKEW), None);
        assert_eq!(doubt(3 + MAX_AHEAD), None);
        assert_eq!(doubt(2 - MAX_SKEW).unwrap(), "it is 1 minute behind what the state has seen, 1970-01-01T00:00:03Z");
        assert!(doubt(4 + MAX_AHEAD).unwrap().starts_with("it is 90 days ahead"));
        // An empty ledger has seen nothing.
        let mut empty = LedgerSlice::default();
        empty.check(Timestamp(i64::MAX));
        assert_eq!(empty.doubt(), None);
    }

    #[test]
    fn merging_takes_marks_away_and_adds_none() {
        let key = |uid: &str| LedgerKey::of("r", "aws.ec2-volume", "1", uid, None);
        let told = |policy: &str, at: i64| Told {
            policy: policy.into(),
            at: Timestamp(at),
            channel: "mail".into(),
            to: "alice".into(),
            fingerprint: Fingerprint::default(),
        };
        let clock = |told: &[Told]| Sighting {
            first_found: Timestamp(0),
            observed: 0,
            last_seen: Timestamp(100),
            last_state: State::Found,
            complete_sightings: 1,
            counted_at: Timestamp(0),
            region: "r".into(),
            told: told.into(),
        };
        let kept = InMemory::default();
        let merge = |at: i64, marks: &[Told]| {
            let slice = LedgerSlice::from_iter([(key("a"), clock(marks))]);
            kept.merge(&Advanced { at: Some(Timestamp(at)), slice, cleared: vec![] }).unwrap();
            let left = kept.load().unwrap();
            left.get(&key("a")).unwrap().told.iter().map(|told| told.policy.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(merge(100, &[]), Vec::<String>::new());
        assert_eq!(kept.mark(&[(key("a"), told("p", 150)), (key("b"), told("p", 150))]), Ok(1));
        assert_eq!(kept.mark(&[(key("a"), told("o", 90))]), Ok(1));
        // Somebody who judged before the notice did not see it; what he saw lapse is gone.
        assert_eq!(merge(100, &[]), ["p"]);
        // Nobody brings back a mark that lapsed.
        assert_eq!(merge(200, &[told("p", 150), told("o", 90)]), ["p"]);
        assert_eq!(merge(200, &[]), Vec::<String>::new());
        // A new notice takes the place of the old one.
        assert_eq!(kept.mark(&[(key("a"), told("p", 1)), (key("a"), told("p", 300))]), Ok(2));
        assert_eq!(kept.load().unwrap().get(&key("a")).unwrap().told[..], [told("p", 300)]);
    }

    #[test]
    fn a_clock_is_small() {
        assert!(size_of::<Entry>() <= 112, "{}", size_of::<Entry>());
        let slice: LedgerSlice = serde_json::from_str(OLD).unwrap();
        let [a, b] = &slice.entries[..] else { panic!("{slice:?}") };
        assert!(Arc::ptr_eq(&a.0.series, &b.0.series) && Arc::ptr_eq(&a.1.region, &b.1.region));
    }
}
