//! Snapshots of RDS instances, manual and automated. Snapshots that others share with the account are
//! theirs and are not listed.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault,
    kinds::{
        at,
        rds_instance::{PAGE, pairs},
    },
    marks,
    pen::{Writer, send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_rds::{
    Client,
    types::{DbSnapshot as Snapshot, DbSnapshotAttributesResult},
};
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::{DbSnapshot, FactsRef},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.rds-snapshot",
    cloud: CloudId::Aws,
    class: Class::DbSnapshot,
    title: "RDS snapshot",
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
    acts::delete(&[post(DELETE, "DeleteDBSnapshot")], Reversal::OneWay("the snapshot with all that is in it"));

const DELETE: &str = "rds:DeleteDBSnapshot";
const SET: &str = "rds:AddTagsToResource";
const CLEAR: &str = "rds:RemoveTagsFromResource";

pub(super) const RDS_TAG: ActSpec = acts::tag(&[post(SET, "AddTagsToResource")]);
pub(super) const RDS_UNTAG: ActSpec = acts::untag(&[post(CLEAR, "RemoveTagsFromResource")]);

const LIST: &str = "rds:DescribeDBSnapshots";
const SHARES: &str = "rds:DescribeDBSnapshotAttributes";

/// What is asked for: without a type the list has manual and automated snapshots, not those that
/// AWS Backup made (RDS API reference, DescribeDBSnapshots).
pub(super) const TYPES: [Option<&str>; 2] = [None, Some(BACKUP)];
/// The type of a snapshot that AWS Backup made.
const BACKUP: &str = "awsbackup";

pub(super) struct RdsSnapshot(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for RdsSnapshot {
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
                    rds.describe_db_snapshots()
                        .set_snapshot_type(kind.map(str::to_owned))
                        .max_records(PAGE)
                        .set_marker(token.clone())
                        .send()
                })
                .await?;
                for snapshot in page.db_snapshots() {
                    if seen.insert(snapshot.db_snapshot_identifier().unwrap_or_default().to_owned()) {
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
        let page = fault::maybe(site, LIST, || rds.describe_db_snapshots().db_snapshot_identifier(id).send()).await?;
        let own = |snapshot: &&Snapshot| snapshot.db_snapshot_identifier() == Some(id);
        if let Some(snapshot) = acts::found(LIST, page, |page| page.db_snapshots().iter().find(own).cloned())? {
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
                let change = writer.rds().delete_db_snapshot().db_snapshot_identifier(&target.native_id).send();
                Ok(sent(&send(pen, DELETE, change).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

/// Sets or takes away a tag of something in RDS, by its ARN.
pub(super) async fn tag(writer: &Writer, pen: &Pen<'_>) -> Result<Sent, CloudError> {
    let (rds, arn) = (writer.rds(), &pen.target().uid);
    match pen.permit().deed() {
        Deed::Tag { key, value } => {
            let tag = aws_sdk_rds::types::Tag::builder().key(key).value(value).build();
            Ok(sent(&send(pen, SET, rds.add_tags_to_resource().resource_name(arn).tags(tag).send()).await?, ""))
        }
        Deed::Untag { key } => {
            let change = rds.remove_tags_from_resource().resource_name(arn).tag_keys(key).send();
            Ok(sent(&send(pen, CLEAR, change).await?, ""))
        }
        _ => Err(unknown(pen)),
    }
}

/// What a month of a snapshot costs at most: snapshots share blocks, and those of a living database are
/// free up to its size. Aurora tells one GiB whatever the size, which bounds nothing.
pub(super) fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::DbSnapshot(snapshot) = resource.facts() else { return Cost::unknown() };
    let aurora = resource.inventory().text(snapshot.engine).starts_with("aurora");
    if snapshot.size_gib == 0 || (aurora && snapshot.size_gib == 1) {
        return Cost::unknown();
    }
    let key = if aurora { "aurora.backup.gb-month" } else { "rds.backup.gb-month" };
    prices
        .unit(CloudId::Aws, resource.region(), key)
        .map_or_else(Cost::unknown, |gb| Cost::upper_bound(gb.times(i64::from(snapshot.size_gib))))
}

/// Who made a snapshot, by its type and its tags.
pub(super) fn managed_by(kind: &str, tags: &[(&str, &str)]) -> String {
    let mark = marks::managed_by(tags);
    if mark.is_empty() && kind == BACKUP { "AWS Backup".to_owned() } else { mark }
}

fn push(snapshot: &Snapshot, out: &mut Listing) {
    let tags = pairs(snapshot.tag_list());
    let kind = snapshot.snapshot_type().unwrap_or_default();
    let managed_by = managed_by(kind, &tags);
    let facts = DbSnapshot {
        manual: kind == "manual",
        retained: false,
        source: out.sym(snapshot.db_instance_identifier().unwrap_or_default()),
        of_cluster: false,
        size_gib: snapshot.allocated_storage().unwrap_or(0).unsigned_abs(),
        engine: out.sym(snapshot.engine().unwrap_or_default()),
    };
    out.push(Draft {
        uid: snapshot.db_snapshot_arn().unwrap_or_default(),
        created: at(snapshot.snapshot_create_time()),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        ..Draft::new(snapshot.db_snapshot_identifier().unwrap_or_default(), facts)
    });
}

async fn shares_of(site: &Site, rds: &Client, snapshot: &str) -> Result<Answer, CloudError> {
    let answer =
        fault::call(site, SHARES, || rds.describe_db_snapshot_attributes().db_snapshot_identifier(snapshot).send())
            .await?;
    let attributes = answer.db_snapshot_attributes_result().map(DbSnapshotAttributesResult::db_snapshot_attributes);
    let accounts =
        attributes.unwrap_or_default().iter().filter(|attribute| attribute.attribute_name() == Some("restore"));
    Ok(Answer::Shares(accounts.flat_map(|attribute| attribute.attribute_values().iter().cloned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_managed_whatever_its_tags() {
        assert_eq!(managed_by("awsbackup", &[]), "AWS Backup");
        assert_eq!(managed_by("manual", &[]), "");
        assert_eq!(managed_by("manual", &[("aws:cloudformation:stack-name", "db")]), "CloudFormation stack db");
    }
}
