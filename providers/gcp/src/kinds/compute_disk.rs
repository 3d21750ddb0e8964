//! Persistent disks and Hyperdisks, zonal and regional.

use crate::{
    advice, aggregated,
    auth::Gcp,
    compute::{self, Sort, is_same},
    kinds::{at, compute_snapshot, uid},
    marks, operations, paths,
    rest::{Request, Service, segment},
};
use async_trait::async_trait;
use google_cloud_compute_v1::model::{Disk as Wire, disk::Status};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask},
    calls::Site,
    deed::{ActSpec, Deed, DeedKind, Kept, Pen, Permit, Progress, Reversal, Sent, Target, Write},
    facts::{Disk, DiskState, FactsRef},
    inventory::{Draft, Inventory, Listing, Resource, Tags},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::Cost,
    policy::Keep,
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
    acts: ACTS,
};

const GET: &str = "compute.disks.get";
const COPY: &str = "compute.disks.createSnapshot";
const CREATE: &str = "compute.disks.create";
const DELETE: &str = "compute.disks.delete";
const SET_LABELS: &str = "compute.disks.setLabels";
const LABELS: &[Write] = &[
    Write { permission: SET_LABELS, method: "POST", action: "/compute/v1/projects/{}/zones/{}/disks/{}/setLabels" },
    Write { permission: SET_LABELS, method: "POST", action: "/compute/v1/projects/{}/regions/{}/disks/{}/setLabels" },
];
const WATCHED: &[&str] = &[GET, operations::ZONE, operations::REGION];
const SORT: Sort = Sort { collection: "disks", get: GET };

const ACTS: &[ActSpec] = &[
    compute::tagging(LABELS, WATCHED),
    compute::untagging(LABELS, WATCHED),
    ActSpec {
        deed: DeedKind::Copy,
        writes: &[
            Write {
                permission: COPY,
                method: "POST",
                action: "/compute/v1/projects/{}/zones/{}/disks/{}/createSnapshot",
            },
            Write {
                permission: COPY,
                method: "POST",
                action: "/compute/v1/projects/{}/regions/{}/disks/{}/createSnapshot",
            },
            // Needed besides, by the same request: the snapshot is a resource of its own, with labels.
            Write {
                permission: "compute.snapshots.create",
                method: "POST",
                action: "/compute/v1/projects/{}/zones/{}/disks/{}/createSnapshot",
            },
            Write {
                permission: "compute.snapshots.setLabels",
                method: "POST",
                action: "/compute/v1/projects/{}/zones/{}/disks/{}/createSnapshot",
            },
        ],
        reads: &[GET, compute_snapshot::GET, operations::ZONE, operations::REGION],
        reversal: Reversal::Undo("the snapshot is deleted"),
        keeps: &[],
        takes: &[],
    },
    ActSpec {
        deed: DeedKind::Delete,
        writes: &[
            Write { permission: DELETE, method: "DELETE", action: "/compute/v1/projects/{}/zones/{}/disks/{}" },
            Write { permission: DELETE, method: "DELETE", action: "/compute/v1/projects/{}/regions/{}/disks/{}" },
        ],
        reads: WATCHED,
        reversal: Reversal::FromCopy("a disk of the same name, zone, type and labels is made from the snapshot"),
        keeps: &[Keep::Snapshot],
        takes: &[],
    },
    ActSpec {
        deed: DeedKind::Restore,
        writes: &[
            Write { permission: CREATE, method: "POST", action: "/compute/v1/projects/{}/zones/{}/disks" },
            Write { permission: CREATE, method: "POST", action: "/compute/v1/projects/{}/regions/{}/disks" },
            // Needed besides, by the same request.
            Write { permission: SET_LABELS, method: "POST", action: "/compute/v1/projects/{}/zones/{}/disks" },
        ],
        reads: &[GET, "compute.snapshots.useReadOnly", operations::ZONE, operations::REGION],
        reversal: Reversal::Undo("the disk is deleted"),
        keeps: &[],
        takes: &[],
    },
];

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

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        if let Some(disk) = SORT.find::<Wire>(&self.0, site, target).await? {
            push(&target.account, &disk, out);
        }
        Ok(())
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Tag { .. } | Deed::Untag { .. } => SORT.label(&self.0, pen, SET_LABELS).await,
            Deed::Copy { keep: Keep::Snapshot, tags } => self.copy(pen, tags).await,
            Deed::Delete => SORT.delete(&self.0, pen, DELETE).await,
            Deed::Restore { kept } => self.restore(pen, kept).await,
            _ => Err(CloudError::new(Fault::Refused, GET, "this kind does not know how")),
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        match permit.deed() {
            Deed::Copy { .. } => self.copied(site, permit, sent).await,
            Deed::Restore { kept } => self.restored(site, permit, kept, sent).await,
            _ => SORT.progress(&self.0, site, permit, sent).await,
        }
    }
}

impl ComputeDisk {
    /// Takes a snapshot, kept in the disk's own region. It has the key that the disk is encrypted with.
    async fn copy(&self, pen: &Pen<'_>, tags: &BTreeMap<String, String>) -> Result<Sent, CloudError> {
        SORT.there(&self.0, pen).await?;
        let body = json!({
            "name": copy_name(pen.permit()),
            "description": format!("Kept by sweeper before {} was deleted", pen.target().native_id),
            "labels": tags,
            "storageLocations": [paths::region_of(&pen.target().region)],
        });
        SORT.post(&self.0, pen, COPY, "createSnapshot", Some(body)).await
    }

    /// A copy is one when it is complete, not empty, of this very disk, and was read back.
    async fn copied(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let target = permit.target();
        if let Some(progress) = operations::compute(&self.0, site, &target.region, sent).await? {
            return Ok(progress);
        }
        let name = copy_name(permit);
        let path = format!("/compute/v1/projects/{}/global/snapshots/{name}", segment(&target.account));
        let request = Request::get(Service::Compute, path);
        let Some(snapshot) = self.0.find::<Value>(site, compute_snapshot::GET, request).await? else {
            return Ok(Progress::Running);
        };
        let text = |key: &str| snapshot[key].as_str().unwrap_or_default();
        let number = |key: &str| text(key).parse::<u64>().unwrap_or(0);
        let failed = |why: String| Ok(Progress::Failed(why));
        match text("status") {
            "READY" => {}
            "CREATING" | "UPLOADING" => return Ok(Progress::Running),
            other => return failed(format!("the snapshot {name} is {other}")),
        }
        if text("sourceDiskId") != target.uid {
            return failed(format!("the snapshot {name} is of another disk"));
        }
        if number("storageBytes") == 0 && text("storageBytesStatus") == "UPDATING" {
            return Ok(Progress::Running);
        }
        if number("diskSizeGb") == 0 || number("storageBytes") == 0 {
            return failed(format!("the snapshot {name} is empty"));
        }
        let Some(disk) = SORT.same(&self.0, site, target).await? else {
            return failed("the disk is gone".to_owned());
        };
        Ok(Progress::Done(Some(Kept {
            kind: compute_snapshot::SPEC.id.to_owned(),
            native_id: name,
            until: None,
            recipe: recipe(&disk),
        })))
    }

    /// Makes the disk again where it was.
    async fn restore(&self, pen: &Pen<'_>, kept: &Kept) -> Result<Sent, CloudError> {
        let target = pen.target();
        let (project, place) = (segment(&target.account), operations::place(&target.region));
        let body = again(target, kept).map_err(|why| CloudError::new(Fault::Refused, CREATE, why))?;
        let path = format!("/compute/v1/projects/{project}/{place}/disks");
        let request = Request::post(Service::Compute, path, Some(body)).with("requestId", pen.permit().token());
        Ok(operations::sent(&self.0.change(pen, CREATE, request).await?))
    }

    async fn restored(&self, site: &Site, permit: &Permit, kept: &Kept, sent: &Sent) -> Result<Progress, CloudError> {
        let target = permit.target();
        if let Some(progress) = operations::compute(&self.0, site, &target.region, sent).await? {
            return Ok(progress);
        }
        let Some(disk) = SORT.find::<Value>(&self.0, site, target).await? else { return Ok(Progress::Running) };
        if disk["sourceSnapshot"].as_str().map(paths::last) != Some(&kept.native_id) || is_same(&disk, target) {
            return Ok(Progress::Failed("a disk of its name is there that is not made from the snapshot".to_owned()));
        }
        Ok(match disk["status"].as_str() {
            Some("READY") => {
                let kind = SPEC.id.to_owned();
                Progress::Done(Some(Kept { kind, native_id: target.native_id.clone(), until: None, ..kept.clone() }))
            }
            Some("FAILED") => Progress::Failed("the disk failed to be made".to_owned()),
            _ => Progress::Running,
        })
    }
}

/// The name of the copy, the same for every try.
fn copy_name(permit: &Permit) -> String {
    format!("sweeper-{}", permit.token().to_ascii_lowercase())
}

/// Fields of a disk that its snapshot does not have, by the names they have in a recipe.
const TEXTS: &[(&str, &str)] = &[
    ("size_gib", "sizeGb"),
    ("iops", "provisionedIops"),
    ("throughput", "provisionedThroughput"),
    ("access_mode", "accessMode"),
    ("architecture", "architecture"),
    ("description", "description"),
];
const LISTS: &[(&str, &str)] = &[("replica_zones", "replicaZones"), ("resource_policies", "resourcePolicies")];

/// What it takes beside the snapshot to make the disk again.
fn recipe(disk: &Value) -> BTreeMap<String, String> {
    let mut recipe = BTreeMap::new();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            recipe.insert(key.to_owned(), value.to_owned());
        }
    };
    for (key, field) in TEXTS {
        add(key, disk[*field].as_str().unwrap_or_default());
    }
    for (key, field) in LISTS {
        let urls: Vec<&str> = disk[*field].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        add(key, &urls.iter().map(|url| paths::path(url)).collect::<Vec<_>>().join(","));
    }
    add("type", disk["type"].as_str().map_or("", paths::last));
    let place = disk["zone"].as_str().or(disk["region"].as_str()).map_or("", paths::last);
    add(if disk["zone"].is_string() { "zone" } else { "region" }, place);
    // The version of the key that was current then is not the one to use now.
    let key = disk["diskEncryptionKey"]["kmsKeyName"].as_str().unwrap_or_default();
    add("kms_key", key.split("/cryptoKeyVersions/").next().unwrap_or_default());
    for (key, value) in disk["labels"].as_object().into_iter().flatten() {
        recipe.insert(format!("tag:{key}"), value.as_str().unwrap_or_default().to_owned());
    }
    recipe
}

/// The request that makes a disk again.
fn again(target: &Target, kept: &Kept) -> Result<Value, String> {
    let told = |key: &str| kept.recipe.get(key).map(String::as_str);
    if kept.kind != compute_snapshot::SPEC.id || kept.native_id.is_empty() {
        return Err("what is kept is no snapshot".to_owned());
    }
    let place = told("zone").or(told("region")).unwrap_or_default();
    if place != target.region {
        return Err(format!("it was in {place}, and would be made in {}", target.region));
    }
    let here = format!("projects/{}/{}", target.account, operations::place(&target.region));
    let kind = told("type").ok_or("what is kept does not tell its type")?;
    let mut body = json!({
        "name": target.native_id,
        "sourceSnapshot": format!("projects/{}/global/snapshots/{}", target.account, kept.native_id),
        "type": format!("{here}/diskTypes/{kind}"),
    });
    for (key, field) in TEXTS {
        if let Some(value) = told(key) {
            body[*field] = Value::from(value);
        }
    }
    for (key, field) in LISTS {
        if let Some(value) = told(key) {
            body[*field] = value.split(',').collect();
        }
    }
    if let Some(key) = told("kms_key") {
        body["diskEncryptionKey"] = json!({ "kmsKeyName": key });
    }
    let labels = kept.recipe.iter().filter_map(|(key, value)| Some((key.strip_prefix("tag:")?, value)));
    let labels: BTreeMap<&str, &String> = labels.collect();
    if !labels.is_empty() {
        body["labels"] = json!(labels);
    }
    Ok(body)
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
