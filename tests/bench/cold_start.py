#!/usr/bin/env python3
"""How long a function takes from the start of its process to its first call of the cloud's API, under a fake of Lambda's
Runtime API on this machine: what the process itself adds to a cold start. State lies in a bucket of moto, which is
Python, and answers slowly; without --token nothing is asked of it before the cloud.

    python3 tests/bench/cold_start.py [--bin target/dist/sweeper] [--emulator target/release/sweeper-emulator] [--runs 30]
"""
import argparse
import http.client
import http.server
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--bin", default=os.environ.get("SWEEPER_BIN"))
parser.add_argument("--emulator", default=os.environ.get("SWEEPER_EMULATOR_BIN"))
parser.add_argument("--runs", type=int, default=30)
parser.add_argument("--most", type=int, help="fail when p95 is above so many milliseconds")
args = parser.parse_args()
for name, value in (("SWEEPER_BIN", args.bin), ("SWEEPER_EMULATOR_BIN", args.emulator)):
    if value:
        os.environ[name] = value
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "deploy"))
from place import BINARY, Cloud, Place, Runtime, clouds

if not clouds():
    sys.exit("this binary has no clouds: there is no first call")
place, runtime = Place(), Runtime()
cloud = Cloud(place)
upstream = urllib.parse.urlsplit(cloud.url)
first, seen = [None], threading.Event()


class Door(http.server.BaseHTTPRequestHandler):
    """Passes calls on to the emulator, and notes when the first came."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        if not seen.is_set():
            first[0] = time.monotonic()
            seen.set()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        there = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=60)
        there.request(self.command, self.path, body, {name: value for name, value in self.headers.items() if name.lower() != "connection"})
        answer = there.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST


door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
door.daemon_threads = True
threading.Thread(target=door.serve_forever, daemon=True).start()
environment = {**place.environment(cloud, place.state()), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{door.server_address[1]}", **runtime.environment()}
took = []
for number in range(args.runs + 1):
    first[0] = None
    seen.clear()
    name = runtime.send({"schedule": "nightly"}, 300)
    began = time.monotonic()
    process = subprocess.Popen([BINARY], cwd="/proc", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not seen.wait(60):
            sys.exit(f"no call within a minute; answered: {runtime.answers.get(name)}")
        # The first fills the machine's caches.
        if number:
            took.append((first[0] - began) * 1000)
        kind, answer = runtime.answer(name)
        if kind != "response":
            sys.exit(f"the run failed: {answer}")
    finally:
        process.kill()
        process.wait()
took.sort()
p50, p95 = statistics.median(took), took[min(len(took) - 1, round(0.95 * (len(took) - 1)))]
size = os.path.getsize(BINARY) / (1 << 20)
print(f"{args.runs} starts of a binary of {size:.1f} MiB, from the process to its first call: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
cloud.close()
runtime.close()
place.close()
sys.exit(args.most is not None and p95 > args.most)
