//! Elastic Container Service: clusters, services, tasks and task definitions.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.ecs-cluster` | id | | the cluster's name |
//! | | `status` | `ACTIVE` | |
//! | `aws.ecs-service` | id | | the service's name |
//! | | `cluster` | `default` | the cluster's name |
//! | | `task_definition` | none | `family:revision` |
//! | | `deployments` | its task definition's | `family:revision` of each deployment still going |
//! | | `desired`, `running` | 1, `desired` | |
//! | | `status`, `launch_type` | `ACTIVE`, `FARGATE` | |
//! | | `target_groups` | none | target group ARNs |
//! | `aws.ecs-task` | id | | the task's id, the last part of its ARN |
//! | | `cluster` | `default` | |
//! | | `service` | none | the service's name |
//! | | `task_definition` | none | `family:revision` |
//! | | `containers` | none | `[{ name, image, digest }]` |
//! | | `status`, `launch_type` | `RUNNING`, `FARGATE` | `lastStatus` is the status |
//! | `aws.ecs-task-definition` | id | | `family:revision` |
//! | | `images` | none | container images |
//! | | `env` | none | table of environment variables of each container |
//! | | `status` | `ACTIVE` | or `INACTIVE` |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, digest, every, one, refused, stamp, unserved, uuid};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const CLUSTER: &str = "aws.ecs-cluster";
const SERVICE: &str = "aws.ecs-service";
const TASK: &str = "aws.ecs-task";
const DEFINITION: &str = "aws.ecs-task-definition";

pub(crate) const KINDS: &[Kind] = &[
    Kind { kind: CLUSTER, keys: &["status:text"] },
    Kind {
        kind: SERVICE,
        keys: &[
            "cluster:text",
            "task_definition:text",
            "deployments:list",
            "desired:int",
            "running:int",
            "status:text",
            "launch_type:text",
            "target_groups:list",
        ],
    },
    Kind {
        kind: TASK,
        keys: &[
            "cluster:text",
            "service:text",
            "task_definition:text",
            "containers:tables",
            "status:text",
            "launch_type:text",
        ],
    },
    Kind { kind: DEFINITION, keys: &["images:list", "env:table", "status:text"] },
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "ListClusters" => {
            let all: Vec<Item> = every(cloud, request, CLUSTER)
                .into_iter()
                .filter(|item| item.text_or("status", "ACTIVE") == "ACTIVE")
                .collect();
            list(cloud, &args, "clusterArns", &all, cluster_arn, 100)
        }
        "DescribeClusters" => describe_clusters(cloud, request, &args),
        "ListServices" => {
            let cluster = cluster(cloud, request, &args)?;
            let all = of_cluster(cloud, request, SERVICE, &cluster);
            // Ten unless asked otherwise, unlike the other lists.
            list(cloud, &args, "serviceArns", &all, service_arn, 10)
        }
        "DescribeServices" => describe_services(cloud, request, &args),
        "ListTasks" => {
            let cluster = cluster(cloud, request, &args)?;
            let wanted = args.text("desiredStatus").unwrap_or("RUNNING");
            let service = args.text("serviceName").map(last);
            let family = args.text("family");
            let mut all = of_cluster(cloud, request, TASK, &cluster);
            all.retain(|task| {
                let stopped = task.text_or("status", "RUNNING") == "STOPPED";
                stopped == (wanted == "STOPPED")
                    && service.is_none_or(|service| task.text("service") == Some(service))
                    && family.is_none_or(|family| task.text_or("task_definition", "").split(':').next() == Some(family))
            });
            list(cloud, &args, "taskArns", &all, task_arn, 100)
        }
        "DescribeTasks" => describe_tasks(cloud, request, &args),
        "ListTaskDefinitions" => list_definitions(cloud, request, &args),
        "DescribeTaskDefinition" => describe_definition(cloud, request, &args),
        _ => unserved(request),
    }
}

/// The last part of an ARN, or the whole of a name.
fn last(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

fn cluster_arn(item: &Item) -> String {
    arn("ecs", item.region, item.account, &format!("cluster/{}", item.id))
}

fn cluster_name<'a>(item: &Item<'a>) -> &'a str {
    item.text("cluster").unwrap_or("default")
}

fn service_arn(item: &Item) -> String {
    arn("ecs", item.region, item.account, &format!("service/{}/{}", cluster_name(item), item.id))
}

fn task_arn(item: &Item) -> String {
    arn("ecs", item.region, item.account, &format!("task/{}/{}", cluster_name(item), item.id))
}

fn definition_arn(region: &str, account: &str, name: &str) -> String {
    arn("ecs", region, account, &format!("task-definition/{name}"))
}

/// The cluster a request names, `default` when it names none.
fn cluster<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Item<'a>, WireError> {
    let asked = args.text("cluster").unwrap_or("default");
    one(cloud, request, CLUSTER, last(asked))
        .filter(|item| !asked.starts_with("arn:") || cluster_arn(item) == asked)
        .ok_or_else(|| refused(400, "ClusterNotFoundException", "Cluster not found."))
}

fn of_cluster<'a>(cloud: &'a Cloud, request: &Request, kind: &str, cluster: &Item) -> Vec<Item<'a>> {
    every(cloud, request, kind).into_iter().filter(|item| cluster_name(item) == cluster.id).collect()
}

fn list(
    cloud: &Cloud,
    args: &Args,
    name: &str,
    items: &[Item],
    arn: fn(&Item) -> String,
    default: usize,
) -> Result<Reply, WireError> {
    let most = args.limit("maxResults", 100, default, INVALID)?;
    let (items, token) = cloud.page(items, Some(most), args.text("nextToken"))?;
    let arns: Vec<String> = items.iter().map(arn).collect();
    answer(json!({ name: arns, "nextToken": token }))
}

/// The names in a list parameter, at least one and at most as many as the operation takes.
fn names(args: &Args, name: &str, most: usize) -> Result<Vec<String>, WireError> {
    let names = args.texts(name);
    if names.is_empty() {
        return Err(refused(400, INVALID, format!("{name} cannot be empty.")));
    }
    if names.len() > most {
        return Err(refused(400, INVALID, format!("{name} can have at most {most} items.")));
    }
    Ok(names)
}

/// What was found of the names, and the failures for the others.
fn sorted_out<'a>(
    names: &[String],
    items: &[Item<'a>],
    arn: fn(&Item) -> String,
    fallback: impl Fn(&str) -> String,
) -> (Vec<Item<'a>>, Vec<Value>) {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        let own =
            items.iter().find(|item| if name.starts_with("arn:") { arn(item) == *name } else { item.id == *name });
        if let Some(item) = own {
            found.push(*item);
        } else {
            let shown = if name.starts_with("arn:") { name.clone() } else { fallback(name) };
            failures.push(json!({ "arn": shown, "reason": "MISSING" }));
        }
    }
    (found, failures)
}

/// The tags, which these operations give only to those who ask for them.
fn tags(args: &Args, item: &Item) -> Option<Value> {
    let asked = args.texts("include").iter().any(|what| what == "TAGS");
    asked.then(|| item.tag_list("key", "value"))
}

fn describe_clusters(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let names = match args.texts("clusters") {
        names if names.is_empty() => vec!["default".to_owned()],
        names if names.len() > 100 => {
            return Err(refused(400, INVALID, "clusters can have at most 100 items."));
        }
        names => names,
    };
    let all = every(cloud, request, CLUSTER);
    let (found, failures) = sorted_out(&names, &all, cluster_arn, |name| {
        arn("ecs", &request.region, &request.account, &format!("cluster/{name}"))
    });
    let described: Vec<Value> = found
        .iter()
        .map(|item| {
            let tasks = of_cluster(cloud, request, TASK, item);
            json!({
                "clusterArn": cluster_arn(item),
                "clusterName": item.id,
                "status": item.text_or("status", "ACTIVE"),
                "registeredContainerInstancesCount": 0,
                "runningTasksCount": tasks
                    .iter()
                    .filter(|task| task.text_or("status", "RUNNING") == "RUNNING")
                    .count(),
                "pendingTasksCount": 0,
                "activeServicesCount": of_cluster(cloud, request, SERVICE, item).len(),
                "tags": tags(args, item),
            })
        })
        .collect();
    answer(json!({ "clusters": described, "failures": failures }))
}

fn describe_services(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let cluster = cluster(cloud, request, args)?;
    let names = names(args, "services", 10)?;
    let all = of_cluster(cloud, request, SERVICE, &cluster);
    let (found, failures) = sorted_out(&names, &all, service_arn, |name| {
        arn("ecs", cluster.region, cluster.account, &format!("service/{}/{name}", cluster.id))
    });
    let described: Vec<Value> = found
        .iter()
        .map(|item| {
            let definition = |name: &str| definition_arn(item.region, item.account, name);
            let desired = item.int_or("desired", 1);
            let running = item.int_or("running", desired);
            let mut rollouts = item.texts("deployments");
            if rollouts.is_empty() {
                rollouts.extend(item.text("task_definition").map(str::to_owned));
            }
            let deployments: Vec<Value> = rollouts
                .iter()
                .enumerate()
                .map(|(place, name)| {
                    json!({
                        "id": format!("ecs-svc/{}", u32::try_from(place).unwrap_or(0)),
                        "status": if place == 0 { "PRIMARY" } else { "ACTIVE" },
                        "taskDefinition": definition(name),
                        "desiredCount": desired,
                        "runningCount": running,
                        "pendingCount": 0,
                        "createdAt": stamp(item.created),
                        "updatedAt": stamp(item.created),
                    })
                })
                .collect();
            let balancers: Vec<Value> = item
                .texts("target_groups")
                .iter()
                .map(|group| json!({ "targetGroupArn": group, "containerName": "main", "containerPort": 80 }))
                .collect();
            json!({
                "serviceArn": service_arn(item),
                "serviceName": item.id,
                "clusterArn": cluster_arn(&cluster),
                "loadBalancers": balancers,
                "serviceRegistries": [],
                "status": item.text_or("status", "ACTIVE"),
                "desiredCount": desired,
                "runningCount": running,
                "pendingCount": 0,
                "launchType": item.text_or("launch_type", "FARGATE"),
                "taskDefinition": item.text("task_definition").map(definition),
                "deployments": deployments,
                "events": [],
                "createdAt": stamp(item.created),
                "schedulingStrategy": "REPLICA",
                "tags": tags(args, item),
            })
        })
        .collect();
    answer(json!({ "services": described, "failures": failures }))
}

fn describe_tasks(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let cluster = cluster(cloud, request, args)?;
    let names = names(args, "tasks", 100)?;
    let all = of_cluster(cloud, request, TASK, &cluster);
    let (found, failures) = sorted_out(&names, &all, task_arn, |name| {
        arn("ecs", cluster.region, cluster.account, &format!("task/{}/{name}", cluster.id))
    });
    let described: Vec<Value> = found
        .iter()
        .map(|item| {
            let status = item.text_or("status", "RUNNING");
            let containers: Vec<Value> = item
                .tables("containers")
                .iter()
                .enumerate()
                .map(|(place, container)| {
                    json!({
                        "containerArn": arn("ecs", item.region, item.account, &format!("container/{}/{}/{}", cluster.id, item.id, uuid(&format!("{} {place}", item.id)))),
                        "taskArn": task_arn(item),
                        "name": container.text_or("name", "main"),
                        "image": container.text_or("image", ""),
                        "imageDigest": container.text("digest").map(digest),
                        "lastStatus": status,
                    })
                })
                .collect();
            json!({
                "taskArn": task_arn(item),
                "clusterArn": cluster_arn(&cluster),
                "taskDefinitionArn": item
                    .text("task_definition")
                    .map(|name| definition_arn(item.region, item.account, name)),
                "group": item.text("service").map(|service| format!("service:{service}")),
                "containers": containers,
                "lastStatus": status,
                "desiredStatus": if status == "STOPPED" { "STOPPED" } else { "RUNNING" },
                "launchType": item.text_or("launch_type", "FARGATE"),
                "createdAt": stamp(item.created),
                "startedAt": stamp(item.created),
                "tags": tags(args, item),
            })
        })
        .collect();
    answer(json!({ "tasks": described, "failures": failures }))
}

/// Family and revision of a task definition's name.
fn family(name: &str) -> (&str, i64) {
    match name.rsplit_once(':') {
        Some((family, revision)) => match revision.parse() {
            Ok(revision) => (family, revision),
            Err(_) => (name, 1),
        },
        None => (name, 1),
    }
}

fn list_definitions(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let wanted = args.text("status").unwrap_or("ACTIVE");
    let prefix = args.text("familyPrefix");
    let mut all = every(cloud, request, DEFINITION);
    all.retain(|item| {
        item.text_or("status", "ACTIVE") == wanted
            // The whole name of a family, whatever the parameter is called.
            && prefix.is_none_or(|prefix| family(item.id).0 == prefix)
    });
    all.sort_by_key(|item| family(item.id));
    if args.text("sort") == Some("DESC") {
        all.reverse();
    }
    let arn = |item: &Item| definition_arn(item.region, item.account, item.id);
    list(cloud, args, "taskDefinitionArns", &all, arn, 100)
}

fn describe_definition(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let asked = args.text("taskDefinition").unwrap_or_default();
    let name = last(asked);
    let all = every(cloud, request, DEFINITION);
    // A family alone means its newest active revision.
    let item = all.iter().find(|item| item.id == name).or_else(|| {
        all.iter()
            .filter(|item| family(item.id).0 == name && item.text_or("status", "ACTIVE") == "ACTIVE")
            .max_by_key(|item| family(item.id).1)
    });
    let item = item.ok_or_else(|| refused(400, "ClientException", "Unable to describe task definition."))?;
    let (family, revision) = family(item.id);
    let variables = item.map("env");
    let environment: Vec<Value> =
        variables.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let containers: Vec<Value> = item
        .texts("images")
        .iter()
        .enumerate()
        .map(|(place, image)| {
            json!({
                "name": if place == 0 { "main".to_owned() } else { format!("side-{place}") },
                "image": image,
                "cpu": 0,
                "essential": place == 0,
                "portMappings": [],
                "environment": environment,
                "mountPoints": [],
                "volumesFrom": [],
            })
        })
        .collect();
    answer(json!({
        "taskDefinition": {
            "taskDefinitionArn": definition_arn(item.region, item.account, item.id),
            "containerDefinitions": containers,
            "family": family,
            "revision": revision,
            "status": item.text_or("status", "ACTIVE"),
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "registeredAt": stamp(item.created),
        },
        "tags": tags(args, item),
    }))
}
