//! Network security groups.

use crate::{
    arm::Azure,
    entity::{Common, Count, Entity, Sort},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::{FactsRef, SecurityGroup},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-security-group",
    cloud: CloudId::Azure,
    class: Class::SecurityGroup,
    title: "network security group",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "whether a group is still meant is for its owner to say",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/networkSecurityGroups/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/networkSecurityGroups",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

pub(super) struct NetworkSecurityGroup(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    network_interfaces: Count,
    subnets: Count,
}

#[async_trait]
impl Kind for NetworkSecurityGroup {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }

    fn price(&self, resource: Resource<'_>, _: &dyn Prices) -> Cost {
        match resource.facts() {
            FactsRef::SecurityGroup(_) => Cost::list(Amount::ZERO),
            _ => Cost::unknown(),
        }
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let associations = properties.network_interfaces.0.unwrap_or(0).saturating_add(properties.subnets.0.unwrap_or(0));
    // It names what it is on; who else names it (the model of a scale set without machines) is searched.
    let facts = SecurityGroup { default: false, associations: (associations > 0).then_some(associations) };
    out.push(common.marked(entity, facts));
}
