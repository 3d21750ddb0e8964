//! Target groups that no load balancer sends to.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{facts::FactsRef, inventory::Resource, model::Class};

pub(super) static SPEC: Spec = Spec {
    id: "unbound-target-group",
    title: "target group that no load balancer sends to",
    classes: &[Class::TargetGroup],
    // The cloud itself says which load balancers name a group.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Info,
    why_it_matters: "A target group without a load balancer is free and does nothing. It is what is left of a \
        service that was taken down, and it counts against a quota that stops the next deployment.",
    when_it_is_wrong: "The idle half of a blue/green deployment between two releases, or a group that a controller \
        of a cluster is about to bind. `for` in the policy waits for both.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::TargetGroup(group) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if group.bound {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    Ok(Verdict::Found(Finding::new("bound", false, source.clone()).and(
        "target_type",
        view.inventory.text(group.target_type),
        source,
    )))
}
