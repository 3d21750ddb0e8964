//! The frozen list of units: which shard lists what.

use super::{Run, ShardError, Shelf};
use crate::{
    inventory::Inventory,
    kind::{Cloud, CloudError, Fault, Universe},
    model::{CloudId, Scope, Timestamp},
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
    survey::{self, Universes, Wanted},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One account and region, with kinds that one shard lists there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    pub shard: u32,
    pub scope: Scope,
    /// By their place among the kinds of the list.
    pub kinds: Vec<u16>,
    /// How many calls that is expected to take.
    pub calls: u64,
}

/// What is known of a cloud's accounts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    cloud: CloudId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    universe: Option<Universe>,
    /// Why nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
}

/// A [`CloudError`] as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    fault: Fault,
    op: String,
    message: String,
}

/// The list that everybody of a run works from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    /// Which release froze it.
    tool: String,
    /// A digest of what is looked at and by which rules.
    rules: String,
    pub started: Timestamp,
    pub shards: u32,
    kinds: Vec<String>,
    accounts: BTreeMap<CloudId, BTreeSet<String>>,
    regions: BTreeMap<CloudId, BTreeSet<String>>,
    clouds: Vec<Known>,
    pub units: Vec<Unit>,
}

impl Document for Frozen {
    const FORMAT: &'static str = "sweeper.units";
}

const UNITS: &str = "units.json";

/// How many calls listings took, where that was more than one: kind -> scope -> calls. What the next run goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    calls: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Document for Expected {
    const FORMAT: &'static str = "sweeper.calls";
}

impl Expected {
    const KEY: &'static str = "calls";

    /// What a look took.
    pub fn of(inventory: &Inventory) -> Self {
        let mut expected = Self::default();
        for (spec, scope, covered) in inventory.coverage().into_iter().filter(|(.., covered)| covered.calls > 1) {
            let scopes = expected.calls.entry(spec.id.to_owned()).or_default();
            scopes.insert(scope.to_string(), u64::from(covered.calls));
        }
        expected
    }

    /// What is remembered; empty where nothing is.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(document::read(store, Self::KEY)?.map(|(expected, _)| expected).unwrap_or_default())
    }

    /// Remembers it in place of what was.
    pub fn remember(&self, store: &dyn Store) -> Result<(), StoreError> {
        document::update(store, Self::KEY, |known: Option<Self>| {
            Ok(if known.as_ref() == Some(self) { Next::Keep(()) } else { Next::Write(self.clone(), ()) })
        })
    }

    fn calls(&self, kind: &str, scope: &Scope) -> u64 {
        let known = self.calls.get(kind).and_then(|scopes| scopes.get(&scope.to_string()));
        known.copied().unwrap_or(1).max(1)
    }
}

/// Which shard each of some pieces of work falls to, so that all have about the same and neighbours mostly stay
/// together: the line of pieces is cut into stretches of one length. A shard has at most one piece more than its share.
pub(super) fn cut(sizes: &[u64], shards: u32) -> Vec<u32> {
    let total = sizes.iter().map(|size| u128::from(*size)).sum::<u128>().max(1);
    let mut before = 0_u128;
    let place = |size: &u64| {
        let size = u128::from(*size);
        // Where its middle lies.
        let at = (2 * before + size) * u128::from(shards) / (2 * total);
        before += size;
        u32::try_from(at).unwrap_or(u32::MAX).min(shards.saturating_sub(1))
    };
    sizes.iter().map(place).collect()
}

/// Freezes what is known, unless another was quicker; gives what then counts.
pub fn freeze(
    shelf: &dyn Shelf,
    run: &Run,
    universes: &Universes,
    wanted: &Wanted,
    expected: &Expected,
) -> Result<Frozen, ShardError> {
    let key = run.key(UNITS);
    let list = Frozen::new(run, universes, wanted, expected);
    if shelf.create(&key, &document::written(&key, &list)?)? {
        return Ok(list);
    }
    frozen(shelf, run)?.ok_or_else(|| ShardError::NoRun(run.id.clone()))
}

/// The list of a run, if it is frozen. One that was made by another release, for other rules or another number of
/// shards is an error.
pub fn frozen(shelf: &dyn Shelf, run: &Run) -> Result<Option<Frozen>, ShardError> {
    let key = run.key(UNITS);
    let Some(bytes) = shelf.read(&key)? else { return Ok(None) };
    let list: Frozen = document::parse(&key, &bytes)?;
    let other = |with: String, own: String| Err(ShardError::Other { run: run.id.clone(), with, own });
    if list.tool != run.tool {
        return other(format!("by {}", list.tool), run.tool.clone());
    }
    if list.rules != run.rules {
        return other("with other policies or for other accounts".to_owned(), "not for the same".to_owned());
    }
    // A merge takes whatever number there is.
    if run.shards != 0 && list.shards != run.shards {
        return other(format!("for {} shards", list.shards), format!("for {}", run.shards));
    }
    let kinds = list.kinds.len();
    if list.units.iter().any(|unit| unit.shard >= list.shards || unit.kinds.iter().any(|at| *at as usize >= kinds)) {
        return Err(ShardError::Damaged(key, "a unit of no shard or no kind".to_owned()));
    }
    Ok(Some(list))
}

impl Frozen {
    fn new(run: &Run, universes: &Universes, wanted: &Wanted, expected: &Expected) -> Self {
        let specs = survey::specs(universes, wanted);
        let kinds: Vec<String> = specs.iter().map(|spec| spec.id.to_owned()).collect();
        let mut listings = survey::agenda(universes, wanted).listings;
        // By account, so that few processes work in the same one and its limits hold.
        listings.sort_by(|a, b| (&a.scope, a.kind.spec().id).cmp(&(&b.scope, b.kind.spec().id)));
        let sizes: Vec<u64> =
            listings.iter().map(|listing| expected.calls(listing.kind.spec().id, &listing.scope)).collect();
        let mut units: Vec<Unit> = Vec::new();
        for ((listing, calls), shard) in listings.into_iter().zip(&sizes).zip(cut(&sizes, run.shards)) {
            let kind = specs.iter().position(|spec| spec.id == listing.kind.spec().id).unwrap_or_default() as u16;
            match units.last_mut() {
                Some(unit) if unit.shard == shard && unit.scope == listing.scope => {
                    unit.kinds.push(kind);
                    unit.calls += calls;
                }
                _ => units.push(Unit { shard, scope: listing.scope, kinds: vec![kind], calls: *calls }),
            }
        }
        let known = |(cloud, known): &(Arc<dyn Cloud>, Result<Universe, CloudError>)| Known {
            cloud: cloud.id(),
            universe: known.as_ref().ok().cloned(),
            trouble: known.as_ref().err().map(|error| Trouble {
                fault: error.fault,
                op: error.op.to_owned(),
                message: error.message.clone(),
            }),
        };
        Self {
            tool: run.tool.clone(),
            rules: run.rules.clone(),
            started: universes.started,
            shards: run.shards,
            kinds,
            accounts: wanted.accounts.clone(),
            regions: wanted.regions.clone(),
            clouds: universes.clouds.iter().map(known).collect(),
            units,
        }
    }

    /// The clouds of the list.
    pub fn clouds(&self) -> impl Iterator<Item = CloudId> {
        self.clouds.iter().map(|known| known.cloud)
    }

    /// What these clouds are, as far as the list tells, instead of asking them again. Clouds that it does not name are
    /// left out.
    pub fn universes(&self, clouds: Vec<Arc<dyn Cloud>>) -> Universes {
        let known = |cloud: Arc<dyn Cloud>| {
            let known = self.clouds.iter().find(|known| known.cloud == cloud.id())?;
            let universe = match (&known.universe, &known.trouble) {
                (Some(universe), _) => Ok(universe.clone()),
                (None, trouble) => Err(trouble.as_ref().map_or_else(
                    || CloudError::new(Fault::Malformed, "the list of units", ""),
                    // A name of a call, at most one a cloud.
                    |said| CloudError::new(said.fault, said.op.clone().leak(), said.message.clone()),
                )),
            };
            Some((cloud, universe))
        };
        Universes { started: self.started, clouds: clouds.into_iter().filter_map(known).collect() }
    }

    /// What was wanted when it was frozen.
    pub(super) fn wanted(&self, universes: &Universes) -> Wanted {
        let kinds = universes.clouds.iter().flat_map(|(cloud, _)| cloud.kinds()).map(|kind| kind.spec().id);
        Wanted {
            kinds: Some(kinds.filter(|id| self.kinds.iter().any(|own| own == id)).collect()),
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
        }
    }

    /// What a shard lists: kinds by scope.
    pub(super) fn listings(&self, shard: u32) -> BTreeMap<&Scope, BTreeSet<&str>> {
        let mut listings: BTreeMap<&Scope, BTreeSet<&str>> = BTreeMap::new();
        for unit in self.units.iter().filter(|unit| unit.shard == shard) {
            let kinds = unit.kinds.iter().filter_map(|at| self.kinds.get(*at as usize)).map(String::as_str);
            listings.entry(&unit.scope).or_default().extend(kinds);
        }
        listings
    }
}

/// Enters the accounts that some scopes are in. Gives those that cannot be entered, with the reason.
pub(super) async fn enter<'a>(
    universes: &Universes,
    scopes: impl Iterator<Item = &'a Scope>,
) -> Result<BTreeMap<(CloudId, String), String>, CloudError> {
    let mut accounts: BTreeMap<CloudId, BTreeSet<String>> = BTreeMap::new();
    for scope in scopes {
        accounts.entry(scope.cloud).or_default().insert(scope.account.clone());
    }
    let mut closed = BTreeMap::new();
    for (cloud, universe) in &universes.clouds {
        if let (Ok(universe), Some(accounts)) = (universe, accounts.get(&cloud.id())) {
            let failed = cloud.enter(universe, accounts).await?;
            closed.extend(failed.into_iter().map(|(account, why)| ((cloud.id(), account), why)));
        }
    }
    Ok(closed)
}
