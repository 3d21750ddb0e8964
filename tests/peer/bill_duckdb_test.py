#!/usr/bin/env python3
"""Bills that are not ours, against an engine that is not ours: `sweeper bill` and the SQL that it prints, run by DuckDB,
over files of PyPI's focus-data-toolkit (AWS, Azure and Google Cloud; FOCUS 1.2, 1.3 and 1.4) and over `focus_quirks.csv`,
rows with what AWS, Microsoft and Oracle deliver in truth (billing data of nobody: made by hand after the sample rows of
the FOCUS project). Every file must be read without a row left out, and every sum be the same.

    python3 tests/peer/bill_duckdb_test.py     needs duckdb and focus-data-toolkit; SWEEPER_BIN names the binary
    SWEEPER_FOCUS_SAMPLE=focus_sample.csv      a further file, as the FOCUS project publishes it
"""
import collections
import csv
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal

import duckdb

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(os.path.dirname(here))
sweeper = os.environ.get("SWEEPER_BIN", os.path.join(root, "target/debug/sweeper"))
toolkit = os.path.join(os.path.dirname(sys.executable), "focus-toolkit")
passed = failed = compared = 0
BY = {"service": ["service"], "account": ["account"], "region": ["region"], "resource": ["resource"], "owner": ["resource", "account"]}
PICO = Decimal(10) ** 12


def check(what, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok     ' if good else 'FAILED '} {what}" + (f": {more}" if more and not good else ""), flush=True)
    return good


def same(what, one, other):
    """Two tables of sums are the same, to the last of twelve decimals."""
    wrong = {key: (one.get(key), other.get(key)) for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return check(what, one and not wrong, f"{len(wrong)} of {len(one)} differ: {list(wrong.items())[:2]}" if one else "nothing was summed")


def run(*arguments):
    done = subprocess.run([sweeper, "bill", *map(str, arguments)], capture_output=True, text=True,
                          env={"HOME": folder, "PATH": os.environ.get("PATH", "")})
    if done.returncode != 0 or "left out" in done.stderr:
        check(f"sweeper bill {' '.join(map(str, arguments))}", False, done.stderr)
        raise SystemExit(end())
    return done.stdout


def end():
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


def partials(path):
    """The partials of a file that `bill partial` wrote: of each its request and its groups."""
    found = []
    with open(path) as lines:
        head = json.loads(next(lines))
        for line in map(json.loads, lines):
            if "request" in line:
                found.append((line["request"]["rollups"], [], line["excluded"]["rows"]))
            elif "rollup" in line:
                found[-1][1].append(line)
    assert len(found) == head["partials"]
    return found


def engine_sums(rollups, groups, number):
    """By first day of the window and keys: the sums of a roll-up, those that are zero without."""
    rollup, sums = rollups[number], {}
    for group in groups:
        if group["rollup"] == number:
            for window, measure, units in group["sums"]:
                key = (rollup["windows"][window]["from"], *group["keys"])
                whole = Decimal(units) if "rows" in rollup["measures"][measure] or "unknown" in rollup["measures"][measure] else Decimal(units) / PICO
                sums.setdefault(key, {})[rollup["measures"][measure]] = whole
    return sums


COLUMNS = {"billed_cost": "billed", "effective_cost": "effective", "contracted_cost": "contracted", "list_cost": "list",
           "pricing_quantity": "quantity", "row_count": "rows", "contracted_unknown_rows": "contracted-unknown", "list_unknown_rows": "list-unknown"}


def sql_sums(database, text):
    """The same, of a query."""
    cursor = database.execute(text)
    names, sums, currencies = [column[0] for column in cursor.description], {}, set()
    for row in cursor.fetchall():
        row = dict(zip(names, row))
        currencies.add(row.pop("currency"))
        costs = {COLUMNS[name]: Decimal(row.pop(name)) for name in list(row) if name in COLUMNS}
        kept = {name: cost for name, cost in costs.items() if cost != 0}
        if kept:
            sums[tuple(str(part) for part in row.values())] = kept
    assert len(currencies) <= 1, currencies
    return sums


def queries(*arguments):
    """The printed statements."""
    return [text for text in run("--print-sql", "duckdb", "--table", "bill", *arguments).split(";\n") if text.strip()]


def compare_file(name, path, now, database):
    """Everything that can be asked of one file, and of the same rows as a table `bill`."""
    global compared
    today = datetime.date.fromisoformat(now)
    times = ["--now", f"{now}T12:00:00Z"]
    plain = database.execute(f"""SELECT SUM(CAST(NULLIF(CAST(BilledCost AS VARCHAR), '') AS DECIMAL(38, 12))), COUNT(*) FROM bill
        WHERE SUBSTR(CAST(ChargePeriodStart AS VARCHAR), 1, 10) BETWEEN '{today - datetime.timedelta(60)}' AND '{today}'""").fetchone()
    for by, keys in BY.items():
        part = os.path.join(folder, "part")
        run("partial", path, "-o", part, "--by", by, *times)
        [(rollups, groups, left_out)] = partials(part)
        usage, lanes = engine_sums(rollups, groups, 0), engine_sums(rollups, groups, 1)
        texts = queries("--by", by, *times)
        check(f"{name} by {by}: no row is left out", left_out == 0 and database.execute(texts[2]).fetchall() == [])
        by_sql = sql_sums(database, texts[0])
        same(f"{name} by {by}: a day and name", usage, by_sql)
        if by != "service":
            continue
        same(f"{name}: a day and lane, with its rows", lanes, sql_sums(database, texts[1]))
        billed = sum((sums.get("billed", 0) for sums in lanes.values()), Decimal(0))
        check(f"{name}: all of it is what a plain sum says", plain == (billed, plain[1]) and plain[1] > 0, f"{plain} {billed}")

        report = json.loads(run("--focus", path, "--by", by, "--format", "json", *times))
        window, baseline = report["window"], report["baseline"]
        thin = {day["day"] for day in report["thin_days"] if day["left_out"]}
        actual, cash = collections.Counter(), collections.Counter()
        for (day, service), sums in by_sql.items():
            if window["first"] <= day <= window["last"] and day not in thin:
                actual[service or "(none)"] += sums.get("effective", 0)
                cash[service or "(none)"] += sums.get("billed", 0)
        told = {group["name"]: (Decimal(group["actual"]), Decimal(group["billed"])) for group in report["groups"]}
        same(f"{name}: the JSON's names", told, {service: (actual[service], cash[service]) for service in told})
        check(f"{name}: the JSON's total", Decimal(report["total"]["actual"]) == sum(actual.values()))
        of_lanes = {}
        for (day, lane), sums in lanes.items():
            for side, span in (("window", window), ("baseline", baseline)):
                if span["first"] <= day <= span["last"]:
                    for cost in ("effective", "billed"):
                        key = (lane, side, cost)
                        of_lanes[key] = of_lanes.get(key, 0) + sums.get(cost, 0)
        told = {(lane["lane"], side, cost): Decimal(lane[side][cost]) for lane in report["lanes"] for side in ("window", "baseline") for cost in ("effective", "billed")}
        same(f"{name}: the JSON's lanes", told, {key: of_lanes.get(key, Decimal(0)) for key in told})
        if thin:
            print(f"        {name}: a day is thin, and the query of what moved takes it for whole")
            continue
        compared += 1
        why = os.path.join(folder, "why")
        run("partial", path, "--explain", part, "-o", why)
        rollups, groups, _ = partials(why)[0]
        texts = queries("--by", by, "--explain", *times)
        # The engine's windows are the runs of days that the file has; the query's the two sides.
        sides = {}
        for (day, *key), sums in engine_sums(rollups, groups, 0).items():
            side = sides.setdefault((baseline["first"] if day < window["first"] else window["first"], *key), collections.Counter())
            side.update(sums)
        sides = {key: {measure: cost for measure, cost in sums.items() if cost} for key, sums in sides.items()}
        same(f"{name}: a side, resource and SKU price", {key: sums for key, sums in sides.items() if sums}, sql_sums(database, texts[3]))
        same(f"{name}: a day and commitment", engine_sums(rollups, groups, 1), sql_sums(database, texts[4]))


def table_of(path):
    """A database with the file as a table of text, as a crawler makes it of CSV."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute("CREATE TABLE bill AS SELECT *, SUBSTR(BillingPeriodStart, 1, 7) AS billing_period FROM read_csv(?, all_varchar = true, nullstr = '')", [path])
    return database


def typed(name, path, now, cost):
    """The same file as Parquet with proper types."""
    database = table_of(path)
    costs = ["BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity"]
    times = ["ChargePeriodStart", "ChargePeriodEnd"]
    columns = [f"CAST(NULLIF({column}, 'NULL') AS {cost}) AS {column}" for column in costs] + [f"CAST({column} AS TIMESTAMPTZ) AS {column}" for column in times]
    parquet = os.path.join(folder, "typed.parquet")
    database.execute(f"COPY (SELECT * REPLACE ({', '.join(columns)}) FROM bill) TO '{parquet}' (FORMAT PARQUET, ROW_GROUP_SIZE 700)")
    database.execute(f"CREATE OR REPLACE TABLE bill AS SELECT * FROM '{parquet}'")
    compare_file(name, parquet, now, database)


def full(path):
    """The file, with so many rows of usage on every day of five weeks that each is a whole one."""
    with open(path, newline="") as rows:
        reader = csv.DictReader(rows)
        names, rows = reader.fieldnames, list(reader)
    template = next(row for row in rows if row["ChargeCategory"] == "Usage" and row["ResourceId"])
    for day in range(35):
        day = datetime.date(2026, 5, 31) - datetime.timedelta(day)
        times = {"ChargePeriodStart": f"{day}T00:00:00Z", "ChargePeriodEnd": f"{day + datetime.timedelta(1)}T00:00:00Z"}
        rows += [{**template, **times, "EffectiveCost": "0.015", "ListCost": "0" if number % 2 else "0.02"} for number in range(800)]
    made = os.path.join(folder, f"full-{os.path.basename(path)}")
    with open(made, "w", newline="") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(rows)
    return made


folder = tempfile.mkdtemp(prefix="sweeper-bill-")
files = [("quirks", os.path.join(here, "focus_quirks.csv"), "2024-10-02")]
for cloud in ("aws", "azure", "gcp"):
    for version in ("1.2", "1.3"):
        made = os.path.join(folder, f"{cloud}-{version}")
        subprocess.run([toolkit, "generate", "--provider", cloud, "--focus-version", version, "--rows", "3000", "--seed", "11", "--out", made],
                       check=True, capture_output=True)
        path = os.path.join(made, f"focus_{version.replace('.', '_')}_cost_and_usage_{cloud}.csv")
        files.append((f"{cloud} {version}", path, "2026-06-02"))
    # FOCUS 1.4 has no ProviderName any more. What 1.3 does not say, the toolkit makes up, and ends with 4.
    of = os.path.join(folder, f"{cloud}-1.3", "focus_1_3_")
    done = subprocess.run([toolkit, "convert", "--cost-and-usage", f"{of}cost_and_usage_{cloud}.csv", "--contract-commitment",
                           f"{of}contract_commitment_{cloud}.csv", "--mode", "synthetic", "--no-validate", "--out", f"{made}-1.4"], capture_output=True, text=True)
    if check(f"{cloud}: the toolkit makes FOCUS 1.4", done.returncode in (0, 4), done.stderr):
        files.append((f"{cloud} 1.4", f"{made}-1.4/synthetic_focus_1_4_cost_and_usage.csv", "2026-06-02"))
    files.append((f"{cloud}, every day whole", full(files[-2][1]), "2026-06-02"))
sample = os.environ.get("SWEEPER_FOCUS_SAMPLE")
if sample:
    with open(sample, newline="") as rows:
        last = max(row["ChargePeriodStart"][:10] for row in csv.DictReader(rows))
    files.append(("sample", sample, str(datetime.date.fromisoformat(last) + datetime.timedelta(2))))
for name, path, now in files:
    compare_file(name, path, now, table_of(path))
check("what moved was compared for each cloud", compared >= 4, compared)
for name, path, now in files[:2]:
    typed(f"{name}, Parquet of decimals", path, now, "DECIMAL(38, 12)")
    typed(f"{name}, Parquet of doubles", path, now, "DOUBLE")

# Only the months that are needed are read, and they are enough.
name, path, now = files[1]
database = table_of(path)
[month, *_] = queries("--now", f"{now}T12:00:00Z", "--partition", "billing_period")
[whole, *_] = queries("--now", f"{now}T12:00:00Z")
check("a partition filter is in the query", "\"billing_period\" >= '2026-04'" in month and "billing_period" not in whole)
same("a partition filter leaves nothing out", sql_sums(database, month), sql_sums(database, whole))
# What cannot be summed is counted, as the engine counts it.
database.execute("UPDATE bill SET ChargeCategory = 'Gift' WHERE rowid < 3")
database.execute("UPDATE bill SET EffectiveCost = NULL WHERE rowid = 10")
database.execute("UPDATE bill SET ChargePeriodEnd = '2026-04-01T00:00:00Z' WHERE rowid = 20")
broken = os.path.join(folder, "broken.csv")
database.execute(f"COPY bill TO '{broken}' (HEADER)")
done = subprocess.run([sweeper, "bill", "--focus", broken, "--format", "json", "--now", f"{now}T12:00:00Z"], capture_output=True, text=True)
left_out = dict(database.execute(queries("--now", f"{now}T12:00:00Z")[2]).fetchall())
check("rows that are left out are counted alike", json.loads(done.stdout)["excluded"]["rows"] == 5 == sum(left_out.values()), f"{left_out} {done.stderr}")
sys.exit(end())
