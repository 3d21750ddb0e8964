//! Cloud Functions v2 and Cloud Run v2: functions, services with their traffic, revisions and jobs.

use serde_json::{Map, Value, json};

use super::operations::{self, Change};
use super::shape::{finished, hash, labels, lean, number, regions, utc};
use super::{not_found, page, project_number, unreachable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::{Kind, uuid};

const FUNCTION: &str = "gcp.function";
const RUN_SERVICE: &str = "gcp.run-service";
const RUN_REVISION: &str = "gcp.run-revision";
const RUN_JOB: &str = "gcp.run-job";

pub(super) const KINDS: &[Kind] = &[
    Kind {
        kind: FUNCTION,
        keys: &[
            "gen:int",
            "runtime:text",
            "state:text",
            "event:text",
            "topic:text",
            "min_instances:int",
            "max_instances:int",
            "memory:text",
            "cpu:text",
            "service:text",
            "updated:time",
            "docker_repository:text",
            "source_bucket:text",
            "service_account:text",
            "vpc_connector:text",
            "environment:table",
            "description:text",
        ],
    },
    Kind {
        kind: RUN_SERVICE,
        keys: &[
            "images:list",
            "traffic:tables",
            "latest:text",
            "min_instances:int",
            "service_min_instances:int",
            "manual_instances:int",
            "cpu_always:bool",
            "cpu:text",
            "memory:text",
            "ingress:text",
            "updated:time",
            "creator:text",
            "service_account:text",
            "annotations:table",
            "environment:table",
            "description:text",
        ],
    },
    Kind {
        kind: RUN_REVISION,
        keys: &[
            "service:text",
            "images:list",
            "min_instances:int",
            "cpu_always:bool",
            "retired:bool",
            "updated:time",
            "environment:table",
        ],
    },
    Kind {
        kind: RUN_JOB,
        keys: &[
            "images:list",
            "executions:int",
            "last_execution:time",
            "last_status:text",
            "updated:time",
            "creator:text",
            "service_account:text",
            "environment:table",
        ],
    },
];

#[rustfmt::skip]
pub(super) const ROUTES: &[Route] = &[
    Route { service: "cloudfunctions", method: "GET", path: "/v2/projects/{project}/locations", action: "cloudfunctions.projects.locations.list", permission: "cloudfunctions.locations.list", handle: locations },
    Route { service: "cloudfunctions", method: "GET", path: "/v2/projects/{project}/locations/{location}/functions", action: "cloudfunctions.projects.locations.functions.list", permission: "cloudfunctions.functions.list", handle: functions },
    Route { service: "cloudfunctions", method: "GET", path: "/v2/projects/{project}/locations/{location}/functions/{id}", action: "cloudfunctions.projects.locations.functions.get", permission: "cloudfunctions.functions.get", handle: get_function },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/services", action: "run.projects.locations.services.list", permission: "run.services.list", handle: run_services },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/services/{id}", action: "run.projects.locations.services.get", permission: "run.services.get", handle: get_service },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/services/{service}/revisions", action: "run.projects.locations.services.revisions.list", permission: "run.revisions.list", handle: revisions },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/services/{service}/revisions/{id}", action: "run.projects.locations.services.revisions.get", permission: "run.revisions.get", handle: get_revision },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/jobs", action: "run.projects.locations.jobs.list", permission: "run.jobs.list", handle: jobs },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/jobs/{id}", action: "run.projects.locations.jobs.get", permission: "run.jobs.get", handle: get_job },
    Route { service: "cloudfunctions", method: "DELETE", path: "/v2/projects/{project}/locations/{location}/functions/{id}", action: "cloudfunctions.projects.locations.functions.delete", permission: "cloudfunctions.functions.delete", handle: delete_function },
    Route { service: "run", method: "DELETE", path: "/v2/projects/{project}/locations/{location}/services/{id}", action: "run.projects.locations.services.delete", permission: "run.services.delete", handle: delete_service },
    Route { service: "run", method: "DELETE", path: "/v2/projects/{project}/locations/{location}/services/{service}/revisions/{id}", action: "run.projects.locations.services.revisions.delete", permission: "run.revisions.delete", handle: delete_revision },
    Route { service: "run", method: "DELETE", path: "/v2/projects/{project}/locations/{location}/jobs/{id}", action: "run.projects.locations.jobs.delete", permission: "run.jobs.delete", handle: delete_job },
    Route { service: "run", method: "GET", path: "/v2/projects/{project}/locations/{location}/operations/{id}", action: "run.projects.locations.operations.get", permission: "run.operations.get", handle: operations::get },
    Route { service: "cloudfunctions", method: "GET", path: "/v2/projects/{project}/locations/{location}/operations/{id}", action: "cloudfunctions.projects.locations.operations.get", permission: "cloudfunctions.operations.get", handle: operations::get },
];

fn parent(item: &Item) -> String {
    format!("projects/{}/locations/{}", item.account, item.region)
}

fn locations(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all: Vec<Value> = regions(cloud, &req.account)
        .iter()
        .map(|name| json!({ "name": format!("projects/{}/locations/{name}", req.account), "locationId": name }))
        .collect();
    let (part, next) = page(cloud, req, &all, "pageSize", 500)?;
    Ok(Reply::Value(lean(json!({ "locations": part, "nextPageToken": next }))))
}

fn updated(cloud: &Cloud, item: &Item) -> String {
    utc(item.time("updated", cloud.now).unwrap_or(item.created))
}

/// A host that depends on nothing but the resource: "https://web-4f2a…-uc.a.run.app".
fn url(item: &Item) -> String {
    format!("https://{}-{:010x}-uc.a.run.app", item.id, hash(&[&item.account, &item.region]) & 0xff_ffff_ffff)
}

fn function(cloud: &Cloud, item: &Item) -> Value {
    let first = item.int("gen") == Some(1);
    let here = parent(item);
    let account = item.text("service_account").map_or_else(
        || format!("{}-compute@developer.gserviceaccount.com", project_number(cloud, &item.account)),
        str::to_owned,
    );
    let service = item.text("service").unwrap_or(&item.id);
    let service = if service.contains('/') { service.to_owned() } else { format!("{here}/services/{service}") };
    let topic = item.text("topic").map(|topic| format!("projects/{}/topics/{topic}", item.account));
    let event = item.text("event").or(topic.as_ref().map(|_| "google.cloud.pubsub.topic.v1.messagePublished"));
    let trigger = event.map(|event| {
        json!({
            "trigger": (!first).then(|| format!("{here}/triggers/{}-000000", item.id)),
            "triggerRegion": item.region,
            "eventType": event,
            "pubsubTopic": topic,
            "serviceAccountEmail": account,
            "retryPolicy": "RETRY_POLICY_DO_NOT_RETRY",
        })
    });
    let url = if first {
        format!("https://{}-{}.cloudfunctions.net/{}", item.region, item.account, item.id)
    } else {
        url(item)
    };
    let repository = item.text("docker_repository").unwrap_or("gcf-artifacts");
    let bucket = item.text("source_bucket").map_or_else(
        || format!("gcf-v2-sources-{}-{}", project_number(cloud, &item.account), item.region),
        str::to_owned,
    );
    finished(
        item,
        json!({
            "name": format!("{here}/functions/{}", item.id),
            "description": item.text("description"),
            "environment": if first { "GEN_1" } else { "GEN_2" },
            "state": item.text_or("state", "ACTIVE"),
            "createTime": utc(item.created),
            "updateTime": updated(cloud, item),
            "labels": labels(item),
            "url": url,
            "buildConfig": {
                "build": format!("projects/{}/locations/{}/builds/{}", project_number(cloud, &item.account), item.region, uuid(&item.id)),
                "runtime": item.text_or("runtime", "python312"),
                "entryPoint": "main",
                "source": { "storageSource": { "bucket": bucket, "object": format!("{}/function-source.zip", item.id) } },
                "dockerRepository": format!("{here}/repositories/{repository}"),
                "dockerRegistry": "ARTIFACT_REGISTRY",
            },
            "serviceConfig": {
                "service": (!first).then_some(service),
                "revision": (!first).then(|| format!("{}-00001-abc", item.id)),
                "uri": url,
                "timeoutSeconds": 60,
                "availableMemory": item.text_or("memory", "256M"),
                "availableCpu": item.text("cpu").or((!first).then_some("0.1666")),
                "maxInstanceCount": item.int("max_instances").unwrap_or(100),
                "minInstanceCount": item.int("min_instances"),
                "ingressSettings": "ALLOW_ALL",
                "serviceAccountEmail": account,
                "vpcConnector": item.text("vpc_connector"),
                "environmentVariables": item.keys.get("environment"),
                "allTrafficOnLatestRevision": true,
            },
            "eventTrigger": trigger,
        }),
    )
}

fn functions(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let location = req.label("location");
    let mut all = cloud.list_account(&req.account, FUNCTION);
    let mut lost: Vec<String> = Vec::new();
    if location == "-" {
        all.retain(|item| !req.is_lost(&item.region));
        let there = regions(cloud, &req.account);
        lost.extend(
            there
                .iter()
                .filter(|region| req.is_lost(region))
                .map(|region| format!("projects/{}/locations/{region}", req.account)),
        );
    } else {
        reachable(req)?;
        all.retain(|item| item.region == location);
    }
    let (part, next) = page(cloud, req, &all, "pageSize", 1000)?;
    let part: Vec<Value> = part.into_iter().map(|item| function(cloud, item)).collect();
    Ok(Reply::Value(lean(json!({ "functions": part, "nextPageToken": next, "unreachable": lost }))))
}

fn reachable(req: &Req) -> Result<(), WireError> {
    if req.is_lost(&req.region) { Err(unreachable(&req.region)) } else { Ok(()) }
}

/// The resources of a kind in the one location that a call is about.
fn here<'a>(cloud: &'a Cloud, req: &Req, kind: &str) -> Result<Vec<&'a Item>, WireError> {
    if req.label("location") == "-" {
        return Err(WireError::new(
            400,
            "INVALID_ARGUMENT",
            "Location must be a valid Google Cloud region, and cannot be the \"-\" wildcard.",
        ));
    }
    reachable(req)?;
    let mut all = cloud.list_in(&req.account, req.label("location"), kind);
    // The newest first, as Cloud Run sorts.
    all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.id.cmp(&a.id)));
    Ok(all)
}

fn one<'a>(cloud: &'a Cloud, req: &Req, kind: &str, collection: &str) -> Result<&'a Item, WireError> {
    reachable(req)?;
    let (location, id) = (req.label("location"), req.label("id"));
    cloud
        .list_in(&req.account, location, kind)
        .into_iter()
        .find(|item| item.id == id)
        .inspect(|item| operations::watched(cloud, item))
        .ok_or_else(|| not_found(&format!("projects/{}/locations/{location}/{collection}/{id}", req.account)))
}

/// What changes with whatever can be changed of a resource.
fn etag(item: &Item) -> String {
    let keys = serde_json::Value::Object(item.keys.clone()).to_string();
    let tags = labels(item).to_string();
    format!("\"{:016x}\"", hash(&[&item.account, &item.region, &item.id, &item.created.to_string(), &keys, &tags]))
}

/// Begins a deletion, if the resource is the one that was seen.
fn deletion(cloud: &Cloud, req: &Req, item: &Item, link: String) -> Result<Reply, WireError> {
    if let Some(seen) = req.param("etag").filter(|seen| !seen.is_empty())
        && seen != etag(item)
    {
        let what = format!(
            "Conflict for resource '{}': version '{seen}' was specified but current version is '{}'.",
            item.id,
            etag(item)
        );
        return Err(WireError::new(409, "ABORTED", what));
    }
    let operation = operations::begin(cloud, req, Change::deletion(item, link));
    Ok(Reply::Value(operations::long_running(&operation, false)))
}

fn delete_function(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = one(cloud, req, FUNCTION, "functions")?;
    deletion(cloud, req, item, format!("{}/functions/{}", parent(item), item.id))
}

fn delete_service(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = one(cloud, req, RUN_SERVICE, "services")?;
    deletion(cloud, req, item, format!("{}/services/{}", parent(item), item.id))
}

fn delete_job(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = one(cloud, req, RUN_JOB, "jobs")?;
    deletion(cloud, req, item, format!("{}/jobs/{}", parent(item), item.id))
}

/// Deletes a revision: none that its service sends to, by a share of its traffic or by a tag, and not the newest.
fn delete_revision(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = one(cloud, req, RUN_REVISION, "revisions")?;
    if of_service(item) != req.label("service") {
        return Err(not_found(req.label("id")));
    }
    let refused = |what: String| Err(WireError::new(400, "FAILED_PRECONDITION", what));
    let own =
        cloud.list_in(&item.account, &item.region, RUN_SERVICE).into_iter().find(|own| own.id == of_service(item));
    if let Some(own) = own {
        if latest(cloud, own) == item.id {
            return refused(format!(
                "Revision '{}' is the latest revision of its service and cannot be deleted.",
                item.id
            ));
        }
        let named = |target: &Map<String, Value>| target.get("revision").and_then(Value::as_str) == Some(&item.id);
        if own.tables("traffic").into_iter().any(named) {
            return refused(format!(
                "Revision '{}' is referenced by the traffic of its service and cannot be deleted.",
                item.id
            ));
        }
    }
    deletion(cloud, req, item, format!("{}/services/{}/revisions/{}", parent(item), of_service(item), item.id))
}

/// What is deleted with a service: its revisions. With a function of the second generation: the service that it runs
/// as.
pub(super) fn goes_along(cloud: &Cloud, item: &Item) {
    let (kind, name) = match item.kind.as_str() {
        FUNCTION if item.int("gen") != Some(1) => (RUN_SERVICE, item.text("service").unwrap_or(&item.id)),
        RUN_SERVICE => (RUN_REVISION, item.id.as_str()),
        _ => return,
    };
    let name = name.rsplit('/').next().unwrap_or(name);
    for other in cloud.list_in(&item.account, &item.region, kind) {
        if kind == RUN_SERVICE && other.id == name {
            goes_along(cloud, other);
            cloud.remove(other);
        } else if kind == RUN_REVISION && of_service(other) == name {
            cloud.remove(other);
        }
    }
}

fn get_function(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    one(cloud, req, FUNCTION, "functions").map(|item| Reply::Value(function(cloud, item)))
}

fn containers(item: &Item) -> Vec<Value> {
    let mut images = item.list("images");
    if images.is_empty() {
        images.push("us-docker.pkg.dev/cloudrun/container/hello".to_owned());
    }
    let environment: Vec<Value> = match item.keys.get("environment") {
        Some(Value::Object(pairs)) => {
            pairs.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        }
        _ => Vec::new(),
    };
    images
        .iter()
        .enumerate()
        .map(|(at, image)| {
            json!({
                "name": format!("{}-{at}", item.id),
                "image": image,
                "env": environment,
                "ports": if at == 0 { json!([{ "name": "http1", "containerPort": 8080 }]) } else { Value::Null },
                "resources": {
                    "limits": { "cpu": item.text("cpu").unwrap_or("1000m"), "memory": item.text("memory").unwrap_or("512Mi") },
                    // A flag that is not set is left out, as in every answer of these APIs.
                    "cpuIdle": (item.flag("cpu_always") != Some(true)).then_some(true),
                    "startupCpuBoost": true,
                },
            })
        })
        .collect()
}

fn service_account(cloud: &Cloud, item: &Item) -> String {
    item.text("service_account").map_or_else(
        || format!("{}-compute@developer.gserviceaccount.com", project_number(cloud, &item.account)),
        str::to_owned,
    )
}

/// A number, but for nought, which the APIs leave out.
fn some(number: Option<i64>) -> Value {
    number.filter(|number| *number != 0).map_or(Value::Null, Value::from)
}

fn latest(cloud: &Cloud, item: &Item) -> String {
    if let Some(latest) = item.text("latest") {
        return latest.to_owned();
    }
    let own = cloud.list_in(&item.account, &item.region, RUN_REVISION);
    let newest = own
        .into_iter()
        .filter(|revision| of_service(revision) == item.id)
        .max_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
    newest.map_or_else(|| format!("{}-00001-abc", item.id), |newest| newest.id.clone())
}

/// The service of a revision.
pub(super) fn of_service(revision: &Item) -> &str {
    revision.text("service").unwrap_or("service")
}

fn condition(kind: &str, at: &str) -> Value {
    json!({ "type": kind, "state": "CONDITION_SUCCEEDED", "lastTransitionTime": at })
}

fn service(cloud: &Cloud, item: &Item) -> Value {
    let name = format!("{}/services/{}", parent(item), item.id);
    let at = updated(cloud, item);
    let mut traffic: Vec<Value> = item
        .tables("traffic")
        .into_iter()
        .map(|target| {
            let revision = target.get("revision").and_then(Value::as_str);
            let kind = if revision.is_some() { "REVISION" } else { "LATEST" };
            json!({
                "type": format!("TRAFFIC_TARGET_ALLOCATION_TYPE_{kind}"),
                "revision": revision,
                "percent": some(target.get("percent").and_then(Value::as_i64)),
                "tag": target.get("tag"),
            })
        })
        .collect();
    if traffic.is_empty() {
        traffic.push(json!({ "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100 }));
    }
    let mut statuses = traffic.clone();
    for status in &mut statuses {
        if let Some(tag) = status["tag"].as_str() {
            status["uri"] = Value::from(url(item).replacen("https://", &format!("https://{tag}---"), 1));
        }
    }
    let revision = latest(cloud, item);
    finished(
        item,
        json!({
            "name": name,
            "uid": uuid(&number(&[&item.account, &item.region, &item.id])),
            "description": item.text("description"),
            "generation": "1",
            "observedGeneration": "1",
            "labels": labels(item),
            "annotations": item.keys.get("annotations"),
            "createTime": utc(item.created),
            "updateTime": at,
            "creator": item.text("creator"),
            "lastModifier": item.text("creator"),
            "ingress": format!("INGRESS_TRAFFIC_{}", item.text("ingress").unwrap_or("ALL")),
            "launchStage": "GA",
            "template": {
                "containers": containers(item),
                "scaling": { "minInstanceCount": some(item.int("min_instances")), "maxInstanceCount": 100 },
                "timeout": "300s",
                "serviceAccount": service_account(cloud, item),
                "maxInstanceRequestConcurrency": 80,
            },
            "scaling": {
                "minInstanceCount": some(item.int("service_min_instances")),
                "manualInstanceCount": item.int("manual_instances"),
                "scalingMode": item.int("manual_instances").map(|_| "MANUAL"),
            },
            "traffic": traffic,
            "trafficStatuses": statuses,
            "latestReadyRevision": format!("{name}/revisions/{revision}"),
            "latestCreatedRevision": format!("{name}/revisions/{revision}"),
            "terminalCondition": condition("Ready", &at),
            "conditions": [condition("RoutesReady", &at), condition("ConfigurationsReady", &at)],
            "uri": url(item),
            "urls": [url(item)],
            "etag": etag(item),
        }),
    )
}

fn run_services(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all = here(cloud, req, RUN_SERVICE)?;
    let (part, next) = page(cloud, req, &all, "pageSize", 1000)?;
    let part: Vec<Value> = part.into_iter().map(|item| service(cloud, item)).collect();
    Ok(Reply::Value(lean(json!({ "services": part, "nextPageToken": next }))))
}

fn get_service(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    one(cloud, req, RUN_SERVICE, "services").map(|item| Reply::Value(service(cloud, item)))
}

fn revision(cloud: &Cloud, item: &Item) -> Value {
    let service = format!("{}/services/{}", parent(item), of_service(item));
    let at = updated(cloud, item);
    let retired = item.flag("retired") == Some(true);
    let active = json!({
        "type": "Active",
        "state": if retired { "CONDITION_FAILED" } else { "CONDITION_SUCCEEDED" },
        "lastTransitionTime": at,
        "severity": retired.then_some("INFO"),
        "revisionReason": retired.then_some("RETIRED"),
    });
    finished(
        item,
        json!({
            "name": format!("{service}/revisions/{}", item.id),
            "uid": uuid(&number(&[&item.account, &item.region, of_service(item), &item.id])),
            "generation": "1",
            "observedGeneration": "1",
            "labels": labels(item),
            "createTime": utc(item.created),
            "updateTime": at,
            "launchStage": "GA",
            "service": service,
            "scaling": { "minInstanceCount": some(item.int("min_instances")), "maxInstanceCount": 100 },
            "timeout": "300s",
            "serviceAccount": service_account(cloud, item),
            "containers": containers(item),
            "conditions": [condition("Ready", &at), active],
            "maxInstanceRequestConcurrency": 80,
            "etag": etag(item),
        }),
    )
}

fn revisions(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let wanted = req.label("service");
    let mut all = here(cloud, req, RUN_REVISION)?;
    all.retain(|item| wanted == "-" || of_service(item) == wanted);
    let (part, next) = page(cloud, req, &all, "pageSize", 1000)?;
    let part: Vec<Value> = part.into_iter().map(|item| revision(cloud, item)).collect();
    Ok(Reply::Value(lean(json!({ "revisions": part, "nextPageToken": next }))))
}

fn get_revision(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let wanted = req.label("service");
    one(cloud, req, RUN_REVISION, "revisions")
        .ok()
        .filter(|item| of_service(item) == wanted)
        .map(|item| Reply::Value(revision(cloud, item)))
        .ok_or_else(|| not_found(req.label("id")))
}

fn job(cloud: &Cloud, item: &Item) -> Value {
    let at = updated(cloud, item);
    let name = format!("{}/jobs/{}", parent(item), item.id);
    let last = item.time("last_execution", cloud.now).map(|when| {
        let status = item.text("last_status").unwrap_or("EXECUTION_SUCCEEDED");
        json!({
            "name": format!("{name}/executions/{}-abcde", item.id),
            "createTime": utc(when),
            "completionTime": (status != "EXECUTION_RUNNING").then(|| utc(when)),
            "completionStatus": status,
        })
    });
    finished(
        item,
        json!({
            "name": name,
            "uid": uuid(&number(&["job", &item.account, &item.region, &item.id])),
            "generation": "1",
            "observedGeneration": "1",
            "labels": labels(item),
            "createTime": utc(item.created),
            "updateTime": at,
            "creator": item.text("creator"),
            "lastModifier": item.text("creator"),
            "launchStage": "GA",
            "template": {
                "taskCount": 1,
                "template": {
                    "containers": containers(item),
                    "maxRetries": 3,
                    "timeout": "600s",
                    "serviceAccount": service_account(cloud, item),
                    "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
                },
            },
            "executionCount": some(item.int("executions").or(last.as_ref().map(|_| 1))),
            "latestCreatedExecution": last,
            "terminalCondition": condition("Ready", &at),
            "etag": etag(item),
        }),
    )
}

fn jobs(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let all = here(cloud, req, RUN_JOB)?;
    let (part, next) = page(cloud, req, &all, "pageSize", 1000)?;
    let part: Vec<Value> = part.into_iter().map(|item| job(cloud, item)).collect();
    Ok(Reply::Value(lean(json!({ "jobs": part, "nextPageToken": next }))))
}

fn get_job(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    one(cloud, req, RUN_JOB, "jobs").map(|item| Reply::Value(job(cloud, item)))
}
