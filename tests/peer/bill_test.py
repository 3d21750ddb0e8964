#!/usr/bin/env python3
"""Bills in buckets that are not ours: S3 by moto, and a stand-in of ours for Cloud Storage's XML API.

    python3 tests/peer/bill_test.py     needs boto3 and moto[server]; SWEEPER_BIN names the binary
"""
import datetime as dt
import gzip
import http.client
import http.server
import json
import logging
import os
import subprocess
import sys
import tempfile
import time

from loopback import free_port, serve

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
binary = os.path.abspath(os.environ.get("SWEEPER_BIN", os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target")), "debug", "sweeper")))
passed = failed = 0


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {more}" if more and not good else ""), flush=True)


def end():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


try:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1")
    import boto3
    from moto.server import ThreadedMotoServer
except ImportError as error:
    check("moto is installed", False, f"{error}: pip install boto3 'moto[server]'")
    end()

HEADER = ("BilledCost,EffectiveCost,ListCost,ContractedCost,PricingQuantity,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,"
          "ChargePeriodEnd,ServiceName,SubAccountId,ResourceId,SkuPriceId,CommitmentDiscountId,CommitmentDiscountStatus,BillingAccountId,ProviderName\n")


def month(name, first, days, rise_from):
    """The bill of a month; from some day on a gateway costs thrice as much."""
    text = HEADER
    for day in (first + dt.timedelta(days=index) for index in range(days)):
        for resource, service, cost in [*((f"i-{index:03}", "Compute", 20) for index in range(20)), ("nat-1", "Network", 105 if day >= rise_from else 35)]:
            text += f"{cost},{cost},{cost},{cost},{cost},USD,Usage,,{day}T00:00:00Z,{day + dt.timedelta(days=1)}T00:00:00Z,{service},1,{resource},{service}-sku,,,payer,AWS\n"
    return name, text


MONTHS = [month("2026-08", dt.date(2026, 8, 1), 31, dt.date.max), month("2026-09", dt.date(2026, 9, 1), 30, dt.date.max),
          month("2026-10", dt.date(2026, 10, 1), 18, dt.date(2026, 10, 12))]


def export():
    """An export of AWS, by name below the prefix. Beside September's file lies one of a run that was written over."""
    objects = {}
    for name, text in MONTHS:
        objects[f"focus/data/BILLING_PERIOD={name}/focus-00001.csv.gz"] = gzip.compress(text.encode(), mtime=0)
        files = [f"s3://bills/team/focus/data/BILLING_PERIOD={name}/focus-00001.csv.gz"]
        objects[f"focus/metadata/BILLING_PERIOD={name}/focus-Manifest.json"] = json.dumps({"dataFiles": files}).encode()
    objects["focus/data/BILLING_PERIOD=2026-09/focus-00002.csv.gz"] = objects["focus/data/BILLING_PERIOD=2026-09/focus-00001.csv.gz"]
    return objects


def bill(place, *more, cache=None, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_", "GOOGLE_", "SWEEPER_", "XDG_"))}
    clean.update(HOME=home, AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing")
    kept = ["--cache", cache] if cache else ["--no-cache"]
    arguments = [binary, "bill", "--focus", place, *kept, "--now", "2026-10-20T12:00:00Z", "--format", "json", *more]
    started = time.monotonic()
    done = subprocess.run(arguments, env={**clean, **environment}, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - started


def refused(what, place, says, seconds=60, **environment):
    code, out, err, took = bill(place, **environment)
    check(what, code == 2 and not out and all(part in err for part in says) and took < seconds, f"exit {code} after {took:.0f} s: {out}{err[-800:]}")


def before(upstream, asked, answer):
    """A proxy that notes what is asked, and answers itself where `answer` gives a status and a body."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Range")))
            own = answer(self.path, len(asked))
            if own:
                status, headers, content = own[0], [("Content-Type", "application/xml")], own[1]
            else:
                connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=30)
                connection.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders()
                told = connection.getresponse()
                status, headers, content = told.status, told.getheaders(), told.read()
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return serve(Proxy)


def error(code):
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>".encode()


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
moto = server.get_host_and_port()[1]
local = "http://127.0.0.1:{}".format
s3 = boto3.client("s3", endpoint_url=local(moto), region_name="us-east-1")
s3.create_bucket(Bucket="bills")
objects = export()
with tempfile.TemporaryDirectory() as home:
    for name, content in objects.items():
        path = os.path.join(home, "export", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        s3.put_object(Bucket="bills", Key=f"team/{name}", Body=content)
    s3.put_object(Bucket="bills", Key="team/", Body=b"")
    s3.put_object(Bucket="bills", Key="teams/other.csv", Body=b"not a bill")
    cache = os.path.join(home, "kept")

    code, directory, err, _ = bill(os.path.join(home, "export"), "--explain")
    check("the export is read from a directory", code == 0 and '"rise"' in directory, err[-800:])
    asked = []
    through = before(moto, asked, lambda *_: None)
    code, remote, err, _ = bill("s3://bills/team", "--explain", AWS_ENDPOINT_URL_S3=local(through))
    check("and says the same from a bucket", code == 0 and remote == directory, err[-800:])
    check("nothing that no manifest names is fetched", not any("00002" in path and ranged for path, ranged in asked), asked)
    code, one, err, _ = bill("s3://bills/team/focus/data/BILLING_PERIOD=2026-10/focus-00001.csv.gz", AWS_ENDPOINT_URL_S3=local(moto))
    check("one object is a bill by itself", code == 0 and '"currency"' in one, err[-800:])

    def data():
        return sorted({path.rsplit("BILLING_PERIOD", 1)[1][3:10] for path, ranged in asked if ranged and "/data/" in path})

    for turn, wanted in (("first", ["2026-08", "2026-09", "2026-10"]), ("second", [])):
        asked.clear()
        code, kept, err, _ = bill("s3://bills/team", "--explain", cache=cache, AWS_ENDPOINT_URL_S3=local(through))
        check(f"with what is kept it says the same, {turn} time", code == 0 and kept == directory, err[-800:])
        check(f"months that are read the {turn} time: {wanted}", data() == wanted, data())
    name = "team/focus/data/BILLING_PERIOD=2026-10/focus-00001.csv.gz"
    longer = month("2026-10", dt.date(2026, 10, 1), 19, dt.date(2026, 10, 12))[1]
    s3.put_object(Bucket="bills", Key=name, Body=gzip.compress(longer.encode(), mtime=0))
    expected = bill("s3://bills/team", "--explain", AWS_ENDPOINT_URL_S3=local(moto))[1]
    asked.clear()
    code, kept, err, _ = bill("s3://bills/team", "--explain", cache=cache, AWS_ENDPOINT_URL_S3=local(through))
    check("the open month grows: it alone is read", code == 0 and kept == expected and data() == ["2026-10"], (data(), err[-800:]))
    entries = [os.path.join(cache, entry) for entry in os.listdir(cache)]
    for entry in entries:
        with open(entry, "r+b") as file:
            file.seek(100)
            file.write(b"damaged")
    code, kept, err, _ = bill("s3://bills/team", "--explain", cache=cache, AWS_ENDPOINT_URL_S3=local(moto))
    check("damaged entries are not believed", code == 0 and kept == expected, err[-800:])
    check("and as many are kept", len(os.listdir(cache)) == len(entries), os.listdir(cache))
    blocked = os.path.join(home, "blocked")
    open(blocked, "w").close()
    code, kept, err, _ = bill("s3://bills/team", cache=os.path.join(blocked, "x"), AWS_ENDPOINT_URL_S3=local(moto))
    check("a cache that cannot be written is told, and no error", code == 0 and "could not be kept" in err, err[-800:])

    # Weather: two bad answers, then good ones.
    count = [0]

    def shaky(path, _):
        count[0] += 1
        return (503, error("SlowDown")) if count[0] % 3 else None

    code, kept, err, _ = bill("s3://bills/team", "--explain", AWS_ENDPOINT_URL_S3=local(before(moto, [], shaky)))
    check("what fails for a time is tried again", code == 0 and kept == expected, err[-800:])
    refused("what fails for good is named", "s3://bills/team", [name, "SlowDown"],
            AWS_ENDPOINT_URL_S3=local(before(moto, [], lambda path, _: (503, error("SlowDown")) if "2026-10/focus-00001" in path else None)))
    refused("an object that may not be read is named", "s3://bills/team", [name, "may not read", "AccessDenied", "s3:GetObject"],
            AWS_ENDPOINT_URL_S3=local(before(moto, [], lambda path, _: (403, error("AccessDenied")) if "2026-10/focus-00001" in path else None)))
    refused("a bucket that may not be listed", "s3://bills/team", ["s3://bills/team", "may not list", "AccessDenied", "s3:ListBucket"],
            AWS_ENDPOINT_URL_S3=local(before(moto, [], lambda *_: (403, error("AccessDenied")))))
    refused("a bucket that is not there", "s3://nobody/x", ["s3://nobody/x", "no such bucket"], AWS_ENDPOINT_URL_S3=local(moto))
    refused("a prefix with nothing under it", "s3://bills/nothing", ["s3://bills/nothing", "no bills"], AWS_ENDPOINT_URL_S3=local(moto))
    refused("no network", "s3://bills/team", ["s3://bills/team", "failed to list"], AWS_ENDPOINT_URL_S3=local(free_port()))
    refused("plain http to another machine", "s3://bills/team", ["is not plain http of this machine"], AWS_ENDPOINT_URL_S3="http://192.0.2.1:9")
    refused("a URL without a bucket", "s3://", ["names no bucket"])

    # An object that is written between the listing and the reading.
    def overwrite(path, number):
        if "2026-10/focus-00001" in path:
            s3.put_object(Bucket="bills", Key=name, Body=gzip.compress(HEADER.encode() + str(number).encode(), mtime=0))

    refused("an object that changed is refused, with what to do", "s3://bills/team", [name, "changed since it was listed", "Run this again"],
            AWS_ENDPOINT_URL_S3=local(before(moto, [], overwrite)))
    s3.delete_object(Bucket="bills", Key=name)
    refused("a manifest that names what is not there", "s3://bills/team", ["2026-10/focus-Manifest.json", "which is not there"], AWS_ENDPOINT_URL_S3=local(moto))
server.stop()
end()
