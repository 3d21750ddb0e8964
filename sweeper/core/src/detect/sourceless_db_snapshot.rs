//! Database snapshots and backups whose database is gone.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    facts::{Database, FactsRef},
    inventory::Resource,
    model::Class,
};

pub(super) static SPEC: Spec = Spec {
    id: "sourceless-db-snapshot",
    title: "database snapshot whose database is gone",
    classes: &[Class::DbSnapshot],
    relations: &[],
    sources: &[Class::Database],
    questions: &[],
    severity: Severity::Ticket,
    why_it_matters: "While a database lives, its backups are free up to its own size. Once it is gone, every \
        snapshot and retained backup of it is billed in full, until somebody deletes it.",
    when_it_is_wrong: "Final snapshots kept on purpose, often by law; they are the only copy there is. A database \
        that was renamed, and copies of a snapshot in another region than its database: both look sourceless. \
        Snapshots that the service takes by its own schedule go with their database and are never found, unless \
        they were retained after it.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::DbSnapshot(snapshot) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if !snapshot.manual && !snapshot.retained {
        return Ok(Verdict::trap("goes with its database"));
    }
    if snapshot.source.is_none() {
        return Err(view.not_told(resource, "source"));
    }
    let same_sort = |there: Resource<'_>| matches!(there.facts(), FactsRef::Database(Database { is_cluster, .. }) if *is_cluster == snapshot.of_cluster);
    if view.exists(resource, Class::Database, snapshot.source, view.reach_of_source(resource), same_sort)? {
        return Ok(Verdict::CLEAN);
    }
    let source = view.source(resource);
    Ok(Verdict::Found(
        Finding::new("source", view.inventory.text(snapshot.source), source.clone())
            .and("source_exists", false, "inventory")
            .searched(view)
            .and("manual", snapshot.manual, source.clone())
            .and("retained", snapshot.retained, source.clone())
            .and("of_cluster", snapshot.of_cluster, source.clone())
            .and("size_gib", snapshot.size_gib, source.clone())
            .and("engine", view.inventory.text(snapshot.engine), source),
    ))
}
