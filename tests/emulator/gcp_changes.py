#!/usr/bin/env python3
"""Changes what is in the emulated Google Cloud through Google's own clients: deletions, stops, copies, labels; what
they refuse, and the operations that they are. Every JSON answer is held to Google's discovery documents. The binary
is $SWEEPER_EMULATOR_BIN, or is built with cargo. Prints "N passed, 0 failed" and exits with 1 when something failed."""

import pathlib
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))
from google_emulator import Emulator, check, document, finish, need, run, valid  # noqa: E402

need("googleapiclient", "google.cloud.compute_v1", "google.cloud.run_v2", "google.cloud.artifactregistry_v1")
from google.api_core import exceptions  # noqa: E402
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import artifactregistry_v1, compute_v1, functions_v2, run_v2  # noqa: E402
from googleapiclient import discovery  # noqa: E402
from googleapiclient.errors import HttpError  # noqa: E402

ORG = r'''
[[account]]
cloud = "gcp"
id = "p"
number = "11"
regions = ["us-central1"]

[[resource]]
kind = "gcp.compute-instance"
account = "p"
region = "us-central1-a"
id = "web"
disks = ["boot", "data"]
addresses = ["taken"]
polls = 2
tags = { owner = "a" }

[[resource]]
kind = "gcp.compute-instance"
account = "p"
region = "us-central1-a"
id = "safe"
deletion_protection = true

[[resource]]
kind = "gcp.compute-instance"
account = "p"
region = "us-central1-a"
id = "ssd"
scratch = 1

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1-a"
id = "boot"

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1-a"
id = "data"

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1-a"
id = "loose"
size = 50
type = "hyperdisk-balanced"
iops = 3000
polls = 3
tags = { owner = "a" }

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1"
id = "both"

[[resource]]
kind = "gcp.compute-disk"
account = "p"
region = "us-central1-a"
id = "cursed"
operation_error = "Internal error. Please try again."

[[resource]]
kind = "gcp.compute-snapshot"
account = "p"
id = "old"
source_disk = "gone"

[[resource]]
kind = "gcp.compute-image"
account = "p"
id = "golden"

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
kind = "gcp.artifact-image"
account = "p"
region = "us-central1"
id = "index"
repository = "r"
image = "team/web"
tags_list = ["v1"]
children = ["amd"]

[[resource]]
kind = "gcp.artifact-image"
account = "p"
region = "us-central1"
id = "amd"
repository = "r"
image = "team/web"

[[resource]]
kind = "gcp.artifact-image"
account = "p"
region = "us-central1"
id = "stray"
repository = "r"
image = "team/web"

[[resource]]
kind = "gcp.artifact-package-version"
account = "p"
region = "us-central1"
id = "jar"
repository = "jars"
package = "com.example:lib"
version = "1.0"
polls = 2

[[resource]]
kind = "gcp.run-service"
account = "p"
region = "us-central1"
id = "web"
traffic = [{ revision = "web-00001-a", percent = 10 }, { percent = 90 }]

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

[[resource]]
kind = "gcp.function"
account = "p"
region = "us-central1"
id = "hook"

[[resource]]
kind = "gcp.run-service"
account = "p"
region = "us-central1"
id = "hook"

[[resource]]
kind = "gcp.sql-instance"
account = "p"
region = "us-central1"
id = "main"
polls = 2

[[resource]]
kind = "gcp.sql-instance"
account = "p"
region = "us-central1"
id = "copy"
replica_of = "main"
'''

P = "/compute/v1/projects/p"
ZONE = f"{P}/zones/us-central1-a"
REGION = f"{P}/regions/us-central1"
HERE = "projects/p/locations/us-central1"
GCE = "compute.googleapis.com"


def client(emulator, module, name, kind=None):
    services = getattr(module.services, name)
    rest = next(getattr(services.transports, n) for n in dir(services.transports) if n.endswith("RestTransport"))
    kind = kind or next(n for n in dir(services) if n.endswith("Client") and not n.endswith("AsyncClient"))
    return getattr(services, kind)(transport=rest(host=emulator.host, credentials=AnonymousCredentials(), url_scheme="http"))


def compute(emulator, name):
    return client(emulator, compute_v1, name)


def ended(emulator, operation):
    """Polls an operation to its end, as Google's client does but for its host; what it fails with is raised."""
    path = operation.self_link.removeprefix("https://www.googleapis.com")
    for _ in range(10):
        told = emulator.ask(GCE, path)[2]
        if told["status"] == "DONE":
            if "error" in told:
                raise RuntimeError(told["error"]["errors"][0]["message"])
            return
    raise RuntimeError("it does not end")


def refused(what, error, call):
    """Checks that a call is refused, with these words."""
    kind, words = error
    try:
        call()
        check(what, "done", "refused")
    except kind as raised:
        check(what, words in str(raised))


def reason(answer):
    status, _, body = answer
    return status, body["error"]["errors"][0]["reason"]


def deletions(emulator):
    """What is in use or protected stays; the rest goes when its operation is over."""
    disks, instances, addresses = (compute(emulator, name) for name in ("disks", "instances", "addresses"))
    where = {"project": "p", "zone": "us-central1-a"}
    refused("attached", (exceptions.BadRequest, "is already being used by 'projects/p/zones/us-central1-a/instances/web'"), lambda: disks.delete(disk="data", **where))
    check("attached, why", reason(emulator.ask(GCE, f"{ZONE}/disks/data", method="DELETE")), (400, "resourceInUseByAnotherResource"))
    check("taken, why", reason(emulator.ask(GCE, f"{REGION}/addresses/taken", method="DELETE")), (400, "resourceInUseByAnotherResource"))
    refused("protected", (exceptions.BadRequest, "protected against deletion"), lambda: instances.delete(instance="safe", **where))
    check("protected, why", reason(emulator.ask(GCE, f"{ZONE}/instances/safe", method="DELETE")), (400, "invalidResourceUsage"))
    refused("no such disk", (exceptions.NotFound, "'projects/p/zones/us-central1-a/disks/none' was not found"), lambda: disks.delete(disk="none", **where))
    emulator.faults({"kind": "denied", "permission": "compute.disks.delete"})
    refused("denied", (exceptions.Forbidden, "Required 'compute.disks.delete' permission"), lambda: disks.delete(disk="loose", **where))
    emulator.faults()
    check("all are there", len(list(disks.list(**where))), 4)

    # An operation is over after as many polls as the disk's key says; the disk goes only then.
    status, _, begun = emulator.ask(GCE, f"{ZONE}/disks/loose", method="DELETE")
    valid("operation", "compute.v1", "Operation", begun)
    check("begun", (status, begun["status"], begun["operationType"], begun["targetLink"].rsplit("/", 1)[1]), (200, "RUNNING", "delete", "loose"))
    seen = []
    for _ in range(3):
        operation = emulator.ask(GCE, f"{ZONE}/operations/{begun['name']}")[2]
        valid("polled", "compute.v1", "Operation", operation)
        seen.append((operation["status"], [d.name for d in disks.list(**where)].count("loose")))
    check("polls", seen, [("RUNNING", 1), ("RUNNING", 1), ("DONE", 0)])
    refused("gone", (exceptions.NotFound, "loose"), lambda: disks.get(disk="loose", **where))
    check("elsewhere", emulator.ask(GCE, f"{P}/zones/us-central1-b/operations/{begun['name']}")[0], 404)

    ended(emulator, compute(emulator, "region_disks").delete(project="p", region="us-central1", disk="both"))
    check("regional", emulator.ask(GCE, f"{REGION}/disks/both")[0], 404)
    refused("fails at last", (Exception, "Internal error"), lambda: ended(emulator, disks.delete(disk="cursed", **where)))
    check("still there", disks.get(disk="cursed", **where).status, "READY")
    ended(emulator, addresses.delete(project="p", region="us-central1", address="free"))
    ended(emulator, compute(emulator, "global_addresses").delete(project="p", address="anycast"))
    ended(emulator, compute(emulator, "forwarding_rules").delete(project="p", region="us-central1", forwarding_rule="front"))
    ended(emulator, compute(emulator, "images").delete(project="p", image="golden"))
    ended(emulator, compute(emulator, "snapshots").delete(project="p", snapshot="old"))
    for path in ("regions/us-central1/addresses/free", "global/addresses/anycast", "regions/us-central1/forwardingRules/front", "global/images/golden", "global/snapshots/old"):
        check(f"{path} is gone", emulator.ask(GCE, f"{P}/{path}")[0], 404)

    # A machine takes along what was attached to go with it, and no more.
    ended(emulator, instances.delete(instance="web", **where))
    check("left", sorted(d.name for d in disks.list(**where)), ["cursed", "data"])
    data = disks.get(disk="data", **where)
    check("detached", (list(data.users), data.last_detach_timestamp[:10]), ([], "2026-06-14"))
    check("its address", addresses.get(project="p", region="us-central1", address="taken").status, "RESERVED")


def once(emulator):
    """The same request id is the same request."""
    token = str(uuid.uuid5(uuid.NAMESPACE_DNS, "sweeper"))
    ask = lambda disk, id: emulator.ask(GCE, f"{ZONE}/disks/{disk}", method="DELETE", requestId=id)
    first, second = ask("loose", token), ask("loose", token)
    check("same", (first[0], second[0], first[2]["name"]), (200, 200, second[2]["name"]))
    check("id", first[2]["clientOperationId"], token)
    for _ in range(3):
        emulator.ask(GCE, f"{ZONE}/operations/{first[2]['name']}")
    after = ask("loose", token)
    check("even when it is gone", (after[0], after[2]["name"], after[2]["status"]), (200, first[2]["name"], "DONE"))
    check("another request", ask("boot", token)[0], 400)
    check("no id", [ask("boot", wrong)[0] for wrong in ("x", "00000000-0000-0000-0000-000000000000")], [400, 400])
    check("a new one", ask("loose", str(uuid.uuid4()))[0], 404)


def switches(emulator):
    instances = compute(emulator, "instances")
    where = {"project": "p", "zone": "us-central1-a", "instance": "web"}
    begun = emulator.ask(GCE, f"{ZONE}/instances/web/stop", method="POST")[2]
    check("stopping", (begun["operationType"], instances.get(**where).status), ("stop", "STOPPING"))
    emulator.ask(GCE, f"{ZONE}/operations/{begun['name']}")
    web = instances.get(**where)
    check("stopped", (web.status, web.last_stop_timestamp[:10]), ("TERMINATED", "2026-06-14"))
    ended(emulator, instances.stop(**where))
    check("again", instances.get(**where).status, "TERMINATED")
    ended(emulator, instances.start(**where))
    check("started", instances.get(**where).status, "RUNNING")
    refused("local disks", (exceptions.BadRequest, "discard-local-ssd"), lambda: instances.stop(project="p", zone="us-central1-a", instance="ssd"))
    emulator.control("set", {"id": "web", "status": "SUSPENDED"})
    check("suspended", reason(emulator.ask(GCE, f"{ZONE}/instances/web/stop", method="POST")), (400, "resourceNotReady"))


def labels(emulator):
    disks = compute(emulator, "disks")
    where = {"project": "p", "zone": "us-central1-a"}
    before = disks.get(disk="loose", **where)
    body = lambda labels, seen: compute_v1.ZoneSetLabelsRequest(labels=labels, label_fingerprint=seen)
    send = lambda body: disks.set_labels(resource="loose", zone_set_labels_request_resource=body, project="p", zone="us-central1-a")
    ended(emulator, send(body({"sweeper": "x", "owner": "a"}, before.label_fingerprint)))
    after = disks.get(disk="loose", **where)
    check("labels", dict(after.labels), {"owner": "a", "sweeper": "x"})
    check("fingerprint", before.label_fingerprint != after.label_fingerprint)
    refused("changed meanwhile", (exceptions.PreconditionFailed, "fingerprint"), lambda: send(body({}, before.label_fingerprint)))
    refused("no label", (exceptions.BadRequest, "labels"), lambda: send(body({"Not-A:Label": "x"}, after.label_fingerprint)))
    ended(emulator, send(body({"owner": "a"}, after.label_fingerprint)))
    check("and back", disks.get(disk="loose", **where).label_fingerprint, before.label_fingerprint)


def copies(emulator):
    """A snapshot is complete when its operation is over; a disk is made again from it, and is another one."""
    disks, snapshots = compute(emulator, "disks"), compute(emulator, "snapshots")
    where = {"project": "p", "zone": "us-central1-a"}
    before = disks.get(disk="loose", **where)
    wanted = compute_v1.Snapshot(name="kept", labels={"sweeper-plan": "x"}, storage_locations=["us-central1"])
    emulator.faults({"kind": "denied", "permission": "compute.snapshots.create"})
    refused("no right to keep", (exceptions.Forbidden, "compute.snapshots.create"), lambda: disks.create_snapshot(disk="loose", snapshot_resource=wanted, **where))
    emulator.faults()
    disks.create_snapshot(disk="loose", snapshot_resource=wanted, **where)
    seen = []
    for _ in range(4):
        got = snapshots.get(project="p", snapshot="kept")
        seen.append((got.status, got.storage_bytes > 0, got.storage_bytes_status))
    check("uploads", seen, [("CREATING", False, "UPDATING")] * 3 + [("READY", True, "UP_TO_DATE")])
    check("of", (got.source_disk, got.source_disk_id, got.disk_size_gb, dict(got.labels)), (before.self_link, str(before.id), 50, {"sweeper-plan": "x"}))
    valid("copy", "compute.v1", "Snapshot", emulator.ask(GCE, f"{P}/global/snapshots/kept")[2])
    refused("its name is taken", (exceptions.Conflict, "already exists"), lambda: disks.create_snapshot(disk="loose", snapshot_resource=wanted, **where))
    fails = compute_v1.Snapshot(name="fails")
    refused("a copy that fails", (Exception, "Internal error"), lambda: ended(emulator, disks.create_snapshot(disk="cursed", snapshot_resource=fails, **where)))
    check("failed", snapshots.get(project="p", snapshot="fails").status, "FAILED")

    again = compute_v1.Disk(name="loose", source_snapshot="projects/p/global/snapshots/kept", type_="projects/p/zones/us-central1-a/diskTypes/hyperdisk-balanced", provisioned_iops=3000, labels={"owner": "a"})
    refused("still there", (exceptions.Conflict, "already exists"), lambda: disks.insert(disk_resource=again, **where))
    ended(emulator, disks.delete(disk="loose", **where))
    emulator.faults({"kind": "denied", "permission": "compute.snapshots.useReadOnly"})
    refused("no right to use it", (exceptions.Forbidden, "useReadOnly"), lambda: disks.insert(disk_resource=again, **where))
    emulator.faults()
    small = compute_v1.Disk(again, size_gb=10)
    refused("too small", (exceptions.BadRequest, "sizeGb"), lambda: disks.insert(disk_resource=small, **where))
    ended(emulator, disks.insert(disk_resource=again, **where))
    after = disks.get(disk="loose", **where)
    same = lambda disk: (disk.type_, disk.size_gb, disk.provisioned_iops, dict(disk.labels), disk.status)
    check("as it was", same(after), same(before))
    check("another one", (after.id != before.id, after.source_snapshot.rsplit("/", 1)[1]), (True, "kept"))
    valid("disk", "compute.v1", "Disk", emulator.ask(GCE, f"{ZONE}/disks/loose")[2])


def registry(emulator):
    api = client(emulator, artifactregistry_v1, "artifact_registry")
    images = {i.uri.split("@")[1]: i for i in api.list_docker_images(parent=f"{HERE}/repositories/r")}
    index = next(i for i in images.values() if i.tags)
    child = index.image_manifests[0].digest
    stray = next(d for d, i in images.items() if not i.tags and d != child)
    package = f"{HERE}/repositories/r/packages/team%2Fweb/versions"
    host = "artifactregistry.googleapis.com"
    delete = lambda digest, **query: emulator.ask(host, f"/v1/{package}/{digest}", method="DELETE", **query)
    for digest, words in ((index.uri.split("@")[1], "referenced by tag v1"), (child, "is referenced by image")):
        status, _, body = delete(digest)
        check(words, (status, body["error"]["status"], words in body["error"]["message"]), (400, "FAILED_PRECONDITION", True))
    check("force does not help a child", delete(child, force="true")[0], 400)
    check("none", delete("sha256:" + "0" * 64)[0], 404)
    status, _, begun = delete(stray)
    valid("operation", "artifactregistry.v1", "Operation", begun)
    over = emulator.ask(host, f"/v1/{begun['name']}")[2]
    valid("over", "artifactregistry.v1", "Operation", over)
    check("done", (status, begun.get("done"), over["done"]), (200, None, True))
    check("left", stray in [i.uri.split("@")[1] for i in api.list_docker_images(parent=f"{HERE}/repositories/r")], False)
    jar = f"{HERE}/repositories/jars/packages/com.example:lib/versions/1.0"
    begun = emulator.ask(host, f"/v1/{jar}", method="DELETE")[2]
    check("polls", [emulator.ask(host, f"/v1/{begun['name']}")[2].get("done") for _ in range(2)], [None, True])
    check("gone", emulator.ask(host, f"/v1/{jar}")[0], 404)
    # The index goes when it has no tag any more, and its children after it.
    emulator.control("set", {"id": "index", "tags_list": None})
    for digest in (index.uri.split("@")[1], child):
        begun = delete(digest)[2]
        check("in order", emulator.ask(host, f"/v1/{begun['name']}")[2]["done"])


def serverless(emulator):
    services, revisions, jobs = (client(emulator, run_v2, name) for name in ("services", "revisions", "jobs"))
    functions = client(emulator, functions_v2, "function_service")
    web = f"{HERE}/services/web"
    for name, words in (("web-00001-a", "traffic"), ("web-00003-c", "latest")):
        refused(f"{name} is used", (exceptions.BadRequest, words), lambda: revisions.delete_revision(name=f"{web}/revisions/{name}"))
    old = revisions.get_revision(name=f"{web}/revisions/web-00002-b")
    stale = run_v2.DeleteRevisionRequest(name=old.name, etag='"old"')
    refused("changed meanwhile", (exceptions.Conflict, "version"), lambda: revisions.delete_revision(request=stale))
    host = "run.googleapis.com"
    status, _, begun = emulator.ask(host, f"/v2/{old.name}", method="DELETE", etag=old.etag)
    valid("operation", "run.v2", "GoogleLongrunningOperation", begun)
    over = emulator.ask(host, f"/v2/{begun['name']}")[2]
    valid("over", "run.v2", "GoogleLongrunningOperation", over)
    check("deleted", (status, over["done"]), (200, True))
    check("left", [r.name.rsplit("/", 1)[1] for r in revisions.list_revisions(parent=web)], ["web-00003-c", "web-00001-a"])
    for delete, name in ((services.delete_service, web), (jobs.delete_job, f"{HERE}/jobs/nightly")):
        begun = delete(name=name).operation
        check(f"{name} goes", emulator.ask(host, f"/v2/{begun.name}")[2]["done"])
    check("with its revisions", emulator.ask(host, f"/v2/{web}/revisions")[2], {})
    begun = functions.delete_function(name=f"{HERE}/functions/hook").operation
    check("function", emulator.ask("cloudfunctions.googleapis.com", f"/v2/{begun.name}")[2]["done"])
    check("and its service", [s.name for s in services.list_services(parent=HERE)], [])
    calls = {(c["service"], c["permission"]) for c in emulator.journal()}
    check("journal", {("run", "run.operations.get"), ("cloudfunctions", "cloudfunctions.operations.get"), ("run", "run.revisions.delete")} <= calls)


def databases(emulator):
    sql = discovery.build_from_document(document("sqladmin.v1"), credentials=AnonymousCredentials(), client_options={"api_endpoint": emulator.url})
    get = lambda: sql.instances().get(project="p", instance="main").execute()
    patch = lambda version, policy, name="main": sql.instances().patch(project="p", instance=name, body={"settings": {"settingsVersion": version, "activationPolicy": policy}}).execute()
    begun = patch("1", "NEVER")
    valid("operation", "sqladmin.v1", "Operation", begun)
    seen = [sql.operations().get(project="p", operation=begun["name"]).execute()["status"] for _ in range(2)]
    settings = get()["settings"]
    check("off", (seen, settings["activationPolicy"], settings["settingsVersion"]), (["RUNNING", "DONE"], "NEVER", "2"))
    refused("stale", (HttpError, "412"), lambda: patch("1", "ALWAYS"))
    refused("a replica", (HttpError, "replica"), lambda: patch("1", "NEVER", "copy"))
    patch("2", "ALWAYS")
    get(), get()
    check("on", get()["settings"]["activationPolicy"], "ALWAYS")


for part in (deletions, once, switches, labels, copies, registry, serverless, databases):
    with Emulator(ORG) as running:
        run((part,), running)
finish()
