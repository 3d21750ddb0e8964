//! Bills in a bucket, read by ranges.
//!
//! Nothing is written. What fails for a time is tried again by the client; what fails for good is told with the name of
//! the object. An object is the one that was listed, or it is not read: of every answer the length, the time of the last
//! change and the entity tag are held against the listing.

use crate::{
    bridge::Bridge,
    bucket::{Bucket, is_denied, is_no_bucket, retries, words},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig, path::Path,
};
use std::{
    collections::BTreeMap,
    fmt, io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_bill::source::{Object, Objects, changed};
use sweeper_core::store::StoreError;

/// One request, of at most [`PART`] bytes.
const REQUEST: Duration = Duration::from_mins(1);
/// After this no request is tried again.
const RETRIES: Duration = Duration::from_secs(90);
/// A listing, of however many pages.
const LISTING: Duration = Duration::from_mins(10);
/// Longer ranges are fetched in parts.
const PART: u64 = 8 << 20;
/// Requests at once, for one thread that reads.
const AT_ONCE: usize = 8;
/// More objects than this under one prefix are not only bills.
const MOST: usize = 1 << 20;

/// The objects under a prefix of a bucket.
pub struct BucketBills {
    inner: Arc<Inner>,
    bridge: Bridge,
}

struct Inner {
    client: Arc<dyn ObjectStore>,
    place: String,
    prefix: Path,
    /// Whether the entity tags of a listing are those of answers.
    lists_tags: bool,
    /// The entity tags that first answers had, where they are not.
    tags: Mutex<BTreeMap<String, Option<String>>>,
}

impl fmt::Debug for BucketBills {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("BucketBills").field(&self.inner.place).finish()
    }
}

impl BucketBills {
    /// Makes a client, with the credentials and endpoints that state in a bucket has. Sends nothing.
    ///
    /// # Errors
    /// What of the environment cannot be used.
    pub fn open(bucket: &Bucket) -> Result<Self, String> {
        let retries = RetryConfig { retry_timeout: RETRIES, ..retries() };
        let client = bucket.client(&retries, REQUEST).map_err(told)?;
        let prefix = Path::parse(bucket.prefix()).map_err(|error| format!("{bucket}: {error}"))?;
        Self::over(client, &bucket.to_string(), prefix, bucket.lists_tags())
    }

    fn over(client: Arc<dyn ObjectStore>, place: &str, prefix: Path, lists_tags: bool) -> Result<Self, String> {
        let inner = Inner { client, place: place.to_owned(), prefix, lists_tags, tags: Mutex::default() };
        Ok(Self { inner: Arc::new(inner), bridge: Bridge::start().map_err(told)? })
    }

    fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        self.bridge.wait(limit, async move { Ok(work.await) }).map_err(|error| io::Error::other(told(error)))?
    }
}

/// Our own words, without those that say it is about state.
fn told(error: StoreError) -> String {
    match error {
        StoreError::Damaged(text)
        | StoreError::Unwritable(text)
        | StoreError::Busy(text)
        | StoreError::Failed(text) => text,
        newer @ StoreError::Newer { .. } => newer.to_string(),
    }
}

/// What an error means for who looks at a bill. `what` is what was to be done.
fn fault(error: &Error, what: &str) -> io::Error {
    match error {
        _ if is_no_bucket(error) => io::Error::new(io::ErrorKind::NotFound, "there is no such bucket or container"),
        Error::NotFound { .. } => io::Error::new(io::ErrorKind::NotFound, "it is not there"),
        _ if is_denied(error) => {
            let needs = "bills need list and read: s3:ListBucket and s3:GetObject, storage.objects.list and .get, \
                         or Storage Blob Data Reader";
            io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("this identity may not {what} it ({}): {needs}", words(error)),
            )
        }
        _ => io::Error::other(format!("failed to {what} it: {}", words(error))),
    }
}

/// An entity tag without what some answers put around it.
fn bare(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
}

impl Inner {
    /// What is under the prefix, or is the prefix itself.
    async fn list(&self) -> io::Result<Vec<Object>> {
        let prefix = Some(&self.prefix).filter(|prefix| !prefix.as_ref().is_empty());
        let mut listed = self.client.list(prefix);
        let mut found = Vec::new();
        while let Some(meta) = listed.try_next().await.map_err(|error| fault(&error, "list"))? {
            if found.len() == MOST {
                return Err(io::Error::other(format!("more than {MOST} objects: name the prefix of the export")));
            }
            found.extend(self.object(&meta).filter(|object| !object.name.is_empty()));
        }
        if found.is_empty() && prefix.is_some() {
            match self.client.head(&self.prefix).await {
                Ok(meta) => found.extend(self.object(&meta)),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(fault(&error, "read")),
            }
        }
        Ok(found)
    }

    fn object(&self, meta: &ObjectMeta) -> Option<Object> {
        let parts: Vec<_> = meta.location.prefix_match(&self.prefix)?.collect();
        let name = parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
        Some(Object { name, size: meta.size, tag: meta.e_tag.clone(), modified: Some(meta.last_modified.into()) })
    }

    /// Whether an answer is of the object as it was listed.
    fn is_same(&self, listed: &Object, answer: &ObjectMeta) -> bool {
        // Answers tell whole seconds.
        let seconds = |at: std::time::SystemTime| at.duration_since(std::time::UNIX_EPOCH).map_or(0, |at| at.as_secs());
        if answer.size != listed.size || listed.modified.map(seconds) != Some(seconds(answer.last_modified.into())) {
            return false;
        }
        let told = answer.e_tag.as_deref().map(bare);
        if self.lists_tags {
            return listed.tag.as_deref().map(bare) == told;
        }
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let first = tags.entry(listed.name.clone()).or_insert_with(|| told.map(str::to_owned));
        first.as_deref() == told
    }

    async fn part(&self, object: &Object, path: &Path, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let length = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let answer = match self.client.get_opts(path, options).await {
            Ok(answer) => answer,
            Err(error @ Error::NotFound { .. }) if !is_no_bucket(&error) => return Err(changed()),
            // A range beyond the end of what is there now.
            Err(error) if words(&error).to_ascii_lowercase().contains("range") => return Err(changed()),
            Err(error) => return Err(fault(&error, "read")),
        };
        if !self.is_same(object, &answer.meta) {
            return Err(changed());
        }
        let bytes = answer.bytes().await.map_err(|error| fault(&error, "read"))?;
        if bytes.len() as u64 != length {
            return Err(io::Error::other(format!("{} bytes came, not {length}", bytes.len())));
        }
        Ok(bytes)
    }

    async fn read(&self, object: &Object, ranges: Vec<Range<u64>>) -> io::Result<Vec<Bytes>> {
        let path = match object.name.as_str() {
            "" => self.prefix.clone(),
            // As it was listed: anything else would write letters in another way.
            name if self.prefix.as_ref().is_empty() => Path::parse(name).map_err(io::Error::other)?,
            name => Path::parse(format!("{}/{name}", self.prefix)).map_err(io::Error::other)?,
        };
        let parts = ranges.iter().enumerate().flat_map(|(index, range)| parts(range).map(move |part| (index, part)));
        let parts: Vec<(usize, Range<u64>)> = parts.collect();
        let fetched = parts.into_iter().map(|(index, part)| {
            let path = &path;
            async move { Ok::<_, io::Error>((index, self.part(object, path, part).await?)) }
        });
        let mut pieces: Vec<Vec<Bytes>> = vec![Vec::new(); ranges.len()];
        let mut fetched = stream::iter(fetched).buffered(AT_ONCE);
        while let Some((index, part)) = fetched.try_next().await? {
            pieces[index].push(part);
        }
        let whole = |mut parts: Vec<Bytes>| match parts.len() {
            0 => Bytes::new(),
            1 => parts.remove(0),
            _ => parts.concat().into(),
        };
        Ok(pieces.into_iter().map(whole).collect())
    }
}

/// A range in parts.
fn parts(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let (start, end) = (range.start, range.end);
    (0..end.saturating_sub(start).div_ceil(PART)).map(move |index| {
        let from = start + index * PART;
        from..end.min(from + PART)
    })
}

impl Objects for BucketBills {
    fn place(&self) -> String {
        self.inner.place.clone()
    }

    fn list(&self) -> io::Result<Vec<Object>> {
        let inner = Arc::clone(&self.inner);
        self.wait(LISTING, async move { inner.list().await })
    }

    fn read(&self, object: &Object, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let rounds = ranges.iter().map(|range| parts(range).count()).sum::<usize>().div_ceil(AT_ONCE);
        let limit = (REQUEST + RETRIES) * u32::try_from(rounds).unwrap_or(u32::MAX).max(1);
        let (inner, object, ranges) = (Arc::clone(&self.inner), object.clone(), ranges.to_vec());
        self.wait(limit, async move { inner.read(&object, ranges).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::{PutPayload, memory::InMemory};
    use std::{fmt::Write as _, num::NonZeroUsize};
    use sweeper_bill::{
        engine::scan,
        export::find_in,
        request::{Key, Measure, Request, Rollup, Spread, Window},
        source::Source,
    };

    fn put(bucket: &Arc<InMemory>, name: &str, content: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(bucket.put(&Path::parse(name).unwrap(), PutPayload::from(content.to_owned()))).unwrap();
    }

    fn bills(bucket: &Arc<InMemory>, prefix: &str, lists_tags: bool) -> Arc<BucketBills> {
        let place = format!("s3://bills/{prefix}");
        let bills = BucketBills::over(
            Arc::clone(bucket) as Arc<dyn ObjectStore>,
            &place,
            Path::parse(prefix).unwrap(),
            lists_tags,
        );
        Arc::new(bills.unwrap())
    }

    fn bill(rows: usize) -> String {
        let mut text = "BilledCost,BillingCurrency,ChargePeriodStart,ServiceName,Note\n".to_owned();
        for row in 0..rows {
            writeln!(text, "{row}.25,USD,2026-09-0{},Service {},{:0200}", row % 9 + 1, row % 7, 0).unwrap();
        }
        text
    }

    fn summed(sources: Vec<Source>) -> Result<Vec<u8>, String> {
        let window = Window { from: "2026-09-01".parse().unwrap(), to: "2026-10-01".parse().unwrap() };
        let rollup = Rollup {
            keys: vec![Key::Service],
            attributes: Vec::new(),
            windows: window.by_day(),
            measures: vec![Measure::Billed],
            lanes: Vec::new(),
        };
        let request = Request { rollups: vec![rollup], spread: Spread::Start, ..Request::default() };
        let partial =
            scan(sources, &request, NonZeroUsize::MIN.saturating_add(1)).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        partial.write(&mut out).unwrap();
        Ok(out)
    }

    #[test]
    fn a_bill_in_a_bucket_is_the_bill() {
        // Longer than a part, and than what is read at once.
        let text = bill(80_000);
        assert!(text.len() as u64 > 2 * PART);
        let bucket = Arc::new(InMemory::new());
        put(&bucket, "team/export/data/BILLING_PERIOD=2026-09/e-00001.csv", &text);
        put(&bucket, "team/export/data/BILLING_PERIOD=2026-09/e-00002.csv", &text);
        put(&bucket, "team/exports/e #1% ä.csv", &text);
        let manifest = r#"{"dataFiles": ["s3://bills/team/export/data/BILLING_PERIOD=2026-09/e-00001.csv"]}"#;
        put(&bucket, "team/export/metadata/BILLING_PERIOD=2026-09/e-Manifest.json", manifest);
        let expected = summed(vec![Source::memory("e", text.clone())]).unwrap();
        for (prefix, lists_tags) in
            [("team/export", true), ("team/export", false), ("team/exports", true), ("team/exports/e #1% ä.csv", true)]
        {
            let objects: Arc<dyn Objects> = bills(&bucket, prefix, lists_tags);
            let export = find_in(&objects).unwrap();
            assert_eq!(export.files.len(), 1);
            assert!(export.files[0].display().to_string().starts_with(&format!("s3://bills/{prefix}")));
            assert_eq!(summed(export.sources()), Ok(expected.clone()), "{prefix}");
        }
        // Many ranges, longer and shorter than a part, come back in their order.
        let objects = bills(&bucket, "team/exports", true);
        let listed = objects.list().unwrap();
        let ranges = [5..10, 0..2 * PART + 3, PART..PART, 100..101];
        let pieces = objects.read(&listed[0], &ranges).unwrap();
        for (piece, range) in pieces.iter().zip(ranges) {
            assert_eq!(piece, &text.as_bytes()[range.start as usize..range.end as usize]);
        }
        let nothing: Arc<dyn Objects> = bills(&bucket, "team/nothing", true);
        assert!(find_in(&nothing).unwrap_err().to_string().starts_with("s3://bills/team/nothing: no bills"));
    }

    #[test]
    fn an_object_that_is_not_as_it_was_listed_is_refused() {
        for lists_tags in [true, false] {
            let bucket = Arc::new(InMemory::new());
            put(&bucket, "e.csv", &bill(3));
            let objects: Arc<dyn Objects> = bills(&bucket, "", lists_tags);
            let sources = find_in(&objects).unwrap().sources();
            // Of the same length, and perhaps within the same second: then only the tag tells, once one was seen.
            summed(sources.clone()).unwrap();
            put(&bucket, "e.csv", &bill(3).replace("1.25", "9.25"));
            let error = summed(sources.clone()).unwrap_err();
            assert!(error.contains("e.csv: it changed since it was listed"), "{error}");
            put(&bucket, "e.csv", "");
            let error = summed(sources).unwrap_err();
            assert!(error.contains("e.csv: it changed since it was listed"), "{error}");
        }
    }
}
