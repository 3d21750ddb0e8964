#!/usr/bin/env python3
"""Whole `report` over canned disks of one cloud: CPU seconds, peak memory and wall time of the client, median of several runs.

    python3 tests/bench/volumes.py [--cloud aws|azure|gcp] [--n 100000] [--runs 5] [--bin target/release/sweeper]

The server runs in a process of its own and only sends pre-rendered pages.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
parser = argparse.ArgumentParser()
parser.add_argument("--cloud", choices=["aws", "azure", "gcp"], default="aws")
parser.add_argument("--n", type=int, default=100_000)
parser.add_argument("--runs", type=int, default=5)
parser.add_argument("--bin", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "sweeper"))
args = parser.parse_args()
canned = ["canned_ec2.py"] if args.cloud == "aws" else ["canned_disks.py", "--cloud", args.cloud]
server = subprocess.Popen([sys.executable, os.path.join(here, canned[0]), *canned[1:], "--n", str(args.n)], stdout=subprocess.PIPE, text=True)
try:
    url = server.stdout.readline().strip()
    with tempfile.TemporaryDirectory() as home:
        where = {
            "aws": {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
                    "AWS_EC2_METADATA_DISABLED": "true"},
            "azure": {"SWEEPER_AZURE_ENDPOINT": url, "AZURE_SUBSCRIPTION_ID": "11111111-1111-1111-1111-111111111111"},
            "gcp": {"SWEEPER_GCP_ENDPOINT": url, "GOOGLE_CLOUD_PROJECT": "bench"},
        }[args.cloud]
        env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_STATE_HOME": home, **where}
        out = os.path.join(home, "report.json")
        command = [args.bin, "report", "--cloud", args.cloud, "--policies", os.path.join(here, "volumes.toml"), "--format", "json", "--output", out]
        rows = []
        for run in range(args.runs + 1):
            start = time.monotonic()
            child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            stderr = child.stderr.read().decode()
            _, status, usage = os.wait4(child.pid, 0)
            if os.waitstatus_to_exitcode(status) != 0:
                sys.exit(f"exit {os.waitstatus_to_exitcode(status)}: {stderr[-2000:]}")
            if run:
                rows.append((usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, time.monotonic() - start))
        found = len(json.load(open(out))["findings"])
        expected = sum(1 for i in range(args.n) if i % 2 and i % 5 >= 2 and (i * 37 % 120) >= 30)
        cpu, rss, wall = (statistics.median(column) for column in zip(*rows))
        print(f"{args.n} {args.cloud} disks, {found} findings (expected {expected}): {cpu:.2f} CPU s, {rss:.0f} MiB peak, {wall:.2f} s wall (median of {args.runs})")
        sys.exit(0 if found == expected else 1)
finally:
    server.kill()
