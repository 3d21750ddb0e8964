//! Time that goes on only when everybody waits, to the moment that the first waits for.

use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use sweeper_core::{clock::Clock, model::Timestamp};

#[derive(Default)]
struct State {
    now: Duration,
    next: u64,
    waiting: BTreeMap<(Duration, u64), Waker>,
}

/// A clock for everything in one history.
pub struct SimClock {
    start: Timestamp,
    state: Mutex<State>,
}

impl SimClock {
    pub fn new(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves time on at once, as for a process that was stopped meanwhile.
    pub fn jump(&self, by: Duration) {
        self.lock().now += by;
    }

    /// Moves time on to a moment, if it is not past it.
    pub fn until(&self, at: Duration) {
        let mut state = self.lock();
        state.now = state.now.max(at);
    }

    /// Runs a future to its end.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        struct Nobody;
        impl Wake for Nobody {
            fn wake(self: Arc<Self>) {}
        }
        let waker = Waker::from(Arc::new(Nobody));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            let mut state = self.lock();
            // Where nobody waits for time, somebody has only yielded.
            if let Some(((at, _), waker)) = state.waiting.pop_first() {
                state.now = state.now.max(at);
                drop(state);
                waker.wake();
            }
        }
    }
}

struct Sleep<'c> {
    clock: &'c SimClock,
    until: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            state.next += 1;
            (self.until, state.next)
        });
        state.waiting.insert(key, context.waker().clone());
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.lock().waiting.remove(&key);
        }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn wall(&self) -> Timestamp {
        self.start.plus(self.mono().as_secs() as i64)
    }

    fn mono(&self) -> Duration {
        self.lock().now
    }

    async fn sleep_until(&self, until: Duration) {
        Sleep { clock: self, until, key: None }.await;
    }
}
