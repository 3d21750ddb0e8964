//! Log groups that nobody writes to any more.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{answers::Question, facts::FactsRef, inventory::Resource, model::Class};

/// Days without an event.
const WINDOW: u16 = 90;

pub(super) static SPEC: Spec = Spec {
    id: "stale-log-group",
    title: "log group that nobody writes to any more",
    classes: &[Class::LogGroup],
    relations: &[],
    sources: &[],
    questions: &[Question::LastEvent],
    severity: Severity::Info,
    why_it_matters: "When a function or a service is deleted, its log group stays, with everything in it, and is \
        billed each month for lines that nobody will add to.",
    when_it_is_wrong: "Logs of work that runs once a quarter or a year, and logs kept as evidence after their \
        service was retired. The time of the last event may lag by an hour or so, which a window of 90 days does \
        not feel. Log Analytics workspaces, of which that time is not told, are never found.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::LogGroup(group) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if group.machinery {
        return Ok(Verdict::trap("comes with the account and cannot be deleted"));
    }
    if resource.kind().asks.is_empty() {
        return Ok(Verdict::trap("its service does not tell when it was last written to"));
    }
    if view.younger(resource.created(), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    let last = view.when(resource, Question::LastEvent)?;
    if view.younger(last, WINDOW) {
        return Ok(Verdict::CLEAN);
    }
    if last.is_none() && resource.created().is_none() {
        return Err(view.not_told(resource, "created"));
    }
    let said = last.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("last_event", said, "log streams")
            .and_known("created", resource.created(), source.clone())
            .and_known("bytes", group.bytes, source.clone())
            .and_known("retention_days", group.retention_days, source)
            .since(last, "last event"),
    ))
}
