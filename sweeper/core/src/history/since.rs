//! The rows of the last report, and how those of a later one differ: new, gone, changed.
//!
//! A failed read is no difference. What is not found any more is gone only where its listing was complete and its
//! policy judged; else it is *unknown*, is said so, and is in no sum. So is what is found where nobody looked before.
//! What was not seen by a run is carried to the next, for 30 days.

use super::short;
use crate::{
    detect,
    inventory::{Inventory, Resource, Status, is_within},
    kind::{KindSpec, Places},
    model::{CloudId, DAY, Scope, Timestamp},
    money::{Amount, Basis, Cost},
    policy::{Costs as _, Policy},
    report::{Coverage, DecisionOf, FORMAT, Glance, MonthlyCost, OwnerOf, Report, Saving, Seen, Sum, Verdict, sort_of},
    store::{
        Store, StoreError,
        document::{self, Document, Next},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    io::Read,
};

/// Rows that are kept, the dearest.
pub const ROWS: usize = 20_000;
/// Scopes of which is kept what was seen in them.
const SCOPES: usize = 50_000;
/// How long what was not seen since is carried along, seconds.
const CARRIED: i64 = 30 * DAY;
/// A cost that differs by no more has not changed.
const CENT: Amount = Amount::from_pico(10_000_000_000);

const KEY: &str = "history/last";

/// What was said of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    pub verdict: Verdict,
    pub monthly_cost: MonthlyCost,
    pub owner: OwnerOf,
    pub decision: DecisionOf,
}

/// A row as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    policy: String,
    detector: String,
    cloud: CloudId,
    kind: String,
    account: String,
    region: String,
    /// The region of the scope that it was listed in.
    listed_in: String,
    native_id: String,
    uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    is_waste: bool,
    /// Stood for its resource in the totals.
    counted: bool,
    stood: Stood,
    /// The run that saw it, where that is an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Timestamp>,
}

/// Kind, account, region and id: a resource of two runs.
type Place<'a> = (&'a str, &'a str, &'a str, &'a str);
/// Policy, resource and identity: a row of two runs. A name that was made anew is another.
type Key<'a> = (&'a str, Place<'a>, &'a str);

impl Row {
    fn place(&self) -> Place<'_> {
        (&self.kind, &self.account, &self.region, &self.native_id)
    }

    fn key(&self) -> Key<'_> {
        (&self.policy, self.place(), &self.uid)
    }

    fn saving(&self) -> Saving {
        Saving::from(self.is_waste, &Cost::from(&self.stood.monthly_cost))
    }

    /// Dearest first, and those that are certain.
    fn rank(&self) -> (Reverse<Option<Amount>>, Verdict) {
        (Reverse(self.saving().amount()), self.stood.verdict)
    }
}

fn place(resource: Resource<'_>) -> Place<'_> {
    (resource.kind().id, resource.account(), resource.region(), resource.native_id())
}

/// Kinds that were seen completely in some scopes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    at: Timestamp,
    kinds: BTreeSet<String>,
    /// `aws:111122223333/eu-west-1`.
    scopes: Vec<String>,
}

/// Rows that are not kept, since there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    rows: u64,
    /// None of them costs more; `None`: none has a known price.
    most: Option<Amount>,
}

/// What a run's policies were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policies {
    digest: String,
    names: BTreeSet<String>,
}

/// What an earlier run found, and where it looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Then {
    taken_at: Timestamp,
    /// `None`: it does not say.
    policies: Option<Policies>,
    rows: Vec<Row>,
    left_out: Option<LeftOut>,
    listed: Vec<Listed>,
    /// Only what is in these regions of a cloud was judged.
    only_in: BTreeMap<CloudId, BTreeSet<String>>,
}

impl Document for Then {
    const FORMAT: &'static str = "sweeper.history-last";
}

/// Why an earlier report cannot be used. Reads after "failed to read FILE:".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThenError {
    #[error("it is neither a report (`sweeper report --format json`) nor a survey: {0}")]
    Foreign(String),
    #[error("it has format `{0}`, and this release reads up to `{FORMAT}`")]
    Newer(String),
}

/// What a look saw of one kind in one account.
struct Listings<'a> {
    /// Whether regions are listed each by itself.
    by_region: bool,
    /// By region, why it was not seen.
    regions: Vec<(&'a str, Option<String>)>,
}

/// What a look saw of each kind, account by account.
struct Looked<'a>(BTreeMap<(CloudId, &'a str, &'a str), Listings<'a>>);

impl<'a> Looked<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let mut looked = Self(BTreeMap::new());
        for (kind, scope, covered) in inventory.coverage() {
            let why = match &covered.status {
                Status::Complete | Status::None { .. } => None,
                Status::Waived { why, .. } => Some(format!("waived: {why}")),
                Status::Blind { why } => Some(why.clone()),
            };
            let by_region = kind.places == Places::Regions;
            looked.note((scope.cloud, &scope.account, kind.id), by_region, &scope.region, why);
        }
        looked
    }

    fn written(coverage: &'a [Coverage], kinds: &[&'static KindSpec]) -> Self {
        let by_region: BTreeMap<&str, bool> =
            kinds.iter().map(|kind| (kind.id, kind.places == Places::Regions)).collect();
        let mut looked = Self(BTreeMap::new());
        for covered in coverage {
            let why = match covered.status {
                Seen::Complete | Seen::None => None,
                Seen::Waived | Seen::Blind => Some(covered.why.clone().unwrap_or_default()),
            };
            let by_region = by_region.get(covered.kind.as_str()).copied().unwrap_or(false);
            looked.note((covered.cloud, &covered.account, &covered.kind), by_region, &covered.region, why);
        }
        looked
    }

    fn note(&mut self, key: (CloudId, &'a str, &'a str), by_region: bool, region: &'a str, why: Option<String>) {
        let listings = self.0.entry(key).or_insert_with(|| Listings { by_region, regions: Vec::new() });
        listings.regions.push((region, why));
    }

    /// Why a kind was not completely seen in a scope, if it was not. What is listed once an account must have been
    /// seen in all of it.
    fn unseen(&self, cloud: CloudId, account: &str, kind: &str, listed_in: &str) -> Option<String> {
        let listings = self.0.get(&(cloud, account, kind));
        let own = listings.and_then(|listings| listings.regions.iter().find(|(region, _)| *region == listed_in));
        let (Some(Listings { by_region, regions }), Some((_, why))) = (listings, own) else {
            return Some("not looked at".to_owned());
        };
        let elsewhere = || regions.iter().filter(|_| !by_region).find_map(|(_, why)| why.clone());
        why.clone().or_else(elsewhere)
    }

    /// What was completely seen, with as few words as possible.
    fn listed(&self, at: Timestamp) -> Vec<Listed> {
        let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for ((cloud, account, kind), listings) in &self.0 {
            for (region, _) in &listings.regions {
                if self.unseen(*cloud, account, kind, region).is_none() {
                    let scope = Scope::new(*cloud, *account, *region).to_string();
                    kinds.entry(scope).or_default().insert((*kind).to_owned());
                }
            }
        }
        grouped(kinds.into_iter().map(|(scope, kinds)| (at, kinds, scope)))
    }

    /// The region of the scope that something in a region was listed in, as far as that can be told.
    fn listed_in(&self, cloud: CloudId, account: &str, kind: &str, region: &str) -> String {
        let regions = self.0.get(&(cloud, account, kind)).map_or(&[][..], |listings| &listings.regions);
        let has = |wanted: &dyn Fn(&str) -> bool| regions.iter().map(|(own, _)| *own).find(|own| wanted(own));
        has(&|own| own == region)
            .or_else(|| has(&|own| is_within(region, own)))
            .or_else(|| has(&|own| own == Scope::GLOBAL))
            .unwrap_or(region)
            .to_owned()
    }
}

/// Scopes that have the same kinds of the same look together.
fn grouped(listed: impl Iterator<Item = (Timestamp, BTreeSet<String>, String)>) -> Vec<Listed> {
    let mut groups: BTreeMap<(Reverse<i64>, BTreeSet<String>), Vec<String>> = BTreeMap::new();
    for (at, kinds, scope) in listed {
        groups.entry((Reverse(at.0), kinds)).or_default().push(scope);
    }
    let mut left = SCOPES;
    let listed = groups.into_iter().map(|((Reverse(at), kinds), mut scopes)| {
        scopes.truncate(left);
        left -= scopes.len();
        Listed { at: Timestamp(at), kinds, scopes }
    });
    listed.filter(|listed| !listed.scopes.is_empty()).collect()
}

/// Whether what is in a region was judged, where only some of its cloud were.
fn is_selected(only_in: &BTreeMap<CloudId, BTreeSet<String>>, cloud: CloudId, region: &str) -> bool {
    region == Scope::GLOBAL
        || only_in.get(&cloud).is_none_or(|regions| regions.iter().any(|own| is_within(region, own)))
}

/// What was completely seen, to be asked.
struct Index<'a>(BTreeMap<&'a str, Vec<&'a BTreeSet<String>>>);

impl Index<'_> {
    fn has(&self, cloud: CloudId, account: &str, kind: &str, listed_in: &str) -> bool {
        let scope = Scope::new(cloud, account, listed_in).to_string();
        self.0.get(scope.as_str()).is_some_and(|groups| groups.iter().any(|kinds| kinds.contains(kind)))
    }
}

impl Then {
    /// What a report finds: at most so many rows, the dearest.
    pub fn of(report: &Report<'_>, most: usize) -> Self {
        let inventory = &report.survey().inventory;
        let mut all: Vec<(Reverse<Option<Amount>>, Verdict, u32)> =
            report.glances().map(|glance| (Reverse(glance.saving.amount()), glance.verdict, glance.row)).collect();
        // The sort keeps the report's order among equals.
        all.sort_by_key(|(cost, verdict, _)| (*cost, *verdict));
        let rest = all.split_off(most.min(all.len()));
        let rows = all.into_iter().filter_map(|(.., at)| {
            let glance = report.glance(at)?;
            let finding = report.finding(&glance)?;
            let resource = finding.resource;
            Some(Row {
                policy: finding.policy,
                detector: finding.detector,
                cloud: resource.cloud,
                kind: resource.kind,
                account: resource.account,
                region: resource.region,
                listed_in: glance.resource.scope().region.clone(),
                native_id: resource.native_id,
                uid: resource.uid,
                name: resource.name.as_deref().map(short),
                is_waste: glance.saving != Saving::Nothing,
                counted: glance.counted,
                stood: Stood {
                    verdict: finding.verdict,
                    monthly_cost: finding.monthly_cost,
                    owner: OwnerOf { name: finding.owner.name.as_deref().map(short), from: short(&finding.owner.from) },
                    decision: DecisionOf { act: finding.decision.act, reason: short(&finding.decision.reason) },
                },
                seen: None,
            })
        });
        let set = report.parts().set;
        Self {
            taken_at: report.survey().taken_at,
            policies: Some(Policies {
                digest: set.digest.clone(),
                names: set.policies.iter().map(|policy| policy.name.clone()).collect(),
            }),
            rows: rows.collect(),
            left_out: rest.first().map(|(Reverse(most), ..)| LeftOut { rows: rest.len() as u64, most: *most }),
            listed: Looked::of(inventory).listed(report.survey().taken_at),
            only_in: inventory.only_in().clone(),
        }
    }

    /// Of a `sweeper.report/1` that was written before.
    pub fn read(input: impl Read, kinds: &[&'static KindSpec]) -> Result<Self, ThenError> {
        let written: Written = serde_json::from_reader(input).map_err(|error| ThenError::Foreign(error.to_string()))?;
        if written.format != FORMAT {
            return Err(if written.format.starts_with("sweeper.report/") {
                ThenError::Newer(written.format)
            } else {
                ThenError::Foreign(format!("its format is `{}`", written.format))
            });
        }
        let at = |text: &str| Timestamp::parse(text);
        let taken_at = at(&written.run.started)
            .ok_or_else(|| ThenError::Foreign(format!("`{}` is no time", written.run.started)))?;
        let looked = Looked::written(&written.coverage, kinds);
        let rows = written.findings.into_iter().map(|finding| {
            let resource = finding.resource;
            Row {
                listed_in: looked.listed_in(resource.cloud, &resource.account, &resource.kind, &resource.region),
                is_waste: detect::detector(&finding.detector).is_none_or(|detector| detector.spec.is_waste()),
                policy: finding.policy,
                detector: finding.detector,
                cloud: resource.cloud,
                kind: resource.kind,
                account: resource.account,
                region: resource.region,
                native_id: resource.native_id,
                uid: resource.uid,
                name: resource.name,
                counted: false,
                stood: Stood {
                    verdict: finding.verdict,
                    monthly_cost: finding.monthly_cost,
                    owner: finding.owner,
                    decision: finding.decision,
                },
                seen: None,
            }
        });
        let mut rows: Vec<Row> = rows.collect();
        let mut best: BTreeMap<Place<'_>, usize> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let best = best.entry(row.place()).or_insert(at);
            let rank = |row: &Row| (row.stood.verdict, Reverse(row.saving()));
            if rank(row) < rank(&rows[*best]) {
                *best = at;
            }
        }
        let best: Vec<usize> = best.into_values().collect();
        for at in best {
            rows[at].counted = true;
        }
        let listed = looked.listed(taken_at);
        Ok(Self { taken_at, policies: None, rows, left_out: None, listed, only_in: BTreeMap::new() })
    }

    fn index(&self) -> Index<'_> {
        let mut index: BTreeMap<&str, Vec<&BTreeSet<String>>> = BTreeMap::new();
        for listed in &self.listed {
            for scope in &listed.scopes {
                index.entry(scope).or_default().push(&listed.kinds);
            }
        }
        Index(index)
    }

    /// This, and of an earlier run what this one did not see.
    fn carrying(mut self, old: Self) -> Self {
        let fresh = |at: Timestamp| self.taken_at.since(at) < CARRIED;
        let index = self.index();
        let known: BTreeSet<Key<'_>> = self.rows.iter().map(Row::key).collect();
        let is_seen = |row: &Row| {
            index.has(row.cloud, &row.account, &row.kind, &row.listed_in)
                && is_selected(&self.only_in, row.cloud, &row.region)
        };
        let is_judged = |row: &Row| self.policies.as_ref().is_none_or(|own| own.names.contains(&row.policy));
        let rows = old.rows.into_iter().filter(|row| {
            fresh(row.seen.unwrap_or(old.taken_at)) && !is_seen(row) && is_judged(row) && !known.contains(&row.key())
        });
        let rows: Vec<Row> = rows.map(|row| Row { seen: Some(row.seen.unwrap_or(old.taken_at)), ..row }).collect();
        let listed = old.listed.iter().filter(|listed| fresh(listed.at)).flat_map(|listed| {
            let index = &index;
            listed.scopes.iter().map(move |scope| {
                let own = index.0.get(scope.as_str());
                let is_new = |kind: &&String| !own.is_some_and(|own| own.iter().any(|kinds| kinds.contains(*kind)));
                (listed.at, listed.kinds.iter().filter(is_new).cloned().collect::<BTreeSet<_>>(), scope.clone())
            })
        });
        let carried: Vec<_> = listed.filter(|(_, kinds, _)| !kinds.is_empty()).collect();
        let own = self
            .listed
            .iter()
            .flat_map(|listed| listed.scopes.iter().map(|scope| (listed.at, listed.kinds.clone(), scope.clone())));
        let listed = grouped(own.chain(carried));
        self.listed = listed;
        if !rows.is_empty() {
            self.left_out = both(self.left_out, old.left_out);
            self.rows.extend(rows);
            self.rows.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.key().cmp(&b.key())));
        }
        if self.rows.len() > ROWS {
            let rest = self.rows.split_off(ROWS);
            let most = rest.iter().filter_map(|row| row.saving().amount()).max();
            self.left_out = both(self.left_out, Some(LeftOut { rows: rest.len() as u64, most }));
        }
        self
    }
}

fn both(a: Option<LeftOut>, b: Option<LeftOut>) -> Option<LeftOut> {
    match (a, b) {
        (Some(a), Some(b)) => Some(LeftOut { rows: a.rows.saturating_add(b.rows), most: a.most.max(b.most) }),
        (one, other) => one.or(other),
    }
}

/// What the last report found, if there is one.
pub fn last(store: &dyn Store) -> Result<Option<Then>, StoreError> {
    Ok(document::read(store, KEY)?.map(|(then, _)| then))
}

/// Remembers a report as the last.
pub fn remember(store: &dyn Store, report: &Report<'_>) -> Result<(), StoreError> {
    let now = Then::of(report, ROWS);
    document::update(store, KEY, |known: Option<Then>| {
        let next = match known {
            Some(known) => now.clone().carrying(known),
            None => now.clone(),
        };
        Ok(Next::Write(next, ()))
    })
}

/// The parts of a written report that are compared.
#[derive(Deserialize)]
struct Written {
    format: String,
    run: WrittenRun,
    coverage: Vec<Coverage>,
    findings: Vec<WrittenFinding>,
}

#[derive(Deserialize)]
struct WrittenRun {
    started: String,
}

#[derive(Deserialize)]
struct WrittenFinding {
    policy: String,
    detector: String,
    verdict: Verdict,
    owner: OwnerOf,
    resource: WrittenResource,
    monthly_cost: MonthlyCost,
    decision: DecisionOf,
}

#[derive(Deserialize)]
struct WrittenResource {
    native_id: String,
    uid: String,
    kind: String,
    cloud: CloudId,
    account: String,
    region: String,
    name: Option<String>,
}

/// Why a row is new, or not found any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Its resource was made since.
    Made,
    /// Its resource was there, and was not found.
    Found,
    /// Its policy is new.
    PolicyNew,
    /// Its scope was not seen then: nobody knows whether it is new.
    NotSeenThen,
    /// Its resource is no longer there.
    NotThere,
    /// Its resource is there, and is not found any more.
    Clean,
    PolicyGone,
    /// Its policy does not speak of it any more.
    NotCovered,
    /// Its scope was not seen this time: nobody knows whether it is gone.
    NotSeen,
}

impl Why {
    /// Its word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Found => "found",
            Self::PolicyNew => "policy-new",
            Self::NotSeenThen => "not-seen-then",
            Self::NotThere => "not-there",
            Self::Clean => "clean",
            Self::PolicyGone => "policy-gone",
            Self::NotCovered => "not-covered",
            Self::NotSeen => "not-seen",
        }
    }

    /// Whether it is not known that something changed at all.
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::NotSeenThen | Self::NotSeen)
    }
}

/// What of a row is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    Verdict,
    Cost,
    Decision,
    Owner,
}

impl What {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Cost => "cost",
            Self::Decision => "decision",
            Self::Owner => "owner",
        }
    }
}

/// A row that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub policy: String,
    pub detector: String,
    /// `<kind>:<account>/<region>/<native id>`.
    pub resource: String,
    pub native_id: String,
    pub uid: String,
    pub kind: String,
    pub cloud: CloudId,
    pub account: String,
    pub region: String,
    pub name: Option<String>,
    /// Null for what only changed.
    pub why: Option<Why>,
    /// Empty for what is new or gone.
    pub what: Vec<What>,
    /// The reason in words.
    pub says: String,
    /// Null for what is new.
    pub then: Option<Stood>,
    /// Null for what is gone.
    pub now: Option<Stood>,
}

impl Change {
    /// What it could have saved, and what it could save.
    pub fn savings(&self) -> (Option<Saving>, Option<Saving>) {
        let is_waste = detect::detector(&self.detector).is_none_or(|detector| detector.spec.is_waste());
        let saving = |stood: &Option<Stood>| {
            stood.as_ref().map(|stood| Saving::from(is_waste, &Cost::from(&stood.monthly_cost)))
        };
        (saving(&self.then), saving(&self.now))
    }

    /// The dearer of both sides, for the order of what is shown.
    pub fn most(&self) -> Option<Amount> {
        let (then, now) = self.savings();
        then.and_then(Saving::amount).max(now.and_then(Saving::amount))
    }
}

/// By how much something moved, US dollars a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub firm: Amount,
    pub up_to: Amount,
}

impl Moved {
    fn add(&mut self, saving: Saving) {
        match saving {
            Saving::Firm(amount) => self.firm += amount,
            Saving::UpTo(amount) => self.up_to += amount,
            Saving::Nothing | Saving::Unpriced => {}
        }
    }

    fn take(&mut self, saving: Saving) {
        match saving {
            Saving::Firm(amount) => self.firm = self.firm - amount,
            Saving::UpTo(amount) => self.up_to = self.up_to - amount,
            Saving::Nothing | Saving::Unpriced => {}
        }
    }

    /// Firm and upper bound together.
    pub fn most(&self) -> Amount {
        self.firm + self.up_to
    }
}

/// The money of it, each resource in one of them: a resource that another policy still finds is not gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    pub new: Sum,
    pub gone: Sum,
    pub changed: Moved,
    /// New less gone, and what changed.
    pub net: Moved,
    /// Of which it is not known whether they are new or gone, or wasted at all: in no figure above.
    pub unknown: Sum,
}

/// How a report differs from an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// `last`, or the file.
    pub against: String,
    /// When the earlier one looked.
    pub taken_at: String,
    /// Null when the earlier one does not say.
    pub same_policies: Option<bool>,
    /// Findings that are too cheap to be among the rows kept of the earlier run: they may be new.
    pub not_compared: u64,
    pub sums: Sums,
    /// By policy and resource.
    pub new: Vec<Change>,
    pub gone: Vec<Change>,
    pub changed: Vec<Change>,
}

impl Since {
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }

    /// Holds a report against what an earlier run found.
    pub fn of(report: &Report<'_>, then: &Then, against: &str) -> Self {
        let policies = then.policies.as_ref();
        let mut since = Self {
            against: against.to_owned(),
            taken_at: then.taken_at.to_string(),
            same_policies: policies.map(|policies| policies.digest == report.parts().set.digest),
            not_compared: 0,
            sums: Sums::default(),
            new: Vec::new(),
            gone: Vec::new(),
            changed: Vec::new(),
        };
        let known: BTreeMap<Key<'_>, &Row> = then.rows.iter().map(|row| (row.key(), row)).collect();
        let index = then.index();
        let mut left = known.clone();
        let mut stakes: BTreeMap<Place<'_>, Stake> = BTreeMap::new();
        for glance in report.glances() {
            let resource = glance.resource;
            let at = place(resource);
            let key = (glance.policy.name.as_str(), at, resource.uid());
            left.remove(&key);
            let Some(row) = known.get(&key) else {
                if glance.verdict == Verdict::Found {
                    let left_out = then.left_out.filter(|left_out| glance.saving.amount() <= left_out.most);
                    if left_out.is_some() {
                        since.not_compared += 1;
                        continue;
                    }
                    let (why, says) = why_new(&glance, then, &index);
                    since.new.extend(now(report, &glance, Some(why), Vec::new(), says, None));
                    stakes.entry(at).or_default().unknown |= why.is_unknown();
                }
                continue;
            };
            let what = differences(report, &glance, row);
            if !what.is_empty() {
                let says = changed_in_words(report, &glance, row, &what);
                since.changed.extend(now(report, &glance, None, what, says, Some(row.stood.clone())));
                stakes.entry(at).or_default();
            }
        }
        left.retain(|_, row| row.stood.verdict == Verdict::Found);
        let gone = why_gone(report, left.values().copied().collect());
        for (row, why, says) in gone {
            since.gone.push(past(row, why, says));
            stakes.entry(row.place()).or_default().unknown |= why.is_unknown();
        }
        since.gone.sort_by(|a, b| (&a.policy, &a.resource, &a.uid).cmp(&(&b.policy, &b.resource, &b.uid)));
        for row in then.rows.iter().filter(|row| row.counted) {
            if let Some(stake) = stakes.get_mut(&row.place()) {
                stake.then = Some((row.stood.verdict, row.saving()));
            }
        }
        for glance in report.glances().filter(|glance| glance.counted) {
            if let Some(stake) = stakes.get_mut(&place(glance.resource)) {
                stake.now = Some((glance.verdict, glance.saving));
            }
        }
        for stake in stakes.values() {
            stake.settle(&mut since.sums);
        }
        since
    }
}

/// What a resource costs in the totals of either run.
#[derive(Clone, Copy, Debug, Default)]
struct Stake {
    then: Option<(Verdict, Saving)>,
    now: Option<(Verdict, Saving)>,
    unknown: bool,
}

impl Stake {
    fn settle(self, sums: &mut Sums) {
        let is_unknown = |side: Option<(Verdict, Saving)>| side.is_some_and(|(verdict, _)| verdict == Verdict::Unknown);
        let saving = |side: Option<(Verdict, Saving)>| side.map(|(_, saving)| saving);
        let (then, now) = (saving(self.then), saving(self.now));
        if self.unknown || is_unknown(self.then) || is_unknown(self.now) {
            if let Some(saving) = then.max(now) {
                sums.unknown.add(saving);
            }
            return;
        }
        if let Some(now) = now {
            sums.net.add(now);
        }
        if let Some(then) = then {
            sums.net.take(then);
        }
        match (then, now) {
            (None, Some(now)) => sums.new.add(now),
            (Some(then), None) => sums.gone.add(then),
            (Some(then), Some(now)) => {
                sums.changed.add(now);
                sums.changed.take(then);
            }
            (None, None) => {}
        }
    }
}

fn cost(report: &Report<'_>, glance: &Glance<'_>) -> Cost {
    report.parts().sealed.costs.monthly(glance.resource)
}

/// A row of this report.
fn now(
    report: &Report<'_>,
    glance: &Glance<'_>,
    why: Option<Why>,
    what: Vec<What>,
    says: String,
    then: Option<Stood>,
) -> Option<Change> {
    let finding = report.finding(glance)?;
    let resource = finding.resource;
    Some(Change {
        policy: finding.policy,
        detector: finding.detector,
        resource: resource.id,
        native_id: resource.native_id,
        uid: resource.uid,
        kind: resource.kind,
        cloud: resource.cloud,
        account: resource.account,
        region: resource.region,
        name: resource.name,
        why,
        what,
        says,
        then,
        now: Some(Stood {
            verdict: finding.verdict,
            monthly_cost: finding.monthly_cost,
            owner: finding.owner,
            decision: finding.decision,
        }),
    })
}

/// A row that this report does not have.
fn past(row: &Row, why: Why, says: String) -> Change {
    Change {
        policy: row.policy.clone(),
        detector: row.detector.clone(),
        resource: format!("{}:{}/{}/{}", row.kind, row.account, row.region, row.native_id),
        native_id: row.native_id.clone(),
        uid: row.uid.clone(),
        kind: row.kind.clone(),
        cloud: row.cloud,
        account: row.account.clone(),
        region: row.region.clone(),
        name: row.name.clone(),
        why: Some(why),
        what: Vec::new(),
        says,
        then: Some(row.stood.clone()),
        now: None,
    }
}

fn why_new(glance: &Glance<'_>, then: &Then, index: &Index<'_>) -> (Why, String) {
    let resource = glance.resource;
    let scope = resource.scope();
    if then.policies.as_ref().is_some_and(|policies| !policies.names.contains(&glance.policy.name)) {
        return (Why::PolicyNew, "the policy is new".to_owned());
    }
    let seen = index.has(scope.cloud, &scope.account, resource.kind().id, &scope.region);
    if !seen || !is_selected(&then.only_in, scope.cloud, resource.region()) {
        return (Why::NotSeenThen, "its scope was not seen then".to_owned());
    }
    match resource.created().filter(|created| *created > then.taken_at) {
        Some(created) => (Why::Made, format!("created {}", created.date())),
        None => (Why::Found, "was not found then".to_owned()),
    }
}

/// What is another. A part that one of the runs could not read is not.
fn differences(report: &Report<'_>, glance: &Glance<'_>, row: &Row) -> Vec<What> {
    let stood = &row.stood;
    if glance.verdict == Verdict::Unknown && stood.verdict == Verdict::Unknown {
        return Vec::new();
    }
    let mut what = Vec::new();
    if glance.verdict != stood.verdict {
        what.push(What::Verdict);
    }
    if costs_differ(&cost(report, glance), &stood.monthly_cost) {
        what.push(What::Cost);
    }
    // An unknown is held as such, which its verdict says already.
    let both_found = glance.verdict == Verdict::Found && stood.verdict == Verdict::Found;
    if both_found && glance.reason != sort_of(&stood.decision.act, &stood.decision.reason) {
        what.push(What::Decision);
    }
    let is_read = |owner: &OwnerOf| owner.from != "unknown";
    let same = glance.owner.name.as_deref().map(short) == stood.owner.name.as_deref().map(short);
    if is_read(glance.owner) && is_read(&stood.owner) && !same {
        what.push(What::Owner);
    }
    what
}

fn costs_differ(now: &Cost, then: &MonthlyCost) -> bool {
    let bound = |basis: Basis| basis == Basis::UpperBound;
    match (now.amount, then.amount) {
        (None, None) => false,
        (Some(now_amount), Some(then_amount)) => {
            let apart = Amount::from_pico((now_amount - then_amount).pico().saturating_abs());
            apart > CENT || now.currency != then.currency || bound(now.basis) != bound(then.basis)
        }
        _ => true,
    }
}

fn changed_in_words(report: &Report<'_>, glance: &Glance<'_>, row: &Row, what: &[What]) -> String {
    let amount = |amount: Option<Amount>, currency: &str| {
        amount.map_or_else(|| "unpriced".to_owned(), |amount| format!("{} {currency}", amount.cents()))
    };
    let owner = |name: Option<&str>| name.unwrap_or("nobody").to_owned();
    let stood = &row.stood;
    let parts = what.iter().map(|what| {
        let (then, now) = match what {
            What::Verdict => (stood.verdict.name().to_owned(), glance.verdict.name().to_owned()),
            What::Cost => {
                let now = cost(report, glance);
                let then = &stood.monthly_cost;
                (amount(then.amount, &then.currency), amount(now.amount, &now.currency))
            }
            What::Decision => {
                (sort_of(&stood.decision.act, &stood.decision.reason).to_owned(), glance.reason.to_owned())
            }
            What::Owner => (owner(stood.owner.name.as_deref()), owner(glance.owner.name.as_deref())),
        };
        format!("{}: {then} to {now}", what.name())
    });
    let mut said = parts.collect::<Vec<_>>().join("; ");
    if let Some(cause) = glance.cause {
        said.push_str("; ");
        said.push_str(cause);
    }
    said
}

/// Why rows are not found any more.
fn why_gone<'t>(report: &Report<'_>, rows: Vec<&'t Row>) -> Vec<(&'t Row, Why, String)> {
    if rows.is_empty() {
        return Vec::new();
    }
    let inventory = &report.survey().inventory;
    let looked = Looked::of(inventory);
    let policies: BTreeMap<&str, &Policy> =
        report.parts().set.policies.iter().map(|policy| (policy.name.as_str(), policy)).collect();
    let wanted: BTreeSet<Place<'_>> = rows.iter().map(|row| row.place()).collect();
    let kinds: BTreeSet<&str> = wanted.iter().map(|(kind, ..)| *kind).collect();
    let there: BTreeMap<Place<'_>, Resource<'_>> = inventory
        .resources()
        .filter(|resource| kinds.contains(resource.kind().id) && wanted.contains(&place(*resource)))
        .map(|resource| (place(resource), resource))
        .collect();
    let gone = rows.into_iter().map(|row| {
        let Some(policy) = policies.get(row.policy.as_str()) else {
            return (row, Why::PolicyGone, "the policy is gone".to_owned());
        };
        if let Some(why) = looked.unseen(row.cloud, &row.account, &row.kind, &row.listed_in) {
            let seen = row.seen.map_or_else(String::new, |seen| format!(", last seen {}", seen.date()));
            return (row, Why::NotSeen, format!("unknown: its scope was not seen this time ({why}){seen}"));
        }
        if !is_selected(inventory.only_in(), row.cloud, &row.region) {
            return (row, Why::NotSeen, "unknown: its region was not asked for this time".to_owned());
        }
        match there.get(&row.place()) {
            None => (row, Why::NotThere, "the resource is no longer there".to_owned()),
            Some(resource) if resource.uid() != row.uid => {
                (row, Why::NotThere, "the resource is no longer there: another has its name".to_owned())
            }
            Some(resource)
                if policy.judges(resource.kind())
                    && policy.covers(resource.cloud(), resource.account())
                    && policy.covers_region(resource.region()) =>
            {
                (row, Why::Clean, "the resource is there, and is not found any more".to_owned())
            }
            Some(_) => (row, Why::NotCovered, "the policy does not speak of it any more".to_owned()),
        }
    });
    gone.collect()
}

#[cfg(test)]
mod tests;
