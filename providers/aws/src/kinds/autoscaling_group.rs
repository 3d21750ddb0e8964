//! Auto Scaling groups: what starts machines from templates and configurations.

use crate::{
    auth::Aws,
    fault,
    kinds::{at, ec2_security_group::guards},
    marks,
};
use async_trait::async_trait;
use aws_sdk_autoscaling::types::{AutoScalingGroup, LaunchConfiguration};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.autoscaling-group",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Auto Scaling group",
    places: Places::Regions,
    reads: &[LIST, CONFIGURATIONS],
    asks: &[],
    // A launch template counts as a referrer by itself, since people and fleets start from it too. A launch
    // configuration can only be used by a group, so one that no group has starts nothing: its image, snapshots
    // and security groups are uses of the group. What a group scales into is bound to it: no targets today may be a group at zero.
    refers: &[
        (Relation::UsedByTemplate, Reach::Region),
        (Relation::Bound, Reach::Region),
        (Relation::Guards, Reach::Region),
    ],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a group makes its machines again",
    acts: &[],
};

const LIST: &str = "autoscaling:DescribeAutoScalingGroups";
const CONFIGURATIONS: &str = "autoscaling:DescribeLaunchConfigurations";

/// What each launch configuration starts from, by its name.
type Configurations = BTreeMap<String, Vec<(Relation, String)>>;

pub(super) struct AutoscalingGroup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for AutoscalingGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let autoscaling = self.0.autoscaling(site.scope());
        // Groups first: a configuration cannot go while a group has it, so whatever those groups have is in the
        // second listing. The other way round, a group made between the two would seem to start from nothing.
        let mut groups: Vec<AutoScalingGroup> = Vec::new();
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                autoscaling.describe_auto_scaling_groups().max_records(100).set_next_token(token.clone()).send()
            })
            .await?;
            groups.extend_from_slice(page.auto_scaling_groups());
            pages.seen(page.next_token())?;
        }
        let mut configurations = Configurations::new();
        let mut pages = Pages::new(CONFIGURATIONS);
        while let Some(token) = pages.next() {
            let page = fault::call(site, CONFIGURATIONS, || {
                autoscaling.describe_launch_configurations().max_records(100).set_next_token(token.clone()).send()
            })
            .await?;
            for configuration in page.launch_configurations() {
                let name = configuration.launch_configuration_name().unwrap_or_default().to_owned();
                configurations.insert(name, starts_from(configuration));
            }
            pages.seen(page.next_token())?;
        }
        for group in &groups {
            push(group, &configurations, out);
        }
        Ok(())
    }
}

fn push(group: &AutoScalingGroup, configurations: &Configurations, out: &mut Listing) {
    let tags: Vec<(&str, &str)> =
        group.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default())).collect();
    let managed_by = marks::managed_by(&tags);
    let mut uses = uses(group, configurations);
    // A cluster that sleeps has groups of no machines.
    uses.extend(marks::clusters(&tags));
    out.push(Draft {
        created: at(group.created_time()),
        name: group.auto_scaling_group_name().unwrap_or_default(),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        uses,
        ..Draft::new(group.auto_scaling_group_arn().unwrap_or_default(), Referrer {})
    });
}

/// The image, the snapshots and the security groups a configuration names. Its user data is dropped here.
fn starts_from(configuration: &LaunchConfiguration) -> Vec<(Relation, String)> {
    let snapshots = configuration.block_device_mappings().iter().filter_map(|device| device.ebs()?.snapshot_id());
    let starts = configuration.image_id().into_iter().chain(snapshots).map(|id| (Relation::UsedByTemplate, id));
    let groups = configuration.security_groups().iter().map(|group| guards(group));
    starts.chain(groups).map(|(relation, id)| (relation, id.to_owned())).collect()
}

/// Templates, what the configuration starts from, images that overrides name, and the target groups (by ARN) and
/// classic load balancers (by name) it registers its machines with.
fn uses<'a>(group: &'a AutoScalingGroup, configurations: &'a Configurations) -> Vec<(Relation, &'a str)> {
    let mixed = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let overrides = mixed.map(aws_sdk_autoscaling::types::LaunchTemplate::overrides).unwrap_or_default();
    let templates = group
        .launch_template()
        .into_iter()
        .chain(mixed.and_then(|mixed| mixed.launch_template_specification()))
        .chain(overrides.iter().filter_map(|launch| launch.launch_template_specification()))
        .filter_map(|template| template.launch_template_id());
    let images = overrides.iter().filter_map(|launch| launch.image_id());
    let configuration = group.launch_configuration_name().and_then(|name| configurations.get(name));
    let configured = configuration.into_iter().flatten().map(|(relation, id)| (*relation, id.as_str()));
    let starts = templates.chain(images).map(|id| (Relation::UsedByTemplate, id)).chain(configured);
    let sources = group.traffic_sources().iter().filter_map(|source| source.identifier());
    let balancers = group.target_group_arns().iter().chain(group.load_balancer_names()).map(String::as_str);
    // The same target group comes as an ARN and as a traffic source.
    let bound: BTreeSet<&str> = balancers.chain(sources).collect();
    starts.chain(bound.into_iter().map(|id| (Relation::Bound, id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_autoscaling::types::{
        BlockDeviceMapping, Ebs, LaunchTemplate, LaunchTemplateOverrides, LaunchTemplateSpecification,
        MixedInstancesPolicy, TrafficSourceIdentifier,
    };

    #[test]
    fn a_configuration_counts_through_the_group_that_has_it() {
        let device = BlockDeviceMapping::builder().ebs(Ebs::builder().snapshot_id("snap-1").build()).build();
        let configuration = LaunchConfiguration::builder()
            .image_id("ami-1")
            .security_groups("sg-1")
            .block_device_mappings(device)
            .build();
        let configurations = Configurations::from([("web".to_owned(), starts_from(&configuration))]);
        let group = AutoScalingGroup::builder().launch_configuration_name("web").build();
        assert_eq!(
            uses(&group, &configurations),
            [(Relation::UsedByTemplate, "ami-1"), (Relation::UsedByTemplate, "snap-1"), (Relation::Guards, "sg-1"),]
        );
    }

    #[test]
    fn overrides_name_templates_and_images_and_target_groups_come_once() {
        let template = |id: &str| LaunchTemplateSpecification::builder().launch_template_id(id).build();
        let mixed = LaunchTemplate::builder()
            .launch_template_specification(template("lt-1"))
            .overrides(LaunchTemplateOverrides::builder().launch_template_specification(template("lt-2")).build())
            .overrides(LaunchTemplateOverrides::builder().image_id("ami-1").build())
            .build();
        let group = AutoScalingGroup::builder()
            .mixed_instances_policy(MixedInstancesPolicy::builder().launch_template(mixed).build())
            .target_group_arns("arn:tg")
            .traffic_sources(TrafficSourceIdentifier::builder().identifier("arn:tg").build())
            .load_balancer_names("old")
            .build();
        assert_eq!(
            uses(&group, &Configurations::new()),
            [
                (Relation::UsedByTemplate, "lt-1"),
                (Relation::UsedByTemplate, "lt-2"),
                (Relation::UsedByTemplate, "ami-1"),
                (Relation::Bound, "arn:tg"),
                (Relation::Bound, "old"),
            ]
        );
    }
}
