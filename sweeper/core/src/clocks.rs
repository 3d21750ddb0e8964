//! The clouds' own clocks beside the machine's.
//!
//! Grace, expiry and freezes go by the machine's clock. A machine whose clock is wrong would act too early, so that what
//! the clouds say of the time in their answers (`Date`, RFC 9110, 6.6.1) is held against it: where they are apart by
//! more than a minute, everything is held. Only a machine's clock is: that of a test or of the demo is not of this time.

use crate::{
    clock::Clock,
    model::{CloudId, Timestamp},
    ttl,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Clocks that are apart by more than this are not of the same time, seconds.
pub const APART: i64 = 60;

/// What the clouds said of the time. Clones share it.
#[derive(Clone)]
pub struct Clocks {
    clock: Arc<dyn Clock>,
    /// By cloud: how far the machine was ahead by the answer in which the two were nearest, seconds. An answer may be
    /// old by the time it took, or by the cache it came from.
    nearest: Arc<Mutex<BTreeMap<CloudId, i64>>>,
}

impl fmt::Debug for Clocks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Clocks({:?})", self.nearest)
    }
}

impl Clocks {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, nearest: Arc::default() }
    }

    /// Notes the `Date` of an answer. What is none says nothing.
    pub fn told(&self, cloud: CloudId, date: &str) {
        if !self.clock.is_machine() {
            return;
        }
        let Ok(said) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date) else { return };
        let ahead = self.clock.wall().since(Timestamp(said.as_second()));
        let mut nearest = self.nearest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = nearest.entry(cloud).or_insert(ahead);
        if ahead.abs() < known.abs() {
            *known = ahead;
        }
    }

    /// Why the machine's clock is not trusted, if it is not.
    pub fn doubt(&self) -> Option<String> {
        let nearest = self.nearest.lock().unwrap_or_else(PoisonError::into_inner);
        let (cloud, ahead) = nearest.iter().find(|(_, ahead)| ahead.abs() > APART)?;
        let (length, side) = (ttl::spoken(ahead.abs()), if *ahead < 0 { "behind" } else { "ahead of" });
        Some(format!("it is {length} {side} the clock of {}", cloud.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::time::Duration;

    struct At(Timestamp, bool);

    #[async_trait]
    impl Clock for At {
        fn wall(&self) -> Timestamp {
            self.0
        }
        fn mono(&self) -> Duration {
            Duration::ZERO
        }
        async fn sleep_until(&self, _: Duration) {}
        fn is_machine(&self) -> bool {
            self.1
        }
    }

    fn said(wall: i64, machine: bool, dates: &[&str]) -> Option<String> {
        // 1994-11-06T08:49:37Z
        let clocks = Clocks::new(Arc::new(At(Timestamp(784_111_777 + wall), machine)));
        for date in dates {
            clocks.told(CloudId::Gcp, date);
        }
        clocks.doubt()
    }

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn a_minute_is_forgiven_and_more_is_not() {
        for near in [-60, -1, 0, 60] {
            assert_eq!(said(near, true, &[DATE]), None, "{near}");
        }
        assert_eq!(said(7200, true, &[DATE]).unwrap(), "it is 2 hours ahead of the clock of gcp");
        assert_eq!(said(-7200, true, &[DATE]).unwrap(), "it is 2 hours behind the clock of gcp");
        assert!(said(61, true, &[DATE]).is_some() && said(-61, true, &[DATE]).is_some());
    }

    #[test]
    fn the_nearest_answer_counts_and_nonsense_says_nothing() {
        assert_eq!(said(0, true, &["Sun, 06 Nov 1994 07:00:00 GMT", DATE, "Sun, 06 Nov 1994 06:00:00 GMT"]), None);
        assert_eq!(said(7200, true, &["", "soon", "784111777", "1994-11-06T08:49:37Z"]), None);
        // A clock of a test is of another time.
        assert_eq!(said(7200, false, &[DATE]), None);
    }
}
