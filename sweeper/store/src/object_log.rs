//! The audit log in a bucket: an object for each writing, created only where none of its name is.
//!
//! ```text
//! audit/<log id>/seg/000000000000.jsonl    the lines of one writing, by the number of the first
//! audit/<log id>/checkpoint/000000000123   the signed head at that size
//! audit/<log id>/latest                    the newest of these
//! ```
//!
//! A segment is named by the number of its first line, and no writer begins one anywhere but where the log
//! ends. So of two writers of one number one fails, and there is no fork within a bucket. Nothing is ever
//! replaced but the newest checkpoint, and nothing deleted: the bucket may lock its objects, and the writer
//! needs no right to delete.

use crate::bucket::{Bucket, CALL, Connection, TRIES, fault, is_no_bucket, is_refused, pause};
use futures_util::TryStreamExt as _;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion, path::Path};
use std::{
    io::{BufRead, Cursor},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::{
    audit::{Log, LogError},
    store::StoreError,
};

/// How many lines a segment has at most: so far before a number the segment that holds it is looked for.
const LONGEST: u64 = 4096;

/// How often a call that lists may take as long as another.
const LISTING: u32 = 10;

/// A [`Log`] in a bucket, under `<prefix>/audit/<log id>/`.
pub struct ObjectLog {
    connection: Connection,
    inner: Arc<Inner>,
    /// The number of the next line, once it is known.
    end: Mutex<Option<u64>>,
}

struct Inner {
    reads: Arc<dyn ObjectStore>,
    writes: Arc<dyn ObjectStore>,
    place: String,
    root: Path,
}

/// What became of creating an object.
enum Created {
    Yes,
    /// The very same was there.
    Same,
    Other,
}

impl Inner {
    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.root))
    }

    fn segment(&self, first: u64) -> Path {
        self.path(&format!("seg/{first:012}.jsonl"))
    }

    /// An object's bytes and the tag to replace it by, if there is one.
    async fn read(&self, path: &Path) -> Result<Option<(Vec<u8>, UpdateVersion)>, StoreError> {
        let answer = match self.reads.get(path).await {
            Ok(answer) => answer,
            Err(error @ Error::NotFound { .. }) if !is_no_bucket(&error) => return Ok(None),
            Err(error) => return Err(fault(&self.place, &error)),
        };
        let tag = UpdateVersion { e_tag: answer.meta.e_tag.clone(), version: answer.meta.version.clone() };
        let bytes = answer.bytes().await.map_err(|error| fault(&self.place, &error))?;
        Ok(Some((bytes.to_vec(), tag)))
    }

    /// Creates an object where none is, and finds out whether it did where the answer is lost: no other writer
    /// has the same bytes, since lines name their run.
    async fn create(&self, path: &Path, bytes: &[u8]) -> Result<Created, StoreError> {
        let mut unsure = None;
        for tried in 0..TRIES {
            let payload = PutPayload::from(bytes.to_vec());
            match self.writes.put_opts(path, payload, PutMode::Create.into()).await {
                Ok(_) => return Ok(Created::Yes),
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
            match self.read(path).await {
                Ok(Some((there, _))) if there == bytes => {
                    return Ok(if unsure.is_some() { Created::Yes } else { Created::Same });
                }
                Ok(Some(_)) => return Ok(Created::Other),
                Ok(None) => {}
                Err(error) => return Err(unsure.unwrap_or(error)),
            }
        }
        Err(unsure.unwrap_or_else(|| StoreError::Busy(format!("`{path}` in {}", self.place))))
    }

    /// Puts these bytes in the place of whatever is there.
    async fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut failed = None;
        for tried in 0..TRIES {
            let mode = match self.read(path).await? {
                Some((there, _)) if there == bytes => return Ok(()),
                Some((_, tag)) => PutMode::Update(tag),
                None => PutMode::Create,
            };
            match self.writes.put_opts(path, PutPayload::from(bytes.to_vec()), mode.into()).await {
                Ok(_) => return Ok(()),
                Err(error) if is_refused(&error) => {}
                Err(error) => {
                    failed = Some(fault(&self.place, &error));
                    pause(tried).await;
                }
            }
        }
        Err(failed.unwrap_or_else(|| StoreError::Busy(format!("`{path}` in {}", self.place))))
    }

    /// The numbers that objects of a directory are named by, ascending, from `from` on.
    async fn numbers(&self, directory: &str, suffix: &str, from: u64) -> Result<Vec<u64>, StoreError> {
        let directory = self.path(directory);
        let offset = from.checked_sub(1).map(|before| Path::from(format!("{directory}/{before:012}{suffix}")));
        let mut listed = match &offset {
            Some(offset) => self.reads.list_with_offset(Some(&directory), offset),
            None => self.reads.list(Some(&directory)),
        };
        let mut numbers = Vec::new();
        while let Some(object) = listed.try_next().await.map_err(|error| fault(&self.place, &error))? {
            let name = object.location.filename().unwrap_or_default();
            let digits = name.strip_suffix(suffix).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            match digits.and_then(|digits| digits.parse().ok()) {
                Some(number) if format!("{number:012}{suffix}") == name => numbers.push(number),
                _ => return Err(StoreError::Damaged(format!("`{}` is not of the log", object.location))),
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The number of the next line, if it is this one. Looks only at what may be the last segment.
    async fn ends_at(&self, number: u64) -> Result<bool, StoreError> {
        let segments = self.numbers("seg", ".jsonl", number.saturating_sub(LONGEST)).await?;
        let Some(last) = segments.last() else { return Ok(number == 0) };
        if *last >= number {
            return Ok(false);
        }
        let lines = self.read(&self.segment(*last)).await?.map(|(bytes, _)| count(&bytes));
        Ok(lines.is_some_and(|lines| last + lines == number))
    }
}

fn count(bytes: &[u8]) -> u64 {
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count() as u64
}

fn unwritable(error: StoreError) -> LogError {
    match error {
        StoreError::Damaged(what) => LogError::Damaged(what),
        StoreError::Busy(what) => LogError::Busy(what),
        other => LogError::Unwritable(other.to_string()),
    }
}

fn unreadable(error: StoreError) -> LogError {
    match error {
        StoreError::Damaged(what) => LogError::Damaged(what),
        other => LogError::Unreadable(other.to_string()),
    }
}

impl ObjectLog {
    /// A log of a bucket. Nothing is read or written yet.
    pub fn open(bucket: &Bucket, log_id: &str) -> Result<Self, LogError> {
        bucket.connect().map(|connection| Self::over(connection, log_id)).map_err(unreadable)
    }

    fn over(connection: Connection, log_id: &str) -> Self {
        let inner = Arc::new(Inner {
            reads: Arc::clone(&connection.reads),
            writes: Arc::clone(&connection.writes),
            place: connection.place.clone(),
            root: connection.path(&format!("audit/{log_id}")),
        });
        Self { connection, inner, end: Mutex::new(None) }
    }

    fn run<T, F>(&self, limit: Duration, work: impl FnOnce(Arc<Inner>) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.connection.bridge.wait(limit, work(Arc::clone(&self.inner)))
    }
}

impl Log for ObjectLog {
    fn append(&self, first: u64, lines: &[Vec<u8>]) -> Result<(), LogError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let is_end = match *end {
            Some(end) => end == first,
            None => self.run(CALL, move |inner| async move { inner.ends_at(first).await }).map_err(unwritable)?,
        };
        if !is_end {
            return Err(LogError::Taken(first));
        }
        *end = Some(first);
        let mut next = first;
        for part in lines.chunks(LONGEST as usize) {
            let bytes = part.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect::<Vec<u8>>();
            // Whatever happens now, where the log ends has to be looked for again.
            *end = None;
            let created = self
                .run(CALL, move |inner| async move { inner.create(&inner.segment(next), &bytes).await })
                .map_err(unwritable)?;
            match created {
                Created::Yes => next += part.len() as u64,
                Created::Same | Created::Other => return Err(LogError::Taken(next)),
            }
            *end = Some(next);
        }
        Ok(())
    }

    fn segments(&self, from: u64) -> Result<Vec<u64>, LogError> {
        let near = from.saturating_sub(LONGEST - 1);
        let listed =
            |from| self.run(LISTING * CALL, move |inner| async move { inner.numbers("seg", ".jsonl", from).await });
        let mut segments = listed(near).map_err(unreadable)?;
        if near > 0 && segments.first().is_none_or(|first| *first > from) {
            segments = listed(0).map_err(unreadable)?;
        }
        let holding = segments.partition_point(|first| *first <= from).saturating_sub(1);
        segments.drain(..holding);
        Ok(segments)
    }

    fn read(&self, segment: u64) -> Result<Box<dyn BufRead + '_>, LogError> {
        let read = self.run(CALL, move |inner| async move { inner.read(&inner.segment(segment)).await });
        match read.map_err(unreadable)? {
            Some((bytes, _)) => Ok(Box::new(Cursor::new(bytes))),
            None => Err(LogError::Unreadable(format!("there is no segment {segment}"))),
        }
    }

    /// An object is written whole or not at all: a line that is not whole was not written by us.
    fn cut(&self, segment: u64, _keep: u64) -> Result<(), LogError> {
        Err(LogError::Damaged(format!("segment {segment} does not end with a whole line")))
    }

    fn stride(&self) -> Option<u64> {
        None
    }

    fn checkpoints(&self) -> Result<Vec<u64>, LogError> {
        self.run(LISTING * CALL, |inner| async move { inner.numbers("checkpoint", "", 0).await }).map_err(unreadable)
    }

    fn checkpoint(&self, size: u64) -> Result<Option<Vec<u8>>, LogError> {
        let read = self
            .run(CALL, move |inner| async move { inner.read(&inner.path(&format!("checkpoint/{size:012}"))).await });
        Ok(read.map_err(unreadable)?.map(|(bytes, _)| bytes))
    }

    fn latest(&self) -> Result<Option<Vec<u8>>, LogError> {
        let read = self.run(CALL, |inner| async move { inner.read(&inner.path("latest")).await });
        Ok(read.map_err(unreadable)?.map(|(bytes, _)| bytes))
    }

    fn put_checkpoint(&self, size: u64, note: &[u8]) -> Result<(), LogError> {
        let note = note.to_vec();
        let created = self.run(2 * CALL, move |inner| async move {
            let created = inner.create(&inner.path(&format!("checkpoint/{size:012}")), &note).await?;
            if !matches!(created, Created::Other) {
                inner.replace(&inner.path("latest"), &note).await?;
            }
            Ok(created)
        });
        match created.map_err(unwritable)? {
            Created::Yes | Created::Same => Ok(()),
            Created::Other => Err(LogError::Taken(size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lossy::Lossy;
    use object_store::memory::InMemory;
    use std::{
        io::Read as _,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
        thread,
    };

    fn open(bucket: &Arc<InMemory>, every: u32) -> ObjectLog {
        let client = Arc::new(Lossy::new(bucket, every));
        ObjectLog::over(Connection::over(Arc::<Lossy>::clone(&client), client, "memory", "team/a").unwrap(), "log-1")
    }

    fn lines(text: &str, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|line| format!("{text} {line}").into_bytes()).collect()
    }

    #[test]
    fn a_bucket_conforms_also_when_answers_are_lost() {
        for every in [0, 1, 2, 3] {
            sweeper_core::audit::conformance::all(|| {
                let bucket = Arc::new(InMemory::new());
                move || Box::new(open(&bucket, every))
            });
        }
    }

    #[test]
    fn of_many_writers_of_one_number_one_writes() {
        for _ in 0..20 {
            let bucket = Arc::new(InMemory::new());
            open(&bucket, 0).append(0, &lines("first", 2)).unwrap();
            let won = AtomicU32::new(0);
            thread::scope(|scope| {
                for writer in 0..8 {
                    let (bucket, won) = (&bucket, &won);
                    scope.spawn(move || {
                        let log = open(bucket, 2);
                        match log.append(2, &lines(&format!("writer {writer}"), writer + 1)) {
                            Ok(()) => {
                                won.fetch_add(1, Relaxed);
                            }
                            Err(error) => assert_eq!(error, LogError::Taken(2)),
                        }
                    });
                }
            });
            assert_eq!(won.into_inner(), 1);
            assert_eq!(open(&bucket, 0).segments(0), Ok(vec![0, 2]));
        }
    }

    #[tokio::test]
    async fn objects_lie_where_the_verifier_looks_for_them() {
        let bucket = Arc::new(InMemory::new());
        let log = open(&bucket, 0);
        log.append(0, &lines("a", 5000)).unwrap();
        log.append(5000, &lines("b", 1)).unwrap();
        log.put_checkpoint(5001, b"note\n").unwrap();
        let listed: Vec<_> =
            bucket.list(None).map_ok(|object| object.location.to_string()).try_collect().await.unwrap();
        let names = [
            "checkpoint/000000005001",
            "latest",
            "seg/000000000000.jsonl",
            "seg/000000004096.jsonl",
            "seg/000000005000.jsonl",
        ];
        assert_eq!(listed, names.map(|name| format!("team/a/audit/log-1/{name}")));
        assert_eq!(log.segments(4095), Ok(vec![0, 4096, 5000]));
        assert_eq!(log.segments(4999), Ok(vec![4096, 5000]));
        // A long gap: the segment before it is found all the same.
        bucket.put(&Path::from("team/a/audit/log-1/seg/000000999999.jsonl"), "x\n".into()).await.unwrap();
        assert_eq!(log.segments(900_000), Ok(vec![5000, 999_999]));
        bucket.put(&Path::from("team/a/audit/log-1/seg/000000000000.jsonl.old"), "x\n".into()).await.unwrap();
        assert!(matches!(log.segments(0), Err(LogError::Damaged(_))));
    }

    #[test]
    fn what_is_not_whole_is_damage_and_is_not_cut() {
        let bucket = Arc::new(InMemory::new());
        let log = open(&bucket, 0);
        log.append(0, &lines("a", 3)).unwrap();
        assert!(matches!(log.cut(0, 4), Err(LogError::Damaged(_))));
        let mut text = String::new();
        log.read(0).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a 0\na 1\na 2\n");
    }
}
