//! Application gateways. One that only redirects has no backends and serves all the same.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sku, Sort},
    graph,
    kinds::monthly,
    locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::{Appliance, FactsRef},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-application-gateway",
    cloud: CloudId::Azure,
    class: Class::Appliance,
    title: "application gateway",
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

const LIST: &str = "Microsoft.Network/applicationGateways/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/applicationGateways",
    columns: "sku",
    filter: "",
    api: "2024-05-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    sku: Option<Sku>,
    operational_state: Option<String>,
    backend_address_pools: Option<Vec<Pool>>,
    redirect_configurations: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pool {
    properties: Option<Backends>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Backends {
    #[serde(rename = "backendAddresses")]
    addresses: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(rename = "backendIPConfigurations")]
    configurations: Option<Vec<serde::de::IgnoredAny>>,
}

/// Backends in its pools, and redirects. An empty pool has none of the two lists.
fn serves(properties: &Properties) -> Option<u32> {
    let pools = properties.backend_address_pools.as_ref()?;
    let backends = pools
        .iter()
        .filter_map(|pool| pool.properties.as_ref())
        .map(|pool| pool.addresses.as_ref().map_or(0, Vec::len) + pool.configurations.as_ref().map_or(0, Vec::len));
    let redirects = properties.redirect_configurations.as_ref().map_or(0, Vec::len);
    u32::try_from(backends.sum::<usize>() + redirects).ok()
}

pub(super) struct NetworkApplicationGateway(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkApplicationGateway {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }

    /// The fixed price of the second generation; what it is used for is billed besides.
    fn price(&self, gateway: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Appliance(facts) = gateway.facts() else { return Cost::unknown() };
        match gateway.inventory().text(facts.tier) {
            _ if !facts.active => Cost::list(Amount::ZERO),
            "Standard_v2" => monthly(prices, gateway.region(), "appgw.standard-v2.month"),
            "WAF_v2" => monthly(prices, gateway.region(), "appgw.waf-v2.month"),
            _ => Cost::unknown(),
        }
    }
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let state = properties.operational_state.as_deref().unwrap_or_default();
    let sku = properties.sku.clone().or_else(|| entity.sku.clone()).unwrap_or_default();
    let facts = Appliance {
        sort: out.sym("application gateway"),
        tier: out.sym(sku.tier.as_deref().or(sku.name.as_deref()).unwrap_or_default()),
        state: out.sym(state),
        // A gateway that was stopped is not billed ("Application Gateway pricing").
        active: !["Stopped", "Stopping"].contains(&state),
        serves: serves(properties),
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::appliance;

    #[test]
    fn backends_and_redirects_are_served() {
        let of = |properties: &str| appliance(&SPEC, properties, push);
        assert_eq!(of(r#"{"backendAddressPools":[]}"#).serves, Some(0));
        assert_eq!(of(r#"{"backendAddressPools":[{"properties":{"backendAddresses":[]}},{}]}"#).serves, Some(0));
        let addresses = r#"{"backendAddressPools":[{"properties":{"backendAddresses":[{"fqdn":"a"},{"fqdn":"b"}]}}]}"#;
        assert_eq!(of(addresses).serves, Some(2));
        let machines = r#"{"backendAddressPools":[{"properties":{"backendIPConfigurations":[{"id":"x"}]}}]}"#;
        assert_eq!(of(machines).serves, Some(1));
        assert_eq!(of(r#"{"backendAddressPools":[],"redirectConfigurations":[{"name":"to-https"}]}"#).serves, Some(1));
        assert_eq!(of("{}").serves, None);
        assert!(of(r#"{"operationalState":"Running"}"#).active);
        assert!(!of(r#"{"operationalState":"Stopped"}"#).active);
    }
}
