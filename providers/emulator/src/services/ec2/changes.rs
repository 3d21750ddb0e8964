//! EC2's changes. What takes its time is seen on its way as often as `polls` of the resource says, and then there.
//!
//! Permissions beyond the operation's own (`ec2:CreateTags` for tags of a new thing, `ec2:DeleteSnapshot` for an image's
//! snapshots) are not asked.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{Output, TAGGED, made, network, not_found, owner, storage};
use crate::cloud::{Cloud, Item};
use crate::http::{WireError, iso};
use crate::request::{Params, Request};

/// Internal: the state that a resource is on its way to, or [`GONE`].
const NEXT: &str = "next_state";
/// Internal: how often it is still seen on its way.
const LOOKS: &str = "looks";
/// Internal: the token that a resource was made with, and what was asked with it.
const TOKEN: &str = "client_token";
const GONE: &str = "gone";

fn refused(code: &str, message: impl Into<String>) -> WireError {
    WireError::new(400, code, message)
}

/// Moves what is on its way one look on. Called by every listing of the kind, which still shows the old state.
pub(super) fn settle(cloud: &Cloud, request: &Request, kind: &str) {
    for item in cloud.list(request, kind) {
        let Some(next) = item.text(NEXT).map(str::to_owned) else { continue };
        let left = item.int(LOOKS).unwrap_or(1) - 1;
        if left > 0 {
            cloud.change(item, move |item| drop(item.keys.insert(LOOKS.to_owned(), json!(left))));
        } else if next == GONE {
            cloud.remove(item);
        } else {
            cloud.change(item, move |item| {
                item.keys.insert("state".to_owned(), json!(next));
                item.keys.remove(NEXT);
                item.keys.remove(LOOKS);
            });
        }
    }
}

/// Sets a resource on its way.
fn begin(item: &mut Item, state: &str, next: &str) {
    let looks = item.int("polls").unwrap_or(1).max(1);
    item.keys.insert("state".to_owned(), json!(state));
    item.keys.insert(NEXT.to_owned(), json!(next));
    item.keys.insert(LOOKS.to_owned(), json!(looks));
}

/// An id that nothing has had.
fn fresh(cloud: &Cloud, prefix: &str) -> String {
    made(prefix, &format!("{prefix} {}", cloud.serial()))
}

fn own<'a>(cloud: &'a Cloud, request: &Request, kind: &str, id: &str, missing: &str) -> Result<&'a Item, WireError> {
    cloud
        .find(request, kind, id)
        .filter(|item| owner(item) == request.account && item.text("recycled").is_none())
        .ok_or_else(|| not_found(missing, id))
}

/// The tags under a stem: "Tag.1.Key", "TagSpecification.1.Tag.1.Value".
fn pairs(request: &Request, stem: &str) -> Result<BTreeMap<String, Option<String>>, WireError> {
    let mut tags = BTreeMap::new();
    while let Some(key) = request.text(&format!("{stem}.{}.Key", tags.len() + 1)) {
        if key.to_lowercase().starts_with("aws:") {
            return Err(refused(
                "InvalidParameterValue",
                "Tag keys starting with 'aws:' are reserved for internal use",
            ));
        }
        let value = request.text(&format!("{stem}.{}.Value", tags.len() + 1)).map(str::to_owned);
        tags.insert(key.to_owned(), value);
    }
    Ok(tags)
}

/// The tags of a new thing.
fn tags_of(request: &Request) -> Result<BTreeMap<String, String>, WireError> {
    Ok(pairs(request, "TagSpecification.1.Tag")?
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}

fn tagged<'a>(cloud: &'a Cloud, request: &Request) -> Result<Vec<&'a Item>, WireError> {
    let find = |id: &String| {
        let mut kinds = TAGGED.iter().map(|(kind, _)| *kind).chain(["aws.ec2-security-group"]);
        let item = kinds.find_map(|kind| cloud.find(request, kind, id));
        item.ok_or_else(|| refused("InvalidID", format!("The ID '{id}' is not valid")))
    };
    request.list("ResourceId").iter().map(find).collect()
}

pub(super) fn create_tags(cloud: &Cloud, request: &Request) -> Output {
    let tags = pairs(request, "Tag")?;
    for item in tagged(cloud, request)? {
        if item.tags.keys().chain(tags.keys()).collect::<std::collections::BTreeSet<_>>().len() > 50 {
            return Err(refused("TagLimitExceeded", "The maximum number of Tags for this resource has been reached."));
        }
        let tags = tags.clone();
        cloud.change(item, move |item| {
            item.tags.extend(tags.into_iter().map(|(key, value)| (key, value.unwrap_or_default())));
        });
    }
    Ok(json!({ "return": true }))
}

/// A tag is taken away whatever its value, or only with the value that the request names.
pub(super) fn delete_tags(cloud: &Cloud, request: &Request) -> Output {
    let tags = pairs(request, "Tag")?;
    for item in tagged(cloud, request)? {
        let tags = tags.clone();
        cloud.change(item, move |item| {
            item.tags.retain(|key, value| {
                tags.get(key).is_none_or(|named| named.as_ref().is_some_and(|named| named != value))
            });
        });
    }
    Ok(json!({ "return": true }))
}

pub(super) fn create_snapshot(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("VolumeId").unwrap_or_default();
    let volume = own(cloud, request, "aws.ec2-volume", id, "InvalidVolume.NotFound")?;
    let mut keys = Map::new();
    for (key, value) in [
        ("volume", json!(id)),
        ("size", json!(volume.int("size").unwrap_or(8))),
        ("encrypted", json!(volume.flag("encrypted").unwrap_or(false))),
        ("description", json!(request.text("Description").unwrap_or_default())),
        ("polls", json!(volume.int("polls").unwrap_or(1))),
    ] {
        keys.insert(key.to_owned(), value);
    }
    let mut snapshot = Item {
        kind: "aws.ec2-snapshot".to_owned(),
        account: request.account.clone(),
        region: request.region.clone(),
        id: fresh(cloud, "snap"),
        created: cloud.now,
        tags: tags_of(request)?,
        keys,
    };
    let ends = if volume.flag("copy_fails") == Some(true) { "error" } else { "completed" };
    begin(&mut snapshot, "pending", ends);
    let shown = storage::snapshot(cloud, &snapshot);
    cloud.add(snapshot);
    Ok(shown)
}

/// Whether a lock that holds is on a snapshot.
fn is_locked(item: &Item) -> bool {
    storage::lock_state(item).is_some_and(|state| state != "expired")
}

/// Takes a snapshot or an image away, into the bin where a rule covers it.
fn discard(cloud: &Cloud, item: &Item) {
    let Some(days) = item.int("bin_days") else { return cloud.remove(item) };
    let (now, until) = (cloud.now, cloud.now.checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(cloud.now));
    cloud.change(item, move |item| {
        item.keys.insert("recycled".to_owned(), json!(iso(now)));
        item.keys.insert("recycled_until".to_owned(), json!(iso(until)));
    });
}

/// The images, but for one, that are made of a snapshot.
fn images_of<'a>(cloud: &'a Cloud, request: &Request, snapshot: &str, but: &str) -> Option<&'a Item> {
    let images = cloud.list(request, "aws.ec2-image").into_iter();
    let living = |image: &&Item| image.id != but && image.text("recycled").is_none();
    images.filter(living).find(|image| image.list("snapshots").iter().any(|own| own == snapshot))
}

pub(super) fn delete_snapshot(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("SnapshotId").unwrap_or_default();
    let snapshot = own(cloud, request, "aws.ec2-snapshot", id, "InvalidSnapshot.NotFound")?;
    if is_locked(snapshot) {
        return Err(refused("SnapshotLocked", format!("The snapshot {id} is locked and cannot be deleted.")));
    }
    if let Some(image) = images_of(cloud, request, id, "") {
        return Err(refused("InvalidSnapshot.InUse", format!("The snapshot {id} is currently in use by {}", image.id)));
    }
    discard(cloud, snapshot);
    Ok(json!({ "return": true }))
}

/// What lies in the bin under an id.
fn recycled<'a>(cloud: &'a Cloud, request: &Request, kind: &str, id: &str, code: &str) -> Result<&'a Item, WireError> {
    let found = cloud.find(request, kind, id).filter(|item| item.text("recycled").is_some());
    let found = found.ok_or_else(|| not_found(code, id))?;
    cloud.change(found, |item| {
        item.keys.remove("recycled");
        item.keys.remove("recycled_until");
    });
    Ok(found)
}

pub(super) fn restore_snapshot(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("SnapshotId").unwrap_or_default();
    let item = recycled(cloud, request, "aws.ec2-snapshot", id, "InvalidSnapshot.NotFound")?;
    Ok(storage::snapshot(cloud, item))
}

pub(super) fn restore_image(cloud: &Cloud, request: &Request) -> Output {
    recycled(cloud, request, "aws.ec2-image", request.text("ImageId").unwrap_or_default(), "InvalidAMIID.NotFound")?;
    Ok(json!({ "return": true }))
}

pub(super) fn deregister_image(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("ImageId").unwrap_or_default();
    let image = own(cloud, request, "aws.ec2-image", id, "InvalidAMIID.NotFound")?;
    if image.flag("protected") == Some(true) {
        let why = format!("Deregistration protection is enabled for the AMI {id}.");
        return Err(refused("OperationNotPermitted", why));
    }
    let mut results = Vec::new();
    if request.flag("DeleteAssociatedSnapshots") {
        for snapshot in image.list("snapshots") {
            let code = match cloud.find(request, "aws.ec2-snapshot", &snapshot) {
                Some(_) if images_of(cloud, request, &snapshot, id).is_some() => "skipped",
                Some(item) if is_locked(item) => "client-error",
                Some(item) if owner(item) == request.account && item.text("recycled").is_none() => {
                    discard(cloud, item);
                    "success"
                }
                _ => continue,
            };
            results.push(json!({ "snapshotId": snapshot, "returnCode": code }));
        }
    }
    discard(cloud, image);
    Ok(json!({ "return": true, "deleteSnapshotResultSet": results }))
}

pub(super) fn delete_volume(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("VolumeId").unwrap_or_default();
    let volume = own(cloud, request, "aws.ec2-volume", id, "InvalidVolume.NotFound")?;
    if let Some(instance) = storage::attached(cloud, volume).first() {
        return Err(refused("VolumeInUse", format!("Volume {id} is currently attached to {instance}")));
    }
    match storage::volume_state(cloud, volume).as_str() {
        "available" | "error" => {}
        state => return Err(refused("IncorrectState", format!("Volume {id} is in the '{state}' state"))),
    }
    cloud.change(volume, |item| begin(item, "deleting", GONE));
    Ok(json!({ "return": true }))
}

/// What of a request makes another one with the same token another request.
fn asked(request: &Request) -> String {
    match &request.params {
        Params::Flat(flat) => json!(flat).to_string(),
        Params::Json(body) => body.to_string(),
    }
}

pub(super) fn create_volume(cloud: &Cloud, request: &Request) -> Output {
    let token = request.text("ClientToken").unwrap_or_default();
    let asked = asked(request);
    if !token.is_empty() {
        let mut known = cloud.list(request, "aws.ec2-volume").into_iter();
        if let Some(volume) = known.find(|item| item.text(TOKEN).is_some_and(|own| own.starts_with(token))) {
            let same = volume.text(TOKEN) == Some(&format!("{token}\n{asked}"));
            return if same {
                Ok(storage::volume(cloud, volume))
            } else {
                Err(refused(
                    "IdempotentParameterMismatch",
                    "The request uses the same client token as a previous, but non-identical request.",
                ))
            };
        }
    }
    let zone = request.text("AvailabilityZone").unwrap_or_default();
    let letter = zone.strip_prefix(request.region.as_str()).unwrap_or_default();
    if letter.len() != 1 || !letter.chars().all(|letter| letter.is_ascii_lowercase()) {
        return Err(refused(
            "InvalidParameterValue",
            format!("Value ({zone}) for parameter availabilityZone is invalid."),
        ));
    }
    let sort = request.text("VolumeType").unwrap_or("gp2");
    let speeds = [("Iops", "iops", ["gp3", "io1", "io2"].as_slice()), ("Throughput", "throughput", &["gp3"])];
    let mut keys = Map::new();
    for (parameter, key, sorts) in speeds {
        if let Some(value) = request.int(parameter)? {
            if !sorts.contains(&sort) {
                let why = format!("The parameter {key} is not supported for {sort} volumes.");
                return Err(refused("InvalidParameterCombination", why));
            }
            keys.insert(key.to_owned(), json!(value));
        }
    }
    let mut size = request.int("Size")?;
    let mut encrypted = request.flag("Encrypted");
    if let Some(id) = request.text("SnapshotId") {
        let snapshot = own(cloud, request, "aws.ec2-snapshot", id, "InvalidSnapshot.NotFound")?;
        if snapshot.text_or("state", "completed") != "completed" {
            return Err(refused("IncorrectState", format!("Snapshot is in invalid state - {id}")));
        }
        let least = snapshot.int("size").unwrap_or(8);
        if size.is_some_and(|size| size < least) {
            return Err(refused("InvalidParameterValue", "Volume size is smaller than the snapshot's."));
        }
        size = size.or(Some(least));
        encrypted |= snapshot.flag("encrypted") == Some(true);
        keys.insert("snapshot".to_owned(), json!(id));
    }
    let size =
        size.ok_or_else(|| refused("MissingParameter", "The request must contain the parameter size/snapshot"))?;
    for (key, value) in [
        ("size", json!(size)),
        ("type", json!(sort)),
        ("az", json!(zone)),
        ("encrypted", json!(encrypted)),
        ("kms_key", request.text("KmsKeyId").map_or(Value::Null, Value::from)),
        ("multi_attach", json!(request.flag("MultiAttachEnabled"))),
        (TOKEN, json!(format!("{token}\n{asked}"))),
    ] {
        if !value.is_null() {
            keys.insert(key.to_owned(), value);
        }
    }
    let mut volume = Item {
        kind: "aws.ec2-volume".to_owned(),
        account: request.account.clone(),
        region: request.region.clone(),
        id: fresh(cloud, "vol"),
        created: cloud.now,
        tags: tags_of(request)?,
        keys,
    };
    begin(&mut volume, "creating", "available");
    let shown = storage::volume(cloud, &volume);
    cloud.add(volume);
    Ok(shown)
}

/// The named instances, each with the state it is in and the one it goes to.
fn change_instances(
    cloud: &Cloud,
    request: &Request,
    protection: (&str, &str),
    next: impl Fn(&str) -> Option<(&'static str, &'static str)>,
) -> Output {
    let mut changes = Vec::new();
    for id in request.list("InstanceId") {
        let item = own(cloud, request, "aws.ec2-instance", &id, "InvalidInstanceID.NotFound")?;
        let (key, attribute) = protection;
        if !key.is_empty() && item.flag(key) == Some(true) {
            let why = format!(
                "The instance '{id}' may not be changed. Modify its '{attribute}' instance attribute and try again."
            );
            return Err(refused("OperationNotPermitted", why));
        }
        let state = item.text_or("state", "running");
        let (by, to) = next(&state).ok_or_else(|| {
            let why = format!("The instance '{id}' is not in a state from which it can be changed: {state}");
            refused("IncorrectInstanceState", why)
        })?;
        if state != to {
            let ended = matches!(to, "stopped" | "terminated");
            cloud.change(item, move |item| {
                begin(item, by, to);
                if ended {
                    item.keys.remove("reason");
                }
            });
            let now = iso(cloud.now);
            let key = if ended { "stopped_at" } else { "launched" };
            cloud.change(item, move |item| drop(item.keys.insert(key.to_owned(), json!(now))));
        }
        let shown = |state: &str| json!({ "code": super::compute::code(state), "name": state });
        let current = if state == to { to } else { by };
        changes.push(json!({ "instanceId": id, "previousState": shown(&state), "currentState": shown(current) }));
    }
    Ok(json!({ "instancesSet": changes }))
}

pub(super) fn stop_instances(cloud: &Cloud, request: &Request) -> Output {
    for id in request.list("InstanceId") {
        if cloud.find(request, "aws.ec2-instance", &id).is_some_and(|item| item.text("lifecycle") == Some("spot")) {
            let why = format!(
                "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance request."
            );
            return Err(refused("UnsupportedOperation", why));
        }
    }
    change_instances(cloud, request, ("stop_protection", "disableApiStop"), |state| match state {
        "running" | "pending" | "stopping" => Some(("stopping", "stopped")),
        "stopped" => Some(("stopped", "stopped")),
        _ => None,
    })
}

pub(super) fn start_instances(cloud: &Cloud, request: &Request) -> Output {
    change_instances(cloud, request, ("", ""), |state| match state {
        "stopped" | "pending" => Some(("pending", "running")),
        "running" => Some(("running", "running")),
        _ => None,
    })
}

/// Ends instances. The first volume goes along, as it does by default; others are left.
pub(super) fn terminate_instances(cloud: &Cloud, request: &Request) -> Output {
    let output =
        change_instances(cloud, request, ("termination_protection", "disableApiTermination"), |state| match state {
            "terminated" => Some(("terminated", "terminated")),
            _ => Some(("shutting-down", "terminated")),
        })?;
    for id in request.list("InstanceId") {
        let Some(item) = cloud.find(request, "aws.ec2-instance", &id) else { continue };
        for (at, volume) in super::compute::volumes(cloud, item).iter().enumerate() {
            match cloud.find(request, "aws.ec2-volume", volume) {
                Some(volume) if at == 0 => cloud.remove(volume),
                Some(volume) => cloud.change(volume, |volume| drop(volume.keys.remove("attached"))),
                None => {}
            }
        }
        cloud.change(item, |item| drop(item.keys.remove("volumes")));
        for address in cloud.referring("aws.ec2-address", "instance", &id) {
            cloud.change(address, |address| drop(address.keys.remove("instance")));
        }
    }
    Ok(output)
}

pub(super) fn release_address(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("AllocationId").unwrap_or_default();
    let address = own(cloud, request, "aws.ec2-address", id, "InvalidAllocationID.NotFound")?;
    if address.text("service_managed").is_some() {
        return Err(refused("OperationNotPermitted", format!("The address {id} is managed by a service.")));
    }
    if network::association(cloud, address).is_some() {
        return Err(refused("InvalidIPAddress.InUse", format!("Address {id} is in use.")));
    }
    cloud.remove(address);
    Ok(json!({ "return": true }))
}

/// Its addresses are free once it is gone.
pub(super) fn delete_nat_gateway(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("NatGatewayId").unwrap_or_default();
    let gateway = own(cloud, request, "aws.ec2-nat-gateway", id, "NatGatewayNotFound")?;
    cloud.change(gateway, |item| {
        begin(item, "deleting", "deleted");
        item.keys.remove("addresses");
    });
    for address in cloud.referring("aws.ec2-address", "nat", id) {
        cloud.change(address, |address| drop(address.keys.remove("nat")));
    }
    Ok(json!({ "natGatewayId": id }))
}

pub(super) fn delete_network_interface(cloud: &Cloud, request: &Request) -> Output {
    let id = request.text("NetworkInterfaceId").unwrap_or_default();
    let interface = own(cloud, request, "aws.ec2-network-interface", id, "InvalidNetworkInterfaceID.NotFound")?;
    if interface.flag("requester_managed") == Some(true) {
        return Err(refused(
            "OperationNotPermitted",
            format!("You do not have permission to access the interface {id}."),
        ));
    }
    if network::interface_status(cloud, interface) != "available" {
        let why = format!("Network interface '{id}' is currently in use.");
        return Err(refused("InvalidNetworkInterface.InUse", why));
    }
    cloud.remove(interface);
    Ok(json!({ "return": true }))
}

/// What cannot be deleted is told one by one, in an answer that succeeds.
#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
pub(super) fn delete_endpoints(cloud: &Cloud, request: &Request) -> Output {
    let mut unsuccessful = Vec::new();
    for id in request.list("VpcEndpointId") {
        let (code, message) = match cloud.find(request, "aws.ec2-vpc-endpoint", &id) {
            None => ("InvalidVpcEndpointId.NotFound", format!("The Vpc Endpoint Id '{id}' does not exist")),
            Some(item) if item.flag("requester_managed") == Some(true) => {
                ("OperationNotPermitted", format!("Operation is not allowed for requester-managed VPC endpoints {id}"))
            }
            Some(item) => {
                cloud.change(item, |item| begin(item, "deleting", GONE));
                continue;
            }
        };
        unsuccessful.push(json!({ "resourceId": id, "error": { "code": code, "message": message } }));
    }
    Ok(json!({ "unsuccessful": unsuccessful }))
}
