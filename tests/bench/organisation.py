#!/usr/bin/env python3
"""A look at a whole organisation: its wall time against the bound that limits and page chains set, and its peak memory.

    python3 tests/bench/organisation.py [--ratio 1.3] [--shards 8] [--bin target/release/sweeper] [--emulator target/release/sweeper-emulator]
    python3 tests/bench/organisation.py --million [--rss 512] [--bin target/release/sweeper]

The first: 50 accounts of 10 regions in the emulator, 20 ms a call, and in every account, region and service a bucket of
calls that fills at a rate (the client's own limits are the same). The bound is what no client could beat: to know the
accounts (a chain of pages from one bucket, and two calls in each), and then the slower of the fullest bucket and the
longest chain of pages, all counted from the emulator's journal. Exits with 1 when the median wall is more than `--ratio` times the bound,
or when something was not seen.

The second: 500 accounts of 20 regions with 100 volumes each, pre-rendered, a million in all. Exits with 1 when the peak
memory of the client is above `--rss` MiB, or a volume is missing.

`--shards N` lists by N processes at once instead and merges (they share this machine, so the wall says little); prints
how many calls each made.
"""
import argparse
import collections
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
target = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--bin", default=os.path.join(target, "sweeper"))
parser.add_argument("--emulator", default=os.path.join(target, "sweeper-emulator"))
parser.add_argument("--accounts", type=int, default=50)
parser.add_argument("--regions", type=int, default=10)
parser.add_argument("--latency", type=int, default=20)
parser.add_argument("--rate", type=float, default=2.0)
parser.add_argument("--burst", type=int, default=4)
parser.add_argument("--ratio", type=float, default=1.3)
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--shards", type=int, default=0)
parser.add_argument("--million", action="store_true")
parser.add_argument("--rss", type=float, default=512)
args = parser.parse_args()
areas = ("us-east", "us-west", "eu-west", "eu-north", "ap-south")
ROLE = "sweeper-reader"


def regions(count):
    return [f"{areas[n % len(areas)]}-{n // len(areas) + 1}" for n in range(count)]


def environment(home, url):
    return {"PATH": os.environ["PATH"], "HOME": home, "XDG_STATE_HOME": home, "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIA100000000000X", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}


def config(home, limits):
    path = os.path.join(home, "sweeper.toml")
    with open(path, "w") as out:
        out.write(f'{limits}\n[aws]\norg = true\nrole = "{ROLE}"\n')
    return path


def ran(command, env):
    """Exit code, wall, peak MiB and what was said on standard error."""
    start = time.monotonic()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, time.monotonic() - start, usage.ru_maxrss / 1024, said


def paced():
    names = regions(args.regions)
    kinds = {"ec2-volume": "vol-", "ec2-network-interface": "eni-", "ec2-nat-gateway": "nat-", "ec2-vpc-endpoint": "vpce-", "ec2-route-table": "rtb-"}
    with tempfile.TemporaryDirectory() as home:
        org = os.path.join(home, "org.toml")
        with open(org, "w") as out:
            out.write('[organization]\nid = "o-bench"\nmanagement = "100000000000"\n')
            for n in range(args.accounts):
                listed = ", ".join(f'"{name}"' for name in names)
                out.write(f'[[account]]\nid = "{100000000000 + n}"\nname = "a{n}"\nregions = [{listed}]\nrole = "{ROLE}"\n')
            for n in range(args.accounts):
                for r, name in enumerate(names):
                    for kind, prefix in kinds.items():
                        # Two pages of five; one region in seven has four.
                        count = 20 if (n * args.regions + r) % 7 == 0 else 10
                        out.write(f'[[resource]]\nkind = "aws.{kind}"\naccount = "{100000000000 + n}"\nregion = "{name}"\n'
                                  f'id = "{prefix}0{n:04x}{r:02x}0000"\ncount = {count}\n')
        policy = os.path.join(home, "policy.toml")
        with open(policy, "w") as out:
            for name, cls in (("d", "disk"), ("i", "interface"), ("g", "gateway"), ("e", "endpoint")):
                out.write(f'[[policy]]\nname = "{name}"\nclass = "{cls}"\nwhen = \'!has_tag("owner")\'\nthen = "report"\n')
            out.write('[[policy]]\nname = "r"\nclass = "gateway"\nwhen = \'!routed\'\nthen = "report"\n')
        # The emulator's buckets are a little deeper: two clocks never agree to the millisecond.
        server = subprocess.Popen([args.emulator, "--org", org, "--page", "5", "--latency", str(args.latency),
                                   "--pace", f"{args.rate}/{args.burst + 2}"], stdout=subprocess.PIPE, text=True)
        try:
            url = server.stdout.readline().strip()
            conf = config(home, f"[limits]\nrate = {args.rate}\nburst = {args.burst}\n")
            env = environment(home, url)
            look = ["--config", conf, "--cloud", "aws", "--policies", policy]
            if args.shards:
                return sharded(url, env, home, look)
            walls, bounds = [], []
            for run in range(args.runs):
                urllib.request.urlopen(urllib.request.Request(f"{url}/__emulator/reset", method="POST")).read()
                time.sleep(args.burst / args.rate + 2)
                out = os.path.join(home, f"r{run}.json")
                code, wall, rss, said = ran([args.bin, "report", *look, "--format", "json", "--output", out], env)
                if code != 0:
                    sys.exit(f"exit {code}: {said[-3000:]}")
                journal = json.load(urllib.request.urlopen(f"{url}/__emulator/journal"))
                lanes, chains = collections.Counter(), collections.Counter()
                for call in journal:
                    if call["service"] not in ("sts", "organizations"):
                        lanes[call["account"], call["region"], call["service"]] += 1
                        chains[call["account"], call["region"], call["action"]] += 1
                pages = sum(1 for call in journal if call["action"] == "ListAccounts")
                # The pages of accounts come one after another, and from a bucket of their own.
                known = 3 * args.latency / 1000 + max(pages * args.latency / 1000, (pages - args.burst) / args.rate)
                fullest = max(0.0, (max(lanes.values()) - args.burst) / args.rate)
                longest = max(chains.values()) * args.latency / 1000
                bounds.append(known + max(fullest, longest))
                walls.append(wall)
                throttled = sum(1 for call in journal if call["fault"] == "throttle")
                print(f"run {run}: {wall:.2f} s wall, {len(journal)} calls, {throttled} throttled, fullest bucket {fullest:.2f} s, "
                      f"longest chain {longest:.2f} s, {rss:.0f} MiB")
            wall, bound = statistics.median(walls), statistics.median(bounds)
            ratio = wall / bound
            print(f"{args.accounts} accounts x {args.regions} regions at {args.latency} ms, {args.rate:g} calls a second in each: "
                  f"{wall:.2f} s wall, bound {bound:.2f} s, ratio {ratio:.2f} (bar {args.ratio})")
            return 0 if ratio <= args.ratio else 1
        finally:
            server.kill()


def sharded(url, env, home, look):
    meet, state = os.path.join(home, "shards"), ["--state", os.path.join(home, "state.db")]
    made = []
    for run in range(2):
        urllib.request.urlopen(urllib.request.Request(f"{url}/__emulator/reset", method="POST")).read()
        common = [*look, *state, "--run", f"bench-{run}", "--to", meet]
        start = time.monotonic()
        shards = [subprocess.Popen([args.bin, "survey", "--shard", f"{shard}/{args.shards}", *common], env=env, stderr=subprocess.PIPE, text=True)
                  for shard in range(args.shards)]
        made = []
        for shard in shards:
            said = shard.stderr.read()
            if shard.wait() != 0:
                sys.exit(said[-3000:])
            made.append(int(re.search(r"is sealed, (\d+) calls", said).group(1)))
        listed = time.monotonic() - start
        code, wall, rss, said = ran([args.bin, "survey", "merge", *look, *state, "--run", f"bench-{run}", "--from", meet,
                                     "--output", os.path.join(home, f"s{run}.json")], env)
        if code != 0:
            sys.exit(f"exit {code}: {said[-3000:]}")
        share = max(made) * args.shards / sum(made)
        print(f"run {run}: {args.shards} shards made {made} calls ({share:.2f} of an equal share at most) in {listed:.2f} s; merged in {wall:.2f} s, {rss:.0f} MiB")
    # The second run knows from the first what listings take.
    return 0 if max(made) * args.shards / sum(made) <= 1.2 else 1


def million():
    accounts, per = 500, 100
    names = regions(20)
    server = subprocess.Popen([sys.executable, os.path.join(here, "canned_org.py"), "--accounts", str(accounts), "--regions", ",".join(names),
                               "--per", str(per), "--role", ROLE], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as home:
            conf, out = config(home, ""), os.path.join(home, "report.json")
            command = [args.bin, "report", "--config", conf, "--cloud", "aws", "--policies", os.path.join(here, "volumes.toml"), "--format", "json", "--output", out]
            code, wall, rss, said = ran(command, environment(home, url))
            if code != 0:
                sys.exit(f"exit {code}: {said[-3000:]}")
            report = json.load(open(out))
            seen = sum(row["resources"] or 0 for row in report["coverage"])
            blind = sum(1 for row in report["coverage"] if row["status"] == "blind")
            size = os.path.getsize(out) / (1 << 20)
            print(f"{accounts} accounts x {len(names)} regions, {seen} volumes, {blind} blind, {len(report['findings'])} findings ({size:.0f} MiB): "
                  f"{rss:.0f} MiB peak (bar {args.rss:.0f}), {wall:.1f} s wall")
            return 0 if rss <= args.rss and seen == accounts * len(names) * per and blind == 0 else 1
    finally:
        server.kill()


sys.exit(million() if args.million else paced())
