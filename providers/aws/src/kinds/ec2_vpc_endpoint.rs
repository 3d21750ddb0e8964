//! VPC endpoints. Interface endpoints are billed by the hour and zone; gateway endpoints are free.

use crate::{
    acts::{self, EC2_TAG, EC2_UNTAG, post},
    auth::Aws,
    fault,
    kinds::{at, ec2_security_group::guards, ec2_tags},
    marks,
    pen::{self, send, sent, unknown},
    usage::{self, Combine, Measure},
};
use async_trait::async_trait;
use aws_sdk_ec2::types::{VpcEndpoint, VpcEndpointType};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::{Pages, Site},
    deed::{ActSpec, Deed, Pen, Reversal, Sent, Target},
    facts::{Endpoint, EndpointKind, FactsRef},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost, HOURS_A_MONTH},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-vpc-endpoint",
    cloud: CloudId::Aws,
    class: Class::Endpoint,
    title: "VPC endpoint",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[usage::OP],
    refers: &[(Relation::Guards, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[EC2_TAG, EC2_UNTAG, ACT_DELETE],
};

const ACT_DELETE: ActSpec = acts::delete(
    &[post(DELETE, "DeleteVpcEndpoints")],
    Reversal::OneWay("the endpoint: a new one has another id and other names"),
);

const DELETE: &str = "ec2:DeleteVpcEndpoints";
const LIST: &str = "ec2:DescribeVpcEndpoints";

/// The network an endpoint is in: a use kept only because its metrics are published under it, and only of
/// endpoints that have any.
const IN: Relation = Relation::Holds;

pub(super) struct Ec2VpcEndpoint(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2VpcEndpoint {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_vpc_endpoints().max_results(1000).set_next_token(token.clone()).send()
            })
            .await?;
            for endpoint in page.vpc_endpoints() {
                push(endpoint, &site.scope().region, out);
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        let FactsRef::Endpoint(endpoint) = resource.facts() else { return Cost::unknown() };
        match endpoint.kind {
            EndpointKind::Gateway => Cost::list(Amount::ZERO),
            EndpointKind::Interface => {
                prices.unit(CloudId::Aws, resource.region(), "vpce.hour").map_or_else(Cost::unknown, |hour| {
                    Cost::list(hour.times(HOURS_A_MONTH).times(i64::from(endpoint.zones.max(1))))
                })
            }
            EndpointKind::Other => Cost::unknown(),
        }
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(endpoint) = self.find(site, &target.native_id).await? {
            push(&endpoint, &site.scope().region, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let id = &pen.target().native_id;
        let own = [pen::arn(pen.target(), "ec2", &format!("vpc-endpoint/{id}"))];
        let writer = self.0.writer(&SPEC, pen, &own).await?;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => acts::ec2_tag(&writer, pen).await,
            Deed::Delete => {
                let answer = send(pen, DELETE, writer.ec2().delete_vpc_endpoints().vpc_endpoint_ids(id).send()).await?;
                // The answer succeeds whatever became of it.
                if let Some(failed) = answer.unsuccessful().first().and_then(|item| item.error()) {
                    let told = (failed.code().unwrap_or_default(), failed.message().unwrap_or_default());
                    return Err(fault::coded(DELETE, told.0, told.1));
                }
                Ok(sent(&answer, ""))
            }
            _ => Err(unknown(pen)),
        }
    }
}

impl Ec2VpcEndpoint {
    async fn find(&self, site: &Site, id: &str) -> Result<Option<VpcEndpoint>, CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let page = fault::maybe(site, LIST, || ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).send()).await?;
        acts::found(LIST, page, |page| {
            page.vpc_endpoints().iter().find(|endpoint| endpoint.vpc_endpoint_id() == Some(id)).cloned()
        })
    }
}

/// PrivateLink publishes bytes under all four dimensions together, for minutes in which the endpoint received
/// traffic ("CloudWatch metrics for AWS PrivateLink"). An endpoint without metrics stays unanswered.
fn measure(resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::EndpointBytes, .. } = question else { return None };
    let FactsRef::Endpoint(endpoint) = resource.facts() else { return None };
    let network = resource.uses().find(|(relation, _)| *relation == IN).map(|(_, network)| network)?;
    let sort = match endpoint.kind {
        EndpointKind::Interface => "Interface",
        EndpointKind::Gateway => return None,
        EndpointKind::Other => "GatewayLoadBalancer",
    };
    let dimensions = vec![
        ("VPC Id", network.to_owned()),
        ("VPC Endpoint Id", resource.native_id().to_owned()),
        ("Endpoint Type", sort.to_owned()),
        ("Service Name", resource.inventory().text(endpoint.service).to_owned()),
    ];
    Some(Measure {
        series: vec![("AWS/PrivateLinkEndpoints", "BytesProcessed", dimensions, "Sum")],
        combine: Combine::Sum,
        sparse: true,
    })
}

/// The network whose metrics tell of the endpoint. There are none for gateway endpoints, for endpoints of
/// resources and service networks, and across regions.
fn network<'a>(endpoint: &'a VpcEndpoint, region: &str) -> Option<&'a str> {
    let measured =
        matches!(endpoint.vpc_endpoint_type(), Some(VpcEndpointType::Interface | VpcEndpointType::GatewayLoadBalancer));
    let abroad = endpoint.service_region().is_some_and(|other| !other.is_empty() && other != region);
    if measured && !abroad { endpoint.vpc_id() } else { None }
}

fn push(endpoint: &VpcEndpoint, region: &str, out: &mut Listing) {
    let tags = ec2_tags(endpoint.tags());
    let managed_by = if endpoint.requester_managed() == Some(true) {
        "the service that made it".to_owned()
    } else {
        marks::managed_by(&tags)
    };
    // The model spells states with capitals, the API has sent them without.
    let state = endpoint.state().map_or("", |state| state.as_str()).to_ascii_lowercase();
    if state == "deleted" {
        return;
    }
    let facts = Endpoint {
        kind: match endpoint.vpc_endpoint_type() {
            Some(VpcEndpointType::Interface) => EndpointKind::Interface,
            Some(VpcEndpointType::Gateway) => EndpointKind::Gateway,
            _ => EndpointKind::Other,
        },
        service: out.sym(endpoint.service_name().unwrap_or_default()),
        state: out.sym(&state),
        active: state == "available",
        zones: endpoint.subnet_ids().len() as u16,
    };
    let network = network(endpoint, region).map(|network| (IN, network)).into_iter();
    let groups = endpoint.groups().iter().filter_map(|group| group.group_id());
    out.push(Draft {
        created: at(endpoint.creation_timestamp()),
        name: marks::name(&tags),
        managed_by: &managed_by,
        tags: Tags::Read(tags),
        uses: network.chain(groups.map(guards)).collect(),
        ..Draft::new(endpoint.vpc_endpoint_id().unwrap_or_default(), facts)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_endpoints_with_metrics_are_measured() {
        let endpoint = |sort: VpcEndpointType| VpcEndpoint::builder().vpc_id("vpc-1").vpc_endpoint_type(sort);
        let told = |endpoint: VpcEndpoint| network(&endpoint, "us-east-1").is_some();
        assert!(told(endpoint(VpcEndpointType::Interface).build()));
        assert!(told(endpoint(VpcEndpointType::Interface).service_region("us-east-1").build()));
        assert!(!told(endpoint(VpcEndpointType::Interface).service_region("eu-west-1").build()));
        assert!(told(endpoint(VpcEndpointType::GatewayLoadBalancer).build()));
        assert!(!told(endpoint(VpcEndpointType::Gateway).build()));
        assert!(!told(endpoint(VpcEndpointType::Resource).build()));
    }
}
