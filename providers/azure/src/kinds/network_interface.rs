//! Network interfaces.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Count, Entity, Ref, Sort},
    graph, locks, rights,
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Interface},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
    policy::Keep,
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
    acts: &[
        acts::tagging!(tag "Microsoft.Network/networkInterfaces/{}"),
        acts::tagging!(untag "Microsoft.Network/networkInterfaces/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Network/networkInterfaces/{}",
            "Microsoft.Network/networkInterfaces/delete",
            acts::NETWORK,
            Reversal::FromCopy("made again of its definition; an address that is not static may be another"),
            &[Keep::Definition]
        ),
        acts::act!(
            Restore,
            "PUT" "Microsoft.Network/networkInterfaces/{}",
            "Microsoft.Network/networkInterfaces/write",
            acts::NETWORK,
            Reversal::Again("deleted again"),
            &[]
        ),
    ],
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

static ACT: Act<Properties> =
    Act { sort: &SORT, query: "", uid: |properties| properties.resource_guid.as_deref().unwrap_or_default() };

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
    /// The same as long as it is.
    resource_guid: Option<String>,
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

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        ACT.act(&self.0, pen).await
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        ACT.progress(&self.0, site, permit, sent).await
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
    draft.uid = properties.resource_guid.as_deref().unwrap_or_default();
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
        assert_eq!(
            told,
            [("free", false, false), ("vm", true, false), ("endpoint", true, true), ("netapp", true, true)]
        );
        let used: Vec<_> = inventory.of_class(Class::Interface).next().unwrap().uses().collect();
        assert_eq!(used, [(Relation::Holds, "/x/ip"), (Relation::Guards, "/x/nsg")]);
    }
}
