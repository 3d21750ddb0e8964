//! EC2 security groups.

use crate::{auth::Aws, fault, kinds::ec2_tags, marks};
use async_trait::async_trait;
use aws_sdk_ec2::types;
use std::{collections::BTreeSet, sync::Arc};
use sweeper_core::{
    calls::{Pages, Site},
    facts::SecurityGroup,
    inventory::{Draft, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-security-group",
    cloud: CloudId::Aws,
    class: Class::SecurityGroup,
    title: "security group",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    // Rules name other groups, also such of peered networks, which are of the same region.
    refers: &[(Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[
        (Relation::Guards, "rules of groups in peered networks of accounts that are not surveyed"),
        (Relation::Guards, "ECS services and scheduled tasks that name a group and run nothing now"),
    ],
    advised: "",
    report_only: "whether a group is still meant is for its owner to say",
    acts: &[],
};

const LIST: &str = "ec2:DescribeSecurityGroups";

/// The name of the group that comes with each network.
const DEFAULT: &str = "default";

pub(super) struct Ec2SecurityGroup(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2SecurityGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_security_groups().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for group in page.security_groups() {
                // A group that another account shares is that account's: it is judged there.
                if group.owner_id().is_none_or(|owner| owner == site.scope().account) {
                    push(group, out);
                }
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    /// Security groups are free.
    fn price(&self, _resource: Resource<'_>, _prices: &dyn Prices) -> Cost {
        Cost::list(Amount::ZERO)
    }
}

fn push(group: &types::SecurityGroup, out: &mut Listing) {
    let tags = ec2_tags(group.tags());
    let managed_by = marks::managed_by(&tags);
    let name = group.group_name().unwrap_or_default();
    let mut uses = marks::clusters(&tags);
    uses.extend(named(group).into_iter().map(guards));
    out.push(Draft {
        name,
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        uses,
        // Templates may name a group of the default network by its name.
        also: vec![name],
        ..Draft::new(
            group.group_id().unwrap_or_default(),
            SecurityGroup { default: name == DEFAULT, associations: None },
        )
    });
}

/// The groups that its rules name.
fn named(group: &types::SecurityGroup) -> BTreeSet<&str> {
    let rules = group.ip_permissions().iter().chain(group.ip_permissions_egress());
    rules.flat_map(types::IpPermission::user_id_group_pairs).filter_map(types::UserIdGroupPair::group_id).collect()
}

/// As a use of a resource that names a group by its id or name.
pub(super) fn guards(group: &str) -> (Relation, &str) {
    (Relation::Guards, group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_both_directions_name_groups() {
        let rule = |group: &str| {
            let pair = types::UserIdGroupPair::builder().group_id(group).build();
            types::IpPermission::builder().user_id_group_pairs(pair).build()
        };
        let open = types::IpPermission::builder().build();
        let group = types::SecurityGroup::builder()
            .ip_permissions(rule("sg-1"))
            .ip_permissions(open)
            .ip_permissions_egress(rule("sg-2"))
            .ip_permissions_egress(rule("sg-1"))
            .build();
        assert_eq!(named(&group).into_iter().collect::<Vec<_>>(), ["sg-1", "sg-2"]);
    }
}
