//! Exports of bills as providers lay them out: the newest manifest of a period counts, and what is half there is named.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use sweeper_bill::export::{Export, ExportError, find};

/// A directory of this test's own, empty.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("export").join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    place
}

fn put(root: &Path, name: &str, content: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes a file some seconds old.
fn age(root: &Path, name: &str, seconds: u64) {
    let file = fs::File::options().write(true).open(root.join(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn names(root: &Path, export: &Export) -> Vec<String> {
    export.files.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
}

#[test]
fn a_plain_directory_gives_its_bills() {
    let root = place("plain");
    for name in ["b/2.parquet", "a/1.csv.gz", "a/README.md", "_SUCCESS", "_temporary/3.csv", ".hidden.csv", "3.CSV"] {
        put(&root, name, "x");
    }
    let export = find(&root).unwrap();
    assert_eq!(names(&root, &export), ["3.CSV", "a/1.csv.gz", "b/2.parquet"]);
    assert!(export.periods.is_empty());
    assert_eq!(find(&root.join("3.CSV")).unwrap().files, [root.join("3.CSV")]);
    assert!(matches!(find(&place("nothing")), Err(ExportError::Nothing(_))));
    assert!(matches!(find(&root.join("nowhere")), Err(ExportError::Read { .. })));
}

fn aws(root: &Path, month: &str, run: &str, files: &[&str]) {
    let key = |file: &&str| format!("s3://bucket/prefix/costs/data/BILLING_PERIOD={month}/{run}{file}");
    let manifest = json!({ "dataFiles": files.iter().map(key).collect::<Vec<_>>(), "columns": [] });
    put(root, &format!("costs/metadata/BILLING_PERIOD={month}/{run}costs-Manifest.json"), &manifest.to_string());
}

#[test]
fn an_export_of_aws_is_read_by_its_manifests() {
    let root = place("aws");
    aws(&root, "2026-09", "", &["costs-00001.snappy.parquet", "costs-00002.snappy.parquet"]);
    aws(&root, "2026-10", "", &["costs-00001.snappy.parquet"]);
    let first = "costs/data/BILLING_PERIOD=2026-09/costs-00001.snappy.parquet";
    for name in [
        first,
        "costs/data/BILLING_PERIOD=2026-09/costs-00002.snappy.parquet",
        // Of an earlier run that had more files, and was written over.
        "costs/data/BILLING_PERIOD=2026-09/costs-00003.snappy.parquet",
        "costs/data/BILLING_PERIOD=2026-10/costs-00001.snappy.parquet",
    ] {
        put(&root, name, "PAR1");
    }
    let export = find(&root).unwrap();
    assert_eq!(names(&root, &export).len(), 3);
    assert!(!names(&root, &export).iter().any(|name| name.contains("00003")));
    assert_eq!(export.periods.iter().map(|period| period.name.as_str()).collect::<Vec<_>>(), ["2026-09", "2026-10"]);
    // A manifest that says something else has another name.
    let before = export.periods[1].run.clone();
    aws(&root, "2026-10", "", &[]);
    assert_ne!(find(&root).unwrap().periods[1].run, before);
    fs::remove_file(root.join(first)).unwrap();
    let error = find(&root).unwrap_err().to_string();
    assert!(error.contains("BILLING_PERIOD=2026-09/costs-Manifest.json: it names "), "{error}");
    assert!(error.contains("BILLING_PERIOD=2026-09/costs-00001.snappy.parquet, which"), "{error}");
    assert!(error.contains("which is not there"), "{error}");
}

#[test]
fn a_newer_run_replaces_a_month_and_never_adds_to_it() {
    let root = place("aws-runs");
    for (run, seconds) in [("20260901T000000Z-b/", 10), ("20260902T000000Z-a/", 100)] {
        aws(&root, "2026-09", run, &["costs-00001.csv.gz"]);
        put(&root, &format!("costs/data/BILLING_PERIOD=2026-09/{run}costs-00001.csv.gz"), "x");
        age(&root, &format!("costs/metadata/BILLING_PERIOD=2026-09/{run}costs-Manifest.json"), seconds);
    }
    // A run that goes on: its manifest comes last.
    put(&root, "costs/data/BILLING_PERIOD=2026-09/20260903T000000Z-c/costs-00001.csv.gz", "x");
    let export = find(&root).unwrap();
    assert_eq!(names(&root, &export), ["costs/data/BILLING_PERIOD=2026-09/20260901T000000Z-b/costs-00001.csv.gz"]);
    assert_eq!((export.replaced.len(), export.unfinished.len()), (1, 1));
    assert!(export.unfinished[0].ends_with("20260903T000000Z-c"));
    // The older run may be cleared away.
    fs::remove_dir_all(root.join("costs/data/BILLING_PERIOD=2026-09/20260902T000000Z-a")).unwrap();
    assert_eq!(find(&root).unwrap().files.len(), 1);
    // A month without any manifest is not read as nothing.
    put(&root, "costs/data/BILLING_PERIOD=2026-10/costs-00001.csv.gz", "x");
    let error = find(&root).unwrap_err().to_string();
    assert!(error.contains("BILLING_PERIOD=2026-10: bills without a manifest"), "{error}");
}

fn azure(root: &Path, days: &str, run: &str, submitted: &str, kind: &str, bytes: usize) {
    let (from, to) = days.split_once('-').unwrap();
    let date = |text: &str| format!("{}-{}-{}T00:00:00", &text[..4], &text[4..6], &text[6..]);
    let folder = format!("costs/focus/{days}/{run}/5f2c");
    let manifest = json!({
        "manifestVersion": "2024-04-01",
        "exportConfig": { "exportName": "focus", "type": kind, "dataVersion": "1.2-preview" },
        "runInfo": { "runId": run, "submittedTime": submitted, "startDate": date(from), "endDate": date(to) },
        "blobs": [{ "blobName": format!("{folder}/part_0_0001.csv"), "byteCount": bytes }],
    });
    put(root, &format!("{folder}/manifest.json"), &manifest.to_string());
    put(root, &format!("{folder}/part_0_0001.csv"), "12345");
}

#[test]
fn an_export_of_azure_is_read_by_its_newest_run() {
    let root = place("azure");
    azure(&root, "20260901-20260930", "r1", "2026-09-10T01:00:00Z", "FocusCost", 5);
    azure(&root, "20260901-20260930", "r2", "2026-09-11T01:00:00Z", "FocusCost", 5);
    azure(&root, "20261001-20261031", "r3", "2026-10-11T01:00:00Z", "FocusCost", 5);
    azure(&root, "20261001-20261031", "r4", "2026-10-12T01:00:00Z", "ActualCost", 5);
    put(&root, "costs/focus/20261001-20261031/r5/5f2c/part_0_0001.csv", "1");
    let export = find(&root).unwrap();
    assert_eq!(
        names(&root, &export),
        [
            "costs/focus/20260901-20260930/r2/5f2c/part_0_0001.csv",
            "costs/focus/20261001-20261031/r3/5f2c/part_0_0001.csv"
        ]
    );
    assert_eq!(export.periods[0].run, "r2");
    assert_eq!((export.replaced.len(), export.unfinished.len()), (1, 1));
    // Its cost exports tell the same charges.
    assert!(export.passed_over[0].ends_with("20261001-20261031/r4/5f2c/manifest.json"));
    // Months that overlap would be counted twice.
    azure(&root, "20260915-20261015", "r6", "2026-10-15T01:00:00Z", "FocusCost", 5);
    assert!(matches!(find(&root), Err(ExportError::Overlap { .. })));
}

#[test]
fn a_cost_export_of_azure_is_actual_or_amortised() {
    let root = place("azure-cost");
    azure(&root, "20260901-20260930", "r1", "2026-09-10T01:00:00Z", "AmortizedCost", 5);
    azure(&root, "20260901-20260930", "r2", "2026-09-11T01:00:00Z", "AmortizedCost", 5);
    // Prices are no charges.
    azure(&root, "20260901-20260930", "r3", "2026-09-12T01:00:00Z", "PriceSheet", 5);
    let export = find(&root).unwrap();
    assert_eq!(names(&root, &export), ["costs/focus/20260901-20260930/r2/5f2c/part_0_0001.csv"]);
    azure(&root, "20261001-20261031", "r4", "2026-10-12T01:00:00Z", "ActualCost", 5);
    let error = find(&root).unwrap_err().to_string();
    assert!(error.contains("r4/5f2c/manifest.json is actual cost and "), "{error}");
    assert!(error.contains("manifest.json amortised cost: the same charges told twice"), "{error}");
}

/// A month of the legacy report of AWS, and the copy of its manifest in the folder of the run.
fn legacy(root: &Path, month: &str, run: &str, keys: &[String]) {
    let manifest = json!({
        "assemblyId": run, "account": "1", "reportName": "costs", "bucket": "b", "reportKeys": keys,
        "billingPeriod": { "start": "20260901T000000.000Z", "end": "20261001T000000.000Z" },
    });
    for folder in [month.to_owned(), format!("{month}/{run}")] {
        put(root, &format!("{folder}/costs-Manifest.json"), &manifest.to_string());
    }
}

#[test]
fn the_legacy_report_of_aws_is_read_by_its_manifests() {
    let root = place("aws-legacy");
    let month = "bills/costs/20260901-20261001";
    for run in ["a-old", "b-new"] {
        let key = format!("{month}/{run}/costs-1.csv.gz");
        put(&root, &key, "x");
        legacy(&root, month, run, &[key]);
    }
    // Of a run that goes on.
    put(&root, &format!("{month}/c-next/costs-1.csv.gz"), "x");
    let export = find(&root).unwrap();
    assert_eq!(names(&root, &export), [format!("{month}/b-new/costs-1.csv.gz")]);
    assert_eq!((export.periods[0].name.as_str(), export.periods[0].run.as_str()), ("2026-09", "b-new"));
    assert_eq!(export.unfinished.len(), 1);
    // In Parquet the files lie elsewhere, and are written over.
    let root = place("aws-legacy-parquet");
    let key = "bills/costs/costs/year=2026/month=9/costs-00001.snappy.parquet";
    put(&root, key, "PAR1");
    legacy(&root, month, "a", &[key.to_owned()]);
    let export = find(&root).unwrap();
    assert_eq!(names(&root, &export), [key]);
    put(&root, "bills/costs/costs/year=2026/month=10/costs-00001.snappy.parquet", "PAR1");
    assert!(matches!(find(&root), Err(ExportError::Unfinished(_))));
}

#[test]
fn lines_of_json_are_bills_where_bigquery_wrote_them() {
    let root = place("bigquery");
    for name in
        ["a-000000000000.json", "a-000000000001.json.gz", "b.jsonl", "c.ndjson.gz", "notes.json", "d.parquet.gz"]
    {
        put(&root, name, "x");
    }
    let bills = ["a-000000000000.json", "a-000000000001.json.gz", "b.jsonl", "c.ndjson.gz"];
    assert_eq!(names(&root, &find(&root).unwrap()), bills);
}

#[test]
fn a_half_copied_export_is_named() {
    let root = place("azure-half");
    azure(&root, "20260901-20260930", "r1", "2026-09-10T01:00:00Z", "FocusCost", 7);
    let error = find(&root).unwrap_err().to_string();
    assert!(error.contains("part_0_0001.csv: it has 5 bytes, its manifest says 7"), "{error}");
    put(&root, "costs/focus/20260901-20260930/r1/5f2c/manifest.json", "{\"blobs\": [");
    assert!(find(&root).unwrap_err().to_string().contains("the manifest cannot be understood"));
    let outside = json!({ "blobs": [{ "blobName": "../../../../../secret.csv" }],
        "runInfo": { "runId": "r", "startDate": "2026-09-01", "endDate": "2026-09-30" } });
    put(&root, "secret.csv", "x");
    put(&root, "costs/focus/20260901-20260930/r1/5f2c/manifest.json", &outside.to_string());
    assert!(matches!(find(&root), Err(ExportError::Missing { .. })));
}
