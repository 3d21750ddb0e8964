#!/usr/bin/env python3
"""Reading bills, against DuckDB on the same files: CPU seconds, peak memory and the ratio of CPU, medians of interleaved runs.

    cargo build --release -p sweeper-bill --example scan
    pip install duckdb pyarrow numpy
    python3 tests/bench/bill.py [--data DIR] [--rows-per-day 20000] [--days 60] [--runs 5] [--scan target/release/examples/scan]
                                [--generator PROGRAM] [--only NAME] [--check]

Bills are made once, from a seed, and kept in DIR. By default a small generator in this file makes them; `--generator`
names another, which is called as `PROGRAM DIR --plain-ids --no-csv` and `PROGRAM DIR --csv-frac 0.6`, and writes
DIR/focus_parquet_plain, DIR/focus_parquet and DIR/focus_csv, each of the sixty days up to 2026-10-30.

The process that asks DuckDB has nothing else to do; its start is counted too, a tenth of a second. `--check` leaves with 1
when a bar is missed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

DAYS = {"risers": ("2026-10-03", "2026-10-31"), "days": ("2026-09-01", "2026-10-31"), "csv": ("2026-10-03", "2026-10-31")}
# Name, folder, query, days, and the most CPU that we may take for each second of DuckDB's.
CASES = [
    ("risers", "focus_parquet_plain", "risers", DAYS["risers"], 0.80),
    ("days", "focus_parquet_plain", "days", DAYS["days"], 0.35),
    ("risers-dictionary", "focus_parquet", "risers", DAYS["risers"], 1.20),
    ("risers-csv", "focus_csv", "risers", DAYS["csv"], 0.65),
    ("days-csv", "focus_csv", "days", DAYS["csv"], 0.65),
    # No bar: what the delta really asks, far more than the query it is held against.
    ("delta", "focus_parquet_plain", "delta", DAYS["risers"], None),
]
MOST_MIB = 300


def ask(query, folder, start, end):
    """The same in SQL. Runs in a process of its own."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads=2; set timezone='UTC'")
    csv = "csv" in os.path.basename(folder)
    source = f"read_csv('{folder}/**/*.csv.gz')" if csv else f"read_parquet('{folder}/**/*.parquet')"
    days = f"ChargePeriodStart >= timestamptz '{start} 00:00:00+00' and ChargePeriodStart < timestamptz '{end} 00:00:00+00'"
    if query == "days":
        rows = connection.execute(
            f"select count(*), sum(cost) from (select ChargePeriodStart::date as day, SubAccountId, ServiceName, sum(EffectiveCost) as cost "
            f"from {source} where {days} group by all)"
        ).fetchall()
        print(f"{rows[0][1]:.2f}")
        return
    middle = connection.execute(f"select ((date '{end}' - date '{start}') // 2)::int").fetchone()[0]
    later = f"ChargePeriodStart >= timestamptz '{start} 00:00:00+00' + interval {middle} day"
    rows = connection.execute(
        f"select ResourceId, sum(case when {later} then 0 else EffectiveCost end) as before, sum(case when {later} then EffectiveCost else 0 end) as after "
        f"from {source} where {days} and ResourceId is not null group by 1 order by after - before desc, 1 limit 100"
    ).fetchall()
    for resource, before, after in rows:
        print(f"{resource},{before:.2f},{after:.2f}")


def generate(folder, rows_per_day, count):
    """Bills of a made-up organisation, the same for the same arguments: 43 columns would not change what is read, so there are 18."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    seed = 5
    random = np.random.default_rng(seed)
    print(f"making {count} days of {rows_per_day} rows, seed {seed}", file=sys.stderr)
    resources, accounts, services, skus = max(rows_per_day, 100), 200, 40, 2000
    account_of = random.zipf(1.4, resources) % accounts
    service_of = random.zipf(1.3, resources) % services
    sku_of = random.integers(0, skus // services, resources) * services + service_of
    price_of = np.round(10 ** random.uniform(-4, 0.3, skus), 6)
    level_of = random.lognormal(0, 1.3, resources)
    account_ids = [f"{number:012d}" for number in random.integers(10**11, 10**12, accounts)]
    service_names = [f"Service {number:02d}" for number in range(services)]
    sku_ids = [f"SKU{number:08X}.PRICE" for number in range(skus)]
    marks = random.integers(0, 2**62, resources)
    ids = [f"arn:aws:svc{service_of[i]:02d}:eu-west-1:{account_ids[account_of[i]]}:thing/thing-{marks[i]:017x}" for i in range(resources)]
    planted = random.choice(resources, 100, replace=False)
    extra = np.zeros(resources)
    extra[planted] = 50 + 5 * np.arange(100)
    tags = json.dumps({"team": "payments", "env": "prod", "owner": "someone@example.com"})

    def names(codes, values, mask=None):
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=mask), pa.array(values))

    def one(value, rows):
        return names(np.zeros(rows), [value])

    first, parts = np.datetime64("2026-09-01", "ms"), 0
    by_month = {}
    for day in range(count):
        by_month.setdefault(str((first + np.timedelta64(day, "D")).astype("datetime64[M]")), []).append(day)
    for month, days in by_month.items():
        which = np.concatenate([random.permutation(resources)[:rows_per_day] for _ in days])
        on = np.repeat(days, [min(rows_per_day, resources)] * len(days))
        shuffled = random.permutation(len(which))
        which, on = which[shuffled], on[shuffled]
        for start in range(0, len(which), 1_000_000):
            take, day = which[start : start + 1_000_000], on[start : start + 1_000_000]
            rows, parts = len(take), parts + 1
            begin = first + day.astype("timedelta64[D]").astype("timedelta64[ms]")
            quantity = np.round(level_of[take] * np.exp(random.normal(0, 0.03, rows)), 6)
            listed = quantity * price_of[sku_of[take]]
            effective = listed * 0.93 + np.where(day >= count - 14, extra[take], 0)
            stamp = pa.timestamp("ms", tz="UTC")
            none = random.random(rows) < 0.06
            table = pa.table({
                "BilledCost": effective, "BillingAccountId": one("999988887777", rows), "BillingCurrency": one("USD", rows),
                "ChargeCategory": one("Usage", rows), "ChargeClass": pa.nulls(rows, pa.string()),
                "ChargePeriodEnd": pa.array(begin + np.timedelta64(86_400_000, "ms"), stamp), "ChargePeriodStart": pa.array(begin, stamp),
                "CommitmentDiscountStatus": pa.nulls(rows, pa.string()), "ContractedCost": listed * 0.93, "EffectiveCost": effective,
                "ListCost": listed, "PricingQuantity": quantity, "RegionId": one("eu-west-1", rows),
                "ResourceId": names(take, ids, none), "ServiceName": names(service_of[take], service_names),
                "SkuPriceId": names(sku_of[take], sku_ids), "SubAccountId": names(account_of[take], account_ids), "Tags": one(tags, rows),
            })
            dictionaries = [name for name in table.column_names if name != "ResourceId" and not name.endswith(("Cost", "Quantity"))]
            for kind, dictionary in (("plain", dictionaries), ("", True)):
                path = os.path.join(folder, "focus_parquet" + ("_" + kind if kind else ""), f"BILLING_PERIOD={month}")
                os.makedirs(path, exist_ok=True)
                pyarrow.parquet.write_table(table, f"{path}/bill-{parts:05d}.parquet", compression="snappy", use_dictionary=dictionary, store_schema=False, row_group_size=1_000_000)
            if (late := day >= count - 28).any():
                path = os.path.join(folder, "focus_csv", f"BILLING_PERIOD={month}")
                os.makedirs(path, exist_ok=True)
                plain = table.filter(pa.array(late))
                plain = pa.table([c.cast(c.type.value_type) if pa.types.is_dictionary(c.type) else c for c in plain.combine_chunks().columns], names=plain.column_names)
                with pa.CompressedOutputStream(f"{path}/bill-{parts:05d}.csv.gz", "gzip") as out:
                    pyarrow.csv.write_csv(plain, out)


def measured(command):
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output)
        _, status, usage = os.wait4(child.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"{command[0]}: exit {os.waitstatus_to_exitcode(status)}")
        output.seek(0)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output.read().decode()


def same(ours, theirs, query):
    """Whether both say the same, to the cent; of the hundred risers, the keys and both sums."""
    if query == "days":
        return abs(float(ours.split(", ")[1].split(" ")[0]) - float(theirs)) < 0.01
    left, right = ([line.rsplit(",", 2) for line in text.splitlines()] for text in (ours, theirs))
    sums = lambda rows: {key: (float(before), float(after)) for key, before, after in rows}
    left, right = sums(left), sums(right)
    return left.keys() == right.keys() and all(abs(a - b) < 0.011 for key in left for a, b in zip(left[key], right[key]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.path.join(tempfile.gettempdir(), "sweeper-bills"))
    parser.add_argument("--rows-per-day", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scan", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "examples", "scan"))
    parser.add_argument("--generator")
    parser.add_argument("--only")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ask:
        ask(*args.ask)
        return
    if args.make:
        generate(args.data, args.rows_per_day, args.days)
        return
    if not os.path.isdir(os.path.join(args.data, "focus_csv")):
        if args.generator:
            subprocess.check_call([sys.executable, args.generator, args.data, "--plain-ids", "--no-csv"])
            subprocess.check_call([sys.executable, args.generator, args.data, "--csv-frac", "0.6"])
        else:
            # In a process of its own: a child's peak memory is never below what its parent held when it was started.
            subprocess.check_call([sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--data", args.data, "--make"])
    missed = False
    print(f"{'query':18} {'ours: CPU s':>12} {'peak MiB':>9} {'DuckDB: CPU s':>14} {'peak MiB':>9} {'ratio':>6} {'bar':>5}  answers")
    for name, folder, query, (start, end), bar in CASES:
        if args.only and args.only != name:
            continue
        path = os.path.join(args.data, folder)
        ours, theirs = [], []
        for _ in range(args.runs):
            ours.append(measured([args.scan, query, path, start, end, "2"]))
            theirs.append(measured([sys.executable, os.path.abspath(__file__), "--ask", "risers" if query == "delta" else query, path, start, end]))
        median = lambda rows, column: statistics.median(row[column] for row in rows)
        ratio = median(ours, 0) / median(theirs, 0)
        agree = "not compared" if query == "delta" else "agree" if same(ours[0][2], theirs[0][2], query) else "DIFFER"
        print(f"{name:18} {median(ours, 0):12.2f} {median(ours, 1):9.0f} {median(theirs, 0):14.2f} {median(theirs, 1):9.0f} {ratio:6.2f} {bar or '':>5}  {agree}", flush=True)
        missed |= agree == "DIFFER" or (bar is not None and (ratio > bar or median(ours, 1) > MOST_MIB))
    sys.exit(1 if args.check and missed else 0)


main()
