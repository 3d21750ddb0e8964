//! Bills in a bucket: what is fetched of them, and what is refused.

use super::*;
use serde_json::json;
use std::{
    io,
    ops::Range,
    sync::{Mutex, PoisonError},
};
use sweeper_bill::{
    export::{ExportError, find_in},
    source::{Object, Objects, changed},
};

/// A bucket that notes what is fetched.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: Mutex<BTreeMap<String, Bytes>>,
    fetched: Mutex<Vec<(String, Range<u64>)>>,
    /// What cannot be read, from which reading on.
    broken: Option<(&'static str, usize)>,
}

fn tag(bytes: &Bytes) -> String {
    format!("{:x}", bytes.iter().fold(7_u64, |tag, byte| tag.wrapping_mul(31).wrapping_add(u64::from(*byte))))
}

impl Bucket {
    pub(super) fn put(&self, name: &str, content: impl Into<Bytes>) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), content.into());
    }

    /// How many bytes of an object were fetched, and in how many requests.
    pub(super) fn fetched(&self, name: &str) -> (u64, usize) {
        let all = self.fetched.lock().unwrap();
        let own: Vec<_> = all.iter().filter(|(other, _)| other == name).collect();
        (own.iter().map(|(_, range)| range.end - range.start).sum(), own.len())
    }

    pub(super) fn forget(&self) {
        self.fetched.lock().unwrap().clear();
    }
}

impl Objects for Bucket {
    fn place(&self) -> String {
        "s3://bills/prefix".to_owned()
    }

    fn list(&self) -> io::Result<Vec<Object>> {
        let object = |(name, bytes): (&String, &Bytes)| Object {
            name: name.clone(),
            size: bytes.len() as u64,
            tag: Some(tag(bytes)),
            modified: None,
        };
        Ok(self.objects.lock().unwrap().iter().map(object).collect())
    }

    fn read(&self, object: &Object, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let objects = self.objects.lock().unwrap();
        let bytes = objects.get(&object.name).filter(|bytes| Some(tag(bytes)) == object.tag).ok_or_else(changed)?;
        ranges
            .iter()
            .map(|range| {
                let mut fetched = self.fetched.lock().unwrap();
                let before = fetched.iter().filter(|(name, _)| *name == object.name).count();
                if self.broken.is_some_and(|(name, from)| object.name.ends_with(name) && before >= from) {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "503 after 5 retries"));
                }
                fetched.push((object.name.clone(), range.clone()));
                Ok(bytes.slice(range.start as usize..range.end as usize))
            })
            .collect()
    }
}

const FIRST: &str = "costs/data/BILLING_PERIOD=2026-09/costs-00001.snappy.parquet";

fn manifest(bucket: &Bucket, files: &[&str]) {
    let files: Vec<String> = files.iter().map(|file| format!("s3://bills/prefix/{file}")).collect();
    let manifest = json!({ "dataFiles": files }).to_string();
    bucket.put("costs/metadata/BILLING_PERIOD=2026-09/costs-Manifest.json", manifest);
}

/// Sixty row groups, in which the tags take most of the room.
fn large(rows: usize) -> (Vec<Row>, Bytes) {
    let row = |index: usize| Row { resource: Some(format!("vol-{:03}", index % 500)), ..Row::default() };
    let rows: Vec<Row> = (0..rows).map(row).collect();
    let mut columns = columns(&rows);
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:x}")
    };
    let tags: StringArray = rows.iter().map(|_| Some((0..40).map(|_| noise()).collect::<String>())).collect();
    columns.retain(|(name, _)| *name != "Tags");
    // Between the columns that are needed.
    columns.insert(8, ("Tags", Arc::new(tags)));
    let bytes = parquet_of(&columns, &Written { group: 4000, ..Written::default() });
    (rows, bytes)
}

#[test]
fn of_a_parquet_object_only_what_is_needed_travels() {
    let (rows, content) = large(20_000);
    let size = content.len() as u64;
    assert!(size > 8 << 20, "{size}");
    let bucket = Arc::new(Bucket::default());
    bucket.put(FIRST, content);
    manifest(&bucket, &[FIRST]);
    let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
    let export = find_in(&objects).unwrap();
    assert_eq!(export.files[0].display().to_string(), format!("s3://bills/prefix/{FIRST}"));
    assert_eq!(export.periods[0].name, "2026-09");
    assert_eq!(bucket.fetched(FIRST), (0, 0), "finding it reads manifests only");
    let partial = scanned(export.sources(), 3).unwrap();
    assert_eq!(bytes(&partial), bytes(&one(parquet(&rows)).unwrap()));
    let (fetched, requests) = bucket.fetched(FIRST);
    assert!(fetched < size / 8, "{fetched} of {size} bytes");
    // The magic, the end, and the chunks of five row groups on both sides of the tags.
    assert!(requests <= 2 + 5 * 2, "{requests} requests");
    // Days that no row group has are seen in the footer.
    bucket.forget();
    let (from, to) = (date(2026, 11, 1), date(2026, 12, 1));
    let mut later = request(Spread::Start);
    for rollup in &mut later.rollups {
        rollup.windows = vec![Window { from, to }];
    }
    scan(export.sources(), &later, NonZeroUsize::MIN).unwrap();
    assert_eq!(bucket.fetched(FIRST).1, 2);
}

#[test]
fn a_bucket_gives_what_a_directory_gives() {
    let rows: Vec<Row> = (0..500)
        .map(|index| Row { start: START + index % 28 * DAY, end: START + (index % 28 + 1) * DAY, ..Row::default() })
        .collect();
    let bucket = Arc::new(Bucket::default());
    let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
    assert!(matches!(find_in(&objects), Err(ExportError::Nothing(_))));
    // Without any manifest, and with what is no bill.
    let (a, b) = rows.split_at(200);
    let (b, c) = b.split_at(100);
    for (name, content) in [
        ("a.parquet", parquet(a)),
        ("sub/b.csv", csv(b).into()),
        ("sub/c.csv.gz", gzip(csv(c).as_bytes()).into()),
        ("_temporary/d.csv", csv(b).into()),
        ("sub/.e.csv", csv(b).into()),
        ("README.md", "x".into()),
    ] {
        bucket.put(name, content);
    }
    let export = find_in(&objects).unwrap();
    assert_eq!(export.files.len(), 3);
    assert_eq!(bytes(&scanned(export.sources(), 2).unwrap()), bytes(&one(parquet(&rows)).unwrap()));
    // Two CSV files that are longer than what is fetched at once, one of them compressed.
    let many: Vec<Row> = rows.iter().cycle().take(60_000).cloned().collect();
    let text = csv(&many);
    assert!(text.len() > 9 << 20, "{}", text.len());
    let bucket = Arc::new(Bucket::default());
    bucket.put("long.csv", text.clone());
    bucket.put("long.csv.gz", gzip(text.as_bytes()));
    let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
    let partial = scanned(find_in(&objects).unwrap().sources(), 2).unwrap();
    assert_eq!(
        bytes(&partial),
        bytes(&scanned(vec![Source::memory("1", text.clone()), Source::memory("2", text)], 2).unwrap())
    );
    assert!(bucket.fetched("long.csv").1 <= 4);
}

#[test]
fn the_place_may_be_one_object() {
    let bucket = Arc::new(Bucket::default());
    bucket.put("", parquet(&[Row::default()]));
    let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
    let export = find_in(&objects).unwrap();
    assert_eq!(export.files[0].display().to_string(), "s3://bills/prefix");
    assert_eq!(bytes(&scanned(export.sources(), 1).unwrap()), bytes(&one(parquet(&[Row::default()])).unwrap()));
}

#[test]
fn a_manifest_counts_in_a_bucket_as_in_a_directory() {
    let bucket = Arc::new(Bucket::default());
    let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
    manifest(&bucket, &[FIRST]);
    let error = find_in(&objects).unwrap_err().to_string();
    assert!(
        error.starts_with("s3://bills/prefix/costs/metadata/BILLING_PERIOD=2026-09/costs-Manifest.json: it names "),
        "{error}"
    );
    bucket.put(FIRST, parquet(&[Row::default()]));
    // Beside it, of an earlier run that had more files.
    bucket.put("costs/data/BILLING_PERIOD=2026-09/costs-00002.snappy.parquet", parquet(&[Row::default()]));
    assert_eq!(find_in(&objects).unwrap().files.len(), 1);
    bucket.put("costs/data/BILLING_PERIOD=2026-10/costs-00001.snappy.parquet", parquet(&[Row::default()]));
    let error = find_in(&objects).unwrap_err().to_string();
    assert!(error.contains("prefix/costs/data/BILLING_PERIOD=2026-10: bills without a manifest"), "{error}");
    // Azure names the object in its container, and its size.
    let bucket = Arc::new(Bucket::default());
    let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
    let folder = "focus/20260901-20260930/r1/5f2c";
    let content = csv(&[Row::default()]);
    let told = |bytes: usize| {
        json!({
            "exportConfig": { "exportName": "focus", "type": "FocusCost" },
            "runInfo": { "runId": "r1", "startDate": "2026-09-01T00:00:00", "endDate": "2026-09-30T00:00:00" },
            "blobs": [{ "blobName": format!("prefix/{folder}/part_0.csv"), "byteCount": bytes }],
        })
        .to_string()
    };
    bucket.put(&format!("{folder}/manifest.json"), told(content.len() + 1));
    bucket.put(&format!("{folder}/part_0.csv"), content.clone());
    assert!(matches!(find_in(&objects), Err(ExportError::Size { .. })));
    bucket.put(&format!("{folder}/manifest.json"), told(content.len()));
    let partial = scanned(find_in(&objects).unwrap().sources(), 1).unwrap();
    assert_eq!(bytes(&partial), bytes(&one(parquet(&[Row::default()])).unwrap()));
}

#[test]
fn what_changed_or_cannot_be_read_is_named_and_nothing_is_summed() {
    let (_, content) = large(9000);
    for name in ["a.parquet", "a.csv", "a.csv.gz"] {
        let bucket = Bucket::default();
        let other: Bytes = match name {
            "a.parquet" => content.clone(),
            "a.csv" => csv(&[Row::default()]).into(),
            _ => gzip(csv(&[Row::default()]).as_bytes()).into(),
        };
        bucket.put(name, other);
        bucket.put("good.csv", csv(&[Row::default()]));
        let bucket = Arc::new(bucket);
        let objects: Arc<dyn Objects> = Arc::clone(&bucket) as Arc<dyn Objects>;
        let export = find_in(&objects).unwrap();
        bucket.put(name, parquet(&[Row { effective: 2.0, ..Row::default() }]));
        let error = refused(scanned(export.sources(), 2));
        assert!(error.contains(&format!("s3://bills/prefix/{name}: it changed since it was listed")), "{error}");
        assert!(error.contains("Run this again"), "{error}");
    }
    // At the magic, the footer, and a row group; and in the middle of a text.
    let text: Bytes = csv(&vec![Row::default(); 60_000]).into();
    for (name, from) in [
        ("x.parquet", 0),
        ("x.parquet", 1),
        ("x.parquet", 2),
        ("x.parquet", 4),
        ("x.csv", 0),
        ("x.csv", 2),
        ("x.csv.gz", 1),
    ] {
        let bucket = Bucket { broken: Some((name, from)), ..Bucket::default() };
        bucket.put("good.csv", csv(&[Row::default()]));
        bucket.put(
            name,
            match name {
                "x.parquet" => content.clone(),
                "x.csv" => text.clone(),
                _ => {
                    let mut noisy = csv(&[Row::default()]).into_bytes();
                    noisy.extend(
                        (0..9000_u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes().repeat(16)),
                    );
                    let mut stored = GzEncoder::new(Vec::new(), Compression::none());
                    stored.write_all(&noisy).unwrap();
                    stored.finish().unwrap().into()
                }
            },
        );
        let objects: Arc<dyn Objects> = Arc::new(bucket);
        let error = refused(scanned(find_in(&objects).unwrap().sources(), 2));
        assert!(
            error.contains(&format!("s3://bills/prefix/{name}")) && error.contains("503 after 5 retries"),
            "{name} {from}: {error}"
        );
        assert!(!error.contains("cut off") && !error.contains("broken"), "{name} {from}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Whatever a footer says, no more is fetched than there is, and the run goes on.
    #[test]
    fn a_damaged_object_is_refused(rows in rows(40), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in 0..4_usize) {
        let mut content = parquet_of(&columns(&rows), &Written { group: 20, ..Written::default() }).to_vec();
        let at = at.index(content.len());
        content[at] ^= byte;
        content.truncate(content.len() - cut);
        let bucket = Bucket::default();
        bucket.put("x.parquet", content.clone());
        let objects: Arc<dyn Objects> = Arc::new(bucket);
        let remote = scanned(find_in(&objects).unwrap().sources(), 2).map(|partial| bytes(&partial)).ok();
        let local = scanned(vec![Source::memory("s3://bills/prefix/x.parquet", content)], 2).map(|partial| bytes(&partial)).ok();
        prop_assert_eq!(remote, local);
    }
}
