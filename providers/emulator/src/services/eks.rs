//! EKS: clusters and managed node groups.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `aws.eks-cluster` | id | | the cluster's name |
//! | | `version` | `1.31` | |
//! | | `status` | `ACTIVE` | |
//! | | `vpc`, `subnets` | `vpc-` and a hash, none | |
//! | `aws.eks-nodegroup` | id | | the node group's name |
//! | | `cluster` | | the cluster's name |
//! | | `launch_template` | none | the launch template's id |
//! | | `launch_template_version` | `1` | |
//! | | `release` | `1.31.0-20250101` | AMI release version; an AMI id for a custom image |
//! | | `ami_type` | `AL2023_x86_64_STANDARD` | |
//! | | `desired` | 2 | nodes |
//! | | `autoscaling_groups` | `eks-<id>` | names |
//! | | `status` | `ACTIVE` | |

use serde_json::{Value, json};

use super::Kind;
use super::item::{Args, Item, answer, arn, every, hex, one, referring, refused, stamp, unserved, uuid};
use crate::cloud::Cloud;
use crate::http::{Reply, WireError};
use crate::request::Request;

const CLUSTER: &str = "aws.eks-cluster";
const NODEGROUP: &str = "aws.eks-nodegroup";

pub(crate) const KINDS: &[Kind] = &[
    Kind { kind: CLUSTER, keys: &["version:text", "status:text", "vpc:text", "subnets:list"] },
    Kind {
        kind: NODEGROUP,
        keys: &[
            "cluster:text",
            "launch_template:text",
            "launch_template_version:text",
            "release:text",
            "ami_type:text",
            "desired:int",
            "autoscaling_groups:list",
            "status:text",
        ],
    },
];

/// The code of a refused parameter.
const INVALID: &str = "InvalidParameterException";

pub(crate) fn handle(cloud: &Cloud, request: &Request) -> Result<Reply, WireError> {
    let args = Args::of(request);
    match request.action.as_str() {
        "ListClusters" => names(cloud, &args, "clusters", &every(cloud, request, CLUSTER)),
        "DescribeCluster" => {
            let item = cluster(cloud, request, &args)?;
            answer(json!({
                "cluster": {
                    "name": item.id,
                    "arn": arn("eks", item.region, item.account, &format!("cluster/{}", item.id)),
                    "createdAt": stamp(item.created),
                    "version": item.text_or("version", "1.31"),
                    "endpoint": format!("https://{}.gr7.{}.eks.amazonaws.com", hex(item.id, 32).to_uppercase(), item.region),
                    "roleArn": format!("arn:aws:iam::{}:role/eks-cluster", item.account),
                    "resourcesVpcConfig": {
                        "subnetIds": item.texts("subnets"),
                        "securityGroupIds": [],
                        "clusterSecurityGroupId": format!("sg-{}", hex(item.id, 17)),
                        "vpcId": item.text("vpc").map_or_else(|| format!("vpc-{}", hex(item.region, 17)), str::to_owned),
                        "endpointPublicAccess": true,
                        "endpointPrivateAccess": false,
                    },
                    "status": item.text_or("status", "ACTIVE"),
                    "platformVersion": "eks.1",
                    "tags": item.tag_map(),
                },
            }))
        }
        "ListNodegroups" => {
            let cluster = cluster(cloud, request, &args)?;
            names(cloud, &args, "nodegroups", &nodegroups(cloud, request, &cluster))
        }
        "DescribeNodegroup" => describe_nodegroup(cloud, request, &args),
        _ => unserved(request),
    }
}

fn names(cloud: &Cloud, args: &Args, name: &str, items: &[Item]) -> Result<Reply, WireError> {
    let most = args.limit("maxResults", 100, 100, INVALID)?;
    let (items, token) = cloud.page(items, Some(most), args.text("nextToken"))?;
    let ids: Vec<&str> = items.iter().map(|item| item.id).collect();
    answer(json!({ name: ids, "nextToken": token }))
}

fn cluster<'a>(cloud: &'a Cloud, request: &Request, args: &Args) -> Result<Item<'a>, WireError> {
    let asked = args.text("name").unwrap_or_default();
    one(cloud, request, CLUSTER, asked)
        .ok_or_else(|| refused(404, "ResourceNotFoundException", format!("No cluster found for name: {asked}.")))
}

fn nodegroups<'a>(cloud: &'a Cloud, request: &Request, cluster: &Item) -> Vec<Item<'a>> {
    referring(cloud, request, NODEGROUP, "cluster", cluster.id)
}

fn describe_nodegroup(cloud: &Cloud, request: &Request, args: &Args) -> Result<Reply, WireError> {
    let cluster = cluster(cloud, request, args)?;
    let asked = args.text("nodegroupName").unwrap_or_default();
    let item = nodegroups(cloud, request, &cluster)
        .into_iter()
        .find(|item| item.id == asked)
        .ok_or_else(|| refused(404, "ResourceNotFoundException", format!("No node group found for name: {asked}.")))?;
    let desired = item.int_or("desired", 2);
    let template: Option<Value> = item.text("launch_template").map(
        |id| json!({ "id": id, "version": item.label("launch_template_version").unwrap_or_else(|| "1".to_owned()) }),
    );
    let mut groups = item.texts("autoscaling_groups");
    if groups.is_empty() {
        groups.push(format!("eks-{}", item.id));
    }
    let groups: Vec<Value> = groups.iter().map(|name| json!({ "name": name })).collect();
    answer(json!({
        "nodegroup": {
            "nodegroupName": item.id,
            "nodegroupArn": arn("eks", item.region, item.account, &format!("nodegroup/{}/{}/{}", cluster.id, item.id, uuid(item.id))),
            "clusterName": cluster.id,
            "version": cluster.text_or("version", "1.31"),
            "releaseVersion": item.text_or("release", "1.31.0-20250101"),
            "createdAt": stamp(item.created),
            "modifiedAt": stamp(item.created),
            "status": item.text_or("status", "ACTIVE"),
            "capacityType": "ON_DEMAND",
            "scalingConfig": { "minSize": 0, "maxSize": desired.max(1), "desiredSize": desired },
            "amiType": item.text_or("ami_type", "AL2023_x86_64_STANDARD"),
            "nodeRole": format!("arn:aws:iam::{}:role/eks-node", item.account),
            "resources": { "autoScalingGroups": groups },
            "health": { "issues": [] },
            "launchTemplate": template,
            "tags": item.tag_map(),
        },
    }))
}
