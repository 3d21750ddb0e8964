//! Functions that nobody calls.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::{Metric, Question},
    facts::FactsRef,
    inventory::Resource,
    model::Class,
};

/// Days looked at.
const WINDOW: u16 = 30;

pub(super) static SPEC: Spec = Spec {
    id: "idle-function",
    title: "function that nobody calls",
    classes: &[Class::Function],
    relations: &[],
    sources: &[],
    questions: &[
        Question::Usage { metric: Metric::FunctionInvocations, days: WINDOW },
        Question::Usage { metric: Metric::FunctionProvisioned, days: WINDOW },
    ],
    severity: Severity::Info,
    why_it_matters: "A function that is not called costs nothing by itself, but capacity kept warm for it does, \
        its code counts against a quota, and its rights and its old runtime stay open to whoever finds them.",
    when_it_is_wrong: "Work that comes once a quarter or a year, and handlers of disasters and alarms that have, \
        happily, not rung. Functions that run at the edge are measured in the regions they run in and are never \
        called idle; nor is one made or changed within the window.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Function(function) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if function.machinery {
        return Ok(Verdict::trap("part of another function, which is judged"));
    }
    if function.edge == Some(true) {
        return Ok(Verdict::trap("its metrics are in other regions"));
    }
    if view.younger(resource.created(), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    if view.younger(function.last_modified, WINDOW) {
        return Ok(Verdict::trap("changed within the window"));
    }
    let Some(calls) = view.quiet(resource, Metric::FunctionInvocations, WINDOW, 0.0)? else {
        return Ok(Verdict::CLEAN);
    };
    if function.edge.is_none() {
        return Err(view.not_told(resource, "edge"));
    }
    let source = view.source(resource);
    let mut finding = Finding::new("state", "not called", "metrics")
        .measured(Metric::FunctionInvocations, &calls)
        .and("runtime", view.inventory.text(function.runtime), source.clone())
        .and_known("last_modified", function.last_modified, source.clone())
        .and_known("code_bytes", function.code_bytes, source.clone())
        .and_known("kept_warm", function.kept_warm, source);
    // Only for people: whether it also costs something.
    if function.kept_warm.is_none()
        && let Ok(warm) = view.usage(resource, Metric::FunctionProvisioned, WINDOW)
        && warm.covered > 0
    {
        finding = finding.measured(Metric::FunctionProvisioned, &warm);
    }
    Ok(Verdict::Found(finding))
}
