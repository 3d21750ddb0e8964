//! Auto Scaling.
//!
//! | Kind | Keys |
//! |---|---|
//! | `aws.autoscaling-group` | `min`, `max`, `desired` (0, 1, desired = the number of instances), `instances` = instance ids, `template` = launch template id, `template_version` ("$Default"), `mixed` (the template in a mixed instances policy), `overrides` = template ids, `launch_configuration` = name, `target_groups` = ARNs, `load_balancers` = names, `suspended` = process names, `status` ("Delete in progress"), `instance_type` |
//! | `aws.autoscaling-launch-configuration` | `image`, `type` ("t3.micro"), `snapshots` = ids, `user_data` |
//!
//! The `id` is the name.

use serde_json::{Value, json};

use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::request::Request;
use crate::services::{Kind, invalid_action};

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        kind: "aws.autoscaling-group",
        keys: &[
            "min:int",
            "max:int",
            "desired:int",
            "instances:list",
            "instance_type:text",
            "template:text",
            "template_version:text",
            "mixed:bool",
            "overrides:list",
            "launch_configuration:text",
            "target_groups:list",
            "load_balancers:list",
            "suspended:list",
            "status:text",
        ],
    },
    Kind {
        kind: "aws.autoscaling-launch-configuration",
        keys: &["image:text", "type:text", "snapshots:list", "user_data:text"],
    },
];

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    match request.action.as_str() {
        "DescribeAutoScalingGroups" => {
            page(cloud, request, "aws.autoscaling-group", ("AutoScalingGroupNames", "AutoScalingGroups"), group)
        }
        "DescribeLaunchConfigurations" => page(
            cloud,
            request,
            "aws.autoscaling-launch-configuration",
            ("LaunchConfigurationNames", "LaunchConfigurations"),
            configuration,
        ),
        _ => Err(invalid_action(request)),
    }
}

fn page(
    cloud: &Cloud,
    request: &Request,
    kind: &str,
    (names, output): (&str, &str),
    show: fn(&Item) -> Value,
) -> Result<Reply, WireError> {
    let wanted = request.list(names);
    let items: Vec<&Item> =
        cloud.list(request, kind).into_iter().filter(|item| wanted.is_empty() || wanted.contains(&item.id)).collect();
    let max = request.max("MaxRecords", 1..=100)?.unwrap_or(50);
    let (items, next) = cloud.page(&items, Some(max), request.text("NextToken"))?;
    let items: Vec<Value> = items.into_iter().map(show).collect();
    Ok(Reply::Value(json!({ output: items, "NextToken": next })))
}

fn group(item: &Item) -> Value {
    let instances = item.list("instances");
    let desired = item.int("desired").unwrap_or(instances.len() as i64);
    let template = item.text("template").map(|id| {
        json!({
            "LaunchTemplateId": id,
            "LaunchTemplateName": id,
            "Version": item.text_or("template_version", "$Default"),
        })
    });
    let overrides: Vec<Value> = item
        .list("overrides")
        .into_iter()
        .map(|id| json!({ "LaunchTemplateSpecification": { "LaunchTemplateId": id, "Version": "$Default" } }))
        .collect();
    let mixed = item.flag("mixed").unwrap_or(!overrides.is_empty());
    let zone = format!("{}a", item.region);
    let arn = format!(
        "arn:aws:autoscaling:{}:{}:autoScalingGroup:00000000-0000-4000-8000-000000000000:autoScalingGroupName/{}",
        item.region, item.account, item.id
    );
    let shown: Vec<Value> = instances
        .iter()
        .map(|id| {
            json!({
                "InstanceId": id,
                "InstanceType": item.text_or("instance_type", "t3.micro"),
                "AvailabilityZone": zone,
                "LifecycleState": "InService",
                "HealthStatus": "Healthy",
                "LaunchTemplate": template,
                "LaunchConfigurationName": item.text("launch_configuration"),
                "ProtectedFromScaleIn": false,
            })
        })
        .collect();
    let tags: Vec<Value> = item
        .tags
        .iter()
        .map(|(key, value)| {
            json!({
                "ResourceId": item.id,
                "ResourceType": "auto-scaling-group",
                "Key": key,
                "Value": value,
                "PropagateAtLaunch": true,
            })
        })
        .collect();
    let suspended: Vec<Value> = item
        .list("suspended")
        .into_iter()
        .map(|name| json!({ "ProcessName": name, "SuspensionReason": "User suspended" }))
        .collect();
    json!({
        "AutoScalingGroupName": item.id,
        "AutoScalingGroupARN": arn,
        "LaunchConfigurationName": item.text("launch_configuration"),
        "LaunchTemplate": if mixed { None } else { template.clone() },
        "MixedInstancesPolicy": mixed.then(|| json!({
            "LaunchTemplate": {
                "LaunchTemplateSpecification": template,
                "Overrides": overrides,
            },
        })),
        "MinSize": item.int("min").unwrap_or(0),
        "MaxSize": item.int("max").unwrap_or(desired.max(1)),
        "DesiredCapacity": desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": [zone],
        "LoadBalancerNames": item.list("load_balancers"),
        "TargetGroupARNs": item.list("target_groups"),
        "HealthCheckType": "EC2",
        "HealthCheckGracePeriod": 300,
        "Instances": shown,
        "CreatedTime": item.created(),
        "SuspendedProcesses": suspended,
        "VPCZoneIdentifier": "subnet-00000000000000000",
        "Status": item.text("status"),
        "Tags": tags,
        "TerminationPolicies": ["Default"],
        "NewInstancesProtectedFromScaleIn": false,
    })
}

fn configuration(item: &Item) -> Value {
    let mappings: Vec<Value> = item
        .list("snapshots")
        .into_iter()
        .enumerate()
        .map(|(at, id)| json!({ "DeviceName": super::ec2::device(at), "Ebs": { "SnapshotId": id } }))
        .collect();
    json!({
        "LaunchConfigurationName": item.id,
        "LaunchConfigurationARN": format!(
            "arn:aws:autoscaling:{}:{}:launchConfiguration:00000000-0000-4000-8000-000000000000:launchConfigurationName/{}",
            item.region, item.account, item.id
        ),
        "ImageId": item.text("image"),
        "KeyName": "",
        "SecurityGroups": [],
        "UserData": item.text_or("user_data", ""),
        "InstanceType": item.text_or("type", "t3.micro"),
        "KernelId": "",
        "RamdiskId": "",
        "BlockDeviceMappings": mappings,
        "InstanceMonitoring": { "Enabled": true },
        "EbsOptimized": false,
        "CreatedTime": item.created(),
    })
}
