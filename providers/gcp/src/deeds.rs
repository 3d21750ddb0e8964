//! Tests of deeds: what each sends, what it meets, and what never gets past the transport.

use crate::{
    auth::{Config, entered},
    canned::{Canned, PROJECT},
    kinds::SPECS,
    rest::{Request, Service},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use sweeper_core::{
    apply::testing::permit,
    calls::{Calls, Limits},
    clock::SystemClock,
    deed::{Deed, DeedKind, Kept, Pen, Permit, Progress, Sent, Target},
    inventory::{Inventory, InventoryBuilder},
    kind::{Cloud, CloudError, Fault, Kind, KindSpec},
    model::{CloudId, Scope},
    observe::{self, Fields, Observed},
    policy::Keep,
};
use sweeper_emulator::{Emulator, Fault as Weather, FaultKind, Options, Org};

fn spec(id: &str) -> &'static KindSpec {
    SPECS.iter().copied().find(|spec| spec.id == id).unwrap()
}

fn kind<'a>(cloud: &'a Arc<dyn Cloud>, id: &str) -> &'a Arc<dyn Kind> {
    cloud.kinds().iter().find(|kind| kind.spec().id == id).unwrap()
}

/// Leave for a deed.
fn leave(target: &Target, deed: Deed) -> Permit {
    permit(spec(&target.kind), target.clone(), deed, None).unwrap()
}

/// An organisation, and the provider in front of it.
struct Stage {
    emulator: Emulator,
    cloud: Arc<dyn Cloud>,
    calls: Calls,
}

impl Stage {
    async fn new(org: &str) -> Self {
        let org = format!("[[account]]\ncloud = \"gcp\"\nid = \"p\"\nregions = [\"us-central1\"]\n{org}");
        let now = "2026-06-15T00:00:00Z".parse().unwrap();
        let emulator = Emulator::start(Org::parse(&org).unwrap(), Options::new(now)).await.unwrap();
        let limits = Limits { tries: 2, backoff: Duration::from_millis(1), ..Limits::default() };
        let calls = Calls::new(Arc::new(SystemClock::default()), limits);
        let config = Config {
            projects: BTreeSet::from([PROJECT.to_owned()]),
            endpoint: Some(emulator.url()),
            ..Config::default()
        };
        let cloud = crate::connect(config, calls.clone()).await;
        Self { emulator, cloud, calls }
    }

    async fn list(&self, id: &str) -> Inventory {
        // As a run does, so that nothing is remembered of the one before.
        self.cloud.universe().await.unwrap();
        let kind = kind(&self.cloud, id);
        let scope = Scope::new(CloudId::Gcp, PROJECT, Scope::GLOBAL);
        let mut builder = InventoryBuilder::new(&[kind.spec()]);
        let mut listing = builder.listing(kind.spec(), &scope);
        let site = self.calls.site(&scope);
        kind.enumerate(&site, &mut listing).await.unwrap();
        builder.complete(listing, site.made());
        builder.build()
    }

    /// Everything of a kind, as a plan names it, with what it looks like.
    async fn all(&self, id: &str) -> Vec<(Target, Fields)> {
        let inventory = self.list(id).await;
        let named = inventory.resources().map(|resource| {
            let target = Target {
                kind: id.to_owned(),
                cloud: CloudId::Gcp,
                account: resource.account().to_owned(),
                region: resource.region().to_owned(),
                listed_in: resource.scope().region.clone(),
                native_id: resource.native_id().to_owned(),
                uid: resource.uid().to_owned(),
                name: resource.name().to_owned(),
                created: resource.created(),
            };
            (target, observe::fields(resource))
        });
        named.collect()
    }

    async fn one(&self, id: &str, name: &str) -> Target {
        let found = self.all(id).await.into_iter().find(|(target, _)| target.native_id.contains(name));
        found.unwrap_or_else(|| panic!("no {id} {name}")).0
    }

    async fn observe(&self, target: &Target) -> Result<Option<Fields>, CloudError> {
        let kind = kind(&self.cloud, &target.kind);
        let site = self.calls.site(&target.scope());
        let mut builder = InventoryBuilder::new(&[kind.spec()]);
        let mut listing = builder.listing(kind.spec(), &target.scope());
        kind.observe(&site, target, &mut listing).await?;
        builder.complete(listing, site.made());
        let seen = Observed::of(builder.build(), kind.spec(), target)?;
        Ok(seen.resource().map(observe::fields))
    }

    async fn act(&self, permit: &Permit) -> Result<Sent, CloudError> {
        let site = self.calls.site(&permit.target().scope());
        kind(&self.cloud, &permit.target().kind).act(&Pen::new(&site, permit)).await
    }

    async fn progress(&self, permit: &Permit, sent: &Sent) -> Result<Progress, CloudError> {
        let site = self.calls.site(&permit.target().scope());
        kind(&self.cloud, &permit.target().kind).progress(&site, permit, sent).await
    }

    /// Watches a change to its end, which must come.
    async fn end(&self, permit: &Permit, sent: &Sent) -> Progress {
        for _ in 0..10 {
            match self.progress(permit, sent).await.unwrap() {
                Progress::Running => {}
                over => return over,
            }
        }
        panic!("{:?} does not end", permit.deed());
    }

    /// Does a deed, to its end.
    async fn done(&self, target: &Target, deed: Deed) -> Option<Kept> {
        let permit = leave(target, deed);
        let sent = self.act(&permit).await.unwrap();
        match self.end(&permit, &sent).await {
            Progress::Done(kept) => kept,
            other => panic!("{:?}: {other:?}", permit.deed()),
        }
    }

    async fn refused(&self, target: &Target, deed: Deed) -> CloudError {
        let error = self.act(&leave(target, deed)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{error}");
        error
    }

    fn set(&self, id: &str, key: &str, value: impl Into<serde_json::Value>) {
        let keys = serde_json::Map::from_iter([(key.to_owned(), value.into())]);
        assert!(self.emulator.set(id, &keys) > 0, "{id}");
    }

    /// The permissions of the changes so far, with the status of each.
    fn changes(&self) -> Vec<(String, u16)> {
        let reads = |permission: &str| {
            [".list", ".get", ".getIamPolicy", ".testIamPermissions"].iter().any(|read| permission.ends_with(read))
        };
        let calls = self.emulator.journal().into_iter();
        calls
            .filter(|call| !call.permission.is_empty() && !reads(&call.permission))
            .map(|call| (call.permission, call.status))
            .collect()
    }

    fn weather(&self, kind: FaultKind, permission: &str, times: u32) {
        let fault = Weather { permission: Some(permission.to_owned()), times: Some(times), ..Weather::new(kind) };
        self.emulator.set_faults(vec![fault]);
    }
}

fn copy() -> Deed {
    let tags = BTreeMap::from([("sweeper-until".to_owned(), "2026-07-15".to_owned())]);
    Deed::Copy { keep: Keep::Snapshot, tags }
}

/// One of everything that something may be done to.
const ORG: &str = r#"
[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1-a"
id = "loose"
created = "-90d"
size = 50
type = "hyperdisk-balanced"
iops = 3000
throughput = 140
polls = 3
resource_policies = ["daily"]
tags = { owner = "a", env = "" }
raw = { diskEncryptionKey = { kmsKeyName = "projects/k/locations/us/keyRings/r/cryptoKeys/c/cryptoKeyVersions/3" } }

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1"
id = "both"

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1-a"
id = "boot"

[[resource]]
kind = "gcp.compute-instance"
account = "p"
region = "us-central1-a"
id = "web"
disks = ["boot"]
addresses = ["taken"]
polls = 2

[[resource]]
kind = "gcp.compute-instance"
account = "p"
region = "us-central1-a"
id = "safe"
deletion_protection = true
scratch = 1

[[resource]]
kind = "gcp.compute-snapshot"
account = "p"
id = "old"
source_disk = "gone"
tags = { owner = "a" }

[[resource]]
kind = "gcp.compute-image"
account = "p"
id = "golden"
family = "web"

[[resource]]
kind = "gcp.compute-image"
account = "p"
id = "older"
created = "-400d"
family = "web"

[[resource]]
kind = "gcp.compute-address"
account = "p"
region = "us-central1"
id = "taken"

[[resource]]
kind = "gcp.compute-address"
account = "p"
region = "us-central1"
id = "free"

[[resource]]
kind = "gcp.compute-address"
account = "p"
region = "global"
id = "anycast"

[[resource]]
kind = "gcp.compute-forwarding-rule"
account = "p"
region = "us-central1"
id = "front"

[[resource]]
kind = "gcp.compute-forwarding-rule"
account = "p"
region = "global"
id = "wide"

[[resource]]
kind = "gcp.artifact-repository"
account = "p"
region = "us-central1"
id = "r"
tags = { owner = "a" }

[[resource]]
kind = "gcp.artifact-image"
account = "p"
region = "us-central1"
id = "index"
repository = "r"
image = "team/web"
digest = "sha256:1dec"
tags_list = ["v1"]
children = ["amd"]

[[resource]]
kind = "gcp.artifact-image"
account = "p"
region = "us-central1"
id = "amd"
repository = "r"
image = "team/web"
digest = "sha256:a3d6"

[[resource]]
kind = "gcp.artifact-image"
account = "p"
region = "us-central1"
id = "stray"
repository = "r"
image = "team/web"
digest = "sha256:57a1"
created = "-40d"
size = 1000

[[resource]]
kind = "gcp.artifact-repository"
account = "p"
region = "us-central1"
id = "jars"
format = "MAVEN"

[[resource]]
kind = "gcp.artifact-package-version"
account = "p"
region = "us-central1"
id = "jar"
repository = "jars"
package = "com.example:lib"
version = "1.0"

[[resource]]
kind = "gcp.run-service"
account = "p"
region = "us-central1"
id = "web"
traffic = [{ revision = "web-00001-a", percent = 10 }, { percent = 90 }]
tags = { owner = "a" }
environment = { PASSWORD = "canary-4711" }

[[resource]]
kind = "gcp.run-revision"
account = "p"
region = "us-central1"
id = "web-00001-a"
created = "-90d"
service = "web"

[[resource]]
kind = "gcp.run-revision"
account = "p"
region = "us-central1"
id = "web-00002-b"
created = "-80d"
service = "web"

[[resource]]
kind = "gcp.run-revision"
account = "p"
region = "us-central1"
id = "web-00003-c"
created = "-70d"
service = "web"

[[resource]]
kind = "gcp.run-job"
account = "p"
region = "us-central1"
id = "nightly"
last_execution = "-3d"

[[resource]]
kind = "gcp.function"
account = "p"
region = "us-central1"
id = "hook"
created = "-50d"

[[resource]]
kind = "gcp.sql-instance"
account = "p"
region = "us-central1"
id = "main"
polls = 2
"#;

#[tokio::test]
async fn one_that_is_read_again_looks_as_it_did_in_its_list() {
    let stage = Stage::new(ORG).await;
    let mut seen = 0;
    for spec in SPECS.iter().filter(|spec| !spec.acts.is_empty()) {
        let all = stage.all(spec.id).await;
        assert!(!all.is_empty(), "no {}", spec.id);
        for (target, listed) in all {
            let read = stage.observe(&target).await.unwrap().unwrap_or_else(|| panic!("{} is gone", target.id()));
            assert_eq!(observe::changed(&listed, &read), None, "{}", target.id());
            seen += 1;
            let missing = Target { native_id: format!("{}x", target.native_id), uid: "1".to_owned(), ..target.clone() };
            assert_eq!(stage.observe(&missing).await.unwrap(), None, "{}", missing.id());
        }
    }
    assert_eq!(seen, 24);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_gone() {
    let stage = Stage::new(ORG).await;
    for spec in SPECS.iter().filter(|spec| !spec.acts.is_empty()) {
        let target = stage.all(spec.id).await.swap_remove(0).0;
        for fault in [FaultKind::Denied, FaultKind::Html, FaultKind::Malformed, FaultKind::Error500] {
            // The list that the target stands in is read as well as itself: whatever is asked fails.
            stage.emulator.set_faults(vec![Weather::new(fault)]);
            let read = stage.observe(&target).await;
            assert!(read.is_err(), "{} {fault}: {read:?}", target.id());
            let permit = leave(&target, deed(spec.acts[0].deed));
            assert!(stage.act(&permit).await.is_err(), "{} {fault}", target.id());
        }
        stage.emulator.set_faults(Vec::new());
        let elsewhere = Target { account: "nowhere".to_owned(), ..target.clone() };
        let read = stage.observe(&elsewhere).await;
        assert!(read.is_err(), "{}: {read:?}", elsewhere.id());
    }
    assert_eq!(stage.changes(), []);
}

/// A deed of a sort.
fn deed(sort: DeedKind) -> Deed {
    match sort {
        DeedKind::Tag => Deed::Tag { key: "sweeper".to_owned(), value: "x".to_owned() },
        DeedKind::Untag => Deed::Untag { key: "owner".to_owned() },
        DeedKind::Stop => Deed::Stop,
        DeedKind::Start => Deed::Start,
        DeedKind::Delete => Deed::Delete,
        DeedKind::SetRetention => Deed::SetRetention { days: Some(30) },
        DeedKind::Copy => copy(),
        DeedKind::Restore => Deed::Restore {
            kept: Kept {
                kind: "gcp.compute-snapshot".to_owned(),
                native_id: "kept".to_owned(),
                until: None,
                recipe: BTreeMap::from([
                    ("zone".to_owned(), "us-a1-a".to_owned()),
                    ("type".to_owned(), "pd-ssd".to_owned()),
                ]),
            },
        },
    }
}

/// What every deed of every kind sends: the request lines that are no reads, save the token.
#[tokio::test]
async fn every_deed_sends_what_it_declares_and_nothing_else() {
    const TIME: &str = "2026-01-01T00:00:00Z";
    let canned = Canned::new(|line| {
        let body = if !line.starts_with("GET ") {
            r#"{"name": "operations/op-1"}"#.to_owned()
        } else if line.contains("/services/-/revisions") {
            format!(r#"{{"revisions": [{{"name": "projects/p/locations/us-a1/services/n/revisions/n-1", "uid": "7", "createTime": "{TIME}"}}]}}"#)
        } else {
            let status = if line.contains("/stopped") { "TERMINATED" } else { "RUNNING" };
            let policy = if line.contains("/stopped") { "NEVER" } else { "ALWAYS" };
            format!(
                r#"{{"id": "7", "uid": "7", "etag": "e", "status": "{status}", "labels": {{"owner": "a"}}, "labelFingerprint": "f",
                    "createTime": "{TIME}", "uploadTime": "{TIME}", "settings": {{"settingsVersion": "3", "activationPolicy": "{policy}"}}}}"#
            )
        };
        (200, "", body)
    })
    .await;
    let mut sent = Vec::new();
    for spec in SPECS {
        for act in spec.acts {
            let (region, name) = match spec.id {
                "gcp.compute-disk" | "gcp.compute-instance" => ("us-a1-a", "n"),
                "gcp.compute-snapshot" | "gcp.compute-image" => ("global", "n"),
                "gcp.artifact-image" => ("us-a1", "r/team/web@sha256:a"),
                "gcp.artifact-package-version" => ("us-a1", "r/com.example:lib@1.0"),
                "gcp.run-revision" => ("us-a1", "n-1"),
                _ => ("us-a1", "n"),
            };
            let name = if act.deed == DeedKind::Start { "stopped" } else { name };
            let target = Target {
                kind: spec.id.to_owned(),
                cloud: CloudId::Gcp,
                account: PROJECT.to_owned(),
                region: region.to_owned(),
                listed_in: Scope::GLOBAL.to_owned(),
                native_id: name.to_owned(),
                uid: "7".to_owned(),
                name: String::new(),
                created: sweeper_core::model::Timestamp::parse(TIME),
            };
            let permit = leave(&target, deed(act.deed));
            let before = canned.requests().len();
            let site = canned.calls.site(&target.scope());
            let answer = kind(&canned.cloud, spec.id).act(&Pen::new(&site, &permit)).await;
            assert_eq!(answer.unwrap().handle, "op-1", "{} {}", spec.id, act.deed.name());
            let lines = canned.requests().split_off(before);
            let changes: Vec<&String> = lines.iter().filter(|line| !line.starts_with("GET ")).collect();
            assert_eq!(changes.len(), 1, "{} {}: {lines:?}", spec.id, act.deed.name());
            let line = changes[0].trim_end_matches(" HTTP/1.1").replace(permit.token(), "TOKEN");
            sent.push(format!("{} {}: {line}", spec.id, act.deed.name()));
        }
    }
    let wanted = r"
gcp.artifact-image delete: DELETE /v1/projects/p/locations/us-a1/repositories/r/packages/team%2Fweb/versions/sha256:a
gcp.artifact-package-version delete: DELETE /v1/projects/p/locations/us-a1/repositories/r/packages/com.example:lib/versions/1.0
gcp.compute-address tag: POST /compute/v1/projects/p/regions/us-a1/addresses/n/setLabels?requestId=TOKEN
gcp.compute-address untag: POST /compute/v1/projects/p/regions/us-a1/addresses/n/setLabels?requestId=TOKEN
gcp.compute-address delete: DELETE /compute/v1/projects/p/regions/us-a1/addresses/n?requestId=TOKEN
gcp.compute-disk tag: POST /compute/v1/projects/p/zones/us-a1-a/disks/n/setLabels?requestId=TOKEN
gcp.compute-disk untag: POST /compute/v1/projects/p/zones/us-a1-a/disks/n/setLabels?requestId=TOKEN
gcp.compute-disk copy: POST /compute/v1/projects/p/zones/us-a1-a/disks/n/createSnapshot?requestId=TOKEN
gcp.compute-disk delete: DELETE /compute/v1/projects/p/zones/us-a1-a/disks/n?requestId=TOKEN
gcp.compute-disk restore: POST /compute/v1/projects/p/zones/us-a1-a/disks?requestId=TOKEN
gcp.compute-forwarding-rule tag: POST /compute/v1/projects/p/regions/us-a1/forwardingRules/n/setLabels?requestId=TOKEN
gcp.compute-forwarding-rule untag: POST /compute/v1/projects/p/regions/us-a1/forwardingRules/n/setLabels?requestId=TOKEN
gcp.compute-forwarding-rule delete: DELETE /compute/v1/projects/p/regions/us-a1/forwardingRules/n?requestId=TOKEN
gcp.compute-image tag: POST /compute/v1/projects/p/global/images/n/setLabels
gcp.compute-image untag: POST /compute/v1/projects/p/global/images/n/setLabels
gcp.compute-image delete: DELETE /compute/v1/projects/p/global/images/n?requestId=TOKEN
gcp.compute-instance tag: POST /compute/v1/projects/p/zones/us-a1-a/instances/n/setLabels?requestId=TOKEN
gcp.compute-instance untag: POST /compute/v1/projects/p/zones/us-a1-a/instances/n/setLabels?requestId=TOKEN
gcp.compute-instance stop: POST /compute/v1/projects/p/zones/us-a1-a/instances/n/stop?requestId=TOKEN
gcp.compute-instance start: POST /compute/v1/projects/p/zones/us-a1-a/instances/stopped/start?requestId=TOKEN
gcp.compute-instance delete: DELETE /compute/v1/projects/p/zones/us-a1-a/instances/n?requestId=TOKEN
gcp.compute-snapshot tag: POST /compute/v1/projects/p/global/snapshots/n/setLabels
gcp.compute-snapshot untag: POST /compute/v1/projects/p/global/snapshots/n/setLabels
gcp.compute-snapshot delete: DELETE /compute/v1/projects/p/global/snapshots/n?requestId=TOKEN
gcp.function delete: DELETE /v2/projects/p/locations/us-a1/functions/n
gcp.run-job delete: DELETE /v2/projects/p/locations/us-a1/jobs/n?etag=e
gcp.run-revision delete: DELETE /v2/projects/p/locations/us-a1/services/n/revisions/n-1?etag=e
gcp.run-service delete: DELETE /v2/projects/p/locations/us-a1/services/n?etag=e
gcp.sql-instance stop: PATCH /v1/projects/p/instances/n
gcp.sql-instance start: PATCH /v1/projects/p/instances/stopped
";
    assert_eq!(sent, wanted.trim().lines().collect::<Vec<_>>());
}

/// The client libraries can change things as well. Nobody asks them to: their methods take no arguments, and are named
/// after what they do.
#[test]
fn the_client_libraries_only_read() {
    const CHANGES: &[&str] = &[
        "abandon",
        "add_",
        "attach",
        "cancel",
        "complete",
        "compose",
        "create",
        "deprecate",
        "delete",
        "demote",
        "detach",
        "disable",
        "enable",
        "execute",
        "failover",
        "import",
        "insert",
        "invalidate",
        "move",
        "patch",
        "perform",
        "promote",
        "recreate",
        "remove",
        "reset",
        "resize",
        "restart",
        "restore",
        "resume",
        "rewrite",
        "rollback",
        "run",
        "set_",
        "simulate",
        "start",
        "stop",
        "suspend",
        "switch",
        "truncate",
        "undelete",
        "update",
        "upload",
        "write",
    ];
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let (mut files, mut reads) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for call in text.split("()").filter_map(|before| before.rsplit_once('.')) {
                let (_, name) = call;
                reads += usize::from(name.starts_with("list") || name.starts_with("get_") || name == "aggregated_list");
                // When a resource was created is nothing that is done to it.
                let plain = !name.is_empty()
                    && name != "created"
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                assert!(
                    !plain || !CHANGES.iter().any(|change| name.starts_with(change)),
                    "{}: .{name}()",
                    path.display()
                );
            }
        }
    }
    assert!(files > 30 && reads > 30, "{files} files, {reads} reads");
}

/// Whatever makes a request that is not the permit's: nothing leaves.
#[tokio::test]
async fn a_request_that_is_not_the_permits_does_not_leave() {
    let canned = Canned::new(|_| (200, "", r#"{"name": "op-1"}"#.to_owned())).await;
    let gcp = entered(Config { endpoint: Some(canned.url()), ..Config::default() }, canned.calls.clocks().clone());
    let target = Target {
        kind: "gcp.compute-disk".to_owned(),
        cloud: CloudId::Gcp,
        account: PROJECT.to_owned(),
        region: "us-a1-a".to_owned(),
        listed_in: Scope::GLOBAL.to_owned(),
        native_id: "d".to_owned(),
        uid: "7".to_owned(),
        name: String::new(),
        created: None,
    };
    const DELETE: &str = "compute.disks.delete";
    let send = async |permit: &Permit, op: &'static str, request: Request| {
        let site = canned.calls.site(&target.scope());
        gcp.change(&Pen::new(&site, permit), op, request).await
    };
    let delete = |path: &str| Request::delete(Service::Compute, format!("/compute/v1/projects/{path}"));
    let post = |path: &str, body| Request::post(Service::Compute, format!("/compute/v1/projects/{path}"), Some(body));
    let permit = leave(&target, Deed::Delete);
    for wrong in [
        "other/zones/us-a1-a/disks/d",
        "p/zones/us-a1-b/disks/d",
        "p/regions/us-a1-a/disks/d",
        "p/regions/us-a1/disks/d",
        "p/zones/us-a1-a/disks/e",
        "p/zones/us-a1-a/disks/d/",
        "p/zones/us-a1-a/disks/",
        "p/zones/us-a1-a/disks/..",
        "p/zones/us-a1-a/disks/%2e%2e",
        "p/zones/us-a1-a/disks/d%2F..%2Fe",
        "p/zones/us-a1-a/instances/d",
        "p/zones/us-a1-a/disks",
        "p/zones/us-a1-a",
        "p",
    ] {
        let error = send(&permit, DELETE, delete(wrong)).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{wrong}: {error}");
    }
    let body = || serde_json::json!({ "name": "d" });
    for (op, request) in [
        // Another verb, another of the kind's calls, another call's name.
        (DELETE, post("p/zones/us-a1-a/disks/d", body())),
        (DELETE, post("p/zones/us-a1-a/disks/d/createSnapshot", body())),
        ("compute.disks.create", post("p/zones/us-a1-a/disks", body())),
        ("compute.instances.delete", delete("p/zones/us-a1-a/disks/d")),
    ] {
        let error = send(&permit, op, request).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{op}: {error}");
    }
    // A deed that makes makes what was there, and nothing else.
    let restore = leave(&target, deed(DeedKind::Restore));
    let other = post("p/zones/us-a1-a/disks", serde_json::json!({ "name": "e" }));
    assert_eq!(send(&restore, "compute.disks.create", other).await.unwrap_err().fault, Fault::Refused);
    // Neither a permit for another kind, nor one for the same name elsewhere.
    for other in [
        Target { kind: "gcp.compute-instance".to_owned(), ..target.clone() },
        Target { region: "us-a1-b".to_owned(), ..target.clone() },
        Target { region: "us-a1".to_owned(), ..target.clone() },
        Target { account: "other".to_owned(), ..target.clone() },
        Target { native_id: "D".to_owned(), ..target.clone() },
    ] {
        let permit = leave(&other, Deed::Delete);
        let error = send(&permit, DELETE, delete("p/zones/us-a1-a/disks/d")).await.unwrap_err();
        assert_eq!(error.fault, Fault::Refused, "{other:?}: {error}");
    }
    assert_eq!(canned.requests(), Vec::<String>::new());
    send(&permit, DELETE, delete("p/zones/us-a1-a/disks/d")).await.unwrap();
    assert_eq!(canned.requests().len(), 1);
}

#[tokio::test]
async fn a_disk_goes_and_comes_back_as_it_was() {
    let stage = Stage::new(ORG).await;
    let before = stage.all("gcp.compute-disk").await.into_iter().find(|(disk, _)| disk.native_id == "loose").unwrap();
    let (disk, listed) = before;
    let kept = stage.done(&disk, copy()).await.unwrap();
    assert_eq!(kept.kind, "gcp.compute-snapshot");
    let recipe: Vec<String> = kept.recipe.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        recipe,
        [
            "iops=3000",
            "kms_key=projects/k/locations/us/keyRings/r/cryptoKeys/c",
            "resource_policies=projects/p/regions/us-central1/resourcePolicies/daily",
            "size_gib=50",
            "tag:env=",
            "tag:owner=a",
            "throughput=140",
            "type=hyperdisk-balanced",
            "zone=us-central1-a",
        ]
    );
    let copies = stage.all("gcp.compute-snapshot").await;
    let (_, looks) = copies.iter().find(|(copy, _)| copy.native_id == kept.native_id).unwrap();
    assert_eq!(looks.get("tag:sweeper-until").map(String::as_str), Some("2026-07-15"));
    assert_eq!(stage.done(&disk, Deed::Delete).await, None);
    assert_eq!(stage.observe(&disk).await.unwrap(), None);
    let back = stage.done(&disk, Deed::Restore { kept: kept.clone() }).await.unwrap();
    assert_eq!((back.kind.as_str(), back.native_id.as_str()), ("gcp.compute-disk", "loose"));
    let again = stage.one("gcp.compute-disk", "loose").await;
    assert_ne!(again.uid, disk.uid, "it is another one");
    let looks = stage.observe(&again).await.unwrap().unwrap();
    for field in ["size_gib", "tier", "iops", "throughput", "tag:owner", "tag:env", "state"] {
        assert_eq!(looks.get(field), listed.get(field), "{field}");
    }
    // What was deleted is not deleted again because something has its name.
    assert!(stage.refused(&disk, Deed::Delete).await.message.contains("another has its name"));
    assert!(matches!(stage.end(&leave(&disk, Deed::Delete), &Sent::default()).await, Progress::Done(None)));
    // What is kept of another place is not made here.
    let elsewhere = Target { region: "us-central1-b".to_owned(), ..disk };
    assert!(stage.refused(&elsewhere, Deed::Restore { kept }).await.message.contains("us-central1-b"));
}

#[tokio::test]
async fn a_copy_is_none_before_it_is_complete() {
    let stage = Stage::new(ORG).await;
    let disk = stage.one("gcp.compute-disk", "loose").await;
    let permit = leave(&disk, copy());
    let sent = stage.act(&permit).await.unwrap();
    for _ in 0..2 {
        assert_eq!(stage.progress(&permit, &sent).await.unwrap(), Progress::Running);
    }
    let name = format!("sweeper-{}", permit.token());
    stage.set(&name, "status", "FAILED");
    stage.set(&name, "polls", 9);
    let failed = stage.end(&permit, &Sent::default()).await;
    assert_eq!(failed, Progress::Failed(format!("the snapshot {name} is FAILED")));
    stage.set(&name, "status", "READY");
    stage.set(&name, "source_disk_id", "1");
    assert!(
        matches!(stage.end(&permit, &Sent::default()).await, Progress::Failed(why) if why.contains("another disk"))
    );
    stage.set(&name, "source_disk_id", disk.uid.as_str());
    stage.set(&name, "bytes", 0);
    stage.set(&name, "bytes_status", "UP_TO_DATE");
    assert!(matches!(stage.end(&permit, &Sent::default()).await, Progress::Failed(why) if why.contains("empty")));
    // An operation that fails is the end as well.
    stage.set("both", "operation_error", "It broke.");
    let both = leave(&stage.one("gcp.compute-disk", "both").await, copy());
    let sent = stage.act(&both).await.unwrap();
    assert_eq!(stage.end(&both, &sent).await, Progress::Failed("INTERNAL_ERROR: It broke.".to_owned()));
}

#[tokio::test]
async fn machines_and_databases_stop_and_start() {
    let stage = Stage::new(ORG).await;
    for (kind, name, on, off) in
        [("gcp.compute-instance", "web", "Running", "Stopped"), ("gcp.sql-instance", "main", "Available", "Stopped")]
    {
        let target = stage.one(kind, name).await;
        let state = async || {
            let looks = stage.observe(&target).await.unwrap().unwrap();
            looks.get("state").cloned().unwrap().to_ascii_lowercase()
        };
        assert_eq!(state().await, on.to_ascii_lowercase());
        stage.done(&target, Deed::Stop).await;
        assert_eq!(state().await, off.to_ascii_lowercase());
        // Once is enough.
        assert_eq!(stage.act(&leave(&target, Deed::Stop)).await.unwrap(), Sent::default());
        stage.done(&target, Deed::Start).await;
        assert_eq!(state().await, on.to_ascii_lowercase());
    }
    let wanted =
        ["compute.instances.stop", "compute.instances.start", "cloudsql.instances.update", "cloudsql.instances.update"];
    assert_eq!(stage.changes().into_iter().map(|(change, _)| change).collect::<Vec<_>>(), wanted);
    let ssd = stage.one("gcp.compute-instance", "safe").await;
    assert!(stage.refused(&ssd, Deed::Stop).await.message.contains("Local SSD"));
}

#[tokio::test]
async fn labels_are_set_and_taken_away_again() {
    let stage = Stage::new(ORG).await;
    let kinds: Vec<&&KindSpec> = SPECS.iter().filter(|spec| spec.act(DeedKind::Tag).is_some()).collect();
    assert_eq!(kinds.len(), 6);
    for spec in kinds {
        for (target, listed) in stage.all(spec.id).await {
            stage.done(&target, Deed::Tag { key: "sweeper".to_owned(), value: "x".to_owned() }).await;
            let looks = stage.observe(&target).await.unwrap().unwrap();
            assert_eq!(looks.get("tag:sweeper").map(String::as_str), Some("x"), "{}", target.id());
            // What has it is left as it is.
            let again = leave(&target, Deed::Tag { key: "sweeper".to_owned(), value: "x".to_owned() });
            assert_eq!(stage.act(&again).await.unwrap(), Sent::default());
            stage.done(&target, Deed::Untag { key: "sweeper".to_owned() }).await;
            let looks = stage.observe(&target).await.unwrap().unwrap();
            assert_eq!(observe::changed(&listed, &looks), None, "{}", target.id());
        }
    }
}

#[tokio::test]
async fn what_the_cloud_holds_back_stays_and_is_asked_for_once() {
    let stage = Stage::new(ORG).await;
    for (kind, name, words) in [
        ("gcp.compute-disk", "boot", "already being used by"),
        ("gcp.compute-instance", "safe", "protected against deletion"),
        ("gcp.compute-address", "taken", "already being used by"),
        ("gcp.artifact-image", "sha256:a3d6", "referenced by image"),
        ("gcp.run-revision", "web-00001-a", "traffic"),
        ("gcp.run-revision", "web-00003-c", "latest"),
    ] {
        let target = stage.one(kind, name).await;
        let before = stage.changes().len();
        let error = stage.refused(&target, Deed::Delete).await;
        assert!(error.message.contains(words), "{error}");
        assert_eq!(stage.changes().len(), before + 1, "{} is asked for once, and nothing is taken off it", target.id());
        assert!(stage.observe(&target).await.unwrap().is_some(), "{}", target.id());
    }
    let tagged = stage.one("gcp.artifact-image", "sha256:1dec").await;
    let before = stage.changes().len();
    assert!(stage.refused(&tagged, Deed::Delete).await.message.contains("tag v1"));
    assert_eq!(stage.changes().len(), before);
    // Its tag is taken away by whoever owns it: then the index may go, and its child after it.
    stage.set("index", "tags_list", serde_json::Value::Null);
    stage.done(&tagged, Deed::Delete).await;
    stage.done(&stage.one("gcp.artifact-image", "sha256:a3d6").await, Deed::Delete).await;
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_what_is_gone_needs_no_deleting() {
    let stage = Stage::new(ORG).await;
    for (kind, name) in [
        ("gcp.compute-disk", "both"),
        ("gcp.compute-instance", "web"),
        ("gcp.compute-snapshot", "old"),
        ("gcp.compute-image", "older"),
        ("gcp.compute-address", "free"),
        ("gcp.compute-address", "anycast"),
        ("gcp.compute-forwarding-rule", "front"),
        ("gcp.compute-forwarding-rule", "wide"),
        ("gcp.artifact-image", "sha256:57a1"),
        ("gcp.artifact-package-version", "com.example:lib@1.0"),
        ("gcp.run-revision", "web-00002-b"),
        ("gcp.run-job", "nightly"),
        ("gcp.run-service", "web"),
        ("gcp.function", "hook"),
    ] {
        let target = stage.one(kind, name).await;
        stage.done(&target, Deed::Delete).await;
        assert_eq!(stage.observe(&target).await.unwrap(), None, "{}", target.id());
        let changes = stage.changes().len();
        assert_eq!(stage.act(&leave(&target, Deed::Delete)).await.unwrap(), Sent::default());
        assert_eq!(stage.changes().len(), changes, "{} is not asked for again", target.id());
        assert!(matches!(stage.end(&leave(&target, Deed::Delete), &Sent::default()).await, Progress::Done(None)));
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_open_what_happened() {
    let stage = Stage::new(ORG).await;
    let both = stage.one("gcp.compute-disk", "both").await;
    let permit = leave(&both, Deed::Delete);
    for (fault, happens) in [(FaultKind::Error500, false), (FaultKind::Html, false), (FaultKind::Cut, true)] {
        stage.weather(fault, "compute.disks.delete", 1);
        let error = stage.act(&permit).await.unwrap_err();
        assert_eq!(error.fault, Fault::Transient, "{fault}: {error}");
        if happens {
            // The same token: the deletion that was begun, not another one.
            assert!(matches!(stage.end(&permit, &Sent::default()).await, Progress::Done(None)));
        } else {
            assert_eq!(stage.progress(&permit, &Sent::default()).await.unwrap(), Progress::Running);
        }
    }
    stage.emulator.set_faults(Vec::new());
    let free = stage.one("gcp.compute-address", "free").await;
    for (fault, meaning) in [(FaultKind::Denied, Fault::Denied), (FaultKind::Throttle, Fault::Throttled)] {
        stage.weather(fault, "compute.addresses.delete", 1);
        assert_eq!(stage.act(&leave(&free, Deed::Delete)).await.unwrap_err().fault, meaning);
    }
    assert!(stage.observe(&free).await.unwrap().is_some());
}

#[tokio::test]
async fn an_operation_that_fails_is_told_in_the_clouds_words() {
    let stage = Stage::new(ORG).await;
    for (kind, name, id) in [
        ("gcp.compute-address", "free", "free"),
        ("gcp.run-job", "nightly", "nightly"),
        ("gcp.artifact-image", "sha256:57a1", "stray"),
    ] {
        stage.set(id, "operation_error", "It broke.");
        let target = stage.one(kind, name).await;
        let permit = leave(&target, Deed::Delete);
        let sent = stage.act(&permit).await.unwrap();
        assert!(
            matches!(stage.end(&permit, &sent).await, Progress::Failed(why) if why.ends_with("It broke.")),
            "{}",
            target.id()
        );
        assert!(stage.observe(&target).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn another_of_the_same_name_is_left_alone() {
    let stage = Stage::new(ORG).await;
    for spec in SPECS.iter().filter(|spec| spec.act(DeedKind::Delete).is_some()) {
        let (mut target, _) = stage.all(spec.id).await.swap_remove(0);
        target.uid = "1".to_owned();
        target.created = sweeper_core::model::Timestamp::parse("2001-01-01T00:00:00Z");
        stage.refused(&target, Deed::Delete).await;
    }
    assert_eq!(stage.changes(), []);
}
