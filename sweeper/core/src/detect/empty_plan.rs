//! Capacity that is paid for and holds nothing.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{facts::FactsRef, inventory::Resource, model::Class};

pub(super) static SPEC: Spec = Spec {
    id: "empty-plan",
    title: "plan or pool with nothing in it",
    classes: &[Class::Plan],
    // A plan counts what it holds itself.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "The capacity of a hosting plan or a database pool is billed by the hour for as long as it \
        exists, whether or not anything runs in it. Deleting the last app leaves its plan behind, and no page that \
        lists apps shows it.",
    when_it_is_wrong: "A plan made ready for an app that is deployed tomorrow, one that a pipeline fills and empties, \
        the idle half of a blue/green deployment: give `for` some days. Free, shared and consumption tiers cost \
        nothing by themselves and are never found.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Plan(plan) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if plan.free {
        return Ok(Verdict::trap("its tier costs nothing by itself"));
    }
    let Some(holds) = plan.holds else { return Err(view.not_told(resource, "holds")) };
    if holds > 0 {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("holds", holds, source.clone()).and("tier", view.inventory.text(plan.tier), source.clone()).and(
            "capacity",
            plan.capacity,
            source,
        ),
    ))
}
