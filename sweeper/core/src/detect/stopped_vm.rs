//! Machines that are stopped.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::{FactsRef, VmState},
    inventory::Resource,
    model::Class,
};

pub(super) static SPEC: Spec = Spec {
    id: "stopped-vm",
    title: "machine that is stopped",
    classes: &[Class::Vm],
    // The cloud itself says what state a machine is in.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "A stopped machine goes on paying for its disks and addresses. Many were stopped \"for now\" by \
        somebody who left.",
    when_it_is_wrong: "One whose compute is billed all the same is another pattern, `stopped-not-deallocated`, and is \
        not found here. Machines stopped at night or over the weekend, a disaster recovery standby, the golden \
        machine an image is made from, a legal hold. It is found from the first day: `for` in the policy (30 days \
        is usual) waits for the first, an `[[except]]` with a reason keeps the others.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Vm(vm) = resource.facts() else { return Ok(Verdict::CLEAN) };
    Ok(match vm.state {
        VmState::Running => Verdict::CLEAN,
        VmState::Other => Verdict::trap("between two states"),
        VmState::Stopped if vm.still_billed => Verdict::trap("its compute is billed though it is stopped"),
        VmState::Stopped | VmState::Deallocated => Verdict::Found(
            Finding::new("state", vm.state.name(), view.source(resource))
                .and_known("in_state_since", vm.in_state_since, view.source(resource))
                .and("type", view.inventory.text(vm.vm_type), view.source(resource))
                .and("spot", vm.spot, view.source(resource))
                .since(vm.in_state_since, "in state since"),
        ),
    })
}
