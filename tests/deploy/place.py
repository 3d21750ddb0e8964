"""What the tests of deployments share: a place with config and policies, a cloud, a bucket for state, and a fake of
Lambda's Runtime API."""
import hashlib
import http.server
import json
import logging
import os
import pathlib
import queue
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-east-1", MOTO_EC2_LOAD_DEFAULT_AMIS="false")
logging.getLogger("werkzeug").setLevel(logging.ERROR)
import boto3
from moto.server import ThreadedMotoServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
BINARY = os.path.abspath(os.environ.get("SWEEPER_BIN", TARGET / "sweeper"))
EMULATOR = os.path.abspath(os.environ.get("SWEEPER_EMULATOR_BIN", TARGET / "sweeper-emulator"))
BUCKET = "sweeper-state"

ORG = """\
[[account]]
id = "111111111111"
name = "shop"
regions = ["eu-west-1", "us-east-1"]

[[resource]]
kind = "aws.ec2-volume"
region = "eu-west-1"
id = "vol-0a00000000"
count = 7
"""
POLICIES = '[[policy]]\nname = "volumes"\nclass = "disk"\nwhen = \'!has_tag("owner")\'\nthen = "report"\n'
CONFIG = """\
deployment = "test"
policies = "policies.toml"
%s
[[schedule]]
name = "nightly"
cron = "0 2 * * *"

[[schedule]]
name = "weekly"
cron = "0 2 * * 1"
"""

passed = failed = 0


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {more}" if more and not good else ""), flush=True)
    return good


def skip(what, why):
    if os.environ.get("SWEEPER_CI") == "1":
        check(what, False, why)
    else:
        print(f"SKIPPED {what}: {why}", flush=True)


def end():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


def clouds():
    """Whether the binary has AWS in it."""
    env = {"PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run([BINARY, "report", "--cloud", "aws", "--state", "memory:"], env=env, capture_output=True, text=True, cwd="/", timeout=120)
    return "this build" not in done.stderr


def until(what, asked, seconds=120):
    """Waits until something is so; that it never is fails the test that waits, and nothing else is timed."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        got = asked()
        if got:
            return got
        time.sleep(0.05)
    raise TimeoutError(what)


class Cloud:
    """The emulator, with every call taking so many milliseconds, and with faults."""

    def __init__(self, place, latency=0, faults=""):
        org, file = place.file("org.toml", ORG), place.file(f"faults-{len(faults)}.toml", faults)
        command = [EMULATOR, "--org", org, "--latency", str(latency), "--faults", file]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError("the emulator did not start")

    def calls(self):
        with urllib.request.urlopen(f"{self.url}/__emulator/journal", timeout=10) as answer:
            return json.load(answer)

    def close(self):
        self.process.kill()
        self.process.wait()


class Place:
    """A directory with config and policies, and a bucket."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="sweeper-deploy-"))
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.bucket_url = f"http://{host}:{port}"
        self.s3 = boto3.client("s3", endpoint_url=self.bucket_url, region_name="us-east-1")
        self.s3.create_bucket(Bucket=BUCKET)
        self.prefixes = 0
        self.file("policies.toml", POLICIES)
        self.config = self.file("sweeper.toml", CONFIG % "")

    def file(self, name, text):
        (self.path / name).write_text(text)
        return str(self.path / name)

    def state(self):
        """A state of its own."""
        self.prefixes += 1
        return f"s3://{BUCKET}/state-{self.prefixes}"

    def key(self, state):
        return f"{state.removeprefix(f's3://{BUCKET}/')}/state/job/triggers"

    def claimed(self, state):
        """What the state remembers of triggers; nothing, where it remembers none."""
        try:
            return self.s3.get_object(Bucket=BUCKET, Key=self.key(state))["Body"].read().decode()
        except self.s3.exceptions.NoSuchKey:
            return ""

    def remember(self, state, **trigger):
        """Writes a trigger as another run would, in the forms of `core/triggers` and of objects in buckets."""
        now = int(time.time())
        trigger = {"schedule": "nightly", "run": "another", "began": now, "beat": 0, "seen": now, "end": None, **trigger}
        body = json.dumps({"format": "sweeper.triggers/1", "body": {"last": [trigger]}}).encode()
        nonce = secrets.token_hex(16)
        head = {"format": "sweeper.object/1", "nonce": nonce, "before": [], "counter": 1, "bytes": len(body),
                "sha256": hashlib.sha256(f"job/triggers\n{nonce}\n\n1\n".encode() + body).hexdigest()}
        self.s3.put_object(Bucket=BUCKET, Key=self.key(state), Body=json.dumps(head, separators=(",", ":")).encode() + b"\n" + body)

    def environment(self, cloud, state, **more):
        """No home, no path, nothing of this machine."""
        env = {"AWS_ACCESS_KEY_ID": "AKIA111111111111X", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
               "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_S3": self.bucket_url, "SWEEPER_CONFIG": self.config}
        if cloud:
            env["AWS_ENDPOINT_URL"] = cloud.url
        if state:
            env["SWEEPER_STATE"] = state
        return {**env, **more}

    def close(self):
        self.server.stop()
        shutil.rmtree(self.path, ignore_errors=True)


class Runtime:
    """The Runtime API of Lambda: hands out events, one at a time, and keeps the answers.
    docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

    def __init__(self):
        self.events, self.answers, self.count = queue.Queue(), {}, 0
        self.condition = threading.Condition()
        self.stopping = False
        runtime = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def gone(self):
                """Whether whoever asked was killed meanwhile."""
                try:
                    return bool(select.select([self.connection], [], [], 0)[0]) and not self.connection.recv(1, socket.MSG_PEEK)
                except OSError:
                    return True

            def do_GET(self):
                while not runtime.stopping and not self.gone():
                    try:
                        name, event, deadline = runtime.events.get(timeout=0.2)
                    except queue.Empty:
                        continue
                    if not self.gone():
                        break
                    runtime.events.put((name, event, deadline))
                else:
                    self.close_connection = True
                    return
                body = event if isinstance(event, bytes) else json.dumps(event).encode()
                if deadline is None:
                    # As the emulator of cargo-lambda sends it: no time at all.
                    told = 600000
                else:
                    told = int((time.time() + deadline) * 1000)
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", name)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(told))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:111111111111:function:sweeper")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
                parts = self.path.split("/")
                with runtime.condition:
                    runtime.answers[parts[-2]] = (parts[-1], json.loads(body))
                    runtime.condition.notify_all()
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def chunks(self):
                out = b""
                while size := int(self.rfile.readline(), 16):
                    out += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return out

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Who was killed in the middle is no news.
        self.server.handle_error = lambda *_: None
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def send(self, event, deadline=None):
        """Gives out an event, with so many seconds for it."""
        self.count += 1
        name = f"request-{self.count}"
        self.events.put((name, event, deadline))
        return name

    def answer(self, name, seconds=300):
        """`response` or `error`, and the body."""
        with self.condition:
            if not self.condition.wait_for(lambda: name in self.answers, timeout=seconds):
                raise TimeoutError(f"no answer to {name}")
            return self.answers[name]

    def ask(self, event, deadline=None):
        return self.answer(self.send(event, deadline))

    def environment(self):
        return {"AWS_LAMBDA_RUNTIME_API": self.address, "AWS_LAMBDA_FUNCTION_NAME": "sweeper", "AWS_LAMBDA_FUNCTION_VERSION": "1",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}

    def close(self):
        self.stopping = True
        self.server.shutdown()


class Function:
    """The binary as Lambda starts it: `bootstrap`, in a directory that nothing can be written to."""

    def __init__(self, place, runtime, environment):
        self.log = open(place.path / f"function-{time.monotonic_ns()}.log", "w+b")
        self.process = subprocess.Popen([BINARY], executable=BINARY, cwd="/proc", env={**environment, **runtime.environment()},
                                        stdout=subprocess.DEVNULL, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lines(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace").splitlines()
