//! Private endpoints that carry nothing.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::{Metric, Question},
    facts::{EndpointKind, FactsRef},
    inventory::Resource,
    model::Class,
};

/// Days looked at.
const WINDOW: u16 = 30;

pub(super) static SPEC: Spec = Spec {
    id: "idle-endpoint",
    title: "private endpoint that carries nothing",
    classes: &[Class::Endpoint],
    relations: &[],
    sources: &[],
    questions: &[Question::Usage { metric: Metric::EndpointBytes, days: WINDOW }],
    severity: Severity::Ticket,
    why_it_matters: "A private endpoint is billed by the hour in every zone it stands in. A template that makes \
        twenty of them in each network, for services that nobody there calls, is a common and silent cost.",
    when_it_is_wrong: "Endpoints for work that is rare but must not fail: sessions into machines, keys and secrets \
        at start-up, a disaster recovery network. Endpoints that cost nothing (gateway endpoints) are never found.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Endpoint(endpoint) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if endpoint.kind == EndpointKind::Gateway {
        return Ok(Verdict::trap("this kind of endpoint costs nothing"));
    }
    if !endpoint.active {
        return Ok(Verdict::trap("not in a state that is billed"));
    }
    if view.younger(resource.created(), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    let Some(bytes) = view.quiet(resource, Metric::EndpointBytes, WINDOW, 0.0)? else {
        return Ok(Verdict::CLEAN);
    };
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("state", view.inventory.text(endpoint.state), source.clone())
            .measured(Metric::EndpointBytes, &bytes)
            .and("service", view.inventory.text(endpoint.service), source.clone())
            .and("zones", endpoint.zones, source),
    ))
}
