#!/usr/bin/env python3
"""The sweeper is no leak itself: a daemon over the emulator, run after run, with faults, denials, deadlines, reloads and
rude clients mixed in. Its memory and descriptors must not rise: the slope is that of Theil and Sen.

    python3 tests/soak/soak_test.py                 short: under a minute
    python3 tests/soak/soak_test.py --cycles 5000   long
SWEEPER_BIN and SWEEPER_EMULATOR_BIN name the binaries; a build without clouds is soaked with runs that fail.
"""
import argparse
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("--cycles", type=int, default=0, help="how many runs; without, as many as come in --seconds")
parser.add_argument("--seconds", type=float, default=40)
parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
args = parser.parse_args()
print(f"seed {args.seed}")
dice = random.Random(args.seed)

binary = os.path.abspath(os.environ.get("SWEEPER_BIN", "target/debug/sweeper"))
emulator_binary = os.path.abspath(os.environ.get("SWEEPER_EMULATOR_BIN", os.path.join(os.path.dirname(binary), "sweeper-emulator")))
place = tempfile.TemporaryDirectory(prefix="sweeper-soak-")
root = place.name
# What memory may seem to rise by over all that was measured, and descriptors: the allocator keeps what it once had.
MEMORY, DESCRIPTORS = 16 << 20, 3
# Of a wait that must end.
PATIENCE = 120

ORG = """
[[account]]
id = "111122223333"
name = "shop"
regions = ["us-east-1", "eu-west-1"]

[[account]]
cloud = "azure"
id = "11111111-1111-1111-1111-111111111111"
name = "shop"

[[account]]
cloud = "gcp"
id = "shop-prod"
number = "222222222222"
name = "shop"
""" + "".join(f"""
[[resource]]
kind = "{kind}"
account = "{account}"
id = "{name}-{n}"
{more}
created = "-{100 + n}d"
tags = {{ owner = "team-{n % 7}" }}
""" for kind, account, name, more in (
    ("aws.ec2-volume", "111122223333", "vol-0", "size = 100"),
    ("azure.compute-disk", "11111111-1111-1111-1111-111111111111", "disk", 'group = "shop-rg"\nregion = "westeurope"'),
    ("gcp.compute-disk", "shop-prod", "disk", 'region = "europe-west1-b"'),
) for n in range(100))

POLICY = '[[policy]]\nname = "{name}"\nsweep = "unattached-disk"\n'
SCHEDULE = '[[schedule]]\nname = "{name}"\ncron = "* * * * * *"\nrun = "{run}"\n{more}'
FAULTS = [
    [],
    [{"kind": "denied", "action": "Describe*"}, {"kind": "denied", "permission": "compute.disks.list"}],
    [{"kind": "throttle", "times": 20}],
    [{"kind": "error500", "times": 20}],
    [{"kind": "cut", "times": 8}],
    [{"kind": "malformed", "times": 8}],
    [{"kind": "html", "times": 8}],
    [{"kind": "slow", "ms": 30, "times": 50}],
    # Longer than a run may take: its calls are cancelled.
    [{"kind": "slow", "ms": 20000, "times": 4}],
    [{"kind": "expired-token", "times": 4}],
]


def write(name, text):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
    return path


def theil_sen(points):
    """The median of the slopes between points; of many points, of a sample of pairs."""
    pairs = [(a, b) for i, a in enumerate(points) for b in points[i + 1:] if b[0] > a[0]]
    if len(pairs) > 200_000:
        pairs = dice.sample(pairs, 200_000)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs)


def least(points, parts=20):
    """The smallest of each stretch: what a run holds while it runs comes and goes, what leaks stays."""
    size = max(1, len(points) // parts)
    return [(points[at][0], min(value for _, value in points[at:at + size])) for at in range(0, len(points), size)]


# The measure itself must see a leak, and must not be led astray by a few large values.
assert abs(theil_sen([(n, 7 * n + (900 if n % 10 == 0 else 0)) for n in range(200)]) - 7) < 0.5
assert theil_sen([(n, 1000 - n) for n in range(50)]) == -1
assert abs(theil_sen(least([(n, 10 + n / 5 + (n * 7919 % 13)) for n in range(60)])) - 0.2) < 0.05
assert abs(theil_sen(least([(n, 10 + (n * 7919 % 17)) for n in range(60)]))) < 0.02

environment = {"HOME": root, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
tried = subprocess.run([binary, "report", "--state", "memory:"], env=environment, cwd=root, capture_output=True, text=True)
has_clouds = "this build has no clouds" not in tried.stderr
emulator = None
if has_clouds:
    emulator = subprocess.Popen([emulator_binary, "--org", write("org.toml", ORG)], stdout=subprocess.PIPE, text=True)
    url = emulator.stdout.readline().strip()
    environment.update({
        "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIA111122223333X", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1",
        "SWEEPER_AZURE_ENDPOINT": url, "AZURE_SUBSCRIPTION_ID": "11111111-1111-1111-1111-111111111111",
        "SWEEPER_GCP_ENDPOINT": url, "GOOGLE_CLOUD_PROJECT": "shop-prod",
    })
else:
    print("this build has no clouds: what is soaked are runs that fail")


def strike(faults):
    if emulator:
        urllib.request.urlopen(f"{url}/__emulator/faults", json.dumps(faults).encode(), timeout=PATIENCE).read()
        # What it remembers of calls is not what is measured here.
        urllib.request.urlopen(urllib.request.Request(f"{url}/__emulator/reset", method="POST"), timeout=PATIENCE).read()


write("rules/a.toml", POLICY.format(name="disks"))
schedules = [("report", "report", 'output = "out/reports"\n'), ("table", "report", 'format = "html"\noutput = "out/pages"\n'),
             ("survey", "survey", 'output = "out/surveys"\n'), ("notify", "notify", "")]
config = 'state = "state.db"\npolicies = "rules"\n[daemon]\nlisten = "127.0.0.1:0"\nlongest_run = "10s"\n'
config += '[limits]\ntries = 3\ncall_timeout = "3s"\n[[channel]]\nname = "files"\nfile = "out/notices"\nnotices_per_day = 10000\n'
write("sweeper.toml", config + "".join(SCHEDULE.format(name=name, run=run, more=more) for name, run, more in schedules))
os.makedirs(os.path.join(root, "out/notices"))

log = open(os.path.join(root, "log"), "w+")
daemon = subprocess.Popen([binary, "daemon"], env=environment, cwd=root, stdout=subprocess.DEVNULL, stderr=log)


def fail(why):
    log.flush()
    with open(log.name) as file:
        print("".join(file.readlines()[-40:]))
    print(f"FAILED: {why}")
    for process in (daemon, emulator):
        if process and process.poll() is None:
            process.kill()
    print("0 passed, 1 failed")
    sys.exit(1)


def until(find, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if daemon.poll() is not None:
            fail(f"the daemon ended with {daemon.returncode}")
        found = find()
        if found:
            return found
        time.sleep(0.05)
    fail(f"not within {PATIENCE} s: {what}")


def listening():
    with open(log.name) as file:
        return re.search(r"listening on (http://[0-9.:]+)", file.read())


address = until(listening, "that it listens").group(1)
host, port = address.removeprefix("http://").split(":")


def page(path):
    try:
        with urllib.request.urlopen(address + path, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def measured():
    """Runs by exit code, and everything else by name."""
    status, text = page("/metrics")
    assert status == 200, status
    codes, values = {}, {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        values[name] = float(value)
        found = re.match(r'sweeper_daemon_runs_total\{.*exit="(\d+)"\}', name)
        if found:
            codes[int(found.group(1))] = codes.get(int(found.group(1)), 0) + int(value)
    return codes, values


def sample():
    with open(f"/proc/{daemon.pid}/status") as file:
        kib = int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))
    return kib << 10, len(os.listdir(f"/proc/{daemon.pid}/fd"))


def rude():
    """Clients that talk nonsense, too much, or not to the end."""
    for said in (b"nonsense\r\n\r\n", b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 40_000, b"GET /met",
                 b"POST /healthz HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b""):
        client = socket.create_connection((host, int(port)), timeout=PATIENCE)
        try:
            client.sendall(said)
        except OSError:
            pass
        # The last ones are held for a while, and dropped by the daemon or by us.
        held.append(client)
    while len(held) > 20:
        held.pop(0).close()


held, samples, done = [], [], 0
events = {"struck": 0, "refused": 0, "taken": 0, "hangups": 0, "rude": 0}
flip = 0
is_broken = False
start = time.monotonic()
while True:
    if daemon.poll() is not None:
        fail(f"the daemon ended with {daemon.returncode}")
    codes, values = measured()
    done = sum(codes.values())
    samples.append((done, *sample()))
    if (args.cycles and done >= args.cycles) or (not args.cycles and time.monotonic() - start > args.seconds):
        break
    event = dice.choice(["strike", "strike", "break", "mend", "hangup", "rude", "scrape"])
    if event == "strike":
        strike(dice.choice(FAULTS))
        events["struck"] += 1
    elif event == "break":
        write("rules/b.toml", "[[policy]]\nname = \"b\n")
        is_broken = True
        events["refused"] += 1
    elif event == "mend":
        flip += 1
        write("rules/b.toml", POLICY.format(name=f"more-{flip % 5}"))
        is_broken = False
        events["taken"] += 1
    elif event == "hangup":
        daemon.send_signal(signal.SIGHUP)
        events["hangups"] += 1
    elif event == "rude":
        rude()
        events["rude"] += 1
    else:
        threads = [threading.Thread(target=page, args=(path,)) for path in ("/metrics", "/readyz", "/healthz", "/none") * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # What was written is somebody else's to keep.
    for folder in ("reports", "pages", "surveys", "notices"):
        path = os.path.join(root, "out", folder)
        if os.path.isdir(path):
            for name in os.listdir(path):
                if not name.startswith("."):
                    os.unlink(os.path.join(path, name))
    time.sleep(dice.uniform(0.1, 0.6))

strike([])
for client in held:
    client.close()
write("rules/b.toml", POLICY.format(name="last"))
daemon.send_signal(signal.SIGHUP)
before = done
until(lambda: sum(measured()[0].values()) > before + len(schedules), "that it still runs")
codes, values = measured()
checks = []


def check(what, is_so):
    checks.append(is_so)
    print(f"{'ok  ' if is_so else 'FAIL'} {what}")


took = time.monotonic() - start
print(f"{done} runs in {took:.0f} s; by exit code {dict(sorted(codes.items()))}; {events}")
# The first fifth fills what is kept: connections, threads, the allocator's arenas.
kept = samples[len(samples) // 5:]
cycles = max(kept[-1][0] - kept[0][0], 1)
for at, name, bound, unit in ((1, "memory", MEMORY, "B"), (2, "descriptors", DESCRIPTORS, "")):
    slope = theil_sen(least([(sample[0], sample[at]) for sample in kept])) if kept[-1][0] > kept[0][0] else 0.0
    values_at = [sample[at] for sample in kept]
    said = f"{name}: {slope:+.3f}{unit} a run, {slope * cycles:+.0f}{unit} over {cycles} runs, {min(values_at)} to {max(values_at)}"
    check(f"{said} (bound {bound}{unit})", slope * cycles <= bound)
check("no run was a defect, and no state was damaged", not {70, 8} & set(codes))
check("many runs ended", done >= 10)
if has_clouds:
    check("some saw everything, and some did not", codes.get(0, 0) > 0 and codes.get(3, 0) > 0)
check("it is alive, and what was refused is mended", page("/healthz")[0] == 200 and values["sweeper_policies_reload_failed"] == 0)
threads = len(os.listdir(f"/proc/{daemon.pid}/task"))
check(f"it has {threads} threads, of which none is left over from a run", threads <= 2 * os.cpu_count() + 24)
daemon.send_signal(signal.SIGTERM)
try:
    code = daemon.wait(PATIENCE)
except subprocess.TimeoutExpired:
    fail("it did not end when it was told to")
check(f"it ended with {code} when it was told to", code == 143)
unfinished = [name for folder in ("reports", "pages", "surveys") for name in os.listdir(os.path.join(root, "out", folder)) if name.startswith(".")] if has_clouds else []
check(f"it left nothing half written: {unfinished}", not unfinished)
if emulator:
    emulator.kill()
    emulator.wait()
print(f"{sum(checks)} passed, {len(checks) - sum(checks)} failed")
sys.exit(not all(checks))
