//! Makes a plan of what was judged. Pure: the same survey, policies and ledger give the same bytes, in whatever order
//! rows come.

use super::{Action, Cascade, Completeness, Copy, FORMAT, Held, Needs, Plan, Risk, Totals, lint, written};
use crate::{
    deed::{Deed, DeedKind, Target},
    detect::View,
    facts::FactsRef,
    intern::Sym,
    inventory::{Resource, Unseen},
    kind::Prices,
    model::{Class, CloudId, DAY, Relation, Scope, Timestamp},
    money::{Basis, Cost},
    observe,
    policy::{Costs as _, Keep, PolicySet, Verb, kept},
    report::{Finding, Glance, Parts, Report, Seen},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// The words of a plan that are not decided by what was seen.
#[derive(Clone, Debug)]
pub struct Order {
    pub deployment: String,
    pub requester: String,
    pub tool: String,
    /// Digest of the survey.
    pub survey: String,
    pub made: Timestamp,
    /// Only these policies; empty for all.
    pub only: BTreeSet<String>,
}

/// The deployer's rules for plans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a plan is good for, seconds from its survey; at most [`lint::MAX_AGE`].
    pub max_age: i64,
    /// The same with one-way actions; at most [`lint::FRESH`].
    pub fresh: i64,
    /// How long a kept copy is kept, seconds.
    pub keep_for: i64,
    /// The tag that `then = "tag"` sets; its value is the policy's name.
    pub tag_key: String,
    /// Nothing that can have tags is stopped or deleted without that tag: the clouds' own rights can be made to ask for
    /// it, so that who tags and who deletes are two.
    pub fence: bool,
    /// Days that `then = "set-retention"` sets; `None` holds such actions.
    pub retention_days: Option<u32>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_age: lint::MAX_AGE,
            fresh: lint::FRESH,
            keep_for: 30 * DAY,
            tag_key: "sweeper-found".to_owned(),
            fence: false,
            retention_days: None,
        }
    }
}

/// A resource for which something is to be done, before its place in the order is known.
struct Wanted<'a> {
    resource: Resource<'a>,
    action: Action,
}

/// Draws the plan. Prices are those of the copies that it keeps.
///
/// # Errors
/// Only when a value cannot be written, which would be a defect.
pub fn draw(parts: Parts<'_>, order: &Order, rules: &Rules, prices: &dyn Prices) -> io::Result<Plan> {
    let report = Report::new(parts, order.survey.clone(), &order.tool);
    let view = View::new(&parts.sealed.survey.inventory, &parts.sealed.survey.answers, parts.house, parts.now);
    let mut held = Vec::new();
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut by_resource: BTreeMap<_, String> = BTreeMap::new();
    for glance in report.glances() {
        let policy = glance.policy;
        if policy.then == Verb::Report || !(order.only.is_empty() || order.only.contains(&policy.name)) {
            continue;
        }
        let hold = |reason: String| Held { policy: policy.name.clone(), resource: glance.resource.id(), reason };
        let (Some(finding), Some(decision)) = (report.finding(&glance), report.decision(&glance)) else { continue };
        let Some(needs) = decision.needs else {
            held.push(hold(decision.reason));
            continue;
        };
        if let Some(other) = by_resource.get(&glance.resource.ix()) {
            held.push(hold(format!("planned: by policy {other}")));
            continue;
        }
        match action(parts, &view, &glance, finding, (decision.reason, needs), (rules, prices)) {
            Ok(action) => {
                by_resource.insert(glance.resource.ix(), policy.name.clone());
                wanted.push(Wanted { resource: glance.resource, action });
            }
            Err(reason) => held.push(hold(reason)),
        }
    }
    held.sort();
    let one_way = wanted.iter().any(|one| !one.action.risk.is_r());
    let age = if one_way { rules.fresh.min(lint::FRESH) } else { rules.max_age.min(lint::MAX_AGE) };
    let policies = wanted.iter().filter_map(|one| {
        let policy = parts.set.policies.iter().find(|policy| policy.name == one.action.policy)?;
        Some((policy.name.clone(), policy.digest()))
    });
    let policies = policies.collect();
    let actions = ordered(wanted, &mut held);
    let totals = totals(&actions, &held, parts.set);
    let taken_at = parts.sealed.survey.taken_at;
    written::sealed(Plan {
        format: FORMAT.to_owned(),
        id: String::new(),
        deployment: order.deployment.clone(),
        tool: order.tool.clone(),
        survey: order.survey.clone(),
        taken_at,
        made: order.made,
        expires: taken_at.plus(age),
        requester: order.requester.clone(),
        policies,
        completeness: completeness(&report),
        totals,
        actions,
        held,
    })
}

/// What the deed's tag, or the fence's, says against it.
fn tagged(view: &View<'_>, resource: Resource<'_>, deed: &Deed, rules: &Rules) -> Result<(), String> {
    let fenced = rules.fence && deed.kind().takes_away() && resource.kind().act(DeedKind::Tag).is_some();
    let key = match deed {
        Deed::Tag { key, .. } => key,
        _ if fenced => &rules.tag_key,
        _ => return Ok(()),
    };
    let unread = |unseen: Unseen| format!("tags not readable: {}", unseen.cause);
    let value = view
        .tags(resource)
        .map_err(unread)?
        .into_iter()
        .find(|(own, _)| resource.cloud().is_tag_key(own, key))
        .map(|tag| tag.1);
    match (deed, value) {
        (Deed::Tag { value, .. }, Some(own)) if own == value => Err(format!("already: tagged {key}")),
        (Deed::Tag { .. }, _) | (_, Some(_)) => Ok(()),
        (_, None) => Err(format!("fence: not tagged {key}")),
    }
}

fn completeness(report: &Report<'_>) -> Completeness {
    let mut seen = Completeness::default();
    for covered in report.coverage() {
        match covered.status {
            Seen::Complete => seen.complete += 1,
            Seen::None => seen.none += 1,
            Seen::Waived => seen.waived += 1,
            Seen::Blind => seen.blind += 1,
        }
    }
    seen.causes = report.blind().into_iter().map(|(cause, (lists, asks))| (cause, lists + asks)).collect();
    seen
}

fn totals(actions: &[Action], held: &[Held], set: &PolicySet) -> Totals {
    let mut totals = Totals { actions: actions.len() as u64, held: held.len() as u64, ..Totals::default() };
    for action in actions {
        totals.kept += action.keep.as_ref().and_then(|copy| copy.monthly_cost.amount).unwrap_or_default();
        let waste = set
            .policies
            .iter()
            .find(|policy| policy.name == action.policy)
            .and_then(|policy| policy.sweep)
            .is_none_or(|detector| detector.spec.is_waste());
        match (action.usd(), action.monthly_cost.basis) {
            _ if !waste || action.deed_kind() != DeedKind::Delete => {}
            (Some(amount), Basis::UpperBound) => totals.up_to += amount,
            (Some(amount), _) => totals.firm += amount,
            (None, _) => totals.unpriced += 1,
        }
    }
    totals
}

/// What is to be done about one row, or why it cannot be.
fn action(
    parts: Parts<'_>,
    view: &View<'_>,
    glance: &Glance<'_>,
    finding: Finding,
    (reason, needs): (String, Needs),
    (rules, prices): (&Rules, &dyn Prices),
) -> Result<Action, String> {
    let policy = glance.policy;
    let resource = glance.resource;
    let kind = resource.kind();
    let deed_kind = DeedKind::of(policy.then).ok_or("the policy only reports")?;
    let spec =
        kind.act(deed_kind).ok_or_else(|| format!("report only: {} is not for {}", deed_kind.name(), kind.id))?;
    let deed = match deed_kind {
        DeedKind::Delete => Deed::Delete,
        DeedKind::Stop => Deed::Stop,
        DeedKind::Tag => Deed::Tag { key: rules.tag_key.clone(), value: policy.name.clone() },
        DeedKind::SetRetention => match rules.retention_days {
            Some(days) => Deed::SetRetention { days: Some(days) },
            None => return Err("no retention: `retention_days` of [apply] in the config says how long".to_owned()),
        },
        other => return Err(format!("bug: a policy asks for {}", other.name())),
    };
    tagged(view, resource, &deed, rules)?;
    let keep = match policy.keep {
        Keep::None => None,
        keep if deed_kind != DeedKind::Delete => {
            return Err(format!("keep: nothing to {} before a {}", keep.name(), deed_kind.name()));
        }
        keep if !spec.keeps.contains(&keep) => {
            return Err(format!("keep: no {} can be made of a {}", keep.name(), kind.title));
        }
        keep => {
            let monthly_cost = copy_price(resource, keep, prices).into();
            Some(Copy { keep, until: parts.now.plus(rules.keep_for), monthly_cost })
        }
    };
    let cascade = cascade(parts, view, resource, deed_kind)?;
    let mut risk = Risk::of(spec.reversal, keep.is_some());
    if deed_kind == DeedKind::Delete && cascade.iter().any(|gone| gone.why.starts_with("goes")) {
        // Of what goes along nothing is kept.
        risk = Risk::OneWay;
    }
    let needs = if risk.is_r() { needs } else { needs.for_good() };
    Ok(Action {
        no: 0,
        digest: String::new(),
        policy: policy.name.clone(),
        detector: finding.detector,
        target: target(resource),
        expects: observe::fields(resource),
        deed,
        keep,
        risk,
        reversal: spec.reversal.how().to_owned(),
        cascade,
        after: Vec::new(),
        owner: finding.owner.name,
        owner_from: finding.owner.from,
        needs,
        monthly_cost: finding.monthly_cost,
        reason,
        because: finding.evidence,
        assuming: finding.assuming,
    })
}

/// The price list's key of a GiB-month of a disk's copy.
const fn copy_key(cloud: CloudId) -> &'static str {
    match cloud {
        CloudId::Aws => "ebs.snapshot.gb-month",
        CloudId::Azure => "snapshot.gb-month",
        CloudId::Gcp => "snapshot.standard.gib-month",
    }
}

/// What a copy costs a month at most: as if all of the disk were written.
fn copy_price(resource: Resource<'_>, keep: Keep, prices: &dyn Prices) -> Cost {
    let (cloud, place) = (resource.cloud(), resource.region());
    // A disk may lie in a zone, of which prices do not speak (`us-central1-a`); some are the same everywhere.
    let region = place.rsplit_once('-').map_or(place, |(region, _)| region);
    let unit = || [place, region, Scope::GLOBAL].into_iter().find_map(|at| prices.unit(cloud, at, copy_key(cloud)));
    match (keep, resource.facts()) {
        (Keep::Snapshot, FactsRef::Disk(disk)) => {
            unit().map_or_else(Cost::unknown, |unit| Cost::upper_bound(unit.times(i64::from(disk.size_gib))))
        }
        // Text of some kilobytes in the state.
        (Keep::Definition, _) => Cost::list(crate::money::Amount::ZERO),
        _ => Cost::unknown(),
    }
}

/// A resource as a plan names it.
pub(crate) fn target(resource: Resource<'_>) -> Target {
    Target {
        kind: resource.kind().id.to_owned(),
        cloud: resource.cloud(),
        account: resource.account().to_owned(),
        region: resource.region().to_owned(),
        listed_in: resource.scope().region.clone(),
        native_id: resource.native_id().to_owned(),
        uid: resource.uid().to_owned(),
        name: resource.name().to_owned(),
        created: resource.created(),
    }
}

/// What goes along. A machine's disks and interfaces go where the cloud was told so when they were attached, which
/// its listing does not say: they count as going. An image takes the snapshots it is made of along.
fn cascade(parts: Parts<'_>, view: &View<'_>, resource: Resource<'_>, deed: DeedKind) -> Result<Vec<Cascade>, String> {
    let classes = resource.kind().act(deed).map_or(&[][..], |act| act.takes);
    let (relation, why) = match resource.kind().class {
        _ if classes.is_empty() => return Ok(Vec::new()),
        Class::Vm => (Relation::UsedByVm, "goes with the machine, if it was attached so"),
        Class::Image => (Relation::UsedByImage, "goes with the image"),
        other => return Err(format!("bug: nothing is known of what goes with a {}", other.name())),
    };
    let inventory = view.inventory;
    let targets: BTreeSet<Sym> =
        resource.used().filter(|(used, _)| *used == relation).map(|(_, target)| target).collect();
    let mut gone = Vec::new();
    for other in inventory.resources().filter(|other| {
        other.cloud() == resource.cloud()
            && other.account() == resource.account()
            && classes.contains(&other.kind().class)
            && (targets.contains(&other.native_sym()) || other.also().any(|name| targets.contains(&name)))
    }) {
        if let Some(reason) = kept(parts.set, view, other) {
            return Err(format!("cascade: {} would go along, and is {reason}", other.id()));
        }
        gone.push(Cascade {
            resource: other.id(),
            why: why.to_owned(),
            monthly_cost: parts.sealed.costs.monthly(other).into(),
        });
    }
    // What it is made of and nobody listed goes along unseen.
    if gone.len() < targets.len() && resource.kind().class == Class::Vm {
        let named = targets.len() - gone.len();
        let listed = inventory.kinds().iter().any(|kind| kind.cloud == resource.cloud() && kind.class == Class::Disk);
        if !listed {
            return Err(format!("cascade: {named} disks or interfaces would go along, and were not listed"));
        }
    }
    gone.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(gone)
}

/// Who is used comes after who uses it; of what may come next, the least risky and cheapest comes first, so that
/// the first wave risks least.
fn ordered(wanted: Vec<Wanted<'_>>, held: &mut Vec<Held>) -> Vec<Action> {
    let mut names: BTreeMap<(CloudId, Sym), Vec<usize>> = BTreeMap::new();
    for (at, one) in wanted.iter().enumerate() {
        for name in std::iter::once(one.resource.native_sym()).chain(one.resource.also()) {
            names.entry((one.resource.cloud(), name)).or_default().push(at);
        }
    }
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); wanted.len()];
    for (at, one) in wanted.iter().enumerate() {
        for (_, used) in one.resource.used() {
            for other in names.get(&(one.resource.cloud(), used)).into_iter().flatten().filter(|other| **other != at) {
                before[*other].insert(at);
            }
        }
    }
    let rank = |at: usize| {
        let action = &wanted[at].action;
        (action.risk != Risk::Recreatable, action.risk, action.usd(), action.target.clone(), action.policy.clone())
    };
    let mut left: BTreeSet<usize> = (0..wanted.len()).collect();
    let mut order: Vec<usize> = Vec::with_capacity(wanted.len());
    let mut ready: BTreeSet<_> = left.iter().filter(|at| before[**at].is_empty()).map(|at| (rank(*at), *at)).collect();
    let mut waiting = before.clone();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); wanted.len()];
    for (at, users) in before.iter().enumerate() {
        for user in users {
            after[*user].push(at);
        }
    }
    while let Some((_, at)) = ready.pop_first() {
        order.push(at);
        left.remove(&at);
        for next in &after[at] {
            waiting[*next].remove(&at);
            if waiting[*next].is_empty() {
                ready.insert((rank(*next), *next));
            }
        }
    }
    for at in left {
        let action = &wanted[at].action;
        let reason = "order: it and others of the plan use each other".to_owned();
        held.push(Held { policy: action.policy.clone(), resource: action.target.id(), reason });
    }
    held.sort();
    let place: BTreeMap<usize, u32> = order.iter().enumerate().map(|(no, at)| (*at, no as u32 + 1)).collect();
    let mut actions: Vec<(usize, Action)> = wanted.into_iter().map(|one| one.action).enumerate().collect();
    actions.retain(|(at, _)| place.contains_key(at));
    actions.sort_by_key(|(at, _)| place[at]);
    let numbered = actions.into_iter().map(|(at, mut action)| {
        action.no = place[&at];
        action.after = before[at].iter().filter_map(|user| place.get(user).copied()).collect();
        action.after.sort_unstable();
        action
    });
    numbered.collect()
}
