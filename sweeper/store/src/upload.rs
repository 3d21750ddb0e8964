//! A file put into a bucket as it is, for others to read.

use crate::{
    bridge::Bridge,
    bucket::{Bucket, fault, retries},
};
use object_store::{ObjectStoreExt as _, PutPayload, path::Path as Key};
use std::{fs::File, io::Read as _, path::Path, time::Duration};
use sweeper_core::store::StoreError;

/// What one request carries, bytes. Object stores take parts of five megabytes and more.
const PART: usize = 8 << 20;
/// One request.
const REQUEST: Duration = Duration::from_mins(1);
/// All of it.
const WHOLE: Duration = Duration::from_hours(1);

/// Puts a file where a URL says (`s3://BUCKET/a/b.json`), in place of what is there. A large one goes in parts, and is
/// there when its last part is.
pub fn upload(url: &str, file: &Path) -> Result<(), StoreError> {
    let bucket = Bucket::parse(url).map_err(StoreError::Unwritable)?;
    if bucket.prefix().is_empty() {
        return Err(StoreError::Unwritable(format!("{url} names no object")));
    }
    let client = bucket.client(&retries(), REQUEST)?;
    let (place, key) = (bucket.to_string(), Key::from(bucket.prefix()));
    let mut source = File::open(file).map_err(|error| StoreError::Failed(format!("{}: {error}", file.display())))?;
    Bridge::start()?.wait(WHOLE, async move {
        let failed = |error: object_store::Error| fault(&place, &error);
        let mut next = move || -> Result<Vec<u8>, StoreError> {
            let mut part = Vec::with_capacity(PART);
            let read = source.by_ref().take(PART as u64).read_to_end(&mut part);
            read.map_err(|error| StoreError::Failed(error.to_string()))?;
            Ok(part)
        };
        let first = next()?;
        if first.len() < PART {
            client.put(&key, PutPayload::from(first)).await.map_err(failed)?;
            return Ok(());
        }
        let mut upload = client.put_multipart(&key).await.map_err(failed)?;
        let mut part = first;
        while !part.is_empty() {
            let sent = upload.put_part(PutPayload::from(part)).await;
            if let Err(error) = sent {
                let _ = upload.abort().await;
                return Err(failed(error));
            }
            part = next()?;
        }
        upload.complete().await.map_err(failed)?;
        Ok(())
    })
}
