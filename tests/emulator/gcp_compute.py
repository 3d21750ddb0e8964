#!/usr/bin/env python3
"""Asks the emulated Compute Engine and Resource Manager through Google's own clients, and holds every answer
to Google's discovery documents. The binary is $SWEEPER_EMULATOR_BIN, or is built with cargo. Prints
"N passed, 0 failed" and exits with 1 when something failed."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))
from google_emulator import HOSTILE, Emulator, check, finish, need, pages, run, valid  # noqa: E402

need("googleapiclient", "google.cloud.compute_v1", "google.cloud.resourcemanager_v3")
from google.api_core import exceptions  # noqa: E402
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import compute_v1, resourcemanager_v3  # noqa: E402

ORG = r'''
[gcp]
organization = "123456789012"

[[account]]
cloud = "gcp"
id = "shop-prod"
number = "111111111111"
ou = "/shop/prod"
regions = ["us-central1", "europe-west1"]
tags = { team = "shop" }

[[account]]
cloud = "gcp"
id = "shop-test"
ou = "/shop"
regions = ["us-central1"]
apis_off = ["compute.googleapis.com"]

[[account]]
cloud = "gcp"
id = "secret"
ou = "/"
rights = "none"

[[account]]
cloud = "gcp"
id = "going"
ou = "/"
status = "DELETE_REQUESTED"

[[resource]]
kind = "gcp.compute-instance"
account = "shop-prod"
region = "us-central1-a"
id = "web"
disks = ["boot", "data", "regions/us-central1/disks/both"]
addresses = ["web-ip"]
machine_type = "e2-small"
scratch = 1
network_tags = ["http"]
managed_by = "group"
metadata = { "cluster-name" = "c1" }
tags = { owner = "<b>&'\"é\u202e</b>" }

[[resource]]
kind = "gcp.compute-instance"
account = "shop-prod"
region = "europe-west1-b"
id = "old"
status = "TERMINATED"
stopped = "-50d"
started = "-90d"
gpus = 1
spot = true
deletion_protection = true
disks = ["boot"]

[[resource]]
kind = "gcp.compute-disk"
account = "shop-prod"
region = "us-central1-a"
id = "boot"
image = "projects/debian-cloud/global/images/debian-12"
licenses = ["https://www.googleapis.com/compute/v1/projects/debian-cloud/global/licenses/debian-12"]

[[resource]]
kind = "gcp.compute-disk"
account = "shop-prod"
region = "us-central1-a"
id = "data"
size = 200
type = "pd-ssd"
snapshot = "nightly"
attached = "-9d"

[[resource]]
kind = "gcp.compute-disk"
account = "shop-prod"
region = "us-central1"
id = "both"
resource_policies = ["daily"]

[[resource]]
kind = "gcp.compute-disk"
account = "shop-prod"
region = "europe-west1-b"
id = "boot"

[[resource]]
kind = "gcp.compute-disk"
account = "shop-prod"
region = "europe-west1-b"
id = "loose-"
count = 5
detached = "-40d"
type = "hyperdisk-balanced"
iops = 3000
throughput = 140
access_mode = "READ_WRITE_MANY"
uid = "77{n}"
raw = { guestOsFeatures = [{ type = "GVNIC" }] }
without = ["physicalBlockSizeBytes"]
async_primary = "boot"
source_disk = "gone"
description = "<b>&'\"é\u202e</b>"

[[resource]]
kind = "gcp.compute-snapshot"
account = "shop-prod"
region = "global"
id = "nightly"
size = 200
bytes = 12345678901
source_disk = "us"
auto_created = true
policy = "regions/us-central1/resourcePolicies/daily"
chain = "c"
type = "ARCHIVE"

[[resource]]
kind = "gcp.compute-snapshot"
account = "shop-prod"
id = "s"
count = 3
source_disk = "data"

[[resource]]
kind = "gcp.compute-image"
account = "shop-prod"
region = "global"
id = "golden"
readers = ["projectViewer:other", "allAuthenticatedUsers"]
family = "golden"
deprecated = "DEPRECATED"
replacement = "golden2"
source_disk = "data"
source_image = "projects/debian-cloud/global/images/debian-12"
source_snapshot = "nightly"
tags = { a = "b" }

[[resource]]
kind = "gcp.compute-machine-image"
account = "shop-prod"
region = "global"
id = "mi"
instance = "web"

[[resource]]
kind = "gcp.compute-instance-template"
account = "shop-prod"
region = "global"
id = "template"
images = ["golden", "projects/debian-cloud/global/images/family/debian-12"]
snapshots = ["nightly"]
disks = ["data"]
tags = { a = "b" }

[[resource]]
kind = "gcp.compute-instance-template"
account = "shop-prod"
region = "us-central1"
id = "regional"

[[resource]]
kind = "gcp.compute-instance-group-manager"
account = "shop-prod"
region = "us-central1-a"
id = "group"
template = "template"
size = 0
stateful = true
autoscaler = "a"
target_pools = ["pool"]

[[resource]]
kind = "gcp.compute-instance-group-manager"
account = "shop-prod"
region = "us-central1"
id = "wide"
templates = ["template", "regional"]

[[resource]]
kind = "gcp.compute-instance-group"
account = "shop-prod"
region = "us-central1-a"
id = "hand"
size = 2

[[resource]]
kind = "gcp.compute-address"
account = "shop-prod"
region = "us-central1"
id = "web-ip"
address = "34.1.2.3"

[[resource]]
kind = "gcp.compute-address"
account = "shop-prod"
region = "us-central1"
id = "free"
tags = { a = "b" }

[[resource]]
kind = "gcp.compute-address"
account = "shop-prod"
region = "us-central1"
id = "nat-ip"

[[resource]]
kind = "gcp.compute-address"
account = "shop-prod"
region = "europe-west1"
id = "inside"
type = "INTERNAL"
subnetwork = "default"

[[resource]]
kind = "gcp.compute-address"
account = "shop-prod"
region = "global"
id = "peering"
type = "INTERNAL"
purpose = "VPC_PEERING"
prefix = 16
network = "default"

[[resource]]
kind = "gcp.compute-address"
account = "shop-prod"
region = "global"
id = "front"

[[resource]]
kind = "gcp.compute-forwarding-rule"
account = "shop-prod"
region = "global"
id = "https"
address = "front"
target = "proxy"
port_range = "443-443"
scheme = "EXTERNAL_MANAGED"
tags = { a = "b" }

[[resource]]
kind = "gcp.compute-forwarding-rule"
account = "shop-prod"
region = "us-central1"
id = "internal"
backend_service = "regional"
scheme = "INTERNAL"
ports = ["80", "81"]

[[resource]]
kind = "gcp.compute-forwarding-rule"
account = "shop-prod"
region = "us-central1"
id = "legacy"
target = "pool"

[[resource]]
kind = "gcp.compute-target-https-proxy"
account = "shop-prod"
region = "global"
id = "proxy"
url_map = "map"
certificates = ["cert"]

[[resource]]
kind = "gcp.compute-target-http-proxy"
account = "shop-prod"
region = "us-central1"
id = "rp"
url_map = "map"

[[resource]]
kind = "gcp.compute-target-ssl-proxy"
account = "shop-prod"
region = "global"
id = "ssl"
service = "backend"

[[resource]]
kind = "gcp.compute-target-tcp-proxy"
account = "shop-prod"
region = "global"
id = "tcp"
service = "backend"

[[resource]]
kind = "gcp.compute-url-map"
account = "shop-prod"
region = "global"
id = "map"
default_service = "backend"
services = ["backend"]

[[resource]]
kind = "gcp.compute-url-map"
account = "shop-prod"
region = "global"
id = "redirect"
redirect = true

[[resource]]
kind = "gcp.compute-backend-service"
account = "shop-prod"
region = "global"
id = "backend"
backends = ["group", "projects/shop-prod/zones/us-central1-a/networkEndpointGroups/neg"]
health_checks = ["hc"]
used_by = ["map"]
healthy = 2
unhealthy = 1
scheme = "EXTERNAL_MANAGED"

[[resource]]
kind = "gcp.compute-backend-service"
account = "shop-prod"
region = "us-central1"
id = "regional"
protocol = "TCP"
scheme = "INTERNAL"

[[resource]]
kind = "gcp.compute-target-pool"
account = "shop-prod"
region = "us-central1"
id = "pool"
instances = ["web", "gone"]
healthy = 1
backup = "other"
health_checks = ["hc"]

[[resource]]
kind = "gcp.compute-router"
account = "shop-prod"
region = "us-central1"
id = "bgp"

[[resource]]
kind = "gcp.cloud-nat"
account = "shop-prod"
region = "us-central1"
id = "nat"
router = "r1"
ips = ["nat-ip"]
subnetworks = ["default"]

[[resource]]
kind = "gcp.cloud-nat"
account = "shop-prod"
region = "us-central1"
id = "nat2"
router = "r1"

[[resource]]
kind = "gcp.cloud-nat"
account = "shop-prod"
region = "europe-west1"
id = "nat"
router = "r2"
'''

P = "/compute/v1/projects/shop-prod"
AGGREGATED = {
    "addresses": ("AddressAggregatedList", 6),
    "backendServices": ("BackendServiceAggregatedList", 2),
    "disks": ("DiskAggregatedList", 9),
    "forwardingRules": ("ForwardingRuleAggregatedList", 3),
    "instanceGroupManagers": ("InstanceGroupManagerAggregatedList", 2),
    "instanceGroups": ("InstanceGroupAggregatedList", 3),
    "instanceTemplates": ("InstanceTemplateAggregatedList", 2),
    "instances": ("InstanceAggregatedList", 2),
    "routers": ("RouterAggregatedList", 3),
    "targetHttpProxies": ("TargetHttpProxyAggregatedList", 1),
    "targetHttpsProxies": ("TargetHttpsProxyAggregatedList", 1),
    "targetPools": ("TargetPoolAggregatedList", 1),
    "targetTcpProxies": ("TargetTcpProxyAggregatedList", 1),
    "urlMaps": ("UrlMapsAggregatedList", 2),
}
GLOBAL = {
    "addresses": ("AddressList", 2),
    "backendServices": ("BackendServiceList", 1),
    "forwardingRules": ("ForwardingRuleList", 1),
    "images": ("ImageList", 1),
    "instanceTemplates": ("InstanceTemplateList", 1),
    "machineImages": ("MachineImageList", 1),
    "snapshots": ("SnapshotList", 4),
    "targetSslProxies": ("TargetSslProxyList", 1),
    "targetTcpProxies": ("TargetTcpProxyList", 1),
    "urlMaps": ("UrlMapList", 2),
}


def client(emulator, kind):
    transport = getattr(compute_v1.services, kind[0]).transports
    rest = next(getattr(transport, name) for name in dir(transport) if name.endswith("RestTransport"))
    return kind[1](transport=rest(host=emulator.host, credentials=AnonymousCredentials(), url_scheme="http"))


def lists(emulator):
    """Every list by its schema, on one page and on many."""
    for name, (schema, count) in AGGREGATED.items():
        status, _, page = emulator.ask("compute.googleapis.com", f"{P}/aggregated/{name}", pageToken="", **{"$alt": "json"})
        check(f"{name} status", status, 200)
        valid(f"aggregated {name}", "compute.v1", schema, page)
        check(f"aggregated {name} kind", page["kind"], f"compute#{schema[0].lower()}{schema[1:]}")
        found = [item for scope in page["items"].values() for item in scope.get(name, [])]
        check(f"aggregated {name}", len(found), count)
        for scope, inside in page["items"].items():
            if name not in inside:
                check(f"{name} {scope}", inside["warning"]["code"], "NO_RESULTS_ON_PAGE")
        for item in found:
            path = item["selfLink"].removeprefix("https://www.googleapis.com")
            status, _, one = emulator.ask("compute.googleapis.com", path)
            check(f"get {path}", (status, one), (200, item))
    for name, (schema, count) in GLOBAL.items():
        status, _, page = emulator.ask("compute.googleapis.com", f"{P}/global/{name}")
        check(f"{name} status", status, 200)
        valid(name, "compute.v1", schema, page)
        check(f"global {name}", len(page["items"]), count)
    for path, schema in (("regions", "RegionList"), ("zones", "ZoneList"), ("", "Project")):
        status, _, page = emulator.ask("compute.googleapis.com", f"{P}/{path}".rstrip("/"))
        check(f"{schema} status", status, 200)
        valid(path, "compute.v1", schema, page)
    images = client(emulator, ("images", compute_v1.ImagesClient))
    check("readers", list(images.get_iam_policy(project="shop-prod", resource="golden").bindings[0].members)[1], "allAuthenticatedUsers")
    for path in ("images/golden", "snapshots/nightly"):
        valid(f"policy of {path}", "compute.v1", "Policy", emulator.ask(None, f"{P}/global/{path}/getIamPolicy")[2])
    check("zones", [r["name"] for r in emulator.ask(None, f"{P}/regions")[2]["items"]], ["europe-west1", "us-central1"])


def clients(emulator):
    """What Google's client reads out of the answers."""
    disks = client(emulator, (("disks"), compute_v1.DisksClient))
    found = {(scope, disk.name): disk for scope, inside in disks.aggregated_list(project="shop-prod") for disk in inside.disks}
    check("disks", len(found), 9)
    boot = found["zones/us-central1-a", "boot"]
    check("users", list(boot.users), ["https://www.googleapis.com/compute/v1/projects/shop-prod/zones/us-central1-a/instances/web"])
    check("users of a namesake", list(found["zones/europe-west1-b", "boot"].users)[0].endswith("/europe-west1-b/instances/old"))
    check("regional users", len(found["regions/us-central1", "both"].users), 1)
    check("replicas", len(found["regions/us-central1", "both"].replica_zones), 2)
    loose = found["zones/europe-west1-b", "loose-0003"]
    check("loose", (loose.id, list(loose.users), loose.last_detach_timestamp, loose.last_attach_timestamp), (770003, [], "2026-05-05T17:00:00.000-07:00", ""))
    check("without", loose.physical_block_size_bytes, 0)
    check("raw", loose.guest_os_features[0].type_, "GVNIC")
    check("description", loose.description, HOSTILE)
    data = found["zones/us-central1-a", "data"]
    check("snapshot", data.source_snapshot.endswith("/global/snapshots/nightly"))
    snapshots = {s.name: s for s in client(emulator, ("snapshots", compute_v1.SnapshotsClient)).list(project="shop-prod")}
    check("source", (snapshots["s0001"].source_disk, snapshots["s0001"].source_disk_id), (data.self_link, str(data.id)))
    check("bytes", (snapshots["nightly"].storage_bytes, snapshots["nightly"].auto_created), (12345678901, True))
    instances = {i.name: i for _, inside in client(emulator, ("instances", compute_v1.InstancesClient)).aggregated_list(project="shop-prod") for i in inside.instances}
    web = instances["web"]
    check("labels", dict(web.labels), {"owner": HOSTILE})
    check("disks", [d.source.rsplit("/", 3)[1:] for d in web.disks][:3], [["us-central1-a", "disks", "boot"], ["us-central1-a", "disks", "data"], ["us-central1", "disks", "both"]])
    check("scratch", web.disks[3].type_, "SCRATCH")
    check("public address", web.network_interfaces[0].access_configs[0].nat_i_p, "34.1.2.3")
    metadata = {m.key: m.value for m in web.metadata.items}
    check("created-by", metadata["created-by"], "projects/111111111111/zones/us-central1-a/instanceGroupManagers/group")
    check("old", (instances["old"].status, instances["old"].last_stop_timestamp[:10]), ("TERMINATED", "2026-04-25"))
    addresses = {a.name: a for _, inside in client(emulator, ("addresses", compute_v1.AddressesClient)).aggregated_list(project="shop-prod") for a in inside.addresses}
    check("addresses", {n: a.status for n, a in addresses.items()}, {"web-ip": "IN_USE", "free": "RESERVED", "nat-ip": "IN_USE", "inside": "RESERVED", "peering": "RESERVED", "front": "IN_USE"})
    check("nat user", list(addresses["nat-ip"].users)[0].endswith("/routers/r1"))
    check("purposes", (addresses["inside"].purpose, addresses["peering"].purpose), ("GCE_ENDPOINT", "VPC_PEERING"))
    routers = {r.name: r for _, inside in client(emulator, ("routers", compute_v1.RoutersClient)).aggregated_list(project="shop-prod") for r in inside.routers}
    check("routers", {n: [x.name for x in r.nats] for n, r in routers.items()}, {"bgp": [], "r1": ["nat", "nat2"], "r2": ["nat"]})
    rules = {r.name: r for _, inside in client(emulator, ("forwarding_rules", compute_v1.ForwardingRulesClient)).aggregated_list(project="shop-prod") for r in inside.forwarding_rules}
    check("target", rules["https"].target.endswith("/global/targetHttpsProxies/proxy"))
    check("pool", rules["legacy"].target.endswith("/regions/us-central1/targetPools/pool"))
    backend = client(emulator, ("backend_services", compute_v1.BackendServicesClient))
    body = compute_v1.ResourceGroupReference(group="g")
    health = backend.get_health(project="shop-prod", backend_service="backend", resource_group_reference_resource=body)
    check("health", [s.health_state for s in health.health_status], ["HEALTHY", "HEALTHY", "UNHEALTHY"])


def paging(emulator):
    with Emulator(ORG, "--page", "2") as small:
        for size in ("1", "3", "500"):
            ask = lambda token: small.ask("compute.googleapis.com", f"{P}/global/snapshots", maxResults=size, pageToken=token)[2]
            items, turns = pages(ask, "items")
            check(f"snapshots by {size}", ([i["name"] for i in items], turns), (["nightly", "s0001", "s0002", "s0003"], 4 if size == "1" else 2))
        disks = client(small, ("disks", compute_v1.DisksClient)).aggregated_list(project="shop-prod")
        check("disks by two", len([d for _, inside in disks for d in inside.disks]), 9)
    status, _, body = emulator.ask("compute.googleapis.com", f"{P}/aggregated/disks", maxResults="501")
    check("too large a page", (status, body["error"]["errors"][0]["reason"]), (400, "invalid"))
    check("a foreign token", emulator.ask("compute.googleapis.com", f"{P}/aggregated/disks", pageToken="x")[0], 400)
    check("another host", emulator.ask("run.googleapis.com", f"{P}/aggregated/disks")[0], 404)


def weather(emulator):
    """Lost zones, denied calls, throttling, APIs that are off."""
    disks = client(emulator, ("disks", compute_v1.DisksClient))
    emulator.faults({"kind": "unreachable", "service": "compute", "region": "europe-west1-b"})
    page = emulator.ask("compute.googleapis.com", f"{P}/aggregated/disks")[2]
    valid("unreachable", "compute.v1", "DiskAggregatedList", page)
    check("unreachables", (page["unreachables"], "zones/europe-west1-b" in page["items"]), (["zones/europe-west1-b"], False))
    check("the rest", len([d for _, inside in disks.aggregated_list(project="shop-prod") for d in inside.disks]), 3)
    check("by itself", emulator.ask("compute.googleapis.com", f"{P}/zones/europe-west1-b/disks")[0], 503)
    emulator.faults({"kind": "scope-warning", "region": "europe-west1"})
    page = emulator.ask("compute.googleapis.com", f"{P}/aggregated/disks")[2]
    valid("warned", "compute.v1", "DiskAggregatedList", page)
    check("warning", (page["items"]["zones/europe-west1-b"]["warning"]["code"], "unreachables" in page), ("UNREACHABLE", False))
    emulator.faults({"kind": "denied", "permission": "compute.disks.list"})
    try:
        list(disks.aggregated_list(project="shop-prod"))
        check("denied", False)
    except exceptions.Forbidden as error:
        check("denied", "Required 'compute.disks.list' permission for 'projects/shop-prod'" in str(error))
    emulator.faults({"kind": "throttle", "service": "compute", "times": 1})
    status, headers, body = emulator.ask("compute.googleapis.com", f"{P}/aggregated/disks")
    check("throttled", (status, headers["Retry-After"], body["error"]["status"]), (429, "1", "RESOURCE_EXHAUSTED"))
    emulator.faults()
    try:
        list(disks.aggregated_list(project="shop-test"))
        check("off", False)
    except exceptions.Forbidden as error:
        check("off", (error.reason, error.metadata["service"]), ("SERVICE_DISABLED", "compute.googleapis.com"))
    body = emulator.ask("compute.googleapis.com", "/compute/v1/projects/shop-test/aggregated/disks")[2]
    check("off says", body["error"]["errors"][0]["reason"], "accessNotConfigured")
    check("no project", emulator.ask("compute.googleapis.com", "/compute/v1/projects/none/aggregated/disks")[0], 404)
    calls = {(c["service"], c["action"], c["permission"], c["account"]) for c in emulator.journal()}
    check("journal", ("compute", "compute.disks.aggregatedList", "compute.disks.list", "shop-prod") in calls)


def projects(emulator):
    def of(name):
        transports = getattr(resourcemanager_v3.services, name).transports
        rest = next(getattr(transports, n) for n in dir(transports) if n.endswith("RestTransport"))
        made = rest(host=emulator.host, credentials=AnonymousCredentials(), url_scheme="http")
        return getattr(resourcemanager_v3, f"{name.capitalize()}Client")(transport=made)

    client, folders = of("projects"), of("folders")
    check("search", [p.project_id for p in client.search_projects()], ["shop-prod", "shop-test", "going"])
    check("search state", [p.project_id for p in client.search_projects(query="state:ACTIVE")], ["shop-prod", "shop-test"])
    seen, todo = [], ["organizations/123456789012"]
    while todo:
        parent = todo.pop()
        seen += [p.project_id for p in client.list_projects(parent=parent)]
        todo += [f.name for f in folders.list_folders(parent=parent)]
    check("walk", seen, ["secret", "shop-test", "shop-prod"])
    one = client.get_project(name="projects/111111111111")
    check("get", (one.project_id, one.name, dict(one.labels)), ("shop-prod", "projects/111111111111", {"team": "shop"}))
    try:
        client.get_project(name="projects/secret")
        check("hidden", False)
    except exceptions.Forbidden:
        check("hidden", True)
    emulator.faults({"kind": "denied", "permission": "compute.disks.*"})
    asked = ["compute.disks.list", "compute.instances.list", "storage.buckets.list"]
    had = client.test_iam_permissions(resource="projects/shop-prod", permissions=asked)
    check("rights", list(had.permissions), asked[1:])
    had = client.test_iam_permissions(resource="projects/secret", permissions=asked)
    check("no rights", list(had.permissions), [])
    emulator.faults()
    host = "cloudresourcemanager.googleapis.com"
    parent = "organizations/123456789012"
    for path, schema in (
        ("projects:search", "SearchProjectsResponse"),
        (f"projects?parent={parent}", "ListProjectsResponse"),
        (f"folders?parent={parent}", "ListFoldersResponse"),
        ("folders:search", None),
        ("organizations:search", "SearchOrganizationsResponse"),
        (parent, "Organization"),
        ("projects/shop-prod", "Project"),
    ):
        path, _, query = path.partition("?parent=")
        status, _, body = emulator.ask(host, f"/v3/{path}", **({"parent": query} if query else {}))
        check(path, status, 200)
        if schema:
            valid(path, "cloudresourcemanager.v3", schema, body)
    many = {"permissions": [f"a.b.c{n}" for n in range(101)]}
    check("too many", emulator.ask(host, "/v3/projects/shop-prod:testIamPermissions", many)[0], 400)


with Emulator(ORG) as running:
    run((lists, clients, paging, weather, projects), running)
finish()
