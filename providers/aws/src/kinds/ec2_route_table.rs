//! Route tables: what sends traffic to gateways and endpoints.

use crate::{auth::Aws, fault};
use async_trait::async_trait;
use aws_sdk_ec2::types::RouteState;
use std::sync::Arc;
use sweeper_core::{
    calls::{Pages, Site},
    facts::Referrer,
    inventory::{Draft, Listing},
    kind::{CloudError, Kind, KindSpec, Places},
    model::{Class, CloudId, Reach, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "aws.ec2-route-table",
    cloud: CloudId::Aws,
    class: Class::Referrer,
    title: "route table",
    places: Places::Regions,
    reads: &[LIST],
    asks: &[],
    refers: &[(Relation::Routed, Reach::Region)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "ec2:DescribeRouteTables";

pub(super) struct Ec2RouteTable(pub(super) Arc<Aws>);

#[async_trait]
impl Kind for Ec2RouteTable {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let ec2 = self.0.ec2(site.scope());
        let mut pages = Pages::new(LIST);
        while let Some(token) = pages.next() {
            let page = fault::call(site, LIST, || {
                ec2.describe_route_tables().max_results(100).set_next_token(token.clone()).send()
            })
            .await?;
            for table in page.route_tables() {
                // A blackhole routes nothing: its target is gone, or will not take traffic.
                let targets = table
                    .routes()
                    .iter()
                    .filter(|route| route.state() != Some(&RouteState::Blackhole))
                    .flat_map(|route| [route.nat_gateway_id(), route.gateway_id()])
                    .flatten()
                    .map(|target| (Relation::Routed, target))
                    .collect();
                out.push(Draft {
                    uses: targets,
                    ..Draft::new(table.route_table_id().unwrap_or_default(), Referrer {})
                });
            }
            pages.seen(page.next_token())?;
        }
        Ok(())
    }
}
