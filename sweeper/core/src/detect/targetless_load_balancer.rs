//! Load balancers with nothing behind them.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    facts::{FactsRef, LoadBalancer},
    inventory::{Resource, Unseen},
    model::{Class, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "targetless-load-balancer",
    title: "load balancer with nothing behind it",
    classes: &[Class::LoadBalancer],
    relations: &[Relation::Targets],
    sources: &[],
    questions: &[Question::Targets, Question::AnswersItself],
    severity: Severity::Ticket,
    why_it_matters: "A load balancer with nothing registered behind it can only answer with an error, and is billed \
        by the hour with its addresses.",
    when_it_is_wrong: "A cluster's controller that takes targets out while pods are scaled to zero, the idle half \
        of a blue/green deployment, the front of a service offered to other networks. `for` waits for the first \
        two. Targets that are there but unhealthy are an outage, not waste, and one that only redirects, or \
        answers by itself, does its work without targets: neither is found.",
};

/// What stands behind a load balancer.
pub(super) struct Behind {
    pub(super) targets: u32,
    /// Groups it has; `None` where targets are registered with the balancer itself.
    pub(super) groups: Option<usize>,
}

/// How many targets are registered. Some seen are certain; none is only said when all was seen.
pub(super) fn behind<'a>(view: &View<'a>, resource: Resource<'a>, balancer: &LoadBalancer) -> Result<Behind, Unseen> {
    if let Some(targets) = balancer.own_targets {
        return Ok(Behind { targets, groups: None });
    }
    let groups = view.users(resource, Relation::Targets)?;
    let mut sum = 0;
    let mut unseen = None;
    for group in groups.iter() {
        match view.targets(view.inventory.at(*group)) {
            Ok((targets, _)) => sum += targets,
            Err(why) => unseen = unseen.or(Some(why)),
        }
    }
    if sum == 0 {
        if let Some(why) = unseen {
            return Err(why);
        }
        view.every_user(resource, Relation::Targets)?;
    }
    Ok(Behind { targets: sum, groups: Some(groups.len()) })
}

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::LoadBalancer(balancer) = resource.facts() else { return Ok(Verdict::CLEAN) };
    let behind = behind(view, resource, balancer)?;
    if behind.targets > 0 {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    let Some(groups) = behind.groups else {
        return Ok(Verdict::Found(
            Finding::new("targets", 0, source.clone()).and("kind", balancer.kind.name(), source.clone()).and(
                "state",
                view.inventory.text(balancer.state),
                source,
            ),
        ));
    };
    if view.truth(resource, Question::AnswersItself)? {
        return Ok(Verdict::trap("answers without targets"));
    }
    Ok(Verdict::Found(
        Finding::new("targets", 0, "target health")
            .and("target_groups", groups, "inventory")
            .searched(view)
            .and("answers_itself", false, "listeners and rules")
            .and("kind", balancer.kind.name(), source.clone())
            .and("state", view.inventory.text(balancer.state), source),
    ))
}
