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
import urllib.parse
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
from azure.core.pipeline.transport import RequestsTransport

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
kind = "azure.compute-scale-set"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "workers"
capacity = 0
image = "/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/shop/providers/Microsoft.Compute/galleries/factory/images/base/versions/1.0.0001"
'''

ORG += r'''
# Network
[[resource]]
kind = "azure.network-interface"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-nic"
public_ips = ["web-ip"]
nsg = "web-nsg"
pools = ["front/web"]
subnet = "net/apps"

[[resource]]
kind = "azure.network-interface"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "free-nic"

[[resource]]
kind = "azure.network-interface"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "endpoint-nic"
private_endpoint = "/subscriptions/00000000-0000-4000-8000-00000000000a/resourceGroups/shop/providers/Microsoft.Network/privateEndpoints/pe"

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-ip"

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "free-ip"
address = "20.1.2.3"
dns = "shop"

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "nat-ip"

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "front-ip"

[[resource]]
kind = "azure.network-load-balancer"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "front"
public_ips = ["front-ip"]
pools = [{ name = "web" }, { name = "far", addresses = ["10.9.0.1"] }, { name = "none" }]
outbound = 1

[[resource]]
kind = "azure.network-nat-gateway"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "nat"
public_ips = ["nat-ip"]

[[resource]]
kind = "azure.network-security-group"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-nsg"
rules = 2

[[resource]]
kind = "azure.network-security-group"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "free-nsg"

[[resource]]
kind = "azure.network-virtual-network"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "net"
subnets = [{ name = "apps", nsg = "web-nsg", nat = "nat" }, { name = "db", delegation = "Microsoft.Sql/servers" }]
ddos_plan = "shield"

[[resource]]
kind = "azure.network-ddos-plan"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "shield"

[[resource]]
kind = "azure.network-application-gateway"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "appgw"
tier = "WAF_v2"
pools = [{ name = "web", addresses = ["10.0.0.9", "shop.example"] }]

[[resource]]
kind = "azure.network-vpn-gateway"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "vpn"

[[resource]]
kind = "azure.network-connection"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "to-office"
gateway = "vpn"
status = "NotConnected"

[[resource]]
kind = "azure.network-expressroute-circuit"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "line"
provider_state = "NotProvisioned"

[[resource]]
kind = "azure.network-expressroute-gateway"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "er"

[[resource]]
kind = "azure.network-firewall"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "wall"
tier = "Premium"

[[resource]]
kind = "azure.resource"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "pe"
type = "Microsoft.Network/privateEndpoints"
properties = { privateLinkServiceConnections = [] }

# Storage
[[resource]]
kind = "azure.storage-account"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "shopdata"
versioning = true
soft_delete = 7
rules = [{ name = "old", version_days = 90, prefix = "logs/" }, { name = "off", enabled = false, expire_days = 10 }]
queues = ["orders"]

[[resource]]
kind = "azure.storage-account"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "shopfiles"
sort = "FileStorage"
sku = "Premium_LRS"
shares = ["home"]

[[resource]]
kind = "azure.storage-container"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
storage = "shopdata"
id = "photos"
blobs = 3
versions = 2
legal_hold = true

[[resource]]
kind = "azure.storage-container"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
storage = "shopdata"
id = "empty"

[[resource]]
kind = "azure.storage-container"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
storage = "shopdata"
id = "gone"
deleted = true

# Registries
[[resource]]
kind = "azure.acr-registry"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "shopImages"

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "shopImages"
repository = "team/web"
id = "web-amd64"
media = "image"
size = 1000
expect = { "untagged-artifact" = "found" }

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "shopImages"
repository = "team/web"
id = "web-index"
media = "index"
children = ["web-amd64"]
tags_list = ["1.0", "latest"]
updated = "-5d"
locked = true

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "shopImages"
repository = "team/web"
id = "signature"
media = "artifact"
subject = "web-index"

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "shopImages"
repository = "base-{n}"
id = "base-{n}"
count = 3
tags_list = ["v1"]

# App Service
[[resource]]
kind = "azure.app-service-plan"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "plan"

[[resource]]
kind = "azure.app-service-plan"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "empty-plan"
sku = "S1"
linux = false

[[resource]]
kind = "azure.web-app"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "shop-web"
plan = "plan"
stack = "DOCKER|shopimages.azurecr.io/team/web:1.0"
sidecars = ["shopimages.azurecr.io/base-0001:v1"]

[[resource]]
kind = "azure.web-slot"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
site = "shop-web"
id = "staging"
plan = "plan"

[[resource]]
kind = "azure.function-app"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "jobs"
plan = "plan"
stack = "PYTHON|3.12"
metrics = { FunctionExecutionCount = [0, 0, 5], Requests = 24 }

# Databases
[[resource]]
kind = "azure.sql-server"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "sql"

[[resource]]
kind = "azure.sql-database"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
server = "sql"
id = "orders"
pool = "pool"

[[resource]]
kind = "azure.sql-database"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
server = "sql"
id = "old"
sku = "GP_S_Gen5"
state = "Paused"
auto_pause = 60
metrics = { sessions_count = 0 }

[[resource]]
kind = "azure.sql-elastic-pool"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
server = "sql"
id = "pool"

[[resource]]
kind = "azure.postgres-flexible-server"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "pg"
state = "Stopped"

# Containers
[[resource]]
kind = "azure.aks-cluster"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "blue"

[[resource]]
kind = "azure.container-app"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "api"
images = ["shopimages.azurecr.io/team/web:1.0"]
revisions_mode = "Multiple"

[[resource]]
kind = "azure.container-app-revision"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
app = "api"
id = "api--1"
images = ["shopimages.azurecr.io/team/web:0.9"]

[[resource]]
kind = "azure.container-group"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "batch"
images = ["shopimages.azurecr.io/base-0002:v1"]
env = { PASSWORD = "canary" }

# Logs and backups
[[resource]]
kind = "azure.log-workspace"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "logs"
retention = 90

[[resource]]
kind = "azure.recovery-vault"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "safe"

[[resource]]
kind = "azure.recovery-point"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
vault = "safe"
container = "IaasVMContainer;iaasvmcontainerv2;shop;web"
id = "VM;iaasvmcontainerv2;shop;web"
source = "web"
'''


# What the tests of changes change: each begins with it as it is here.
CHANGES = r'''
[[account]]
cloud = "azure"
id = "00000000-0000-4000-8000-00000000000a"
name = "shop"

[[account]]
cloud = "azure"
id = "00000000-0000-4000-8000-00000000000b"
name = "sealed"

[[resource]]
kind = "azure.lock"
account = "00000000-0000-4000-8000-00000000000b"
id = "seal"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000b"
id = "old"

[[resource]]
kind = "azure.resource-group"
account = "00000000-0000-4000-8000-00000000000a"
id = "kept"
lock = "CanNotDelete"

[[resource]]
kind = "azure.resource-group"
account = "00000000-0000-4000-8000-00000000000a"
id = "frozen"
lock = "ReadOnly"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "kept"
id = "in-kept"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "frozen"
id = "in-frozen"

[[resource]]
kind = "azure.compute-vm"
account = "00000000-0000-4000-8000-00000000000a"
group = "frozen"
id = "still"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "held"
lock = "CanNotDelete"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "old"
sku = "Premium_LRS"
tier = "P30"
size = 100
zones = ["2"]
tags = { owner = "ann" }
polls = 2

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "other"
id = "old"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "bad"
copy_fails = "InternalExecutionError"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "stuck"
fails = "InternalExecutionError"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "read"
state = "ActiveSAS"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-data"

[[resource]]
kind = "azure.compute-disk"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-os"

[[resource]]
kind = "azure.compute-vm"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web"
os_disk = "web-os"
disks = ["web-data"]
nics = ["web-nic"]
goes_along = ["web-os"]

[[resource]]
kind = "azure.network-interface"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-nic"
public_ips = ["web-ip"]

[[resource]]
kind = "azure.network-interface"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "idle-nic"
public_ips = ["nic-ip"]

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "web-ip"

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "nic-ip"

[[resource]]
kind = "azure.network-public-ip"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "idle-ip"

[[resource]]
kind = "azure.network-nat-gateway"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "nat"

[[resource]]
kind = "azure.network-nat-gateway"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "idle-nat"

[[resource]]
kind = "azure.network-virtual-network"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "net"
subnets = [{ name = "default", nat = "nat" }]

[[resource]]
kind = "azure.network-load-balancer"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "balancer"

[[resource]]
kind = "azure.app-service-plan"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "plan"

[[resource]]
kind = "azure.app-service-plan"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "empty-plan"
sku = "B1"

[[resource]]
kind = "azure.web-app"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "shop-app"
plan = "plan"

[[resource]]
kind = "azure.postgres-flexible-server"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "pg"

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
id = "1.0.0"

[[resource]]
kind = "azure.compute-image"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "golden"

[[resource]]
kind = "azure.acr-registry"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "hard"

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "hard"
repository = "team/web"
id = "first"
tags_list = ["1.0"]

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "hard"
repository = "team/web"
id = "signature"
media = "artifact"
subject = "first"

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "hard"
repository = "team/web"
id = "locked"
locked = true

[[resource]]
kind = "azure.acr-registry"
account = "00000000-0000-4000-8000-00000000000a"
group = "shop"
id = "soft"
soft_delete = 14

[[resource]]
kind = "azure.acr-manifest"
account = "00000000-0000-4000-8000-00000000000a"
registry = "soft"
repository = "team/web"
id = "first"
tags_list = ["1.0"]
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


class Loopback(RequestsTransport):
    """Sends what is meant for a host of Azure to the emulator, with the host's name on it."""

    def __init__(self, url):
        super().__init__()
        self.emulator = url

    def send(self, request, **kwargs):
        meant = request.url
        parts = urllib.parse.urlsplit(meant)
        request.headers["Host"] = parts.netloc
        request.url = self.emulator + urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
        try:
            return super().send(request, **kwargs)
        finally:
            request.url = meant


class Emulator:
    def __init__(self, *arguments, org=ORG):
        binary = sys.argv[1] if len(sys.argv) > 1 else os.environ["SWEEPER_EMULATOR_BIN"]
        self.file = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.file.write(org)
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
        if data and data.startswith(b"{"):
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()


TESTS = []
CHANGING = []


def test(function):
    TESTS.append(function)
    return function


def changing(function):
    """A test of changes: it has an emulator of its own."""
    CHANGING.append(function)
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
    equal(ask(f"/subscriptions/{SUB}")[0]["actions"], ["*"])
    equal(ask(f"/subscriptions/{NARROW}"), [])
    equal([one.actions for one in rights(NARROW).list_for_resource_group("rg-seen")], [["*"]])
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
def network(emulator):
    from azure.mgmt.network import NetworkManagementClient

    client = emulator.client(NetworkManagementClient, SUB)
    net = lambda kind, name: arm("shop", f"Microsoft.Network/{kind}", name)
    nics = {one.name: one for one in client.network_interfaces.list_all()}
    web = nics["web-nic"]
    equal(web.virtual_machine.id, arm("Shop", "Microsoft.Compute/virtualMachines", "web"))
    (config,) = web.ip_configurations
    equal(config.public_ip_address.id, net("publicIPAddresses", "web-ip"))
    equal(config.subnet.id, net("virtualNetworks", "net/subnets/apps"))
    equal(config.load_balancer_backend_address_pools[0].id, net("loadBalancers", "front/backendAddressPools/web"))
    equal(web.network_security_group.id, net("networkSecurityGroups", "web-nsg"))
    equal((nics["free-nic"].virtual_machine, nics["free-nic"].hosted_workloads), (None, []))
    equal(nics["endpoint-nic"].private_endpoint.id, net("privateEndpoints", "pe"))

    ips = {one.name: one for one in client.public_ip_addresses.list_all()}
    equal(ips["web-ip"].ip_configuration.id, config.id)
    equal(ips["front-ip"].ip_configuration.id, net("loadBalancers", "front/frontendIPConfigurations/config0"))
    equal(ips["nat-ip"].nat_gateway.id, net("natGateways", "nat"))
    free = ips["free-ip"]
    equal((free.ip_configuration, free.nat_gateway, free.ip_address, free.sku.name), (None, None, "20.1.2.3", "Standard"))
    equal(free.dns_settings.fqdn, "shop.westeurope.cloudapp.azure.com")

    (balancer,) = client.load_balancers.list_all()
    pools = {pool.name: pool for pool in balancer.backend_address_pools}
    equal(pools["web"].backend_ip_configurations[0].id, config.id)
    equal((pools["far"].backend_ip_configurations, len(pools["far"].load_balancer_backend_addresses)), (None, 1))
    equal(pools["none"].load_balancer_backend_addresses, [])
    equal((len(balancer.load_balancing_rules), len(balancer.outbound_rules), balancer.inbound_nat_rules), (1, 1, []))
    (nat,) = client.nat_gateways.list_all()
    equal([one.id for one in nat.subnets], [net("virtualNetworks", "net/subnets/apps")])
    groups = {one.name: one for one in client.network_security_groups.list_all()}
    equal([one.id for one in groups["web-nsg"].network_interfaces], [web.id])
    equal(len(groups["web-nsg"].subnets), 1)
    equal((groups["free-nsg"].network_interfaces, groups["free-nsg"].subnets), (None, None))
    (vnet,) = client.virtual_networks.list_all()
    equal(vnet.subnets[0].nat_gateway.id, nat.id)
    (plan,) = client.ddos_protection_plans.list()
    equal([one.id for one in plan.virtual_networks], [vnet.id])
    (gateway,) = client.application_gateways.list_all()
    equal(gateway.sku.tier, "WAF_v2")
    equal([(one.fqdn, one.ip_address) for one in gateway.backend_address_pools[0].backend_addresses],
          [(None, "10.0.0.9"), ("shop.example", None)])
    (vpn,) = client.virtual_network_gateways.list("shop")
    equal((vpn.gateway_type, vpn.vpn_client_configuration), ("Vpn", None))
    (connection,) = client.virtual_network_gateway_connections.list("shop")
    equal((connection.virtual_network_gateway1.id, connection.connection_status), (vpn.id, "NotConnected"))
    (circuit,) = client.express_route_circuits.list_all()
    equal(circuit.service_provider_provisioning_state, "NotProvisioned")
    status, _, body = emulator.get(f"/subscriptions/{SUB}/providers/Microsoft.Network/expressRouteGateways?api-version=1")
    equal([one["name"] for one in json.loads(body)["value"]], ["er"])
    (wall,) = client.azure_firewalls.list_all()
    equal((wall.sku.tier, wall.ip_configurations), ("Premium", []))


def ask_graph(emulator, query, **more):
    """Every row of a query, page after page, as objects."""
    from azure.mgmt.resourcegraph import ResourceGraphClient
    from azure.mgmt.resourcegraph.models import QueryRequest, QueryRequestOptions

    client = emulator.client(ResourceGraphClient)
    rows, token = [], None
    while True:
        options = QueryRequestOptions(skip_token=token, result_format="objectArray", top=3)
        answer = client.resources(QueryRequest(query=query, options=options, **more))
        equal((answer.count, answer.result_truncated), (len(answer.data), "false"))
        rows += answer.data
        token = answer.skip_token
        if not token:
            equal(answer.total_records, len(rows))
            return rows


@test
def resource_graph(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    disks = "Resources | where type =~ 'Microsoft.Compute/disks' | project id, name, properties, sku, managedBy | order by id asc"
    rows = ask_graph(emulator, disks)
    by_arm = {disk.id for sub in [SUB, NARROW] for disk in emulator.client(ComputeManagementClient, sub).disks.list()}
    equal({row["id"] for row in rows}, by_arm)
    equal(len(rows), 11)
    assert not any("unseen" in row["id"] or "nobody" in row["id"] for row in rows)
    equal([row["id"] for row in rows], sorted((row["id"] for row in rows), key=str.lower))
    equal(len(ask_graph(emulator, disks, subscriptions=[NARROW])), 1)
    equal(len(ask_graph(emulator, disks, management_groups=["Prod"])), 10)
    (vm,) = ask_graph(emulator, "where type in~ ('microsoft.compute/virtualmachines') and name == 'web'")
    equal(vm["properties"]["extended"]["instanceView"]["powerState"]["code"], "PowerState/deallocated")
    equal({key: vm[key] for key in ["type", "resourceGroup", "subscriptionId", "tenantId", "location", "kind", "tags"]}, {
        "type": "microsoft.compute/virtualmachines", "resourceGroup": "shop", "subscriptionId": SUB, "tenantId": TENANT,
        "location": "westeurope", "kind": "", "tags": None,
    })
    equal(set(vm), {"id", "name", "type", "tenantId", "kind", "location", "resourceGroup", "subscriptionId", "managedBy",
                    "sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation"})
    groups = ask_graph(emulator, "ResourceContainers | where type =~ 'microsoft.resources/subscriptions/resourcegroups' | project id, name")
    assert any(row["name"] == "locked" for row in groups)
    (sub,) = ask_graph(emulator, "resourcecontainers | where type =~ 'microsoft.resources/subscriptions'", subscriptions=[OTHER])
    equal([one["name"] for one in sub["properties"]["managementGroupAncestorsChain"]], ["Labs", "contoso"])
    emulator.faults({"account": SUB, "permission": "Microsoft.Compute/disks/read", "kind": "denied"})
    equal(len(ask_graph(emulator, disks)), 1)
    emulator.faults()

    path = "/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"
    ask = lambda **body: (lambda answer: (answer[0], answer[1], json.loads(answer[2])))(emulator.get(path, data=json.dumps(body).encode()))
    status, headers, answer = ask(query="resources | project name | limit 1")
    equal((status, answer["count"], "$skipToken" in answer), (200, 1, False))
    assert headers["x-ms-user-quota-remaining"] and headers["x-ms-user-quota-resets-after"]
    equal(ask(query=disks, options={"$top": 2})[2]["count"], 2)
    status, _, answer = ask(query="resources | project properties", options={"$top": 2})
    equal((answer["count"], answer["resultTruncated"], "$skipToken" in answer), (2, "true", False))
    table = ask(query=disks, options={"resultFormat": "table"})[2]["data"]
    equal([column["name"] for column in table["columns"]][0], "id")
    for query, code in [("resources | where", "InvalidQuery"), ("resources | project managedByExtended", "InvalidQuery")]:
        status, _, answer = ask(query=query)
        equal((status, answer["error"]["code"], answer["error"]["details"][0]["code"]), (400, "BadRequest", code))
    status, _, answer = ask(query=disks, subscriptions=[HIDDEN])
    equal((status, answer["error"]["details"][0]["code"]), (400, "NoValidSubscriptionsInQueryRequest"))
    emulator.faults({"service": "Microsoft.ResourceGraph", "kind": "throttle"})
    status, headers, answer = ask(query=disks)
    equal((status, headers["x-ms-user-quota-remaining"], answer["error"]["code"]), (429, "0", "RateLimiting"))
    emulator.faults()


@test
def storage(emulator):
    from azure.core.exceptions import ClientAuthenticationError
    from azure.mgmt.storage import StorageManagementClient
    from azure.storage.blob import BlobServiceClient

    client = emulator.client(StorageManagementClient, SUB)
    accounts = {one.name: one for one in client.storage_accounts.list()}
    data = accounts["shopdata"]
    equal((data.kind, data.sku.name, data.primary_endpoints.blob),
          ("StorageV2", "Standard_LRS", "https://shopdata.blob.core.windows.net/"))
    equal(accounts["shopfiles"].primary_endpoints.blob, None)
    service = client.blob_services.get_service_properties("shop", "shopdata")
    equal((service.is_versioning_enabled, service.delete_retention_policy.days), (True, 7))
    rules = client.management_policies.get("shop", "shopdata", "default").policy.rules
    equal([rule.enabled for rule in rules], [True, False])
    equal(rules[0].definition.actions.version.delete.days_after_creation_greater_than, 90)
    equal(error_of(lambda: client.management_policies.get("shop", "nobody", "default")), (404, "ResourceNotFound"))
    equal(error_of(lambda: client.blob_services.get_service_properties("shop", "shopfiles")),
          (400, "FeatureNotSupportedForAccount"))
    containers = list(client.blob_containers.list("shop", "shopdata"))
    equal([(one.name, one.has_legal_hold, one.deleted) for one in containers], [("photos", True, False), ("empty", False, False)])
    equal(containers[0].id, arm("shop", "Microsoft.Storage/storageAccounts", "shopdata/blobServices/default/containers/photos"))
    equal(len(list(client.blob_containers.list("shop", "shopdata", include="deleted"))), 3)
    equal([one.name for one in client.file_shares.list("shop", "shopfiles")], ["home"])
    equal([one.name for one in client.queue.list("shop", "shopdata")], ["orders"])
    equal([one.name for one in client.table.list("shop", "shopdata")], [])

    token = {"Authorization": "Bearer emulated"}
    blobs = BlobServiceClient(f"{emulator.url}/_blob/shopdata", retry_total=0)
    equal([one.name for one in blobs.list_containers(headers=token)], ["photos", "empty"])
    names = lambda name, **more: [blob.name for blob in blobs.get_container_client(name).list_blobs(headers=token, **more)]
    equal(names("photos"), ["blob-0001", "blob-0002", "blob-0003"])
    equal(len(names("photos", include=["versions"], results_per_page=1)), 5)
    equal(names("empty"), [])
    for name in ["nothing", "gone"]:
        try:
            names(name)
            raise AssertionError("no error")
        except ResourceNotFoundError as error:
            equal(error.error_code, "ContainerNotFound")
    emulator.faults({"service": "blob", "kind": "denied"})
    try:
        names("empty")
        raise AssertionError("no error")
    except HttpResponseError as error:
        equal((error.status_code, error.error_code), (403, "AuthorizationPermissionMismatch"))
    emulator.faults()
    equal(emulator.journal()[-1]["account"], SUB)
    status, headers, _ = emulator.get("/photos?restype=container&comp=list", host="shopdata.blob.core.windows.net")
    equal((status, headers["x-ms-error-code"]), (401, "NoAuthenticationInformation"))


@test
def registries(emulator):
    from azure.containerregistry import ContainerRegistryClient
    from azure.mgmt.containerregistry import ContainerRegistryManagementClient

    (registry,) = emulator.client(ContainerRegistryManagementClient, SUB).registries.list()
    equal((registry.login_server, registry.sku.name), ("shopimages.azurecr.io", "Standard"))
    client = ContainerRegistryClient(
        "https://shopimages.azurecr.io", Credential(), audience="https://management.azure.com", retry_total=0,
        transport=Loopback(emulator.url),
    )
    equal(list(client.list_repository_names(results_per_page=1)), ["base-0001", "base-0002", "base-0003", "team/web"])
    found = list(client.list_manifest_properties("team/web"))
    equal(len(found), 3)
    (index,) = [one for one in found if one.tags]
    equal((sorted(index.tags), index.can_delete, index.last_updated_on.isoformat()),
          (["1.0", "latest"], False, "2026-10-05T00:00:00+00:00"))
    (image,) = [one for one in found if one.size_in_bytes == 1000]
    equal((image.tags, image.can_delete, image.architecture.value), (None, True, "amd64"))
    equal([tag.name for tag in client.list_tag_properties("team/web")], ["1.0", "latest"])
    equal(client.get_repository_properties("team/web").manifest_count, 3)
    # The SDK's own way of reading manifests wants digests to be those of the bytes, which planted ones are not.
    host = "shopimages.azurecr.io"
    form = lambda **fields: urllib.parse.urlencode({"service": host, **fields}).encode()
    refresh = json.loads(emulator.get("/oauth2/exchange", host, None, form(grant_type="access_token", access_token="x"))[2])
    scope = "repository:team/web:pull"
    fields = form(grant_type="refresh_token", scope=scope, refresh_token=refresh["refresh_token"])
    token = "Bearer " + json.loads(emulator.get("/oauth2/token", host, None, fields)[2])["access_token"]

    def manifest(name, accept="*/*", token=token):
        request = urllib.request.Request(f"{emulator.url}/v2/team/web/manifests/{name}")
        for key, value in [("Host", host), ("Authorization", token), ("Accept", accept)]:
            request.add_header(key, value)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.headers["Docker-Content-Digest"], json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["errors"][0]["code"]

    digest, body = manifest("latest", "application/vnd.oci.image.index.v1+json, text/plain")
    equal((digest, body["mediaType"]), (index.digest, "application/vnd.oci.image.index.v1+json"))
    equal([one["digest"] for one in body["manifests"]], [image.digest])
    equal(manifest("latest", "application/json"), (404, "MANIFEST_UNKNOWN"))
    equal(manifest("nothing"), (404, "MANIFEST_UNKNOWN"))
    equal(manifest("latest", token="Bearer emulated"), (401, "UNAUTHORIZED"))
    (signature,) = [one for one in found if one.digest not in (image.digest, index.digest)]
    equal(manifest(signature.digest)[1]["subject"]["digest"], index.digest)
    truth = [one["id"] for one in emulator.control("truth")]
    assert f"shopimages.azurecr.io/team/web@{image.digest}" in truth, truth
    emulator.faults({"permission": "Microsoft.ContainerRegistry/registries/pull/read", "kind": "denied"})
    status, headers, body = emulator.get("/acr/v1/_catalog", host="shopimages.azurecr.io", token=None)
    equal((status, json.loads(body)["errors"][0]["code"]), (401, "UNAUTHORIZED"))
    equal(headers["WWW-Authenticate"],
          'Bearer realm="https://shopimages.azurecr.io/oauth2/token",service="shopimages.azurecr.io",scope="registry:catalog:*"')
    emulator.faults()


@test
def app_service(emulator):
    from azure.mgmt.web import WebSiteManagementClient

    client = emulator.client(WebSiteManagementClient, SUB)
    plans = {one.name: one for one in client.app_service_plans.list()}
    equal((plans["plan"].number_of_sites, plans["plan"].sku.tier, plans["plan"].location), (3, "PremiumV3", "West Europe"))
    equal((plans["empty-plan"].number_of_sites, plans["empty-plan"].sku.name, plans["empty-plan"].reserved), (0, "S1", False))
    sites = {one.name: one for one in client.web_apps.list()}
    equal(sorted(sites), ["jobs", "shop-web"])
    equal((sites["jobs"].kind, sites["shop-web"].kind), ("functionapp,linux", "app,linux,container"))
    equal(sites["jobs"].server_farm_id, plans["plan"].id)
    equal(client.web_apps.get_configuration("shop", "shop-web").linux_fx_version, "DOCKER|shopimages.azurecr.io/team/web:1.0")
    (slot,) = client.web_apps.list_slots("shop", "shop-web")
    equal((slot.name, slot.id), ("shop-web/staging", arm("shop", "Microsoft.Web/sites", "shop-web/slots/staging")))
    (sidecar,) = client.web_apps.list_site_containers("shop", "shop-web")
    equal(sidecar.image, "shopimages.azurecr.io/base-0001:v1")
    (row,) = ask_graph(emulator, "resources | where type == 'microsoft.web/sites' and kind startswith 'functionapp'")
    equal((row["location"], row["properties"]["sku"]), ("westeurope", "PremiumV3"))


@test
def databases(emulator):
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient
    from azure.mgmt.sql import SqlManagementClient

    client = emulator.client(SqlManagementClient, SUB)
    (server,) = client.servers.list()
    found = {one.name: one for one in client.databases.list_by_server("shop", server.name)}
    (pool,) = client.elastic_pools.list_by_server("shop", server.name)
    equal(found["orders"].elastic_pool_id, pool.id)
    equal((found["old"].status, found["old"].sku.name, found["old"].auto_pause_delay), ("Paused", "GP_S_Gen5", 60))
    equal(found["old"].id, arm("shop", "Microsoft.Sql/servers", "sql/databases/old"))
    equal(error_of(lambda: list(client.databases.list_by_server("shop", "nobody"))), (404, "ResourceNotFound"))
    rows = ask_graph(emulator, "resources | where type =~ 'microsoft.sql/servers/databases' | project id, sku")
    equal({row["id"] for row in rows}, {one.id for one in found.values()})
    (pg,) = emulator.client(PostgreSQLManagementClient, SUB).servers.list_by_subscription()
    equal((pg.state, pg.storage.storage_size_gb, pg.version), ("Stopped", 128, "16"))


@test
def containers(emulator):
    from azure.mgmt.containerservice import ContainerServiceClient

    (cluster,) = emulator.client(ContainerServiceClient, SUB).managed_clusters.list()
    equal((cluster.node_resource_group, cluster.power_state.code, cluster.agent_pool_profiles[0].count),
          ("MC_shop_blue_westeurope", "Running", 3))
    ask = lambda path: json.loads(emulator.get(f"/subscriptions/{SUB}{path}?api-version=2024-03-01")[2])["value"]
    (app,) = ask("/providers/Microsoft.App/containerApps")
    equal(app["properties"]["template"]["containers"][0]["image"], "shopimages.azurecr.io/team/web:1.0")
    (revision,) = ask("/resourceGroups/shop/providers/Microsoft.App/containerApps/api/revisions")
    equal(revision["properties"]["active"], True)
    (batch,) = ask("/providers/Microsoft.ContainerInstance/containerGroups")
    equal(batch["properties"]["containers"][0]["properties"]["environmentVariables"], [{"name": "PASSWORD", "value": "canary"}])


@test
def logs_and_backups(emulator):
    from azure.mgmt.loganalytics import LogAnalyticsManagementClient
    from azure.mgmt.recoveryservices import RecoveryServicesClient
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    (logs,) = emulator.client(LogAnalyticsManagementClient, SUB).workspaces.list()
    equal(logs.retention_in_days, 90)
    (vault,) = emulator.client(RecoveryServicesClient, SUB).vaults.list_by_subscription_id()
    equal(vault.sku.name, "RS0")
    client = emulator.client(RecoveryServicesBackupClient, SUB)
    (item,) = client.backup_protected_items.list(vault_name="safe", resource_group_name="shop")
    equal(item.properties.source_resource_id, arm("Shop", "Microsoft.Compute/virtualMachines", "web"))
    equal((item.properties.workload_type, item.properties.policy_name), ("VM", "DefaultPolicy"))
    assert item.id.endswith("/vaults/safe/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaasvmcontainerv2;shop;web"
                            "/protectedItems/VM;iaasvmcontainerv2;shop;web"), item.id
    (row,) = ask_graph(emulator, "recoveryservicesresources | where type endswith '/protecteditems'")
    equal(row["id"], item.id)


@test
def metrics(emulator):
    import datetime

    from azure.mgmt.monitor import MonitorManagementClient
    from azure.monitor.querymetrics import MetricsClient

    client = MetricsClient("https://westeurope.metrics.monitor.azure.com", Credential(), retry_total=0, transport=Loopback(emulator.url))
    end = datetime.datetime(2026, 10, 10, tzinfo=datetime.timezone.utc)
    jobs = arm("shop", "Microsoft.Web/sites", "jobs")
    ask = lambda ids, namespace, names, **more: client.query_resources(
        resource_ids=ids, metric_namespace=namespace, metric_names=names, timespan=(end - datetime.timedelta(days=5), end),
        granularity=datetime.timedelta(days=1), **more)
    (found,) = ask([jobs], "Microsoft.Web/sites", ["FunctionExecutionCount", "Requests", "Nothing"], aggregations=["Total", "Maximum"])
    count, requests, nothing = found.metrics
    equal([point.total for point in count.timeseries[0].data], [None, None, 0, 0, 5])
    equal([point.maximum for point in requests.timeseries[0].data], [24] * 5)
    equal((count.timeseries[0].data[0].timestamp, nothing.timeseries), (end - datetime.timedelta(days=5), []))
    call = emulator.journal()[-1]
    equal((call["account"], call["region"], call["service"], call["permission"]),
          (SUB, "westeurope", "monitor", "Microsoft.Insights/metrics/read"))
    equal(error_of(lambda: ask([jobs] * 51, "Microsoft.Web/sites", ["Requests"])), (400, "BadRequest"))
    equal(error_of(lambda: ask([jobs], "Microsoft.Compute/disks", ["Requests"])), (400, "BadRequest"))
    equal(error_of(lambda: ask([jobs + "x"], "Microsoft.Web/sites", ["Requests"])), (404, "ResourceNotFound"))
    emulator.faults({"service": "monitor", "kind": "throttle"})
    equal(error_of(lambda: ask([jobs], "Microsoft.Web/sites", ["Requests"]))[0], 429)
    emulator.faults()
    one = emulator.client(MonitorManagementClient, SUB).metrics.list(
        jobs, metricnames="Requests", timespan="2026-10-09T00:00:00Z/2026-10-09T02:00:00Z", interval="PT1H", aggregation="total")
    equal([point.total for point in one.value[0].timeseries[0].data], [1.0, 1.0])


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


def gone(call):
    try:
        call()
    except ResourceNotFoundError:
        return True
    return False


def last_call(emulator, action):
    call = [call for call in emulator.journal() if call["action"] == action][-1]
    return call["permission"], call["status"]


@changing
def deletions_take_a_while(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    poller = client.disks.begin_delete("shop", "old", polling_interval=0)
    equal(client.disks.get("shop", "old").provisioning_state, "Deleting")
    poller.result()
    assert gone(lambda: client.disks.get("shop", "old"))
    equal(client.disks.get("other", "old").provisioning_state, "Succeeded")
    equal(last_call(emulator, "Disks_Delete"), ("Microsoft.Compute/disks/delete", 202))
    equal(last_call(emulator, "DiskOperations_Get")[0], "Microsoft.Compute/locations/diskOperations/read")
    # What is already gone is no error.
    client.disks.begin_delete("shop", "old", polling_interval=0).result()
    equal(last_call(emulator, "Disks_Delete")[1], 204)
    # Whoever lost the operation may look at the thing itself.
    client.disks.begin_delete("other", "old", polling=False)
    client.disks.get("other", "old")
    assert gone(lambda: client.disks.get("other", "old"))
    equal(error_of(lambda: client.disks.begin_delete("shop", "stuck", polling_interval=0).result())[1], "InternalExecutionError")
    equal(client.disks.get("shop", "stuck").provisioning_state, "Failed")
    emulator.faults({"permission": "Microsoft.Compute/disks/delete", "kind": "denied"})
    equal(error_of(lambda: client.disks.begin_delete("shop", "bad")), (403, "AuthorizationFailed"))


@changing
def what_is_held_is_not_deleted(emulator):
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.network import NetworkManagementClient
    from azure.mgmt.web import WebSiteManagementClient

    compute = emulator.client(ComputeManagementClient, SUB)
    network = emulator.client(NetworkManagementClient, SUB)
    web = emulator.client(WebSiteManagementClient, SUB)
    for name in ["web-data", "web-os", "read"]:
        equal(error_of(lambda: compute.disks.begin_delete("shop", name)), (409, "OperationNotAllowed"))
    for name in ["web-ip", "nic-ip"]:
        equal(error_of(lambda: network.public_ip_addresses.begin_delete("shop", name)), (400, "PublicIPAddressCannotBeDeleted"))
    equal(error_of(lambda: network.network_interfaces.begin_delete("shop", "web-nic")), (400, "NicInUse"))
    equal(error_of(lambda: network.nat_gateways.begin_delete("shop", "nat")), (400, "CannotDeleteNatGatewayAssociatedToSubnet"))
    equal(error_of(lambda: web.app_service_plans.delete("shop", "plan"))[0], 409)
    network.network_interfaces.begin_delete("shop", "idle-nic", polling_interval=0).result()
    for name in ["nic-ip", "idle-ip"]:
        network.public_ip_addresses.begin_delete("shop", name, polling_interval=0).result()
        assert gone(lambda: network.public_ip_addresses.get("shop", name))
    network.nat_gateways.begin_delete("shop", "idle-nat", polling_interval=0).result()
    network.load_balancers.begin_delete("shop", "balancer", polling_interval=0).result()
    web.app_service_plans.delete("shop", "empty-plan")
    equal([plan.name for plan in web.app_service_plans.list()], ["plan"])
    equal(last_call(emulator, "Operations_Get")[0], "Microsoft.Network/locations/operations/read")


@changing
def locks_stop_deletions(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    sealed = emulator.client(ComputeManagementClient, OTHER)
    locked = (409, "ScopeLocked")
    equal(error_of(lambda: client.disks.begin_delete("shop", "held")), locked)
    equal(error_of(lambda: client.disks.begin_delete("kept", "in-kept")), locked)
    equal(error_of(lambda: client.disks.begin_delete("frozen", "in-frozen")), locked)
    equal(error_of(lambda: sealed.disks.begin_delete("rg", "old")), locked)
    # A lock against deletion is none against changes; one against changes is.
    equal(error_of(lambda: client.virtual_machines.begin_deallocate("frozen", "still")), locked)
    try:
        client.disks.begin_delete("kept", "in-kept")
    except HttpResponseError as error:
        assert "are locked: '/subscriptions/" in error.message and "Please remove the lock" in error.message, error.message
    for group, name in [("shop", "held"), ("kept", "in-kept"), ("frozen", "in-frozen")]:
        equal(client.disks.get(group, name).provisioning_state, "Succeeded")
    # When the lock is taken away, the deletion goes through.
    emulator.control("set", {"id": "held", "lock": None})
    client.disks.begin_delete("shop", "held", polling_interval=0).result()
    assert gone(lambda: client.disks.get("shop", "held"))


@changing
def a_disk_is_kept_as_a_snapshot_and_made_again(emulator):
    from azure.mgmt.compute import ComputeManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    disk = client.disks.get("shop", "old")
    body = {"location": "westeurope", "sku": {"name": "Standard_LRS"}, "tags": {"kept": "x"},
            "properties": {"incremental": True, "creationData": {"createOption": "Copy", "sourceResourceId": disk.id}}}
    poller = client.snapshots.begin_create_or_update("shop", "copy", body, polling_interval=0)
    # The poller is a thread of its own, and may have seen the end of it by now.
    state = client.snapshots.get("shop", "copy").provisioning_state
    assert state in ("Creating", "Succeeded"), state
    copy = poller.result()
    equal((copy.provisioning_state, copy.disk_size_gb, copy.tags), ("Succeeded", 100, {"kept": "x"}))
    equal((copy.creation_data.source_unique_id, copy.creation_data.source_resource_id), (disk.unique_id, disk.id))
    # The same again is the same snapshot.
    again = client.snapshots.begin_create_or_update("shop", "copy", body, polling_interval=0).result()
    equal(again.unique_id, copy.unique_id)
    other = {**body, "properties": {**body["properties"], "creationData": {"createOption": "Copy", "sourceResourceId": arm("shop", "Microsoft.Compute/disks", "held")}}}
    equal(error_of(lambda: client.snapshots.begin_create_or_update("shop", "copy", other))[1], "PropertyChangeNotAllowed")
    client.disks.begin_delete("shop", "old", polling_interval=0).result()
    equal(client.snapshots.get("shop", "copy").creation_data.source_unique_id, disk.unique_id)
    made = client.disks.begin_create_or_update("shop", "old", {
        "location": "westeurope", "zones": ["2"], "sku": {"name": "Premium_LRS"}, "tags": {"owner": "ann"},
        "properties": {"tier": "P30", "networkAccessPolicy": "DenyAll", "creationData": {"createOption": "Copy", "sourceResourceId": copy.id}},
    }, polling_interval=0).result()
    equal((made.zones, made.sku.name, made.tier, made.disk_size_gb, made.tags, made.network_access_policy),
          (["2"], "Premium_LRS", "P30", 100, {"owner": "ann"}, "DenyAll"))
    assert made.unique_id != disk.unique_id
    bad = {**body, "properties": {**body["properties"], "creationData": {"createOption": "Copy", "sourceResourceId": arm("shop", "Microsoft.Compute/disks", "bad")}}}
    equal(error_of(lambda: client.snapshots.begin_create_or_update("shop", "bad-copy", bad, polling_interval=0).result())[1],
          "InternalExecutionError")
    equal(client.snapshots.get("shop", "bad-copy").provisioning_state, "Failed")
    client.snapshots.begin_delete("shop", "copy", polling_interval=0).result()
    client.images.begin_delete("shop", "golden", polling_interval=0).result()
    client.gallery_image_versions.begin_delete("shop", "factory", "base", "1.0.0", polling_interval=0).result()
    assert gone(lambda: client.snapshots.get("shop", "copy"))
    assert gone(lambda: client.images.get("shop", "golden"))
    assert gone(lambda: client.gallery_image_versions.get("shop", "factory", "base", "1.0.0"))


@changing
def machines_and_servers_are_stopped_and_started(emulator):
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.postgresqlflexibleservers import PostgreSQLManagementClient

    client = emulator.client(ComputeManagementClient, SUB)
    state = lambda: client.virtual_machines.instance_view("shop", "web").statuses[-1].code
    client.virtual_machines.begin_deallocate("shop", "web", polling_interval=0).result()
    equal((state(), client.disks.get("shop", "web-data").disk_state), ("PowerState/deallocated", "Reserved"))
    equal(last_call(emulator, "VirtualMachines_Deallocate"), ("Microsoft.Compute/virtualMachines/deallocate/action", 202))
    client.virtual_machines.begin_start("shop", "web", polling_interval=0).result()
    equal(state(), "PowerState/running")
    emulator.control("set", {"id": "web", "fails": "AllocationFailed", "state": "deallocated"})
    equal(error_of(lambda: client.virtual_machines.begin_start("shop", "web", polling_interval=0).result())[1], "AllocationFailed")
    equal(state(), "PowerState/deallocated")
    emulator.control("set", {"id": "web", "fails": None})
    client.virtual_machines.begin_delete("shop", "web", polling_interval=0).result()
    assert gone(lambda: client.disks.get("shop", "web-os"))
    equal(client.disks.get("shop", "web-data").disk_state, "Unattached")
    servers = emulator.client(PostgreSQLManagementClient, SUB).servers
    servers.begin_stop("shop", "pg", polling_interval=0).result()
    equal(servers.get("shop", "pg").state, "Stopped")
    equal(error_of(lambda: servers.begin_stop("shop", "pg"))[0], 409)
    servers.begin_start("shop", "pg", polling_interval=0).result()
    equal(servers.get("shop", "pg").state, "Ready")


@changing
def tags_are_merged_and_taken_away(emulator):
    from azure.mgmt.resource.resources import ResourceManagementClient

    tags = emulator.client(ResourceManagementClient, SUB).tags
    scope = arm("shop", "Microsoft.Compute/disks", "old")

    def update(operation, pairs, at=scope):
        found = tags.begin_update_at_scope(at, {"operation": operation, "properties": {"tags": pairs}}, polling_interval=0)
        return found.result().properties.tags

    equal(update("Merge", {"Owner": "bob", "condemned": "plan"}), {"owner": "bob", "condemned": "plan"})
    equal(tags.get_at_scope(scope).properties.tags, {"owner": "bob", "condemned": "plan"})
    equal(update("Delete", {"condemned": ""}), {"owner": "bob"})
    equal(error_of(lambda: update("Merge", {"a": "b"}, arm("frozen", "Microsoft.Compute/disks", "in-frozen"))), (409, "ScopeLocked"))
    equal(error_of(lambda: update("Merge", {"a": "b"}, arm("shop", "Microsoft.Compute/disks", "nothing")))[0], 404)
    equal(last_call(emulator, "Tags_UpdateAtScope")[0], "Microsoft.Resources/tags/write")


@changing
def images_are_deleted_by_digest_and_restored(emulator):
    import hashlib

    from azure.containerregistry import ContainerRegistryClient

    def registry(name):
        host = f"https://{name}.azurecr.io"
        return ContainerRegistryClient(host, Credential(), audience="https://management.azure.com", transport=Loopback(emulator.url), retry_total=0)

    client = registry("hard")
    digests = lambda client: {one.digest: one.tags for one in client.list_manifest_properties("team/web")}
    before = digests(client)
    (first,) = [digest for digest, tags in before.items() if tags == ["1.0"]]
    (locked,) = [one.digest for one in client.list_manifest_properties("team/web") if one.can_delete is False]
    equal(error_status(lambda: client.delete_manifest("team/web", locked)), 405)
    client.delete_manifest("team/web", first)
    # Its signature went with it.
    equal(list(digests(client)), [locked])
    equal(last_call(emulator, "ContainerRegistry_DeleteManifest"), ("Microsoft.ContainerRegistry/registries/artifacts/delete", 202))
    soft = registry("soft")
    (digest,) = digests(soft)
    soft.delete_manifest("team/web", digest)

    def token(scope):
        form = {"grant_type": "access_token", "service": "soft.azurecr.io", "access_token": "x"}
        refresh = json.loads(emulator.get("/_acr/soft/oauth2/exchange", data=urllib.parse.urlencode(form).encode())[2])["refresh_token"]
        form = {"grant_type": "refresh_token", "service": "soft.azurecr.io", "scope": scope, "refresh_token": refresh}
        return "Bearer " + json.loads(emulator.get("/_acr/soft/oauth2/token", data=urllib.parse.urlencode(form).encode())[2])["access_token"]

    may = token("repository:team/web:deleted_read,deleted_restore")
    at = "/_acr/soft/acr/v1/_deleted/team/web/_manifests"
    (kept,) = json.loads(emulator.get(at, token=may)[2])["manifests"]
    equal((kept["digest"], kept["deletedAt"][:10]), (digest, NOW[:10]))
    equal(emulator.get(f"{at}/{digest}", token=token("repository:team/web:pull"), data=b'{"tag": "1.0"}')[0], 401)
    equal(emulator.get(f"{at}/{digest}", token=may, data=b'{"tag": "1.0"}')[0], 200)
    equal(digests(soft), {digest: ["1.0"]})


def error_status(call):
    try:
        call()
    except HttpResponseError as error:
        return error.status_code
    raise AssertionError("no error")


def main():
    passed = failed = 0
    for function in CHANGING:
        with Emulator(org=CHANGES) as emulator:
            try:
                function(emulator)
                passed += 1
            except Exception:
                failed += 1
                print(f"FAILED {function.__name__}")
                traceback.print_exc()
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
