#!/usr/bin/env python3
"""What platforms that run containers may rely on, each by the environment that it sets: no home, nothing to write to,
lines of JSON with severities, an execution that is started again runs once, and SIGTERM at any time.

    python3 tests/deploy/contracts_test.py [SEED]      needs boto3, moto[server]; SWEEPER_BIN, SWEEPER_EMULATOR_BIN
"""
import http.server
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time

from place import BINARY, ROOT, Cloud, Place, check, clouds, end, skip

# cloud.google.com/run/docs/container-contract, learn.microsoft.com/azure/container-apps/jobs,
# docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html, kubernetes.io/docs/concepts/containers/container-environment
PLATFORMS = {
    "Cloud Run": lambda execution: {"CLOUD_RUN_JOB": "sweeper", "CLOUD_RUN_EXECUTION": execution, "CLOUD_RUN_TASK_INDEX": "0",
                                    "CLOUD_RUN_TASK_COUNT": "1", "CLOUD_RUN_TASK_ATTEMPT": "0"},
    "Container Apps": lambda execution: {"CONTAINER_APP_JOB_NAME": "sweeper", "CONTAINER_APP_JOB_EXECUTION_NAME": execution,
                                         "CONTAINER_APP_REPLICA_NAME": f"{execution}-x7k2p"},
    "Batch": lambda execution: {"AWS_BATCH_JOB_ID": execution, "AWS_BATCH_JOB_ATTEMPT": "1", "AWS_BATCH_JQ_NAME": "sweeper"},
    "Kubernetes": lambda execution: {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443", "JOB_NAME": execution},
}
# What a platform waits between SIGTERM and SIGKILL, at least: Cloud Run.
GRACE = 10
STOPS = 12
# Without clouds, each ends only when its call of the bucket is given up.
FEW = 4

place = Place()


def start(arguments, environment):
    # Nothing can be written in /proc, whoever one is.
    return subprocess.Popen([BINARY, *arguments], cwd="/proc", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(arguments, environment):
    process = start(arguments, environment)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def severities(err):
    """Those of all lines, or None where a line is not JSON."""
    try:
        return [json.loads(line)["severity"] for line in err.splitlines()]
    except (ValueError, KeyError):
        return None


def wrong(name, platform):
    env = {**place.environment(None, place.state()), **platform("execution-1")}
    for what, arguments, more, says in [
        ("a schedule that is not there", ["job", "hourly"], {}, "there is no schedule `hourly`"),
        ("a config that is not there", ["job", "nightly"], {"SWEEPER_CONFIG": "/nowhere.toml"}, "/nowhere.toml"),
    ]:
        code, out, err = run(arguments, {**env, **more})
        lines = severities(err)
        check(f"{name}: {what} is exit 2, said in JSON", code == 2 and not out and lines and lines[-1] == "ERROR" and says in err, (code, out, err))


def good(name, platform):
    cloud = Cloud(place)
    state = place.state()
    env = {**place.environment(cloud, state), **platform("execution-1")}
    code, out, err = run(["job", "nightly"], env)
    check(f"{name}: a run ends well without a home or a place to write", code == 0, (code, err))
    check(f"{name}: the report is on the standard output", len(json.loads(out or "{}").get("findings", [])) == 7, out[:300])
    check(f"{name}: the log is JSON with severities", severities(err), err)
    calls = len(cloud.calls())
    code, out, err = run(["job", "nightly"], {**env, "CLOUD_RUN_TASK_ATTEMPT": "1"} if name == "Cloud Run" else env)
    check(f"{name}: the same execution, started again, does nothing", code == 0 and "already done" in err and not out, (code, out, err))
    check(f"{name}: and asks nothing", len(cloud.calls()) == calls)
    code, out, err = run(["job", "nightly"], {**env, **platform("execution-2")})
    check(f"{name}: the next execution runs", code == 0 and out and len(cloud.calls()) > calls, (code, err))
    cloud.close()


class Slack:
    """An incoming webhook, which keeps what it is sent."""

    def __init__(self):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                seen.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"ok")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/T0/B0/secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# The config that is shipped for each.
SHIPPED = {"Cloud Run": "sweeper.toml", "Batch": "sweeper.toml", "Container Apps": "container-apps-job.yaml", "Kubernetes": "kubernetes/config.yaml"}


def shipped(name):
    """Schedule and channel as they are shipped; state and cloud are those of this machine."""
    text = (ROOT / "sweeper/deploy" / SHIPPED[name]).read_text()
    lines = [line.strip() for line in text[text.index('deployment = "nightly"'):].splitlines()]
    schedule = lines.index("[[schedule]]")
    last = next((at for at, line in enumerate(lines[schedule:], schedule) if re.match(r"\w+:", line)), len(lines))
    return "\n".join(['deployment = "nightly"', f'policies = "{place.path}/policies"', *lines[schedule:last], ""])


def told(name, platform):
    """From the shipped config and the shipped policies to a message in Slack, once."""
    cloud, slack, state = Cloud(place), Slack(), place.state()
    (place.path / "policies").mkdir(exist_ok=True)
    for file in (ROOT / "policies").glob("*.toml"):
        (place.path / "policies" / file.name).write_text(file.read_text())
    env = {**place.environment(cloud, state), **platform("execution-1"), "SLACK_WEBHOOK_URL": slack.url,
           "SWEEPER_CONFIG": place.file("shipped.toml", shipped(name))}
    code, out, err = run(["job", "nightly"], env)
    # The bucket of the state is not the emulator's, which is seen: 3 is as good as 0 here.
    check(f"{name}: the shipped config ends in one message in Slack", code in (0, 3) and len(slack.seen) == 1, (code, len(slack.seen), err))
    said = json.dumps(slack.seen[0][1]) if slack.seen else ""
    check(f"{name}: with what was found, each resource once, and its money",
          "vol-0a00000000" in said and "8 resources of yours, $0.00 a month to save, 7 unpriced" in said, said[:300])
    check(f"{name}: the webhook's URL is nowhere said", "B0/secret" not in out + err, (out, err))
    code, _, err = run(["job", "nightly"], {**env, **platform("execution-2")})
    check(f"{name}: the next night says nothing twice", code in (0, 3) and len(slack.seen) == 1, (code, len(slack.seen), err))
    bare = {key: value for key, value in env.items() if key != "SLACK_WEBHOOK_URL"}
    code, _, err = run(["job", "nightly"], {**bare, **platform("execution-3")})
    check(f"{name}: without the webhook's URL it says which variable is missing", code == 2 and "SLACK_WEBHOOK_URL" in err, (code, err))
    slack.server.shutdown()
    cloud.close()


def partial():
    """An exit code that is no failure for us is one for the platform: its retry is told the same."""
    cloud, quick = Cloud(place, latency=3000), Cloud(place)
    state = place.state()
    platform = PLATFORMS["Cloud Run"]("execution-1")
    code, _, err = run(["job", "nightly", "--deadline", "4"], {**place.environment(cloud, state), **platform})
    check("out of time ends with 3", code == 3 and "partial" in err, (code, err))
    code, _, err = run(["job", "nightly"], {**place.environment(quick, state), **platform})
    check("and the retry of that execution with 3 again, having done nothing", code == 3 and "already done" in err and not quick.calls(), (code, err))
    code, _, err = run(["job", "nightly", "--token", "execution-1"], {**place.environment(quick, state), **platform})
    check("a token that somebody gave ends with 0", code == 0 and "already done" in err, (code, err))
    cloud.close()
    quick.close()


def stopped(seed, has_clouds):
    chance = random.Random(seed)
    cloud = Cloud(place, latency=1500) if has_clouds else None
    names = list(PLATFORMS)
    said = 0
    stops = STOPS if has_clouds else FEW
    for number in range(stops):
        name = names[number % len(names)]
        state = place.state()
        env = {**place.environment(cloud, state), **PLATFORMS[name]("execution-1")}
        if not has_clouds:
            # Something to wait for: a bucket that takes connections and never answers.
            env["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = start(["job", "nightly"], env)
        wait = chance.uniform(0, 3)
        time.sleep(wait)
        ended_before = process.poll() is not None
        process.send_signal(signal.SIGTERM)
        try:
            _, err = process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            check(f"{name}: SIGTERM after {wait:.2f} s ends it within {GRACE} s", False)
            continue
        # Before it could ask for the signal, the signal itself ended it, which a container tells as the same number.
        code = 128 + signal.SIGTERM if process.returncode == -signal.SIGTERM else process.returncode
        clear = "stopped by SIGTERM, exit 143" in err
        said += clear
        fine = ended_before or code == 143 and (clear or process.returncode < 0)
        check(f"{name}: SIGTERM after {wait:.2f} s ends it with 143, said in JSON", fine and severities(err) is not None, (process.returncode, err))
        if clear and number % 3 == 0 and has_clouds and "execution-1" in place.claimed(state):
            quick = Cloud(place)
            code, _, err = run(["job", "nightly"], {**env, "AWS_ENDPOINT_URL": quick.url})
            check(f"{name}: started again, the stopped execution runs", code == 0 and quick.calls(), (code, err))
            quick.close()
    check("most were stopped in the middle", said >= stops // 3, said)
    if cloud:
        cloud.close()


seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 32)
print(f"seed {seed}", flush=True)
has_clouds = clouds()
for name, platform in PLATFORMS.items():
    wrong(name, platform)
    if has_clouds:
        good(name, platform)
        told(name, platform)
if has_clouds:
    partial()
else:
    import socket
    silent = socket.create_server(("127.0.0.1", 0))
    skip("runs on platforms", "this binary has no clouds")
stopped(seed, has_clouds)
place.close()
end()
