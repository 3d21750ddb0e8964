//! Time, handed in. The only file of the core that may wait.

use crate::model::Timestamp;
use async_trait::async_trait;
#[cfg(any(test, feature = "conformance"))]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Wall time for facts, monotonic time for waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time of day.
    fn wall(&self) -> Timestamp;
    /// Time since some fixed start; never goes back.
    fn mono(&self) -> Duration;
    /// Waits until `mono()` has reached `until`.
    async fn sleep_until(&self, until: Duration);

    /// Whether it goes by the machine's time of day, so that the clouds' clocks can be held against it.
    fn is_machine(&self) -> bool {
        false
    }
}

/// The machine's clock.
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_second())
    }

    fn mono(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep_until(&self, until: Duration) {
        tokio::time::sleep_until(self.start + until).await;
    }

    fn is_machine(&self) -> bool {
        true
    }
}

/// A clock that jumps to whatever is waited for, so that tests take no time. In no build that ships: what changes a
/// cloud goes by the machine's clock, save in the demo, which has one of its own.
#[cfg(any(test, feature = "conformance"))]
pub struct VirtualClock {
    start: Timestamp,
    elapsed: Mutex<Duration>,
}

#[cfg(any(test, feature = "conformance"))]
impl VirtualClock {
    pub fn new(start: Timestamp) -> Self {
        Self { start, elapsed: Mutex::new(Duration::ZERO) }
    }

    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

#[cfg(any(test, feature = "conformance"))]
#[async_trait]
impl Clock for VirtualClock {
    fn wall(&self) -> Timestamp {
        self.start.plus(self.mono().as_secs() as i64)
    }

    fn mono(&self) -> Duration {
        *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sleep_until(&self, until: Duration) {
        {
            let mut elapsed = self.elapsed.lock().unwrap_or_else(PoisonError::into_inner);
            *elapsed = (*elapsed).max(until);
        }
        // Lets the others run, as a real wait would.
        tokio::task::yield_now().await;
    }
}
