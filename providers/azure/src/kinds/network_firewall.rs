//! Azure firewalls. One that was deallocated keeps its rules and is not billed.

use crate::{
    arm::Azure,
    entity::{Common, Entity, Sku, Sort},
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
    id: "azure.network-firewall",
    cloud: CloudId::Azure,
    class: Class::Appliance,
    title: "firewall",
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

const LIST: &str = "Microsoft.Network/azureFirewalls/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/azureFirewalls",
    columns: "",
    filter: "",
    api: "2024-05-01",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Properties {
    sku: Option<Sku>,
    provisioning_state: Option<String>,
    ip_configurations: Option<Vec<serde::de::IgnoredAny>>,
    /// The hub of a virtual WAN that it is in; it then has addresses of the hub's.
    virtual_hub: Option<serde::de::IgnoredAny>,
    firewall_policy: Option<serde::de::IgnoredAny>,
    network_rule_collections: Option<Vec<serde::de::IgnoredAny>>,
    application_rule_collections: Option<Vec<serde::de::IgnoredAny>>,
    nat_rule_collections: Option<Vec<serde::de::IgnoredAny>>,
}

/// Policies and rule collections. Without any it lets nothing through.
fn rules(properties: &Properties) -> u32 {
    let collections = [
        &properties.network_rule_collections,
        &properties.application_rule_collections,
        &properties.nat_rule_collections,
    ];
    let count = collections.into_iter().flatten().map(Vec::len).sum::<usize>();
    u32::try_from(count).unwrap_or(u32::MAX).saturating_add(u32::from(properties.firewall_policy.is_some()))
}

pub(super) struct NetworkFirewall(pub(super) Arc<Azure>);

#[async_trait]
impl Kind for NetworkFirewall {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }
}

pub(super) fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let allocated = properties.virtual_hub.is_some()
        || properties.ip_configurations.as_ref().is_some_and(|configurations| !configurations.is_empty());
    let sku = properties.sku.clone().unwrap_or_default();
    let facts = Appliance {
        sort: out.sym("firewall"),
        tier: out.sym(sku.tier.as_deref().unwrap_or_default()),
        state: out.sym(if allocated {
            properties.provisioning_state.as_deref().unwrap_or_default()
        } else {
            "deallocated"
        }),
        active: allocated,
        serves: Some(rules(properties)),
    };
    out.push(common.draft(entity, facts));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::fixtures::appliance;

    #[test]
    fn a_deallocated_firewall_is_not_billed() {
        let of = |properties: &str| appliance(&SPEC, properties, push);
        assert!(!of(r#"{"firewallPolicy":{"id":"/p"},"ipConfigurations":[]}"#).active);
        assert!(!of("{}").active);
        let bare = of(r#"{"ipConfigurations":[{"name":"a"}],"networkRuleCollections":[],"virtualHub":null}"#);
        assert_eq!((bare.active, bare.serves), (true, Some(0)));
        assert_eq!(of(r#"{"virtualHub":{"id":"/h"},"firewallPolicy":{"id":"/p"}}"#).serves, Some(1));
        assert_eq!(of(r#"{"ipConfigurations":[{}],"natRuleCollections":[{},{}]}"#).serves, Some(2));
    }
}
