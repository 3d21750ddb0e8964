//! Public IP addresses.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Ref, Sort},
    graph,
    kinds::hourly,
    locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{Address, FactsRef},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-public-ip",
    cloud: CloudId::Azure,
    class: Class::Address,
    title: "public IP address",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Network/publicIPAddresses/{}"),
        acts::tagging!(untag "Microsoft.Network/publicIPAddresses/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Network/publicIPAddresses/{}",
            "Microsoft.Network/publicIPAddresses/delete",
            acts::NETWORK,
            Reversal::OneWay("the address: Azure gives it to others, and a new one is another"),
            &[Keep::Definition]
        ),
    ],
};

const LIST: &str = "Microsoft.Network/publicIPAddresses/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/publicIPAddresses",
    columns: "sku",
    filter: "",
    api: "2024-05-01",
};

static ACT: Act<Properties> =
    Act { sort: &SORT, query: "", uid: |properties| properties.resource_guid.as_deref().unwrap_or_default() };

pub(super) struct NetworkPublicIp(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    ip_address: Option<String>,
    /// The interface, balancer, gateway or firewall that has it.
    ip_configuration: Option<Ref>,
    nat_gateway: Option<Ref>,
    #[serde(rename = "publicIPPrefix")]
    prefix: Option<Ref>,
    /// The other half of an address that is moved to or from a subscription of Azure's own.
    linked_public_ip_address: Option<Ref>,
    service_public_ip_address: Option<Ref>,
    /// The same as long as it is.
    resource_guid: Option<String>,
}

#[async_trait]
impl Kind for NetworkPublicIp {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        ACT.act(&self.0, pen).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        ACT.progress(&self.0, site, permit, sent).await
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        match resource.facts() {
            // An address of a prefix is billed with the prefix, one that has not been given yet not at all.
            FactsRef::Address(address) if address.own_pool || address.ip.is_none() => Cost::list(Amount::ZERO),
            FactsRef::Address(_) => hourly(prices, resource.region(), "ip.standard.hour"),
            _ => Cost::unknown(),
        }
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let named = |reference: &Option<Ref>| reference.as_ref().is_some_and(|reference| !reference.lower().is_empty());
    let facts = Address {
        associated: named(&properties.ip_configuration) || named(&properties.nat_gateway),
        ip: out.sym(properties.ip_address.as_deref().unwrap_or_default()),
        service_managed: named(&properties.linked_public_ip_address) || named(&properties.service_public_ip_address),
        own_pool: named(&properties.prefix),
        internal: false,
    };
    let mut draft = common.marked(entity, facts);
    draft.uid = properties.resource_guid.as_deref().unwrap_or_default();
    out.push(draft);
}
