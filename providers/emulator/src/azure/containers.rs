//! What runs containers: Kubernetes clusters, container apps and jobs, container groups.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.aks-cluster` | `node_group` | `MC_<group>_<id>_<region>` | the group that its nodes and volumes are in |
//! | | `version`, `nodes`, `state` | `1.33`, 3, `Running` | `state` may be `Stopped` |
//! | `azure.container-app`, `azure.container-app-job` | `images` | none | of its containers |
//! | | `revisions_mode` | `Single` | or `Multiple` |
//! | `azure.container-app-revision` | `app`, `images`, `active` | active | |
//! | `azure.container-group` | `images` | none | |
//! | all but clusters | `env` | none | table, the environment of the containers |

use serde_json::{Value, json};

use super::arm::{self, Type, children, listed, zulu};
use crate::cloud::{Cloud, Item};
use crate::rest::Route;
use crate::services::Kind;

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.aks-cluster", keys: &["node_group:text", "version:text", "nodes:int", "state:text"] },
    Kind { kind: "azure.container-app", keys: &["images:list", "env:table", "revisions_mode:text"] },
    Kind { kind: "azure.container-app-job", keys: &["images:list", "env:table"] },
    Kind { kind: "azure.container-app-revision", keys: &["app:text", "images:list", "env:table", "active:bool"] },
    Kind { kind: "azure.container-group", keys: &["images:list", "env:table"] },
];

static CLUSTER: Type = Type::top("azure.aks-cluster", "Microsoft.ContainerService/managedClusters", cluster);
static APP: Type = Type::top("azure.container-app", "Microsoft.App/containerApps", app);
static JOB: Type = Type::top("azure.container-app-job", "Microsoft.App/jobs", job);
static REVISION: Type = Type {
    kind: "azure.container-app-revision",
    arm: "Microsoft.App/containerApps/revisions",
    parents: &["app"],
    parent: Some("azure.container-app"),
    table: "",
    show: revision,
};
static GROUP: Type = Type::top("azure.container-group", "Microsoft.ContainerInstance/containerGroups", container_group);

pub(super) static TYPES: &[&Type] = &[&CLUSTER, &APP, &JOB, &REVISION, &GROUP];

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    listed!(CLUSTER, "Microsoft.ContainerService", "managedClusters", "ManagedClusters", "List", "ListByResourceGroup"),
    listed!(APP, "Microsoft.App", "containerApps", "ContainerApps", "ListBySubscription", "ListByResourceGroup"),
    listed!(JOB, "Microsoft.App", "jobs", "Jobs", "ListBySubscription", "ListByResourceGroup"),
    children!(REVISION, "Microsoft.App", "containerApps/{app}/revisions", "Microsoft.App/containerApps/revisions/read", "ContainerAppsRevisions", "ListRevisions"),
    listed!(GROUP, "Microsoft.ContainerInstance", "containerGroups", "ContainerGroups", "List", "ListByResourceGroup"),
];

fn cluster(_: &Cloud, item: &Item) -> Value {
    let version = item.text_or("version", "1.33");
    let state = item.text_or("state", "Running");
    let group = item.text_or("node_group", &format!("MC_{}_{}_{}", arm::group(item), item.id, item.region));
    json!({
        "sku": { "name": "Base", "tier": "Free" },
        "identity": { "type": "SystemAssigned", "principalId": arm::guid(&item.id), "tenantId": arm::guid("tenant") },
        "properties": {
            "provisioningState": "Succeeded",
            "powerState": { "code": state },
            "kubernetesVersion": version,
            "currentKubernetesVersion": format!("{version}.2"),
            "dnsPrefix": item.id,
            "fqdn": format!("{}-0.hcp.{}.azmk8s.io", item.id, item.region),
            "agentPoolProfiles": [{
                "name": "nodepool1",
                "count": item.int("nodes").unwrap_or(3),
                "vmSize": "Standard_D4s_v5",
                "type": "VirtualMachineScaleSets",
                "mode": "System",
                "osType": "Linux",
                "powerState": { "code": state },
                "provisioningState": "Succeeded",
            }],
            "nodeResourceGroup": group,
            "enableRBAC": true,
            "networkProfile": { "networkPlugin": "azure", "loadBalancerSku": "standard" },
        },
    })
}

fn env(item: &Item) -> Vec<Value> {
    let table = item.keys.get("env").and_then(Value::as_object);
    table.into_iter().flatten().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// The template of an app's, job's or revision's containers.
fn template(item: &Item) -> Value {
    let containers: Vec<Value> = item
        .list("images")
        .iter()
        .enumerate()
        .map(|(at, image)| {
            json!({ "name": format!("c{at}"), "image": image, "env": env(item), "resources": { "cpu": 0.5, "memory": "1Gi" } })
        })
        .collect();
    json!({ "containers": containers, "initContainers": null, "scale": { "minReplicas": null, "maxReplicas": 10 } })
}

fn app(_: &Cloud, item: &Item) -> Value {
    json!({
        "properties": {
            "provisioningState": "Succeeded",
            "runningStatus": "Running",
            "latestRevisionName": format!("{}--1", item.id),
            "configuration": { "activeRevisionsMode": item.text_or("revisions_mode", "Single"), "maxInactiveRevisions": 100 },
            "template": template(item),
        },
    })
}

fn job(_: &Cloud, item: &Item) -> Value {
    json!({
        "properties": {
            "provisioningState": "Succeeded",
            "configuration": { "triggerType": "Schedule", "replicaTimeout": 1800 },
            "template": template(item),
        },
    })
}

fn revision(_: &Cloud, item: &Item) -> Value {
    json!({
        "properties": {
            "active": item.flag("active").unwrap_or(true),
            "createdTime": zulu(item.created),
            "trafficWeight": 0,
            "replicas": 0,
            "template": template(item),
            "provisioningState": "Provisioned",
        },
    })
}

fn container_group(_: &Cloud, item: &Item) -> Value {
    let containers: Vec<Value> = item
        .list("images")
        .iter()
        .enumerate()
        .map(|(at, image)| {
            json!({
                "name": format!("c{at}"),
                "properties": {
                    "image": image,
                    "environmentVariables": env(item),
                    "resources": { "requests": { "cpu": 1.0, "memoryInGB": 1.5 } },
                },
            })
        })
        .collect();
    json!({
        "properties": {
            "provisioningState": "Succeeded",
            "osType": "Linux",
            "restartPolicy": "Always",
            "containers": containers,
            "initContainers": [],
        },
    })
}
