//! Snapshots of RDS clusters.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault,
    kinds::{
        at,
        rds_instance::{PAGE, pairs},
        rds_snapshot::{RDS_TAG, RDS_UNTAG, TYPES, managed_by, month, tag},
    },
    pen::{send, sent, unknown},
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
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
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
    acts: &[RDS_TAG, RDS_UNTAG, ACT_DELETE],
};

const ACT_DELETE: ActSpec =
    acts::delete(&[post(DELETE, "DeleteDBClusterSnapshot")], Reversal::OneWay("the snapshot with all that is in it"));

const DELETE: &str = "rds:DeleteDBClusterSnapshot";

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

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let rds = self.0.rds(site.scope());
        let asks = asks::of(asks, |question| question == Question::Shares);
        Ok(asks::alike(
            asks.into_iter().map(|ask| (ask, shares_of(site, &rds, inventory.at(ask.resource).native_id()))).collect(),
        )
        .await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let (rds, id) = (self.0.rds(site.scope()), target.native_id.as_str());
        let page =
            fault::maybe(site, LIST, || rds.describe_db_cluster_snapshots().db_cluster_snapshot_identifier(id).send())
                .await?;
        let own = |snapshot: &&DbClusterSnapshot| snapshot.db_cluster_snapshot_identifier() == Some(id);
        if let Some(snapshot) = acts::found(LIST, page, |page| page.db_cluster_snapshots().iter().find(own).cloned())? {
            push(&snapshot, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let target = pen.target();
        // Its name can be given again, and its ARN with it.
        acts::same(self, pen).await?;
        let writer = self.0.writer(&SPEC, pen, std::slice::from_ref(&target.uid)).await?;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => tag(&writer, pen).await,
            Deed::Delete => {
                let change =
                    writer.rds().delete_db_cluster_snapshot().db_cluster_snapshot_identifier(&target.native_id).send();
                Ok(sent(&send(pen, DELETE, change).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
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
    let attributes = answer
        .db_cluster_snapshot_attributes_result()
        .map(DbClusterSnapshotAttributesResult::db_cluster_snapshot_attributes);
    let accounts =
        attributes.unwrap_or_default().iter().filter(|attribute| attribute.attribute_name() == Some("restore"));
    Ok(Answer::Shares(accounts.flat_map(|attribute| attribute.attribute_values().iter().cloned()).collect()))
}
