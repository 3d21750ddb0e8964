#!/usr/bin/env python3
"""The binary under the emulator of cargo-lambda: a second opinion on the Runtime API.

    python3 tests/deploy/lambda_emulator_test.py      needs cargo-lambda, boto3, moto[server]; SWEEPER_BIN,
                                                      SWEEPER_EMULATOR_BIN
"""
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys

from place import BINARY, Cloud, Place, check, clouds, end, skip, until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


tool = shutil.which("cargo-lambda", path=os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
if not tool:
    skip("the emulator of cargo-lambda", "cargo-lambda is not installed")
    end()
place = Place()
port = free_port()
# It wants a package of Rust about it, and builds nothing of it.
package = place.path / "package"
(package / "src").mkdir(parents=True)
(package / "Cargo.toml").write_text('[package]\nname = "none"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n')
(package / "src/main.rs").write_text("fn main() {}\n")
# The emulator answers calls for functions, and hands them to whoever asks its Runtime API.
emulator = subprocess.Popen([tool, "lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1", "--invoke-port", str(port)],
                            cwd=package, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def listening():
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return emulator.poll() is not None


until("the emulator listens", listening)
cloud = Cloud(place) if clouds() else None
function = subprocess.Popen([BINARY], cwd="/proc", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={
    **place.environment(cloud, place.state()), "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{port}/.rt", "AWS_LAMBDA_FUNCTION_NAME": "_",
    "AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"})


def ask(event):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", "/2015-03-31/functions/_/invocations", json.dumps(event))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


got = ask({"schedule": "hourly"})
check("a wrong event is an error of the function", got[1].get("errorType") == "sweeper.Usage" and "no schedule `hourly`" in got[1].get("errorMessage", ""), got)
if cloud:
    event = {"schedule": "nightly", "token": "2026-11-27T02:00:00Z"}
    got = ask(event)
    check("a run is answered", got[1].get("status") == "done" and got[1].get("exit") == 0, got)
    got = ask(event)
    check("the same trigger does nothing", got[1].get("status") == "already-done", got)
else:
    skip("runs under cargo-lambda", "this binary has no clouds")
check("one process answered all", function.poll() is None)
for process in (function, emulator):
    process.kill()
    process.wait()
if cloud:
    cloud.close()
place.close()
end()
