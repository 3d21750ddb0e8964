//! Azure Database for PostgreSQL, flexible servers.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Sort},
    graph, locks, rights,
    usage::{self, Aggregation, Combine, Measure},
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    deed::{Deed, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{Database, DatabaseState},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.postgres-flexible-server",
    cloud: CloudId::Azure,
    class: Class::Database,
    title: "PostgreSQL flexible server",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    // A server contains databases: it is stopped, and never deleted.
    acts: &[
        acts::tagging!(tag "Microsoft.DBforPostgreSQL/flexibleServers/{}"),
        acts::tagging!(untag "Microsoft.DBforPostgreSQL/flexibleServers/{}"),
        acts::act!(
            Stop,
            "POST" "Microsoft.DBforPostgreSQL/flexibleServers/{}/stop",
            "Microsoft.DBforPostgreSQL/flexibleServers/stop/action",
            OPERATIONS,
            Reversal::Undo("started again; the service starts it by itself after seven days"),
            &[]
        ),
        acts::act!(
            Start,
            "POST" "Microsoft.DBforPostgreSQL/flexibleServers/{}/start",
            "Microsoft.DBforPostgreSQL/flexibleServers/start/action",
            OPERATIONS,
            Reversal::Undo("stopped again"),
            &[]
        ),
    ],
};

const OPERATIONS: &[&str] = &["Microsoft.DBforPostgreSQL/locations/azureAsyncOperation/read"];

const LIST: &str = "Microsoft.DBforPostgreSQL/flexibleServers/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.DBforPostgreSQL/flexibleServers",
    columns: "sku",
    filter: "",
    api: "2022-12-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    state: Option<String>,
    version: Option<String>,
    storage: Option<Storage>,
    high_availability: Option<HighAvailability>,
    /// `Primary`, `AsyncReplica`, `GeoAsyncReplica` or `None`.
    replication_role: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Storage {
    #[serde(rename = "storageSizeGB")]
    size_gb: Option<u32>,
    #[serde(rename = "type")]
    sort: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HighAvailability {
    mode: Option<String>,
}

/// A stopped server is started again by the service after seven days ("Stop/start an Azure Database for
/// PostgreSQL flexible server").
fn state(state: &str) -> DatabaseState {
    match state.to_ascii_lowercase().as_str() {
        "ready" => DatabaseState::Available,
        "stopped" => DatabaseState::Stopped,
        _ => DatabaseState::Other,
    }
}

/// Servers have no immutable id that their list tells.
static ACT: Act<Properties> = Act { sort: &SORT, query: "", uid: |_| "" };

pub(super) struct PostgresFlexibleServer(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for PostgresFlexibleServer {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Stop => ACT.ask(&self.0, pen, "stop").await,
            Deed::Start => ACT.ask(&self.0, pen, "start").await,
            _ => ACT.act(&self.0, pen).await,
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let wanted = match permit.deed() {
            Deed::Stop => DatabaseState::Stopped,
            Deed::Start => DatabaseState::Available,
            _ => return ACT.progress(&self.0, site, permit, sent).await,
        };
        match acts::operation(&self.0, site, permit, sent).await? {
            acts::Operation::Running => return Ok(Progress::Running),
            acts::Operation::Failed(why) => return Ok(Progress::Failed(why)),
            acts::Operation::Ended => {}
        }
        Ok(match ACT.read(&self.0, site, permit.target()).await? {
            None => Progress::Failed("the server is not there any more".to_owned()),
            Some(server) if state(server.properties.state.as_deref().unwrap_or_default()) == wanted => {
                Progress::Done(None)
            }
            Some(_) => Progress::Running,
        })
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }
}

/// The most connections of a day, in whatever state. Published every minute that the server runs, so a day without
/// a point is not a zero.
fn measure(_: Resource<'_>, question: Question) -> Option<Measure> {
    matches!(question, Question::Usage { metric: Metric::DbConnectionsMax, .. }).then_some(Measure {
        namespace: "Microsoft.DBforPostgreSQL/flexibleServers",
        metrics: &["active_connections"],
        aggregation: Aggregation::Maximum,
        combine: Combine::Max,
        sparse: false,
    })
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let storage = properties.storage.as_ref();
    let redundant = properties.high_availability.as_ref().and_then(|ha| ha.mode.as_deref());
    let facts = Database {
        state: state(properties.state.as_deref().unwrap_or_default()),
        engine: out.sym(&format!("PostgreSQL {}", properties.version.as_deref().unwrap_or_default())),
        db_class: out.sym(entity.sku.as_ref().and_then(|sku| sku.name.as_deref()).unwrap_or_default()),
        storage_gib: storage.and_then(|storage| storage.size_gb).unwrap_or(0),
        multi_az: redundant.is_some_and(|mode| !mode.eq_ignore_ascii_case("disabled")),
        replica: properties
            .replication_role
            .as_deref()
            .is_some_and(|role| role.to_ascii_lowercase().contains("replica")),
        is_cluster: false,
        cluster: out.sym(""),
        storage_type: out.sym(storage.and_then(|storage| storage.sort.as_deref()).unwrap_or_default()),
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::rows;
    use sweeper_core::facts::FactsRef;

    #[test]
    fn state_and_role_are_told() {
        let facts = |properties: &str| {
            let row = format!(
                r#"{{"id":"/s","location":"eastus","sku":{{"name":"Standard_D2s_v3","tier":"GeneralPurpose"}},
                    "properties":{properties}}}"#
            );
            let inventory = rows(&SPEC, &row, push);
            match inventory.resources().next().unwrap().facts() {
                FactsRef::Database(facts) => facts.clone(),
                _ => panic!(),
            }
        };
        let server = facts(
            r#"{"state":"Ready","version":"16","storage":{"storageSizeGB":128,"type":""},
                "highAvailability":{"mode":"ZoneRedundant"},"replicationRole":"Primary"}"#,
        );
        assert_eq!((server.state, server.storage_gib, server.multi_az), (DatabaseState::Available, 128, true));
        assert!(!server.replica);
        assert!(facts(r#"{"state":"Ready","replicationRole":"GeoAsyncReplica"}"#).replica);
        assert_eq!(facts(r#"{"state":"Stopped"}"#).state, DatabaseState::Stopped);
        assert_eq!(facts(r#"{"state":"Disabled"}"#).state, DatabaseState::Other);
    }
}
