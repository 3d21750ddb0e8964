//! DDoS protection plans, billed by the month for a hundred addresses, used or not.

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
    id: "azure.network-ddos-plan",
    cloud: CloudId::Azure,
    class: Class::Appliance,
    title: "DDoS protection plan",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "networks of other subscriptions may rely on it",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/ddosProtectionPlans/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/ddosProtectionPlans",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Properties {
    #[serde(rename = "provisioningState")]
    state: Option<String>,
    /// Left out where there are none ("DDoS Protection Plans - Get": the list is read-only and not required).
    #[serde(rename = "virtualNetworks")]
    networks: Option<Vec<serde::de::IgnoredAny>>,
    #[serde(rename = "publicIPAddresses")]
    addresses: Option<Vec<serde::de::IgnoredAny>>,
}

pub(super) struct NetworkDdosPlan(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkDdosPlan {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let protected = [&properties.networks, &properties.addresses].into_iter().flatten().map(Vec::len).sum::<usize>();
    let facts = Appliance {
        sort: out.sym("DDoS protection plan"),
        tier: out.sym(""),
        state: out.sym(properties.state.as_deref().unwrap_or_default()),
        active: true,
        serves: u32::try_from(protected).ok(),
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::appliance;

    #[test]
    fn networks_and_addresses_are_protected() {
        let serves = |properties: &str| appliance(&SPEC, properties, push).serves;
        assert_eq!(serves("{}"), Some(0));
        assert_eq!(serves(r#"{"virtualNetworks":[]}"#), Some(0));
        assert_eq!(serves(r#"{"virtualNetworks":[{"id":"/v"}],"publicIPAddresses":[{"id":"/a"}]}"#), Some(2));
    }
}
