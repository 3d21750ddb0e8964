#!/usr/bin/env python3
"""Deeds of the AWS provider against moto: volumes, addresses, container images, function versions and uploads, of long
ago. Puts them there with boto3, has the provider's own test delete one of each (a volume with a copy, from which it is
made again), and looks with boto3 at what is left.

    python3 tests/peer/moto_deeds_test.py     needs cargo, boto3 and moto[server]
"""

import datetime
import hashlib
import io
import json
import logging
import os
import pathlib
import subprocess
import sys
import zipfile

import boto3
from moto.backends import get_backend
from moto.server import ThreadedMotoServer

REGION, ACCOUNT = "us-east-1", "123456789012"
LONG_AGO = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=400)

passed = failed = 0


def same(what, got, wanted):
    global passed, failed
    if got == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}: {got!r} is not {wanted!r}")


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"


def client(service):
    return boto3.client(
        service, region_name=REGION, endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="x"
    )


ec2, ecr, functions, s3 = client("ec2"), client("ecr"), client("lambda"), client("s3")
for number in range(2):
    volume = ec2.create_volume(
        Size=20 + number,
        AvailabilityZone=f"{REGION}a",
        VolumeType="gp3",
        Iops=4000,
        Throughput=200,
        TagSpecifications=[
            {"ResourceType": "volume", "Tags": [{"Key": "team", "Value": "shop"}, {"Key": "Name", "Value": "data"}]}
        ],
    )["VolumeId"]
    get_backend("ec2")[ACCOUNT][REGION].volumes[volume].create_time = LONG_AGO
    ec2.allocate_address(Domain="vpc")
ecr.create_repository(repositoryName="web")
for number in range(2):
    body = f'{{"{number}": 1}}'.encode()
    config = "sha256:" + hashlib.sha256(body).hexdigest()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": len(body)},
        "layers": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": config, "size": len(body)}
        ],
    }
    ecr.put_image(repositoryName="web", imageManifest=json.dumps(manifest), imageTag=f"v{number}")
for image in get_backend("ecr")[ACCOUNT][REGION].repositories["web"].images:
    image.image_pushed_at = LONG_AGO.timestamp()
role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
for number in range(2):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("x.py", f"x = {number}\n")
    if number == 0:
        functions.create_function(
            FunctionName="report", Runtime="python3.12", Role=role, Handler="x.y", Code={"ZipFile": archive.getvalue()}
        )
    else:
        functions.update_function_code(FunctionName="report", ZipFile=archive.getvalue())
    functions.publish_version(FunctionName="report")
s3.create_bucket(Bucket="uploads")
for number in range(2):
    s3.create_multipart_upload(Bucket="uploads", Key=f"a/{number} ü.bin")

root = pathlib.Path(__file__).resolve().parents[2]
# The whole workspace, so that the SDK is not built again with other features.
command = os.environ.get("SWEEPER_MOTO_COMMAND", "cargo test --workspace --locked --lib").split()
run = subprocess.run(
    [*command, "--", "--ignored", "--exact", "deeds::against_moto"],
    cwd=root,
    env={**os.environ, "SWEEPER_MOTO": url},
    capture_output=True,
    text=True,
    check=False,
)
ran = "test deeds::against_moto ... ok" in run.stdout
if not ran:
    print(run.stdout[:4000], run.stderr[-2000:])
same("the provider's test ran and passed", ran, True)

volumes = ec2.describe_volumes()["Volumes"]
same("one volume was made again", sorted((one["Size"], one["Iops"], one["Throughput"]) for one in volumes), [(20, 4000, 200), (21, 4000, 200)])
same("from its copy", len([one for one in volumes if one.get("SnapshotId")]), 1)
same("one address is left", len(ec2.describe_addresses()["Addresses"]), 1)
same("one image is left", len(ecr.describe_images(repositoryName="web")["imageDetails"]), 1)
left = functions.list_versions_by_function(FunctionName="report")["Versions"]
same("the function and one version are left", len(left), 2)
same("one upload is left", len(s3.list_multipart_uploads(Bucket="uploads").get("Uploads", [])), 1)
server.stop()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
