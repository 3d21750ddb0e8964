//! EC2: dispatch, and what its operations share. The kinds and their keys are documented in
//! `ec2/storage.rs`, `ec2/compute.rs` and `ec2/network.rs`.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::org::is_account_id;
use crate::request::Request;
use crate::services::{Kind, invalid_action};

mod changes;
mod compute;
mod network;
mod storage;

/// The kinds of EC2: those of the three files, which `const` cannot join by itself.
pub(crate) const KINDS: &[Kind] = &[
    compute::INSTANCE,
    compute::LAUNCH_TEMPLATE,
    compute::FLEET,
    compute::SPOT_FLEET,
    network::ADDRESS,
    network::INTERFACE,
    network::NAT_GATEWAY,
    network::ROUTE_TABLE,
    network::ENDPOINT,
    network::SECURITY_GROUP,
    storage::VOLUME,
    storage::SNAPSHOT,
    storage::IMAGE,
];

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let action = match request.action.as_str() {
        "DescribeRegions" => regions,
        "DescribeTags" => tags,
        "DescribeInstances" => compute::instances,
        "DescribeLaunchTemplates" => compute::launch_templates,
        "DescribeLaunchTemplateVersions" => compute::launch_template_versions,
        "DescribeFleets" => compute::fleets,
        "DescribeSpotFleetRequests" => compute::spot_fleets,
        "DescribeAddresses" => network::addresses,
        "DescribeNetworkInterfaces" => network::interfaces,
        "DescribeNatGateways" => network::nat_gateways,
        "DescribeRouteTables" => network::route_tables,
        "DescribeVpcEndpoints" => network::endpoints,
        "DescribeSecurityGroups" => network::security_groups,
        "DescribeVolumes" => storage::volumes,
        "DescribeSnapshots" => storage::snapshots,
        "DescribeSnapshotAttribute" => storage::snapshot_attribute,
        "DescribeLockedSnapshots" => storage::locked_snapshots,
        "ListSnapshotsInRecycleBin" => storage::recycled_snapshots,
        "DescribeImages" => storage::images,
        "DescribeImageAttribute" => storage::image_attribute,
        "ListImagesInRecycleBin" => storage::recycled_images,
        "CreateTags" => changes::create_tags,
        "DeleteTags" => changes::delete_tags,
        "CreateSnapshot" => changes::create_snapshot,
        "DeleteSnapshot" => changes::delete_snapshot,
        "RestoreSnapshotFromRecycleBin" => changes::restore_snapshot,
        "CreateVolume" => changes::create_volume,
        "DeleteVolume" => changes::delete_volume,
        "DeregisterImage" => changes::deregister_image,
        "RestoreImageFromRecycleBin" => changes::restore_image,
        "StopInstances" => changes::stop_instances,
        "StartInstances" => changes::start_instances,
        "TerminateInstances" => changes::terminate_instances,
        "ReleaseAddress" => changes::release_address,
        "DeleteNatGateway" => changes::delete_nat_gateway,
        "DeleteNetworkInterface" => changes::delete_network_interface,
        "DeleteVpcEndpoints" => changes::delete_endpoints,
        _ => return Err(invalid_action(request)),
    };
    if request.flag("DryRun") {
        return Err(WireError::new(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."));
    }
    action(cloud, request).map(Reply::Value)
}

type Output = Result<Value, WireError>;

/// The values that a resource has for a filter; `None` for a filter that the operation lacks.
type Lookup = fn(&Cloud, &Item, &str) -> Option<Vec<String>>;

/// How an operation lists resources.
struct Listing {
    /// The parameter that names resources.
    ids: &'static str,
    /// The error's code if a named resource is missing.
    missing: &'static str,
    /// The output's list.
    output: &'static str,
    /// The bounds of MaxResults.
    max: RangeInclusive<i64>,
    /// Whether more than the upper bound counts as the bound.
    clamp: bool,
    /// Whether naming resources rules MaxResults out.
    exclusive: bool,
    lookup: Lookup,
    show: fn(&Cloud, &Item) -> Value,
}

impl Listing {
    fn answer(&self, cloud: &Cloud, request: &Request, items: Vec<&Item>) -> Output {
        let items = self.select(cloud, request, items)?;
        let (items, next) = self.page(cloud, request, &items)?;
        let shown: Vec<Value> = items.into_iter().map(|item| (self.show)(cloud, item)).collect();
        Ok(json!({ self.output: shown, "nextToken": next }))
    }

    /// The resources that the request names and its filters let through.
    fn select<'a>(
        &self,
        cloud: &Cloud,
        request: &Request,
        mut items: Vec<&'a Item>,
    ) -> Result<Vec<&'a Item>, WireError> {
        let ids = request.list(self.ids);
        if !ids.is_empty() {
            if self.exclusive && request.text("MaxResults").is_some() {
                return Err(WireError::new(
                    400,
                    "InvalidParameterCombination",
                    format!("The parameter {} cannot be used with the parameter maxResults", self.ids),
                ));
            }
            for id in &ids {
                if !items.iter().any(|item| item.id == *id) {
                    return Err(not_found(self.missing, id));
                }
            }
            items.retain(|item| ids.contains(&item.id));
        }
        for (name, values) in request.filters() {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let found = lookup(cloud, item, &name, self.lookup).ok_or_else(|| {
                    WireError::new(400, "InvalidParameterValue", format!("The filter '{name}' is invalid"))
                })?;
                let passes = found.iter().any(|found| values.iter().any(|pattern| matches(pattern, found)));
                if passes {
                    kept.push(item);
                }
            }
            items = kept;
        }
        Ok(items)
    }

    fn page<T: Clone>(
        &self,
        cloud: &Cloud,
        request: &Request,
        items: &[T],
    ) -> Result<(Vec<T>, Option<String>), WireError> {
        let upper = *self.max.end();
        let max = match request.int("MaxResults")? {
            Some(asked) if self.clamp && asked > upper => usize::try_from(upper).ok(),
            Some(_) => request.max("MaxResults", self.max.clone())?,
            None => usize::try_from(upper).ok(),
        };
        cloud.page(items, max, request.text("NextToken"))
    }
}

fn lookup(cloud: &Cloud, item: &Item, name: &str, own: Lookup) -> Option<Vec<String>> {
    if let Some(key) = name.strip_prefix("tag:") {
        return Some(item.tags.get(key).cloned().into_iter().collect());
    }
    match name {
        "tag-key" => Some(item.tags.keys().cloned().collect()),
        "tag-value" => Some(item.tags.values().cloned().collect()),
        _ => own(cloud, item, name),
    }
}

/// Whether a filter's value, in which "*" and "?" are wild, covers a text.
fn matches(pattern: &str, text: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        return pattern == text;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            // Let the last star swallow one character more and try again.
            _ => match &mut star {
                Some((at, swallowed)) => {
                    *swallowed += 1;
                    p = *at + 1;
                    t = *swallowed;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn not_found(code: &str, id: &str) -> WireError {
    WireError::new(400, code, format!("The ID '{id}' does not exist"))
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of a lookup is this or None")]
fn one(text: impl Into<String>) -> Option<Vec<String>> {
    Some(vec![text.into()])
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of a lookup is this or None")]
fn optional(text: Option<&str>) -> Option<Vec<String>> {
    Some(text.map(str::to_owned).into_iter().collect())
}

/// The name of the device at a position.
pub(crate) fn device(at: usize) -> String {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    match at {
        0 => "/dev/xvda".to_owned(),
        1..26 => format!("/dev/sd{}", letter(at)),
        _ => format!("/dev/xvd{}{}", letter(at / 26), letter(at)),
    }
}

/// An id that is always the same for a seed: for what short entries leave out.
fn made(prefix: &str, seed: &str) -> String {
    format!("{prefix}-0{:016x}", hash(seed))
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn zone(item: &Item) -> String {
    item.text("az").map_or_else(|| format!("{}a", item.region), str::to_owned)
}

fn vpc(item: &Item) -> String {
    item.text("vpc").map_or_else(|| made("vpc", &format!("{}{}", item.account, item.region)), str::to_owned)
}

fn subnet(item: &Item) -> String {
    item.text("subnet").map_or_else(|| made("subnet", &format!("{}{}", item.account, item.region)), str::to_owned)
}

fn private_ip(item: &Item) -> String {
    item.text("private_ip").map_or_else(
        || {
            let bytes = hash(&item.id).to_be_bytes();
            format!("10.{}.{}.{}", bytes[5], bytes[6], bytes[7])
        },
        str::to_owned,
    )
}

fn public_ip(item: &Item) -> String {
    item.text("ip").map_or_else(
        || {
            // 198.18.0.0/15 is set aside for benchmarks: nobody's address.
            let bytes = hash(&item.id).to_be_bytes();
            format!("198.{}.{}.{}", 18 + bytes[5] % 2, bytes[6], bytes[7])
        },
        str::to_owned,
    )
}

fn tag_set(item: &Item) -> Value {
    item.tag_list("key", "value")
}

/// Who a snapshot or an image is shared with: "all", account ids, ARNs of the organisation.
fn permissions(item: &Item) -> Vec<Value> {
    item.list("shared")
        .into_iter()
        .map(|with| {
            let name = if is_account_id(&with) {
                "userId"
            } else if with.contains(":organization/") {
                "organizationArn"
            } else if with.contains(":ou/") {
                "organizationalUnitArn"
            } else {
                "group"
            };
            let mut permission = Map::new();
            permission.insert(name.to_owned(), Value::String(with));
            Value::Object(permission)
        })
        .collect()
}

fn owner(item: &Item) -> String {
    item.text_or("owner", &item.account)
}

const REGIONS: &[(&str, bool)] = &[
    ("af-south-1", true),
    ("ap-east-1", true),
    ("ap-east-2", true),
    ("ap-northeast-1", false),
    ("ap-northeast-2", false),
    ("ap-northeast-3", false),
    ("ap-south-1", false),
    ("ap-south-2", true),
    ("ap-southeast-1", false),
    ("ap-southeast-2", false),
    ("ap-southeast-3", true),
    ("ap-southeast-4", true),
    ("ap-southeast-5", true),
    ("ap-southeast-7", true),
    ("ca-central-1", false),
    ("ca-west-1", true),
    ("eu-central-1", false),
    ("eu-central-2", true),
    ("eu-north-1", false),
    ("eu-south-1", true),
    ("eu-south-2", true),
    ("eu-west-1", false),
    ("eu-west-2", false),
    ("eu-west-3", false),
    ("il-central-1", true),
    ("me-central-1", true),
    ("me-south-1", true),
    ("mx-central-1", true),
    ("sa-east-1", false),
    ("us-east-1", false),
    ("us-east-2", false),
    ("us-west-1", false),
    ("us-west-2", false),
];

/// The regions. The account's file entry lists the enabled ones; every other region counts as not
/// opted in, also those that cannot be opted out of in AWS.
fn regions(cloud: &Cloud, request: &Request) -> Output {
    let enabled: &[String] = cloud.account(&request.account).map_or(&[], |account| &account.regions);
    let mut names: Vec<&str> = REGIONS.iter().map(|(name, _)| *name).collect();
    for name in enabled {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let wanted = request.list("RegionName");
    for name in &wanted {
        if !names.contains(&name.as_str()) {
            return Err(WireError::new(400, "InvalidParameterValue", format!("Invalid region provided: {name}")));
        }
    }
    let all = request.flag("AllRegions");
    let filters = request.filters();
    let mut shown = Vec::new();
    for name in names {
        let here = enabled.iter().any(|known| known == name);
        if (!here && !all) || !(wanted.is_empty() || wanted.iter().any(|known| known == name)) {
            continue;
        }
        let opted = REGIONS.iter().any(|(known, opt)| *known == name && *opt);
        let status = match (here, opted) {
            (false, _) => "not-opted-in",
            (true, true) => "opted-in",
            (true, false) => "opt-in-not-required",
        };
        let endpoint = format!("ec2.{name}.amazonaws.com");
        let mut passes = true;
        for (filter, values) in &filters {
            let value = match filter.as_str() {
                "region-name" => name,
                "opt-in-status" => status,
                "endpoint" => &endpoint,
                _ => {
                    return Err(WireError::new(
                        400,
                        "InvalidParameterValue",
                        format!("The filter '{filter}' is invalid"),
                    ));
                }
            };
            passes &= values.iter().any(|pattern| matches(pattern, value));
        }
        if passes {
            shown.push(json!({
                "optInStatus": status,
                "regionName": name,
                "regionEndpoint": endpoint,
            }));
        }
    }
    Ok(json!({ "regionInfo": shown }))
}

/// The resource types of DescribeTags.
const TAGGED: &[(&str, &str)] = &[
    ("aws.ec2-address", "elastic-ip"),
    ("aws.ec2-fleet", "fleet"),
    ("aws.ec2-image", "image"),
    ("aws.ec2-instance", "instance"),
    ("aws.ec2-launch-template", "launch-template"),
    ("aws.ec2-nat-gateway", "natgateway"),
    ("aws.ec2-network-interface", "network-interface"),
    ("aws.ec2-route-table", "route-table"),
    ("aws.ec2-snapshot", "snapshot"),
    ("aws.ec2-spot-fleet", "spot-fleet-request"),
    ("aws.ec2-volume", "volume"),
    ("aws.ec2-vpc-endpoint", "vpc-endpoint"),
];

fn tags(cloud: &Cloud, request: &Request) -> Output {
    let filters = request.filters();
    let mut found = Vec::new();
    for (kind, name) in TAGGED {
        for item in cloud.list(request, kind) {
            for (key, value) in &item.tags {
                let mut passes = true;
                for (filter, values) in &filters {
                    let actual = match filter.as_str() {
                        "key" => key,
                        "resource-id" => &item.id,
                        "resource-type" => *name,
                        "value" => value,
                        other if other.strip_prefix("tag:") == Some(key) => value,
                        other if other.starts_with("tag:") => {
                            passes = false;
                            continue;
                        }
                        _ => {
                            return Err(WireError::new(
                                400,
                                "InvalidParameterValue",
                                format!("The filter '{filter}' is invalid"),
                            ));
                        }
                    };
                    passes &= values.iter().any(|pattern| matches(pattern, actual));
                }
                if passes {
                    found.push((*name, item, key, value));
                }
            }
        }
    }
    let max = match request.int("MaxResults")? {
        Some(asked) if asked > 1000 => Some(1000),
        _ => request.max("MaxResults", 5..=1000)?,
    };
    let (found, next) = cloud.page(&found, max.or(Some(1000)), request.text("NextToken"))?;
    let shown: Vec<Value> = found
        .into_iter()
        .map(|(name, item, key, value)| {
            json!({ "resourceType": name, "resourceId": item.id, "key": key, "value": value })
        })
        .collect();
    Ok(json!({ "tagSet": shown, "nextToken": next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        assert!(matches("a*c", "abc") && matches("*", "") && matches("a?c*", "abcd"));
        assert!(matches("*b*b", "abab") && matches("é*", "éa"));
        assert!(!matches("a?", "a") && !matches("a*c", "abd") && !matches("", "a"));
    }

    #[test]
    fn devices() {
        assert_eq!(device(0), "/dev/xvda");
        assert_eq!(device(25), "/dev/sdz");
        assert_eq!(device(26), "/dev/xvdba");
    }
}
