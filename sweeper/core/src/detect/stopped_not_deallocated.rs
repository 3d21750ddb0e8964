//! Machines that are stopped and whose compute is billed all the same.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::{FactsRef, VmState},
    inventory::Resource,
    model::Class,
};

pub(super) static SPEC: Spec = Spec {
    id: "stopped-not-deallocated",
    title: "machine that is stopped and billed as if it ran",
    classes: &[Class::Vm],
    // The cloud itself says what state a machine is in.
    relations: &[],
    sources: &[],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "A machine that is shut down from within, by `shutdown` or the Start menu, keeps its place on \
        its host, and its compute is billed as if it ran. Whoever shut it down believes that it costs nothing. \
        Deallocating it ends the compute's bill and loses nothing but the temporary disk and a dynamic address.",
    when_it_is_wrong: "A machine that was shut down minutes ago and comes back: give `for` a day. One whose place on \
        its host must not be lost, because its size is scarce in the region, or that holds data on its temporary \
        disk: an `[[except]]` with a reason keeps it.",
};

#[expect(clippy::unnecessary_wraps, reason = "every judge has this shape")]
pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Vm(vm) = resource.facts() else { return Ok(Verdict::CLEAN) };
    let source = view.source(resource);
    Ok(match vm.state {
        VmState::Running => Verdict::CLEAN,
        VmState::Other => Verdict::trap("between two states"),
        VmState::Stopped if vm.still_billed => Verdict::Found(
            Finding::new("state", vm.state.name(), source.clone())
                .and("still_billed", true, source.clone())
                .and_known("in_state_since", vm.in_state_since, source.clone())
                .and("type", view.inventory.text(vm.vm_type), source)
                .since(vm.in_state_since, "in state since"),
        ),
        VmState::Stopped | VmState::Deallocated => Verdict::trap("stopped, and its compute is not billed"),
    })
}
