//! Images that no machine runs and no template names.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    facts::{FactsRef, ImageState},
    inventory::{Resource, Unseen},
    model::{Class, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "unused-image",
    title: "image that no machine runs and no template names",
    classes: &[Class::Image],
    relations: &[Relation::UsedByVm, Relation::UsedByTemplate],
    sources: &[],
    questions: &[Question::Shares, Question::LastUsed],
    severity: Severity::Ticket,
    why_it_matters: "Pipelines make an image a build and nobody removes the old ones; each holds snapshots that \
        are billed for as long as the image is registered.",
    when_it_is_wrong: "An image that a person or a script starts machines from by its id, the last good image kept \
        to roll back to. The newest of a family or definition is never found: machines are started by the family's \
        name. `last_used` says when a machine was last \
        started from it, where the cloud records that. Images shared with accounts that are not surveyed are \
        unknown, never unused: their users cannot be seen.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Image(image) = resource.facts() else { return Ok(Verdict::CLEAN) };
    // A disabled image cannot start anything until it is enabled again, and costs the same.
    if image.state == ImageState::Other {
        return Ok(Verdict::trap("being made, or failed"));
    }
    if image.newest {
        return Ok(Verdict::trap("newest of its family: whoever starts from the family gets it"));
    }
    let vm = view.users(resource, Relation::UsedByVm);
    if vm.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::CLEAN);
    }
    let template = view.users(resource, Relation::UsedByTemplate);
    if template.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::trap("a template names it"));
    }
    vm.and(template)?;
    if image.public {
        return Err(Unseen { cause: "shared with everybody".to_owned(), what: "other accounts".to_owned() });
    }
    let elsewhere = view.users_and_shares(resource, Relation::UsedByVm)?.len()
        + view.users_and_shares(resource, Relation::UsedByTemplate)?.len();
    if elsewhere > 0 {
        return Ok(Verdict::trap("used where it is shared"));
    }
    let shares = view.shares(resource)?;
    let source = view.source(resource);
    let mut finding = Finding::new("used_by_vm", false, "inventory")
        .and("used_by_template", false, "inventory")
        .searched(view)
        .and("shared_with", if shares.is_empty() { "nobody".to_owned() } else { shares.join(", ") }, "shares")
        .and("state", image.state.name(), source.clone())
        .and("size_gib", image.size_gib, source.clone())
        .and("deprecated", image.deprecated, source);
    // Only a hint: without an answer it is unused all the same.
    if let Ok(last) = view.when(resource, Question::LastUsed) {
        let said = last.map_or_else(|| "never recorded".to_owned(), |at| at.to_string());
        finding = finding.and("last_used", said, "last use").since(last, "last used");
    }
    Ok(Verdict::Found(finding))
}
