//! Published versions of functions that nothing sends to any more.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

/// So many of the newest published versions are kept to roll back to.
const KEPT: u32 = 3;

pub(super) static SPEC: Spec = Spec {
    id: "old-function-version",
    title: "old published version of a function that nothing names",
    classes: &[Class::FunctionVersion],
    relations: &[Relation::Aliased],
    sources: &[],
    questions: &[],
    severity: Severity::Info,
    why_it_matters: "Each deployment publishes a version and none goes away by itself. Their code counts against a \
        quota of the account, and when that is full, deployments fail.",
    when_it_is_wrong: "A caller that names the version in its own code or configuration, a rollback deeper than \
        the three newest, capacity kept warm for the version itself. Versions that an alias leads to, even with \
        a small weight, and versions at the edge are never found.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::FunctionVersion(version) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if version.rank <= KEPT {
        return Ok(Verdict::CLEAN);
    }
    if version.edge == Some(true) {
        return Ok(Verdict::trap("it has replicas at the edge"));
    }
    let aliased = view.users(resource, Relation::Aliased);
    if aliased.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::trap("an alias or event source leads to it"));
    }
    aliased?;
    if version.edge.is_none() {
        return Err(view.not_told(resource, "edge"));
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("rank", version.rank, source.clone())
            .and("aliased", false, "inventory")
            .searched(view)
            .and("function", view.inventory.text(version.function), source.clone())
            .and("version", version.version, source.clone())
            .and_known("last_modified", version.last_modified, source.clone())
            .and_known("code_bytes", version.code_bytes, source),
    ))
}
