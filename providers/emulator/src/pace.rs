//! How often an account may be asked: a bucket of calls per account, region and service, as EC2 has
//! ("Request throttling", EC2 API reference). A call that finds it empty is throttled.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::fault::Target;

/// Services that are entered by everybody through one account, and have limits far above the others'.
const FREE: [&str; 2] = ["sts", "organizations"];

/// How often each service may be asked in an account and region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Calls a second.
    pub rate: f64,
    /// Calls that may come at once before the rate holds.
    pub burst: f64,
}

/// Account, region, service.
type Lane = (String, String, String);

/// The buckets.
pub(crate) struct Buckets {
    pace: Option<Pace>,
    /// What is left in each, and when it was looked at.
    left: Mutex<BTreeMap<Lane, (f64, Instant)>>,
}

impl Buckets {
    pub(crate) fn new(pace: Option<Pace>) -> Buckets {
        Buckets { pace, left: Mutex::default() }
    }

    /// Whether a call may be answered now.
    pub(crate) fn take(&self, call: &Target<'_>, now: Instant) -> bool {
        let Some(pace) = self.pace.filter(|_| !FREE.contains(&call.service)) else { return true };
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = (call.account.to_owned(), call.region.to_owned(), call.service.to_owned());
        let (tokens, since) = left.entry(lane).or_insert((pace.burst, now));
        *tokens = (*tokens + now.saturating_duration_since(*since).as_secs_f64() * pace.rate).min(pace.burst);
        *since = now;
        let may = *tokens >= 1.0;
        if may {
            *tokens -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_fills_again() {
        let buckets = Buckets::new(Some(Pace { rate: 2.0, burst: 3.0 }));
        let start = Instant::now();
        let call = |account: &'static str, service: &'static str| Target {
            account,
            region: "us-east-1",
            service,
            action: "DescribeVolumes",
            permission: "ec2:DescribeVolumes",
        };
        let taken = |at: u64, account, service| {
            let at = start + Duration::from_millis(at);
            (0..5).filter(|_| buckets.take(&call(account, service), at)).count()
        };
        assert_eq!(taken(0, "1", "ec2"), 3);
        assert_eq!(taken(0, "2", "ec2"), 3, "each account has its own");
        assert_eq!(taken(1000, "1", "ec2"), 2);
        assert_eq!(taken(60_000, "1", "ec2"), 3);
        assert_eq!(taken(60_000, "1", "sts"), 5);
        assert!(Buckets::new(None).take(&call("1", "ec2"), start));
    }
}
