#!/usr/bin/env python3
"""Asks the emulator's services through boto3, so that AWS's own models judge the answers.

Covers S3, ECR, Lambda, CloudWatch, ELB, RDS, Logs, ECS, EKS, Batch, Backup, Image Builder and SSM.
The binary is $SWEEPER_EMULATOR_BIN, or is built with cargo. Without boto3 a virtual environment is
made in a temporary directory. Prints "N passed, 0 failed" and exits with 1 when something failed.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

try:
    import boto3
except ImportError:
    if os.environ.get("SWEEPER_EMULATOR_VENV"):
        sys.exit("boto3 is still missing in the virtual environment")
    venv = pathlib.Path(tempfile.mkdtemp()) / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin/pip"), "-q", "install", "boto3"], check=True)
    os.environ["SWEEPER_EMULATOR_VENV"] = str(venv)
    os.execv(str(venv / "bin/python"), [str(venv / "bin/python"), *sys.argv])

from botocore.config import Config
from botocore.exceptions import ClientError

A, B = "111111111111", "222222222222"
NOW = datetime.datetime(2026, 6, 15, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
HOSTILE = "<b>&'\"é\u202e</b>"

ORG = r'''
[[account]]
id = "111111111111"
regions = ["us-east-1", "eu-west-1"]

[[account]]
id = "222222222222"
regions = ["us-east-1"]

# S3
[[resource]]
kind = "aws.s3-bucket"
account = "111111111111"
region = "us-east-1"
id = "home"
created = "-40d"
versioning = "Enabled"
objects = 2503
bytes = 5000
versions_present = true
public = true
website = true
log_target = "far"
object_lock = "COMPLIANCE"
lifecycle = [
    { noncurrent_days = 30, newer_noncurrent = 2, prefix = "a&b/" },
    { abort_upload_days = 7, enabled = false },
    { transition_days = 10, expire_days = 99 },
]
tags = { owner = "<b>&'\"é\u202e</b>" }

[[resource]]
kind = "aws.s3-bucket"
account = "111111111111"
region = "eu-west-1"
id = "far"

[[resource]]
kind = "aws.s3-bucket"
account = "222222222222"
region = "us-east-1"
id = "foreign"

[[resource]]
kind = "aws.s3-upload"
account = "111111111111"
region = "us-east-1"
id = "up"
count = 5
bucket = "home"
key = "a <&> b+c%2F.bin"
initiated = "-20d"
parts = [5242880, 7, 9]

# ECR
[[resource]]
kind = "aws.ecr-repository"
account = "111111111111"
region = "us-east-1"
id = "team/app"
policy_accounts = ["222222222222"]
tags = { owner = "team" }

[[resource]]
kind = "aws.ecr-repository"
account = "111111111111"
region = "us-east-1"
id = "bare"
lifecycle_policy = '{"rules":[]}'

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
region = "us-east-1"
id = "amd"
repository = "team/app"
pushed = "-30d"
pulled = "-3d"
size = 1234

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
region = "us-east-1"
id = "index"
repository = "team/app"
tags_list = ["v1", "latest"]
media = "index"
children = ["amd"]

[[resource]]
kind = "aws.ecr-image"
account = "111111111111"
region = "us-east-1"
id = "signature"
repository = "team/app"
tags_list = ["sha256-x.sig"]
subject = "index"

# Lambda
[[resource]]
kind = "aws.lambda-function"
account = "111111111111"
region = "us-east-1"
id = "fn"
created = "-60d"
modified = "-5d"
layers = ["arn:aws:lambda:us-east-1:111111111111:layer:base:1"]
vpc = true
env = { SECRET = "canary" }
provisioned = { live = 3 }
policies = ["live"]
edge = true
versions = [
    { version = 1, modified = "-50d", sha = "one" },
    { version = 2, modified = "-10d", layers = ["arn:aws:lambda:us-east-1:111111111111:layer:base:2"] },
]
aliases = [{ name = "live", version = 2, weights = { "1" = 0.1 } }]
event_sources = [{ function = "live", state = "Disabled" }, {}]
tags = { owner = "x" }
metrics = { Invocations = 24, Errors = 0 }

[[resource]]
kind = "aws.lambda-function"
account = "111111111111"
region = "us-east-1"
id = "container"
image_uri = "111111111111.dkr.ecr.us-east-1.amazonaws.com/team/app:v1"
metrics = { Invocations = 1 }
metrics_gap = true

[[resource]]
kind = "aws.lambda-function"
account = "111111111111"
region = "us-east-1"
id = "many"
count = 120

[[resource]]
kind = "aws.lambda-layer-version"
account = "111111111111"
region = "us-east-1"
id = "base-1"
layer = "base"
version = 1

[[resource]]
kind = "aws.lambda-layer-version"
account = "111111111111"
region = "us-east-1"
id = "base-2"
layer = "base"
version = 2
size = 77

# Load balancers
[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
region = "us-east-1"
id = "old"
type = "classic"
instances = [{ id = "i-1" }, { id = "i-2", state = "OutOfService" }]
listeners = [{ port = 80 }]
tags = { owner = "<b>" }

[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
region = "us-east-1"
id = "web"
created = "-90d"
scheme = "internal"
listeners = [
    { port = 80, action = "redirect" },
    { port = 443, protocol = "HTTPS", target_group = "blue", rules = [{ targets = { blue = 1, green = 9 } }, { action = "fixed-response" }] },
]
tags = { owner = "<b>" }
metrics = { RequestCount = [7, 8, 9] }

[[resource]]
kind = "aws.elb-load-balancer"
account = "111111111111"
region = "us-east-1"
id = "net"
type = "network"
metrics = { ActiveFlowCount = 3 }

[[resource]]
kind = "aws.elb-target-group"
account = "111111111111"
region = "us-east-1"
id = "blue"
targets = [{ id = "i-1" }, { id = "i-2", health = "unhealthy" }]

[[resource]]
kind = "aws.elb-target-group"
account = "111111111111"
region = "us-east-1"
id = "green"
type = "lambda"

[[resource]]
kind = "aws.elb-target-group"
account = "111111111111"
region = "us-east-1"
id = "lost"

# RDS
[[resource]]
kind = "aws.rds-instance"
account = "111111111111"
region = "us-east-1"
id = "db"
created = "-50d"
status = "stopped"
storage = 100
multi_az = true
deletion_protection = true
restart = "+3d"
tags = { owner = "<b>&" }
metrics = { DatabaseConnections = 0 }

[[resource]]
kind = "aws.rds-instance"
account = "111111111111"
region = "us-east-1"
id = "replica"
replica_of = "db"

[[resource]]
kind = "aws.rds-cluster"
account = "111111111111"
region = "us-east-1"
id = "aurora"

[[resource]]
kind = "aws.rds-instance"
account = "111111111111"
region = "us-east-1"
id = "aurora-1"
engine = "aurora-mysql"
cluster = "aurora"
writer = true

[[resource]]
kind = "aws.rds-snapshot"
account = "111111111111"
region = "us-east-1"
id = "snap"
count = 45
source = "gone"
shared = ["222222222222"]

[[resource]]
kind = "aws.rds-snapshot"
account = "111111111111"
region = "us-east-1"
id = "rds:db-2026"
type = "automated"
source = "db"

[[resource]]
kind = "aws.rds-cluster-snapshot"
account = "111111111111"
region = "us-east-1"
id = "csnap"
source = "aurora"
shared = ["all"]

[[resource]]
kind = "aws.rds-retained-backup"
account = "111111111111"
region = "us-east-1"
id = "db-RETAINED"
source = "gone"
storage = 33

# Logs
[[resource]]
kind = "aws.logs-group"
account = "111111111111"
region = "us-east-1"
id = "/aws/lambda/fn"
created = "-100d"
retention = 30
bytes = 12345
last_event = "-2d"
tags = { owner = "x" }
metrics = { IncomingBytes = 86400 }

[[resource]]
kind = "aws.logs-group"
account = "111111111111"
region = "us-east-1"
id = "g"
count = 60
class = "INFREQUENT_ACCESS"

[[resource]]
kind = "aws.logs-group"
account = "111111111111"
region = "us-east-1"
id = "streams"
streams = [{ name = "a", last_event = "-9d" }, { name = "b", last_event = "-1d" }, { name = "c" }]

# ECS
[[resource]]
kind = "aws.ecs-cluster"
account = "111111111111"
region = "us-east-1"
id = "prod"
tags = { owner = "x" }

[[resource]]
kind = "aws.ecs-service"
account = "111111111111"
region = "us-east-1"
id = "api"
count = 12
cluster = "prod"
task_definition = "api:2"
desired = 0
tags = { owner = "x" }

[[resource]]
kind = "aws.ecs-task"
account = "111111111111"
region = "us-east-1"
id = "t1"
cluster = "prod"
service = "api0001"
task_definition = "api:2"
containers = [{ name = "main", image = "app:v1", digest = "sha256:aa" }]

[[resource]]
kind = "aws.ecs-task-definition"
account = "111111111111"
region = "us-east-1"
id = "api:1"
images = ["app:v0"]
status = "INACTIVE"

[[resource]]
kind = "aws.ecs-task-definition"
account = "111111111111"
region = "us-east-1"
id = "api:2"
images = ["app:v1", "proxy:v1"]

# EKS, Batch, Backup, Image Builder, SSM
[[resource]]
kind = "aws.eks-cluster"
account = "111111111111"
region = "us-east-1"
id = "k8s"
tags = { owner = "x" }

[[resource]]
kind = "aws.eks-nodegroup"
account = "111111111111"
region = "us-east-1"
id = "nodes"
cluster = "k8s"
launch_template = "lt-1"
release = "ami-1"

[[resource]]
kind = "aws.batch-compute-environment"
account = "111111111111"
region = "us-east-1"
id = "ce"
image = "ami-2"
launch_template = "lt-2"

[[resource]]
kind = "aws.batch-job-definition"
account = "111111111111"
region = "us-east-1"
id = "job:3"
images = ["app:v1"]

[[resource]]
kind = "aws.backup-vault"
account = "111111111111"
region = "us-east-1"
id = "Default"
locked = true

[[resource]]
kind = "aws.backup-recovery-point"
account = "111111111111"
region = "us-east-1"
id = "rp"
count = 3
vault = "Default"
resource = "arn:aws:ec2:us-east-1:111111111111:volume/vol-1"
size = 99
delete_after = 30
created = "-10d"
tags = { owner = "x" }

[[resource]]
kind = "aws.imagebuilder-recipe"
account = "111111111111"
region = "us-east-1"
id = "Base Image/1.2.3"
parent = "ami-3"
block_snapshot = "snap-1"

[[resource]]
kind = "aws.imagebuilder-pipeline"
account = "111111111111"
region = "us-east-1"
id = "nightly"
recipe = "Base Image/1.2.3"

[[resource]]
kind = "aws.imagebuilder-image"
account = "111111111111"
region = "us-east-1"
id = "Base Image/1.2.3/4"
amis = ["ami-4"]

[[resource]]
kind = "aws.ssm-image-parameter"
account = "111111111111"
region = "us-east-1"
id = "/golden/ami"
value = "ami-5"

# What E publishes metrics under its id
[[resource]]
kind = "aws.ec2-instance"
account = "111111111111"
region = "us-east-1"
id = "i-0abc"
created = "-5d"
metrics = { CPUUtilization = 1.5, NetworkIn = 0 }

[[resource]]
kind = "aws.ec2-vpc-endpoint"
account = "111111111111"
region = "us-east-1"
id = "vpce-0abc"
metrics = { BytesProcessed = 0 }
'''

passed, failed = 0, 0


def check(name, got, wanted=True):
    global passed, failed
    if got == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: got {got!r}, wanted {wanted!r}")


def refused(what, code, call, status=None, **kwargs):
    try:
        got = call(**kwargs)
    except ClientError as error:
        check(what, error.response["Error"]["Code"], code)
        if status is not None:
            check(what + " status", error.response["ResponseMetadata"]["HTTPStatusCode"], status)
    else:
        check(what, got, code)


def binary():
    given = os.environ.get("SWEEPER_EMULATOR_BIN")
    if given:
        return given
    root = pathlib.Path(__file__).resolve().parents[2]
    build = ["cargo", "build", "-q", "-p", "sweeper-emulator", "--message-format=json"]
    out = subprocess.run(build, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [json.loads(line).get("executable") for line in out.splitlines()]
    return [path for path in found if path][-1]


class Emulator:
    """The binary on an organisation file, while the block lasts."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8")
        self.file.write(ORG)
        self.file.flush()
        now = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.process = subprocess.Popen(
            [BINARY, "--org", self.file.name, "--port", "0", "--now", now, *self.options],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.file.close()

    def client(self, service, account=A, region="us-east-1"):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=f"AKIA{account}",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def faults(self, faults):
        urllib.request.urlopen(
            urllib.request.Request(
                self.url + "/__emulator/faults", data=json.dumps(faults).encode(), method="POST"
            )
        ).read()


def every(client, operation, key, **arguments):
    """All pages of an operation joined, and their number."""
    items, pages = [], 0
    for page in client.get_paginator(operation).paginate(**arguments):
        pages += 1
        items += page.get(key) or []
    return items, pages


def s3(emulator):
    c = emulator.client("s3")
    plain = c.list_buckets()
    check("s3 buckets", [b["Name"] for b in plain["Buckets"]], ["far", "home"])
    check("s3 created", plain["Buckets"][1]["CreationDate"], NOW - 40 * DAY)
    check("s3 no region unless asked", "BucketRegion" in plain["Buckets"][0], False)
    first = c.list_buckets(MaxBuckets=1)
    check("s3 region", first["Buckets"][0]["BucketRegion"], "eu-west-1")
    second = c.list_buckets(MaxBuckets=1, ContinuationToken=first["ContinuationToken"])
    check("s3 second page", [b["Name"] for b in second["Buckets"]], ["home"])
    check("s3 last page", "ContinuationToken" in second, False)
    check("s3 by region", len(c.list_buckets(BucketRegion="us-east-1")["Buckets"]), 1)
    refused("s3 too many", "InvalidArgument", c.list_buckets, MaxBuckets=10001)
    check("s3 location", c.get_bucket_location(Bucket="far")["LocationConstraint"], "eu-west-1")
    check("s3 oldest region", c.get_bucket_location(Bucket="home")["LocationConstraint"], None)
    check("s3 versioning", c.get_bucket_versioning(Bucket="home")["Status"], "Enabled")
    far = emulator.client("s3", region="eu-west-1")
    check("s3 no versioning", "Status" in far.get_bucket_versioning(Bucket="far"), False)
    rules = c.get_bucket_lifecycle_configuration(Bucket="home")["Rules"]
    check("s3 lifecycle", rules[0]["NoncurrentVersionExpiration"], {"NoncurrentDays": 30, "NewerNoncurrentVersions": 2})
    check("s3 lifecycle prefix", rules[0]["Filter"]["Prefix"], "a&b/")
    check("s3 lifecycle off", (rules[1]["Status"], rules[1]["AbortIncompleteMultipartUpload"]), ("Disabled", {"DaysAfterInitiation": 7}))
    check("s3 lifecycle moves", rules[2]["Transitions"], [{"Days": 10, "StorageClass": "GLACIER"}])
    refused("s3 no lifecycle", "NoSuchLifecycleConfiguration", far.get_bucket_lifecycle_configuration, Bucket="far", status=404)
    check("s3 tags", c.get_bucket_tagging(Bucket="home")["TagSet"], [{"Key": "owner", "Value": HOSTILE}])
    refused("s3 no tags", "NoSuchTagSet", far.get_bucket_tagging, Bucket="far", status=404)
    refused("s3 foreign", "AccessDenied", c.get_bucket_tagging, Bucket="foreign", status=403)
    refused("s3 missing", "NoSuchBucket", c.get_bucket_tagging, Bucket="missing", status=404)
    check("s3 lock", c.get_object_lock_configuration(Bucket="home")["ObjectLockConfiguration"]["Rule"]["DefaultRetention"], {"Mode": "COMPLIANCE", "Days": 30})
    refused("s3 no lock", "ObjectLockConfigurationNotFoundError", far.get_object_lock_configuration, Bucket="far")
    check("s3 logging", c.get_bucket_logging(Bucket="home")["LoggingEnabled"]["TargetBucket"], "far")
    check("s3 no logging", "LoggingEnabled" in far.get_bucket_logging(Bucket="far"), False)
    check("s3 public", c.get_bucket_policy_status(Bucket="home")["PolicyStatus"]["IsPublic"])
    refused("s3 no policy", "NoSuchBucketPolicy", far.get_bucket_policy_status, Bucket="far")
    check("s3 website", c.get_bucket_website(Bucket="home")["IndexDocument"]["Suffix"], "index.html")
    refused("s3 no website", "NoSuchWebsiteConfiguration", far.get_bucket_website, Bucket="far")
    objects, pages = every(c, "list_objects_v2", "Contents", Bucket="home")
    check("s3 objects", (len(objects), pages, sum(o["Size"] for o in objects)), (2503, 3, 5000))
    check("s3 keys", len({o["Key"] for o in objects}), 2503)
    check("s3 prefix", c.list_objects_v2(Bucket="home", Prefix="object-000000250")["KeyCount"], 3)
    versions, markers = [], []
    for page in c.get_paginator("list_object_versions").paginate(Bucket="home"):
        versions += page.get("Versions", [])
        markers += page.get("DeleteMarkers", [])
    check("s3 versions", (len(versions), len(markers)), (2504, 1))
    check("s3 noncurrent", [v["IsLatest"] for v in versions].count(False), 1)
    check("s3 one version", len(c.list_object_versions(Bucket="home", MaxKeys=1)["Versions"]), 1)
    check("s3 empty", "Versions" in far.list_object_versions(Bucket="far"), False)
    uploads, pages = every(c, "list_multipart_uploads", "Uploads", Bucket="home", PaginationConfig={"PageSize": 2})
    check("s3 uploads", ([u["UploadId"] for u in uploads], pages), ([f"up000{n}" for n in range(1, 6)], 3))
    check("s3 upload", (uploads[0]["Key"], uploads[0]["Initiated"]), ("a <&> b+c%2F.bin", NOW - 20 * DAY))
    parts, pages = every(c, "list_parts", "Parts", Bucket="home", Key="a <&> b+c%2F.bin", UploadId="up0001", PaginationConfig={"PageSize": 2})
    check("s3 parts", ([p["Size"] for p in parts], pages), ([5242880, 7, 9], 2))
    refused("s3 no upload", "NoSuchUpload", c.list_parts, Bucket="home", Key="k", UploadId="none", status=404)
    check("s3 head", c.head_bucket(Bucket="home")["BucketRegion"], "us-east-1")
    # boto3 follows the redirect by itself, which takes the header; the bare answer is looked at too.
    check("s3 followed", "Status" in c.get_bucket_versioning(Bucket="far"), False)
    seen = []
    other = emulator.client("s3")
    other.meta.events.register("response-received.s3", lambda response_dict, **_: seen.append(response_dict))
    other.get_bucket_versioning(Bucket="far")
    check("s3 redirect", seen[0]["status_code"], 301)
    check("s3 redirect region", seen[0]["headers"]["x-amz-bucket-region"], "eu-west-1")
    check("s3 redirect body", b"PermanentRedirect" in seen[0]["body"])


def ecr(emulator):
    c = emulator.client("ecr")
    repositories, _ = every(c, "describe_repositories", "repositories")
    check("ecr repositories", [r["repositoryName"] for r in repositories], ["team/app", "bare"])
    check("ecr uri", repositories[0]["repositoryUri"], f"{A}.dkr.ecr.us-east-1.amazonaws.com/team/app")
    refused("ecr missing", "RepositoryNotFoundException", c.describe_repositories, repositoryNames=["xx"])
    images, pages = every(c, "describe_images", "imageDetails", repositoryName="team/app", PaginationConfig={"PageSize": 2})
    check("ecr images", (len(images), pages), (3, 2))
    amd, index, signature = images
    check("ecr untagged", "imageTags" in amd, False)
    check("ecr times", (amd["imagePushedAt"], amd["lastRecordedPullTime"]), (NOW - 30 * DAY, NOW - 3 * DAY))
    check("ecr never pulled", "lastRecordedPullTime" in index, False)
    check("ecr size", amd["imageSizeInBytes"], 1234)
    check("ecr subject", signature.get("subjectManifestDigest", index["imageDigest"]), index["imageDigest"])
    got = c.batch_get_image(
        repositoryName="team/app",
        imageIds=[{"imageTag": "v1"}, {"imageDigest": signature["imageDigest"]}, {"imageTag": "none"}],
    )
    check("ecr failures", [f["failureCode"] for f in got["failures"]], ["ImageNotFound"])
    manifests = [json.loads(image["imageManifest"]) for image in got["images"]]
    check("ecr children", [m["digest"] for m in manifests[0]["manifests"]], [amd["imageDigest"]])
    check("ecr manifest subject", manifests[1]["subject"]["digest"], index["imageDigest"])
    ids, _ = every(c, "list_images", "imageIds", repositoryName="team/app")
    check("ecr ids", len(ids), 4)
    check("ecr tagged only", len(c.list_images(repositoryName="team/app", filter={"tagStatus": "TAGGED"})["imageIds"]), 3)
    check("ecr by tag", c.describe_images(repositoryName="team/app", imageIds=[{"imageTag": "latest"}])["imageDetails"][0]["imageDigest"], index["imageDigest"])
    refused("ecr no image", "ImageNotFoundException", c.describe_images, repositoryName="team/app", imageIds=[{"imageTag": "x"}])
    policy = json.loads(c.get_repository_policy(repositoryName="team/app")["policyText"])
    check("ecr policy", policy["Statement"][0]["Principal"]["AWS"], [f"arn:aws:iam::{B}:root"])
    refused("ecr no policy", "RepositoryPolicyNotFoundException", c.get_repository_policy, repositoryName="bare")
    check("ecr lifecycle", c.get_lifecycle_policy(repositoryName="bare")["lifecyclePolicyText"], '{"rules":[]}')
    refused("ecr no lifecycle", "LifecyclePolicyNotFoundException", c.get_lifecycle_policy, repositoryName="team/app")
    check("ecr tags", c.list_tags_for_resource(resourceArn=repositories[0]["repositoryArn"])["tags"], [{"Key": "owner", "Value": "team"}])


def functions(emulator):
    c = emulator.client("lambda")
    listed, pages = every(c, "list_functions", "Functions")
    check("lambda functions", (len(listed), pages), (122, 3))
    fn, container = listed[0], listed[1]
    check("lambda modified", fn["LastModified"], "2026-06-10T00:00:00.000+0000")
    check("lambda env", fn["Environment"]["Variables"], {"SECRET": "canary"})
    check("lambda vpc", fn["VpcConfig"]["VpcId"].startswith("vpc-"))
    check("lambda image", (container["PackageType"], "Runtime" in container), ("Image", False))
    everything, _ = every(c, "list_functions", "Functions", FunctionVersion="ALL")
    check("lambda all versions", len(everything), 124)
    check("lambda qualified", everything[1]["FunctionArn"].endswith(":fn:1"))
    versions, _ = every(c, "list_versions_by_function", "Versions", FunctionName="fn")
    check("lambda versions", [v["Version"] for v in versions], ["$LATEST", "1", "2"])
    check("lambda sha", versions[1]["CodeSha256"], "one")
    check("lambda layers", [l["Arn"][-6:] for l in versions[2]["Layers"]], ["base:2"])
    aliases, _ = every(c, "list_aliases", "Aliases", FunctionName=fn["FunctionArn"])
    check("lambda aliases", (aliases[0]["FunctionVersion"], aliases[0]["RoutingConfig"]), ("2", {"AdditionalVersionWeights": {"1": 0.1}}))
    sources, _ = every(c, "list_event_source_mappings", "EventSourceMappings")
    check("lambda sources", [(s["FunctionArn"].split(":", 6)[-1], s["State"]) for s in sources], [("fn:live", "Disabled"), ("fn", "Enabled")])
    check("lambda tags", c.list_tags(Resource=fn["FunctionArn"])["Tags"], {"owner": "x"})
    check("lambda code", c.get_function(FunctionName="container")["Code"]["ImageUri"].endswith("/team/app:v1"))
    check("lambda alias code", c.get_function(FunctionName="fn", Qualifier="live")["Configuration"]["Version"], "2")
    refused("lambda missing", "ResourceNotFoundException", c.get_function, FunctionName="none", status=404)
    policy = json.loads(c.get_policy(FunctionName="fn", Qualifier="live")["Policy"])
    check("lambda policy", policy["Statement"][0]["Resource"].endswith(":fn:live"))
    refused("lambda no policy", "ResourceNotFoundException", c.get_policy, FunctionName="fn", status=404)
    edge = json.loads(c.get_policy(FunctionName="fn", Qualifier="2")["Policy"])
    check("lambda edge", edge["Statement"][0]["Principal"]["Service"], "replicator.lambda.amazonaws.com")
    layers, _ = every(c, "list_layers", "Layers")
    check("lambda layers listed", [(l["LayerName"], l["LatestMatchingVersion"]["Version"]) for l in layers], [("base", 2)])
    of_layer, _ = every(c, "list_layer_versions", "LayerVersions", LayerName=layers[0]["LayerArn"])
    check("lambda layer versions", [v["Version"] for v in of_layer], [2, 1])
    check("lambda layer size", c.get_layer_version(LayerName="base", VersionNumber=2)["Content"]["CodeSize"], 77)
    provisioned, _ = every(c, "list_provisioned_concurrency_configs", "ProvisionedConcurrencyConfigs", FunctionName="fn")
    check("lambda provisioned", [(p["FunctionArn"][-8:], p["RequestedProvisionedConcurrentExecutions"]) for p in provisioned], [(":fn:live", 3)])


def query(name, namespace, metric, dimensions, stat="Sum", period=86400):
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
            },
            "Period": period,
            "Stat": stat,
        },
    }


def metrics(emulator):
    c = emulator.client("cloudwatch")
    balancers = emulator.client("elbv2").describe_load_balancers()["LoadBalancers"]
    tail = {b["LoadBalancerName"]: b["LoadBalancerArn"].split("loadbalancer/")[1] for b in balancers}
    window = {"StartTime": NOW - 14 * DAY, "EndTime": NOW}
    endpoint = {"VPC Endpoint Id": "vpce-0abc"}
    whole = {**endpoint, "Endpoint Type": "Interface", "Service Name": "s", "VPC Id": "v"}
    queries = [
        query("fn", "AWS/Lambda", "Invocations", {"FunctionName": "fn"}),
        query("errors", "AWS/Lambda", "Errors", {"FunctionName": "fn"}),
        query("hourly", "AWS/Lambda", "Invocations", {"FunctionName": "fn"}, period=3600),
        query("gap", "AWS/Lambda", "Invocations", {"FunctionName": "container"}),
        query("other", "AWS/Lambda", "Duration", {"FunctionName": "fn"}),
        query("cpu", "AWS/EC2", "CPUUtilization", {"InstanceId": "i-0abc"}, "Maximum"),
        query("web", "AWS/ApplicationELB", "RequestCount", {"LoadBalancer": tail["web"]}),
        query("net", "AWS/NetworkELB", "ActiveFlowCount", {"LoadBalancer": tail["net"]}, "Average"),
        query("db", "AWS/RDS", "DatabaseConnections", {"DBInstanceIdentifier": "db"}),
        query("logs", "AWS/Logs", "IncomingBytes", {"LogGroupName": "/aws/lambda/fn"}),
        query("bytes", "AWS/S3", "BucketSizeBytes", {"BucketName": "home", "StorageType": "StandardStorage"}, "Average"),
        query("part", "AWS/S3", "BucketSizeBytes", {"BucketName": "home"}, "Average"),
        query("vpce", "AWS/PrivateLinkEndpoints", "BytesProcessed", whole),
        query("vpcepart", "AWS/PrivateLinkEndpoints", "BytesProcessed", endpoint),
    ]
    answer = c.get_metric_data(MetricDataQueries=queries, **window)
    got = {r["Id"]: r for r in answer["MetricDataResults"]}
    check("cw complete", {r["StatusCode"] for r in got.values()}, {"Complete"})
    check("cw constant", got["fn"]["Values"], [24.0] * 14)
    check("cw zero", got["errors"]["Values"], [0.0] * 14)
    check("cw newest first", (got["fn"]["Timestamps"][0], got["fn"]["Timestamps"][-1]), (NOW - DAY, NOW - 14 * DAY))
    check("cw shares", (len(got["hourly"]["Values"]), got["hourly"]["Values"][0]), (14 * 24, 1.0))
    for name in ("gap", "other", "part", "vpcepart"):
        check(f"cw no data: {name}", got[name]["Values"], [])
    check("cw young", got["cpu"]["Values"], [1.5] * 5)
    check("cw list", got["web"]["Values"], [9.0, 8.0, 7.0])
    check("cw flows", got["net"]["Values"], [3.0] * 14)
    check("cw db", got["db"]["Values"], [0.0] * 14)
    check("cw logs", got["logs"]["Values"], [86400.0] * 14)
    check("cw bytes", got["bytes"]["Values"], [5000.0] * 14)
    check("cw endpoint", got["vpce"]["Values"], [0.0] * 14)
    up = c.get_metric_data(MetricDataQueries=queries[6:7], ScanBy="TimestampAscending", **window)
    check("cw oldest first", up["MetricDataResults"][0]["Values"], [7.0, 8.0, 9.0])
    merged, pages, partial = {}, 0, 0
    for page in c.get_paginator("get_metric_data").paginate(MetricDataQueries=queries[:2], MaxDatapoints=5, **window):
        pages += 1
        for result in page["MetricDataResults"]:
            merged.setdefault(result["Id"], []).extend(result["Values"])
            partial += result["StatusCode"] == "PartialData"
    check("cw pages", (pages, partial, {k: len(v) for k, v in merged.items()}), (6, 5, {"fn": 14, "errors": 14}))
    many = [query(f"q{n}", "AWS/Lambda", "Errors", {"FunctionName": f"many{n:04}"}) for n in range(501)]
    check("cw 500", len(c.get_metric_data(MetricDataQueries=many[:500], **window)["MetricDataResults"]), 500)
    refused("cw 501", "ValidationError", c.get_metric_data, MetricDataQueries=many, status=400, **window)
    refused("cw token", "InvalidNextToken", c.get_metric_data, MetricDataQueries=many[:1], NextToken="x", **window)
    other = emulator.client("cloudwatch", account=B)
    foreign = other.get_metric_data(MetricDataQueries=queries[:1], **window)
    check("cw account", foreign["MetricDataResults"][0]["Values"], [])


def balancers(emulator):
    c = emulator.client("elb")
    listed, _ = every(c, "describe_load_balancers", "LoadBalancerDescriptions")
    check("elb classic", [b["LoadBalancerName"] for b in listed], ["old"])
    check("elb instances", [i["InstanceId"] for i in listed[0]["Instances"]], ["i-1", "i-2"])
    health = c.describe_instance_health(LoadBalancerName="old")["InstanceStates"]
    check("elb health", [h["State"] for h in health], ["InService", "OutOfService"])
    check("elb tags", c.describe_tags(LoadBalancerNames=["old"])["TagDescriptions"][0]["Tags"], [{"Key": "owner", "Value": "<b>"}])
    refused("elb missing", "LoadBalancerNotFound", c.describe_load_balancers, LoadBalancerNames=["x"])
    c = emulator.client("elbv2")
    listed, pages = every(c, "describe_load_balancers", "LoadBalancers", PaginationConfig={"PageSize": 1})
    check("elbv2 balancers", ([b["Type"] for b in listed], pages), (["application", "network"], 2))
    web = listed[0]
    check("elbv2 web", (web["Scheme"], web["CreatedTime"], web["State"]["Code"]), ("internal", NOW - 90 * DAY, "active"))
    listeners = c.describe_listeners(LoadBalancerArn=web["LoadBalancerArn"])["Listeners"]
    check("elbv2 listeners", [l["DefaultActions"][0]["Type"] for l in listeners], ["redirect", "forward"])
    rules = c.describe_rules(ListenerArn=listeners[1]["ListenerArn"])["Rules"]
    check("elbv2 rules", [r["Priority"] for r in rules], ["1", "2", "default"])
    check("elbv2 weights", [t["Weight"] for t in rules[0]["Actions"][0]["ForwardConfig"]["TargetGroups"]], [1, 9])
    groups, _ = every(c, "describe_target_groups", "TargetGroups")
    check("elbv2 groups", {g["TargetGroupName"]: len(g["LoadBalancerArns"]) for g in groups}, {"blue": 1, "green": 1, "lost": 0})
    check("elbv2 groups of one", len(c.describe_target_groups(LoadBalancerArn=web["LoadBalancerArn"])["TargetGroups"]), 2)
    targets = c.describe_target_health(TargetGroupArn=groups[0]["TargetGroupArn"])["TargetHealthDescriptions"]
    check("elbv2 health", [t["TargetHealth"]["State"] for t in targets], ["healthy", "unhealthy"])
    check("elbv2 no targets", c.describe_target_health(TargetGroupArn=groups[2]["TargetGroupArn"])["TargetHealthDescriptions"], [])
    tags = c.describe_tags(ResourceArns=[web["LoadBalancerArn"], groups[0]["TargetGroupArn"]])["TagDescriptions"]
    check("elbv2 tags", [t["Tags"] for t in tags], [[{"Key": "owner", "Value": "<b>"}], []])
    refused("elbv2 21 tags", "ValidationError", c.describe_tags, ResourceArns=[web["LoadBalancerArn"]] * 21)
    refused("elbv2 missing", "LoadBalancerNotFound", c.describe_load_balancers, Names=["x"])
    refused("elbv2 no group", "TargetGroupNotFound", c.describe_target_health, TargetGroupArn="arn:x")


def databases(emulator):
    c = emulator.client("rds")
    listed, _ = every(c, "describe_db_instances", "DBInstances")
    check("rds instances", [d["DBInstanceIdentifier"] for d in listed], ["db", "replica", "aurora-1"])
    db = listed[0]
    check("rds db", (db["DBInstanceStatus"], db["AllocatedStorage"], db["MultiAZ"], db["DeletionProtection"]), ("stopped", 100, True, True))
    check("rds times", (db["InstanceCreateTime"], db["AutomaticRestartTime"]), (NOW - 50 * DAY, NOW + 3 * DAY))
    check("rds replicas", (db["ReadReplicaDBInstanceIdentifiers"], listed[1]["ReadReplicaSourceDBInstanceIdentifier"]), (["replica"], "db"))
    check("rds tag list", db["TagList"], [{"Key": "owner", "Value": "<b>&"}])
    check("rds filter", len(c.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": ["aurora"]}])["DBInstances"]), 1)
    refused("rds bad filter", "InvalidParameterValue", c.describe_db_instances, Filters=[{"Name": "x", "Values": ["y"]}])
    refused("rds missing", "DBInstanceNotFound", c.describe_db_instances, DBInstanceIdentifier="x", status=404)
    clusters, _ = every(c, "describe_db_clusters", "DBClusters")
    check("rds cluster", clusters[0]["DBClusterMembers"][0]["DBInstanceIdentifier"], "aurora-1")
    snapshots, pages = every(c, "describe_db_snapshots", "DBSnapshots", PaginationConfig={"PageSize": 20})
    check("rds snapshots", (len(snapshots), pages), (46, 3))
    refused("rds small page", "InvalidParameterValue", c.describe_db_snapshots, MaxRecords=19)
    check("rds manual", len(c.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]), 45)
    check("rds automated", c.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"][0]["DBSnapshotIdentifier"], "rds:db-2026")
    shared = c.describe_db_snapshot_attributes(DBSnapshotIdentifier="snap0001")["DBSnapshotAttributesResult"]
    check("rds shared", shared["DBSnapshotAttributes"], [{"AttributeName": "restore", "AttributeValues": [B]}])
    refused("rds no snapshot", "DBSnapshotNotFound", c.describe_db_snapshot_attributes, DBSnapshotIdentifier="x")
    of_cluster, _ = every(c, "describe_db_cluster_snapshots", "DBClusterSnapshots")
    check("rds cluster snapshot", of_cluster[0]["DBClusterIdentifier"], "aurora")
    public = c.describe_db_cluster_snapshot_attributes(DBClusterSnapshotIdentifier="csnap")["DBClusterSnapshotAttributesResult"]
    check("rds public", public["DBClusterSnapshotAttributes"][0]["AttributeValues"], ["all"])
    kept, _ = every(c, "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups", Filters=[{"Name": "status", "Values": ["retained"]}])
    check("rds retained", (kept[0]["DBInstanceIdentifier"], kept[0]["AllocatedStorage"], kept[0]["Status"]), ("gone", 33, "retained"))
    check("rds tags", c.list_tags_for_resource(ResourceName=db["DBInstanceArn"])["TagList"], [{"Key": "owner", "Value": "<b>&"}])


def logs(emulator):
    c = emulator.client("logs")
    groups, pages = every(c, "describe_log_groups", "logGroups")
    check("logs groups", (len(groups), pages), (62, 2))
    fn = groups[0]
    check("logs group", (fn["logGroupName"], fn["retentionInDays"], fn["storedBytes"]), ("/aws/lambda/fn", 30, 12345))
    check("logs created", fn["creationTime"], int((NOW - 100 * DAY).timestamp() * 1000))
    check("logs no retention", "retentionInDays" in groups[1], False)
    check("logs class", groups[1]["logGroupClass"], "INFREQUENT_ACCESS")
    check("logs prefix", len(c.describe_log_groups(logGroupNamePrefix="/aws/")["logGroups"]), 1)
    check("logs tags", c.list_tags_for_resource(resourceArn=fn["logGroupArn"])["tags"], {"owner": "x"})
    newest = c.describe_log_streams(logGroupName="streams", orderBy="LastEventTime", descending=True, limit=1)["logStreams"]
    check("logs newest", [(s["logStreamName"], s["lastEventTimestamp"]) for s in newest], [("b", int((NOW - DAY).timestamp() * 1000))])
    check("logs silent", c.describe_log_streams(logGroupName="g0001")["logStreams"], [])
    refused("logs missing", "ResourceNotFoundException", c.describe_log_streams, logGroupName="x")
    refused("logs limit", "InvalidParameterException", c.describe_log_groups, limit=51)


def containers(emulator):
    c = emulator.client("ecs")
    clusters, _ = every(c, "list_clusters", "clusterArns")
    check("ecs clusters", clusters, [f"arn:aws:ecs:us-east-1:{A}:cluster/prod"])
    services, pages = every(c, "list_services", "serviceArns", cluster="prod")
    check("ecs services", (len(services), pages), (12, 2))
    got = c.describe_services(cluster="prod", services=[services[0], "none"], include=["TAGS"])
    check("ecs service", (got["services"][0]["desiredCount"], got["services"][0]["taskDefinition"].split("/")[1]), (0, "api:2"))
    check("ecs service tags", got["services"][0]["tags"], [{"key": "owner", "value": "x"}])
    check("ecs failures", got["failures"][0]["reason"], "MISSING")
    refused("ecs eleven", "InvalidParameterException", c.describe_services, cluster="prod", services=services[:11])
    tasks, _ = every(c, "list_tasks", "taskArns", cluster="prod", serviceName="api0001")
    task = c.describe_tasks(cluster="prod", tasks=tasks)["tasks"][0]
    check("ecs container", (task["containers"][0]["image"], task["containers"][0]["imageDigest"]), ("app:v1", "sha256:aa"))
    refused("ecs missing", "ClusterNotFoundException", c.list_tasks, cluster="x")
    check("ecs active", [a.split("/")[1] for a in every(c, "list_task_definitions", "taskDefinitionArns")[0]], ["api:2"])
    check("ecs inactive", [a.split("/")[1] for a in every(c, "list_task_definitions", "taskDefinitionArns", status="INACTIVE")[0]], ["api:1"])
    definition = c.describe_task_definition(taskDefinition="api")["taskDefinition"]
    check("ecs images", [d["image"] for d in definition["containerDefinitions"]], ["app:v1", "proxy:v1"])
    refused("ecs no definition", "ClientException", c.describe_task_definition, taskDefinition="x")
    check("ecs counts", c.describe_clusters(clusters=["prod"])["clusters"][0]["activeServicesCount"], 12)

    c = emulator.client("eks")
    check("eks clusters", every(c, "list_clusters", "clusters")[0], ["k8s"])
    cluster = c.describe_cluster(name="k8s")["cluster"]
    check("eks cluster", (cluster["status"], cluster["createdAt"], cluster["tags"]), ("ACTIVE", NOW - 100 * DAY, {"owner": "x"}))
    check("eks groups", every(c, "list_nodegroups", "nodegroups", clusterName="k8s")[0], ["nodes"])
    group = c.describe_nodegroup(clusterName="k8s", nodegroupName="nodes")["nodegroup"]
    check("eks group", (group["launchTemplate"]["id"], group["releaseVersion"]), ("lt-1", "ami-1"))
    refused("eks missing", "ResourceNotFoundException", c.describe_cluster, name="x", status=404)

    c = emulator.client("batch")
    environment = every(c, "describe_compute_environments", "computeEnvironments")[0][0]["computeResources"]
    check("batch environment", (environment["imageId"], environment["launchTemplate"]["launchTemplateId"]), ("ami-2", "lt-2"))
    job = every(c, "describe_job_definitions", "jobDefinitions", status="ACTIVE")[0][0]
    check("batch job", (job["revision"], job["containerProperties"]["image"]), (3, "app:v1"))


def rest(emulator):
    c = emulator.client("backup")
    vaults, _ = every(c, "list_backup_vaults", "BackupVaultList")
    check("backup vault", (vaults[0]["BackupVaultName"], vaults[0]["NumberOfRecoveryPoints"], vaults[0]["Locked"]), ("Default", 3, True))
    points, pages = every(c, "list_recovery_points_by_backup_vault", "RecoveryPoints", BackupVaultName="Default", PaginationConfig={"PageSize": 2})
    check("backup points", (len(points), pages), (3, 2))
    check("backup point", (points[0]["BackupSizeInBytes"], points[0]["CreationDate"], points[0]["CalculatedLifecycle"]["DeleteAt"]), (99, NOW - 10 * DAY, NOW + 20 * DAY))
    check("backup tags", c.list_tags(ResourceArn=points[0]["RecoveryPointArn"])["Tags"], {"owner": "x"})
    refused("backup missing", "ResourceNotFoundException", c.list_recovery_points_by_backup_vault, BackupVaultName="x")

    c = emulator.client("imagebuilder")
    recipes = c.list_image_recipes(owner="Self")["imageRecipeSummaryList"]
    check("imagebuilder recipe", (recipes[0]["name"], recipes[0]["parentImage"]), ("Base Image", "ami-3"))
    recipe = c.get_image_recipe(imageRecipeArn=recipes[0]["arn"])["imageRecipe"]
    check("imagebuilder snapshot", recipe["blockDeviceMappings"][0]["ebs"]["snapshotId"], "snap-1")
    check("imagebuilder pipeline", c.list_image_pipelines()["imagePipelineList"][0]["imageRecipeArn"], recipes[0]["arn"])
    images = c.list_images(owner="Self")["imageVersionList"]
    builds = c.list_image_build_versions(imageVersionArn=images[0]["arn"])["imageSummaryList"]
    check("imagebuilder build", builds[0]["outputResources"]["amis"][0]["image"], "ami-4")
    check("imagebuilder image", c.get_image(imageBuildVersionArn=builds[0]["arn"])["image"]["state"]["status"], "AVAILABLE")
    refused("imagebuilder missing", "ResourceNotFoundException", c.get_image_recipe, imageRecipeArn=recipes[0]["arn"] + "9")

    c = emulator.client("ssm")
    filters = [{"Key": "DataType", "Option": "Equals", "Values": ["aws:ec2:image"]}]
    found, _ = every(c, "describe_parameters", "Parameters", ParameterFilters=filters)
    check("ssm parameters", [(p["Name"], p["DataType"]) for p in found], [("/golden/ami", "aws:ec2:image")])
    got = c.get_parameters(Names=["/golden/ami", "/none"])
    check("ssm values", ([p["Value"] for p in got["Parameters"]], got["InvalidParameters"]), (["ami-5"], ["/none"]))
    text = [{"Key": "DataType", "Option": "Equals", "Values": ["text"]}]
    check("ssm other type", every(c, "describe_parameters", "Parameters", ParameterFilters=text)[0], [])
    refused("ssm eleven", "ValidationException", c.get_parameters, Names=[f"/n{n}" for n in range(11)])


LISTS = [
    ("s3", "list_buckets", "Buckets", {}),
    ("s3", "list_multipart_uploads", "Uploads", {"Bucket": "home"}),
    ("ecr", "describe_images", "imageDetails", {"repositoryName": "team/app"}),
    ("lambda", "list_functions", "Functions", {}),
    ("elbv2", "describe_target_groups", "TargetGroups", {}),
    ("rds", "describe_db_snapshots", "DBSnapshots", {}),
    ("logs", "describe_log_groups", "logGroups", {}),
    ("ecs", "list_services", "serviceArns", {"cluster": "prod"}),
    ("eks", "list_clusters", "clusters", {}),
    ("batch", "describe_compute_environments", "computeEnvironments", {}),
    ("backup", "list_recovery_points_by_backup_vault", "RecoveryPoints", {"BackupVaultName": "Default"}),
    ("imagebuilder", "list_image_recipes", "imageRecipeSummaryList", {}),
    ("ssm", "describe_parameters", "Parameters", {}),
]


def capped(whole, emulator):
    """A page cap changes the number of pages and nothing else."""
    for service, operation, key, arguments in LISTS:
        if not emulator.client(service).can_paginate(operation):
            continue
        wanted, before = every(whole.client(service), operation, key, **arguments)
        got, after = every(emulator.client(service), operation, key, **arguments)
        drop = ("BucketRegion", "BucketArn")
        strip = lambda rows: [{k: v for k, v in r.items() if k not in drop} if isinstance(r, dict) else r for r in rows]
        check(f"capped {service} {operation}", strip(got) == strip(wanted) and after >= before)
        check(f"capped pages {service} {operation}", after, -(-len(wanted) // 2))
    many, window = [], {"StartTime": NOW - 3 * DAY, "EndTime": NOW}
    for n in range(5):
        many.append(query(f"q{n}", "AWS/Lambda", "Invocations", {"FunctionName": "fn"}))
    results, pages = every(emulator.client("cloudwatch"), "get_metric_data", "MetricDataResults", MetricDataQueries=many, **window)
    check("capped metrics", ([len(r["Values"]) for r in results], pages), ([3] * 5, 3))


def denied(emulator):
    emulator.faults([{"kind": "denied"}])
    codes = {"s3": "AccessDenied", "elb": "AccessDenied", "elbv2": "AccessDenied", "rds": "AccessDenied", "cloudwatch": "AccessDenied"}
    for service, operation, _, arguments in LISTS:
        call = getattr(emulator.client(service), operation)
        refused(f"denied {service} {operation}", codes.get(service, "AccessDeniedException"), call, **arguments)
    call = emulator.client("cloudwatch").get_metric_data
    window = {"StartTime": NOW - 3 * DAY, "EndTime": NOW}
    try:
        call(MetricDataQueries=[query("q", "a", "b", {})], **window)
        check("denied cloudwatch", False)
    except ClientError as error:
        check("denied cloudwatch", error.response["Error"]["Code"].startswith("AccessDenied"))
    emulator.faults([])


def isolated(emulator):
    """An account and a region see their own and nothing else."""
    for service, operation, key, arguments in LISTS:
        if arguments:
            continue
        page = getattr(emulator.client(service, account=B), operation)(**arguments)
        names = [b["Name"] for b in page[key]] if service == "s3" else page.get(key)
        check(f"isolated {service}", names, ["foreign"] if service == "s3" else [])
        if service != "s3":
            page = getattr(emulator.client(service, region="eu-west-1"), operation)(**arguments)
            check(f"isolated region {service}", page.get(key), [])


BINARY = binary()
with Emulator() as running:
    for part in (s3, ecr, functions, metrics, balancers, databases, logs, containers, rest, isolated, denied):
        try:
            part(running)
        except Exception as error:  # One broken service must not hide the state of the others.
            check(f"{part.__name__} ran", repr(error), True)
    with Emulator("--page", "2") as small:
        try:
            capped(running, small)
        except Exception as error:
            check("capped ran", repr(error), True)

print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
