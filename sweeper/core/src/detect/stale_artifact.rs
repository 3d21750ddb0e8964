//! Container images and layer versions that nobody fetches or names any more.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    facts::{Artifact, FactsRef},
    inventory::{Resource, ResourceIx, Unseen},
    model::{Class, Relation},
};

/// Days since the last pull, or since the push where there was none.
const WINDOW: u16 = 90;
/// So many of the newest versions of a layer or package are kept.
const KEPT_VERSIONS: u32 = 3;
/// An index may list indexes. Deeper than this nobody builds; what is deeper counts as in use.
const DEEPEST: u8 = 4;

pub(super) static SPEC: Spec = Spec {
    id: "stale-artifact",
    title: "container image or layer version that nobody fetches or names any more",
    classes: &[Class::Artifact],
    relations: &[Relation::Referenced],
    sources: &[],
    questions: &[Question::Manifest, Question::Shares],
    severity: Severity::Info,
    why_it_matters: "Every build pushes an image, and only the last few are ever run again. An image that was not \
        pulled for 90 days and that no workload names is history that is billed by the GiB. The newest of each \
        repository, and the three newest versions of a layer, are always kept.",
    when_it_is_wrong: "A node that already has an image does not pull it again, so a long-lived pod, a quiet cluster \
        or another account may run an image that looks unused; so may a release kept to roll back to. Give an \
        in-use file where clusters run: where one is seen that none tells of, images are only reported. Images of a \
        registry that records no pulls, and packages whose users nobody can list, are never found. Signatures and \
        SBOMs of an image that is still there go with it and are not found.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Artifact(artifact) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if artifact.package { package(view, resource, artifact) } else { image(view, resource, artifact) }
}

fn package<'a>(view: &View<'a>, resource: Resource<'a>, artifact: &Artifact) -> Judged {
    if artifact.rank <= KEPT_VERSIONS {
        return Ok(Verdict::trap("one of the newest versions"));
    }
    if !artifact.users_listed {
        return Ok(Verdict::trap("who uses it cannot be listed"));
    }
    if !view.users(resource, Relation::Referenced)?.is_empty() {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("rank", artifact.rank, source.clone())
            .and("referenced", false, "inventory")
            .searched(view)
            .and("layer", view.inventory.text(artifact.container), source.clone())
            .and_known("size_bytes", artifact.size_bytes, source.clone())
            .and_known("pushed", artifact.pushed, source),
    ))
}

fn image<'a>(view: &View<'a>, resource: Resource<'a>, artifact: &Artifact) -> Judged {
    if fetched_lately(view, artifact) {
        return Ok(Verdict::CLEAN);
    }
    if artifact.rank <= 1 {
        return Ok(Verdict::trap("newest of its repository"));
    }
    if !artifact.pull_recorded {
        return Ok(Verdict::trap("its registry records no pulls"));
    }
    let referenced = view.users(resource, Relation::Referenced);
    if referenced.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::CLEAN);
    }
    let parents = view.indexes_listing(resource);
    let mut unseen = None;
    for parent in parents {
        match in_use(view, parent, DEEPEST) {
            Ok(false) => {}
            Ok(true) => return Ok(Verdict::trap("child of an index in use")),
            Err(why) => unseen = Some(why),
        }
    }
    let attached = view.attached_to_another(resource);
    if attached == Ok(true) {
        return Ok(Verdict::trap("attached to another artifact"));
    }
    let indexes = view.every_index_seen(resource);
    referenced?;
    indexes?;
    attached?;
    if let Some(why) = unseen {
        return Err(why);
    }
    // Only now is it worth a call to learn who else may fetch it.
    if !view.users_and_shares(resource, Relation::Referenced)?.is_empty() {
        return Ok(Verdict::trap("used where it is shared"));
    }
    let shares = view.shares(resource)?;
    let Some(last) = artifact.last_pulled.or(artifact.pushed) else { return Err(view.not_told(resource, "pushed")) };
    let source = view.source(resource);
    let pulled = artifact.last_pulled.map_or_else(|| "never recorded".to_owned(), |at| at.to_string());
    Ok(Verdict::Found(
        Finding::new("last_pulled", pulled, source.clone())
            .and("referenced", false, "inventory")
            .searched(view)
            .and("shared_with", if shares.is_empty() { "nobody".to_owned() } else { shares.join(", ") }, "shares")
            .and("child_of_index_in_use", false, "manifests of its repository")
            .and("attached", false, "its manifest")
            .and("repository", view.inventory.text(artifact.container), source.clone())
            .and("rank", artifact.rank, source.clone())
            .and("tagged", artifact.tagged, source.clone())
            .and_known("size_bytes", artifact.size_bytes, source.clone())
            .and_known("pushed", artifact.pushed, source)
            .since(Some(last), if artifact.last_pulled.is_some() { "last pulled" } else { "pushed" }),
    ))
}

/// Whether it was pulled or pushed within the window.
fn fetched_lately(view: &View<'_>, artifact: &Artifact) -> bool {
    view.younger(artifact.last_pulled, WINDOW) || view.younger(artifact.pushed, WINDOW)
}

/// Whether an index is in use by the same rule, or by an index in use that lists it.
fn in_use(view: &View<'_>, index: ResourceIx, deeper: u8) -> Result<bool, Unseen> {
    let index = view.inventory.at(index);
    let FactsRef::Artifact(artifact) = index.facts() else { return Ok(true) };
    if deeper == 0 || artifact.rank <= 1 || !artifact.pull_recorded || fetched_lately(view, artifact) {
        return Ok(true);
    }
    let referenced = view.users(index, Relation::Referenced);
    if referenced.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(true);
    }
    for parent in view.indexes_listing(index) {
        if in_use(view, parent, deeper - 1)? {
            return Ok(true);
        }
    }
    referenced.map(|_| false)
}
