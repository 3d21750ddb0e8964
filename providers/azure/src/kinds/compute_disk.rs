//! Managed disks.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Count, Entity, Sort, time},
    graph, locks, rights, sdk,
};
use async_trait::async_trait;
use azure_mgmt_compute::package_2024_07_01::models;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    calls::Site,
    deed::{Deed, Kept, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{Disk, DiskState, FactsRef},
    inventory::{Listing, Resource},
    kind::{CloudError, Fault, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Timestamp},
    money::Cost,
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.compute-disk",
    cloud: CloudId::Azure,
    class: Class::Disk,
    title: "managed disk",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[],
    refers: &[],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Compute/disks/{}"),
        acts::tagging!(untag "Microsoft.Compute/disks/{}"),
        acts::act!(
            Copy,
            "PUT" "Microsoft.Compute/snapshots/{}",
            WRITE_SNAPSHOT,
            COPY_READS,
            Reversal::Again("the snapshot is deleted when its time is over"),
            &[Keep::Snapshot]
        ),
        acts::act!(
            Delete,
            "DELETE" "Microsoft.Compute/disks/{}",
            DELETE,
            acts::DISKS,
            Reversal::FromCopy("made again from the kept snapshot: same name, zone, SKU, performance, encryption and tags, another unique id"),
            &[Keep::Snapshot]
        ),
        acts::act!(
            Restore,
            "PUT" "Microsoft.Compute/disks/{}",
            WRITE,
            acts::DISKS,
            Reversal::Again("the disk is deleted again"),
            &[]
        ),
    ],
};

const LIST: &str = "Microsoft.Compute/disks/read";
const DELETE: &str = "Microsoft.Compute/disks/delete";
const WRITE: &str = "Microsoft.Compute/disks/write";
const WRITE_SNAPSHOT: &str = "Microsoft.Compute/snapshots/write";
const READ_SNAPSHOT: &str = "Microsoft.Compute/snapshots/read";
const COPY_READS: &[&str] = &["Microsoft.Compute/locations/diskOperations/read", READ_SNAPSHOT];

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Compute/disks",
    columns: "sku, managedBy",
    filter: "",
    api: "2024-03-02",
};

static ACT: Act<Properties> =
    Act { sort: &SORT, query: "", uid: |properties| properties.unique_id.as_deref().unwrap_or_default() };

/// The snapshots that are kept of disks.
static COPY: Sort = Sort {
    op: READ_SNAPSHOT,
    table: "",
    of: "Microsoft.Compute/snapshots",
    columns: "",
    filter: "",
    api: "2024-03-02",
};

pub(super) struct ComputeDisk(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    disk_state: Option<String>,
    #[serde(rename = "diskSizeGB")]
    size_gib: Option<u32>,
    #[serde(rename = "diskIOPSReadWrite")]
    iops: Option<u32>,
    #[serde(rename = "diskMBpsReadWrite")]
    throughput: Option<u32>,
    creation_data: Option<Creation>,
    #[serde(deserialize_with = "time")]
    time_created: Option<Timestamp>,
    unique_id: Option<String>,
    #[serde(rename = "LastOwnershipUpdateTime", deserialize_with = "time")]
    last_ownership_update: Option<Timestamp>,
    /// The machines of a shared disk.
    share_info: Count,
    /// Of a performance above its size's own: `P30`.
    tier: Option<String>,
}

/// What a disk or snapshot was made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Creation {
    pub(super) create_option: Option<String>,
    pub(super) source_resource_id: Option<String>,
}

#[async_trait]
impl Kind for ComputeDisk {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let list = Box::pin(async move {
            let client = sdk::client(&self.0, site, LIST)?.disks_client();
            let pages = client.list(site.scope().account.clone()).into_stream();
            let disks = sdk::all(LIST, pages, |page: models::DiskList| page.value).await?;
            disks.iter().map(|disk| sdk::entity(LIST, disk)).collect()
        });
        self.0.each_or(site, &SORT, out, list, push).await
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Copy { keep: Keep::Snapshot, tags } => copy(&self.0, pen, tags).await,
            Deed::Copy { .. } => Err(acts::unknown(pen)),
            Deed::Restore { kept } => restore(&self.0, pen, kept).await,
            _ => ACT.act(&self.0, pen).await,
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        match permit.deed() {
            Deed::Copy { .. } => copied(&self.0, site, permit, sent).await,
            _ => ACT.progress(&self.0, site, permit, sent).await,
        }
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

/// Sizes of the steps that disks are billed by, GiB, and their numbers: `P10` is 128 GiB. Source: "Azure managed disk
/// types", billing; a disk is billed as the next step above its size.
const STEPS: &[(u32, u32)] = &[
    (4, 1),
    (8, 2),
    (16, 3),
    (32, 4),
    (64, 6),
    (128, 10),
    (256, 15),
    (512, 20),
    (1024, 30),
    (2048, 40),
    (4096, 50),
    (8192, 60),
    (16384, 70),
    (32767, 80),
];

/// The step of a tier: `p10`. Standard HDD begins at 32 GiB.
fn step(sku: &str, size_gib: u32) -> Option<String> {
    let (letter, least) = match sku.to_ascii_lowercase().as_str() {
        "premium_lrs" => ('p', 1),
        "standardssd_lrs" => ('e', 1),
        "standard_lrs" => ('s', 4),
        _ => return None,
    };
    let (_, number) = STEPS.iter().find(|(size, number)| size_gib <= *size && *number >= least)?;
    Some(format!("{letter}{number}"))
}

/// The list price of a month. Of locally redundant disks of the stepped tiers, and of Ultra disks; others have no
/// sourced price.
pub(super) fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Disk(disk) = resource.facts() else { return Cost::unknown() };
    priced(disk, resource.inventory().text(disk.tier), resource.region(), prices)
}

fn priced(disk: &Disk, tier: &str, region: &str, prices: &dyn Prices) -> Cost {
    let unit = |key: &str| prices.unit(CloudId::Azure, region, key);
    if tier.eq_ignore_ascii_case("UltraSSD_LRS") {
        let (Some(iops), Some(throughput)) = (disk.iops, disk.throughput) else { return Cost::unknown() };
        // Sizes below 1 TiB are billed by powers of two, those above by the TiB.
        let size = if disk.size_gib <= 1024 {
            disk.size_gib.max(4).next_power_of_two()
        } else {
            disk.size_gib.div_ceil(1024).saturating_mul(1024)
        };
        let keys =
            [("disk.ultra.gib-month", size), ("disk.ultra.iops-month", iops), ("disk.ultra.mbps-month", throughput)];
        let parts: Option<Vec<_>> = keys.iter().map(|(key, count)| Some(unit(key)?.times(i64::from(*count)))).collect();
        return parts.map_or_else(Cost::unknown, |parts| {
            Cost::list(parts.into_iter().fold(sweeper_core::money::Amount::ZERO, |sum, part| sum + part))
        });
    }
    // A performance tier above the size's own stands behind the SKU: `Premium_LRS P30`.
    let step = match tier.split_once(' ') {
        Some((_, step)) => Some(step.to_ascii_lowercase()),
        None => step(tier, disk.size_gib),
    };
    step.and_then(|step| unit(&format!("disk.{step}-lrs.month"))).map_or_else(Cost::unknown, Cost::list)
}

/// Whether it is part of a replication or a backup, by the names and tags that Site Recovery and Recovery Services give.
fn is_machinery(entity: &Entity<Properties>) -> bool {
    let name = entity.name().to_ascii_lowercase();
    name.ends_with("-asrreplica")
        || name.starts_with("ms-asr-")
        || name.starts_with("asrseeddisk-")
        || entity.tags.iter().any(|(key, _)| {
            let key = key.to_ascii_lowercase();
            key == "asr-replicadisk" || key == "rsvaultbackup" || key.starts_with("asrseeddisk")
        })
}

/// What of a disk a snapshot does not hold and a disk is made with: the part of a recipe, and the property. Texts are
/// written as they are, everything else as JSON. Source: "Disks - Create Or Update", the properties that can be given.
const RECIPE: &[(&str, &str)] = &[
    ("size_gib", "diskSizeGB"),
    ("performance_tier", "tier"),
    ("iops", "diskIOPSReadWrite"),
    ("throughput", "diskMBpsReadWrite"),
    ("os", "osType"),
    ("generation", "hyperVGeneration"),
    ("max_shares", "maxShares"),
    ("bursting", "burstingEnabled"),
    ("encryption", "encryption"),
    ("security", "securityProfile"),
    ("capabilities", "supportedCapabilities"),
    ("purchase_plan", "purchasePlan"),
    ("network_access", "networkAccessPolicy"),
    ("disk_access", "diskAccessId"),
    ("public_network_access", "publicNetworkAccess"),
    ("export_auth", "dataAccessAuthMode"),
    ("frequent_attach", "optimizedForFrequentAttach"),
];

/// Parts of [`RECIPE`] that are texts.
const TEXTS: &[&str] =
    &["performance_tier", "os", "generation", "network_access", "disk_access", "public_network_access", "export_auth"];

/// A disk as it was made, whole.
#[derive(Deserialize)]
struct Whole {
    location: Option<String>,
    zones: Option<Vec<String>>,
    properties: Map<String, Value>,
}

/// Whether a SKU is one whose performance is bought, and whose snapshots are ready only when they are copied.
fn is_provisioned(sku: &str) -> bool {
    sku.eq_ignore_ascii_case("UltraSSD_LRS") || sku.eq_ignore_ascii_case("PremiumV2_LRS")
}

/// The name of the snapshot that a permit keeps: the same for every try.
fn copy_id(permit: &Permit) -> Result<String, CloudError> {
    acts::beside(&permit.target().native_id, COPY.of, &format!("sweeper-{}", permit.token()))
        .ok_or_else(|| CloudError::new(Fault::Refused, WRITE_SNAPSHOT, "not an id of a disk"))
}

/// Begins the making of an incremental snapshot beside the disk, which nobody may read who may not read the disk.
async fn copy(azure: &Azure, pen: &Pen<'_>, tags: &BTreeMap<String, String>) -> Result<Sent, CloudError> {
    let disk = ACT.there(azure, pen).await?;
    let whole: Whole = azure.get(pen.site(), LIST, &pen.target().native_id, SORT.api).await?;
    let zonal = disk.sku().to_ascii_lowercase().ends_with("_zrs");
    let mut properties = Map::new();
    properties.insert("incremental".to_owned(), json!(true));
    properties.insert("creationData".to_owned(), json!({ "createOption": "Copy", "sourceResourceId": disk.id }));
    for key in ["networkAccessPolicy", "diskAccessId", "publicNetworkAccess", "dataAccessAuthMode"] {
        if let Some(value) = whole.properties.get(key).filter(|value| !value.is_null()) {
            properties.insert(key.to_owned(), value.clone());
        }
    }
    // With the customer's own key, if the disk is; the platform's own needs no word.
    if let Some(encryption) = whole.properties.get("encryption").filter(|one| one.get("diskEncryptionSetId").is_some())
    {
        properties.insert("encryption".to_owned(), encryption.clone());
    }
    let body = json!({
        "location": whole.location,
        "tags": tags,
        "sku": { "name": if zonal { "Standard_ZRS" } else { "Standard_LRS" } },
        "properties": properties,
    });
    acts::call(azure, pen, WRITE_SNAPSHOT, Method::PUT, &copy_id(pen.permit())?, COPY.api, Some(&body)).await
}

/// A snapshot, to be sure of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Copied {
    provisioning_state: Option<String>,
    completion_percent: Option<f64>,
    disk_size_bytes: Option<u64>,
    #[serde(rename = "diskSizeGB")]
    size_gib: Option<u64>,
    creation_data: Option<Source>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    source_resource_id: Option<String>,
    source_unique_id: Option<String>,
}

impl Copied {
    /// Whether it is a whole copy of a disk: `None` while it is being made.
    fn is_of(&self, target: &Target) -> Option<Result<(), &'static str>> {
        match self.provisioning_state.as_deref() {
            Some("Succeeded") => {}
            Some("Failed" | "Canceled") => return Some(Err("the snapshot came to nothing")),
            _ => return None,
        }
        if self.completion_percent.is_some_and(|percent| percent < 100.0) {
            return None;
        }
        let source = self.creation_data.as_ref();
        let of = |told: Option<&String>, wanted: &str| told.is_some_and(|told| told.eq_ignore_ascii_case(wanted));
        if !of(source.and_then(|source| source.source_resource_id.as_ref()), &target.native_id)
            || !of(source.and_then(|source| source.source_unique_id.as_ref()), &target.uid)
        {
            return Some(Err("the snapshot is of another disk"));
        }
        let size = self.disk_size_bytes.or(self.size_gib).unwrap_or(0);
        Some(if size > 0 { Ok(()) } else { Err("the snapshot is of size 0") })
    }
}

/// How far the snapshot is. Done when it is whole, not empty, of this very disk, and the disk was read with it.
async fn copied(azure: &Azure, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
    match acts::operation(azure, site, permit, sent).await? {
        acts::Operation::Running => return Ok(Progress::Running),
        acts::Operation::Failed(why) => return Ok(Progress::Failed(why)),
        acts::Operation::Ended => {}
    }
    let id = copy_id(permit)?;
    let copy: Option<Entity<Copied>> = acts::by_id(azure, site, &COPY, &id, "").await?;
    let Some(copy) = copy else { return Ok(Progress::Running) };
    match copy.properties.is_of(permit.target()) {
        None => return Ok(Progress::Running),
        Some(Err(why)) => return Ok(Progress::Failed(why.to_owned())),
        Some(Ok(())) => {}
    }
    let Some(disk) = ACT.read(azure, site, permit.target()).await? else {
        return Ok(Progress::Failed("the disk is not there any more".to_owned()));
    };
    let whole: Whole = azure.get(site, LIST, &permit.target().native_id, SORT.api).await?;
    let recipe = recipe(&disk, &whole);
    Ok(Progress::Done(Some(Kept {
        kind: "azure.compute-snapshot".to_owned(),
        native_id: copy.id,
        until: None,
        recipe,
    })))
}

/// What it takes to make the disk again, beside its snapshot.
fn recipe(disk: &Entity<Properties>, whole: &Whole) -> BTreeMap<String, String> {
    let mut recipe = BTreeMap::new();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            recipe.insert(key.to_owned(), value.to_owned());
        }
    };
    add("location", whole.location.as_deref().unwrap_or_default());
    add("zone", &whole.zones.as_deref().unwrap_or_default().join(","));
    add("type", disk.sku());
    for (key, property) in RECIPE {
        // Of the others the performance follows from the size.
        if matches!(*key, "iops" | "throughput") && !is_provisioned(disk.sku()) {
            continue;
        }
        match whole.properties.get(*property) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => add(key, text),
            Some(value) => add(key, &value.to_string()),
        }
    }
    let key = whole.properties.get("encryption").and_then(|encryption| encryption.get("diskEncryptionSetId"));
    add("encryption_key", key.and_then(Value::as_str).unwrap_or_default());
    let sector = whole.properties.get("creationData").and_then(|creation| creation.get("logicalSectorSize"));
    add("sector_size", &sector.filter(|size| !size.is_null()).map(ToString::to_string).unwrap_or_default());
    acts::noted(&mut recipe, &disk.tags);
    recipe
}

/// Makes the disk again, under its own name, from the snapshot.
async fn restore(azure: &Azure, pen: &Pen<'_>, kept: &Kept) -> Result<Sent, CloudError> {
    let refused = |why: &str| CloudError::new(Fault::Refused, WRITE, why);
    if kept.kind != "azure.compute-snapshot" || kept.native_id.is_empty() {
        return Err(refused("no snapshot was kept"));
    }
    if ACT.read(azure, pen.site(), pen.target()).await?.is_some() {
        return Err(refused("there is a disk under its name already"));
    }
    let body = made_of(kept).ok_or_else(|| refused("the recipe does not say where it was"))?;
    acts::call(azure, pen, WRITE, Method::PUT, &pen.target().native_id, SORT.api, Some(&body)).await
}

/// The body that makes a disk of a recipe and its snapshot.
fn made_of(kept: &Kept) -> Option<Value> {
    let part = |key: &str| kept.recipe.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let mut creation = json!({ "createOption": "Copy", "sourceResourceId": kept.native_id });
    if let Some(size) = part("sector_size").and_then(|size| size.parse::<u32>().ok()) {
        creation["logicalSectorSize"] = json!(size);
    }
    let mut properties = Map::from_iter([("creationData".to_owned(), creation)]);
    for (key, property) in RECIPE {
        let Some(text) = part(key) else { continue };
        let value = if TEXTS.contains(key) { json!(text) } else { serde_json::from_str(text).ok()? };
        properties.insert((*property).to_owned(), value);
    }
    let mut body =
        json!({ "location": part("location")?, "tags": acts::tags_of(&kept.recipe), "properties": properties });
    if let Some(sku) = part("type") {
        body["sku"] = json!({ "name": sku });
    }
    if let Some(zones) = part("zone") {
        body["zones"] = json!(zones.split(',').collect::<Vec<_>>());
    }
    Some(body)
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let extended = entity.managed_by_extended.as_ref().map_or(0, Vec::len) as u32;
    let managed = u32::from(entity.managed_by.as_deref().is_some_and(|owner| !owner.is_empty()));
    let holders = managed.max(extended).max(properties.share_info.0.unwrap_or(0));
    let state = match properties.disk_state.as_deref().unwrap_or_default().to_ascii_lowercase().as_str() {
        _ if is_machinery(entity) => DiskState::Other,
        "unattached" if holders > 0 => DiskState::Attached,
        "unattached" => DiskState::Available,
        "attached" => DiskState::Attached,
        // Of a machine that is deallocated, or hibernated.
        "reserved" | "frozen" => DiskState::Reserved,
        // Read or written through a link, or in a state that is not known here.
        _ => DiskState::Other,
    };
    let sku = entity.sku();
    let size_gib = properties.size_gib.unwrap_or(0);
    let raised = properties.tier.as_deref().filter(|tier| {
        sku.eq_ignore_ascii_case("Premium_LRS")
            && step(sku, size_gib).is_some_and(|own| !own.eq_ignore_ascii_case(tier))
    });
    let tier = match raised {
        Some(raised) => out.sym(&format!("{sku} {raised}")),
        None => out.sym(sku),
    };
    let source = properties.creation_data.as_ref().and_then(|creation| creation.source_resource_id.as_deref());
    let source = source.unwrap_or_default().to_ascii_lowercase();
    let facts = Disk {
        state,
        size_gib,
        tier,
        iops: properties.iops,
        throughput: properties.throughput,
        source_snapshot: out.sym(if source.contains("/snapshots/") { &source } else { "" }),
        attachments: holders.min(u32::from(u16::MAX)) as u16,
        last_attached: properties.last_ownership_update,
    };
    let mut draft = common.marked(entity, facts);
    draft.uid = properties.unique_id.as_deref().unwrap_or_default();
    draft.created = properties.time_created;
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kinds::tests::Book,
        testing::{SUB, Server, error, lists, page},
    };
    use sweeper_core::{intern::Sym, inventory::Inventory, money::Amount};

    /// A disk as both ways write it.
    fn disk(name: &str, state: &str, more: &str) -> String {
        format!(
            r#"{{"id":"/subscriptions/{SUB}/resourceGroups/RG/providers/Microsoft.Compute/disks/{name}","name":"{name}",
            "type":"Microsoft.Compute/disks","location":"eastus","tags":{{"owner":"a"}},"sku":{{"name":"Premium_LRS","tier":"Premium"}}{more},
            "properties":{{"creationData":{{"createOption":"Copy","sourceResourceId":"/x/Snapshots/S","new":1}},"diskSizeGB":100,
            "diskState":"{state}","timeCreated":"2026-01-02T03:04:05.1234567+00:00","uniqueId":"u-{name}","diskIOPSReadWrite":500,
            "diskMBpsReadWrite":100,"LastOwnershipUpdateTime":"2026-03-02T03:04:05Z"}}}}"#
        )
    }

    fn all() -> String {
        [
            disk("free", "Unattached", ""),
            disk("used", "Attached", r#","managedBy":"/x/vm""#),
            disk("asleep", "Reserved", r#","managedBy":"/x/vm""#),
            disk("link", "ActiveSAS", ""),
            disk("new", "BrandNewState", ""),
            disk("shared", "Unattached", r#","managedByExtended":["/x/a","/x/b"]"#),
            disk("vm-ASRReplica", "Unattached", ""),
        ]
        .join(",")
    }

    async fn inventory(server: &Server) -> Inventory {
        server.inventory(|azure| vec![Arc::new(ComputeDisk(Arc::clone(azure)))]).await.unwrap()
    }

    /// All that is known of the disks.
    fn told(inventory: &Inventory) -> Vec<String> {
        inventory
            .of_class(Class::Disk)
            .map(|one| {
                let FactsRef::Disk(disk) = one.facts() else { panic!() };
                let texts = [disk.tier, disk.source_snapshot].map(|sym| inventory.text(sym));
                let tags = one.listed_tags().map(<[_]>::len);
                format!(
                    "{} {} {} {:?} {texts:?} {:?} {:?} {:?} {:?} {tags:?} {:?}",
                    one.native_id(),
                    one.uid(),
                    one.region(),
                    one.created(),
                    disk.state,
                    disk.attachments,
                    disk.last_attached,
                    disk.iops,
                    one.protected(),
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn both_ways_tell_the_same() {
        let arm =
            Server::start(|asked| if asked.path.contains("/disks?") { page(&all()) } else { lists(&[])(asked) }).await;
        let graph = Server::start(|asked| match asked.path.split('?').next().unwrap_or_default() {
            "/providers/Microsoft.ResourceGraph/resources" => {
                (200, String::new(), format!(r#"{{"totalRecords":7,"data":[{}]}}"#, all()))
            }
            path if path.ends_with("/disks") => error(500, "NotToBeAsked"),
            _ => lists(&[])(asked),
        })
        .await;
        let (arm, graph) = (inventory(&arm).await, inventory(&graph).await);
        assert_eq!(told(&arm).len(), 7);
        assert_eq!(told(&arm), told(&graph));
        let states: Vec<_> = arm
            .of_class(Class::Disk)
            .map(|one| {
                let FactsRef::Disk(disk) = one.facts() else { panic!() };
                (one.name().to_owned(), disk.state, disk.attachments)
            })
            .collect();
        let of = |name: &str| {
            states.iter().find(|(known, ..)| known == name).map(|(_, state, count)| (*state, *count)).unwrap()
        };
        assert_eq!(of("free"), (DiskState::Available, 0));
        assert_eq!(of("used"), (DiskState::Attached, 1));
        assert_eq!(of("asleep"), (DiskState::Reserved, 1));
        assert_eq!(of("link"), (DiskState::Other, 0));
        assert_eq!(of("new"), (DiskState::Other, 0));
        assert_eq!(of("shared"), (DiskState::Attached, 2));
        assert_eq!(of("vm-ASRReplica"), (DiskState::Other, 0));
    }

    #[test]
    fn a_disk_is_billed_as_the_next_step() {
        let of = |size_gib, tier: &str| {
            let disk = Disk {
                state: DiskState::Available,
                size_gib,
                tier: Sym::NONE,
                iops: Some(10),
                throughput: Some(2),
                source_snapshot: Sym::NONE,
                attachments: 0,
                last_attached: None,
            };
            let book = Book(&[
                ("disk.p10-lrs.month", "19.71"),
                ("disk.s4-lrs.month", "1.54"),
                ("disk.p30-lrs.month", "100"),
                ("disk.ultra.gib-month", "0.1"),
                ("disk.ultra.iops-month", "0.05"),
                ("disk.ultra.mbps-month", "0.35"),
            ]);
            priced(&disk, tier, "eastus", &book)
        };
        let list = |text: &str| Cost::list(Amount::parse(text).unwrap());
        assert_eq!(of(100, "Premium_LRS"), list("19.71"));
        assert_eq!(of(128, "Premium_LRS"), list("19.71"));
        assert_eq!(of(129, "Premium_LRS"), Cost::unknown(), "P15 has no sourced price");
        assert_eq!(of(1, "Standard_LRS"), list("1.54"), "the smallest of the tier");
        assert_eq!(of(100, "Premium_LRS P30"), list("100"));
        assert_eq!(of(100, "Premium_ZRS"), Cost::unknown());
        // 128 GiB at 0.1, ten IOPS, two MB/s.
        assert_eq!(of(100, "UltraSSD_LRS"), list("14"));
        assert_eq!(step("StandardSSD_LRS", 40_000), None);
    }
}
