//! Log Analytics workspaces, Recovery Services vaults and what they protect.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.log-workspace` | `retention` | 30 | days |
//! | `azure.recovery-vault` | | | |
//! | `azure.recovery-point` | id | | a protected item: `VM;iaasvmcontainerv2;rg;web` |
//! | | `vault` | | its vault |
//! | | `container` | `iaasvmcontainer` | its protection container |
//! | | `source` | none | what is protected: a machine's name or an ARM id |
//! | | `workload` | `VM` | or `AzureFileShare`, `SQLDataBase` |
//! | | `policy` | `DefaultPolicy` | |
//! | | `last_backup` | `-1d` | |
//! | | `state` | `Protected` | `protectionState`: `ProtectionStopped`, … |
//! | | `deferred_delete` | false | it is deleted and kept for a while |

use serde_json::{Value, json};

use super::arm::{self, Type, guid, listed, paged, target, zulu};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::org::parse_time;
use crate::rest::{Req, Route};
use crate::services::Kind;

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.log-workspace", keys: &["retention:int"] },
    Kind { kind: "azure.recovery-vault", keys: &[] },
    Kind { kind: "azure.recovery-point", keys: &[
        "vault:text", "container:text", "source:text", "workload:text", "policy:text", "last_backup:time",
        "state:text", "deferred_delete:bool",
    ] },
];

static WORKSPACE: Type = Type::top("azure.log-workspace", "Microsoft.OperationalInsights/workspaces", workspace);
static VAULT: Type = Type::top("azure.recovery-vault", "Microsoft.RecoveryServices/vaults", vault);
static ITEM: Type = Type {
    kind: "azure.recovery-point",
    arm: "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems",
    parents: &["vault", "=Azure", "container=iaasvmcontainer"],
    parent: Some("azure.recovery-vault"),
    table: "recoveryservicesresources",
    show: protected,
};

pub(super) static TYPES: &[&Type] = &[&WORKSPACE, &VAULT, &ITEM];

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(WORKSPACE, "Microsoft.OperationalInsights", "workspaces", "Workspaces", "List", "ListByResourceGroup"),
    listed!(VAULT, "Microsoft.RecoveryServices", "vaults", "Vaults", "ListBySubscriptionId", "ListByResourceGroup"),
    &[Route {
        service: "Microsoft.RecoveryServices",
        method: "GET",
        path: "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.RecoveryServices/vaults/{vault}/backupProtectedItems",
        action: "BackupProtectedItems_List",
        permission: "Microsoft.RecoveryServices/vaults/backupProtectedItems/read",
        handle: items,
    }],
];

fn workspace(_: &Cloud, item: &Item) -> Value {
    json!({
        "properties": {
            "source": "Azure",
            "customerId": guid(&arm::id(item)),
            "provisioningState": "Succeeded",
            "sku": { "name": "PerGB2018", "lastSkuUpdate": zulu(item.created) },
            "retentionInDays": item.int("retention").unwrap_or(30),
            "workspaceCapping": { "dailyQuotaGb": -1.0 },
            "createdDate": zulu(item.created),
            "modifiedDate": zulu(item.created),
        },
    })
}

fn vault(_: &Cloud, _: &Item) -> Value {
    json!({
        "sku": { "name": "RS0", "tier": "Standard" },
        "properties": { "provisioningState": "Succeeded", "publicNetworkAccess": "Enabled" },
    })
}

fn protected(cloud: &Cloud, item: &Item) -> Value {
    let workload = item.text_or("workload", "VM");
    let policy = item.text_or("policy", "DefaultPolicy");
    let id = arm::id(item);
    let vault = id.split("/backupFabrics/").next().unwrap_or_default();
    let last = item.time("last_backup", cloud.now).or_else(|| parse_time("-1d", cloud.now)).unwrap_or(cloud.now);
    let mut own = json!({
        "protectedItemType": if workload == "VM" { "Microsoft.Compute/virtualMachines" } else { "AzureFileShareProtectedItem" },
        "backupManagementType": if workload == "VM" { "AzureIaasVM" } else { "AzureStorage" },
        "workloadType": workload,
        "containerName": item.text_or("container", "iaasvmcontainer"),
        "policyId": format!("{vault}/backupPolicies/{policy}"),
        "policyName": policy,
        "lastBackupTime": zulu(last),
        "lastRecoveryPoint": zulu(last),
        "lastBackupStatus": "Completed",
        "protectionState": item.text_or("state", "Protected"),
        "protectionStatus": "Healthy",
        "friendlyName": item.id.rsplit(';').next().unwrap_or_default(),
        "isScheduledForDeferredDelete": item.flag("deferred_delete").unwrap_or(false),
        "vaultId": vault,
    });
    if let Some(named) = item.text("source") {
        let source = target(cloud, item, "azure.compute-vm", named);
        if workload == "VM" {
            own["virtualMachineId"] = json!(source);
        }
        own["sourceResourceId"] = json!(source);
    }
    json!({ "properties": own })
}

fn items(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let items = arm::asked(cloud, req, &ITEM)?;
    paged(cloud, req, &items, |item| arm::show(cloud, &ITEM, item))
}
