//! Auto Scaling groups: scaled to zero, they still belong to their load balancers.

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
    id: "aws.autoscaling-group",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "Auto Scaling group",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    // Its template or configuration names the image, and counts as a referrer by itself, used or not.
    refers: &[(Relation::Targets, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    report_only: "a group makes its machines again",
};

const LIST: &str = "autoscaling:DescribeAutoScalingGroups";

pub(super) struct AutoscalingGroup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for AutoscalingGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let autoscaling = self.0.autoscaling(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                autoscaling.describe_auto_scaling_groups().max_records(100).set_next_token(token.clone()).send()
            })
            .await?;
            for group in page.auto_scaling_groups() {
                out.push(Draft::new(group.auto_scaling_group_arn().unwrap_or_default(), Referrer {}));
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
