//! Backup: vaults and recovery points.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.backup-vault` | id | | the vault's name |
//! | | `locked` | false | a vault lock in compliance or governance mode |
//! | | `lock_date` | none | from when on a compliance lock cannot be removed |
//! | | `min_retention`, `max_retention` | none | days, of the lock |
//! | | `type` | `BACKUP_VAULT` | or `LOGICALLY_AIR_GAPPED_BACKUP_VAULT` |
//! | `aws.backup-recovery-point` | id | | the ARN, or the part after `recovery-point:` |
//! | | `vault` | | the vault's name |
//! | | `resource` | none | the backed-up resource's ARN |
//! | | `resource_type` | `EBS` | `EC2`, `RDS`, `S3`, … |
//! | | `size` | 0 | bytes |
//! | | `status` | `COMPLETED` | |
//! | | `delete_after`, `cold_after` | none | days of the lifecycle |
//! | | `plan` | none | the id of the backup plan that made it |
//! | | `parent` | none | the ARN of the composite recovery point it is part of |
//! | | `is_parent` | false | it is such a composite |
//! | | `last_restore` | none | |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, every, one, referring, refused, stamp, unserved};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const VAULT: &str = "aws.backup-vault";
const POINT: &str = "aws.backup-recovery-point";

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: VAULT,
        keys: &["locked:bool", "lock_date:time", "min_retention:int", "max_retention:int", "type:text"],
    },
    Kind {
        kind: POINT,
        keys: &[
            "vault:text",
            "resource:text",
            "resource_type:text",
            "size:int",
            "status:text",
            "delete_after:int",
            "cold_after:int",
            "plan:text",
            "parent:text",
            "is_parent:bool",
            "last_restore:time",
        ],
    },
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterValueException";
const DAY: f64 = 86_400.0;

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "ListBackupVaults" => list_vaults(cloud, request, &args),
        "ListRecoveryPointsByBackupVault" => list_points(cloud, request, &args),
        "ListTags" => {
            let asked = args.text("resourceArn").unwrap_or_default();
            let found = every(cloud, request, POINT)
                .into_iter()
                .find(|item| point_arn(item) == asked)
                .or_else(|| every(cloud, request, VAULT).into_iter().find(|item| vault_arn(item) == asked));
            match found {
                Some(item) => answer(json!({ "Tags": item.tag_map() })),
                None => Err(refused(400, "ResourceNotFoundException", format!("Resource {asked} not found"))),
            }
        }
        _ => unserved(request),
    }
}

fn vault_arn(item: &Item) -> String {
    arn("backup", item.region, item.account, &format!("backup-vault:{}", item.id))
}

fn point_arn(item: &Item) -> String {
    recovery_point(item.account, item.region, item.id)
}

/// The ARN of a recovery point, of the ARN or of what comes after `recovery-point:`.
pub(crate) fn recovery_point(account: &str, region: &str, id: &str) -> String {
    if id.starts_with("arn:") { id.to_owned() } else { arn("backup", region, account, &format!("recovery-point:{id}")) }
}

fn list_vaults(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let mut items = every(cloud, request, VAULT);
    if let Some(wanted) = args.text("vaultType") {
        items.retain(|item| item.text_or("type", "BACKUP_VAULT") == wanted);
    }
    let most = args.limit("maxResults", 1000, 1000, INVALID)?;
    let (items, token) = cloud.page(&items, Some(most), args.text("nextToken"))?;
    let vaults: Vec<Value> = items
        .iter()
        .map(|item| {
            json!({
                "BackupVaultName": item.id,
                "BackupVaultArn": vault_arn(item),
                "VaultType": item.text_or("type", "BACKUP_VAULT"),
                "VaultState": "AVAILABLE",
                "CreationDate": stamp(item.created),
                "NumberOfRecoveryPoints": referring(cloud, request, POINT, "vault", item.id).len(),
                "Locked": item.flag("locked"),
                "MinRetentionDays": item.int("min_retention"),
                "MaxRetentionDays": item.int("max_retention"),
                "LockDate": item.moment("lock_date").map(stamp),
            })
        })
        .collect();
    answer(json!({ "BackupVaultList": vaults, "NextToken": token }))
}

fn list_points(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let name = args.text("backupVaultName").unwrap_or_default();
    let vault = one(cloud, request, VAULT, name)
        .ok_or_else(|| refused(400, "ResourceNotFoundException", format!("Backup vault {name} not found")))?;
    let mut items = referring(cloud, request, POINT, "vault", vault.id);
    let (resource, kind) = (args.text("resourceArn"), args.text("resourceType"));
    let (plan, parent) = (args.text("backupPlanId"), args.text("parentRecoveryPointArn"));
    let (before, after) = (args.time("createdBefore"), args.time("createdAfter"));
    items.retain(|item| {
        resource.is_none_or(|wanted| item.text("resource") == Some(wanted))
            && kind.is_none_or(|wanted| item.text_or("resource_type", "EBS") == wanted)
            && plan.is_none_or(|wanted| item.text("plan") == Some(wanted))
            && parent.is_none_or(|wanted| item.text("parent") == Some(wanted))
            && before.is_none_or(|time| item.created < time)
            && after.is_none_or(|time| item.created > time)
    });
    let most = args.limit("maxResults", 1000, 1000, INVALID)?;
    let (items, token) = cloud.page(&items, Some(most), args.text("nextToken"))?;
    let points: Vec<Value> = items
        .iter()
        .map(|item| {
            let (delete, cold) = (item.int("delete_after"), item.int("cold_after"));
            let at = |days: Option<i64>| days.map(|days| stamp(item.created + days as f64 * DAY));
            let lifecycle = (delete.is_some() || cold.is_some()).then(|| {
                (
                    json!({ "DeleteAfterDays": delete, "MoveToColdStorageAfterDays": cold }),
                    json!({ "DeleteAt": at(delete), "MoveToColdStorageAt": at(cold) }),
                )
            });
            let (lifecycle, calculated) = lifecycle.unzip();
            let completed = item.text_or("status", "COMPLETED") == "COMPLETED";
            json!({
                "RecoveryPointArn": point_arn(item),
                "BackupVaultName": vault.id,
                "BackupVaultArn": vault_arn(&vault),
                "ResourceArn": item.text("resource"),
                "ResourceType": item.text_or("resource_type", "EBS"),
                "CreatedBy": item.text("plan").map(|plan| json!({
                    "BackupPlanId": plan,
                    "BackupPlanArn": arn("backup", item.region, item.account, &format!("backup-plan:{plan}")),
                    "BackupPlanVersion": "1",
                    "BackupRuleId": "rule",
                })),
                "IamRoleArn": format!("arn:aws:iam::{}:role/backup", item.account),
                "Status": item.text_or("status", "COMPLETED"),
                "CreationDate": stamp(item.created),
                "CompletionDate": completed.then(|| stamp(item.created + 60.0)),
                "BackupSizeInBytes": item.int_or("size", 0),
                "Lifecycle": lifecycle,
                "CalculatedLifecycle": calculated,
                "IsEncrypted": true,
                "LastRestoreTime": item.moment("last_restore").map(stamp),
                "ParentRecoveryPointArn": item.text("parent"),
                "IsParent": item.flag("is_parent"),
                "VaultType": vault.text_or("type", "BACKUP_VAULT"),
            })
        })
        .collect();
    answer(json!({ "RecoveryPoints": points, "NextToken": token }))
}
