//! From calls that block to a client that does not: one thread with a runtime of its own. No call waits
//! longer than it says.

use std::{future::Future, sync::mpsc, thread, time::Duration};
use sweeper_core::store::StoreError;
use tokio::{runtime, sync::oneshot, time::timeout};

/// What a call is given beyond its own limit before the thread counts as stuck.
const GRACE: Duration = Duration::from_secs(2);

/// The thread. It ends with this.
pub(crate) struct Bridge {
    handle: runtime::Handle,
    _stop: oneshot::Sender<()>,
}

impl Bridge {
    pub(crate) fn start() -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Failed(format!("no thread for it: {error}"));
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("bucket".to_owned())
            .spawn(move || {
                // Runs what is spawned until the other end is dropped.
                let _ = runtime.block_on(stopped);
            })
            .map_err(failed)?;
        Ok(Self { handle, _stop: stop })
    }

    /// Runs it to its end, or to the limit: whether it had an effect is then not known.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let late = move || StoreError::Failed(format!("no answer within {} seconds", limit.as_secs()));
        let (tell, hear) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            let _ = tell.send(timeout(limit, work).await.unwrap_or_else(|_| Err(late())));
        });
        hear.recv_timeout(limit + GRACE).unwrap_or_else(|_| Err(late()))
    }
}
