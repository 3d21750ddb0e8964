//! Spot Fleets: images and snapshots they may start from.

use crate::{auth::Aws, fault, kinds::ec2_security_group::guards};
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
    id: "aws.ec2-spot-fleet",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Spot Fleet",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::UsedByTemplate, Reach::Region), (Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "ec2:DescribeSpotFleetRequests";

pub(super) struct Ec2SpotFleet(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2SpotFleet {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_spot_fleet_requests().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for fleet in page.spot_fleet_request_configs() {
                // Cancelled requests stay listed for two days and start nothing any more.
                if fleet.spot_fleet_request_state().is_some_and(|state| state.as_str() == "cancelled") {
                    continue;
                }
                let mut uses = Vec::new();
                for launch in fleet
                    .spot_fleet_request_config()
                    .map(aws_sdk_ec2::types::SpotFleetRequestConfigData::launch_specifications)
                    .unwrap_or_default()
                {
                    uses.extend(launch.image_id().map(|image| (Relation::UsedByTemplate, image)));
                    let groups =
                        launch.security_groups().iter().flat_map(|group| [group.group_id(), group.group_name()]);
                    uses.extend(groups.flatten().map(guards));
                    let interfaces = launch
                        .network_interfaces()
                        .iter()
                        .flat_map(aws_sdk_ec2::types::InstanceNetworkInterfaceSpecification::groups);
                    uses.extend(interfaces.map(|group| guards(group)));
                    for device in launch.block_device_mappings() {
                        let snapshot = device.ebs().and_then(|disk| disk.snapshot_id());
                        uses.extend(snapshot.map(|snapshot| (Relation::UsedByTemplate, snapshot)));
                    }
                }
                out.push(Draft { uses, ..Draft::new(fleet.spot_fleet_request_id().unwrap_or_default(), Referrer {}) });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
