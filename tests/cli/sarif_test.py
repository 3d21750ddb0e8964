#!/usr/bin/env python3
"""What `sweeper check terraform --format sarif` writes, held against the schema of SARIF 2.1.0.

    python3 tests/cli/sarif_test.py     SWEEPER_BIN names the binary; needs jsonschema, and npm, from which the schema comes
                                        (@microsoft/jest-sarif carries SARIF 2.1.0-rtm.5, which code scanning goes by)
"""
import copy
import glob
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import jsonschema

here = os.path.dirname(os.path.abspath(__file__))
binary = os.path.abspath(os.environ.get("SWEEPER_BIN", "target/debug/sweeper"))
PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
QUOTA = '[[policy]]\nname = "few"\nsweep = "over-quota"\ncount = 0\nseverity = "page"\n'
passed = failed = 0


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {str(more)[-1500:]}" if more and not good else ""), flush=True)


def end():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


def schema(place):
    """The schema, from the package; none where there is no npm."""
    if not shutil.which("npm"):
        return None
    done = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=place, capture_output=True, text=True, timeout=300)
    packed = glob.glob(os.path.join(place, "*.tgz"))
    if done.returncode or not packed:
        print(done.stderr[-1000:])
        return None
    with tarfile.open(packed[0]) as archive:
        return json.load(archive.extractfile("package/lib/schemas/sarif-2.1.0-rtm.5.json"))


with tempfile.TemporaryDirectory() as place:
    found = schema(place)
    if found is None:
        if os.environ.get("SWEEPER_CI") == "1":
            check("the schema is there", False, "npm has to be there in CI")
        else:
            print("SKIPPED: the schema cannot be had without npm")
        end()
    check("it is the schema of SARIF 2.1.0", "Version 2.1.0" in found["title"], found["title"])
    validator = jsonschema.validators.validator_for(found)(found, format_checker=jsonschema.FormatChecker())
    with open(os.path.join(place, "quota.toml"), "w") as file:
        file.write(QUOTA)
    documents = {}
    for plan in sorted(glob.glob(os.path.join(here, "check", "*.json"))):
        for more in [], ["--policies", "quota.toml"], ["--require-tag", "nobody-has-this", "--require-expiry"]:
            what = " ".join([os.path.basename(plan), *more])
            done = subprocess.run([binary, "check", "terraform", plan, "--format", "sarif", "--now", "2026-11-27T08:00:00Z", *more],
                                  cwd=place, env={"PATH": os.environ["PATH"], "HOME": place}, capture_output=True, text=True, timeout=60)
            if done.returncode:
                check(what, False, done.stderr)
                continue
            documents[what] = json.loads(done.stdout)
            errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(documents[what])]
            check(f"{what}: {len(documents[what]['runs'][0]['results'])} results fit the schema", not errors, errors)
    results = [result for document in documents.values() for result in document["runs"][0]["results"]]
    check("every kind and level was looked at", {(result["kind"], result["level"]) for result in results}
          == {("open", "none"), ("fail", "note"), ("fail", "warning"), ("fail", "error")}, {(result["kind"], result["level"]) for result in results})
    # The schema would have found what is wrong.
    whole = next(document for document in documents.values() if document["runs"][0]["results"])
    for what, spoil in [
        ("a level that is none", lambda run: run["results"][0].update(level="bad")),
        ("a key that is none", lambda run: run["results"][0].update(rule="x")),
        ("a result without a message", lambda run: run["results"][0].pop("message")),
        ("a tool without a name", lambda run: run["tool"]["driver"].pop("name")),
    ]:
        spoilt = copy.deepcopy(whole)
        spoil(spoilt["runs"][0])
        check(f"{what} is found", not validator.is_valid(spoilt))
end()
