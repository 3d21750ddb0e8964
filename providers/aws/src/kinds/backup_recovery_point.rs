//! Recovery points of AWS Backup.

use crate::{asks, auth::Aws, fault, kinds::at};
use async_trait::async_trait;
use aws_sdk_backup::{
    Client,
    types::{BackupVaultListMember, RecoveryPointByBackupVault},
};
use futures_util::stream::{self, StreamExt as _};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    facts::RecoveryPoint,
    inventory::{Draft, Inventory, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, last_segment},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.backup-recovery-point",
    cloud: CloudId::Aws,
    class: Class::RecoveryPoint,
    title: "AWS Backup recovery point",
    places: Places::Regions,
    reads: &[LIST, VAULTS],
    asks: &[TAGS],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "the lifecycle of its backup plan removes it",
    acts: &[],
};

const VAULTS: &str = "backup:ListBackupVaults";
const LIST: &str = "backup:ListRecoveryPointsByBackupVault";
const TAGS: &str = "backup:ListTags";

pub(super) struct BackupRecoveryPoint(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for BackupRecoveryPoint {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let backup = self.0.backup(site.scope());
        let mut vaults = Vec::new();
        let mut pages = Pages::new(VAULTS);
        while let Some(token) = pages.next() {
            let page = fault::call(site, VAULTS, || {
                backup.list_backup_vaults().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            vaults.extend(page.backup_vault_list().iter().cloned());
            pages.seen(page.next_token())?;
        }
        let work: Vec<_> = vaults.iter().map(|vault| points(site, &backup, vault)).collect();
        let mut results = stream::iter(work).buffered(asks::AT_ONCE);
        let mut at = vaults.iter();
        while let Some(points) = results.next().await {
            let (Some(vault), points) = (at.next(), points?) else { break };
            for point in &points {
                push(vault, point, out);
            }
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let backup = self.0.backup(site.scope());
        let tags = asks::of(asks, |question| question == Question::Tags);
        let mut answers = asks::alike(
            tags.into_iter().map(|ask| (ask, tags_of(site, &backup, inventory.at(ask.resource).native_id()))).collect(),
        )
        .await;
        let locked = asks::of(asks, |question| question == Question::Locked).into_iter();
        answers.extend(locked.map(|ask| (ask, Answer::Truth(!inventory.at(ask.resource).protected().is_empty()))));
        Ok(answers)
    }
}

/// The recovery points of a vault; none when it is gone by now.
async fn points(
    site: &Site,
    backup: &Client,
    vault: &BackupVaultListMember,
) -> Result<Vec<RecoveryPointByBackupVault>, CloudError> {
    let name = vault.backup_vault_name().unwrap_or_default();
    let mut points = Vec::new();
    let mut pages = Pages::new(LIST);
    while let Some(token) = pages.next() {
        let page = fault::maybe(site, LIST, || {
            backup
                .list_recovery_points_by_backup_vault()
                .backup_vault_name(name)
                .max_results(1000)
                .set_next_token(token.clone())
                .send()
        })
        .await?;
        let Some(page) = page else { return Ok(Vec::new()) };
        points.extend(page.recovery_points().iter().cloned());
        pages.seen(page.next_token())?;
    }
    Ok(points)
}

async fn tags_of(site: &Site, backup: &Client, arn: &str) -> Result<Answer, CloudError> {
    let mut tags = BTreeMap::new();
    let mut pages = Pages::new(TAGS);
    while let Some(token) = pages.next() {
        let page = fault::call(site, TAGS, || {
            backup.list_tags().resource_arn(arn).max_results(1000).set_next_token(token.clone()).send()
        })
        .await?;
        let next = page.next_token().map(str::to_owned);
        tags.extend(page.tags.unwrap_or_default());
        pages.seen(next.as_deref())?;
    }
    Ok(Answer::Tags(tags.into_iter().collect()))
}

/// The class under which the source of a recovery point is listed, by AWS Backup's word for its sort.
fn source_class(sort: &str) -> Option<Class> {
    match sort {
        "EBS" => Some(Class::Disk),
        "EC2" => Some(Class::Vm),
        "RDS" | "Aurora" | "DocumentDB" | "Neptune" => Some(Class::Database),
        "S3" => Some(Class::Bucket),
        _ => None,
    }
}

fn manager(point: &RecoveryPointByBackupVault) -> String {
    let plan = point.created_by().and_then(|by| by.backup_plan_name().or(by.backup_plan_id()));
    plan.map_or_else(|| "AWS Backup".to_owned(), |plan| format!("AWS Backup plan {plan}"))
}

fn push(vault: &BackupVaultListMember, point: &RecoveryPointByBackupVault, out: &mut Listing) {
    let sort = point.resource_type().unwrap_or_default();
    let managed_by = manager(point);
    let facts = RecoveryPoint {
        source: out.sym(last_segment(point.resource_arn().unwrap_or_default())),
        source_type: out.sym(sort),
        source_class: source_class(sort),
        size_bytes: point.backup_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
        vault: out.sym(vault.backup_vault_name().unwrap_or_default()),
    };
    out.push(Draft {
        name: point.resource_name().unwrap_or_default(),
        created: at(point.creation_date()),
        managed_by: &managed_by,
        protected: if vault.locked() == Some(true) { "vault lock" } else { "" },
        ..Draft::new(point.recovery_point_arn().unwrap_or_default(), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_the_end_of_its_arn() {
        assert_eq!(last_segment("arn:aws:ec2:us-east-1:111111111111:volume/vol-1"), "vol-1");
        assert_eq!(last_segment("arn:aws:rds:us-east-1:111111111111:db:orders"), "orders");
        assert_eq!(last_segment("arn:aws:s3:::archive"), "archive");
        assert_eq!(last_segment(""), "");
        assert_eq!(source_class("EBS"), Some(Class::Disk));
        assert_eq!(source_class("Timestream"), None);
    }
}
