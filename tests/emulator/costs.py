#!/usr/bin/env python3
"""Asks the emulated Cost Explorer, Cost Management and BigQuery what accounts cost, through boto3, Microsoft's and
Google's own clients, and holds the answers to one table. The binary is $SWEEPER_EMULATOR_BIN, or is built with cargo.
Prints "N passed, 0 failed" and exits with 1 when something failed."""

import decimal
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))
from google_emulator import HOSTILE, Emulator, check, finish, run, valid  # noqa: E402

try:
    import azure.mgmt.costmanagement  # noqa: F401
    import boto3
    import googleapiclient  # noqa: F401
except ImportError:
    if os.environ.get("SWEEPER_EMULATOR_VENV"):
        raise
    venv = pathlib.Path(tempfile.mkdtemp()) / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    wanted = ["boto3", "azure-mgmt-costmanagement==5.0.0", "google-api-python-client==2.202.0"]
    subprocess.run([str(venv / "bin/pip"), "-q", "install", *wanted], check=True)
    os.environ["SWEEPER_EMULATOR_VENV"] = str(venv)
    os.execv(str(venv / "bin/python"), [str(venv / "bin/python"), *sys.argv])

from azure.core.exceptions import HttpResponseError  # noqa: E402
from azure.core.pipeline.policies import RetryPolicy, SansIOHTTPPolicy  # noqa: E402
from azure.mgmt.costmanagement import CostManagementClient  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from google.auth.credentials import AnonymousCredentials  # noqa: E402
from googleapiclient import discovery  # noqa: E402
from googleapiclient.errors import HttpError  # noqa: E402

A, B = "111111111111", "222222222222"
SUB = "00000000-0000-4000-8000-00000000000a"
TABLE = "shop.billing.gcp_billing_export_v1_0"
ORG = f"""
[organization]
id = "o-1"
management = "{A}"
[azure]
root = "contoso"
[gcp]
billing_table = "{TABLE}"
billing_bytes = 30000000
billing_polls = 2
[[account]]
id = "{A}"
[[account]]
id = "{B}"
[[account]]
cloud = "azure"
id = "{SUB}"
[[account]]
cloud = "gcp"
id = "shop"
"""
for account in (A, B, SUB, "shop"):
    ORG += f"""
[[cost]]
account = "{account}"
service = {json.dumps(HOSTILE if account == A else "Compute", ensure_ascii=False)}
first = "-9d"
effective = "1.000000000001"
billed = "2.5"
[[cost]]
account = "{account}"
charge = "credit"
first = "2026-06-14"
effective = "-3"
"""
DAYS = [f"2026-06-{day:02}" for day in range(1, 15)]


def cost_explorer(emulator):
    def client(account):
        return boto3.client(
            "ce",
            region_name="us-east-1",
            endpoint_url=emulator.url,
            aws_access_key_id=f"AKIA{account}",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )

    def ask(account=A, token=None, **more):
        wanted = {
            "TimePeriod": {"Start": "2026-06-01", "End": "2026-06-15"},
            "Granularity": "DAILY",
            "Metrics": ["NetAmortizedCost", "UnblendedCost"],
            "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"}],
            **more,
        }
        if token:
            wanted["NextPageToken"] = token
        return client(account).get_cost_and_usage(**wanted)

    def every(**more):
        days, pages, answer = {}, 0, {}
        while pages == 0 or answer.get("NextPageToken"):
            answer = ask(token=answer.get("NextPageToken"), **more)
            pages += 1
            for result in answer["ResultsByTime"]:
                days.setdefault(result["TimePeriod"]["Start"], []).extend(result["Groups"])
        return days, pages

    days, pages = every()
    check("every day", list(days), DAYS)
    check("pages", pages > 10)
    groups = {tuple(group["Keys"]): group["Metrics"] for group in days["2026-06-14"]}
    check("groups", sorted(groups), sorted([(HOSTILE, A), ("Compute", B), ("", A), ("", B)]))
    metrics = groups[("Compute", B)]
    check("amortised", metrics["NetAmortizedCost"], {"Amount": "1.000000000001", "Unit": "USD"})
    check("unblended", metrics["UnblendedCost"]["Amount"], "2.5")
    credit = {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit"]}}
    kept, _ = every(Filter={"Not": credit})
    check("filtered", sum(len(groups) for groups in kept.values()), 18)
    both = {"And": [credit, {"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": [B]}}]}
    check("both", [len(groups) for groups in every(Filter=both)[0].values()], [0] * 13 + [1])
    check("a member sees itself", {group["Keys"][1] for day in ask(B)["ResultsByTime"] for group in day["Groups"]} <= {B})
    for name, more in [
        ("group", {"GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}] * 3}),
        ("days", {"TimePeriod": {"Start": "2026-06-15", "End": "2026-06-15"}}),
        ("token", {"token": "x"}),
    ]:
        try:
            ask(**more)
            check(f"{name} refused", False)
        except ClientError as error:
            code = "InvalidNextTokenException" if name == "token" else "ValidationException"
            check(f"{name} refused", error.response["Error"]["Code"], code)


class Token:
    def get_token(self, *_, **__):
        from azure.core.credentials import AccessToken

        return AccessToken("emulated", 4102444800)


class Bearer(SansIOHTTPPolicy):
    def on_request(self, request):
        request.http_request.headers["Authorization"] = "Bearer emulated"


def cost_management(emulator):
    client = CostManagementClient(
        Token(),
        base_url=emulator.url,
        authentication_policy=Bearer(),
        retry_policy=RetryPolicy.no_retries(),
    )

    def ask(sort, scope=f"/subscriptions/{SUB}", **more):
        return client.query.usage(
            scope,
            {
                "type": sort,
                "timeframe": "Custom",
                "timePeriod": {"from": "2026-06-01T00:00:00Z", "to": "2026-06-14T23:59:59Z"},
                "dataset": {
                    "granularity": "Daily",
                    "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
                    "grouping": [{"type": "Dimension", "name": "ServiceName"}, {"type": "Dimension", "name": "ChargeType"}],
                    **more,
                },
            },
        )

    page = ask("AmortizedCost")
    check("columns", [column.name for column in page.columns], ["Cost", "UsageDate", "ServiceName", "ChargeType", "Currency"])
    check("a small page", (len(page.rows), bool(page.next_link)), (2, True))
    check("a row", page.rows[0], [1.000000000001, 20260606, "Compute", "Usage", "USD"])
    check("billed", ask("ActualCost").rows[0][0], 2.5)
    whole = ask("AmortizedCost", granularity="None", grouping=[])
    check("a sum", whole.rows, [[6.000000000009, "USD"]])
    root = ask("AmortizedCost", "/providers/Microsoft.Management/managementGroups/contoso")
    check("a group", root.rows[0], page.rows[0])
    emulator.faults({"service": "Microsoft.CostManagement", "kind": "throttle"})
    try:
        ask("AmortizedCost")
        check("throttled", False)
    except HttpResponseError as error:
        wait = error.response.headers.get("x-ms-ratelimit-microsoft.costmanagement-qpu-retry-after")
        check("throttled", (error.status_code, wait), (429, "1"))
    emulator.faults()


def bigquery(emulator):
    client = discovery.build(
        "bigquery",
        "v2",
        static_discovery=True,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"{emulator.url}/bigquery/v2/"},
    )
    jobs = client.jobs()

    def body(**more):
        days = {"first": "2026-06-01", "end": "2026-06-15"}
        return {
            "query": f"SELECT a AS day, b AS lane, SUM(IF(c, 1, 0)) AS effective, x AS billed\nFROM `{TABLE}`",
            "useLegacySql": False,
            "parameterMode": "NAMED",
            "queryParameters": [
                {"name": name, "parameterType": {"type": "DATE"}, "parameterValue": {"value": day}}
                for name, day in days.items()
            ],
            "maxResults": 4,
            **more,
        }

    dry = jobs.query(projectId="shop", body=body(dryRun=True)).execute()
    valid("a dry run", "bigquery.v2", "QueryResponse", dry)
    check("bytes", (dry["totalBytesProcessed"], dry.get("rows")), ("30000000", None))
    started = jobs.query(projectId="shop", body=body()).execute()
    valid("a query", "bigquery.v2", "QueryResponse", started)
    check("it runs", started["jobComplete"], False)
    job = started["jobReference"]
    rows, token, answers = [], None, 0
    while True:
        page = jobs.getQueryResults(
            projectId="shop", jobId=job["jobId"], location=job["location"], maxResults=4, pageToken=token
        ).execute()
        answers += 1
        valid("results", "bigquery.v2", "GetQueryResultsResponse", page)
        rows += page.get("rows", [])
        token = page.get("pageToken")
        if page["jobComplete"] and not token:
            break
    check("every row", (len(rows), page["totalRows"]), (10, "10"))
    check("answers", answers in (5, 6))
    cells = [[cell["v"] for cell in row["f"]] for row in rows]
    check("a row", cells[0], ["2026-06-06", "usage", "1.000000000001", "2.5"])
    check("the sum", sum(decimal.Decimal(row[2]) for row in cells), decimal.Decimal("6.000000000009"))
    for name, more, status, reason in [
        ("bytes", {"maximumBytesBilled": "29999999"}, 400, "bytesBilledLimitExceeded"),
        ("table", {"query": "SELECT a AS day FROM `other.x.y`"}, 404, "notFound"),
        ("dialect", {"useLegacySql": True}, 400, "invalidQuery"),
        ("statement", {"query": f"DELETE FROM `{TABLE}`"}, 400, "invalidQuery"),
        ("parameters", {"queryParameters": []}, 400, "invalidQuery"),
    ]:
        try:
            jobs.query(projectId="shop", body=body(**more)).execute()
            check(f"{name} refused", False)
        except HttpError as error:
            check(f"{name} refused", (error.status_code, error.error_details[0]["reason"]), (status, reason))


with Emulator(ORG, "--page", "2") as emulator:
    run([cost_explorer, cost_management, bigquery], emulator)
finish()
