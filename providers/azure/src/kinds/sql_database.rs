//! Databases of Azure SQL: single ones and those of elastic pools. `master` comes with its server.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Ref, Sort, at},
    graph, locks, rights, shared,
    usage::{self, Aggregation, Combine, Measure},
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    facts::{Database, DatabaseState, FactsRef},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.sql-database",
    cloud: CloudId::Azure,
    class: Class::Database,
    title: "SQL database",
    places: Places::Account,
    reads: &[LIST, SERVERS, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

pub(super) const LIST: &str = "Microsoft.Sql/servers/databases/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Sql/servers/databases",
    columns: "sku, kind",
    filter: "",
    api: API,
};

pub(super) const SERVERS: &str = "Microsoft.Sql/servers/read";
const API: &str = "2021-11-01";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    status: Option<String>,
    max_size_bytes: Option<u64>,
    creation_date: Option<String>,
    pub(super) elastic_pool_id: Option<String>,
    /// What runs and is billed now; the SKU is what was asked for.
    current_service_objective_name: Option<String>,
    /// `Geo`, `Named` or `Standby` for a copy of another database.
    secondary_type: Option<String>,
    zone_redundant: Option<bool>,
    /// Minutes without a connection after which it pauses by itself; -1 for never.
    auto_pause_delay: Option<i64>,
}

/// Whether a row is a server's own database.
fn is_master<P>(entity: &Entity<P>) -> bool {
    entity.id.rsplit('/').next().is_some_and(|name| name.eq_ignore_ascii_case("master"))
}

/// The elastic pool it is in, lower case.
pub(super) fn pool(entity: &Entity<Properties>) -> Option<String> {
    entity.properties.elastic_pool_id.as_deref().filter(|pool| !pool.is_empty()).map(str::to_ascii_lowercase)
}

/// What a status means. A serverless database that paused by itself is there for whoever connects: that it is
/// paused says what the last hour was like, its connections say what the last weeks were like.
fn state(properties: &Properties) -> DatabaseState {
    match properties.status.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
        "online" => DatabaseState::Available,
        "paused" if properties.auto_pause_delay.is_some_and(|minutes| minutes > 0) => DatabaseState::Available,
        "paused" => DatabaseState::Stopped,
        _ => DatabaseState::Other,
    }
}

pub(super) struct SqlDatabase(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for SqlDatabase {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let databases = databases(&self.0, site, Some(&mut *out)).await?;
        let around = self.0.around(site, LIST, out).await;
        for database in databases.iter() {
            push(database, &around.common(database), out);
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    /// A database of a pool adds nothing to what the pool costs.
    fn price(&self, database: Resource<'_>, _: &dyn Prices) -> Cost {
        match database.facts() {
            FactsRef::Database(database) if !database.cluster.is_none() => Cost::list(Amount::ZERO),
            _ => Cost::unknown(),
        }
    }
}

/// The most sessions of a day, and the most connections made in a minute of it: sessions that a pool keeps for days
/// make no new connections. Both are published every minute that the database runs; a serverless one that paused
/// publishes nothing, since nobody is connected.
fn measure(database: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::DbConnectionsMax, .. } = question else { return None };
    let FactsRef::Database(facts) = database.facts() else { return None };
    Some(Measure {
        namespace: "Microsoft.Sql/servers/databases",
        metrics: &["sessions_count", "connection_successful"],
        aggregation: Aggregation::Maximum,
        combine: Combine::Max,
        sparse: is_serverless(database.inventory().text(facts.db_class)),
    })
}

/// Whether a service objective is one of the serverless tier: `GP_S_Gen5_2`, `HS_S_Gen5_2`.
fn is_serverless(objective: &str) -> bool {
    objective.split('_').nth(1).is_some_and(|word| word.eq_ignore_ascii_case("S"))
}

/// Every database of the site's subscription, with each server's own, listed once for all kinds.
pub(super) async fn databases(
    azure: &Azure,
    site: &Site,
    out: Option<&mut Listing>,
) -> Result<Arc<Vec<Entity<Properties>>>, CloudError> {
    let each = Box::pin(async move {
        let path = format!("/subscriptions/{}/providers/Microsoft.Sql/servers", site.scope().account);
        let servers: Vec<Ref> = azure.list(site, SERVERS, &path, API).await?;
        let work = servers.iter().filter_map(|server| server.id.as_deref()).map(|server| async move {
            match azure.list(site, LIST, &format!("{server}/databases"), API).await {
                // Gone by now.
                Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
                databases => databases,
            }
        });
        Ok(shared::all(work.collect()).await?.into_iter().flatten().collect())
    });
    shared::entities(azure, site, &SORT, each, out).await
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    if is_master(entity) {
        return;
    }
    let properties = &entity.properties;
    let warehouse = entity.kind.as_deref().is_some_and(|kind| kind.contains("datawarehouse"));
    let facts = Database {
        state: state(properties),
        engine: out.sym(if warehouse { "Synapse SQL pool" } else { "Azure SQL" }),
        db_class: out.sym(properties.current_service_objective_name.as_deref().unwrap_or(entity.sku())),
        storage_gib: properties.max_size_bytes.map_or(0, |bytes| u32::try_from(bytes >> 30).unwrap_or(u32::MAX)),
        multi_az: properties.zone_redundant == Some(true),
        replica: properties.secondary_type.as_deref().is_some_and(|sort| !sort.is_empty() && sort != "None"),
        is_cluster: false,
        cluster: out.sym(&pool(entity).unwrap_or_default()),
        storage_type: out.sym(""),
    };
    let mut draft = common.draft(entity, facts);
    draft.created = at(properties.creation_date.as_deref());
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::rows;
    use crate::testing::{Server, lists};

    fn facts(name: &str, kind: &str, properties: &str) -> Option<Database> {
        let row = format!(
            r#"{{"id":"/s/databases/{name}","name":"{name}","kind":"{kind}","location":"eastus",
                "sku":{{"name":"GP_S_Gen5","capacity":2}},"properties":{properties}}}"#
        );
        let inventory = rows(&SPEC, &row, push);
        inventory.resources().next().map(|database| match database.facts() {
            FactsRef::Database(facts) => facts.clone(),
            _ => panic!(),
        })
    }

    #[test]
    fn master_is_no_database_of_ours() {
        assert_eq!(facts("Master", "v12.0,system", r#"{"status":"Online"}"#), None);
        assert!(facts("masters", "v12.0,user", r#"{"status":"Online"}"#).is_some());
    }

    #[test]
    fn paused_by_itself_is_there_for_whoever_connects() {
        let state = |properties: &str| facts("d", "v12.0,user,vcore,serverless", properties).unwrap().state;
        assert_eq!(state(r#"{"status":"Paused","autoPauseDelay":60}"#), DatabaseState::Available);
        assert_eq!(state(r#"{"status":"Paused"}"#), DatabaseState::Stopped);
        assert_eq!(state(r#"{"status":"Online","autoPauseDelay":-1}"#), DatabaseState::Available);
        assert_eq!(state(r#"{"status":"Resuming"}"#), DatabaseState::Other);
        assert_eq!(state("{}"), DatabaseState::Other);
    }

    #[test]
    fn copies_are_replicas() {
        assert!(facts("d", "", r#"{"status":"Online","secondaryType":"Geo"}"#).unwrap().replica);
        assert!(!facts("d", "", r#"{"status":"Online","secondaryType":null}"#).unwrap().replica);
    }

    #[tokio::test]
    async fn without_resource_graph_each_server_is_asked() {
        let server = Server::start(lists(&[
            ("Microsoft.Sql/servers", r#"{"id":"/s/one"},{"id":"/s/gone"}"#),
            (
                "/s/one/databases",
                r#"{"id":"/s/one/databases/master","properties":{}},
                   {"id":"/s/one/databases/orders","location":"eastus","properties":{"status":"Online","elasticPoolId":"/S/one/elasticPools/P"}}"#,
            ),
            ("/s/one/elasticPools", r#"{"id":"/s/one/elasticPools/p","properties":{}},{"id":"/s/one/elasticPools/q","properties":{}}"#),
        ]))
        .await;
        let inventory = server
            .inventory(|azure| {
                vec![
                    Arc::new(SqlDatabase(Arc::clone(azure))),
                    Arc::new(super::super::sql_elastic_pool::SqlElasticPool(Arc::clone(azure))),
                ]
            })
            .await
            .unwrap();
        let holds: Vec<_> = inventory
            .resources()
            .map(|one| match one.facts() {
                FactsRef::Plan(plan) => (one.native_id(), plan.holds),
                _ => (one.native_id(), None),
            })
            .collect();
        assert_eq!(
            holds,
            [("/s/one/databases/orders", None), ("/s/one/elasticPools/p", Some(1)), ("/s/one/elasticPools/q", Some(0))]
        );
        let asked = server.asked();
        let databases = asked.iter().filter(|asked| asked.path.starts_with("/s/one/databases")).count();
        assert_eq!(databases, 1, "two kinds, one listing");
    }
}
