//! RDS instances, those of Aurora, Neptune and DocumentDB included, which share the API.

use crate::{
    auth::Aws,
    fault,
    kinds::{at, ec2_security_group::guards},
    marks,
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_rds::types::{DbInstance, Tag, VpcSecurityGroupMembership};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    facts::{Database, DatabaseState},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.rds-instance",
    cloud: CloudId::Aws,
    class: Class::Database,
    title: "RDS instance",
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

const LIST: &str = "rds:DescribeDBInstances";

/// Records a page may hold, for every list of RDS (RDS API reference, MaxRecords).
pub(super) const PAGE: i32 = 100;

pub(super) struct RdsInstance(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for RdsInstance {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let rds = self.0.rds(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                rds.describe_db_instances().max_records(PAGE).set_marker(token.clone()).send()
            })
            .await?;
            for instance in page.db_instances() {
                push(instance, out);
            }
            pages.seen(page.marker())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let answers = usage::answer(&self.0, site, inventory, asks, |resource, question| {
            connections("DBInstanceIdentifier", resource, question)
        });
        Ok(answers.await)
    }
}

/// The most connections of a day. RDS publishes it every minute that the database runs, so a day without a
/// point is not a zero.
pub(super) fn connections(dimension: &'static str, resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::DbConnectionsMax, .. } = question else { return None };
    let dimensions = vec![(dimension, resource.native_id().to_owned())];
    Some(Measure {
        series: vec![("AWS/RDS", "DatabaseConnections", dimensions, "Maximum")],
        combine: Combine::Max,
        sparse: false,
    })
}

/// What a status means. In a backup and in storage optimization a database works as ever (RDS user guide,
/// "Viewing DB instance status").
pub(super) fn state(status: &str) -> DatabaseState {
    match status {
        "available" | "backing-up" | "storage-optimization" => DatabaseState::Available,
        "stopped" => DatabaseState::Stopped,
        _ => DatabaseState::Other,
    }
}

/// Tags as pairs.
pub(super) fn pairs(tags: &[Tag]) -> Vec<(&str, &str)> {
    tags.iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default())).collect()
}

/// The words for deletion protection.
pub(super) const fn protection(on: Option<bool>) -> &'static str {
    if matches!(on, Some(true)) { "deletion protection" } else { "" }
}

fn push(instance: &DbInstance, out: &mut Listing) {
    let tags = pairs(instance.tag_list());
    let managed_by = marks::managed_by(&tags);
    let facts = Database {
        state: state(instance.db_instance_status().unwrap_or_default()),
        engine: out.sym(instance.engine().unwrap_or_default()),
        db_class: out.sym(instance.db_instance_class().unwrap_or_default()),
        storage_gib: instance.allocated_storage().unwrap_or(0).unsigned_abs(),
        multi_az: instance.multi_az().unwrap_or(false),
        replica: is_replica(instance),
        is_cluster: false,
        cluster: out.sym(instance.db_cluster_identifier().unwrap_or_default()),
        storage_type: out.sym(instance.storage_type().unwrap_or_default()),
    };
    out.push(Draft {
        uid: instance.dbi_resource_id().unwrap_or_default(),
        created: at(instance.instance_create_time()),
        managed_by: &managed_by,
        protected: protection(instance.deletion_protection()),
        uses: groups(instance.vpc_security_groups()),
        tags: Tags::Read(tags),
        ..Draft::new(instance.db_instance_identifier().unwrap_or_default(), facts)
    });
}

/// The security groups of an instance or cluster.
pub(super) fn groups(groups: &[VpcSecurityGroupMembership]) -> Vec<(Relation, &str)> {
    groups.iter().filter_map(|group| group.vpc_security_group_id()).map(guards).collect()
}

fn is_replica(instance: &DbInstance) -> bool {
    let sources =
        [instance.read_replica_source_db_instance_identifier(), instance.read_replica_source_db_cluster_identifier()];
    sources.into_iter().flatten().any(|source| !source.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_nobody_knows_are_other() {
        assert_eq!(state("available"), DatabaseState::Available);
        assert_eq!(state("backing-up"), DatabaseState::Available);
        assert_eq!(state("stopped"), DatabaseState::Stopped);
        assert_eq!(state("stopping"), DatabaseState::Other);
        assert_eq!(state("teleporting"), DatabaseState::Other);
    }

    #[test]
    fn a_replica_names_its_source() {
        assert!(!is_replica(&DbInstance::builder().build()));
        assert!(is_replica(&DbInstance::builder().read_replica_source_db_instance_identifier("main").build()));
        assert!(is_replica(&DbInstance::builder().read_replica_source_db_cluster_identifier("main").build()));
    }
}
