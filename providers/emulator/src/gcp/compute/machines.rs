//! Instances, disks and what they are made from.

use serde_json::{Value, json};

use super::{SITE, found, link, link_key, link_list, naming, resource, scope_of, self_link};
use crate::cloud::{Cloud, Item};
use crate::gcp::shape::{Place, fingerprint, int64, labels, number, pacific, region_of, uid};
use crate::gcp::{address, project_number};

fn time(cloud: &Cloud, item: &Item, key: &str) -> Value {
    item.time(key, cloud.now).map_or(Value::Null, |at| Value::from(pacific(at)))
}

/// The link and the numeric id of what a resource was made from: the id of its key, of the resource if it is
/// there, or made from the link, since a source that is gone keeps its id.
fn source(cloud: &Cloud, item: &Item, key: &str, id_key: &str, kind: &str, collection: &str) -> (Value, Value) {
    let Some(text) = item.text(key) else { return (Value::Null, Value::Null) };
    let link = link(cloud, item, kind, collection, text);
    let name = text.rsplit('/').next().unwrap_or(text);
    let id = item.text(id_key).map(str::to_owned);
    let there = || found(cloud, item, kind, name).filter(|found| self_link(found, collection) == link).map(uid);
    let id = id.or_else(there).unwrap_or_else(|| number(&["gone", &link]));
    (Value::from(link), Value::from(id))
}

fn disk_type(item: &Item, name: &str) -> String {
    format!("{SITE}projects/{}/{}/diskTypes/{name}", item.account, scope_of(item))
}

fn label_fingerprint(item: &Item) -> Value {
    Value::from(fingerprint(item))
}

pub(super) fn disk(cloud: &Cloud, item: &Item) -> Value {
    let mut users = link_list(cloud, item, "users", "gcp.compute-instance", "instances");
    let by = naming(cloud, item, "gcp.compute-instance", "disks", "disks");
    users.extend(by.iter().map(|instance| self_link(instance, "instances")));
    let attached = match time(cloud, item, "attached") {
        Value::Null if !users.is_empty() => Value::from(pacific(item.created)),
        given => given,
    };
    let (image, image_id) = source(cloud, item, "image", "image_id", "gcp.compute-image", "images");
    let (snapshot, snapshot_id) = source(cloud, item, "snapshot", "snapshot_id", "gcp.compute-snapshot", "snapshots");
    let (disk, disk_id) = source(cloud, item, "source_disk", "source_disk_id", "gcp.compute-disk", "disks");
    let replicas: Vec<String> = match Place::of(&item.region) {
        Place::Region(region) => {
            let mut zones = item.list("replica_zones");
            if zones.is_empty() {
                zones = vec![format!("{region}-a"), format!("{region}-b")];
            }
            zones.iter().map(|zone| format!("{SITE}projects/{}/zones/{zone}", item.account)).collect()
        }
        _ => Vec::new(),
    };
    let secondaries: serde_json::Map<String, Value> =
        link_list(cloud, item, "async_secondaries", "gcp.compute-disk", "disks")
            .into_iter()
            .map(|disk| (disk.clone(), json!({ "asyncReplicationDisk": { "disk": disk } })))
            .collect();
    resource(
        item,
        "disk",
        &item.id,
        "disks",
        json!({
            "sizeGb": item.int("size").unwrap_or(10).to_string(),
            "status": item.text_or("status", "READY"),
            "type": disk_type(item, item.text("type").unwrap_or("pd-balanced")),
            "users": users,
            "lastAttachTimestamp": attached,
            "lastDetachTimestamp": time(cloud, item, "detached"),
            "sourceImage": image, "sourceImageId": image_id,
            "sourceSnapshot": snapshot, "sourceSnapshotId": snapshot_id,
            "sourceDisk": disk, "sourceDiskId": disk_id,
            "replicaZones": replicas,
            "resourcePolicies": link_list(cloud, item, "resource_policies", "", "resourcePolicies"),
            "provisionedIops": int64(item, "iops"),
            "provisionedThroughput": int64(item, "throughput"),
            "accessMode": item.text("access_mode"),
            "asyncPrimaryDisk": item.text("async_primary").map(|disk| json!({ "disk": link(cloud, item, "gcp.compute-disk", "disks", disk) })),
            "asyncSecondaryDisks": secondaries,
            "storagePool": link_key(cloud, item, "storage_pool", "", "storagePools"),
            "licenses": item.list("licenses"),
            "physicalBlockSizeBytes": "4096",
            "labels": labels(item),
            "labelFingerprint": label_fingerprint(item),
        }),
    )
}

fn attached(cloud: &Cloud, item: &Item) -> Vec<Value> {
    let mut disks = Vec::new();
    for (index, text) in item.list("disks").iter().enumerate() {
        let link = link(cloud, item, "gcp.compute-disk", "disks", text);
        let name = text.rsplit('/').next().unwrap_or(text);
        let size = found(cloud, item, "gcp.compute-disk", name).and_then(|disk| disk.int("size")).unwrap_or(10);
        disks.push(json!({
            "kind": "compute#attachedDisk",
            "index": index,
            "type": "PERSISTENT",
            "mode": "READ_WRITE",
            "boot": index == 0,
            "autoDelete": item.flag("auto_delete").unwrap_or(index == 0),
            "deviceName": name,
            "interface": "SCSI",
            "diskSizeGb": size.to_string(),
            "source": link,
        }));
    }
    for number in 0..item.int("scratch").unwrap_or(0).clamp(0, 24) {
        disks.push(json!({
            "kind": "compute#attachedDisk",
            "index": disks.len(),
            "type": "SCRATCH",
            "mode": "READ_WRITE",
            "boot": false,
            "autoDelete": true,
            "deviceName": format!("local-ssd-{number}"),
            "interface": "NVME",
            "diskSizeGb": "375",
        }));
    }
    disks
}

fn metadata(cloud: &Cloud, item: &Item) -> Value {
    let mut items: Vec<Value> = Vec::new();
    if let Some(Value::Object(given)) = item.keys.get("metadata") {
        items.extend(given.iter().map(|(key, value)| {
            json!({ "key": key, "value": value.as_str().map_or_else(|| value.to_string(), str::to_owned) })
        }));
    }
    if let Some(manager) = item.text("managed_by") {
        let path = if manager.contains('/') {
            manager.to_owned()
        } else {
            let place = found(cloud, item, "gcp.compute-instance-group-manager", manager)
                .map_or_else(|| scope_of(item), scope_of);
            format!("{place}/instanceGroupManagers/{manager}")
        };
        let path = if path.starts_with("projects/") {
            path
        } else {
            format!("projects/{}/{path}", project_number(cloud, &item.account))
        };
        items.push(json!({ "key": "created-by", "value": path }));
    }
    json!({ "kind": "compute#metadata", "fingerprint": "aWYpDvVgnbk=", "items": items })
}

fn interface(cloud: &Cloud, item: &Item) -> Value {
    let access: Vec<Value> = item
        .list("addresses")
        .iter()
        .map(|text| {
            // The name of an address of the file, or the address itself.
            let own = found(cloud, item, "gcp.compute-address", text);
            json!({
                "kind": "compute#accessConfig",
                "type": "ONE_TO_ONE_NAT",
                "name": "External NAT",
                "natIP": own.map_or_else(|| text.clone(), address),
                "networkTier": "PREMIUM",
            })
        })
        .collect();
    let region = region_of(&item.region);
    json!({
        "kind": "compute#networkInterface",
        "name": "nic0",
        "network": link(cloud, item, "", "networks", item.text("network").unwrap_or("default")),
        "subnetwork": link(cloud, item, "", "subnetworks", item.text("subnetwork").unwrap_or("default")),
        "networkIP": item.text("internal_address").map_or_else(|| {
            let hash = crate::gcp::shape::hash(&[&item.account, region, &item.id]);
            format!("10.128.{}.{}", hash >> 8 & 0xff, hash & 0xff)
        }, str::to_owned),
        "stackType": "IPV4_ONLY",
        "accessConfigs": access,
    })
}

fn scheduling(item: &Item) -> Value {
    let spot = item.flag("spot") == Some(true);
    json!({
        "automaticRestart": !spot,
        "onHostMaintenance": if spot || item.int("gpus").is_some() { "TERMINATE" } else { "MIGRATE" },
        "preemptible": spot,
        "provisioningModel": if spot { "SPOT" } else { "STANDARD" },
    })
}

pub(super) fn instance(cloud: &Cloud, item: &Item) -> Value {
    let status = item.text_or("status", "RUNNING");
    let here = format!("{SITE}projects/{}/{}", item.account, scope_of(item));
    let started = match time(cloud, item, "started") {
        Value::Null => Value::from(pacific(item.created)),
        given => given,
    };
    let gpus = item.int("gpus").map(|count| {
        json!([{
            "acceleratorCount": count,
            "acceleratorType": format!("{here}/acceleratorTypes/{}", item.text("gpu_type").unwrap_or("nvidia-tesla-t4")),
        }])
    });
    let account = item.text("service_account").map_or_else(
        || format!("{}-compute@developer.gserviceaccount.com", project_number(cloud, &item.account)),
        str::to_owned,
    );
    resource(
        item,
        "instance",
        &item.id,
        "instances",
        json!({
            "machineType": format!("{here}/machineTypes/{}", item.text("machine_type").unwrap_or("e2-medium")),
            "cpuPlatform": if status == "RUNNING" { "Intel Broadwell" } else { "Unknown CPU Platform" },
            "status": status,
            "lastStartTimestamp": started,
            "lastStopTimestamp": time(cloud, item, "stopped"),
            "lastSuspendedTimestamp": time(cloud, item, "suspended"),
            "disks": attached(cloud, item),
            "networkInterfaces": [interface(cloud, item)],
            "tags": { "fingerprint": "42WmSpB8rSM=", "items": item.list("network_tags") },
            "metadata": metadata(cloud, item),
            "serviceAccounts": [{ "email": account, "scopes": ["https://www.googleapis.com/auth/cloud-platform"] }],
            "scheduling": scheduling(item),
            "guestAccelerators": gpus,
            "deletionProtection": item.flag("deletion_protection").unwrap_or(false),
            "canIpForward": false,
            "startRestricted": false,
            "resourcePolicies": link_list(cloud, item, "resource_policies", "", "resourcePolicies"),
            "sourceMachineImage": link_key(cloud, item, "source_machine_image", "gcp.compute-machine-image", "machineImages"),
            "shieldedInstanceConfig": { "enableSecureBoot": false, "enableVtpm": true, "enableIntegrityMonitoring": true },
            "labels": labels(item),
            "labelFingerprint": label_fingerprint(item),
        }),
    )
}

pub(super) fn snapshot(cloud: &Cloud, item: &Item) -> Value {
    let (disk, disk_id) = source(cloud, item, "source_disk", "source_disk_id", "gcp.compute-disk", "disks");
    let size = item.int("size").unwrap_or(10);
    let locations = item.list("locations");
    resource(
        item,
        "snapshot",
        &item.id,
        "snapshots",
        json!({
            "status": item.text_or("status", "READY"),
            "diskSizeGb": size.to_string(),
            "storageBytes": item.int("bytes").unwrap_or(size.saturating_mul(1 << 28)).to_string(),
            "storageBytesStatus": item.text_or("bytes_status", "UP_TO_DATE"),
            "sourceDisk": disk, "sourceDiskId": disk_id,
            "autoCreated": item.flag("auto_created").filter(|auto| *auto),
            "sourceSnapshotSchedulePolicy": link_key(cloud, item, "policy", "", "resourcePolicies"),
            "chainName": item.text("chain"),
            "snapshotType": item.text_or("type", "STANDARD"),
            "storageLocations": if locations.is_empty() { vec!["us".to_owned()] } else { locations },
            "licenses": item.list("licenses"),
            "labels": labels(item),
            "labelFingerprint": label_fingerprint(item),
        }),
    )
}

pub(super) fn image(cloud: &Cloud, item: &Item) -> Value {
    let (disk, disk_id) = source(cloud, item, "source_disk", "source_disk_id", "gcp.compute-disk", "disks");
    let (image, image_id) = source(cloud, item, "source_image", "source_image_id", "gcp.compute-image", "images");
    let (snapshot, snapshot_id) =
        source(cloud, item, "source_snapshot", "source_snapshot_id", "gcp.compute-snapshot", "snapshots");
    let size = item.int("size").unwrap_or(10);
    let locations = item.list("locations");
    let deprecated = item.text("deprecated").map(|state| {
        json!({ "state": state, "replacement": link_key(cloud, item, "replacement", "gcp.compute-image", "images") })
    });
    resource(
        item,
        "image",
        &item.id,
        "images",
        json!({
            "status": item.text_or("status", "READY"),
            "sourceType": "RAW",
            "diskSizeGb": size.to_string(),
            "archiveSizeBytes": item.int("bytes").unwrap_or(size.saturating_mul(1 << 28)).to_string(),
            "family": item.text("family"),
            "deprecated": deprecated,
            "sourceDisk": disk, "sourceDiskId": disk_id,
            "sourceImage": image, "sourceImageId": image_id,
            "sourceSnapshot": snapshot, "sourceSnapshotId": snapshot_id,
            "storageLocations": if locations.is_empty() { vec!["us".to_owned()] } else { locations },
            "licenses": item.list("licenses"),
            "labels": labels(item),
            "labelFingerprint": label_fingerprint(item),
        }),
    )
}

pub(super) fn machine_image(cloud: &Cloud, item: &Item) -> Value {
    let of = item.text("instance").and_then(|name| found(cloud, item, "gcp.compute-instance", name));
    let mut disks = link_list(cloud, item, "disks", "gcp.compute-disk", "disks");
    if let (true, Some(instance)) = (disks.is_empty(), of) {
        disks = link_list(cloud, instance, "disks", "gcp.compute-disk", "disks");
    }
    let bytes = item.int("bytes").unwrap_or(1 << 30);
    let share = bytes / i64::try_from(disks.len()).unwrap_or(1).max(1);
    let saved: Vec<Value> = disks
        .iter()
        .map(|disk| json!({ "kind": "compute#savedDisk", "sourceDisk": disk, "storageBytes": share.to_string(), "storageBytesStatus": "UP_TO_DATE" }))
        .collect();
    let attached: Vec<Value> = disks
        .iter()
        .enumerate()
        .map(|(index, disk)| json!({ "kind": "compute#attachedDisk", "index": index, "type": "PERSISTENT", "boot": index == 0, "source": disk, "mode": "READ_WRITE" }))
        .collect();
    let machine = item.text("machine_type").or_else(|| of.and_then(|of| of.text("machine_type")));
    let locations = item.list("locations");
    resource(
        item,
        "machineImage",
        &item.id,
        "machineImages",
        json!({
            "status": item.text_or("status", "READY"),
            "sourceInstance": link_key(cloud, item, "instance", "gcp.compute-instance", "instances"),
            "totalStorageBytes": bytes.to_string(),
            "savedDisks": saved,
            "instanceProperties": { "machineType": machine.unwrap_or("e2-medium"), "disks": attached },
            "storageLocations": if locations.is_empty() { vec!["us".to_owned()] } else { locations },
            "labels": labels(item),
            "labelFingerprint": label_fingerprint(item),
        }),
    )
}

pub(super) fn template(cloud: &Cloud, item: &Item) -> Value {
    let mut disks = Vec::new();
    let made = |params: Value| {
        json!({
            "kind": "compute#attachedDisk",
            "type": "PERSISTENT",
            "mode": "READ_WRITE",
            "autoDelete": true,
            "initializeParams": params,
        })
    };
    for image in link_list(cloud, item, "images", "gcp.compute-image", "images") {
        disks.push(made(json!({ "sourceImage": image, "diskSizeGb": "10", "diskType": "pd-balanced" })));
    }
    for snapshot in link_list(cloud, item, "snapshots", "gcp.compute-snapshot", "snapshots") {
        disks.push(made(json!({ "sourceSnapshot": snapshot, "diskSizeGb": "10", "diskType": "pd-balanced" })));
    }
    for disk in item.list("disks") {
        disks.push(json!({
            "kind": "compute#attachedDisk",
            "type": "PERSISTENT",
            "mode": "READ_ONLY",
            "autoDelete": false,
            "source": disk,
        }));
    }
    for (index, disk) in disks.iter_mut().enumerate() {
        disk["index"] = Value::from(index);
        disk["boot"] = Value::from(index == 0);
    }
    let network = link(cloud, item, "", "networks", item.text("network").unwrap_or("default"));
    resource(
        item,
        "instanceTemplate",
        &item.id,
        "instanceTemplates",
        json!({
            "sourceInstance": link_key(cloud, item, "instance", "gcp.compute-instance", "instances"),
            "properties": {
                "machineType": item.text("machine_type").unwrap_or("e2-medium"),
                "disks": disks,
                "networkInterfaces": [{ "kind": "compute#networkInterface", "name": "nic0", "network": network }],
                "tags": { "items": item.list("network_tags") },
                "metadata": metadata(cloud, item),
                "scheduling": scheduling(item),
                "labels": labels(item),
                "canIpForward": false,
            },
        }),
    )
}

pub(super) fn group_manager(cloud: &Cloud, item: &Item) -> Value {
    let template = link_key(cloud, item, "template", "gcp.compute-instance-template", "instanceTemplates");
    let mut versions = link_list(cloud, item, "templates", "gcp.compute-instance-template", "instanceTemplates");
    if let (true, Some(template)) = (versions.is_empty(), template.as_str()) {
        versions.push(template.to_owned());
    }
    let versions: Vec<Value> = versions
        .into_iter()
        .enumerate()
        .map(|(at, template)| json!({ "name": format!("v{at}"), "instanceTemplate": template }))
        .collect();
    let here = scope_of(item);
    let zones: Vec<Value> = match Place::of(&item.region) {
        Place::Region(region) => {
            let mut zones = item.list("zones");
            if zones.is_empty() {
                zones = vec![format!("{region}-a"), format!("{region}-b")];
            }
            zones
                .iter()
                .map(|zone| json!({ "zone": format!("{SITE}projects/{}/zones/{zone}", item.account) }))
                .collect()
        }
        _ => Vec::new(),
    };
    let size = item.int("size").unwrap_or(1);
    resource(
        item,
        "instanceGroupManager",
        &item.id,
        "instanceGroupManagers",
        json!({
            "baseInstanceName": item.text("base_name").unwrap_or(&item.id),
            "instanceGroup": format!("{SITE}projects/{}/{here}/instanceGroups/{}", item.account, item.id),
            "instanceTemplate": template,
            "versions": versions,
            "targetSize": size,
            "targetStoppedSize": item.int("stopped_size"),
            "targetSuspendedSize": item.int("suspended_size"),
            "targetPools": link_list(cloud, item, "target_pools", "gcp.compute-target-pool", "targetPools"),
            "distributionPolicy": { "zones": zones },
            "currentActions": { "none": size, "creating": 0, "deleting": 0, "recreating": 0 },
            "status": {
                "isStable": true,
                "autoscaler": link_key(cloud, item, "autoscaler", "", "autoscalers"),
                "stateful": { "hasStatefulConfig": item.flag("stateful").unwrap_or(false) },
                "versionTarget": { "isReached": true },
            },
            "fingerprint": "N4Hko5dkEiI=",
        }),
    )
}

/// A group of instances: one of its own, or that of a managed group.
pub(super) fn group(cloud: &Cloud, item: &Item) -> Value {
    resource(
        item,
        "instanceGroup",
        &item.id,
        "instanceGroups",
        json!({
            "id": number(&["group", &uid(item)]),
            "size": item.int("size").unwrap_or(1),
            "network": link(cloud, item, "", "networks", item.text("network").unwrap_or("default")),
            "fingerprint": "42WmSpB8rSM=",
        }),
    )
}
