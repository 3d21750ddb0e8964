#!/usr/bin/env python3
"""What is shipped for deployments, held against the platforms' schemas and against what the README promises of it: who
it runs as, what it can write, how often it is tried; and what the release script packs.

    python3 tests/deploy/manifests_test.py     needs kubernetes-validate, dockerfile-parse, PyYAML, cyclonedx-python-lib
"""
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile

import yaml
from dockerfile_parse import DockerfileParser

from place import BINARY, ROOT, check, end

DEPLOY = ROOT / "sweeper/deploy"
# The oldest and the newest that the manifests are for.
VERSIONS = ("1.29", "1.33")
NOBODY = 65532


def kubernetes():
    import kubernetes_validate

    documents, in_use = {}, {}
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            (in_use if file.name == "in-use.yaml" else documents)[document["kind"]] = document
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                    check(f"{file.name}: {document['kind']} is right for {version}", True)
                except Exception as error:  # every sort of refusal
                    check(f"{file.name}: {document['kind']} is right for {version}", False, error)
    wrong = json.loads(json.dumps(documents["CronJob"]))
    wrong["spec"]["concurencyPolicy"] = "Forbid"
    try:
        kubernetes_validate.validate(wrong, VERSIONS[1], strict=True)
        check("a key that is misspelt is seen", False)
    except kubernetes_validate.ValidationError:
        check("a key that is misspelt is seen", True)

    cron = documents["CronJob"]["spec"]
    job = cron["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    container = pod["containers"][0]
    check("runs do not overlap", cron["concurrencyPolicy"] == "Forbid" and cron["startingDeadlineSeconds"] >= 10)
    check("a job's time and tries have bounds", job["activeDeadlineSeconds"] > 0 and job["backoffLimit"] <= 3)
    codes = job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    check("exit codes that another try does not mend end the job", {2, 3, 4} <= set(codes) and 70 not in codes and 137 not in codes and pod["restartPolicy"] == "Never")
    check("it runs as nobody", pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == NOBODY)
    security = container["securityContext"]
    check("it can write nowhere and gain nothing", security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
          and security["capabilities"]["drop"] == ["ALL"] and all(mount["readOnly"] for mount in container["volumeMounts"]))
    check("it has no token of Kubernetes", pod["automountServiceAccountToken"] is False and documents["ServiceAccount"]["automountServiceAccountToken"] is False)
    check("it is somebody in each cloud", len(documents["ServiceAccount"]["metadata"]["annotations"]) == 3 and pod["serviceAccountName"] == documents["ServiceAccount"]["metadata"]["name"])
    env = {each["name"]: each for each in container["env"]}
    check("it knows its job by name", "job-name" in env["JOB_NAME"]["valueFrom"]["fieldRef"]["fieldPath"])
    check("its own deadline is before Kubernetes'", int(env["SWEEPER_DEADLINE"]["value"]) < job["activeDeadlineSeconds"])
    called(container["args"], documents["ConfigMap"]["data"]["sweeper.toml"], "kubernetes")
    tells_of_a_cluster(in_use, documents)


def tells_of_a_cluster(own, others):
    """What asks a cluster's API has a name of its own, the right to list and no other, and can write nowhere."""
    job = own["CronJob"]["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    container, account = pod["containers"][0], own["ServiceAccount"]["metadata"]
    check("in-use: nothing of it is named as the rest", not {document["metadata"]["name"] for document in own.values()} & {document["metadata"]["name"] for document in others.values()})
    check("in-use: it is where namespace.yaml says", {own["CronJob"]["metadata"]["namespace"], account["namespace"]} == {others["Namespace"]["metadata"]["name"]})
    rules = own["ClusterRole"]["rules"]
    check("in-use: it may only look", all(set(rule["verbs"]) == {"get", "list"} and set(rule) == {"apiGroups", "resources", "verbs"} for rule in rules), rules)
    check("in-use: at no secret, config or wildcard", not {"secrets", "configmaps", "*"} & {name for rule in rules for name in rule["resources"] + rule["apiGroups"]})
    subject = own["ClusterRoleBinding"]["subjects"]
    check("in-use: it alone is bound", [(each["kind"], each["name"], each["namespace"]) for each in subject] == [("ServiceAccount", account["name"], account["namespace"])]
          and own["ClusterRoleBinding"]["roleRef"]["name"] == own["ClusterRole"]["metadata"]["name"] and pod["serviceAccountName"] == account["name"])
    security = container["securityContext"]
    check("in-use: it runs as nobody and can write nowhere", pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == NOBODY
          and security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"] and security["capabilities"]["drop"] == ["ALL"] and "volumeMounts" not in container)
    check("in-use: only its pod has a token", pod["automountServiceAccountToken"] is True and own["ServiceAccount"]["automountServiceAccountToken"] is False)
    codes = job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    check("in-use: its time and tries have bounds", job["activeDeadlineSeconds"] > 0 and job["backoffLimit"] <= 3 and codes == [2] and own["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid")
    done = subprocess.run([BINARY, *container["args"]], capture_output=True, text=True, env={}, cwd="/")
    check("in-use: the program takes the arguments", done.returncode == 2 and "this is no pod" in done.stderr, done.stderr)


def called(arguments, text, where):
    """The arguments name a schedule of the config, and the program takes both."""
    config = tomllib.loads(text)
    names = [schedule["name"] for schedule in config["schedule"]]
    check(f"{where}: the arguments run a schedule of the config", arguments[0] == "job" and arguments[1] in names, (arguments, names))
    with tempfile.TemporaryDirectory() as place:
        file = pathlib.Path(place, "sweeper.toml")
        file.write_text(text)
        done = subprocess.run([BINARY, "job", "not-there", "--config", str(file)], capture_output=True, text=True, env={}, cwd=place)
        check(f"{where}: the program reads the config", done.returncode == 2 and "no schedule `not-there`" in done.stderr, done.stderr)


def cloud_run():
    job = yaml.safe_load((DEPLOY / "cloud-run-job.yaml").read_text())
    task = job["spec"]["template"]["spec"]["template"]["spec"]
    container = task["containers"][0]
    env = {each["name"]: each.get("value", each.get("secretRef", each.get("valueFrom"))) for each in container["env"]}
    check("Cloud Run: one task, few tries, an identity", job["kind"] == "Job" and job["spec"]["template"]["spec"]["taskCount"] == 1
          and task["maxRetries"] <= 1 and "@" in task["serviceAccountName"])
    check("Cloud Run: its own deadline is before the platform's", int(env["SWEEPER_DEADLINE"]) < task["timeoutSeconds"])
    check("Cloud Run: state lasts", env["SWEEPER_STATE"].startswith("gs://"))
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    check("Cloud Run: what is mounted is there", mounts == {volume["name"] for volume in task["volumes"]})
    called(container["args"], (DEPLOY / "sweeper.toml").read_text(), "Cloud Run")


def container_apps():
    job = yaml.safe_load((DEPLOY / "container-apps-job.yaml").read_text())
    properties = job["properties"]
    configuration, template = properties["configuration"], properties["template"]
    container = template["containers"][0]
    env = {each["name"]: each.get("value", each.get("secretRef", each.get("valueFrom"))) for each in container["env"]}
    check("Container Apps: a schedule, one replica, few tries", configuration["triggerType"] == "Schedule"
          and configuration["scheduleTriggerConfig"]["parallelism"] == 1 and configuration["replicaRetryLimit"] <= 1)
    check("Container Apps: its own deadline is before the platform's", int(env["SWEEPER_DEADLINE"]) < configuration["replicaTimeout"])
    check("Container Apps: the image is pulled by the same identity", configuration["registries"][0]["identity"] in job["identity"]["userAssignedIdentities"])
    secrets = {secret["name"]: secret["value"] for secret in configuration["secrets"]}
    reference = template["volumes"][0]["secrets"][0]["secretRef"]
    check("Container Apps: the config is mounted", reference in secrets)
    called(container["args"], secrets[reference], "Container Apps")


def batch():
    import botocore.session
    from botocore.validate import ParamValidator

    definition = json.loads((DEPLOY / "batch-job-definition.json").read_text())
    shape = botocore.session.get_session().get_service_model("batch").operation_model("RegisterJobDefinition").input_shape
    report = ParamValidator().validate(definition, shape)
    check("Batch: the definition fits AWS's own model", not report.has_errors(), report.generate_report())
    container = definition["containerProperties"]
    check("Batch: it runs as nobody and can write nowhere", container["user"] == str(NOBODY) and container["readonlyRootFilesystem"])
    exits = {rule["onExitCode"] for rule in definition["retryStrategy"]["evaluateOnExit"] if rule["action"] == "EXIT"}
    check("Batch: exit codes that another try does not mend end the job", {"2", "3", "4"} <= exits and definition["retryStrategy"]["attempts"] <= 3)
    env = {each["name"]: each["value"] for each in container["environment"]}
    check("Batch: its own deadline is before the platform's", int(env["SWEEPER_DEADLINE"]) < definition["timeout"]["attemptDurationSeconds"])
    called(container["command"], (DEPLOY / "sweeper.toml").read_text(), "Batch")


def dockerfile():
    with open(DEPLOY / "Dockerfile", "rb") as source:
        # The parser writes where it reads from: it gets a copy.
        parser = DockerfileParser(fileobj=io.BytesIO(source.read()))
    steps = [(step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT"]
    of = lambda name: [value for instruction, value in steps if instruction == name]
    known = {"ARG", "FROM", "COPY", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}
    check("Dockerfile: nothing is run in the making", {instruction for instruction, _ in steps} <= known, steps)
    check("Dockerfile: a base without a shell", of("ARG")[0].startswith("BASE=gcr.io/distroless/static") and of("FROM")[0].startswith("${BASE}"))
    stages = {"${BASE}"}
    for value in of("FROM"):
        base, *name = re.split(r"\s+[aA][sS]\s+", value)
        check(f"Dockerfile: {base} is there before it is used", base in stages)
        stages.update(name)
    check("Dockerfile: it runs as nobody", of("USER") == [f"{NOBODY}:{NOBODY}"])
    check("Dockerfile: signals reach the program", json.loads(of("ENTRYPOINT")[0]) == ["/usr/local/bin/sweeper"] and json.loads(of("CMD")[0]) == ["job"])
    check("Dockerfile: what is copied is what the release script makes", [value.split()[1] for value in of("COPY")] == ["sweeper", "etc/"])


def release(place):
    """Of a binary that is there: nothing is built. Its features are those of the smallest build."""
    script = [sys.executable, str(DEPLOY / "release"), "--binary", BINARY, "--features", "demo"]
    (place / "policies").mkdir()
    (place / "policies/own.toml").write_text('[[policy]]\nname = "own"\nsweep = "unattached-disk"\n')
    shutil.copy(DEPLOY / "sweeper.toml", place)
    beside = ["--with", str(place / "sweeper.toml"), "--with", str(place / "policies")]
    # A small stand-in makes the checks of bytes quick; what is packed is not looked into.
    small = place / "small"
    small.write_bytes(b"\x7fELF" + b"GLIBC_2.17\0GLIBC_2.99\0")
    outs = []
    for out in ("one", "two"):
        done = subprocess.run([sys.executable, str(DEPLOY / "release"), "--binary", str(small), "--features", "demo", "--out", str(place / out), *beside],
                              capture_output=True, text=True, cwd=place)
        check("the release script packs", done.returncode == 0, done.stderr)
        outs.append({file.name: file.read_bytes() for file in sorted((place / out).iterdir())})
    check("a binary that Lambda cannot start is told", "2.99" in done.stderr and "WARNING" in done.stderr, done.stderr)
    check("the same files give the same bytes", outs[0] == outs[1] and sorted(outs[0]) == ["sha256sums", "sweeper", "sweeper-lambda.zip", "sweeper.cdx.json"], sorted(outs[0]))
    sums = dict(reversed(line.split("  ")) for line in outs[0]["sha256sums"].decode().splitlines())
    check("the checksums are right", len(sums) == 3 and all(hashlib.sha256(outs[0][name]).hexdigest() == digest for name, digest in sums.items()), sums)
    with zipfile.ZipFile(place / "one/sweeper-lambda.zip") as packed:
        names = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in packed.infolist()}
        check("the zip has the program, config and policies", names == {"bootstrap": 0o755, "sweeper.toml": 0o644, "policies/own.toml": 0o644}, names)
        check("the program is what was packed", packed.read("bootstrap") == small.read_bytes())
    bom(outs[0]["sweeper.cdx.json"].decode())
    for what, arguments, says in [
        ("a binary that is not there", ["--binary", "nowhere"], "no binary at nowhere"),
        ("a file beside that is not there", ["--binary", str(small), "--with", "nowhere"], "nowhere is not there"),
        ("a binary of something else", ["--binary", str(place / "sweeper.toml")], "no program for Linux"),
        ("two files of one name", ["--binary", str(small), *beside, "--with", str(place / "one/../sweeper.toml")], "twice in the zip"),
    ]:
        done = subprocess.run([sys.executable, str(DEPLOY / "release"), "--features", "demo", "--out", str(place / "bad"), *arguments], capture_output=True, text=True, cwd=place)
        check(f"{what} is refused", done.returncode == 2 and says in done.stderr, done.stderr)
    done = subprocess.run([*script, "--out", str(place / "real")], capture_output=True, text=True, cwd=place)
    if os.path.getsize(BINARY) > 250 << 20:
        # A dev build of three clouds, with what a debugger wants.
        check("a binary that Lambda does not take is refused", done.returncode == 2 and "Lambda takes 250" in done.stderr, done.stderr)
        (place / "task").mkdir()
        shutil.copy(BINARY, place / "task/bootstrap")
    else:
        check("the real binary is packed", done.returncode == 0, done.stderr)
        # As Lambda does: unpacked, and started by that name.
        with zipfile.ZipFile(place / "real/sweeper-lambda.zip") as packed:
            packed.extract("bootstrap", place / "task")
    (place / "task/bootstrap").chmod(0o755)
    done = subprocess.run([str(place / "task/bootstrap")], capture_output=True, text=True, env={}, cwd=place)
    check("what is in the zip starts as a function", done.returncode == 2 and "this is a Lambda function" in done.stderr, done)


def bom(text):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    check("the bill of materials is CycloneDX 1.5", wrong is None, wrong)
    out = json.loads(text)
    names = [component["name"] for component in out["components"]]
    check("it has what the program is made of, and no tools of tests", "tokio" in names and "sweeper-core" in names and "proptest" not in names and "aws-sdk-ec2" not in names)
    outside = [component for component in out["components"] if not component["name"].startswith("sweeper")]
    check("all of it with checksums and licences", all(component.get("hashes") and component.get("licenses") for component in outside),
          [component["name"] for component in outside if not (component.get("hashes") and component.get("licenses"))])
    references = {component["bom-ref"] for component in out["components"]} | {out["metadata"]["component"]["bom-ref"]}
    check("all that is needed is named", all(set(each["dependsOn"]) | {each["ref"]} <= references for each in out["dependencies"]))


kubernetes()
cloud_run()
container_apps()
batch()
dockerfile()
with tempfile.TemporaryDirectory() as place:
    release(pathlib.Path(place))
end()
