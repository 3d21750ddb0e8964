//! Running machines that do nothing.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::{Metric, Question},
    facts::{FactsRef, VmState},
    inventory::Resource,
    model::Class,
};

/// Days looked at.
const WINDOW: u16 = 14;
/// Percent. Trusted Advisor's "low utilization" takes 10 % on four of 14 days; here no day may be above.
const CPU_AT_MOST: f64 = 10.0;
/// Bytes in and out a day; 5 MB in the same rule.
const NETWORK_AT_MOST: f64 = 5_000_000.0;

const CPU: Question = Question::Usage { metric: Metric::VmCpuMax, days: WINDOW };
const NETWORK: Question = Question::Usage { metric: Metric::VmNetwork, days: WINDOW };

pub(super) static SPEC: Spec = Spec {
    id: "idle-vm",
    title: "machine that runs and does nothing",
    classes: &[Class::Vm],
    relations: &[],
    sources: &[],
    questions: &[CPU, NETWORK],
    severity: Severity::Ticket,
    why_it_matters: "A machine whose processor never passed 10 % and whose network never passed 5 MB on any day \
        of the last 14 does no work that these measures can see, and costs as much as a busy one.",
    when_it_is_wrong: "Work that comes once a month or a quarter, bastions and licence servers, standbys, programs \
        that only need memory (memory is not measured without an agent). A stopped machine, one started within \
        the window and one with days missing from its metrics are never called idle.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Vm(vm) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if vm.state != VmState::Running {
        return Ok(Verdict::CLEAN);
    }
    if view.younger(vm.in_state_since.or(resource.created()), WINDOW) {
        return Ok(Verdict::trap("younger than the window"));
    }
    // Both are asked at once: they are parts of the same call.
    let cpu = view.quiet(resource, Metric::VmCpuMax, WINDOW, CPU_AT_MOST);
    let network = view.quiet(resource, Metric::VmNetwork, WINDOW, NETWORK_AT_MOST);
    if matches!(cpu, Ok(None)) || matches!(network, Ok(None)) {
        return Ok(Verdict::CLEAN);
    }
    let (Some(cpu), Some(network)) = (cpu?, network?) else { return Ok(Verdict::CLEAN) };
    Ok(Verdict::Found(
        Finding::new("state", vm.state.name(), view.source(resource))
            .measured(Metric::VmCpuMax, &cpu)
            .measured(Metric::VmNetwork, &network)
            .and("type", view.inventory.text(vm.vm_type), view.source(resource)),
    ))
}
