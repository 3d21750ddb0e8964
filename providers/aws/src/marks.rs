//! Who manages a resource, by the marks that managers leave in tags.

use aws_sdk_ec2::types::OperatorResponse;
use std::collections::BTreeSet;
use sweeper_core::model::Relation;

/// Tag keys (a trailing `*` is any rest) and what they say. The value is appended where it names something.
/// Sources: the tagging pages of CloudFormation, EC2 Auto Scaling, EKS, AWS Backup, Data Lifecycle Manager,
/// Elastic Beanstalk, Service Catalog, ECS, EMR, Cloud9, Elastic Disaster Recovery and Application Migration
/// Service, AWS ParallelCluster, the AWS Load Balancer Controller, the VPC CNI plugin and the EBS CSI driver.
const MARKS: &[(&str, &str)] = &[
    ("aws:cloudformation:stack-name", "CloudFormation stack"),
    ("aws:autoscaling:groupName", "Auto Scaling group"),
    ("aws:ec2:fleet-id", "EC2 Fleet"),
    ("aws:ec2spot:fleet-request-id", "Spot Fleet"),
    ("aws:batch:compute-environment", "Batch compute environment"),
    ("karpenter.sh/nodepool", "Karpenter node pool"),
    ("aws:backup:source-resource", "AWS Backup"),
    ("aws:dlm:lifecycle-policy-id", "Data Lifecycle Manager policy"),
    ("dlm:managed", "Data Lifecycle Manager"),
    ("elasticbeanstalk:environment-name", "Elastic Beanstalk environment"),
    ("aws:servicecatalog:provisionedProductArn", "Service Catalog product"),
    ("CreatedByEC2ImageBuilder", "EC2 Image Builder"),
    ("Ec2ImageBuilderArn", "EC2 Image Builder pipeline"),
    ("aws:ecs:serviceName", "ECS service"),
    ("aws:ecs:clusterName", "ECS cluster"),
    ("aws:elasticmapreduce:job-flow-id", "EMR cluster"),
    ("aws:cloud9:environment", "Cloud9 environment"),
    ("parallelcluster:cluster-name", "ParallelCluster"),
    ("AWSElasticDisasterRecoveryManaged", "Elastic Disaster Recovery"),
    ("AWSApplicationMigrationServiceManaged", "Application Migration Service"),
    ("TerraformWorkspace", "Terraform workspace"),
    ("terraform", "Terraform"),
    // What clusters make comes last, so that who carries one of these carries no other: the core takes it for nothing
    // once the cluster is gone.
    ("aws:eks:cluster-name", "EKS cluster"),
    ("eks:cluster-name", "EKS cluster"),
    ("elbv2.k8s.aws/cluster", "Kubernetes load balancer controller of cluster"),
    ("kubernetes.io/created-for/pvc/name", "Kubernetes claim"),
    ("kubernetes.io/service-name", "Kubernetes service"),
    ("kubernetes.io/cluster/*", "Kubernetes cluster"),
    ("KubernetesCluster", "Kubernetes cluster"),
    ("eks:eks-cluster-name", "EKS cluster"),
    ("cluster.k8s.amazonaws.com/name", "Kubernetes cluster"),
    ("node.k8s.amazonaws.com/instance_id", "Kubernetes node"),
    ("ebs.csi.aws.com/cluster", "Kubernetes storage driver"),
    ("CSIVolumeName", "Kubernetes volume"),
];

/// Tag keys whose value is the name of the Kubernetes cluster that owns the resource.
const OWNED: &[&str] = &[
    "KubernetesCluster",
    "aws:eks:cluster-name",
    "eks:cluster-name",
    "eks:eks-cluster-name",
    "elbv2.k8s.aws/cluster",
    "cluster.k8s.amazonaws.com/name",
];
/// The start of a key whose rest is a cluster's name, and whose value says whether it owns or only uses the resource.
const CLUSTER: &str = "kubernetes.io/cluster/";

/// The Kubernetes clusters that own a resource, by their names. What a cluster shares with others is no remains of it.
pub(crate) fn clusters<'a>(tags: &[(&'a str, &'a str)]) -> Vec<(Relation, &'a str)> {
    let of = |lifecycle: &'static str| {
        let keys = tags.iter().filter(move |(_, value)| *value == lifecycle);
        keys.filter_map(|(key, _)| key.strip_prefix(CLUSTER))
    };
    let shared: BTreeSet<&str> = of("shared").collect();
    let named = tags.iter().filter(|(key, _)| OWNED.contains(key)).map(|(_, value)| *value);
    let owners: BTreeSet<&str> =
        of("owned").chain(named.filter(|name| !shared.contains(name))).filter(|name| !name.is_empty()).collect();
    owners.into_iter().map(|name| (Relation::OfCluster, name)).collect()
}

/// `CloudFormation stack web`, or empty.
pub(crate) fn managed_by(tags: &[(&str, &str)]) -> String {
    for (mark, manager) in MARKS {
        for (key, value) in tags {
            if let Some(prefix) = mark.strip_suffix('*') {
                if let Some(rest) = key.strip_prefix(prefix) {
                    return format!("{manager} {rest}");
                }
            } else if key == mark {
                return if value.is_empty() { (*manager).to_owned() } else { format!("{manager} {value}") };
            }
        }
    }
    String::new()
}

/// As [`managed_by`]; without a mark, the service principal that EC2 itself names as the resource's operator.
pub(crate) fn manager(tags: &[(&str, &str)], operator: Option<&OperatorResponse>) -> String {
    let mark = managed_by(tags);
    match operator {
        Some(operator) if mark.is_empty() && operator.managed() == Some(true) => {
            format!("AWS service {}", operator.principal().unwrap_or_default()).trim_end().to_owned()
        }
        _ => mark,
    }
}

/// The value of the `Name` tag, or empty.
pub(crate) fn name<'a>(tags: &[(&'a str, &'a str)]) -> &'a str {
    tags.iter().find(|(key, _)| *key == "Name").map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_its_manager() {
        assert_eq!(managed_by(&[("env", "dev"), ("aws:cloudformation:stack-name", "web")]), "CloudFormation stack web");
        assert_eq!(managed_by(&[("kubernetes.io/cluster/blue", "owned")]), "Kubernetes cluster blue");
        assert_eq!(managed_by(&[("owner", "x")]), "");
        // Anybody else comes before a cluster, which may be gone.
        let cluster = ("kubernetes.io/cluster/blue", "owned");
        assert_eq!(managed_by(&[cluster, ("TerraformWorkspace", "prod")]), "Terraform workspace prod");
    }

    #[test]
    fn a_cluster_owns_what_it_does_not_share() {
        fn names<'a>(tags: &[(&'a str, &'a str)]) -> Vec<&'a str> {
            clusters(tags).into_iter().map(|(_, name)| name).collect()
        }
        let owned = ("kubernetes.io/cluster/blue", "owned");
        assert_eq!(names(&[owned, ("KubernetesCluster", "blue")]), ["blue"]);
        assert_eq!(names(&[owned, ("eks:cluster-name", "green")]), ["blue", "green"]);
        assert_eq!(names(&[("aws:eks:cluster-name", "green"), ("Name", "x")]), ["green"]);
        assert!(names(&[("kubernetes.io/cluster/blue", "shared"), ("KubernetesCluster", "blue")]).is_empty());
        assert!(names(&[("kubernetes.io/cluster/", "owned"), ("KubernetesCluster", "")]).is_empty());
    }
}
