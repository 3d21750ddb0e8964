"""What the tests of the emulated Google APIs share: an emulator, counted checks, and Google's own discovery
documents as the judge of every JSON answer (no field that the schema lacks, right types, known formats)."""

import base64
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).parents[2]
NOW = "2026-06-15T00:00:00Z"
HOSTILE = "<b>&'\"é\u202e</b>"
counts = {"passed": 0, "failed": 0}
lock = threading.Lock()


def check(name, got, wanted=True):
    good = got == wanted
    with lock:
        counts["passed" if good else "failed"] += 1
    if not good:
        print(f"FAILED {name}: got {got!r}, wanted {wanted!r}")


def finish():
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(1 if counts["failed"] else 0)


def need(*modules):
    """Installs what is missing into a virtual environment of this run and starts over in it."""
    try:
        for module in modules:
            __import__(module)
    except ImportError:
        if os.environ.get("SWEEPER_EMULATOR_VENV"):
            raise
        venv = pathlib.Path(tempfile.mkdtemp()) / "venv"
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "-q", "install", "-r", str(ROOT / "tests/emulator/requirements-gcp.txt")], check=True)
        os.environ["SWEEPER_EMULATOR_VENV"] = str(venv)
        os.execv(str(venv / "bin/python"), [str(venv / "bin/python"), *sys.argv])


def binary():
    given = os.environ.get("SWEEPER_EMULATOR_BIN")
    if given:
        return given
    subprocess.run(["cargo", "build", "-q", "-p", "sweeper-emulator"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return str(pathlib.Path(target) / "debug/sweeper-emulator")


class Emulator:
    """A running emulator; `with` stops it."""

    def __init__(self, org, *options):
        self.org = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.org.write(org)
        self.org.flush()
        command = [binary(), "--org", self.org.name, "--now", NOW, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            sys.exit("the emulator did not start")
        self.host = self.url.removeprefix("http://")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, host, path, body=None, method=None, **query):
        """A plain request: status, headers, JSON. A host of None is the loopback one."""
        url = self.url + urllib.parse.quote(path, safe="/:-._~%*@!$&'(),;=+")
        if query:
            url += "?" + urllib.parse.urlencode(query, doseq=True)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)
        if data:
            request.add_header("Content-Type", "application/json")
        if host:
            request.add_header("Host", host)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, error.headers, json.loads(text) if text[:1] == b"{" else text

    def control(self, what, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/__emulator/{what}", data)) as answer:
            return json.loads(answer.read())

    def faults(self, *faults):
        self.control("faults", list(faults))

    def journal(self):
        return self.control("journal")


@functools.cache
def document(name):
    """A discovery document of google-api-python-client."""
    import googleapiclient

    at = pathlib.Path(googleapiclient.__file__).parent / "discovery_cache/documents" / f"{name}.json"
    return json.loads(at.read_text())


FORMATS = {
    "int64": lambda v: re.fullmatch(r"-?\d+", v) and -(2**63) <= int(v) < 2**63,
    "uint64": lambda v: re.fullmatch(r"\d+", v) and int(v) < 2**64,
    "google-datetime": lambda v: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", v),
    "date-time": lambda v: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", v),
    "google-duration": lambda v: re.fullmatch(r"-?\d+(\.\d{1,9})?s", v),
    "byte": lambda v: base64.urlsafe_b64decode(v + "=" * (-len(v) % 4)) is not None,
}
TYPES = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
    "any": lambda v: True,
}


def faulty(api, schema, value, at=""):
    """What is wrong with a value by a schema of a document: a list of sentences."""
    if "$ref" in schema:
        schema = document(api)["schemas"][schema["$ref"]]
    kind = schema.get("type", "any")
    if not TYPES[kind](value):
        return [f"{at}: {value!r} is no {kind}"]
    wrong = []
    if kind == "object":
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            if name in properties:
                wrong += faulty(api, properties[name], inner, f"{at}.{name}")
            elif rest is not None:
                wrong += faulty(api, rest, inner, f"{at}[{name}]")
            else:
                wrong.append(f"{at}: no field {name!r}")
    elif kind == "array":
        for number, inner in enumerate(value):
            wrong += faulty(api, schema["items"], inner, f"{at}[{number}]")
    elif kind == "string":
        test = FORMATS.get(schema.get("format"))
        if test and not test(value):
            wrong.append(f"{at}: {value!r} is no {schema['format']}")
        if "enum" in schema and value not in schema["enum"]:
            wrong.append(f"{at}: {value!r} is none of {schema['enum']}")
    return wrong


def valid(name, api, schema, value):
    """Checks a JSON answer against a schema of a discovery document."""
    wrong = faulty(api, {"$ref": schema}, value)
    for sentence in wrong[:10]:
        print(f"  {schema}{sentence}")
    check(f"{name} is a {schema}", len(wrong), 0)


def pages(ask, key):
    """Every item of a paged list, and how many pages it took; `ask(token)` answers one page."""
    items, token, turns = [], "", 0
    while True:
        page = ask(token)
        items += page.get(key, [])
        turns += 1
        token = page.get("nextPageToken", "")
        if not token or turns > 1000:
            return items, turns


def run(parts, *arguments):
    """Runs every part; a broken one must not hide the state of the others."""
    for part in parts:
        try:
            part(*arguments)
        except Exception as error:
            import traceback

            traceback.print_exc()
            check(f"{part.__name__} ran", repr(error), True)
