//! The memory of what was seen before: since when a rule has held of a resource.
//!
//! The clock counts *observed* time. Found starts or continues it, Clean clears it, Unknown (or no run)
//! neither resets nor advances it, and a gap longer than `max_gap` is not counted. It is an input of
//! [`crate::policy::decide`], so that rules about time stay pure.

use crate::{
    detect::View,
    inventory::{Resource, ResourceIx, Status},
    model::{DAY, Scope, Timestamp},
    policy::{Evaluation, PolicySet, RowVerdict},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The longest time between two runs that still counts as observed, seconds.
pub const MAX_GAP: i64 = 3 * DAY;
/// How far apart two sightings must be to count as two, seconds.
pub const APART: i64 = DAY;

/// What a clock belongs to. A re-created name is another: its identity or its creation differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LedgerKey {
    /// [`crate::policy::Policy::rule`].
    pub rule: String,
    pub kind: String,
    pub account: String,
    pub uid: String,
    pub created: Option<Timestamp>,
}

impl LedgerKey {
    pub fn new(rule: &str, resource: &Resource<'_>) -> Self {
        Self {
            rule: rule.to_owned(),
            kind: resource.kind().id.to_owned(),
            account: resource.account().to_owned(),
            uid: resource.uid().to_owned(),
            created: resource.created(),
        }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub region: String,
    /// When the owner was told, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
}

/// A part of the ledger: what one evaluation needs, as it is kept in a survey.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerSlice {
    pub entries: BTreeMap<LedgerKey, Sighting>,
}

impl LedgerSlice {
    pub fn get(&self, key: &LedgerKey) -> Option<&Sighting> {
        self.entries.get(key)
    }
}

/// JSON has no maps with structured keys.
impl Serialize for LedgerSlice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entries.iter())
    }
}

impl<'de> Deserialize<'de> for LedgerSlice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<(LedgerKey, Sighting)>::deserialize(deserializer)?;
        Ok(Self { entries: entries.into_iter().collect() })
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
    pub cleared: BTreeSet<LedgerKey>,
}

/// Moves the clocks on by what was just seen. Pure: the same ledger and evaluation give the same clocks.
pub fn advance(
    ledger: &LedgerSlice,
    set: &PolicySet,
    view: &View<'_>,
    evaluation: &Evaluation,
    max_gap: i64,
) -> Advanced {
    let now = view.now;
    // Two policies with the same rule may both have a row; unknown is then the careful one.
    let mut judged: BTreeMap<LedgerKey, (State, ResourceIx)> = BTreeMap::new();
    for row in &evaluation.rows {
        let resource = view.inventory.at(row.resource);
        let state = match row.verdict {
            RowVerdict::Found => State::Found,
            RowVerdict::Unknown => State::Unknown,
        };
        let key = LedgerKey::new(&set.policies[row.policy as usize].rule, &resource);
        judged.entry(key).and_modify(|known| known.0 = known.0.max(state)).or_insert((state, row.resource));
    }
    let cleared = cleared(ledger, set, view, &judged);
    let mut slice = LedgerSlice::default();
    for (key, (state, at)) in judged {
        let region = view.inventory.at(at).scope().region.clone();
        if let Some(sighting) = moved(ledger.entries.get(&key), state, now, max_gap, region) {
            slice.entries.insert(key, sighting);
        }
    }
    Advanced { at: Some(now), slice, cleared }
}

/// One clock, moved on. Unknown starts none.
pub(crate) fn moved(
    before: Option<&Sighting>,
    state: State,
    now: Timestamp,
    max_gap: i64,
    region: String,
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
            told_at: None,
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

/// The clocks whose rule was judged and does not hold, or whose resource is certainly gone.
fn cleared(
    ledger: &LedgerSlice,
    set: &PolicySet,
    view: &View<'_>,
    judged: &BTreeMap<LedgerKey, (State, ResourceIx)>,
) -> BTreeSet<LedgerKey> {
    type Identity<'a> = (&'a str, &'a str, &'a str, Option<Timestamp>);
    fn identity(key: &LedgerKey) -> Identity<'_> {
        (&key.kind, &key.account, &key.uid, key.created)
    }
    let rules: BTreeSet<&str> = set.policies.iter().map(|policy| policy.rule.as_str()).collect();
    let quiet: Vec<(&LedgerKey, &Sighting)> = ledger
        .entries
        .iter()
        .filter(|(key, _)| !judged.contains_key(*key) && rules.contains(key.rule.as_str()))
        .collect();
    if quiet.is_empty() {
        return BTreeSet::new();
    }
    let sought: BTreeSet<Identity<'_>> = quiet.iter().map(|(key, _)| identity(key)).collect();
    let mut there: BTreeMap<Identity<'_>, ResourceIx> = BTreeMap::new();
    for resource in view.inventory.resources() {
        let identity = (resource.kind().id, resource.account(), resource.uid(), resource.created());
        if sought.contains(&identity) {
            there.insert(identity, resource.ix());
        }
    }
    quiet
        .into_iter()
        .filter(|(key, sighting)| match there.get(&identity(key)) {
            // Seen, and judged by the rule without a row: it does not hold.
            Some(at) => {
                let resource = view.inventory.at(*at);
                set.policies.iter().any(|policy| {
                    policy.rule == key.rule
                        && policy.judges(resource.kind())
                        && policy.covers(resource.cloud(), resource.account())
                        && policy.covers_region(resource.region())
                })
            }
            // Not seen: gone only where its listing was complete.
            None => view.inventory.kinds().iter().find(|kind| kind.id == key.kind).is_some_and(|kind| {
                let scope = Scope::new(kind.cloud, &key.account, &sighting.region);
                view.inventory
                    .covered(kind.id, &scope)
                    .is_some_and(|covered| matches!(covered.status, Status::Complete | Status::None { .. }))
            }),
        })
        .map(|(key, _)| key.clone())
        .collect()
}

/// Where the ledger is kept between runs.
pub trait Ledger: Send + Sync {
    /// Every clock.
    fn load(&self) -> Result<LedgerSlice, String>;
    /// Writes clocks moved on and takes out those cleared. Where somebody else wrote in between, the later
    /// sighting wins, and the earlier start.
    fn merge(&self, advanced: &Advanced) -> Result<(), String>;
}

/// The merge every ledger does.
pub fn merge(into: &mut LedgerSlice, advanced: &Advanced) {
    for key in &advanced.cleared {
        // Somebody who looked later knows better.
        if into.entries.get(key).is_some_and(|known| Some(known.last_seen) <= advanced.at) {
            into.entries.remove(key);
        }
    }
    for (key, sighting) in &advanced.slice.entries {
        match into.entries.get_mut(key) {
            Some(known) if known.last_seen > sighting.last_seen => {
                known.first_found = known.first_found.min(sighting.first_found);
            }
            Some(known) => {
                let first_found = known.first_found.min(sighting.first_found);
                let told_at = known.told_at.or(sighting.told_at);
                *known = Sighting { first_found, told_at, ..sighting.clone() };
            }
            None => {
                into.entries.insert(key.clone(), sighting.clone());
            }
        }
    }
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
        merge(&mut self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner), advanced);
        Ok(())
    }
}
