//! Load balancers.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Count, Entity, Ref, Sort},
    graph, locks, rights,
    usage::{self, Aggregation, Combine, Measure},
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, LbKind, LoadBalancer},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-load-balancer",
    cloud: CloudId::Azure,
    class: Class::LoadBalancer,
    title: "load balancer",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP],
    refers: &[(Relation::Holds, Reach::Account), (Relation::Targets, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Network/loadBalancers/{}"),
        acts::tagging!(untag "Microsoft.Network/loadBalancers/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Network/loadBalancers/{}",
            "Microsoft.Network/loadBalancers/delete",
            acts::NETWORK,
            Reversal::FromCopy("made again of its definition; interfaces that were in its pools join them again by themselves or not at all"),
            &[Keep::Definition]
        ),
        acts::act!(
            Restore,
            "PUT" "Microsoft.Network/loadBalancers/{}",
            "Microsoft.Network/loadBalancers/write",
            acts::NETWORK,
            Reversal::Again("deleted again"),
            &[]
        ),
    ],
};

const LIST: &str = "Microsoft.Network/loadBalancers/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/loadBalancers",
    columns: "sku",
    filter: "",
    api: "2024-05-01",
};

static ACT: Act<Properties> =
    Act { sort: &SORT, query: "", uid: |properties| properties.resource_guid.as_deref().unwrap_or_default() };

pub(super) struct NetworkLoadBalancer(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    #[serde(rename = "frontendIPConfigurations")]
    frontends: Option<Vec<Frontend>>,
    backend_address_pools: Option<Vec<Pool>>,
    inbound_nat_rules: Option<Vec<NatRule>>,
    provisioning_state: Option<String>,
    /// The same as long as it is.
    resource_guid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Frontend {
    properties: Option<FrontendProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FrontendProperties {
    #[serde(rename = "publicIPAddress")]
    address: Option<Ref>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pool {
    properties: Option<PoolProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PoolProperties {
    /// Interfaces in the pool.
    #[serde(rename = "backendIPConfigurations")]
    interfaces: Count,
    /// Members, by address or interface.
    load_balancer_backend_addresses: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NatRule {
    properties: Option<NatRuleProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NatRuleProperties {
    #[serde(rename = "backendIPConfiguration")]
    target: Option<Ref>,
}

#[async_trait]
impl Kind for NetworkLoadBalancer {
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

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    fn price(&self, resource: Resource<'_>, _: &dyn Prices) -> Cost {
        match resource.facts() {
            // The basic sort is free; of the others' rules no sourced price is at hand.
            FactsRef::LoadBalancer(balancer) if balancer.kind == LbKind::Classic => Cost::list(Amount::ZERO),
            _ => Cost::unknown(),
        }
    }
}

/// New connections, or packets for what knows none.
fn measure(_: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::LbRequests, .. } = question else { return None };
    Some(Measure {
        namespace: "Microsoft.Network/loadBalancers",
        metrics: &["SYNCount", "PacketCount"],
        aggregation: Aggregation::Total,
        combine: Combine::Max,
        sparse: false,
    })
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let pools = properties.backend_address_pools.iter().flatten().filter_map(|pool| pool.properties.as_ref());
    // The same members by two names; those of pools that only serve outbound rules count as well.
    let members = pools.fold(0_u32, |sum, pool| {
        sum.saturating_add(pool.interfaces.0.unwrap_or(0).max(pool.load_balancer_backend_addresses.0.unwrap_or(0)))
    });
    let nat =
        properties.inbound_nat_rules.iter().flatten().filter_map(|rule| rule.properties.as_ref()?.target.as_ref());
    let nat = nat.filter(|target| !target.lower().is_empty()).count() as u32;
    let facts = LoadBalancer {
        kind: match entity.sku().to_ascii_lowercase().as_str() {
            // The generation before, which is free.
            "" | "basic" => LbKind::Classic,
            "standard" => LbKind::Network,
            "gateway" => LbKind::Gateway,
            _ => LbKind::Other,
        },
        state: out.sym(properties.provisioning_state.as_deref().unwrap_or_default()),
        own_targets: Some(members.saturating_add(nat)),
    };
    let addresses: Vec<String> = properties
        .frontends
        .iter()
        .flatten()
        .filter_map(|frontend| frontend.properties.as_ref()?.address.as_ref())
        .map(Ref::lower)
        .collect();
    let mut draft = common.marked(entity, facts);
    draft.uid = properties.resource_guid.as_deref().unwrap_or_default();
    draft.uses.extend(addresses.iter().map(|id| (Relation::Holds, id.as_str())));
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, lists};

    #[tokio::test]
    async fn members_are_counted_once_and_rules_with_targets_count() {
        let server = Server::start(lists(&[(
            "/loadBalancers",
            r#"{"id":"/x/a","name":"a","sku":{"name":"Standard"},"properties":{"backendAddressPools":[{"properties":{
                "backendIPConfigurations":[{"id":"1"},{"id":"2"}],"loadBalancerBackendAddresses":[{"name":"1"},{"name":"2"}]}}]}},
               {"id":"/x/b","name":"b","sku":{"name":"Basic"},"properties":{"backendAddressPools":[{"properties":{}}],"inboundNatRules":[]}},
               {"id":"/x/c","name":"c","properties":{"inboundNatRules":[{"properties":{"backendIPConfiguration":{"id":"1"}}},{"properties":{}}],
                "frontendIPConfigurations":[{"properties":{"publicIPAddress":{"id":"/x/IP"}}}]}}"#,
        )]))
        .await;
        let inventory = server.inventory(|azure| vec![Arc::new(NetworkLoadBalancer(Arc::clone(azure)))]).await.unwrap();
        let told: Vec<_> = inventory
            .of_class(Class::LoadBalancer)
            .map(|one| {
                let FactsRef::LoadBalancer(facts) = one.facts() else { panic!() };
                (facts.own_targets, facts.kind)
            })
            .collect();
        assert_eq!(told, [(Some(2), LbKind::Network), (Some(0), LbKind::Classic), (Some(1), LbKind::Classic)]);
    }
}
