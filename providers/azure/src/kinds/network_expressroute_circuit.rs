//! ExpressRoute circuits. One is billed from the day its key is issued, whether or not a provider ever connects it.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sort},
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
    id: "azure.network-expressroute-circuit",
    cloud: CloudId::Azure,
    class: Class::Appliance,
    title: "ExpressRoute circuit",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "a circuit that is let go takes its provider weeks to make again",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/expressRouteCircuits/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/expressRouteCircuits",
    columns: "sku",
    filter: "",
    api: "2024-05-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    /// `NotProvisioned`, `Provisioning`, `Provisioned` or `Deprovisioning`: by the provider, not by Azure.
    service_provider_provisioning_state: Option<String>,
}

pub(super) struct NetworkExpressrouteCircuit(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkExpressrouteCircuit {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let state = entity.properties.service_provider_provisioning_state.as_deref();
    let sku = entity.sku.clone().unwrap_or_default();
    let facts = Appliance {
        sort: out.sym("ExpressRoute circuit"),
        tier: out.sym(sku.name.as_deref().unwrap_or_default()),
        state: out.sym(state.unwrap_or_default()),
        active: true,
        serves: state.map(|state| u32::from(!state.eq_ignore_ascii_case("NotProvisioned"))),
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::appliance;

    #[test]
    fn what_no_provider_connected_serves_nothing() {
        let serves =
            |state: &str| appliance(&SPEC, &format!(r#"{{"serviceProviderProvisioningState":{state}}}"#), push).serves;
        assert_eq!(serves("\"NotProvisioned\""), Some(0));
        assert_eq!(serves("\"Provisioning\""), Some(1));
        assert_eq!(serves("\"Provisioned\""), Some(1));
        assert_eq!(serves("null"), None);
    }
}
