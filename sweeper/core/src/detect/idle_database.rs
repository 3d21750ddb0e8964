//! Databases that nobody connects to, running or stopped.

use super::{Finding, Judged, Severity, Spec, Verdict, View};
use crate::{
    answers::{Metric, Question},
    facts::{DatabaseState, FactsRef},
    inventory::Resource,
    model::Class,
};

/// Days looked at.
const WINDOW: u16 = 14;

pub(super) static SPEC: Spec = Spec {
    id: "idle-database",
    title: "database that nobody connects to",
    classes: &[Class::Database],
    relations: &[],
    sources: &[],
    questions: &[Question::Usage { metric: Metric::DbConnectionsMax, days: WINDOW }],
    severity: Severity::Ticket,
    why_it_matters: "A database is among the dearest things to leave running. A stopped one goes on paying for its \
        storage and its backups, and where the cloud starts it again by itself after seven days, for its machine \
        too.",
    when_it_is_wrong: "A database for a yearly closing or a disaster, a warm standby. A connection pool or a monitor \
        keeps one connection open, so a database that nobody really uses may look used: that way round is safe. \
        Read replicas and the rows of clusters are never found; the members of a cluster are judged.",
};

pub(super) fn judge<'a>(view: &View<'a>, resource: Resource<'a>) -> Judged {
    let FactsRef::Database(database) = resource.facts() else { return Ok(Verdict::CLEAN) };
    if database.is_cluster {
        return Ok(Verdict::trap("a cluster: its members are judged"));
    }
    if database.replica {
        return Ok(Verdict::trap("read replica"));
    }
    let source = view.source(resource);
    let finding = Finding::new("state", database.state.name(), source.clone());
    let finding = match database.state {
        DatabaseState::Other => return Ok(Verdict::trap("between two states")),
        // Nobody connects to what is stopped, and its metrics are missing, not zero.
        DatabaseState::Stopped => finding,
        DatabaseState::Available => {
            if view.younger(resource.created(), WINDOW) {
                return Ok(Verdict::trap("younger than the window"));
            }
            match view.quiet(resource, Metric::DbConnectionsMax, WINDOW, 0.0)? {
                None => return Ok(Verdict::CLEAN),
                Some(connections) => finding.measured(Metric::DbConnectionsMax, &connections),
            }
        }
    };
    Ok(Verdict::Found(
        finding
            .and("engine", view.inventory.text(database.engine), source.clone())
            .and("class", view.inventory.text(database.db_class), source.clone())
            .and("storage_gib", database.storage_gib, source.clone())
            .and("multi_az", database.multi_az, source),
    ))
}
