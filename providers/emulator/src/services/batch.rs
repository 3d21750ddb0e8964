//! Batch: compute environments and job definitions.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.batch-compute-environment` | id | | its name |
//! | | `image` | none | `imageId` and the image override of its EC2 configuration |
//! | | `launch_template` | none | the launch template's id |
//! | | `launch_template_version` | `$Default` | |
//! | | `type` | `MANAGED` | or `UNMANAGED` |
//! | | `resources` | `EC2` | `EC2`, `SPOT`, `FARGATE`, `FARGATE_SPOT` |
//! | | `state`, `status` | `ENABLED`, `VALID` | |
//! | | `cluster` | none | the ARN of the ECS cluster behind it |
//! | `aws.batch-job-definition` | id | | `name:revision` |
//! | | `images` | none | container images; more than one makes an ECS task |
//! | | `status` | `ACTIVE` | or `INACTIVE` |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, every, unserved, uuid};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const ENVIRONMENT: &str = "aws.batch-compute-environment";
const DEFINITION: &str = "aws.batch-job-definition";

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: ENVIRONMENT,
        keys: &[
            "image:text",
            "launch_template:text",
            "launch_template_version:text",
            "type:text",
            "resources:text",
            "state:text",
            "status:text",
            "cluster:text",
        ],
    },
    Kind { kind: DEFINITION, keys: &["images:list", "status:text"] },
];

/// The code of a refused parameter.
const INVALID: &str = "ClientException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "DescribeComputeEnvironments" => {
            let asked = args.texts("computeEnvironments");
            let items: Vec<Item> = every(cloud, request, ENVIRONMENT)
                .into_iter()
                .filter(|item| {
                    asked.is_empty() || asked.iter().any(|asked| asked == item.id || *asked == environment_arn(item))
                })
                .collect();
            let most = args.limit("maxResults", 100, 100, INVALID)?;
            let (items, token) = cloud.page(&items, Some(most), args.text("nextToken"))?;
            let described: Vec<Value> = items.iter().map(environment).collect();
            answer(json!({ "computeEnvironments": described, "nextToken": token }))
        }
        "DescribeJobDefinitions" => {
            let asked = args.texts("jobDefinitions");
            let name = args.text("jobDefinitionName");
            let status = args.text("status");
            let items: Vec<Item> = every(cloud, request, DEFINITION)
                .into_iter()
                .filter(|item| {
                    (asked.is_empty() || asked.iter().any(|asked| asked == item.id || *asked == definition_arn(item)))
                        && name.is_none_or(|name| revision(item).0 == name)
                        && status.is_none_or(|status| item.text_or("status", "ACTIVE") == status)
                })
                .collect();
            let most = args.limit("maxResults", 100, 100, INVALID)?;
            let (items, token) = cloud.page(&items, Some(most), args.text("nextToken"))?;
            let described: Vec<Value> = items.iter().map(definition).collect();
            answer(json!({ "jobDefinitions": described, "nextToken": token }))
        }
        _ => unserved(request),
    }
}

fn environment_arn(item: &Item) -> String {
    arn("batch", item.region, item.account, &format!("compute-environment/{}", item.id))
}

fn environment(item: &Item) -> Value {
    let kind = item.text_or("type", "MANAGED");
    let resources = item.text_or("resources", "EC2");
    let fargate = resources.starts_with("FARGATE");
    let template = item.text("launch_template").map(|id| {
        json!({
            "launchTemplateId": id,
            "version": item.label("launch_template_version").unwrap_or_else(|| "$Default".to_owned()),
        })
    });
    let configuration = (!fargate).then(|| json!([{ "imageType": "ECS_AL2", "imageIdOverride": item.text("image") }]));
    let managed = (kind == "MANAGED").then(|| {
        json!({
            "type": resources,
            "minvCpus": (!fargate).then_some(0),
            "maxvCpus": 16,
            "instanceTypes": (!fargate).then(|| json!(["optimal"])),
            "imageId": item.text("image"),
            "subnets": [],
            "securityGroupIds": [],
            "launchTemplate": template,
            "ec2Configuration": configuration,
        })
    });
    json!({
        "computeEnvironmentName": item.id,
        "computeEnvironmentArn": environment_arn(item),
        "ecsClusterArn": item.text("cluster").map_or_else(
            || arn("ecs", item.region, item.account, &format!("cluster/AWSBatch-{}-{}", item.id, uuid(item.id))),
            str::to_owned,
        ),
        "tags": item.tag_map(),
        "type": kind,
        "state": item.text_or("state", "ENABLED"),
        "status": item.text_or("status", "VALID"),
        "statusReason": "ComputeEnvironment Healthy",
        "computeResources": managed,
        "serviceRole": format!("arn:aws:iam::{}:role/batch", item.account),
        "containerOrchestrationType": "ECS",
        "uuid": uuid(item.id),
    })
}

/// Name and revision of a job definition.
fn revision<'a>(item: &Item<'a>) -> (&'a str, i64) {
    let (name, number) = item.id.rsplit_once(':').unwrap_or((item.id, "1"));
    (name, number.parse().unwrap_or(1))
}

fn definition_arn(item: &Item) -> String {
    let (name, revision) = revision(item);
    arn("batch", item.region, item.account, &format!("job-definition/{name}:{revision}"))
}

fn definition(item: &Item) -> Value {
    let (name, revision) = revision(item);
    let images = item.texts("images");
    let single = match images.as_slice() {
        [image] => Some(json!({
            "image": image,
            "command": [],
            "environment": [],
            "mountPoints": [],
            "volumes": [],
            "ulimits": [],
            "secrets": [],
            "resourceRequirements": [
                { "value": "1", "type": "VCPU" },
                { "value": "2048", "type": "MEMORY" },
            ],
        })),
        _ => None,
    };
    let several = (images.len() > 1).then(|| {
        let containers: Vec<Value> = images
            .iter()
            .enumerate()
            .map(|(place, image)| json!({ "name": format!("c{place}"), "image": image }))
            .collect();
        json!({ "taskProperties": [{ "containers": containers }] })
    });
    json!({
        "jobDefinitionName": name,
        "jobDefinitionArn": definition_arn(item),
        "revision": revision,
        "status": item.text_or("status", "ACTIVE"),
        "type": "container",
        "parameters": {},
        "containerProperties": single,
        "ecsProperties": several,
        "tags": item.tag_map(),
        "platformCapabilities": ["EC2"],
        "containerOrchestrationType": "ECS",
    })
}
