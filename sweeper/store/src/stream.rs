//! One object, written as it is made, or read as it is needed: reports and surveys are as long as there are resources, and
//! are held nowhere whole.

use crate::{Bucket, bridge::Bridge, bucket};
use bytes::Bytes;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, path::Path,
};
use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use sweeper_core::store::StoreError;

/// What is sent at once. All services take parts of this size, and no more than 10,000 of them: 78 GiB.
const PART: usize = 8 << 20;

/// One request, which has a part to send.
const REQUEST: Duration = Duration::from_mins(1);

/// What one call of ours may take, with what it tries again.
const CALL: Duration = Duration::from_mins(3);

/// An object under way. Dropped without [`Upload::finish`], it leaves nothing that anybody sees.
pub struct Upload {
    client: Arc<dyn ObjectStore>,
    bridge: Bridge,
    path: Path,
    /// For messages.
    place: String,
    buffer: Vec<u8>,
    /// Once there is more than one part.
    parts: Option<Arc<Mutex<Box<dyn MultipartUpload>>>>,
}

impl Upload {
    /// Begins an object of a name below the bucket's prefix; whatever has that name is replaced at the end.
    pub fn begin(to: &Bucket, name: &str) -> Result<Self, StoreError> {
        let client = to.client(&bucket::retries(), REQUEST)?;
        let prefix = to.prefix();
        let path = if prefix.is_empty() { Path::from(name) } else { Path::from(format!("{prefix}/{name}")) };
        Self::over(client, path, format!("{to}/{name}"))
    }

    /// Begins the object that a URL names: `s3://BUCKET/a/b.json`.
    pub fn named(url: &str) -> Result<Self, StoreError> {
        let to = Bucket::parse(url).map_err(StoreError::Unwritable)?;
        if to.prefix().is_empty() {
            return Err(StoreError::Unwritable(format!("{url} names no object")));
        }
        let client = to.client(&bucket::retries(), REQUEST)?;
        Self::over(client, Path::from(to.prefix()), to.to_string())
    }

    fn over(client: Arc<dyn ObjectStore>, path: Path, place: String) -> Result<Self, StoreError> {
        Ok(Self { client, bridge: Bridge::start()?, path, place, buffer: Vec::new(), parts: None })
    }

    fn failed(&self) -> impl Fn(object_store::Error) -> StoreError + Send + 'static + use<> {
        let place = self.place.clone();
        move |error| StoreError::Failed(format!("{place}: {}", bucket::words(&error)))
    }

    /// Sends what is in the buffer as a part.
    fn part(&mut self) -> Result<(), StoreError> {
        let failed = self.failed();
        let payload = PutPayload::from(std::mem::take(&mut self.buffer));
        let (client, path) = (Arc::clone(&self.client), self.path.clone());
        let parts = if let Some(parts) = &self.parts {
            Arc::clone(parts)
        } else {
            let failed = self.failed();
            let begun = self.bridge.wait(CALL, async move { client.put_multipart(&path).await.map_err(failed) })?;
            let parts = Arc::new(Mutex::new(begun));
            self.parts = Some(Arc::clone(&parts));
            parts
        };
        self.bridge.wait(CALL, async move {
            let sending = parts.lock().unwrap_or_else(PoisonError::into_inner).put_part(payload);
            sending.await.map_err(failed)
        })
    }

    /// Puts the object in its place.
    pub fn finish(mut self) -> Result<(), StoreError> {
        if self.parts.is_none() {
            let (client, path, failed) = (Arc::clone(&self.client), self.path.clone(), self.failed());
            let payload = PutPayload::from(std::mem::take(&mut self.buffer));
            return self.bridge.wait(CALL, async move { client.put(&path, payload).await.map(drop).map_err(failed) });
        }
        if !self.buffer.is_empty() {
            self.part()?;
        }
        let Some(mut parts) = self.taken() else {
            return Err(StoreError::Failed(format!("{}: a part is still under way", self.place)));
        };
        let failed = self.failed();
        self.bridge.wait(CALL, async move { parts.complete().await.map(drop).map_err(failed) })
    }

    /// Puts the object in its place, where nothing else may be. What is there already and has the same bytes is what an
    /// answer that was lost left.
    ///
    /// Of more than one part no service takes a condition from our client: then it is looked before whether something
    /// is there.
    pub fn finish_new(mut self) -> Result<(), StoreError> {
        let taken = StoreError::Busy(format!("{}: something else is there already", self.place));
        let (client, path, failed) = (Arc::clone(&self.client), self.path.clone(), self.failed());
        if self.parts.is_some() {
            let is_there = self.bridge.wait(CALL, async move {
                match client.head(&path).await {
                    Ok(_) => Ok(true),
                    Err(Error::NotFound { .. }) => Ok(false),
                    Err(error) => Err(failed(error)),
                }
            })?;
            return if is_there { Err(taken) } else { self.finish() };
        }
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        self.bridge.wait(CALL, async move {
            match client.put_opts(&path, PutPayload::from(bytes.clone()), PutMode::Create.into()).await {
                Ok(_) => Ok(()),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    let there = client.get(&path).await.map_err(&failed)?;
                    if there.meta.size != bytes.len() as u64 {
                        return Err(taken);
                    }
                    if there.bytes().await.map_err(&failed)? == bytes { Ok(()) } else { Err(taken) }
                }
                Err(error) => Err(failed(error)),
            }
        })
    }

    /// The parts, where no call that was given up still holds them.
    fn taken(&mut self) -> Option<Box<dyn MultipartUpload>> {
        let parts = Arc::into_inner(self.parts.take()?)?;
        Some(parts.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART {
            self.part().map_err(io::Error::other)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(mut parts) = self.taken() {
            // What cannot be taken back is removed by the bucket's own rule for unfinished uploads, and cannot be read.
            let _ = self.bridge.wait(CALL, async move {
                let _ = parts.abort().await;
                Ok(())
            });
        }
    }
}

/// An object that is read from its start to its end, a part at a time.
pub struct Download {
    client: Arc<dyn ObjectStore>,
    bridge: Bridge,
    path: Path,
    /// For messages.
    place: String,
    /// As it was when it was opened: what is another object meanwhile is not read on.
    size: u64,
    tag: Option<String>,
    /// How far parts were fetched.
    at: u64,
    part: Bytes,
}

impl Download {
    /// Opens the object that a URL names: `s3://BUCKET/a/b.json`.
    pub fn named(url: &str) -> Result<Self, StoreError> {
        let of = Bucket::parse(url).map_err(StoreError::Unwritable)?;
        if of.prefix().is_empty() {
            return Err(StoreError::Unwritable(format!("{url} names no object")));
        }
        let client = of.client(&bucket::retries(), REQUEST)?;
        Self::over(client, Path::from(of.prefix()), of.to_string())
    }

    fn over(client: Arc<dyn ObjectStore>, path: Path, place: String) -> Result<Self, StoreError> {
        let bridge = Bridge::start()?;
        let (of, at, named) = (Arc::clone(&client), path.clone(), place.clone());
        let meta =
            bridge.wait(CALL, async move { of.head(&at).await.map_err(|error| bucket::fault(&named, &error)) })?;
        Ok(Self { client, bridge, path, place, size: meta.size, tag: meta.e_tag, at: 0, part: Bytes::new() })
    }

    /// Fetches what comes next.
    fn fetch(&mut self) -> Result<(), StoreError> {
        let range = self.at..self.size.min(self.at + PART as u64);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: self.tag.clone(),
            ..GetOptions::default()
        };
        let (client, path, place) = (Arc::clone(&self.client), self.path.clone(), self.place.clone());
        self.part = self.bridge.wait(CALL, async move {
            let failed = |error: object_store::Error| match error {
                Error::Precondition { .. } => StoreError::Failed(format!("{place} changed while it was read")),
                error => bucket::fault(&place, &error),
            };
            client.get_opts(&path, options).await.map_err(failed)?.bytes().await.map_err(failed)
        })?;
        if self.part.len() as u64 != range.end - range.start {
            return Err(StoreError::Failed(format!("{} is shorter than it was", self.place)));
        }
        self.at = range.end;
        Ok(())
    }
}

impl Read for Download {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && self.at < self.size {
            self.fetch().map_err(io::Error::other)?;
        }
        let taken = bytes.len().min(self.part.len());
        bytes[..taken].copy_from_slice(&self.part.split_to(taken));
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn put(bucket: &Arc<InMemory>, content: &[u8], once: bool) -> Result<(), StoreError> {
        let client = Arc::clone(bucket) as Arc<dyn ObjectStore>;
        let mut upload = Upload::over(client, Path::from("plans/a.json"), "s3://b/plans/a.json".to_owned())?;
        upload.write_all(content).unwrap();
        if once { upload.finish_new() } else { upload.finish() }
    }

    fn got(bucket: &Arc<InMemory>) -> Result<Vec<u8>, String> {
        let client = Arc::clone(bucket) as Arc<dyn ObjectStore>;
        let mut download = Download::over(client, Path::from("plans/a.json"), "s3://b/plans/a.json".to_owned())
            .map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        download.read_to_end(&mut out).map_err(|error| error.to_string())?;
        Ok(out)
    }

    #[test]
    fn what_was_written_is_read() {
        let bucket = Arc::new(InMemory::new());
        assert!(got(&bucket).unwrap_err().contains("s3://b/plans/a.json is not there"));
        for length in [0, 1, PART - 1, PART, PART + 1, 2 * PART + 12_345] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            put(&bucket, &content, false).unwrap();
            assert!(got(&bucket).unwrap() == content, "{length}");
        }
    }

    #[test]
    fn what_changes_while_it_is_read_is_not_read_on() {
        let bucket = Arc::new(InMemory::new());
        put(&bucket, &vec![1; 2 * PART], false).unwrap();
        let client = Arc::clone(&bucket) as Arc<dyn ObjectStore>;
        let mut download =
            Download::over(client, Path::from("plans/a.json"), "s3://b/plans/a.json".to_owned()).unwrap();
        let mut part = vec![0; PART];
        download.read_exact(&mut part).unwrap();
        put(&bucket, &vec![2; 2 * PART], false).unwrap();
        let error = download.read_exact(&mut part).unwrap_err().to_string();
        assert!(error.contains("changed while it was read"), "{error}");
    }

    #[test]
    fn what_is_written_once_replaces_nothing() {
        for length in [3, PART + 1] {
            let bucket = Arc::new(InMemory::new());
            put(&bucket, &vec![1; length], true).unwrap();
            let error = put(&bucket, &vec![2; length], true).unwrap_err().to_string();
            assert!(error.contains("something else is there already"), "{error}");
            assert_eq!(got(&bucket).unwrap(), vec![1; length]);
        }
        // An answer that was lost.
        let bucket = Arc::new(InMemory::new());
        put(&bucket, b"plan", true).unwrap();
        put(&bucket, b"plan", true).unwrap();
    }

    fn written(length: usize, finish: bool) -> Option<Vec<u8>> {
        let bucket = Arc::new(InMemory::new());
        let path = Path::from("reports/a.json");
        let client = Arc::clone(&bucket) as Arc<dyn ObjectStore>;
        let mut upload = Upload::over(client, path.clone(), "s3://b/reports/a.json".to_owned()).unwrap();
        let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        for piece in content.chunks(100_000) {
            upload.write_all(piece).unwrap();
        }
        if finish {
            upload.finish().unwrap();
        } else {
            drop(upload);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(async { bucket.get(&path).await.ok()?.bytes().await.ok() })?;
        assert!(read == content, "{length} bytes are not those that were written");
        Some(read.to_vec())
    }

    #[test]
    fn objects_of_any_length_are_there_whole() {
        for length in [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 12_345] {
            assert!(written(length, true).is_some(), "{length}");
        }
    }

    #[test]
    fn what_is_not_finished_is_not_there() {
        for length in [1, PART, PART + 1] {
            assert!(written(length, false).is_none(), "{length}");
        }
    }
}
