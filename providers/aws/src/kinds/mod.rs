//! The kinds of AWS, one file each. A line here declares the module and registers the kind.

use crate::auth::Aws;
use std::sync::Arc;
use sweeper_core::{
    kind::{Kind, KindSpec, Prices},
    model::CloudId,
    money::{Cost, HOURS_A_MONTH},
};

macro_rules! kinds {
    ($($module:ident :: $kind:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every kind's passport, in the order of its line here.
        pub(crate) static SPECS: &[&KindSpec] = &[$(&$module::SPEC),*];

        /// Every kind, connected.
        pub(crate) fn all(aws: &Arc<Aws>) -> Vec<Arc<dyn Kind>> {
            vec![$(Arc::new($module::$kind(Arc::clone(aws)))),*]
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($module)),*];
    };
}

kinds! {
    autoscaling_group::AutoscalingGroup,
    backup_recovery_point::BackupRecoveryPoint,
    batch_compute_environment::BatchComputeEnvironment,
    batch_job_definition::BatchJobDefinition,
    ec2_address::Ec2Address,
    ec2_fleet::Ec2Fleet,
    ec2_image::Ec2Image,
    ec2_instance::Ec2Instance,
    ec2_launch_template::Ec2LaunchTemplate,
    ec2_nat_gateway::Ec2NatGateway,
    ec2_network_interface::Ec2NetworkInterface,
    ec2_route_table::Ec2RouteTable,
    ec2_security_group::Ec2SecurityGroup,
    ec2_snapshot::Ec2Snapshot,
    ec2_spot_fleet::Ec2SpotFleet,
    ec2_volume::Ec2Volume,
    ec2_vpc_endpoint::Ec2VpcEndpoint,
    ecr_image::EcrImage,
    ecr_repository::EcrRepository,
    ecs_task::EcsTask,
    ecs_task_definition::EcsTaskDefinition,
    eks_cluster::EksCluster,
    eks_nodegroup::EksNodegroup,
    elb_load_balancer::ElbLoadBalancer,
    elb_target_group::ElbTargetGroup,
    imagebuilder_recipe::ImagebuilderRecipe,
    lambda_alias::LambdaAlias,
    lambda_event_source::LambdaEventSource,
    lambda_function::LambdaFunction,
    lambda_layer_version::LambdaLayerVersion,
    lambda_version::LambdaVersion,
    logs_group::LogsGroup,
    rds_cluster::RdsCluster,
    rds_cluster_snapshot::RdsClusterSnapshot,
    rds_instance::RdsInstance,
    rds_retained_backup::RdsRetainedBackup,
    rds_snapshot::RdsSnapshot,
    s3_bucket::S3Bucket,
    s3_upload::S3Upload,
    ssm_image_parameter::SsmImageParameter,
}

/// EC2's tags as pairs, in its order.
fn ec2_tags(tags: &[aws_sdk_ec2::types::Tag]) -> Vec<(&str, &str)> {
    tags.iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default())).collect()
}

/// What an hourly list price is a month; unknown where there is none.
fn hourly(prices: &dyn Prices, region: &str, key: &str) -> Cost {
    prices.unit(CloudId::Aws, region, key).map_or_else(Cost::unknown, |hour| Cost::list(hour.times(HOURS_A_MONTH)))
}

/// An SDK instant in the core's words.
pub(crate) fn at(time: Option<&aws_smithy_types::DateTime>) -> Option<sweeper_core::model::Timestamp> {
    time.map(|time| sweeper_core::model::Timestamp(time.secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweeper_core::{model::Class, money::Amount};

    /// A price list of one region, for tests of prices.
    pub(super) struct Book(pub(super) &'static [(&'static str, &'static str)]);

    impl Prices for Book {
        fn unit(&self, _: CloudId, _: &str, key: &str) -> Option<Amount> {
            self.0.iter().find(|(known, _)| *known == key).and_then(|(_, usd)| Amount::parse(usd))
        }
    }

    #[test]
    fn every_kind_is_named_as_its_file_and_declares_its_reads() {
        let mut ids = std::collections::BTreeSet::new();
        for (spec, file) in SPECS.iter().zip(FILES) {
            assert_eq!(spec.id.strip_prefix("aws.").unwrap().replace('-', "_"), *file);
            assert!(ids.insert(spec.id), "{} is registered twice", spec.id);
            assert!(!spec.reads.is_empty(), "{} declares no permission", spec.id);
            assert!(!spec.title.is_empty(), "{} has no title", spec.id);
            for op in spec.reads.iter().chain(spec.asks) {
                assert!(op.split_once(':').is_some_and(|(service, action)| !service.is_empty() && !action.is_empty()));
            }
            for act in spec.acts {
                assert!(spec.report_only.is_empty(), "{} is reported and never acted on", spec.id);
                assert!(!act.writes.is_empty(), "{} declares no call for {:?}", spec.id, act.deed);
                assert!(!act.reversal.how().is_empty(), "{} says nothing of undoing {:?}", spec.id, act.deed);
                for write in act.writes {
                    let (service, action) = write.permission.split_once(':').unwrap();
                    assert!(!service.is_empty() && !action.is_empty() && !write.action.contains('/'), "{write:?}");
                    // Containers of other things have no way to go.
                    let contains = ["Repository", "Bucket", "Cluster", "DBInstance", "Role", "Policy"];
                    let whole = contains.iter().any(|of| write.action == format!("Delete{of}"));
                    assert!(!whole, "{} deletes what contains other things", spec.id);
                }
                for read in act.reads {
                    assert!(read.split_once(':').is_some_and(|(_, action)| {
                        ["Describe", "List", "Get"].iter().any(|verb| action.starts_with(verb))
                    }));
                }
            }
            let contains = matches!(spec.class, Class::Registry | Class::Bucket | Class::Cluster | Class::Database);
            assert!(!contains || spec.acts.is_empty(), "{} contains other things", spec.id);
            for need in spec.needs {
                assert!(SPECS.iter().any(|spec| spec.id == *need), "{} needs {need}, which is no kind", spec.id);
            }
        }
    }
}
