//! Virtual machines.

use crate::{
    acts::{self, Act},
    arm::Azure,
    entity::{Common, Entity, Ref, Sort, at},
    graph,
    kinds::compute_disk,
    locks, rights, sdk,
    usage::{self, Aggregation, Combine, Measure},
};
use async_trait::async_trait;
use azure_mgmt_compute::package_2024_07_01::models;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use sweeper_core::{
    answers::{Answer, Ask, Metric, Question},
    calls::Site,
    deed::{ActSpec, Deed, Pen, Permit, Progress, Reversal, Sent, Target},
    facts::{FactsRef, Vm, VmState},
    inventory::{Inventory, Listing, Resource},
    kind::{CloudError, Kind, KindSpec, Places, Prices},
    model::{Class, CloudId, Reach, Relation},
    money::{Amount, Cost},
    policy::Keep,
};

pub(super) static SPEC: KindSpec = KindSpec {
    id: "azure.compute-vm",
    cloud: CloudId::Azure,
    class: Class::Vm,
    title: "virtual machine",
    places: Places::Account,
    reads: &[LIST, rights::OP, locks::OP, graph::OP],
    asks: &[usage::OP],
    // Images are used from any subscription of the tenant whose people may read them.
    refers: &[(Relation::UsedByVm, Reach::Org)],
    needs: &[],
    out_of_sight: &[],
    advised: "",
    report_only: "",
    acts: &[
        acts::tagging!(tag "Microsoft.Compute/virtualMachines/{}"),
        acts::tagging!(untag "Microsoft.Compute/virtualMachines/{}"),
        acts::act!(
            Stop,
            "POST" "Microsoft.Compute/virtualMachines/{}/deallocate",
            "Microsoft.Compute/virtualMachines/deallocate/action",
            acts::COMPUTE,
            Reversal::Undo("started again; what was on its temporary disk is lost, and an address that is not static may be another"),
            &[]
        ),
        acts::act!(
            Start,
            "POST" "Microsoft.Compute/virtualMachines/{}/start",
            "Microsoft.Compute/virtualMachines/start/action",
            acts::COMPUTE,
            Reversal::Undo("deallocated again"),
            &[]
        ),
        acts::defining!(),
        ActSpec {
            takes: &[Class::Disk, Class::Interface],
            ..acts::act!(
                Delete,
                "DELETE" "Microsoft.Compute/virtualMachines/{}",
                "Microsoft.Compute/virtualMachines/delete",
                acts::COMPUTE,
                Reversal::OneWay("the machine, and the disks and interfaces that go with it; others stay"),
                // A record of what it was. It is not made again of that.
                &[Keep::Definition]
            )
        },
    ],
};

const LIST: &str = "Microsoft.Compute/virtualMachines/read";

static SORT: Sort = Sort {
    op: LIST,
    table: "resources",
    of: "Microsoft.Compute/virtualMachines",
    columns: "managedBy",
    filter: "",
    api: "2024-07-01",
};

static ACT: Act<Properties> = Act {
    sort: &SORT,
    query: "?$expand=instanceView",
    uid: |properties| properties.vm_id.as_deref().unwrap_or_default(),
};

pub(super) struct ComputeVm(pub(super) Arc<Azure>);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Properties {
    vm_id: Option<String>,
    hardware_profile: Option<Hardware>,
    storage_profile: Option<Storage>,
    network_profile: Option<Network>,
    priority: Option<String>,
    time_created: Option<String>,
    virtual_machine_scale_set: Option<Ref>,
    /// Resource Manager's.
    instance_view: Option<View>,
    /// Resource Graph's.
    extended: Option<Extended>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Hardware {
    vm_size: Option<String>,
}

/// What machines, and the models of scale sets, are made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Storage {
    pub(super) image_reference: Option<ImageReference>,
    os_disk: Option<Disk>,
    data_disks: Option<Vec<Disk>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ImageReference {
    id: Option<String>,
    exact_version: Option<String>,
    shared_gallery_image_id: Option<String>,
    community_gallery_image_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Disk {
    managed_disk: Option<Ref>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Network {
    network_interfaces: Option<Vec<Ref>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct View {
    statuses: Option<Vec<Status>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Extended {
    instance_view: Option<ExtendedView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExtendedView {
    power_state: Option<Status>,
}

#[async_trait]
impl Kind for ComputeVm {
    fn spec(&self) -> &'static KindSpec {
        &SPEC
    }

    async fn enumerate(&self, site: &Site, out: &mut Listing) -> Result<(), CloudError> {
        let list = Box::pin(listed(&self.0, site));
        self.0.each_or(site, &SORT, out, list, push).await
    }

    async fn observe(&self, site: &Site, target: &Target, out: &mut Listing) -> Result<(), CloudError> {
        ACT.observe(&self.0, site, target, out, push).await
    }

    async fn act(&self, pen: &Pen<'_>) -> Result<Sent, CloudError> {
        match pen.permit().deed() {
            Deed::Stop => ACT.ask(&self.0, pen, "deallocate").await,
            Deed::Start => ACT.ask(&self.0, pen, "start").await,
            _ => ACT.act(&self.0, pen).await,
        }
    }

    async fn progress(&self, site: &Site, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let wanted = match permit.deed() {
            Deed::Stop => VmState::Deallocated,
            Deed::Start => VmState::Running,
            _ => return ACT.progress(&self.0, site, permit, sent).await,
        };
        match acts::operation(&self.0, site, permit, sent).await? {
            acts::Operation::Running => return Ok(Progress::Running),
            acts::Operation::Failed(why) => return Ok(Progress::Failed(why)),
            acts::Operation::Ended => {}
        }
        Ok(match ACT.read(&self.0, site, permit.target()).await? {
            None => Progress::Failed("the machine is not there any more".to_owned()),
            Some(machine) if state(&machine.properties) == wanted => Progress::Done(None),
            Some(_) => Progress::Running,
        })
    }

    async fn answer(&self, site: &Site, inventory: &Inventory, asks: &[Ask]) -> Result<Vec<(Ask, Answer)>, CloudError> {
        Ok(usage::answer(&self.0, site, inventory, asks, measure).await)
    }

    fn price(&self, resource: Resource<'_>, prices: &dyn Prices) -> Cost {
        month(resource, prices)
    }
}

/// The subscription's machines, and their power states, which a list of its own tells.
async fn listed(azure: &Arc<Azure>, site: &Site) -> Result<Vec<Entity<Properties>>, CloudError> {
    let client = || sdk::client(azure, site, LIST).map(|client| client.virtual_machines_client());
    let subscription = || site.scope().account.clone();
    let items = |page: models::VirtualMachineListResult| page.value;
    let machines = sdk::all(LIST, client()?.list_all(subscription()).into_stream(), items).await?;
    let states = sdk::all(LIST, client()?.list_all(subscription()).status_only("true").into_stream(), items).await?;
    let mut views: BTreeMap<String, View> = BTreeMap::new();
    for machine in states {
        let view = machine.properties.and_then(|properties| properties.instance_view);
        if let (Some(id), Some(view)) = (machine.resource.id, view) {
            let statuses = view.statuses.into_iter().map(|status| Status { code: status.code }).collect();
            views.insert(id.to_ascii_lowercase(), View { statuses: Some(statuses) });
        }
    }
    machines
        .into_iter()
        .map(|machine| {
            let mut machine: Entity<Properties> = sdk::entity(LIST, &machine)?;
            if machine.properties.instance_view.is_none() {
                machine.properties.instance_view = views.remove(&machine.id.to_ascii_lowercase());
            }
            Ok(machine)
        })
        .collect()
}

/// A stopped or deallocated machine costs what its disks cost, and its compute besides where that is still billed,
/// for which no sourced price is at hand.
fn month(resource: Resource<'_>, prices: &dyn Prices) -> Cost {
    let FactsRef::Vm(vm) = resource.facts() else { return Cost::unknown() };
    if vm.state != VmState::Deallocated {
        return Cost::unknown();
    }
    let inventory = resource.inventory();
    let mut month = Amount::ZERO;
    for (_, used) in resource.uses().filter(|(_, used)| used.contains("/providers/microsoft.compute/disks/")) {
        let disk = inventory
            .find(used)
            .and_then(|sym| inventory.exists(resource, Class::Disk, sym, Reach::Account, |_| true).ok())
            .and_then(|found| found.users.first().map(|ix| inventory.at(*ix)));
        match disk.and_then(|disk| compute_disk::month(disk, prices).amount) {
            Some(amount) => month += amount,
            None => return Cost::unknown(),
        }
    }
    Cost::list(month)
}

fn measure(_: Resource<'_>, question: Question) -> Option<Measure> {
    let Question::Usage { metric, .. } = question else { return None };
    let of = |metrics, aggregation, combine| {
        Some(Measure { namespace: "Microsoft.Compute/virtualMachines", metrics, aggregation, combine, sparse: false })
    };
    match metric {
        Metric::VmCpuMax => of(&["Percentage CPU"], Aggregation::Maximum, Combine::Max),
        Metric::VmNetwork => of(&["Network In Total", "Network Out Total"], Aggregation::Total, Combine::Sum),
        _ => None,
    }
}

/// The ids, lower case, of the images that a reference may mean: the one it names, and the version that it came to.
pub(super) fn images(reference: &ImageReference) -> Vec<String> {
    let mut images = Vec::new();
    let named = [&reference.id, &reference.shared_gallery_image_id, &reference.community_gallery_image_id];
    for id in named.into_iter().flatten().filter(|id| !id.is_empty()) {
        let id = id.to_ascii_lowercase();
        let definition = id.strip_suffix("/versions/latest").unwrap_or(&id);
        if definition.contains("galler") && !definition.contains("/versions/") {
            // A definition stands for its newest version; what was started from it knows which that was.
            if let Some(version) = reference.exact_version.as_deref().filter(|version| !version.is_empty()) {
                images.push(format!("{definition}/versions/{version}").to_ascii_lowercase());
            }
        }
        images.push(definition.to_owned());
    }
    images
}

/// The power state, as either way tells it.
fn state(properties: &Properties) -> VmState {
    let graph = properties.extended.as_ref().and_then(|extended| extended.instance_view.as_ref()?.power_state.as_ref());
    let arm = properties.instance_view.iter().flat_map(|view| view.statuses.iter().flatten());
    let power =
        graph.into_iter().chain(arm).filter_map(|status| status.code.as_deref()).find_map(|code| {
            code.get(..11).filter(|start| start.eq_ignore_ascii_case("PowerState/")).map(|_| &code[11..])
        });
    let power = power.unwrap_or_default().to_ascii_lowercase();
    match power.as_str() {
        "running" => VmState::Running,
        "stopped" => VmState::Stopped,
        "deallocated" => VmState::Deallocated,
        _ => VmState::Other,
    }
}

fn push(entity: &Entity<Properties>, common: &Common, out: &mut Listing) {
    let properties = &entity.properties;
    let state = state(properties);
    let storage = properties.storage_profile.as_ref();
    let images = storage.and_then(|storage| storage.image_reference.as_ref()).map(images).unwrap_or_default();
    let size = properties.hardware_profile.as_ref().and_then(|hardware| hardware.vm_size.as_deref());
    let facts = Vm {
        state,
        vm_type: out.sym(size.unwrap_or_default()),
        image: out.sym(images.first().map_or("", String::as_str)),
        in_state_since: None,
        spot: properties.priority.as_deref().is_some_and(|priority| !priority.eq_ignore_ascii_case("Regular")),
        // Stopped from within: the host is still reserved for it.
        still_billed: state == VmState::Stopped,
    };
    let disks =
        storage.into_iter().flat_map(|storage| storage.os_disk.iter().chain(storage.data_disks.iter().flatten()));
    let disks = disks.filter_map(|disk| disk.managed_disk.as_ref()).map(Ref::lower);
    let interfaces = properties.network_profile.iter().flat_map(|network| network.network_interfaces.iter().flatten());
    let used: Vec<String> = images.into_iter().chain(disks).chain(interfaces.map(Ref::lower)).collect();
    let owner = entity.managed_by.as_deref().filter(|owner| !owner.is_empty());
    let group = properties.virtual_machine_scale_set.as_ref().and_then(|group| group.id.as_deref());
    let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
    let managed_by = match (common.managed_by.is_empty(), owner, group) {
        (true, Some(owner), _) => format!("managed by {}", last(owner)),
        (true, None, Some(group)) => format!("scale set {}", last(group)),
        _ => common.managed_by.clone(),
    };
    let mut draft = common.marked(entity, facts);
    draft.uid = properties.vm_id.as_deref().unwrap_or_default();
    draft.created = at(properties.time_created.as_deref());
    draft.managed_by = &managed_by;
    draft.uses.extend(used.iter().map(|id| (Relation::UsedByVm, id.as_str())));
    out.push(draft);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Server, lists};
    use sweeper_core::inventory::Status;

    /// As Resource Manager lists it; its state comes with `statusOnly`.
    const MACHINE: &str = r#"{"id":"/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/vm","name":"vm",
        "location":"eastus","tags":{"owner":"a"},"properties":{"vmId":"u1","hardwareProfile":{"vmSize":"Standard_D4s_v9"},
        "storageProfile":{"imageReference":{"id":"/Subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/galleries/g/images/D",
        "exactVersion":"1.0.3"},"osDisk":{"createOption":"FromImage","managedDisk":{"id":"/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/disks/OS"}},
        "dataDisks":[{"lun":0,"createOption":"Attach","managedDisk":{"id":"/x/data"}}]},
        "networkProfile":{"networkInterfaces":[{"id":"/x/NIC"}]},"timeCreated":"2026-01-01T00:00:00Z",
        "instanceView":{"statuses":[{"code":"ProvisioningState/succeeded"},{"code":"PowerState/stopped"}]}}}"#;

    #[tokio::test]
    async fn a_machine_stopped_from_within_is_still_billed() {
        let server = Server::start(lists(&[("/virtualMachines", MACHINE)])).await;
        let inventory = server.inventory(|azure| vec![Arc::new(ComputeVm(Arc::clone(azure)))]).await.unwrap();
        let vm = inventory.of_class(Class::Vm).next().unwrap();
        let FactsRef::Vm(facts) = vm.facts() else { panic!() };
        assert_eq!((facts.state, facts.still_billed), (VmState::Stopped, true));
        assert_eq!((vm.uid(), vm.region(), inventory.text(facts.vm_type)), ("u1", "eastus", "Standard_D4s_v9"));
        assert_eq!(vm.created(), sweeper_core::model::Timestamp::parse("2026-01-01T00:00:00Z"));
        let used: Vec<&str> = vm.uses().map(|(_, id)| id).collect();
        let gallery = "/subscriptions/s/resourcegroups/rg/providers/microsoft.compute/galleries/g/images/d";
        let disk = "/subscriptions/s/resourcegroups/rg/providers/microsoft.compute/disks/os";
        assert_eq!(used, [&format!("{gallery}/versions/1.0.3"), gallery, disk, "/x/data", "/x/nic"]);
        let coverage = inventory.coverage();
        assert_eq!(coverage[0].2.status, Status::Complete);
        let asked = server.asked();
        assert!(asked.iter().any(|asked| asked.path.contains("statusOnly=true")));
        assert!(
            asked.iter().all(|asked| asked.headers["authorization"] == "Bearer emulator"),
            "never the crate's token"
        );
    }

    #[test]
    fn both_ways_tell_the_power_state() {
        let push_one = |text: &str| {
            let entity: Entity<Properties> = serde_json::from_str(text).unwrap();
            let mut builder = sweeper_core::inventory::InventoryBuilder::new(&[&SPEC]);
            let scope = sweeper_core::model::Scope::new(CloudId::Azure, "s", "global");
            let mut listing = builder.listing(&SPEC, &scope);
            push(&entity, &crate::entity::Around::open().common(&entity), &mut listing);
            builder.complete(listing, 1);
            let inventory = builder.build();
            let vm = inventory.of_class(Class::Vm).next().unwrap();
            let FactsRef::Vm(facts) = vm.facts() else { panic!() };
            facts.clone()
        };
        let with = |view: &str| format!(r#"{{"id":"/x","properties":{{{view}}}}}"#);
        let arm = push_one(&with(r#""instanceView":{"statuses":[{"code":"PowerState/deallocated"}]}"#));
        let graph = push_one(&with(r#""extended":{"instanceView":{"powerState":{"code":"PowerState/deallocated"}}}"#));
        assert_eq!((arm.state, graph.state), (VmState::Deallocated, VmState::Deallocated));
        assert_eq!(push_one(&with("")).state, VmState::Other, "a state that is not told is none");
    }
}
