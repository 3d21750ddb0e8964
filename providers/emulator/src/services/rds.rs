//! RDS, and what shares its API (Aurora, Neptune, DocumentDB by `engine`).
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.rds-instance` | id | | the instance's identifier |
//! | | `status` | `available` | `stopped`, `creating`, … |
//! | | `engine`, `engine_version` | `mysql`, `8.0.36` | |
//! | | `class` | `db.t3.micro` | |
//! | | `storage` | 20 | GiB |
//! | | `storage_type`, `iops` | `gp3`, none | |
//! | | `cluster` | none | the cluster's identifier |
//! | | `writer` | false | it is the cluster's writer |
//! | | `replica_of` | none | the source instance's identifier, or its ARN in another region |
//! | | `multi_az`, `deletion_protection`, `public`, `encrypted` | false | |
//! | | `backup_retention` | 7 | days |
//! | | `restart` | none | `AutomaticRestartTime` of a stopped instance |
//! | | `vpc` | `vpc-` and a hash | |
//! | `aws.rds-cluster` | id | | the cluster's identifier |
//! | | `status`, `engine`, `engine_version`, `deletion_protection` | as above, with `aurora-mysql` | |
//! | | `engine_mode` | `provisioned` | or `serverless` |
//! | | `encrypted`, `backup_retention` | false, 7 | |
//! | | `capacity` | none | units of a `serverless` cluster |
//! | | `replication_source` | none | an ARN |
//! | `aws.rds-snapshot` | id | | the snapshot's identifier (`rds:…` when automated) |
//! | | `type` | `manual` | `manual`, `automated` or `awsbackup` |
//! | | `source` | `source` | the instance's identifier |
//! | | `storage`, `engine`, `status`, `encrypted` | 20, `mysql`, `available`, false | |
//! | | `bytes` | none | `FullSnapshotSizeInBytes` |
//! | | `copied_from` | none | `SourceDBSnapshotIdentifier` |
//! | | `shared` | none | accounts that may restore it; `all` makes it public |
//! | `aws.rds-cluster-snapshot` | | | the same, with `source` a cluster and `engine` `aurora-mysql` |
//! | `aws.rds-retained-backup` | id | | `DbiResourceId` |
//! | | `source` | the id | the instance's identifier |
//! | | `status` | `retained` | or `active`, `creating` |
//! | | `storage`, `engine`, `backup_retention`, `encrypted` | 20, `mysql`, 7, false | |
//! | | `latest` | `created` | the end of the restore window; `created` is its begin |

use serde_json::{Value, json};

use super::Kind;
use super::item::{
    Args, Item, answer, arn, clear_tags, every, hex, referring, refused, set_tags, stamp, tags_named, unserved,
};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const INSTANCE: &str = "aws.rds-instance";
const CLUSTER: &str = "aws.rds-cluster";
const SNAPSHOT: &str = "aws.rds-snapshot";
const CLUSTER_SNAPSHOT: &str = "aws.rds-cluster-snapshot";
const RETAINED: &str = "aws.rds-retained-backup";

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: INSTANCE,
        keys: &[
            "status:text",
            "engine:text",
            "engine_version:text",
            "class:text",
            "storage:int",
            "storage_type:text",
            "iops:int",
            "cluster:text",
            "writer:bool",
            "replica_of:text",
            "multi_az:bool",
            "deletion_protection:bool",
            "public:bool",
            "encrypted:bool",
            "backup_retention:int",
            "restart:time",
            "vpc:text",
        ],
    },
    Kind {
        kind: CLUSTER,
        keys: &[
            "status:text",
            "engine:text",
            "engine_version:text",
            "engine_mode:text",
            "capacity:int",
            "deletion_protection:bool",
            "encrypted:bool",
            "backup_retention:int",
            "replication_source:text",
        ],
    },
    Kind { kind: SNAPSHOT, keys: SNAPSHOT_KEYS },
    Kind { kind: CLUSTER_SNAPSHOT, keys: SNAPSHOT_KEYS },
    Kind {
        kind: RETAINED,
        keys: &[
            "source:text",
            "status:text",
            "storage:int",
            "engine:text",
            "backup_retention:int",
            "encrypted:bool",
            "latest:time",
        ],
    },
];

const SNAPSHOT_KEYS: &[&str] = &[
    "type:text",
    "source:text",
    "storage:int",
    "engine:text",
    "status:text",
    "encrypted:bool",
    "bytes:int",
    "copied_from:text",
    "shared:list",
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterValue";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeDBInstances" => describe(
            cloud,
            request,
            &args,
            &Listing {
                kind: INSTANCE,
                id: "DBInstanceIdentifier",
                missing: ("DBInstanceNotFound", "DBInstance"),
                list: "DBInstances",
                filters: &[
                    ("db-instance-id", |item| item.id.to_owned()),
                    ("db-cluster-id", |item| item.text_or("cluster", "").to_owned()),
                    ("dbi-resource-id", |item| resource_id("db", item)),
                    ("engine", |item| engine(item).to_owned()),
                ],
                shape: instance,
            },
        ),
        "DescribeDBClusters" => describe(
            cloud,
            request,
            &args,
            &Listing {
                kind: CLUSTER,
                id: "DBClusterIdentifier",
                missing: ("DBClusterNotFoundFault", "DBCluster"),
                list: "DBClusters",
                filters: &[
                    ("db-cluster-id", |item| item.id.to_owned()),
                    ("db-cluster-resource-id", |item| resource_id("cluster", item)),
                    ("engine", |item| engine(item).to_owned()),
                ],
                shape: cluster,
            },
        ),
        "DescribeDBSnapshots" => describe(
            cloud,
            request,
            &args,
            &Listing {
                kind: SNAPSHOT,
                id: "DBSnapshotIdentifier",
                missing: ("DBSnapshotNotFound", "DBSnapshot"),
                list: "DBSnapshots",
                filters: &[
                    ("db-instance-id", |item| source(item).to_owned()),
                    ("db-snapshot-id", |item| item.id.to_owned()),
                    ("snapshot-type", |item| item.text_or("type", "manual").to_owned()),
                    ("engine", |item| engine(item).to_owned()),
                ],
                shape: snapshot,
            },
        ),
        "DescribeDBClusterSnapshots" => describe(
            cloud,
            request,
            &args,
            &Listing {
                kind: CLUSTER_SNAPSHOT,
                id: "DBClusterSnapshotIdentifier",
                missing: ("DBClusterSnapshotNotFoundFault", "DBClusterSnapshot"),
                list: "DBClusterSnapshots",
                filters: &[
                    ("db-cluster-id", |item| source(item).to_owned()),
                    ("db-cluster-snapshot-id", |item| item.id.to_owned()),
                    ("snapshot-type", |item| item.text_or("type", "manual").to_owned()),
                    ("engine", |item| engine(item).to_owned()),
                ],
                shape: cluster_snapshot,
            },
        ),
        "DescribeDBInstanceAutomatedBackups" => describe(
            cloud,
            request,
            &args,
            &Listing {
                kind: RETAINED,
                id: "DbiResourceId",
                missing: ("DBInstanceAutomatedBackupNotFound", "DBInstanceAutomatedBackup"),
                list: "DBInstanceAutomatedBackups",
                filters: &[
                    ("status", |item| item.text_or("status", "retained").to_owned()),
                    ("db-instance-id", |item| source(item).to_owned()),
                    ("dbi-resource-id", |item| item.id.to_owned()),
                ],
                shape: retained,
            },
        ),
        "DescribeDBSnapshotAttributes" => {
            attributes(cloud, request, &args, SNAPSHOT, "DBSnapshot", "DBSnapshotNotFound")
        }
        "DescribeDBClusterSnapshotAttributes" => {
            attributes(cloud, request, &args, CLUSTER_SNAPSHOT, "DBClusterSnapshot", "DBClusterSnapshotNotFoundFault")
        }
        "AddTagsToResource" | "RemoveTagsFromResource" => {
            let asked = args.text("ResourceName").unwrap_or_default();
            let item = named(cloud, request, asked)
                .ok_or_else(|| refused(404, "DBSnapshotNotFound", format!("{asked} not found.")))?;
            if request.action == "AddTagsToResource" {
                set_tags(cloud, &item, tags_named(&args, "Tags"));
            } else {
                clear_tags(cloud, &item, args.texts("TagKeys"));
            }
            answer(json!({}))
        }
        "DeleteDBSnapshot" => delete_snapshot(cloud, request, &args, SNAPSHOT, "DBSnapshot", "DBSnapshotNotFound"),
        "DeleteDBClusterSnapshot" => delete_snapshot(
            cloud,
            request,
            &args,
            CLUSTER_SNAPSHOT,
            "DBClusterSnapshot",
            "DBClusterSnapshotNotFoundFault",
        ),
        "ListTagsForResource" => {
            let asked = args.text("ResourceName").unwrap_or_default();
            let found = named(cloud, request, asked);
            if let Some(item) = found {
                answer(json!({ "TagList": item.tag_list("Key", "Value") }))
            } else {
                let (code, what) = match asked.split(':').nth(5) {
                    Some("cluster") => ("DBClusterNotFoundFault", "DBCluster"),
                    Some("snapshot") => ("DBSnapshotNotFound", "DBSnapshot"),
                    Some("cluster-snapshot") => ("DBClusterSnapshotNotFoundFault", "DBClusterSnapshot"),
                    _ => ("DBInstanceNotFound", "DBInstance"),
                };
                Err(refused(404, code, format!("{what} {asked} not found.")))
            }
        }
        _ => unserved(request),
    }
}

/// The value of a resource that a filter compares.
type Compared = fn(&Item) -> String;

/// What the describing operations have in common.
struct Listing {
    kind: &'static str,
    /// The parameter that names one of them.
    id: &'static str,
    /// The error's code when there is none such, and what the message calls it.
    missing: (&'static str, &'static str),
    list: &'static str,
    filters: &'static [(&'static str, Compared)],
    shape: fn(&Cloud, &Request, &Item) -> Value,
}

fn describe(cloud: &Cloud, request: &Request, args: &Args, listing: &Listing) -> Result<Reply, WireError> {
    let mut items = every(cloud, request, listing.kind);
    if let Some(asked) = args.text(listing.id) {
        // Identifiers are stored in lower case and compared without regard to it; an ARN will do.
        items.retain(|item| item.id.eq_ignore_ascii_case(asked) || own_arn(item) == asked);
        if items.is_empty() {
            let (code, what) = listing.missing;
            return Err(refused(404, code, format!("{what} {asked} not found.")));
        }
    }
    if matches!(listing.kind, SNAPSHOT | CLUSTER_SNAPSHOT) {
        let of = if listing.kind == SNAPSHOT { "DBInstanceIdentifier" } else { "DBClusterIdentifier" };
        if let Some(asked) = args.text(of) {
            items.retain(|item| source(item).eq_ignore_ascii_case(asked));
        }
        match args.text("SnapshotType") {
            None => {}
            Some(asked @ ("manual" | "automated" | "awsbackup")) => {
                items.retain(|item| item.text_or("type", "manual") == asked);
            }
            Some("public") => items.retain(|item| item.texts("shared").iter().any(|to| to == "all")),
            // Those that other accounts share with the caller, of which the emulator lists none.
            Some("shared") => items.clear(),
            Some(other) => {
                return Err(refused(400, INVALID, format!("Invalid snapshot type: {other}")));
            }
        }
    }
    if listing.kind == RETAINED
        && let Some(asked) = args.text("DBInstanceIdentifier")
    {
        items.retain(|item| source(item).eq_ignore_ascii_case(asked));
    }
    for filter in args.array("Filters") {
        let name = filter.get("Name").and_then(Value::as_str).unwrap_or_default();
        let values = crate::cloud::texts(filter.get("Values"));
        let Some((_, compared)) = listing.filters.iter().find(|known| known.0 == name) else {
            return Err(refused(400, INVALID, format!("Unrecognized filter name: {name}")));
        };
        items.retain(|item| values.contains(&compared(item)));
    }
    let most = args.bounded("MaxRecords", 20, 100, 100, INVALID)?;
    let (items, marker) = cloud.page(&items, Some(most), args.text("Marker"))?;
    let shown: Vec<Value> = items.iter().map(|item| (listing.shape)(cloud, request, item)).collect();
    answer(json!({ listing.list: shown, "Marker": marker }))
}

/// What has an ARN.
fn named<'a>(cloud: &'a Cloud, request: &Request, arn: &str) -> Option<Item<'a>> {
    [INSTANCE, CLUSTER, SNAPSHOT, CLUSTER_SNAPSHOT, RETAINED]
        .iter()
        .find_map(|kind| every(cloud, request, kind).into_iter().find(|item| own_arn(item) == arn))
}

/// Only what people made and is finished can be deleted.
fn delete_snapshot(
    cloud: &Cloud,
    request: &Request,
    args: &Args,
    kind: &str,
    shape: &str,
    missing: &str,
) -> Result<Reply, WireError> {
    let id = args.text(&format!("{shape}Identifier")).unwrap_or_default();
    let item = every(cloud, request, kind)
        .into_iter()
        .find(|item| item.id == id)
        .ok_or_else(|| refused(404, missing, format!("{shape} {id} not found.")))?;
    if item.text_or("type", "manual") != "manual" || item.text_or("status", "available") != "available" {
        let code = if kind == SNAPSHOT { "InvalidDBSnapshotState" } else { "InvalidDBClusterSnapshotStateFault" };
        return Err(refused(400, code, format!("Only manual snapshots that are available may be deleted: {id}")));
    }
    let shown =
        if kind == SNAPSHOT { snapshot(cloud, request, &item) } else { cluster_snapshot(cloud, request, &item) };
    cloud.remove(item.stored());
    answer(json!({ shape: shown }))
}

fn own_arn(item: &Item) -> String {
    let prefix = match item.kind {
        CLUSTER => "cluster",
        SNAPSHOT => "snapshot",
        CLUSTER_SNAPSHOT => "cluster-snapshot",
        RETAINED => "auto-backup",
        _ => "db",
    };
    let name = match item.kind {
        RETAINED => format!("ab-{}", hex(item.id, 26)),
        _ => item.id.to_owned(),
    };
    arn("rds", item.region, item.account, &format!("{prefix}:{name}"))
}

fn resource_id(prefix: &str, item: &Item) -> String {
    let whole = format!("{} {} {}", item.account, item.region, item.id);
    format!("{prefix}-{}", hex(&whole, 26).to_uppercase())
}

fn engine<'a>(item: &Item<'a>) -> &'a str {
    let aurora = matches!(item.kind, CLUSTER | CLUSTER_SNAPSHOT);
    item.text("engine").unwrap_or(if aurora { "aurora-mysql" } else { "mysql" })
}

fn source<'a>(item: &Item<'a>) -> &'a str {
    item.text("source").unwrap_or(if item.kind == RETAINED { item.id } else { "source" })
}

fn vpc(item: &Item) -> String {
    item.text("vpc").map_or_else(|| format!("vpc-{}", hex(item.region, 17)), str::to_owned)
}

fn instance(cloud: &Cloud, request: &Request, item: &Item) -> Value {
    let replicas: Vec<&str> =
        referring(cloud, request, INSTANCE, "replica_of", item.id).iter().map(|other| other.id).collect();
    let status = item.text_or("status", "available");
    let ready = status != "creating";
    json!({
        "DBInstanceIdentifier": item.id,
        "DBInstanceClass": item.text_or("class", "db.t3.micro"),
        "Engine": engine(item),
        "EngineVersion": item.text_or("engine_version", "8.0.36"),
        "DBInstanceStatus": status,
        "MasterUsername": "admin",
        "Endpoint": ready.then(|| json!({
            "Address": format!("{}.{}.{}.rds.amazonaws.com", item.id, hex(item.account, 12), item.region),
            "Port": 3306,
            "HostedZoneId": "Z2R2ITUGPM61AM",
        })),
        "AllocatedStorage": item.int_or("storage", 20),
        "Iops": item.int("iops"),
        "InstanceCreateTime": ready.then(|| stamp(item.created)),
        "BackupRetentionPeriod": item.int_or("backup_retention", 7),
        "AvailabilityZone": format!("{}a", item.region),
        "DBSubnetGroup": {
            "DBSubnetGroupName": "default",
            "VpcId": vpc(item),
            "SubnetGroupStatus": "Complete",
        },
        "MultiAZ": item.flag("multi_az"),
        "ReadReplicaSourceDBInstanceIdentifier": item.text("replica_of"),
        "ReadReplicaDBInstanceIdentifiers": replicas,
        "PubliclyAccessible": item.flag("public"),
        "StorageType": item.text_or("storage_type", "gp3"),
        "StorageEncrypted": item.flag("encrypted"),
        "DBClusterIdentifier": item.text("cluster"),
        "DbiResourceId": resource_id("db", item),
        "DBInstanceArn": own_arn(item),
        "DeletionProtection": item.flag("deletion_protection"),
        "AutomaticRestartTime": item.moment("restart").map(stamp),
        "TagList": item.tag_list("Key", "Value"),
    })
}

fn cluster(cloud: &Cloud, request: &Request, item: &Item) -> Value {
    let members: Vec<Value> = referring(cloud, request, INSTANCE, "cluster", item.id)
        .iter()
        .map(|instance| {
            json!({
                "DBInstanceIdentifier": instance.id,
                "IsClusterWriter": instance.flag("writer"),
                "DBClusterParameterGroupStatus": "in-sync",
                "PromotionTier": 1,
            })
        })
        .collect();
    json!({
        "AllocatedStorage": 1,
        "AvailabilityZones": [format!("{}a", item.region)],
        "BackupRetentionPeriod": item.int_or("backup_retention", 7),
        "DBClusterIdentifier": item.id,
        "Status": item.text_or("status", "available"),
        "Endpoint": format!("{}.cluster-{}.{}.rds.amazonaws.com", item.id, hex(item.account, 12), item.region),
        "Engine": engine(item),
        "EngineVersion": item.text_or("engine_version", "8.0.mysql_aurora.3.05.2"),
        "EngineMode": item.text_or("engine_mode", "provisioned"),
        "Capacity": item.int("capacity"),
        "ReplicationSourceIdentifier": item.text("replication_source"),
        "DBClusterMembers": members,
        "StorageEncrypted": item.flag("encrypted"),
        "DbClusterResourceId": resource_id("cluster", item),
        "DBClusterArn": own_arn(item),
        "ClusterCreateTime": stamp(item.created),
        "DeletionProtection": item.flag("deletion_protection"),
        "TagList": item.tag_list("Key", "Value"),
    })
}

fn snapshot(_: &Cloud, _: &Request, item: &Item) -> Value {
    let ready = item.text_or("status", "available") != "creating";
    json!({
        "DBSnapshotIdentifier": item.id,
        "DBInstanceIdentifier": source(item),
        // A snapshot in the making has no time yet.
        "SnapshotCreateTime": ready.then(|| stamp(item.created)),
        "OriginalSnapshotCreateTime": ready.then(|| stamp(item.created)),
        "Engine": engine(item),
        "EngineVersion": "8.0.36",
        "AllocatedStorage": item.int_or("storage", 20),
        "FullSnapshotSizeInBytes": item.int("bytes"),
        "Status": item.text_or("status", "available"),
        "AvailabilityZone": format!("{}a", item.region),
        "VpcId": vpc(item),
        "MasterUsername": "admin",
        "SnapshotType": item.text_or("type", "manual"),
        "PercentProgress": if ready { 100 } else { 0 },
        "SourceDBSnapshotIdentifier": item.text("copied_from"),
        "StorageType": "gp3",
        "Encrypted": item.flag("encrypted"),
        "DBSnapshotArn": own_arn(item),
        "DbiResourceId": format!("db-{}", hex(source(item), 26).to_uppercase()),
        "TagList": item.tag_list("Key", "Value"),
    })
}

fn cluster_snapshot(_: &Cloud, _: &Request, item: &Item) -> Value {
    let ready = item.text_or("status", "available") != "creating";
    json!({
        "AvailabilityZones": [format!("{}a", item.region)],
        "DBClusterSnapshotIdentifier": item.id,
        "DBClusterIdentifier": source(item),
        "SnapshotCreateTime": stamp(item.created),
        "Engine": engine(item),
        "AllocatedStorage": item.int_or("storage", 1),
        "Status": item.text_or("status", "available"),
        "VpcId": vpc(item),
        "ClusterCreateTime": stamp(item.created),
        "SnapshotType": item.text_or("type", "manual"),
        "PercentProgress": if ready { 100 } else { 0 },
        "StorageEncrypted": item.flag("encrypted"),
        "DBClusterSnapshotArn": own_arn(item),
        "SourceDBClusterSnapshotArn": item.text("copied_from"),
        "TagList": item.tag_list("Key", "Value"),
    })
}

fn retained(_: &Cloud, _: &Request, item: &Item) -> Value {
    json!({
        "DBInstanceArn": arn("rds", item.region, item.account, &format!("db:{}", source(item))),
        "DbiResourceId": item.id,
        "Region": item.region,
        "DBInstanceIdentifier": source(item),
        "RestoreWindow": {
            "EarliestTime": stamp(item.created),
            "LatestTime": stamp(item.moment("latest").unwrap_or(item.created)),
        },
        "AllocatedStorage": item.int_or("storage", 20),
        "Status": item.text_or("status", "retained"),
        "InstanceCreateTime": stamp(item.created),
        "MasterUsername": "admin",
        "Engine": engine(item),
        "EngineVersion": "8.0.36",
        "Encrypted": item.flag("encrypted"),
        "StorageType": "gp3",
        "BackupRetentionPeriod": item.int_or("backup_retention", 7),
        "DBInstanceAutomatedBackupsArn": own_arn(item),
        "TagList": item.tag_list("Key", "Value"),
    })
}

/// Who may restore a snapshot.
fn attributes(
    cloud: &Cloud,
    request: &Request,
    args: &Args,
    kind: &'static str,
    what: &str,
    missing: &str,
) -> Result<Reply, WireError> {
    let asked = args.text(&format!("{what}Identifier")).unwrap_or_default();
    let item = every(cloud, request, kind)
        .into_iter()
        .find(|item| item.id.eq_ignore_ascii_case(asked) || own_arn(item) == asked)
        .ok_or_else(|| refused(404, missing, format!("{what} {asked} not found.")))?;
    answer(json!({
        format!("{what}AttributesResult"): {
            format!("{what}Identifier"): item.id,
            format!("{what}Attributes"): [
                { "AttributeName": "restore", "AttributeValues": item.texts("shared") },
            ],
        },
    }))
}
