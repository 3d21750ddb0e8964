#!/usr/bin/env python3
"""A daemon that is stopped at any time, and its systemd unit.

    python3 tests/daemon/daemon_test.py [--seed N]        SWEEPER_BIN names the binary
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
binary = os.path.abspath(os.environ.get("SWEEPER_BIN", "target/debug/sweeper"))
seed = int(sys.argv[sys.argv.index("--seed") + 1]) if "--seed" in sys.argv else random.randrange(1 << 32)
print(f"seed {seed}")
dice = random.Random(seed)
PATIENCE = 120
results = []


def check(what, is_so, more=""):
    results.append(bool(is_so))
    print(f"{'ok  ' if is_so else 'FAIL'} {what}" + ("" if is_so else f": {more}"))


class Place:
    """A directory with a config, and what stands in the environment there."""

    def __init__(self, config, **environment):
        self.directory = tempfile.TemporaryDirectory(prefix="sweeper-daemon-")
        self.path = self.directory.name
        self.environment = {"HOME": self.path, "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", **environment}
        with open(os.path.join(self.path, "sweeper.toml"), "w") as file:
            file.write('state = "state.db"\n[daemon]\nlisten = "127.0.0.1:0"\n' + config)

    def start(self):
        self.log = open(os.path.join(self.path, "log"), "a+")
        return subprocess.Popen([binary, "daemon"], env=self.environment, cwd=self.path, stdout=subprocess.DEVNULL, stderr=self.log)

    def said(self):
        with open(os.path.join(self.path, "log")) as file:
            return file.read()

    def until(self, daemon, text, times=1):
        end = time.monotonic() + PATIENCE
        while self.said().count(text) < times:
            if time.monotonic() > end or daemon.poll() is not None:
                daemon.kill()
                raise SystemExit(f"`{text}` was not said:\n{self.said()}\n0 passed, 1 failed")
            time.sleep(0.02)


def schedule(cron, name="busy"):
    return f'[[schedule]]\nname = "{name}"\ncron = "{cron}"\noutput = "out"\n'


def is_sound(place):
    with sqlite3.connect(os.path.join(place.path, "state.db")) as state:
        return state.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# Stopped at any time: also while it starts, runs, and reads its policies anew.
place = Place(schedule("* * * * * *"))
codes = {}
for turn in range(15):
    daemon = place.start()
    # Nobody can be told before there is somebody who listens for it.
    place.until(daemon, "listening on", turn + 1)
    time.sleep(dice.uniform(0, 1.5))
    if dice.random() < 0.3:
        daemon.send_signal(signal.SIGHUP)
    name = dice.choice(["SIGTERM", "SIGINT"])
    daemon.send_signal(getattr(signal, name))
    code = daemon.wait(PATIENCE)
    codes.setdefault(name, set()).add(code)
check("it ends with 143 by SIGTERM and 130 by SIGINT, whenever that comes", all(codes[name] == {code} for name, code in (("SIGTERM", 143), ("SIGINT", 130)) if name in codes), codes)
check("nothing is half written", not [name for name in os.listdir(os.path.join(place.path, "out")) if name.startswith(".")])
check("the state is sound", is_sound(place))

# Killed as by the kernel: the next one starts, and the state is sound.
for turn in range(5):
    daemon = place.start()
    place.until(daemon, "listening on", 16 + turn)
    time.sleep(dice.uniform(0, 1.2))
    daemon.kill()
    daemon.wait(PATIENCE)
check("the state is sound after kill -9", is_sound(place))
daemon = place.start()
before = place.said().count("ended with")
place.until(daemon, "busy ended with", before + 1)
daemon.terminate()
check("and it runs again", daemon.wait(PATIENCE) == 143)

# A run that is killed in its middle is made up for by the next daemon, also though its time does not come again for a year.
place = Place(schedule("0 0 1 1 *", "yearly"))
daemon = place.start()
place.until(daemon, "listening on")
daemon.terminate()
daemon.wait(PATIENCE)


def last(**changes):
    """What the state remembers of the schedule, changed."""
    with sqlite3.connect(os.path.join(place.path, "state.db")) as state:
        document = json.loads(state.execute("SELECT value FROM entry WHERE key = 'daemon/yearly'").fetchone()[0])
        if changes:
            document["body"].update(changes)
            state.execute("UPDATE entry SET value = ? WHERE key = 'daemon/yearly'", (json.dumps(document).encode(),))
    return document["body"]


began = int(time.time())
for tried, says in [(0, "try 2 of 3"), (2, "the last of 3 tries")]:
    last(run="killed", at=began - 7200, before=began - 90000, beat=4, tried=tried, ended=None)
    daemon = place.start()
    place.until(daemon, "run killed of")
    place.until(daemon, says)
    if tried == 0:
        place.until(daemon, "yearly ended with")
        check("a run that was killed is made up for, and its end remembered", last()["ended"] is not None and last()["tried"] == 1, last())
    else:
        check("one that died too often is left", place.said().count("yearly ended with") == 1 and last()["run"] == "killed", place.said())
    daemon.terminate()
    check("and the daemon goes on", daemon.wait(PATIENCE) == 143)

tried = subprocess.run([binary, "report", "--state", "memory:", "--cloud", "gcp"], env=place.environment, cwd=place.path, capture_output=True, text=True)
if "cannot look at gcp" in tried.stderr or "no clouds" in tried.stderr:
    print("this build has no clouds: no run that waits for one is stopped here")
else:
    # A cloud that never answers: whoever stops the daemon does not wait for it, and nobody is asked any more.
    silent = socket.create_server(("127.0.0.1", 0))
    clients = []

    def accept():
        while True:
            try:
                clients.append(silent.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    port = silent.getsockname()[1]
    # Once a day: what begins again was given back.
    soon = time.gmtime(time.time() + 10)
    once = f"{soon.tm_sec} {soon.tm_min} {soon.tm_hour} * * *"
    place = Place(schedule(once), SWEEPER_GCP_ENDPOINT=f"http://127.0.0.1:{port}", GOOGLE_CLOUD_PROJECT="shop-prod")
    daemon = place.start()
    place.until(daemon, " begins, ")
    end = time.monotonic() + PATIENCE
    while not clients and time.monotonic() < end:
        time.sleep(0.02)
    check("the run asks the cloud", clients)
    daemon.terminate()
    check("it ends though the cloud is silent", daemon.wait(PATIENCE) == 143)
    asked = len(clients)
    for client in clients:
        client.settimeout(PATIENCE)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass
    check("its calls are gone, and none follows", len(clients) == asked)
    begun = place.said().count(" begins, ")
    daemon = place.start()
    place.until(daemon, " begins, ", begun + 1)
    check("what was stopped is made up for at the next start", True)
    daemon.terminate()
    daemon.wait(PATIENCE)
    silent.close()

# The unit.
unit = os.path.join(here, "../../sweeper/deploy/systemd/sweeper.service")
with open(unit) as file:
    text = file.read()
keys = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
for key, value in {"DynamicUser": "yes", "StateDirectory": "sweeper", "ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
                   "ProtectHome": "yes", "PrivateDevices": "yes", "MemoryDenyWriteExecute": "yes", "UMask": "0077"}.items():
    check(f"the unit has {key}={value}", keys.get(key) == value, keys.get(key))
check("a wrong config is not tried again and again", "2" in keys["RestartPreventExitStatus"].split())
check("to be stopped is no failure", {"130", "143"} <= set(keys["SuccessExitStatus"].split()))
if shutil.which("systemd-analyze"):
    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, "sweeper.service")
        with open(copy, "w") as file:
            file.write(text.replace("/usr/local/bin/sweeper", binary))
        verified = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        own = [line for line in (verified.stdout + verified.stderr).splitlines() if "sweeper.service" in line]
        check("systemd takes the unit", not own, own)
        with open(copy, "a") as file:
            file.write("\n[Service]\nProtectSytem=strict\n")
        verified = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        check("and would have found a key that is none", "ProtectSytem" in verified.stdout + verified.stderr)
        rated = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", copy], capture_output=True, text=True)
        check("its exposure is at most 2.0 of 10", rated.returncode == 0, rated.stdout[-200:] + rated.stderr[-200:])
else:
    print("systemd-analyze is not here: the unit is NOT CHECKED by systemd")
print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
