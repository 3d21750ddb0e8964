#!/usr/bin/env python3
"""Asks the emulated Artifact Registry, Cloud Functions, Cloud Run, Cloud SQL, Cloud Logging, Kubernetes Engine,
Cloud Monitoring and Recommender through Google's own clients, and holds every answer to Google's discovery
documents. The binary is $SWEEPER_EMULATOR_BIN, or is built with cargo. Prints "N passed, 0 failed" and exits with 1
when something failed."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))
from google_emulator import HOSTILE, Emulator, check, document, finish, need, pages, run, valid  # noqa: E402

need("googleapiclient", "google.cloud.artifactregistry_v1", "google.cloud.functions_v2", "google.cloud.run_v2")
from google.api_core import exceptions  # noqa: E402
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import artifactregistry_v1, functions_v2, run_v2  # noqa: E402
from googleapiclient import discovery  # noqa: E402
from googleapiclient.errors import HttpError  # noqa: E402

ORG = r'''
[[account]]
cloud = "gcp"
id = "shop-prod"
number = "111111111111"
regions = ["us-central1", "europe-west1"]

[[account]]
cloud = "gcp"
id = "bare"
number = "222222222222"
regions = ["us-central1"]
apis_off = ["run.googleapis.com", "sqladmin.googleapis.com"]

# Artifact Registry
[[resource]]
kind = "gcp.artifact-repository"
account = "shop-prod"
region = "us-central1"
id = "images"
size = 123456789012
cleanup = [{ action = "DELETE", tags = "UNTAGGED", older_days = 30 }, { id = "keep", keep = 5 }]
cleanup_dry_run = true
immutable_tags = true
readers = ["serviceAccount:222222222222-compute@developer.gserviceaccount.com"]
tags = { owner = "<b>&'\"é\u202e</b>" }

[[resource]]
kind = "gcp.artifact-repository"
account = "shop-prod"
region = "europe"
id = "all"
upstreams = ["images"]

[[resource]]
kind = "gcp.artifact-repository"
account = "shop-prod"
region = "europe"
id = "hub"
mode = "REMOTE"

[[resource]]
kind = "gcp.artifact-repository"
account = "shop-prod"
region = "us-central1"
id = "jars"
format = "MAVEN"

[[resource]]
kind = "gcp.artifact-image"
account = "shop-prod"
region = "us-central1"
id = "amd"
repository = "images"
image = "team/web"
size = 5000000000
uploaded = "-30d"
built = "-31d"

[[resource]]
kind = "gcp.artifact-image"
account = "shop-prod"
region = "us-central1"
id = "index"
repository = "images"
image = "team/web"
children = ["amd", "sha256:aa"]
tags_list = ["v1", "latest"]

[[resource]]
kind = "gcp.artifact-image"
account = "shop-prod"
region = "us-central1"
id = "signature"
repository = "images"
image = "team/web"
media = "artifact"
subject = "index"
tags_list = ["sha256-x.sig"]

[[resource]]
kind = "gcp.artifact-package-version"
account = "shop-prod"
region = "us-central1"
id = "1.{n}"
count = 3
repository = "jars"
package = "com.example:lib"
tags_list = ["release-{n}"]

# Functions
[[resource]]
kind = "gcp.function"
account = "shop-prod"
region = "us-central1"
id = "hook"
updated = "-200d"
min_instances = 2
environment = { SECRET = "x" }
tags = { owner = "a" }
metrics = { "function/execution_count" = 240 }

[[resource]]
kind = "gcp.function"
account = "shop-prod"
region = "europe-west1"
id = "old"
gen = 1
topic = "events"
runtime = "nodejs10"
state = "FAILED"

# Run
[[resource]]
kind = "gcp.run-service"
account = "shop-prod"
region = "us-central1"
id = "web"
created = "-90d"
images = ["us-central1-docker.pkg.dev/shop-prod/images/team/web:v1"]
traffic = [{ revision = "web-00001-abc", percent = 10 }, { revision = "web-00002-abc", tag = "canary" }, { percent = 90 }]
min_instances = 1
cpu_always = true
environment = { SECRET = "x" }
tags = { owner = "a" }
recommended = true

[[resource]]
kind = "gcp.run-service"
account = "shop-prod"
region = "us-central1"
id = "plain"
manual_instances = 3

[[resource]]
kind = "gcp.run-revision"
account = "shop-prod"
region = "us-central1"
id = "web-0000{n}-abc"
created = "-80d"
service = "web"
retired = true

[[resource]]
kind = "gcp.run-revision"
account = "shop-prod"
region = "us-central1"
id = "web-00003-abc"
created = "-9d"
service = "web"
metrics = { "run.googleapis.com/request_count" = [1000, 0, 48, 24] }

[[resource]]
kind = "gcp.run-job"
account = "shop-prod"
region = "europe-west1"
id = "nightly"
last_execution = "-1d"
executions = 400
tags = { owner = "a" }

# SQL
[[resource]]
kind = "gcp.sql-instance"
account = "shop-prod"
region = "us-central1"
id = "main"
size = 100
availability = "REGIONAL"
deletion_protection = true
addresses = ["34.1.1.1"]
tags = { owner = "a" }
recommended = true
metrics = { "database/postgresql/num_backends" = 3 }

[[resource]]
kind = "gcp.sql-instance"
account = "shop-prod"
region = "europe-west1"
id = "copy"
replica_of = "main"

[[resource]]
kind = "gcp.sql-instance"
account = "shop-prod"
region = "us-central1"
id = "off"
activation = "NEVER"
engine = "MYSQL_8_0"
metrics = { "database/network/connections" = 0 }

# Logs and clusters
[[resource]]
kind = "gcp.log-bucket"
account = "shop-prod"
region = "global"
id = "_Default"
retention = 365

[[resource]]
kind = "gcp.log-bucket"
account = "shop-prod"
region = "europe-west1"
id = "audit"
retention = 3650
locked = true
analytics = true

[[resource]]
kind = "gcp.gke-cluster"
account = "shop-prod"
region = "us-central1"
id = "prod"
nodes = 6
node_pools = [{ name = "a", nodes = 3 }, { name = "b" }]
tags = { owner = "a" }

[[resource]]
kind = "gcp.gke-cluster"
account = "shop-prod"
region = "europe-west1-b"
id = "auto"
autopilot = true
nodes = 0

# What Monitoring and Recommender know
[[resource]]
kind = "gcp.compute-instance"
account = "shop-prod"
region = "us-central1-a"
id = "vm"
uid = "4711"
created = "-10d"
recommended = true
metrics = { "compute.googleapis.com/instance/cpu/utilization" = 0.015, "instance/network/sent_bytes_count" = 86400 }

[[resource]]
kind = "gcp.compute-instance"
account = "shop-prod"
region = "us-central1-a"
id = "gap"
metrics = { "instance/cpu/utilization" = 0.5 }
metrics_gap = true

[[resource]]
kind = "gcp.compute-disk"
account = "shop-prod"
region = "us-central1-a"
id = "idle"
recommended = true
recommendation_state = "DISMISSED"

[[resource]]
kind = "gcp.storage-bucket"
account = "shop-prod"
region = "us"
id = "logs"
objects = 12
bytes = 3400

[[resource]]
kind = "gcp.storage-bucket"
account = "shop-prod"
region = "us"
id = "empty"
objects = 0

[[resource]]
kind = "gcp.cloud-nat"
account = "shop-prod"
region = "us-central1"
id = "nat"
router = "r"
metrics = { "router.googleapis.com/nat/sent_packets_count" = 24, "nat/open_connections" = 2 }
'''

HERE = "projects/shop-prod/locations"


def client(emulator, module, name):
    services = getattr(module.services, name)
    rest = next(getattr(services.transports, n) for n in dir(services.transports) if n.endswith("RestTransport"))
    kind = next(getattr(services, n) for n in dir(services) if n.endswith("Client") and not n.endswith("AsyncClient"))
    return kind(transport=rest(host=emulator.host, credentials=AnonymousCredentials(), url_scheme="http"))


def built(emulator, name):
    """A client that google-api-python-client makes of a discovery document."""
    return discovery.build_from_document(
        document(name), credentials=AnonymousCredentials(), client_options={"api_endpoint": emulator.url}
    )


def registry(emulator):
    ask = lambda path, **query: emulator.ask("artifactregistry.googleapis.com", f"/v1/{path}", **query)
    places = ask("projects/shop-prod/locations")[2]
    valid("locations", "artifactregistry.v1", "ListLocationsResponse", places)
    names = [place["locationId"] for place in places["locations"]]
    check("locations", names, ["asia", "europe", "europe-west1", "us", "us-central1"])
    for path, schema in (
        ("us-central1/repositories", "ListRepositoriesResponse"),
        ("europe/repositories", "ListRepositoriesResponse"),
        ("us-central1/repositories/images", "Repository"),
        ("us-central1/repositories/images:getIamPolicy", "Policy"),
        ("us-central1/repositories/images/dockerImages", "ListDockerImagesResponse"),
        ("us-central1/repositories/images/attachments", "ListAttachmentsResponse"),
        ("us-central1/repositories/images/packages", "ListPackagesResponse"),
        ("us-central1/repositories/images/packages/team%2Fweb/versions", "ListVersionsResponse"),
        ("us-central1/repositories/images/packages/team%2Fweb/tags", "ListTagsResponse"),
        ("us-central1/repositories/jars/packages", "ListPackagesResponse"),
        ("us-central1/repositories/jars/packages/com.example:lib/versions", "ListVersionsResponse"),
    ):
        status, _, body = ask(f"{HERE}/{path}", **({"view": "FULL"} if path.endswith("versions") else {}))
        check(f"{path} status", status, 200)
        valid(path, "artifactregistry.v1", schema, body)
    api = client(emulator, artifactregistry_v1, "artifact_registry")
    found = {}
    for place in names:
        found.update({r.name.rsplit("/", 1)[1]: r for r in api.list_repositories(parent=f"{HERE}/{place}")})
    check("repositories", sorted(found), ["all", "hub", "images", "jars"])
    images = found["images"]
    check("repository", (images.format_.name, images.size_bytes, dict(images.labels), images.cleanup_policy_dry_run), ("DOCKER", 123456789012, {"owner": HOSTILE}, True))
    rules = images.cleanup_policies
    check("cleanup", (rules["policy-0"].action.name, rules["policy-0"].condition.older_than.days, rules["keep"].most_recent_versions.keep_count), ("DELETE", 30, 5))
    check("virtual", (found["all"].mode.name, found["all"].virtual_repository_config.upstream_policies[0].repository), ("VIRTUAL_REPOSITORY", f"{HERE}/europe/repositories/images"))
    check("remote", found["hub"].mode.name, "REMOTE_REPOSITORY")
    docker = {i.uri.split("/")[-1]: i for i in api.list_docker_images(parent=images.name)}
    check("images", len(docker), 3)
    index = next(i for i in docker.values() if "index" in i.media_type)
    amd = next(i for i in docker.values() if i.image_size_bytes)
    check("uri", index.uri.startswith("us-central1-docker.pkg.dev/shop-prod/images/team/web@sha256:"))
    check("tags", (list(index.tags), list(amd.tags)), (["v1", "latest"], []))
    check("children", amd.name.endswith(index.image_manifests[0].digest))
    check("get image", api.get_docker_image(name=index.name), index)
    package = f"{images.name}/packages/team%2Fweb"
    check("packages", [p.name for p in api.list_packages(parent=images.name)], [package])
    versions = list(api.list_versions(request={"parent": package, "view": "FULL"}))
    check("versions", sorted(len(v.related_tags) for v in versions), [0, 1, 2])
    check("basic versions", [len(v.related_tags) for v in api.list_versions(parent=package)], [0, 0, 0])
    attached = list(api.list_attachments(parent=images.name))
    check("attached", [(a.target, a.type_) for a in attached], [(f"{package}/versions/{index.name.split('@')[1]}", "application/vnd.dev.cosign.artifact.sig.v1+json")])
    signature = api.get_version(request={"name": attached[0].oci_version_name, "view": "FULL"})
    check("subject", dict(signature.metadata)["subjectDigest"], index.name.split("@")[1])
    jars = f"{found['jars'].name}/packages/com.example:lib"
    lib = list(api.list_versions(request={"parent": jars, "view": "FULL", "page_size": 2}))
    check("lib", [(v.name.rsplit("/", 1)[1], v.related_tags[0].name.rsplit("/", 1)[1]) for v in lib], [(f"1.000{n}", f"release-000{n}") for n in (1, 2, 3)])
    check("tags", len(list(api.list_tags(parent=jars))), 3)
    policy = ask(f"{images.name}:getIamPolicy")[2]
    check("readers", policy["bindings"][0]["members"][0][:14], "serviceAccount")
    check("all places", ask(f"{HERE}/-/repositories")[0], 400)
    check("not docker", ask(f"{found['jars'].name}/dockerImages")[2]["error"]["status"], "FAILED_PRECONDITION")
    check("no repository", ask(f"{HERE}/us/repositories/none/packages")[0], 404)


def functions(emulator):
    api = client(emulator, functions_v2, "function_service")
    found = {f.name.rsplit("/", 1)[1]: f for f in api.list_functions(parent=f"{HERE}/-")}
    check("functions", sorted(found), ["hook", "old"])
    hook, old = found["hook"], found["old"]
    check("generations", (hook.environment.name, old.environment.name), ("GEN_2", "GEN_1"))
    check("run service", (hook.service_config.service, old.service_config.service), (f"{HERE}/us-central1/services/hook", ""))
    check("warm", (hook.service_config.min_instance_count, old.service_config.min_instance_count), (2, 0))
    check("updated", str(hook.update_time)[:10], "2025-11-27")
    check("trigger", (old.event_trigger.pubsub_topic, old.state.name, old.build_config.runtime), ("projects/shop-prod/topics/events", "FAILED", "nodejs10"))
    check("one place", len(list(api.list_functions(parent=f"{HERE}/europe-west1"))), 1)
    host = "cloudfunctions.googleapis.com"
    for path, schema in ((f"{HERE}/-/functions", "ListFunctionsResponse"), (hook.name, "Function"), ("projects/shop-prod/locations", "ListLocationsResponse")):
        valid(path, "cloudfunctions.v2", schema, emulator.ask(host, f"/v2/{path}")[2])
    emulator.faults({"kind": "unreachable", "service": "cloudfunctions", "region": "europe-west1"})
    pager = api.list_functions(parent=f"{HERE}/-")
    check("unreachable", (list(pager.unreachable), len(list(pager))), ([f"{HERE}/europe-west1"], 1))
    emulator.faults()


def cloud_run(emulator):
    services, revisions, jobs = (client(emulator, run_v2, name) for name in ("services", "revisions", "jobs"))
    found = {s.name.rsplit("/", 1)[1]: s for s in services.list_services(parent=f"{HERE}/us-central1")}
    check("services", sorted(found), ["plain", "web"])
    web = found["web"]
    check("traffic", [(t.type_.name[30:], t.revision, t.percent, t.tag) for t in web.traffic], [("_REVISION", "web-00001-abc", 10, ""), ("_REVISION", "web-00002-abc", 0, "canary"), ("_LATEST", "", 90, "")])
    check("latest", web.latest_ready_revision, f"{web.name}/revisions/web-00003-abc")
    check("always", web.template.containers[0].resources.cpu_idle, False)
    check("warm", (web.template.scaling.min_instance_count, found["plain"].scaling.manual_instance_count), (1, 3))
    own = list(revisions.list_revisions(parent=web.name))
    check("revisions", [r.name.rsplit("/", 1)[1] for r in own], ["web-00003-abc", "web-0000{n}-abc"])
    check("retired", [any(c.revision_reason.name == "RETIRED" for c in r.conditions) for r in own], [False, True])
    check("all services", len(list(revisions.list_revisions(parent=f"{HERE}/us-central1/services/-"))), 2)
    job = next(iter(jobs.list_jobs(parent=f"{HERE}/europe-west1")))
    check("job", (job.execution_count, str(job.latest_created_execution.create_time)[:10]), (400, "2026-06-14"))
    host = "run.googleapis.com"
    for path, schema in (
        (f"{HERE}/us-central1/services", "ListServicesResponse"),
        (web.name, "Service"),
        (f"{web.name}/revisions", "ListRevisionsResponse"),
        (own[0].name, "Revision"),
        (f"{HERE}/europe-west1/jobs", "ListJobsResponse"),
        (job.name, "Job"),
    ):
        valid(path, "run.v2", f"GoogleCloudRunV2{schema}", emulator.ask(host, f"/v2/{path}")[2])
    check("all places", emulator.ask(host, f"/v2/{HERE}/-/services")[0], 400)
    try:
        list(services.list_services(parent="projects/bare/locations/us-central1"))
        check("off", False)
    except exceptions.Forbidden as error:
        check("off", error.reason, "SERVICE_DISABLED")
    emulator.faults({"kind": "denied", "permission": "run.services.list"})
    try:
        list(services.list_services(parent=f"{HERE}/us-central1"))
        check("denied", False)
    except exceptions.Forbidden as error:
        check("denied", (error.reason, "run.services.list" in error.message), ("IAM_PERMISSION_DENIED", True))
    emulator.faults({"kind": "unreachable", "service": "run", "region": "us-central1"})
    check("lost", emulator.ask(host, f"/v2/{HERE}/us-central1/services")[0], 503)
    emulator.faults()


def databases(emulator):
    api = built(emulator, "sqladmin.v1").instances()
    page = api.list(project="shop-prod").execute()
    valid("instances", "sqladmin.v1", "InstancesListResponse", page)
    found = {i["name"]: i for i in page["items"]}
    check("instances", sorted(found), ["copy", "main", "off"])
    main = found["main"]
    check("main", (main["settings"]["dataDiskSizeGb"], main["settings"]["deletionProtectionEnabled"], main["replicaNames"]), ("100", True, ["copy"]))
    check("labels", main["settings"]["userLabels"], {"owner": "a"})
    check("replica", (found["copy"]["masterInstanceName"], found["copy"]["instanceType"]), ("shop-prod:main", "READ_REPLICA_INSTANCE"))
    check("off", (found["off"]["settings"]["activationPolicy"], found["off"]["databaseVersion"]), ("NEVER", "MYSQL_8_0"))
    valid("instance", "sqladmin.v1", "DatabaseInstance", api.get(project="shop-prod", instance="main").execute())
    emulator.faults({"kind": "unreachable", "service": "sqladmin", "region": "europe-west1"})
    page = api.list(project="shop-prod").execute()
    valid("warned", "sqladmin.v1", "InstancesListResponse", page)
    check("warned", ([(w["code"], w["region"]) for w in page["warnings"]], len(page["items"])), ([("REGION_UNREACHABLE", "europe-west1")], 2))
    emulator.faults()
    try:
        api.list(project="bare").execute()
        check("off", False)
    except HttpError as error:
        check("off", (error.status_code, error.error_details[0]["reason"]), (403, "SERVICE_DISABLED"))


def log_buckets(emulator):
    api = built(emulator, "logging.v2").projects().locations().buckets()
    page = api.list(parent=f"{HERE}/-").execute()
    valid("buckets", "logging.v2", "ListBucketsResponse", page)
    found = {b["name"].rsplit("/", 1)[1]: b for b in page["buckets"]}
    check("retention", {n: b["retentionDays"] for n, b in found.items()}, {"_Required": 400, "audit": 3650, "_Default": 365})
    check("locked", (found["audit"]["locked"], "locked" in found["_Default"]), (True, False))
    check("one place", len(api.list(parent=f"{HERE}/europe-west1").execute()["buckets"]), 1)
    bare = api.list(parent="projects/bare/locations/-").execute()["buckets"]
    check("every project has", [b["name"].rsplit("/", 1)[1] for b in bare], ["_Default", "_Required"])


def clusters(emulator):
    api = built(emulator, "container.v1").projects().locations().clusters()
    page = api.list(parent=f"{HERE}/-").execute()
    valid("clusters", "container.v1", "ListClustersResponse", page)
    found = {c["name"]: c for c in page["clusters"]}
    check("prod", (found["prod"]["location"], found["prod"]["currentNodeCount"], len(found["prod"]["nodePools"])), ("us-central1", 6, 2))
    check("auto", (found["auto"]["location"], "currentNodeCount" in found["auto"], found["auto"]["autopilot"]), ("europe-west1-b", False, {"enabled": True}))
    emulator.faults({"kind": "unreachable", "service": "container", "region": "europe-west1-b"})
    page = api.list(parent=f"{HERE}/-").execute()
    valid("missing zones", "container.v1", "ListClustersResponse", page)
    check("missing", (page["missingZones"], len(page["clusters"])), (["europe-west1-b"], 1))
    emulator.faults()


def series(emulator, metric, resource, aligner=None, reducer=None, by=(), days=7, more="", **query):
    asked = {
        "name": "projects/shop-prod",
        "filter": f'metric.type = "{metric}" AND resource.type = "{resource}"{more}',
        "interval_startTime": f"2026-06-{15 - days:02}T00:00:00Z",
        "interval_endTime": "2026-06-15T00:00:00Z",
    }
    if aligner:
        asked |= {"aggregation_alignmentPeriod": "86400s", "aggregation_perSeriesAligner": aligner}
    if reducer:
        asked |= {"aggregation_crossSeriesReducer": reducer, "aggregation_groupByFields": list(by)}
    page = built(emulator, "monitoring.v3").projects().timeSeries().list(**asked, **query).execute()
    valid(metric, "monitoring.v3", "ListTimeSeriesResponse", page)
    return page.get("timeSeries", [])


def values(one):
    return [list(p["value"].values())[0] for p in one["points"]]


def metrics(emulator):
    cpu = "compute.googleapis.com/instance/cpu/utilization"
    by = ["resource.label.instance_id"]
    found = series(emulator, cpu, "gce_instance", "ALIGN_MAX", "REDUCE_MAX", by)
    check("cpu", [(s["resource"]["labels"]["instance_id"], values(s)) for s in found], [("4711", [0.015] * 7)])
    check("newest first", found[0]["points"][0]["interval"], {"startTime": "2026-06-15T00:00:00Z", "endTime": "2026-06-15T00:00:00Z"})
    check("labels kept", found[0]["resource"]["labels"], {"instance_id": "4711", "project_id": "shop-prod"})
    check("before it was", len(series(emulator, cpu, "gce_instance", "ALIGN_MEAN", days=14)[0]["points"]), 10)
    check("raw", len(series(emulator, cpu, "gce_instance", days=1)[0]["points"]), 24)
    sent = series(emulator, "compute.googleapis.com/instance/network/sent_bytes_count", "gce_instance", "ALIGN_SUM", "REDUCE_SUM", by)
    check("sums", (values(sent[0]), sent[0]["metricKind"], sent[0]["valueType"]), (["86400"] * 7, "DELTA", "INT64"))
    check("a sum's extent", sent[0]["points"][0]["interval"]["startTime"], "2026-06-14T00:00:00Z")
    rate = series(emulator, "compute.googleapis.com/instance/network/sent_bytes_count", "gce_instance", "ALIGN_RATE")
    check("rate", (values(rate[0])[0], rate[0]["metricKind"]), (1.0, "GAUGE"))
    two = ["resource.label.service_name", "resource.labels.location"]
    runs = series(emulator, "run.googleapis.com/request_count", "cloud_run_revision", "ALIGN_SUM", "REDUCE_SUM", two)
    check("requests", [(s["resource"]["labels"]["service_name"], s["resource"]["labels"]["location"], values(s)) for s in runs], [("hook", "us-central1", ["240"] * 7), ("web", "us-central1", ["24", "48", "0", "1000"])])
    calls = series(emulator, "cloudfunctions.googleapis.com/function/execution_count", "cloud_function", "ALIGN_SUM", "REDUCE_SUM", ["resource.label.function_name"])
    check("calls", [(s["resource"]["labels"]["function_name"], values(s)[0]) for s in calls], [("hook", "240")])
    sql = ' AND metric.labels.database != "cloudsqladmin"'
    backends = series(emulator, "cloudsql.googleapis.com/database/postgresql/num_backends", "cloudsql_database", "ALIGN_MAX", "REDUCE_MAX", ["resource.label.database_id"], more=sql)
    check("backends", [(s["resource"]["labels"]["database_id"], values(s)[0]) for s in backends], [("shop-prod:main", "3")])
    none = series(emulator, "cloudsql.googleapis.com/database/network/connections", "cloudsql_database", "ALIGN_MAX", "REDUCE_MAX", ["resource.label.database_id"])
    check("no connections", [(s["resource"]["labels"]["database_id"], values(s)[0]) for s in none], [("shop-prod:off", "0")])
    sizes = series(emulator, "storage.googleapis.com/storage/object_count", "gcs_bucket", "ALIGN_NEXT_OLDER", "REDUCE_SUM", ["resource.label.bucket_name"])
    check("objects", {s["resource"]["labels"]["bucket_name"]: values(s)[0] for s in sizes}, {"logs": "12", "empty": "0"})
    nat = series(emulator, "router.googleapis.com/nat/sent_packets_count", "nat_gateway", "ALIGN_SUM", "REDUCE_SUM", ["resource.label.router_id", "resource.label.gateway_name"])
    router = emulator.ask("compute.googleapis.com", "/compute/v1/projects/shop-prod/regions/us-central1/routers/r")[2]
    check("nat", (nat[0]["resource"]["labels"]["router_id"], values(nat[0])[0]), (router["id"], "24"))
    check("one of", len(series(emulator, cpu, "gce_instance", "ALIGN_MAX", more=' AND resource.labels.instance_id = one_of("4711", "1")')), 1)
    check("either", len(series(emulator, cpu, "gce_instance", "ALIGN_MAX", more=' AND (resource.labels.instance_id = "1" OR NOT resource.labels.zone = starts_with("us-"))')), 0)
    check("numbers for names", len(emulator.ask("monitoring.googleapis.com", "/v3/projects/shop-prod/timeSeries", **{
        "filter": f'metric.type="{cpu}"', "interval.endTime": "2026-06-15T00:00:00Z", "interval.startTime": "2026-06-08T00:00:00Z",
        "aggregation.alignmentPeriod": "86400s", "aggregation.perSeriesAligner": "11", "aggregation.crossSeriesReducer": "3",
        "aggregation.groupByFields": by, "view": "0", "pageSize": "100000", "pageToken": ""})[2]["timeSeries"]), 1)
    for what, query in (("filter", {"filter": "nonsense ="}), ("no metric", {"filter": 'resource.type = "x"'}), ("no end", {"filter": f'metric.type = "{cpu}"'})):
        check(f"bad {what}", emulator.ask("monitoring.googleapis.com", "/v3/projects/shop-prod/timeSeries", **query)[0], 400)
    headers = series(emulator, cpu, "gce_instance", "ALIGN_MAX", view="HEADERS")
    check("headers", ("points" in headers[0], headers[0]["metric"]["type"]), (False, cpu))

    def page(token):
        return emulator.ask("monitoring.googleapis.com", "/v3/projects/shop-prod/timeSeries", **{
            "filter": 'metric.type = "storage.googleapis.com/storage/object_count"', "interval.endTime": "2026-06-15T00:00:00Z",
            "interval.startTime": "2026-06-10T00:00:00Z", "aggregation.alignmentPeriod": "86400s",
            "aggregation.perSeriesAligner": "ALIGN_NEXT_OLDER", "pageSize": "3", "pageToken": token})[2]

    emulator.faults({"kind": "unreachable", "service": "monitoring", "region": "us-central1"})
    part = emulator.ask("monitoring.googleapis.com", "/v3/projects/shop-prod/timeSeries", **{
        "filter": f'metric.type = "{cpu}"', "interval.endTime": "2026-06-15T00:00:00Z"})[2]
    valid("part of the series", "monitoring.v3", "ListTimeSeriesResponse", part)
    check("part", (part["unreachable"], part["executionErrors"][0]["code"], "timeSeries" in part), (["us-central1"], 14, False))
    emulator.faults()
    parts, turns = pages(page, "timeSeries")
    check("pages of points", (sum(len(p["points"]) for p in parts), turns), (10, 4))


def advice(emulator):
    api = built(emulator, "recommender.v1").projects().locations().recommenders().recommendations()
    found = {}
    for place, name in (
        ("us-central1-a", "google.compute.disk.IdleResourceRecommender"),
        ("us-central1-a", "google.compute.instance.IdleResourceRecommender"),
        ("us-central1", "google.cloudsql.instance.IdleRecommender"),
        ("us-central1", "google.run.service.CostRecommender"),
        ("us-central1", "google.compute.address.IdleResourceRecommender"),
    ):
        page = api.list(parent=f"{HERE}/{place}/recommenders/{name}").execute()
        valid(name, "recommender.v1", "GoogleCloudRecommenderV1ListRecommendationsResponse", page)
        for one in page.get("recommendations", []):
            operation = one["content"]["operationGroups"][0]["operations"][0]
            found[operation["resource"]] = one["stateInfo"]["state"]
    check("advice", found, {
        "//compute.googleapis.com/projects/shop-prod/zones/us-central1-a/disks/idle": "DISMISSED",
        "//compute.googleapis.com/projects/shop-prod/zones/us-central1-a/instances/vm": "ACTIVE",
        "//sqladmin.googleapis.com/projects/shop-prod/instances/main": "ACTIVE",
        "//run.googleapis.com/projects/shop-prod/locations/us-central1/services/web": "ACTIVE",
    })
    permissions = {c["permission"] for c in emulator.journal() if c["service"] == "recommender"}
    check("permissions", "recommender.computeDiskIdleResourceRecommendations.list" in permissions)


def paging(emulator):
    with Emulator(ORG, "--page", "1") as small:
        for host, path, key, count in (
            ("artifactregistry", f"/v1/{HERE}/us-central1/repositories", "repositories", 2),
            ("artifactregistry", f"/v1/{HERE}/us-central1/repositories/images/dockerImages", "dockerImages", 3),
            ("cloudfunctions", f"/v2/{HERE}/-/functions", "functions", 2),
            ("run", f"/v2/{HERE}/us-central1/services", "services", 2),
            ("run", f"/v2/{HERE}/us-central1/services/-/revisions", "revisions", 2),
            ("sqladmin", "/v1/projects/shop-prod/instances", "items", 3),
            ("logging", f"/v2/{HERE}/-/buckets", "buckets", 3),
        ):
            items, turns = pages(lambda token: small.ask(f"{host}.googleapis.com", path, pageToken=token)[2], key)
            check(f"pages of {path}", (len(items), turns), (count, count))


with Emulator(ORG) as running:
    run((registry, functions, cloud_run, databases, log_buckets, clusters, metrics, advice, paging), running)
finish()
