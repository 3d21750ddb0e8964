//! Automated backups of RDS instances that were kept when their instance was deleted.

use crate::{
    asks,
    auth::Aws,
    fault,
    kinds::{
        at,
        rds_instance::{PAGE, pairs},
        rds_snapshot::month,
    },
    marks,
};
use async_trait::async_trait;
use aws_sdk_rds::types::{DbInstanceAutomatedBackup, Filter};
use std::sync::Arc;
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
    id: "aws.rds-retained-backup",
    cloud: CloudId::Aws,
    class: Class::DbSnapshot,
    title: "retained RDS backup",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "rds:DescribeDBInstanceAutomatedBackups";
/// The status of a backup whose instance is gone.
const RETAINED: &str = "retained";

pub(super) struct RdsRetainedBackup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for RdsRetainedBackup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let rds = self.0.rds(site.scope());
        let retained = Filter::builder().name("status").values(RETAINED).build();
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                rds.describe_db_instance_automated_backups()
                    .filters(retained.clone())
                    .max_records(PAGE)
                    .set_marker(token.clone())
                    .send()
            })
            .await?;
            for backup in page.db_instance_automated_backups() {
                if backup.status() == Some(RETAINED) {
                    push(backup, out);
                }
            }
            pages.seen(page.marker())?;
        }
        Ok(())
    }

    /// They cannot be shared, whoever asks.
    async fn answer(&self, _: &Site, _: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let shares = asks::of(asks, |question| question == Question::Shares);
        Ok(shares.into_iter().map(|ask| (ask, Answer::Shares(Vec::new()))).collect())
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

fn push(backup: &DbInstanceAutomatedBackup, out: &mut Listing) {
    let tags = pairs(backup.tag_list());
    let mut managed_by = marks::managed_by(&tags);
    if managed_by.is_empty() && backup.aws_backup_recovery_point_arn().is_some() {
        "AWS Backup".clone_into(&mut managed_by);
    }
    let facts = DbSnapshot {
        manual: false,
        retained: true,
        source: out.sym(backup.db_instance_identifier().unwrap_or_default()),
        of_cluster: false,
        size_gib: backup.allocated_storage().unwrap_or(0).unsigned_abs(),
        engine: out.sym(backup.engine().unwrap_or_default()),
    };
    out.push(Draft {
        uid: backup.db_instance_automated_backups_arn().unwrap_or_default(),
        name: backup.db_instance_identifier().unwrap_or_default(),
        created: at(backup.restore_window().and_then(|window| window.earliest_time())),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        ..Draft::new(backup.dbi_resource_id().unwrap_or_default(), facts)
    });
}
