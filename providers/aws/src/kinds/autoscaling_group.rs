//! Auto Scaling groups: what starts machines from templates and configurations.

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
    // Its template or configuration names the image, and counts as a referrer by itself, used or not; a group
    // that cannot be seen may still hold one that was deleted beside it.
    refers: &[(Relation::UsedByTemplate, Reach::Region)],
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
                let mixed = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
                let templates = [group.launch_template(), mixed.and_then(|mixed| mixed.launch_template_specification())];
                let mut uses: Vec<(Relation, &str)> = Vec::new();
                for template in templates.into_iter().flatten() {
                    uses.extend(template.launch_template_id().map(|id| (Relation::UsedByTemplate, id)));
                }
                uses.extend(group.launch_configuration_name().map(|name| (Relation::UsedByTemplate, name)));
                out.push(Draft { uses, ..Draft::new(group.auto_scaling_group_arn().unwrap_or_default(), Referrer {}) });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
