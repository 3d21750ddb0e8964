//! Network machinery that serves nothing.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{facts::FactsRef, inventory::Resource, model::Class};

pub(super) static SPEC: Spec = Spec {
    id: "idle-network-appliance",
    title: "network appliance that serves nothing",
    classes: &[Class::Appliance],
    // An appliance counts what it serves itself.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "Application gateways, VPN gateways, firewalls and protection plans are the dearest things in a \
        network, billed by the hour from the day they are made: from some hundred dollars a month to some thousand. \
        One with no backend, connection, circuit or network does nothing for it.",
    when_it_is_wrong: "A gateway whose circuit is ordered and takes weeks to come, or whose backends a cluster's \
        controller puts in and takes out; one kept because making it again takes three quarters of an hour. Give \
        `for` some weeks. One that only redirects, or that clients dial into, serves: its cloud's rules say so.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Appliance(appliance) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if !appliance.active {
        return Ok(Verdict::trap("not in a state that is billed"));
    }
    let Some(serves) = appliance.serves else { return Err(view.not_told(resource, "serves")) };
    if serves > 0 {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("serves", serves, source.clone())
            .and("sort", view.inventory.text(appliance.sort), source.clone())
            .and("tier", view.inventory.text(appliance.tier), source.clone())
            .and("state", view.inventory.text(appliance.state), source),
    ))
}
