#!/usr/bin/env python3
"""EC2 on loopback with N pre-rendered volumes, so that a client's own cost is what is measured.

    canned_ec2.py --n 100000 [--page 1000] [--port 0]

Volume i: available when i is odd; created (i * 37 mod 120) days ago; tag `owner` when i mod 5 < 2; four or three tags.
Prints its URL on the first line.
"""
import argparse
import datetime as dt
import http.server
from urllib.parse import parse_qsl

parser = argparse.ArgumentParser()
parser.add_argument("--n", type=int, default=100_000)
parser.add_argument("--page", type=int, default=1000)
parser.add_argument("--port", type=int, default=0)
args = parser.parse_args()
now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
NS = "http://ec2.amazonaws.com/doc/2016-11-15/"


def tag(key, value):
    return f"<item><key>{key}</key><value>{value}</value></item>"


def volume(i):
    created = (now - dt.timedelta(days=i * 37 % 120, hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    tags = tag("Name", f"v-{i}") + tag("env", "dev") + tag("cost", f"c{i % 9}") + (tag("owner", "team") if i % 5 < 2 else "")
    attached = "" if i % 2 else (
        f"<item><volumeId>vol-{i:017x}</volumeId><instanceId>i-{i:017x}</instanceId><device>/dev/xvda</device>"
        f"<status>attached</status><attachTime>{created}</attachTime><deleteOnTermination>true</deleteOnTermination></item>")
    return (
        f"<item><volumeId>vol-{i:017x}</volumeId><size>{1 + i % 500}</size><snapshotId/><availabilityZone>us-east-1a</availabilityZone>"
        f"<status>{'available' if i % 2 else 'in-use'}</status><createTime>{created}</createTime><attachmentSet>{attached}</attachmentSet>"
        f"<tagSet>{tags}</tagSet><volumeType>{('gp2', 'gp3', 'io1')[i % 3]}</volumeType><iops>3000</iops><encrypted>false</encrypted>"
        f"<multiAttachEnabled>false</multiAttachEnabled></item>")


def pages():
    for start in range(0, args.n, args.page):
        end = min(args.n, start + args.page)
        token = f"<nextToken>{start // args.page + 1}</nextToken>" if end < args.n else ""
        yield (f'<?xml version="1.0" encoding="UTF-8"?>\n<DescribeVolumesResponse xmlns="{NS}"><requestId>r</requestId><volumeSet>'
               + "".join(volume(i) for i in range(start, end)) + f"</volumeSet>{token}</DescribeVolumesResponse>").encode()


PAGES = list(pages())
FIXED = {
    "GetCallerIdentity": b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Arn>arn:aws:iam::123456789012:user/u</Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult>"
    b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
    "DescribeRegions": (
        f'<DescribeRegionsResponse xmlns="{NS}"><requestId>r</requestId><regionInfo><item><regionName>us-east-1</regionName>'
        "<regionEndpoint>x</regionEndpoint><optInStatus>opt-in-not-required</optInStatus></item></regionInfo></DescribeRegionsResponse>"
    ).encode(),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()))
        action = form.get("Action", "")
        body = PAGES[int(form.get("NextToken", 0))] if action == "DescribeVolumes" else FIXED.get(action)
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
server.daemon_threads = True
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
