//! Snapshots of RDS clusters.

use crate::{
    asks,
    auth::Aws,
    fault,
    kinds::{
        at,
        rds_instance::{PAGE, pairs},
        rds_snapshot::{TYPES, managed_by, month},
    },
};
use async_trait::async_trait;
use aws_sdk_rds::{
    Client,
    types::{DbClusterSnapshot, DbClusterSnapshotAttributesResult},
};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    facts::DbSnapshot,
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.rds-cluster-snapshot",
    cloud: CloudId::Aws,
    class: Class::DbSnapshot,
    title: "RDS cluster snapshot",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[SHARES],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "rds:DescribeDBClusterSnapshots";
const SHARES: &str = "rds:DescribeDBClusterSnapshotAttributes";

pub(super) struct RdsClusterSnapshot(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for RdsClusterSnapshot {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let rds = self.0.rds(site.scope());
        let mut seen = BTreeSet::new();
        for kind in TYPES {
            let mut pages = Pages::new(LIST);
            while let Some(token) = pages.next() {
                let page = fault::call(site, LIST, || {
                    rds.describe_db_cluster_snapshots()
                        .set_snapshot_type(kind.map(str::to_owned))
                        .max_records(PAGE)
                        .set_marker(token.clone())
                        .send()
                })
                .await?;
                for snapshot in page.db_cluster_snapshots() {
                    if seen.insert(snapshot.db_cluster_snapshot_identifier().unwrap_or_default().to_owned()) {
                        push(snapshot, out);
                    }
                }
                pages.seen(page.marker())?;
            }
        }
        Ok(())
    }

    async fn answer(
        &self,
        site: &Site,
        inventory: &Inventory,
        asks: &[Ask],
    ) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let rds = self.0.rds(site.scope());
        let asks = asks::of(asks, |question| question == Question::Shares);
        Ok(asks::alike(asks.into_iter().map(|ask| (ask, shares_of(site, &rds, inventory.at(ask.resource).native_id()))).collect()).await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

fn push(snapshot: &DbClusterSnapshot, out: &mut Listing) {
    let tags = pairs(snapshot.tag_list());
    let kind = snapshot.snapshot_type().unwrap_or_default();
    let managed_by = managed_by(kind, &tags);
    let facts = DbSnapshot {
        manual: kind == "manual",
        retained: false,
        source: out.sym(snapshot.db_cluster_identifier().unwrap_or_default()),
        of_cluster: true,
        size_gib: snapshot.allocated_storage().unwrap_or(0).unsigned_abs(),
        engine: out.sym(snapshot.engine().unwrap_or_default()),
    };
    out.push(Draft {
        uid: snapshot.db_cluster_snapshot_arn().unwrap_or_default(),
        created: at(snapshot.snapshot_create_time()),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        ..Draft::new(snapshot.db_cluster_snapshot_identifier().unwrap_or_default(), facts)
    });
}

async fn shares_of(site: &Site, rds: &Client, snapshot: &str) -> Result<Answer, CloudError> {
    let answer = fault::call(site, SHARES, || {
        rds.describe_db_cluster_snapshot_attributes().db_cluster_snapshot_identifier(snapshot).send()
    })
    .await?;
    let attributes = answer.db_cluster_snapshot_attributes_result().map(DbClusterSnapshotAttributesResult::db_cluster_snapshot_attributes);
    let accounts = attributes.unwrap_or_default().iter().filter(|attribute| attribute.attribute_name() == Some("restore"));
    Ok(Answer::Shares(accounts.flat_map(|attribute| attribute.attribute_values().iter().cloned()).collect()))
}
