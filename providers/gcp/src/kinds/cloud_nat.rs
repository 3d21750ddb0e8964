//! Cloud NAT gateways: each is a configuration of a Cloud Router.

use crate::{
    aggregated,
    auth::Gcp,
    kinds::{at, uid},
    paths, usage,
    usage::{Combine, Daily, Line, Measure},
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::Router;
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    facts::{Gateway, GatewayKind},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places},
    model::{Class, CloudId, Relation},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.cloud-nat",
    cloud: CloudId::Gcp,
    class: Class::Gateway,
    title: "Cloud NAT gateway",
    places: Places::Account,
    reads: &[LIST],
    asks: &[usage::OP],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[],
};

const LIST: &str = "compute.routers.list";

/// Sources: "Google Cloud metrics", `router.googleapis.com/nat`.
static TRAFFIC: [Line; 3] = [
    Line {
        metric: "router.googleapis.com/nat/open_connections",
        resource: "nat_gateway",
        by: BY,
        daily: Daily::Max,
        scale: 1,
        only: "",
    },
    Line {
        metric: "router.googleapis.com/nat/sent_packets_count",
        resource: "nat_gateway",
        by: BY,
        daily: Daily::Sum,
        scale: 1,
        only: "",
    },
    Line {
        metric: "router.googleapis.com/nat/received_packets_count",
        resource: "nat_gateway",
        by: BY,
        daily: Daily::Sum,
        scale: 1,
        only: "",
    },
];
/// The router's immutable id, and the gateway's name within it, which is all the identity it has.
const BY: &[&str] = &["resource.label.router_id", "resource.label.gateway_name"];

pub(super) struct CloudNat(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for CloudNat {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let routers = self.0.routers(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            routers
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let mut nameless = false;
        let blind = aggregated::each(site, LIST, ask, |router: Router| {
            nameless |= router.name.as_deref().is_none_or(str::is_empty);
            push(&router, out);
        })
        .await?;
        blind.tell(out);
        // A router without gateways leaves no row, so that it was no router would not show.
        if nameless { Err(CloudError::new(Fault::Malformed, LIST, "a router without a name")) } else { Ok(()) }
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }
}

fn measure(resource: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric: Metric::GatewayTraffic, .. } = question else { return None };
    let (router, name) = resource.uid().split_once('/')?;
    Some(Measure {
        lines: &TRAFFIC,
        key: vec![router.to_owned(), name.to_owned()],
        combine: Combine::Max,
        sparse: false,
    })
}

fn push(router: &Router, out: &mut Listing) {
    let path = router.self_link.as_deref().map(paths::path).unwrap_or_default();
    let region = router.region.as_deref().map_or_else(|| paths::place(path), paths::last);
    let id = uid(router.id);
    for nat in &router.nats {
        let name = nat.name.as_deref().unwrap_or_default();
        let held = nat.nat_ips.iter().chain(&nat.drain_nat_ips);
        let by_rules = nat
            .rules
            .iter()
            .filter_map(|rule| rule.action.as_ref())
            .flat_map(|action| action.source_nat_active_ips.iter().chain(&action.source_nat_drain_ips));
        let facts = Gateway { kind: GatewayKind::Nat, state: out.sym("configured"), active: true };
        out.push(Draft {
            uid: &format!("{id}/{name}"),
            name: &format!("{}/{name}", router.name.as_deref().unwrap_or_default()),
            region: Some(region),
            // Not told; it cannot be older than its router.
            created: at(router.creation_timestamp.as_deref()),
            // Routers and their gateways carry no labels.
            tags: Tags::Read(Vec::new()),
            uses: held.chain(by_rules).map(|address| (Relation::Holds, paths::path(address))).collect(),
            also: vec![&format!("{path}/nats/{name}")],
            ..Draft::new(name, facts)
        });
    }
}
