//! For tests: a bucket in memory that loses answers.

use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

/// A bucket in memory whose answers to writes are lost: every n-th, none if 0. What was to be written is.
#[derive(Debug)]
pub(crate) struct Lossy {
    bucket: Arc<InMemory>,
    every: u32,
    writes: AtomicU32,
}

impl Lossy {
    pub(crate) fn new(bucket: &Arc<InMemory>, every: u32) -> Self {
        Self { bucket: Arc::clone(bucket), every, writes: AtomicU32::new(0) }
    }
}

impl fmt::Display for Lossy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("memory")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Lossy {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let result = self.bucket.put_opts(path, payload, options).await?;
        let count = self.writes.fetch_add(1, SeqCst);
        if self.every > 0 && count % self.every == self.every - 1 {
            return Err(Error::Generic { store: "memory", source: "connection reset".into() });
        }
        Ok(result)
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.bucket.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.bucket.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.bucket.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.bucket.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.bucket.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.bucket.copy_opts(from, to, options).await
    }
}
