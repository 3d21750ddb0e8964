//! Addresses, load balancers' parts and routers.

use serde_json::{Value, json};

use super::{SITE, link, link_key, link_list, naming, resource, scope_of, self_link};
use crate::cloud::{Cloud, Item};
use crate::gcp::address as address_of;
use crate::gcp::shape::{Place, fingerprint, labels, lean, number};
use crate::http::WireError;
use crate::rest::Req;

pub(super) fn address(cloud: &Cloud, item: &Item) -> Value {
    let mut users: Vec<String> = link_list(cloud, item, "users", "gcp.compute-instance", "instances");
    let by = |kind: &'static str, key: &str| naming(cloud, item, kind, key, "addresses");
    users.extend(by("gcp.compute-instance", "addresses").iter().map(|user| self_link(user, "instances")));
    users.extend(by("gcp.compute-forwarding-rule", "address").iter().map(|user| self_link(user, "forwardingRules")));
    users.extend(
        by("gcp.cloud-nat", "ips")
            .iter()
            .map(|nat| format!("{SITE}projects/{}/{}/routers/{}", nat.account, scope_of(nat), router_name(nat))),
    );
    let status = item.text("status").unwrap_or(if users.is_empty() { "RESERVED" } else { "IN_USE" });
    let kind = item.text("type").unwrap_or("EXTERNAL");
    let internal = kind == "INTERNAL";
    resource(
        item,
        "address",
        &item.id,
        "addresses",
        json!({
            "address": address_of(item),
            "status": status,
            "users": users,
            "addressType": kind,
            "purpose": item.text("purpose").or(internal.then_some("GCE_ENDPOINT")),
            "networkTier": item.text("tier").or((!internal).then_some("PREMIUM")),
            "ipVersion": item.text("ip_version").or((Place::of(&item.region) == Place::Global).then_some("IPV4")),
            "prefixLength": item.int("prefix"),
            "network": link_key(cloud, item, "network", "", "networks"),
            "subnetwork": link_key(cloud, item, "subnetwork", "", "subnetworks"),
            "labels": labels(item),
            "labelFingerprint": fingerprint(item),
        }),
    )
}

pub(super) fn forwarding_rule(cloud: &Cloud, item: &Item) -> Value {
    let ports = item.list("ports");
    let text = item.text("address");
    let own = text.and_then(|name| super::found(cloud, item, "gcp.compute-address", name));
    let ip = own.map(address_of).or_else(|| text.map(str::to_owned)).unwrap_or_else(|| address_of(item));
    // A bare name is that of a proxy or of a pool of the file.
    let target = item.text("target").map(|target| {
        let known = [
            ("gcp.compute-target-http-proxy", "targetHttpProxies"),
            ("gcp.compute-target-https-proxy", "targetHttpsProxies"),
            ("gcp.compute-target-ssl-proxy", "targetSslProxies"),
            ("gcp.compute-target-tcp-proxy", "targetTcpProxies"),
            ("gcp.compute-target-pool", "targetPools"),
        ];
        let there = known.iter().find(|(kind, _)| super::found(cloud, item, kind, target).is_some());
        let (kind, collection) = there.copied().unwrap_or(("", "targetHttpProxies"));
        link(cloud, item, kind, collection, target)
    });
    let scheme = item.text("scheme").unwrap_or("EXTERNAL");
    let internal = scheme.starts_with("INTERNAL");
    resource(
        item,
        "forwardingRule",
        &item.id,
        "forwardingRules",
        json!({
            "IPAddress": ip,
            "IPProtocol": item.text("protocol").unwrap_or("TCP"),
            "portRange": item.text("port_range"),
            "ports": ports,
            "target": target,
            "backendService": link_key(cloud, item, "backend_service", "gcp.compute-backend-service", "backendServices"),
            "loadBalancingScheme": scheme,
            "networkTier": item.text("tier").unwrap_or("PREMIUM"),
            "network": item.text("network").or(internal.then_some("default")).map(|network| link(cloud, item, "", "networks", network)),
            "subnetwork": link_key(cloud, item, "subnetwork", "", "subnetworks"),
            "pscConnectionId": item.text("psc_id"),
            "pscConnectionStatus": item.text("psc_status"),
            "fingerprint": "0ylJ4X3gtcg=",
            "labels": labels(item),
            "labelFingerprint": fingerprint(item),
        }),
    )
}

/// The router of a NAT gateway.
pub(super) fn router_name(nat: &Item) -> &str {
    nat.text("router").unwrap_or("router")
}

/// The numeric id of a router, or of the router of a NAT gateway.
pub(in crate::gcp) fn router_id(cloud: &Cloud, item: &Item) -> String {
    let name = if item.kind == "gcp.cloud-nat" { router_name(item) } else { &item.id };
    let own = cloud
        .with_id("gcp.compute-router", name)
        .find(|router| router.account == item.account && router.region == item.region)
        .and_then(|router| router.text("uid"));
    own.map_or_else(|| number(&["router", &item.account, &item.region, name]), str::to_owned)
}

/// A router, also one that is there only through its NAT gateways.
pub(super) fn router(cloud: &Cloud, item: &Item) -> Value {
    let name = if item.kind == "gcp.cloud-nat" { router_name(item) } else { &item.id };
    let nats: Vec<Value> = cloud
        .list_in(&item.account, &item.region, "gcp.cloud-nat")
        .into_iter()
        .filter(|nat| router_name(nat) == name)
        .map(|nat| {
            let ips = link_list(cloud, nat, "ips", "gcp.compute-address", "addresses");
            let subnetworks: Vec<Value> = link_list(cloud, nat, "subnetworks", "", "subnetworks")
                .into_iter()
                .map(|subnetwork| json!({ "name": subnetwork, "sourceIpRangesToNat": ["ALL_IP_RANGES"] }))
                .collect();
            let ranges = if subnetworks.is_empty() { "ALL_SUBNETWORKS_ALL_IP_RANGES" } else { "LIST_OF_SUBNETWORKS" };
            crate::gcp::shape::finished(
                nat,
                json!({
                    "name": nat.id,
                    "type": nat.text("type").unwrap_or("PUBLIC"),
                    "natIpAllocateOption": if ips.is_empty() { "AUTO_ONLY" } else { "MANUAL_ONLY" },
                    "natIps": ips,
                    "drainNatIps": link_list(cloud, nat, "drain_ips", "gcp.compute-address", "addresses"),
                    "sourceSubnetworkIpRangesToNat": nat.text("ranges").unwrap_or(ranges),
                    "subnetworks": subnetworks,
                    "minPortsPerVm": nat.int("min_ports").unwrap_or(64),
                    "enableEndpointIndependentMapping": false,
                    "endpointTypes": ["ENDPOINT_TYPE_VM"],
                }),
            )
        })
        .collect();
    let mut shown = item.clone();
    if item.kind == "gcp.cloud-nat" {
        // `raw` and `without` of a NAT gateway are its own and not the router's.
        shown.keys.remove("raw");
        shown.keys.remove("without");
    }
    resource(
        &shown,
        "router",
        name,
        "routers",
        json!({
            "id": router_id(cloud, item),
            "network": link(cloud, item, "", "networks", item.text("network").unwrap_or("default")),
            "nats": nats,
        }),
    )
}

pub(super) fn backend_service(cloud: &Cloud, item: &Item) -> Value {
    let scheme = item.text("scheme").unwrap_or("EXTERNAL");
    let backends: Vec<Value> = item
        .list("backends")
        .iter()
        .map(|text| {
            let manager = super::found(cloud, item, "gcp.compute-instance-group-manager", text);
            let group = match manager {
                Some(manager) => {
                    format!("{SITE}projects/{}/{}/instanceGroups/{}", item.account, scope_of(manager), manager.id)
                }
                None => link(cloud, item, "gcp.compute-instance-group", "instanceGroups", text),
            };
            json!({ "group": group, "balancingMode": "UTILIZATION", "capacityScaler": 1 })
        })
        .collect();
    let used_by: Vec<Value> = item
        .list("used_by")
        .iter()
        .map(|text| json!({ "reference": link(cloud, item, "gcp.compute-url-map", "urlMaps", text) }))
        .collect();
    resource(
        item,
        "backendService",
        &item.id,
        "backendServices",
        json!({
            "backends": backends,
            "protocol": item.text("protocol").unwrap_or("HTTP"),
            "loadBalancingScheme": scheme,
            "healthChecks": link_list(cloud, item, "health_checks", "", "healthChecks"),
            "network": link_key(cloud, item, "network", "", "networks"),
            "usedBy": used_by,
            "enableCDN": item.flag("cdn").unwrap_or(false),
            "port": 80,
            "portName": "http",
            "timeoutSec": 30,
            "sessionAffinity": "NONE",
            "fingerprint": "3TqQ6t5mRUc=",
        }),
    )
}

pub(super) fn target_pool(cloud: &Cloud, item: &Item) -> Value {
    let instances: Vec<String> = item
        .list("instances")
        .iter()
        .map(|name| match super::found(cloud, item, "gcp.compute-instance", name) {
            Some(instance) => self_link(instance, "instances"),
            // An instance that is gone stays in its pool.
            None if name.contains('/') => link(cloud, item, "gcp.compute-instance", "instances", name),
            None => format!("{SITE}projects/{}/zones/{}-a/instances/{name}", item.account, item.region),
        })
        .collect();
    resource(
        item,
        "targetPool",
        &item.id,
        "targetPools",
        json!({
            "instances": instances,
            "healthChecks": link_list(cloud, item, "health_checks", "", "httpHealthChecks"),
            "backupPool": link_key(cloud, item, "backup", "gcp.compute-target-pool", "targetPools"),
            "sessionAffinity": "NONE",
        }),
    )
}

pub(super) fn url_map(cloud: &Cloud, item: &Item) -> Value {
    let services = link_list(cloud, item, "services", "gcp.compute-backend-service", "backendServices");
    let default = link_key(cloud, item, "default_service", "gcp.compute-backend-service", "backendServices");
    let redirect = item.flag("redirect") == Some(true);
    let matchers: Vec<Value> = services
        .iter()
        .enumerate()
        .map(|(at, service)| {
            json!({
                "name": format!("matcher{at}"),
                "defaultService": service,
                "pathRules": [{ "paths": [format!("/{at}/*")], "service": service }],
            })
        })
        .collect();
    let hosts: Vec<Value> = (0..matchers.len())
        .map(|at| json!({ "hosts": [format!("h{at}.example.com")], "pathMatcher": format!("matcher{at}") }))
        .collect();
    resource(
        item,
        "urlMap",
        &item.id,
        "urlMaps",
        json!({
            "defaultService": default,
            "defaultUrlRedirect": redirect.then(|| json!({ "httpsRedirect": true, "stripQuery": false })),
            "hostRules": hosts,
            "pathMatchers": matchers,
            "fingerprint": "aH4cBTnJdJs=",
        }),
    )
}

pub(super) fn url_proxy(cloud: &Cloud, item: &Item) -> Value {
    let secure = item.kind == "gcp.compute-target-https-proxy";
    let (kind, collection) =
        if secure { ("targetHttpsProxy", "targetHttpsProxies") } else { ("targetHttpProxy", "targetHttpProxies") };
    resource(
        item,
        kind,
        &item.id,
        collection,
        json!({
            "urlMap": link_key(cloud, item, "url_map", "gcp.compute-url-map", "urlMaps"),
            "sslCertificates": secure.then(|| link_list(cloud, item, "certificates", "", "sslCertificates")),
            "quicOverride": secure.then_some("NONE"),
        }),
    )
}

pub(super) fn service_proxy(cloud: &Cloud, item: &Item) -> Value {
    let secure = item.kind == "gcp.compute-target-ssl-proxy";
    let (kind, collection) =
        if secure { ("targetSslProxy", "targetSslProxies") } else { ("targetTcpProxy", "targetTcpProxies") };
    resource(
        item,
        kind,
        &item.id,
        collection,
        json!({
            "service": link_key(cloud, item, "service", "gcp.compute-backend-service", "backendServices"),
            "sslCertificates": secure.then(|| link_list(cloud, item, "certificates", "", "sslCertificates")),
            "proxyHeader": "NONE",
        }),
    )
}

/// What the health checks of a backend service or of a target pool say: as many healthy and unhealthy
/// instances as its keys, in the group or for the instance that was asked about.
pub(super) fn health(cloud: &Cloud, req: &Req, item: &Item) -> Result<Value, WireError> {
    let pool = item.kind == "gcp.compute-target-pool";
    let body = req.json().unwrap_or_default();
    let asked = body.get(if pool { "instance" } else { "group" }).and_then(Value::as_str);
    let asked = asked.ok_or_else(|| WireError::new(400, "INVALID_ARGUMENT", "Required field is not specified."))?;
    let (healthy, unhealthy) = (item.int("healthy").unwrap_or(0), item.int("unhealthy").unwrap_or(0));
    let zone = super::zones(cloud, &item.account).into_iter().next().unwrap_or_default();
    let one = |at: i64, state: &str| {
        json!({
            "healthState": state,
            "instance": if pool { asked.to_owned() } else { format!("{SITE}projects/{}/zones/{zone}/instances/i{at}", item.account) },
            "port": 80,
        })
    };
    let up = (0..healthy.clamp(0, 1000)).map(|at| one(at, "HEALTHY"));
    let statuses: Vec<Value> = up.chain((0..unhealthy.clamp(0, 1000)).map(|at| one(at, "UNHEALTHY"))).collect();
    let kind = if pool { "compute#targetPoolInstanceHealth" } else { "compute#backendServiceGroupHealth" };
    Ok(lean(json!({ "kind": kind, "healthStatus": statuses })))
}
