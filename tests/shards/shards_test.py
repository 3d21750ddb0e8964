#!/usr/bin/env python3
"""One survey by many processes, as the engines start them: Cloud Run jobs, Kubernetes Indexed Jobs, array jobs of AWS Batch,
replicas of Container Apps that nobody numbers. Merged, they report what one process reports; what never came is blind.

    python3 tests/shards/shards_test.py        SWEEPER_BIN and SWEEPER_EMULATOR_BIN name the binaries; needs moto[server]
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

binary = os.path.abspath(os.environ.get("SWEEPER_BIN", "target/debug/sweeper"))
emulator = os.path.abspath(os.environ.get("SWEEPER_EMULATOR_BIN", "target/debug/sweeper-emulator"))
passed = failed = 0
ACCOUNTS, REGIONS, ROLE = 6, ["us-east-1", "eu-west-1", "ap-south-1"], "sweeper-reader"


def check(name, good, said=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok' if good else 'FAILED'}: {name}{'' if good else f': {str(said)[-2000:]}'}", flush=True)


def organisation(path):
    with open(path, "w") as out:
        out.write('[organization]\nid = "o-shards"\nmanagement = "100000000000"\n')
        for n in range(ACCOUNTS):
            listed = ", ".join(f'"{region}"' for region in REGIONS)
            out.write(f'[[account]]\nid = "{100000000000 + n}"\nname = "a{n}"\nregions = [{listed}]\nrole = "{ROLE}"\n')
        for n in range(ACCOUNTS):
            for r, region in enumerate(REGIONS):
                for kind, prefix, count in (("ec2-volume", "vol-", 3 + 40 * (n == 2)), ("ec2-nat-gateway", "nat-", 2), ("ec2-snapshot", "snap-", 2)):
                    out.write(f'[[resource]]\nkind = "aws.{kind}"\naccount = "{100000000000 + n}"\nregion = "{region}"\n'
                              f'id = "{prefix}0{n:04x}{r:02x}0000"\ncount = {count}\n')


class World:
    def __init__(self, home, url):
        self.home, self.url, self.meet = home, url, os.path.join(home, "meet")
        self.config = os.path.join(home, "sweeper.toml")
        with open(self.config, "w") as out:
            out.write(f'[aws]\norg = true\nrole = "{ROLE}"\n')

    def env(self, **more):
        return {"PATH": os.environ["PATH"], "HOME": self.home, "AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIA100000000000X",
                "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true", **more}

    def start(self, *arguments, **env):
        return subprocess.Popen([binary, "survey", *arguments, "--config", self.config, "--cloud", "aws", "--state", os.path.join(self.home, "state.db")],
                                env=self.env(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def survey(self, *arguments, **env):
        child = self.start(*arguments, **env)
        out, said = child.communicate(timeout=300)
        return child.returncode, out + said

    def together(self, environments, *arguments):
        """Every process at once; their exit codes, and what they said."""
        children = [self.start("--to", self.meet, *arguments, **env) for env in environments]
        said = [child.communicate(timeout=300)[1] for child in children]
        return [child.returncode for child in children], "\n".join(said)

    def merge(self, run, *arguments, meet=None):
        out = os.path.join(self.home, f"{run}.json")
        code, said = self.survey("merge", "--run", run, "--from", meet or self.meet, *(arguments or ("--output", out)))
        return code, said, out

    def report(self, survey):
        """What a survey's report says, but for when it was and what its calls came to."""
        done = subprocess.run([binary, "report", "--survey", survey, "--format", "json", "--now", "2030-01-01T00:00:00Z"], env=self.env(), capture_output=True, text=True)
        report = json.loads(done.stdout)
        del report["run"]
        for finding in report["findings"]:
            # Each survey has a ledger of its own age.
            for own in ("since", "since_basis", "decision"):
                finding.pop(own, None)
        for row in report["coverage"]:
            # Who enters an account to list what its kinds share differs.
            row.pop("calls", None)
        report.pop("totals", None)
        return report

    def units(self, run):
        return json.load(open(os.path.join(self.meet, "run", run, "units.json")))["body"]

    def files(self, run):
        return sorted(os.listdir(os.path.join(self.meet, "run", run)))


def count(url, action):
    calls = json.load(urllib.request.urlopen(f"{url}/__emulator/journal"))
    return sum(1 for call in calls if call["action"] == action)


def reset(url):
    urllib.request.urlopen(urllib.request.Request(f"{url}/__emulator/reset", method="POST")).read()


def main(world):
    whole = os.path.join(world.home, "whole.json")
    code, said = world.survey("--output", whole)
    check("one process sees everything", code == 0, said)
    truth = world.report(whole)
    check("there is something to compare", len(truth["findings"]) > 50 and len(truth["coverage"]) > 100, len(truth["findings"]))

    engines = {
        "cloud-run": [{"CLOUD_RUN_TASK_INDEX": str(i), "CLOUD_RUN_TASK_COUNT": "8", "CLOUD_RUN_EXECUTION": "cloud-run", "CLOUD_RUN_TASK_ATTEMPT": "0",
                       "CLOUD_RUN_JOB": "sweep"} for i in range(8)],
        "kubernetes": [{"JOB_COMPLETION_INDEX": str(i), "SWEEPER_SHARDS": "8", "SWEEPER_RUN": "kubernetes"} for i in range(8)],
        "batch": [{"AWS_BATCH_JOB_ARRAY_INDEX": str(i), "SWEEPER_SHARDS": "8", "AWS_BATCH_JOB_ID": f"batch:{i}"} for i in range(8)],
        "batch-size": [{"AWS_BATCH_JOB_ARRAY_INDEX": str(i), "AWS_BATCH_JOB_ARRAY_SIZE": "5", "AWS_BATCH_JOB_ID": f"batch-size:{i}"} for i in range(5)],
        "container-apps": [{"CONTAINER_APP_JOB_EXECUTION_NAME": "container-apps", "CONTAINER_APP_REPLICA_NAME": f"r-{i}", "SWEEPER_SHARDS": "6"} for i in range(3)],
    }
    for run, environments in engines.items():
        reset(world.url)
        codes, said = world.together(environments)
        check(f"{run}: every process ends well", codes == [0] * len(environments), said)
        check(f"{run}: one of them asks for the accounts", count(world.url, "ListAccounts") == 1, count(world.url, "ListAccounts"))
        frozen = world.units(run)
        pieces = [(unit["scope"]["account"], unit["scope"]["region"], kind) for unit in frozen["units"] for kind in unit["kinds"]]
        check(f"{run}: each unit is of one shard", len(pieces) == len(set(pieces)) == sum(1 for row in truth["coverage"]), (len(pieces), len(set(pieces))))
        check(f"{run}: each shard has some", {unit["shard"] for unit in frozen["units"]} == set(range(frozen["shards"])))
        code, said, out = world.merge(run)
        check(f"{run}: merged", code == 0, said)
        check(f"{run}: reports what one process reports", world.report(out) == truth)

    # Questions, sharded as well.
    environments = [{**env, "CLOUD_RUN_EXECUTION": "staged"} for env in engines["cloud-run"]]
    world.together(environments)
    code, said, _ = world.merge("staged", "--asks")
    check("the questions are written", code == 0 and "questions for 8 shards" in said, said)
    reset(world.url)
    codes, said = world.together(environments, "--stage", "answers")
    check("the questions are put by shards", codes == [0] * 8 and count(world.url, "GetMetricData") > 0, said)
    reset(world.url)
    code, said, out = world.merge("staged")
    check("and not again by the merge", code == 0 and count(world.url, "GetMetricData") == 0, said)
    check("with answers of shards: reports what one process reports", world.report(out) == truth)

    # A process that is killed, and one that is told to stop.
    for name, sign, code in (("killed", signal.SIGKILL, -signal.SIGKILL), ("stopped", signal.SIGTERM, 143)):
        shard = ["--run", name, "--to", world.meet]
        for i in range(8):
            if i != 5:
                world.survey("--shard", f"{i}/8", *shard)
        faults = [{"service": "ec2", "kind": "slow", "ms": 20000}]
        arm = lambda faults: urllib.request.urlopen(urllib.request.Request(f"{world.url}/__emulator/faults", data=json.dumps(faults).encode(), method="POST")).read()
        arm(faults)
        reset(world.url)
        child = world.start("--shard", "5/8", *shard)
        deadline = time.monotonic() + 60
        while count(world.url, "AssumeRole") + count(world.url, "DescribeVolumes") == 0 and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(sign)
        _, said = child.communicate(timeout=30)
        arm([])
        check(f"{name}: it ends as told", child.returncode == code, (child.returncode, said))
        check(f"{name}: it sealed nothing", not any(file.startswith("shard-5.seal") for file in world.files(name)), world.files(name))
        out = os.path.join(world.home, f"{name}.json")
        code, said, out = world.merge(name, "--output", out, "--measures", os.path.join(world.home, "merge.prom"))
        check(f"{name}: the merge says so", code == 3 and "shard 5 of 8 never came" in said, said)
        with open(os.path.join(world.home, "merge.prom")) as measured:
            measured = measured.read()
        check(f"{name}: and measures it", 'sweeper_blind_causes{cause="shard 5 of 8 never came"}' in measured and "sweeper_run_exit_code 3\n" in measured, measured)
        blind = [row for row in world.report(out)["coverage"] if row["status"] == "blind"]
        missing = sum(len(unit["kinds"]) for unit in world.units(name)["units"] if unit["shard"] == 5)
        check(f"{name}: what it was to list is blind", len(blind) == missing > 0 and {row["why"] for row in blind} == {"shard 5 of 8 never came"}, blind[:3])
        code, said = world.survey("--shard", "5/8", *shard)
        check(f"{name}: another attempt is made", code == 0, said)
        code, said, out = world.merge(name)
        check(f"{name}: it heals", code == 0 and world.report(out) == truth, said)

    # A file that somebody changed.
    folder = os.path.join(world.meet, "run", "stopped")
    part = next(file for file in world.files("stopped") if file.startswith("shard-2-"))
    bytes_ = open(os.path.join(folder, part), "rb").read()
    with open(os.path.join(folder, part), "wb") as out:
        out.write(bytes_.replace(b"vol-", b"vol_", 1) if b"vol-" in bytes_ else bytes_[:-9])
    code, said, out = world.merge("stopped")
    check("a damaged shard is refused with its place", code == 3 and "shard 2 of 8 cannot be used" in said and part.rsplit(".", 1)[0] in said, said)
    code, said = world.survey("--shard", "2/8", "--run", "stopped", "--to", world.meet)
    code, said, out = world.merge("stopped")
    check("a damaged shard heals", code == 0 and world.report(out) == truth, said)
    before = world.files("stopped")
    code, said = world.survey("--shard", "2/8", "--run", "stopped", "--to", world.meet)
    check("a shard that is sealed is not listed again", code == 0 and "sealed already" in said and world.files("stopped") == before, said)

    # What is wrong is said, and nobody lists shard 0 by mistake.
    for name, arguments, env, says in (
        ("no index", [], {"SWEEPER_SHARDS": "8"}, "nothing says which this is"),
        ("nothing at all", [], {}, "nothing says which shard"),
        ("an index without a count", [], {"JOB_COMPLETION_INDEX": "1"}, "not how many shards"),
        ("an index that is too high", ["--shard", "8/8"], {}, "there is no shard 8 of 8"),
        ("another number of shards", ["--shard", "0/9"], {}, "for 8 shards"),
        ("other policies", ["--shard", "0/8", "--all-kinds"], {}, "other policies"),
        ("no such place", ["--shard", "0/8", "--to", "ftp://x"], {}, "no shards meet"),
    ):
        to = [] if "--to" in arguments else ["--to", world.meet]
        code, said = world.survey(*arguments, *to, "--run", "stopped", **env)
        check(f"{name} is refused", code == 2 and says in said, (code, said))
    code, said, _ = world.merge("nobody")
    check("a run of which nothing is there is refused", code == 2 and "nothing of the run" in said, said)

    # A bucket instead of a directory.
    from moto.server import ThreadedMotoServer
    import boto3
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    s3.create_bucket(Bucket="meet")
    policy = os.path.join(world.home, "policy.toml")
    with open(policy, "w") as out:
        out.write('[[policy]]\nname = "disks"\nsweep = "unattached-disk"\nthen = "report"\n')
    bucket = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
    whole = os.path.join(world.home, "disks.json")
    world.survey("--policies", policy, "--output", whole)
    codes = [world.survey("--policies", policy, "--shard", f"{i}/3", "--run", "x", "--to", "s3://meet/shards", **bucket) for i in range(3)]
    check("shards meet in a bucket", [code for code, _ in codes] == [0, 0, 0], codes)
    code, said = world.survey("merge", "--policies", policy, "--run", "x", "--from", "s3://meet/shards", "--output", "s3://meet/out/survey.json", **bucket)
    check("and are merged into one", code == 0, said)
    got = os.path.join(world.home, "got.json")
    s3.download_file("meet", "out/survey.json", got)
    check("which reports what one process reports", world.report(got) == world.report(whole))
    server.stop()


with tempfile.TemporaryDirectory() as home:
    organisation(os.path.join(home, "org.toml"))
    server = subprocess.Popen([emulator, "--org", os.path.join(home, "org.toml")], stdout=subprocess.PIPE, text=True)
    try:
        main(World(home, server.stdout.readline().strip()))
    finally:
        server.kill()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
