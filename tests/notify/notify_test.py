#!/usr/bin/env python3
"""Telling people, from outside: the binary over clouds that the emulator serves, and what it sends to fakes of each service
on this machine, and to a real SMTP server that takes mail by STARTTLS and a login.

    python3 tests/notify/notify_test.py    needs the packages of requirements.txt, and SWEEPER_BIN and SWEEPER_EMULATOR_BIN

The fakes are strict where the services are: a wrong form is answered with 400. Ends with "N passed, M failed".
"""
import base64
import email
import email.policy
import hashlib
import hmac
import http.server
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP

BIN = os.environ.get("SWEEPER_BIN", "")
EMULATOR = os.environ.get("SWEEPER_EMULATOR_BIN", "")
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
HOSTILE = "<!channel> [a](https://evil.example)"
# In no output, log, state or file of the sweeper's.
SECRETS = {
    "SLACK_URL": "/services/T0/B0/canary-slack",
    "TEAMS_URL": "/workflows/canary-teams",
    "HOOK_SECRET": "canary-hook-secret",
    "HOOK_AUTH": "Bearer canary-hook-auth",
    "SMTP_PASSWORD": "canary-smtp-password",
    "PD_KEY": "canary-pd-routing-key",
    "JIRA_TOKEN": "canary-jira-token",
    "GITHUB_TOKEN": "canary-github-token",
}
passed = failed = 0


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {more}" if more and not good else ""), flush=True)


class Services:
    """Slack, Teams, a webhook, PagerDuty, Jira and GitHub behind one port."""

    def __init__(self):
        self.seen, self.down, self.lock = [], {}, threading.Lock()
        self.pagerduty, self.jira, self.github = {}, {}, {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, code, body=b"", headers=()):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(code)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def serve(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with outer.lock:
                    for prefix, (code, headers) in outer.down.items():
                        if self.path.startswith(prefix):
                            outer.seen.append((prefix, self.command, None, dict(self.headers)))
                            return self.answer(code, b"it is down", headers)
                    try:
                        value = json.loads(body) if body else None
                        code, out = outer.route(self.command, self.path, value, self.headers, body)
                    except AssertionError as error:
                        traceback.print_exc()
                        code, out = 400, {"error": str(error)}
                    outer.seen.append((self.path, self.command, value, dict(self.headers), body))
                self.answer(code, out)

            do_GET = do_POST = do_PATCH = serve

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        with self.lock:
            seen, self.seen = self.seen, []
        return seen

    def route(self, method, path, value, headers, body):
        parts = urllib.parse.urlsplit(path)
        if parts.path.startswith("/services/"):
            assert parts.path == SECRETS["SLACK_URL"], "no_service"
            self.check_slack(value)
            return 200, b"ok"
        if parts.path.startswith("/workflows/"):
            assert len(body) <= 28 * 1024, "too large"
            card = value["attachments"][0]
            assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
            assert card["content"]["type"] == "AdaptiveCard" and card["content"]["body"]
            return 202, b""
        if parts.path == "/hook":
            assert headers["Authorization"] == SECRETS["HOOK_AUTH"]
            at, signature = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["Sweeper-Signature"]).groups()
            mine = hmac.new(SECRETS["HOOK_SECRET"].encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
            assert hmac.compare_digest(mine, signature), "signature"
            assert abs(time.time() - int(at)) < 300 and headers["Idempotency-Key"]
            return 200, b""
        if parts.path == "/api/now/table/incident":
            assert headers["Authorization"].startswith("Basic ")
            assert set(value) == {"short_description", "description", "urgency", "correlation_id"}, value
            return 201, {"result": {"number": "INC0010001"}}
        if parts.path == "/v2/enqueue":
            return self.enqueue(value)
        if parts.path.startswith("/rest/api/3/"):
            token = base64.b64encode(f"bot@example.com:{SECRETS['JIRA_TOKEN']}".encode()).decode()
            if headers["Authorization"] != f"Basic {token}":
                return 401, {}
            return self.issue(method, parts.path[len("/rest/api/3/"):], value)
        if parts.path.startswith("/repos/acme/waste/issues"):
            if headers["Authorization"] != f"Bearer {SECRETS['GITHUB_TOKEN']}":
                return 401, {}
            return self.hub(method, parts.path[len("/repos/acme/waste/issues"):].strip("/"), value, parts.query)
        return 404, {}

    def check_slack(self, value):
        assert value["text"] and len(value["blocks"]) <= 50
        for block in value["blocks"]:
            text = block.get("text", {})
            if block["type"] == "header":
                assert text["type"] == "plain_text" and len(text["text"]) <= 150
            if block["type"] == "section":
                assert text["type"] == "mrkdwn" and 0 < len(text["text"]) <= 3000 and text["verbatim"] is True

    def enqueue(self, value):
        assert value["routing_key"] == SECRETS["PD_KEY"], "invalid routing key"
        assert value["event_action"] in ("trigger", "resolve") and value["dedup_key"]
        if value["event_action"] == "trigger":
            payload = value["payload"]
            assert payload["severity"] in ("critical", "error", "warning", "info")
            assert 0 < len(payload["summary"]) <= 1024 and payload["source"]
        self.pagerduty[value["dedup_key"]] = value["event_action"]
        return 202, {"status": "success", "dedup_key": value["dedup_key"]}

    def check_document(self, value):
        assert value["type"] == "doc" and value["version"] == 1 and value["content"]
        for paragraph in value["content"]:
            assert paragraph["type"] == "paragraph" and paragraph["content"]
            for node in paragraph["content"]:
                assert node["type"] in ("text", "hardBreak")
                assert node["type"] != "text" or (node["text"] and set(node) == {"type", "text"})

    def issue(self, method, path, value):
        if (method, path) == ("POST", "search/jql"):
            label = re.search(r'labels = "([^"]+)"', value["jql"]).group(1)
            assert value["jql"] == f'project = "OPS" AND labels = "{label}" AND statusCategory != Done'
            found = [key for key, own in self.jira.items() if label in own["fields"]["labels"] and own["status"] != "done"]
            return 200, {"issues": [{"id": "1", "key": key, "fields": {"labels": self.jira[key]["fields"]["labels"]}} for key in found[:1]]}
        if (method, path) == ("POST", "issue"):
            fields = value["fields"]
            assert fields["project"] == {"key": "OPS"} and fields["issuetype"] == {"name": "Task"}
            assert 0 < len(fields["summary"]) <= 255 and "\n" not in fields["summary"]
            assert all(" " not in label for label in fields["labels"])
            self.check_document(fields["description"])
            key = f"OPS-{len(self.jira) + 1}"
            self.jira[key] = {"fields": fields, "status": "new", "comments": []}
            return 201, {"id": "1", "key": key}
        key, _, rest = path.removeprefix("issue/").partition("/")
        own = self.jira.get(key)
        if own is None:
            return 404, {}
        if (method, rest) == ("GET", ""):
            return 200, {"key": key, "fields": {"status": {"statusCategory": {"key": own["status"]}}}}
        if (method, rest) == ("POST", "comment"):
            self.check_document(value["body"])
            own["comments"].append(value["body"])
            return 201, {}
        if (method, rest) == ("GET", "transitions"):
            way = lambda number, key: {"id": str(number), "to": {"statusCategory": {"key": key}}}
            return 200, {"transitions": [way(11, "indeterminate"), way(31, "done")]}
        assert (method, rest, value) == ("POST", "transitions", {"transition": {"id": "31"}})
        own["status"] = "done"
        return 204, b""

    def hub(self, method, path, value, query):
        if (method, path) == ("GET", ""):
            query = urllib.parse.parse_qs(query)
            assert query["state"] == ["open"] and query["labels"] == ["sweeper"]
            return 200, [own for own in self.github.values() if own["state"] == "open"]
        if (method, path) == ("POST", ""):
            assert value["title"] and "sweeper" in value["labels"]
            number = len(self.github) + 1
            self.github[str(number)] = {"number": number, "state": "open", "comments": [], **value}
            return 201, {"number": number}
        number, _, rest = path.partition("/")
        own = self.github.get(number)
        if own is None:
            return 404, {}
        if (method, rest) == ("GET", ""):
            return 200, own
        if (method, rest) == ("POST", "comments"):
            own["comments"].append(value["body"])
            return 201, {}
        assert (method, rest, value) == ("PATCH", "", {"state": "closed", "state_reason": "completed"})
        own["state"] = "closed"
        return 200, own


class Mail:
    """An SMTP server with STARTTLS and a login, which refuses some."""

    def __init__(self, folder, starttls=True):
        authority = trustme.CA()
        context = None
        if starttls:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self.ca = os.path.join(folder, "ca.pem")
        authority.cert_pem.write_to_path(self.ca)
        self.mails, self.refuse, self.plain, self.busy = [], set(), 0, False
        outer = self

        class Handler:
            async def handle_RCPT(self, server, session, envelope, address, options):
                if session.ssl is None and starttls:
                    outer.plain += 1
                if outer.busy:
                    return "451 try again later"
                if address in outer.refuse:
                    return "550 no such user"
                envelope.rcpt_tos.append(address)
                return "250 OK"

            async def handle_DATA(self, server, session, envelope):
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                outer.mails.append((envelope.rcpt_tos, session.ssl is not None, message))
                return "250 OK queued as 4711"

        def login(server, session, envelope, mechanism, data):
            given = (data.login.decode(), data.password.decode())
            return AuthResult(success=given == ("sweeper", SECRETS["SMTP_PASSWORD"]))

        class Server(Controller):
            def factory(self):
                return SMTP(
                    self.handler,
                    hostname="localhost",
                    tls_context=context,
                    require_starttls=starttls,
                    authenticator=login,
                    auth_required=starttls,
                    auth_require_tls=starttls,
                )

        self.controller = Server(Handler(), hostname="127.0.0.1", port=free_port())
        self.controller.start()
        self.port = self.controller.port

    def take(self):
        mails, self.mails = self.mails, []
        return mails


def free_port():
    import socket

    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


# The same whenever the emulator is started: what was made at another time is another thing.
CREATED = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=100)).strftime("%Y-%m-%dT%H:%M:%SZ")


def org(disks):
    text = f'[[account]]\ncloud = "azure"\nid = "{SUBSCRIPTION}"\nname = "shop"\n'
    for name, owner in disks:
        text += '\n[[resource]]\nkind = "azure.compute-disk"\n'
        text += f'id = "{name}"\ngroup = "shop-rg"\nregion = "westeurope"\ncreated = "{CREATED}"\n'
        if owner:
            text += f"tags = {{ owner = {json.dumps(owner)} }}\n"
    return text


class House:
    """A folder with a config, policies and a state, and the clouds that the emulator serves."""

    def __init__(self, disks, config, severity="ticket", tell=()):
        self.folder = tempfile.mkdtemp(prefix="sweeper-notify-")
        self.emulator = None
        self.serve(disks)
        names = ", ".join(f'"{name}"' for name in tell)
        self.write(
            "policies.toml",
            f'[[policy]]\nname = "disks"\nsweep = "unattached-disk"\nseverity = "{severity}"\n' + (f"tell = [{names}]\n" if tell else ""),
        )
        self.write("sweeper.toml", 'policies = "policies.toml"\nstate = "state.db"\n' + config)
        self.output = ""

    def write(self, name, text):
        pathlib.Path(self.folder, name).write_text(text)

    def serve(self, disks):
        if self.emulator:
            self.emulator.terminate()
            self.emulator.wait()
        self.write("org.toml", org(disks))
        self.emulator = subprocess.Popen(
            [EMULATOR, "--org", os.path.join(self.folder, "org.toml")], stdout=subprocess.PIPE, text=True
        )
        self.url = self.emulator.stdout.readline().strip()

    def run(self, *arguments, without=(), **more):
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {name: value for name, value in SECRETS.items() if name not in without}
        environment |= {"SWEEPER_AZURE_ENDPOINT": self.url, "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "SWEEPER_LOG": "trace"}
        environment |= more
        done = subprocess.run(
            [BIN, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
        )
        self.output += done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def notify(self, *arguments, **more):
        return self.run("notify", "--cloud", "azure", "--measures", "m.prom", *arguments, **more)

    def measured(self, row):
        """Whether the last run that was measured says this."""
        return f"\n{row}\n" in pathlib.Path(self.folder, "m.prom").read_text()

    def end(self, what):
        """No secret is anywhere."""
        self.emulator.terminate()
        self.emulator.wait()
        found = []
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isfile(path) and b"canary" in pathlib.Path(path).read_bytes():
                found.append(name)
        check(f"{what}: no secret is in any file or output", not found and "canary" not in self.output, f"{found}")
        shutil.rmtree(self.folder)


def everywhere(services, mail):
    return f"""
[[channel]]
name = "slack"
by = "slack"
url_env = "SLACK_URL"
reports = true

[[channel]]
name = "teams"
by = "teams"
url_env = "TEAMS_URL"
reports = true

[[channel]]
name = "hook"
by = "webhook"
url = "{services.url}/hook"
secret_env = "HOOK_SECRET"
headers_env = {{ Authorization = "HOOK_AUTH" }}
reports = true

[[channel]]
name = "mail"
by = "smtp"
host = "localhost"
port = {mail.port}
from = "Sweeper <sweeper@example.com>"
user = "sweeper"
password_env = "SMTP_PASSWORD"
ca_file = "{mail.ca}"
to = "finops@example.com"
addresses = {{ team-b = "b@example.com" }}
reports = true

[[channel]]
name = "pd"
by = "pagerduty"
url = "{services.url}/v2/enqueue"
key_env = "PD_KEY"
severity = ["page"]
reports = true

[[channel]]
name = "jira"
by = "jira"
url = "{services.url}"
project = "OPS"
user = "bot@example.com"
token_env = "JIRA_TOKEN"
reports = true

[[channel]]
name = "github"
by = "github"
url = "{services.url}"
repository = "acme/waste"
token_env = "GITHUB_TOKEN"
reports = true

[[channel]]
name = "files"
file = "out"
reports = true
"""


def urls(services):
    return {name: services.url + SECRETS[name] for name in ("SLACK_URL", "TEAMS_URL")}


def test_every_service_is_told(folder):
    services, mail = Services(), Mail(folder)
    disks = [("old-data", "alice@example.com"), ("older-data", "team-b"), (f"lost", None)]
    house = House(disks, everywhere(services, mail), severity="page")
    more = urls(services)
    code, out, err = house.notify("--preview", **more)
    check("a preview shows each form and sends nothing", code == 0 and not services.take() and not mail.take(), err[-2000:])
    for name in ("slack (slack)", "teams (teams)", "mail (smtp)", "pd (pagerduty)", "jira (jira)", "github (github)", "files (file)"):
        check(f"the preview has {name}", f"Channel: {name}" in out, out[-3000:])
    code, out, err = house.notify(**more)
    check("everybody is told", code == 0 and "3 owners told" in err, f"{code} {err[-3000:]}")
    seen = services.take()
    paths = [(method, urllib.parse.urlsplit(path).path) for path, method, *_ in seen]
    for path in (SECRETS["SLACK_URL"], SECRETS["TEAMS_URL"], "/hook", "/v2/enqueue"):
        check(f"one message an owner: {path[:14]}", paths.count(("POST", path)) == 3, str(paths))
    check("three issues of Jira", len(services.jira) == 3 and all(own["status"] == "new" for own in services.jira.values()))
    check("three issues of GitHub", len(services.github) == 3)
    check("three incidents", list(services.pagerduty.values()) == ["trigger"] * 3, str(services.pagerduty))
    mails = {tuple(to): (secret, message) for to, secret, message in mail.take()}
    check("mail goes to the owner, to his address, and where nobody is known",
          set(mails) == {("alice@example.com",), ("b@example.com",), ("finops@example.com",)}, str(set(mails)))
    check("every mail went by TLS", all(secret for secret, _ in mails.values()) and mail.plain == 0)
    message = mails[("alice@example.com",)][1]
    text = message.get_body(("plain",)).get_content()
    page = message.get_body(("html",)).get_content()
    check("a mail has text and HTML, money and how to keep it",
          "old-data" in text and "sweeper keep" in text and "a month" in text and "old-data" in page, text)
    check("a mail says what it is", message["Auto-Submitted"] == "auto-generated" and message["Message-ID"].endswith("@example.com>")
          and "1 resource of yours" in message["Subject"], str(message.items()))
    check("a file an owner", len(os.listdir(os.path.join(house.folder, "out"))) == 3)

    code, _, err = house.notify(**more)
    check("nobody is told again", code == 0 and not services.take() and not mail.take() and "0 owners told" in err, err[-2000:])

    house.serve(disks[1:] + [("new-data", "team-b")])
    code, _, err = house.notify(**more)
    seen = services.take()
    events = [value for path, _, value, *_ in seen if path == "/v2/enqueue"]
    actions = sorted(event["event_action"] for event in events)
    check("what is new is told, and what is gone is closed", code == 0 and actions == ["resolve", "trigger"], f"{code} {actions} {err[-3000:]}")
    check("an incident of Jira's is done", sorted(own["status"] for own in services.jira.values()) == ["done", "new", "new"],
          str([own["status"] for own in services.jira.values()]))
    check("and what is new is a comment on the open one", sorted(len(own["comments"]) for own in services.jira.values()) == [0, 0, 1])
    check("an issue of GitHub's is closed", sorted(own["state"] for own in services.github.values()) == ["closed", "open", "open"])
    check("with a comment on the other", sorted(len(own["comments"]) for own in services.github.values()) == [0, 0, 1])
    check("only the owner of the new one has mail", [to for to, *_ in mail.take()] == [["b@example.com"]])
    house.end("every service")


def test_bad_weather(folder):
    services = Services()
    channel = f'[[channel]]\nname = "hook"\nby = "slack"\nurl_env = "SLACK_URL"\n'
    house = House([("old-data", "alice@example.com")], channel, tell=["hook"])
    more = urls(services)
    code, _, err = house.notify(without=["SLACK_URL"])
    check("a secret that is missing is found before anything is looked at", code == 2 and "SLACK_URL is not set" in err, err)
    services.down["/services/"] = (503, [])
    code, _, err = house.notify(**more)
    check("a webhook that is down: exit 5, tried three times, said", code == 5 and len(services.take()) == 3 and "no grace begins" in err, f"{code} {err[-2000:]}")
    lost = 'sweeper_notices{channel="hook",outcome="undelivered"} 1'
    check("it is measured", house.measured(lost) and house.measured("sweeper_run_exit_code 5"))
    code, _, err = house.notify(**more)
    check("it waits, and is still said by the exit code", code == 5 and not services.take() and "1 notice waits until" in err, f"{code} {err[-2000:]}")
    house.serve([("old-data", "alice@example.com"), ("other-data", "alice@example.com")])
    services.down.clear()
    code, _, err = house.notify("--again", **more)
    seen = services.take()
    text = json.dumps(seen, default=str)
    check("and that it arrived", house.measured('sweeper_notices{channel="hook",outcome="delivered"} 1') and house.measured("sweeper_run_exit_code 0"))
    check("then one message, with all of it", code == 0 and len(seen) == 1 and "old-data" in text and "other-data" in text, f"{code} {err[-2000:]}")
    services.down["/services/"] = (429, [("Retry-After", "1")])
    house.serve([("third-data", "alice@example.com")])
    started = time.monotonic()
    code, _, err = house.notify(**more)
    check("429 is waited for, and not for ever", code == 5 and len(services.take()) == 3 and 2 <= time.monotonic() - started < 60, f"{code} {err[-1000:]}")
    services.down["/services/"] = (403, [])
    code, _, err = house.notify("--again", **more)
    check("what is refused is tried once", code == 5 and len(services.take()) == 1 and "it answered 403" in err, f"{code} {err[-1000:]}")
    services.down["/services/"] = (302, [("Location", services.url + SECRETS["SLACK_URL"])])
    code, _, err = house.notify("--again", **more)
    check("nobody is led elsewhere", code == 5 and len(services.take()) == 1, f"{code} {err[-1000:]}")
    house.end("bad weather")


def test_mail_that_is_refused(folder):
    mail = Mail(folder)
    channel = f"""
[[channel]]
name = "mail"
by = "smtp"
host = "localhost"
port = {mail.port}
from = "sweeper@example.com"
user = "sweeper"
password_env = "SMTP_PASSWORD"
ca_file = "{mail.ca}"
"""
    house = House([("a-data", "alice@example.com"), ("b-data", "bob@example.com"), ("c-data", "carol")], channel, tell=["mail"])
    mail.refuse.add("alice@example.com")
    code, _, err = house.notify()
    sent = [to for to, *_ in mail.take()]
    check("a bounce is undelivered, said, and keeps nobody else from his mail",
          code == 5 and sent == [["bob@example.com"]] and "no such user" in err, f"{code} {sent} {err[-2000:]}")
    measured = pathlib.Path(house.folder, "m.prom").read_text()
    check("both are measured", 'sweeper_notices{channel="mail",outcome="undelivered"} ' in measured and 'sweeper_notices{channel="mail",outcome="delivered"} 1' in measured, measured[-2000:])
    check("an owner without an address is said", "there is no address for carol" in err, err[-2000:])
    mail.refuse.clear()
    code, _, err = house.notify("--again")
    check("then it arrives, and nobody has it twice", [to for to, *_ in mail.take()] == [["alice@example.com"]], err[-2000:])
    house.serve([("e-data", "eve@evil.example")])
    code, _, err = house.notify()
    check("whoever tags a resource has no mail sent elsewhere", code == 5 and not mail.take() and "none of the domains" in err, f"{code} {err[-2000:]}")
    mail.busy = True
    house.serve([("d-data", "dora@example.com")])
    code, _, err = house.notify()
    check("a server that is busy is tried later", code == 5 and "try again later" in err and not mail.take(), f"{code} {err[-2000:]}")
    measured = pathlib.Path(house.folder, "m.prom").read_text()
    check("which is measured", 'sweeper_notices{channel="mail",outcome="undelivered"} ' in measured and house.measured("sweeper_run_exit_code 5"), measured[-2000:])
    code, _, err = house.notify("--again", SMTP_PASSWORD="canary-wrong-password")
    check("a wrong password is refused and not shown", code == 5 and "canary" not in err, err[-2000:])
    house.end("mail")

    plain = Mail(folder, starttls=False)
    house = House([("a-data", "alice@example.com")], f'[[channel]]\nname = "mail"\nby = "smtp"\nhost = "localhost"\nport = {plain.port}\nfrom = "sweeper@example.com"\n', tell=["mail"])
    code, _, err = house.notify()
    check("a server without STARTTLS has no mail", code == 5 and not plain.take(), f"{code} {err[-2000:]}")
    text = pathlib.Path(house.folder, "sweeper.toml").read_text()
    house.write("sweeper.toml", text + 'tls = "none"\n')
    code, _, err = house.notify("--again")
    check("unless the config says so, of this machine", code == 0 and len(plain.take()) == 1, f"{code} {err[-2000:]}")
    house.end("plain mail")


SERVICENOW = """{
  "short_description": {{ (alerts[0].says if alerts else "Cloud waste of " ~ (to or "nobody known")) }},
  "description": {{ text }},
  "urgency": {{ "1" if severity == "page" else "3" }},
  "correlation_id": {{ id }}
}
"""


def test_templates_and_servicenow(folder):
    services, mail = Services(), Mail(folder)
    config = f"""
[[channel]]
name = "snow"
by = "webhook"
url = "{services.url}/api/now/table/incident"
headers_env = {{ Authorization = "SNOW_AUTH" }}
template = "servicenow.json"

[[channel]]
name = "slack"
by = "slack"
url_env = "SLACK_URL"
template = "slack.txt"
"""
    house = House([("old-data", HOSTILE)], "", tell=["snow", "slack"])
    house.write("servicenow.json", SERVICENOW)
    house.write("slack.txt", "{% for item in new %}{{ item.name }} of {{ to }}\n{% endfor %}")
    house.write("sweeper.toml", pathlib.Path(house.folder, "sweeper.toml").read_text() + config)
    code, _, err = house.notify(SNOW_AUTH="Basic Y2FuYXJ5", **urls(services))
    seen = {urllib.parse.urlsplit(path).path: value for path, _, value, *_ in services.take()}
    check("the recipe of ServiceNow is taken", code == 0 and len(seen["/api/now/table/incident"]["correlation_id"]) == 32, f"{code} {err[-2000:]}")
    text = json.dumps(seen[SECRETS["SLACK_URL"]])
    check("a name in a template does nothing", "&lt;!channel&gt;" in text and "<!channel>" not in text, text)
    house.write("slack.txt", "a\n{{ nothing }}\n")
    code, _, err = house.notify("--preview", SNOW_AUTH="x", **urls(services))
    check("a template that is wrong is found at the start, with its line", code == 2 and "slack.txt:2" in err, err)
    house.end("templates")


def test_baseline(folder):
    services = Services()
    config = f"""
[[channel]]
name = "pd"
by = "pagerduty"
url = "{services.url}/v2/enqueue"
key_env = "PD_KEY"
severity = ["page"]

[[channel]]
name = "files"
file = "out"
"""
    house = House([("old-data", "alice@example.com")], config, severity="page", tell=["pd", "files"])
    code, _, err = house.run("baseline", "show")
    check("a baseline needs a state that is there", code == 2 and "no state yet" in err, err)
    house.run("report", "--cloud", "azure")
    code, _, err = house.run("baseline", "set")
    check("a baseline is set", code == 0 and "backlog from now on: 1 finding" in err, err)
    code, out, _ = house.run("baseline", "show")
    check("and shown", code == 0 and "every policy: 2" in out and "1 finding" in out, out)
    time.sleep(1.1)
    house.serve([("old-data", "alice@example.com"), ("new-data", "alice@example.com")])
    code, _, err = house.notify()
    events = json.dumps(services.take(), default=str)
    check("what is backlog pages nobody", code == 0 and "new-data" in events and "old-data" not in events, f"{code} {err[-2000:]}")
    told = "".join(path.read_text() for path in pathlib.Path(house.folder, "out").iterdir())
    check("and is told of nevertheless, after what is new", 0 < told.find("new-data") < told.find("old-data"), told)
    code, _, err = house.run("baseline", "set", "--policy", "diks")
    check("of a policy that is there", code == 2 and "no policy `diks`" in err, err)
    code, _, err = house.run("baseline", "clear")
    check("it can be taken away", code == 0 and "everything counts as new" in err, err)
    house.end("baseline")


def test_from_a_survey(folder):
    services = Services()
    house = House([("old-data", "alice@example.com")], '[[channel]]\nname = "hook"\nby = "slack"\nurl_env = "SLACK_URL"\n', tell=["hook"])
    code, _, err = house.run("survey", "--cloud", "azure", "--output", "survey.json")
    check("a survey is taken", code == 0, err[-1000:])
    for count in (1, 0):
        code, _, err = house.run("notify", "--survey", "survey.json", **urls(services))
        check(f"owners are told from a survey: {count}", code == 0 and len(services.take()) == count, f"{code} {err[-2000:]}")
    house.end("survey")


def main():
    if not BIN or not EMULATOR:
        print("SWEEPER_BIN and SWEEPER_EMULATOR_BIN name the binaries")
        sys.exit(2)
    for test in [own for name, own in globals().items() if name.startswith("test_")]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
            except Exception:
                check(test.__name__, False, traceback.format_exc())
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
