//! Work on a thread of its own, which can be stopped: it may compute for a while, and whoever began it must come round.

use std::{future::Future, io};
use tokio::sync::{oneshot, watch};

/// Work that was begun. Dropped, it is stopped.
pub struct Apart<T> {
    stop: watch::Sender<bool>,
    done: oneshot::Receiver<Option<T>>,
}

impl<T: Send + 'static> Apart<T> {
    /// Begins what `work` makes, on the runtime of whoever calls.
    pub fn begin<F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<Self> {
        let (stop, mut stopping) = watch::channel(false);
        let (send, done) = oneshot::channel();
        let handle = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("run".to_owned()).spawn(move || {
            let outcome = handle.block_on(async {
                tokio::select! {
                    outcome = Box::pin(work()) => Some(outcome),
                    // Also when nobody is there any more who could say so.
                    _ = stopping.wait_for(|stop| *stop) => None,
                }
            });
            // Nobody may wait for it any more.
            let _ = send.send(outcome);
        })?;
        Ok(Self { stop, done })
    }

    /// Waits for its end. `None`: it was stopped. May be asked again when the wait was dropped.
    pub async fn end(&mut self) -> Option<T> {
        (&mut self.done).await.ok().flatten()
    }

    /// Stops it where it next waits for something: nothing that it does begins after that. To be followed by [`Self::end`].
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        },
        time::Duration,
    };

    /// Says that it is gone.
    struct Guard(Arc<AtomicBool>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }

    fn endless() -> (Apart<()>, Arc<AtomicU64>, Arc<AtomicBool>) {
        let (calls, is_gone) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, guard) = (Arc::clone(&calls), Guard(Arc::clone(&is_gone)));
        let begun = Apart::begin(move || async move {
            let _guard = guard;
            loop {
                counted.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        (begun.unwrap(), calls, is_gone)
    }

    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_stopped_does_nothing_more() {
        let (mut apart, calls, is_gone) = endless();
        until(|| calls.load(SeqCst) > 3).await;
        apart.stop();
        assert_eq!(apart.end().await, None);
        assert!(is_gone.load(SeqCst), "what it held is given back");
        let after = calls.load(SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(calls.load(SeqCst), after);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_dropped_is_stopped() {
        let (apart, calls, is_gone) = endless();
        until(|| calls.load(SeqCst) > 3).await;
        drop(apart);
        until(|| is_gone.load(SeqCst)).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn an_end_is_told_and_a_busy_thread_holds_nobody_up() {
        let (go, wait) = std::sync::mpsc::channel::<u32>();
        let mut apart = Apart::begin(move || async move { wait.recv().unwrap() }).unwrap();
        // It blocks its thread, and the only worker still answers.
        assert_eq!(tokio::spawn(async { 7 }).await.unwrap(), 7);
        go.send(42).unwrap();
        assert_eq!(apart.end().await, Some(42));
    }
}
