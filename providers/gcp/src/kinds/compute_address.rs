//! Reserved addresses, regional and global.

use crate::{
    advice, aggregated,
    auth::Gcp,
    compute::{self, Sort},
    kinds::{at, hourly, uid},
    marks, operations, paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{
    Address as Wire,
    address::{AddressType, Status},
};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{Address, FactsRef},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation, Scope},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-address",
    cloud: CloudId::Gcp,
    class: Class::Address,
    title: "static address",
    places: Places::Account,
    reads: &[LIST],
    asks: &[ADVICE.op],
    // An address itself lists who has it. Those who do name it too, which adds to that and is not needed for it.
    refers: &[(Relation::Holds, Reach::Account), (Relation::OfCluster, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "Recommender",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "compute.addresses.list";
const GET: &str = "compute.addresses.get";
const DELETE: &str = "compute.addresses.delete";
const SET_LABELS: &str = "compute.addresses.setLabels";
const GLOBAL_GET: &str = "compute.globalAddresses.get";
const GLOBAL_DELETE: &str = "compute.globalAddresses.delete";
const GLOBAL_SET_LABELS: &str = "compute.globalAddresses.setLabels";
const LABELS: &[Write] = &[
    Write {
        permission: SET_LABELS,
        method: "POST",
        action: "/compute/v1/projects/{}/regions/{}/addresses/{}/setLabels",
    },
    Write {
        permission: GLOBAL_SET_LABELS,
        method: "POST",
        action: "/compute/v1/projects/{}/global/addresses/{}/setLabels",
    },
];
const WATCHED: &[&str] = &[GET, GLOBAL_GET, operations::REGION, operations::GLOBAL];

const ACTS: &[ActSpec] = &[
    compute::tagging(LABELS, WATCHED),
    compute::untagging(LABELS, WATCHED),
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[
            Write { permission: DELETE, method: "DELETE", action: "/compute/v1/projects/{}/regions/{}/addresses/{}" },
            Write {
                permission: GLOBAL_DELETE,
                method: "DELETE",
                action: "/compute/v1/projects/{}/global/addresses/{}",
            },
        ],
        reads: WATCHED,
        reversal: Reversal::OneWay("the address itself: it goes back to Google, who gives it to somebody else"),
        keeps: &[],
        takes: &[],
    },
];

/// Global addresses have permissions of their own.
fn sort(target: &Target) -> Sort {
    Sort { collection: "addresses", get: if target.region == Scope::GLOBAL { GLOBAL_GET } else { GET } }
}
const ADVICE: advice::Recommender = advice::Recommender {
    id: "google.compute.address.IdleResourceRecommender",
    op: "recommender.computeAddressIdleResourceRecommendations.list",
};

/// Purposes under which a service has an address or a range for its own use, and which stay "reserved" while it is
/// used: peered ranges of Private Service Access, Private Service Connect, HA VPN over Interconnect, Cloud NAT,
/// addresses several internal balancers share, DNS forwarding, serverless egress (`Address.purpose`, Compute v1).
const SERVICES: &[&str] = &[
    "VPC_PEERING",
    "PRIVATE_SERVICE_CONNECT",
    "IPSEC_INTERCONNECT",
    "NAT_AUTO",
    "SHARED_LOADBALANCER_VIP",
    "DNS_RESOLVER",
    "SERVERLESS",
];

pub(super) struct ComputeAddress(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeAddress {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let addresses = self.0.addresses(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            addresses
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let blind = aggregated::each(site, LIST, ask, |address: Wire| push(project, &address, out)).await?;
        blind.tell(out);
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(advice::answer(&self.0, site, inventory, asks, ADVICE, |address| {
            let (region, name) = (address.region(), address.native_id());
            let path = match region {
                Scope::GLOBAL => format!("global/addresses/{name}"),
                _ => format!("regions/{region}/addresses/{name}"),
            };
            (region.to_owned(), path)
        })
        .await)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(found) = sort(target).find::<Wire>(&self.0, site, target).await? {
            push(&target.account, &found, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        let (target, sort) = (pen.target(), sort(pen.target()));
        let global = target.region == Scope::GLOBAL;
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => {
                sort.label(&self.0, pen, if global { GLOBAL_SET_LABELS } else { SET_LABELS }).await
            }
            Deed::Delete => sort.delete(&self.0, pen, if global { GLOBAL_DELETE } else { DELETE }).await,
            _ => Err(CloudError::new(Fault::Refused, sort.get, "this kind does not know how")),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        sort(permit.target()).progress(&self.0, site, permit, sent).await
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

/// The list price of a month: nothing for internal addresses and those of the customer's own ranges.
pub(super) fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Address(address) = resource.facts() else { return Cost::unknown() };
    if address.internal || address.own_pool {
        return Cost::list(Amount::ZERO);
    }
    let key = if address.associated { "address.in-use.hour" } else { "address.unused.hour" };
    hourly(prices, resource.region(), key)
}

fn push(project: &str, address: &Wire, out: &mut Listing) {
    let path = address.self_link.as_deref().map(paths::path).unwrap_or_default();
    let region = address.region.as_deref().map_or_else(|| paths::place(path), paths::last);
    let uid = uid(address.id);
    let ip = address.address.as_deref().unwrap_or_default();
    let purpose = address.purpose.as_ref().and_then(|purpose| purpose.name()).unwrap_or_default();
    let internal = address.address_type == Some(AddressType::Internal);
    let facts = Address {
        // Only "reserved" says that nothing has it; a state that is not known is no such word.
        associated: !address.users.is_empty() || address.status != Some(Status::Reserved),
        ip: out.sym(ip),
        service_managed: SERVICES.contains(&purpose),
        own_pool: address.ip_collection.as_ref().is_some_and(|pool| !pool.is_empty()),
        internal,
    };
    let managed_by = marks::described_by(address.description.as_deref(), &address.labels);
    let cluster = marks::cluster(project, &address.labels);
    out.push(Draft {
        uid: &uid,
        region: Some(region),
        created: at(address.creation_timestamp.as_deref()),
        tags: Tags::Read(marks::tags(&address.labels)),
        managed_by: &managed_by,
        uses: vec![(Relation::OfCluster, &cluster)],
        // The same internal address may be in several networks.
        also: if internal { vec![path] } else { vec![path, ip] },
        ..Draft::new(address.name.as_deref().unwrap_or_default(), facts)
    });
}
