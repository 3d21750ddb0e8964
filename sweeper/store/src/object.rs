//! State in a bucket: S3, Google Cloud Storage, Azure Blob Storage. An object a key, under `<prefix>/state/`.
//!
//! Each object is a line that says which writing it is, and then the value. The line has a nonce drawn for
//! that writing: no two writings have the same bytes, so that an entity tag, which on S3 is a digest of them,
//! never comes back (no ABA). After a lost answer the nonce tells whether our writing is there, and the nonces
//! of the writings before, which the line has too, whether it was and has been replaced since. For that we
//! have to know of every request: the client tries no write again by itself.
//!
//! A deletion has no condition in the client we use. A key is deleted by writing an object without bytes, on
//! condition, which counts as nothing; see [`BucketStore::purge`] for what becomes of these.
//!
//! The bucket must have a flat namespace (no hierarchical one: a key may be another's directory), and the
//! identity must be allowed to list it: without that S3 answers 403 for what is not there.

use crate::bucket::{Bucket, CALL, Connection, TRIES, fault, is_no_bucket, is_refused, pause};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion, path::Path};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use sweeper_core::store::{DeleteOutcome, Put, PutOutcome, Store, StoreError, Version};

/// What the first line begins with; the schema written, and the newest understood.
const FORMAT: &str = "sweeper.object";
const SCHEMA: u64 = 1;

/// Where the state lies under the prefix.
const STATE: &str = "state";

/// How many writings an object remembers that it replaced: what may happen between a writing whose answer is
/// lost and the look for it.
const BEFORE: usize = 32;

/// Requests at once.
const AT_ONCE: usize = 8;

/// The largest object that is read.
const LARGEST: u64 = 256 << 20;

/// Keys whose entity tag is remembered, to spare a read before a write.
const REMEMBERED: usize = 1024;

/// A [`Store`] in a bucket.
pub struct BucketStore {
    connection: Connection,
    inner: Arc<Inner>,
}

struct Inner {
    reads: Arc<dyn ObjectStore>,
    writes: Arc<dyn ObjectStore>,
    place: String,
    root: Path,
    known: Mutex<BTreeMap<String, Known>>,
}

/// An object that is there to be replaced.
#[derive(Clone)]
struct Known {
    version: Version,
    nonce: String,
    /// The nonces of the writings before, latest first, shortened.
    before: Vec<String>,
    tag: UpdateVersion,
}

/// The first line of an object.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    nonce: String,
    before: Vec<String>,
    counter: u32,
    bytes: u64,
    sha256: String,
}

/// What is under a key.
enum Slot {
    /// No object.
    Absent,
    /// What a deletion left.
    Deleted(UpdateVersion),
    Live(Known, Vec<u8>),
}

impl Slot {
    fn version(&self) -> Option<Version> {
        match self {
            Self::Live(known, _) => Some(known.version),
            Self::Absent | Self::Deleted(_) => None,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Of a writing: later ones are greater, and one that comes after a deletion, where the count begins again,
/// has another nonce.
fn version_of(counter: u32, nonce: &str) -> Option<Version> {
    let low = u32::from_str_radix(nonce.get(..8)?, 16).ok()?;
    Some(Version(u64::from(counter & 0x7FFF_FFFF) << 32 | u64::from(low)))
}

fn counter_of(version: Version) -> u32 {
    (version.0 >> 32) as u32
}

/// A nonce among those of writings before.
fn short(nonce: &str) -> &str {
    nonce.get(..16).unwrap_or(nonce)
}

/// Of all that an object says, and where it lies: one that was copied to another key is not what was written there.
fn digest(key: &str, nonce: &str, before: &[String], counter: u32, value: &[u8]) -> String {
    let head = format!("{key}\n{nonce}\n{}\n{counter}\n", before.join(" "));
    hex(&Sha256::new_with_prefix(head).chain_update(value).finalize())
}

fn encode(key: &str, nonce: &str, before: Vec<String>, counter: u32, value: &[u8]) -> Result<Vec<u8>, StoreError> {
    let head = Head {
        format: format!("{FORMAT}/{SCHEMA}"),
        sha256: digest(key, nonce, &before, counter, value),
        nonce: nonce.to_owned(),
        before,
        counter,
        bytes: value.len() as u64,
    };
    let mut out = serde_json::to_vec(&head).map_err(|error| StoreError::Failed(error.to_string()))?;
    out.push(b'\n');
    out.extend_from_slice(value);
    Ok(out)
}

/// What an object's bytes say.
fn decode(key: &str, bytes: &[u8], tag: UpdateVersion) -> Result<(Known, Vec<u8>), String> {
    #[derive(Deserialize)]
    struct Format {
        format: String,
    }
    let end = bytes.iter().take(4096).position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (line, value) = (&bytes[..end], &bytes[end + 1..]);
    let format: Format = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if format.format != format!("{FORMAT}/{SCHEMA}") {
        return Err(format!("it is written as {}", format.format));
    }
    let Head { nonce, before, counter, bytes, sha256, .. } =
        serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if bytes != value.len() as u64 || sha256 != digest(key, &nonce, &before, counter, value) {
        return Err("its bytes are not those that were written".to_owned());
    }
    let version = version_of(counter, &nonce).ok_or("it has no nonce")?;
    Ok((Known { version, nonce, before, tag }, value.to_owned()))
}

/// The schema that a first line names, if it is one of ours.
fn schema_of(bytes: &[u8]) -> Option<u64> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let head: serde_json::Value = serde_json::from_slice(line).ok()?;
    head.get("format")?.as_str()?.strip_prefix(FORMAT)?.strip_prefix('/')?.parse().ok()
}

fn fresh_nonce() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Failed(format!("no random numbers: {error}")))?;
    Ok(hex(&bytes))
}

/// Whether the writing of a count and a nonce was there and has been replaced by what is there now; `None`
/// when it is too long ago to say.
fn replaced(now: &Known, counter: u32, nonce: &str) -> Option<bool> {
    match counter_of(now.version).checked_sub(counter) {
        // Another came first.
        None | Some(0) => Some(false),
        Some(since) => now.before.get(since as usize - 1).map(|then| then == short(nonce)),
    }
}

impl Inner {
    fn path(&self, key: &str) -> Path {
        // As it is: keys have no letters that mean something in paths.
        Path::from(format!("{}/{key}", self.root))
    }

    fn remember(&self, key: &str, known: Known) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key.to_owned(), known);
    }

    fn remembered(&self, key: &str, version: Version) -> Option<Known> {
        let all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(key).filter(|known| known.version == version).cloned()
    }

    async fn read(&self, key: &str) -> Result<Slot, StoreError> {
        let damaged = |what: &str| StoreError::Damaged(format!("`{key}` in {}: {what}", self.place));
        let answer = match self.reads.get(&self.path(key)).await {
            Ok(answer) => answer,
            // Nothing is under the key only if there is a bucket that has nothing there.
            Err(error @ Error::NotFound { .. }) if !is_no_bucket(&error) => return Ok(Slot::Absent),
            Err(error) => return Err(fault(&self.place, &error)),
        };
        let tag = UpdateVersion { e_tag: answer.meta.e_tag.clone(), version: answer.meta.version.clone() };
        if answer.meta.size > LARGEST {
            return Err(damaged("it is far too large"));
        }
        let bytes = answer.bytes().await.map_err(|error| fault(&self.place, &error))?;
        if bytes.is_empty() {
            return Ok(Slot::Deleted(tag));
        }
        match schema_of(&bytes) {
            Some(found) if found > SCHEMA => return Err(StoreError::Newer { found, known: SCHEMA }),
            _ => {}
        }
        let (known, value) = decode(key, &bytes, tag).map_err(|what| damaged(&what))?;
        self.remember(key, known.clone());
        Ok(Slot::Live(known, value))
    }

    async fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError> {
        let nonce = fresh_nonce()?;
        let counter = expected.map_or(1, |version| counter_of(version) + 1);
        let version = version_of(counter, &nonce).ok_or_else(|| StoreError::Failed("no nonce".to_owned()))?;
        // At first without a read: the condition alone says whether it is as expected.
        let mut slot = match expected {
            None => Some(Slot::Absent),
            Some(version) => self.remembered(key, version).map(|known| Slot::Live(known, Vec::new())),
        };
        // Why it is not known of a request of ours whether it had an effect.
        let mut unsure = None;
        for tried in 0..=TRIES {
            let slot = match slot.take() {
                Some(slot) => slot,
                None => match self.read(key).await {
                    Ok(slot) => slot,
                    Err(error) => return Err(unsure.unwrap_or(error)),
                },
            };
            match &slot {
                Slot::Live(known, _) if known.nonce == nonce => return Ok(PutOutcome::Stored(version)),
                slot if slot.version() == expected => {}
                Slot::Live(known, _) if unsure.is_some() => match replaced(known, counter, &nonce) {
                    Some(true) => return Ok(PutOutcome::Stored(version)),
                    Some(false) => return Ok(PutOutcome::Conflict(Some(known.version))),
                    None => break,
                },
                other => return Ok(PutOutcome::Conflict(other.version())),
            }
            if tried == TRIES {
                break;
            }
            let (mode, before) = match slot {
                Slot::Absent => (PutMode::Create, Vec::new()),
                Slot::Deleted(tag) => (PutMode::Update(tag), Vec::new()),
                Slot::Live(known, _) => {
                    let mut before = known.before;
                    before.insert(0, short(&known.nonce).to_owned());
                    before.truncate(BEFORE);
                    (PutMode::Update(known.tag), before)
                }
            };
            let payload = PutPayload::from(encode(key, &nonce, before.clone(), counter, value)?);
            match self.writes.put_opts(&self.path(key), payload, mode.into()).await {
                Ok(result) => {
                    self.remember(key, Known { version, nonce, before, tag: result.into() });
                    return Ok(PutOutcome::Stored(version));
                }
                // It is not as we thought; or there is no bucket, which the read finds.
                Err(error) if is_refused(&error) => {}
                Err(error) => {
                    let fault = fault(&self.place, &error);
                    if matches!(fault, StoreError::Unwritable(_)) {
                        return Err(fault);
                    }
                    unsure = Some(fault);
                    pause(tried).await;
                }
            }
        }
        Err(unsure.unwrap_or_else(|| StoreError::Busy(format!("`{key}` in {}", self.place))))
    }

    async fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError> {
        let mut unsure = None;
        for tried in 0..=TRIES {
            let tag = match self.read(key).await {
                Ok(Slot::Live(known, _)) if known.version == expected => known.tag,
                // Ours, if we asked and heard nothing.
                Ok(Slot::Deleted(_)) if unsure.is_some() => return Ok(DeleteOutcome::Deleted),
                Ok(Slot::Absent | Slot::Deleted(_)) => return Ok(DeleteOutcome::Absent),
                // Written since, over what was there or over what our deletion left.
                Ok(Slot::Live(known, _)) if unsure.is_none() => return Ok(DeleteOutcome::Conflict(known.version)),
                Ok(Slot::Live(..)) => break,
                Err(error) => return Err(unsure.unwrap_or(error)),
            };
            if tried == TRIES {
                break;
            }
            let put = self.writes.put_opts(&self.path(key), PutPayload::new(), PutMode::Update(tag).into()).await;
            match put {
                Ok(_) => return Ok(DeleteOutcome::Deleted),
                Err(error) if is_refused(&error) => {}
                Err(error) => {
                    let fault = fault(&self.place, &error);
                    if matches!(fault, StoreError::Unwritable(_)) {
                        return Err(fault);
                    }
                    unsure = Some(fault);
                    pause(tried).await;
                }
            }
        }
        Err(unsure.unwrap_or_else(|| StoreError::Busy(format!("`{key}` in {}", self.place))))
    }

    /// Objects whose key starts with `prefix`, also those without bytes: key, bytes, time of the last change.
    async fn objects(&self, prefix: &str) -> Result<Vec<(String, u64, SystemTime)>, StoreError> {
        // A bucket lists by directories, we by the first letters.
        let directory = match prefix.rsplit_once('/') {
            Some((directory, _)) => self.path(directory),
            None => self.root.clone(),
        };
        let root = format!("{}/", self.root);
        let mut listed = self.reads.list(Some(&directory));
        let mut out = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(|error| fault(&self.place, &error))? {
            if let Some(key) = object.location.as_ref().strip_prefix(&root)
                && key.starts_with(prefix)
            {
                out.push((key.to_owned(), object.size, object.last_modified.into()));
            }
        }
        Ok(out)
    }
}

impl BucketStore {
    /// Opens the state in a bucket, which must be there. Reads, or writes if it is the first time, an object
    /// that says which schema the state has: a later one is refused, and so is what may not be written.
    pub fn open(bucket: &Bucket) -> Result<Self, StoreError> {
        Self::over(bucket.connect()?)
    }

    fn over(connection: Connection) -> Result<Self, StoreError> {
        let store = Self {
            inner: Arc::new(Inner {
                reads: Arc::clone(&connection.reads),
                writes: Arc::clone(&connection.writes),
                place: connection.place.clone(),
                root: connection.path(STATE),
                known: Mutex::default(),
            }),
            connection,
        };
        if store.get(".schema")?.is_none() {
            // Another may have been quicker.
            let _ = store.put_if(".schema", SCHEMA.to_string().as_bytes(), None)?;
        }
        match store.get(".schema")? {
            Some((bytes, _)) => match std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<u64>().ok()) {
                Some(SCHEMA) => Ok(store),
                Some(found) if found > SCHEMA => Err(StoreError::Newer { found, known: SCHEMA }),
                _ => Err(StoreError::Damaged(format!("{} has no valid schema version", store.inner.place))),
            },
            None => Err(StoreError::Failed(format!("{} does not keep what is written", store.inner.place))),
        }
    }

    fn run<T, F>(&self, limit: Duration, work: impl FnOnce(Arc<Inner>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.connection.bridge.wait(limit, work(Arc::clone(&self.inner)))
    }

    /// Removes what deletions left that are older than `age`, by the bucket's clock; how many. The client can
    /// not make that conditional: a key that is written again in that very moment would be lost. So only the
    /// holder of the lease calls it, with an age of weeks: keys that are written again at all, few and at
    /// fixed places, are so long before.
    pub fn purge(&self, age: Duration) -> Result<usize, StoreError> {
        self.run(10 * CALL, move |inner| async move {
            let now = SystemTime::now();
            let old = |changed: &SystemTime| now.duration_since(*changed).is_ok_and(|passed| passed > age);
            let mut purged = 0;
            for (key, bytes, changed) in inner.objects("").await? {
                if bytes == 0 && old(&changed) {
                    match inner.writes.delete(&inner.path(&key)).await {
                        Ok(()) | Err(Error::NotFound { .. }) => purged += 1,
                        Err(error) => return Err(fault(&inner.place, &error)),
                    }
                }
            }
            Ok(purged)
        })
    }
}

impl Store for BucketStore {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let key = key.to_owned();
        self.run(CALL, |inner| async move {
            Ok(match inner.read(&key).await? {
                Slot::Live(known, value) => Some((value, known.version)),
                Slot::Absent | Slot::Deleted(_) => None,
            })
        })
    }

    fn put_if(&self, key: &str, value: &[u8], expected: Option<Version>) -> Result<PutOutcome, StoreError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.run(CALL, |inner| async move { inner.put_if(&key, &value, expected).await })
    }

    /// Keys at once, a few at a time; the writes of one key one after the other.
    fn put_all_if(&self, puts: &[Put]) -> Result<Vec<PutOutcome>, StoreError> {
        let mut keys: BTreeMap<String, Vec<(usize, Put)>> = BTreeMap::new();
        for (at, put) in puts.iter().enumerate() {
            keys.entry(put.key.clone()).or_default().push((at, put.clone()));
        }
        let rounds = u32::try_from(puts.len().div_ceil(AT_ONCE)).unwrap_or(u32::MAX);
        self.run(CALL.saturating_mul(rounds.max(1)), |inner| async move {
            let each = keys.into_values().map(|puts| {
                let inner = Arc::clone(&inner);
                async move {
                    let mut outcomes = Vec::with_capacity(puts.len());
                    for (at, put) in puts {
                        outcomes.push((at, inner.put_if(&put.key, &put.value, put.expected).await?));
                    }
                    Ok::<_, StoreError>(outcomes)
                }
            });
            let mut outcomes: Vec<(usize, PutOutcome)> =
                stream::iter(each).buffer_unordered(AT_ONCE).try_concat().await?;
            outcomes.sort_unstable_by_key(|(at, _)| *at);
            Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let prefix = prefix.to_owned();
        self.run(3 * CALL, |inner| async move {
            let objects = inner.objects(&prefix).await?;
            let live = objects.into_iter().filter(|(key, bytes, _)| *bytes > 0 && key != ".schema");
            let mut keys: Vec<String> = live.map(|(key, ..)| key).collect();
            keys.sort_unstable();
            Ok(keys)
        })
    }

    fn delete_if(&self, key: &str, expected: Version) -> Result<DeleteOutcome, StoreError> {
        let key = key.to_owned();
        self.run(CALL, |inner| async move { inner.delete_if(&key, expected).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lossy::Lossy;
    use object_store::memory::InMemory;

    fn open(bucket: &Arc<InMemory>, every: u32) -> std::result::Result<BucketStore, StoreError> {
        let client = Arc::new(Lossy::new(bucket, every));
        BucketStore::over(Connection::over(Arc::<Lossy>::clone(&client), client, "memory", "team/a")?)
    }

    async fn put_raw(bucket: &InMemory, key: &str, bytes: &[u8]) {
        bucket.put(&Path::from(format!("team/a/state/{key}")), bytes.to_vec().into()).await.unwrap();
    }

    async fn raw(bucket: &InMemory, key: &str) -> Vec<u8> {
        let path = Path::from(format!("team/a/state/{key}"));
        bucket.get(&path).await.unwrap().bytes().await.unwrap().to_vec()
    }

    #[test]
    fn a_bucket_conforms_also_when_answers_are_lost() {
        for every in [0, 2, 5] {
            sweeper_core::store::conformance::all(|| {
                let bucket = Arc::new(InMemory::new());
                move || Box::new(open(&bucket, every).unwrap())
            });
        }
    }

    #[tokio::test]
    async fn no_two_writings_have_the_same_bytes() {
        let bucket = Arc::new(InMemory::new());
        let store = open(&bucket, 0).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut version = None;
        for _ in 0..50 {
            let PutOutcome::Stored(next) = store.put_if("a", b"same", version).unwrap() else { panic!() };
            assert!(version.is_none_or(|before| before < next));
            version = Some(next);
            assert!(seen.insert(raw(&bucket, "a").await));
        }
    }

    #[tokio::test]
    async fn what_was_damaged_or_comes_from_later_releases_is_refused_and_stays() {
        let bucket = Arc::new(InMemory::new());
        let store = open(&bucket, 0).unwrap();
        let PutOutcome::Stored(version) = store.put_if("a", b"value", None).unwrap() else { panic!() };
        let good = raw(&bucket, "a").await;
        let newer = String::from_utf8(good.clone()).unwrap().replace("sweeper.object/1", "sweeper.object/2");
        let mut broken: Vec<Vec<u8>> = (0..good.len())
            .filter(|at| good[*at] != b'"')
            .map(|at| {
                let mut bytes = good.clone();
                bytes[at] ^= 1;
                bytes
            })
            .collect();
        broken.extend((1..good.len()).map(|end| good[..end].to_vec()));
        broken.push(newer.into_bytes());
        for bytes in broken {
            put_raw(&bucket, "a", &bytes).await;
            let error = store.get("a").unwrap_err();
            assert!(matches!(error, StoreError::Damaged(_) | StoreError::Newer { .. }), "{error}");
            assert!(store.delete_if("a", version).is_err());
            assert!(store.put_if("a", b"mine", Some(version)).is_err());
            assert_eq!(raw(&bucket, "a").await, bytes);
        }
        put_raw(&bucket, "b", &good).await;
        assert!(matches!(store.get("b"), Err(StoreError::Damaged(_))));
        put_raw(
            &bucket,
            ".schema",
            &encode(".schema", "00000000000000000000000000000000", Vec::new(), 1, b"2").unwrap(),
        )
        .await;
        assert_eq!(open(&bucket, 0).err(), Some(StoreError::Newer { found: 2, known: 1 }));
        put_raw(&bucket, ".schema", b"1").await;
        assert!(matches!(open(&bucket, 0).err(), Some(StoreError::Damaged(_))));
    }

    #[tokio::test]
    async fn deletions_leave_nothing_that_is_listed_and_are_purged_when_old() {
        let bucket = Arc::new(InMemory::new());
        let store = open(&bucket, 0).unwrap();
        for key in ["a", "b/c", "d"] {
            let PutOutcome::Stored(version) = store.put_if(key, b"", None).unwrap() else { panic!() };
            if key != "d" {
                assert_eq!(store.delete_if(key, version), Ok(DeleteOutcome::Deleted));
            }
        }
        assert_eq!(store.list("").unwrap(), ["d"]);
        assert_eq!(store.purge(Duration::from_hours(1)), Ok(0));
        assert_eq!(store.purge(Duration::ZERO), Ok(2));
        assert!(bucket.get(&Path::from("team/a/state/a")).await.is_err());
        assert_eq!(store.get("d").unwrap().unwrap().0, b"");
        assert!(matches!(store.put_if("a", b"again", None), Ok(PutOutcome::Stored(_))));
    }

    #[test]
    fn a_writing_that_was_replaced_is_known_for_a_while() {
        let nonce = |count: u32| format!("{count:032x}").chars().rev().collect::<String>();
        let now = Known {
            version: version_of(30, &nonce(30)).unwrap(),
            nonce: nonce(30),
            before: (0..16).map(|ago| short(&nonce(29 - ago)).to_owned()).collect(),
            tag: UpdateVersion { e_tag: None, version: None },
        };
        for count in 14..30 {
            assert_eq!(replaced(&now, count, &nonce(count)), Some(true), "{count}");
            assert_eq!(replaced(&now, count, &nonce(99)), Some(false), "{count}");
        }
        // Another was written in its place; and one so long ago that nobody knows.
        assert_eq!(replaced(&now, 30, &nonce(99)), Some(false));
        assert_eq!(replaced(&now, 13, &nonce(13)), None);
    }

    #[test]
    fn a_call_that_never_ends_is_given_up() {
        let bucket = Arc::new(InMemory::new());
        let store = open(&bucket, 0).unwrap();
        let outcome: std::result::Result<(), _> = store.run(Duration::from_millis(50), |_| std::future::pending());
        assert!(matches!(outcome, Err(StoreError::Failed(what)) if what.contains("no answer")));
    }
}
