//! Network interfaces that belong to nothing.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{facts::FactsRef, inventory::Resource, model::Class};

pub(super) static SPEC: Spec = Spec {
    id: "unattached-interface",
    title: "network interface that nothing uses",
    classes: &[Class::Interface],
    // The cloud itself says whether an interface is attached.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Info,
    why_it_matters: "A left-over interface is free, but it holds an address of its subnet, keeps its security \
        groups from being deleted and stands in the way when a network is taken down.",
    when_it_is_wrong: "An interface kept for its fixed address or its MAC-bound licence, and the warm pool of a \
        cluster's network plugin, which takes interfaces up again within minutes: give `for` a day or more. \
        Interfaces that a service made for itself (functions, file systems, load balancers, gateways) are never \
        found.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Interface(interface) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if interface.attached {
        return Ok(Verdict::CLEAN);
    }
    if interface.machinery || !interface.requester.is_none() {
        return Ok(Verdict::trap("part of another resource's machinery"));
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("attached", false, source.clone())
            .and("state", view.inventory.text(interface.state), source.clone())
            .and("description", view.inventory.text(interface.description), source),
    ))
}
