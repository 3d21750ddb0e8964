//! ExpressRoute gateways of virtual WAN hubs. Those of a network by itself are virtual network gateways.

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
    facts::Appliance,
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
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "traffic of a whole network may hang on it",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/expressRouteGateways/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/expressRouteGateways",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    provisioning_state: Option<String>,
    express_route_connections: Count,
}

pub(super) struct NetworkExpressrouteGateway(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkExpressrouteGateway {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let state = entity.properties.provisioning_state.as_deref().unwrap_or_default();
    let facts = Appliance {
        sort: out.sym("ExpressRoute gateway"),
        tier: out.sym(""),
        state: out.sym(state),
        active: !state.eq_ignore_ascii_case("Deleting"),
        serves: entity.properties.express_route_connections.0,
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::appliance;

    #[test]
    fn connections_are_served() {
        let serves = |properties: &str| appliance(&SPEC, properties, push).serves;
        assert_eq!(serves(r#"{"expressRouteConnections":[]}"#), Some(0));
        assert_eq!(serves(r#"{"expressRouteConnections":[{"id":"/c"}]}"#), Some(1));
        assert_eq!(serves("{}"), None);
    }
}
