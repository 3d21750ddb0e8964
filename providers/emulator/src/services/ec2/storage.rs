//! EC2's volumes, snapshots and images.
//!
//! | Kind | Key | Default | Meaning |
//! |---|---|---|---|
//! | `aws.ec2-volume` | `state` | in-use if attached, else available | |
//! | | `size` | 8 | GiB |
//! | | `type` | gp3 | |
//! | | `iops`, `throughput` | as the type has them | |
//! | | `snapshot` | "" | the snapshot it was made from |
//! | | `attached` | those instances whose `volumes` name it | instance ids |
//! | | `attached_at` | `created` | |
//! | | `az` | the region's first | |
//! | | `encrypted`, `multi_attach`, `delete_on_termination` | false | |
//! | | `kms_key` | none | the key that it is encrypted with |
//! | | `polls` | 1 | how often a change of it, or a snapshot that is taken of it, is seen on its way |
//! | | `copy_fails` | false | whether snapshots that are taken of it end in an error |
//! | `aws.ec2-snapshot` | `volume` | vol-ffffffff | |
//! | | `size` | 8 | GiB of the volume |
//! | | `full_size` | none | bytes |
//! | | `tier` | standard | or archive |
//! | | `state` | completed | |
//! | | `description` | "" | |
//! | | `owner`, `owner_alias` | the account, none | another owner makes it foreign |
//! | | `shared` | nobody | account ids or "all" |
//! | | `locked` | not | the lock's state: compliance, governance, compliance-cooloff, expired; true is governance |
//! | | `locked_until` | in 30 days | |
//! | | `restore_expiry` | none | end of a temporary restore |
//! | | `encrypted` | false | |
//! | | `recycled`, `recycled_until` | not, a week later | when it went to the recycle bin |
//! | | `bin_days` | none | a retention rule: deleted, it lies in the recycle bin so long |
//! | `aws.ec2-image` | `name` | the id | |
//! | | `state` | available | disabled images show only with IncludeDisabled |
//! | | `snapshots` | none | of its devices |
//! | | `size` | 8 | GiB of each device |
//! | | `owner`, `owner_alias` | the account, none | |
//! | | `shared` | nobody | account ids, ARNs of the organisation, or "all" for public |
//! | | `last_launched` | never | |
//! | | `deprecated` | never | the deprecation time; past it only the owner sees the image |
//! | | `platform` | Linux/UNIX | the platform details |
//! | | `description`, `architecture` | "", `x86_64` | |
//! | | `source_instance`, `source_image` | none | |
//! | | `protected` | false | deregistration protection |
//! | | `recycled`, `recycled_until`, `bin_days` | not, a week later, none | |

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Listing, Output, changes, device, not_found, one, optional, owner, permissions, tag_set, zone};
use crate::cloud::{Cloud, Item};
use crate::http::{WireError, iso, time};
use crate::request::Request;
use crate::services::Kind;

pub(super) const VOLUME: Kind = Kind {
    kind: "aws.ec2-volume",
    keys: &[
        "state:text",
        "size:int",
        "type:text",
        "iops:int",
        "throughput:int",
        "snapshot:text",
        "attached:list",
        "attached_at:time",
        "az:text",
        "encrypted:bool",
        "multi_attach:bool",
        "delete_on_termination:bool",
        "kms_key:text",
        "polls:int",
        "copy_fails:bool",
    ],
};

pub(super) const SNAPSHOT: Kind = Kind {
    kind: "aws.ec2-snapshot",
    keys: &[
        "volume:text",
        "size:int",
        "full_size:int",
        "tier:text",
        "state:text",
        "description:text",
        "owner:text",
        "owner_alias:text",
        "shared:list",
        "locked",
        "locked_until:time",
        "restore_expiry:time",
        "encrypted:bool",
        "recycled:time",
        "recycled_until:time",
        "bin_days:int",
    ],
};

pub(super) const IMAGE: Kind = Kind {
    kind: "aws.ec2-image",
    keys: &[
        "name:text",
        "state:text",
        "snapshots:list",
        "size:int",
        "owner:text",
        "owner_alias:text",
        "shared:list",
        "last_launched:time",
        "deprecated:time",
        "platform:text",
        "description:text",
        "architecture:text",
        "source_instance:text",
        "source_image:text",
        "protected:bool",
        "recycled:time",
        "recycled_until:time",
        "bin_days:int",
    ],
};

/// The instances a volume is attached to, as it and as the instances say.
pub(super) fn attached(cloud: &Cloud, item: &Item) -> Vec<String> {
    let mut instances = item.list("attached");
    for instance in cloud.referring("aws.ec2-instance", "volumes", &item.id) {
        let same = instance.account == item.account && instance.region == item.region;
        if same && !instances.contains(&instance.id) {
            instances.push(instance.id.clone());
        }
    }
    instances
}

pub(super) fn volume_state(cloud: &Cloud, item: &Item) -> String {
    let default = if attached(cloud, item).is_empty() { "available" } else { "in-use" };
    item.text_or("state", default)
}

pub(super) fn volumes(cloud: &Cloud, request: &Request) -> Output {
    changes::settle(cloud, request, "aws.ec2-volume");
    Listing {
        ids: "VolumeId",
        missing: "InvalidVolume.NotFound",
        output: "volumeSet",
        max: 5..=1000,
        clamp: true,
        exclusive: true,
        lookup: |cloud, item, name| match name {
            "volume-id" => one(&item.id),
            "status" => one(volume_state(cloud, item)),
            "volume-type" => one(item.text_or("type", "gp3")),
            "size" => one(item.int("size").unwrap_or(8).to_string()),
            "snapshot-id" => one(item.text_or("snapshot", "")),
            "availability-zone" => one(zone(item)),
            "encrypted" => one(item.flag("encrypted").unwrap_or(false).to_string()),
            "attachment.instance-id" => Some(attached(cloud, item)),
            _ => None,
        },
        show: volume,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-volume"))
}

pub(super) fn volume(cloud: &Cloud, item: &Item) -> Value {
    let size = item.int("size").unwrap_or(8);
    let kind = item.text_or("type", "gp3");
    let iops = item.int("iops").or(match kind.as_str() {
        "gp3" => Some(3000),
        "gp2" => Some(size.saturating_mul(3).clamp(100, 16_000)),
        "io1" | "io2" => Some(100),
        _ => None,
    });
    let throughput = item.int("throughput").or_else(|| (kind == "gp3").then_some(125));
    let since = item.time("attached_at", cloud.now).unwrap_or(item.created);
    let attachments: Vec<Value> = attached(cloud, item)
        .into_iter()
        .map(|instance| {
            json!({
                "volumeId": item.id,
                "instanceId": instance,
                "device": "/dev/xvda",
                "status": "attached",
                "attachTime": time(since),
                "deleteOnTermination": item.flag("delete_on_termination").unwrap_or(false),
            })
        })
        .collect();
    json!({
        "volumeId": item.id,
        "size": size,
        "snapshotId": item.text_or("snapshot", ""),
        "availabilityZone": zone(item),
        "status": volume_state(cloud, item),
        "createTime": item.created(),
        "attachmentSet": attachments,
        "tagSet": tag_set(item),
        "volumeType": kind,
        "iops": iops,
        "throughput": throughput,
        "encrypted": item.flag("encrypted").unwrap_or(false),
        "kmsKeyId": item.text("kms_key"),
        "multiAttachEnabled": item.flag("multi_attach").unwrap_or(false),
    })
}

/// The snapshots or images that an account can see in a region: its own, those that its entry in
/// the file plants with another owner, and those that other accounts share with it or with all.
fn visible<'a>(cloud: &'a Cloud, request: &Request, kind: &str) -> Vec<&'a Item> {
    let mut items = cloud.list(request, kind);
    for account in &cloud.org().accounts {
        if account.id == request.account {
            continue;
        }
        for item in cloud.list_in(&account.id, &request.region, kind) {
            let shared = item.list("shared");
            if shared.iter().any(|with| with == "all" || *with == request.account) {
                items.push(item);
            }
        }
    }
    items.retain(|item| item.text("recycled").is_none());
    items
}

/// Keeps what the owners parameter allows.
fn owned(request: &Request, items: &mut Vec<&Item>) {
    let owners = request.list("Owner");
    if owners.is_empty() {
        return;
    }
    items.retain(|item| {
        let owner = owner(item);
        owners.iter().any(|wanted| match wanted.as_str() {
            "self" => owner == request.account,
            alias => owner == alias || item.text("owner_alias") == Some(alias),
        })
    });
}

pub(super) fn snapshots(cloud: &Cloud, request: &Request) -> Output {
    changes::settle(cloud, request, "aws.ec2-snapshot");
    let mut items = visible(cloud, request, "aws.ec2-snapshot");
    owned(request, &mut items);
    let restorable = request.list("RestorableBy");
    if !restorable.is_empty() {
        items.retain(|item| {
            let shared = item.list("shared");
            restorable.iter().any(|by| match by.as_str() {
                "all" => shared.iter().any(|with| with == "all"),
                "self" => owner(item) == request.account || shared.contains(&request.account),
                account => owner(item) == account || shared.iter().any(|with| with == account),
            })
        });
    }
    Listing {
        ids: "SnapshotId",
        missing: "InvalidSnapshot.NotFound",
        output: "snapshotSet",
        max: 5..=1000,
        clamp: true,
        exclusive: true,
        lookup: |_, item, name| match name {
            "snapshot-id" => one(&item.id),
            "volume-id" => one(item.text_or("volume", "vol-ffffffff")),
            "volume-size" => one(item.int("size").unwrap_or(8).to_string()),
            "status" => one(item.text_or("state", "completed")),
            "storage-tier" => one(item.text_or("tier", "standard")),
            "owner-id" => one(owner(item)),
            "owner-alias" => optional(item.text("owner_alias")),
            "description" => one(item.text_or("description", "")),
            "encrypted" => one(item.flag("encrypted").unwrap_or(false).to_string()),
            _ => None,
        },
        show: snapshot,
    }
    .answer(cloud, request, items)
}

pub(super) fn snapshot(cloud: &Cloud, item: &Item) -> Value {
    let state = item.text_or("state", "completed");
    let done = state == "completed";
    json!({
        "snapshotId": item.id,
        "volumeId": item.text_or("volume", "vol-ffffffff"),
        "status": state,
        "startTime": item.created(),
        "completionTime": done.then(|| item.created()),
        "progress": if done { "100%" } else { "50%" },
        "ownerId": owner(item),
        "ownerAlias": item.text("owner_alias"),
        "volumeSize": item.int("size").unwrap_or(8),
        "fullSnapshotSizeInBytes": item.int("full_size"),
        "description": item.text_or("description", ""),
        "tagSet": tag_set(item),
        "encrypted": item.flag("encrypted").unwrap_or(false),
        "storageTier": item.text_or("tier", "standard"),
        "restoreExpiryTime": item.time("restore_expiry", cloud.now).map(time),
    })
}

fn invalid_attribute(attribute: &str) -> WireError {
    WireError::new(400, "InvalidParameterValue", format!("Value ({attribute}) for parameter attribute is invalid."))
}

pub(super) fn snapshot_attribute(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("SnapshotId").unwrap_or_default();
    let item = cloud
        .find(request, "aws.ec2-snapshot", id)
        .filter(|item| owner(item) == request.account && item.text("recycled").is_none())
        .ok_or_else(|| not_found("InvalidSnapshot.NotFound", id))?;
    match request.text("Attribute").unwrap_or_default() {
        "createVolumePermission" => Ok(json!({
            "snapshotId": id,
            "createVolumePermission": permissions(item),
        })),
        "productCodes" => Ok(json!({ "snapshotId": id, "productCodes": [] })),
        other => Err(invalid_attribute(other)),
    }
}

pub(super) fn lock_state(item: &Item) -> Option<String> {
    match item.flag("locked") {
        Some(true) => Some("governance".to_owned()),
        Some(false) => None,
        None => item.text("locked").map(str::to_owned),
    }
}

pub(super) fn locked_snapshots(cloud: &Cloud, request: &Request) -> Output {
    let mut items = cloud.list(request, "aws.ec2-snapshot");
    items.retain(|item| lock_state(item).is_some());
    Listing {
        ids: "SnapshotId",
        missing: "InvalidSnapshot.NotFound",
        output: "snapshotSet",
        max: 5..=1000,
        clamp: false,
        exclusive: false,
        lookup: |_, item, name| match name {
            "lock-state" => optional(lock_state(item).as_deref()),
            _ => None,
        },
        show: |cloud, item| {
            let day = SignedDuration::from_hours(24);
            let until = item
                .time("locked_until", cloud.now)
                .or_else(|| cloud.now.checked_add(day * 30).ok())
                .unwrap_or(cloud.now);
            let days = until.duration_since(item.created).as_hours() / 24;
            json!({
                "ownerId": owner(item),
                "snapshotId": item.id,
                "lockState": lock_state(item),
                "lockDuration": days.max(1),
                "lockCreatedOn": item.created(),
                "lockDurationStartTime": item.created(),
                "lockExpiresOn": time(until),
            })
        },
    }
    .answer(cloud, request, items)
}

/// The times of a stay in the recycle bin.
fn stay(cloud: &Cloud, item: &Item) -> (Value, Value) {
    let entered = item.time("recycled", cloud.now).unwrap_or(cloud.now);
    let exit = item
        .time("recycled_until", cloud.now)
        .or_else(|| entered.checked_add(SignedDuration::from_hours(168)).ok())
        .unwrap_or(entered);
    (time(entered), time(exit))
}

pub(super) fn recycled_snapshots(cloud: &Cloud, request: &Request) -> Output {
    let mut items = cloud.list(request, "aws.ec2-snapshot");
    items.retain(|item| item.text("recycled").is_some());
    Listing {
        ids: "SnapshotId",
        missing: "InvalidSnapshot.NotFound",
        output: "snapshotSet",
        max: 5..=1000,
        clamp: false,
        exclusive: true,
        lookup: |_, _, _| None,
        show: |cloud, item| {
            let (entered, exit) = stay(cloud, item);
            json!({
                "snapshotId": item.id,
                "recycleBinEnterTime": entered,
                "recycleBinExitTime": exit,
                "description": item.text_or("description", ""),
                "volumeId": item.text_or("volume", "vol-ffffffff"),
            })
        },
    }
    .answer(cloud, request, items)
}

fn is_public(item: &Item) -> bool {
    item.list("shared").iter().any(|with| with == "all")
}

pub(super) fn images(cloud: &Cloud, request: &Request) -> Output {
    let mut items = visible(cloud, request, "aws.ec2-image");
    owned(request, &mut items);
    let executable = request.list("ExecutableBy");
    if !executable.is_empty() {
        items.retain(|item| {
            executable.iter().any(|by| match by.as_str() {
                "all" => is_public(item),
                "self" => item.list("shared").contains(&request.account),
                account => item.list("shared").iter().any(|with| with == account),
            })
        });
    }
    let (disabled, deprecated) = (request.flag("IncludeDisabled"), request.flag("IncludeDeprecated"));
    items.retain(|item| {
        let past = item.time("deprecated", cloud.now).is_some_and(|time| time <= cloud.now);
        (disabled || item.text("state") != Some("disabled")) && (deprecated || !past || owner(item) == request.account)
    });
    Listing {
        ids: "ImageId",
        missing: "InvalidAMIID.NotFound",
        output: "imagesSet",
        max: 1..=1000,
        clamp: true,
        exclusive: false,
        lookup: |_, item, name| match name {
            "image-id" => one(&item.id),
            "name" => one(item.text_or("name", &item.id)),
            "state" => one(item.text_or("state", "available")),
            "owner-id" => one(owner(item)),
            "owner-alias" => optional(item.text("owner_alias")),
            "is-public" => one(is_public(item).to_string()),
            "architecture" => one(item.text_or("architecture", "x86_64")),
            "block-device-mapping.snapshot-id" => Some(item.list("snapshots")),
            _ => None,
        },
        show: image,
    }
    .answer(cloud, request, items)
}

fn devices(item: &Item) -> Vec<Value> {
    item.list("snapshots")
        .into_iter()
        .enumerate()
        .map(|(at, snapshot)| {
            json!({
                "deviceName": device(at),
                "ebs": {
                    "snapshotId": snapshot,
                    "volumeSize": item.int("size").unwrap_or(8),
                    "volumeType": "gp3",
                    "deleteOnTermination": true,
                    "encrypted": false,
                },
            })
        })
        .collect()
}

fn image(cloud: &Cloud, item: &Item) -> Value {
    let platform = item.text_or("platform", "Linux/UNIX");
    let windows = platform.to_lowercase().starts_with("windows");
    let name = item.text_or("name", &item.id);
    json!({
        "imageId": item.id,
        "imageLocation": format!("{}/{name}", owner(item)),
        "imageState": item.text_or("state", "available"),
        "imageOwnerId": owner(item),
        "imageOwnerAlias": item.text("owner_alias"),
        "isPublic": is_public(item),
        "architecture": item.text_or("architecture", "x86_64"),
        "imageType": "machine",
        "name": name,
        "description": item.text("description"),
        "creationDate": iso(item.created),
        "deprecationTime": item.time("deprecated", cloud.now).map(iso),
        "lastLaunchedTime": item.time("last_launched", cloud.now).map(iso),
        "platform": windows.then_some("windows"),
        "platformDetails": platform,
        "usageOperation": if windows { "RunInstances:0002" } else { "RunInstances" },
        "rootDeviceType": "ebs",
        "rootDeviceName": device(0),
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "enaSupport": true,
        "sourceInstanceId": item.text("source_instance"),
        "sourceImageId": item.text("source_image"),
        "deregistrationProtection": if item.flag("protected") == Some(true) { "enabled" } else { "disabled" },
        "blockDeviceMapping": devices(item),
        "tagSet": tag_set(item),
    })
}

pub(super) fn image_attribute(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("ImageId").unwrap_or_default();
    let item = cloud
        .find(request, "aws.ec2-image", id)
        .filter(|item| owner(item) == request.account && item.text("recycled").is_none())
        .ok_or_else(|| not_found("InvalidAMIID.NotFound", id))?;
    let (name, value) = match request.text("Attribute").unwrap_or_default() {
        "launchPermission" => ("launchPermission", Value::Array(permissions(item))),
        "lastLaunchedTime" => (
            "lastLaunchedTime",
            match item.time("last_launched", cloud.now) {
                Some(at) => json!({ "value": iso(at) }),
                None => json!({}),
            },
        ),
        "description" => ("description", json!({ "value": item.text_or("description", "") })),
        "blockDeviceMapping" => ("blockDeviceMapping", Value::Array(devices(item))),
        "deregistrationProtection" => (
            "deregistrationProtection",
            json!({ "value": if item.flag("protected") == Some(true) { "enabled" } else { "disabled" } }),
        ),
        other => return Err(invalid_attribute(other)),
    };
    Ok(json!({ "imageId": id, name: value }))
}

pub(super) fn recycled_images(cloud: &Cloud, request: &Request) -> Output {
    let mut items = cloud.list(request, "aws.ec2-image");
    items.retain(|item| item.text("recycled").is_some());
    Listing {
        ids: "ImageId",
        missing: "InvalidAMIID.NotFound",
        output: "imageSet",
        max: 1..=1000,
        clamp: false,
        exclusive: true,
        lookup: |_, _, _| None,
        show: |cloud, item| {
            let (entered, exit) = stay(cloud, item);
            json!({
                "imageId": item.id,
                "name": item.text_or("name", &item.id),
                "description": item.text_or("description", ""),
                "recycleBinEnterTime": entered,
                "recycleBinExitTime": exit,
            })
        },
    }
    .answer(cloud, request, items)
}
