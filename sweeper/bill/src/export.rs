//! Finds the files of an export of bills under a directory, as its provider lays it out.
//!
//! - AWS Data Exports: `metadata/BILLING_PERIOD=YYYY-MM/…-Manifest.json` names the files of a month under `data/`. It is
//!   written last. An export that keeps its earlier runs has one manifest a run.
//! - The legacy report of AWS: `YYYYMMDD-YYYYMMDD/…-Manifest.json` names the files of a month, in CSV under a folder of
//!   the run beside it, in Parquet under `year=YYYY/month=M`. The folder of a run has a copy of its manifest.
//! - Azure exports: every run is a folder with its files and a `manifest.json` that names them and their sizes. FOCUS
//!   exports and cost exports tell the same charges: where there is one of FOCUS, cost exports are not read.
//! - Anything else: every Parquet, CSV and gzip CSV file, and lines of JSON.
//!
//! Of each period only the newest manifest counts: a newer run replaces what an older one said, and is never added to it.
//! Sources: AWS Data Exports user guide, "Export delivery"; for the legacy report manifests in public repositories
//! (`reportKeys`, `assemblyId`), not read in AWS's own pages; Microsoft FinOps toolkit, "Data processing".

use crate::{row::shortened, source::Source};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};
use thiserror::Error;

/// Folders within folders: a real export has six.
const DEEPEST: usize = 16;
/// A manifest names some hundred files.
const LARGEST_MANIFEST: u64 = 64 << 20;
const PERIOD: &str = "billing_period=";

/// The end of a file's long name, which tells it from others.
fn ending(name: &str) -> String {
    let over = name.chars().count().saturating_sub(60);
    let end: String = name.chars().skip(over).flat_map(char::escape_debug).collect();
    if over > 0 { format!("…{end}") } else { end }
}

/// Why an export cannot be read. Nothing of it is used then.
#[derive(Debug, Error)]
pub enum ExportError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: no bills: no Parquet or CSV file lies under it", .0.display())]
    Nothing(PathBuf),
    #[error("{}: the manifest cannot be understood: {problem}", path.display())]
    Manifest { path: PathBuf, problem: String },
    #[error("{}: it names {}, which is not there: the export is half written or half copied", manifest.display(), ending(file))]
    Missing { manifest: PathBuf, file: String },
    #[error("{}: it has {found} bytes, its manifest says {expected}: the export is half written or half copied", file.display())]
    Size { file: PathBuf, expected: u64, found: u64 },
    #[error("{}: bills without a manifest: the export is half written or half copied", .0.display())]
    Unfinished(PathBuf),
    #[error("{} is actual cost and {} amortised cost: the same charges told twice; take one of them out", actual.display(), amortized.display())]
    TwoDatasets { actual: PathBuf, amortized: PathBuf },
    #[error("{} and {}: both have charges of {days}, which would be counted twice", first.display(), second.display())]
    Overlap { first: PathBuf, second: PathBuf, days: String },
}

/// The files of one billing period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// `2026-09`, or the days of an Azure run.
    pub name: String,
    pub manifest: PathBuf,
    /// What names this state of it: another run, another name. What was made of the period is good for as long as this
    /// stays the same.
    pub run: String,
    pub files: Vec<PathBuf>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// Every file that counts, sorted.
    pub files: Vec<PathBuf>,
    /// The periods that a manifest told of; none for a plain directory.
    pub periods: Vec<Period>,
    /// Manifests that a newer one replaces, sorted.
    pub replaced: Vec<PathBuf>,
    /// Folders of runs that have no manifest yet beside older runs that have, sorted. They are not read.
    pub unfinished: Vec<PathBuf>,
    /// Manifests of cost exports of Azure beside its FOCUS exports, which tell the same charges, sorted.
    pub passed_over: Vec<PathBuf>,
}

impl Export {
    pub fn sources(&self) -> Vec<Source> {
        self.files.iter().map(Source::file).collect()
    }
}

/// Finds the export under a directory; a file is an export by itself.
pub fn find(directory: &Path) -> Result<Export, ExportError> {
    let read = |source| ExportError::Read { path: directory.to_owned(), source };
    if fs::metadata(directory).map_err(read)?.is_file() {
        return Ok(Export { files: vec![directory.to_owned()], ..Export::default() });
    }
    let mut all = Vec::new();
    walk(directory, 0, &mut all)?;
    all.sort();
    let mut runs = Vec::new();
    for path in &all {
        if let Some(run) = manifest(path)? {
            runs.push(run);
        }
    }
    let bills: Vec<PathBuf> = all.into_iter().filter(|path| is_bill(path)).collect();
    let export = if runs.is_empty() { Export { files: bills, ..Export::default() } } else { newest(runs, &bills)? };
    if export.files.is_empty() {
        return Err(ExportError::Nothing(directory.to_owned()));
    }
    Ok(export)
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ExportError> {
    let failed = |source| ExportError::Read { path: directory.to_owned(), source };
    if depth > DEEPEST {
        return Err(failed(io::Error::other("folders within folders without end")));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        // What begins so is left behind by jobs and copying programs.
        if path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(['.', '_'])) {
            continue;
        }
        if kind.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if kind.is_file() || path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn is_bill(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").filter(|name| !name.ends_with(".parquet")).unwrap_or(&name);
    // BigQuery numbers what it writes; other JSON is no bill.
    let numbered = |stem: &str| stem.len() >= 12 && stem.bytes().rev().take(12).all(|byte| byte.is_ascii_digit());
    [".parquet", ".csv", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
        || name.strip_suffix(".json").is_some_and(numbered)
}

/// One run of an export, as its manifest tells.
struct Run {
    manifest: PathBuf,
    /// Which export, where several lie in one place.
    export: String,
    /// First and last day, or month.
    period: (String, String),
    id: String,
    /// The newest of a period counts.
    order: (String, SystemTime, PathBuf),
    /// Under what its files lie, their names in the bucket and their sizes.
    root: PathBuf,
    files: Vec<(String, Option<u64>)>,
    set: Set,
}

/// Which set of charges a run is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// The only one of its cloud.
    Only,
    // The three of Azure.
    Focus,
    Actual,
    Amortized,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aws {
    data_files: Vec<AwsFile>,
    #[serde(default)]
    execution_id: Option<String>,
}

/// A name, or a description that has the name.
struct AwsFile {
    key: String,
    size: Option<u64>,
}

impl<'de> Deserialize<'de> for AwsFile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let key = value.as_str().or_else(|| value.get("key")?.as_str());
        let key = key.ok_or_else(|| serde::de::Error::custom("a data file without a name"))?;
        Ok(Self { key: key.to_owned(), size: value.get("size").and_then(serde_json::Value::as_u64) })
    }
}

/// The manifest of a legacy report.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Legacy {
    report_keys: Vec<String>,
    #[serde(default)]
    assembly_id: Option<String>,
    #[serde(default)]
    report_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Azure {
    blobs: Vec<Blob>,
    run_info: RunInfo,
    #[serde(default)]
    export_config: ExportConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    blob_name: String,
    byte_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunInfo {
    run_id: String,
    start_date: String,
    end_date: String,
    #[serde(default)]
    submitted_time: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportConfig {
    #[serde(default)]
    export_name: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// Reads a file that is a manifest of an export of bills.
fn manifest(path: &Path) -> Result<Option<Run>, ExportError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let aws = name.ends_with("-Manifest.json") && month(path).is_some();
    let legacy = name.ends_with("-Manifest.json") && !aws && span(path).is_some();
    if !aws && !legacy && name != "manifest.json" {
        return Ok(None);
    }
    let failed = |source| ExportError::Read { path: path.to_owned(), source };
    let damaged = |problem: String| ExportError::Manifest { path: path.to_owned(), problem };
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.len() > LARGEST_MANIFEST {
        return Err(damaged("it is larger than 64 MiB".to_owned()));
    }
    let text = fs::read(path).map_err(failed)?;
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    if aws {
        let told: Aws = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let period = month(path).unwrap_or_default();
        let root = path.ancestors().find(|above| above.file_name() == Some(OsStr::new("metadata")));
        let root = root.and_then(Path::parent).ok_or_else(|| damaged("it is not under metadata".to_owned()))?;
        return Ok(Some(Run {
            manifest: path.to_owned(),
            export: root.display().to_string(),
            period: (period.clone(), period),
            id: told.execution_id.unwrap_or_else(|| stamp(&text)),
            order: (String::new(), written, path.to_owned()),
            root: root.to_owned(),
            files: told.data_files.into_iter().map(|file| (file.key, file.size)).collect(),
            set: Set::Only,
        }));
    }
    if legacy {
        let told: Legacy = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let month = path.ancestors().find(|above| above.file_name() == span(path));
        let root = month.and_then(Path::parent).ok_or_else(|| damaged("it is under no month".to_owned()))?;
        let day = span(path).and_then(OsStr::to_str).and_then(|days| days.get(..8)).unwrap_or_default();
        let period = format!("{}-{}", day.get(..4).unwrap_or_default(), day.get(4..6).unwrap_or_default());
        // The copy in the folder of a run is of that run; the one above is of the newest.
        let rank = if path.parent() == month { "newest" } else { "" };
        return Ok(Some(Run {
            manifest: path.to_owned(),
            export: format!("{} {}", root.display(), told.report_name),
            period: (period.clone(), period),
            id: told.assembly_id.unwrap_or_else(|| stamp(&text)),
            order: (rank.to_owned(), written, path.to_owned()),
            root: root.to_owned(),
            files: told.report_keys.into_iter().map(|key| (key, None)).collect(),
            set: Set::Only,
        }));
    }
    let told: Azure = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    // Prices, recommendations and reservations are no charges.
    let set = match told.export_config.kind.to_ascii_lowercase().as_str() {
        "" | "focuscost" => Set::Focus,
        "actualcost" | "usage" => Set::Actual,
        "amortizedcost" => Set::Amortized,
        _ => return Ok(None),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let day = |text: &str| text.get(..10).unwrap_or(text).to_owned();
    Ok(Some(Run {
        manifest: path.to_owned(),
        export: told.export_config.export_name,
        period: (day(&told.run_info.start_date), day(&told.run_info.end_date)),
        id: told.run_info.run_id,
        order: (told.run_info.submitted_time, written, path.to_owned()),
        root: folder.to_owned(),
        files: told.blobs.into_iter().map(|blob| (blob.blob_name, blob.byte_count)).collect(),
        set,
    }))
}

/// The month of a path with a part `BILLING_PERIOD=YYYY-MM`.
fn month(path: &Path) -> Option<String> {
    let part = |part: Component<'_>| {
        let part = part.as_os_str().to_str()?.to_ascii_lowercase();
        part.strip_prefix(PERIOD).map(str::to_owned)
    };
    path.components().find_map(part)
}

/// A name for a manifest that has none: of what it says.
fn stamp(text: &[u8]) -> String {
    // FNV-1a, 64 bits: tells states of one file apart, nothing more.
    let hash = text
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Where the file that a manifest names lies here. It knows the place in the bucket; the end of that is the place under
/// `root`. A name that leads out of `root` is not there.
fn beneath(root: &Path, manifest: &Path, name: &str, size: Option<u64>) -> Result<PathBuf, ExportError> {
    let missing = || ExportError::Missing { manifest: manifest.to_owned(), file: name.to_owned() };
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err(missing());
    }
    // The longest end that is a file.
    let here = (0..parts.len()).map(|skip| root.join(parts[skip..].iter().collect::<PathBuf>()));
    let (path, metadata) = here
        .filter_map(|path| Some((fs::metadata(&path).ok()?, path)))
        .find(|(found, _)| found.is_file())
        .map(|(found, path)| (path, found))
        .ok_or_else(missing)?;
    match size {
        Some(expected) if expected != metadata.len() => {
            Err(ExportError::Size { file: path, expected, found: metadata.len() })
        }
        _ => Ok(path),
    }
}

/// Keeps one of the sets that tell the charges of Azure.
fn one_of_azure(runs: &mut Vec<Run>, export: &mut Export) -> Result<(), ExportError> {
    let first = |set: Set| runs.iter().find(|run| run.set == set).map(|run| run.manifest.clone());
    if first(Set::Focus).is_some() {
        let cost = |run: &Run| matches!(run.set, Set::Actual | Set::Amortized);
        export.passed_over.extend(runs.iter().filter(|run| cost(run)).map(|run| run.manifest.clone()));
        runs.retain(|run| !cost(run));
    } else if let (Some(actual), Some(amortized)) = (first(Set::Actual), first(Set::Amortized)) {
        return Err(ExportError::TwoDatasets { actual, amortized });
    }
    Ok(())
}

/// Keeps the newest run of each period.
fn newest(mut runs: Vec<Run>, bills: &[PathBuf]) -> Result<Export, ExportError> {
    let mut export = Export::default();
    // An older run may have been cleared away already.
    let here = |run: &Run, file: &(String, Option<u64>)| beneath(&run.root, &run.manifest, &file.0, None).ok();
    let named: BTreeSet<PathBuf> =
        runs.iter().flat_map(|run| run.files.iter().filter_map(move |file| here(run, file))).collect();
    let folders: BTreeSet<PathBuf> = named.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
    one_of_azure(&mut runs, &mut export)?;
    runs.sort_by(|left, right| left.order.cmp(&right.order));
    let mut by_period: BTreeMap<(String, (String, String)), Run> = BTreeMap::new();
    for run in runs {
        if let Some(older) = by_period.insert((run.export.clone(), run.period.clone()), run) {
            export.replaced.push(older.manifest);
        }
    }
    // Sorted by export and first day: two that overlap are neighbours, or have one between that overlaps too.
    let kept: Vec<&Run> = by_period.values().collect();
    for pair in kept.windows(2) {
        let [first, second] = pair else { continue };
        if first.export == second.export && second.period.0 <= first.period.1 {
            return Err(ExportError::Overlap {
                first: first.manifest.clone(),
                second: second.manifest.clone(),
                days: format!("{} to {}", shortened(&second.period.0), shortened(&first.period.1)),
            });
        }
    }
    let months: BTreeSet<String> = kept.iter().map(|run| run.period.0.clone()).collect();
    for run in by_period.into_values() {
        let mut files = Vec::new();
        for (name, size) in &run.files {
            files.push(beneath(&run.root, &run.manifest, name, *size)?);
        }
        export.files.extend(files.iter().cloned());
        let (first, last) = run.period;
        let name = if first == last { first } else { format!("{first} to {last}") };
        export.periods.push(Period { name, manifest: run.manifest, run: run.id, files });
    }
    for bill in bills {
        let folder = bill.parent().unwrap_or(Path::new(""));
        // What lies beside named files is of an earlier run that was written over.
        if named.contains(bill) || folders.contains(folder) {
            continue;
        }
        let known = match month(bill) {
            Some(month) => months.contains(&month),
            // A run of Azure, and of the legacy report of AWS, lies in a folder of the days it is of.
            None => folders.iter().any(|other| days(other) == days(folder)),
        };
        if !known {
            return Err(ExportError::Unfinished(folder.to_owned()));
        }
        export.unfinished.push(folder.to_owned());
    }
    for list in [&mut export.files, &mut export.replaced, &mut export.unfinished, &mut export.passed_over] {
        list.sort();
        list.dedup();
    }
    Ok(export)
}

/// The days that a run's folder is of: `20260901-20260930`, or `year=2026` and `month=9`.
fn days(folder: &Path) -> Vec<&OsStr> {
    let part = |start: &str| {
        let mut names = folder.ancestors().filter_map(Path::file_name);
        names.find(|name| name.to_str().is_some_and(|name| name.starts_with(start)))
    };
    span(folder).into_iter().chain(part("year=")).chain(part("month=")).collect()
}

/// The folder of the days that a run's folder lies in: `20260901-20260930`.
fn span(folder: &Path) -> Option<&OsStr> {
    let is = |name: &str| {
        name.len() == 17
            && name.bytes().enumerate().all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    folder.ancestors().filter_map(Path::file_name).find(|name| name.to_str().is_some_and(is))
}
