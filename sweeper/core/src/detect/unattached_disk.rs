//! Disks that no machine mounts.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::{DiskState, FactsRef},
    inventory::Resource,
    model::Class,
};

pub(super) static SPEC: Spec = Spec {
    id: "unattached-disk",
    title: "disk that no machine mounts",
    classes: &[Class::Disk],
    // The cloud itself says whether a disk is attached: no referrer needs to be searched.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "A disk is billed by its size for as long as it exists, attached or not. Disks outlive \
        their machines wherever `DeleteOnTermination` is off, and dead clusters leave theirs behind.",
    when_it_is_wrong: "A volume of a Kubernetes claim whose pod is scaled to zero or being moved, a disk \
        between detach and attach, a restored forensic copy. `for` in the policy waits for the first two; a \
        manager's mark holds the action; an `[[except]]` with a reason keeps the third.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Disk(disk) = resource.facts() else { return Ok(Verdict::CLEAN) };
    Ok(match disk.state {
        DiskState::Reserved => Verdict::trap("reserved by a machine that is stopped"),
        DiskState::Attached | DiskState::Other => Verdict::CLEAN,
        DiskState::Available if disk.attachments > 0 => Verdict::trap("attachment in progress"),
        DiskState::Available => Verdict::Found(
            Finding::new("state", disk.state.name(), view.source(resource))
                .and("attachments", disk.attachments, view.source(resource))
                .and("size_gib", disk.size_gib, view.source(resource))
                .since(disk.last_attached, "last attached"),
        ),
    })
}
