//! Whether what was planned is still so, by a look that was just taken with today's policies.

use super::Ended;
use crate::{
    caps::Population,
    deed::Target,
    engine::Outcome,
    inventory::{Resource, ResourceIx},
    model::{Scope, Timestamp},
    observe,
    plan::Action,
    policy::{self, Costs as _, PolicySet, RowVerdict},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What was seen, by which policies.
pub struct Look {
    pub outcome: Outcome,
    pub set: Arc<PolicySet>,
}

impl Look {
    fn view(&self) -> crate::detect::View<'_> {
        let parts = self.outcome.parts(&self.set);
        let survey = &parts.sealed.survey;
        crate::detect::View::new(&survey.inventory, &survey.answers, parts.house, parts.now)
    }

    /// Every resource by kind, account and native id.
    pub(super) fn index(&self) -> BTreeMap<(&str, &str, &str), ResourceIx> {
        let inventory = &self.outcome.sealed.survey.inventory;
        inventory
            .resources()
            .map(|resource| ((resource.kind().id, resource.account(), resource.native_id()), resource.ix()))
            .collect()
    }

    /// The resource of a target, if it is there, whoever it is by now.
    fn resource(&self, target: &Target) -> Option<Resource<'_>> {
        self.outcome.sealed.survey.inventory.resources().find(|resource| {
            resource.kind().id == target.kind
                && resource.account() == target.account
                && resource.native_id() == target.native_id
                && resource.region() == target.region
        })
    }

    /// Whether an action may still be done as it was planned: the policy is the one that was approved, the row is
    /// there, its decision is the same, and so is the resource.
    pub(super) fn still(&self, action: &Action, rule: Option<&String>) -> Result<(), Ended> {
        let Some(at) = self.set.policies.iter().position(|policy| policy.name == action.policy) else {
            return Err(Ended::Skipped(format!("policy: `{}` is gone", action.policy)));
        };
        let policy = &self.set.policies[at];
        if Some(&policy.digest()) != rule {
            return Err(Ended::Skipped(format!("policy: `{}` was edited since", action.policy)));
        }
        let Some(resource) = self.resource(&action.target) else {
            let target = &action.target;
            let referrers = &self.outcome.sealed.house.referrers;
            if let Some(mention) = referrers.mention_of_ids(&[&target.native_id, &target.uid]) {
                return Err(Ended::Skipped(format!("in use: {mention}")));
            }
            let mut speaking = referrers.0.iter().filter(|referrer| referrer.speaks_for(target.cloud, &target.account));
            if let Some(trouble) = speaking.find_map(|referrer| referrer.trouble(self.outcome.now)) {
                return Err(Ended::Left(format!("in use: not known, since {trouble}")));
            }
            // What is not in a list may be where nobody could look; reading it alone will tell.
            return Ok(());
        };
        if let Some(change) = observe::changed(&action.expects, &observe::fields(resource)) {
            return Err(Ended::Skipped(format!("changed: {change}")));
        }
        let row = self
            .outcome
            .evaluation
            .rows
            .iter()
            .find(|row| usize::from(row.policy) == at && row.resource == resource.ix());
        let Some(row) = row else {
            return Err(Ended::Skipped("verdict: the policy no longer finds it".to_owned()));
        };
        if row.verdict == RowVerdict::Unknown {
            let why = row.unseen.as_ref().map_or("something was not seen", |unseen| unseen.cause.as_str());
            return Err(Ended::Left(format!("unknown: {why}")));
        }
        let view = self.view();
        let costs = &self.outcome.sealed.costs;
        let detail = policy::detail(&self.set, &view, costs, row);
        let owner = crate::owner::known(&view, resource);
        let cost = costs.monthly(resource);
        let decision = policy::decide(&self.set, &view, row, &detail, &self.outcome.sealed.ledger, &owner, &cost);
        if decision.act.name() != action.deed_kind().name() {
            return Err(Ended::Skipped(format!("decision: {}", decision.reason)));
        }
        if owner.name != action.owner {
            return Err(Ended::Skipped("owner: it is somebody else's by now".to_owned()));
        }
        // Waived scopes that the approval did not know of.
        if detail.assuming.iter().any(|what| !action.assuming.contains(what)) {
            return Err(Ended::Skipped("assuming: it rests on a waiver that was not approved".to_owned()));
        }
        if action.usd().is_some()
            && (cost.amount, &cost.currency) != (action.monthly_cost.amount, &action.monthly_cost.currency)
        {
            return Err(Ended::Skipped("cost: its price is not what was approved".to_owned()));
        }
        for gone in &action.cascade {
            let Some(other) = self.outcome.sealed.survey.inventory.by_id(&gone.resource) else { continue };
            if let Some(reason) = policy::kept(&self.set, &view, other) {
                return Err(Ended::Skipped(format!("cascade: {} is {reason}", gone.resource)));
            }
        }
        Ok(())
    }

    /// How many of a kind there are in an account, where all of it was seen.
    pub(super) fn population(&self, target: &Target) -> Population {
        let inventory = &self.outcome.sealed.survey.inventory;
        let Some(kind) = inventory.kinds().iter().find(|kind| kind.id == target.kind) else {
            return Population::Incomplete;
        };
        let scopes: BTreeSet<&Scope> = inventory
            .coverage()
            .into_iter()
            .filter(|(own, scope, _)| own.id == kind.id && scope.account == target.account)
            .map(|(_, scope, _)| scope)
            .collect();
        if scopes.is_empty() || !scopes.iter().all(|scope| inventory.is_whole(kind, scope)) {
            return Population::Incomplete;
        }
        let count = inventory
            .resources()
            .filter(|resource| resource.kind().id == kind.id && resource.account() == target.account);
        Population::Complete(count.count() as u64)
    }

    /// What went wrong with something that was taken away by a run that began `since`: it is there again, or somebody
    /// turned out to use it.
    pub(super) fn regretted(&self, gone: &[&Action], since: Timestamp) -> Option<String> {
        if gone.is_empty() {
            return None;
        }
        let index = self.index();
        let inventory = &self.outcome.sealed.survey.inventory;
        for action in gone {
            let target = &action.target;
            let key = (target.kind.as_str(), target.account.as_str(), target.native_id.as_str());
            if let Some(again) = index.get(&key).map(|at| inventory.at(*at))
                && again.uid() != target.uid
            {
                return Some(format!("recreated: {} is there again under the same name", target.id()));
            }
            // A managed name that comes back under another id.
            if !target.name.is_empty() && target.name != target.native_id {
                let twin = inventory.resources().find(|other| {
                    other.kind().id == target.kind
                        && other.account() == target.account
                        && other.region() == target.region
                        && other.name() == target.name
                        && other.uid() != target.uid
                        && other.created() >= Some(since)
                });
                if let Some(twin) = twin {
                    return Some(format!("recreated: {} came in the place of {}", twin.id(), target.id()));
                }
            }
        }
        let natives: BTreeMap<&str, &Action> =
            gone.iter().map(|action| (action.target.native_id.as_str(), *action)).collect();
        for resource in inventory.resources() {
            for (_, used) in resource.uses() {
                if let Some(action) = natives.get(used)
                    && action.target.cloud == resource.cloud()
                    && resource.uid() != action.target.uid
                {
                    return Some(format!("used after all: {} names {}", resource.id(), action.target.id()));
                }
            }
        }
        None
    }
}
