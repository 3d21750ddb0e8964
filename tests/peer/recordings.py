#!/usr/bin/env python3
"""Replays recorded answers of real clouds and compares what `sweeper report` says with their answer sheet.

    recordings.py DIRECTORY [--cloud aws|azure|gcp]

DIRECTORY holds `recordings/answers.json`, `recordings/<cloud>/<case>/` and `tools/replay_server.py`. The recordings
are not part of this project; without them there is nothing to run. Needs botocore.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("directory")
parser.add_argument("--cloud", default="aws")
parser.add_argument("--bin", default=os.environ.get("SWEEPER_BIN", "target/debug/sweeper"))
parser.add_argument("--case")
args = parser.parse_args()
answers = json.load(open(os.path.join(args.directory, "recordings", "answers.json")))
CLASS = {"vm.state in [stopped, deallocated]": ("vm", 'state == "stopped" || state == "deallocated"'),
         '!used_by_image && !used_by_template': ("snapshot", None), '!used_by_vm && !used_by_template': ("image", None),
         'state == "running" in that state for over 30 days': ("vm", 'state == "running" && in_state_for > duration("720h")'),
         "age > 7 days": ("db-snapshot", 'age > duration("168h")')}
KIND_CLASS = {"azure.compute-vm": "vm", "azure.compute-disk": "disk", "azure.network-interface": "interface", "azure.acr-registry": "registry",
              "azure.app-service-plan": "plan", "azure.storage-account": "bucket", "azure.network-public-ip": "address",
              "gcp.compute-instance": "vm", "gcp.compute-disk": "disk", "gcp.compute-image": "image", "gcp.compute-snapshot": "snapshot",
              "gcp.compute-address": "address", "gcp.compute-forwarding-rule": "load-balancer", "gcp.cloud-nat": "gateway",
              "gcp.artifact-repository": "registry", "gcp.artifact-image": "artifact", "gcp.artifact-package-version": "artifact",
              "gcp.storage-bucket": "bucket", "gcp.function": "function", "gcp.run-service": "function", "gcp.run-job": "function",
              "gcp.run-revision": "function-version", "gcp.sql-instance": "database", "gcp.log-bucket": "log-group"}
ENVIRONMENT = {
    "aws": lambda url: {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIAREPLAY", "AWS_SECRET_ACCESS_KEY": "x",
                        "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"},
    "azure": lambda url: {"SWEEPER_AZURE_ENDPOINT": url, "AZURE_SUBSCRIPTION_ID": "ea42f556-5106-4743-99b0-c129bfa71a47"},
    "gcp": lambda url: {"SWEEPER_GCP_ENDPOINT": url, "GOOGLE_CLOUD_PROJECT": "cloud-custodian"},
}
passed = failed = 0
for row in answers:
    if row["cloud"] != args.cloud or (args.case and args.case != row["case"]):
        continue
    server = subprocess.Popen([sys.executable, os.path.join(args.directory, "tools", "replay_server.py"), f"--{args.cloud}",
                               os.path.join(args.directory, "recordings", args.cloud, row["case"]) + (".json" if args.cloud == "azure" else "")],
                              stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as home:
            env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_STATE_HOME": home} | ENVIRONMENT[args.cloud](url)
            command = [args.bin, "report", "--cloud", args.cloud, "--format", "json"]
            question = row.get("condition") or row.get("fact") or row.get("inventory")
            if question:
                # Whatever is in the inventory is found by a condition that holds for all of it.
                cls, when = CLASS.get(question) or (KIND_CLASS[question], f'kind == "{question}"')
                policy = os.path.join(home, "p.toml")
                with open(policy, "w") as out:
                    out.write(f"[[policy]]\nname = \"q\"\nclass = \"{cls}\"\nwhen = '{when or question}'\nthen = \"report\"\n")
                command += ["--policies", policy]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
            try:
                report = json.loads(done.stdout)
            except ValueError:
                print(f"FAIL {row['case']}: no report (exit {done.returncode}): {done.stderr[-1500:]}")
                failed += 1
                continue
            detector = row.get("detector", "condition")
            found = sorted({f["resource"]["native_id"] for f in report["findings"]
                            if f["detector"] == detector and f["verdict"] == "found" and row.get("kind") in (None, f["resource"]["kind"])})
            unknown = [f for f in report["findings"] if f["detector"] == detector and f["verdict"] == "unknown"]
            if found == sorted(row["native_ids"]):
                passed += 1
            else:
                failed += 1
                print(f"FAIL {row['case']} {detector} {question or ''}: found {found}, expected {row['native_ids']}; unknown "
                      f"{[(f['resource']['native_id'], f['evidence'][:1], f['decision']) for f in unknown][:5]}; "
                      f"blind {[(c['kind'], c['why']) for c in report['coverage'] if c['status'] == 'blind'][:6]}")
    finally:
        server.kill()
        server.wait()
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
