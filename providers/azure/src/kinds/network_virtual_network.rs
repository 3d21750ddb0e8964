//! Virtual networks: listed because their subnets lead to gateways and name security groups.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Ref, Sort},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::Referrer,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-virtual-network",
    cloud: CloudId::Azure,
    class: Class::Referrer,
    title: "virtual network",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[(Relation::Routed, Reach::Account), (Relation::Guards, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a network contains other things",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/virtualNetworks/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/virtualNetworks",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

pub(super) struct NetworkVirtualNetwork(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Properties {
    subnets: Option<Vec<Subnet>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Subnet {
    properties: Option<SubnetProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SubnetProperties {
    nat_gateway: Option<Ref>,
    network_security_group: Option<Ref>,
}

#[async_trait]
impl Kind for NetworkVirtualNetwork {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let subnets = || entity.properties.subnets.iter().flatten().filter_map(|subnet| subnet.properties.as_ref());
    let mut used: Vec<(Relation, String)> = Vec::new();
    for subnet in subnets() {
        used.extend(subnet.nat_gateway.as_ref().map(|gateway| (Relation::Routed, gateway.lower())));
        used.extend(subnet.network_security_group.as_ref().map(|group| (Relation::Guards, group.lower())));
    }
    used.sort();
    used.dedup();
    let mut draft = common.draft(entity, Referrer::default());
    draft.uses.extend(used.iter().map(|(relation, id)| (*relation, id.as_str())));
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, lists};

    #[tokio::test]
    async fn subnets_lead_to_gateways_and_name_groups() {
        let server = Server::start(lists(&[(
            "/virtualNetworks",
            r#"{"id":"/x/net","name":"net","properties":{"subnets":[{"properties":{"natGateway":{"id":"/x/NAT"},"networkSecurityGroup":{"id":"/x/NSG"}}},
                {"properties":{"networkSecurityGroup":{"id":"/x/nsg"}}}]}}"#,
        )]))
        .await;
        let inventory =
            server.inventory(|azure| vec![Arc::new(NetworkVirtualNetwork(Arc::clone(azure)))]).await.unwrap();
        let used: Vec<_> = inventory.resources().next().unwrap().uses().collect();
        assert_eq!(used, [(Relation::Routed, "/x/nat"), (Relation::Guards, "/x/nsg")]);
    }
}
