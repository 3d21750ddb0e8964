//! Snapshots of disks.

use crate::{
    aggregated, asks,
    auth::Gcp,
    compute::{self, Sort},
    fault,
    kinds::{at, members, uid},
    marks, operations, paths,
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{
    Snapshot as Wire,
    snapshot::{SnapshotType, Status, StorageBytesStatus},
};
use std::sync::Arc;
use sweeper_core::{
    answers::{Answer, Ask, Question},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{FactsRef, Snapshot, Tier},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId},
    money::{Amount, Cost},
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "gcp.compute-snapshot",
    cloud: CloudId::Gcp,
    class: Class::Snapshot,
    title: "disk snapshot",
    places: Places::Account,
    reads: &[LIST],
    asks: &[SHARES],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: ACTS,
};

const LIST: &str = "compute.snapshots.list";
pub(super) const GET: &str = "compute.snapshots.get";
const DELETE: &str = "compute.snapshots.delete";
const SET_LABELS: &str = "compute.snapshots.setLabels";
const SORT: Sort = Sort { collection: "snapshots", get: GET };
const LABELS: &[Write] = &[Write {
    permission: SET_LABELS,
    method: "POST",
    action: "/compute/v1/projects/{}/global/snapshots/{}/setLabels",
}];
const WATCHED: &[&str] = &[GET, operations::GLOBAL];

const ACTS: &[ActSpec] = &[
    compute::tagging(LABELS, WATCHED),
    compute::untagging(LABELS, WATCHED),
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[Write {
            permission: DELETE,
            method: "DELETE",
            action: "/compute/v1/projects/{}/global/snapshots/{}",
        }],
        reads: WATCHED,
        reversal: Reversal::OneWay("what the snapshot holds: Compute Engine keeps nothing of a deleted one"),
        keeps: &[],
        takes: &[],
    },
];
const SHARES: &str = "compute.snapshots.getIamPolicy";

pub(super) struct ComputeSnapshot(pub(super) Arc<Gcp>);

#[async_trait]
impl Kind for ComputeSnapshot {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let snapshots = self.0.snapshots(LIST).await?;
        let project = site.scope().account.as_str();
        let ask = |token| {
            snapshots
                .list()
                .set_project(project)
                .set_max_results(aggregated::PAGE)
                .set_or_clear_page_token(token)
                .send()
        };
        let blind = aggregated::each(site, LIST, ask, |snapshot: Wire| push(project, &snapshot, out)).await?;
        blind.tell(out);
        Ok(())
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        let shares = asks::of(asks, |question| question == Question::Shares);
        Ok(asks::each(shares.iter().map(|ask| (*ask, self.shares(site, inventory, *ask))).collect()).await)
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(found) = SORT.find::<Wire>(&self.0, site, target).await? {
            push(&target.account, &found, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => SORT.label(&self.0, pen, SET_LABELS).await,
            Deed::Delete => SORT.delete(&self.0, pen, DELETE).await,
            _ => Err(CloudError::new(Fault::Refused, GET, "this kind does not know how")),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        SORT.progress(&self.0, site, permit, sent).await
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        match resource.facts() {
            FactsRef::Snapshot(snapshot) => month(snapshot, resource.region(), prices),
            _ => Cost::unknown(),
        }
    }
}

impl ComputeSnapshot {
    async fn shares(&self, site: &Site, inventory: &Inventory, ask: Ask) -> Result<Answer, CloudError> {
        let snapshots = self.0.snapshots(SHARES).await?;
        let project = site.scope().account.as_str();
        let name = inventory.at(ask.resource).native_id();
        let policy =
            fault::call(site, SHARES, || snapshots.get_iam_policy().set_project(project).set_resource(name).send())
                .await?;
        Ok(Answer::Shares(members::accounts(&self.0, project, &policy)))
    }
}

/// The list price of a month of what is stored, which is what is billed; of the whole disk where that is not told.
fn month(snapshot: &Snapshot, region: &str, prices: &dyn Prices) -> Cost {
    let key = match snapshot.tier {
        Tier::Standard => "snapshot.standard.gib-month",
        Tier::Archive => "snapshot.archive.gib-month",
    };
    let Some(gib) = prices.unit(CloudId::Gcp, region, key) else { return Cost::unknown() };
    match snapshot.stored_bytes {
        Some(bytes) => Cost::list(of_bytes(gib, bytes)),
        None if snapshot.size_gib > 0 => Cost::upper_bound(gib.times(i64::from(snapshot.size_gib))),
        None => Cost::unknown(),
    }
}

/// The price of so many bytes at so much a GiB.
pub(super) fn of_bytes(gib: Amount, bytes: u64) -> Amount {
    gib.scaled(i128::from(bytes), 1 << 30)
}

fn push(project: &str, snapshot: &Wire, out: &mut Listing) {
    let path = snapshot.self_link.as_deref().map(paths::path).unwrap_or_default();
    let region = snapshot.region.as_deref().map(paths::last);
    let uid = uid(snapshot.id);
    let disk = snapshot.source_disk.as_deref().map(|disk| paths::path_in(project, disk)).unwrap_or_default();
    // A disk that was made again under the same name is another one.
    let source = match snapshot.source_disk_id.as_deref() {
        _ if disk.is_empty() => String::new(),
        Some(id) if !id.is_empty() => format!("{disk}#{id}"),
        _ => disk.clone().into_owned(),
    };
    // A snapshot of another project's disk: whether that exists is not for this project's list to say.
    let own = path.split('/').nth(1).unwrap_or(project);
    let foreign = !disk.is_empty() && disk.split('/').nth(1) != Some(own);
    let described = marks::described_by(snapshot.description.as_deref(), &snapshot.labels);
    let managed_by = marks::first([schedule(snapshot), described]);
    let facts = Snapshot {
        size_gib: snapshot.disk_size_gb.and_then(|size| u32::try_from(size).ok()).unwrap_or(0),
        stored_bytes: snapshot
            .storage_bytes
            .filter(|_| snapshot.storage_bytes_status != Some(StorageBytesStatus::Updating))
            .and_then(|bytes| u64::try_from(bytes).ok()),
        tier: match snapshot.snapshot_type {
            Some(SnapshotType::Archive) => Tier::Archive,
            _ => Tier::Standard,
        },
        source: out.sym(&source),
        source_is_dummy: foreign,
        complete: snapshot.status == Some(Status::Ready),
        locked: false,
    };
    let this = if uid.is_empty() { String::new() } else { format!("{path}#{uid}") };
    out.push(Draft {
        uid: &uid,
        region,
        created: at(snapshot.creation_timestamp.as_deref()),
        tags: Tags::Read(marks::tags(&snapshot.labels)),
        managed_by: &managed_by,
        also: vec![path, &this],
        ..Draft::new(snapshot.name.as_deref().unwrap_or_default(), facts)
    });
}

/// The schedule that took it.
fn schedule(snapshot: &Wire) -> String {
    match snapshot.source_snapshot_schedule_policy.as_deref() {
        Some(policy) if !policy.is_empty() => format!("snapshot schedule {}", paths::last(policy)),
        _ if snapshot.auto_created == Some(true) => "snapshot schedule".to_owned(),
        _ => String::new(),
    }
}
