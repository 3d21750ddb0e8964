//! Uploads in parts that were begun and never ended.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{answers::Question, facts::FactsRef, inventory::Resource, model::Class};

/// Days after which no upload is still under way. The providers' own advice for a lifecycle rule is 7.
const WINDOW: u16 = 7;

pub(super) static SPEC: Spec = Spec {
    id: "incomplete-upload",
    title: "upload that was begun and never completed",
    classes: &[Class::Upload],
    relations: &[],
    sources: &[],
    questions: &[Question::Bytes],
    severity: Severity::Ticket,
    why_it_matters: "The parts of an upload that was never completed are billed like objects and do not show in \
        any listing of the bucket's objects.",
    when_it_is_wrong: "A client that really uploads for more than a week. Aborting an upload cannot be undone, and \
        the client must begin again. A lifecycle rule that aborts incomplete uploads ends the pattern for good.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Upload(upload) = resource.facts() else { return Ok(Verdict::CLEAN) };
    let Some(initiated) = upload.initiated else { return Err(view.not_told(resource, "initiated")) };
    if view.younger(Some(initiated), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    let source = view.source(resource);
    let finding = Finding::new("initiated", initiated, source.clone())
        .and("bucket", view.inventory.text(upload.container), source.clone())
        .and("key", view.inventory.text(upload.key), source)
        // Only for people: an upload without parts is as stale.
        .and_known("bytes", view.bytes(resource).ok(), "parts");
    Ok(Verdict::Found(finding.since(Some(initiated), "initiated")))
}
