//! Runs what every `Store` must do against a bucket: `conform s3://BUCKET/PREFIX`. Each check has a prefix of
//! its own below, by the time of day. Exits with 3, and says why, when there can be no state there.
//! For `tests/peer/state_test.py`, and for a bucket of one's own.

#![expect(clippy::print_stdout, reason = "it is for people and scripts")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::SystemTime,
};
use sweeper_core::store::{Store, conformance};
use sweeper_store::{Bucket, BucketStore};

fn main() -> ExitCode {
    let Some(url) = std::env::args().nth(1) else {
        println!("conform URL");
        return ExitCode::from(2);
    };
    if let Err(why) = Bucket::parse(&url).and_then(|one| BucketStore::open(&one).map_err(|error| error.to_string())) {
        println!("{why}");
        return ExitCode::from(3);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let (mut passed, mut failed) = (0, 0);
    for (at, (name, check)) in conformance::CHECKS.iter().enumerate() {
        let place = format!("{}/{now}-{at}", url.trim_end_matches('/'));
        let open = || -> Box<dyn Store> {
            let bucket = Bucket::parse(&place).unwrap_or_else(|what| panic!("{what}"));
            Box::new(BucketStore::open(&bucket).unwrap_or_else(|error| panic!("{error}")))
        };
        if catch_unwind(AssertUnwindSafe(|| check(&open))).is_ok() {
            passed += 1;
            println!("ok      {name}");
        } else {
            failed += 1;
            println!("FAILED  {name}");
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
