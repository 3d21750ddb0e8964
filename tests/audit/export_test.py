#!/usr/bin/env python3
"""The audit log in the words of others, and what is recorded outside of plans: through the binary, from outside."""
import fcntl
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
SWEEPER = os.path.abspath(os.environ.get("SWEEPER_BIN", HERE / "../../target/debug/sweeper"))
SAMPLE = HERE / "v1"
KEY = (SAMPLE / "public-key").read_text().strip()
passed = failed = 0


def check(name, good, says=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {says}")


def run(*arguments, at="."):
    environment = {"HOME": str(at), "PATH": os.environ["PATH"], "SWEEPER_USER": "bob@example.com"}
    command = [SWEEPER, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=at, env=environment)


def export(form, log=SAMPLE, *more):
    ran = run("audit", "export", "--format", form, "--log", log.resolve(), "--public-key", KEY, *more)
    return ran, [json.loads(line) for line in ran.stdout.splitlines()]


def exported(scratch):
    native = [json.loads(line) for line in (SAMPLE / "seg/000000000000.jsonl").read_text().splitlines()]
    for form in ["ocsf", "ecs", "cloudevents"]:
        ran, records = export(form)
        check(f"{form}: a record for each line", ran.returncode == 0 and len(records) == len(native), ran.stderr)
        hostile = [letter for letter in ran.stdout if ord(letter) < 32 and letter != "\n" or letter in "<>\x7f\u202e"]
        check(f"{form}: nothing in it acts", not hostile, hostile)
        _, half = export(form, SAMPLE, "--since", native[6]["ts"])
        check(f"{form}: --since", half == records[6:], len(half))
        target = scratch / f"{form}.jsonl"
        ran, out = export(form, SAMPLE, "--output", target)
        check(f"{form}: --output", not out and [json.loads(line) for line in target.read_text().splitlines()] == records)
    _, records = export("ocsf")
    deleted = [record for record in records if record["type_uid"] == 600304 and record["status_id"] == 1]
    check("six deletions are six", len(deleted) == 6, len(deleted))
    ids = [record["api"]["request"]["uid"] for record in deleted]
    check("each with the cloud's own id of its request", ids == [f"req-{item}" for item in range(1, 7)], ids)

    spoiled = scratch / "spoiled"
    shutil.copytree(SAMPLE, spoiled)
    segment = spoiled / "seg/000000000000.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b"vol-00000000000000003", b"vol-00000000000000009", 1))
    target = scratch / "never.jsonl"
    ran, out = export("ocsf", spoiled, "--output", target)
    check("damage is refused, with its place", ran.returncode == 8 and "line" in ran.stderr and not out, ran.stderr)
    check("and leaves no file", not target.exists())
    ran, out = export("ocsf", spoiled, "--unverified")
    doubts = [record["unmapped"]["log_verified"] for record in out]
    check("--unverified says so in every record", ran.returncode == 0 and doubts == [False] * len(native), ran.stderr)
    segment.write_bytes(segment.read_bytes().replace(b'{"v":1,"seq":4', b'{"v":1,,"seq":4', 1))
    ran, out = export("ecs", spoiled, "--unverified")
    good = ran.returncode == 8 and len(out) == len(native) - 1 and "1 lines are no events" in ran.stderr
    check("what is no event has no record, and that is said", good, ran.stderr)


def recorded(at):
    state, audit = at / "state.db", at / "state.audit"

    def types():
        names = sorted((audit / "seg").glob("*.jsonl"))
        return [json.loads(line)["type"] for path in names for line in path.read_text().splitlines()]

    def floor():
        sizes = {"aws.ec2-instance": {"aws:111122223333/eu-west-1": 100}}
        with sqlite3.connect(state) as database:
            text = json.dumps({"format": "sweeper.floor/1", "body": {"sizes": sizes}})
            database.execute(FLOOR, ("floor", text.encode()))

    (at / "policies").mkdir()
    # So that the end is still to come whenever this runs.
    (at / "sweeper.toml").write_text(f'state = "{state}"\n[house]\nmax_keep_days = 1000000\n')
    keep = ["keep", "*:*/vol-1", "--until", "2999-01-31", "--reason", "ticket 4711", "--file", "policies/keep.toml"]
    check("state is made", run("lock", "show", at=at).returncode == 0)
    for words in [keep, ["ledger", "restart"], ["floor", "reset"]]:
        ran = run(*words, at=at)
        check(f"without a log: {words[0]}", ran.returncode == 0 and not audit.exists(), ran.stderr)

    (at / "sweeper.toml").write_text((at / "sweeper.toml").read_text() + "[apply]\nenabled = true\n")
    floor()
    for words in [keep, ["ledger", "restart"], ["floor", "reset"]]:
        ran = run(*words, at=at)
        check(f"with a log: {words[0]}", ran.returncode == 0, ran.stderr)
    check("they are in it", types() == ["except", "ledger", "floor"], types())
    last = json.loads((audit / "seg/000000000000.jsonl").read_text().splitlines()[-1])
    check("with who and what", (last["by"], last["old"], last["scope"]) == ("bob@example.com", 100, "aws:111122223333/eu-west-1"), last)
    ran = run("audit", "verify", at=at)
    check("the log verifies", ran.returncode == 0 and ran.stdout.endswith("sound\n"), ran.stdout + ran.stderr)
    ran = run("audit", "export", "--format", "ocsf", at=at)
    classes = [json.loads(line)["class_uid"] for line in ran.stdout.splitlines()]
    check("this deployment's log is exported", ran.returncode == 0 and classes == [3004] * 3, ran.stderr)

    with open(f"{state}.lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = run(*keep, at=at)
        check("keeping waits for nobody", ran.returncode == 0 and "does not have it" in ran.stderr, ran.stderr)
        ran = run("ledger", "restart", at=at)
        check("forgetting does", ran.returncode == 7, ran.stderr)
    (audit / "latest").write_text("nothing\n")
    floor()
    ran = run("floor", "reset", at=at)
    check("without its record nothing is done", ran.returncode == 8, ran.stderr)
    check("the floor stands", "100" in run("floor", "show", at=at).stdout)


FLOOR = "INSERT OR REPLACE INTO entry (key, value, version) VALUES (?, ?, 1000000)"
with tempfile.TemporaryDirectory() as directory:
    for name, part in {"exported": exported, "recorded": recorded}.items():
        place = pathlib.Path(directory) / name
        place.mkdir()
        part(place)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
