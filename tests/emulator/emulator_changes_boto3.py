#!/usr/bin/env python3
"""Changes what is in the emulated AWS through boto3, so that AWS's own models judge what is sent and answered: tags,
copies, deletions, stops, restores, and what each refuses. What moto has as well is done to moto, too: the two must
agree, but for protections, of which moto has none.

The binary is $SWEEPER_EMULATOR_BIN, or is built with cargo. Without boto3 and moto a virtual environment is made in a
temporary directory. Prints "N passed, 0 failed" and exits with 1 when something failed.
"""

import hashlib
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback
import urllib.request

try:
    import boto3
    from moto.server import ThreadedMotoServer
except ImportError:
    if os.environ.get("SWEEPER_EMULATOR_VENV"):
        sys.exit("boto3 or moto is still missing in the virtual environment")
    venv = pathlib.Path(tempfile.mkdtemp()) / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin/pip"), "-q", "install", "boto3", "moto[server]"], check=True)
    os.environ["SWEEPER_EMULATOR_VENV"] = str(venv)
    os.execv(str(venv / "bin/python"), [str(venv / "bin/python"), *sys.argv])

from botocore.config import Config
from botocore.exceptions import ClientError

ACCOUNT = "111111111111"
REGION = "us-east-1"

ORG = r'''
[[account]]
id = "111111111111"
regions = ["us-east-1"]

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-free"
size = 20
tags = { team = "shop", drop = "x" }
polls = 2

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-used"
attached = ["i-safe"]

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-bad"
copy_fails = true

[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
id = "i-safe"
stop_protection = true
termination_protection = true

[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
id = "i-free"
volumes = ["vol-root", "vol-data"]

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-root"

[[resource]]
kind = "aws.ec2-volume"
account = "111111111111"
id = "vol-data"

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-bin"
bin_days = 7

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-locked"
locked = "compliance"

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-image"

[[resource]]
kind = "aws.ec2-snapshot"
account = "111111111111"
id = "snap-shared"

[[resource]]
kind = "aws.ec2-image"
account = "111111111111"
id = "ami-a"
snapshots = ["snap-image", "snap-shared"]
bin_days = 3

[[resource]]
kind = "aws.ec2-image"
account = "111111111111"
id = "ami-b"
snapshots = ["snap-shared"]
protected = true

[[resource]]
kind = "aws.ec2-address"
account = "111111111111"
id = "eipalloc-free"

[[resource]]
kind = "aws.ec2-address"
account = "111111111111"
id = "eipalloc-nat"

[[resource]]
kind = "aws.ec2-nat-gateway"
account = "111111111111"
id = "nat-1"
addresses = ["eipalloc-nat"]

[[resource]]
kind = "aws.ec2-network-interface"
account = "111111111111"
id = "eni-free"

[[resource]]
kind = "aws.ec2-network-interface"
account = "111111111111"
id = "eni-used"
instance = "i-safe"

[[resource]]
kind = "aws.ec2-vpc-endpoint"
account = "111111111111"
id = "vpce-1"

[[resource]]
kind = "aws.ecr-repository"
account = "111111111111"
id = "web"

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
id = "one"
repository = "web"
tags_list = ["a", "b"]

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
id = "child"
repository = "web"

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
id = "index"
repository = "web"
media = "index"
children = ["child"]

[[resource]]
kind = "aws.lambda-function"
account = "111111111111"
id = "report"
tags = { drop = "x" }
versions = [{}, {}, {}]
aliases = [{ name = "live", version = "2", weights = { "3" = 0.1 } }]

[[resource]]
kind = "aws.logs-group"
account = "111111111111"
id = "/app"
tags = { drop = "x" }

[[resource]]
kind = "aws.logs-group"
account = "111111111111"
id = "/safe"
protected = true

[[resource]]
kind = "aws.s3-bucket"
account = "111111111111"
id = "uploads"

[[resource]]
kind = "aws.s3-upload"
account = "111111111111"
id = "u1"
bucket = "uploads"
key = "a/ü b.bin"

[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
id = "web"
listeners = [{ port = 80, target_group = "busy" }]
protected = true

[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
id = "old"
type = "classic"
tags = { drop = "x" }

[[resource]]
kind = "aws.elb-target-group"
account = "111111111111"
id = "busy"

[[resource]]
kind = "aws.elb-target-group"
account = "111111111111"
id = "idle"
tags = { drop = "x" }

[[resource]]
kind = "aws.rds-snapshot"
account = "111111111111"
id = "manual"
tags = { drop = "x" }

[[resource]]
kind = "aws.rds-snapshot"
account = "111111111111"
id = "rds:nightly"
type = "automated"

[[resource]]
kind = "aws.rds-cluster-snapshot"
account = "111111111111"
id = "aurora"
'''

passed = failed = 0


def check(what, truth):
    global passed, failed
    if truth:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}")
        print("  " + traceback.format_stack(limit=3)[0].strip())


def same(what, got, wanted):
    check(f"{what}: {got!r} is not {wanted!r}", got == wanted)


def error(what, code, call):
    try:
        call()
    except ClientError as caught:
        same(f"{what}: code", caught.response["Error"]["Code"], code)
    else:
        check(f"{what}: no error", False)


def tags(items):
    return {item["Key"]: item["Value"] for item in items or []}


class Endpoint:
    def __init__(self, url):
        self.url = url

    def client(self, service):
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=f"AKIA{ACCOUNT}TEST",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, read_timeout=10),
        )


class Emulator(Endpoint):
    def __init__(self, binary, folder):
        path = pathlib.Path(folder) / "org.toml"
        path.write_text(ORG)
        self.process = subprocess.Popen(
            [binary, "--org", str(path), "--now", "2026-06-15T00:00:00Z"], stdout=subprocess.PIPE, text=True
        )
        super().__init__(self.process.stdout.readline().strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def journal(self):
        with urllib.request.urlopen(f"{self.url}/__emulator/journal") as answer:
            return json.load(answer)


def volume(ec2, name):
    """A volume is tagged, copied, deleted and made again. Moto and the emulator agree on every step."""
    ec2.create_tags(Resources=[name], Tags=[{"Key": "a", "Value": "1"}, {"Key": "team", "Value": "new"}])
    ec2.delete_tags(Resources=[name], Tags=[{"Key": "drop"}])
    there = ec2.describe_volumes(VolumeIds=[name])["Volumes"][0]
    same("tags", tags(there["Tags"]), {"a": "1", "team": "new"})
    made = ec2.create_snapshot(
        VolumeId=name,
        Description="kept",
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "plan", "Value": "p"}]}],
    )
    snapshot = made["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    of = [{"Name": "volume-id", "Values": [name]}, {"Name": "tag:plan", "Values": ["p"]}]
    found = ec2.describe_snapshots(OwnerIds=["self"], Filters=of)["Snapshots"]
    same("copy", [(one["SnapshotId"], one["VolumeSize"], one["State"]) for one in found], [(snapshot, 20, "completed")])
    same("copy's tags", tags(found[0]["Tags"]), {"plan": "p"})
    ec2.delete_volume(VolumeId=name)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    error("gone", "InvalidVolume.NotFound", lambda: ec2.describe_volumes(VolumeIds=[name]))
    error("gone again", "InvalidVolume.NotFound", lambda: ec2.delete_volume(VolumeId=name))
    again = {
        "SnapshotId": snapshot,
        "AvailabilityZone": f"{REGION}b",
        "VolumeType": "gp3",
        "Iops": 4000,
        "Throughput": 200,
        "TagSpecifications": [{"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "new"}]}],
    }
    restored = ec2.create_volume(**again)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[restored], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    there = ec2.describe_volumes(VolumeIds=[restored])["Volumes"][0]
    same(
        "restored",
        (there["Size"], there["AvailabilityZone"], there["VolumeType"], there["Iops"], there["Throughput"]),
        (20, f"{REGION}b", "gp3", 4000, 200),
    )
    same("restored from", (there["SnapshotId"], tags(there["Tags"])), (snapshot, {"team": "new"}))
    check("another id", restored != name)
    ec2.delete_snapshot(SnapshotId=snapshot)
    error("no snapshot", "InvalidSnapshot.NotFound", lambda: ec2.delete_snapshot(SnapshotId=snapshot))


def address(ec2, name):
    ec2.release_address(AllocationId=name)
    error("released", "InvalidAllocationID.NotFound", lambda: ec2.release_address(AllocationId=name))


def container_image(ecr, digest):
    """By tag the tag goes, by digest the image with every tag."""
    answer = ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageTag": "a"}])
    same("tag", (answer["imageIds"], answer["failures"]), ([{"imageDigest": digest, "imageTag": "a"}], []))
    left = ecr.describe_images(repositoryName="web", imageIds=[{"imageDigest": digest}])["imageDetails"][0]
    same("tags left", left["imageTags"], ["b"])
    answer = ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": digest}])
    same("image", [one["imageDigest"] for one in answer["imageIds"]], [digest])
    answer = ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": digest}])
    same("image again", [one["failureCode"] for one in answer["failures"]], ["ImageNotFound"])
    describe = lambda: ecr.describe_images(repositoryName="web", imageIds=[{"imageDigest": digest}])  # noqa: E731
    error("no image", "ImageNotFoundException", describe)


def function_version(functions, name):
    """A version goes by its number; the others keep theirs."""
    functions.delete_function(FunctionName=name, Qualifier="1")
    listed = functions.list_versions_by_function(FunctionName=name)["Versions"]
    same("versions left", [one["Version"] for one in listed], ["$LATEST", "2", "3"])
    get = lambda: functions.get_function(FunctionName=name, Qualifier="1")  # noqa: E731
    error("no version", "ResourceNotFoundException", get)


def upload(s3, bucket, key, name):
    s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=name)
    same("uploads left", s3.list_multipart_uploads(Bucket=bucket).get("Uploads"), None)
    abort = lambda: s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=name)  # noqa: E731
    error("no upload", "NoSuchUpload", abort)


def ec2_more(emulator):
    ec2 = emulator.client("ec2")
    error("used volume", "VolumeInUse", lambda: ec2.delete_volume(VolumeId="vol-used"))
    reserved = [{"Key": "aws:x", "Value": "1"}]
    error("reserved tag", "InvalidParameterValue", lambda: ec2.create_tags(Resources=["vol-used"], Tags=reserved))
    error("no such id", "InvalidID", lambda: ec2.create_tags(Resources=["vol-x"], Tags=[{"Key": "a", "Value": "1"}]))
    bad = ec2.create_snapshot(VolumeId="vol-bad")
    same("copy begins", bad["State"], "pending")
    states = [ec2.describe_snapshots(SnapshotIds=[bad["SnapshotId"]])["Snapshots"][0]["State"] for _ in range(2)]
    same("copy fails", states, ["pending", "error"])
    unfinished = lambda: ec2.create_volume(SnapshotId=bad["SnapshotId"], AvailabilityZone=f"{REGION}a")  # noqa: E731
    error("volume of a failed copy", "IncorrectState", unfinished)
    once = {"ClientToken": "t1", "Size": 5, "AvailabilityZone": f"{REGION}a", "VolumeType": "gp3"}
    first = ec2.create_volume(**once)["VolumeId"]
    same("same token", ec2.create_volume(**once)["VolumeId"], first)
    error("other request", "IdempotentParameterMismatch", lambda: ec2.create_volume(**{**once, "Size": 6}))
    wrong = lambda: ec2.create_volume(Size=5, AvailabilityZone=f"{REGION}a", VolumeType="gp2", Iops=100)  # noqa: E731
    error("speed of a type without", "InvalidParameterCombination", wrong)
    error("zone", "InvalidParameterValue", lambda: ec2.create_volume(Size=5, AvailabilityZone="eu-west-1a"))

    error("locked", "SnapshotLocked", lambda: ec2.delete_snapshot(SnapshotId="snap-locked"))
    error("snapshot of an image", "InvalidSnapshot.InUse", lambda: ec2.delete_snapshot(SnapshotId="snap-image"))
    ec2.delete_snapshot(SnapshotId="snap-bin")
    binned = ec2.list_snapshots_in_recycle_bin()["Snapshots"]
    same("bin", [(one["SnapshotId"], (one["RecycleBinExitTime"] - one["RecycleBinEnterTime"]).days) for one in binned], [("snap-bin", 7)])
    error("in the bin", "InvalidSnapshot.NotFound", lambda: ec2.describe_snapshots(SnapshotIds=["snap-bin"]))
    ec2.restore_snapshot_from_recycle_bin(SnapshotId="snap-bin")
    same("out of the bin", len(ec2.describe_snapshots(SnapshotIds=["snap-bin"])["Snapshots"]), 1)
    error("not in the bin", "InvalidSnapshot.NotFound", lambda: ec2.restore_snapshot_from_recycle_bin(SnapshotId="snap-bin"))

    error("protected image", "OperationNotPermitted", lambda: ec2.deregister_image(ImageId="ami-b"))
    answer = ec2.deregister_image(ImageId="ami-a", DeleteAssociatedSnapshots=True)
    codes = {one["SnapshotId"]: one["ReturnCode"] for one in answer["DeleteSnapshotResults"]}
    same("image's snapshots", (answer["Return"], codes), (True, {"snap-image": "success", "snap-shared": "skipped"}))
    error("no image", "InvalidAMIID.NotFound", lambda: ec2.describe_images(ImageIds=["ami-a"]))
    check("image restored", ec2.restore_image_from_recycle_bin(ImageId="ami-a")["Return"])
    same("image there", len(ec2.describe_images(ImageIds=["ami-a"])["Images"]), 1)

    error("stop protection", "OperationNotPermitted", lambda: ec2.stop_instances(InstanceIds=["i-safe"]))
    error("termination protection", "OperationNotPermitted", lambda: ec2.terminate_instances(InstanceIds=["i-safe"]))
    change = ec2.stop_instances(InstanceIds=["i-free"])["StoppingInstances"][0]
    same("stopping", (change["PreviousState"], change["CurrentState"]), ({"Code": 16, "Name": "running"}, {"Code": 64, "Name": "stopping"}))
    error("not while it stops", "IncorrectInstanceState", lambda: ec2.start_instances(InstanceIds=["i-free"]))
    ec2.get_waiter("instance_stopped").wait(InstanceIds=["i-free"], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    reason = ec2.describe_instances(InstanceIds=["i-free"])["Reservations"][0]["Instances"][0]["StateTransitionReason"]
    same("since", reason, "User initiated (2026-06-15 00:00:00 GMT)")
    ec2.start_instances(InstanceIds=["i-free"])
    ec2.get_waiter("instance_running").wait(InstanceIds=["i-free"], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    ec2.terminate_instances(InstanceIds=["i-free"])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=["i-free"], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    error("its root", "InvalidVolume.NotFound", lambda: ec2.describe_volumes(VolumeIds=["vol-root"]))
    same("its data", ec2.describe_volumes(VolumeIds=["vol-data"])["Volumes"][0]["State"], "available")

    error("address in use", "InvalidIPAddress.InUse", lambda: ec2.release_address(AllocationId="eipalloc-nat"))
    ec2.delete_nat_gateway(NatGatewayId="nat-1")
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=["nat-1"], WaiterConfig={"Delay": 0, "MaxAttempts": 9})
    ec2.release_address(AllocationId="eipalloc-nat")
    error("interface in use", "InvalidNetworkInterface.InUse", lambda: ec2.delete_network_interface(NetworkInterfaceId="eni-used"))
    ec2.delete_network_interface(NetworkInterfaceId="eni-free")
    error("no interface", "InvalidNetworkInterfaceID.NotFound", lambda: ec2.delete_network_interface(NetworkInterfaceId="eni-free"))
    answer = ec2.delete_vpc_endpoints(VpcEndpointIds=["vpce-1", "vpce-x"])
    same("endpoints", [(one["ResourceId"], one["Error"]["Code"]) for one in answer["Unsuccessful"]], [("vpce-x", "InvalidVpcEndpointId.NotFound")])


def services(emulator):
    ecr = emulator.client("ecr")
    images = ecr.describe_images(repositoryName="web")["imageDetails"]
    index = next(one["imageDigest"] for one in images if "index" in one["imageManifestMediaType"])
    manifest = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageDigest": index}])["images"][0]["imageManifest"]
    child = json.loads(manifest)["manifests"][0]["digest"]
    answer = ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": child}])
    same("child", [one["failureCode"] for one in answer["failures"]], ["ImageReferencedByManifestList"])
    ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": index}])
    answer = ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": child}])
    same("child of none", (len(answer["imageIds"]), answer["failures"]), (1, []))

    functions = emulator.client("lambda")
    arn = functions.get_function(FunctionName="report")["Configuration"]["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"a": "1"})
    functions.untag_resource(Resource=arn, TagKeys=["drop"])
    same("function's tags", functions.list_tags(Resource=arn)["Tags"], {"a": "1"})
    for aliased in ["2", "3"]:
        delete = lambda: functions.delete_function(FunctionName="report", Qualifier=aliased)  # noqa: B023, E731
        error(f"aliased {aliased}", "ResourceConflictException", delete)
    latest = lambda: functions.delete_function(FunctionName="report", Qualifier="$LATEST")  # noqa: E731
    error("latest", "InvalidParameterValueException", latest)
    functions.delete_function(FunctionName="report")
    error("no function", "ResourceNotFoundException", lambda: functions.delete_function(FunctionName="report"))

    logs = emulator.client("logs")
    arn = logs.describe_log_groups(logGroupNamePrefix="/app")["logGroups"][0]["logGroupArn"]
    logs.tag_resource(resourceArn=arn, tags={"a": "1"})
    logs.untag_resource(resourceArn=arn, tagKeys=["drop"])
    same("group's tags", logs.list_tags_for_resource(resourceArn=arn)["tags"], {"a": "1"})
    logs.put_retention_policy(logGroupName="/app", retentionInDays=30)
    same("retention", logs.describe_log_groups(logGroupNamePrefix="/app")["logGroups"][0]["retentionInDays"], 30)
    odd = lambda: logs.put_retention_policy(logGroupName="/app", retentionInDays=31)  # noqa: E731
    error("odd retention", "InvalidParameterException", odd)
    logs.delete_retention_policy(logGroupName="/app")
    check("for ever", "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix="/app")["logGroups"][0])
    error("protected group", "ValidationException", lambda: logs.delete_log_group(logGroupName="/safe"))
    logs.delete_log_group(logGroupName="/app")
    error("no group", "ResourceNotFoundException", lambda: logs.delete_log_group(logGroupName="/app"))

    elb, classic = emulator.client("elbv2"), emulator.client("elb")
    web = elb.describe_load_balancers(Names=["web"])["LoadBalancers"][0]["LoadBalancerArn"]
    idle, busy = (elb.describe_target_groups(Names=[name])["TargetGroups"][0]["TargetGroupArn"] for name in ["idle", "busy"])
    elb.add_tags(ResourceArns=[idle], Tags=[{"Key": "a", "Value": "1"}])
    elb.remove_tags(ResourceArns=[idle], TagKeys=["drop"])
    same("target group's tags", tags(elb.describe_tags(ResourceArns=[idle])["TagDescriptions"][0]["Tags"]), {"a": "1"})
    error("busy", "ResourceInUse", lambda: elb.delete_target_group(TargetGroupArn=busy))
    elb.delete_target_group(TargetGroupArn=idle)
    error("no target group", "TargetGroupNotFound", lambda: elb.describe_target_groups(TargetGroupArns=[idle]))
    error("protected balancer", "OperationNotPermitted", lambda: elb.delete_load_balancer(LoadBalancerArn=web))
    classic.add_tags(LoadBalancerNames=["old"], Tags=[{"Key": "a", "Value": "1"}])
    classic.remove_tags(LoadBalancerNames=["old"], Tags=[{"Key": "drop"}])
    same("classic's tags", tags(classic.describe_tags(LoadBalancerNames=["old"])["TagDescriptions"][0]["Tags"]), {"a": "1"})
    for _ in range(2):
        classic.delete_load_balancer(LoadBalancerName="old")
    error("no classic", "LoadBalancerNotFound", lambda: classic.describe_load_balancers(LoadBalancerNames=["old"]))

    rds = emulator.client("rds")
    arn = rds.describe_db_snapshots(DBSnapshotIdentifier="manual")["DBSnapshots"][0]["DBSnapshotArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["drop"])
    same("snapshot's tags", tags(rds.list_tags_for_resource(ResourceName=arn)["TagList"]), {"a": "1"})
    nightly = lambda: rds.delete_db_snapshot(DBSnapshotIdentifier="rds:nightly")  # noqa: E731
    error("automated", "InvalidDBSnapshotState", nightly)
    same("deleted", rds.delete_db_snapshot(DBSnapshotIdentifier="manual")["DBSnapshot"]["DBSnapshotIdentifier"], "manual")
    error("no snapshot", "DBSnapshotNotFound", lambda: rds.delete_db_snapshot(DBSnapshotIdentifier="manual"))
    rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="aurora")
    gone = lambda: rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="aurora")  # noqa: E731
    error("no cluster snapshot", "DBClusterSnapshotNotFoundFault", gone)


def denied(emulator):
    """A denial and a fault leave everything as it was, and the journal names the permission."""
    body = json.dumps([{"permission": "ec2:DeleteVolume", "kind": "denied"}]).encode()
    urllib.request.urlopen(f"{emulator.url}/__emulator/faults", body)
    ec2 = emulator.client("ec2")
    error("denied", "UnauthorizedOperation", lambda: ec2.delete_volume(VolumeId="vol-data"))
    same("still there", len(ec2.describe_volumes(VolumeIds=["vol-data"])["Volumes"]), 1)
    urllib.request.urlopen(f"{emulator.url}/__emulator/faults", b"[]")
    calls = {call["permission"] for call in emulator.journal()}
    wanted = {"ec2:DeleteVolume", "ecr:BatchDeleteImage", "lambda:DeleteFunction", "logs:DeleteLogGroup", "s3:AbortMultipartUpload"}
    check(f"permissions: {wanted - calls}", wanted <= calls)


def both_emulator(emulator):
    volume(emulator.client("ec2"), "vol-free")
    address(emulator.client("ec2"), "eipalloc-free")
    ecr = emulator.client("ecr")
    details = ecr.describe_images(repositoryName="web", filter={"tagStatus": "TAGGED"})["imageDetails"]
    container_image(ecr, details[0]["imageDigest"])
    function_version(emulator.client("lambda"), "report")
    s3 = emulator.client("s3")
    key = s3.list_multipart_uploads(Bucket="uploads")["Uploads"][0]["Key"]
    same("key", key, "a/ü b.bin")
    upload(s3, "uploads", key, "u1")


def both_moto(moto):
    ec2 = moto.client("ec2")
    made = ec2.create_volume(
        Size=20,
        AvailabilityZone=f"{REGION}a",
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "shop"}, {"Key": "drop", "Value": "x"}]}],
    )
    volume(ec2, made["VolumeId"])
    address(ec2, ec2.allocate_address(Domain="vpc")["AllocationId"])
    ecr = moto.client("ecr")
    ecr.create_repository(repositoryName="web")
    config = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [],
        }
    )
    for tag in ["a", "b"]:
        put = ecr.put_image(repositoryName="web", imageManifest=manifest, imageTag=tag)
    container_image(ecr, put["image"]["imageId"]["imageDigest"])
    functions = moto.client("lambda")
    role = moto.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for number in range(3):
        code = f"x = {number}\n".encode()
        zipped = zipfile_of(code)
        if number == 0:
            functions.create_function(FunctionName="report", Runtime="python3.12", Role=role, Handler="x.y", Code={"ZipFile": zipped})
        else:
            functions.update_function_code(FunctionName="report", ZipFile=zipped)
        functions.publish_version(FunctionName="report")
    function_version(functions, "report")
    s3 = moto.client("s3")
    s3.create_bucket(Bucket="uploads")
    begun = s3.create_multipart_upload(Bucket="uploads", Key="a/ü b.bin")["UploadId"]
    upload(s3, "uploads", "a/ü b.bin", begun)


def zipfile_of(code):
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.py", code)
    return buffer.getvalue()


def attempt(test, endpoint):
    try:
        test(endpoint)
    except Exception:
        check(f"{test.__name__}: {traceback.format_exc()}", False)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    binary = os.environ.get("SWEEPER_EMULATOR_BIN")
    if not binary:
        subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", "sweeper-emulator"], cwd=root, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
        binary = str(target / "debug" / "sweeper-emulator")
    with tempfile.TemporaryDirectory() as folder, Emulator(binary, folder) as emulator:
        for test in [both_emulator, ec2_more, services, denied]:
            attempt(test, emulator)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    attempt(both_moto, Endpoint(f"http://{host}:{port}"))
    moto.stop()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
