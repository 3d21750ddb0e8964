//! What is to be done about a row, or why nothing is. Total: every row gets a decision.

use super::{Detail, Except, Policy, PolicySet, Row, RowVerdict, Verb};
use crate::{
    detect::{Detector, View, gone_manager},
    house::{AccountClass, same_key},
    inventory::{Resource, Unseen},
    ledger::{LedgerSlice, Sighting},
    model::{DAY, Timestamp},
    money::Cost,
    owner::{self, Owner},
    ttl::{self, Until},
};
use serde::Serialize;

/// What a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
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

/// `decision{do, reason}` of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    #[serde(rename = "do")]
    pub act: Act,
    /// Why; for a hold, the most important reason. Its words before the first `:` name the sort, by which
    /// reports total.
    pub reason: String,
}

impl Decision {
    fn hold(reason: impl Into<String>) -> Self {
        Self { act: Act::Hold, reason: reason.into() }
    }

    /// The sort of reason: `protected`, `excepted`.
    pub fn sort(&self) -> &str {
        self.reason.split_once(':').map_or(self.reason.as_str(), |(sort, _)| sort)
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
    if policy.then == Verb::Report {
        return Decision { act: Act::Report, reason: "the policy only reports".to_owned() };
    }
    if let Some(reason) = held_for_good(policy, view, resource, detail, cost) {
        return Decision::hold(reason);
    }
    let sighting = ledger.of(&policy.rule, &resource);
    if let Some(reason) = too_early(policy, view, resource, detail, sighting, owner) {
        return Decision::hold(reason);
    }
    let act = match policy.then {
        Verb::Report => Act::Report,
        Verb::Tag => Act::Tag,
        Verb::Stop => Act::Stop,
        Verb::Delete => Act::Delete,
        Verb::SetRetention => Act::SetRetention,
    };
    Decision { act, reason: "waits for an approved plan".to_owned() }
}

/// Somebody wants it left alone, or it is managed elsewhere.
pub(crate) fn kept(set: &PolicySet, view: &View<'_>, resource: Resource<'_>) -> Option<String> {
    left_alone(set, view, resource, None)
}

/// As [`kept`], of what a detector found: one that says that a manager is gone is not held by its mark.
fn left_alone(set: &PolicySet, view: &View<'_>, resource: Resource<'_>, detector: Option<&Detector>) -> Option<String> {
    if let Some(except) = excepted(&set.excepts, resource, view.now) {
        return Some(format!("excepted: {}, until {}", except.reason, except.until));
    }
    if let Some(reason) = protection(view, resource) {
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

/// Why time alone does not help.
fn held_for_good(
    policy: &Policy,
    view: &View<'_>,
    resource: Resource<'_>,
    detail: &Detail,
    cost: &Cost,
) -> Option<String> {
    let kind = resource.kind();
    if !kind.report_only.is_empty() {
        return Some(format!("report only: {}", kind.report_only));
    }
    if !policy.then.fits(kind.class) {
        return Some(format!("report only: {} cannot be used on a {}", policy.then.name(), kind.class.name()));
    }
    if view.house.class(resource.cloud(), resource.account()) == AccountClass::Shared {
        return Some("shared account: others depend on it in ways that cannot be seen".to_owned());
    }
    if let Some(first) = detail.assuming.iter().next() {
        return Some(format!("rests on a waiver: {first}; needs an admin's approval"));
    }
    let hidden: Vec<&str> = detail
        .out_of_sight
        .iter()
        .copied()
        .filter(|what| policy.then.is_strict() && !policy.accept_unseen.iter().any(|accepted| accepted == what))
        .collect();
    if !hidden.is_empty() {
        return Some(format!("out of sight: {}; `accept_unseen` in the policy would accept that", hidden.join(", ")));
    }
    (policy.then.is_strict() && (cost.amount.is_none() || cost.currency != "USD"))
        .then(|| "no price in USD: the policy limits money".to_owned())
}

/// Why it is not time yet.
fn too_early(
    policy: &Policy,
    view: &View<'_>,
    resource: Resource<'_>,
    detail: &Detail,
    sighting: Option<&Sighting>,
    owner: &Owner,
) -> Option<String> {
    let now = view.now;
    let min_age = i64::from(view.house.min_age_hours) * 3600;
    if let Some(created) = resource.created().filter(|created| now.since(*created) < min_age) {
        return Some(format!("too young: created {created}, eligible {}", created.plus(min_age).date()));
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
        return Some(format!(
            "{} of {}, eligible {}",
            if policy.for_ % DAY == 0 { (held / DAY).to_string() } else { ttl::spoken(held / 60 * 60) },
            ttl::spoken(policy.for_),
            eligible.date()
        ));
    }
    if second > now || sighting.is_none() {
        return Some(format!(
            "seen once: needs a second complete survey {} apart, eligible {}",
            ttl::spoken(DAY),
            eligible.date()
        ));
    }
    // Where the resource does not say whose it is, whoever is told instead gets twice the time.
    let grace = if owner.is_by_tag() { policy.grace } else { policy.grace.saturating_mul(2) };
    match sighting.and_then(|sighting| sighting.told_at) {
        None if grace > 0 => Some(format!("not told: {} of grace start with a notice", ttl::spoken(grace))),
        Some(told) if now.since(told) < grace => {
            Some(format!("in grace: told {}, eligible {}", told.date(), told.plus(grace).date()))
        }
        _ => None,
    }
}
