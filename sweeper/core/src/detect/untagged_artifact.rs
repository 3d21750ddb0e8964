//! Container images that no tag and no index leads to.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "untagged-artifact",
    title: "container image that no tag leads to",
    classes: &[Class::Artifact],
    relations: &[Relation::Referenced],
    sources: &[],
    questions: &[Question::Manifest, Question::Shares],
    severity: Severity::Ticket,
    why_it_matters: "Each push of a tag that moves leaves the image that had it, untagged and billed. Most \
        registries are mostly made of these.",
    when_it_is_wrong: "An image that something runs by its digest where nobody can look: pods of a cluster, \
        machines elsewhere. Give an in-use file for those; where a cluster is seen that none tells of, images are \
        only reported. Images of a repository that lets in accounts that are \
        not surveyed are unknown, never found. The parts of an index for several platforms are \
        untagged and in use, and so are signatures and SBOMs of an image that is still there: neither is found. \
        An index that is itself untagged is found, and its parts go with it.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Artifact(artifact) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if artifact.tagged || artifact.package {
        return Ok(Verdict::CLEAN);
    }
    if !artifact.users_listed {
        return Ok(Verdict::trap("who uses it cannot be listed"));
    }
    let referenced = view.users(resource, Relation::Referenced);
    if referenced.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::trap("something runs it by its digest"));
    }
    if !view.indexes_listing(resource).is_empty() {
        return Ok(Verdict::trap("child of an index"));
    }
    let attached = view.attached_to_another(resource);
    if attached == Ok(true) {
        return Ok(Verdict::trap("attached to another artifact"));
    }
    let indexes = view.every_index_seen(resource);
    referenced?;
    indexes?;
    attached?;
    // Only now is it worth a call to learn who else may fetch it.
    if !view.users_and_shares(resource, Relation::Referenced)?.is_empty() {
        return Ok(Verdict::trap("used where it is shared"));
    }
    let shares = view.shares(resource)?;
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("tagged", false, source.clone())
            .and("referenced", false, "inventory")
            .searched(view)
            .and("shared_with", if shares.is_empty() { "nobody".to_owned() } else { shares.join(", ") }, "shares")
            .and("child_of_index", false, "manifests of its repository")
            .and("attached", false, "its manifest")
            .and("repository", view.inventory.text(artifact.container), source.clone())
            .and("media", artifact.media.name(), source.clone())
            .and_known("size_bytes", artifact.size_bytes, source.clone())
            .and_known("pushed", artifact.pushed, source.clone())
            .and_known("last_pulled", artifact.last_pulled, source),
    ))
}
