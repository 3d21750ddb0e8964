#!/usr/bin/env python3
"""Holds what sweeper writes to the JSON Schema of its audit log: the log of the first format, the log of a month that the
demo plays, and lines that must not pass. The schema in the repository is the one that the binary prints."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

HERE = pathlib.Path(__file__).parent
SWEEPER = os.path.abspath(os.environ.get("SWEEPER_BIN", HERE / "../../target/debug/sweeper"))
KEPT = json.loads((HERE / "audit.schema.json").read_text())
passed = failed = 0


def check(name, good, says=""):
    global passed, failed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {says}")


def problems(schema, value):
    return [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


def log(name, directory, types):
    seen = set()
    for path in sorted((directory / "seg").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            seen.add(event["type"])
            found = problems(KEPT, event)
            check(f"{name}: event {event['seq']}", not found, found)
    check(f"{name}: has the events that it should have", types <= seen, f"{types - seen} are missing of {seen}")
    heads = sorted((directory / "checkpoint").iterdir()) + [directory / "latest"]
    head = {"$ref": "#/$defs/checkpoint", "$defs": KEPT["$defs"]}
    for path in heads:
        found = problems(head, path.read_text())
        check(f"{name}: head {path.name}", not found, found)
    check(f"{name}: a head that is none", problems(head, heads[-1].read_text().replace("\n\n", "\n", 1)))
    return event


printed = subprocess.run([SWEEPER, "schema", "audit"], capture_output=True, text=True, check=True).stdout
check("the binary prints the schema that is kept", json.loads(printed) == KEPT)
jsonschema.Draft202012Validator.check_schema(KEPT)

event = log("v1", HERE / "v1", {"intent", "outcome"})
for name, change in {
    "another format": {"v": 2},
    "a negative number": {"seq": -1},
    "a hash in capitals": {"prev": "AB" * 32},
    "a time in a zone": {"ts": "2026-11-20T12:00:00.000+01:00"},
    "a type nobody writes": {"type": "outcome2"},
    "a failure without its error": {"result": "failed"},
    "a resource without its id": {"resource": {"kind": "aws.ec2-volume"}},
    "money as a float": {"monthly_cost": {"amount": 8.05, "currency": "USD", "basis": "list"}},
    "no run": {"run": None},
}.items():
    check(name, problems(KEPT, event | change), "it passed")

with tempfile.TemporaryDirectory() as directory:
    demo = [SWEEPER, "demo", "--play", "--keep", f"{directory}/played"]
    ran = subprocess.run(demo, capture_output=True, text=True, env={"HOME": directory, "PATH": os.environ["PATH"]})
    check("the demo plays", ran.returncode == 0, ran.stderr[-2000:])
    kept = [path.parent for path in pathlib.Path(directory).rglob("latest") if (path.parent / "seg").is_dir()]
    check("the demo leaves one log", len(kept) == 1, kept)
    for path in kept:
        log("demo", path, {"lock", "config", "intent", "outcome"})

print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
