#!/usr/bin/env python3
"""Wall time over 20 regions, 5 kinds, chains of 20 pages at 50 ms a call, against the longest chain.

    python3 tests/bench/regions.py [--bin target/release/sweeper] [--emulator target/release/sweeper-emulator]

The longest chain is 20 pages of 50 ms after the two calls that find the account and its regions.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

target = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
parser = argparse.ArgumentParser()
parser.add_argument("--bin", default=os.path.join(target, "sweeper"))
parser.add_argument("--emulator", default=os.path.join(target, "sweeper-emulator"))
parser.add_argument("--latency", type=int, default=50)
args = parser.parse_args()
regions = [f"{area}-{n}" for area in ("us-east", "us-west", "eu-west", "eu-north", "ap-south") for n in (1, 2, 3, 4)]
kinds = ["ec2-volume", "ec2-network-interface", "ec2-nat-gateway", "ec2-vpc-endpoint", "ec2-route-table"]
prefix = {"ec2-volume": "vol-", "ec2-network-interface": "eni-", "ec2-nat-gateway": "nat-", "ec2-vpc-endpoint": "vpce-", "ec2-route-table": "rtb-"}
with tempfile.TemporaryDirectory() as home:
    org = os.path.join(home, "org.toml")
    with open(org, "w") as out:
        listed = ", ".join(f'"{region}"' for region in regions)
        out.write(f'[[account]]\nid = "111111111111"\nname = "bench"\nregions = [{listed}]\n')
        for r, region in enumerate(regions):
            for kind in kinds:
                out.write(f'[[resource]]\nkind = "aws.{kind}"\nregion = "{region}"\nid = "{prefix[kind]}0{r:02x}00000000"\ncount = 100\n')
    policy = os.path.join(home, "policy.toml")
    with open(policy, "w") as out:
        for name, cls in (("d", "disk"), ("i", "interface"), ("g", "gateway"), ("e", "endpoint")):
            out.write(f'[[policy]]\nname = "{name}"\nclass = "{cls}"\nwhen = \'!has_tag("owner")\'\nthen = "report"\n')
        # A rule that needs the routes lists the fifth kind.
        out.write('[[policy]]\nname = "r"\nclass = "gateway"\nwhen = \'!routed\'\nthen = "report"\n')
    server = subprocess.Popen([args.emulator, "--org", org, "--page", "5", "--latency", str(args.latency)], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        env = {"PATH": os.environ["PATH"], "HOME": home, "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIA111111111111X",
               "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "XDG_STATE_HOME": home}
        walls = []
        for _ in range(4):
            start = time.monotonic()
            done = subprocess.run([args.bin, "report", "--policies", policy, "--format", "json", "--output", os.path.join(home, "r.json")],
                                  env=env, capture_output=True, text=True)
            walls.append(time.monotonic() - start)
            if done.returncode != 0:
                sys.exit(f"exit {done.returncode}: {done.stderr[-2000:]}")
        wall = sorted(walls[1:])[1]
        chain = (20 + 2) * args.latency / 1000
        print(f"20 regions x 5 kinds x 20 pages at {args.latency} ms: {wall:.2f} s wall, longest chain {chain:.2f} s, ratio {wall / chain:.2f}")
    finally:
        server.kill()
