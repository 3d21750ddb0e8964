//! What is to be done about a row, or why nothing is. Total: every row gets a decision.

use super::{Approve, Consent, Detail, Except, Keep, Policy, PolicySet, Row, RowVerdict, Verb};
use crate::{
    deed::DeedKind,
    detect::{Detector, View, gone_manager},
    facts::FactsRef,
    house::{AccountClass, same_key},
    inventory::{Resource, Unseen},
    ledger::{Fingerprint, LedgerSlice, Sighting},
    model::{DAY, Timestamp},
    money::Cost,
    owner::{self, Owner},
    plan::{Needs, Risk},
    ttl::{self, Until},
};

/// The sort of hold of what nobody was told of yet: see [`Decision::reason`].
pub const NOT_TOLD: &str = "not told";
/// The sort of hold of what was told, and whose grace runs.
pub const IN_GRACE: &str = "in grace";

/// How long an owner has after being told, seconds. Where the resource does not say whose it is, whoever is told
/// instead gets twice the time.
pub const fn grace(policy: &Policy, by_tag: bool) -> i64 {
    if by_tag { policy.grace } else { policy.grace.saturating_mul(2) }
}

/// What a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The policy only reports.
    Report,
    /// Nothing, for the reason given.
    Hold,
    Tag,
    Stop,
    Delete,
    SetRetention,
}

impl Act {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Hold => "hold",
            Self::Tag => "tag",
            Self::Stop => "stop",
            Self::Delete => "delete",
            Self::SetRetention => "set-retention",
        }
    }
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub act: Act,
    /// Why; for a hold, the most important reason. Its words before the first `:` name the sort, by which
    /// reports total.
    pub reason: String,
    /// Whose word it takes before it is done: there exactly when the act changes something.
    pub needs: Option<Needs>,
}

impl Decision {
    fn hold(reason: impl Into<String>) -> Self {
        Self { act: Act::Hold, reason: reason.into(), needs: None }
    }
}

/// Decides a row. Reasons to leave a thing alone come before reasons to wait, and before the verb: what is
/// excepted, protected or managed is shown as such under a policy that only reports, too.
pub fn decide(
    set: &PolicySet,
    view: &View<'_>,
    row: &Row,
    detail: &Detail,
    ledger: &LedgerSlice,
    owner: &Owner,
    cost: &Cost,
) -> Decision {
    let Some(policy) = set.policies.get(row.policy as usize) else {
        return Decision::hold("bug: a row of a policy that is not there");
    };
    let resource = view.inventory.at(row.resource);
    if row.verdict == RowVerdict::Unknown {
        let cause = row.unseen.as_ref().map_or("something was not seen", |unseen| unseen.cause.as_str());
        return Decision::hold(format!("unknown: {cause}"));
    }
    if let Some(reason) = left_alone(set, view, resource, policy.sweep) {
        return Decision::hold(reason);
    }
    let act = match policy.then {
        Verb::Report => {
            return Decision { act: Act::Report, reason: "the policy only reports".to_owned(), needs: None };
        }
        Verb::Tag => Act::Tag,
        Verb::Stop => Act::Stop,
        Verb::Delete => Act::Delete,
        Verb::SetRetention => Act::SetRetention,
    };
    if let Some(why) = ledger.doubt() {
        return Decision::hold(format!("clock not trusted: {why}"));
    }
    let risk = match possible(policy, view, resource, detail, cost) {
        Ok(risk) => risk,
        Err(reason) => return Decision::hold(reason),
    };
    match due(policy, view, resource, detail, ledger.of(&policy.rule, &resource), owner, cost) {
        Ok(reason) => {
            let class = view.house.class(resource.cloud(), resource.account());
            let needs = needs(policy, risk, class, owner, !detail.assuming.is_empty());
            Decision { act, reason, needs: Some(needs) }
        }
        Err(reason) => Decision::hold(reason),
    }
}

/// Whose word it takes, at least: what the policy says, and more where that would be too little. A standing approval
/// speaks of nothing that is lost for good, of no production and of nothing that rests on a waiver; the owner's word
/// is worth that much only where the resource itself names the owner.
fn needs(policy: &Policy, risk: Risk, class: AccountClass, owner: &Owner, assuming: bool) -> Needs {
    let stands = risk.is_r() && class != AccountClass::Prod;
    let too_little = match policy.approve {
        Approve::Standing => !stands,
        Approve::Owner => !owner.is_by_tag(),
        Approve::Admin | Approve::TwoPeople => false,
    };
    let least = if too_little || assuming { Approve::Admin } else { Approve::Standing };
    let needs = Needs { approve: policy.approve.max(least), consent: policy.consent };
    if risk.is_r() { needs } else { needs.for_good() }
}

impl Needs {
    /// The same for something that cannot be had back: nobody stands for it beforehand, and silence is no consent.
    pub(crate) fn for_good(self) -> Self {
        let approve = if self.approve == Approve::Standing { Approve::Admin } else { self.approve };
        Self { approve, consent: Consent::Explicit }
    }
}

/// Somebody wants it left alone, or it is managed elsewhere.
pub(crate) fn kept<'a>(set: &PolicySet, view: &View<'a>, resource: Resource<'a>) -> Option<String> {
    left_alone(set, view, resource, None).or_else(|| used_elsewhere(view, resource))
}

/// What in-use files say against an end: one names it, or one cannot be relied on that speaks for its account.
fn used_elsewhere<'a>(view: &View<'a>, resource: Resource<'a>) -> Option<String> {
    if let Some(mention) = view.mention(resource) {
        return Some(format!("in use: {mention}"));
    }
    if view.house.referrers.is_empty() {
        return None;
    }
    view.told(resource).trouble.as_ref().map(|trouble| format!("in use: not known, since {trouble}: held"))
}

/// Why an image is never acted on: clusters run here, and nothing tells what they run.
pub(super) fn untold_clusters<'a>(view: &View<'a>, resource: Resource<'a>) -> Option<String> {
    match resource.facts() {
        FactsRef::Artifact(artifact) if !artifact.package => view.told(resource).untold(),
        _ => None,
    }
}

/// As [`kept`], of what a detector found: one that says that a manager is gone is not held by its mark.
fn left_alone(set: &PolicySet, view: &View<'_>, resource: Resource<'_>, detector: Option<&Detector>) -> Option<String> {
    if let Some(except) = excepted(&set.excepts, resource, view.now) {
        return Some(format!("excepted: {}, until {}", except.reason, except.until));
    }
    if let Some(reason) = protection(view, resource) {
        return Some(reason);
    }
    if let Some(reason) = view.house.environments.hold(view, resource) {
        return Some(reason);
    }
    if let Some(reason) = view.house.made_again.hold(resource, view.now) {
        return Some(reason);
    }
    let iac = &view.house.iac;
    if let Some(entry) = iac.managed(resource) {
        return Some(format!("managed: {entry}; remove it there"));
    }
    let manager = resource.managed_by();
    if !manager.is_empty() && gone_manager(detector, resource).is_none() {
        let owner = owner::of(view, resource).ok().and_then(|owner| owner.name);
        let owner = owner.map_or_else(String::new, |owner| format!(", owner {owner}"));
        return Some(format!("managed: remove it from {manager}{owner}"));
    }
    iac.hold(resource.cloud(), view.now).map(|why| format!("managed: {why}: held"))
}

/// The exception that covers a resource now.
fn excepted<'e>(excepts: &'e [Except], resource: Resource<'_>, now: Timestamp) -> Option<&'e Except> {
    excepts.iter().find(|except| except.holds(now) && except.covers(&resource))
}

/// What protects it: the cloud, a protect tag, a keep tag. A protection that cannot be read counts.
fn protection<'a>(view: &View<'a>, resource: Resource<'a>) -> Option<String> {
    let own = resource.protected();
    if !own.is_empty() {
        return Some(format!("protected: {own}"));
    }
    match protect_tag(view, resource) {
        Ok(reason) => reason,
        Err(unseen) => Some(format!("protection not readable: {}", unseen.cause)),
    }
}

/// What a protect or keep tag says.
pub(super) fn protect_tag<'a>(view: &View<'a>, resource: Resource<'a>) -> Result<Option<String>, Unseen> {
    let house = view.house;
    let is = |keys: &[String], key: &str| keys.iter().any(|own| same_key(own, key));
    let mut keep = None;
    for (key, value) in view.tags(resource)? {
        if is(&house.protect_keys, key) {
            return Ok(Some(format!("protected: tag {key}")));
        }
        if is(&house.keep_keys, key) && keep.is_none() {
            keep = kept_until(view, resource, key, value);
        }
    }
    Ok(keep)
}

/// What a keep tag says. One that cannot be read keeps: its owner meant something by it.
fn kept_until(view: &View<'_>, resource: Resource<'_>, key: &str, value: &str) -> Option<String> {
    let longest = i64::from(view.house.max_keep_days) * DAY;
    match ttl::until(value, resource.created()) {
        Until::At(end) if end <= view.now => None,
        Until::At(end) if end.since(view.now) > longest => {
            Some(format!("kept: tag {key} = {value}, longer than the {} the house allows", ttl::spoken(longest)))
        }
        Until::At(_) => Some(format!("kept: tag {key} until {value}")),
        Until::Never | Until::Ambiguous | Until::NoCreation | Until::Unreadable => {
            Some(format!("kept: tag {key}, whose value is not a date"))
        }
    }
}

/// What it risks, or why time alone does not help.
fn possible<'a>(
    policy: &Policy,
    view: &View<'a>,
    resource: Resource<'a>,
    detail: &Detail,
    cost: &Cost,
) -> Result<Risk, String> {
    let kind = resource.kind();
    if !kind.report_only.is_empty() {
        return Err(format!("report only: {}", kind.report_only));
    }
    let Some(spec) = DeedKind::of(policy.then).filter(|_| policy.then.fits(kind.class)).and_then(|deed| kind.act(deed))
    else {
        return Err(format!("report only: {} is not for {}", policy.then.name(), kind.id));
    };
    if policy.then.is_strict() {
        if let Some(reason) = used_elsewhere(view, resource) {
            return Err(reason);
        }
        if let Some(clusters) = untold_clusters(view, resource) {
            return Err(format!("report only: no in-use file tells what runs in {clusters}; `[[referrers]]` would"));
        }
    }
    if view.house.class(resource.cloud(), resource.account()) == AccountClass::Shared {
        return Err("shared account: others depend on it in ways that cannot be seen".to_owned());
    }
    let hidden: Vec<&str> = detail
        .out_of_sight
        .iter()
        .copied()
        .filter(|what| policy.then.is_strict() && !policy.accept_unseen.iter().any(|accepted| accepted == what))
        .collect();
    if !hidden.is_empty() {
        return Err(format!("out of sight: {}; `accept_unseen` in the policy would accept that", hidden.join(", ")));
    }
    if policy.then.is_strict() && (cost.amount.is_none() || cost.currency != "USD") {
        return Err("no price in USD: the policy limits money".to_owned());
    }
    let keeps = policy.then == Verb::Delete && policy.keep != Keep::None;
    Ok(Risk::of(spec.reversal, keeps))
}

/// How long it has waited, or why it is not time yet.
fn due(
    policy: &Policy,
    view: &View<'_>,
    resource: Resource<'_>,
    detail: &Detail,
    sighting: Option<&Sighting>,
    owner: &Owner,
    cost: &Cost,
) -> Result<String, String> {
    let now = view.now;
    let min_age = i64::from(view.house.min_age_hours) * 3600;
    if let Some(created) = resource.created().filter(|created| now.since(*created) < min_age) {
        return Err(format!("too young: created {created}, eligible {}", created.plus(min_age).date()));
    }
    // A hint of the cloud sets the start of the clock, but is no second sighting.
    let hinted = detail.since.map_or(0, |(since, _)| now.since(since).max(0));
    let held = sighting.map_or(0, |sighting| sighting.observed).max(hinted);
    let second = match sighting {
        Some(sighting) if sighting.complete_sightings >= 2 => now,
        Some(sighting) => sighting.counted_at.plus(DAY).max(now),
        None => now.plus(DAY),
    };
    let eligible = now.plus((policy.for_ - held).max(0)).max(second);
    if held < policy.for_ {
        return Err(format!(
            "{} of {}, eligible {}",
            if policy.for_ % DAY == 0 { (held / DAY).to_string() } else { ttl::spoken(held / 60 * 60) },
            ttl::spoken(policy.for_),
            eligible.date()
        ));
    }
    if second > now || sighting.is_none() {
        return Err(format!(
            "seen once: needs a second complete survey {} apart, eligible {}",
            ttl::spoken(DAY),
            eligible.date()
        ));
    }
    let grace = grace(policy, owner.is_by_tag());
    let held = format!("held for {}", ttl::spoken(held / DAY * DAY));
    let Some(told) = sighting.and_then(|sighting| sighting.told(&policy.name)) else {
        if grace > 0 {
            return Err(format!("{NOT_TOLD}: {} of grace start with a notice", ttl::spoken(grace)));
        }
        return Ok(held);
    };
    let fingerprint = Fingerprint::of(policy, resource, owner.name.as_deref(), cost);
    if let Some(what) = told.fingerprint.differs(&fingerprint).filter(|_| grace > 0) {
        return Err(format!(
            "{NOT_TOLD}: {what} changed since the notice of {}, and grace starts anew",
            told.at.date()
        ));
    }
    match view.house.calendar.grace_ends(told.at, grace, resource.scope()) {
        Some(ends) if ends <= now => Ok(format!("{held}, told {}", told.at.date())),
        _ if grace == 0 => Ok(format!("{held}, told {}", told.at.date())),
        Some(ends) => Err(format!("{IN_GRACE}: told {}, eligible {}", told.at.date(), ends.date())),
        None => Err(format!("{IN_GRACE}: told {}, and the calendar does not say until when", told.at.date())),
    }
}
