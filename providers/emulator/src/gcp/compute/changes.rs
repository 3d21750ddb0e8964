//! What changes resources of Compute Engine: deletions, stops and starts, copies, labels.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{SITE, asked, found, link, naming, one, scope_of, self_link};
use crate::cloud::{Cloud, Item};
use crate::gcp::operations::{self, Change, keys, repeated};
use crate::gcp::shape::{Place, fingerprint, lean, number, pacific, region_of, uid};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};

/// The routes: method, what follows the project, operation, permission.
macro_rules! routes {
    ($( $method:literal $path:literal $action:literal $permission:literal $handle:ident, )*) => {
        pub(in crate::gcp) const ROUTES: &[Route] = &[
            $( Route {
                service: "compute",
                method: $method,
                path: concat!("/compute/v1/projects/{project}/", $path),
                action: concat!("compute.", $action),
                permission: concat!("compute.", $permission),
                handle: $handle,
            }, )*
        ];
    };
}

#[rustfmt::skip]
routes! {
    "GET" "zones/{zone}/operations/{id}" "zoneOperations.get" "zoneOperations.get" get_operation,
    "GET" "regions/{region}/operations/{id}" "regionOperations.get" "regionOperations.get" get_operation,
    "GET" "global/operations/{id}" "globalOperations.get" "globalOperations.get" get_operation,
    "POST" "zones/{zone}/operations/{id}/wait" "zoneOperations.wait" "zoneOperations.get" get_operation,
    "POST" "regions/{region}/operations/{id}/wait" "regionOperations.wait" "regionOperations.get" get_operation,
    "POST" "global/operations/{id}/wait" "globalOperations.wait" "globalOperations.get" get_operation,
    "DELETE" "zones/{zone}/disks/{id}" "disks.delete" "disks.delete" delete_disk,
    "DELETE" "regions/{region}/disks/{id}" "regionDisks.delete" "disks.delete" delete_disk,
    "POST" "zones/{zone}/disks" "disks.insert" "disks.create" insert_disk,
    "POST" "regions/{region}/disks" "regionDisks.insert" "disks.create" insert_disk,
    "POST" "zones/{zone}/disks/{id}/createSnapshot" "disks.createSnapshot" "disks.createSnapshot" create_snapshot,
    "POST" "regions/{region}/disks/{id}/createSnapshot" "regionDisks.createSnapshot" "disks.createSnapshot" create_snapshot,
    "POST" "zones/{zone}/disks/{id}/setLabels" "disks.setLabels" "disks.setLabels" set_labels,
    "POST" "regions/{region}/disks/{id}/setLabels" "regionDisks.setLabels" "disks.setLabels" set_labels,
    "DELETE" "global/snapshots/{id}" "snapshots.delete" "snapshots.delete" delete,
    "POST" "global/snapshots/{id}/setLabels" "snapshots.setLabels" "snapshots.setLabels" set_labels,
    "DELETE" "global/images/{id}" "images.delete" "images.delete" delete,
    "POST" "global/images/{id}/setLabels" "images.setLabels" "images.setLabels" set_labels,
    "DELETE" "zones/{zone}/instances/{id}" "instances.delete" "instances.delete" delete_instance,
    "POST" "zones/{zone}/instances/{id}/stop" "instances.stop" "instances.stop" stop,
    "POST" "zones/{zone}/instances/{id}/start" "instances.start" "instances.start" start,
    "POST" "zones/{zone}/instances/{id}/setLabels" "instances.setLabels" "instances.setLabels" set_labels,
    "DELETE" "regions/{region}/addresses/{id}" "addresses.delete" "addresses.delete" delete_address,
    "DELETE" "global/addresses/{id}" "globalAddresses.delete" "globalAddresses.delete" delete_address,
    "POST" "regions/{region}/addresses/{id}/setLabels" "addresses.setLabels" "addresses.setLabels" set_labels,
    "POST" "global/addresses/{id}/setLabels" "globalAddresses.setLabels" "globalAddresses.setLabels" set_labels,
    "DELETE" "regions/{region}/forwardingRules/{id}" "forwardingRules.delete" "forwardingRules.delete" delete,
    "DELETE" "global/forwardingRules/{id}" "globalForwardingRules.delete" "globalForwardingRules.delete" delete,
    "POST" "regions/{region}/forwardingRules/{id}/setLabels" "forwardingRules.setLabels" "forwardingRules.setLabels" set_labels,
    "POST" "global/forwardingRules/{id}/setLabels" "globalForwardingRules.setLabels" "globalForwardingRules.setLabels" set_labels,
}

fn bad(what: &str) -> WireError {
    WireError::new(400, "INVALID_ARGUMENT", what)
}

/// An operation of Compute Engine.
fn operation(item: &Item, done: bool) -> Value {
    let place = Place::of(&item.region);
    let here = format!("{SITE}projects/{}/{}", item.account, place.path());
    let error = item.text("error").filter(|_| done);
    let at = pacific(item.created);
    lean(json!({
        "kind": "compute#operation",
        "id": operations::id_of(item),
        "name": item.id,
        "zone": matches!(place, Place::Zone(_)).then_some(&here),
        "region": matches!(place, Place::Region(_)).then_some(&here),
        "clientOperationId": item.text("request"),
        "operationType": item.text("verb"),
        "targetLink": item.text("link"),
        "targetId": item.text("target_id"),
        "status": if done { "DONE" } else { "RUNNING" },
        "user": "sweeper@example.com",
        "progress": if done { 100 } else { 0 },
        "insertTime": at,
        "startTime": at,
        "endTime": done.then_some(&at),
        "error": error.map(|error| json!({ "errors": [{ "code": "INTERNAL_ERROR", "message": error }] })),
        "httpErrorStatusCode": error.map(|_| 500),
        "httpErrorMessage": error.map(|_| "INTERNAL SERVER ERROR"),
        "selfLink": format!("{here}/operations/{}", item.id),
    }))
}

fn get_operation(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    operations::read(cloud, req).map(|(item, done)| Reply::Value(operation(item, done)))
}

fn begun(cloud: &Cloud, req: &Req, change: Change<'_>) -> Reply {
    Reply::Value(operation(&operations::begin(cloud, req, change), false))
}

/// The answer to a request that came before, if it did.
fn before(cloud: &Cloud, req: &Req) -> Result<Option<Reply>, WireError> {
    Ok(repeated(cloud, req)?.map(|item| Reply::Value(operation(item, item.flag("done") == Some(true)))))
}

/// Whether the caller has a right that a call needs beside its own.
fn needs(req: &Req, permission: &str) -> Result<(), WireError> {
    if req.denied(&req.account, permission) {
        let what = format!("Required '{permission}' permission for 'projects/{}'", req.account);
        return Err(WireError::new(403, "PERMISSION_DENIED", what));
    }
    Ok(())
}

fn path(item: &Item, collection: &str) -> String {
    format!("projects/{}/{}/{collection}/{}", item.account, scope_of(item), item.id)
}

/// The answer where something that is under way is in the way.
fn not_ready(item: &Item, collection: &str) -> WireError {
    WireError::new(400, "resourceNotReady", format!("The resource '{}' is not ready", path(item, collection)))
}

/// Deletes what nothing holds back.
fn delete(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let known = asked(req)?;
    let item = one(cloud, req, known)?;
    let mut change = Change::deletion(item, self_link(item, known.name));
    if matches!(known.name, "disks" | "snapshots" | "images") {
        change.failed = keys(json!({ "status": item.text("status") }));
        change.now = keys(json!({ "status": "DELETING" }));
    }
    Ok(begun(cloud, req, change))
}

fn in_use(sort: &str, item: &Item, collection: &str, by: &str) -> WireError {
    let by = by.strip_prefix(SITE).unwrap_or(by);
    let what = format!("The {sort} resource '{}' is already being used by '{by}'", path(item, collection));
    WireError::new(400, "resourceInUseByAnotherResource", what)
}

/// Who has what a call is about, by what it tells of itself.
fn user(cloud: &Cloud, req: &Req) -> Result<Option<String>, WireError> {
    let known = asked(req)?;
    let told = (known.render)(cloud, one(cloud, req, known)?);
    Ok(told["users"][0].as_str().map(str::to_owned))
}

fn delete_disk(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let known = asked(req)?;
    let item = one(cloud, req, known)?;
    if let Some(by) = user(cloud, req)? {
        return Err(in_use("disk", item, known.name, &by));
    }
    if !matches!(item.text("status"), None | Some("READY" | "FAILED")) {
        return Err(not_ready(item, known.name));
    }
    delete(cloud, req)
}

fn delete_address(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let known = asked(req)?;
    let item = one(cloud, req, known)?;
    if let Some(by) = user(cloud, req)? {
        return Err(in_use("address", item, known.name, &by));
    }
    delete(cloud, req)
}

fn delete_instance(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let known = asked(req)?;
    let item = one(cloud, req, known)?;
    if item.flag("deletion_protection") == Some(true) {
        let what = "Invalid resource usage: 'Resource cannot be deleted if it's protected against deletion.'.";
        return Err(WireError::new(400, "invalidResourceUsage", what));
    }
    let mut change = Change::deletion(item, self_link(item, known.name));
    change.failed = keys(json!({ "status": item.text("status") }));
    change.now = keys(json!({ "status": "STOPPING" }));
    Ok(begun(cloud, req, change))
}

/// What is deleted with a machine, and what is only detached from it.
pub(in crate::gcp) fn goes_along(cloud: &Cloud, machine: &Item) {
    if machine.kind != "gcp.compute-instance" {
        return;
    }
    let now = cloud.now.to_string();
    for (index, text) in machine.list("disks").iter().enumerate() {
        let name = text.rsplit('/').next().unwrap_or(text);
        let Some(disk) = found(cloud, machine, "gcp.compute-disk", name) else { continue };
        if link(cloud, machine, "gcp.compute-disk", "disks", text) != self_link(disk, "disks") {
            continue;
        }
        let others = naming(cloud, disk, "gcp.compute-instance", "disks", "disks").len() > 1;
        if machine.flag("auto_delete").unwrap_or(index == 0) && !others {
            cloud.remove(disk);
        } else {
            let now = now.clone();
            cloud.change(disk, move |disk| disk.set(&keys(json!({ "detached": now }))));
        }
    }
}

fn machine<'a>(cloud: &'a Cloud, req: &Req) -> Result<&'a Item, WireError> {
    one(cloud, req, asked(req)?)
}

fn stop(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let item = machine(cloud, req)?;
    let status = item.text_or("status", "RUNNING");
    if !matches!(status.as_str(), "RUNNING" | "TERMINATED" | "STOPPED") {
        return Err(not_ready(item, "instances"));
    }
    if item.int("scratch").unwrap_or(0) > 0 && req.param("discardLocalSsd").is_none() {
        let what = "VM has a Local SSD attached but an undefined value for `discard-local-ssd`. If using gcloud, please add `--discard-local-ssd=false` or `--discard-local-ssd=true` to your command.";
        return Err(bad(what));
    }
    let running = status == "RUNNING";
    let now = if running { json!({ "status": "STOPPING" }) } else { json!({}) };
    let then = if running { json!({ "status": "TERMINATED", "stopped": cloud.now.to_string() }) } else { json!({}) };
    Ok(begun(cloud, req, switch(item, "stop", &status, now, then)))
}

fn start(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let item = machine(cloud, req)?;
    let status = item.text_or("status", "RUNNING");
    let stopped = matches!(status.as_str(), "TERMINATED" | "STOPPED");
    if !stopped && status != "RUNNING" {
        return Err(not_ready(item, "instances"));
    }
    let now = if stopped { json!({ "status": "STAGING" }) } else { json!({}) };
    let then = if stopped { json!({ "status": "RUNNING", "started": cloud.now.to_string() }) } else { json!({}) };
    Ok(begun(cloud, req, switch(item, "start", &status, now, then)))
}

fn switch<'a>(item: &'a Item, verb: &'static str, status: &str, now: Value, then: Value) -> Change<'a> {
    Change {
        verb,
        item,
        link: self_link(item, "instances"),
        target_id: uid(item),
        now: keys(now),
        then: Some(keys(then)),
        failed: keys(json!({ "status": status })),
    }
}

/// The labels in a body. Keys are of small letters, digits, dashes and underscores, and begin with a letter.
fn labels(body: &Value) -> Result<BTreeMap<String, String>, WireError> {
    let Some(labels) = body.get("labels").and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
    let fits = |text: &str| {
        let letter = |letter: char| letter.is_lowercase() || letter.is_numeric() || "-_".contains(letter);
        text.chars().count() <= 63 && text.chars().all(letter)
    };
    let mut read = BTreeMap::new();
    for (key, value) in labels {
        let value = value.as_str().unwrap_or_default();
        if !fits(key) || !fits(value) || !key.starts_with(char::is_lowercase) {
            return Err(bad(&format!("Invalid value for field 'labels': ''. Label key or value '{key}' is invalid.")));
        }
        read.insert(key.clone(), value.to_owned());
    }
    if read.len() > 64 {
        return Err(bad("Invalid value for field 'labels': ''. There are too many labels."));
    }
    Ok(read)
}

fn set_labels(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let known = asked(req)?;
    let item = one(cloud, req, known)?;
    let body = req.json().unwrap_or_default();
    if body.get("labelFingerprint").and_then(Value::as_str) != Some(&fingerprint(item)) {
        let what = "Labels fingerprint either invalid or resource labels have changed";
        return Err(WireError::new(412, "conditionNotMet", what));
    }
    let wanted = labels(&body)?;
    let mut then = Map::new();
    for key in item.tags.keys().filter(|key| !wanted.contains_key(*key)) {
        then.insert(format!("tags.{key}"), Value::Null);
    }
    for (key, value) in wanted {
        then.insert(format!("tags.{key}"), Value::from(value));
    }
    let change = Change {
        verb: "setLabels",
        item,
        link: self_link(item, known.name),
        target_id: uid(item),
        now: Map::new(),
        then: Some(then),
        failed: Map::new(),
    };
    Ok(begun(cloud, req, change))
}

/// The name in a body, as new resources may have one.
fn name(body: &Value) -> Result<&str, WireError> {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let inside = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !inside || !name.starts_with(|first: char| first.is_ascii_lowercase()) || name.ends_with('-') || name.len() > 63
    {
        return Err(bad(&format!(
            "Invalid value for field 'resource.name': '{name}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{{0,61}}[a-z0-9])?)'"
        )));
    }
    Ok(name)
}

fn free(cloud: &Cloud, req: &Req, kind: &str, place: &str, collection: &str, name: &str) -> Result<(), WireError> {
    if cloud.with_id(kind, name).any(|item| item.account == req.account && item.region == place) {
        let path = format!("projects/{}/{}/{collection}/{name}", req.account, Place::of(place).path());
        return Err(WireError::new(409, "alreadyExists", format!("The resource '{path}' already exists")));
    }
    Ok(())
}

/// A new resource. It is a new one also where there was one of its name.
fn made(
    cloud: &Cloud,
    req: &Req,
    kind: &str,
    place: &str,
    name: &str,
    tags: BTreeMap<String, String>,
    own: Value,
) -> Item {
    let nth = cloud.list_account(&req.account, "gcp.operation").len();
    let mut own = keys(lean(own));
    own.insert("uid".to_owned(), Value::from(number(&["made", &req.account, place, name, &nth.to_string()])));
    Item {
        kind: kind.to_owned(),
        account: req.account.clone(),
        region: place.to_owned(),
        id: name.to_owned(),
        created: cloud.now,
        tags,
        keys: own,
    }
}

fn create_snapshot(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let disk = one(cloud, req, asked(req)?)?;
    let body = req.json().unwrap_or_default();
    let (name, labels) = (name(&body)?, labels(&body)?);
    needs(req, "compute.snapshots.create")?;
    if !labels.is_empty() {
        needs(req, "compute.snapshots.setLabels")?;
    }
    free(cloud, req, "gcp.compute-snapshot", "global", "snapshots", name)?;
    if !matches!(disk.text("status"), None | Some("READY")) {
        return Err(not_ready(disk, "disks"));
    }
    let size = disk.int("size").unwrap_or(10);
    let snapshot = made(
        cloud,
        req,
        "gcp.compute-snapshot",
        "global",
        name,
        labels,
        json!({
            "status": "CREATING",
            "size": size,
            "bytes": 0,
            "bytes_status": "UPDATING",
            "source_disk": path(disk, "disks"),
            "source_disk_id": uid(disk),
            "description": body.get("description"),
            "locations": body.get("storageLocations").cloned().unwrap_or_else(|| json!([region_of(&disk.region)])),
            "licenses": disk.keys.get("licenses"),
            "polls": disk.keys.get("polls"),
            "operation_error": disk.keys.get("operation_error"),
        }),
    );
    cloud.add(snapshot.clone());
    let change = Change {
        verb: "createSnapshot",
        item: &snapshot,
        link: self_link(disk, "disks"),
        target_id: uid(disk),
        now: Map::new(),
        then: Some(keys(json!({ "status": "READY", "bytes": null, "bytes_status": null }))),
        failed: keys(json!({ "status": "FAILED" })),
    };
    Ok(begun(cloud, req, change))
}

fn insert_disk(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = before(cloud, req)? {
        return Ok(reply);
    }
    let body = req.json().unwrap_or_default();
    let (name, labels) = (name(&body)?, labels(&body)?);
    if !labels.is_empty() {
        needs(req, "compute.disks.setLabels")?;
    }
    free(cloud, req, "gcp.compute-disk", &req.region, "disks", name)?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let whole = |key: &str| match body.get(key) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_i64(),
        None => None,
    };
    let mut size = whole("sizeGb");
    let mut source = Value::Null;
    if let Some(from) = text("sourceSnapshot") {
        needs(req, "compute.snapshots.useReadOnly")?;
        let id = from.rsplit('/').next().unwrap_or(from);
        let snapshot = cloud.with_id("gcp.compute-snapshot", id).find(|item| item.account == req.account);
        let missing = || super::not_found(&format!("projects/{}/global/snapshots/{id}", req.account));
        let snapshot = snapshot.ok_or_else(missing)?;
        if !matches!(snapshot.text("status"), None | Some("READY")) {
            return Err(not_ready(snapshot, "snapshots"));
        }
        let least = snapshot.int("size").unwrap_or(10);
        if size.is_some_and(|size| size < least) {
            let what = format!(
                "Invalid value for field 'resource.sizeGb': it must be at least the size of the snapshot, {least} GB."
            );
            return Err(bad(&what));
        }
        size = size.or(Some(least));
        source = Value::from(path(snapshot, "snapshots"));
    }
    let zones: Vec<String> = body
        .get("replicaZones")
        .and_then(Value::as_array)
        .map(|zones| zones.iter().filter_map(|zone| Some(zone.as_str()?.rsplit('/').next()?.to_owned())).collect())
        .unwrap_or_default();
    if matches!(Place::of(&req.region), Place::Region(_)) && zones.len() != 2 {
        return Err(bad("Invalid value for field 'resource.replicaZones': ''. A regional disk needs two zones."));
    }
    let disk = made(
        cloud,
        req,
        "gcp.compute-disk",
        &req.region,
        name,
        labels,
        json!({
            "status": "CREATING",
            "size": size.unwrap_or(500),
            "type": text("type").map(|kind| kind.rsplit('/').next().unwrap_or(kind)),
            "snapshot": source,
            "iops": whole("provisionedIops"),
            "throughput": whole("provisionedThroughput"),
            "access_mode": text("accessMode"),
            "description": text("description"),
            "replica_zones": zones,
            "raw": { "diskEncryptionKey": body.get("diskEncryptionKey") },
        }),
    );
    cloud.add(disk.clone());
    let change = Change {
        verb: "insert",
        item: &disk,
        link: self_link(&disk, "disks"),
        target_id: uid(&disk),
        now: Map::new(),
        then: Some(keys(json!({ "status": null }))),
        failed: keys(json!({ "status": "FAILED" })),
    };
    Ok(begun(cloud, req, change))
}
