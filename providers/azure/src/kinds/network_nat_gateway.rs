//! NAT gateways.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Ref, Sort, ids},
    graph,
    kinds::hourly,
    locks, rights,
    usage::{self, Aggregation, Combine, Measure},
};
use async_trait::async_trait;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    deed::{Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Gateway, GatewayKind},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::Cost,
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.network-nat-gateway",
    cloud: CloudId::Azure,
    class: Class::Gateway,
    title: "NAT gateway",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP],
    // The addresses it sends from.
    refers: &[(Relation::Holds, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Network/natGateways/{}"),
        acts::tagging!(untag "Microsoft.Network/natGateways/{}"),
        acts::defining!(),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Network/natGateways/{}",
            "Microsoft.Network/natGateways/delete",
            acts::NETWORK,
            Reversal::FromCopy("made again of its definition, with its addresses; no subnet sends through it until it is told to"),
            &[Keep::Definition]
        ),
        acts::act!(
            Restore,
            "PUT" "Microsoft.Network/natGateways/{}",
            "Microsoft.Network/natGateways/write",
            acts::NETWORK,
            Reversal::Again("deleted again"),
            &[]
        ),
    ],
};

const LIST: &str = "Microsoft.Network/natGateways/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Network/natGateways",
    columns: "sku",
    filter: "",
    api: "2024-05-01",
};

static ACT: Act<Properties> =
    Act { sort: &SORT, query: "", uid: |properties| properties.resource_guid.as_deref().unwrap_or_default() };

pub(super) struct NetworkNatGateway(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    public_ip_addresses: Option<Vec<Ref>>,
    provisioning_state: Option<String>,
    /// The same as long as it is.
    resource_guid: Option<String>,
}

#[async_trait]
impl Kind for NetworkNatGateway {
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

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        match resource.facts() {
            FactsRef::Gateway(_) => hourly(prices, resource.region(), "nat.hour"),
            _ => Cost::unknown(),
        }
    }
}

/// Packets and new connections through it.
fn measure(_: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::GatewayTraffic, .. } = question else { return None };
    Some(Measure {
        namespace: "Microsoft.Network/natGateways",
        metrics: &["PacketCount", "SNATConnectionCount"],
        aggregation: Aggregation::Total,
        combine: Combine::Max,
        sparse: false,
    })
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let state = properties.provisioning_state.as_deref().unwrap_or_default();
    let facts = Gateway {
        kind: GatewayKind::Nat,
        state: out.sym(state),
        // It is billed from its making to its deletion, whatever its last change came to.
        active: !state.eq_ignore_ascii_case("Deleting"),
    };
    let held = ids(properties.public_ip_addresses.as_ref());
    let mut draft = common.marked(entity, facts);
    draft.uid = properties.resource_guid.as_deref().unwrap_or_default();
    draft.uses.extend(held.iter().map(|id| (Relation::Holds, id.as_str())));
    out.push(draft);
}
