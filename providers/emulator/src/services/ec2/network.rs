//! EC2's addresses, network interfaces, NAT gateways, route tables, VPC endpoints and security groups.
//!
//! | Kind | Key | Default | Meaning |
//! |---|---|---|---|
//! | `aws.ec2-address` | id | | the allocation id |
//! | | `ip` | made up, of 198.18.0.0/15 | |
//! | | `instance`, `interface` | none | what it is associated with |
//! | | `nat` | the NAT gateway whose `addresses` name it | |
//! | | `association` | made up if associated | |
//! | | `service_managed` | none | alb, nlb, rnat, rds |
//! | | `private_ip` | none | |
//! | `aws.ec2-network-interface` | `status` | in-use if it has an `instance` or an `attachment`, else available | |
//! | | `type` | interface | |
//! | | `instance` | the instance whose `interfaces` name it | |
//! | | `attachment` | made up if attached | |
//! | | `attachment_owner` | the account with an instance, else amazon-aws | |
//! | | `requester_id`, `requester_managed` | none, false | |
//! | | `description` | "" | |
//! | | `groups` | none | security group ids |
//! | | `az`, `vpc`, `subnet`, `private_ip` | made up | |
//! | `aws.ec2-nat-gateway` | `state` | available | |
//! | | `subnet`, `vpc` | made up | |
//! | | `addresses` | those addresses whose `nat` names it | allocation ids |
//! | | `interface` | made up | |
//! | | `connectivity` | public | |
//! | | `deleted_at` | none | |
//! | `aws.ec2-route-table` | `vpc` | made up | |
//! | | `subnets` | none | associated subnets |
//! | | `main` | false | |
//! | | `routes` | none | tables with `to` ("0.0.0.0/0"), `state` ("active") and one of `nat`, `endpoint`, `gateway`, `instance`, `interface`, `transit`, `peering` |
//! | `aws.ec2-vpc-endpoint` | `type` | Interface | |
//! | | `service` | s3 | "s3" stands for "com.amazonaws.<region>.s3" |
//! | | `state` | available | |
//! | | `vpc` | made up | |
//! | | `subnets`, `interfaces`, `route_tables` | none | |
//! | | `requester_managed` | false | |
//! | | `groups` | none | security group ids |
//! | `aws.ec2-security-group` | `name` | the id; "default" for a group that comes with its network | |
//! | | `description` | "" | |
//! | | `vpc` | made up | |
//! | | `owner` | the account | of a group that another account shares |
//! | | `ingress`, `egress` | none | group ids that its rules name |

use serde_json::{Map, Value, json};

use super::{Listing, Output, changes, made, one, optional, private_ip, public_ip, subnet, tag_set, vpc, zone};
use crate::cloud::{Cloud, Item};
use crate::http::time;
use crate::request::Request;
use crate::services::Kind;

pub(super) const ADDRESS: Kind = Kind {
    kind: "aws.ec2-address",
    keys: &[
        "ip:text",
        "instance:text",
        "interface:text",
        "nat:text",
        "association:text",
        "service_managed:text",
        "private_ip:text",
    ],
};

pub(super) const INTERFACE: Kind = Kind {
    kind: "aws.ec2-network-interface",
    keys: &[
        "status:text",
        "type:text",
        "instance:text",
        "attachment:text",
        "attachment_owner:text",
        "requester_id:text",
        "requester_managed:bool",
        "description:text",
        "groups:list",
        "az:text",
        "vpc:text",
        "subnet:text",
        "private_ip:text",
    ],
};

pub(super) const NAT_GATEWAY: Kind = Kind {
    kind: "aws.ec2-nat-gateway",
    keys: &[
        "state:text",
        "subnet:text",
        "vpc:text",
        "addresses:list",
        "interface:text",
        "connectivity:text",
        "deleted_at:time",
        "private_ip:text",
    ],
};

pub(super) const ROUTE_TABLE: Kind =
    Kind { kind: "aws.ec2-route-table", keys: &["vpc:text", "subnets:list", "main:bool", "routes:tables"] };

pub(super) const ENDPOINT: Kind = Kind {
    kind: "aws.ec2-vpc-endpoint",
    keys: &[
        "type:text",
        "service:text",
        "state:text",
        "vpc:text",
        "subnets:list",
        "interfaces:list",
        "route_tables:list",
        "requester_managed:bool",
        "groups:list",
    ],
};

pub(super) const SECURITY_GROUP: Kind = Kind {
    kind: "aws.ec2-security-group",
    keys: &["name:text", "description:text", "vpc:text", "owner:text", "ingress:list", "egress:list"],
};

/// The first resource of a kind whose key names the item, in the item's account and region.
fn referrer<'a>(cloud: &'a Cloud, item: &Item, kind: &str, key: &str) -> Option<&'a Item> {
    cloud
        .referring(kind, key, &item.id)
        .into_iter()
        .find(|other| other.account == item.account && other.region == item.region)
}

fn nat_of(cloud: &Cloud, address: &Item) -> Option<String> {
    address
        .text("nat")
        .map(str::to_owned)
        .or_else(|| referrer(cloud, address, "aws.ec2-nat-gateway", "addresses").map(|nat| nat.id.clone()))
}

/// The interface that an address is associated with.
fn interface_of(cloud: &Cloud, address: &Item) -> Option<String> {
    if let Some(interface) = address.text("interface") {
        return Some(interface.to_owned());
    }
    if let Some(instance) = address.text("instance") {
        return Some(made("eni", instance));
    }
    nat_of(cloud, address).map(|nat| {
        cloud
            .with_id("aws.ec2-nat-gateway", &nat)
            .find(|nat| nat.account == address.account && nat.region == address.region)
            .map_or_else(|| made("eni", &nat), nat_interface)
    })
}

fn nat_interface(nat: &Item) -> String {
    nat.text("interface").map_or_else(|| made("eni", &nat.id), str::to_owned)
}

pub(super) fn association(cloud: &Cloud, address: &Item) -> Option<String> {
    address
        .text("association")
        .map(str::to_owned)
        .or_else(|| interface_of(cloud, address).map(|_| made("eipassoc", &address.id)))
}

/// DescribeAddresses has no pages.
pub(super) fn addresses(cloud: &Cloud, request: &Request) -> Output {
    let listing = Listing {
        ids: "AllocationId",
        missing: "InvalidAllocationID.NotFound",
        output: "addressesSet",
        max: 5..=1000,
        clamp: true,
        exclusive: false,
        lookup: |cloud, item, name| match name {
            "allocation-id" => one(&item.id),
            "association-id" => optional(association(cloud, item).as_deref()),
            "instance-id" => optional(item.text("instance")),
            "network-interface-id" => optional(interface_of(cloud, item).as_deref()),
            "public-ip" => one(public_ip(item)),
            "domain" => one("vpc"),
            _ => None,
        },
        show: address,
    };
    let mut items = cloud.list(request, "aws.ec2-address");
    let wanted = request.list("PublicIp");
    if !wanted.is_empty() {
        items.retain(|item| wanted.contains(&public_ip(item)));
    }
    let shown: Vec<Value> =
        listing.select(cloud, request, items)?.into_iter().map(|item| (listing.show)(cloud, item)).collect();
    Ok(json!({ "addressesSet": shown }))
}

fn address(cloud: &Cloud, item: &Item) -> Value {
    let interface = interface_of(cloud, item);
    json!({
        "allocationId": item.id,
        "publicIp": public_ip(item),
        "domain": "vpc",
        "instanceId": item.text_or("instance", ""),
        "associationId": association(cloud, item),
        "networkInterfaceOwnerId": interface.as_ref().map(|_| &item.account),
        "privateIpAddress": interface.as_ref().map(|_| private_ip(item)),
        "networkInterfaceId": interface,
        "publicIpv4Pool": "amazon",
        "networkBorderGroup": item.region,
        "serviceManaged": item.text("service_managed"),
        "tagSet": tag_set(item),
    })
}

fn instance_of(cloud: &Cloud, interface: &Item) -> Option<String> {
    interface
        .text("instance")
        .map(str::to_owned)
        .or_else(|| referrer(cloud, interface, "aws.ec2-instance", "interfaces").map(|found| found.id.clone()))
}

pub(super) fn interface_status(cloud: &Cloud, item: &Item) -> String {
    let attached = item.text("attachment").is_some() || instance_of(cloud, item).is_some();
    item.text_or("status", if attached { "in-use" } else { "available" })
}

pub(super) fn interfaces(cloud: &Cloud, request: &Request) -> Output {
    Listing {
        ids: "NetworkInterfaceId",
        missing: "InvalidNetworkInterfaceID.NotFound",
        output: "networkInterfaceSet",
        max: 5..=1000,
        clamp: false,
        exclusive: true,
        lookup: |cloud, item, name| match name {
            "network-interface-id" => one(&item.id),
            "status" => one(interface_status(cloud, item)),
            "interface-type" => one(item.text_or("type", "interface")),
            "description" => one(item.text_or("description", "")),
            "requester-id" => optional(item.text("requester_id")),
            "requester-managed" => one(item.flag("requester_managed").unwrap_or(false).to_string()),
            "attachment.instance-id" => optional(instance_of(cloud, item).as_deref()),
            "vpc-id" => one(vpc(item)),
            "subnet-id" => one(subnet(item)),
            "group-id" => Some(item.list("groups")),
            "availability-zone" => one(zone(item)),
            _ => None,
        },
        show: interface,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-network-interface"))
}

fn interface(cloud: &Cloud, item: &Item) -> Value {
    let status = interface_status(cloud, item);
    let instance = instance_of(cloud, item);
    let attachment = (status == "in-use").then(|| {
        let owner = if instance.is_some() { item.account.as_str() } else { "amazon-aws" };
        json!({
            "attachmentId": item.text("attachment").map_or_else(|| made("eni-attach", &item.id), str::to_owned),
            "instanceId": instance,
            "instanceOwnerId": item.text_or("attachment_owner", owner),
            "deviceIndex": 1,
            "status": "attached",
            "attachTime": item.created(),
            "deleteOnTermination": false,
        })
    });
    let association = referrer(cloud, item, "aws.ec2-address", "interface").map(|address| {
        json!({
            "allocationId": address.id,
            "associationId": association(cloud, address),
            "ipOwnerId": address.account,
            "publicIp": public_ip(address),
        })
    });
    let ip = private_ip(item);
    json!({
        "networkInterfaceId": item.id,
        "subnetId": subnet(item),
        "vpcId": vpc(item),
        "availabilityZone": zone(item),
        "description": item.text_or("description", ""),
        "ownerId": item.account,
        "requesterId": item.text("requester_id"),
        "requesterManaged": item.flag("requester_managed").unwrap_or(false),
        "status": status,
        "macAddress": "02:00:00:00:00:01",
        "privateIpAddress": ip,
        "sourceDestCheck": true,
        "groupSet": group_set(item),
        "attachment": attachment,
        "association": association,
        "interfaceType": item.text_or("type", "interface"),
        "privateIpAddressesSet": [{ "privateIpAddress": ip, "primary": true }],
        "tagSet": tag_set(item),
    })
}

pub(super) fn nat_gateways(cloud: &Cloud, request: &Request) -> Output {
    changes::settle(cloud, request, "aws.ec2-nat-gateway");
    Listing {
        ids: "NatGatewayId",
        missing: "NatGatewayNotFound",
        output: "natGatewaySet",
        max: 5..=1000,
        clamp: false,
        exclusive: false,
        lookup: |_, item, name| match name {
            "nat-gateway-id" => one(&item.id),
            "state" => one(item.text_or("state", "available")),
            "subnet-id" => one(subnet(item)),
            "vpc-id" => one(vpc(item)),
            _ => None,
        },
        show: nat_gateway,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-nat-gateway"))
}

fn nat_gateway(cloud: &Cloud, item: &Item) -> Value {
    let mut ids = item.list("addresses");
    for address in cloud.referring("aws.ec2-address", "nat", &item.id) {
        let same = address.account == item.account && address.region == item.region;
        if same && !ids.contains(&address.id) {
            ids.push(address.id.clone());
        }
    }
    let mut addresses: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let known = cloud
                .with_id("aws.ec2-address", id)
                .find(|address| address.account == item.account && address.region == item.region);
            json!({
                "allocationId": id,
                "associationId": known.and_then(|address| association(cloud, address)),
                "networkInterfaceId": nat_interface(item),
                "publicIp": known.map(public_ip),
                "privateIp": private_ip(item),
                "isPrimary": at == 0,
                "status": "succeeded",
            })
        })
        .collect();
    if addresses.is_empty() {
        addresses.push(json!({
            "networkInterfaceId": nat_interface(item),
            "privateIp": private_ip(item),
            "isPrimary": true,
            "status": "succeeded",
        }));
    }
    json!({
        "natGatewayId": item.id,
        "state": item.text_or("state", "available"),
        "subnetId": subnet(item),
        "vpcId": vpc(item),
        "createTime": item.created(),
        "deleteTime": item.time("deleted_at", cloud.now).map(time),
        "connectivityType": item.text_or("connectivity", "public"),
        "natGatewayAddressSet": addresses,
        "tagSet": tag_set(item),
    })
}

pub(super) fn route_tables(cloud: &Cloud, request: &Request) -> Output {
    Listing {
        ids: "RouteTableId",
        missing: "InvalidRouteTableID.NotFound",
        output: "routeTableSet",
        max: 5..=100,
        clamp: false,
        exclusive: false,
        lookup: |_, item, name| match name {
            "route-table-id" => one(&item.id),
            "vpc-id" => one(vpc(item)),
            "association.subnet-id" => Some(item.list("subnets")),
            "association.main" => one(item.flag("main").unwrap_or(false).to_string()),
            "route.nat-gateway-id" => Some(targets(item, "nat")),
            "route.gateway-id" => {
                let mut found = targets(item, "gateway");
                found.extend(targets(item, "endpoint"));
                Some(found)
            }
            _ => None,
        },
        show: route_table,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-route-table"))
}

fn targets(item: &Item, key: &str) -> Vec<String> {
    item.tables("routes").into_iter().filter_map(|route| route.get(key)?.as_str().map(str::to_owned)).collect()
}

fn route_table(_: &Cloud, item: &Item) -> Value {
    let mut routes = vec![json!({
        "destinationCidrBlock": "10.0.0.0/8",
        "gatewayId": "local",
        "state": "active",
        "origin": "CreateRouteTable",
    })];
    routes.extend(item.tables("routes").into_iter().map(route));
    let mut associations = Vec::new();
    if item.flag("main") == Some(true) {
        associations.push(json!({
            "routeTableAssociationId": made("rtbassoc", &item.id),
            "routeTableId": item.id,
            "main": true,
            "associationState": { "state": "associated" },
        }));
    }
    for subnet in item.list("subnets") {
        associations.push(json!({
            "routeTableAssociationId": made("rtbassoc", &format!("{}{subnet}", item.id)),
            "routeTableId": item.id,
            "subnetId": subnet,
            "main": false,
            "associationState": { "state": "associated" },
        }));
    }
    json!({
        "routeTableId": item.id,
        "vpcId": vpc(item),
        "ownerId": item.account,
        "routeSet": routes,
        "associationSet": associations,
        "propagatingVgwSet": [],
        "tagSet": tag_set(item),
    })
}

fn route(route: &Map<String, Value>) -> Value {
    let text = |key: &str| route.get(key).and_then(Value::as_str);
    // A gateway endpoint is routed to by a prefix list, and is a gateway to the API.
    let endpoint = text("endpoint");
    json!({
        "destinationCidrBlock": if endpoint.is_some() { None } else { Some(text("to").unwrap_or("0.0.0.0/0")) },
        "destinationPrefixListId": endpoint.map(|_| text("to").unwrap_or("pl-63a5400a")),
        "gatewayId": endpoint.or_else(|| text("gateway")),
        "natGatewayId": text("nat"),
        "instanceId": text("instance"),
        "networkInterfaceId": text("interface"),
        "transitGatewayId": text("transit"),
        "vpcPeeringConnectionId": text("peering"),
        "state": text("state").unwrap_or("active"),
        "origin": "CreateRoute",
    })
}

fn service_name(item: &Item) -> String {
    let service = item.text_or("service", "s3");
    if service.contains('.') { service } else { format!("com.amazonaws.{}.{service}", item.region) }
}

pub(super) fn endpoints(cloud: &Cloud, request: &Request) -> Output {
    changes::settle(cloud, request, "aws.ec2-vpc-endpoint");
    Listing {
        ids: "VpcEndpointId",
        missing: "InvalidVpcEndpointId.NotFound",
        output: "vpcEndpointSet",
        max: 5..=1000,
        clamp: true,
        exclusive: false,
        lookup: |_, item, name| match name {
            "vpc-endpoint-id" => one(&item.id),
            "vpc-endpoint-type" => one(item.text_or("type", "Interface")),
            "vpc-endpoint-state" => one(item.text_or("state", "available")),
            "service-name" => one(service_name(item)),
            "vpc-id" => one(vpc(item)),
            _ => None,
        },
        show: endpoint,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-vpc-endpoint"))
}

fn endpoint(_: &Cloud, item: &Item) -> Value {
    json!({
        "vpcEndpointId": item.id,
        "vpcEndpointType": item.text_or("type", "Interface"),
        "vpcId": vpc(item),
        "serviceName": service_name(item),
        "state": item.text_or("state", "available"),
        "routeTableIdSet": item.list("route_tables"),
        "subnetIdSet": item.list("subnets"),
        "networkInterfaceIdSet": item.list("interfaces"),
        "groupSet": group_set(item),
        "privateDnsEnabled": false,
        "requesterManaged": item.flag("requester_managed").unwrap_or(false),
        "dnsEntrySet": [],
        "creationTimestamp": item.created(),
        "ownerId": item.account,
        "tagSet": tag_set(item),
    })
}

fn group_set(item: &Item) -> Vec<Value> {
    item.list("groups").into_iter().map(|id| json!({ "groupId": id, "groupName": id })).collect()
}

fn group_name(item: &Item) -> String {
    item.text_or("name", &item.id)
}

pub(super) fn security_groups(cloud: &Cloud, request: &Request) -> Output {
    Listing {
        ids: "GroupId",
        missing: "InvalidGroup.NotFound",
        output: "securityGroupInfo",
        max: 5..=1000,
        clamp: false,
        exclusive: true,
        lookup: |_, item, name| match name {
            "group-id" => one(&item.id),
            "group-name" => one(group_name(item)),
            "vpc-id" => one(vpc(item)),
            "owner-id" => one(item.text_or("owner", &item.account)),
            _ => None,
        },
        show: security_group,
    }
    .answer(cloud, request, cloud.list(request, "aws.ec2-security-group"))
}

fn security_group(_: &Cloud, item: &Item) -> Value {
    let rules = |key: &str| -> Vec<Value> {
        let named = item.list(key).into_iter().map(|id| {
            json!({
                "ipProtocol": "tcp",
                "fromPort": 443,
                "toPort": 443,
                "groups": [{ "groupId": id, "userId": item.account }],
                "ipRanges": [],
                "ipv6Ranges": [],
                "prefixListIds": [],
            })
        });
        named.collect()
    };
    json!({
        "groupId": item.id,
        "groupName": group_name(item),
        "groupDescription": item.text_or("description", ""),
        "ownerId": item.text_or("owner", &item.account),
        "vpcId": vpc(item),
        "ipPermissions": rules("ingress"),
        "ipPermissionsEgress": rules("egress"),
        "tagSet": tag_set(item),
    })
}
