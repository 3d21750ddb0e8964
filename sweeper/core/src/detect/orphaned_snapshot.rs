//! Snapshots whose disk is gone and that nothing is made of.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    facts::FactsRef,
    inventory::Resource,
    model::{Class, Relation},
};

pub(super) static SPEC: Spec = Spec {
    id: "orphaned-snapshot",
    title: "snapshot whose disk is gone and that nothing is made of",
    classes: &[Class::Snapshot],
    relations: &[Relation::UsedByImage, Relation::UsedByTemplate],
    sources: &[Class::Disk],
    questions: &[Question::Shares],
    severity: Severity::Ticket,
    why_it_matters: "Deleting a disk leaves its snapshots, and deregistering an image leaves the ones it was made \
        of. Nothing in a console leads to them any more, and they are billed until somebody looks.",
    when_it_is_wrong: "The last copy of a machine that was retired on purpose, legal retention, a copy kept for \
        disaster recovery. Its size is the whole disk's: an upper bound of what is billed, since snapshots of one \
        disk share blocks, and deleting one of a chain may free little. Snapshots of a backup service or a \
        lifecycle manager are found and held; delete those there. Copies that carry a stand-in for their disk's \
        id are not judged, since the absence of a stand-in says nothing.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Snapshot(snapshot) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if !snapshot.complete {
        return Ok(Verdict::trap("still being taken"));
    }
    if snapshot.source_is_dummy {
        return Ok(Verdict::trap("copied: its source id is a stand-in"));
    }
    if snapshot.source.is_none() {
        return Ok(Verdict::trap("its source is not told"));
    }
    let disk = view.exists(resource, Class::Disk, snapshot.source, view.reach_of_source(resource), |_| true);
    if disk == Ok(true) {
        return Ok(Verdict::CLEAN);
    }
    // Somebody seen using it is certain whatever else could not be seen, so all are searched first.
    let image = view.users(resource, Relation::UsedByImage);
    if image.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::trap("an image is made of it"));
    }
    let template = view.users(resource, Relation::UsedByTemplate);
    if template.as_ref().is_ok_and(|users| !users.is_empty()) {
        return Ok(Verdict::trap("a template names it"));
    }
    disk.and(image).and(template)?;
    // Only now is it worth a call to learn who else may use it.
    view.users_and_shares(resource, Relation::UsedByImage)?;
    view.users_and_shares(resource, Relation::UsedByTemplate)?;
    let shares = view.shares(resource)?;
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("source", view.inventory.text(snapshot.source), source.clone())
            .and("source_exists", false, "inventory")
            .and("used_by_image", false, "inventory")
            .and("used_by_template", false, "inventory")
            .searched(view)
            .and("shared_with", if shares.is_empty() { "nobody".to_owned() } else { shares.join(", ") }, "shares")
            .and("size_gib", snapshot.size_gib, source.clone())
            .and_known("stored_bytes", snapshot.stored_bytes, source.clone())
            .and("tier", snapshot.tier.name(), source.clone())
            .and("locked", snapshot.locked, source),
    ))
}
