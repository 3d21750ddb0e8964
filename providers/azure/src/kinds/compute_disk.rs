//! Managed disks.

use crate::{
    arm::Azure,
    entity::{Common, Count, Entity, Sort, time},
    graph, locks, rights, sdk,
};
use async_trait::async_trait;
use azure_mgmt_compute::package_2024_07_01::models;
use serde::Deserialize;
use std::sync::Arc;
use sweeper_core::{
    calls::Site,
    facts::{Disk, DiskState, FactsRef},
    inventory::{Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Timestamp},
    money::Cost,
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
    acts: &[],
};

const LIST: &str = "Microsoft.Compute/disks/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Compute/disks",
    columns: "sku, managedBy",
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
        let keys = [("disk.ultra.gib-month", size), ("disk.ultra.iops-month", iops), ("disk.ultra.mbps-month", throughput)];
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
        sku.eq_ignore_ascii_case("Premium_LRS") && step(sku, size_gib).is_some_and(|own| !own.eq_ignore_ascii_case(tier))
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
                    one.native_id(), one.uid(), one.region(), one.created(), disk.state, disk.attachments, disk.last_attached, disk.iops,
                    one.protected(),
                )
            })
            .collect()
    }

    #[tokio::test]
    async fn both_ways_tell_the_same() {
        let arm = Server::start(|asked| {
            if asked.path.contains("/disks?") { page(&all()) } else { lists(&[])(asked) }
        })
        .await;
        let graph = Server::start(|asked| match asked.path.split('?').next().unwrap_or_default() {
            "/providers/Microsoft.ResourceGraph/resources" => (200, String::new(), format!(r#"{{"totalRecords":7,"data":[{}]}}"#, all())),
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
        let of = |name: &str| states.iter().find(|(known, ..)| known == name).map(|(_, state, count)| (*state, *count)).unwrap();
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
