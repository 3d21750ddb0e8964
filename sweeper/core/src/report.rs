//! `sweeper.report/1`: what was found, what it costs and what was not seen, for machines.
//!
//! [`Report`] is a view: it holds a few numbers a row and judges a row again when its finding is wanted,
//! so that a million findings are written without ever being held. [`Document`] and its parts are the
//! frozen form; old files are read with them. What people see is rendered from the same parts.

use crate::{
    answers::Answer,
    detect::{Evidence, Severity, View},
    history::since::Since,
    house::House,
    inert::InertJson,
    inventory::{Covered, Resource, Status},
    kind::KindSpec,
    ledger::LedgerSlice,
    model::{Class, CloudId, Scope, Timestamp},
    money::{Amount, Basis, Cost},
    owner,
    policy::{self, Act, Costs, Evaluation, Policy, PolicySet, Row, RowVerdict, Told},
    slo::Slo,
    survey::Survey,
    survey_file::{RunCost, Sealed},
};
use serde::{Deserialize, Serialize, ser::SerializeStruct as _};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    io::{self, Write},
};

/// The format written.
pub const FORMAT: &str = "sweeper.report/1";

/// One cause of an exit code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub code: u8,
    pub cause: String,
}

/// How the run went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub started: String,
    pub finished: String,
    /// `sweeper 0.1.0`.
    pub tool: String,
    /// Every cause of the exit code; empty for 0.
    pub exit: Vec<Cause>,
    pub cost: RunCost,
}

/// What was seen of one kind in one scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub cloud: CloudId,
    pub account: String,
    pub account_name: Option<String>,
    pub region: String,
    pub kind: String,
    pub status: Seen,
    /// Null when complete, unless there is something to say of how it was listed.
    pub why: Option<String>,
    /// Null when not known, which is not zero.
    pub resources: Option<u32>,
    pub calls: u32,
}

/// The four words of coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    Complete,
    None,
    Waived,
    Blind,
}

impl Seen {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::None => "none",
            Self::Waived => "waived",
            Self::Blind => "blind",
        }
    }
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Found,
    Unknown,
}

impl Verdict {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OwnerOf {
    pub name: Option<String>,
    /// `tag owner`, `scope`, `fallback`, `none`, or `unknown` where tags could not be read.
    pub from: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceOf {
    /// `<kind>:<account>/<region>/<native id>`.
    pub id: String,
    /// What the cloud's delete call takes.
    pub native_id: String,
    /// The immutable identity.
    pub uid: String,
    pub kind: String,
    pub class: Class,
    pub cloud: CloudId,
    pub account: String,
    pub region: String,
    pub name: Option<String>,
    pub created: Option<String>,
    /// Null when they could not be read; sorted by key.
    pub tags: Option<BTreeMap<String, String>>,
}

/// `amount` is null exactly when `basis` is `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthlyCost {
    pub amount: Option<Amount>,
    pub currency: String,
    pub basis: Basis,
}

impl From<Cost> for MonthlyCost {
    fn from(Cost { amount, currency, basis }: Cost) -> Self {
        Self { amount, currency, basis }
    }
}

impl From<&MonthlyCost> for Cost {
    fn from(MonthlyCost { amount, currency, basis }: &MonthlyCost) -> Self {
        Self { amount: *amount, currency: currency.clone(), basis: *basis }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceOf {
    pub fact: String,
    pub value: String,
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionOf {
    /// `report`, `hold`, or a verb.
    #[serde(rename = "do")]
    pub act: String,
    pub reason: String,
}

/// One policy speaking of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub policy: String,
    /// `condition` for a policy without a detector.
    pub detector: String,
    pub severity: Severity,
    pub verdict: Verdict,
    /// Null when not known.
    pub since: Option<String>,
    /// The cloud's fact (`last attached`), `first-seen`, or `this-run`.
    pub since_basis: Option<String>,
    /// Waived scopes the verdict rests on.
    pub assuming: Vec<String>,
    pub owner: OwnerOf,
    pub resource: ResourceOf,
    pub monthly_cost: MonthlyCost,
    pub evidence: Vec<EvidenceOf>,
    pub decision: DecisionOf,
    /// Whether it was found before the house's baseline was set; null or left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog: Option<bool>,
}

/// Sums over resources, each counted once, at its largest saving.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub resources: u64,
    /// Gone from the bill if deleted, US dollars a month.
    pub firm: Amount,
    /// No more than this, US dollars a month.
    pub up_to: Amount,
    /// Resources without a known price in US dollars.
    pub unpriced: u64,
}

impl Sum {
    /// Adds one resource.
    pub fn add(&mut self, saving: Saving) {
        self.resources += 1;
        match saving {
            Saving::Firm(amount) => self.firm += amount,
            Saving::UpTo(amount) => self.up_to += amount,
            Saving::Unpriced => self.unpriced += 1,
            Saving::Nothing => {}
        }
    }

    /// Firm and upper bound together.
    pub fn most(&self) -> Amount {
        self.firm + self.up_to
    }
}

/// The three figures, of what was found; and the same by what becomes of it, and of what is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub firm: Amount,
    pub up_to: Amount,
    pub unpriced: u64,
    /// By decision: `report`, a verb, or the sort of reason for holding. `unknown` is in no figure above.
    pub by_reason: BTreeMap<String, Sum>,
}

/// What of the findings was found before the house's baseline was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// When the last line was drawn.
    pub set: String,
    pub findings: u64,
    /// Of resources that stand for themselves in the totals.
    pub sum: Sum,
}

/// A whole report, for reading one back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub format: String,
    pub run: Run,
    pub coverage: Vec<Coverage>,
    pub findings: Vec<Finding>,
    pub totals: Totals,
    /// What came of policies that watch. Older reports have none.
    #[serde(default)]
    pub watches: Vec<Told>,
    /// How it differs from an earlier one, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// How owners stand to their objectives, where the house has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
    /// What of it is backlog, where a baseline was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Backlog>,
}

/// What a row could save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Saving {
    /// The resource is not waste itself: a setting of it is wrong.
    Nothing,
    /// No price in US dollars is known.
    Unpriced,
    UpTo(Amount),
    Firm(Amount),
}

impl Saving {
    fn of(policy: &Policy, cost: &Cost) -> Self {
        Self::from(policy.sweep.is_none_or(|detector| detector.spec.is_waste()), cost)
    }

    /// What a resource could save at this cost, if it is waste itself.
    pub(crate) fn from(is_waste: bool, cost: &Cost) -> Self {
        if !is_waste {
            return Self::Nothing;
        }
        match (cost.amount, cost.basis) {
            (Some(amount), Basis::UpperBound) if cost.currency == "USD" => Self::UpTo(amount),
            (Some(amount), _) if cost.currency == "USD" => Self::Firm(amount),
            _ => Self::Unpriced,
        }
    }

    /// The amount, if there is one.
    pub const fn amount(self) -> Option<Amount> {
        match self {
            Self::Nothing | Self::Unpriced => None,
            Self::UpTo(amount) | Self::Firm(amount) => Some(amount),
        }
    }
}

/// What is kept of a row: the rest is judged again when wanted.
#[derive(Clone, Copy, Debug)]
struct Judged {
    saving: Saving,
    /// Index into `reasons`.
    reason: u16,
    /// Index into `owners`.
    owner: u32,
    /// Counted in the totals: the one row of its resource that stands for it.
    counted: bool,
    /// Rests on a waived scope.
    assuming: bool,
}

/// What a report is made of.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub sealed: &'a Sealed,
    /// Judges are told this is "now".
    pub now: Timestamp,
    pub house: &'a House,
    pub set: &'a PolicySet,
    pub evaluation: &'a Evaluation,
}

/// A row as renderers see it, without its evidence.
#[derive(Clone, Copy)]
pub struct Glance<'a> {
    pub policy: &'a Policy,
    pub resource: Resource<'a>,
    pub verdict: Verdict,
    pub saving: Saving,
    /// What becomes of it: `report`, a verb, or the sort of reason for holding.
    pub reason: &'a str,
    /// What was not seen, for an unknown: the cause it is counted under.
    pub cause: Option<&'a str>,
    pub owner: &'a OwnerOf,
    /// Whether the verdict rests on waived scopes.
    pub assuming: bool,
    /// Whether it stands for its resource in the totals.
    pub counted: bool,
    /// Its place in the evaluation.
    pub row: u32,
}

/// A report, ready to be written.
pub struct Report<'a> {
    parts: Parts<'a>,
    view: View<'a>,
    pub run: Run,
    /// What came of policies that watch.
    pub told: Vec<Told>,
    /// How it differs from an earlier one, where that was asked for.
    pub since: Option<Since>,
    /// How owners stand to their objectives, where the house has some.
    pub slo: Option<Slo>,
    judged: Vec<Judged>,
    reasons: Vec<String>,
    owners: Vec<OwnerOf>,
    /// Rows by policy, then resource id.
    order: Vec<u32>,
    totals: Totals,
    names: BTreeMap<(CloudId, &'a str), &'a str>,
}

impl<'a> Report<'a> {
    /// Judges every row once for its decision and sums up. `id` names the run.
    pub fn new(parts: Parts<'a>, id: String, tool: &str) -> Self {
        let Sealed { survey, finished, cost, .. } = parts.sealed;
        let view = View::new(&survey.inventory, &survey.answers, parts.house, parts.now);
        let names = survey
            .accounts
            .iter()
            .map(|account| ((account.cloud, account.id.as_str()), account.name.as_str()))
            .collect();
        let mut report = Self {
            parts,
            view,
            run: Run {
                id,
                started: survey.started.to_string(),
                finished: finished.to_string(),
                tool: tool.to_owned(),
                exit: Vec::new(),
                cost: cost.clone(),
            },
            told: Vec::new(),
            since: None,
            slo: None,
            judged: Vec::new(),
            reasons: Vec::new(),
            owners: Vec::new(),
            order: Vec::new(),
            totals: Totals::default(),
            names,
        };
        report.judge();
        report.sum();
        report.sort();
        report
    }

    fn rows(&self) -> &'a [Row] {
        &self.parts.evaluation.rows
    }

    fn costs(&self) -> &'a dyn Costs {
        &self.parts.sealed.costs
    }

    fn ledger(&self) -> &'a LedgerSlice {
        &self.parts.sealed.ledger
    }

    fn judge(&mut self) {
        let mut known: BTreeMap<String, u16> = BTreeMap::new();
        let mut owners: BTreeMap<OwnerOf, u32> = BTreeMap::new();
        let mut judged = Vec::with_capacity(self.rows().len());
        for row in self.rows() {
            let resource = self.view.inventory.at(row.resource);
            let cost = self.costs().monthly(resource);
            let detail = policy::detail(self.parts.set, &self.view, self.costs(), row);
            let (decision, owner) = self.decided(row, resource, &detail, &cost);
            let new = owners.len() as u32;
            let owner = *owners.entry(OwnerOf { name: owner.name, from: owner.from }).or_insert(new);
            let sort = sort_of(decision.act.name(), &decision.reason);
            let reason = match known.get(sort) {
                Some(reason) => *reason,
                // More sorts of reason than there can be would be a defect; they share the last.
                None if known.len() >= usize::from(u16::MAX) => u16::MAX - 1,
                None => {
                    let reason = known.len() as u16;
                    known.insert(sort.to_owned(), reason);
                    self.reasons.push(sort.to_owned());
                    reason
                }
            };
            let policy = self.parts.set.policies.get(usize::from(row.policy));
            let saving = policy.map_or(Saving::Nothing, |policy| Saving::of(policy, &cost));
            judged.push(Judged { saving, reason, owner, counted: false, assuming: !detail.assuming.is_empty() });
        }
        let mut owners: Vec<(u32, OwnerOf)> = owners.into_iter().map(|(owner, at)| (at, owner)).collect();
        owners.sort_unstable_by_key(|(at, _)| *at);
        self.owners = owners.into_iter().map(|(_, owner)| owner).collect();
        self.judged = judged;
    }

    /// Rows of one resource stand together; the one with the largest saving that is certain counts.
    fn sum(&mut self) {
        let rows = self.rows();
        let mut from = 0;
        while from < rows.len() {
            let mut to = from + 1;
            while to < rows.len() && rows[to].resource == rows[from].resource {
                to += 1;
            }
            let best = (from..to).min_by(|a, b| {
                let rank = |at: &usize| (rows[*at].verdict, std::cmp::Reverse(self.judged[*at].saving));
                rank(a).cmp(&rank(b))
            });
            if let Some(best) = best {
                self.judged[best].counted = true;
                let judged = self.judged[best];
                if rows[best].verdict == RowVerdict::Found {
                    match judged.saving {
                        Saving::Firm(amount) => self.totals.firm += amount,
                        Saving::UpTo(amount) => self.totals.up_to += amount,
                        Saving::Unpriced => self.totals.unpriced += 1,
                        Saving::Nothing => {}
                    }
                }
                let reason = self.reasons[usize::from(judged.reason)].clone();
                self.totals.by_reason.entry(reason).or_default().add(judged.saving);
            }
            from = to;
        }
    }

    fn sort(&mut self) {
        let rows = self.rows();
        let inventory = self.view.inventory;
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_unstable_by(|a, b| {
            let (a, b) = (&rows[*a as usize], &rows[*b as usize]);
            a.policy.cmp(&b.policy).then_with(|| by_id(inventory.at(a.resource), inventory.at(b.resource)))
        });
        self.order = order;
    }

    fn decided(
        &self,
        row: &Row,
        resource: Resource<'a>,
        detail: &policy::Detail,
        cost: &Cost,
    ) -> (policy::Decision, owner::Owner) {
        let owner = owner::known(&self.view, resource);
        let decision = policy::decide(self.parts.set, &self.view, row, detail, self.ledger(), &owner, cost);
        (decision, owner)
    }

    /// What it is a report of.
    pub fn parts(&self) -> Parts<'a> {
        self.parts
    }

    pub fn survey(&self) -> &'a Survey {
        &self.parts.sealed.survey
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Every row, by policy and resource id, without its evidence.
    pub fn glances(&self) -> impl Iterator<Item = Glance<'_>> {
        self.order.iter().filter_map(|row| self.glance(*row))
    }

    /// One row, by [`Glance::row`].
    pub fn glance(&self, at: u32) -> Option<Glance<'_>> {
        let row = self.rows().get(at as usize)?;
        let judged = self.judged.get(at as usize)?;
        Some(Glance {
            policy: self.parts.set.policies.get(usize::from(row.policy))?,
            resource: self.view.inventory.at(row.resource),
            verdict: verdict(row),
            saving: judged.saving,
            reason: self.reasons.get(usize::from(judged.reason))?,
            cause: row.unseen.as_deref().map(|unseen| unseen.cause.as_str()),
            owner: self.owners.get(judged.owner as usize)?,
            assuming: judged.assuming,
            counted: judged.counted,
            row: at,
        })
    }

    /// Every finding, by policy and resource id.
    pub fn findings(&self) -> impl Iterator<Item = Finding> {
        self.order.iter().filter_map(|row| self.finding_at(*row))
    }

    /// A row with all there is to say of it.
    pub fn finding(&self, glance: &Glance<'_>) -> Option<Finding> {
        self.finding_at(glance.row)
    }

    /// What becomes of a row, and whose word it takes.
    pub fn decision(&self, glance: &Glance<'_>) -> Option<policy::Decision> {
        let row = self.rows().get(glance.row as usize)?;
        let resource = self.view.inventory.at(row.resource);
        let cost = self.costs().monthly(resource);
        let detail = policy::detail(self.parts.set, &self.view, self.costs(), row);
        Some(self.decided(row, resource, &detail, &cost).0)
    }

    fn finding_at(&self, at: u32) -> Option<Finding> {
        let row = self.rows().get(at as usize)?;
        let policy = self.parts.set.policies.get(usize::from(row.policy))?;
        let resource = self.view.inventory.at(row.resource);
        let cost = self.costs().monthly(resource);
        let detail = policy::detail(self.parts.set, &self.view, self.costs(), row);
        let (decision, owner) = self.decided(row, resource, &detail, &cost);
        let (since, since_basis) = self.since(row, policy, resource, &detail);
        Some(Finding {
            policy: policy.name.clone(),
            detector: policy.detector().to_owned(),
            severity: policy.severity,
            verdict: verdict(row),
            since,
            since_basis,
            assuming: detail.assuming.iter().cloned().collect(),
            owner: OwnerOf { name: owner.name, from: owner.from },
            resource: self.resource(resource),
            monthly_cost: cost.into(),
            evidence: evidence(&detail),
            decision: DecisionOf { act: decision.act.name().to_owned(), reason: said(&decision) },
            backlog: self.has_baseline().then(|| self.is_old(row, policy)),
        })
    }

    fn has_baseline(&self) -> bool {
        self.parts.house.baseline.last().is_some()
    }

    fn is_old(&self, row: &Row, policy: &Policy) -> bool {
        let resource = self.view.inventory.at(row.resource);
        let first = self.ledger().of(&policy.rule, &resource).map(|sighting| sighting.first_found);
        row.verdict == RowVerdict::Found && self.parts.house.baseline.is_backlog(&policy.name, first)
    }

    /// Whether a row was found before the house's baseline was set.
    pub fn is_backlog(&self, glance: &Glance<'_>) -> bool {
        self.rows().get(glance.row as usize).is_some_and(|row| self.is_old(row, glance.policy))
    }

    /// What of the findings is of the house's baseline, where there is one.
    pub fn backlog(&self) -> Option<Backlog> {
        let set = self.parts.house.baseline.last()?;
        let mut backlog = Backlog { set: set.to_string(), findings: 0, sum: Sum::default() };
        for glance in self.glances().filter(|glance| self.is_backlog(glance)) {
            backlog.findings += 1;
            if glance.counted {
                backlog.sum.add(glance.saving);
            }
        }
        Some(backlog)
    }

    fn since(
        &self,
        row: &Row,
        policy: &Policy,
        resource: Resource<'_>,
        detail: &policy::Detail,
    ) -> (Option<String>, Option<String>) {
        if let Some((at, basis)) = detail.since {
            return (Some(at.to_string()), Some(basis.to_owned()));
        }
        let now = self.parts.now;
        match self.ledger().of(&policy.rule, &resource) {
            Some(sighting) if sighting.first_found < now => {
                (Some(sighting.first_found.to_string()), Some("first-seen".to_owned()))
            }
            _ if row.verdict == RowVerdict::Found => (Some(now.to_string()), Some("this-run".to_owned())),
            _ => (None, None),
        }
    }

    /// When each rule first found anything of a kind and account: what was found then may have been there for ever.
    pub(crate) fn starts(&self) -> BTreeMap<(&'a str, &'a str, &'a str), Timestamp> {
        let mut starts = BTreeMap::new();
        for (key, sighting) in self.ledger() {
            let start = starts.entry((key.rule(), key.kind(), key.account())).or_insert(sighting.first_found);
            *start = (*start).min(sighting.first_found);
        }
        starts
    }

    /// When what a row finds began: the cloud's fact, or when it was first found by a rule that had looked before.
    /// What was made after `from` began after it, whoever looked when. `None` where nobody knows.
    pub(crate) fn began(
        &self,
        glance: &Glance<'_>,
        starts: &BTreeMap<(&'a str, &'a str, &'a str), Timestamp>,
        from: Timestamp,
    ) -> Option<Timestamp> {
        let row = self.rows().get(glance.row as usize)?;
        let resource = self.view.inventory.at(row.resource);
        if let Some((at, _)) = policy::detail(self.parts.set, &self.view, self.costs(), row).since {
            return Some(at);
        }
        let rule = glance.policy.rule.as_str();
        let start = starts.get(&(rule, resource.kind().id, resource.account()));
        let first = self.ledger().of(rule, &resource).map(|sighting| sighting.first_found);
        let found = first.filter(|first| start.is_some_and(|start| first > start));
        found.or_else(|| resource.created().filter(|created| *created > from))
    }

    fn resource(&self, resource: Resource<'a>) -> ResourceOf {
        let tags = self.view.tags(resource).ok();
        // The question is noted by the view, and nobody here wants to ask.
        self.view.take_notes();
        ResourceOf {
            id: resource.id(),
            native_id: resource.native_id().to_owned(),
            uid: resource.uid().to_owned(),
            kind: resource.kind().id.to_owned(),
            class: resource.kind().class,
            cloud: resource.cloud(),
            account: resource.account().to_owned(),
            region: resource.region().to_owned(),
            name: Some(resource.name()).filter(|name| !name.is_empty()).map(str::to_owned),
            created: resource.created().map(|at| at.to_string()),
            tags: tags.map(|tags| tags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        }
    }

    /// The name of an account, if one is known.
    pub fn account_name(&self, cloud: CloudId, account: &str) -> Option<&'a str> {
        self.names.get(&(cloud, account)).copied().filter(|name| !name.is_empty())
    }

    /// What was seen of every kind in every scope, by cloud, account, region and kind.
    pub fn coverage(&self) -> impl Iterator<Item = Coverage> {
        let partial = self.parts.sealed.whole.intersection(self.view.inventory.partial_universe());
        let beyond = partial.map(|cloud| Coverage {
            cloud: *cloud,
            account: "*".to_owned(),
            account_name: None,
            region: "*".to_owned(),
            kind: "*".to_owned(),
            status: Seen::Blind,
            why: Some("only what this identity sees".to_owned()),
            resources: None,
            calls: 0,
        });
        beyond.chain(
            self.view.inventory.coverage().into_iter().map(|(kind, scope, covered)| self.covered(kind, scope, covered)),
        )
    }

    fn covered(&self, kind: &KindSpec, scope: &Scope, covered: &Covered) -> Coverage {
        let (status, why, resources) = match &covered.status {
            Status::Complete => {
                let noted = covered.noted.iter().map(String::as_str).collect::<Vec<_>>().join("; ");
                (Seen::Complete, Some(noted).filter(|noted| !noted.is_empty()), Some(covered.resources))
            }
            Status::None { why } => (Seen::None, Some(why.clone()), Some(0)),
            Status::Waived { why, reason, until } => {
                (Seen::Waived, Some(format!("{why}; waived until {until}: {reason}")), None)
            }
            Status::Blind { why } => (Seen::Blind, Some(why.clone()), None),
        };
        Coverage {
            cloud: scope.cloud,
            account: scope.account.clone(),
            account_name: self.account_name(scope.cloud, &scope.account).map(str::to_owned),
            region: scope.region.clone(),
            kind: kind.id.to_owned(),
            status,
            why,
            resources,
            calls: covered.calls,
        }
    }

    /// What was not seen beyond waivers: by cause, how many listings failed or hid facts and how many questions
    /// went unanswered.
    pub fn blind(&self) -> BTreeMap<String, (u64, u64)> {
        let mut causes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for covered in self.coverage().filter(|covered| covered.status == Seen::Blind) {
            causes.entry(covered.why.unwrap_or_default()).or_default().0 += 1;
        }
        let inventory = self.view.inventory;
        let waived = |kind: &KindSpec, scope: &Scope| {
            self.parts.sealed.waivers.iter().any(|waiver| waiver.covers(kind, scope, self.survey().taken_at))
        };
        for (kind, scope, covered) in inventory.coverage() {
            for cause in covered.hidden.iter().filter(|_| !waived(kind, scope)) {
                causes.entry(cause.clone()).or_default().0 += 1;
            }
        }
        for (ask, answer) in self.survey().answers.iter() {
            if let Answer::Unseen(cause) = answer
                && ask.question.blinds(cause)
                && inventory.has(ask.resource)
            {
                let resource = inventory.at(ask.resource);
                if !waived(resource.kind(), resource.scope()) {
                    causes.entry(cause.clone()).or_default().1 += 1;
                }
            }
        }
        causes
    }

    /// Writes `sweeper.report/1`, one line, with hostile characters escaped.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, InertJson))?;
        out.write_all(b"\n")
    }
}

impl Serialize for Report<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A list of which one element exists at a time.
        struct Streamed<F>(F);
        impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Streamed<F> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq((self.0)())
            }
        }
        let backlog = self.backlog();
        let more = [self.since.is_some(), self.slo.is_some(), backlog.is_some()].map(usize::from);
        let mut out = serializer.serialize_struct("Report", 6 + more.iter().sum::<usize>())?;
        out.serialize_field("format", FORMAT)?;
        out.serialize_field("run", &self.run)?;
        out.serialize_field("coverage", &Streamed(|| self.coverage()))?;
        out.serialize_field("findings", &Streamed(|| self.findings()))?;
        out.serialize_field("totals", &self.totals)?;
        out.serialize_field("watches", &self.told)?;
        if let Some(since) = &self.since {
            out.serialize_field("since", since)?;
        }
        if let Some(slo) = &self.slo {
            out.serialize_field("slo", slo)?;
        }
        if let Some(backlog) = &backlog {
            out.serialize_field("baseline", backlog)?;
        }
        out.end()
    }
}

const fn verdict(row: &Row) -> Verdict {
    match row.verdict {
        RowVerdict::Found => Verdict::Found,
        RowVerdict::Unknown => Verdict::Unknown,
    }
}

/// A decision in words: no report does what it decides.
fn said(decision: &policy::Decision) -> String {
    match decision.needs {
        Some(_) => format!("{}; waits for an approved plan", decision.reason),
        None => decision.reason.clone(),
    }
}

/// What a decision is totalled under.
pub(crate) fn sort_of<'a>(act: &'a str, reason: &'a str) -> &'a str {
    if act != Act::Hold.name() {
        return act;
    }
    // "3 of 14 days, eligible …": the figures are of the resource, not of the sort.
    if reason.starts_with(|letter: char| letter.is_ascii_digit()) {
        return "waiting";
    }
    reason.split_once(':').map_or(reason, |(sort, _)| sort)
}

/// What every finding says of its search, beside what its detector says.
fn evidence(detail: &policy::Detail) -> Vec<EvidenceOf> {
    let mut all: Vec<EvidenceOf> = detail
        .evidence
        .iter()
        .map(|Evidence { fact, value, source }| EvidenceOf {
            fact: fact.to_string(),
            value: value.clone(),
            source: source.to_string(),
        })
        .collect();
    if !detail.searched.is_empty() && !all.iter().any(|known| known.fact == "searched") {
        all.push(EvidenceOf {
            fact: "searched".to_owned(),
            value: detail.searched.iter().cloned().collect::<Vec<_>>().join(", "),
            source: "inventory".to_owned(),
        });
    }
    for hidden in &detail.out_of_sight {
        all.push(EvidenceOf {
            fact: "out of sight".to_owned(),
            value: (*hidden).to_owned(),
            source: "cannot be listed from here".to_owned(),
        });
    }
    all
}

/// The order of outside ids, as strings, without making them.
fn by_id(a: Resource<'_>, b: Resource<'_>) -> Ordering {
    if std::ptr::eq(a.scope(), b.scope()) && a.kind().id == b.kind().id && a.region() == b.region() {
        return a.native_id().cmp(b.native_id());
    }
    fn bytes(resource: Resource<'_>) -> impl Iterator<Item = u8> {
        [resource.kind().id, ":", resource.account(), "/", resource.region(), "/", resource.native_id()]
            .into_iter()
            .flat_map(str::bytes)
    }
    bytes(a).cmp(bytes(b))
}
