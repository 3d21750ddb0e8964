//! Elastic Load Balancing: classic (API version 2012-06-01) and v2 (2015-12-01). Both are signed as
//! `elasticloadbalancing`; the framework tells them apart by the request's `Version`.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.elb-load-balancer` | id | | the load balancer's name |
//! | | `type` | `application` | `classic`, `application`, `network` or `gateway` |
//! | | `scheme` | `internet-facing` | or `internal` |
//! | | `vpc` | `vpc-` and a hash | the VPC's id |
//! | | `subnets`, `security_groups` | none | lists of ids |
//! | | `state` | `active` | v2's `State.Code` |
//! | | `protected` | false | v2's attribute `deletion_protection.enabled` |
//! | | `instances` | none | classic: `[{ id, state = "InService" }]` |
//! | | `listeners` | none | `[{ port, protocol, target_group or targets = { name = weight } or action, rules }]`; an action is `redirect` or `fixed-response` |
//! | | listener's `rules` | none | `[{ priority, target_group or action, path }]` |
//! | `aws.elb-target-group` | id | | the target group's name |
//! | | `type` | `instance` | `instance`, `ip`, `lambda` or `alb` |
//! | | `port`, `protocol`, `vpc` | 80, `HTTP`, as above | none for `lambda` |
//! | | `load_balancers` | those that forward to it | names, added to those found from the listeners |
//! | | `targets` | none | `[{ id, port, health = "healthy", reason }]` |

use serde_json::{Value, json};

use super::Kind;
use super::item::{
    Args, Item, Keys, answer, arn, clear_tags, every, hex, refused, set_tags, stamp, tags_named, unserved,
};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const BALANCER: &str = "aws.elb-load-balancer";
const GROUP: &str = "aws.elb-target-group";
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: BALANCER,
        keys: &[
            "type:text",
            "scheme:text",
            "vpc:text",
            "subnets:list",
            "security_groups:list",
            "state:text",
            "protected:bool",
            "instances:tables",
            "listeners:tables",
        ],
    },
    Kind {
        kind: GROUP,
        keys: &["type:text", "port:int", "protocol:text", "vpc:text", "load_balancers:list", "targets:tables"],
    },
];

/// The code of a refused parameter.
const INVALID: &str = "ValidationError";

/// The classic API.
pub(crate) fn handle_classic(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeLoadBalancers" => classic_balancers(cloud, request, &args),
        "DescribeTags" => {
            let names = args.texts("LoadBalancerNames");
            at_most_twenty(&names)?;
            let chosen = classic_named(cloud, request, &names)?;
            let described: Vec<Value> = chosen
                .iter()
                .map(|item| json!({ "LoadBalancerName": item.id, "Tags": item.tag_list("Key", "Value") }))
                .collect();
            answer(json!({ "TagDescriptions": described }))
        }
        "DescribeInstanceHealth" => {
            let name = args.text("LoadBalancerName").unwrap_or_default().to_owned();
            let chosen = classic_named(cloud, request, &[name])?;
            let mut states = Vec::new();
            for item in &chosen {
                for instance in item.tables("instances") {
                    let state = instance.text_or("state", "InService");
                    let out = state == "OutOfService";
                    states.push(json!({
                        "InstanceId": instance.text_or("id", "i-00000000000000000"),
                        "State": state,
                        "ReasonCode": if out { "Instance" } else { "N/A" },
                        "Description": if out { "Instance has failed at least the UnhealthyThreshold number of health checks consecutively." } else { "N/A" },
                    }));
                }
            }
            answer(json!({ "InstanceStates": states }))
        }
        "AddTags" | "RemoveTags" => {
            for item in classic_named(cloud, request, &args.texts("LoadBalancerNames"))? {
                retag(cloud, request, &args, &item);
            }
            answer(json!({}))
        }
        // Whether it is there or not.
        "DeleteLoadBalancer" => {
            let name = args.text("LoadBalancerName").unwrap_or_default();
            if let Some(item) = every(cloud, request, BALANCER).iter().find(|item| is_classic(item) && item.id == name)
            {
                cloud.remove(item.stored());
            }
            answer(json!({}))
        }
        _ => unserved(request),
    }
}

/// The API of application, network and gateway load balancers.
pub(crate) fn handle_v2(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeLoadBalancers" => balancers(cloud, request, &args),
        "DescribeListeners" => listeners(cloud, request, &args),
        "DescribeRules" => rules(cloud, request, &args),
        "DescribeTargetGroups" => target_groups(cloud, request, &args),
        "DescribeTargetHealth" => target_health(cloud, request, &args),
        "DescribeTags" => tags(cloud, request, &args),
        "AddTags" | "RemoveTags" => {
            for arn in args.texts("ResourceArns") {
                let balancers = v2_balancers(cloud, request).into_iter().filter(|item| balancer_arn(item) == arn);
                let groups = every(cloud, request, GROUP)
                    .into_iter()
                    .filter(|item| group_arn(item.region, item.account, item.id) == arn);
                let item = balancers.chain(groups).next().ok_or_else(|| no_balancer(&format!("'{arn}'")))?;
                retag(cloud, request, &args, &item);
            }
            answer(json!({}))
        }
        "DeleteLoadBalancer" => {
            let arn = args.text("LoadBalancerArn").unwrap_or_default();
            // One that is gone is no error (ELB v2 API reference, DeleteLoadBalancer).
            if let Some(item) = v2_balancers(cloud, request).into_iter().find(|item| balancer_arn(item) == arn) {
                if item.flag("protected") {
                    let why = format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled");
                    return Err(refused(400, "OperationNotPermitted", why));
                }
                cloud.remove(item.stored());
            }
            answer(json!({}))
        }
        "DeleteTargetGroup" => {
            let arn = args.text("TargetGroupArn").unwrap_or_default();
            let groups = every(cloud, request, GROUP);
            let own = groups.iter().find(|item| group_arn(item.region, item.account, item.id) == arn);
            if let Some(item) = own {
                if v2_balancers(cloud, request).iter().any(|balancer| forwards(balancer, item.id)) {
                    let why = format!("Target group '{arn}' is currently in use by a listener or a rule");
                    return Err(refused(400, "ResourceInUse", why));
                }
                cloud.remove(item.stored());
            }
            answer(json!({}))
        }
        _ => unserved(request),
    }
}

/// What `AddTags` and `RemoveTags` do to one resource. The classic API names keys alone in a list of tables.
fn retag(cloud: &Cloud, request: &Request, args: &Args, item: &Item) {
    if request.action == "AddTags" {
        set_tags(cloud, item, tags_named(args, "Tags"));
    } else {
        let mut keys = args.texts("TagKeys");
        keys.extend(tags_named(args, "Tags").into_iter().map(|(key, _)| key));
        clear_tags(cloud, item, keys);
    }
}

fn at_most_twenty(names: &[String]) -> Result<(), WireError> {
    if names.len() > 20 {
        return Err(refused(400, "ValidationError", "Only 20 resources can be described at a time"));
    }
    Ok(())
}

fn no_balancer(names: &str) -> WireError {
    refused(400, "LoadBalancerNotFound", format!("One or more load balancers not found: {names}"))
}

fn is_classic(item: &Item) -> bool {
    item.text("type") == Some("classic")
}

fn vpc(item: &Item) -> String {
    item.text("vpc").map_or_else(|| format!("vpc-{}", hex(item.region, 17)), str::to_owned)
}

fn dns_name(item: &Item) -> String {
    let internal = if item.text("scheme") == Some("internal") { "internal-" } else { "" };
    let middle = if item.text("type") == Some("network") { "elb.{region}" } else { "{region}.elb" };
    let middle = middle.replace("{region}", item.region);
    format!("{internal}{}-{}.{middle}.amazonaws.com", item.id, hex(item.id, 10))
}

fn classic_named<'a>(cloud: &'a Cloud, request: &Request, names: &[String]) -> Result<Vec<Item<'a>>, WireError> {
    let mut items: Vec<Item> = every(cloud, request, BALANCER).into_iter().filter(is_classic).collect();
    if let Some(missing) = names.iter().find(|name| !items.iter().any(|item| item.id == **name)) {
        return Err(refused(
            400,
            "LoadBalancerNotFound",
            format!("There is no ACTIVE Load Balancer named '{missing}'"),
        ));
    }
    if !names.is_empty() {
        items.retain(|item| names.iter().any(|name| name == item.id));
    }
    Ok(items)
}

fn classic_balancers(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let items = classic_named(cloud, request, &args.texts("LoadBalancerNames"))?;
    let (items, token) = cloud.page(&items, Some(args.limit("PageSize", 400, 400, INVALID)?), args.text("Marker"))?;
    let described: Vec<Value> = items
        .iter()
        .map(|item| {
            let instances: Vec<Value> = item
                .tables("instances")
                .iter()
                .map(|instance| json!({ "InstanceId": instance.text_or("id", "i-00000000000000000") }))
                .collect();
            let listeners: Vec<Value> = item
                .tables("listeners")
                .iter()
                .map(|listener| {
                    let port = listener.int_or("port", 80);
                    json!({
                        "Listener": {
                            "Protocol": listener.text_or("protocol", "HTTP"),
                            "LoadBalancerPort": port,
                            "InstanceProtocol": listener.text_or("protocol", "HTTP"),
                            "InstancePort": port,
                        },
                        "PolicyNames": [],
                    })
                })
                .collect();
            json!({
                "LoadBalancerName": item.id,
                "DNSName": dns_name(item),
                "CanonicalHostedZoneName": dns_name(item),
                "CanonicalHostedZoneNameID": "Z35SXDOTRQ7X7K",
                "ListenerDescriptions": listeners,
                "BackendServerDescriptions": [],
                "AvailabilityZones": [format!("{}a", item.region)],
                "Subnets": item.texts("subnets"),
                "VPCId": vpc(item),
                "Instances": instances,
                "HealthCheck": {
                    "Target": "HTTP:80/", "Interval": 30, "Timeout": 5,
                    "UnhealthyThreshold": 2, "HealthyThreshold": 10,
                },
                "SourceSecurityGroup": { "OwnerAlias": item.account, "GroupName": "default" },
                "SecurityGroups": item.texts("security_groups"),
                "CreatedTime": stamp(item.created),
                "Scheme": item.text_or("scheme", "internet-facing"),
            })
        })
        .collect();
    answer(json!({ "LoadBalancerDescriptions": described, "NextMarker": token }))
}

/// `app/name/hash`, the part of the ARN that is also the metric dimension's value.
pub(crate) fn dimension(item: &Item) -> String {
    dimension_of(item.text_or("type", "application"), item.account, item.region, item.id)
}

fn dimension_of(sort: &str, account: &str, region: &str, name: &str) -> String {
    let family = match sort {
        "network" => "net",
        "gateway" => "gwy",
        _ => "app",
    };
    format!("{family}/{name}/{}", hex(&format!("{account} {region} {name}"), 16))
}

/// What the delete call takes: the name of a classic load balancer, the ARN of another.
pub(crate) fn load_balancer(sort: &str, account: &str, region: &str, name: &str) -> String {
    if sort == "classic" {
        return name.to_owned();
    }
    let rest = format!("loadbalancer/{}", dimension_of(sort, account, region, name));
    arn("elasticloadbalancing", region, account, &rest)
}

/// What the delete call of a target group takes.
pub(crate) fn target_group(account: &str, region: &str, name: &str) -> String {
    group_arn(region, account, name)
}

fn balancer_arn(item: &Item) -> String {
    let rest = if is_classic(item) { item.id.to_owned() } else { dimension(item) };
    arn("elasticloadbalancing", item.region, item.account, &format!("loadbalancer/{rest}"))
}

/// `targetgroup/name/hash`, likewise.
pub(crate) fn group_dimension(region: &str, account: &str, name: &str) -> String {
    format!("targetgroup/{name}/{}", hex(&format!("{account} {region} {name} group"), 16))
}

fn group_arn(region: &str, account: &str, name: &str) -> String {
    arn("elasticloadbalancing", region, account, &group_dimension(region, account, name))
}

fn listener_arn(item: &Item, listener: &Keys, place: usize) -> String {
    let port = listener.int_or("port", 80);
    let rest = format!("listener/{}/{}", dimension(item), hex(&format!("{} {port} {place}", item.id), 16));
    arn("elasticloadbalancing", item.region, item.account, &rest)
}

fn v2_balancers<'a>(cloud: &'a Cloud, request: &Request) -> Vec<Item<'a>> {
    every(cloud, request, BALANCER).into_iter().filter(|item| !is_classic(item)).collect()
}

fn balancers(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let mut items = v2_balancers(cloud, request);
    let arns = args.texts("LoadBalancerArns");
    let names = args.texts("Names");
    if let Some(missing) = arns.iter().find(|asked| !items.iter().any(|item| balancer_arn(item) == **asked)) {
        return Err(no_balancer(&format!("'{missing}'")));
    }
    if let Some(missing) = names.iter().find(|name| !items.iter().any(|item| item.id == **name)) {
        return Err(no_balancer(&format!("'[{missing}]'")));
    }
    if !arns.is_empty() {
        items.retain(|item| arns.contains(&balancer_arn(item)));
    }
    if !names.is_empty() {
        items.retain(|item| names.iter().any(|name| name == item.id));
    }
    let (items, token) = cloud.page(&items, Some(args.limit("PageSize", 400, 400, INVALID)?), args.text("Marker"))?;
    let described: Vec<Value> = items
        .iter()
        .map(|item| {
            let kind = item.text_or("type", "application");
            let gateway = kind == "gateway";
            let subnets = item.texts("subnets");
            let zones: Vec<Value> = if subnets.is_empty() {
                vec![json!({
                    "ZoneName": format!("{}a", item.region),
                    "SubnetId": format!("subnet-{}", hex(item.region, 17)),
                })]
            } else {
                subnets
                    .iter()
                    .map(|subnet| json!({ "ZoneName": format!("{}a", item.region), "SubnetId": subnet }))
                    .collect()
            };
            json!({
                "LoadBalancerArn": balancer_arn(item),
                "DNSName": (!gateway).then(|| dns_name(item)),
                "CanonicalHostedZoneId": (!gateway).then_some("Z35SXDOTRQ7X7K"),
                "CreatedTime": stamp(item.created),
                "LoadBalancerName": item.id,
                "Scheme": (!gateway).then(|| item.text_or("scheme", "internet-facing")),
                "VpcId": vpc(item),
                "State": { "Code": item.text_or("state", "active") },
                "Type": kind,
                "AvailabilityZones": zones,
                "SecurityGroups": item.texts("security_groups"),
                "IpAddressType": "ipv4",
            })
        })
        .collect();
    answer(json!({ "LoadBalancers": described, "NextMarker": token }))
}

/// The actions of a listener or a rule.
fn actions(item: &Item, keys: &Keys) -> Vec<Value> {
    let mut groups: Vec<(String, i64)> =
        keys.map("targets").into_iter().map(|(name, weight)| (name, weight.as_i64().unwrap_or(1))).collect();
    if let Some(name) = keys.text("target_group") {
        groups.push((name.to_owned(), 1));
    }
    if !groups.is_empty() {
        let arn_of = |name: &str| group_arn(item.region, item.account, name);
        let only = match groups.as_slice() {
            [(name, _)] => Some(arn_of(name)),
            _ => None,
        };
        let tuples: Vec<Value> =
            groups.iter().map(|(name, weight)| json!({ "TargetGroupArn": arn_of(name), "Weight": weight })).collect();
        return vec![json!({
            "Type": "forward",
            "Order": 1,
            "TargetGroupArn": only,
            "ForwardConfig": {
                "TargetGroups": tuples,
                "TargetGroupStickinessConfig": { "Enabled": false },
            },
        })];
    }
    if keys.text("action") == Some("redirect") {
        return vec![json!({
            "Type": "redirect", "Order": 1,
            "RedirectConfig": {
                "Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}",
                "Query": "#{query}", "StatusCode": "HTTP_301",
            },
        })];
    }
    vec![json!({
        "Type": "fixed-response", "Order": 1,
        "FixedResponseConfig": { "StatusCode": "404", "ContentType": "text/plain" },
    })]
}

fn listeners(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked_balancer = args.text("LoadBalancerArn");
    let asked = args.texts("ListenerArns");
    if asked_balancer.is_none() && asked.is_empty() {
        return Err(refused(400, "ValidationError", "You must specify either listener ARNs or a load balancer ARN"));
    }
    let items = v2_balancers(cloud, request);
    if let Some(arn) = asked_balancer
        && !items.iter().any(|item| balancer_arn(item) == arn)
    {
        return Err(no_balancer(&format!("'{arn}'")));
    }
    let mut rows = Vec::new();
    for item in &items {
        let own = balancer_arn(item);
        if asked_balancer.is_some_and(|asked| asked != own) {
            continue;
        }
        for (place, listener) in item.tables("listeners").iter().enumerate() {
            let listener_arn = listener_arn(item, listener, place);
            if !asked.is_empty() && !asked.contains(&listener_arn) {
                continue;
            }
            let usual = match item.text_or("type", "application") {
                "network" => "TCP",
                "gateway" => "GENEVE",
                _ => "HTTP",
            };
            rows.push(json!({
                "ListenerArn": listener_arn,
                "LoadBalancerArn": own,
                "Port": listener.int_or("port", 80),
                "Protocol": listener.text_or("protocol", usual),
                "DefaultActions": actions(item, listener),
            }));
        }
    }
    if !asked.is_empty() && rows.len() < asked.len() {
        return Err(no_listener());
    }
    let (rows, token) = cloud.page(&rows, Some(args.limit("PageSize", 400, 400, INVALID)?), args.text("Marker"))?;
    answer(json!({ "Listeners": rows, "NextMarker": token }))
}

fn no_listener() -> WireError {
    refused(400, "ListenerNotFound", "One or more listeners not found")
}

fn rules(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.text("ListenerArn");
    let asked_rules = args.texts("RuleArns");
    if asked.is_none() && asked_rules.is_empty() {
        return Err(refused(400, "ValidationError", "You must specify either a listener ARN or rule ARNs"));
    }
    let mut rows = Vec::new();
    let mut known = false;
    for item in v2_balancers(cloud, request) {
        for (place, listener) in item.tables("listeners").iter().enumerate() {
            let own = listener_arn(&item, listener, place);
            if asked.is_some_and(|asked| asked != own) {
                continue;
            }
            known = true;
            let rule_arn = |priority: &str| {
                let base = own.replacen("listener/", "listener-rule/", 1);
                format!("{base}/{}", hex(&format!("{base} {priority}"), 16))
            };
            for (place, rule) in listener.tables("rules").iter().enumerate() {
                let priority = rule.int_or("priority", place as i64 + 1).to_string();
                let path = rule.text_or("path", "/*");
                rows.push(json!({
                    "RuleArn": rule_arn(&priority),
                    "Priority": priority,
                    "Conditions": [{
                        "Field": "path-pattern",
                        "Values": [path],
                        "PathPatternConfig": { "Values": [path] },
                    }],
                    "Actions": actions(&item, rule),
                    "IsDefault": false,
                }));
            }
            rows.push(json!({
                "RuleArn": rule_arn("default"),
                "Priority": "default",
                "Conditions": [],
                "Actions": actions(&item, listener),
                "IsDefault": true,
            }));
        }
    }
    if asked.is_some() && !known {
        return Err(no_listener());
    }
    if !asked_rules.is_empty() {
        rows.retain(|row| {
            row.get("RuleArn").and_then(Value::as_str).is_some_and(|own| asked_rules.iter().any(|asked| asked == own))
        });
        if rows.len() < asked_rules.len() {
            return Err(refused(400, "RuleNotFound", "One or more rules not found"));
        }
    }
    let (rows, token) = cloud.page(&rows, Some(args.limit("PageSize", 400, 400, INVALID)?), args.text("Marker"))?;
    answer(json!({ "Rules": rows, "NextMarker": token }))
}

/// Whether a load balancer forwards to a target group, from a listener or from one of its rules.
fn forwards(item: &Item, group: &str) -> bool {
    let named = |keys: &Keys| keys.text("target_group") == Some(group) || keys.map("targets").contains_key(group);
    item.tables("listeners").iter().any(|listener| named(listener) || listener.tables("rules").iter().any(named))
}

fn target_groups(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let balancers = v2_balancers(cloud, request);
    let mut items = every(cloud, request, GROUP);
    let asked_balancer = args.text("LoadBalancerArn");
    let arns = args.texts("TargetGroupArns");
    let names = args.texts("Names");
    if let Some(asked) = asked_balancer
        && !balancers.iter().any(|item| balancer_arn(item) == asked)
    {
        return Err(no_balancer(&format!("'{asked}'")));
    }
    let own_arn = |item: &Item| group_arn(item.region, item.account, item.id);
    let missing = arns.iter().any(|asked| !items.iter().any(|item| own_arn(item) == *asked))
        || names.iter().any(|name| !items.iter().any(|item| item.id == name));
    if missing {
        return Err(no_group());
    }
    if !arns.is_empty() {
        items.retain(|item| arns.contains(&own_arn(item)));
    }
    if !names.is_empty() {
        items.retain(|item| names.iter().any(|name| name == item.id));
    }
    let used_by = |item: &Item| -> Vec<String> {
        let stated = item.texts("load_balancers");
        balancers
            .iter()
            .filter(|balancer| forwards(balancer, item.id) || stated.iter().any(|name| name == balancer.id))
            .map(balancer_arn)
            .collect()
    };
    if let Some(asked) = asked_balancer {
        items.retain(|item| used_by(item).iter().any(|own| own == asked));
    }
    let (items, token) = cloud.page(&items, Some(args.limit("PageSize", 400, 400, INVALID)?), args.text("Marker"))?;
    let described: Vec<Value> = items
        .iter()
        .map(|item| {
            let kind = item.text_or("type", "instance");
            let lambda = kind == "lambda";
            json!({
                "TargetGroupArn": own_arn(item),
                "TargetGroupName": item.id,
                "Protocol": (!lambda).then(|| item.text_or("protocol", "HTTP")),
                "Port": (!lambda).then(|| item.int_or("port", 80)),
                "VpcId": (!lambda).then(|| vpc(item)),
                "HealthCheckProtocol": "HTTP",
                "HealthCheckPort": "traffic-port",
                "HealthCheckEnabled": !lambda,
                "HealthCheckIntervalSeconds": 30,
                "HealthCheckTimeoutSeconds": 5,
                "HealthyThresholdCount": 5,
                "UnhealthyThresholdCount": 2,
                "HealthCheckPath": "/",
                "Matcher": { "HttpCode": "200" },
                "LoadBalancerArns": used_by(item),
                "TargetType": kind,
                "ProtocolVersion": (!lambda).then_some("HTTP1"),
                "IpAddressType": "ipv4",
            })
        })
        .collect();
    answer(json!({ "TargetGroups": described, "NextMarker": token }))
}

fn no_group() -> WireError {
    refused(400, "TargetGroupNotFound", "One or more target groups not found")
}

fn target_health(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.text("TargetGroupArn").unwrap_or_default();
    let item = every(cloud, request, GROUP)
        .into_iter()
        .find(|item| group_arn(item.region, item.account, item.id) == asked)
        .ok_or_else(no_group)?;
    let port = item.int_or("port", 80);
    let described: Vec<Value> = item
        .tables("targets")
        .iter()
        .map(|target| {
            let health = target.text_or("health", "healthy");
            let usual = match health {
                "healthy" => None,
                "draining" => Some("Target.DeregistrationInProgress"),
                "unused" => Some("Target.NotInUse"),
                "initial" => Some("Elb.InitialHealthChecking"),
                "unavailable" => Some("Target.HealthCheckDisabled"),
                _ => Some("Target.FailedHealthChecks"),
            };
            json!({
                "Target": {
                    "Id": target.text_or("id", "i-00000000000000000"),
                    "Port": target.int_or("port", port),
                },
                "HealthCheckPort": port.to_string(),
                "TargetHealth": { "State": health, "Reason": target.text("reason").or(usual) },
            })
        })
        .collect();
    answer(json!({ "TargetHealthDescriptions": described }))
}

fn tags(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.texts("ResourceArns");
    at_most_twenty(&asked)?;
    let balancers = v2_balancers(cloud, request);
    let groups = every(cloud, request, GROUP);
    let mut described = Vec::new();
    for arn in &asked {
        let found = balancers
            .iter()
            .find(|item| balancer_arn(item) == *arn)
            .or_else(|| groups.iter().find(|item| group_arn(item.region, item.account, item.id) == *arn))
            .map(|item| item.tag_list("Key", "Value"));
        let own = match found {
            Some(own) => own,
            // Listeners and rules exist but carry no tags here.
            None if arn.contains(":listener/") || arn.contains(":listener-rule/") => json!([]),
            None if arn.contains(":targetgroup/") => return Err(no_group()),
            None => return Err(no_balancer(&format!("'{arn}'"))),
        };
        described.push(json!({ "ResourceArn": arn, "Tags": own }));
    }
    answer(json!({ "TagDescriptions": described }))
}
