//! Where the files of a bill are: here or in a bucket; and where what was found in them is kept.

use crate::{exit::Failure, log, state};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use sweeper_bill::{
    cache::{Files, Shelf},
    export::{self, Export},
    source::Objects,
};
use sweeper_store::{Bucket, BucketBills, CacheDirectory};

/// Bytes that all that is kept may have: some hundred months of a large organisation, by service and account.
const ROOM: u64 = 512 << 20;

/// Where what was found is kept.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Cache {
    /// Where what was found in closed months is kept for the next run [default: sweeper/bill in the user's cache]
    #[arg(long = "cache", value_name = "DIR", conflicts_with = "no_cache")]
    place: Option<PathBuf>,
    /// Scan every month again, and keep nothing
    #[arg(long)]
    no_cache: bool,
}

impl Cache {
    pub fn open(&self) -> Option<Arc<CacheDirectory>> {
        if self.no_cache {
            return None;
        }
        let users = || state::users("XDG_CACHE_HOME", ".cache").map(|own| own.join("bill"));
        self.place.clone().or_else(users).map(|place| Arc::new(CacheDirectory::new(place, ROOM)))
    }
}

/// Finds the files of exports, each a path or the URL of a bucket.
pub fn find(places: &[PathBuf], cache: Option<Arc<CacheDirectory>>) -> Result<Files, Failure> {
    Ok(Files::of(&exports(places)?).kept_on(cache.map(|cache| cache as Arc<dyn Shelf>)))
}

/// The exports themselves. What is not read of them is warned about.
pub fn exports(places: &[PathBuf]) -> Result<Vec<Export>, Failure> {
    let mut exports = Vec::new();
    for place in places {
        let found = one(place).map_err(|error| Failure::usage(format!("failed to read the bill: {error}")))?;
        for folder in &found.unfinished {
            log::warn(&format!("{} has no manifest yet, and is not read: the run before it is", folder.display()));
        }
        for manifest in &found.passed_over {
            log::warn(&format!("{} tells what the FOCUS export beside it does, and is not read", manifest.display()));
        }
        exports.push(found);
    }
    Ok(exports)
}

fn one(place: &Path) -> Result<Export, String> {
    let found = match place.to_str().filter(|url| Bucket::is_one(url)) {
        Some(url) => {
            let objects: Arc<dyn Objects> = Arc::new(BucketBills::open(&Bucket::parse(url)?)?);
            export::find_in(&objects)
        }
        None => export::find(place),
    };
    found.map_err(|error| error.to_string())
}
