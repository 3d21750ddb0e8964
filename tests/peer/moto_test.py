#!/usr/bin/env python3
"""A second opinion: moto, an AWS emulator that is not ours, seeded with known waste and asked in our policy language.

    python3 tests/peer/moto_test.py            needs boto3 and moto[server]; SWEEPER_BIN names the binary
"""
import collections
import datetime as dt
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile

os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1", MOTO_EC2_LOAD_DEFAULT_AMIS="false")
import logging

logging.getLogger("werkzeug").setLevel(logging.ERROR)
import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

here = os.path.dirname(os.path.abspath(__file__))
binary = os.path.abspath(os.environ.get("SWEEPER_BIN", "target/debug/sweeper"))
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://127.0.0.1:{port}"


def client(service):
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", config=Config(retries={"max_attempts": 0}, parameter_validation=False))


ec2, functions, ecr, s3, iam, logs = (client(name) for name in ("ec2", "lambda", "ecr", "s3", "iam", "logs"))


def tags(kind, **pairs):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}]


expected = collections.Counter()
image = ec2.register_image(Name="base", RootDeviceName="/dev/xvda", Architecture="x86_64",
                           BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}])["ImageId"]
machines = []
for owner in (True, False):
    made = ec2.run_instances(ImageId=image, MinCount=20, MaxCount=20, InstanceType="t3.micro",
                             TagSpecifications=tags("instance", **({"owner": "team-a"} if owner else {"env": "dev"})))
    machines += [machine["InstanceId"] for machine in made["Instances"]]
expected["instances-without-owner"] = 20
volumes = []
for i in range(120):
    pairs = {"Name": f"v{i}", **({"owner": f"team-{i % 7}"} if i % 3 == 0 else {})}
    volumes.append(ec2.create_volume(AvailabilityZone="us-east-1a", Size=8 + i, VolumeType="gp3", TagSpecifications=tags("volume", **pairs))["VolumeId"])
    if i % 2 == 0:
        ec2.attach_volume(VolumeId=volumes[-1], InstanceId=machines[i // 2 % len(machines)], Device=f"/dev/sd{i}")
    elif i % 4 == 1:
        expected["available-volumes-over-30-days"] += 1
        expected["of-those-without-owner"] += i % 3 != 0
snapshots = []
for i in range(120):
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)["VolumeId"] if i % 4 == 3 else volumes[i]
    snapshots.append(ec2.create_snapshot(VolumeId=volume, Description=f"s{i}")["SnapshotId"])
    if i % 4 == 3:
        ec2.delete_volume(VolumeId=volume)
        expected["old-snapshots-whose-volume-is-gone"] += 1
    expected["old-snapshots-behind-no-image"] += i % 4 in (0, 3)
addresses = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(10)]
for i, address in enumerate(addresses):
    if i % 2 == 0:
        ec2.associate_address(AllocationId=address, InstanceId=machines[i])
expected["unassociated-addresses"] = 5
role = iam.create_role(RoleName="f", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))["Role"]["Arn"]
code = io.BytesIO()
with zipfile.ZipFile(code, "w") as archive:
    archive.writestr("l.py", "def h(e, c): return 1\n")
for i in range(40):
    functions.create_function(FunctionName=f"fn-{i:04}", Runtime="python3.12", Role=role, Handler="l.h", Code={"ZipFile": code.getvalue()})
expected["functions-not-modified"] = 10
for r in range(3):
    ecr.create_repository(repositoryName=f"repo-{r}")
    for i in range(10):
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 7023, "digest": "sha256:%064x" % (r * 100 + i)},
                    "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 32654 + i, "digest": "sha256:%064x" % (10**6 + i)}]}
        ecr.put_image(repositoryName=f"repo-{r}", imageManifest=json.dumps(manifest), imageTag=f"t{i}")
expected["untagged-images"] = 15
for i in range(6):
    s3.create_bucket(Bucket=f"bkt-{i}")
expected["all-buckets"] = 6
for i in range(20):
    logs.create_log_group(logGroupName=f"/g/{i}")
    if i % 2 == 0:
        logs.put_retention_policy(logGroupName=f"/g/{i}", retentionInDays=30)
expected["log-groups-without-retention"] = 10

# moto stamps everything "now"; what shall be old is dated back behind its API.
from moto.awslambda.models import lambda_backends
from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends

old = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=90)
iso = old.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def back(value):
    if isinstance(value, str):
        return iso
    return old if getattr(value, "tzinfo", None) else old.replace(tzinfo=None)


account = "123456789012"
backend = ec2_backends[account]["us-east-1"]
for i, volume in enumerate(volumes):
    if i % 4 in (0, 1):
        backend.volumes[volume].create_time = back(backend.volumes[volume].create_time)
for i, snapshot in enumerate(snapshots):
    if i % 4 in (0, 3):
        backend.snapshots[snapshot].start_time = back(backend.snapshots[snapshot].start_time)
for i, function in enumerate(sorted(lambda_backends[account]["us-east-1"].list_functions(None), key=lambda f: f.function_name)):
    if i % 4 == 0:
        function.last_modified = back(function.last_modified)
for repository in ecr_backends[account]["us-east-1"].repositories.values():
    for i, image in enumerate(repository.images):
        if i % 2:
            image.image_tags, image.image_tag = [], None

with tempfile.TemporaryDirectory() as home:
    env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_STATE_HOME": home, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "testing",
           "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run([binary, "report", "--region", "us-east-1", "--policies", os.path.join(here, "moto.toml"), "--format", "json"],
                          env=env, capture_output=True, text=True, timeout=300)
try:
    report = json.loads(done.stdout)
except ValueError:
    sys.exit(f"no report (exit {done.returncode}): {done.stderr[-3000:]}\n0 passed, 1 failed")
got = collections.Counter(f["policy"] for f in report["findings"] if f["verdict"] == "found")
passed = failed = 0
for policy, count in sorted(expected.items()):
    if got[policy] == count:
        passed += 1
    else:
        failed += 1
        print(f"FAIL {policy}: found {got[policy]}, seeded {count}")
for row in report["coverage"]:
    if row["status"] == "blind":
        print(f"blind: {row['kind']} {row['region']}: {row['why']}")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
