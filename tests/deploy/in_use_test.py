#!/usr/bin/env python3
"""What a cluster uses, from outside: the binary as the CronJob starts it, against a fake of the Kubernetes API on this
machine, and its file in a bucket.

    python3 tests/deploy/in_use_test.py    needs the packages of requirements.txt, and SWEEPER_BIN

Ends with "N passed, M failed".
"""
import http.server
import json
import signal
import ssl
import subprocess
import threading
import time
import urllib.parse

import trustme
import yaml

from place import BINARY, BUCKET, ROOT, Place, check, end

CANARY = "hunter2-CANARY"
TOKEN = "token-CANARY"
DIGEST = "sha256:" + "0123456789abcdef" * 4
REGISTRY = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
HOSTILE = "\x1b[2J\u202e<script>"


def pod(number, image=None, image_id=""):
    image = image or f"{REGISTRY}/web:v{number}"
    return {"metadata": {"name": CANARY, "annotations": {"a": CANARY}, "labels": {"a": HOSTILE}},
            "spec": {"containers": [{"name": "c", "image": image, "env": [{"name": "PASSWORD", "value": CANARY}], "command": [CANARY]}],
                     "volumes": [{"secret": {"secretName": CANARY}}]},
            "status": {"containerStatuses": [{"image": image, "imageID": image_id}]}}


def volume(handle):
    return {"metadata": {"name": CANARY}, "spec": {"csi": {"driver": "x", "volumeHandle": handle, "volumeAttributes": {"p": CANARY}}}}


def template(image):
    return {"template": {"spec": {"containers": [{"image": image, "env": [{"value": CANARY}]}]}}}


class Cluster:
    """The lists that the command asks for. `trouble` is asked before each answer: a status, a number of seconds to hang,
    bytes to send instead, or nothing."""

    def __init__(self, tls=None):
        self.lists = {
            "/api/v1/pods": ("PodList", [pod(number, image_id=f"{REGISTRY}/web@{DIGEST}") for number in range(600)]),
            "/api/v1/persistentvolumes": ("PersistentVolumeList", [volume("vol-0a1"), volume("projects/p/zones/z/disks/d"), volume("nfs")]),
            "/apis/apps/v1/deployments": ("DeploymentList", [{"spec": template("scaled-to-nothing:v1")}]),
            "/apis/apps/v1/statefulsets": ("StatefulSetList", None),
            "/apis/apps/v1/daemonsets": ("DaemonSetList", []),
            "/apis/batch/v1/cronjobs": ("CronJobList", [{"spec": {"jobTemplate": {"spec": template("monthly:v1")}}}]),
        }
        self.asked, self.trouble, self.loops = [], lambda path, query, times: None, False
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                cluster.asked.append((url.path, query, self.headers["Authorization"], self.headers["Host"]))
                times = sum(1 for path, *_ in cluster.asked if path == url.path)
                trouble = cluster.trouble(url.path, query, times)
                if isinstance(trouble, float):
                    time.sleep(trouble)
                    self.close_connection = True
                    return
                if isinstance(trouble, bytes):
                    return self.send(200, trouble)
                if isinstance(trouble, int):
                    return self.send(trouble, json.dumps({"kind": "Status", "message": CANARY + HOSTILE}).encode())
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    return self.send(401, b"{}")
                if url.path not in cluster.lists:
                    return self.send(404, b"404 page not found")
                kind, items = cluster.lists[url.path]
                start, size = int(query.get("continue", "0")), int(query["limit"])
                meta = {"resourceVersion": "1"}
                if items is not None and start + size < len(items) or cluster.loops:
                    meta["continue"] = "0" if cluster.loops else str(start + size)
                body = {"kind": kind, "apiVersion": "v1", "metadata": meta, "items": items and items[start:start + size]}
                self.send(200, json.dumps(body).encode())

            def send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.configure_cert(context)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def paths(self):
        return sorted({path for path, *_ in self.asked})


def ran(place, arguments, env=None, text=None, **more):
    """With nothing of this machine, and all that logs can say."""
    env = {"SWEEPER_LOG": "trace", **(env or {})}
    done = subprocess.run([BINARY, "in-use", *arguments], env=env, input=text, capture_output=True, text=True, cwd=place.path, timeout=120, **more)
    everything = done.stdout + done.stderr
    if CANARY in everything or TOKEN in everything or "\x1b" in everything or "\u202e" in everything:
        check("nothing secret or hostile is said", False, everything)
    return done


def said(done, code, *texts):
    return done.returncode == code and all(text in done.stderr for text in texts)


def lists(place):
    """Of files and the standard input, as from kubectl, Nomad or a CMDB."""
    of = lambda *items, **meta: json.dumps({"kind": "List", "metadata": meta, "items": [{"kind": kind, **item} for kind, item in items]})
    place.file("pods.json", of(("Pod", pod(1, image_id=f"docker-pullable://{REGISTRY}/web@{DIGEST}")), ("PersistentVolume", volume("vol-0a2"))))
    place.file("cmdb.txt", "# exported\nvol-0a3\narn:aws:ec2:eu-west-1:111111111111:snapshot/snap-1   # of a disk\n")
    done = ran(place, ["--name", "prod", "pods.json", "cmdb.txt", "-"], text="eipalloc-1\n")
    document = json.loads(done.stdout)
    check("lists of all forms become one file", done.returncode == 0 and document["items"] == sorted([
        f"{REGISTRY}/web:v1", f"{REGISTRY}/web@{DIGEST}", "vol-0a2", "vol-0a3", "eipalloc-1", "arn:aws:ec2:eu-west-1:111111111111:snapshot/snap-1"]), done)
    check("it says what it is", (document["format"], document["source"], document["covers"], document["complete"]) == ("sweeper.in-use/1", "prod", ["kubernetes"], True), document)
    done = ran(place, ["--name", "cmdb", "--covers", "cmdb", "--out", "in-use.json", "cmdb.txt"])
    kept = json.loads((place.path / "in-use.json").read_text())
    check("a plain list covers what it is told to", done.returncode == 0 and done.stdout == "" and kept["covers"] == ["cmdb"] and len(kept["items"]) == 2, done)
    check("the file is its owner's", (place.path / "in-use.json").stat().st_mode & 0o777 == 0o600)
    place.file("cut.json", of(("Pod", pod(1)), **{"continue": "abc"}))
    place.file("half.json", of(("Pod", pod(1)))[:-9])
    place.file("odd.txt", "vol-1\nnot an id\n")
    place.file("empty.txt", "\n")
    names = sorted(path.name for path in place.path.iterdir())
    for name, text in [("cut.json", "cut off"), ("half.json", "it is cut short here"), ("odd.txt", "odd.txt:2:1: this is no id"),
                       ("empty.txt", "it is empty"), ("none.json", "it is not there")]:
        done = ran(place, ["--name", "prod", "--out", "new.json", "pods.json", name])
        check(f"{name} leaves no file", said(done, 2, text, "no file was written", "--keep-going") and names == sorted(path.name for path in place.path.iterdir()), done)
        done = ran(place, ["--name", "prod", "--keep-going", "pods.json", name])
        check(f"{name} with --keep-going is incomplete", said(done, 3, text) and json.loads(done.stdout)["complete"] is False, done)
    for arguments, text in [(["--name", "x"], "<LIST>"), (["cmdb.txt"], "--name"), (["--name", "a\x1bb", "cmdb.txt"], "--name is"),
                            (["--name", "x", "--out", "s3://b", "cmdb.txt"], "names no object"), (["--name", "x", "-", "-"], "only once"),
                            (["--name", "x", "--api", "http://127.0.0.1:1", "cmdb.txt"], "--cluster")]:
        check(f"{arguments} is refused", said(ran(place, arguments), 2, text))


def cluster(place):
    account = place.path / "account"
    account.mkdir()
    (account / "token").write_text(TOKEN + "\n")
    (account / "ca.crt").write_text("")
    ask = lambda cluster, *more, **env: ran(place, ["--cluster", "--name", "prod", "--api", cluster.url, "--service-account", str(account), "--timeout", "2", *more], env)
    api = Cluster()
    done = ask(api)
    document = json.loads(done.stdout)
    tags = [f"{REGISTRY}/web:v{number}" for number in range(600)]
    wanted = sorted(tags + [f"{REGISTRY}/web@{DIGEST}", "vol-0a1", "projects/p/zones/z/disks/d", "scaled-to-nothing:v1", "monthly:v1"])
    check("every page of every list is read", done.returncode == 0 and document["items"] == wanted, done.stderr)
    check("it covers Kubernetes and is whole", document["covers"] == ["kubernetes"] and document["complete"] is True)
    check("what no cloud has is counted", "605 ids in use; left out: 1 volume of no cloud" in done.stderr, done.stderr)
    check("pages are of a size, and follow each other", [query for path, query, *_ in api.asked if path == "/api/v1/pods"] ==
          [{"limit": "250"}, {"limit": "250", "continue": "250"}, {"limit": "250", "continue": "500"}], api.asked)
    role()
    granted = granted_paths()
    check("the shipped role grants just what is asked for", set(api.paths()) == granted, (api.paths(), granted))

    for name, status, code, text in [("may not", 403, 2, "this identity may not list it"), ("is not known", 401, 2, "may not list it"),
                                     ("is not served", 404, 3, "it answered 404"), ("is moved", 302, 3, "it answered 302")]:
        api = Cluster()
        api.trouble = lambda path, query, times: status if path == "/api/v1/persistentvolumes" else None
        done = ask(api, "--out", "none.json")
        check(f"who {name} leaves no file", said(done, code, "api/v1/persistentvolumes", text) and not (place.path / "none.json").exists(), done)
        check(f"who {name} and asks to go on leaves an incomplete one", (lambda done: done.returncode == 3 and json.loads(done.stdout)["complete"] is False)(ask(api, "--keep-going")))
    check("a missing right is said with its remedy", "ClusterRole" in ask(refusing(403)).stderr)

    api = Cluster()
    api.trouble = lambda path, query, times: 503 if times == 1 else 429 if times == 2 else None
    check("what passes is waited for", ask(api).returncode == 0)
    api = Cluster()
    api.trouble = lambda path, query, times: 410 if query.get("continue") == "250" and times == 2 else None
    done = ask(api)
    check("a list that was forgotten on the way is begun anew", done.returncode == 0 and json.loads(done.stdout)["items"] == wanted, done)
    api.trouble = lambda path, query, times: 410 if "continue" in query else None
    check("but not for ever", said(ask(api), 3, "it answered 410"))
    api = Cluster()
    api.loops = True
    check("pages that do not end are told", said(ask(api), 3, "its pages do not end"))
    for what, body in [("half a page", b'{"kind":"PodList","metadata":{},"items":[{"spec"'), ("a page of another list", b'{"kind":"SecretList","metadata":{},"items":[]}'),
                       ("a page of a proxy", b"<html>sign in</html>"), ("nothing", b"")]:
        api = Cluster()
        api.trouble = lambda path, query, times: body if path == "/api/v1/pods" else None
        check(f"{what} is no list", said(ask(api), 3, "api/v1/pods: it is"))
    api = Cluster()
    api.trouble = lambda path, query, times: 30.0
    began = time.monotonic()
    done = ran(place, ["--cluster", "--name", "prod", "--api", api.url, "--service-account", str(account), "--timeout", "1"])
    check("an API that hangs is given up", said(done, 3, "did not answer in time", "no file was written") and time.monotonic() - began < 30, done)
    process = subprocess.Popen([BINARY, "in-use", "--cluster", "--name", "p", "--api", api.url, "--service-account", str(account)], env={}, stderr=subprocess.PIPE)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    check("it can be stopped", process.wait(timeout=10) == 130)
    check("an API that is gone is told", said(ran(place, ["--cluster", "--name", "p", "--api", "http://127.0.0.1:9", "--service-account", str(account)]), 3, "unreachable"))
    check("outside a pod it says so", said(ran(place, ["--cluster", "--name", "p"]), 2, "this is no pod", "kubectl get pods"))
    check("plain http goes nowhere else", said(ran(place, ["--cluster", "--name", "p", "--api", "http://192.0.2.1/", "--service-account", str(account)]), 2, "this machine only"))
    check("a token is needed", said(ran(place, ["--cluster", "--name", "p", "--api", api.url, "--service-account", "."]), 2, "token"))
    hostile = Cluster()
    hostile.lists["/api/v1/pods"] = ("PodList", [pod(1, image=HOSTILE), pod(2, image="a b"), pod(3, image="x" * 5000), pod(4)])
    hostile.lists["/api/v1/persistentvolumes"] = ("PersistentVolumeList", [volume("vol-1" + HOSTILE)])
    done = ask(hostile)
    check("hostile names are left out", done.returncode == 0 and set(json.loads(done.stdout)["items"]) == {f"{REGISTRY}/web:v4", "scaled-to-nothing:v1", "monthly:v1"}, done)
    tls(place, account, wanted)


def refusing(status):
    api = Cluster()
    api.trouble = lambda *_: status
    return api


def tls(place, account, wanted):
    """As in a pod: by the address in the environment, and by the cluster's own certificate; the file goes into a bucket."""
    authority = trustme.CA()
    api = Cluster(authority.issue_cert("127.0.0.1"))
    authority.cert_pem.write_to_path(account / "ca.crt")
    here = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}
    bucket = {"AWS_ACCESS_KEY_ID": "AKIA111111111111X", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": place.bucket_url}
    arguments = ["--cluster", "--name", "CLUSTER", "--service-account", str(account), "--timeout", "5"]
    done = ran(place, [*arguments, "--out", f"s3://{BUCKET}/in-use/CLUSTER.json"], {**here, **bucket})
    body = place.s3.get_object(Bucket=BUCKET, Key="in-use/CLUSTER.json")["Body"].read() if done.returncode == 0 else b"{}"
    check("the file is in the bucket", json.loads(body).get("items") == wanted, done)
    done = ran(place, [*arguments, "--out", "s3://not-there/in-use.json"], {**here, **bucket})
    check("a bucket that is not there is told", said(done, 2, "failed to write s3://not-there/in-use.json"), done)
    trustme.CA().cert_pem.write_to_path(account / "ca.crt")
    asked = len(api.asked)
    done = ran(place, arguments, here)
    check("an API that somebody else vouches for is not asked", said(done, 3, "unreachable") and len(api.asked) == asked, (done, asked))
    (account / "ca.crt").write_text("nothing")
    check("a certificate that is none is told", said(ran(place, arguments, here), 2, "ca.crt"))


def documents():
    return list(yaml.safe_load_all((ROOT / "sweeper/deploy/kubernetes/in-use.yaml").read_text()))


def granted_paths():
    paths = set()
    for rule in next(each for each in documents() if each["kind"] == "ClusterRole")["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                paths.add(f"/apis/{group}/v1/{resource}" if group else f"/api/v1/{resource}")
    return paths


def role():
    role = next(each for each in documents() if each["kind"] == "ClusterRole")
    check("the shipped role reads, and reads no secret", all(set(rule["verbs"]) == {"get", "list"} for rule in role["rules"]) and not any(
        "secret" in resource or "*" in resource for rule in role["rules"] for resource in rule["resources"]), role)


place = Place()
try:
    lists(place)
    cluster(place)
finally:
    place.close()
end()
