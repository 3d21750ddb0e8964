#!/usr/bin/env python3
"""Drives the emulator with Microsoft's Python SDKs, so that their models judge the answers.

usage: azure_sdk.py [PATH TO sweeper-emulator]

The binary is $SWEEPER_EMULATOR_BIN unless it is given. Prints every failed check and, at the end,
"N passed, M failed"; exits non-zero when one failed. Wants the packages of requirements-azure.txt.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

try:
    import azure.mgmt.compute
except ImportError:
    if os.environ.get("EMULATOR_VENV"):
        raise
    here = pathlib.Path(__file__).resolve().parent
    venv = pathlib.Path(tempfile.gettempdir()) / f"emulator-azure-venv-{os.getuid()}"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "-r", str(here / "requirements-azure.txt")], check=True)
    os.environ["EMULATOR_VENV"] = "1"
    os.execv(str(python), [str(python), *sys.argv])

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import RetryPolicy, SansIOHTTPPolicy

NOW = "2026-10-10T00:00:00Z"
TENANT = "11111111-0000-4000-8000-0000000000ff"
SUB = "00000000-0000-4000-8000-00000000000a"
OTHER = "00000000-0000-4000-8000-00000000000b"
NARROW = "00000000-0000-4000-8000-00000000000c"
HIDDEN = "00000000-0000-4000-8000-00000000000d"

ORG = r'''
[azure]
tenant = "11111111-0000-4000-8000-0000000000ff"
root = "contoso"

[[account]]
cloud = "azure"
id = "00000000-0000-4000-8000-00000000000a"
name = "shop"
ou = "/Prod/Shops"

[[account]]
cloud = "azure"
id = "00000000-0000-4000-8000-00000000000b"
name = "labs"
ou = "/Labs"
status = "Warned"

[[account]]
cloud = "azure"
id = "00000000-0000-4000-8000-00000000000c"
name = "narrow"
rights = "group:rg-seen"

[[account]]
cloud = "azure"
id = "00000000-0000-4000-8000-00000000000d"
name = "hidden"
rights = "none"

[[account]]
id = "111111111111"

[[resource]]
kind = "azure.resource-group"
account = "00000000-0000-4000-8000-00000000000a"
id = "locked"
lock = "ReadOnly"
tags = { team = "ops" }

[[resource]]
kind = "azure.lock"
account = "00000000-0000-4000-8000-00000000000a"
id = "all"
notes = "by order"

# Compute
[[resource]]
kind = "azure.compute-vm"
account = "00000000-0000-4000-8000-00000000000a"
group = "Shop"
id = "web"
state = "deallocated"
state_since = "-20d"
os_disk = "web-os"
disks = ["web-data"]
nics = ["web-nic"]
image = "golden"
user_data = "c2VjcmV0"
zones = ["1"]

[[resource]]
kind = "azure.compute-vm"
account = "00000000-0000-4000-8000-00000000000b"
id = "lab"
state = "stopped"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-os"
os = "Linux"
size = 30

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-data"
lock = "CanNotDelete"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "old-{n}"
count = 7
detached = "-60d"
created = "-90d"
sku = "StandardSSD_LRS"
tier = "E10"
tags = { hostile = "<&>\"' \u00e9\n" }

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
id = "shared"
shared_by = ["web"]
max_shares = 2
region = "northeurope"
properties = { burstingEnabled = true }

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000c"
group = "rg-seen"
id = "seen"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000c"
group = "rg-unseen"
id = "unseen"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000d"
id = "nobody"

[[resource]]
kind = "azure.compute-snapshot"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-snap"
source = "web-data"

[[resource]]
kind = "azure.compute-snapshot"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "lost-snap"
source = "gone"

[[resource]]
kind = "azure.compute-image"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "golden"
os_snapshot = "web-snap"
disks = ["web-data"]

[[resource]]
kind = "azure.compute-gallery"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "factory"

[[resource]]
kind = "azure.compute-gallery-image"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
gallery = "factory"
id = "base"

[[resource]]
kind = "azure.compute-gallery-image-version"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
gallery = "factory"
image = "base"
id = "1.0.{n}"
count = 3
source = "golden"
regions = ["westeurope", "northeurope"]
end_of_life = "+10d"

[[resource]]
kind = "azure.compute-vmss"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "workers"
capacity = 0
image = "/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/shop/providers/Microsoft.Compute/galleries/factory/images/base/versions/1.0.0001"
'''


class Credential:
    """A token that nobody checks."""

    def get_token(self, *scopes, **kwargs):
        return AccessToken("emulated", int(time.time()) + 3600)

    def get_token_info(self, *scopes, **kwargs):
        from azure.core.credentials import AccessTokenInfo

        return AccessTokenInfo("emulated", int(time.time()) + 3600)


class Bearer(SansIOHTTPPolicy):
    """Sends the token over plain http, which the SDKs' own policy refuses."""

    def on_request(self, request):
        request.http_request.headers["Authorization"] = "Bearer emulated"


class Emulator:
    def __init__(self, *arguments):
        binary = sys.argv[1] if len(sys.argv) > 1 else os.environ["SWEEPER_EMULATOR_BIN"]
        self.file = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.file.write(ORG)
        self.file.flush()
        self.process = subprocess.Popen(
            [binary, "--org", self.file.name, "--now", NOW, *arguments], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/__emulator/{path}", data=data)) as answer:
            return json.load(answer)

    def faults(self, *faults):
        self.control("faults", list(faults))

    def journal(self):
        return self.control("journal")

    def client(self, kind, *arguments, **more):
        return kind(
            Credential(),
            *arguments,
            base_url=self.url,
            authentication_policy=Bearer(),
            retry_policy=RetryPolicy.no_retries(),
            **more,
        )

    def get(self, path, host=None, token="Bearer emulated", data=None):
        """Status, headers and body of a plain request."""
        request = urllib.request.Request(self.url + path, data=data)
        if token:
            request.add_header("Authorization", token)
        if host:
            request.add_header("Host", host)
        if data:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


TESTS = []


def test(function):
    TESTS.append(function)
    return function


def equal(left, right):
    assert left == right, f"{left!r} is not {right!r}"


def arm(group, kind, name, sub=SUB):
    return f"/subscriptions/{sub}/resourceGroups/{group}/providers/{kind}/{name}"


def error_of(call):
    try:
        call()
    except HttpResponseError as error:
        return error.status_code, error.error.code
    raise AssertionError("no error")


@test
def subscriptions(emulator):
    from azure.mgmt.resource.subscriptions import SubscriptionClient

    client = emulator.client(SubscriptionClient)
    every = list(client.subscriptions.list())
    equal([one.subscription_id for one in every], [SUB, OTHER, NARROW])
    equal([one.state for one in every], ["Enabled", "Warned", "Enabled"])
    equal(every[0].tenant_id, TENANT)
    equal(client.subscriptions.get(SUB).display_name, "shop")
    assert "westeurope" in [place.name for place in client.subscriptions.list_locations(SUB)]
    equal(error_of(lambda: client.subscriptions.get("00000000-0000-4000-8000-0000000000ee")), (404, "SubscriptionNotFound"))
    equal(error_of(lambda: client.subscriptions.get(HIDDEN)), (403, "AuthorizationFailed"))


@test
def what_arm_refuses(emulator):
    status, _, body = emulator.get("/subscriptions")
    equal((status, json.loads(body)["error"]["code"]), (400, "MissingApiVersionParameter"))
    status, _, body = emulator.get("/subscriptions?api-version=2022-12-01", token=None)
    equal((status, json.loads(body)["error"]["code"]), (401, "AuthenticationFailed"))
    status, _, body = emulator.get(f"/subscriptions/{SUB}/providers/Microsoft.No/things?api-version=1")
    equal(status, 404)
    status, headers, body = emulator.get("/subscriptions?api-version=2022-12-01", host="management.azure.com")
    link = json.loads(body).get("nextLink")
    assert link is None or link.startswith("https://management.azure.com/subscriptions?"), link
    assert headers["x-ms-ratelimit-remaining-subscription-reads"]


@test
def management_groups(emulator):
    from azure.mgmt.managementgroups import ManagementGroupsMgmtClient

    client = emulator.client(ManagementGroupsMgmtClient)
    found = list(client.management_groups.get_descendants("contoso"))
    equal([one.name for one in found], ["Labs", "Prod", "Shops", SUB, OTHER, NARROW, HIDDEN])
    equal(found[3].type, "/subscriptions")
    assert found[3].parent.id.endswith("/managementGroups/Shops")
    equal([one.name for one in client.management_groups.get_descendants("Prod")], ["Shops", SUB])
    equal(error_of(lambda: list(client.management_groups.get_descendants("nobody"))), (403, "AuthorizationFailed"))


@test
def groups_locks_and_rights(emulator):
    from azure.mgmt.authorization import AuthorizationManagementClient
    from azure.mgmt.resource.locks import ManagementLockClient
    from azure.mgmt.resource.resources import ResourceManagementClient

    client = emulator.client(ResourceManagementClient, SUB)
    equal([group.name for group in client.resource_groups.list()], ["locked", "rg", "Shop"])
    equal(client.resource_groups.get("LOCKED").tags, {"team": "ops"})
    every = list(client.resources.list())
    assert arm("shop", "Microsoft.Compute/disks", "web-data") in [one.id for one in every]
    locks = {lock.id.split("/providers/Microsoft.Authorization")[0]: lock.level for lock in
             emulator.client(ManagementLockClient, SUB).management_locks.list_at_subscription_level()}
    equal(locks, {
        f"/subscriptions/{SUB}": "CanNotDelete",
        f"/subscriptions/{SUB}/resourceGroups/locked": "ReadOnly",
        arm("shop", "Microsoft.Compute/disks", "web-data"): "CanNotDelete",
    })
    rights = lambda sub: emulator.client(AuthorizationManagementClient, sub).permissions
    path = "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    ask = lambda scope: json.loads(emulator.get(scope + path)[2]).get("value")
    equal(ask(f"/subscriptions/{SUB}")[0]["actions"], ["*/read"])
    equal(ask(f"/subscriptions/{NARROW}"), [])
    equal([one.actions for one in rights(NARROW).list_for_resource_group("rg-seen")], [["*/read"]])
    equal(ask(f"/subscriptions/{HIDDEN}"), None)
    emulator.faults({"permission": "Microsoft.Compute/disks/read", "kind": "denied"})
    equal([one.not_actions for one in rights(SUB).list_for_resource_group("shop")], [["Microsoft.Compute/disks/read"]])
    emulator.faults()


@test
def machines(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    (vm,) = client.virtual_machines.list_all()
    equal(vm.id, arm("Shop", "Microsoft.Compute/virtualMachines", "web"))
    equal(vm.storage_profile.os_disk.managed_disk.id, arm("shop", "Microsoft.Compute/disks", "web-os"))
    equal(vm.storage_profile.data_disks[0].managed_disk.id, arm("shop", "Microsoft.Compute/disks", "web-data"))
    equal(vm.storage_profile.image_reference.id, arm("shop", "Microsoft.Compute/images", "golden"))
    equal((vm.zones, vm.instance_view, vm.user_data), (["1"], None, None))
    assert vm.network_profile.network_interfaces[0].id.endswith("/networkInterfaces/web-nic")
    (vm,) = client.virtual_machines.list_all(expand="instanceView")
    equal([status.code for status in vm.instance_view.statuses], ["ProvisioningState/succeeded", "PowerState/deallocated"])
    (vm,) = client.virtual_machines.list_all(status_only="true")
    equal(vm.instance_view.statuses[1].code, "PowerState/deallocated")
    equal(client.virtual_machines.get("shop", "web", expand="userData").user_data, "c2VjcmV0")
    view = client.virtual_machines.instance_view("shop", "web")
    equal(view.statuses[0].time.isoformat(), "2026-09-20T00:00:00+00:00")
    equal([vm.name for vm in client.virtual_machines.list("shop")], ["web"])
    equal(error_of(lambda: client.virtual_machines.get("shop", "nobody")), (404, "ResourceNotFound"))
    equal(error_of(lambda: list(client.virtual_machines.list("nowhere"))), (404, "ResourceGroupNotFound"))


@test
def disks(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    found = {disk.name: disk for disk in client.disks.list()}
    equal(len(found), 10)
    states = {name: found[name].disk_state for name in ["web-os", "old-0001", "shared"]}
    equal(states, {"web-os": "Reserved", "old-0001": "Unattached", "shared": "Attached"})
    # Compute writes resource groups in capitals where others refer to machines.
    equal(found["web-os"].managed_by, arm("SHOP", "Microsoft.Compute/virtualMachines", "web"))
    old = found["old-0001"]
    equal((old.managed_by, old.disk_size_gb, old.sku.name, old.tier), (None, 128, "StandardSSD_LRS", "E10"))
    equal(old.tags, {"hostile": "<&>\"' \u00e9\n"})
    equal(old.time_created.isoformat(), "2026-07-12T00:00:00+00:00")
    equal(old.last_ownership_update_time.isoformat(), "2026-08-11T00:00:00+00:00")
    equal(old.creation_data.create_option, "Empty")
    equal(found["shared"].managed_by_extended, [arm("Shop", "Microsoft.Compute/virtualMachines", "web")])
    equal((found["shared"].location, found["shared"].bursting_enabled), ("northeurope", True))
    equal([disk.name for disk in client.disks.list_by_resource_group("RG")], ["shared"])
    equal(client.disks.get("shop", "web-data").disk_state, "Reserved")
    narrow = emulator.client(ComputeManagementClient, NARROW)
    equal([disk.name for disk in narrow.disks.list()], ["seen"])
    equal(error_of(lambda: list(narrow.disks.list_by_resource_group("rg-unseen"))), (403, "AuthorizationFailed"))
    hidden = emulator.client(ComputeManagementClient, HIDDEN)
    equal(error_of(lambda: list(hidden.disks.list())), (403, "AuthorizationFailed"))


@test
def copies_and_images(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    found = {one.name: one for one in client.snapshots.list()}
    equal(found["web-snap"].creation_data.source_resource_id, arm("shop", "Microsoft.Compute/disks", "web-data"))
    equal(found["web-snap"].creation_data.source_unique_id, client.disks.get("shop", "web-data").unique_id)
    equal(found["lost-snap"].creation_data.source_resource_id, arm("shop", "Microsoft.Compute/disks", "gone"))
    equal((found["web-snap"].incremental, found["web-snap"].disk_size_gb), (True, 128))
    (image,) = client.images.list()
    equal(image.storage_profile.os_disk.snapshot.id, found["web-snap"].id)
    assert image.storage_profile.data_disks[0].managed_disk.id.endswith("/disks/web-data")
    (gallery,) = client.galleries.list()
    (definition,) = client.gallery_images.list_by_gallery("shop", "factory")
    versions = list(client.gallery_image_versions.list_by_gallery_image("shop", gallery.name, definition.name))
    equal([one.name for one in versions], ["1.0.0001", "1.0.0002", "1.0.0003"])
    equal(versions[0].storage_profile.source.id, image.id)
    equal([region.name for region in versions[0].publishing_profile.target_regions], ["West Europe", "North Europe"])
    equal(versions[0].publishing_profile.end_of_life_date.isoformat(), "2026-10-20T00:00:00+00:00")
    equal(error_of(lambda: list(client.gallery_images.list_by_gallery("shop", "nobody"))), (404, "ResourceNotFound"))
    (scale_set,) = client.virtual_machine_scale_sets.list_all()
    equal(scale_set.sku.capacity, 0)
    assert scale_set.virtual_machine_profile.storage_profile.image_reference.id.endswith("/versions/1.0.0001")


@test
def faults(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    listing = lambda: list(client.disks.list())
    emulator.faults({"permission": "Microsoft.Compute/disks/*", "kind": "denied"})
    equal(error_of(listing), (403, "AuthorizationFailed"))
    emulator.faults({"account": SUB, "kind": "throttle", "times": 1})
    equal(error_of(listing), (429, "SubscriptionRequestsThrottled"))
    emulator.faults({"kind": "throttle", "times": 1})
    equal(emulator.get("/subscriptions?api-version=1")[1]["Retry-After"], "1")
    for kind, wanted in [("expired-token", "ExpiredAuthenticationToken"), ("wrong-tenant", "InvalidAuthenticationTokenTenant"),
                         ("error500", "InternalServerError")]:
        emulator.faults({"service": "Microsoft.Compute", "kind": kind})
        equal(error_of(listing)[1], wanted)
    path = f"/subscriptions/{SUB}/providers/Microsoft.Compute/disks?api-version=2024-03-02"
    ask = lambda: json.loads(emulator.get(path)[2])
    emulator.faults({"action": "Disks_List", "kind": "repeat-token"})
    equal(ask()["nextLink"], emulator.url + path.replace("?", "?") + "&%24skiptoken=repeated")
    emulator.faults({"action": "Disks_List", "kind": "empty-ok"})
    equal(ask(), {"value": []})
    emulator.faults({"action": "Disks_List", "kind": "foreign-link"})
    assert ask()["nextLink"].startswith("https://management.azure.com.example/")
    emulator.faults()
    call = emulator.journal()[-1]
    equal({key: call[key] for key in ["account", "region", "service", "action", "permission", "status", "fault"]}, {
        "account": SUB, "region": "global", "service": "Microsoft.Compute", "action": "Disks_List",
        "permission": "Microsoft.Compute/disks/read", "status": 200, "fault": "foreign-link",
    })


def main():
    passed = failed = 0
    for arguments in [(), ("--page", "2")]:
        with Emulator(*arguments) as emulator:
            for function in TESTS:
                try:
                    function(emulator)
                    passed += 1
                except Exception:
                    failed += 1
                    print(f"FAILED {function.__name__} {' '.join(arguments)}")
                    traceback.print_exc()
                    emulator.faults()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
