//! The files that `[[referrers]]` names, read.

use crate::config::{At, Referrer};
use std::{fs::File, io};
use sweeper_core::{
    in_use::{self, InUseError, InUseFile, LARGEST, Outcome, Referrers},
    model::Timestamp,
};

/// How far the clock of whoever writes a file may be ahead of ours, seconds.
const AHEAD: i64 = 3600;

/// Reads every file. One that cannot be read stays, and leaves unknown what it would have told: it is never left out.
pub fn read(config: &[Referrer], now: Timestamp) -> Referrers {
    let read = |referrer: &Referrer| in_use::Referrer {
        name: referrer.name.clone(),
        clouds: referrer.clouds.clone(),
        accounts: referrer.accounts.clone(),
        clusters: referrer.clusters.clone(),
        max_age: referrer.max_age,
        outcome: outcome(&referrer.at, now),
    };
    Referrers(config.iter().map(read).collect())
}

fn outcome(at: &At, now: Timestamp) -> Outcome {
    let file = match at {
        At::File(path) => File::open(path).map_err(|error| InUseError::Io(error.kind())).and_then(InUseFile::read),
        At::Bucket(bucket) => match sweeper_store::object(bucket, LARGEST) {
            Ok(bytes) => InUseFile::read(bytes.as_slice()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(InUseError::Io(error.kind())),
            Err(error) => return Outcome::Unreadable(error.to_string()),
        },
    };
    match file {
        // It would never grow old.
        Ok(file) if file.written().since(now) > AHEAD => {
            Outcome::Unreadable(format!("it was written {}, which is yet to come", file.written()))
        }
        Ok(file) => Outcome::File(file),
        Err(error) => Outcome::Unreadable(error.to_string()),
    }
}
