//! Launch configurations of Auto Scaling groups.

use crate::{auth::Aws, fault, kinds::at};
use async_trait::async_trait;
use aws_sdk_autoscaling::types::LaunchConfiguration;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing, Tags},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.autoscaling-launch-configuration",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "launch configuration",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    report_only: "listed only because it may use images and snapshots",
};

const LIST: &str = "autoscaling:DescribeLaunchConfigurations";

pub(super) struct AutoscalingLaunchConfiguration(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for AutoscalingLaunchConfiguration {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let autoscaling = self.0.autoscaling(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                autoscaling.describe_launch_configurations().max_records(100).set_next_token(token.clone()).send()
            })
            .await?;
            for configuration in page.launch_configurations() {
                out.push(Draft {
                    uid: configuration.launch_configuration_arn().unwrap_or_default(),
                    created: at(configuration.created_time()),
                    // They cannot have tags.
                    tags: Tags::Read(Vec::new()),
                    uses: uses(configuration),
                    ..Draft::new(configuration.launch_configuration_name().unwrap_or_default(), Referrer {})
                });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}

fn uses(configuration: &LaunchConfiguration) -> Vec<(Relation, &str)> {
    let snapshots = configuration.block_device_mappings().iter().filter_map(|device| device.ebs()?.snapshot_id());
    configuration.image_id().into_iter().chain(snapshots).map(|id| (Relation::UsedByTemplate, id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_autoscaling::types::{BlockDeviceMapping, Ebs};

    #[test]
    fn it_names_an_image_and_snapshots() {
        let device = BlockDeviceMapping::builder().ebs(Ebs::builder().snapshot_id("snap-1").build()).build();
        let configuration = LaunchConfiguration::builder().image_id("ami-1").block_device_mappings(device).build();
        assert_eq!(
            uses(&configuration),
            [(Relation::UsedByTemplate, "ami-1"), (Relation::UsedByTemplate, "snap-1")]
        );
    }
}
