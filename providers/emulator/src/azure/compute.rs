//! Compute: virtual machines, disks, snapshots, images, galleries and scale sets.
//!
//! | kind | key | default | meaning |
//! |---|---|---|---|
//! | `azure.compute-vm` | `size` | `Standard_D2s_v5` | |
//! | | `state` | `running` | `running`, `stopped` (still allocated), `deallocated`, `starting`, `stopping`, `deallocating`; "" shows no power state |
//! | | `state_since` | created | when the state was reached, as the instance view tells |
//! | | `os` | `Linux` | or `Windows` |
//! | | `os_disk` | `<id>_OsDisk` | a disk; it need not be in the file |
//! | | `disks` | none | data disks |
//! | | `nics` | none | network interfaces |
//! | | `image` | Ubuntu | an ARM id, the name of an `azure.compute-image`, or `publisher:offer:sku:version` |
//! | | `vmss`, `availability_set` | none | a scale set, an availability set |
//! | | `priority` | none | `Spot` |
//! | | `boot_diagnostics` | none | URI of the storage account that keeps them |
//! | | `user_data` | none | what the machine was started with; shown where it is asked for |
//! | | `goes_along` | none | the disks and interfaces that are deleted with it; others are detached |
//! | `azure.compute-disk` | `size` | 128 | GiB |
//! | | `sku` | `Premium_LRS` | |
//! | | `tier` | none | `P30` |
//! | | `state` | by the machine | `diskState`: Attached, Reserved, Unattached, ActiveSAS, Frozen, … |
//! | | `managed_by` | by the machines' keys | a machine's name or an ARM id |
//! | | `shared_by` | none | `managedByExtended`: machines that share the disk |
//! | | `detached` | none | `LastOwnershipUpdateTime` |
//! | | `os` | none | `osType` |
//! | | `create` | `Empty` | `createOption` |
//! | | `source` | none | the disk or snapshot it was made of |
//! | | `iops`, `mbps`, `max_shares` | none | |
//! | | `copy_fails` | none | the code of the error that the making of a snapshot of it ends with |
//! | | `unique_id` | made up | |
//! | `azure.compute-snapshot` | `size` | 128 | GiB |
//! | | `source` | none | the disk it was taken of |
//! | | `sku` | `Standard_LRS` | |
//! | | `incremental` | true | |
//! | | `unique_id` | made up | |
//! | `azure.compute-image` | `source_vm` | none | |
//! | | `os_disk`, `os_snapshot` | none | what its system disk is made of |
//! | | `disks`, `snapshots` | none | what its data disks are made of |
//! | | `size`, `os`, `generation` | 30, `Linux`, `V2` | |
//! | `azure.compute-gallery` | | | |
//! | `azure.compute-gallery-image` | `gallery`, `os` | | an image definition |
//! | `azure.compute-gallery-image-version` | `gallery`, `image` | | its parents |
//! | | `regions` | its own | where it is replicated to |
//! | | `replicas` | 1 | in each region |
//! | | `source` | none | the machine, image, disk or snapshot it was made of: an ARM id, or the name of an image |
//! | | `size` | 30 | GiB |
//! | | `end_of_life` | none | |
//! | | `excluded` | false | from "latest" |
//! | `azure.compute-scale-set` | `size`, `capacity`, `image` | `Standard_D2s_v5`, 1, Ubuntu | |
//! | | `orchestration` | `Uniform` | or `Flexible` |

use serde_json::{Map, Value, json};

use super::arm::{self, Type, children, find, guid, listed, paged, reference, referrers, stamp, target};
use super::writes::{self, Effect, asked_to, lacking, removable};
use crate::cloud::{Cloud, Item};
use crate::http::{Reply, WireError};
use crate::rest::{Req, Route};
use crate::services::Kind;

#[rustfmt::skip]
pub(super) const KINDS: &[Kind] = &[
    Kind { kind: "azure.compute-vm", keys: &[
        "size:text", "state:text", "state_since:time", "os:text", "os_disk:text", "disks:list", "nics:list",
        "image:text", "vmss:text", "availability_set:text", "priority:text", "boot_diagnostics:text",
        "user_data:text", "vm_id:text", "goes_along:list",
    ] },
    Kind { kind: "azure.compute-disk", keys: &[
        "size:int", "sku:text", "tier:text", "state:text", "shared_by:list", "detached:time", "os:text",
        "create:text", "source:text", "iops:int", "mbps:int", "max_shares:int", "unique_id:text",
        "copy_fails:text",
    ] },
    Kind { kind: "azure.compute-snapshot", keys: &[
        "size:int", "source:text", "sku:text", "incremental:bool", "unique_id:text", "os:text", "create:text",
    ] },
    Kind { kind: "azure.compute-image", keys: &[
        "source_vm:text", "os_disk:text", "os_snapshot:text", "disks:list", "snapshots:list", "size:int",
        "os:text", "generation:text",
    ] },
    Kind { kind: "azure.compute-gallery", keys: &[] },
    Kind { kind: "azure.compute-gallery-image", keys: &["gallery:text", "os:text"] },
    Kind { kind: "azure.compute-gallery-image-version", keys: &[
        "gallery:text", "image:text", "regions:list", "replicas:int", "source:text", "size:int",
        "end_of_life:time", "excluded:bool",
    ] },
    Kind { kind: "azure.compute-scale-set", keys: &["size:text", "capacity:int", "image:text", "orchestration:text"] },
];

pub(super) const LINKS: &[(&str, &str)] = &[("azure.compute-vm", "disks"), ("azure.compute-vm", "os_disk")];

static VM: Type = Type::top("azure.compute-vm", "Microsoft.Compute/virtualMachines", vm);
static DISK: Type = Type::top("azure.compute-disk", "Microsoft.Compute/disks", disk);
static SNAPSHOT: Type = Type::top("azure.compute-snapshot", "Microsoft.Compute/snapshots", snapshot);
static IMAGE: Type = Type::top("azure.compute-image", "Microsoft.Compute/images", image);
static GALLERY: Type = Type::top("azure.compute-gallery", "Microsoft.Compute/galleries", gallery);
static DEFINITION: Type = Type {
    kind: "azure.compute-gallery-image",
    arm: "Microsoft.Compute/galleries/images",
    parents: &["gallery"],
    parent: Some("azure.compute-gallery"),
    table: "resources",
    show: definition,
};
static VERSION: Type = Type {
    kind: "azure.compute-gallery-image-version",
    arm: "Microsoft.Compute/galleries/images/versions",
    parents: &["gallery", "image"],
    parent: Some("azure.compute-gallery-image"),
    table: "resources",
    show: version,
};
static VMSS: Type = Type::top("azure.compute-scale-set", "Microsoft.Compute/virtualMachineScaleSets", vmss);

pub(super) static TYPES: &[&Type] = &[&VM, &DISK, &SNAPSHOT, &IMAGE, &GALLERY, &DEFINITION, &VERSION, &VMSS];

const READ_VM: &str = "Microsoft.Compute/virtualMachines/read";

#[rustfmt::skip]
pub(super) const ROUTES: &[&[Route]] = &[
    // The plain routes of machines come before those of `listed!`, which know nothing of instance views.
    &[
        Route { service: "Microsoft.Compute", method: "GET", path: "/subscriptions/{subscription}/providers/Microsoft.Compute/virtualMachines", action: "VirtualMachines_ListAll", permission: READ_VM, handle: vms },
        Route { service: "Microsoft.Compute", method: "GET", path: "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines", action: "VirtualMachines_List", permission: READ_VM, handle: vms },
        Route { service: "Microsoft.Compute", method: "GET", path: "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}", action: "VirtualMachines_Get", permission: READ_VM, handle: one_vm },
        Route { service: "Microsoft.Compute", method: "GET", path: "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}/instanceView", action: "VirtualMachines_InstanceView", permission: "Microsoft.Compute/virtualMachines/instanceView/read", handle: view_of_one },
    ],
    listed!(DISK, "Microsoft.Compute", "disks", "Disks", "List", "ListByResourceGroup"),
    listed!(SNAPSHOT, "Microsoft.Compute", "snapshots", "Snapshots", "List", "ListByResourceGroup"),
    listed!(IMAGE, "Microsoft.Compute", "images", "Images", "List", "ListByResourceGroup"),
    listed!(GALLERY, "Microsoft.Compute", "galleries", "Galleries", "List", "ListByResourceGroup"),
    children!(DEFINITION, "Microsoft.Compute", "galleries/{gallery}/images", "Microsoft.Compute/galleries/images/read", "GalleryImages", "ListByGallery"),
    children!(VERSION, "Microsoft.Compute", "galleries/{gallery}/images/{image}/versions", "Microsoft.Compute/galleries/images/versions/read", "GalleryImageVersions", "ListByGalleryImage"),
    listed!(VMSS, "Microsoft.Compute", "virtualMachineScaleSets", "VirtualMachineScaleSets", "ListAll", "List"),
    removable!(DISK, "Microsoft.Compute", "disks", "Microsoft.Compute/disks/delete", "Disks", disk_free),
    removable!(SNAPSHOT, "Microsoft.Compute", "snapshots", "Microsoft.Compute/snapshots/delete", "Snapshots", snapshot_free),
    removable!(IMAGE, "Microsoft.Compute", "images", "Microsoft.Compute/images/delete", "Images", writes::always),
    removable!(VERSION, "Microsoft.Compute", "galleries/{gallery}/images/{image}/versions", "Microsoft.Compute/galleries/images/versions/delete", "GalleryImageVersions", writes::always),
    &[
        asked_to!("DELETE", "Microsoft.Compute", "virtualMachines/{name}", "Microsoft.Compute/virtualMachines/delete", "VirtualMachines_Delete", |cloud, req| writes::delete_with(cloud, req, &VM, writes::always, along)),
        asked_to!("POST", "Microsoft.Compute", "virtualMachines/{name}/deallocate", "Microsoft.Compute/virtualMachines/deallocate/action", "VirtualMachines_Deallocate", |cloud, req| switch(cloud, req, "deallocating", "deallocated")),
        asked_to!("POST", "Microsoft.Compute", "virtualMachines/{name}/start", "Microsoft.Compute/virtualMachines/start/action", "VirtualMachines_Start", |cloud, req| switch(cloud, req, "starting", "running")),
        asked_to!("PUT", "Microsoft.Compute", "disks/{name}", "Microsoft.Compute/disks/write", "Disks_CreateOrUpdate", put_disk),
        asked_to!("PUT", "Microsoft.Compute", "snapshots/{name}", "Microsoft.Compute/snapshots/write", "Snapshots_CreateOrUpdate", put_snapshot),
    ],
];

fn os(item: &Item) -> String {
    item.text_or("os", "Linux")
}

fn vms(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let items = arm::asked(cloud, req, &VM)?;
    let status_only = req.param("statusOnly") == Some("true");
    paged(cloud, req, &items, |item| {
        if status_only {
            json!({
                "id": arm::id(item),
                "name": item.id,
                "type": VM.arm,
                "location": item.region,
                "properties": { "vmId": vm_id(item), "instanceView": instance_view(cloud, item) },
            })
        } else {
            expanded(cloud, req, item)
        }
    })
}

fn one_vm(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    let item = arm::one(cloud, req, &VM)?;
    writes::looked_at(cloud, item);
    Ok(Reply::Value(expanded(cloud, req, item)))
}

/// Brings a machine into a power state, through another.
fn switch(cloud: &Cloud, req: &Req, through: &str, to: &str) -> Result<Reply, WireError> {
    let item = arm::one(cloud, req, &VM)?;
    writes::unlocked(cloud, &item.account, &arm::id(item), false)?;
    if item.text_or("state", "running") == to {
        return Ok(writes::empty(200));
    }
    let effect = Effect::Set(json!({ "state": to, "state_since": cloud.now.to_string() }));
    let meanwhile = json!({ "state": through, "provisioning": "Updating" });
    Ok(match writes::begin(cloud, req, &VM, item, &effect, meanwhile) {
        Some(accepted) => accepted.reply(202, None),
        None => writes::empty(200),
    })
}

/// What is deleted along with a machine.
fn along(cloud: &Cloud, item: &Item) -> Vec<(String, String)> {
    let all = item.list("goes_along");
    let found = all.iter().flat_map(|named| {
        ["azure.compute-disk", "azure.network-interface"]
            .into_iter()
            .filter_map(|kind| find(cloud, item, kind, named))
            .map(|found| (found.kind.clone(), arm::id(found)))
            .collect::<Vec<_>>()
    });
    found.collect()
}

fn not_allowed(message: String) -> WireError {
    WireError::new(409, "OperationNotAllowed", message)
}

/// Whether a disk may be deleted: it is attached to nothing and read by nobody.
fn disk_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    let shown = arm::show(cloud, &DISK, item);
    let extended = shown["managedByExtended"].as_array().and_then(|all| all.first()).and_then(Value::as_str);
    if let Some(machine) = shown["managedBy"].as_str().or(extended) {
        return Err(not_allowed(format!("Disk {} is attached to VM {machine}.", item.id)));
    }
    if shown["properties"]["diskState"] == "Attached" || shown["properties"]["diskState"] == "Reserved" {
        return Err(not_allowed(format!("Disk {} is attached to a VM.", item.id)));
    }
    unread(&shown, &item.id)
}

/// Whether a snapshot may be deleted: it is read by nobody.
fn snapshot_free(cloud: &Cloud, item: &Item) -> Result<(), WireError> {
    unread(&arm::show(cloud, &SNAPSHOT, item), &item.id)
}

fn unread(shown: &Value, name: &str) -> Result<(), WireError> {
    if shown["properties"]["diskState"] == "ActiveSAS" {
        return Err(not_allowed(format!(
            "There is an active shared access signature outstanding for disk {name}. Call EndGetAccess before deleting the disk."
        )));
    }
    Ok(())
}

/// Keys of disks and snapshots that properties of a request are, as they are.
const WRITTEN: &[(&str, &str)] = &[
    ("size", "diskSizeGB"),
    ("tier", "tier"),
    ("iops", "diskIOPSReadWrite"),
    ("mbps", "diskMBpsReadWrite"),
    ("max_shares", "maxShares"),
    ("os", "osType"),
    ("incremental", "incremental"),
];

/// What a request to make a disk or snapshot of something else says: where, its keys, and of what.
fn copy_of<'a>(cloud: &'a Cloud, req: &Req) -> Result<(String, Map<String, Value>, &'a Item), WireError> {
    let body = req.json().unwrap_or_default();
    let region = body["location"].as_str().ok_or_else(|| lacking("location"))?.to_ascii_lowercase().replace(' ', "");
    let creation = &body["properties"]["creationData"];
    let source = creation["sourceResourceId"].as_str().ok_or_else(|| lacking("creationData.sourceResourceId"))?;
    let every = arm::every(cloud, &req.account);
    let found = every.into_iter().find(|(known, item)| arm::id_in(known, item).eq_ignore_ascii_case(source));
    let Some((known, found)) = found else {
        return Err(WireError::new(404, "ResourceNotFound", format!("The resource '{source}' is not found.")));
    };
    if arm::show(cloud, known, found)["properties"]["provisioningState"] != "Succeeded" {
        return Err(not_allowed(format!("'{source}' is not ready: what is made of it would lack something.")));
    }
    let mut keys = Map::new();
    let mut rest = body["properties"].as_object().cloned().unwrap_or_default();
    rest.remove("creationData");
    for (key, name) in WRITTEN {
        if let Some(value) = rest.remove(*name) {
            keys.insert((*key).to_owned(), value);
        }
    }
    for key in ["size", "os", "polls"] {
        if let Some(value) = found.keys.get(key)
            && !keys.contains_key(key)
        {
            keys.insert(key.to_owned(), value.clone());
        }
    }
    keys.insert("create".to_owned(), creation["createOption"].clone());
    keys.insert("source".to_owned(), json!(source));
    if let Some(sku) = body["sku"]["name"].as_str() {
        keys.insert("sku".to_owned(), json!(sku));
    }
    if body["zones"].is_array() {
        keys.insert("zones".to_owned(), body["zones"].clone());
    }
    if !rest.is_empty() {
        keys.insert("properties".to_owned(), Value::Object(rest));
    }
    Ok((region, keys, found))
}

/// What there is already under the name, if it is of the same source.
fn again(cloud: &Cloud, req: &Req, known: &'static Type) -> Result<Option<Reply>, WireError> {
    let item = match arm::one(cloud, req, known) {
        Ok(item) => item,
        Err(error) if error.code == "ResourceNotFound" => return Ok(None),
        Err(error) => return Err(error),
    };
    let shown = arm::show(cloud, known, item);
    let body = req.json().unwrap_or_default();
    let source = |value: &Value| {
        value["properties"]["creationData"]["sourceResourceId"].as_str().unwrap_or_default().to_ascii_lowercase()
    };
    if source(&shown) != source(&body) {
        let message = "Changing property 'creationData.sourceResourceId' is not allowed.";
        return Err(WireError::new(409, "PropertyChangeNotAllowed", message));
    }
    Ok(Some(Reply::Value(shown)))
}

fn put_disk(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = again(cloud, req, &DISK)? {
        return Ok(reply);
    }
    let (region, keys, _) = copy_of(cloud, req)?;
    writes::create(cloud, req, &DISK, &region, keys)
}

fn put_snapshot(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    if let Some(reply) = again(cloud, req, &SNAPSHOT)? {
        return Ok(reply);
    }
    let (region, mut keys, source) = copy_of(cloud, req)?;
    keys.insert("source_unique".to_owned(), json!(unique_id(source)));
    if let Some(code) = source.text("copy_fails") {
        keys.insert("fails".to_owned(), json!(code));
    }
    writes::create(cloud, req, &SNAPSHOT, &region, keys)
}

/// The id that no other disk or snapshot ever has.
fn unique_id(item: &Item) -> String {
    item.text("unique_id").map_or_else(|| guid(&arm::id(item)), str::to_owned)
}

fn view_of_one(cloud: &Cloud, req: &Req) -> Result<Reply, WireError> {
    Ok(Reply::Value(instance_view(cloud, arm::one(cloud, req, &VM)?)))
}

/// A machine with what `$expand` asks for.
fn expanded(cloud: &Cloud, req: &Req, item: &Item) -> Value {
    let mut shown = arm::show(cloud, &VM, item);
    let asked = req.param("$expand").unwrap_or_default();
    for part in asked.split(',').map(str::trim) {
        if part.eq_ignore_ascii_case("instanceView") {
            shown["properties"]["instanceView"] = instance_view(cloud, item);
        } else if part.eq_ignore_ascii_case("userData")
            && let Some(data) = item.text("user_data")
        {
            shown["properties"]["userData"] = json!(data);
        }
    }
    shown
}

fn vm_id(item: &Item) -> String {
    item.text("vm_id").map_or_else(|| guid(&arm::id(item)), str::to_owned)
}

/// The power state of a machine, as its status and for people: none where it cannot be told.
fn power(item: &Item) -> Option<(String, String)> {
    let state = item.text_or("state", "running");
    let shown = match state.as_str() {
        "" => return None,
        "running" | "stopped" | "deallocated" | "starting" | "stopping" | "deallocating" => format!("VM {state}"),
        other => other.to_owned(),
    };
    Some((format!("PowerState/{state}"), shown))
}

fn instance_view(cloud: &Cloud, item: &Item) -> Value {
    let since = item.time("state_since", cloud.now).unwrap_or(item.created);
    let mut statuses = vec![json!({
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "time": stamp(since),
    })];
    if let Some((code, shown)) = power(item) {
        statuses.push(json!({ "code": code, "level": "Info", "displayStatus": shown }));
    }
    json!({
        "computerName": item.id,
        "osName": os(item),
        "hyperVGeneration": "V2",
        "disks": [],
        "statuses": statuses,
    })
}

/// What Resource Graph adds to a machine's properties.
pub(super) fn extended(item: &Item) -> Value {
    let mut view = json!({ "computerName": item.id, "osName": os(item), "hyperVGeneration": "V2" });
    if let Some((code, shown)) = power(item) {
        view["powerState"] = json!({ "code": code, "level": "Info", "displayStatus": shown });
    }
    json!({ "instanceView": view })
}

fn image_reference(cloud: &Cloud, item: &Item) -> Value {
    let named = item.text_or("image", "canonical:ubuntu-24_04-lts:server:latest");
    if let [publisher, offer, sku, version] = named.split(':').collect::<Vec<_>>()[..] {
        return json!({
            "publisher": publisher,
            "offer": offer,
            "sku": sku,
            "version": version,
            "exactVersion": if version == "latest" { "24.04.202511010" } else { version },
        });
    }
    let id = target(cloud, item, "azure.compute-image", &named);
    let mut shown = reference(id.clone());
    // A version of a gallery says which it was, whichever was asked for.
    if id.to_ascii_lowercase().contains("/galleries/") {
        let exact = id.rsplit_once("/versions/").map_or("1.0.0", |(_, version)| version);
        shown["exactVersion"] = json!(exact);
    }
    shown
}

fn vm(cloud: &Cloud, item: &Item) -> Value {
    let os_disk = item.text("os_disk").map_or_else(|| format!("{}_OsDisk", item.id), str::to_owned);
    let disk_of = |named: &str| {
        let name = named.rsplit('/').next().unwrap_or(named);
        let known = find(cloud, item, "azure.compute-disk", named);
        let sku = known.map_or_else(|| "Premium_LRS".to_owned(), |disk| disk.text_or("sku", "Premium_LRS"));
        let size = known.and_then(|disk| disk.int("size")).unwrap_or(128);
        let id = target(cloud, item, "azure.compute-disk", named);
        (name.to_owned(), json!({ "storageAccountType": sku, "id": id }), size)
    };
    let along = item.list("goes_along");
    let option = |named: &str| if along.iter().any(|one| one == named) { "Delete" } else { "Detach" };
    let (os_name, os_managed, os_size) = disk_of(&os_disk);
    let data: Vec<Value> = item
        .list("disks")
        .iter()
        .enumerate()
        .map(|(lun, named)| {
            let (name, managed, size) = disk_of(named);
            json!({
                "lun": lun, "name": name, "createOption": "Attach", "caching": "None", "managedDisk": managed,
                "deleteOption": option(named), "diskSizeGB": size, "toBeDetached": false,
            })
        })
        .collect();
    let nics: Vec<Value> = item
        .list("nics")
        .iter()
        .enumerate()
        .map(|(at, named)| {
            json!({
                "id": target(cloud, item, "azure.network-interface", named),
                "properties": { "primary": at == 0, "deleteOption": option(named) },
            })
        })
        .collect();
    let diagnostics =
        item.text("boot_diagnostics").map(|uri| json!({ "bootDiagnostics": { "enabled": true, "storageUri": uri } }));
    let mut properties = json!({
        "vmId": vm_id(item),
        "hardwareProfile": { "vmSize": item.text_or("size", "Standard_D2s_v5") },
        "storageProfile": {
            "imageReference": image_reference(cloud, item),
            "osDisk": {
                "osType": os(item), "name": os_name, "createOption": "FromImage", "caching": "ReadWrite",
                "managedDisk": os_managed, "deleteOption": option(&os_disk), "diskSizeGB": os_size,
            },
            "dataDisks": data,
            "diskControllerType": "SCSI",
        },
        "osProfile": { "computerName": item.id, "adminUsername": "azureuser", "secrets": [], "allowExtensionOperations": true },
        "networkProfile": { "networkInterfaces": nics },
        "provisioningState": "Succeeded",
        "timeCreated": stamp(item.created),
    });
    if let Some(diagnostics) = diagnostics {
        properties["diagnosticsProfile"] = diagnostics;
    }
    if let Some(priority) = item.text("priority") {
        properties["priority"] = json!(priority);
    }
    if let Some(named) = item.text("vmss") {
        properties["virtualMachineScaleSet"] = reference(target(cloud, item, "azure.compute-scale-set", named));
    }
    if let Some(named) = item.text("availability_set") {
        let id = if named.starts_with('/') {
            named.to_owned()
        } else {
            let group = arm::group_id(&item.account, arm::group(item));
            format!("{group}/providers/Microsoft.Compute/availabilitySets/{named}")
        };
        properties["availabilitySet"] = reference(id);
    }
    json!({ "properties": properties })
}

/// The ARM id of a machine as its disks spell it: with the resource group in capitals.
fn shouted(id: &str) -> String {
    let mut parts: Vec<String> = id.split('/').map(str::to_owned).collect();
    if let Some(group) = parts.get_mut(4) {
        *group = group.to_uppercase();
    }
    parts.join("/")
}

fn disk(cloud: &Cloud, item: &Item) -> Value {
    let mut machines = referrers(cloud, item, "azure.compute-vm", "disks");
    machines.extend(referrers(cloud, item, "azure.compute-vm", "os_disk"));
    let manager = match item.text("managed_by") {
        Some("") => None,
        Some(named) => Some(target(cloud, item, "azure.compute-vm", named)),
        None => machines.first().map(|machine| shouted(&arm::id(machine))),
    };
    let shared: Vec<String> =
        item.list("shared_by").iter().map(|named| target(cloud, item, "azure.compute-vm", named)).collect();
    let state = item.text("state").map_or_else(
        || {
            let off = machines.iter().any(|machine| machine.text("state") == Some("deallocated"));
            let used = manager.is_some() || !shared.is_empty();
            let state = match (used, off) {
                (true, true) => "Reserved",
                (true, false) => "Attached",
                (false, _) => "Unattached",
            };
            state.to_owned()
        },
        str::to_owned,
    );
    let size = item.int("size").unwrap_or(128);
    let sku = item.text_or("sku", "Premium_LRS");
    let mut creation =
        json!({ "createOption": item.text_or("create", if item.text("source").is_some() { "Copy" } else { "Empty" }) });
    if let Some(named) = item.text("source") {
        creation["sourceResourceId"] = json!(target(cloud, item, "azure.compute-snapshot", named));
    }
    let mut properties = json!({
        "creationData": creation,
        "diskSizeGB": size,
        "diskSizeBytes": size * (1 << 30),
        "diskIOPSReadWrite": item.int("iops").unwrap_or(500),
        "diskMBpsReadWrite": item.int("mbps").unwrap_or(100),
        "encryption": { "type": "EncryptionAtRestWithPlatformKey" },
        "networkAccessPolicy": "AllowAll",
        "publicNetworkAccess": "Enabled",
        "timeCreated": stamp(item.created),
        "provisioningState": "Succeeded",
        "diskState": state,
        "uniqueId": unique_id(item),
    });
    for (key, name) in [("os", "osType"), ("tier", "tier")] {
        if let Some(value) = item.text(key) {
            properties[name] = json!(value);
        }
    }
    if let Some(shares) = item.int("max_shares") {
        properties["maxShares"] = json!(shares);
    }
    if let Some(at) = item.time("detached", cloud.now) {
        properties["LastOwnershipUpdateTime"] = json!(stamp(at));
    }
    let tier = sku.split('_').next().unwrap_or_default().trim_end_matches("V2").to_owned();
    let mut shown = json!({ "sku": { "name": sku, "tier": tier }, "properties": properties, "managedBy": manager });
    if !shared.is_empty() {
        shown["managedByExtended"] = json!(shared);
    }
    shown
}

fn snapshot(cloud: &Cloud, item: &Item) -> Value {
    let size = item.int("size").unwrap_or(128);
    let sku = item.text_or("sku", "Standard_LRS");
    let mut creation = json!({ "createOption": item.text_or("create", "Copy") });
    if let Some(named) = item.text("source") {
        creation["sourceResourceId"] = json!(target(cloud, item, "azure.compute-disk", named));
        let found = find(cloud, item, "azure.compute-disk", named.rsplit('/').next().unwrap_or(named));
        if let Some(unique) = item.text("source_unique").map(str::to_owned).or_else(|| found.map(unique_id)) {
            creation["sourceUniqueId"] = json!(unique);
        }
    }
    let mut properties = json!({
        "creationData": creation,
        "diskSizeGB": size,
        "diskSizeBytes": size * (1 << 30),
        "diskState": "Unattached",
        "encryption": { "type": "EncryptionAtRestWithPlatformKey" },
        "incremental": item.flag("incremental").unwrap_or(true),
        "networkAccessPolicy": "AllowAll",
        "publicNetworkAccess": "Enabled",
        "timeCreated": stamp(item.created),
        "provisioningState": "Succeeded",
        "uniqueId": unique_id(item),
    });
    if let Some(os) = item.text("os") {
        properties["osType"] = json!(os);
    }
    json!({ "sku": { "name": sku, "tier": sku.split('_').next().unwrap_or_default() }, "properties": properties })
}

fn image(cloud: &Cloud, item: &Item) -> Value {
    let size = item.int("size").unwrap_or(30);
    let made_of = |disk: Option<&str>, snapshot: Option<&str>| {
        let mut shown = json!({ "caching": "ReadWrite", "diskSizeGB": size, "storageAccountType": "Standard_LRS" });
        if let Some(named) = disk {
            shown["managedDisk"] = reference(target(cloud, item, "azure.compute-disk", named));
        }
        if let Some(named) = snapshot {
            shown["snapshot"] = reference(target(cloud, item, "azure.compute-snapshot", named));
        }
        shown
    };
    let mut os_disk = made_of(item.text("os_disk"), item.text("os_snapshot"));
    os_disk["osType"] = json!(os(item));
    os_disk["osState"] = json!("Generalized");
    let disks = item.list("disks");
    let snapshots = item.list("snapshots");
    let data = disks.iter().map(|named| made_of(Some(named), None));
    let data = data.chain(snapshots.iter().map(|named| made_of(None, Some(named))));
    let data: Vec<Value> = data
        .enumerate()
        .map(|(lun, mut shown)| {
            shown["lun"] = json!(lun);
            shown
        })
        .collect();
    let mut properties = json!({
        "storageProfile": { "osDisk": os_disk, "dataDisks": data, "zoneResilient": false },
        "hyperVGeneration": item.text_or("generation", "V2"),
        "provisioningState": "Succeeded",
    });
    if let Some(named) = item.text("source_vm") {
        properties["sourceVirtualMachine"] = reference(target(cloud, item, "azure.compute-vm", named));
    }
    json!({ "properties": properties })
}

fn gallery(_: &Cloud, item: &Item) -> Value {
    let unique = format!("{}-{}", item.account, item.id.to_uppercase());
    json!({ "properties": { "identifier": { "uniqueName": unique }, "provisioningState": "Succeeded" } })
}

fn definition(_: &Cloud, item: &Item) -> Value {
    json!({
        "location": item.region,
        "properties": {
            "osType": os(item),
            "osState": "Generalized",
            "hyperVGeneration": "V2",
            "identifier": { "publisher": "emulated", "offer": item.id, "sku": "std" },
            "provisioningState": "Succeeded",
        },
    })
}

fn version(cloud: &Cloud, item: &Item) -> Value {
    let size = item.int("size").unwrap_or(30);
    let replicas = item.int("replicas").unwrap_or(1);
    let mut regions = item.list("regions");
    if regions.is_empty() {
        regions.push(item.region.clone());
    }
    let regions: Vec<Value> = regions
        .iter()
        .map(|region| {
            json!({
                "name": super::resources::display_name(region),
                "regionalReplicaCount": replicas,
                "storageAccountType": "Standard_LRS",
            })
        })
        .collect();
    let mut publishing = json!({
        "targetRegions": regions,
        "replicaCount": replicas,
        "excludeFromLatest": item.flag("excluded").unwrap_or(false),
        "publishedDate": stamp(item.created),
        "storageAccountType": "Standard_LRS",
    });
    if let Some(at) = item.time("end_of_life", cloud.now) {
        publishing["endOfLifeDate"] = json!(stamp(at));
    }
    let mut storage = json!({ "osDiskImage": { "sizeInGB": size, "hostCaching": "ReadWrite" } });
    if let Some(named) = item.text("source") {
        let id = target(cloud, item, "azure.compute-image", named);
        if id.contains("/snapshots/") || id.contains("/disks/") {
            storage["osDiskImage"]["source"] = reference(id);
        } else {
            storage["source"] = reference(id);
        }
    }
    json!({
        "location": item.region,
        "properties": {
            "publishingProfile": publishing,
            "storageProfile": storage,
            "provisioningState": "Succeeded",
        },
    })
}

fn vmss(cloud: &Cloud, item: &Item) -> Value {
    let orchestration = item.text_or("orchestration", "Uniform");
    json!({
        "sku": {
            "name": item.text_or("size", "Standard_D2s_v5"),
            "tier": "Standard",
            "capacity": item.int("capacity").unwrap_or(1),
        },
        "properties": {
            "orchestrationMode": orchestration,
            "singlePlacementGroup": false,
            "upgradePolicy": { "mode": "Manual" },
            "virtualMachineProfile": {
                "osProfile": { "computerNamePrefix": item.id, "adminUsername": "azureuser" },
                "storageProfile": {
                    "osDisk": {
                        "osType": os(item), "createOption": "FromImage", "caching": "ReadWrite",
                        "managedDisk": { "storageAccountType": "Premium_LRS" }, "diskSizeGB": 30,
                    },
                    "imageReference": image_reference(cloud, item),
                },
                "networkProfile": { "networkInterfaceConfigurations": [] },
            },
            "provisioningState": "Succeeded",
            "uniqueId": guid(&arm::id(item)),
            "timeCreated": stamp(item.created),
        },
    })
}
