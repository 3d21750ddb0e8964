#!/usr/bin/env python3
"""Azure (Resource Graph and ARM) or Google Compute on loopback with N pre-rendered disks, so that a client's own cost is what is measured.

    canned_disks.py --cloud azure|gcp --n 100000 [--page 1000] [--port 0]

Disk i: unattached when i is odd; created (i * 37 mod 120) days ago; tag `owner` when i mod 5 < 2; four or three tags.
Azure: one subscription, `11111111-1111-1111-1111-111111111111`. Google: one project, `bench`.
Prints its URL on the first line.
"""
import argparse
import datetime as dt
import http.server
import json
import re
from urllib.parse import parse_qs, urlsplit

parser = argparse.ArgumentParser()
parser.add_argument("--cloud", choices=["azure", "gcp"], required=True)
parser.add_argument("--n", type=int, default=100_000)
parser.add_argument("--page", type=int, default=0)
parser.add_argument("--port", type=int, default=0)
args = parser.parse_args()
page = args.page or (1000 if args.cloud == "azure" else 500)
now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
SUB = "11111111-1111-1111-1111-111111111111"
PROJECT = "bench"
ZONES = [f"us-central1-{zone}" for zone in "abcf"]


def created(i):
    return (now - dt.timedelta(days=i * 37 % 120, hours=1)).strftime("%Y-%m-%dT%H:%M:%S")


def tags(i):
    return {"name": f"v-{i}", "env": "dev", "cost": f"c{i % 9}", **({"owner": "team"} if i % 5 < 2 else {})}


def azure(i):
    group = f"rg-{i % 50}"
    vm = f"/subscriptions/{SUB}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/vm-{i}"
    return {
        "id": f"/subscriptions/{SUB}/resourceGroups/{group}/providers/Microsoft.Compute/disks/disk-{i}",
        "name": f"disk-{i}", "type": "microsoft.compute/disks", "tenantId": SUB, "kind": "", "location": "eastus",
        "resourceGroup": group, "subscriptionId": SUB, "managedBy": "" if i % 2 else vm, "managedByExtended": None,
        "sku": {"name": ("Premium_LRS", "Standard_LRS", "StandardSSD_LRS")[i % 3], "tier": "Premium"}, "plan": None,
        "properties": {
            "diskState": "Unattached" if i % 2 else "Attached", "diskSizeGB": 1 + i % 500, "provisioningState": "Succeeded",
            "timeCreated": created(i) + ".0000000Z", "uniqueId": f"00000000-0000-0000-0000-{i:012x}",
            "creationData": {"createOption": "Empty"}, "diskIOPSReadWrite": 500, "diskMBpsReadWrite": 100,
            "encryption": {"type": "EncryptionAtRestWithPlatformKey"}, "networkAccessPolicy": "AllowAll", "publicNetworkAccess": "Enabled",
        },
        "tags": tags(i), "identity": None, "zones": ["1"], "extendedLocation": None,
    }


def google(i):
    zone = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{ZONES[i * 4 // args.n]}"
    disk = {
        "kind": "compute#disk", "id": str(10_000_000_000 + i), "creationTimestamp": created(i) + ".000-00:00", "name": f"disk-{i}",
        "sizeGb": str(1 + i % 500), "zone": zone, "status": "READY", "selfLink": f"{zone}/disks/disk-{i}",
        "type": f"{zone}/diskTypes/{('pd-ssd', 'pd-standard', 'pd-balanced')[i % 3]}", "labels": tags(i), "labelFingerprint": "42WmSpB8rSM=",
        "physicalBlockSizeBytes": "4096",
    }
    if i % 2 == 0:
        disk |= {"users": [f"{zone}/instances/vm-{i}"], "lastAttachTimestamp": created(i) + ".000-00:00"}
    return disk


def pages():
    for start in range(0, args.n, page):
        end = min(args.n, start + page)
        token = str(start // page + 1)
        if args.cloud == "azure":
            body = {"totalRecords": args.n, "count": end - start, "data": [azure(i) for i in range(start, end)], "facets": [], "resultTruncated": "false"}
            if end < args.n:
                body["$skipToken"] = token
        else:
            items = {f"zones/{zone}": {"disks": []} for zone in ZONES}
            for i in range(start, end):
                items[f"zones/{ZONES[i * 4 // args.n]}"]["disks"].append(google(i))
            empty = {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results on this page."}}
            body = {"kind": "compute#diskAggregatedList", "id": f"projects/{PROJECT}/aggregated/disks", "selfLink": "x",
                    "items": {zone: part if part["disks"] else empty for zone, part in items.items()}}
            if end < args.n:
                body["nextPageToken"] = token
        yield json.dumps(body).encode()


PAGES = list(pages())
JSON = {"Content-Type": "application/json; charset=utf-8"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if args.cloud == "gcp":
            if re.search(r"/aggregated/disks$", url.path):
                return 200, PAGES[int((query.get("pageToken") or [""])[0] or 0)]
            return 404, b'{"error":{"code":404,"message":"not here","status":"NOT_FOUND"}}'
        path = url.path.lower()
        if path == "/providers/microsoft.resourcegraph/resources":
            asked = json.loads(sent)
            if "microsoft.compute/disks" in asked["query"].lower():
                return 200, PAGES[int(asked.get("options", {}).get("$skipToken") or 0)]
            return 200, b'{"totalRecords":0,"count":0,"data":[],"facets":[],"resultTruncated":"false"}'
        if path.endswith("/providers/microsoft.authorization/permissions"):
            return 200, b'{"value":[{"actions":["*/read"],"notActions":[],"dataActions":[],"notDataActions":[]}]}'
        if path == f"/subscriptions/{SUB}":
            return 200, json.dumps({"id": f"/subscriptions/{SUB}", "subscriptionId": SUB, "displayName": "bench", "state": "Enabled"}).encode()
        if path.endswith("/providers/microsoft.authorization/locks"):
            return 200, b'{"value":[]}'
        return 404, b'{"error":{"code":"NotFound","message":"not here"}}'

    def reply(self):
        status, body = self.answer()
        self.send_response(status)
        for name, value in JSON.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = reply


server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
server.daemon_threads = True
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
