//! Load balancers that nobody calls.

use super::{Finding, Judged, Severity, Spec, Verdict, View, targetless_load_balancer::behind};
use crate::{
    answers::{Metric, Question},
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

/// Days looked at.
const WINDOW: u16 = 14;
/// Requests, or new flows, a day: fewer than ten, which is what strangers knocking at a door come to.
const REQUESTS_AT_MOST: f64 = 9.0;

pub(super) static SPEC: Spec = Spec {
    id: "idle-load-balancer",
    title: "load balancer that nobody calls",
    classes: &[Class::LoadBalancer],
    relations: &[Relation::Targets],
    sources: &[],
    questions: &[
        Question::Usage { metric: Metric::LbRequests, days: WINDOW },
        Question::Targets,
        Question::AnswersItself,
    ],
    severity: Severity::Ticket,
    why_it_matters: "A load balancer that takes fewer than ten requests a day is billed by the hour for the few \
        that come, and the machines behind it are most likely idle too.",
    when_it_is_wrong: "A standby in another region, an endpoint for rare webhooks, the front of a service whose \
        clients keep one connection open for weeks. One with nothing behind it is another pattern, \
        `targetless-load-balancer`, and is not found here.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::LoadBalancer(balancer) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if view.younger(resource.created(), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    if balancer.own_targets == Some(0) {
        return Ok(Verdict::trap("nothing is behind it"));
    }
    let Some(requests) = view.quiet(resource, Metric::LbRequests, WINDOW, REQUESTS_AT_MOST)? else {
        return Ok(Verdict::CLEAN);
    };
    let behind = behind(view, resource, balancer)?;
    if behind.targets == 0 && !view.truth(resource, Question::AnswersItself)? {
        return Ok(Verdict::trap("nothing is behind it"));
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("state", view.inventory.text(balancer.state), source.clone())
            .measured(Metric::LbRequests, &requests)
            .and(
                "targets",
                behind.targets,
                if behind.groups.is_some() { "target health".into() } else { source.clone() },
            )
            .and("kind", balancer.kind.name(), source),
    ))
}
