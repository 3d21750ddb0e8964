//! Cloud SQL Admin v1, the log buckets of Cloud Logging v2, and the clusters of Kubernetes Engine v1.

use serde_json::{Value, json};

use super::operations::{self, Change, keys};
use super::shape::{Place, finished, labels, lean, region_of, uid, utc};
use super::{not_found, page, project_number};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

const INSTANCE: &str = "gcp.sql-instance";
const LOG_BUCKET: &str = "gcp.log-bucket";
const CLUSTER: &str = "gcp.gke-cluster";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: INSTANCE,
        keys: &[
            "engine:text",
            "tier:text",
            "edition:text",
            "state:text",
            "activation:text",
            "size:int",
            "disk_type:text",
            "availability:text",
            "replica_of:text",
            "instance_type:text",
            "backups:bool",
            "deletion_protection:bool",
            "zone:text",
            "private_network:text",
            "addresses:list",
        ],
    },
    Kind {
        kind: LOG_BUCKET,
        keys: &["retention:int", "locked:bool", "state:text", "analytics:bool", "updated:time", "description:text"],
    },
    Kind {
        kind: CLUSTER,
        keys: &[
            "uid:text",
            "status:text",
            "version:text",
            "nodes:int",
            "node_pools:tables",
            "autopilot:bool",
            "zones:list",
            "network:text",
            "groups:list",
            "description:text",
        ],
    },
];

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { service: "sqladmin", method: "GET", path: "/v1/projects/{project}/instances", action: "sql.instances.list", permission: "cloudsql.instances.list", handle: instances },
    Route { service: "sqladmin", method: "GET", path: "/v1/projects/{project}/instances/{id}", action: "sql.instances.get", permission: "cloudsql.instances.get", handle: get_instance },
    Route { service: "logging", method: "GET", path: "/v2/projects/{project}/locations/{location}/buckets", action: "logging.projects.locations.buckets.list", permission: "logging.buckets.list", handle: buckets },
    Route { service: "logging", method: "GET", path: "/v2/projects/{project}/locations/{location}/buckets/{id}", action: "logging.projects.locations.buckets.get", permission: "logging.buckets.get", handle: get_bucket },
    Route { service: "container", method: "GET", path: "/v1/projects/{project}/locations/{location}/clusters", action: "container.projects.locations.clusters.list", permission: "container.clusters.list", handle: clusters },
    Route { service: "container", method: "GET", path: "/v1/projects/{project}/locations/{location}/clusters/{id}", action: "container.projects.locations.clusters.get", permission: "container.clusters.get", handle: get_cluster },
    Route { service: "sqladmin", method: "PATCH", path: "/v1/projects/{project}/instances/{id}", action: "sql.instances.patch", permission: "cloudsql.instances.update", handle: patch_instance },
    Route { service: "sqladmin", method: "GET", path: "/v1/projects/{project}/operations/{id}", action: "sql.operations.get", permission: "cloudsql.instances.get", handle: get_operation },
];

fn instance(cloud: &Cloud, item: &Item) -> Value {
    let replicas: Vec<&Item> = cloud
        .list_account(&item.account, INSTANCE)
        .into_iter()
        .filter(|other| other.text("replica_of") == Some(&item.id))
        .collect();
    let master = item
        .text("replica_of")
        .map(|name| if name.contains(':') { name.to_owned() } else { format!("{}:{name}", item.account) });
    let kind = item.text("instance_type").unwrap_or(if master.is_some() {
        "READ_REPLICA_INSTANCE"
    } else {
        "CLOUD_SQL_INSTANCE"
    });
    let size = item.int("size").unwrap_or(10);
    let addresses: Vec<Value> =
        item.list("addresses").iter().map(|address| json!({ "type": "PRIMARY", "ipAddress": address })).collect();
    let zone = item.text("zone").map_or_else(|| format!("{}-a", item.region), str::to_owned);
    finished(
        item,
        json!({
            "kind": "sql#instance",
            "name": item.id,
            "project": item.account,
            "region": item.region,
            "gceZone": zone,
            "state": item.text_or("state", "RUNNABLE"),
            "databaseVersion": item.text_or("engine", "POSTGRES_16"),
            "instanceType": kind,
            "backendType": "SECOND_GEN",
            "connectionName": format!("{}:{}:{}", item.account, item.region, item.id),
            "createTime": utc(item.created),
            "masterInstanceName": master,
            "replicaNames": replicas.iter().map(|replica| &replica.id).collect::<Vec<_>>(),
            "ipAddresses": addresses,
            "serviceAccountEmailAddress": format!("p{}-abc123@gcp-sa-cloud-sql.iam.gserviceaccount.com", project_number(cloud, &item.account)),
            "selfLink": format!("https://sqladmin.googleapis.com/v1/projects/{}/instances/{}", item.account, item.id),
            "etag": "0a1b2c3d",
            "settings": {
                "kind": "sql#settings",
                "settingsVersion": settings_version(item).to_string(),
                "tier": item.text_or("tier", "db-custom-1-3840"),
                "edition": item.text_or("edition", "ENTERPRISE"),
                "activationPolicy": item.text_or("activation", "ALWAYS"),
                "availabilityType": item.text_or("availability", "ZONAL"),
                "dataDiskSizeGb": size.to_string(),
                "dataDiskType": item.text_or("disk_type", "PD_SSD"),
                "pricingPlan": "PER_USE",
                "replicationType": "SYNCHRONOUS",
                "storageAutoResize": true,
                "storageAutoResizeLimit": "0",
                "userLabels": labels(item),
                "deletionProtectionEnabled": item.flag("deletion_protection").unwrap_or(false),
                "locationPreference": { "kind": "sql#locationPreference", "zone": zone },
                "backupConfiguration": { "kind": "sql#backupConfiguration", "enabled": item.flag("backups").unwrap_or(true), "startTime": "02:00" },
                "ipConfiguration": {
                    "ipv4Enabled": item.text("private_network").is_none(),
                    "privateNetwork": item.text("private_network").map(|network| format!("projects/{}/global/networks/{network}", item.account)),
                },
            },
        }),
    )
}

/// Grows with each change of the settings.
fn settings_version(item: &Item) -> i64 {
    item.int("settings_version").unwrap_or(1)
}

/// Switches an instance on or off: its activation policy is all that can be changed here.
fn patch_instance(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = cloud.list_account(&req.account, INSTANCE).into_iter().find(|item| item.id == req.label("id"));
    let item = item.ok_or_else(|| not_found(req.label("id")))?;
    let bad = |what: &str| WireError::new(400, "INVALID_ARGUMENT", what);
    let body = req.json().unwrap_or_default();
    let settings =
        body.get("settings").and_then(Value::as_object).ok_or_else(|| bad("Missing parameter: settings."))?;
    if let Some(other) = settings.keys().find(|key| !matches!(key.as_str(), "activationPolicy" | "settingsVersion")) {
        return Err(bad(&format!("The emulator changes no {other}.")));
    }
    let seen = settings.get("settingsVersion").and_then(Value::as_str).and_then(|version| version.parse().ok());
    if seen.is_some_and(|seen: i64| seen != settings_version(item)) {
        return Err(WireError::new(
            412,
            "staleData",
            "The instance or operation is not in an appropriate state to handle the request: the settings version is stale.",
        ));
    }
    let policy = settings.get("activationPolicy").and_then(Value::as_str).unwrap_or("ALWAYS");
    if !matches!(policy, "ALWAYS" | "NEVER") {
        return Err(bad("Invalid value for: activationPolicy."));
    }
    if item.text("replica_of").is_some() && policy == "NEVER" {
        return Err(bad("The activation policy of a read replica cannot be changed."));
    }
    let change = Change {
        verb: "UPDATE",
        item,
        link: format!("https://sqladmin.googleapis.com/v1/projects/{}/instances/{}", item.account, item.id),
        target_id: item.id.clone(),
        now: keys(json!({ "settings_version": settings_version(item) + 1 })),
        then: Some(keys(json!({ "activation": policy }))),
        failed: keys(json!({})),
    };
    let operation = operations::begin(cloud, req, change);
    Ok(Reply::Value(sql_operation(&operation, false)))
}

fn sql_operation(item: &Item, done: bool) -> Value {
    let error = item.text("error").filter(|_| done);
    lean(json!({
        "kind": "sql#operation",
        "name": item.id,
        "operationType": item.text("verb"),
        "status": if done { "DONE" } else { "RUNNING" },
        "targetId": item.text("target_id"),
        "targetProject": item.account,
        "targetLink": item.text("link"),
        "insertTime": utc(item.created),
        "startTime": utc(item.created),
        "endTime": done.then(|| utc(item.created)),
        "user": "sweeper@example.com",
        "error": error.map(|error| json!({
            "kind": "sql#operationErrors",
            "errors": [{ "kind": "sql#operationError", "code": "INTERNAL_ERROR", "message": error }],
        })),
        "selfLink": format!("https://sqladmin.googleapis.com/v1/projects/{}/operations/{}", item.account, item.id),
    }))
}

fn get_operation(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    operations::read(cloud, req).map(|(item, done)| Reply::Value(sql_operation(item, done)))
}

fn instances(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let mut all = cloud.list_account(&req.account, INSTANCE);
    let lost: std::collections::BTreeSet<&str> =
        all.iter().map(|item| item.region.as_str()).filter(|region| req.is_lost(region)).collect();
    let warned = req.lost.iter().map(String::as_str).chain(lost).filter(|place| Place::of(place) != Place::Global);
    let warned: std::collections::BTreeSet<&str> = warned.map(region_of).collect();
    let warnings: Vec<Value> = warned
        .into_iter()
        .map(|region| {
            json!({
                "code": "REGION_UNREACHABLE",
                "message": format!("The region {region} is unreachable: its instances are not in the list."),
                "region": region,
            })
        })
        .collect();
    all.retain(|item| !req.is_lost(&item.region));
    let (part, next) = page(cloud, req, &all, "maxResults", 500)?;
    let part: Vec<Value> = part.into_iter().map(|item| instance(cloud, item)).collect();
    Ok(Reply::Value(lean(
        json!({ "kind": "sql#instancesList", "items": part, "nextPageToken": next, "warnings": warnings }),
    )))
}

fn get_instance(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let id = req.label("id");
    cloud
        .list_account(&req.account, INSTANCE)
        .into_iter()
        .find(|item| item.id == id)
        .inspect(|item| operations::watched(cloud, item))
        .map(|item| Reply::Value(instance(cloud, item)))
        .ok_or_else(|| not_found(id))
}

fn bucket(cloud: &Cloud, item: &Item) -> Value {
    finished(
        item,
        json!({
            "name": format!("projects/{}/locations/{}/buckets/{}", item.account, item.region, item.id),
            "description": item.text("description"),
            "retentionDays": item.int("retention").unwrap_or(30),
            "locked": item.flag("locked").filter(|locked| *locked),
            "analyticsEnabled": item.flag("analytics").filter(|enabled| *enabled),
            "lifecycleState": item.text_or("state", "ACTIVE"),
            "createTime": utc(item.created),
            "updateTime": utc(item.time("updated", cloud.now).unwrap_or(item.created)),
        }),
    )
}

/// The buckets of a location, or of all. The two that every project has are there also if the file has them not.
fn log_buckets(cloud: &Cloud, req: &Req) -> Vec<Value> {
    let location = req.label("location");
    let own = cloud.list_account(&req.account, LOG_BUCKET);
    let mut all = Vec::new();
    for (name, days, locked) in [("_Default", 30, None), ("_Required", 400, Some(true))] {
        if !own.iter().any(|item| item.id == name) && matches!(location, "-" | "global") {
            all.push(lean(json!({
                "name": format!("projects/{}/locations/global/buckets/{name}", req.account),
                "description": format!("{} bucket", if locked.is_some() { "Audit" } else { "Default" }),
                "retentionDays": days,
                "locked": locked,
                "lifecycleState": "ACTIVE",
            })));
        }
    }
    let here = own.into_iter().filter(|item| matches!(location, "-") || item.region == location);
    all.extend(here.map(|item| bucket(cloud, item)));
    all
}

fn buckets(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let (part, next) = page(cloud, req, &log_buckets(cloud, req), "pageSize", 1000)?;
    Ok(Reply::Value(lean(json!({ "buckets": part, "nextPageToken": next }))))
}

fn get_bucket(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let tail = format!("/buckets/{}", req.label("id"));
    log_buckets(cloud, req)
        .into_iter()
        .find(|bucket| bucket["name"].as_str().is_some_and(|name| name.ends_with(&tail)))
        .map(Reply::Value)
        .ok_or_else(|| not_found(&tail))
}

fn cluster(cloud: &Cloud, item: &Item) -> Value {
    let path = format!("projects/{}/locations/{}/clusters/{}", item.account, item.region, item.id);
    let link = format!("https://container.googleapis.com/v1/{path}");
    let mut zones = item.list("zones");
    if zones.is_empty() {
        zones = match Place::of(&item.region) {
            Place::Zone(zone) => vec![zone.to_owned()],
            _ => ["a", "b", "c"].map(|letter| format!("{}-{letter}", item.region)).to_vec(),
        };
    }
    let nodes = item.int("nodes").unwrap_or(3);
    let groups: Vec<String> = item
        .list("groups")
        .iter()
        .map(|name| {
            let zone = zones.first().map_or("", String::as_str);
            format!(
                "https://www.googleapis.com/compute/v1/projects/{}/zones/{zone}/instanceGroupManagers/{name}",
                item.account
            )
        })
        .collect();
    let version = item.text_or("version", "1.31.5-gke.1023000");
    let mut pools: Vec<Value> = item
        .tables("node_pools")
        .into_iter()
        .map(|pool| {
            let name = pool.get("name").and_then(Value::as_str).unwrap_or("default-pool");
            let count = pool.get("nodes").and_then(Value::as_i64);
            node_pool(&link, name, count.unwrap_or(1), &zones, &version)
        })
        .collect();
    if pools.is_empty() {
        pools.push(node_pool(&link, "default-pool", nodes, &zones, &version));
    }
    let network = item.text("network").unwrap_or("default");
    finished(
        item,
        json!({
            "name": item.id,
            "id": item.text("uid").map_or_else(|| format!("{:0>64}", uid(item)), str::to_owned),
            "description": item.text("description"),
            "selfLink": link,
            "location": item.region,
            "zone": item.region,
            "locations": zones,
            "status": item.text_or("status", "RUNNING"),
            "createTime": item.created.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
            "currentMasterVersion": version,
            "currentNodeVersion": version,
            "initialClusterVersion": version,
            "currentNodeCount": (nodes > 0).then_some(nodes),
            "nodePools": pools,
            "instanceGroupUrls": groups,
            "autopilot": { "enabled": item.flag("autopilot").filter(|autopilot| *autopilot) },
            "network": network,
            "subnetwork": network,
            "resourceLabels": labels(item),
            "labelFingerprint": "a9dc16a7",
            "releaseChannel": { "channel": "REGULAR" },
            "loggingService": "logging.googleapis.com/kubernetes",
            "monitoringService": "monitoring.googleapis.com/kubernetes",
            "etag": project_number(cloud, &item.account),
        }),
    )
}

fn node_pool(cluster: &str, name: &str, nodes: i64, zones: &[String], version: &str) -> Value {
    json!({
        "name": name,
        "selfLink": format!("{cluster}/nodePools/{name}"),
        "initialNodeCount": (nodes > 0).then_some(nodes),
        "locations": zones,
        "status": "RUNNING",
        "version": version,
        "config": { "machineType": "e2-medium", "diskSizeGb": 100, "diskType": "pd-balanced" },
    })
}

fn clusters(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let location = req.label("location");
    let mut all = cloud.list_account(&req.account, CLUSTER);
    all.retain(|item| location == "-" || item.region == location);
    if location != "-" && req.is_lost(location) {
        return Err(super::unreachable(location));
    }
    let missing: Vec<&String> = req.lost.iter().filter(|place| Place::of(place) != Place::Global).collect();
    all.retain(|item| !req.is_lost(&item.region));
    let all: Vec<Value> = all.into_iter().map(|item| cluster(cloud, item)).collect();
    Ok(Reply::Value(lean(json!({ "clusters": all, "missingZones": missing }))))
}

fn get_cluster(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let (location, id) = (req.label("location"), req.label("id"));
    cloud
        .list_in(&req.account, location, CLUSTER)
        .into_iter()
        .find(|item| item.id == id)
        .map(|item| Reply::Value(cluster(cloud, item)))
        .ok_or_else(|| not_found(&format!("projects/{}/locations/{location}/clusters/{id}", req.account)))
}
