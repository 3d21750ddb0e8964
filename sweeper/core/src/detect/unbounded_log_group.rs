//! Log groups that keep everything for ever.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{facts::FactsRef, inventory::Resource, model::Class};

pub(super) static SPEC: Spec = Spec {
    id: "unbounded-log-group",
    title: "log group that keeps its events for ever",
    classes: &[Class::LogGroup],
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Info,
    why_it_matters: "Services that make their own log groups set no retention, so every line ever written is kept \
        and billed each month. A retention period ends that without deleting anything by hand.",
    when_it_is_wrong: "Audit trails and logs under a legal duty to keep. Set the period that the duty asks for, or \
        except the group with a reason: setting a retention deletes what is older at once and cannot be undone.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::LogGroup(group) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if group.machinery {
        return Ok(Verdict::trap("comes with the account and cannot be changed"));
    }
    if group.retention_days.is_some() {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    Ok(Verdict::Found(Finding::new("retention_days", "never ends", source.clone()).and_known(
        "bytes",
        group.bytes,
        source,
    )))
}
