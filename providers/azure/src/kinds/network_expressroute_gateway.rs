//! ExpressRoute gateways: the ends of circuits in a network.

use super::network_vpn_gateway::{self, CONNECTIONS, LIST, Properties, RESOURCES};
use crate::{
    arm::Azure,
    entity::{Common, Entity},
    graph, locks, rights,
};
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    calls::Site,
    inventory::Listing,
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-expressroute-gateway",
    cloud: CloudId::Azure,
    class: Class::Appliance,
    title: "ExpressRoute gateway",
    places: Places::Account,
    reads: &[LIST, CONNECTIONS, RESOURCES, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "traffic of a whole network may hang on it",
};

pub(super) struct NetworkExpressrouteGateway(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkExpressrouteGateway {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        network_vpn_gateway::gateways(&self.0, site, out, push).await
    }
}

fn push(entity: &Entity<Properties>, common: &Common, connected: Option<&BTreeMap<String, u32>>, out: &mut Listing) {
    network_vpn_gateway::push_if(entity, common, ("ExpressRoute", "ExpressRoute gateway"), connected, out);
}
