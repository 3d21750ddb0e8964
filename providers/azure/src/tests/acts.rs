//! What is done to resources, against the emulator: each deed, what it sends, what stops it.

use crate::{
    Config,
    arm::Azure,
    auth::Env,
    kinds,
    transport::{Request, Service},
    universe,
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use sweeper_core::{
    apply::testing,
    calls::{Calls, Limits, Site},
    clock::SystemClock,
    deed::{Deed, DeedKind, Kept, Pen, Permit, Progress, Sent, Target},
    inventory::{Inventory, InventoryBuilder},
    kind::{CloudError, Fault, Kind},
    model::{CloudId, Scope},
    observe::{self, Fields, Observed},
    policy::Keep,
};
use sweeper_emulator::{Call, Emulator, FaultKind, Options, Org};

const SUB: &str = "11111111-1111-1111-1111-111111111111";

/// Every kind to which something may be done, with what holds it, locks it or comes from it.
const ORG: &str = r#"
[[account]]
cloud = "azure"
id = "11111111-1111-1111-1111-111111111111"
name = "shop"
regions = ["westeurope"]

[[account]]
cloud = "azure"
id = "22222222-2222-2222-2222-222222222222"
name = "sealed"
regions = ["westeurope"]

[[resource]]
kind = "azure.lock"
account = "22222222-2222-2222-2222-222222222222"
id = "seal"

[[resource]]
kind = "azure.compute-disk"
account = "22222222-2222-2222-2222-222222222222"
id = "sealed"

[[resource]]
kind = "azure.resource-group"
account = "11111111-1111-1111-1111-111111111111"
id = "frozen"
lock = "ReadOnly"

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
group = "frozen"
id = "in-frozen"

[[resource]]
kind = "azure.compute-vm"
account = "11111111-1111-1111-1111-111111111111"
group = "frozen"
id = "vm-in-frozen"

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
id = "locked"
lock = "CanNotDelete"

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
group = "Shop"
id = "disk"
created = "-90d"
size = 100
tier = "P30"
zones = ["2"]
polls = 2
tags = { owner = "ann", "a.b" = "" }
properties = { networkAccessPolicy = "DenyAll", hyperVGeneration = "V2", encryption = { type = "EncryptionAtRestWithCustomerKey", diskEncryptionSetId = "/keys/k" } }

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
id = "ultra"
sku = "UltraSSD_LRS"
iops = 4000
mbps = 200
zones = ["1"]

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
id = "uncopied"
copy_fails = "InternalExecutionError"

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
id = "stuck"
fails = "InternalExecutionError"

[[resource]]
kind = "azure.compute-disk"
account = "11111111-1111-1111-1111-111111111111"
id = "attached"

[[resource]]
kind = "azure.compute-vm"
account = "11111111-1111-1111-1111-111111111111"
id = "vm"
os_disk = "attached"
nics = ["nic-of-vm"]
polls = 2

[[resource]]
kind = "azure.compute-snapshot"
account = "11111111-1111-1111-1111-111111111111"
id = "snapshot"

[[resource]]
kind = "azure.compute-image"
account = "11111111-1111-1111-1111-111111111111"
id = "image"

[[resource]]
kind = "azure.compute-gallery"
account = "11111111-1111-1111-1111-111111111111"
id = "gallery"

[[resource]]
kind = "azure.compute-gallery-image"
account = "11111111-1111-1111-1111-111111111111"
gallery = "gallery"
id = "base"

[[resource]]
kind = "azure.compute-gallery-image-version"
account = "11111111-1111-1111-1111-111111111111"
gallery = "gallery"
image = "base"
id = "1.0.0"

[[resource]]
kind = "azure.compute-gallery-image-version"
account = "11111111-1111-1111-1111-111111111111"
gallery = "gallery"
image = "base"
id = "1.1.0"

[[resource]]
kind = "azure.network-public-ip"
account = "11111111-1111-1111-1111-111111111111"
id = "ip"

[[resource]]
kind = "azure.network-public-ip"
account = "11111111-1111-1111-1111-111111111111"
id = "ip-of-nic"

[[resource]]
kind = "azure.network-public-ip"
account = "11111111-1111-1111-1111-111111111111"
id = "ip-of-nat"

[[resource]]
kind = "azure.network-interface"
account = "11111111-1111-1111-1111-111111111111"
id = "nic"
public_ips = ["ip-of-nic"]
tags = { owner = "ann" }

[[resource]]
kind = "azure.network-interface"
account = "11111111-1111-1111-1111-111111111111"
id = "nic-of-vm"

[[resource]]
kind = "azure.network-load-balancer"
account = "11111111-1111-1111-1111-111111111111"
id = "balancer"

[[resource]]
kind = "azure.network-nat-gateway"
account = "11111111-1111-1111-1111-111111111111"
id = "nat"
public_ips = ["ip-of-nat"]

[[resource]]
kind = "azure.network-nat-gateway"
account = "11111111-1111-1111-1111-111111111111"
id = "nat-in-use"

[[resource]]
kind = "azure.network-virtual-network"
account = "11111111-1111-1111-1111-111111111111"
id = "net"
subnets = [{ name = "default", nat = "nat-in-use" }]

[[resource]]
kind = "azure.app-service-plan"
account = "11111111-1111-1111-1111-111111111111"
id = "plan"
sku = "B1"

[[resource]]
kind = "azure.app-service-plan"
account = "11111111-1111-1111-1111-111111111111"
id = "plan-in-use"

[[resource]]
kind = "azure.web-app"
account = "11111111-1111-1111-1111-111111111111"
id = "app"
plan = "plan-in-use"

[[resource]]
kind = "azure.sql-server"
account = "11111111-1111-1111-1111-111111111111"
id = "sql"

[[resource]]
kind = "azure.sql-elastic-pool"
account = "11111111-1111-1111-1111-111111111111"
server = "sql"
id = "pool"

[[resource]]
kind = "azure.sql-elastic-pool"
account = "11111111-1111-1111-1111-111111111111"
server = "sql"
id = "pool-in-use"

[[resource]]
kind = "azure.sql-database"
account = "11111111-1111-1111-1111-111111111111"
server = "sql"
id = "orders"
pool = "pool-in-use"

[[resource]]
kind = "azure.postgres-flexible-server"
account = "11111111-1111-1111-1111-111111111111"
id = "pg"

[[resource]]
kind = "azure.acr-registry"
account = "11111111-1111-1111-1111-111111111111"
id = "images"
soft_delete = 14

[[resource]]
kind = "azure.acr-manifest"
account = "11111111-1111-1111-1111-111111111111"
registry = "images"
repository = "team/web"
id = "plain"
tags_list = ["1.0", "stable"]

[[resource]]
kind = "azure.acr-manifest"
account = "11111111-1111-1111-1111-111111111111"
registry = "images"
repository = "team/web"
id = "child"

[[resource]]
kind = "azure.acr-manifest"
account = "11111111-1111-1111-1111-111111111111"
registry = "images"
repository = "team/web"
id = "index"
media = "index"
children = ["child"]
tags_list = ["2.0"]

[[resource]]
kind = "azure.acr-manifest"
account = "11111111-1111-1111-1111-111111111111"
registry = "images"
repository = "team/web"
id = "signed"

[[resource]]
kind = "azure.acr-manifest"
account = "11111111-1111-1111-1111-111111111111"
registry = "images"
repository = "team/web"
id = "signature"
media = "artifact"
subject = "signed"

[[resource]]
kind = "azure.acr-manifest"
account = "11111111-1111-1111-1111-111111111111"
registry = "images"
repository = "team/web"
id = "sealed-image"
locked = true
"#;

/// The emulator, and Azure connected to it.
struct World {
    emulator: Emulator,
    azure: Arc<Azure>,
    calls: Calls,
}

impl World {
    async fn new() -> Self {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let emulator = Emulator::start(Org::parse(ORG).unwrap(), Options::new(now)).await.unwrap();
        let limits = Limits { tries: 1, backoff: Duration::from_millis(1), ..Limits::default() };
        let calls = Calls::new(Arc::new(SystemClock::default()), limits);
        let config = Config { endpoint: Some(emulator.url()), ..Config::default() };
        let azure = universe::open(&config, &Env::default(), calls.clone()).unwrap();
        azure.about(&BTreeSet::from([SUB.to_owned(), "22222222-2222-2222-2222-222222222222".to_owned()]));
        Self { emulator, azure: Arc::new(azure), calls }
    }

    fn kind(&self, id: &str) -> Arc<dyn Kind> {
        kinds::all(&self.azure).into_iter().find(|kind| kind.spec().id == id).unwrap()
    }

    fn site(&self, account: &str) -> Site {
        self.calls.site(&Scope::new(CloudId::Azure, account, Scope::GLOBAL))
    }

    /// A listing of a kind in a subscription, as a run begins with.
    async fn listed(&self, kind: &Arc<dyn Kind>, account: &str) -> Inventory {
        let spec = kind.spec();
        let mut builder = InventoryBuilder::new(&[spec]);
        let site = self.site(account);
        let mut listing = builder.listing(spec, site.scope());
        kind.enumerate(&site, &mut listing).await.unwrap();
        builder.complete(listing, 1);
        builder.build()
    }

    /// A resource as a plan names it, and what it looked like.
    async fn planned(&self, kind: &str, name: &str) -> (Target, Fields) {
        for account in [SUB, "22222222-2222-2222-2222-222222222222"] {
            // Each run lists anew.
            let fresh = Self::connected(&self.emulator, &self.calls);
            let world = kinds::all(&fresh).into_iter().find(|one| one.spec().id == kind).unwrap();
            let inventory = self.listed(&world, account).await;
            let ends = |id: &str| id.ends_with(&format!("/{name}")) || id.ends_with(&format!("@{name}"));
            if let Some(one) = inventory.resources().find(|one| ends(one.native_id())) {
                let target = Target {
                    kind: kind.to_owned(),
                    cloud: CloudId::Azure,
                    account: account.to_owned(),
                    region: one.region().to_owned(),
                    listed_in: one.scope().region.clone(),
                    native_id: one.native_id().to_owned(),
                    uid: one.uid().to_owned(),
                    name: one.name().to_owned(),
                    created: one.created(),
                };
                return (target, observe::fields(one));
            }
        }
        panic!("no {kind} {name}");
    }

    fn connected(emulator: &Emulator, calls: &Calls) -> Arc<Azure> {
        let config = Config { endpoint: Some(emulator.url()), ..Config::default() };
        let azure = universe::open(&config, &Env::default(), calls.clone()).unwrap();
        azure.about(&BTreeSet::from([SUB.to_owned(), "22222222-2222-2222-2222-222222222222".to_owned()]));
        Arc::new(azure)
    }

    async fn target(&self, kind: &str, name: &str) -> Target {
        self.planned(kind, name).await.0
    }

    /// Reads one resource again.
    async fn seen(&self, target: &Target) -> Result<Option<Fields>, CloudError> {
        let kind = self.kind(&target.kind);
        let mut builder = InventoryBuilder::new(&[kind.spec()]);
        let site = self.site(&target.account);
        let mut listing = builder.listing(kind.spec(), &target.scope());
        kind.observe(&site, target, &mut listing).await?;
        builder.complete(listing, 1);
        let seen = Observed::of(builder.build(), kind.spec(), target)?;
        Ok(seen.resource().map(observe::fields))
    }

    fn permit(&self, target: &Target, deed: Deed) -> Permit {
        testing::permit(self.kind(&target.kind).spec(), target.clone(), deed, None).unwrap()
    }

    async fn act(&self, permit: &Permit) -> Result<Sent, CloudError> {
        let kind = self.kind(&permit.target().kind);
        kind.act(&Pen::new(&self.site(&permit.target().account), permit)).await
    }

    async fn progress(&self, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let kind = self.kind(&permit.target().kind);
        kind.progress(&self.site(&permit.target().account), permit, sent).await
    }

    /// Watches a deed to its end.
    async fn ended(&self, permit: &Permit, sent: &Sent) -> Progress {
        for _ in 0..20 {
            match self.progress(permit, sent).await.unwrap() {
                Progress::Running => {}
                ended => return ended,
            }
        }
        Progress::Running
    }

    /// Does a deed and watches it to its end.
    async fn done(&self, target: &Target, deed: Deed) -> Progress {
        let permit = self.permit(target, deed);
        let sent = self.act(&permit).await.unwrap();
        self.ended(&permit, &sent).await
    }

    /// The changes that were sent, in the emulator's own words.
    fn changes(&self) -> Vec<Call> {
        let changes = |call: &Call| {
            ["delete", "write", "action"].contains(&call.permission.rsplit('/').next().unwrap_or_default())
        };
        self.emulator.journal().into_iter().filter(changes).collect()
    }

    fn set(&self, id: &str, key: &str, value: Value) {
        assert!(self.emulator.set(id, &Map::from_iter([(key.to_owned(), value)])) > 0);
    }
}

fn fault(permission: &str, kind: FaultKind) -> sweeper_emulator::Fault {
    sweeper_emulator::Fault { permission: Some(permission.to_owned()), ..sweeper_emulator::Fault::new(kind) }
}

fn digest(target: &Target) -> String {
    target.native_id.rsplit('@').next().unwrap().to_owned()
}

/// The image with an id of the organisation.
async fn image(world: &World, tag_or_digest: &str) -> Target {
    let kind = world.kind("azure.acr-manifest");
    let inventory = world.listed(&kind, SUB).await;
    let one = inventory
        .resources()
        .find(|one| one.name().ends_with(&format!(":{tag_or_digest}")) || one.native_id().ends_with(tag_or_digest))
        .unwrap();
    Target {
        kind: "azure.acr-manifest".to_owned(),
        cloud: CloudId::Azure,
        account: SUB.to_owned(),
        region: one.region().to_owned(),
        listed_in: one.scope().region.clone(),
        native_id: one.native_id().to_owned(),
        uid: one.uid().to_owned(),
        name: one.name().to_owned(),
        created: one.created(),
    }
}

/// One of every kind to which something may be done, free to be deleted.
const FREE: &[(&str, &str)] = &[
    ("azure.app-service-plan", "plan"),
    ("azure.compute-disk", "disk"),
    ("azure.compute-gallery-image-version", "1.0.0"),
    ("azure.compute-image", "image"),
    ("azure.compute-snapshot", "snapshot"),
    ("azure.compute-vm", "vm"),
    ("azure.network-interface", "nic"),
    ("azure.network-load-balancer", "balancer"),
    ("azure.network-nat-gateway", "nat"),
    ("azure.network-public-ip", "ip"),
    ("azure.postgres-flexible-server", "pg"),
    ("azure.sql-elastic-pool", "pool"),
];

fn deed(kind: DeedKind) -> Deed {
    match kind {
        DeedKind::Tag => Deed::Tag { key: "sweeper-condemned".to_owned(), value: "plan".to_owned() },
        DeedKind::Untag => Deed::Untag { key: "sweeper-condemned".to_owned() },
        DeedKind::Stop => Deed::Stop,
        DeedKind::Start => Deed::Start,
        DeedKind::Delete => Deed::Delete,
        DeedKind::SetRetention => Deed::SetRetention { days: Some(30) },
        DeedKind::Copy => Deed::Copy { keep: Keep::Definition, tags: BTreeMap::new() },
        DeedKind::Restore => Deed::Restore {
            kept: Kept { kind: String::new(), native_id: String::new(), until: None, recipe: BTreeMap::new() },
        },
    }
}

#[tokio::test]
async fn one_that_is_read_again_looks_as_it_was_listed() {
    let world = World::new().await;
    let mut compared = 0;
    for kind in kinds::all(&world.azure).into_iter().filter(|kind| !kind.spec().acts.is_empty()) {
        let inventory = world.listed(&kind, SUB).await;
        for one in inventory.resources() {
            let target = Target {
                kind: kind.spec().id.to_owned(),
                cloud: CloudId::Azure,
                account: SUB.to_owned(),
                region: one.region().to_owned(),
                listed_in: one.scope().region.clone(),
                native_id: one.native_id().to_owned(),
                uid: one.uid().to_owned(),
                name: one.name().to_owned(),
                created: one.created(),
            };
            let now = world.seen(&target).await.unwrap();
            let now = now.unwrap_or_else(|| panic!("{} is gone", target.id()));
            assert_eq!(observe::changed(&observe::fields(one), &now), None, "{}", target.id());
            compared += 1;
        }
    }
    assert!(compared >= 30, "{compared}");
}

#[tokio::test]
async fn what_is_gone_is_seen_to_be_gone_and_what_is_unreadable_is_not() {
    let world = World::new().await;
    for (kind, name) in FREE {
        let target = world.target(kind, name).await;
        world.emulator.set_faults(vec![sweeper_emulator::Fault::new(FaultKind::Denied)]);
        assert!(world.seen(&target).await.is_err(), "{kind}");
        world.emulator.set_faults(vec![sweeper_emulator::Fault::new(FaultKind::Html)]);
        assert!(world.seen(&target).await.is_err(), "{kind}");
        world.emulator.set_faults(Vec::new());
        assert!(world.emulator.remove(name) > 0);
        assert_eq!(world.seen(&target).await.unwrap(), None, "{kind}");
        let elsewhere = Target { account: "33333333-3333-3333-3333-333333333333".to_owned(), ..target.clone() };
        assert!(world.seen(&elsewhere).await.is_err(), "{kind}: of another subscription");
    }
}

/// Each deed sends what it declares, to what its permit names, and nothing else.
#[tokio::test]
async fn deeds_send_what_they_declare() {
    let mut golden = Vec::new();
    for (kind, name) in FREE {
        let world = World::new().await;
        let spec = world.kind(kind).spec();
        let target = world.target(kind, name).await;
        for act in spec.acts.iter().filter(|act| act.deed != DeedKind::Restore) {
            if act.deed == DeedKind::Copy && act.keeps == [Keep::Snapshot] {
                continue;
            }
            world.emulator.clear_journal();
            let permit = world.permit(&target, deed(act.deed));
            let sent = world.act(&permit).await.unwrap_or_else(|error| panic!("{kind} {}: {error}", act.deed.name()));
            let ended = world.ended(&permit, &sent).await;
            assert!(matches!(ended, Progress::Done(_)), "{kind} {}: {ended:?}", act.deed.name());
            let changes = world.changes();
            assert_eq!(changes.len(), act.writes.len(), "{kind} {}", act.deed.name());
            for call in &changes {
                assert!(act.writes.iter().any(|write| write.permission == call.permission), "{}", call.permission);
                golden.push(format!("{kind} {}: {} {}", act.deed.name(), call.action, call.status));
            }
            let declared = spec.reads.iter().chain(spec.asks).chain(act.reads);
            let declared: BTreeSet<&str> =
                declared.copied().chain(crate::NEEDS.iter().map(|need| need.permission)).collect();
            for call in world.emulator.journal().iter().filter(|call| call.permission.ends_with("/read")) {
                assert!(declared.contains(call.permission.as_str()), "{kind} {}: {}", act.deed.name(), call.permission);
            }
            assert_eq!(call_ids(&changes), if changes.is_empty() { vec![] } else { vec![sent.request.clone()] });
        }
    }
    let expected = include_str!("acts.golden");
    if std::env::var_os("SWEEPER_BLESS").is_some() {
        std::fs::write("src/tests/acts.golden", golden.join("\n") + "\n").unwrap();
    } else {
        assert_eq!(golden.join("\n") + "\n", expected);
    }
}

/// The ids under which the cloud knows the calls.
fn call_ids(calls: &[Call]) -> Vec<String> {
    calls.iter().map(|call| format!("00000000-0000-4000-8000-{:012x}", call.n)).collect()
}

/// A request of one deed, under the permit of another resource, kind, subscription or deed, does not leave.
#[tokio::test]
async fn nothing_leaves_under_another_permit() {
    let world = World::new().await;
    let mut permits = Vec::new();
    for (kind, name) in FREE {
        let target = world.target(kind, name).await;
        for act in world.kind(kind).spec().acts {
            permits.push(world.permit(&target, deed(act.deed)));
        }
    }
    permits.push(world.permit(&world.target("azure.compute-disk", "locked").await, Deed::Delete));
    let plain = image(&world, "1.0").await;
    permits.push(world.permit(&plain, Deed::Delete));
    permits.push(world.permit(&image(&world, "2.0").await, Deed::Delete));
    world.emulator.clear_journal();
    let mut requests = Vec::new();
    for permit in &permits {
        for write in permit.spec().writes {
            let (service, text) = address(permit, write.action);
            let method: reqwest::Method = write.method.parse().unwrap();
            requests.push((permit, write, Request::change(service, method, text.parse().unwrap(), None)));
        }
    }
    let mut tried = 0;
    for (owner, write, request) in &requests {
        for permit in &permits {
            let own = permit.target() == owner.target() && permit.spec().writes.contains(write);
            if own {
                continue;
            }
            let sent = world.azure.transport.change(request, permit).await;
            assert!(
                sent.is_err(),
                "{request:?} under a permit to {} {}",
                permit.deed().kind().name(),
                permit.target().id()
            );
            tried += 1;
        }
        // Nor as a read, by another verb, with more, elsewhere, or without the permit.
        let swapped = |change: &dyn Fn(&mut Request)| {
            let mut request = request.clone();
            change(&mut request);
            request
        };
        for request in [
            swapped(&|request| request.method = reqwest::Method::GET),
            swapped(&|request| {
                request.method = if request.method == reqwest::Method::DELETE {
                    reqwest::Method::PUT
                } else {
                    reqwest::Method::DELETE
                };
            }),
            swapped(&|request| {
                request.url.query_pairs_mut().append_pair("forceDeletion", "true");
            }),
            swapped(&|request| {
                let path = request.url.path().replace(SUB, "22222222-2222-2222-2222-222222222222");
                request.url.set_path(&format!("{path}/x"));
            }),
            swapped(&|request| {
                let path: Vec<String> = request.url.path().split('/').map(str::to_owned).collect();
                // The resource group itself.
                request.url.set_path(&path[..path.len().min(5)].join("/"));
            }),
            swapped(&|request| request.service = Service::Blob),
        ] {
            assert!(world.azure.transport.change(&request, owner).await.is_err(), "{request:?}");
            tried += 1;
        }
        assert!(world.azure.transport.send(request).await.is_err(), "{request:?} as a read");
    }
    assert!(tried > 1000, "{tried}");
    let arrived = world.emulator.journal();
    assert!(arrived.is_empty(), "{} {}", arrived.len(), arrived[0].action);
}

/// The URL of a declared write for a permit's resource.
fn address(permit: &Permit, action: &str) -> (Service, String) {
    let native = &permit.target().native_id;
    if permit.target().kind == "azure.acr-manifest" {
        let (name, digest) = native.rsplit_once('@').unwrap();
        let (host, repository) = name.split_once('/').unwrap();
        let path = action.replacen("{}", repository, 1).replacen("{}", digest, 1);
        return (Service::Acr, format!("https://{host}{path}"));
    }
    let tail = action
        .strip_suffix("/providers/Microsoft.Resources/tags/default")
        .map_or("", |_| "/providers/Microsoft.Resources/tags/default");
    let verb = ["deallocate", "start", "stop"].into_iter().find(|verb| action.ends_with(&format!("/{verb}")));
    let path = match (permit.deed(), verb) {
        (Deed::Copy { .. }, _) => {
            let group = native.split('/').take(5).collect::<Vec<_>>().join("/");
            format!("{group}/providers/Microsoft.Compute/snapshots/copy")
        }
        (_, Some(verb)) => format!("{native}/{verb}"),
        _ => format!("{native}{tail}"),
    };
    (Service::Arm, format!("https://management.azure.com{path}?api-version=2024-01-01"))
}

#[tokio::test]
async fn a_lock_at_any_height_stops_a_deletion_for_good() {
    let world = World::new().await;
    for name in ["sealed", "in-frozen", "locked"] {
        let (target, was) = world.planned("azure.compute-disk", name).await;
        assert!(was["protected"].contains("lock"), "{was:?}");
        let error = world.act(&world.permit(&target, Deed::Delete)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{error}");
        assert!(error.message.starts_with("ScopeLocked: "), "{error}");
        assert!(world.seen(&target).await.unwrap().is_some());
    }
    let machine = world.target("azure.compute-vm", "vm-in-frozen").await;
    let error = world.act(&world.permit(&machine, Deed::Stop)).await.unwrap_err();
    assert!(error.fault == Fault::Refused && error.message.starts_with("ScopeLocked: "), "{error}");
    let touched: Vec<Call> = world
        .emulator
        .journal()
        .into_iter()
        .filter(|call| call.permission.contains("/locks/") && !call.permission.ends_with("/read"))
        .collect();
    assert!(touched.is_empty(), "{touched:?}");
    // A lock that comes after the plan is seen when the resource is read again.
    let (target, was) = world.planned("azure.compute-disk", "disk").await;
    assert_eq!(was.get("protected"), None);
    world.set("disk", "lock", json!("CanNotDelete"));
    let now = world.seen(&target).await.unwrap().unwrap();
    assert_eq!(observe::changed(&was, &now).unwrap().field, "protected");
}

#[tokio::test]
async fn what_is_held_is_refused_once_and_stays() {
    let world = World::new().await;
    for (kind, name, code) in [
        ("azure.compute-disk", "attached", "OperationNotAllowed"),
        ("azure.network-public-ip", "ip-of-nic", "PublicIPAddressCannotBeDeleted"),
        ("azure.network-interface", "nic-of-vm", "NicInUse"),
        ("azure.network-nat-gateway", "nat-in-use", "CannotDeleteNatGatewayAssociatedToSubnet"),
        ("azure.app-service-plan", "plan-in-use", "Conflict"),
        ("azure.sql-elastic-pool", "pool-in-use", "ElasticPoolNotEmpty"),
    ] {
        let target = world.target(kind, name).await;
        world.emulator.clear_journal();
        let error = world.act(&world.permit(&target, Deed::Delete)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{kind}: {error}");
        assert!(error.message.starts_with(code), "{kind}: {error}");
        // Sent once; no detaching, no force, no second try.
        assert_eq!(world.changes().len(), 1, "{kind}");
        assert!(world.seen(&target).await.unwrap().is_some(), "{kind}");
    }
}

#[tokio::test]
async fn another_under_the_same_name_is_not_touched() {
    let world = World::new().await;
    for (kind, name, key) in [
        ("azure.compute-disk", "disk", "unique_id"),
        ("azure.compute-snapshot", "snapshot", "unique_id"),
        ("azure.compute-vm", "vm", "vm_id"),
        ("azure.network-public-ip", "ip", "unique_id"),
        ("azure.network-interface", "nic", "unique_id"),
    ] {
        let target = world.target(kind, name).await;
        world.set(name, key, json!("another"));
        for act in
            world.kind(kind).spec().acts.iter().filter(|act| !act.writes.is_empty() && act.deed != DeedKind::Restore)
        {
            let deed = match act.deed {
                DeedKind::Copy => Deed::Copy { keep: Keep::Snapshot, tags: BTreeMap::new() },
                other => deed(other),
            };
            let error = world.act(&world.permit(&target, deed)).await.unwrap_err();
            assert_eq!(error.fault, Fault::Refused, "{kind} {}: {error}", act.deed.name());
        }
        // Ours is gone, whatever has its name.
        let permit = world.permit(&target, Deed::Delete);
        assert_eq!(world.progress(&permit, &Sent::default()).await.unwrap(), Progress::Done(None), "{kind}");
    }
    assert!(world.changes().is_empty());
}

#[tokio::test]
async fn what_is_already_gone_needs_no_call() {
    let world = World::new().await;
    for (kind, name) in FREE.iter().filter(|(kind, _)| *kind != "azure.postgres-flexible-server") {
        let target = world.target(kind, name).await;
        world.emulator.remove(name);
        let permit = world.permit(&target, Deed::Delete);
        let sent = world.act(&permit).await.unwrap();
        assert_eq!(world.progress(&permit, &sent).await.unwrap(), Progress::Done(None), "{kind}");
    }
    assert!(world.changes().is_empty());
}

#[tokio::test]
async fn accepted_is_not_deleted() {
    let world = World::new().await;
    let target = world.target("azure.compute-disk", "disk").await;
    let permit = world.permit(&target, Deed::Delete);
    let sent = world.act(&permit).await.unwrap();
    assert!(!sent.handle.is_empty() && !sent.request.is_empty());
    assert_eq!(world.progress(&permit, &sent).await.unwrap(), Progress::Running);
    assert_eq!(world.ended(&permit, &sent).await, Progress::Done(None));
    let stuck = world.target("azure.compute-disk", "stuck").await;
    let Progress::Failed(why) = world.done(&stuck, Deed::Delete).await else { panic!() };
    assert!(why.contains("InternalExecutionError"), "{why}");
    // Nothing is known of the request: what there is says it.
    let ultra = world.target("azure.compute-disk", "ultra").await;
    let permit = world.permit(&ultra, Deed::Delete);
    world.act(&permit).await.unwrap();
    assert_eq!(world.ended(&permit, &Sent::default()).await, Progress::Done(None));
}

#[tokio::test]
async fn an_operation_is_only_followed_where_a_token_may_go() {
    let world = World::new().await;
    let target = world.target("azure.compute-disk", "disk").await;
    let permit = world.permit(&target, Deed::Delete);
    for handle in
        ["https://evil.example/operations/1", "http://169.254.169.254/", "//evil.example/x", "file:///etc/passwd"]
    {
        world.emulator.clear_journal();
        let sent = Sent { request: String::new(), handle: handle.to_owned() };
        assert!(world.progress(&permit, &sent).await.is_err(), "{handle}");
        assert!(world.emulator.journal().is_empty());
    }
}

#[tokio::test]
async fn lost_and_unreadable_answers_leave_open_whether_it_happened() {
    let permission = "Microsoft.Compute/disks/delete";
    for (kind, fault_meant, happened) in [
        (FaultKind::Cut, Fault::Transient, true),
        (FaultKind::Html, Fault::Transient, false),
        (FaultKind::Error500, Fault::Transient, false),
        (FaultKind::Denied, Fault::Denied, false),
        (FaultKind::Throttle, Fault::Throttled, false),
        (FaultKind::ExpiredToken, Fault::Unauthenticated, false),
    ] {
        let world = World::new().await;
        let target = world.target("azure.compute-disk", "ultra").await;
        world.emulator.set_faults(vec![fault(permission, kind)]);
        let permit = world.permit(&target, Deed::Delete);
        match world.act(&permit).await {
            Err(error) => assert_eq!(error.fault, fault_meant, "{kind}: {error}"),
            // A deletion that was accepted has no body to be cut.
            Ok(_) => assert_eq!(kind, FaultKind::Cut),
        }
        assert_eq!(world.changes().len(), 1, "{kind}: sent once");
        world.emulator.set_faults(Vec::new());
        let ended = world.ended(&permit, &Sent::default()).await;
        assert_eq!(ended == Progress::Done(None), happened, "{kind}: {ended:?}");
    }
}

#[tokio::test]
async fn a_disk_comes_back_from_its_snapshot_as_it_was() {
    let world = World::new().await;
    for name in ["disk", "ultra"] {
        let (target, was) = world.planned("azure.compute-disk", name).await;
        let tags = BTreeMap::from([("sweeper-plan".to_owned(), "p".to_owned())]);
        let copy = world.permit(&target, Deed::Copy { keep: Keep::Snapshot, tags });
        let sent = world.act(&copy).await.unwrap();
        assert_eq!(world.progress(&copy, &sent).await.unwrap(), Progress::Running, "{name}: not before it is whole");
        let Progress::Done(Some(kept)) = world.ended(&copy, &sent).await else { panic!("{name}") };
        // Tried again it is the same copy.
        let again = world.act(&copy).await.unwrap();
        assert_eq!(world.ended(&copy, &again).await, Progress::Done(Some(kept.clone())));
        assert_eq!(
            world.listed(&world.kind("azure.compute-snapshot"), SUB).await.len(),
            if name == "disk" { 2 } else { 3 }
        );
        assert_eq!(kept.kind, "azure.compute-snapshot");
        assert!(kept.native_id.to_ascii_lowercase().starts_with(&target.native_id.to_ascii_lowercase()[..70]));
        assert_eq!(world.done(&target, Deed::Delete).await, Progress::Done(None));
        assert_eq!(world.seen(&target).await.unwrap(), None);
        let back = world.done(&target, Deed::Restore { kept: kept.clone() }).await;
        let Progress::Done(Some(made)) = back else { panic!("{name}: {back:?}") };
        assert_eq!(made.native_id, target.native_id);
        let now = world.seen(&target).await.unwrap().unwrap();
        let differ = |fields: &Fields| {
            let mut fields = fields.clone();
            for own in ["uid", "created", "source_snapshot"] {
                fields.remove(own);
            }
            fields
        };
        assert_eq!(differ(&now), differ(&was), "{name}");
        assert_ne!(now["uid"], was["uid"]);
        // Over what is there nothing is restored.
        let error = world.act(&world.permit(&target, Deed::Restore { kept })).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused);
    }
    let disk: Value = world
        .azure
        .get(
            &world.site(SUB),
            "Microsoft.Compute/disks/read",
            &world.target("azure.compute-disk", "disk").await.native_id,
            "2024-03-02",
        )
        .await
        .unwrap();
    assert_eq!(disk["zones"], json!(["2"]));
    let own = &disk["properties"];
    assert_eq!((&own["networkAccessPolicy"], &own["hyperVGeneration"]), (&json!("DenyAll"), &json!("V2")));
    assert_eq!(own["encryption"]["diskEncryptionSetId"], json!("/keys/k"));
    let snapshots: Value = world
        .azure
        .get(
            &world.site(SUB),
            "Microsoft.Compute/snapshots/read",
            &format!("/subscriptions/{SUB}/providers/Microsoft.Compute/snapshots"),
            "2024-03-02",
        )
        .await
        .unwrap();
    let copies = snapshots["value"].as_array().unwrap();
    let copy = copies
        .iter()
        .find(|one| one["name"].as_str().unwrap().starts_with("sweeper-") && one["properties"]["diskSizeGB"] == 100)
        .unwrap();
    assert_eq!(copy["tags"], json!({ "sweeper-plan": "p" }));
    // Nobody may read the copy who may not read the disk.
    assert_eq!(copy["properties"]["networkAccessPolicy"], json!("DenyAll"));
    assert_eq!(copy["properties"]["encryption"]["diskEncryptionSetId"], json!("/keys/k"));
}

#[tokio::test]
async fn a_copy_that_fails_or_is_of_something_else_is_none() {
    let world = World::new().await;
    let copied = |target: Target| {
        let world = &world;
        async move {
            let copy = world.permit(&target, Deed::Copy { keep: Keep::Snapshot, tags: BTreeMap::new() });
            let sent = world.act(&copy).await.unwrap();
            (copy, sent)
        }
    };
    let (copy, sent) = copied(world.target("azure.compute-disk", "uncopied").await).await;
    assert!(matches!(world.ended(&copy, &sent).await, Progress::Failed(_)));
    let (copy, sent) = copied(world.target("azure.compute-disk", "ultra").await).await;
    let name = format!("sweeper-{}", copy.token());
    for (key, value, what) in [
        ("size", json!(0), "empty"),
        ("source_unique", json!("another"), "of another disk"),
        ("properties", json!({ "completionPercent": 40.0 }), "not whole"),
    ] {
        let before = json!({ "size": 128, "source_unique": copy.target().uid, "properties": {} });
        assert!(matches!(world.ended(&copy, &sent).await, Progress::Done(Some(_))), "{what}");
        world.set(&name, key, value);
        assert!(!matches!(world.progress(&copy, &sent).await.unwrap(), Progress::Done(_)), "{what}");
        world.set(&name, key, before[key].clone());
    }
}

#[tokio::test]
async fn machines_are_deallocated_and_started_again() {
    let world = World::new().await;
    let (target, was) = world.planned("azure.compute-vm", "vm").await;
    assert_eq!(was["state"], "running");
    assert_eq!(world.done(&target, Deed::Stop).await, Progress::Done(None));
    assert_eq!(world.seen(&target).await.unwrap().unwrap()["state"], "deallocated");
    world.set("vm", "fails", json!("AllocationFailed"));
    let Progress::Failed(why) = world.done(&target, Deed::Start).await else { panic!() };
    assert!(why.starts_with("AllocationFailed"), "{why}");
    world.set("vm", "fails", Value::Null);
    assert_eq!(world.done(&target, Deed::Start).await, Progress::Done(None));
    assert_eq!(observe::changed(&was, &world.seen(&target).await.unwrap().unwrap()), None);
}

#[tokio::test]
async fn what_is_kept_as_a_definition_is_made_again() {
    let world = World::new().await;
    for (kind, name) in [
        ("azure.network-interface", "nic"),
        ("azure.network-load-balancer", "balancer"),
        ("azure.network-nat-gateway", "nat"),
        ("azure.app-service-plan", "plan"),
    ] {
        let (target, was) = world.planned(kind, name).await;
        let Progress::Done(Some(kept)) = world.done(&target, deed(DeedKind::Copy)).await else { panic!("{kind}") };
        assert_eq!(world.done(&target, Deed::Delete).await, Progress::Done(None), "{kind}");
        let back = world.done(&target, Deed::Restore { kept }).await;
        assert!(matches!(back, Progress::Done(Some(_))), "{kind}: {back:?}");
        let mut now = world.seen(&target).await.unwrap().unwrap();
        for own in ["uid", "created"] {
            now.insert(own.to_owned(), was.get(own).cloned().unwrap_or_default());
            now.retain(|_, value| !value.is_empty() || own != "created");
        }
        let mut was = was;
        was.retain(|_, value| !value.is_empty());
        now.retain(|_, value| !value.is_empty());
        assert_eq!(now, was, "{kind}");
    }
}

#[tokio::test]
async fn tags_are_put_and_taken_away_alone() {
    let world = World::new().await;
    let (target, was) = world.planned("azure.compute-disk", "disk").await;
    let put = Deed::Tag { key: "sweeper-condemned".to_owned(), value: "p".to_owned() };
    assert_eq!(world.done(&target, put).await, Progress::Done(None));
    let now = world.seen(&target).await.unwrap().unwrap();
    let change = observe::changed(&was, &now).unwrap();
    assert_eq!((change.field.as_str(), change.is.as_str()), ("tag:sweeper-condemned", "p"));
    let off = Deed::Untag { key: "sweeper-condemned".to_owned() };
    assert_eq!(world.done(&target, off).await, Progress::Done(None));
    assert_eq!(world.seen(&target).await.unwrap().unwrap(), was);
}

#[tokio::test]
async fn images_go_by_digest_alone_and_come_back_from_the_bin() {
    let world = World::new().await;
    let target = image(&world, "1.0").await;
    let others = || async { world.listed(&world.kind("azure.acr-manifest"), SUB).await.len() };
    assert_eq!(others().await, 6);
    let Progress::Done(Some(kept)) = world.done(&target, Deed::Delete).await else { panic!() };
    assert_eq!(kept.until.unwrap().to_string(), "2026-12-04T12:00:00Z");
    assert_eq!(world.seen(&target).await.unwrap(), None);
    assert_eq!(others().await, 5);
    assert_eq!(world.changes().len(), 1);
    let back = world.done(&target, Deed::Restore { kept }).await;
    assert!(matches!(back, Progress::Done(Some(_))), "{back:?}");
    assert!(world.seen(&target).await.unwrap().is_some());
    assert_eq!(image(&world, "1.0").await.native_id, target.native_id);
}

#[tokio::test]
async fn parts_of_an_index_and_what_is_signed_or_locked_stay() {
    let world = World::new().await;
    let kind = world.kind("azure.acr-manifest");
    let inventory = world.listed(&kind, SUB).await;
    let mut refused = Vec::new();
    for one in inventory.resources() {
        let target = image(&world, one.native_id()).await;
        if let Err(error) = world.act(&world.permit(&target, Deed::Delete)).await {
            assert_eq!(error.fault, Fault::Refused, "{error}");
            refused.push(error.message.split(" sha256").next().unwrap().to_owned());
        }
    }
    refused.sort();
    // The signature went before or after what it signs, by the order of digests: then nothing refers to that.
    assert!(refused.contains(&"locked against deletion".to_owned()), "{refused:?}");
    let left: BTreeSet<String> =
        world.listed(&kind, SUB).await.resources().map(|one| one.native_id().to_owned()).collect();
    assert!(!left.is_empty());
    // A tag is never what is deleted.
    let tagged =
        Target { native_id: "images.azurecr.io/team/web@2.0".to_owned(), ..image(&world, left.first().unwrap()).await };
    assert_eq!(world.act(&world.permit(&tagged, Deed::Delete)).await.unwrap_err().fault, Fault::Refused);
}

#[tokio::test]
async fn a_part_of_a_living_index_is_never_deleted() {
    let world = World::new().await;
    let index = image(&world, "2.0").await;
    let body = manifest_of(&world, &index).await;
    let child = image(&world, body["manifests"][0]["digest"].as_str().unwrap()).await;
    let error = world.act(&world.permit(&child, Deed::Delete)).await.unwrap_err();
    assert!(error.message.contains("part of the index") && error.message.contains(&digest(&index)), "{error}");
    // An index that cannot be read may have it as a part.
    world.emulator.set_faults(vec![sweeper_emulator::Fault {
        action: Some("ContainerRegistry_GetManifest".to_owned()),
        ..sweeper_emulator::Fault::new(FaultKind::Error500)
    }]);
    assert!(world.act(&world.permit(&child, Deed::Delete)).await.is_err());
    world.emulator.set_faults(Vec::new());
    assert!(world.changes().is_empty());
    // Without the index it is one like others.
    assert!(matches!(world.done(&index, Deed::Delete).await, Progress::Done(_)));
    assert!(matches!(world.done(&child, Deed::Delete).await, Progress::Done(_)));
}

/// The manifest of an image, as it was pushed.
async fn manifest_of(world: &World, target: &Target) -> Value {
    let (name, digest) = target.native_id.rsplit_once('@').unwrap();
    let (host, repository) = name.split_once('/').unwrap();
    let site = world.site(SUB);
    let registry = crate::acr::Registry::enter(&world.azure, &site, host).await.unwrap();
    let token = registry.repository(repository).await.unwrap();
    serde_json::from_slice(&registry.manifest(&token, repository, digest).await.unwrap().body).unwrap()
}
