//! Security groups that guard nothing.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "unused-security-group",
    title: "security group that guards nothing",
    classes: &[Class::SecurityGroup],
    relations: &[Relation::Guards],
    sources: &[],
    questions: &[],
    severity: Severity::Info,
    why_it_matters: "A security group costs nothing. One that guards nothing is a set of open doors that the next \
        machine may be put behind by its name, hides the groups that matter, counts against a quota and stands in \
        the way when its network is taken down.",
    when_it_is_wrong: "A group kept ready for machines that are started by hand or by a script that names it, or one \
        that rules of a peered network elsewhere name. It is only reported: whether one is still meant is for its \
        owner to say.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::SecurityGroup(group) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if group.default {
        return Ok(Verdict::trap("comes with its network and cannot be deleted"));
    }
    let source = view.source(resource);
    let finding = if let Some(associations) = group.associations {
        if associations > 0 {
            return Ok(Verdict::CLEAN);
        }
        Finding::new("associations", associations, source.clone())
    } else {
        if !view.users(resource, Relation::Guards)?.is_empty() {
            return Ok(Verdict::CLEAN);
        }
        Finding::new("used", false, "inventory").searched(view)
    };
    Ok(Verdict::Found(finding.and("default", false, source)))
}
