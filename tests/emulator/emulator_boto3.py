#!/usr/bin/env python3
"""Drives the emulator with boto3, AWS's own reading of the wire formats.

usage: emulator_boto3.py [PATH TO sweeper-emulator]

Makes itself a virtual environment when boto3 is missing. Prints every failed check and, at the end,
"N passed, M failed"; exits non-zero when one failed.
"""

import datetime
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

try:
    import boto3
except ImportError:
    if os.environ.get("EMULATOR_VENV"):
        raise
    venv = pathlib.Path(tempfile.gettempdir()) / f"emulator-venv-{os.getuid()}"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "boto3"], check=True)
    os.environ["EMULATOR_VENV"] = "1"
    os.execv(str(python), [str(python), *sys.argv])

import botocore.model
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

NOW = "2026-10-10T00:00:00Z"

ORG = r'''
[organization]
id = "o-demo"
management = "111111111111"

[[account]]
id = "111111111111"
name = "platform"
ou = "/Prod"
regions = ["us-east-1", "eu-west-1", "eu-south-1"]
tags = { owner = "core" }

[[account]]
id = "222222222222"
name = "shop"
ou = "/Prod/Shops"
role = "sweeper"
external_id = "s3cret"

[[account]]
id = "333333333333"
name = "gone"
status = "SUSPENDED"
role = "sweeper"

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-0a"
created = "-40d"
size = 100
type = "gp2"
tags = { owner = "team-{n}", hostile = "<&>\"' \u00e9\n]]> {n}" }
count = 23

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-used"
snapshot = "snap-own"
iops = 4000

[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
id = "i-stopped"
state = "stopped"
stopped_at = "2026-10-01T10:00:00Z"
volumes = ["vol-used"]
interfaces = ["eni-used"]
image = "ami-own"

[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
id = "i-pair"
count = 2
reservation = "r-pair"
lifecycle = "spot"

[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
id = "i-lone"
count = 6

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-own"
volume = "vol-used"
size = 100
tier = "archive"
shared = ["222222222222", "all"]
locked = "compliance"
description = "Created by CreateImage(i-1) for ami-1"

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-foreign"
owner = "999999999999"

[[resource]]
kind = "aws.ec2-snapshot"
account = "222222222222"
id = "snap-shop"
shared = ["111111111111"]

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-binned"
recycled = "-2d"

[[resource]]
kind = "aws.ec2-image"
account = "111111111111"
id = "ami-own"
name = "web"
snapshots = ["snap-own", "snap-two"]
last_launched = "-3d"
shared = ["222222222222"]

[[resource]]
kind = "aws.ec2-image"
account = "111111111111"
id = "ami-disabled"
state = "disabled"

[[resource]]
kind = "aws.ec2-image"
account = "222222222222"
id = "ami-old"
deprecated = "-1d"
shared = ["all"]

[[resource]]
kind = "aws.ec2-image"
account = "111111111111"
id = "ami-binned"
recycled = "-1d"

[[resource]]
kind = "aws.ec2-launch-template"
account = "111111111111"
id = "lt-a"
name = "web"
default_version = 2
versions = [
  { image = "ami-1" },
  { image = "ami-2", snapshots = ["snap-lt"] },
  { image = "resolve:ssm:/images/web" },
]

[[resource]]
kind = "aws.ec2-launch-template"
account = "111111111111"
id = "lt-b"
count = 2

[[resource]]
kind = "aws.ec2-fleet"
account = "111111111111"
id = "fleet-1"
templates = ["lt-a:2"]
images = ["ami-own"]

[[resource]]
kind = "aws.ec2-fleet"
account = "111111111111"
id = "fleet-instant"
type = "instant"

[[resource]]
kind = "aws.ec2-spot-fleet"
account = "111111111111"
id = "sfr-1"
images = ["ami-own"]
templates = ["lt-a"]
snapshots = ["snap-own"]

[[resource]]
kind = "aws.ec2-address"
account = "111111111111"
id = "eipalloc-free"
ip = "198.18.0.1"

[[resource]]
kind = "aws.ec2-address"
account = "111111111111"
id = "eipalloc-instance"
instance = "i-stopped"

[[resource]]
kind = "aws.ec2-address"
account = "111111111111"
id = "eipalloc-nat"

[[resource]]
kind = "aws.ec2-network-interface"
account = "111111111111"
id = "eni-free"
requester_managed = true
requester_id = "amazon-elb"
description = "ELB app/x"

[[resource]]
kind = "aws.ec2-network-interface"
account = "111111111111"
id = "eni-used"

[[resource]]
kind = "aws.ec2-nat-gateway"
account = "111111111111"
id = "nat-1"
addresses = ["eipalloc-nat"]

[[resource]]
kind = "aws.ec2-route-table"
account = "111111111111"
id = "rtb-1"
main = true
subnets = ["subnet-1"]
routes = [{ nat = "nat-1" }, { endpoint = "vpce-2" }]

[[resource]]
kind = "aws.ec2-vpc-endpoint"
account = "111111111111"
id = "vpce-1"
service = "ecr.api.x"
subnets = ["subnet-1"]
interfaces = ["eni-free"]

[[resource]]
kind = "aws.ec2-vpc-endpoint"
account = "111111111111"
id = "vpce-2"
type = "Gateway"
route_tables = ["rtb-1"]

[[resource]]
kind = "aws.autoscaling-group"
account = "111111111111"
id = "asg-1"
instances = ["i-stopped"]
template = "lt-a"
tags = { owner = "team-a" }

[[resource]]
kind = "aws.autoscaling-group"
account = "111111111111"
id = "asg-2"
launch_configuration = "lc-1"
suspended = ["Launch"]
count = 2

[[resource]]
kind = "aws.autoscaling-group"
account = "111111111111"
id = "asg-mixed"
template = "lt-a"
overrides = ["lt-b0001"]

[[resource]]
kind = "aws.autoscaling-launch-configuration"
account = "111111111111"
id = "lc-1"
image = "ami-own"
snapshots = ["snap-own"]

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
region = "eu-west-1"
id = "vol-control"
tags = { raw = "bell \u0007 escape \u001b" }
expect = { "unattached-disk" = "found" }
'''

passed = failed = 0


def check(what, truth):
    global passed, failed
    if truth:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}")
        print("  " + traceback.format_stack(limit=2)[0].strip())


def same(what, got, wanted):
    check(f"{what}: {got!r} is not {wanted!r}", got == wanted)


def error(what, code, status, call):
    try:
        call()
    except ClientError as caught:
        same(f"{what}: code", caught.response["Error"]["Code"], code)
        if status:
            same(f"{what}: status", caught.response["ResponseMetadata"]["HTTPStatusCode"], status)
    else:
        check(f"{what}: no error", False)


class Emulator:
    def __init__(self, binary, folder, *options):
        path = pathlib.Path(folder) / "org.toml"
        path.write_text(ORG)
        self.process = subprocess.Popen(
            [binary, "--org", str(path), "--now", NOW, *options], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def client(self, service, account="111111111111", region="us-east-1", retries=0, key=None):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key or f"AKIA{account}TEST",
            aws_secret_access_key="x",
            config=Config(
                retries={"total_max_attempts": 1 + retries, "mode": "standard"},
                s3={"addressing_style": "path"},
                read_timeout=10,
            ),
        )

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/__emulator/{path}", data) as answer:
            return json.load(answer)

    def journal(self):
        return self.ask("journal")

    def faults(self, *faults):
        self.ask("faults", list(faults))


def paged(client, operation, key, **options):
    return [
        item
        for page in client.get_paginator(operation).paginate(**options)
        for item in page[key]
    ]


def ids(items, key):
    return [item[key] for item in items]


def ec2_storage(emulator):
    ec2 = emulator.client("ec2")
    volumes = paged(ec2, "describe_volumes", "Volumes")
    same("volumes", len(volumes), 24)
    first = volumes[0]
    same("volume id", first["VolumeId"], "vol-0a0001")
    same("volume size", (first["Size"], first["VolumeType"], first["Iops"]), (100, "gp2", 300))
    same("volume state", first["State"], "available")
    same("volume created", first["CreateTime"].isoformat(), "2026-08-31T00:00:00+00:00")
    same(
        "volume tags",
        first["Tags"],
        [
            {"Key": "hostile", "Value": "<&>\"' \u00e9\n]]> 0001"},
            {"Key": "owner", "Value": "team-0001"},
        ],
    )
    used = ec2.describe_volumes(VolumeIds=["vol-used"])["Volumes"][0]
    same("attachment", ids(used["Attachments"], "InstanceId"), ["i-stopped"])
    same("used", (used["State"], used["Throughput"], used["SnapshotId"]), ("in-use", 125, "snap-own"))
    page = ec2.describe_volumes(MaxResults=5)
    same("page", len(page["Volumes"]), 5)
    check("token", page["NextToken"])
    same(
        "paging",
        sorted(ids(paged(ec2, "describe_volumes", "Volumes", PaginationConfig={"PageSize": 5}), "VolumeId")),
        sorted(ids(volumes, "VolumeId")),
    )
    error("small page", "InvalidParameterValue", 400, lambda: ec2.describe_volumes(MaxResults=4))
    same("large page", len(ec2.describe_volumes(MaxResults=5000)["Volumes"]), 24)
    error("token", "InvalidNextToken", 400, lambda: ec2.describe_volumes(NextToken="x"))
    error("missing", "InvalidVolume.NotFound", 400, lambda: ec2.describe_volumes(VolumeIds=["vol-x"]))
    error("filter", "InvalidParameterValue", 400, lambda: ec2.describe_volumes(Filters=[{"Name": "x", "Values": ["y"]}]))
    error("dry run", "DryRunOperation", 412, lambda: ec2.describe_volumes(DryRun=True))
    found = ec2.describe_volumes(Filters=[{"Name": "tag:owner", "Values": ["team-000?"]}, {"Name": "status", "Values": ["available"]}])
    same("filters", len(found["Volumes"]), 9)

    own = paged(ec2, "describe_snapshots", "Snapshots", OwnerIds=["self"])
    same("own snapshots", ids(own, "SnapshotId"), ["snap-own"])
    same("snapshot", (own[0]["StorageTier"], own[0]["VolumeSize"], own[0]["OwnerId"], own[0]["State"]), ("archive", 100, "111111111111", "completed"))
    same("all snapshots", ids(ec2.describe_snapshots()["Snapshots"], "SnapshotId"), ["snap-own", "snap-foreign", "snap-shop"])
    same("foreign", ids(ec2.describe_snapshots(OwnerIds=["999999999999"])["Snapshots"], "SnapshotId"), ["snap-foreign"])
    attribute = ec2.describe_snapshot_attribute(SnapshotId="snap-own", Attribute="createVolumePermission")
    same("permissions", attribute["CreateVolumePermissions"], [{"UserId": "222222222222"}, {"Group": "all"}])
    locks = ec2.describe_locked_snapshots()["Snapshots"]
    same("locks", [(lock["SnapshotId"], lock["LockState"]) for lock in locks], [("snap-own", "compliance")])
    same("bin", ids(ec2.list_snapshots_in_recycle_bin()["Snapshots"], "SnapshotId"), ["snap-binned"])

    same("images", ids(paged(ec2, "describe_images", "Images", Owners=["self"]), "ImageId"), ["ami-own"])
    same("disabled", ids(ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"], "ImageId"), ["ami-own", "ami-disabled"])
    same("public", ids(ec2.describe_images(ExecutableUsers=["all"])["Images"], "ImageId"), [])
    same("deprecated", ids(ec2.describe_images(ExecutableUsers=["all"], IncludeDeprecated=True)["Images"], "ImageId"), ["ami-old"])
    image = ec2.describe_images(ImageIds=["ami-own"])["Images"][0]
    same("devices", [device["Ebs"]["SnapshotId"] for device in image["BlockDeviceMappings"]], ["snap-own", "snap-two"])
    same("image", (image["Name"], image["Public"], image["State"], image["CreationDate"][-5:]), ("web", False, "available", ".000Z"))
    same("launch permission", ec2.describe_image_attribute(ImageId="ami-own", Attribute="launchPermission")["LaunchPermissions"], [{"UserId": "222222222222"}])
    same("last launched", ec2.describe_image_attribute(ImageId="ami-own", Attribute="lastLaunchedTime")["LastLaunchedTime"], {"Value": "2026-10-07T00:00:00.000Z"})
    same("never launched", ec2.describe_image_attribute(ImageId="ami-disabled", Attribute="lastLaunchedTime").get("LastLaunchedTime"), {})
    same("image bin", ids(ec2.list_images_in_recycle_bin()["Images"], "ImageId"), ["ami-binned"])

    # XML 1.0 has no escape character; AWS sends a reference to it all the same.
    ireland = emulator.client("ec2", region="eu-west-1")
    raw = {}
    ireland.meta.events.register("before-parse.ec2.DescribeVolumes", lambda response_dict, **_: raw.update(response_dict))
    try:
        ireland.describe_volumes()
    except ResponseParserError:
        pass
    check("control characters", b"bell &#x7; escape &#x1B;" in raw["body"])


def ec2_compute(emulator):
    ec2 = emulator.client("ec2")
    reservations = paged(ec2, "describe_instances", "Reservations")
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    same("instances", (len(reservations), len(instances)), (8, 9))
    page = ec2.describe_instances(MaxResults=5)
    same("pages of reservations", (len(page["Reservations"]), bool(page.get("NextToken"))), (5, True))
    first = instances[0]
    same("stopped", (first["State"], first["StateTransitionReason"]), ({"Code": 80, "Name": "stopped"}, "User initiated (2026-10-01 10:00:00 GMT)"))
    same("devices", [device["Ebs"]["VolumeId"] for device in first["BlockDeviceMappings"]], ["vol-used"])
    same("interfaces", ids(first["NetworkInterfaces"], "NetworkInterfaceId"), ["eni-used"])
    same("spot", instances[1]["InstanceLifecycle"], "spot")
    check("address", first.get("PublicIpAddress"))
    error("combination", "InvalidParameterCombination", 400, lambda: ec2.describe_instances(InstanceIds=["i-stopped"], MaxResults=5))
    error("upper bound", "InvalidParameterValue", 400, lambda: ec2.describe_instances(MaxResults=1001))

    templates = paged(ec2, "describe_launch_templates", "LaunchTemplates")
    same("templates", [(t["LaunchTemplateId"], t["DefaultVersionNumber"], t["LatestVersionNumber"]) for t in templates], [("lt-a", 2, 3), ("lt-b0001", 1, 1), ("lt-b0002", 1, 1)])
    of_one = paged(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateId="lt-a")
    same("versions", [(v["VersionNumber"], v["LaunchTemplateData"]["ImageId"], v["DefaultVersion"]) for v in of_one], [(3, "resolve:ssm:/images/web", False), (2, "ami-2", True), (1, "ami-1", False)])
    same("version's snapshot", of_one[1]["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], "snap-lt")
    of_all = paged(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", Versions=["$Latest", "$Default"])
    same("versions of all", [(v["LaunchTemplateId"], v["VersionNumber"]) for v in of_all], [("lt-a", 3), ("lt-a", 2), ("lt-b0001", 1), ("lt-b0002", 1)])
    error("versions of none", "MissingParameter", 400, lambda: ec2.describe_launch_template_versions(Versions=["1"]))

    fleets = ec2.describe_fleets()["Fleets"]
    same("fleets", ids(fleets, "FleetId"), ["fleet-1"])
    same("fleet's template", fleets[0]["LaunchTemplateConfigs"][0]["LaunchTemplateSpecification"], {"LaunchTemplateId": "lt-a", "Version": "2"})
    same("fleet's image", fleets[0]["LaunchTemplateConfigs"][0]["Overrides"][0]["ImageId"], "ami-own")
    same("instant fleet", ids(ec2.describe_fleets(FleetIds=["fleet-instant"])["Fleets"], "Type"), ["instant"])
    spot = paged(ec2, "describe_spot_fleet_requests", "SpotFleetRequestConfigs")[0]
    same("spot fleet", (spot["SpotFleetRequestId"], spot["SpotFleetRequestState"]), ("sfr-1", "active"))
    config = spot["SpotFleetRequestConfig"]
    same("spot fleet's image", config["LaunchSpecifications"][0]["ImageId"], "ami-own")
    same("spot fleet's snapshot", config["LaunchSpecifications"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"], "snap-own")
    same("spot fleet's template", config["LaunchTemplateConfigs"][0]["LaunchTemplateSpecification"]["LaunchTemplateId"], "lt-a")

    here = ec2.describe_regions()["Regions"]
    same("regions", [(r["RegionName"], r["OptInStatus"]) for r in here], [("eu-south-1", "opted-in"), ("eu-west-1", "opt-in-not-required"), ("us-east-1", "opt-in-not-required")])
    everywhere = ec2.describe_regions(AllRegions=True)["Regions"]
    check("all regions", len(everywhere) > 30 and {"not-opted-in"} == {r["OptInStatus"] for r in everywhere if r["RegionName"] not in ids(here, "RegionName")})
    same("tags", len(paged(ec2, "describe_tags", "Tags", Filters=[{"Name": "resource-type", "Values": ["volume"]}], PaginationConfig={"PageSize": 7})), 46)


def ec2_network(emulator):
    ec2 = emulator.client("ec2")
    addresses = {a["AllocationId"]: a for a in ec2.describe_addresses()["Addresses"]}
    same("addresses", len(addresses), 3)
    same("free", (addresses["eipalloc-free"].get("AssociationId"), addresses["eipalloc-free"]["PublicIp"]), (None, "198.18.0.1"))
    same("of an instance", addresses["eipalloc-instance"]["InstanceId"], "i-stopped")
    check("of a NAT gateway", addresses["eipalloc-nat"]["AssociationId"])
    nat = paged(ec2, "describe_nat_gateways", "NatGateways")[0]
    same("NAT gateway", (nat["State"], nat["NatGatewayAddresses"][0]["AllocationId"]), ("available", "eipalloc-nat"))
    same("NAT's address", nat["NatGatewayAddresses"][0]["PublicIp"], addresses["eipalloc-nat"]["PublicIp"])
    same("NAT's interface", nat["NatGatewayAddresses"][0]["NetworkInterfaceId"], addresses["eipalloc-nat"]["NetworkInterfaceId"])
    interfaces = {i["NetworkInterfaceId"]: i for i in paged(ec2, "describe_network_interfaces", "NetworkInterfaces")}
    free, used = interfaces["eni-free"], interfaces["eni-used"]
    same("free interface", (free["Status"], free.get("Attachment"), free["RequesterManaged"], free["RequesterId"]), ("available", None, True, "amazon-elb"))
    same("used interface", (used["Status"], used["Attachment"]["InstanceId"]), ("in-use", "i-stopped"))
    table = paged(ec2, "describe_route_tables", "RouteTables")[0]
    same("routes", [(r.get("GatewayId"), r.get("NatGatewayId")) for r in table["Routes"]], [("local", None), (None, "nat-1"), ("vpce-2", None)])
    same("associations", [(a["Main"], a.get("SubnetId")) for a in table["Associations"]], [(True, None), (False, "subnet-1")])
    error("route tables' bound", "InvalidParameterValue", 400, lambda: ec2.describe_route_tables(MaxResults=101))
    endpoints = {e["VpcEndpointId"]: e for e in paged(ec2, "describe_vpc_endpoints", "VpcEndpoints")}
    same("interface endpoint", (endpoints["vpce-1"]["VpcEndpointType"], endpoints["vpce-1"]["NetworkInterfaceIds"]), ("Interface", ["eni-free"]))
    same("gateway endpoint", (endpoints["vpce-2"]["ServiceName"], endpoints["vpce-2"]["RouteTableIds"]), ("com.amazonaws.us-east-1.s3", ["rtb-1"]))


def other_services(emulator):
    auto = emulator.client("autoscaling")
    groups = {g["AutoScalingGroupName"]: g for g in paged(auto, "describe_auto_scaling_groups", "AutoScalingGroups", PaginationConfig={"PageSize": 1})}
    same("groups", list(groups), ["asg-1", "asg-20001", "asg-20002", "asg-mixed"])
    first = groups["asg-1"]
    same("group", (first["LaunchTemplate"]["LaunchTemplateId"], ids(first["Instances"], "InstanceId"), first["Tags"][0]["Value"]), ("lt-a", ["i-stopped"], "team-a"))
    check("group's time", isinstance(first["CreatedTime"], datetime.datetime))
    mixed = groups["asg-mixed"]["MixedInstancesPolicy"]["LaunchTemplate"]
    same("mixed", (mixed["LaunchTemplateSpecification"]["LaunchTemplateId"], mixed["Overrides"][0]["LaunchTemplateSpecification"]["LaunchTemplateId"]), ("lt-a", "lt-b0001"))
    same("suspended", groups["asg-20001"]["SuspendedProcesses"][0]["ProcessName"], "Launch")
    same("by name", ids(auto.describe_auto_scaling_groups(AutoScalingGroupNames=["asg-1"])["AutoScalingGroups"], "AutoScalingGroupName"), ["asg-1"])
    configuration = paged(auto, "describe_launch_configurations", "LaunchConfigurations")[0]
    same("configuration", (configuration["ImageId"], configuration["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]), ("ami-own", "snap-own"))

    sts = emulator.client("sts")
    same("identity", sts.get_caller_identity()["Account"], "111111111111")
    same("default", emulator.client("sts", key="anything").get_caller_identity()["Account"], "111111111111")
    assume = lambda account, **more: sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/sweeper", RoleSessionName="sweep", **more)
    credentials = assume("222222222222", ExternalId="s3cret")["Credentials"]
    check("expiration", credentials["Expiration"] > datetime.datetime.now(datetime.timezone.utc))
    identity = emulator.client("sts", key=credentials["AccessKeyId"]).get_caller_identity()
    same("assumed", (identity["Account"], identity["Arn"]), ("222222222222", "arn:aws:sts::222222222222:assumed-role/sweeper/sweeper"))
    error("external id", "AccessDenied", 403, lambda: assume("222222222222"))
    error("wrong external id", "AccessDenied", 403, lambda: assume("222222222222", ExternalId="x1"))
    error("no role", "AccessDenied", 403, lambda: assume("111111111111"))
    error("suspended", "AccessDenied", 403, lambda: assume("333333333333"))
    error("unknown account", "AuthFailure", 401, lambda: emulator.client("ec2", "444444444444").describe_volumes())
    error("unknown account", "InvalidClientTokenId", 403, lambda: emulator.client("sts", "444444444444").get_caller_identity())
    error("region not enabled", "AuthFailure", 401, lambda: emulator.client("ec2", region="us-west-2").describe_volumes())
    error("unknown action", "InvalidAction", 400, lambda: emulator.client("ec2").describe_vpcs())

    org = emulator.client("organizations")
    accounts = paged(org, "list_accounts", "Accounts", PaginationConfig={"PageSize": 1})
    same("accounts", [(a["Id"], a["Name"], a["Status"]) for a in accounts], [("111111111111", "platform", "ACTIVE"), ("222222222222", "shop", "ACTIVE"), ("333333333333", "gone", "SUSPENDED")])
    same("organization", org.describe_organization()["Organization"]["MasterAccountId"], "111111111111")
    root = paged(org, "list_roots", "Roots")[0]["Id"]
    units = paged(org, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=root)
    same("units", ids(units, "Name"), ["Prod"])
    below = paged(org, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=units[0]["Id"])
    same("units below", ids(below, "Name"), ["Shops"])
    same("accounts of a unit", ids(paged(org, "list_accounts_for_parent", "Accounts", ParentId=below[0]["Id"]), "Id"), ["222222222222"])
    same("accounts of the root", ids(paged(org, "list_accounts_for_parent", "Accounts", ParentId=root), "Id"), ["333333333333"])
    same("parent", org.list_parents(ChildId="222222222222")["Parents"], [{"Id": below[0]["Id"], "Type": "ORGANIZATIONAL_UNIT"}])
    same("parent of a unit", org.list_parents(ChildId=units[0]["Id"])["Parents"], [{"Id": root, "Type": "ROOT"}])
    same("account's tags", org.list_tags_for_resource(ResourceId="111111111111")["Tags"], [{"Key": "owner", "Value": "core"}])
    error("member account", "AccessDeniedException", 400, lambda: emulator.client("organizations", "222222222222").list_accounts())


def faults(emulator):
    ec2 = emulator.client("ec2")
    volumes = lambda: ec2.describe_volumes(MaxResults=5)
    emulator.ask("reset", {})
    emulator.faults({"service": "ec2", "kind": "throttle", "after": 1, "times": 2})
    volumes()
    error("throttle", "RequestLimitExceeded", 503, volumes)
    error("throttle", "RequestLimitExceeded", 503, volumes)
    volumes()
    calls = emulator.journal()
    same("journal", [(c["n"] - calls[0]["n"], c["status"], c["fault"]) for c in calls], [(0, 200, None), (1, 503, "throttle"), (2, 503, "throttle"), (3, 200, None)])
    same("call", (calls[0]["account"], calls[0]["region"], calls[0]["service"], calls[0]["action"], calls[0]["permission"]), ("111111111111", "us-east-1", "ec2", "DescribeVolumes", "ec2:DescribeVolumes"))
    emulator.faults({"kind": "throttle", "times": 1})
    same("retried", len(emulator.client("ec2", retries=2).describe_volumes(MaxResults=5)["Volumes"]), 5)

    emulator.faults({"permission": "ec2:Describe*", "kind": "denied"})
    error("denied", "UnauthorizedOperation", 403, volumes)
    emulator.client("sts").get_caller_identity()
    emulator.faults({"kind": "denied"})
    error("denied query", "AccessDenied", 403, emulator.client("sts").get_caller_identity)
    error("denied JSON", "AccessDeniedException", 400, emulator.client("organizations").list_accounts)
    emulator.faults({"account": "222222222222", "kind": "denied"})
    volumes()
    emulator.faults({"region": "eu-west-1", "kind": "denied"})
    volumes()
    emulator.faults({"kind": "error500"})
    error("internal", "InternalError", 500, volumes)
    error("internal JSON", "InternalServerError", 500, emulator.client("organizations").list_accounts)
    emulator.faults({"kind": "expired-token"})
    error("expired", "RequestExpired", 400, volumes)
    error("expired query", "ExpiredToken", 403, emulator.client("sts").get_caller_identity)
    emulator.faults({"kind": "empty-ok"})
    page = volumes()
    same("empty", (page["Volumes"], page.get("NextToken")), ([], None))
    emulator.faults({"kind": "repeat-token"})
    one = volumes()
    two = ec2.describe_volumes(MaxResults=5, NextToken=one["NextToken"])
    same("repeated", (one["NextToken"], one["Volumes"]), (two["NextToken"], two["Volumes"]))
    for kind in ["cut", "malformed", "html"]:
        emulator.faults({"kind": kind})
        for service, call in [("ec2", volumes), ("organizations", emulator.client("organizations").list_accounts)]:
            try:
                answer = call()
                # botocore takes what is no JSON (some versions: what is cut, too), and a page of HTML, for an
                # answer with nothing in it.
                check(f"{kind} {service}: an answer", not answer.get("Volumes") and not answer.get("Accounts"))
            except (BotoCoreError, ClientError, ResponseParserError):
                check(kind, True)
    emulator.faults({"kind": "slow", "ms": 300})
    began = time.monotonic()
    volumes()
    check("slow", time.monotonic() - began >= 0.3)
    emulator.faults({"kind": "cut", "times": 1})
    request = urllib.request.Request(
        emulator.url,
        b"Action=DescribeVolumes&Version=2016-11-15",
        {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIA111111111111T/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0"},
    )
    try:
        urllib.request.urlopen(request).read()
        check("cut: a whole body", False)
    except Exception as caught:
        partial = getattr(caught, "partial", b"")
        check(f"cut: {caught!r}", len(partial) > 100 and partial.startswith(b"<?xml"))
    emulator.faults()
    try:
        emulator.ask("faults", [{"kind": "sulk"}])
        check("unknown fault", False)
    except urllib.error.HTTPError as caught:
        same("unknown fault", caught.code, 400)
    same("truth", emulator.ask("truth"), [{"kind": "aws.ec2-volume", "account": "111111111111", "region": "eu-west-1", "id": "vol-control", "detector": "unattached-disk", "verdict": "found"}])


def protocols(emulator):
    """The errors of the protocols that the tests above do not speak."""
    since = datetime.datetime(2026, 10, 1)
    metric = {"Namespace": "AWS/EBS", "MetricName": "VolumeReadOps", "Dimensions": [{"Name": "VolumeId", "Value": "vol-0a0001"}]}
    query = {"Id": "a", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}

    def cloudwatch(protocol):
        # botocore would choose JSON; the Rust SDK chooses CBOR.
        order = botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS
        botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = (protocol,)
        try:
            client = emulator.client("cloudwatch")
        finally:
            botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = order
        return lambda: client.get_metric_data(
            MetricDataQueries=[query], StartTime=since, EndTime=since + datetime.timedelta(days=1)
        )

    calls = {
        "lambda": emulator.client("lambda").list_functions,
        "s3": emulator.client("s3").list_buckets,
        "ecr": emulator.client("ecr").describe_repositories,
        "rds": emulator.client("rds").describe_db_instances,
        "elb": emulator.client("elb").describe_load_balancers,
        "elbv2": emulator.client("elbv2").describe_load_balancers,
        "cbor": cloudwatch("smithy-rpc-v2-cbor"),
        "json": cloudwatch("json"),
        "query": cloudwatch("query"),
    }
    emulator.faults()
    emulator.ask("reset", {})
    for call in calls.values():
        call()
    same(
        "permissions",
        [call["permission"] for call in emulator.journal()],
        ["lambda:ListFunctions", "s3:ListAllMyBuckets", "ecr:DescribeRepositories", "rds:DescribeDBInstances"]
        + ["elasticloadbalancing:DescribeLoadBalancers"] * 2
        + ["cloudwatch:GetMetricData"] * 3,
    )
    wanted = {
        "lambda": [("AccessDeniedException", 403), ("TooManyRequestsException", 429), ("ExpiredTokenException", 403)],
        "s3": [("AccessDenied", 403), ("SlowDown", 503), ("ExpiredToken", 400)],
        "ecr": [("AccessDeniedException", 400), ("ThrottlingException", 400), ("ExpiredTokenException", 400)],
        "rds": [("AccessDenied", 403), ("Throttling", 400), ("ExpiredToken", 403)],
        "elb": [("AccessDenied", 403), ("Throttling", 400), ("ExpiredToken", 403)],
        "elbv2": [("AccessDenied", 403), ("Throttling", 400), ("ExpiredToken", 403)],
        "cbor": [("AccessDenied", 403), ("ThrottlingException", 400), ("ExpiredToken", 403)],
        "json": [("AccessDeniedException", 400), ("ThrottlingException", 400), ("ExpiredTokenException", 400)],
        "query": [("AccessDenied", 403), ("Throttling", 400), ("ExpiredToken", 403)],
    }
    for at, kind in enumerate(["denied", "throttle", "expired-token"]):
        emulator.faults({"kind": kind})
        for service, call in calls.items():
            error(f"{kind} {service}", *wanted[service][at], call)
    emulator.faults({"kind": "empty-ok"})
    same("empty lambda", calls["lambda"]()["Functions"], [])
    same("empty s3", calls["s3"]()["Buckets"], [])
    same("empty metrics", [calls[name]()["MetricDataResults"] for name in ["cbor", "json", "query"]], [[], [], []])
    emulator.faults()


def nonsense(emulator):
    """Whatever is sent, something is answered."""
    chance = random.Random(1)
    services = ["ec2", "sts", "s3", "ecr", "lambda", "monitoring", "elasticloadbalancing", "rds", "logs"]
    services += ["autoscaling", "ecs", "eks", "batch", "backup", "organizations", "imagebuilder", "ssm", "iam", ""]
    actions = sorted({call["action"] for call in emulator.journal()}) + ["", "\u00e9", "Describe"]
    values = ["", "-1", "0", "999999999999999999999", "%", "\u00e9\0", "a" * 3000, "{}", "[]", "null", "1e999"]
    names = ["NextToken", "MaxResults", "Filter.1.Name", "Filter.1.Value.1", "VolumeId.1", "Versions", "RoleArn", "x"]
    unanswered = 0
    for _ in range(2000):
        service, action = chance.choice(services), chance.choice(actions)
        fields = {chance.choice(names): chance.choice(values) for _ in range(chance.randrange(4))}
        body = chance.choice(
            [
                urllib.parse.urlencode({"Action": action, **fields}),
                json.dumps({chance.choice(names): chance.choice([1, -1, [], {}, None, "x", 1e300, True])}),
                chance.choice(values),
            ]
        ).encode()
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIA111111111111T/1/us-east-1/{service}/aws4_request, SignedHeaders=host"
        }
        if chance.random() < 0.2:
            headers["X-Amz-Target"] = f"Target.{action}".encode("ascii", "replace").decode()
        if chance.random() < 0.2:
            headers["smithy-protocol"] = "rpc-v2-cbor"
        path = chance.choice(["/", "/b", "/b/k?uploadId=x", "/?versions", "/%zz?a=%", "/2015-03-31/functions/", "/service/X/operation/" + urllib.parse.quote(action)])
        method = chance.choice(["GET", "POST", "HEAD", "DELETE"])
        request = urllib.request.Request(emulator.url + path, body, headers, method=method)
        try:
            urllib.request.urlopen(request, timeout=10).read()
        except urllib.error.HTTPError as caught:
            caught.read()
        except Exception as caught:
            unanswered += 1
            print(f"  {method} {path} {service} {action} {body[:80]}: {caught!r}")
    same("unanswered", unanswered, 0)


def small_pages(emulator):
    ec2 = emulator.client("ec2")
    same("many pages", len(paged(ec2, "describe_volumes", "Volumes")), 24)
    calls = [call for call in emulator.journal() if call["action"] == "DescribeVolumes"]
    same("number of pages", len(calls), 8)
    same("accounts", len(paged(emulator.client("organizations"), "list_accounts", "Accounts")), 3)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    built = os.environ.get("SWEEPER_EMULATOR_BIN", str(target / "debug" / "sweeper-emulator"))
    binary = sys.argv[1] if len(sys.argv) > 1 else built
    with tempfile.TemporaryDirectory() as folder:
        with Emulator(binary, folder) as emulator:
            for test in [ec2_storage, ec2_compute, ec2_network, other_services, faults, protocols, nonsense]:
                try:
                    test(emulator)
                except Exception:
                    check(f"{test.__name__}: {traceback.format_exc()}", False)
        with Emulator(binary, folder, "--page", "3") as emulator:
            small_pages(emulator)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
