//! Elastic pools of Azure SQL: capacity that its databases share, billed whether or not there are any.

use super::sql_database;
use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Ref, Sort, at},
    graph, locks, rights, shared,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::Plan,
    inventory::Listing,
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.sql-elastic-pool",
    cloud: CloudId::Azure,
    class: Class::Plan,
    title: "SQL elastic pool",
    places: Places::Account,
    reads: &[LIST, sql_database::LIST, sql_database::SERVERS, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Sql/servers/{}/elasticPools/{}"),
        acts::tagging!(untag "Microsoft.Sql/servers/{}/elasticPools/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Sql/servers/{}/elasticPools/{}",
            "Microsoft.Sql/servers/elasticPools/delete",
            &["Microsoft.Sql/locations/elasticPoolAzureAsyncOperation/read"],
            Reversal::FromCopy("made again of its definition, as empty as it was"),
            &[Keep::Definition]
        ),
        acts::act!(
            Restore,
            "PUT" "Microsoft.Sql/servers/{}/elasticPools/{}",
            "Microsoft.Sql/servers/elasticPools/write",
            &["Microsoft.Sql/locations/elasticPoolAzureAsyncOperation/read"],
            Reversal::Again("deleted again"),
            &[]
        ),
    ],
};

const LIST: &str = "Microsoft.Sql/servers/elasticPools/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Sql/servers/elasticPools",
    columns: "sku",
    filter: "",
    api: "2021-11-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    creation_date: Option<String>,
}

/// How many databases each pool has, by its id in lower case.
pub(super) fn members(databases: &[Entity<sql_database::Properties>]) -> BTreeMap<String, u32> {
    let mut members = BTreeMap::new();
    for pool in databases.iter().filter_map(sql_database::pool) {
        *members.entry(pool).or_default() += 1;
    }
    members
}

/// Pools have no immutable id: what is compared is when they were made.
static ACT: Act<Properties> = Act { sort: &SORT, query: "", uid: |_| "" };

/// `members` is `None` where the databases could not be listed: what a pool holds is then not known.
pub(super) struct SqlElasticPool(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for SqlElasticPool {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        // What a pool holds is told by its databases: not all of them, not known.
        let members = match sql_database::databases(&self.0, site, None).await {
            Ok(databases) => match rights::held(&self.0, site, sql_database::LIST).await {
                Ok(()) => Some(members(&databases)),
                Err(why) => {
                    out.hides(why);
                    None
                }
            },
            Err(error) if shared::stops(&error) => return Err(error),
            Err(error) => {
                out.hides(error.cause());
                None
            }
        };
        let azure = &self.0;
        let each = Box::pin(async move {
            let path = format!("/subscriptions/{}/providers/Microsoft.Sql/servers", site.scope().account);
            let servers: Vec<Ref> = azure.list(site, sql_database::SERVERS, &path, SORT.api).await?;
            let work = servers.iter().filter_map(|server| server.id.as_deref()).map(|server| async move {
                match azure.list(site, LIST, &format!("{server}/elasticPools"), SORT.api).await {
                    Err(error) if error.fault == Fault::NotFound => Ok(Vec::new()),
                    pools => pools,
                }
            });
            Ok(shared::all(work.collect()).await?.into_iter().flatten().collect())
        });
        let push = |entity: &Entity<Properties>, common: &Common, out: &mut Listing| {
            push(entity, common, members.as_ref(), out);
        };
        azure.each_or(site, &SORT, out, each, push).await
    }

    /// What it holds now is told by its server's databases.
    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let Some(pool) = ACT.read(&self.0, site, target).await? else { return Ok(()) };
        let end = pool.id.to_ascii_lowercase().find("/elasticpools/").unwrap_or(pool.id.len());
        let path = format!("{}/databases", &pool.id[..end]);
        let databases: Vec<Entity<sql_database::Properties>> =
            self.0.list(site, sql_database::LIST, &path, SORT.api).await?;
        let around = self.0.around_now(site).await;
        push(&pool, &around.common(&pool), Some(&members(&databases)), out);
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        ACT.act(&self.0, pen).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        ACT.progress(&self.0, site, permit, sent).await
    }
}

pub(super) fn push(
    entity: &Entity<Properties>,
    common: &Common,
    members: Option<&BTreeMap<String, u32>>,
    out: &mut Listing,
) {
    let sku = entity.sku.clone().unwrap_or_default();
    let facts = Plan {
        tier: out.sym(sku.name.as_deref().or(sku.tier.as_deref()).unwrap_or_default()),
        holds: members.map(|members| members.get(&entity.id.to_ascii_lowercase()).copied().unwrap_or(0)),
        capacity: sku.capacity.and_then(|capacity| u32::try_from(capacity).ok()).unwrap_or(0),
        free: false,
    };
    let mut draft = common.draft(entity, facts);
    draft.created = at(entity.properties.creation_date.as_deref());
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::{entity, rows};
    use sweeper_core::facts::FactsRef;

    fn holds(members: Option<&BTreeMap<String, u32>>) -> Option<u32> {
        let pool = r#"{"id":"/s/Pool","location":"eastus","sku":{"name":"GP_Gen5","capacity":2},"properties":{}}"#;
        let inventory = rows(&SPEC, pool, |entity, common, out| push(entity, common, members, out));
        let FactsRef::Plan(plan) = inventory.resources().next().unwrap().facts() else { panic!() };
        plan.holds
    }

    #[test]
    fn databases_name_their_pool_in_any_case() {
        let of = |pool: &str| entity(&format!(r#"{{"id":"/s/db","properties":{{"elasticPoolId":{pool}}}}}"#));
        let members = members(&[of("\"/S/POOL\""), of("\"/s/pool\""), of("\"/s/other\""), of("null")]);
        assert_eq!(holds(Some(&members)), Some(2));
        assert_eq!(holds(Some(&BTreeMap::new())), Some(0));
        assert_eq!(holds(None), None);
    }
}
