//! Compute Engine v1: aggregated lists by scope, lists of one scope, single resources, regions, zones and
//! the project itself. Resources are named by the organisation file's `id`; links are full URLs.

mod changes;
mod machines;
mod network;

pub(super) use changes::{ROUTES as CHANGES, goes_along};
pub(super) use network::router_id;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::shape::{Place, finished, lean, number, pacific, region_of, regions, uid, zones};
use super::{missing, not_found, operations, page, project_number, unreachable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

const SITE: &str = "https://www.googleapis.com/compute/v1/";

/// The largest page, which is also the default one.
const PAGE: usize = 500;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: "gcp.compute-instance",
        keys: &[
            "uid:text",
            "readers:list",
            "machine_type:text",
            "status:text",
            "disks:list",
            "auto_delete:bool",
            "scratch:int",
            "gpus:int",
            "gpu_type:text",
            "started:time",
            "stopped:time",
            "suspended:time",
            "deletion_protection:bool",
            "spot:bool",
            "addresses:list",
            "internal_address:text",
            "network_tags:list",
            "network:text",
            "subnetwork:text",
            "managed_by:text",
            "metadata:table",
            "service_account:text",
            "resource_policies:list",
            "source_machine_image:text",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-disk",
        keys: &[
            "uid:text",
            "readers:list",
            "size:int",
            "type:text",
            "status:text",
            "users:list",
            "image:text",
            "image_id:text",
            "snapshot:text",
            "snapshot_id:text",
            "source_disk:text",
            "source_disk_id:text",
            "attached:time",
            "detached:time",
            "replica_zones:list",
            "resource_policies:list",
            "iops:int",
            "throughput:int",
            "access_mode:text",
            "async_primary:text",
            "async_secondaries:list",
            "storage_pool:text",
            "licenses:list",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-snapshot",
        keys: &[
            "uid:text",
            "readers:list",
            "size:int",
            "bytes:int",
            "bytes_status:text",
            "source_disk:text",
            "source_disk_id:text",
            "auto_created:bool",
            "policy:text",
            "chain:text",
            "type:text",
            "status:text",
            "locations:list",
            "licenses:list",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-image",
        keys: &[
            "uid:text",
            "readers:list",
            "size:int",
            "bytes:int",
            "family:text",
            "status:text",
            "deprecated:text",
            "replacement:text",
            "source_disk:text",
            "source_disk_id:text",
            "source_image:text",
            "source_image_id:text",
            "source_snapshot:text",
            "source_snapshot_id:text",
            "locations:list",
            "licenses:list",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-machine-image",
        keys: &[
            "uid:text",
            "readers:list",
            "status:text",
            "bytes:int",
            "instance:text",
            "disks:list",
            "machine_type:text",
            "locations:list",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-instance-template",
        keys: &[
            "uid:text",
            "readers:list",
            "machine_type:text",
            "images:list",
            "snapshots:list",
            "disks:list",
            "instance:text",
            "network:text",
            "network_tags:list",
            "metadata:table",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-instance-group-manager",
        keys: &[
            "uid:text",
            "template:text",
            "templates:list",
            "size:int",
            "stopped_size:int",
            "suspended_size:int",
            "base_name:text",
            "target_pools:list",
            "autoscaler:text",
            "stateful:bool",
            "zones:list",
            "description:text",
        ],
    },
    Kind { kind: "gcp.compute-instance-group", keys: &["uid:text", "size:int", "network:text", "description:text"] },
    Kind {
        kind: "gcp.compute-address",
        keys: &[
            "uid:text",
            "address:text",
            "status:text",
            "users:list",
            "type:text",
            "purpose:text",
            "tier:text",
            "ip_version:text",
            "prefix:int",
            "network:text",
            "subnetwork:text",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-forwarding-rule",
        keys: &[
            "uid:text",
            "address:text",
            "target:text",
            "backend_service:text",
            "scheme:text",
            "protocol:text",
            "ports:list",
            "port_range:text",
            "network:text",
            "subnetwork:text",
            "tier:text",
            "psc_status:text",
            "psc_id:text",
            "description:text",
        ],
    },
    Kind { kind: "gcp.compute-router", keys: &["uid:text", "network:text", "description:text"] },
    Kind {
        kind: "gcp.cloud-nat",
        keys: &[
            "router:text",
            "network:text",
            "ips:list",
            "drain_ips:list",
            "type:text",
            "ranges:text",
            "subnetworks:list",
            "min_ports:int",
        ],
    },
    Kind {
        kind: "gcp.compute-backend-service",
        keys: &[
            "uid:text",
            "backends:list",
            "protocol:text",
            "scheme:text",
            "network:text",
            "health_checks:list",
            "healthy:int",
            "unhealthy:int",
            "used_by:list",
            "cdn:bool",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-target-pool",
        keys: &[
            "uid:text",
            "instances:list",
            "health_checks:list",
            "backup:text",
            "healthy:int",
            "unhealthy:int",
            "description:text",
        ],
    },
    Kind {
        kind: "gcp.compute-url-map",
        keys: &["uid:text", "default_service:text", "services:list", "redirect:bool", "description:text"],
    },
    Kind { kind: "gcp.compute-target-http-proxy", keys: &["uid:text", "url_map:text", "description:text"] },
    Kind {
        kind: "gcp.compute-target-https-proxy",
        keys: &["uid:text", "url_map:text", "certificates:list", "description:text"],
    },
    Kind {
        kind: "gcp.compute-target-ssl-proxy",
        keys: &["uid:text", "service:text", "certificates:list", "description:text"],
    },
    Kind { kind: "gcp.compute-target-tcp-proxy", keys: &["uid:text", "service:text", "description:text"] },
];

/// One collection of resources.
struct Collection {
    /// Its name in paths and in permissions.
    name: &'static str,
    /// The organisation file's kind.
    kind: &'static str,
    /// What "compute#" is followed by in an item; with "List" or "AggregatedList" in a list.
    item: &'static str,
    /// Whether the aggregated list says which scopes it could not reach.
    says_unreachable: bool,
    /// The scopes that an aggregated list names even where they are empty.
    scopes: &'static [Scope],
    render: fn(&Cloud, &Item) -> Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Zones,
    Regions,
    Global,
}

use Scope::{Global, Regions, Zones};

#[rustfmt::skip]
const COLLECTIONS: &[Collection] = &[
    Collection { name: "addresses", kind: "gcp.compute-address", item: "address", says_unreachable: true, scopes: &[Regions, Global], render: network::address },
    Collection { name: "backendServices", kind: "gcp.compute-backend-service", item: "backendService", says_unreachable: true, scopes: &[Regions, Global], render: network::backend_service },
    Collection { name: "disks", kind: "gcp.compute-disk", item: "disk", says_unreachable: true, scopes: &[Zones, Regions], render: machines::disk },
    Collection { name: "forwardingRules", kind: "gcp.compute-forwarding-rule", item: "forwardingRule", says_unreachable: true, scopes: &[Regions, Global], render: network::forwarding_rule },
    Collection { name: "images", kind: "gcp.compute-image", item: "image", says_unreachable: false, scopes: &[Global], render: machines::image },
    Collection { name: "instanceGroupManagers", kind: "gcp.compute-instance-group-manager", item: "instanceGroupManager", says_unreachable: true, scopes: &[Zones, Regions], render: machines::group_manager },
    Collection { name: "instanceGroups", kind: "gcp.compute-instance-group", item: "instanceGroup", says_unreachable: true, scopes: &[Zones, Regions], render: machines::group },
    Collection { name: "instanceTemplates", kind: "gcp.compute-instance-template", item: "instanceTemplate", says_unreachable: false, scopes: &[Regions, Global], render: machines::template },
    Collection { name: "instances", kind: "gcp.compute-instance", item: "instance", says_unreachable: true, scopes: &[Zones], render: machines::instance },
    Collection { name: "machineImages", kind: "gcp.compute-machine-image", item: "machineImage", says_unreachable: false, scopes: &[Global], render: machines::machine_image },
    Collection { name: "routers", kind: "gcp.compute-router", item: "router", says_unreachable: true, scopes: &[Regions], render: network::router },
    Collection { name: "snapshots", kind: "gcp.compute-snapshot", item: "snapshot", says_unreachable: false, scopes: &[Global], render: machines::snapshot },
    Collection { name: "targetHttpProxies", kind: "gcp.compute-target-http-proxy", item: "targetHttpProxy", says_unreachable: true, scopes: &[Regions, Global], render: network::url_proxy },
    Collection { name: "targetHttpsProxies", kind: "gcp.compute-target-https-proxy", item: "targetHttpsProxy", says_unreachable: true, scopes: &[Regions, Global], render: network::url_proxy },
    Collection { name: "targetPools", kind: "gcp.compute-target-pool", item: "targetPool", says_unreachable: true, scopes: &[Regions], render: network::target_pool },
    Collection { name: "targetSslProxies", kind: "gcp.compute-target-ssl-proxy", item: "targetSslProxy", says_unreachable: false, scopes: &[Global], render: network::service_proxy },
    Collection { name: "targetTcpProxies", kind: "gcp.compute-target-tcp-proxy", item: "targetTcpProxy", says_unreachable: true, scopes: &[Regions, Global], render: network::service_proxy },
    Collection { name: "urlMaps", kind: "gcp.compute-url-map", item: "urlMap", says_unreachable: true, scopes: &[Regions, Global], render: network::url_map },
];

fn collection(name: &str) -> Option<&'static Collection> {
    COLLECTIONS.iter().find(|known| known.name == name)
}

/// The routes of the collections: first those with an aggregated list, then what each place has under which
/// name. Some collections go by another name in the operations and permissions of their other half.
macro_rules! routes {
    ($( $all:literal, )* ; $( $place:literal $name:literal: $called:literal $permission:literal, )* ; $( $shared:literal $shared_as:literal, )*) => {
        pub(super) const ROUTES: &[Route] = &[
            Route { service: "compute", method: "GET", path: "/compute/v1/projects/{project}", action: "compute.projects.get", permission: "compute.projects.get", handle: project },
            Route { service: "compute", method: "GET", path: "/compute/v1/projects/{project}/regions", action: "compute.regions.list", permission: "compute.regions.list", handle: list_regions },
            Route { service: "compute", method: "GET", path: "/compute/v1/projects/{project}/zones", action: "compute.zones.list", permission: "compute.zones.list", handle: list_zones },
            $( Route {
                service: "compute",
                method: "GET",
                path: concat!("/compute/v1/projects/{project}/aggregated/", $all),
                action: concat!("compute.", $all, ".aggregatedList"),
                permission: concat!("compute.", $all, ".list"),
                handle: aggregated,
            }, )*
            $( Route {
                service: "compute",
                method: "GET",
                path: concat!("/compute/v1/projects/{project}/", $place, "/", $name),
                action: concat!("compute.", $called, ".list"),
                permission: concat!("compute.", $permission, ".list"),
                handle: list,
            }, Route {
                service: "compute",
                method: "GET",
                path: concat!("/compute/v1/projects/{project}/", $place, "/", $name, "/{id}"),
                action: concat!("compute.", $called, ".get"),
                permission: concat!("compute.", $permission, ".get"),
                handle: get,
            }, )*
            $( Route {
                service: "compute",
                method: "GET",
                path: concat!("/compute/v1/projects/{project}/", $shared, "/{id}/getIamPolicy"),
                action: concat!("compute.", $shared_as, ".getIamPolicy"),
                permission: concat!("compute.", $shared_as, ".getIamPolicy"),
                handle: policy,
            }, )*
            Route { service: "compute", method: "POST", path: "/compute/v1/projects/{project}/global/backendServices/{id}/getHealth", action: "compute.backendServices.getHealth", permission: "compute.backendServices.get", handle: health },
            Route { service: "compute", method: "POST", path: "/compute/v1/projects/{project}/regions/{region}/backendServices/{id}/getHealth", action: "compute.regionBackendServices.getHealth", permission: "compute.regionBackendServices.get", handle: health },
            Route { service: "compute", method: "POST", path: "/compute/v1/projects/{project}/regions/{region}/targetPools/{id}/getHealth", action: "compute.targetPools.getHealth", permission: "compute.targetPools.get", handle: health },
        ];
    };
}

routes! {
    "addresses", "backendServices", "disks", "forwardingRules", "instanceGroupManagers", "instanceGroups",
    "instanceTemplates", "instances", "routers", "targetHttpProxies", "targetHttpsProxies", "targetPools",
    "targetTcpProxies", "urlMaps",
    ;
    "regions/{region}" "addresses": "addresses" "addresses",
    "global" "addresses": "globalAddresses" "globalAddresses",
    "global" "backendServices": "backendServices" "backendServices",
    "regions/{region}" "backendServices": "regionBackendServices" "regionBackendServices",
    "zones/{zone}" "disks": "disks" "disks",
    "regions/{region}" "disks": "regionDisks" "disks",
    "regions/{region}" "forwardingRules": "forwardingRules" "forwardingRules",
    "global" "forwardingRules": "globalForwardingRules" "globalForwardingRules",
    "global" "images": "images" "images",
    "zones/{zone}" "instanceGroupManagers": "instanceGroupManagers" "instanceGroupManagers",
    "regions/{region}" "instanceGroupManagers": "regionInstanceGroupManagers" "instanceGroupManagers",
    "zones/{zone}" "instanceGroups": "instanceGroups" "instanceGroups",
    "regions/{region}" "instanceGroups": "regionInstanceGroups" "instanceGroups",
    "global" "instanceTemplates": "instanceTemplates" "instanceTemplates",
    "regions/{region}" "instanceTemplates": "regionInstanceTemplates" "instanceTemplates",
    "zones/{zone}" "instances": "instances" "instances",
    "global" "machineImages": "machineImages" "machineImages",
    "regions/{region}" "routers": "routers" "routers",
    "global" "snapshots": "snapshots" "snapshots",
    "global" "targetHttpProxies": "targetHttpProxies" "targetHttpProxies",
    "regions/{region}" "targetHttpProxies": "regionTargetHttpProxies" "regionTargetHttpProxies",
    "global" "targetHttpsProxies": "targetHttpsProxies" "targetHttpsProxies",
    "regions/{region}" "targetHttpsProxies": "regionTargetHttpsProxies" "regionTargetHttpsProxies",
    "regions/{region}" "targetPools": "targetPools" "targetPools",
    "global" "targetSslProxies": "targetSslProxies" "targetSslProxies",
    "global" "targetTcpProxies": "targetTcpProxies" "targetTcpProxies",
    "regions/{region}" "targetTcpProxies": "regionTargetTcpProxies" "regionTargetTcpProxies",
    "global" "urlMaps": "urlMaps" "urlMaps",
    "regions/{region}" "urlMaps": "regionUrlMaps" "regionUrlMaps",
    ;
    "global/images" "images",
    "global/instanceTemplates" "instanceTemplates",
    "global/machineImages" "machineImages",
    "global/snapshots" "snapshots",
    "zones/{zone}/disks" "disks",
    "zones/{zone}/instances" "instances",
}

/// The collection that a path asks for: the segment after "aggregated", "global" or a place.
fn asked(req: &Req) -> Result<&'static Collection, WireError> {
    let mut parts = req.path.split('/').filter(|part| !part.is_empty()).skip(4);
    let name = match parts.next() {
        Some("zones" | "regions") => parts.nth(1),
        _ => parts.next(),
    };
    name.and_then(collection).ok_or_else(|| missing(req))
}

fn no_filter(req: &Req) -> Result<(), WireError> {
    match req.param("filter") {
        None | Some("") => Ok(()),
        Some(_) => Err(WireError::new(400, "INVALID_ARGUMENT", "The emulator evaluates no filters.")),
    }
}

/// The items of a collection in a project: by place, then in the file's order. A router that is there only
/// through its NAT gateways is made of the first one.
fn items<'a>(cloud: &'a Cloud, project: &str, known: &Collection) -> Vec<&'a Item> {
    let mut items = cloud.list_account(project, known.kind);
    match known.kind {
        "gcp.compute-router" => {
            let mut seen: BTreeSet<(&str, &str)> =
                items.iter().map(|item| (item.region.as_str(), item.id.as_str())).collect();
            for nat in cloud.list_account(project, "gcp.cloud-nat") {
                if seen.insert((nat.region.as_str(), network::router_name(nat))) {
                    items.push(nat);
                }
            }
            items.sort_by(|a, b| a.region.cmp(&b.region));
        }
        // Every managed group has a group of instances of the same name.
        "gcp.compute-instance-group" => {
            items.extend(cloud.list_account(project, "gcp.compute-instance-group-manager"));
            items.sort_by(|a, b| a.region.cmp(&b.region));
        }
        _ => {}
    }
    items
}

fn name_of<'a>(known: &Collection, item: &'a Item) -> &'a str {
    if known.kind == "gcp.compute-router" && item.kind == "gcp.cloud-nat" {
        network::router_name(item)
    } else {
        &item.id
    }
}

fn one<'a>(cloud: &'a Cloud, req: &Req, known: &Collection) -> Result<&'a Item, WireError> {
    if req.is_lost(&req.region) {
        return Err(unreachable(&req.region));
    }
    let (scope, id) = (Place::of(&req.region).path(), req.label("id"));
    let same = |item: &&Item| name_of(known, item) == id && scope_of(item) == scope;
    items(cloud, &req.account, known)
        .into_iter()
        .find(same)
        .ok_or_else(|| not_found(&format!("projects/{}/{scope}/{}/{id}", req.account, known.name)))
}

fn get(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let known = asked(req)?;
    let item = one(cloud, req, known)?;
    operations::watched(cloud, item);
    Ok(Reply::Value((known.render)(cloud, item)))
}

/// Who else may use a resource: the members of its key `readers`.
fn policy(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let known = asked(req)?;
    let readers = one(cloud, req, known)?.list("readers");
    let role = if known.name == "images" { "roles/compute.imageUser" } else { "roles/compute.storageAdmin" };
    let bindings: Vec<Value> =
        (!readers.is_empty()).then(|| json!({ "role": role, "members": readers })).into_iter().collect();
    Ok(Reply::Value(lean(json!({ "version": 1, "etag": "BwWWja0YfJA=", "bindings": bindings }))))
}

fn health(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    network::health(cloud, req, one(cloud, req, asked(req)?)?).map(Reply::Value)
}

fn scope_of(item: &Item) -> String {
    Place::of(&item.region).path()
}

fn aggregated(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let known = asked(req)?;
    no_filter(req)?;
    let project = &req.account;
    let gone = |place: &str| req.is_lost(place) || req.is_warned(place);
    let all: Vec<&Item> = items(cloud, project, known).into_iter().filter(|item| !gone(&item.region)).collect();
    let (part, next) = page(cloud, req, &all, "maxResults", PAGE)?;

    let mut scopes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    if known.scopes.contains(&Zones) {
        scopes.extend(zones(cloud, project).iter().map(|zone| (Place::of(zone).path(), Vec::new())));
    }
    if known.scopes.contains(&Regions) {
        scopes.extend(regions(cloud, project).iter().map(|region| (Place::of(region).path(), Vec::new())));
    }
    if known.scopes.contains(&Global) {
        scopes.insert("global".to_owned(), Vec::new());
    }
    let unreachable: Vec<String> = scopes
        .keys()
        .filter(|scope| scope.rsplit('/').next().is_some_and(|place| req.is_lost(place)))
        .cloned()
        .collect();
    for item in part {
        scopes.entry(scope_of(item)).or_default().push((known.render)(cloud, item));
    }
    let mut shown = Map::new();
    for (scope, items) in scopes {
        if unreachable.contains(&scope) {
            continue;
        }
        let place = scope.rsplit('/').next().unwrap_or_default();
        let inside = if req.is_warned(place) {
            json!({ "warning": warning("UNREACHABLE", &format!("The scope '{scope}' is not reachable."), &scope) })
        } else if items.is_empty() {
            json!({ "warning": warning("NO_RESULTS_ON_PAGE", &format!("There are no results for scope '{scope}' on this page."), &scope) })
        } else {
            json!({ known.name: items })
        };
        shown.insert(scope, inside);
    }
    let path = format!("projects/{project}/aggregated/{}", known.name);
    let kind = match known.name {
        // The one aggregated list whose name is in the plural.
        "urlMaps" => "compute#urlMapsAggregatedList".to_owned(),
        _ => format!("compute#{}AggregatedList", known.item),
    };
    let mut answer = json!({
        "kind": kind,
        "id": path,
        "items": shown,
        "nextPageToken": next,
        "selfLink": format!("{SITE}{path}"),
    });
    if known.says_unreachable && !unreachable.is_empty() {
        answer["unreachables"] = json!(unreachable);
    } else if !unreachable.is_empty() {
        answer["warning"] = warning("UNREACHABLE", "Some scopes are not reachable.", &unreachable.join(","));
    }
    Ok(Reply::Value(lean(answer)))
}

fn warning(code: &str, message: &str, scope: &str) -> Value {
    json!({ "code": code, "message": message, "data": [{ "key": "scope", "value": scope }] })
}

fn list(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let known = asked(req)?;
    no_filter(req)?;
    if req.is_lost(&req.region) {
        return Err(unreachable(&req.region));
    }
    let scope = Place::of(&req.region).path();
    let all: Vec<&Item> =
        items(cloud, &req.account, known).into_iter().filter(|item| scope_of(item) == scope).collect();
    let (part, next) = page(cloud, req, &all, "maxResults", PAGE)?;
    let items: Vec<Value> = part.into_iter().map(|item| (known.render)(cloud, item)).collect();
    Ok(listing(req, &format!("{scope}/{}", known.name), known.item, &items, next))
}

fn listing(req: &Req, path: &str, item: &str, items: &[Value], next: Option<String>) -> Reply {
    let path = format!("projects/{}/{path}", req.account);
    Reply::Value(lean(json!({
        "kind": format!("compute#{item}List"),
        "id": path,
        "items": items,
        "nextPageToken": next,
        "selfLink": format!("{SITE}{path}"),
    })))
}

fn list_regions(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    places(cloud, req, "region", regions(cloud, &req.account))
}

fn list_zones(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    places(cloud, req, "zone", zones(cloud, &req.account))
}

fn places(cloud: &Cloud, req: &Req, item: &str, names: BTreeSet<String>) -> Result<Reply, WireError> {
    no_filter(req)?;
    let names: Vec<String> = names.into_iter().collect();
    let (part, next) = page(cloud, req, &names, "maxResults", PAGE)?;
    let project = &req.account;
    let items: Vec<Value> = part
        .iter()
        .map(|name| {
            let inside: Vec<String> = zones(cloud, project)
                .iter()
                .filter(|zone| item == "region" && region_of(zone) == name)
                .map(|zone| format!("{SITE}projects/{project}/zones/{zone}"))
                .collect();
            json!({
                "kind": format!("compute#{item}"),
                "id": (super::shape::hash(&[item, name]) % 9_000 + 1_000).to_string(),
                "creationTimestamp": "1969-12-31T16:00:00.000-08:00",
                "name": name,
                "description": name,
                "status": if req.is_lost(name) { "DOWN" } else { "UP" },
                "region": (item == "zone").then(|| format!("{SITE}projects/{project}/regions/{}", region_of(name))),
                "zones": inside,
                "selfLink": format!("{SITE}projects/{project}/{item}s/{name}"),
            })
        })
        .collect();
    Ok(listing(req, &format!("{item}s"), item, &items, next))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a handler returns")]
fn project(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let project = &req.account;
    Ok(Reply::Value(json!({
        "kind": "compute#project",
        "id": number(&["project", project]),
        "creationTimestamp": "2020-01-01T00:00:00.000-08:00",
        "name": project,
        "defaultServiceAccount": format!("{}-compute@developer.gserviceaccount.com", project_number(cloud, project)),
        "defaultNetworkTier": "PREMIUM",
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
        "selfLink": format!("{SITE}projects/{project}"),
    })))
}

/// The fields that every resource begins with, and its own after them.
fn resource(item: &Item, kind: &str, name: &str, collection: &str, own: Value) -> Value {
    let place = Place::of(&item.region);
    let link = |place: Place<'_>| format!("{SITE}projects/{}/{}", item.account, place.path());
    let path = format!("projects/{}/{}/{collection}/{name}", item.account, place.path());
    let mut value = json!({
        "kind": format!("compute#{kind}"),
        "id": uid(item),
        "creationTimestamp": pacific(item.created),
        "name": name,
        "description": item.text_or("description", ""),
        "selfLink": format!("{SITE}{path}"),
    });
    match place {
        Place::Zone(_) => value["zone"] = Value::from(link(place)),
        Place::Region(_) => value["region"] = Value::from(link(place)),
        Place::Global => {}
    }
    if let (Value::Object(value), Value::Object(own)) = (&mut value, own) {
        value.extend(own);
    }
    finished(item, value)
}

/// The link that a key's text means: a URL, a path from "projects/" or from the place on, or a bare name of
/// a resource of the kind in the same project, nearest first.
fn link(cloud: &Cloud, item: &Item, kind: &str, collection: &str, text: &str) -> String {
    if text.starts_with("https:") || text.starts_with("//") {
        return text.to_owned();
    }
    if text.starts_with("projects/") {
        return format!("{SITE}{text}");
    }
    if text.starts_with("zones/") || text.starts_with("regions/") || text.starts_with("global/") {
        return format!("{SITE}projects/{}/{text}", item.account);
    }
    if let Some((collection, name)) = text.split_once('/') {
        // "targetHttpProxies/p": a collection in the same place.
        return format!("{SITE}projects/{}/{}/{collection}/{name}", item.account, scope_of(item));
    }
    let found = found(cloud, item, kind, text).map(|found| found.region.as_str());
    let place = found.unwrap_or_else(|| match collection {
        "images" | "snapshots" | "instanceTemplates" | "machineImages" | "healthChecks" | "networks"
        | "sslCertificates" => "global",
        "addresses" | "subnetworks" | "targetPools" | "routers" | "resourcePolicies" => region_of(&item.region),
        _ => &item.region,
    });
    // What is zonal and named by what is not, and is not there: any zone will do, and it is never the same name twice.
    let place = match (collection, Place::of(place)) {
        ("disks" | "instances", Place::Global) => {
            let zone = zones(cloud, &item.account).into_iter().next().unwrap_or_else(|| "us-central1-a".to_owned());
            Place::of(&zone).path()
        }
        (_, place) => place.path(),
    };
    format!("{SITE}projects/{}/{place}/{collection}/{text}", item.account)
}

/// The resource of a kind with a name in an item's project: in the same place, in its region, or anywhere.
fn found<'a>(cloud: &'a Cloud, item: &Item, kind: &'a str, name: &str) -> Option<&'a Item> {
    let all: Vec<&Item> = cloud.with_id(kind, name).filter(|found| found.account == item.account).collect();
    let near = all.iter().find(|found| found.region == item.region);
    let near = near.or_else(|| all.iter().find(|found| found.region == region_of(&item.region)));
    near.or_else(|| all.first()).copied()
}

/// The link that a key means, or null.
fn link_key(cloud: &Cloud, item: &Item, key: &str, kind: &str, collection: &str) -> Value {
    item.text(key).map_or(Value::Null, |text| Value::from(link(cloud, item, kind, collection, text)))
}

/// The links that a key's list means.
fn link_list(cloud: &Cloud, item: &Item, key: &str, kind: &str, collection: &str) -> Vec<String> {
    item.list(key).iter().map(|text| link(cloud, item, kind, collection, text)).collect()
}

/// The items of a kind whose key names this one, by its name or by its path, in the same project.
fn naming<'a>(cloud: &'a Cloud, item: &Item, kind: &str, key: &str, collection: &str) -> Vec<&'a Item> {
    let path = format!("{}/{collection}/{}", scope_of(item), item.id);
    let full = format!("projects/{}/{path}", item.account);
    let mut by_name = cloud.referring(kind, key, &item.id);
    by_name.retain(|other| region_of(&other.region) == region_of(&item.region) || scope_of(item) == "global");
    // A zonal disk belongs to its zone.
    by_name.retain(|other| match (Place::of(&item.region), Place::of(&other.region)) {
        (Place::Zone(own), Place::Zone(zone)) => own == zone,
        _ => true,
    });
    let by_path = cloud.referring(kind, key, &path).into_iter().chain(cloud.referring(kind, key, &full));
    by_name.into_iter().chain(by_path).filter(|other| other.account == item.account).collect()
}

fn self_link(item: &Item, collection: &str) -> String {
    format!("{SITE}projects/{}/{}/{collection}/{}", item.account, scope_of(item), item.id)
}
