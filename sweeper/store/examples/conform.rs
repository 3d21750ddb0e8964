//! Runs what every `Store` and every audit log must do against a bucket: `conform s3://BUCKET/PREFIX`. Each check has a prefix of
//! its own below, by the time of day. Exits with 3, and says why, when there can be no state there.
//! For `tests/peer/state_test.py`, and for a bucket of one's own.

#![expect(clippy::print_stdout, reason = "it is for people and scripts")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::SystemTime,
};
use sweeper_core::{
    audit::{self, Log},
    store::{Store, conformance},
};
use sweeper_store::{Bucket, BucketStore, ObjectLog};

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
    let place = |at: usize| {
        let place = format!("{}/{now}-{at}", url.trim_end_matches('/'));
        Bucket::parse(&place).unwrap_or_else(|what| panic!("{what}"))
    };
    let (mut passed, mut failed) = (0, 0);
    let mut run = |name: &str, check: &dyn Fn()| {
        let good = catch_unwind(AssertUnwindSafe(check)).is_ok();
        println!("{} {name}", if good { "ok     " } else { "FAILED " });
        passed += u32::from(good);
        failed += u32::from(!good);
    };
    for (at, (name, check)) in conformance::CHECKS.iter().enumerate() {
        let bucket = place(at);
        run(name, &|| {
            check(&|| -> Box<dyn Store> {
                Box::new(BucketStore::open(&bucket).unwrap_or_else(|error| panic!("{error}")))
            });
        });
    }
    let logs = AtomicUsize::new(conformance::CHECKS.len());
    run("the audit log", &|| {
        audit::conformance::all(|| {
            let bucket = place(logs.fetch_add(1, Relaxed));
            move || -> Box<dyn Log> {
                Box::new(ObjectLog::open(&bucket, "log").unwrap_or_else(|error| panic!("{error}")))
            }
        });
    });
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
