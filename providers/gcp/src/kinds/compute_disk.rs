//! Persistent disks and Hyperdisks, zonal and regional.

use crate::{
    advice, aggregated,
    auth::Gcp,
    kinds::{at, uid},
    marks, paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{Disk as Wire, disk::Status};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask},
    calls::Site,
    facts::{Disk, DiskState, FactsRef},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::Cost,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-disk",
    cloud: CloudId::Gcp,
    class: Class::Disk,
    title: "persistent disk",
    places: Places::Account,
    reads: &[LIST],
    asks: &[ADVICE.op],
    // The image its boot disk was made from is what a machine was started from.
    refers: &[(Relation::UsedByVm, Reach::Account), (Relation::OfCluster, Reach::Account)],
    needs: &[],
    out_of_sight: &[],
    advised: "Recommender",
    report_only: "",
    acts: &[],
};

const LIST: &str = "compute.disks.list";
const ADVICE: advice::Recommender = advice::Recommender {
    id: "google.compute.disk.IdleResourceRecommender",
    op: "recommender.computeDiskIdleResourceRecommendations.list",
};

pub(super) struct ComputeDisk(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeDisk {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let disks = self.0.disks(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            disks
                .aggregated_list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let blind = aggregated::each(site, LIST, ask, |disk| push(project, &disk, out)).await?;
        blind.tell(out);
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(advice::answer(&self.0, site, inventory, asks, ADVICE, |disk| {
            let region = disk.region();
            let collection = if paths::region_of(region) == region { "regions" } else { "zones" };
            (region.to_owned(), format!("{collection}/{region}/disks/{}", disk.native_id()))
        })
        .await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

/// The list price of a month. Unknown for a disk that is replicated in a second zone, whose price stands nowhere.
pub(super) fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Disk(disk) = resource.facts() else { return Cost::unknown() };
    let region = paths::region_of(resource.region());
    if disk.size_gib == 0 || region == resource.region() {
        return Cost::unknown();
    }
    let tier = resource.inventory().text(disk.tier);
    let unit = |key: &str| prices.unit(CloudId::Gcp, region, &format!("disk.{tier}.{key}"));
    let Some(gib) = unit("gib-month") else { return Cost::unknown() };
    let mut month = gib.times(i64::from(disk.size_gib));
    if tier == "pd-extreme" {
        // Every provisioned one is billed.
        match (disk.iops, unit("iops-month")) {
            (Some(iops), Some(price)) => month += price.times(i64::from(iops)),
            _ => return Cost::unknown(),
        }
    }
    Cost::list(month)
}

fn push(project: &str, disk: &Wire, out: &mut Listing) {
    let path = disk.self_link.as_deref().map(paths::path).unwrap_or_default();
    let place = disk.zone.as_deref().or(disk.region.as_deref()).map_or_else(|| paths::place(path), paths::last);
    let name = disk.name.as_deref().unwrap_or_default();
    let uid = uid(disk.id);
    // The far end of an asynchronous replication is not attached to anything until it is needed.
    let replica = disk.async_primary_disk.is_some();
    let state = match (&disk.status, disk.users.is_empty()) {
        (_, true) if replica => DiskState::Other,
        (Some(Status::Ready), true) => DiskState::Available,
        (_, false) => DiskState::Attached,
        _ => DiskState::Other,
    };
    let tags = marks::tags(&disk.labels);
    let managed_by = marks::described_by(disk.description.as_deref(), &disk.labels);
    let cluster = marks::cluster(project, &disk.labels);
    let number = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
    let facts = Disk {
        state,
        size_gib: number(disk.size_gb).unwrap_or(0),
        tier: out.sym(disk.r#type.as_deref().map_or("", paths::last)),
        iops: number(disk.provisioned_iops),
        throughput: number(disk.provisioned_throughput),
        source_snapshot: out.sym(disk.source_snapshot.as_deref().map_or("", paths::path)),
        attachments: disk.users.len().min(usize::from(u16::MAX)) as u16,
        // The end of its last use: a machine had it until it was detached.
        last_attached: at(disk.last_detach_timestamp.as_deref()).or_else(|| at(disk.last_attach_timestamp.as_deref())),
    };
    let image = match (disk.source_image.as_deref().map(paths::path), disk.source_image_id.as_deref()) {
        _ if disk.users.is_empty() => String::new(),
        (Some(path), Some(id)) if !id.is_empty() => format!("{path}#{id}"),
        (Some(path), _) => path.to_owned(),
        (None, _) => String::new(),
    };
    let this = if uid.is_empty() { String::new() } else { format!("{path}#{uid}") };
    out.push(Draft {
        uid: &uid,
        region: Some(place),
        created: at(disk.creation_timestamp.as_deref()),
        tags: Tags::Read(tags),
        managed_by: &managed_by,
        uses: vec![(Relation::OfCluster, &cluster), (Relation::UsedByVm, &image)],
        also: vec![path, &this],
        ..Draft::new(name, facts)
    });
}

#[cfg(test)]
mod tests {
    use crate::canned::Canned;
    use sweeper_core::{
        facts::{DiskState, FactsRef},
        inventory::Status,
        model::{CloudId, Relation, Scope},
    };

    const BASE: &str = "https://www.googleapis.com/compute/v1/projects/p";

    fn disk(name: &str, place: &str, more: &str) -> String {
        let sort = if place.starts_with("zones") { "zone" } else { "region" };
        format!(
            r#"{{"kind": "compute#disk", "id": "{}", "name": "{name}", "status": "READY", "sizeGb": "10", "{sort}": "{BASE}/{place}",
                "selfLink": "{BASE}/{place}/disks/{name}", "type": "{BASE}/{place}/diskTypes/pd-ssd"{more}}}"#,
            name.len() * 1000 + place.len()
        )
    }

    #[tokio::test]
    async fn pages_are_joined_and_what_is_not_reached_is_blind() {
        let canned = Canned::new(|line| {
            let page = if line.contains("pageToken=two") {
                let far = disk("far", "zones/us-a1-b", r#", "asyncPrimaryDisk": {"disk": "x"}"#);
                let pvc = r#", "description": "{\"kubernetes.io/created-for/pvc/name\":\"data\",\"kubernetes.io/created-for/pvc/namespace\":\"shop\"}", "labels": {"goog-k8s-cluster-name": "blue"}"#;
                let pvc = disk("pvc", "regions/us-a1", pvc);
                format!(r#"{{"kind": "compute#diskAggregatedList", "items": {{"zones/us-a1-b": {{"disks": [{far}]}}, "regions/us-a1": {{"disks": [{pvc}]}}}}}}"#)
            } else {
                let used = disk("used", "zones/us-a1-a", &format!(r#", "users": ["{BASE}/zones/us-a1-a/instances/i"], "sourceImage": "{BASE}/global/images/i", "sourceImageId": "7""#));
                let free = disk("free", "zones/us-a1-a", r#", "lastDetachTimestamp": "2026-01-02T00:00:00.000-00:00""#);
                format!(r#"{{"kind": "compute#diskAggregatedList", "unreachables": ["zones/us-a1-c"], "nextPageToken": "two",
                    "items": {{"zones/us-a1-a": {{"disks": [{used}, {free}]}}, "zones/us-a1-d": {{"warning": {{"code": "NO_RESULTS_ON_PAGE"}}}}}}}}"#)
            };
            (200, "", page)
        })
        .await;
        let inventory = canned.list("gcp.compute-disk").await.unwrap();
        let states: Vec<_> = inventory
            .resources()
            .map(|disk| match disk.facts() {
                FactsRef::Disk(facts) => (disk.native_id(), disk.region(), facts.state, facts.size_gib),
                _ => unreachable!(),
            })
            .collect();
        assert_eq!(
            states,
            [
                ("used", "us-a1-a", DiskState::Attached, 10),
                ("free", "us-a1-a", DiskState::Available, 10),
                ("pvc", "us-a1", DiskState::Available, 10),
                ("far", "us-a1-b", DiskState::Other, 10),
            ]
        );
        let pvc = inventory.resources().find(|disk| disk.native_id() == "pvc").unwrap();
        assert_eq!(pvc.managed_by(), "Kubernetes claim shop/data");
        assert_eq!(pvc.uses().collect::<Vec<_>>(), [(Relation::OfCluster, "blue")]);
        let used = inventory.resources().find(|disk| disk.native_id() == "used").unwrap();
        assert_eq!(used.uses().collect::<Vec<_>>(), [(Relation::UsedByVm, "projects/p/global/images/i#7")]);
        let blind = Scope::new(CloudId::Gcp, "p", "us-a1-c");
        let covered = inventory.covered("gcp.compute-disk", &blind).unwrap();
        assert_eq!(covered.status, Status::Blind { why: "unreachable: compute.disks.list".to_owned() });
    }
}
