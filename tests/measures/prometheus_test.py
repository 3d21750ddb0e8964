#!/usr/bin/env python3
"""What the sweeper measures, held by those who read it: promtool, a real Prometheus with a real Alertmanager, a
Pushgateway's and an OTLP collector's stand-in.

    python3 tests/measures/prometheus_test.py     needs SWEEPER_BIN and SWEEPER_EMULATOR_BIN, and Debian's prometheus and
                                                  prometheus-alertmanager, which it installs where they are not;
                                                  opentelemetry-proto from PyPI
"""
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from decimal import Decimal

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
deploy = os.path.join(root, "sweeper", "deploy")
prometheus = os.path.join(deploy, "prometheus")
binary = os.environ.get("SWEEPER_BIN") or os.path.join(root, "target", "debug", "sweeper")
passed = failed = 0
started = []


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {str(more)[-1500:]}" if more and not good else ""), flush=True)
    return bool(good)


def end():
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


def skipped(what):
    if os.environ.get("SWEEPER_CI") == "1":
        check(what, False, "it has to be there in CI")
    else:
        print(f"SKIPPED {what}", flush=True)


def sweeper(*arguments, cwd, **environment):
    """A run in a scrubbed environment: code, output, errors, seconds."""
    keep = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    began = time.monotonic()
    done = subprocess.run([binary, *arguments], cwd=cwd, env={**keep, "HOME": cwd, **environment}, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


def promtool(*arguments, stdin=None):
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=300, cwd=prometheus)
    return done.returncode, done.stdout + done.stderr


def installed():
    """Debian's Prometheus and Alertmanager; apt starts none of them."""
    wanted = ["promtool", "prometheus", "prometheus-alertmanager"]
    if all(shutil.which(name) for name in wanted):
        return True
    policy = "/usr/sbin/policy-rc.d"
    own = not os.path.exists(policy)
    try:
        if own:
            with open(policy, "w") as file:
                file.write("#!/bin/sh\nexit 101\n")
            os.chmod(policy, 0o755)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], timeout=300, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "prometheus", "prometheus-alertmanager"], timeout=600, **quiet)
    except (OSError, subprocess.TimeoutExpired):
        pass
    finally:
        if own and os.path.exists(policy):
            os.remove(policy)
    return all(shutil.which(name) for name in wanted)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Sink(http.server.ThreadingHTTPServer):
    """Keeps what it is sent, and answers as it is told to."""

    daemon_threads = True

    def __init__(self, status=200, page=None):
        self.kept, self.status, self.page = [], status, page
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                sink.kept.append((self.command, self.path, dict(self.headers), body))
                page = sink.page() if sink.page and self.command == "GET" else b""
                self.send_response(sink.status)
                self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("content-length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            do_GET = do_PUT = do_POST = answer

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


ROW = re.compile(r"^\| `(sweeper_[a-z_]+)` \| (gauge|counter) \| ([^|]*) \|")
SAMPLE = re.compile(r'^(sweeper_[a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (-?[0-9.]+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def table(text):
    """Names, and the labels of each."""
    rows = [ROW.match(line) for line in text.splitlines()]
    return {row[1]: set(re.findall(r"`([a-z_]+)`", row[3])) for row in rows if row}


def samples(text):
    """What a page says, and what of it is no sample."""
    known, odd = [], []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        found = SAMPLE.match(line)
        if found:
            known.append((found[1], dict(LABEL.findall(found[2] or "")), Decimal(found[3])))
        else:
            odd.append(line)
    return known, odd


def held(what, text, names):
    """A page is what promtool and the table say that it may be."""
    code, said = promtool("check", "metrics", stdin=text)
    check(f"{what}: promtool check metrics", code == 0 and not said.strip(), said)
    known, odd = samples(text)
    check(f"{what}: every line is a sample", known and not odd, odd[:3])
    wrong = [(name, labels) for name, labels, _ in known if names.get(name) != set(labels)]
    check(f"{what}: names and labels are those of the table", not wrong, wrong[:3])
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in known]
    # All of one name stands together, else a scrape takes only the first of it.
    groups = [key[0] for at, key in enumerate(keys) if at == 0 or keys[at - 1][0] != key[0]]
    twice = sorted(key for key in keys if keys.count(key) > 1) + sorted(name for name in groups if groups.count(name) > 1)
    check(f"{what}: nothing is said twice, and what is of one name stands together", not twice, twice[:3])
    return known


# Labels that Prometheus itself, or a rule, puts there.
OUTSIDE = {"instance", "job", "alertname", "severity", "summary"}


def queried(expression):
    """The measures of an expression, each with the labels that it is asked for."""
    found = []
    for name, matchers in re.findall(r"(sweeper_[a-z_]+)(?:\{([^}]*)\})?", expression):
        found.append((name, set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))))
    return found, set(re.findall(r"[a-z_]+", " ".join(re.findall(r"\bby \(([^)]*)\)", expression))))


def unknown(expressions, names):
    wrong = []
    for expression in expressions:
        found, by = queried(expression)
        if not found:
            wrong.append(f"no measure in {expression}")
        for name, labels in found:
            if name not in names:
                wrong.append(f"{name} is not in the table")
            elif labels - names[name] - OUTSIDE:
                wrong.append(f"{name} has no {labels - names[name] - OUTSIDE}")
        known = set().union(*(names.get(name, set()) for name, _ in found)) | OUTSIDE
        if by - known:
            wrong.append(f"{by - known} is no label of {expression}")
    return wrong


def documents(names):
    """Rules, their tests, the runbook and the dashboards go together."""
    with open(os.path.join(prometheus, "rules.yml")) as file:
        rules = file.read()
    with open(os.path.join(prometheus, "rules_test.yml")) as file:
        tests = file.read()
    with open(os.path.join(prometheus, "RUNBOOK.md")) as file:
        anchors = {heading.strip().lower() for heading in re.findall(r"^## (.*)$", file.read(), re.M)}
    code, said = promtool("check", "rules", "rules.yml")
    check("promtool check rules", code == 0 and "SUCCESS" in said, said)
    code, said = promtool("test", "rules", "rules_test.yml")
    check("promtool test rules", code == 0 and "SUCCESS" in said, said)
    with tempfile.TemporaryDirectory() as place:
        # The tests can fail: with a threshold moved, and with a rule that is no PromQL.
        for what, old, new in [("a threshold", "sweeper_growth_ratio > 0.05", "sweeper_growth_ratio > 0.5"), ("a window", 'window="1d"} > 7', 'window="1d"} > 99')]:
            check(f"{what} is in the rules", old in rules)
            for name, text in [("rules.yml", rules.replace(old, new)), ("rules_test.yml", tests)]:
                with open(os.path.join(place, name), "w") as file:
                    file.write(text)
            code, _ = promtool("test", "rules", os.path.join(place, "rules_test.yml"))
            check(f"{what} that moved is noticed", code != 0)
    alerts = re.findall(r"- alert: (\w+)", rules)
    expressions = []
    for block in rules.split("- alert:")[1:]:
        expressions.append(re.search(r"expr:\s*(?:>-\n)?(.*?)\n\s+(?:for|labels):", block, re.S)[1])
    check("every alert has an expression", len(expressions) == len(alerts) > 10, len(alerts))
    check("what the rules ask for is measured", not unknown(expressions, names), unknown(expressions, names))
    check("every alert is tested where it fires", all(re.search(rf"alertname: {alert}\n\s+exp_alerts:\n\s+- ", tests) for alert in alerts), alerts)
    links = re.findall(r"runbook_url: RUNBOOK\.md#(\w+)", rules)
    # Both ways of burning have one chapter.
    check("every alert has a chapter of the runbook", len(links) == len(alerts) and set(links) == anchors, set(links) ^ anchors)
    check("severities are those that are routed", set(re.findall(r"severity: (\w+)", rules)) == {"page", "ticket"})
    asked = []
    for name in ["executive", "on-call", "debug"]:
        with open(os.path.join(deploy, "grafana", f"{name}.json")) as file:
            board = json.load(file)
        panels = board["panels"]
        own = [target["expr"] for panel in panels for target in panel["targets"]]
        asked += own
        check(f"dashboard {name}: what it asks for is measured", not unknown(own, names), unknown(own, names))
        cells = [(x, y) for panel in panels for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]) for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])]
        check(f"dashboard {name}: panels have ids and places of their own", len({panel["id"] for panel in panels}) == len(panels) and len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24)
        legends = {label for panel in panels for target in panel["targets"] for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])}
        check(f"dashboard {name}: legends are labels", legends <= set().union(*names.values()) | OUTSIDE, legends)
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # As recording rules, so that promtool reads every expression.
        recorded = [{"record": f"dashboard:query:{at}", "expr": expression.replace("$instance", ".*")} for at, expression in enumerate(asked)]
        json.dump({"groups": [{"name": "dashboards", "rules": recorded}]}, file)
        file.flush()
        code, said = promtool("check", "rules", file.name)
        check(f"{len(asked)} expressions of dashboards are PromQL", code == 0, said)
    unused = set(names) - {name for expression in asked + expressions for name, _ in queried(expression)[0]}
    allowed = {"sweeper_slo_limit", "sweeper_slo_spent", "sweeper_decided_resources"}
    check("every measure is looked at somewhere", unused <= allowed, unused - allowed)


def has_clouds(place):
    code, _, err, _ = sweeper("demo", "--format", "json", "--output", "probe.json", cwd=place)
    return code in (0, 3), err


def real_output(place, names):
    """What a run of the demo measures, against what its report says."""
    code, _, err, _ = sweeper("demo", "--measures", "m.prom", "--format", "json", "--output", "report.json", cwd=place)
    if not check("the demo is measured", code in (0, 3) and os.path.exists(os.path.join(place, "m.prom")), err):
        return
    with open(os.path.join(place, "m.prom")) as file:
        text = file.read()
    with open(os.path.join(place, "report.json")) as file:
        report = json.load(file)
    known = held("the demo", text, names)
    total = lambda name: sum(value for own, _, value in known if own == name)
    totals = report["totals"]
    check("firm waste is that of the report, to the last digit", total("sweeper_waste_firm_monthly_dollars") == Decimal(totals["firm"]), (total("sweeper_waste_firm_monthly_dollars"), totals["firm"]))
    check("upper bounds are those of the report", total("sweeper_waste_up_to_monthly_dollars") == Decimal(totals["up_to"]), totals["up_to"])
    check("what is unpriced is that of the report", total("sweeper_unpriced_resources") == totals["unpriced"])
    check("findings are those of the report", total("sweeper_findings") == len(report["findings"]))
    check("listings are those of the report", total("sweeper_listings") == len(report["coverage"]))
    check("calls are those of the report", total("sweeper_run_api_calls") == report["run"]["cost"]["calls"])
    check("the exit code is that of the run", total("sweeper_run_exit_code") == code)
    owners = {labels["owner"] for name, labels, _ in known if name == "sweeper_orphans"}
    check("owners are bounded", 1 < len(owners) <= 53, len(owners))
    check("the process is measured", total("sweeper_process_resident_bytes") > 1_000_000 and total("sweeper_process_open_descriptors") > 0)
    mode = os.stat(os.path.join(place, "m.prom")).st_mode & 0o777
    check("the exporter may read the file", mode == 0o644, oct(mode))
    check("nothing is left beside it", not [name for name in os.listdir(place) if name.startswith(".m.prom")])


def handed_over(place, names):
    """Pushgateway, OTLP and the file, of a run that cannot look: what is wrong is measured as well."""
    gateway, collector = Sink(), Sink()
    config = f'deployment = "prod-eu"\n[measures]\ntextfile = "failed.prom"\npush = "{gateway.url}"\ntimeout = "5s"\n'
    with open(os.path.join(place, "sweeper.toml"), "w") as file:
        file.write(config)
    arguments = ["report", "--state", "memory:", "--policies", "no-such-directory"]
    otlp = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url + "/",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cr%65t",
        "OTEL_SERVICE_NAME": "nightly",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod",
    }
    code, _, err, _ = sweeper(*arguments, cwd=place, **otlp)
    check("a run that cannot look says so", code == 2 and "no-such-directory" in err, err)
    with open(os.path.join(place, "failed.prom")) as file:
        text = file.read()
    held("a failed run", text, names)
    check("its exit code is measured", "sweeper_run_exit_code 2\n" in text, text)
    puts = [(method, path) for method, path, _, _ in gateway.kept]
    check("the Pushgateway has a group of the deployment", puts == [("PUT", "/metrics/job/sweeper/instance/prod-eu")], puts)
    check("and the same page", gateway.kept and gateway.kept[0][3].decode() == text)
    paths = sorted(path for _, path, _, _ in collector.kept)
    check("OTLP has measures and a span", paths == ["/v1/metrics", "/v1/traces"], paths)
    heads = [{name.lower(): value for name, value in headers.items()} for _, _, headers, _ in collector.kept]
    check("with the headers of the environment", all(head.get("api-key") == "s3cret" and head["content-type"] == "application/x-protobuf" for head in heads), heads)
    check("which no log has", "s3cret" not in err and "s3cr%65t" not in err)
    decoded(collector, names)

    # What cannot be handed over is a warning, and changes nothing.
    plain = sweeper(*arguments, cwd=place, OTEL_SDK_DISABLED="true")
    gone = f"http://127.0.0.1:{free_port()}"
    gateway.status = 500
    code, out, err, took = sweeper(*arguments, cwd=place, OTEL_EXPORTER_OTLP_ENDPOINT=gone)
    check("a Pushgateway that fails changes nothing", (code, out) == plain[:2] and "the measures are not in the Pushgateway: it answered 500" in err, err)
    check("nor does a collector that is away", "the measures are not where OTLP goes" in err, err)
    # One that takes the connection and never answers.
    silent = socket.create_server(("127.0.0.1", 0))
    with open(os.path.join(place, "sweeper.toml"), "w") as file:
        file.write(config.replace(gateway.url, f"http://127.0.0.1:{silent.getsockname()[1]}").replace('"5s"', '"2s"'))
    code, out, err, took = sweeper(*arguments, cwd=place)
    check("one that never answers is not waited for", (code, out) == plain[:2] and "no answer in 2s" in err and took < 60, f"{took:.1f} s: {err}")
    code, _, err, _ = sweeper(*arguments, cwd=place, OTEL_EXPORTER_OTLP_ENDPOINT=gone, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    check("what is not spoken is said", code == 2 and "only `http/protobuf` is spoken" in err, err)
    code, _, err, _ = sweeper("report", "--measures", "no/such/place.prom", cwd=place)
    check("a file that cannot be written is an error before the look", code == 2 and "failed to write the measures to no/such/place.prom" in err, err)
    with open(os.path.join(place, "sweeper.toml"), "w") as file:
        file.write("[measures]\npsuh = 'x'\n")
    code, _, err, _ = sweeper("report", cwd=place)
    check("a key that is misspelt has its place and a suggestion", code == 2 and "sweeper.toml:2:1" in err and "did you mean `push`?" in err, err)
    os.remove(os.path.join(place, "sweeper.toml"))


def decoded(collector, names):
    try:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        skipped("decoding OTLP: opentelemetry-proto is not there")
        return
    bodies = {path: body for _, path, _, body in collector.kept}
    request = ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"])
    resource = {pair.key: pair.value.string_value for pair in request.resource_metrics[0].resource.attributes}
    check("OTLP: the resource is that of the environment", (resource.get("service.name"), resource.get("deployment.environment")) == ("nightly", "prod"), resource)
    metrics = {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}
    check("OTLP: names are those of the table", metrics and set(metrics) <= set(names), set(metrics) - set(names))
    check("OTLP: values are there", metrics["sweeper_run_exit_code"].gauge.data_points[0].as_int == 2)
    spans = ExportTraceServiceRequest.FromString(bodies["/v1/traces"]).resource_spans[0].scope_spans[0].spans
    check("OTLP: the run is a span", len(spans) == 1 and spans[0].name == "sweeper report" and len(spans[0].trace_id) == 16 and spans[0].status.code == 2)


def start(arguments, place, name):
    with open(os.path.join(place, f"{name}.log"), "w") as file:
        process = subprocess.Popen(arguments, cwd=place, stdout=file, stderr=subprocess.STDOUT)
    started.append(process)
    return process


def until(what, good, seconds=120):
    """Waits for something, at most so long."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        try:
            if good():
                return check(what, True)
        except OSError:
            pass
        time.sleep(0.2)
    return check(what, False, f"not within {seconds} s")


def fetched(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


BLIND = 'sweeper_blind_scopes{cloud="aws"} 3\nsweeper_run_finished_timestamp_seconds %d\n'
ORG = """
[[account]]
id = "111122223333"
name = "shop"
regions = ["us-east-1", "eu-west-1"]
[[resource]]
kind = "aws.ec2-volume"
account = "111122223333"
id = "vol-0a"
created = "-100d"
tags = { owner = "team-a" }
"""
POLICY = '[[policy]]\nname = "disks"\nsweep = "unattached-disk"\n'


class Daemon:
    """A daemon that runs every few seconds, and the weather around it."""

    def __init__(self, place, able):
        self.place, self.able, self.port = place, able, free_port()
        environment = {"PATH": os.environ["PATH"], "HOME": place, "AWS_EC2_METADATA_DISABLED": "true"}
        if able:
            self.emulator = emulator(place)
            environment |= {"AWS_ENDPOINT_URL": self.emulator, "AWS_ACCESS_KEY_ID": "AKIA111122223333X", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1"}
        for directory in ["rules", "kept"]:
            os.mkdir(os.path.join(place, directory))
        self.write("rules/a.toml", POLICY)
        self.write("daemon.toml", f'state = "kept/state.db"\npolicies = "rules"\n[daemon]\nlisten = "{self.address}"\n'
                   '[[schedule]]\nname = "often"\ncron = "*/3 * * * * *"\noutput = "reports"\n')
        with open(os.path.join(place, "daemon.log"), "w") as file:
            self.process = subprocess.Popen([binary, "daemon", "--config", "daemon.toml"], cwd=place, env=environment, stdout=file, stderr=file)
        started.append(self.process)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def write(self, name, text):
        path = os.path.join(self.place, name)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)

    def page(self):
        return fetched(f"http://{self.address}/metrics").decode()

    def said(self):
        with open(os.path.join(self.place, "daemon.log")) as file:
            return file.read()

    def ended(self):
        """How many runs have ended, by exit code."""
        codes = re.findall(r"often ended with (\d+) after", self.said())
        return {code: codes.count(code) for code in codes}

    def cycles(self, more):
        """Waits for so many runs more."""
        wanted = sum(self.ended().values()) + more
        until(f"{more} cycles more", lambda: sum(self.ended().values()) >= wanted)

    def deny(self, faults):
        urllib.request.urlopen(f"{self.emulator}/__emulator/faults", json.dumps(faults).encode(), timeout=10).read()

    def lose(self, is_lost):
        """The state, as on a disk that is not mounted."""
        kept, away = os.path.join(self.place, "kept"), os.path.join(self.place, "away")
        if is_lost:
            os.rename(kept, away)
            self.write("kept", "a file, and no directory")
        else:
            os.remove(kept)
            os.rename(away, kept)


def emulator(place):
    """The address of the clouds, served on this machine."""
    program = os.environ.get("SWEEPER_EMULATOR_BIN") or os.path.join(os.path.dirname(binary), "sweeper-emulator")
    with open(os.path.join(place, "org.toml"), "w") as file:
        file.write(ORG)
    process = subprocess.Popen([program, "--org", "org.toml"], cwd=place, stdout=subprocess.PIPE, text=True)
    started.append(process)
    return process.stdout.readline().strip()


class Watching:
    """A real Prometheus that scrapes, and a real Alertmanager that tells a webhook."""

    def __init__(self, place, targets):
        self.webhook, self.own, manager = Sink(), free_port(), free_port()
        with open(os.path.join(prometheus, "rules.yml")) as file:
            rules = re.sub(r"for: \w+", "for: 1s", file.read())
        for name, text in [
            ("rules.yml", rules),
            ("prometheus.yml", json.dumps({
                "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
                "scrape_configs": [{"job_name": "sweeper", "static_configs": [{"targets": targets}]}],
            })),
            ("alertmanager.yml", json.dumps({
                "route": {"receiver": "hook", "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h", "group_by": ["alertname"]},
                "receivers": [{"name": "hook", "webhook_configs": [{"url": self.webhook.url + "/alerts", "send_resolved": True}]}],
            })),
        ]:
            with open(os.path.join(place, name), "w") as file:
                file.write(text)
        start(["prometheus-alertmanager", "--config.file=alertmanager.yml", f"--storage.path={place}/am", f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="], place, "alertmanager")
        start(["prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={place}/tsdb", f"--web.listen-address=127.0.0.1:{self.own}"], place, "prometheus")
        until("Prometheus is ready", lambda: fetched(f"http://127.0.0.1:{self.own}/-/ready"))
        until("Alertmanager is ready", lambda: fetched(f"http://127.0.0.1:{manager}/-/ready"))
        until(f"{len(targets)} targets are scraped", lambda: sorted(one["value"][1] for one in self.asked("up")) == ["1"] * len(targets))

    def asked(self, expression):
        query = urllib.parse.urlencode({"query": expression})
        return json.loads(fetched(f"http://127.0.0.1:{self.own}/api/v1/query?{query}"))["data"]["result"]

    def value(self, expression):
        return [one["value"][1] for one in self.asked(expression)]

    def told(self, instance, status, after=0):
        """What the webhook was told of an instance, by the name of the alert."""
        found = {}
        for _, path, _, body in list(self.webhook.kept)[after:]:
            for alert in json.loads(body)["alerts"] if path == "/alerts" else []:
                if alert["status"] == status and alert["labels"].get("instance") == instance:
                    found[alert["labels"]["alertname"]] = alert
        return found

    def fires(self, alert, instance):
        """Waits until the webhook is told of it, and returns what it says."""
        until(f"{alert} reaches the webhook", lambda: alert in self.told(instance, "firing"))
        return self.told(instance, "firing").get(alert, {"labels": {}, "annotations": {}})

    def resolves(self, alert, instance):
        until(f"{alert} ends, and the webhook is told", lambda: alert in self.told(instance, "resolved"))


def ten_cycles(place, names, able):
    """A daemon through ten cycles and more: healthy, half blind, with policies that broke at three in the morning, without
    its state, and healthy again."""
    daemon = Daemon(place, able)
    until("the daemon answers", daemon.page)
    state = {"text": BLIND % time.time()}
    page = Sink(page=lambda: state["text"].encode())
    own, served = daemon.address, page.url.removeprefix("http://")
    watching = Watching(place, [own] if able else [own, served])
    began = time.time()

    daemon.cycles(3)
    good = "0" if able else "2"
    check("a healthy run ends as it should", set(daemon.ended()) == {good}, daemon.said())
    held("the daemon", daemon.page(), names)

    if able:
        daemon.deny([{"kind": "denied", "action": "DescribeVolumes"}])
        blind, scopes = own, 2
    else:
        print("        this build has no clouds: a page stands in for one of them that denies something", flush=True)
        blind, scopes = served, 3
    alert = watching.fires("SweeperBlind", blind)
    check("it says what is wrong", alert["annotations"].get("summary") == f"{scopes} scopes of aws are not seen, and no waiver accepts it" and alert["labels"].get("severity") == "ticket", alert)
    check("and where to read on", alert["annotations"].get("runbook_url") == "RUNBOOK.md#sweeperblind")
    if able:
        check("a run that is half blind ends with 3", "3" in daemon.ended(), daemon.said())
        daemon.deny([])
    else:
        state["text"] = BLIND.replace("} 3", "} 0") % time.time()
    watching.resolves("SweeperBlind", blind)

    # Somebody merges half a policy while nobody looks.
    digest = watching.asked("sweeper_policies_info")[0]["metric"]["digest"]
    daemon.write("rules/a.toml", POLICY + '[[policy]]\nname = "half\n')
    watching.fires("SweeperReloadRefused", own)
    check("it is said where the policies are wrong", "refused, 1 policy of rules" in daemon.said() and "rules/a.toml:5:" in daemon.said(), daemon.said())
    daemon.cycles(2)
    check("the measure says so", watching.value("sweeper_policies_reload_failed") == ["1"])
    check("and that they were refused once", watching.value('sweeper_daemon_reloads_total{outcome="refused"}') == ["1"])
    info = watching.asked("sweeper_policies_info")
    check("the old ones are in force", [one["metric"]["digest"] for one in info] == [digest], info)
    daemon.write("rules/a.toml", POLICY)
    watching.resolves("SweeperReloadRefused", own)

    daemon.lose(True)
    watching.fires("SweeperStateUnreachable", own)
    daemon.cycles(2)
    check("runs come without a state, and say what that means", "often runs, and another daemon may run it too" in daemon.said(), daemon.said())
    check("the measure says so", watching.value("sweeper_state_reachable") == ["0"])
    daemon.lose(False)
    watching.resolves("SweeperStateUnreachable", own)

    daemon.cycles(max(2, 10 - sum(daemon.ended().values())))
    check("ten cycles and more", sum(daemon.ended().values()) >= 10, daemon.ended())

    def counted():
        """Prometheus has every run; none has ended while it was asked."""
        before = daemon.ended()
        known = {one["metric"]["exit"]: int(one["value"][1]) for one in watching.asked('sweeper_daemon_runs_total{schedule="often"}')}
        return before == known == daemon.ended()

    until("Prometheus counts the cycles, by exit code", counted)
    check("the last of them went well", watching.value("sweeper_run_exit_code") == [good], watching.value("sweeper_run_exit_code"))
    check("it is one daemon all the time", watching.value(f'max(resets(sweeper_daemon_runs_total[{int(time.time() - began)}s]))') == ["0"])
    times = [(float(at), value) for one in watching.asked(f'up{{instance="{own}"}}[{int(time.time() - began)}s]') for at, value in one["values"]]
    gaps = [after[0] - before[0] for before, after in zip(times, times[1:]) if after[0] - before[0] > 3]
    check("it was up, whenever it was asked", len(times) > 20 and all(value == "1" for _, value in times) and not gaps, (len(times), gaps))
    ended = {"SweeperReloadRefused", "SweeperStateUnreachable"} | ({"SweeperBlind"} if able else set())
    # Without a cloud no run can look, from first to last.
    fired = ended if able else ended | {"SweeperRunFailed"}
    check("nothing else was told of", set(watching.told(own, "firing")) == fired, watching.told(own, "firing"))
    check("and all of it has ended", set(watching.told(own, "resolved")) == ended, watching.told(own, "resolved"))
    print(f"        {sum(daemon.ended().values())} cycles in {time.time() - began:.0f} s", flush=True)


def main():
    if not os.access(binary, os.X_OK):
        check("SWEEPER_BIN names the binary", False, binary)
        end()
    if not installed():
        skipped("all of it: prometheus and prometheus-alertmanager cannot be had")
        end()
    with tempfile.TemporaryDirectory() as place:
        code, written, err, _ = sweeper("schema", "measures", cwd=place)
        with open(os.path.join(prometheus, "METRICS.md")) as file:
            check("METRICS.md is what `sweeper schema measures` writes", code == 0 and file.read() == written, err)
        names = table(written)
        check("the table is read", len(names) > 40 and names["sweeper_orphans"] == {"owner", "class"}, len(names))
        documents(names)
        able, why = has_clouds(place)
        if able:
            real_output(place, names)
        else:
            skipped(f"what a run measures: this build has no cloud of the demo: {why.strip().splitlines()[-1:]}")
        handed_over(place, names)
        ten_cycles(place, names, able)
        end()


if __name__ == "__main__":
    try:
        main()
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
