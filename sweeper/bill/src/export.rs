//! Finds the files of an export of bills under a directory or in a bucket, as its provider lays it out.
//!
//! - AWS Data Exports: `metadata/BILLING_PERIOD=YYYY-MM/…-Manifest.json` names the files of a month under `data/`. It is
//!   written last. An export that keeps its earlier runs has one manifest a run.
//! - Azure exports: every run is a folder with its files and a `manifest.json` that names them and their sizes.
//! - Anything else: every Parquet, CSV and gzip CSV file.
//!
//! Of each period only the newest manifest counts: a newer run replaces what an older one said, and is never added to it.
//! Sources: AWS Data Exports user guide, "Export delivery"; Microsoft FinOps toolkit, "Data processing".

use crate::{
    cache::Set,
    directory::Directory,
    request::Window,
    row::shortened,
    source::{Object, Objects, Source},
};
use jiff::civil::Date;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt::Write as _,
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};
use thiserror::Error;

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
    /// The days it is of, where its name tells them.
    pub days: Option<Window>,
    /// The period whatever its state: which export, where, and which days.
    pub slot: String,
    /// Its state: the manifest, the run, and every file with its size and tag.
    pub state: String,
}

/// What was found. In a bucket a path is the URL of an object.
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
    /// By path, where the bytes are.
    sources: BTreeMap<PathBuf, Source>,
}

impl Export {
    pub fn sources(&self) -> Vec<Source> {
        self.files.iter().map(|path| self.source(path)).collect()
    }

    /// Its periods, each by itself, and the files that no manifest told of, or more than one.
    pub fn sets(&self) -> (Vec<Set>, Vec<Source>) {
        let mut told: BTreeMap<&Path, usize> = BTreeMap::new();
        for file in self.periods.iter().flat_map(|period| &period.files) {
            *told.entry(file).or_default() += 1;
        }
        let mut sets = Vec::new();
        let mut kept = BTreeSet::new();
        for period in &self.periods {
            let own = |file: &PathBuf| told.get(file.as_path()) == Some(&1);
            let (Some(days), true) = (period.days, period.files.iter().all(own)) else { continue };
            kept.extend(&period.files);
            let sources = period.files.iter().map(|path| self.source(path)).collect();
            sets.push(Set { slot: period.slot.clone(), state: period.state.clone(), days, sources });
        }
        let loose = self.files.iter().filter(|path| !kept.contains(path)).map(|path| self.source(path)).collect();
        (sets, loose)
    }

    fn source(&self, path: &Path) -> Source {
        self.sources.get(path).cloned().unwrap_or_else(|| Source::file(path))
    }
}

/// Finds the export under a directory; a file is an export by itself.
pub fn find(directory: &Path) -> Result<Export, ExportError> {
    let read = |source| ExportError::Read { path: directory.to_owned(), source };
    if fs::metadata(directory).map_err(read)?.is_file() {
        return Ok(Export { files: vec![directory.to_owned()], ..Export::default() });
    }
    found(&Listing::of(&Directory::new(directory), directory.to_owned())?)
}

/// Finds the export in a bucket, likewise.
pub fn find_in(objects: &Arc<dyn Objects>) -> Result<Export, ExportError> {
    let listing = Listing::of(objects.as_ref(), PathBuf::from(objects.place()))?;
    let mut export = match listing.found.get(&listing.place) {
        Some(_) => Export { files: vec![listing.place.clone()], ..Export::default() },
        None => found(&listing)?,
    };
    let source = |path: &PathBuf| {
        let object = listing.object(path)?;
        Some((path.clone(), Source::object(path.display().to_string(), Arc::clone(objects), object)))
    };
    export.sources = export.files.iter().filter_map(source).collect();
    Ok(export)
}

fn found(listing: &Listing<'_>) -> Result<Export, ExportError> {
    let mut runs = Vec::new();
    for path in listing.visible() {
        if let Some(run) = manifest(listing, path)? {
            runs.push(run);
        }
    }
    let bills: Vec<PathBuf> = listing.visible().filter(|path| is_bill(path)).cloned().collect();
    let export =
        if runs.is_empty() { Export { files: bills, ..Export::default() } } else { newest(listing, runs, &bills)? };
    if export.files.is_empty() {
        return Err(ExportError::Nothing(listing.place.clone()));
    }
    Ok(export)
}

/// What lies under a place.
struct Listing<'a> {
    objects: &'a dyn Objects,
    place: PathBuf,
    found: BTreeMap<PathBuf, Object>,
}

impl<'a> Listing<'a> {
    fn of(objects: &'a dyn Objects, place: PathBuf) -> Result<Self, ExportError> {
        let listed = objects.list().map_err(|source| ExportError::Read { path: place.clone(), source })?;
        let path = |object: &Object| if object.name.is_empty() { place.clone() } else { place.join(&object.name) };
        let found = listed.into_iter().map(|object| (path(&object), object)).collect();
        Ok(Self { objects, place, found })
    }

    /// All but what jobs and copying programs leave behind, which begins with a dot or an underscore. Only a manifest
    /// leads there.
    fn visible(&self) -> impl Iterator<Item = &PathBuf> {
        let hidden = |object: &Object| object.name.split('/').any(|part| part.starts_with(['.', '_']));
        self.found.iter().filter(move |(_, object)| !hidden(object)).map(|(path, _)| path)
    }

    fn object(&self, path: &Path) -> Option<Object> {
        self.found.get(path).cloned().or_else(|| {
            let parts = path.strip_prefix(&self.place).ok()?.components();
            let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
            self.objects.unlisted(&parts?.join("/"))
        })
    }

    fn text(&self, path: &Path, object: &Object) -> io::Result<Vec<u8>> {
        let failed = |problem: &str| io::Error::other(format!("{}: {problem}", path.display()));
        let pieces = self.objects.read(object, std::slice::from_ref(&(0..object.size)))?;
        let text = pieces.into_iter().next().filter(|text| text.len() as u64 == object.size);
        Ok(text.ok_or_else(|| failed("less came than was asked for"))?.to_vec())
    }
}

fn is_bill(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    [".parquet", ".csv", ".csv.gz"].iter().any(|end| name.ends_with(end))
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

/// Reads a file that is a manifest of an export of FOCUS bills.
fn manifest(listing: &Listing<'_>, path: &Path) -> Result<Option<Run>, ExportError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let aws = name.ends_with("-Manifest.json") && month(path).is_some();
    if !aws && name != "manifest.json" {
        return Ok(None);
    }
    let failed = |source| ExportError::Read { path: path.to_owned(), source };
    let damaged = |problem: String| ExportError::Manifest { path: path.to_owned(), problem };
    let Some(object) = listing.object(path) else { return Ok(None) };
    if object.size > LARGEST_MANIFEST {
        return Err(damaged("it is larger than 64 MiB".to_owned()));
    }
    let text = listing.text(path, &object).map_err(failed)?;
    let written = object.modified.unwrap_or(SystemTime::UNIX_EPOCH);
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
        }));
    }
    let told: Azure = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
    // Actual and amortised costs are other columns.
    if !told.export_config.kind.is_empty() && !told.export_config.kind.eq_ignore_ascii_case("FocusCost") {
        return Ok(None);
    }
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
fn beneath(
    listing: &Listing<'_>,
    root: &Path,
    manifest: &Path,
    (name, size): (&str, Option<u64>),
) -> Result<PathBuf, ExportError> {
    let missing = || ExportError::Missing { manifest: manifest.to_owned(), file: name.to_owned() };
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err(missing());
    }
    // The longest end that is a file.
    let mut here = (0..parts.len()).map(|skip| root.join(parts[skip..].iter().collect::<PathBuf>()));
    let found = here.find_map(|path| Some((listing.object(&path)?, path)));
    let (object, path) = found.ok_or_else(missing)?;
    match size {
        Some(expected) if expected != object.size => {
            Err(ExportError::Size { file: path, expected, found: object.size })
        }
        _ => Ok(path),
    }
}

/// The days from the first to the last, which are told as days or, both the same, as a month.
fn days((first, last): &(String, String)) -> Option<Window> {
    if let Some((year, month)) = first.split_once('-').filter(|(_, month)| first == last && month.len() == 2) {
        let from = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        return Some(Window { from, to: from.last_of_month().tomorrow().ok()? });
    }
    let (from, last): (Date, Date) = (first.parse().ok()?, last.parse().ok()?);
    let to = last.tomorrow().ok()?;
    (from < to).then_some(Window { from, to })
}

/// Keeps the newest run of each period.
fn newest(listing: &Listing<'_>, mut runs: Vec<Run>, bills: &[PathBuf]) -> Result<Export, ExportError> {
    let mut export = Export::default();
    // An older run may have been cleared away already.
    let here =
        |run: &Run, file: &(String, Option<u64>)| beneath(listing, &run.root, &run.manifest, (&file.0, None)).ok();
    let named: BTreeSet<PathBuf> =
        runs.iter().flat_map(|run| run.files.iter().filter_map(move |file| here(run, file))).collect();
    let folders: BTreeSet<PathBuf> = named.iter().filter_map(|file| file.parent().map(Path::to_owned)).collect();
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
        let mut state = format!("{} {}\n", run.manifest.display(), run.id);
        if let Some(manifest) = listing.object(&run.manifest) {
            state += &manifest.tag.unwrap_or_default();
        }
        for (name, size) in &run.files {
            let path = beneath(listing, &run.root, &run.manifest, (name, *size))?;
            if let Some(object) = listing.object(&path) {
                let Object { name, size, tag, .. } = object;
                let _ = write!(state, "\n{name} {size} {}", tag.unwrap_or_default());
            }
            files.push(path);
        }
        export.files.extend(files.iter().cloned());
        let days = days(&run.period);
        let slot = format!("{}\n{}\n{} {}", listing.place.display(), run.export, run.period.0, run.period.1);
        let (first, last) = run.period;
        let name = if first == last { first } else { format!("{first} to {last}") };
        export.periods.push(Period { name, manifest: run.manifest, run: run.id, files, days, slot, state });
    }
    for bill in bills {
        let folder = bill.parent().unwrap_or(Path::new(""));
        // What lies beside named files is of an earlier run that was written over.
        if named.contains(bill) || folders.contains(folder) {
            continue;
        }
        let known = match month(bill) {
            Some(month) => months.contains(&month),
            // A run of Azure lies in a folder of the days it is of.
            None => folders.iter().any(|other| span(other) == span(folder)),
        };
        if !known {
            return Err(ExportError::Unfinished(folder.to_owned()));
        }
        export.unfinished.push(folder.to_owned());
    }
    for list in [&mut export.files, &mut export.replaced, &mut export.unfinished] {
        list.sort();
        list.dedup();
    }
    Ok(export)
}

/// The folder of the days that a run's folder lies in: `20260901-20260930`.
fn span(folder: &Path) -> Option<&OsStr> {
    let is = |name: &str| {
        name.len() == 17
            && name.bytes().enumerate().all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    folder.ancestors().filter_map(Path::file_name).find(|name| name.to_str().is_some_and(is))
}
