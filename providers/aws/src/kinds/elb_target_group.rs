//! Target groups of load balancers.

use crate::{
    acts::{self, post},
    asks,
    auth::Aws,
    fault,
    kinds::elb_load_balancer::{self, ELB_TAG, ELB_UNTAG},
    pen::{send, sent, unknown},
};
use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{self, TargetHealthDescription, TargetHealthStateEnum};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::TargetGroup,
    inventory::{Draft, Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.elb-target-group",
    cloud: CloudId::Aws,
    class: Class::TargetGroup,
    title: "target group",
    places: Places::Regions,
    reads: &[LIST, elb_load_balancer::TAGS],
    asks: &[HEALTH],
    refers: &[(Relation::Targets, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[ELB_TAG, ELB_UNTAG, ACT_DELETE],
};

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "DeleteTargetGroup")],
    Reversal::OneWay("the group with its health checks: a new one has another ARN"),
);

const DELETE: &str = "elasticloadbalancing:DeleteTargetGroup";

/// Also how the targets of one load balancer are told.
pub(super) const LIST: &str = "elasticloadbalancing:DescribeTargetGroups";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

pub(super) struct ElbTargetGroup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for ElbTargetGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let elb = self.0.elbv2(site.scope());
        let mut groups: Vec<types::TargetGroup> = Vec::new();
        let mut pages = Pages::new(LIST);
        while let Some(marker) = pages.next() {
            let page = fault::call(site, LIST, || {
                elb.describe_target_groups().page_size(400).set_marker(marker.clone()).send()
            })
            .await?;
            groups.extend_from_slice(page.target_groups());
            pages.seen(page.next_marker())?;
        }
        self.push(site, &groups, out).await
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let work = asks.iter().filter(|ask| matches!(ask.question, Question::Targets));
        Ok(asks::alike(work.map(|ask| (*ask, self.targets(site, inventory, *ask))).collect()).await)
    }

    /// Target groups are free.
    fn price(&self, _resource: Resource<'_>, _prices: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        let (elb, arn) = (self.0.elbv2(site.scope()), target.native_id.as_str());
        let page = fault::maybe(site, LIST, || elb.describe_target_groups().target_group_arns(arn).send()).await?;
        let own = |group: &&types::TargetGroup| group.target_group_arn() == Some(arn);
        match acts::found(LIST, page, |page| page.target_groups().iter().find(own).cloned())? {
            Some(group) => self.push(site, &[group], out).await,
            None => Ok(()),
        }
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let arn = &pen.target().native_id;
        let elb = self.0.writer(&SPEC, pen, std::slice::from_ref(arn)).await?.elbv2();
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => elb_load_balancer::tag(&elb, pen).await,
            Deed::Delete => {
                Ok(sent(&send(pen, DELETE, elb.delete_target_group().target_group_arn(arn).send()).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

impl ElbTargetGroup {
    /// Pushes groups with their tags.
    async fn push(&self, site: &Site, groups: &[types::TargetGroup], out: &mut Listing) -> Result<(), CloudError> {
        let arns = groups.iter().filter_map(types::TargetGroup::target_group_arn).map(str::to_owned).collect();
        let tagged = elb_load_balancer::tags(&self.0, site, arns).await?;
        for group in groups {
            let arn = group.target_group_arn().unwrap_or_default();
            let Some(tags) = tagged.of(arn) else { continue };
            let managed_by = elb_load_balancer::manager(&tags);
            let balancers = group.load_balancer_arns();
            let facts = TargetGroup {
                target_type: out.sym(group.target_type().map_or("", |sort| sort.as_str())),
                bound: !balancers.is_empty(),
            };
            out.push(Draft {
                name: group.target_group_name().unwrap_or_default(),
                managed_by: &managed_by,
                tags,
                uses: balancers.iter().map(|balancer| (Relation::Targets, balancer.as_str())).collect(),
                ..Draft::new(arn, facts)
            });
        }
        Ok(())
    }

    async fn targets(&self, site: &Site, inventory: &Inventory, ask: Ask) -> Result<Answer, CloudError> {
        let elb = self.0.elbv2(site.scope());
        let arn = inventory.at(ask.resource).native_id();
        let health = fault::call(site, HEALTH, || elb.describe_target_health().target_group_arn(arn).send()).await?;
        Ok(counts(health.target_health_descriptions()))
    }
}

/// Registered targets, those being taken out included, and healthy ones.
fn counts(targets: &[TargetHealthDescription]) -> Answer {
    let healthy = targets.iter().filter(|target| {
        target.target_health().and_then(|health| health.state()) == Some(&TargetHealthStateEnum::Healthy)
    });
    Answer::Targets { targets: targets.len() as u32, healthy: healthy.count() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_counted_by_health() {
        let target = |state| {
            let health = types::TargetHealth::builder().state(state).build();
            TargetHealthDescription::builder().target_health(health).build()
        };
        let targets = [target(TargetHealthStateEnum::Healthy), target(TargetHealthStateEnum::Draining)];
        assert_eq!(counts(&targets), Answer::Targets { targets: 2, healthy: 1 });
        assert_eq!(counts(&[]), Answer::Targets { targets: 0, healthy: 0 });
    }
}
