//! RDS clusters: Aurora, Multi-AZ clusters, Neptune and DocumentDB.

use crate::{
    auth::Aws,
    fault,
    kinds::{
        at,
        rds_instance::{PAGE, connections, groups, pairs, protection, state},
    },
    marks, usage,
};
use async_trait::async_trait;
use aws_sdk_rds::types::DbCluster;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask},
    calls::{Pages, Site},
    facts::Database,
    inventory::{Draft, Inventory, Listing, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.rds-cluster",
    cloud: CloudId::Aws,
    class: Class::Database,
    title: "RDS cluster",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[usage::OP],
    refers: &[(Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "rds:DescribeDBClusters";

pub(super) struct RdsCluster(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for RdsCluster {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let rds = self.0.rds(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                rds.describe_db_clusters().max_records(PAGE).set_marker(token.clone()).send()
            })
            .await?;
            for cluster in page.db_clusters() {
                push(cluster, out);
            }
            pages.seen(page.marker())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let answers = usage::answer(&self.0, site, inventory, asks, |resource, question| {
            connections("DBClusterIdentifier", resource, question)
        });
        Ok(answers.await)
    }
}

fn push(cluster: &DbCluster, out: &mut Listing) {
    let tags = pairs(cluster.tag_list());
    let managed_by = marks::managed_by(&tags);
    let facts = Database {
        state: state(cluster.status().unwrap_or_default()),
        engine: out.sym(cluster.engine().unwrap_or_default()),
        db_class: out.sym(cluster.db_cluster_instance_class().unwrap_or_default()),
        storage_gib: cluster.allocated_storage().unwrap_or(0).unsigned_abs(),
        multi_az: cluster.multi_az().unwrap_or(false),
        replica: cluster.replication_source_identifier().is_some_and(|source| !source.is_empty()),
        is_cluster: true,
        cluster: out.sym(""),
        storage_type: out.sym(cluster.storage_type().unwrap_or_default()),
    };
    out.push(Draft {
        uid: cluster.db_cluster_resource_id().unwrap_or_default(),
        created: at(cluster.cluster_create_time()),
        managed_by: &managed_by,
        protected: protection(cluster.deletion_protection()),
        uses: groups(cluster.vpc_security_groups()),
        tags: Tags::Read(tags),
        ..Draft::new(cluster.db_cluster_identifier().unwrap_or_default(), facts)
    });
}
