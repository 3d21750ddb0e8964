//! One small object, read whole.

use crate::{
    Bucket,
    bridge::Bridge,
    bucket::{fault, is_no_bucket, retries},
};
use futures_util::TryStreamExt as _;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, path::Path};
use std::{io, sync::Arc, time::Duration};
use sweeper_core::store::StoreError;

/// One request.
const REQUEST: Duration = Duration::from_secs(30);
/// All of them, with what is tried again.
const CALL: Duration = Duration::from_mins(1);

/// Reads an object of at most so many bytes.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where it is not there; all else says in its words why it could not be read.
pub fn object(at: &Bucket, most: u64) -> io::Result<Vec<u8>> {
    let client = at.client(&retries(), REQUEST).map_err(told)?;
    over(client, Path::from(at.prefix()), at.to_string(), most)
}

fn over(client: Arc<dyn ObjectStore>, path: Path, place: String, most: u64) -> io::Result<Vec<u8>> {
    let bridge = Bridge::start().map_err(told)?;
    bridge.wait(CALL, async move { Ok(whole(client.as_ref(), &path, &place, most).await) }).map_err(told)?
}

async fn whole(client: &dyn ObjectStore, path: &Path, place: &str, most: u64) -> io::Result<Vec<u8>> {
    let failed = |error: Error| match error {
        error if is_no_bucket(&error) => io::Error::other("there is no such bucket or container"),
        Error::NotFound { .. } => io::Error::from(io::ErrorKind::NotFound),
        error => told(fault(place, &error)),
    };
    let too_large = || io::Error::other(format!("it is larger than {} MiB", most >> 20));
    let answer = client.get(path).await.map_err(failed)?;
    if answer.meta.size > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut pieces = answer.into_stream();
    while let Some(piece) = pieces.try_next().await.map_err(failed)? {
        if (bytes.len() + piece.len()) as u64 > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Our own words, without those that say it is about state.
fn told(error: StoreError) -> io::Error {
    io::Error::other(match error {
        StoreError::Damaged(text)
        | StoreError::Unwritable(text)
        | StoreError::Busy(text)
        | StoreError::Failed(text) => text,
        newer @ StoreError::Newer { .. } => newer.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::{PutPayload, memory::InMemory};

    #[test]
    fn an_object_is_read_whole_or_not_at_all() {
        let bucket = Arc::new(InMemory::new());
        let path = Path::from("in-use/prod.json");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(bucket.put(&path, PutPayload::from(vec![7_u8; 5000]))).unwrap();
        let read = |name: &str, most| {
            let client = Arc::clone(&bucket) as Arc<dyn ObjectStore>;
            over(client, Path::from(name), "s3://b/in-use/prod.json".to_owned(), most)
        };
        assert_eq!(read("in-use/prod.json", 5000).unwrap().len(), 5000);
        assert!(read("in-use/prod.json", 4999).unwrap_err().to_string().contains("larger"));
        assert_eq!(read("in-use/none.json", 5000).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
