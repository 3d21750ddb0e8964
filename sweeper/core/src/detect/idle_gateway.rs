//! Gateways that carry nothing and that no route leads to.

use super::{Finding, Judged, Severity, Spec, Users, Verdict, View};
use crate::{
    answers::{Metric, Question},
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

/// Days looked at. Compute Optimizer's rule for unused NAT gateways has the same window and conditions.
const WINDOW: u16 = 32;

pub(super) static SPEC: Spec = Spec {
    id: "idle-gateway",
    title: "gateway that carries nothing and that no route leads to",
    classes: &[Class::Gateway],
    relations: &[Relation::Routed],
    sources: &[],
    questions: &[Question::Usage { metric: Metric::GatewayTraffic, days: WINDOW }],
    severity: Severity::Ticket,
    why_it_matters: "A gateway is billed by the hour, with traffic or without, and its address besides. One in each \
        zone of each test network adds up.",
    when_it_is_wrong: "A gateway whose route is put in only during a fail-over. One that a route leads to is never \
        found, even without traffic: it may be the standby of a zone, and deleting it would leave the route \
        leading nowhere. Traffic that trickles (a few kB a day) is traffic.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Gateway(gateway) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if !gateway.active {
        return Ok(Verdict::trap("not in a state that is billed"));
    }
    if view.younger(resource.created(), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    // Routes are searched first: it costs nothing. Where a cloud has none that name a gateway, traffic decides.
    let routable = view.may_be(Relation::Routed, resource);
    let routed = if routable { view.users(resource, Relation::Routed) } else { Ok(Users::default()) };
    if routed.as_ref().is_ok_and(|routes| !routes.is_empty()) {
        return Ok(Verdict::trap("a route leads to it"));
    }
    let Some(traffic) = view.quiet(resource, Metric::GatewayTraffic, WINDOW, 0.0)? else {
        return Ok(Verdict::CLEAN);
    };
    routed?;
    let source = view.source(resource);
    let finding = Finding::new("state", view.inventory.text(gateway.state), source.clone())
        .measured(Metric::GatewayTraffic, &traffic);
    let finding = if routable { finding.and("routed", false, "inventory").searched(view) } else { finding };
    Ok(Verdict::Found(finding.and("kind", gateway.kind.name(), source)))
}
