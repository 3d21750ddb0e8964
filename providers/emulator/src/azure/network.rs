//! Network: addresses, interfaces, balancers, gateways, security groups.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.network-public-ip` | `address` | made up | "" for a dynamic one that nobody uses |
//! | | `sku`, `allocation` | `Standard`, `Static` | |
//! | | `ip_configuration` | by others' `public_ips` | the ARM id of the configuration that it belongs to |
//! | | `prefix` | none | the prefix it is taken of |
//! | | `dns` | none | its DNS label |
//! | `azure.network-interface` | `vm` | by the machines' `nics` | a machine |
//! | | `public_ips` | none | |
//! | | `nsg` | none | a security group |
//! | | `subnet` | `vnet/default` | `<network>/<subnet>` or an ARM id |
//! | | `pools` | none | backend pools of load balancers, `<balancer>/<pool>` |
//! | | `private_endpoint`, `private_link_service` | none | ARM ids |
//! | | `hosted` | none | `hostedWorkloads` |
//! | `azure.network-load-balancer` | `sku` | `Standard` | |
//! | | `public_ips` | none | its frontends; without any it has a private one |
//! | | `pools` | one, `pool`, empty | tables: `name`, `addresses` (members by address), `members` (ARM ids of configurations) |
//! | | `rules`, `inbound_nat`, `outbound` | 1, 0, 0 | how many rules |
//! | `azure.network-nat-gateway` | `public_ips`, `prefixes` | none | |
//! | `azure.network-security-group` | `rules` | 0 | how many of its own |
//! | `azure.network-virtual-network` | `prefix` | `10.0.0.0/16` | |
//! | | `subnets` | one, `default` | tables: `name`, `prefix`, `nsg`, `nat`, `delegation` |
//! | | `ddos_plan` | none | |
//! | `azure.network-application-gateway` | `tier`, `capacity`, `state` | `Standard_v2`, 2, `Running` | |
//! | | `public_ips` | none | |
//! | | `pools` | one, `pool`, empty | as of load balancers; `addresses` may be names |
//! | | `redirects` | 0 | |
//! | `azure.network-vpn-gateway` | `type`, `sku` | `Vpn`, `VpnGw1` | a virtual network gateway; `type` may be `ExpressRoute` |
//! | | `public_ips` | none | |
//! | | `point_to_site` | false | |
//! | `azure.network-connection` | `gateway` | | the gateway |
//! | | `gateway2`, `circuit` | none | the other end |
//! | | `status` | `Connected` | |
//! | `azure.network-expressroute-circuit` | `provider_state` | `Provisioned` | |
//! | | `sku`, `bandwidth`, `peerings` | `Standard_MeteredData`, 50, none | |
//! | `azure.network-expressroute-gateway` | `connections` | none | ARM ids of circuits' peerings |
//! | | `units` | 1 | |
//! | `azure.network-firewall` | `tier`, `public_ips` | `Standard`, none | without an address it is deallocated |
//! | | `policy` | none | an ARM id |
//! | `azure.network-ddos-plan` | | | protects the networks that name it |

use serde_json::{Map, Value, json};

use super::arm::{self, Type, find, guid, listed, reference, referrers, target};
use super::writes::{self, asked_to, lacking, removable};
use crate::cloud::{Cloud, Item, texts};
use crate::http::{Reply, WireError};
use crate::org::hash;
use crate::rest::{Req, Route};
use crate::services::Kind;

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.network-public-ip", keys: &[
        "address:text", "sku:text", "allocation:text", "ip_configuration:text", "prefix:text", "dns:text",
    ] },
    Kind { kind: "azure.network-interface", keys: &[
        "vm:text", "public_ips:list", "nsg:text", "subnet:text", "pools:list", "private_endpoint:text",
        "private_link_service:text", "hosted:list",
    ] },
    Kind { kind: "azure.network-load-balancer", keys: &[
        "sku:text", "public_ips:list", "pools:tables", "rules:int", "inbound_nat:int", "outbound:int",
    ] },
    Kind { kind: "azure.network-nat-gateway", keys: &["public_ips:list", "prefixes:list"] },
    Kind { kind: "azure.network-security-group", keys: &["rules:int"] },
    Kind { kind: "azure.network-virtual-network", keys: &["prefix:text", "subnets:tables", "ddos_plan:text"] },
    Kind { kind: "azure.network-application-gateway", keys: &[
        "tier:text", "capacity:int", "state:text", "public_ips:list", "pools:tables", "redirects:int",
    ] },
    Kind { kind: "azure.network-vpn-gateway", keys: &[
        "type:text", "sku:text", "public_ips:list", "point_to_site:bool",
    ] },
    Kind { kind: "azure.network-connection", keys: &[
        "gateway:text", "gateway2:text", "circuit:text", "status:text",
    ] },
    Kind { kind: "azure.network-expressroute-circuit", keys: &[
        "provider_state:text", "sku:text", "bandwidth:int", "peerings:list",
    ] },
    Kind { kind: "azure.network-expressroute-gateway", keys: &["connections:list", "units:int"] },
    Kind { kind: "azure.network-firewall", keys: &["tier:text", "public_ips:list", "policy:text"] },
    Kind { kind: "azure.network-ddos-plan", keys: &[] },
];

pub(super) const LINKS: &[(&str, &str)] = &[
    ("azure.compute-vm", "nics"),
    ("azure.network-application-gateway", "public_ips"),
    ("azure.network-firewall", "public_ips"),
    ("azure.network-interface", "nsg"),
    ("azure.network-interface", "pools"),
    ("azure.network-interface", "public_ips"),
    ("azure.network-load-balancer", "public_ips"),
    ("azure.network-nat-gateway", "public_ips"),
    ("azure.network-virtual-network", "ddos_plan"),
    ("azure.network-vpn-gateway", "public_ips"),
];

static ADDRESS: Type = Type::top("azure.network-public-ip", "Microsoft.Network/publicIPAddresses", address);
static INTERFACE: Type = Type::top("azure.network-interface", "Microsoft.Network/networkInterfaces", interface);
static BALANCER: Type = Type::top("azure.network-load-balancer", "Microsoft.Network/loadBalancers", balancer);
static NAT: Type = Type::top("azure.network-nat-gateway", "Microsoft.Network/natGateways", nat);
static GROUP: Type =
    Type::top("azure.network-security-group", "Microsoft.Network/networkSecurityGroups", security_group);
static NETWORK: Type = Type::top("azure.network-virtual-network", "Microsoft.Network/virtualNetworks", network);
static APPLICATION: Type =
    Type::top("azure.network-application-gateway", "Microsoft.Network/applicationGateways", application);
static GATEWAY: Type = Type::top("azure.network-vpn-gateway", "Microsoft.Network/virtualNetworkGateways", gateway);
static CONNECTION: Type = Type::top("azure.network-connection", "Microsoft.Network/connections", connection);
static CIRCUIT: Type =
    Type::top("azure.network-expressroute-circuit", "Microsoft.Network/expressRouteCircuits", circuit);
static EXPRESS: Type =
    Type::top("azure.network-expressroute-gateway", "Microsoft.Network/expressRouteGateways", express);
static FIREWALL: Type = Type::top("azure.network-firewall", "Microsoft.Network/azureFirewalls", firewall);
static DDOS: Type = Type::top("azure.network-ddos-plan", "Microsoft.Network/ddosProtectionPlans", ddos);

pub(super) static TYPES: &[&Type] = &[
    &ADDRESS,
    &INTERFACE,
    &BALANCER,
    &NAT,
    &GROUP,
    &NETWORK,
    &APPLICATION,
    &GATEWAY,
    &CONNECTION,
    &CIRCUIT,
    &EXPRESS,
    &FIREWALL,
    &DDOS,
];

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(ADDRESS, "Microsoft.Network", "publicIPAddresses", "PublicIPAddresses", "ListAll", "List"),
    listed!(INTERFACE, "Microsoft.Network", "networkInterfaces", "NetworkInterfaces", "ListAll", "List"),
    listed!(BALANCER, "Microsoft.Network", "loadBalancers", "LoadBalancers", "ListAll", "List"),
    listed!(NAT, "Microsoft.Network", "natGateways", "NatGateways", "ListAll", "List"),
    listed!(GROUP, "Microsoft.Network", "networkSecurityGroups", "NetworkSecurityGroups", "ListAll", "List"),
    listed!(NETWORK, "Microsoft.Network", "virtualNetworks", "VirtualNetworks", "ListAll", "List"),
    listed!(APPLICATION, "Microsoft.Network", "applicationGateways", "ApplicationGateways", "ListAll", "List"),
    // Virtual network gateways and connections have no list by subscription: only Resource Graph has.
    listed!(GATEWAY, "Microsoft.Network", "virtualNetworkGateways", "VirtualNetworkGateways", "", "List").split_at(1).1,
    listed!(CONNECTION, "Microsoft.Network", "connections", "VirtualNetworkGatewayConnections", "", "List").split_at(1).1,
    listed!(CIRCUIT, "Microsoft.Network", "expressRouteCircuits", "ExpressRouteCircuits", "ListAll", "List"),
    listed!(EXPRESS, "Microsoft.Network", "expressRouteGateways", "ExpressRouteGateways", "ListBySubscription", "ListByResourceGroup"),
    listed!(FIREWALL, "Microsoft.Network", "azureFirewalls", "AzureFirewalls", "ListAll", "List"),
    listed!(DDOS, "Microsoft.Network", "ddosProtectionPlans", "DdosProtectionPlans", "List", "ListByResourceGroup"),
    removable!(ADDRESS, "Microsoft.Network", "publicIPAddresses", "Microsoft.Network/publicIPAddresses/delete", "PublicIPAddresses", address_free),
    removable!(INTERFACE, "Microsoft.Network", "networkInterfaces", "Microsoft.Network/networkInterfaces/delete", "NetworkInterfaces", interface_free),
    removable!(BALANCER, "Microsoft.Network", "loadBalancers", "Microsoft.Network/loadBalancers/delete", "LoadBalancers", writes::always),
    removable!(NAT, "Microsoft.Network", "natGateways", "Microsoft.Network/natGateways/delete", "NatGateways", nat_free),
    &[
        asked_to!("PUT", "Microsoft.Network", "networkInterfaces/{name}", "Microsoft.Network/networkInterfaces/write", "NetworkInterfaces_CreateOrUpdate", |cloud, req| put(cloud, req, &INTERFACE)),
        asked_to!("PUT", "Microsoft.Network", "loadBalancers/{name}", "Microsoft.Network/loadBalancers/write", "LoadBalancers_CreateOrUpdate", |cloud, req| put(cloud, req, &BALANCER)),
        asked_to!("PUT", "Microsoft.Network", "natGateways/{name}", "Microsoft.Network/natGateways/write", "NatGateways_CreateOrUpdate", |cloud, req| put(cloud, req, &NAT)),
    ],
];

/// Whether an address may be deleted: nothing has it.
fn address_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    let own = &arm::show(cloud, &ADDRESS, item)["properties"];
    match own["ipConfiguration"]["id"].as_str().or(own["natGateway"]["id"].as_str()) {
        None => Ok(()),
        Some(holder) => Err(WireError::new(
            400,
            "PublicIPAddressCannotBeDeleted",
            format!(
                "Public IP address {} can not be deleted since it is still allocated to resource {holder}. In order to delete the public IP, disassociate/detach the Public IP address from the resource.",
                arm::id(item)
            ),
        )),
    }
}

/// Whether an interface may be deleted: no machine and no service has it.
fn interface_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    let own = &arm::show(cloud, &INTERFACE, item)["properties"];
    if let Some(endpoint) = own["privateEndpoint"]["id"].as_str() {
        return Err(WireError::new(
            400,
            "CannotDeletePrivateEndpointNetworkInterface",
            format!("Network interface {} is of the private endpoint {endpoint} and goes with it.", arm::id(item)),
        ));
    }
    match own["virtualMachine"]["id"].as_str().or(own["privateLinkService"]["id"].as_str()) {
        None => Ok(()),
        Some(holder) => Err(WireError::new(
            400,
            "NicInUse",
            format!(
                "Network Interface {} is used by existing resource {holder}. In order to delete the network interface, it must be dissociated from the resource.",
                arm::id(item)
            ),
        )),
    }
}

/// Whether a NAT gateway may be deleted: no subnet sends through it.
fn nat_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    match subnets_with(cloud, item, "nat").len() {
        0 => Ok(()),
        subnets => Err(WireError::new(
            400,
            "CannotDeleteNatGatewayAssociatedToSubnet",
            format!(
                "NAT Gateway {} is still configured on {subnets} subnets. Remove NAT Gateway from all referenced subnets and then delete NAT Gateway.",
                arm::id(item)
            ),
        )),
    }
}

/// The ids at the end of a path through objects and lists, wherever it leads.
fn ids_at(value: &Value, path: &[&str]) -> Vec<String> {
    match (value, path) {
        (Value::Array(all), _) => all.iter().flat_map(|one| ids_at(one, path)).collect(),
        (value, [next, rest @ ..]) => value.get(next).map(|value| ids_at(value, rest)).unwrap_or_default(),
        (value, []) => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// Makes a resource of what it is to be, or says what there is under its name.
fn put(cloud: &Cloud, req: &Req, known: &'static Type) -> Result<Reply, WireError> {
    match arm::one(cloud, req, known) {
        Ok(item) => {
            writes::unlocked(cloud, &item.account, &arm::id(item), false)?;
            return Ok(Reply::Value(arm::show(cloud, known, item)));
        }
        Err(error) if error.code == "ResourceNotFound" => {}
        Err(error) => return Err(error),
    }
    let body = req.json().unwrap_or_default();
    let region = body["location"].as_str().ok_or_else(|| lacking("location"))?.to_ascii_lowercase().replace(' ', "");
    let own = &body["properties"];
    let mut addresses = Vec::new();
    for part in ["ipConfigurations", "frontendIPConfigurations"] {
        addresses.extend(ids_at(own, &[part, "properties", "publicIPAddress", "id"]));
    }
    addresses.extend(ids_at(own, &["publicIpAddresses", "id"]));
    for id in &addresses {
        let found = cloud.list_account(&req.account, "azure.network-public-ip");
        if !found.iter().any(|item| arm::id(item).eq_ignore_ascii_case(id)) {
            let message = format!("Resource {id} referenced by the resource was not found.");
            return Err(WireError::new(400, "InvalidResourceReference", message));
        }
    }
    let mut keys = Map::new();
    // They are named by name, by which others' indexes find them.
    let names: Vec<&str> = addresses.iter().map(|id| id.rsplit('/').next().unwrap_or(id)).collect();
    keys.insert("public_ips".to_owned(), json!(names));
    for (key, path) in [
        ("nsg", &["networkSecurityGroup", "id"][..]),
        ("subnet", &["ipConfigurations", "properties", "subnet", "id"][..]),
    ] {
        if let Some(id) = ids_at(own, path).first() {
            keys.insert(key.to_owned(), json!(id));
        }
    }
    for (key, path) in [
        ("pools", &["ipConfigurations", "properties", "loadBalancerBackendAddressPools", "id"][..]),
        ("prefixes", &["publicIpPrefixes", "id"][..]),
    ] {
        keys.insert(key.to_owned(), json!(ids_at(own, path)));
    }
    if known.kind == BALANCER.kind {
        let pools = ids_at(own, &["backendAddressPools", "name"]);
        keys.insert("pools".to_owned(), pools.iter().map(|name| json!({ "name": name })).collect());
    }
    if let Some(sku) = body["sku"]["name"].as_str() {
        keys.insert("sku".to_owned(), json!(sku));
    }
    writes::create(cloud, req, known, &region, keys)
}

fn properties(item: &Item, mut own: Value) -> Value {
    own["provisioningState"] = json!("Succeeded");
    own["resourceGuid"] = json!(item.text("unique_id").map_or_else(|| guid(&arm::id(item)), str::to_owned));
    own
}

/// The configurations that an address may belong to: whose, and what they are called there.
const HOLDERS: &[(&str, &str)] = &[
    ("azure.network-interface", "ipConfigurations"),
    ("azure.network-load-balancer", "frontendIPConfigurations"),
    ("azure.network-application-gateway", "frontendIPConfigurations"),
    ("azure.network-vpn-gateway", "ipConfigurations"),
    ("azure.network-firewall", "azureFirewallIpConfigurations"),
];

/// The ARM id of the configuration that an address belongs to, by the resources that name it.
fn holder(cloud: &Cloud, item: &Item) -> Option<String> {
    HOLDERS.iter().find_map(|(kind, configurations)| {
        let owners = referrers(cloud, item, kind, "public_ips");
        let owner = owners.first()?;
        let own = arm::id(item);
        let at = owner
            .list("public_ips")
            .iter()
            .position(|named| target(cloud, owner, "azure.network-public-ip", named).eq_ignore_ascii_case(&own))?;
        Some(format!("{}/{configurations}/config{at}", arm::id(owner)))
    })
}

fn address(cloud: &Cloud, item: &Item) -> Value {
    let seed = hash(&arm::id(item));
    let made_up = format!("20.{}.{}.{}", seed >> 8 & 0xff, seed >> 16 & 0xff, seed >> 24 & 0xff);
    let ip = item.text_or("address", &made_up);
    let mut own = json!({
        "publicIPAddressVersion": "IPv4",
        "publicIPAllocationMethod": item.text_or("allocation", "Static"),
        "idleTimeoutInMinutes": 4,
        "ipTags": [],
    });
    if !ip.is_empty() {
        own["ipAddress"] = json!(ip);
    }
    if let Some(id) = item.text("ip_configuration").map(str::to_owned).or_else(|| holder(cloud, item)) {
        own["ipConfiguration"] = reference(id);
    }
    if let Some(nat) = referrers(cloud, item, "azure.network-nat-gateway", "public_ips").first() {
        own["natGateway"] = reference(arm::id(nat));
    }
    if let Some(id) = item.text("prefix") {
        own["publicIPPrefix"] = reference(id);
    }
    if let Some(label) = item.text("dns") {
        let fqdn = format!("{label}.{}.cloudapp.azure.com", item.region);
        own["dnsSettings"] = json!({ "domainNameLabel": label, "fqdn": fqdn });
    }
    json!({ "sku": { "name": item.text_or("sku", "Standard"), "tier": "Regional" }, "properties": properties(item, own) })
}

/// The ARM id of a part, "<resource>/<part>", of a resource of a kind.
fn part(cloud: &Cloud, item: &Item, kind: &str, parts: &str, named: &str) -> String {
    if named.starts_with('/') {
        return named.to_owned();
    }
    let (owner, name) = named.split_once('/').unwrap_or((named, "default"));
    format!("{}/{parts}/{name}", target(cloud, item, kind, owner))
}

fn subnet_id(cloud: &Cloud, item: &Item, named: &str) -> String {
    part(cloud, item, "azure.network-virtual-network", "subnets", named)
}

fn interface(cloud: &Cloud, item: &Item) -> Value {
    let id = arm::id(item);
    let subnet = reference(subnet_id(cloud, item, &item.text_or("subnet", "vnet/default")));
    let pools: Vec<Value> = item
        .list("pools")
        .iter()
        .map(|named| reference(part(cloud, item, "azure.network-load-balancer", "backendAddressPools", named)))
        .collect();
    let addresses = item.list("public_ips");
    let configurations: Vec<Value> = (0..addresses.len().max(1))
        .map(|at| {
            let mut own = json!({
                "provisioningState": "Succeeded",
                "privateIPAddress": format!("10.0.{}.{}", hash(&id) % 256, 4 + at),
                "privateIPAllocationMethod": "Dynamic",
                "privateIPAddressVersion": "IPv4",
                "primary": at == 0,
                "subnet": subnet,
            });
            if let Some(named) = addresses.get(at) {
                own["publicIPAddress"] = reference(target(cloud, item, "azure.network-public-ip", named));
            }
            if at == 0 && !pools.is_empty() {
                own["loadBalancerBackendAddressPools"] = json!(pools);
            }
            let name = format!("config{at}");
            json!({
                "name": name,
                "id": format!("{id}/ipConfigurations/{name}"),
                "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                "properties": own,
            })
        })
        .collect();
    let mut own = json!({
        "ipConfigurations": configurations,
        "dnsSettings": { "dnsServers": [], "appliedDnsServers": [] },
        "enableAcceleratedNetworking": false,
        "enableIPForwarding": false,
        "hostedWorkloads": item.list("hosted"),
        "tapConfigurations": [],
        "nicType": "Standard",
    });
    let machine = match item.text("vm") {
        Some(named) => Some(target(cloud, item, "azure.compute-vm", named)),
        None => referrers(cloud, item, "azure.compute-vm", "nics").first().map(|vm| arm::id(vm)),
    };
    if let Some(machine) = machine {
        own["virtualMachine"] = reference(machine);
        own["primary"] = json!(true);
        own["macAddress"] = json!("00-0D-3A-00-00-01");
    }
    if let Some(named) = item.text("nsg") {
        own["networkSecurityGroup"] = reference(target(cloud, item, "azure.network-security-group", named));
    }
    for (key, name) in [("private_endpoint", "privateEndpoint"), ("private_link_service", "privateLinkService")] {
        if let Some(id) = item.text(key) {
            own[name] = reference(id);
        }
    }
    json!({ "kind": "Regular", "properties": properties(item, own) })
}

/// The tables of a key, or one that says nothing but a name.
fn tables(item: &Item, key: &str, name: &str) -> Vec<Map<String, Value>> {
    if item.keys.contains_key(key) {
        item.tables(key).into_iter().cloned().collect()
    } else {
        vec![Map::from_iter([("name".to_owned(), json!(name))])]
    }
}

fn name_of(table: &Map<String, Value>) -> String {
    table.get("name").and_then(Value::as_str).unwrap_or("pool").to_owned()
}

fn references(ids: &[String]) -> Vec<Value> {
    ids.iter().map(|id| reference(id.as_str())).collect()
}

/// The frontends of a balancer or application gateway.
fn frontends(cloud: &Cloud, item: &Item) -> Vec<Value> {
    let id = arm::id(item);
    let shown = |at: usize, own: Value| {
        let name = format!("config{at}");
        json!({ "name": name, "id": format!("{id}/frontendIPConfigurations/{name}"), "properties": own })
    };
    let addresses = item.list("public_ips");
    if addresses.is_empty() {
        let subnet = reference(subnet_id(cloud, item, "vnet/default"));
        return vec![shown(0, json!({ "privateIPAllocationMethod": "Dynamic", "subnet": subnet }))];
    }
    let all = addresses.iter().enumerate().map(|(at, named)| {
        let address = reference(target(cloud, item, "azure.network-public-ip", named));
        shown(at, json!({ "privateIPAllocationMethod": "Dynamic", "publicIPAddress": address }))
    });
    all.collect()
}

fn balancer(cloud: &Cloud, item: &Item) -> Value {
    let id = arm::id(item);
    let frontends = frontends(cloud, item);
    let pools: Vec<Value> = tables(item, "pools", "pool")
        .iter()
        .map(|table| {
            let name = name_of(table);
            let mut members = texts(table.get("members"));
            let mut named = cloud.referring("azure.network-interface", "pools", &format!("{}/{name}", item.id));
            named.retain(|interface| {
                find(cloud, interface, "azure.network-load-balancer", &item.id)
                    .is_some_and(|found| arm::id(found) == id)
            });
            members.extend(named.into_iter().map(|interface| format!("{}/ipConfigurations/config0", arm::id(interface))));
            let mut addresses: Vec<Value> = members
                .iter()
                .enumerate()
                .map(|(at, member)| {
                    json!({ "name": format!("member{at}"), "properties": { "networkInterfaceIPConfiguration": reference(member.as_str()) } })
                })
                .collect();
            addresses.extend(
                texts(table.get("addresses"))
                    .iter()
                    .map(|ip| json!({ "name": ip, "properties": { "ipAddress": ip } })),
            );
            let mut own = json!({ "provisioningState": "Succeeded", "loadBalancerBackendAddresses": addresses });
            if !members.is_empty() {
                own["backendIPConfigurations"] = json!(references(&members));
            }
            json!({
                "name": name,
                "id": format!("{id}/backendAddressPools/{name}"),
                "type": "Microsoft.Network/loadBalancers/backendAddressPools",
                "properties": own,
            })
        })
        .collect();
    let first = pools.first().and_then(|pool| pool.get("id")).cloned();
    let frontend = frontends.first().and_then(|frontend| frontend.get("id")).cloned();
    let rules = |key: &str, default: i64, kind: &str| -> Vec<Value> {
        (0..item.int(key).unwrap_or(default))
            .map(|at| {
                let name = format!("rule{at}");
                json!({
                    "name": name,
                    "id": format!("{id}/{kind}/{name}"),
                    "properties": {
                        "frontendIPConfiguration": { "id": frontend },
                        "backendAddressPool": { "id": first },
                        "frontendPort": 443 + at,
                        "backendPort": 443,
                        "protocol": "Tcp",
                    },
                })
            })
            .collect()
    };
    let own = json!({
        "frontendIPConfigurations": frontends,
        "backendAddressPools": pools,
        "loadBalancingRules": rules("rules", 1, "loadBalancingRules"),
        "probes": [],
        "inboundNatRules": rules("inbound_nat", 0, "inboundNatRules"),
        "inboundNatPools": [],
        "outboundRules": rules("outbound", 0, "outboundRules"),
    });
    json!({ "sku": { "name": item.text_or("sku", "Standard"), "tier": "Regional" }, "properties": properties(item, own) })
}

/// The ids of the subnets that name a resource by a key.
fn subnets_with(cloud: &Cloud, item: &Item, key: &str) -> Vec<Value> {
    let own = arm::id(item);
    let mut found = Vec::new();
    for network in cloud.list_account(&item.account, "azure.network-virtual-network") {
        for table in tables(network, "subnets", "default") {
            let names = table.get(key).and_then(Value::as_str);
            if names.is_some_and(|named| target(cloud, network, &item.kind, named).eq_ignore_ascii_case(&own)) {
                found.push(reference(format!("{}/subnets/{}", arm::id(network), name_of(&table))));
            }
        }
    }
    found
}

fn nat(cloud: &Cloud, item: &Item) -> Value {
    let addresses: Vec<Value> = item
        .list("public_ips")
        .iter()
        .map(|named| reference(target(cloud, item, "azure.network-public-ip", named)))
        .collect();
    let mut own = json!({ "idleTimeoutInMinutes": 4 });
    let subnets = subnets_with(cloud, item, "nat");
    let prefixes = references(&item.list("prefixes"));
    for (name, values) in [("publicIpAddresses", addresses), ("publicIpPrefixes", prefixes), ("subnets", subnets)] {
        if !values.is_empty() {
            own[name] = json!(values);
        }
    }
    json!({ "sku": { "name": "Standard" }, "properties": properties(item, own) })
}

fn security_group(cloud: &Cloud, item: &Item) -> Value {
    let rules: Vec<Value> = (0..item.int("rules").unwrap_or(0))
        .map(|at| {
            json!({
                "name": format!("rule{at}"),
                "properties": {
                    "access": "Allow", "direction": "Inbound", "priority": 100 + at, "protocol": "Tcp",
                    "sourceAddressPrefix": "*", "sourcePortRange": "*",
                    "destinationAddressPrefix": "*", "destinationPortRange": "443",
                },
            })
        })
        .collect();
    let mut own = json!({ "securityRules": rules, "defaultSecurityRules": [] });
    let interfaces: Vec<Value> = referrers(cloud, item, "azure.network-interface", "nsg")
        .into_iter()
        .map(|interface| reference(arm::id(interface)))
        .collect();
    for (name, values) in [("networkInterfaces", interfaces), ("subnets", subnets_with(cloud, item, "nsg"))] {
        if !values.is_empty() {
            own[name] = json!(values);
        }
    }
    json!({ "properties": properties(item, own) })
}

fn network(cloud: &Cloud, item: &Item) -> Value {
    let id = arm::id(item);
    let prefix = item.text_or("prefix", "10.0.0.0/16");
    let subnets: Vec<Value> = tables(item, "subnets", "default")
        .iter()
        .map(|table| {
            let name = name_of(table);
            let text = |key: &str| table.get(key).and_then(Value::as_str);
            let mut own = json!({
                "provisioningState": "Succeeded",
                "addressPrefix": text("prefix").unwrap_or("10.0.0.0/24"),
                "delegations": [],
                "privateEndpointNetworkPolicies": "Disabled",
            });
            if let Some(named) = text("nsg") {
                own["networkSecurityGroup"] = reference(target(cloud, item, "azure.network-security-group", named));
            }
            if let Some(named) = text("nat") {
                own["natGateway"] = reference(target(cloud, item, "azure.network-nat-gateway", named));
            }
            if let Some(service) = text("delegation") {
                own["delegations"] = json!([{ "name": "delegation", "properties": { "serviceName": service } }]);
            }
            json!({
                "name": name,
                "id": format!("{id}/subnets/{name}"),
                "type": "Microsoft.Network/virtualNetworks/subnets",
                "properties": own,
            })
        })
        .collect();
    let mut own = json!({
        "addressSpace": { "addressPrefixes": [prefix] },
        "subnets": subnets,
        "virtualNetworkPeerings": [],
        "enableDdosProtection": item.text("ddos_plan").is_some(),
    });
    if let Some(named) = item.text("ddos_plan") {
        own["ddosProtectionPlan"] = reference(target(cloud, item, "azure.network-ddos-plan", named));
    }
    json!({ "properties": properties(item, own) })
}

fn application(cloud: &Cloud, item: &Item) -> Value {
    let id = arm::id(item);
    let pools: Vec<Value> = tables(item, "pools", "pool")
        .iter()
        .map(|table| {
            let name = name_of(table);
            let addresses: Vec<Value> = texts(table.get("addresses"))
                .iter()
                .map(|one| {
                    let numeric = one.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                    if numeric { json!({ "ipAddress": one }) } else { json!({ "fqdn": one }) }
                })
                .collect();
            let mut own = json!({ "provisioningState": "Succeeded", "backendAddresses": addresses });
            let members = texts(table.get("members"));
            if !members.is_empty() {
                own["backendIPConfigurations"] = json!(references(&members));
            }
            json!({ "name": name, "id": format!("{id}/backendAddressPools/{name}"), "properties": own })
        })
        .collect();
    let redirects: Vec<Value> = (0..item.int("redirects").unwrap_or(0))
        .map(|at| {
            json!({
                "name": format!("redirect{at}"),
                "properties": { "redirectType": "Permanent", "targetUrl": "https://shop.example" },
            })
        })
        .collect();
    let tier = item.text_or("tier", "Standard_v2");
    let own = json!({
        "sku": { "name": tier, "tier": tier, "capacity": item.int("capacity").unwrap_or(2) },
        "operationalState": item.text_or("state", "Running"),
        "frontendIPConfigurations": frontends(cloud, item),
        "frontendPorts": [],
        "backendAddressPools": pools,
        "backendHttpSettingsCollection": [],
        "httpListeners": [],
        "requestRoutingRules": [],
        "redirectConfigurations": redirects,
    });
    json!({ "properties": properties(item, own) })
}

/// The configurations of a gateway or firewall with a public address each.
fn configurations(cloud: &Cloud, item: &Item, kind: &str, subnet: &str) -> Vec<Value> {
    let all = item.list("public_ips");
    let shown = all.iter().enumerate().map(|(at, named)| {
        let name = format!("config{at}");
        json!({
            "name": name,
            "id": format!("{}/{kind}/{name}", arm::id(item)),
            "properties": {
                "provisioningState": "Succeeded",
                "privateIPAllocationMethod": "Dynamic",
                "publicIPAddress": reference(target(cloud, item, "azure.network-public-ip", named)),
                "subnet": reference(subnet_id(cloud, item, subnet)),
            },
        })
    });
    shown.collect()
}

fn gateway(cloud: &Cloud, item: &Item) -> Value {
    let sku = item.text_or("sku", "VpnGw1");
    let mut own = json!({
        "ipConfigurations": configurations(cloud, item, "ipConfigurations", "vnet/GatewaySubnet"),
        "gatewayType": item.text_or("type", "Vpn"),
        "vpnType": "RouteBased",
        "enableBgp": false,
        "activeActive": false,
        "sku": { "name": sku, "tier": sku, "capacity": 2 },
    });
    if item.flag("point_to_site") == Some(true) {
        own["vpnClientConfiguration"] = json!({
            "vpnClientAddressPool": { "addressPrefixes": ["172.16.0.0/24"] },
            "vpnClientProtocols": ["OpenVPN"],
        });
    }
    json!({ "properties": properties(item, own) })
}

fn connection(cloud: &Cloud, item: &Item) -> Value {
    let mut own = json!({
        "connectionType": match (item.text("circuit"), item.text("gateway2")) {
            (Some(_), _) => "ExpressRoute",
            (None, Some(_)) => "Vnet2Vnet",
            (None, None) => "IPsec",
        },
        "connectionStatus": item.text_or("status", "Connected"),
        "egressBytesTransferred": 0,
        "ingressBytesTransferred": 0,
        "enableBgp": false,
    });
    for (key, name) in [("gateway", "virtualNetworkGateway1"), ("gateway2", "virtualNetworkGateway2")] {
        if let Some(named) = item.text(key) {
            own[name] = reference(target(cloud, item, "azure.network-vpn-gateway", named));
        }
    }
    if let Some(named) = item.text("circuit") {
        own["peer"] = reference(target(cloud, item, "azure.network-expressroute-circuit", named));
    }
    json!({ "properties": properties(item, own) })
}

fn circuit(_: &Cloud, item: &Item) -> Value {
    let sku = item.text_or("sku", "Standard_MeteredData");
    let (tier, family) = sku.split_once('_').unwrap_or((&sku, "MeteredData"));
    let peerings: Vec<Value> = item
        .list("peerings")
        .iter()
        .map(|name| {
            let id = format!("{}/peerings/{name}", arm::id(item));
            json!({ "name": name, "id": id, "properties": { "peeringType": name, "state": "Enabled", "connections": [] } })
        })
        .collect();
    let own = json!({
        "circuitProvisioningState": "Enabled",
        "serviceProviderProvisioningState": item.text_or("provider_state", "Provisioned"),
        "serviceProviderProperties": {
            "serviceProviderName": "Equinix",
            "peeringLocation": "Amsterdam",
            "bandwidthInMbps": item.int("bandwidth").unwrap_or(50),
        },
        "peerings": peerings,
        "authorizations": [],
        "allowClassicOperations": false,
    });
    json!({ "sku": { "name": sku, "tier": tier, "family": family }, "properties": properties(item, own) })
}

fn express(_: &Cloud, item: &Item) -> Value {
    let connections: Vec<Value> = item
        .list("connections")
        .iter()
        .enumerate()
        .map(|(at, peering)| {
            let id = format!("{}/expressRouteConnections/connection{at}", arm::id(item));
            json!({
                "name": format!("connection{at}"),
                "id": id,
                "properties": { "provisioningState": "Succeeded", "expressRouteCircuitPeering": reference(peering.as_str()) },
            })
        })
        .collect();
    let hub = format!("{}/providers/Microsoft.Network/virtualHubs/hub", arm::group_id(&item.account, arm::group(item)));
    let own = json!({
        "autoScaleConfiguration": { "bounds": { "min": item.int("units").unwrap_or(1) } },
        "expressRouteConnections": connections,
        "virtualHub": reference(hub),
    });
    json!({ "properties": properties(item, own) })
}

fn firewall(cloud: &Cloud, item: &Item) -> Value {
    let mut own = json!({
        "sku": { "name": "AZFW_VNet", "tier": item.text_or("tier", "Standard") },
        "threatIntelMode": "Alert",
        "ipConfigurations":
            configurations(cloud, item, "azureFirewallIpConfigurations", "vnet/AzureFirewallSubnet"),
        "networkRuleCollections": [],
        "applicationRuleCollections": [],
        "natRuleCollections": [],
    });
    if let Some(id) = item.text("policy") {
        own["firewallPolicy"] = reference(id);
    }
    json!({ "properties": properties(item, own) })
}

fn ddos(cloud: &Cloud, item: &Item) -> Value {
    let networks: Vec<Value> = referrers(cloud, item, "azure.network-virtual-network", "ddos_plan")
        .into_iter()
        .map(|network| reference(arm::id(network)))
        .collect();
    let mut own = json!({});
    if !networks.is_empty() {
        own["virtualNetworks"] = json!(networks);
    }
    json!({ "properties": properties(item, own) })
}
