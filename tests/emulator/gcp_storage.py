#!/usr/bin/env python3
"""Asks the emulated Cloud Storage through Google's own clients, gRPC and JSON. The binary is
$SWEEPER_EMULATOR_BIN, or is built with cargo. Prints "N passed, 0 failed" and exits with 1 when something failed."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tools"))
from google_emulator import HOSTILE, Emulator, check, finish, need, pages, run, valid  # noqa: E402

need("googleapiclient", "google.cloud._storage_v2")
import grpc  # noqa: E402
from google.api_core import exceptions  # noqa: E402
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from google.cloud import _storage_v2 as v2  # noqa: E402
from google.cloud import storage  # noqa: E402
from google.cloud._storage_v2.services.storage.transports.grpc import StorageGrpcTransport  # noqa: E402

ORG = r'''
[[account]]
cloud = "gcp"
id = "shop-prod"
number = "111111111111"
regions = ["us-central1"]

[[account]]
cloud = "gcp"
id = "other"
apis_off = ["storage.googleapis.com"]

[[resource]]
kind = "gcp.storage-bucket"
account = "shop-prod"
region = "us-central1"
id = "full"
created = "-400d"
versioning = true
objects = 2503
noncurrent = 4
bytes = 250300
lifecycle = [
    { noncurrent_days = 30, newer_versions = 2, prefixes = ["a/"], is_live = false },
    { class = "COLDLINE", age = 90, classes = ["STANDARD"] },
    { action = "AbortIncompleteMultipartUpload", age = 7 },
]
soft_delete_days = 30
tags = { owner = "<b>&'\"é\u202e</b>" }
log_bucket = "logs"
retention_days = 9
retention_locked = true
kms = "projects/p/locations/us/keyRings/r/cryptoKeys/k"
requester_pays = true
website = "index.html"
updated = "-3d"

[[resource]]
kind = "gcp.storage-bucket"
account = "shop-prod"
region = "us"
id = "logs"
class = "NEARLINE"
soft_delete_days = 0
autoclass = true
hierarchical = true
uniform = false
public_prevention = "enforced"
object_retention = true
event_hold = true

[[resource]]
kind = "gcp.storage-bucket"
account = "shop-prod"
region = "nam4"
id = "n"
count = 5
placement = ["US-CENTRAL1", "US-EAST1"]

[[resource]]
kind = "gcp.storage-bucket"
account = "other"
region = "us"
id = "foreign"
'''


def control(emulator):
    channel = grpc.insecure_channel(emulator.host)
    return v2.StorageClient(transport=StorageGrpcTransport(channel=channel))


def by_grpc(emulator):
    client = control(emulator)
    buckets = {b.bucket_id: b for b in client.list_buckets(parent="projects/shop-prod")}
    check("names", list(buckets), ["full", "logs", "n0001", "n0002", "n0003", "n0004", "n0005"])
    full, logs = buckets["full"], buckets["logs"]
    check("name", (full.name, full.project), ("projects/_/buckets/full", "projects/111111111111"))
    check("places", [(b.location, b.location_type) for b in (full, logs, buckets["n0001"])], [("US-CENTRAL1", "region"), ("US", "multi-region"), ("NAM4", "dual-region")])
    check("classes", (full.storage_class, logs.storage_class), ("STANDARD", "NEARLINE"))
    check("created", str(full.create_time)[:10], "2025-05-11")
    check("soft delete", (full.soft_delete_policy.retention_duration.days, logs.soft_delete_policy.retention_duration.days), (30, 0))
    check("versioning", (full.versioning.enabled, "versioning" in logs), (True, False))
    check("labels", dict(full.labels), {"owner": HOSTILE})
    rules = full.lifecycle.rule
    check("actions", [(r.action.type_, r.action.storage_class) for r in rules], [("Delete", ""), ("SetStorageClass", "COLDLINE"), ("AbortIncompleteMultipartUpload", "")])
    first = rules[0].condition
    check("condition", (first.days_since_noncurrent_time, first.num_newer_versions, list(first.matches_prefix), first.is_live), (30, 2, ["a/"], False))
    check("no age", ("age_days" in first, rules[1].condition.age_days), (False, 90))
    check("retention", (full.retention_policy.is_locked, full.retention_policy.retention_duration.days), (True, 9))
    check("key", full.encryption.default_kms_key.endswith("/cryptoKeys/k"))
    check("requester pays", full.billing.requester_pays)
    check("website", full.website.main_page_suffix, "index.html")
    check("log", full.logging.log_bucket, "projects/_/buckets/logs")
    check("access", (logs.iam_config.public_access_prevention, logs.iam_config.uniform_bucket_level_access.enabled), ("enforced", False))
    check("flags", (logs.autoclass.enabled, logs.hierarchical_namespace.enabled, logs.object_retention.enabled, logs.default_event_based_hold), (True,) * 4)
    check("placement", list(buckets["n0001"].custom_placement_config.data_locations), ["US-CENTRAL1", "US-EAST1"])
    masked = client.list_buckets(request={"parent": "projects/shop-prod", "read_mask": "name,labels"})
    check("mask", [(b.name, b.location) for b in masked][0], ("projects/_/buckets/full", ""))
    check("get", client.get_bucket(name="projects/_/buckets/full"), full)
    objects = list(client.list_objects(parent="projects/_/buckets/full"))
    check("objects", (len(objects), objects[0].size), (2503, 99))
    versions = list(client.list_objects(request={"parent": "projects/_/buckets/full", "versions": True}))
    check("versions", (len(versions), sum("delete_time" in o for o in versions)), (2507, 4))
    check("empty", list(client.list_objects(parent="projects/_/buckets/logs")), [])
    one = next(client.list_objects(request={"parent": "projects/_/buckets/full", "page_size": 1}).pages)
    check("one object", (len(one.objects), bool(one.next_page_token)), (1, True))
    with Emulator(ORG, "--page", "2") as small:
        pager = control(small).list_buckets(parent="projects/shop-prod")
        check("pages", [len(p.buckets) for p in pager.pages], [2, 2, 2, 1])


def refused(name, kind, call, *arguments, **named):
    try:
        list(call(*arguments, **named))
        check(name, "no error")
    except exceptions.GoogleAPICallError as error:
        check(name, type(error), kind)
        return error


def weather(emulator):
    client = control(emulator)
    parent = "projects/shop-prod"
    off = refused("off", exceptions.PermissionDenied, client.list_buckets, parent="projects/other")
    check("why off", (off.reason, off.metadata["service"]), ("SERVICE_DISABLED", "storage.googleapis.com"))
    refused("no bucket", exceptions.NotFound, client.list_objects, parent="projects/_/buckets/none")
    refused("no project", exceptions.PermissionDenied, client.list_buckets, parent="projects/none")
    refused("token", exceptions.InvalidArgument, client.list_buckets, request={"parent": parent, "page_token": "x"})
    refused("method", exceptions.MethodNotImplemented, lambda: [client.get_object(bucket="projects/_/buckets/full", object_="o")])
    emulator.faults({"kind": "denied", "permission": "storage.buckets.list"})
    denied = refused("denied", exceptions.PermissionDenied, client.list_buckets, parent=parent)
    check("which right", "storage.buckets.list" in denied.message)
    emulator.faults({"kind": "throttle", "service": "storage"})
    refused("throttled", exceptions.ResourceExhausted, client.list_buckets, parent=parent, retry=None)
    emulator.faults({"kind": "unreachable", "service": "storage", "region": "us"})
    refused("lost", exceptions.ServiceUnavailable, client.list_buckets, parent=parent, retry=None)
    page = next(client.list_buckets(request={"parent": parent, "return_partial_success": True}).pages)
    check("partial", (list(page.unreachable), len(page.buckets)), (["projects/_/buckets/logs"], 6))
    emulator.faults({"kind": "repeat-token", "service": "storage"})
    tokens, page = [], None
    for token in ("", "repeated"):
        page = next(client.list_buckets(request={"parent": parent, "page_token": token}).pages)
        tokens.append((page.next_page_token, page.buckets[0].bucket_id))
    check("repeated", tokens, [("repeated", "full")] * 2)
    emulator.faults({"kind": "empty-ok", "service": "storage"})
    check("empty", list(client.list_buckets(parent=parent)), [])
    for kind in ("html", "malformed", "cut"):
        emulator.faults({"kind": kind, "service": "storage"})
        try:
            list(client.list_buckets(parent=parent, retry=None, timeout=5))
            check(kind, "no error")
        except (exceptions.GoogleAPICallError, AttributeError):  # The latter: an answer that was none.
            check(kind, True)
    emulator.faults()
    calls = {(c["service"], c["action"], c["permission"], c["account"], c["status"]) for c in emulator.journal()}
    check("journal", ("storage", "storage.ListBuckets", "storage.buckets.list", "shop-prod", 200) in calls)
    check("journal of refusals", {c[4] for c in calls if c[1] == "storage.ListBuckets"} >= {200, 400, 403, 429, 503})
    check("journal of objects", any(c[1] == "storage.ListObjects" and c[3] == "shop-prod" for c in calls))


def by_json(emulator):
    client = storage.Client("shop-prod", AnonymousCredentials(), client_options={"api_endpoint": emulator.url})
    buckets = {b.name: b for b in client.list_buckets(page_size=2)}
    check("json names", len(buckets), 7)
    full = buckets["full"]
    check("json", (full.versioning_enabled, full.location, full.labels, full.requester_pays), (True, "US-CENTRAL1", {"owner": HOSTILE}, True))
    check("json rules", [r["action"]["type"] for r in full.lifecycle_rules], ["Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"])
    check("json soft delete", full.soft_delete_policy.retention_duration_seconds, 30 * 86400)
    check("json objects", len(list(client.list_blobs("full", versions=True))), 2507)
    host = "storage.googleapis.com"
    body = emulator.ask(host, "/storage/v1/b", project="shop-prod")[2]
    valid("buckets", "storage.v1", "Buckets", body)
    valid("bucket", "storage.v1", "Bucket", emulator.ask(host, "/storage/v1/b/logs")[2])
    valid("objects", "storage.v1", "Objects", emulator.ask(host, "/storage/v1/b/full/o", versions="true")[2])
    items, turns = pages(lambda token: emulator.ask(host, "/storage/v1/b", project="shop-prod", maxResults=3, pageToken=token)[2], "items")
    check("json pages", (len(items), turns), (7, 3))
    check("json no bucket", emulator.ask(host, "/storage/v1/b/none")[0], 404)


CHANGES = r'''
[[account]]
cloud = "gcp"
id = "p"

[[resource]]
kind = "gcp.storage-bucket"
account = "p"
region = "us"
id = "soft"
objects = 2

[[resource]]
kind = "gcp.storage-bucket"
account = "p"
region = "us"
id = "hard"
objects = 1
soft_delete_days = 0

[[resource]]
kind = "gcp.storage-bucket"
account = "p"
region = "us"
id = "young"
created = "-2d"
objects = 1
retention_days = 9
'''


def changes(_):
    """Deletions, what holds them back, and what is restored."""
    with Emulator(CHANGES) as emulator:
        client = storage.Client("p", AnonymousCredentials(), client_options={"api_endpoint": emulator.url})
        names = lambda bucket, **more: [b.name for b in client.list_blobs(bucket, **more)]
        soft, hard, young = (client.bucket(name) for name in ("soft", "hard", "young"))
        first, second = names("soft")
        for what, error, call in (
            ("not empty", exceptions.Conflict, soft.delete),
            ("another generation", exceptions.PreconditionFailed, lambda: soft.delete_blob(first, if_generation_match=1)),
            ("retained", exceptions.Forbidden, lambda: young.delete_blob(names("young")[0])),
            ("no such object", exceptions.NotFound, lambda: soft.delete_blob("none")),
        ):
            try:
                call()
                check(what, "done", "refused")
            except error:
                check(what, True)
        soft.delete_blob(first, if_generation_match=2)
        check("left", (names("soft"), names("soft", soft_deleted=True)), ([second], [first]))
        check("restored", soft.restore_blob(first, generation=2).name, first)
        check("as it was", (names("soft"), names("soft", soft_deleted=True)), ([first, second], []))
        hard.delete_blob(names("hard")[0])
        check("for good", emulator.ask(None, "/storage/v1/b/hard/o/object-0000000/restore", method="POST", generation="2")[0], 400)
        hard.delete()
        check("no bucket any more", emulator.ask(None, "/storage/v1/b/hard")[0], 404)


with Emulator(ORG) as running:
    run((by_grpc, weather, by_json, changes), running)
finish()
