//! Where the memory between runs is kept: `--state`, `SWEEPER_STATE`, the config, or the user's own place.

use crate::{config::Config, exit::Failure};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_core::store::{MemoryStore, Store, StoreError};
use sweeper_store::{Bucket, BucketStore, SqliteStore, StoreLedger};

/// What a state is opened as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    Bucket(Bucket),
    /// Ends with the process.
    Memory,
}

/// What may be named.
const PLACES: &str =
    "a path, `sqlite:PATH`, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://ACCOUNT/CONTAINER/PREFIX`, or `memory:`";

/// The place that was named, or the default.
pub fn place(named: Option<&str>, config: &Config) -> Result<Option<Place>, Failure> {
    if let Some(url) = named.or(config.state.as_deref()) {
        return parse(url).map(Some);
    }
    Ok(users("XDG_STATE_HOME", ".local/state").map(|own| Place::File(own.join(&config.deployment))))
}

/// The sweeper's own directory among those of the user that a variable names, or else below the home directory (XDG
/// Base Directory Specification: what is not absolute is not heeded).
pub fn users(variable: &str, below_home: &str) -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named(variable).or_else(|| named("HOME").map(|home| home.join(below_home)))?;
    Some(base.join("sweeper"))
}

fn parse(url: &str) -> Result<Place, Failure> {
    if url == "memory:" {
        return Ok(Place::Memory);
    }
    for scheme in ["sqlite://", "sqlite:", "file://"] {
        if let Some(path) = url.strip_prefix(scheme) {
            return file(path);
        }
    }
    if Bucket::is_one(url) {
        return Bucket::parse(url).map(Place::Bucket).map_err(|what| Failure::usage(what).help(PLACES));
    }
    if let Some((scheme, _)) = url.split_once("://") {
        return Err(Failure::usage(format!("no state is kept in `{scheme}://`")).help(PLACES));
    }
    file(url)
}

fn file(path: &str) -> Result<Place, Failure> {
    if path.is_empty() {
        return Err(Failure::usage("the state has no path").help(PLACES));
    }
    Ok(Place::File(PathBuf::from(path)))
}

/// The state kept at a place. A bucket has to be there.
pub fn open(place: &Place) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match place {
        Place::File(path) => Arc::new(SqliteStore::open(&database(path))?),
        Place::Bucket(bucket) => Arc::new(BucketStore::open(bucket)?),
        Place::Memory => Arc::new(MemoryStore::new()),
    })
}

/// The ledger kept at a place.
pub fn ledger(place: &Place) -> Result<StoreLedger, StoreError> {
    Ok(StoreLedger::new(open(place)?))
}

/// A directory holds its state as `state.db`.
pub fn database(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("state.db") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!(parse("memory:").unwrap(), Place::Memory);
        assert_eq!(parse("sqlite:///var/lib/x").unwrap(), Place::File("/var/lib/x".into()));
        assert_eq!(parse("state.db").unwrap(), Place::File("state.db".into()));
        for url in ["s3://bucket", "gs://bucket/prefix", "az://account/container/p/q"] {
            assert!(matches!(parse(url).unwrap(), Place::Bucket(bucket) if bucket.to_string() == url), "{url}");
        }
        for (url, says) in [("s3://", "bucket"), ("az://account", "container"), ("http://host/x", "`http://`")] {
            assert!(parse(url).unwrap_err().message.contains(says), "{url}");
        }
        assert!(parse("sqlite:").is_err());
    }
}
