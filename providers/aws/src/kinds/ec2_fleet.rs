//! EC2 Fleets: images they may start.

use crate::{auth::Aws, fault};
use async_trait::async_trait;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-fleet",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "EC2 Fleet",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "ec2:DescribeFleets";

pub(super) struct Ec2Fleet(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2Fleet {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_fleets().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for fleet in page.fleets() {
                // A deleted fleet is listed for 48 hours and starts nothing any more.
                if fleet.fleet_state().is_some_and(|state| state.as_str().starts_with("deleted")) {
                    continue;
                }
                // Its templates count as referrers by themselves; only an override can name other images and
                // snapshots.
                let mut uses = Vec::new();
                for launch in fleet
                    .launch_template_configs()
                    .iter()
                    .flat_map(aws_sdk_ec2::types::FleetLaunchTemplateConfig::overrides)
                {
                    uses.extend(launch.image_id().map(|image| (Relation::UsedByTemplate, image)));
                    for device in launch.block_device_mappings() {
                        let snapshot = device.ebs().and_then(|disk| disk.snapshot_id());
                        uses.extend(snapshot.map(|snapshot| (Relation::UsedByTemplate, snapshot)));
                    }
                }
                out.push(Draft { uses, ..Draft::new(fleet.fleet_id().unwrap_or_default(), Referrer {}) });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
