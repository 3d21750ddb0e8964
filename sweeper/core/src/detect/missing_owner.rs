//! Resources that do not say whose they are.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::Question,
    facts::FactsRef,
    house::same_key,
    inventory::Resource,
    model::Class,
    owner::{self, valid},
};

pub(super) static SPEC: Spec = Spec {
    id: "missing-owner",
    title: "resource that does not say whose it is",
    // What can carry tags of its own.
    classes: &[
        Class::Vm,
        Class::Disk,
        Class::Snapshot,
        Class::Image,
        Class::Registry,
        Class::Bucket,
        Class::Function,
        Class::Address,
        Class::Interface,
        Class::Gateway,
        Class::Endpoint,
        Class::LoadBalancer,
        Class::TargetGroup,
        Class::Database,
        Class::DbSnapshot,
        Class::LogGroup,
    ],
    relations: &[],
    sources: &[],
    questions: &[Question::Tags],
    severity: Severity::Info,
    why_it_matters: "Nobody is told about waste that belongs to nobody, and nobody can agree to its end. Most of what \
        is never cleaned up has no owner's tag, or one that says `tbd`.",
    when_it_is_wrong: "The house names owners by another key, or by account: set `owner_keys`, or give the account an \
        owner in `[[scope]]` (which is shown, but is not a tag). What a service made for us is left out.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let machinery = match resource.facts() {
        FactsRef::Interface(interface) => interface.machinery,
        FactsRef::Bucket(bucket) => bucket.machinery,
        FactsRef::Function(function) => function.machinery,
        FactsRef::LogGroup(group) => group.machinery,
        _ => false,
    };
    if machinery {
        return Ok(Verdict::trap("made by a service for its own use"));
    }
    let tags = view.tags(resource)?;
    let owner = owner::among(view.house, resource, &tags);
    if owner.is_by_tag() {
        return Ok(Verdict::CLEAN);
    }
    let is_owner_key = |key: &str| view.house.owner_keys.iter().any(|own| same_key(own, key));
    let mut keys: Vec<&str> = tags.iter().map(|(key, _)| *key).filter(|key| !is_owner_key(key)).collect();
    keys.sort_unstable();
    let others = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
    let source = view.source(resource);
    let mut finding = Finding::new("owner_keys", view.house.owner_keys.join(", "), "sweeper.toml");
    for (key, value) in &owner.invalid {
        let why = valid(view.house, value).err().unwrap_or("not valid");
        finding = finding.and(format!("tag {key}"), format!("\"{value}\" ({why})"), source.clone());
    }
    finding = finding.and("other_tags", others, source);
    if let Some(name) = &owner.name {
        finding = finding.and("answers_for_it", format!("{name} ({})", owner.from), "sweeper.toml");
    }
    Ok(Verdict::Found(finding.since(resource.created(), "created")))
}
