//! Network interfaces.

use crate::{
    arm::Azure,
    entity::{Common, Count, Entity, Ref, Sort},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::{FactsRef, Interface},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-interface",
    cloud: CloudId::Azure,
    class: Class::Interface,
    title: "network interface",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[(Relation::Holds, Reach::Account), (Relation::Guards, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "Microsoft.Network/networkInterfaces/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/networkInterfaces",
    columns: "managedBy",
    filter: "",
    api: "2024-05-01",
};

pub(super) struct NetworkInterface(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    virtual_machine: Option<Ref>,
    private_endpoint: Option<Ref>,
    private_link_service: Option<Ref>,
    /// Services that use it: NetApp volumes, bare metal, development boxes.
    hosted_workloads: Count,
    /// The sort of service that it was made for.
    workload_type: Option<String>,
    network_security_group: Option<Ref>,
    ip_configurations: Option<Vec<Configuration>>,
    provisioning_state: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    properties: Option<ConfigurationProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigurationProperties {
    #[serde(rename = "publicIPAddress")]
    address: Option<Ref>,
}

#[async_trait]
impl Kind for NetworkInterface {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        self.0.each(site, &SORT, out, push).await
    }

    fn price(&self, resource: Resource<'_>, _: &dyn Prices) -> Cost {
        match resource.facts() {
            FactsRef::Interface(_) => Cost::list(Amount::ZERO),
            _ => Cost::unknown(),
        }
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let named = |reference: &Option<Ref>| reference.as_ref().is_some_and(|reference| !reference.lower().is_empty());
    let service = named(&properties.private_endpoint)
        || named(&properties.private_link_service)
        || properties.hosted_workloads.0.is_some_and(|count| count > 0)
        || properties.workload_type.as_deref().is_some_and(|of| !of.is_empty());
    let owner = entity.managed_by.as_deref().filter(|owner| !owner.is_empty());
    let facts = Interface {
        attached: named(&properties.virtual_machine)
            || service
            // Of a machine of a scale set, below which it is.
            || common.lower.contains("/virtualmachinescalesets/"),
        state: out.sym(properties.provisioning_state.as_deref().unwrap_or_default()),
        requester: out.sym(owner.unwrap_or_default()),
        machinery: service,
        description: out.sym(""),
    };
    let addresses: Vec<String> = properties
        .ip_configurations
        .iter()
        .flatten()
        .filter_map(|configuration| configuration.properties.as_ref()?.address.as_ref())
        .map(Ref::lower)
        .collect();
    let group = properties.network_security_group.as_ref().map(Ref::lower).unwrap_or_default();
    let mut draft = common.marked(entity, facts);
    draft.uses.extend(addresses.iter().map(|id| (Relation::Holds, id.as_str())));
    draft.uses.push((Relation::Guards, &group));
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, lists};

    #[tokio::test]
    async fn an_interface_belongs_to_a_machine_a_service_or_nothing() {
        let server = Server::start(lists(&[(
            "/networkInterfaces",
            r#"{"id":"/x/free","name":"free","properties":{"hostedWorkloads":[],"ipConfigurations":[{"properties":{"publicIPAddress":{"id":"/x/IP"}}}],
                "networkSecurityGroup":{"id":"/x/NSG"}}},
               {"id":"/x/vm","name":"vm","properties":{"virtualMachine":{"id":"/x/m"}}},
               {"id":"/x/endpoint","name":"endpoint","properties":{"privateEndpoint":{"id":"/x/e"}}},
               {"id":"/x/netapp","name":"netapp","properties":{"hostedWorkloads":["/x/volume"]}}"#,
        )]))
        .await;
        let inventory = server.inventory(|azure| vec![Arc::new(NetworkInterface(Arc::clone(azure)))]).await.unwrap();
        let told: Vec<_> = inventory
            .of_class(Class::Interface)
            .map(|one| {
                let FactsRef::Interface(facts) = one.facts() else { panic!() };
                (one.name(), facts.attached, facts.machinery)
            })
            .collect();
        assert_eq!(told, [("free", false, false), ("vm", true, false), ("endpoint", true, true), ("netapp", true, true)]);
        let used: Vec<_> = inventory.of_class(Class::Interface).next().unwrap().uses().collect();
        assert_eq!(used, [(Relation::Holds, "/x/ip"), (Relation::Guards, "/x/nsg")]);
    }
}
