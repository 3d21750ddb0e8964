#!/usr/bin/env python3
"""The schemas of Terraform providers, found again in what CDKTF generated of them.

    python3 tests/terraform/schemas.py      writes tests/terraform/schemas/*.json anew; needs npm, which fetches 100 MB

A provider's schema is asked of the provider's program, which only Terraform's registry has. But the npm packages
@cdktf/provider-* are generated from it: of every resource there is a class with a getter for each attribute, a setter
for what can be configured, a `reset` for what is optional, and a list that tells blocks from attributes. That is read
here, for the types that the modules use. Run this again when a module uses another type or another version is pinned.

What cannot be found again: which arguments exclude each other, which values are allowed, and which optional arguments
are computed where they are not given.
"""
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

here = pathlib.Path(__file__).resolve().parent
# The package of each provider, and the types that the modules use. The version says which provider it was made of.
WANTED = {
    "aws": ("@cdktf/provider-aws@21.22.1", """
        aws_cloudformation_stack_set aws_cloudformation_stack_set_instance aws_cloudwatch_log_group
        aws_cloudwatch_metric_alarm aws_ecs_cluster aws_ecs_task_definition aws_iam_role aws_iam_role_policy
        aws_lambda_function aws_lambda_function_event_invoke_config aws_s3_bucket aws_s3_bucket_lifecycle_configuration
        aws_s3_bucket_object_lock_configuration aws_s3_bucket_ownership_controls aws_s3_bucket_policy
        aws_s3_bucket_public_access_block aws_s3_bucket_server_side_encryption_configuration aws_s3_bucket_versioning
        aws_scheduler_schedule aws_scheduler_schedule_group aws_security_group aws_sfn_state_machine aws_sqs_queue
        data.aws_caller_identity data.aws_partition data.aws_region data.aws_secretsmanager_secret_version"""),
    "google": ("@cdktf/provider-google@16.12.1", """
        google_cloud_run_v2_job google_cloud_run_v2_job_iam_member google_cloud_scheduler_job google_folder_iam_member
        google_organization_iam_custom_role google_organization_iam_member google_project_iam_custom_role
        google_project_iam_member google_project_service google_secret_manager_secret
        google_secret_manager_secret_iam_member google_secret_manager_secret_version google_service_account
        google_service_account_iam_member google_storage_bucket google_storage_bucket_iam_member
        google_storage_transfer_job data.google_storage_transfer_project_service_account"""),
    "azurerm": ("@cdktf/provider-azurerm@14.23.1", """
        azurerm_container_app_environment azurerm_container_app_job azurerm_log_analytics_workspace
        azurerm_resource_group azurerm_role_assignment azurerm_role_definition azurerm_storage_account
        azurerm_storage_container azurerm_storage_management_policy azurerm_user_assigned_identity"""),
}
# What a getter calls tells the attribute's type.
CALLS = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getNumberMapAttribute": ["map", "number"],
    "getBooleanMapAttribute": ["map", "bool"],
    "getAnyMapAttribute": ["map", "dynamic"],
}
# What the list of blocks calls the types of a provider's own arguments, which have no setters of their own.
STORED = {"string": "string", "number": "number", "boolean": "bool", "stringList": ["list", "string"], "stringMap": ["map", "string"]}
# Optional, and computed where they are not given, wherever they occur.
ALSO_COMPUTED = {"id", "arn", "tags_all", "region", "project"}


def lower_first(name):
    return name[0].lower() + name[1:]


def snake(name):
    return re.sub(r"(?<!^)([A-Z])", lambda letter: "_" + letter.group(1).lower(), name)


class Module:
    """The compiled file of one type: its classes, and what it says of blocks."""

    def __init__(self, text):
        self.classes = {}
        for match in re.finditer(r"^class (\w+) extends cdktf\.(\w+) \{", text, re.M):
            self.classes[match.group(1)] = (match.group(2), text[match.end() : text.find("\n}", match.end())])
        # The fields of each structure, by its name; of the type itself under "".
        self.fields = {
            match.group(1): self.listed(match.group(2))
            for match in re.finditer(r"function (\w+)ToHclTerraform\(struct\) \{(.*?)\n\}", text, re.S)
        }
        own = re.search(r"synthesizeHclAttributes\(\) \{(.*?)\n    \}", text, re.S)
        self.fields[""] = self.listed(own.group(1)) if own else {}
        version = re.search(r"providerVersion: '([\d.]+)'", text)
        self.version = version and version.group(1)

    @staticmethod
    def listed(body):
        """Name -> whether it is a block, how it is nested, the structure that it holds."""
        entry = r'^\s+(\w+): \{\n\s+value: .*?\n\s+isBlock: (\w+),\n\s+type: "(\w+)",\n\s+storageClassType: "(\w+)"'
        return {name: (block == "true", nested, held) for name, block, nested, held in re.findall(entry, body, re.M | re.S)}

    def top(self):
        kinds = ("TerraformResource", "TerraformDataSource", "TerraformProvider")
        return next(name for name, (kind, _) in self.classes.items() if kind in kinds)

    def block(self, name, structure=""):
        kind, body = self.classes[name]
        made = {field: (of, wraps == "true") for of, field, wraps in re.findall(r'= new (\w+)\(this, "(\w+)"(?:, (\w+))?\)', body)}
        block = {"attributes": {}, "block_types": {}}
        fields = self.fields.get(structure, {})
        for getter in re.finditer(r"\n    get (\w+)\(\) \{(.*?)\n    \}", body, re.S):
            camel, code = getter.groups()
            field = self.field(camel, code, body, kind)
            if field is None:
                continue
            upper = camel[0].upper() + camel[1:]
            settable = f"\n    set {camel}(" in body or f"\n    put{upper}(" in body
            optional = settable and f"\n    reset{upper}(" in body
            flags = {
                "required": settable and not optional,
                "optional": optional,
                "computed": not settable or (optional and field in ALSO_COMPUTED),
            }
            is_block, nested, held = fields.get(field, (False, "", ""))
            if kind == "TerraformProvider" and is_block:
                inner = self.outline(lower_first(re.sub(r"List$", "", held)))
                block["block_types"][field] = {"nesting_mode": "list", "block": inner}
            elif field in made:
                self.structure(block, field, made[field], is_block, nested, flags)
            else:
                block["attributes"][field] = attribute(self.type_of(code), flags)
        return block

    @staticmethod
    def field(camel, code, body, kind):
        """The attribute that a getter is of; none for the getters that only help."""
        named = re.search(r"this\.(?:get\w+Attribute|interpolationForAttribute)\('(\w+)'", code)
        if named:
            return named.group(1)
        kept = re.search(r"return this\.(_\w+);", code)
        if not kept or camel.endswith("Input"):
            return None
        built = re.search(rf'this\.{kept.group(1)} = new [\w.]+\(this, "(\w+)"', body)
        if built:
            return built.group(1)
        return snake(camel) if kind == "TerraformProvider" else None

    @staticmethod
    def type_of(code):
        call = re.search(r"this\.(get\w+Attribute|interpolationForAttribute)\(", code)
        kind = CALLS.get(call.group(1), "dynamic") if call else "dynamic"
        if isinstance(kind, list) and "Fn.tolist" in code:
            return ["set", kind[1]]
        return kind

    def structure(self, block, field, made, is_block, nested, flags):
        """A field that is kept in a class of its own."""
        held, wraps = made
        base = self.classes.get(held, ("", ""))[0]
        mode = {"ComplexList": "set" if wraps else "list", "ComplexMap": "map"}.get(base, "single")
        if mode != "single":
            held = re.sub(r"(List|Map)$", "OutputReference", held)
        if held not in self.classes:
            kind = ["map", "string"] if held.endswith("StringMap") else "dynamic"
            block["attributes"][field] = attribute(kind, flags)
            return
        inner = self.block(held, lower_first(re.sub(r"OutputReference$", "", held)))
        if not is_block:
            kind = ["object", {name: one["type"] for name, one in inner["attributes"].items()}]
            block["attributes"][field] = attribute(kind if mode == "single" else [mode, kind], flags)
            return
        entry = {"nesting_mode": mode, "block": inner}
        if mode == "single" and nested != "struct":
            entry.update(nesting_mode="list", max_items=1)
        if flags["required"]:
            entry["min_items"] = 1
        block["block_types"][field] = entry

    def outline(self, structure):
        """A block of a provider's configuration: names and types alone are known."""
        block = {"attributes": {}, "block_types": {}}
        for field, (is_block, _, held) in self.fields.get(structure, {}).items():
            if is_block:
                inner = self.outline(lower_first(re.sub(r"List$", "", held)))
                block["block_types"][field] = {"nesting_mode": "list", "block": inner}
            else:
                block["attributes"][field] = {"type": STORED.get(held, "dynamic"), "optional": True}
        return block


def attribute(kind, flags):
    said = {flag: True for flag, is_so in flags.items() if is_so}
    return {"type": kind, **(said or {"optional": True})}


def schemas(package, provider, wanted):
    """The schemas of the wanted types, out of the package's archive."""
    files = {"package/lib/provider/index.js": "provider"}
    for name in wanted:
        of_data, plain = name.startswith("data."), name.removeprefix("data.").split("_", 1)[1].replace("_", "-")
        files[f"package/lib/data-{provider}-{plain}/index.js" if of_data else f"package/lib/{plain}/index.js"] = name
    found = {"version": None, "provider": None, "resources": {}, "data": {}}
    with tarfile.open(package) as archive:
        for member in archive:
            name = files.pop(member.name, None)
            if name is None:
                continue
            module = Module(archive.extractfile(member).read().decode())
            found["version"] = found["version"] or module.version
            block = module.block(module.top())
            if name == "provider":
                found["provider"] = block
            elif name.startswith("data."):
                found["data"][name.removeprefix("data.")] = block
            else:
                found["resources"][name] = block
    if files:
        sys.exit(f"{package} has no {', '.join(sorted(files.values()))}")
    return found


def text(found):
    """A line a type, so that a difference can be read."""
    line = lambda value: json.dumps(value, sort_keys=True, separators=(",", ":"))
    of = lambda kind: ",\n".join(f"{line(name)}:{line(block)}" for name, block in sorted(found[kind].items()))
    return (
        f'{{"version":{line(found["version"])},\n"provider":{line(found["provider"])},\n'
        f'"resources":{{\n{of("resources")}\n}},\n"data":{{\n{of("data")}\n}}}}\n'
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        for provider, (package, types) in WANTED.items():
            packed = subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, capture_output=True, text=True)
            archive = pathlib.Path(folder, packed.stdout.split()[-1])
            found = schemas(archive, provider, types.split())
            path = here / "schemas" / f"{provider}.json"
            path.write_text(text(found))
            print(f"{path.relative_to(here)}: {provider} {found['version']}, {len(found['resources'])} resources, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
