//! EC2's instances, launch templates and fleets.
//!
//! | Kind | Key | Default | Meaning |
//! |---|---|---|---|
//! | `aws.ec2-instance` | `state` | running | |
//! | | `type` | t3.micro | |
//! | | `image` | ami-0… made up | |
//! | | `launched` | `created` | |
//! | | `stopped_at` | `launched`, if stopped | becomes the transition reason "User initiated (… GMT)" |
//! | | `reason` | from `stopped_at` | the transition reason itself; "" for none |
//! | | `volumes` | those volumes whose `attached` name it | |
//! | | `interfaces` | those interfaces whose `instance` names it | |
//! | | `lifecycle` | none | spot, … |
//! | | `reservation` | one each | instances with the same value share a reservation |
//! | | `az`, `vpc`, `subnet`, `private_ip` | made up | |
//! | | `platform` | Linux/UNIX | the platform details |
//! | | `profile` | none | the instance profile's ARN |
//! | | `stop_protection`, `termination_protection` | false | its attributes `disableApiStop` and `disableApiTermination` |
//! | | `polls` | 1 | how often a change of its state is seen on its way |
//! | `aws.ec2-launch-template` | `name` | the id | |
//! | | `versions` | one empty one | tables with `image`, `snapshots`, `type`, `description`, `number`, `user_data` |
//! | | `default_version` | 1 | |
//! | `aws.ec2-fleet` | `state` | active | |
//! | | `type` | maintain | instant fleets show only when named |
//! | | `templates` | none | launch template ids, "id:version" for a version |
//! | | `images` | none | of the first template's overrides |
//! | | `target` | 1 | |
//! | `aws.ec2-spot-fleet` | `state` | active | |
//! | | `type` | maintain | |
//! | | `templates`, `images`, `snapshots` | none | images and snapshots are of launch specifications |
//! | | `target` | 1 | |

use serde_json::{Map, Value, json};

use super::{
    Listing, Output, changes, device, made, not_found, one, optional, private_ip, public_ip, subnet, tag_set, vpc, zone,
};
use crate::cloud::{Cloud, Item, texts};
use crate::http::{WireError, time};
use crate::request::Request;
use crate::services::Kind;

pub(super) const INSTANCE: Kind = Kind {
    kind: "aws.ec2-instance",
    keys: &[
        "state:text",
        "type:text",
        "image:text",
        "launched:time",
        "stopped_at:time",
        "reason:text",
        "volumes:list",
        "interfaces:list",
        "lifecycle:text",
        "reservation:text",
        "az:text",
        "vpc:text",
        "subnet:text",
        "private_ip:text",
        "platform:text",
        "profile:text",
        "stop_protection:bool",
        "termination_protection:bool",
        "polls:int",
    ],
};

pub(super) const LAUNCH_TEMPLATE: Kind =
    Kind { kind: "aws.ec2-launch-template", keys: &["name:text", "versions:tables", "default_version:int"] };

pub(super) const FLEET: Kind =
    Kind { kind: "aws.ec2-fleet", keys: &["state:text", "type:text", "templates:list", "images:list", "target:int"] };

pub(super) const SPOT_FLEET: Kind = Kind {
    kind: "aws.ec2-spot-fleet",
    keys: &["state:text", "type:text", "templates:list", "images:list", "snapshots:list", "target:int"],
};

/// What an instance names and what names it, each id once.
fn joined(cloud: &Cloud, item: &Item, own: &str, kind: &str, key: &str) -> Vec<String> {
    let mut ids = item.list(own);
    for other in cloud.referring(kind, key, &item.id) {
        let same = other.account == item.account && other.region == item.region;
        if same && !ids.contains(&other.id) {
            ids.push(other.id.clone());
        }
    }
    ids
}

fn instance_state(item: &Item) -> String {
    item.text_or("state", "running")
}

fn image_of(item: &Item) -> String {
    item.text("image").map_or_else(|| made("ami", &item.account), str::to_owned)
}

fn reservation(item: &Item) -> String {
    item.text("reservation").map_or_else(|| made("r", &item.id), str::to_owned)
}

const INSTANCES: Listing = Listing {
    ids: "InstanceId",
    missing: "InvalidInstanceID.NotFound",
    output: "reservationSet",
    max: 5..=1000,
    clamp: false,
    exclusive: true,
    lookup: |cloud, item, name| match name {
        "instance-id" => one(&item.id),
        "instance-state-name" => one(instance_state(item)),
        "instance-type" => one(item.text_or("type", "t3.micro")),
        "instance-lifecycle" => optional(item.text("lifecycle")),
        "image-id" => one(image_of(item)),
        "availability-zone" => one(zone(item)),
        "vpc-id" => one(vpc(item)),
        "subnet-id" => one(subnet(item)),
        "reservation-id" => one(reservation(item)),
        "block-device-mapping.volume-id" => Some(joined(cloud, item, "volumes", "aws.ec2-volume", "attached")),
        _ => None,
    },
    show: instance,
};

/// Pages count reservations, not instances.
pub(super) fn instances(cloud: &Cloud, request: &Request) -> Output {
    changes::settle(cloud, request, "aws.ec2-instance");
    let items = cloud.list(request, "aws.ec2-instance");
    let items = INSTANCES.select(cloud, request, items)?;
    let mut reservations: Vec<Vec<&Item>> = Vec::with_capacity(items.len());
    let mut shared = std::collections::BTreeMap::new();
    for item in items {
        match item.text("reservation") {
            None => reservations.push(vec![item]),
            Some(id) => {
                let at = *shared.entry(id).or_insert(reservations.len());
                match reservations.get_mut(at) {
                    Some(items) => items.push(item),
                    None => reservations.push(vec![item]),
                }
            }
        }
    }
    let (page, next) = INSTANCES.page(cloud, request, &reservations)?;
    let shown: Vec<Value> = page
        .into_iter()
        .map(|items| {
            let instances: Vec<Value> = items.iter().map(|item| (INSTANCES.show)(cloud, item)).collect();
            json!({
                "reservationId": items.first().map(|item| reservation(item)),
                "ownerId": request.account,
                "groupSet": [],
                "instancesSet": instances,
            })
        })
        .collect();
    Ok(json!({ "reservationSet": shown, "nextToken": next }))
}

/// The number of a state.
pub(super) fn code(state: &str) -> u8 {
    match state {
        "pending" => 0,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        "stopped" => 80,
        _ => 16,
    }
}

/// The volumes of an instance.
pub(super) fn volumes(cloud: &Cloud, item: &Item) -> Vec<String> {
    joined(cloud, item, "volumes", "aws.ec2-volume", "attached")
}

fn instance(cloud: &Cloud, item: &Item) -> Value {
    let state = instance_state(item);
    let code = code(&state);
    let launched = item.time("launched", cloud.now).unwrap_or(item.created);
    let ended = matches!(state.as_str(), "stopped" | "stopping" | "terminated" | "shutting-down");
    let reason = match item.text("reason") {
        Some(reason) => reason.to_owned(),
        None if ended => {
            let at = item.time("stopped_at", cloud.now).unwrap_or(launched);
            format!("User initiated ({})", at.strftime("%Y-%m-%d %H:%M:%S GMT"))
        }
        None => String::new(),
    };
    let devices: Vec<Value> = joined(cloud, item, "volumes", "aws.ec2-volume", "attached")
        .into_iter()
        .enumerate()
        .map(|(at, volume)| {
            json!({
                "deviceName": device(at),
                "ebs": {
                    "volumeId": volume,
                    "status": "attached",
                    "attachTime": time(launched),
                    "deleteOnTermination": at == 0,
                },
            })
        })
        .collect();
    let interfaces: Vec<Value> = joined(cloud, item, "interfaces", "aws.ec2-network-interface", "instance")
        .into_iter()
        .enumerate()
        .map(|(at, id)| {
            json!({
                "networkInterfaceId": id,
                "ownerId": item.account,
                "status": "in-use",
                "subnetId": subnet(item),
                "vpcId": vpc(item),
                "interfaceType": "interface",
                "attachment": {
                    "attachmentId": made("eni-attach", &id),
                    "deviceIndex": at,
                    "status": "attached",
                    "attachTime": time(launched),
                    "deleteOnTermination": at == 0,
                },
            })
        })
        .collect();
    let address = cloud
        .referring("aws.ec2-address", "instance", &item.id)
        .into_iter()
        .find(|address| address.account == item.account && address.region == item.region)
        .map(public_ip);
    let platform = item.text_or("platform", "Linux/UNIX");
    let windows = platform.to_lowercase().starts_with("windows");
    json!({
        "instanceId": item.id,
        "imageId": image_of(item),
        "instanceState": { "code": code, "name": state },
        "privateDnsName": "",
        "dnsName": "",
        "reason": reason,
        "stateReason": ended.then(|| json!({
            "code": "Client.UserInitiatedShutdown",
            "message": "Client.UserInitiatedShutdown: User initiated shutdown",
        })),
        "amiLaunchIndex": 0,
        "instanceType": item.text_or("type", "t3.micro"),
        "instanceLifecycle": item.text("lifecycle"),
        "launchTime": time(launched),
        "placement": { "availabilityZone": zone(item), "tenancy": "default" },
        "monitoring": { "state": "disabled" },
        "subnetId": subnet(item),
        "vpcId": vpc(item),
        "privateIpAddress": private_ip(item),
        "ipAddress": address,
        "architecture": "x86_64",
        "platform": windows.then_some("windows"),
        "platformDetails": platform,
        "rootDeviceType": "ebs",
        "rootDeviceName": device(0),
        "blockDeviceMapping": devices,
        "networkInterfaceSet": interfaces,
        "iamInstanceProfile": item.text("profile").map(|arn| json!({ "arn": arn })),
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "tagSet": tag_set(item),
    })
}

struct Version<'a> {
    template: &'a Item,
    number: i64,
    default: bool,
    latest: bool,
    data: Option<&'a Map<String, Value>>,
}

fn versions(item: &Item) -> Vec<Version<'_>> {
    let default = item.int("default_version").unwrap_or(1);
    let mut versions: Vec<Version<'_>> = item
        .tables("versions")
        .into_iter()
        .enumerate()
        .map(|(at, data)| {
            let number = data.get("number").and_then(Value::as_i64).unwrap_or(at as i64 + 1);
            Version { template: item, number, default: number == default, latest: false, data: Some(data) }
        })
        .collect();
    if versions.is_empty() {
        versions.push(Version { template: item, number: 1, default: true, latest: true, data: None });
    }
    // The newest first, as the API answers.
    versions.sort_by_key(|version| std::cmp::Reverse(version.number));
    versions[0].latest = true;
    versions
}

pub(super) fn launch_templates(cloud: &Cloud, request: &Request) -> Output {
    let mut items = cloud.list(request, "aws.ec2-launch-template");
    let names = request.list("LaunchTemplateName");
    if !names.is_empty() {
        for name in &names {
            if !items.iter().any(|item| item.text_or("name", &item.id) == *name) {
                return Err(not_found("InvalidLaunchTemplateName.NotFoundException", name));
            }
        }
        items.retain(|item| names.contains(&item.text_or("name", &item.id)));
    }
    Listing {
        ids: "LaunchTemplateId",
        missing: "InvalidLaunchTemplateId.NotFound",
        output: "launchTemplates",
        max: 1..=200,
        clamp: false,
        exclusive: false,
        lookup: |_, item, name| match name {
            "launch-template-name" => one(item.text_or("name", &item.id)),
            _ => None,
        },
        show: |_, item| {
            let all = versions(item);
            json!({
                "launchTemplateId": item.id,
                "launchTemplateName": item.text_or("name", &item.id),
                "createTime": item.created(),
                "createdBy": format!("arn:aws:iam::{}:root", item.account),
                "defaultVersionNumber": item.int("default_version").unwrap_or(1),
                "latestVersionNumber": all[0].number,
                "tagSet": tag_set(item),
            })
        },
    }
    .answer(cloud, request, items)
}

/// With a template its versions, all or those asked for; without one the latest or the default
/// versions of every template.
pub(super) fn launch_template_versions(cloud: &Cloud, request: &Request) -> Output {
    let items = cloud.list(request, "aws.ec2-launch-template");
    let wanted = request.list("LaunchTemplateVersion");
    let (id, name) = (request.text("LaunchTemplateId"), request.text("LaunchTemplateName"));
    let templates: Vec<&Item> = match (id, name) {
        (Some(_), Some(_)) => {
            return Err(WireError::new(
                400,
                "InvalidParameterCombination",
                "The parameter LaunchTemplateId cannot be used with the parameter LaunchTemplateName",
            ));
        }
        (Some(id), None) => vec![
            items
                .into_iter()
                .find(|item| item.id == id)
                .ok_or_else(|| not_found("InvalidLaunchTemplateId.NotFound", id))?,
        ],
        (None, Some(name)) => vec![
            items
                .into_iter()
                .find(|item| item.text_or("name", &item.id) == name)
                .ok_or_else(|| not_found("InvalidLaunchTemplateName.NotFoundException", name))?,
        ],
        (None, None) => {
            let general =
                !wanted.is_empty() && wanted.iter().all(|version| version == "$Latest" || version == "$Default");
            if !general {
                return Err(WireError::new(
                    400,
                    "MissingParameter",
                    "Without a launch template the versions must be $Latest, $Default or both.",
                ));
            }
            items
        }
    };
    let (lowest, highest) = (request.int("MinVersion")?, request.int("MaxVersion")?);
    let mut found = Vec::new();
    for template in templates {
        for version in versions(template) {
            let named = wanted.is_empty()
                || wanted.iter().any(|wanted| match wanted.as_str() {
                    "$Latest" => version.latest,
                    "$Default" => version.default,
                    number => number == version.number.to_string(),
                });
            let bounded =
                lowest.is_none_or(|low| version.number >= low) && highest.is_none_or(|high| version.number <= high);
            if named && bounded {
                found.push((template, version.number));
            }
        }
    }
    let max = request.max("MaxResults", 1..=200)?.unwrap_or(200);
    let (found, next) = cloud.page(&found, Some(max), request.text("NextToken"))?;
    let shown: Vec<Value> = found
        .into_iter()
        .filter_map(|(template, number)| {
            versions(template)
                .into_iter()
                .find(|version| version.number == number)
                .map(|version| show_version(&version))
        })
        .collect();
    Ok(json!({ "launchTemplateVersionSet": shown, "nextToken": next }))
}

fn show_version(version: &Version<'_>) -> Value {
    let item = version.template;
    let get = |key: &str| version.data.and_then(|data| data.get(key));
    let text = |key: &str| get(key).and_then(Value::as_str);
    let devices: Vec<Value> = texts(get("snapshots"))
        .into_iter()
        .enumerate()
        .map(|(at, snapshot)| json!({ "deviceName": device(at), "ebs": { "snapshotId": snapshot } }))
        .collect();
    json!({
        "launchTemplateId": item.id,
        "launchTemplateName": item.text_or("name", &item.id),
        "versionNumber": version.number,
        "versionDescription": text("description"),
        "createTime": item.created(),
        "createdBy": format!("arn:aws:iam::{}:root", item.account),
        "defaultVersion": version.default,
        "launchTemplateData": {
            "imageId": text("image"),
            "instanceType": text("type"),
            "blockDeviceMappingSet": devices,
            "userData": text("user_data"),
        },
    })
}

/// A launch template's specification, "id" or "id:version".
fn specification(text: &str) -> Value {
    let (id, version) = text.split_once(':').unwrap_or((text, "$Default"));
    json!({ "launchTemplateId": id, "version": version })
}

pub(super) fn fleets(cloud: &Cloud, request: &Request) -> Output {
    let mut items = cloud.list(request, "aws.ec2-fleet");
    if request.list("FleetId").is_empty() {
        items.retain(|item| item.text("type") != Some("instant"));
    }
    Listing {
        ids: "FleetId",
        missing: "InvalidFleetId.NotFound",
        output: "fleetSet",
        max: 1..=1000,
        clamp: true,
        exclusive: false,
        lookup: |_, item, name| match name {
            "fleet-state" => one(item.text_or("state", "active")),
            "type" => one(item.text_or("type", "maintain")),
            _ => None,
        },
        show: |_, item| {
            let overrides: Vec<Value> = item
                .list("images")
                .into_iter()
                .map(|image| json!({ "imageId": image, "instanceType": "t3.micro" }))
                .collect();
            let configs: Vec<Value> = item
                .list("templates")
                .iter()
                .enumerate()
                .map(|(at, template)| {
                    json!({
                        "launchTemplateSpecification": specification(template),
                        "overrides": if at == 0 { overrides.clone() } else { Vec::new() },
                    })
                })
                .collect();
            let target = item.int("target").unwrap_or(1);
            json!({
                "fleetId": item.id,
                "activityStatus": "fulfilled",
                "createTime": item.created(),
                "fleetState": item.text_or("state", "active"),
                "fulfilledCapacity": target,
                "launchTemplateConfigs": configs,
                "targetCapacitySpecification": {
                    "totalTargetCapacity": target,
                    "onDemandTargetCapacity": target,
                    "spotTargetCapacity": 0,
                    "defaultTargetCapacityType": "on-demand",
                },
                "type": item.text_or("type", "maintain"),
                "replaceUnhealthyInstances": false,
                "tagSet": tag_set(item),
            })
        },
    }
    .answer(cloud, request, items)
}

pub(super) fn spot_fleets(cloud: &Cloud, request: &Request) -> Output {
    Listing {
        ids: "SpotFleetRequestId",
        missing: "InvalidSpotFleetRequestId.NotFound",
        output: "spotFleetRequestConfigSet",
        max: 1..=1000,
        clamp: false,
        exclusive: false,
        lookup: |_, _, _| None,
        show: spot_fleet,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-spot-fleet"))
}

fn spot_fleet(_: &Cloud, item: &Item) -> Value {
    let devices: Vec<Value> = item
        .list("snapshots")
        .into_iter()
        .enumerate()
        .map(|(at, id)| json!({ "deviceName": device(at), "ebs": { "snapshotId": id } }))
        .collect();
    let launch: Vec<Value> = item
        .list("images")
        .into_iter()
        .map(|image| {
            json!({
                "imageId": image,
                "instanceType": "t3.micro",
                "blockDeviceMapping": devices,
            })
        })
        .collect();
    let templates: Vec<Value> = item
        .list("templates")
        .iter()
        .map(|template| json!({ "launchTemplateSpecification": specification(template) }))
        .collect();
    let target = item.int("target").unwrap_or(1);
    json!({
        "spotFleetRequestId": item.id,
        "spotFleetRequestState": item.text_or("state", "active"),
        "activityStatus": "fulfilled",
        "createTime": item.created(),
        "spotFleetRequestConfig": {
            "iamFleetRole": format!("arn:aws:iam::{}:role/aws-ec2-spot-fleet-tagging-role", item.account),
            "allocationStrategy": "lowestPrice",
            "launchSpecifications": launch,
            "launchTemplateConfigs": templates,
            "targetCapacity": target,
            "fulfilledCapacity": target,
            "type": item.text_or("type", "maintain"),
        },
        "tagSet": tag_set(item),
    })
}
