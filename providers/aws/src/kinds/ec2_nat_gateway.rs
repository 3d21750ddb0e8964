//! NAT gateways.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    auth::Aws,
    fault,
    kinds::{at, ec2_tags, hourly},
    marks,
    pen::{self, send, sent, unknown},
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{AvailabilityMode, NatGateway};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::{FactsRef, Gateway, GatewayKind},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-nat-gateway",
    cloud: CloudId::Aws,
    class: Class::Gateway,
    title: "NAT gateway",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[usage::OP],
    // The addresses it sends from.
    refers: &[(Relation::Holds, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_DELETE],
};

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "DeleteNatGateway")],
    Reversal::OneWay("the gateway: a new one has another id, which routes must name; its addresses stay"),
);

const DELETE: &str = "ec2:DeleteNatGateway";
const LIST: &str = "ec2:DescribeNatGateways";

pub(super) struct Ec2NatGateway(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2NatGateway {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_nat_gateways().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for gateway in page.nat_gateways() {
                push(gateway, out);
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        match resource.facts() {
            FactsRef::Gateway(gateway) if !gateway.active => Cost::list(Amount::ZERO),
            FactsRef::Gateway(gateway) if gateway.kind == GatewayKind::Nat => {
                hourly(prices, resource.region(), "nat.hour")
            }
            _ => Cost::unknown(),
        }
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(gateway) = self.find(site, &target.native_id).await? {
            push(&gateway, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = [pen::arn(pen.target(), "ec2", &format!("natgateway/{id}"))];
        let writer = self.0.writer(&SPEC, pen, &own).await?;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => acts::ec2_tag(&writer, pen).await,
            Deed::Delete => {
                let change = writer.ec2().delete_nat_gateway().nat_gateway_id(id).send();
                Ok(sent(&send(pen, DELETE, change).await?, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

impl Ec2NatGateway {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<NatGateway>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page = fault::maybe(site, LIST, || ec2.describe_nat_gateways().nat_gateway_ids(id).send()).await?;
        acts::found(LIST, page, |page| {
            page.nat_gateways().iter().find(|gateway| gateway.nat_gateway_id() == Some(id)).cloned()
        })
    }
}

/// Idle as Compute Optimizer sees it: no connection and no packet from either side.
fn measure(gateway: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::GatewayTraffic, .. } = question else { return None };
    let of = || vec![("NatGatewayId", gateway.native_id().to_owned())];
    Some(Measure {
        series: vec![
            ("AWS/NATGateway", "ActiveConnectionCount", of(), "Maximum"),
            ("AWS/NATGateway", "PacketsInFromSource", of(), "Sum"),
            ("AWS/NATGateway", "PacketsInFromDestination", of(), "Sum"),
        ],
        combine: Combine::Max,
        sparse: false,
    })
}

fn push(gateway: &NatGateway, out: &mut Listing) {
    let tags = ec2_tags(gateway.tags());
    let managed_by = marks::managed_by(&tags);
    let state = gateway.state().map_or("", |state| state.as_str());
    // A deleted one stays listed for about an hour and is not there any more.
    if state == "deleted" {
        return;
    }
    let kind = match gateway.availability_mode() {
        // Billed by the hour in each zone it spreads to, and how many those are is not told.
        Some(AvailabilityMode::Regional) => GatewayKind::Other,
        _ => GatewayKind::Nat,
    };
    let facts = Gateway { kind, state: out.sym(state), active: state == "available" };
    let held = gateway.nat_gateway_addresses().iter().filter_map(|address| address.allocation_id());
    out.push(Draft {
        created: at(gateway.create_time()),
        name: marks::name(&tags),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        uses: held.map(|address| (Relation::Holds, address)).collect(),
        ..Draft::new(gateway.nat_gateway_id().unwrap_or_default(), facts)
    });
}
