//! One object, written as it is made: reports are as long as there are findings, and are held nowhere whole.

use crate::{Bucket, bridge::Bridge, bucket};
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};
use std::{
    io::{self, Write},
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

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

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
