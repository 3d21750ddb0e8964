#!/usr/bin/env python3
"""State in buckets that are not ours: S3 by moto, Blob Storage by Azurite, also through a proxy that loses answers.
Google has no emulator of Cloud Storage; a stand-in of ours, below, knows its conditions by generation.

    python3 tests/peer/state_test.py     needs cargo, npm (it installs Azurite into target/azurite) and moto[server];
                                         SWEEPER_CONFORM names the example `conform` of sweeper-store where it is built
"""
import base64
import email.utils
import hashlib
import hmac
import http.client
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

from loopback import free_port, serve

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
passed = failed = 0
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {more}" if more and not good else ""), flush=True)


def end():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


class Conform:
    """The example binary, with an environment of its own."""

    def __init__(self):
        self.binary = os.environ.get("SWEEPER_CONFORM")
        if not self.binary:
            built = subprocess.run(["cargo", "build", "-q", "--locked", "-p", "sweeper-store", "--example", "conform"], cwd=root)
            target = os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target"))
            self.binary = os.path.join(target, "debug", "examples", "conform")
            check("the example builds", built.returncode == 0)

    def run(self, url, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AZURE_", "GOOGLE_", "SWEEPER_"))}
        done = subprocess.run([self.binary, url], env={**clean, **environment}, capture_output=True, text=True, timeout=600)
        return done.returncode, done.stdout, done.stderr

    def all(self, where, url, **environment):
        """Every check of the suite counts as one of ours."""
        started = time.monotonic()
        code, out, err = self.run(url, **environment)
        lines = [line for line in out.splitlines() if line.startswith(("ok ", "FAILED "))]
        for line in lines:
            check(f"{where}: {line[8:]}", line.startswith("ok "), err[-2000:])
        if code != 0 or not lines:
            check(f"{where}: the suite ends well", False, out + err[-2000:])
        print(f"        {where}: {time.monotonic() - started:.1f} s", flush=True)

    def refused(self, what, url, says, seconds=60, **environment):
        started = time.monotonic()
        code, out, err = self.run(url, **environment)
        took = time.monotonic() - started
        check(what, code == 3 and says in out and took < seconds, f"exit {code} after {took:.0f} s: {out}{err[-500:]}")


def lossy(upstream, how):
    """A proxy that passes everything on, and of every third write loses the answer after it was done."""
    count, lock = [0], threading.Lock()

    class Proxy(http.server.BaseHTTPRequestHandler):
        def handle_any(self):
            if self.headers.get("Transfer-Encoding"):
                self.send_error(411)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection("127.0.0.1", upstream, timeout=30)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
            with lock:
                count[0] += self.command == "PUT"
                lost = self.command == "PUT" and count[0] % 3 == 0
            if lost and how == "drop":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(503 if lost else answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(0 if lost else len(content)))
            self.end_headers()
            self.wfile.write(b"" if lost else content)

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = handle_any

    return serve(Proxy)


def google():
    """What we use of the XML API of Cloud Storage (cloud.google.com/storage/docs/xml-api/reference-headers)."""
    objects, lock, generation = {}, threading.Lock(), [1_700_000_000_000_000]

    class Storage(http.server.BaseHTTPRequestHandler):
        def answer(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def error(self, status, code):
            self.answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode())

        def parts(self):
            url = urllib.parse.urlsplit(self.path)
            bucket, _, key = url.path.lstrip("/").partition("/")
            return bucket, urllib.parse.unquote(key), dict(urllib.parse.parse_qsl(url.query))

        def tags(self, value):
            return {"ETag": f'"{hashlib.md5(value[1]).hexdigest()}"', "x_goog_generation": str(value[0]), "Last_Modified": email.utils.formatdate(value[2], usegmt=True)}

        def do_PUT(self):
            bucket, key, _ = self.parts()
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            wanted = self.headers.get("x-goog-if-generation-match")
            with lock:
                there = objects.get(key, (0,))[0]
                if bucket != "bucket":
                    return self.error(404, "NoSuchBucket")
                if wanted is not None and int(wanted) != there:
                    return self.error(412, "PreconditionFailed")
                generation[0] += 1
                objects[key] = (generation[0], body, time.time())
                return self.answer(200, **self.tags(objects[key]))

        def do_GET(self):
            bucket, key, query = self.parts()
            with lock:
                if bucket != "bucket":
                    return self.error(404, "NoSuchBucket")
                if key:
                    if key not in objects:
                        return self.error(404, "NoSuchKey")
                    return self.answer(200, objects[key][1], **self.tags(objects[key]))
                rows = "".join(
                    f"<Contents><Key>{escape(name)}</Key><Size>{len(value[1])}</Size><ETag>x</ETag>"
                    f"<LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(value[2]))}</LastModified></Contents>"
                    for name, value in sorted(objects.items()) if name.startswith(query.get("prefix", "")))
            self.answer(200, f"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode())

    return serve(Storage)


def azurite():
    """Azurite on a free port; what to stop, and the port."""
    place = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(root, "target")), "azurite")
    binary = os.path.join(place, "node_modules", ".bin", "azurite-blob")
    if not os.path.exists(binary):
        if not shutil.which("npm"):
            check("Azurite can be installed", False, "there is no npm on this machine, and Blob Storage is not tested without")
            return None, 0
        os.makedirs(place, exist_ok=True)
        subprocess.run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--silent", "azurite@3"], check=False)
    check("Azurite is installed", os.path.exists(binary))
    if not os.path.exists(binary):
        return None, 0
    port = free_port()
    server = subprocess.Popen([binary, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent",
                               "--skipApiVersionCheck", "--disableTelemetry"], stdout=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, port
        time.sleep(0.1)
    check("Azurite listens", False)
    return server, 0


def make_container(port, name):
    """Signed with the key of an account that everybody knows (learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key)."""
    account, path = "devstoreaccount1", f"/devstoreaccount1/{name}"
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    lines = ["PUT", *[""] * 11, *(f"{key}:{headers[key]}" for key in sorted(headers)), f"/{account}{path}", "restype:container"]
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", f"{path}?restype=container", headers={**headers, "Authorization": f"SharedKey {account}:{signature}", "Content-Length": "0"})
    check("a container is made", connection.getresponse().status == 201)


try:
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1")
    import boto3
    from moto.server import ThreadedMotoServer
except ImportError as error:
    check("moto is installed", False, f"{error}: pip install boto3 'moto[server]'")
    end()

conform = Conform()
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
moto = server.get_host_and_port()[1]
boto3.client("s3", endpoint_url=f"http://127.0.0.1:{moto}", region_name="us-east-1").create_bucket(Bucket="state")
blob, blob_port = azurite()
try:
    local = "http://127.0.0.1:{}".format
    # Plain TCP that takes connections and never answers.
    silent = socket.create_server(("127.0.0.1", 0), backlog=64)

    conform.all("S3", "s3://state/deployments/a", AWS_ENDPOINT_URL_S3=local(moto))
    conform.all("S3, answers dropped", "s3://state/b", AWS_ENDPOINT_URL=local(lossy(moto, "drop")))
    conform.all("S3, answers replaced by 503", "s3://state/c", AWS_ENDPOINT_URL=local(lossy(moto, "error")))
    conform.refused("a bucket that is not there is no empty state", "s3://nobody/x", "s3://nobody/x is not there", AWS_ENDPOINT_URL=local(moto))
    conform.refused("an endpoint that cannot be reached", "s3://state/x", "s3://state/x: ", AWS_ENDPOINT_URL=local(free_port()))
    conform.refused("an endpoint that never answers", "s3://state/x", "s3://state/x: ", AWS_ENDPOINT_URL=local(silent.getsockname()[1]))
    conform.refused("plain http to another machine", "s3://state/x", "is not plain http of this machine", AWS_ENDPOINT_URL="http://192.0.2.1:9")
    if blob_port:
        make_container(blob_port, "state")
        conform.all("Blob", "az://devstoreaccount1/state/a", SWEEPER_AZURE_ENDPOINT_BLOB=local(blob_port))
        conform.all("Blob, answers dropped", "az://devstoreaccount1/state/b", SWEEPER_AZURE_ENDPOINT_BLOB=local(lossy(blob_port, "drop")))
        conform.refused("a container that is not there", "az://devstoreaccount1/nobody", "az://devstoreaccount1/nobody is not there",
                        SWEEPER_AZURE_ENDPOINT_BLOB=local(blob_port))
    storage = google()
    conform.all("stand-in for GCS", "gs://bucket/a", SWEEPER_GCP_ENDPOINT_STORAGE=local(storage))
    conform.all("stand-in for GCS, answers dropped", "gs://bucket/b", SWEEPER_GCP_ENDPOINT_STORAGE=local(lossy(storage, "drop")))
    conform.refused("a GCS bucket that is not there", "gs://nobody", "gs://nobody is not there", SWEEPER_GCP_ENDPOINT_STORAGE=local(storage))
finally:
    if blob:
        blob.terminate()
        blob.wait(10)
    server.stop()
end()
