//! Disks of a tier that has a cheaper or better successor.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::{DiskState, FactsRef},
    inventory::Resource,
    model::Class,
};

/// Tiers, as their clouds write them, and what succeeds each. Data about tiers, not a rule about clouds.
///
/// EBS: <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>.
const PREVIOUS: &[(&str, &str)] = &[("gp2", "gp3"), ("io1", "io2"), ("standard", "gp3")];

pub(super) static SPEC: Spec = Spec {
    id: "previous-generation-disk",
    title: "disk of a tier that has a successor",
    classes: &[Class::Disk],
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Info,
    why_it_matters: "The successor of a disk tier is usually cheaper for the same work (EBS gp3 costs a fifth \
        less a GiB than gp2) or more durable at the same price (io2 for io1), and the change is made while the \
        disk is in use. Nothing is deleted.",
    when_it_is_wrong: "A large gp2 volume has more IOPS and throughput built in than a gp3 volume has by default; \
        giving gp3 the same can cost more than it saves. Compare `iops` and `throughput` before changing it, and \
        except volumes whose machine image or licence demands a tier.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Disk(disk) = resource.facts() else { return Ok(Verdict::CLEAN) };
    let tier = view.inventory.text(disk.tier);
    let Some((_, successor)) = PREVIOUS.iter().find(|(previous, _)| *previous == tier) else {
        return Ok(Verdict::CLEAN);
    };
    if disk.state == DiskState::Other {
        return Ok(Verdict::trap("being made or deleted"));
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("tier", tier, source.clone())
            .and("successor", successor, "table of tiers")
            .and("size_gib", disk.size_gib, source.clone())
            .and_known("iops", disk.iops, source.clone())
            .and_known("throughput", disk.throughput, source.clone())
            .and("state", disk.state.name(), source),
    ))
}
