#!/usr/bin/env python3
"""An organisation on loopback whose every account and region has N pre-rendered volumes, so that a client's own cost is
what is measured: STS, Organizations and as much of EC2 as it takes.

    canned_org.py --accounts 500 --regions us-east-1,us-west-1 --per 100 --role sweeper-reader [--port 0]

Volume i of a region is as canned_ec2.py has it. Prints its URL on the first line.
"""
import argparse
import datetime as dt
import http.server
import json
import re
import socketserver
from urllib.parse import parse_qsl

parser = argparse.ArgumentParser()
parser.add_argument("--accounts", type=int, default=500)
parser.add_argument("--regions", default="us-east-1,us-west-1")
parser.add_argument("--per", type=int, default=100)
parser.add_argument("--role", default="sweeper-reader")
parser.add_argument("--port", type=int, default=0)
args = parser.parse_args()
now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
NS = "http://ec2.amazonaws.com/doc/2016-11-15/"
REGIONS = args.regions.split(",")
FIRST = 100000000000


def tag(key, value):
    return f"<item><key>{key}</key><value>{value}</value></item>"


def volume(i):
    """With `@@` where account and region make the id their own."""
    created = (now - dt.timedelta(days=i * 37 % 120, hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    tags = tag("Name", f"v-{i}") + tag("env", "dev") + tag("cost", f"c{i % 9}") + (tag("owner", "team") if i % 5 < 2 else "")
    attached = "" if i % 2 else (
        f"<item><volumeId>vol-@@{i:05x}</volumeId><instanceId>i-@@{i:05x}</instanceId><device>/dev/xvda</device>"
        f"<status>attached</status><attachTime>{created}</attachTime><deleteOnTermination>true</deleteOnTermination></item>")
    return (
        f"<item><volumeId>vol-@@{i:05x}</volumeId><size>{1 + i % 500}</size><snapshotId/><availabilityZone>@R@a</availabilityZone>"
        f"<status>{'available' if i % 2 else 'in-use'}</status><createTime>{created}</createTime><attachmentSet>{attached}</attachmentSet>"
        f"<tagSet>{tags}</tagSet><volumeType>{('gp2', 'gp3', 'io1')[i % 3]}</volumeType><iops>3000</iops><encrypted>false</encrypted>"
        f"<multiAttachEnabled>false</multiAttachEnabled></item>")


PAGE = (f'<?xml version="1.0" encoding="UTF-8"?>\n<DescribeVolumesResponse xmlns="{NS}"><requestId>r</requestId><volumeSet>'
        + "".join(volume(i) for i in range(args.per)) + "</volumeSet></DescribeVolumesResponse>").encode()
ENABLED = "".join(f"<item><regionName>{name}</regionName><regionEndpoint>x</regionEndpoint><optInStatus>opt-in-not-required</optInStatus></item>"
                  for name in REGIONS)
ENABLED = f'<DescribeRegionsResponse xmlns="{NS}"><requestId>r</requestId><regionInfo>{ENABLED}</regionInfo></DescribeRegionsResponse>'.encode()
STS = "https://sts.amazonaws.com/doc/2011-06-15/"
META = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
SIGNED = re.compile(r"Credential=AKIA(\d{12})[^/]*/\d+/([^/]+)/([^/]+)/")


def accounts(token):
    start = int(token or 0)
    end = min(args.accounts, start + 20)
    listed = [{"Id": str(FIRST + n), "Name": f"a{n}", "Status": "ACTIVE", "State": "ACTIVE"} for n in range(start, end)]
    return {"Accounts": listed, **({"NextToken": str(end)} if end < args.accounts else {})}


def answer(account, region, body):
    form = dict(parse_qsl(body))
    action = form.get("Action", "")
    if action == "GetCallerIdentity":
        return (f'<GetCallerIdentityResponse xmlns="{STS}"><GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/u</Arn><UserId>u</UserId>'
                f"<Account>{account}</Account></GetCallerIdentityResult>{META}</GetCallerIdentityResponse>").encode()
    if action == "AssumeRole":
        into = form["RoleArn"].split(":")[4]
        ends = (now + dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (f'<AssumeRoleResponse xmlns="{STS}"><AssumeRoleResult><Credentials><AccessKeyId>AKIA{into}X</AccessKeyId><SecretAccessKey>x</SecretAccessKey>'
                f"<SessionToken>t</SessionToken><Expiration>{ends}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>x:y</AssumedRoleId>"
                f"<Arn>arn:aws:sts::{into}:assumed-role/{args.role}/y</Arn></AssumedRoleUser></AssumeRoleResult>{META}</AssumeRoleResponse>").encode()
    if action == "DescribeRegions":
        return ENABLED
    if action == "DescribeVolumes":
        own = f"{int(account) - FIRST:08x}{REGIONS.index(region):04x}".encode()
        return PAGE.replace(b"@@", own).replace(b"@R@", region.encode())
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        signed = SIGNED.search(self.headers.get("Authorization") or "")
        kind, reply = "text/xml", None
        if signed:
            account, region, service = signed.groups()
            if service == "organizations":
                kind, reply = "application/x-amz-json-1.1", json.dumps(accounts(json.loads(body or "{}").get("NextToken"))).encode()
            else:
                reply = answer(account, region, body)
        self.send_response(200 if reply else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(reply or b"")))
        self.end_headers()
        self.wfile.write(reply or b"")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024


server = Server(("127.0.0.1", args.port), Handler)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
